"""What a strategy or a worker has made in an account: a part is the book of its orders alone."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core.book import shown
from riskd.actors.core.book.account import AccountBook
from riskd.actors.core.books import Books
from riskd.actors.messages import (
    AccountOpened,
    Booked,
    Fact,
    InstrumentListed,
    Listing,
    OrderAcked,
    OrderAsked,
    OrderDecided,
    OrderDropped,
    Recorded,
    SessionClockSet,
    Verdict,
)
from riskd.actors.messages.book import (
    Account,
    AnyEvent,
    Bust,
    Cancel,
    Correct,
    Fill,
    Instrument,
    Mark,
    Order,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NAMES = ("mm", "arb")
ORDERS = tuple(f"{name}-{number}" for name in NAMES for number in range(3))
CLOCK = msgspec.json.decode(
    b'{"type":"session_clock_set","tz":"UTC","reset":"00:00","week_start":"monday"}',
    type=SessionClockSet,
)
"""As it comes from a journal: msgspec leaves out a default only if it is the very same object."""
PRICES = [Decimal(price) for price in (90, 100, 110)]


def books(*facts: Fact) -> Books:
    found = Books(ZoneInfo)
    listing = Listing(symbol="L", kind="linear", multiplier=Decimal(1), quote="USD", settle="USD")
    opening = (
        InstrumentListed(listing=listing),
        AccountOpened(account="main", currency="USD", balance=Decimal(1000), exchange="sim"),
        CLOCK,
    )
    return tell(found, (*opening, *facts))


def tell(found: Books, facts: Iterable[Fact]) -> Books:
    for lsn, fact in enumerate(facts, 1):
        found.apply(Recorded(lsn=lsn, at=NOW, monotonic_s=1.0, fact=fact))  # type: ignore[arg-type]  # every Fact is of AnyFact
    return found


def dump(found: Books) -> bytes:
    return b"".join(found.dump())


def put_away(found: Books) -> Books:
    """And taken out again."""
    again = Books(ZoneInfo)
    again.load(dump(found))
    return again


def permitted(order: str, side: Any, qty: Decimal, *, reduce_only: bool = False) -> OrderDecided:
    """Of the strategy that is in its name."""
    asked = OrderAsked(
        client_order_id=order, account="main", symbol="L", side=side, qty=str(qty),
        strategy=order.split("-", maxsplit=1)[0], reduce_only=reduce_only,
    )  # fmt: skip
    verdict = Verdict(decision="allow", qty=qty, code="ok")
    return OrderDecided(order=asked, worker="w", at=NOW, monotonic_s=1.0, verdict=verdict)


def alone(facts: Sequence[Fact], name: str) -> AccountBook:
    """A book that was told of the orders of one strategy, of their own fills, and of prices."""
    sides: dict[str, str] = {}
    first: dict[tuple[str, object], str] = {}
    book = AccountBook(ZoneInfo)
    book.apply(Instrument(symbol="L", quote="USD", settle="USD"))
    book.apply(Account(ccy="USD"))
    for fact in facts:
        if isinstance(fact, OrderDecided) and fact.order.strategy == name:
            sides[fact.order.client_order_id] = fact.order.side
            book.apply(
                Order(
                    id=fact.order.client_order_id, symbol="L", side=fact.order.side,
                    qty=fact.verdict.qty, reduce_only=fact.order.reduce_only,
                )
            )  # fmt: skip
        elif isinstance(fact, Booked) and _is_of(fact.event, name):
            event, side = fact.event, None
            if isinstance(event, Fill):
                side = first.setdefault((event.id, event.order), event.side)
            if side is None or side == sides[str(getattr(event, "order", None))]:
                book.apply(event)
    return book


def _is_of(event: AnyEvent, name: str) -> bool:
    if isinstance(event, Mark):
        return True
    order = event.id if isinstance(event, Cancel) else getattr(event, "order", None)
    return isinstance(order, str) and order.startswith(f"{name}-")


quantities = st.integers(1, 5).map(Decimal)
fills = st.builds(
    Fill, id=st.sampled_from("abcdef"), symbol=st.just("L"), side=st.sampled_from(["buy", "sell"]),
    qty=quantities, price=st.sampled_from(PRICES), order=st.sampled_from(ORDERS),
    fee=st.sampled_from([Decimal(0), Decimal("0.5")]),
)  # fmt: skip
busts = st.builds(
    Bust, id=st.sampled_from("abcdef"), symbol=st.just("L"), order=st.sampled_from(ORDERS)
)
corrections = st.builds(
    Correct, id=st.sampled_from("abcdef"), symbol=st.just("L"), order=st.sampled_from(ORDERS),
    qty=quantities, price=st.sampled_from(PRICES),
)  # fmt: skip
marks = st.builds(Mark, symbol=st.just("L"), price=st.sampled_from(PRICES))
cancels = st.builds(Cancel, id=st.sampled_from(ORDERS))
events = st.lists(st.one_of(fills, fills, busts, corrections, marks, cancels), max_size=25)
orders = st.tuples(
    st.sampled_from(["buy", "sell"]), quantities, st.booleans()
)  # side, quantity, reduce only
permits = st.lists(orders, min_size=len(ORDERS), max_size=len(ORDERS))


def story(permits: Sequence[Any], events: Sequence[AnyEvent]) -> list[Fact]:
    return [
        Booked(account="main", event=Mark(symbol="L", price=PRICES[0])),
        *(
            permitted(order, side, qty, reduce_only=reduces)
            for order, (side, qty, reduces) in zip(ORDERS, permits, strict=True)
        ),
        *(Booked(account="main", event=event) for event in events),
    ]


@given(permits, events)
def test_a_part_is_the_book_of_its_orders_alone(
    permits: Sequence[Any], events: Sequence[AnyEvent]
) -> None:
    facts = story(permits, events)
    found = books(*facts)
    for name in NAMES:
        (part,) = found.of(f"strategy:{name}")
        expected = alone(facts, name)
        assert shown.positions(part) == shown.positions(expected)
        assert shown.account(part)["equity"] == shown.account(expected)["equity"]
        assert (
            shown.account(part)["worst_gross_notional"]
            == (shown.account(expected)["worst_gross_notional"])
        )


@given(permits, events, st.integers(0, 40))
def test_books_that_were_put_away_go_on_as_if_they_had_not_been(
    permits: Sequence[Any], events: Sequence[AnyEvent], cut: int
) -> None:
    facts = story(permits, events)
    again = tell(put_away(books(*facts[:cut])), facts[cut:])
    assert dump(put_away(again)) == dump(put_away(books(*facts)))


def test_a_worker_has_all_strategies_of_its_orders() -> None:
    found = books(
        permitted("mm-1", "buy", Decimal(2)),
        permitted("arb-1", "buy", Decimal(3)),
        Booked(
            account="main",
            event=Fill(
                id="a", symbol="L", side="buy", qty=Decimal(1), price=Decimal(100), order="mm-1"
            ),
        ),
    )
    positions = {
        scope: [str(shown.positions(book)["L"]["worst_long"]) for book in found.of(scope)]  # type: ignore[index]  # a document
        for scope in (
            "all",
            "account:main",
            "exchange:sim",
            "strategy:mm",
            "strategy:arb",
            "worker:w",
        )
    }
    assert positions == {
        "all": ["5"], "account:main": ["5"], "exchange:sim": ["5"], "strategy:mm": ["2"],
        "strategy:arb": ["3"], "worker:w": ["5"],
    }  # fmt: skip
    assert found.of("exchange:other") == found.of("strategy:none") == ()


def test_a_fill_of_no_order_is_in_no_part() -> None:
    stray = Fill(id="z", symbol="L", side="buy", qty=Decimal(7), price=Decimal(100))
    found = books(permitted("mm-1", "buy", Decimal(2)), Booked(account="main", event=stray))
    (part,), (book,) = found.of("strategy:mm"), found.of("all")
    assert (part.worth.paths["L"].qty, book.worth.paths["L"].qty) == (Decimal(0), Decimal(7))


def test_a_fill_that_its_order_does_not_explain_is_in_no_part() -> None:
    stray = Fill(id="z", symbol="L", side="sell", qty=Decimal(2), price=Decimal(100), order="mm-1")
    bust = Bust(id="z", symbol="L")
    found = books(permitted("mm-1", "buy", Decimal(2)), Booked(account="main", event=stray))
    for expected in (Decimal(-2), Decimal(0)):
        (part,), (book,) = found.of("strategy:mm"), found.of("all")
        assert (part.worth.paths["L"].qty, book.worth.paths["L"].qty) == (Decimal(0), expected)
        assert part.exposures.remaining("L").buys == book.exposures.remaining("L").buys == 2
        tell(found, [Booked(account="main", event=bust)])


def test_an_order_that_was_dropped_counts_again_once_it_is_heard_of() -> None:
    about = {"account": "main", "client_order_id": "mm-1"}
    found = put_away(books(permitted("mm-1", "buy", Decimal(2)), OrderDropped(**about)))
    for scope in ("all", "strategy:mm"):
        (book,) = found.of(scope)
        assert (book.exposures.remaining("L").buys, book.exposures.sums.orders) == (0, 0)
    tell(found, [OrderAcked(**about), OrderAcked(account="none", client_order_id="mm-1")])
    for scope in ("all", "strategy:mm"):
        (book,) = found.of(scope)
        assert (book.exposures.remaining("L").buys, book.exposures.sums.orders) == (2, 1)
    assert dump(put_away(found)) == dump(found)


def test_rubbish_is_no_dump() -> None:
    with pytest.raises((ValueError, msgspec.MsgspecError)):
        Books(ZoneInfo).load(b'{"listings": 1}')
