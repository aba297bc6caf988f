"""The daemon's books over its socket: what the journal adds up to, whoever killed riskd."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from riskd.actors.messages import (
    AccountOpened,
    Booked,
    Fact,
    InstrumentListed,
    Listing,
    OrdersAre,
    PnlIs,
    PositionsAre,
    Refused,
    ShowOrders,
    ShowPnl,
    ShowPositions,
)
from riskd.actors.messages.book import Fill, Mark, Order
from riskd.adapters.clock import SystemClock
from riskd.adapters.disk import SystemDisk
from riskd.supervisor.known import Known
from riskd.supervisor.recall import open_ledger

Start = Callable[..., Any]  # the fixture's class lives in conftest.py

XAU = Listing(symbol="XAU", kind="linear", multiplier=Decimal(1), quote="USD", settle="USD")
HAPPENED: tuple[Fact, ...] = (
    InstrumentListed(listing=XAU),
    AccountOpened(account="desk", currency="USD", balance=Decimal(1_000)),
    Booked(account="desk", event=Mark(symbol="XAU", price=Decimal(12))),
    Booked(account="desk", event=Order(id="o-1", symbol="XAU", side="buy", qty=Decimal(5))),
    Booked(
        account="desk",
        event=Fill(
            id="f-1", symbol="XAU", side="buy", qty=Decimal(2), price=Decimal(10), order="o-1"
        ),
    ),
)


def write(place: Path) -> None:
    """What an earlier riskd has written."""
    state = place / "state"
    projections = Known().projections()
    with open_ledger(
        SystemDisk(),
        state,
        SystemClock(),
        projections,
        segment_bytes=1_048_576,
        durability="process",
    ) as ledger:
        ledger.commit(*HAPPENED)


def test_a_riskd_that_starts_again_tells_the_book_that_its_journal_has(
    start: Start, place: Path
) -> None:
    write(place)
    for _ in range(2):
        daemon = start().wait_ready()
        positions = daemon.ask(ShowPositions(account="desk"))
        assert isinstance(positions, PositionsAre)
        (position,) = positions.positions
        assert (position["qty"], position["unrealized_pnl"]) == ("2", "4")
        orders = daemon.ask(ShowOrders(account="desk"))
        assert isinstance(orders, OrdersAre)
        assert [row["remaining"] for row in orders.orders] == ["3"]
        pnl = daemon.ask(ShowPnl(account="desk"))
        assert isinstance(pnl, PnlIs)
        assert pnl.accounts[0]["equity"] == "1004"
        refused = daemon.ask(ShowPnl(account="dusk"))
        assert isinstance(refused, Refused)
        assert refused.code == "unknown_account"
        daemon.process.kill()
        daemon.end()
