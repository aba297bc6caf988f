"""The books over the socket: nothing while they are in doubt, and no long step for anybody."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any, cast
from zoneinfo import ZoneInfo

import attrs
import pytest
import trio
from riskd.actors.book_views import AT_ONCE, BookViews
from riskd.actors.control import CommandRefused, CommandUnavailable
from riskd.actors.core.access import Caller
from riskd.actors.core.books import Books
from riskd.actors.messages import (
    AccountOpened,
    AnyFact,
    Booked,
    Command,
    InstrumentListed,
    Listing,
    PnlIs,
    Recorded,
    ShowOrders,
    ShowPnl,
    ShowPositions,
)
from riskd.actors.messages.book import Fill, Mark

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ANYBODY = cast("Caller", None)
MANY = 8 * AT_ONCE


@attrs.define
class Desk:
    """The views, and what they look at."""

    books: Books = attrs.field(factory=lambda: Books(ZoneInfo))
    lsn: int = 0
    doubt: str | None = None
    views: BookViews = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.views = BookViews(books=self.books, lsn=lambda: self.lsn, doubt=lambda: self.doubt)

    def make(self, fact: AnyFact) -> None:
        self.lsn += 1
        self.books.apply(Recorded(lsn=self.lsn, at=NOON, monotonic_s=1.0, fact=fact))

    def open(self, *accounts: str) -> None:
        for account in accounts:
            self.make(AccountOpened(account=account, currency="USD", balance=Decimal(1_000)))

    def trade(self, account: str, symbol: str) -> None:
        self.make(InstrumentListed(listing=listing(symbol)))
        sold = Fill(id="1", symbol=symbol, side="sell", qty=Decimal(1), price=Decimal(10))
        self.make(Booked(account=account, event=sold))
        self.mark(account, symbol, 11)

    def mark(self, account: str, symbol: str, price: int) -> None:
        self.make(Booked(account=account, event=Mark(symbol=symbol, price=Decimal(price))))

    async def ask(self, command: Command) -> Any:
        handler = cast("Callable[..., Awaitable[Any]]", self.views.handlers()[type(command)])
        return await handler(ANYBODY, command)

    async def unrealized(self, account: str) -> Any:
        reply = await self.ask(ShowPnl(account=account))
        return reply.accounts[0]["by_currency"]["USD"]["unrealized_pnl"]


def listing(symbol: str) -> Listing:
    return Listing(symbol=symbol, kind="linear", multiplier=Decimal(1), quote="USD", settle="USD")


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize("command", [ShowPositions(), ShowOrders(), ShowPnl()])
async def test_while_the_book_is_in_doubt_nothing_is_answered(desk: Desk, command: Command) -> None:
    desk.doubt = "fact 7: KeyError('main')"
    with pytest.raises(CommandUnavailable, match=r"in doubt .* fact 7"):
        await desk.ask(command)


@pytest.mark.parametrize("command", [ShowPositions, ShowOrders, ShowPnl])
async def test_an_account_that_is_not_there_is_refused(
    desk: Desk, command: Callable[..., Command]
) -> None:
    desk.open("main")
    with pytest.raises(CommandRefused, match="there are: main") as raised:
        await desk.ask(command(account="nobody"))
    assert raised.value.code == "unknown_account"


async def test_rows_are_told_with_the_newest_fact(desk: Desk) -> None:
    desk.open("main")
    desk.trade("main", "BTC")
    reply = await desk.ask(ShowPositions())
    assert (reply.lsn, reply.more, reply.accounts) == (desk.lsn, False, ["main"])
    assert reply.positions[0]["unrealized_pnl"] == "-1"
    assert (await desk.ask(ShowOrders())).orders == []


async def test_sums_are_kept_from_one_question_to_the_next(desk: Desk) -> None:
    desk.open("main")
    desk.trade("main", "BTC")
    desk.trade("main", "ETH")
    assert await desk.unrealized("main") == "-2"
    desk.mark("main", "ETH", 20)
    assert await desk.unrealized("main") == "-11"
    assert desk.books.accounts["main"].book.worth.changed == set()


async def test_many_instruments_make_no_long_step_and_an_answer_of_one_moment(
    desk: Desk,
) -> None:
    desk.open("main")
    for number in range(MANY):
        desk.trade("main", f"S{number}")
    replies: list[PnlIs] = []
    steps: list[int] = []

    async def ask() -> None:
        replies.append(await desk.ask(ShowPnl()))

    async def go_on() -> None:
        """Somebody else, who has something to do all the time."""
        while not replies:
            steps.append(len(desk.books.accounts["main"].book.worth.changed))
            desk.mark("main", "S0", 12)
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        nursery.start_soon(go_on)
    looked_at = [before - after for before, after in pairwise(steps)]
    assert max(looked_at) <= 2 * AT_ONCE  # whose turn it is within a round is a matter of chance
    (row,) = replies[0].accounts
    assert row["by_currency"]["USD"]["unrealized_pnl"] == str(-MANY - 1)  # type: ignore[index]  # its form
    assert row["equity"] == str(1_000 - MANY - 1)
    assert row["lsn"] == replies[0].lsn


async def test_between_two_accounts_others_have_their_turn(desk: Desk) -> None:
    names = [f"a{number}" for number in range(8)]
    desk.open(*names)
    rows: list[dict[str, Any]] = []

    async def ask() -> None:
        rows.extend((await desk.ask(ShowPnl())).accounts)

    async def go_on() -> None:
        while not rows:
            desk.lsn += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        nursery.start_soon(go_on)
    assert [row["account"] for row in rows] == names
    assert len({row["lsn"] for row in rows}) >= len(names) // 2


async def test_a_book_that_is_made_anew_meanwhile_is_looked_at_anew(desk: Desk) -> None:
    desk.open("main")
    desk.trade("main", "BTC")
    assert await desk.unrealized("main") == "-1"
    desk.books.load(None)
    desk.open("main")
    desk.trade("main", "ETH")
    desk.mark("main", "ETH", 15)
    assert await desk.unrealized("main") == "-5"
    for number in range(MANY):
        desk.trade("main", f"S{number}")
    changed = desk.books.accounts["main"].book.worth.changed
    before = len(changed)

    async def fail() -> None:
        with pytest.raises(CommandUnavailable, match="made anew; ask again"):
            await desk.ask(ShowPnl())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fail)
        while len(changed) == before:
            await trio.lowlevel.checkpoint()
        desk.books.load(None)
