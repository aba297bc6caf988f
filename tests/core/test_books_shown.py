"""What the books answer: pages in order, rows as a replay has them, and names that are there."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core import books_shown
from riskd.actors.core.book import shown
from riskd.actors.core.book.sums import Sums
from riskd.actors.core.books import Books
from riskd.actors.messages import (
    AccountClosed,
    AccountOpened,
    AnyFact,
    Booked,
    EquityDrifted,
    EquityReported,
    InstrumentListed,
    Listing,
    Recorded,
    ShowOrders,
    ShowPositions,
)
from riskd.actors.messages.book import AnyEvent, Cancel, Fill, Mark, Order

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SYMBOLS = ["BTC", "ETH", "SOL"]


class Kept:
    """Books that are told facts."""

    def __init__(self, *accounts: str) -> None:
        self.books = Books(ZoneInfo)
        self._lsn = 0
        for symbol in SYMBOLS:
            self.make(InstrumentListed(listing=listing(symbol)))
        for account in accounts:
            self.make(AccountOpened(account=account, currency="USD", balance=Decimal(1_000)))

    def make(self, fact: AnyFact) -> None:
        self._lsn += 1
        self.books.apply(Recorded(lsn=self._lsn, at=NOON, monotonic_s=1.0, fact=fact))

    def book(self, account: str, *events: AnyEvent) -> "Kept":
        for event in events:
            self.make(Booked(account=account, event=event))
        return self

    def account(self, name: str) -> dict[str, Any]:
        held = self.books.accounts[name]
        sums = Sums(held.book)
        sums.catch_up(sums.behind)
        return books_shown.account(held, sums.by_currency())


def listing(symbol: str) -> Listing:
    return Listing(symbol=symbol, kind="linear", multiplier=Decimal(1), quote="USD", settle="USD")


def fill(symbol: str, qty: str = "2", price: str = "100", side: Any = "buy") -> Fill:
    return Fill(id="1", symbol=symbol, side=side, qty=Decimal(qty), price=Decimal(price))


def order(order_id: str, symbol: str = "BTC", qty: str = "1") -> Order:
    return Order(id=order_id, symbol=symbol, side="buy", qty=Decimal(qty))


def test_a_position_is_what_a_replay_shows_with_its_price() -> None:
    kept = Kept("main").book("main", fill("BTC"), Mark(symbol="BTC", price=Decimal(110)))
    (row,) = books_shown.positions(kept.books, ShowPositions()).rows
    replayed: Any = shown.positions(kept.books.accounts["main"].book)["BTC"]
    assert row == {
        "account": "main",
        "symbol": "BTC",
        "kind": "linear",
        "settle": "USD",
        **replayed,
        "mark": "110",
        "notional": "220",
        "quote": "USD",
    }


def test_without_a_mark_its_worth_is_unknown() -> None:
    kept = Kept("main").book("main", fill("BTC"))
    (row,) = books_shown.positions(kept.books, ShowPositions()).rows
    assert (row["mark"], row["notional"], row["unrealized_pnl"]) == (None, None, None)


def test_an_order_is_there_until_it_is_confirmed_gone_or_filled() -> None:
    kept = Kept("main").book("main", order("a"), order("b"), order("c", qty="2"))
    kept.book("main", Cancel(id="a"))
    (row, _) = books_shown.orders(kept.books, ShowOrders()).rows
    assert row == {
        "account": "main",
        "id": "b",
        "symbol": "BTC",
        "side": "buy",
        "qty": "1",
        "filled": "0",
        "remaining": "1",
        "reduce_only": False,
        "state": "open",
    }
    whole = Fill(id="2", symbol="BTC", side="buy", qty=Decimal(2), price=Decimal(1), order="c")
    kept.book("main", whole)
    assert [row["id"] for row in books_shown.orders(kept.books, ShowOrders()).rows] == ["b"]


# --- pages ----------------------------------------------------------------------------------------

names = st.sampled_from(["alt", "main", "zoo"])
some_orders = st.lists(
    st.tuples(names, st.text("abc", min_size=1, max_size=3), st.sampled_from(SYMBOLS)), max_size=12
)


def read(
    ask: Callable[..., books_shown.Page], key: str, limit: int, **asked: Any
) -> list[tuple[str, str]]:
    """Page after page."""
    after, found = None, list[tuple[str, str]]()
    while True:
        page = ask(limit=limit, after=after, **asked)
        assert len(page.rows) <= limit
        found += [(str(row["account"]), str(row[key])) for row in page.rows]
        if not page.more:
            return found
        assert len(page.rows) == limit
        after = found[-1]


@given(some_orders, st.integers(1, 5), st.none() | names, st.none() | st.sampled_from(SYMBOLS))
def test_pages_together_are_all_rows_once_in_order(
    told: list[tuple[str, str, str]], limit: int, account: str | None, symbol: str | None
) -> None:
    kept = Kept("zoo", "alt", "main")
    expected: dict[tuple[str, str], str] = {}
    for name, order_id, of in told:
        if (name, order_id) not in expected:
            kept.book(name, order(order_id, of))
            expected[name, order_id] = of
    chosen = {
        key: of
        for key, of in expected.items()
        if account in (None, key[0]) and symbol in (None, of)
    }
    asked = {"account": account, "symbol": symbol}

    def orders(**page: Any) -> books_shown.Page:
        return books_shown.orders(kept.books, ShowOrders(**page))

    def positions(**page: Any) -> books_shown.Page:
        return books_shown.positions(kept.books, ShowPositions(**page))

    assert read(orders, "id", limit, **asked) == sorted(chosen)
    held = sorted({(name, of) for (name, _), of in chosen.items()})
    assert read(positions, "symbol", limit, **asked) == held


def test_what_comes_while_one_pages_shifts_no_row() -> None:
    kept = Kept("main").book("main", order("b"), order("c"), order("d"))
    first = books_shown.orders(kept.books, ShowOrders(limit=2))
    kept.book("main", order("a"), Cancel(id="c"))
    rest = books_shown.orders(kept.books, ShowOrders(limit=2, after=("main", "c")))
    assert [row["id"] for row in (*first.rows, *rest.rows)] == ["b", "c", "d"]


def test_a_page_names_all_accounts_that_it_was_to_look_at() -> None:
    kept = Kept("main", "alt")
    assert books_shown.positions(kept.books, ShowPositions()).accounts == ["alt", "main"]
    asked = ShowPositions(account="main")
    assert books_shown.positions(kept.books, asked).accounts == ["main"]


# --- what is not there ----------------------------------------------------------------------------


def test_an_unknown_name_is_refused_with_some_that_are_there() -> None:
    kept = Kept(*[f"a{number:03}" for number in range(100)])
    with pytest.raises(books_shown.NotThere) as raised:
        books_shown.positions(kept.books, ShowPositions(account="b"))
    assert raised.value.code == "unknown_account"
    names = ", ".join(f"a{number:03}" for number in range(20))
    assert str(raised.value) == f"no account is called 'b'; there are: {names} and 80 more"
    with pytest.raises(books_shown.NotThere) as raised:
        books_shown.orders(kept.books, ShowOrders(symbol="DOGE"))
    assert raised.value.code == "unknown_instrument"
    assert str(raised.value) == "no instrument is called 'DOGE'; there are: BTC, ETH, SOL"


def test_without_any_accounts_that_is_said() -> None:
    with pytest.raises(books_shown.NotThere, match="the configuration has none"):
        books_shown.accounts(Kept().books, "main")
    assert books_shown.positions(Kept().books, ShowPositions()).rows == []


def test_an_instrument_in_which_nothing_has_happened_has_no_row_and_is_no_error() -> None:
    kept = Kept("main").book("main", fill("BTC"))
    assert books_shown.positions(kept.books, ShowPositions(symbol="ETH")).rows == []


# --- an account -----------------------------------------------------------------------------------


def test_an_account_is_what_a_replay_shows_with_sums_by_currency_and_what_is_odd() -> None:
    kept = Kept("main").book("main", fill("BTC"), Mark(symbol="BTC", price=Decimal(110)))
    kept.book("main", fill("ETH"))
    row = kept.account("main")
    replayed: Any = shown.account(kept.books.accounts["main"].book)
    assert {key: row[key] for key in replayed} == replayed
    assert row["by_currency"] == {
        "USD": {
            "realized_pnl": "0",
            "funding": "0",
            "net_realized_pnl": "0",
            "unrealized_pnl": None,
            "fees": "0",
        }
    }
    assert (row["flags"], row["flags_count"]) == (["no_mark:ETH"], 1)
    assert (row["is_open"], row["broker"], row["is_drifting"]) == (True, None, False)
    kept.make(AccountClosed(account="main"))
    assert kept.account("main")["is_open"] is False


def test_the_brokers_word_is_compared_with_the_book_of_that_time() -> None:
    kept = Kept("main")
    kept.make(EquityReported(account="main", theirs=Decimal(900), ours=Decimal(1_000)))
    kept.make(
        EquityDrifted(account="main", theirs=Decimal(900), ours=Decimal(1_000), allowed=Decimal(9))
    )
    kept.book("main", fill("BTC"), Mark(symbol="BTC", price=Decimal(200)))
    row = kept.account("main")
    assert row["equity"] == "1200"
    assert row["broker"] == {"equity": "900", "at": NOON.isoformat(), "drift": "100"}
    assert row["is_drifting"] is True
    kept.make(EquityReported(account="main", theirs=Decimal(900), ours=None))
    assert kept.account("main")["broker"]["drift"] is None


def test_flags_are_bounded_and_counted() -> None:
    kept = Kept("main")
    for number in range(150):
        symbol = f"S{number}"
        kept.make(InstrumentListed(listing=listing(symbol)))
        kept.book("main", fill(symbol))
    row = kept.account("main")
    assert (len(row["flags"]), row["flags_count"]) == (100, 150)
