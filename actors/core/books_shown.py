"""What the books answer: rows of positions and orders, page by page, and each account as a whole.

A page costs what its own rows cost, and the finding of where it begins. The sums of an account are
kept up (`book.sums`), so that they cost what has changed since somebody asked last.
"""

from collections.abc import Callable, Iterable, Mapping
from heapq import nsmallest
from itertools import islice
from typing import NamedTuple

from ..messages import ShowOrders, ShowPositions
from .book import shown
from .book.account import AccountBook
from .book.numbers import exact
from .book.numbers import shown as written
from .book.orders import Working
from .book.path import Path
from .book.sums import Sum
from .books import Books
from .held import Held

Row = dict[str, object]

NAMES_MAX = 20
"""So many that there are are told to whoever asked for one that there is not."""
FLAGS_MAX = 100
"""In a row. How many there are is told beside them."""


class NotThere(Exception):
    """The books have no such account, or no such instrument."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Page(NamedTuple):
    """A part of all rows, in their order."""

    accounts: list[str]
    """All that were asked about."""
    rows: list[Row]
    more: bool


# --- pages ----------------------------------------------------------------------------------------


def positions(books: Books, asked: ShowPositions) -> Page:
    """Every instrument in which anything has happened, by account and symbol. Raises NotThere."""
    with exact():
        return _page(books, asked, _symbols, _position)


def orders(books: Books, asked: ShowOrders) -> Page:
    """Every order of which something remains, by account and id. Raises NotThere."""
    return _page(books, asked, _order_ids, _order)


def _page(
    books: Books,
    asked: ShowPositions | ShowOrders,
    keys: Callable[[AccountBook, str | None], Iterable[str]],
    row: Callable[[Held, str], Row],
) -> Page:
    names = accounts(books, asked.account)
    if asked.symbol is not None and asked.symbol not in books.listings:
        raise NotThere("unknown_instrument", _among("instrument", asked.symbol, books.listings))
    behind, begin = asked.after or ("", "")
    found: list[Row] = []
    for name in names:
        if name < behind:
            continue
        held = books.accounts[name]
        wanted = keys(held.book, asked.symbol)
        if name == behind:
            wanted = (key for key in wanted if key > begin)
        # One more than there is room for: it says that there is more.
        for key in islice(sorted(wanted), asked.limit + 1 - len(found)):
            if len(found) == asked.limit:
                return Page(names, found, more=True)
            found.append({"account": name, **row(held, key)})
    return Page(names, found, more=False)


def accounts(books: Books, name: str | None) -> list[str]:
    """The names of all, or this one. Raises NotThere."""
    if name is None:
        return sorted(books.accounts)
    if name not in books.accounts:
        raise NotThere("unknown_account", _among("account", name, books.accounts))
    return [name]


def _among(kind: str, name: str, names: Mapping[str, object]) -> str:
    if not names:
        return f"no {kind} is called {name!r}; the configuration has none"
    some = ", ".join(nsmallest(NAMES_MAX, names))
    left = len(names) - NAMES_MAX
    return f"no {kind} is called {name!r}; there are: {some}" + (
        f" and {left} more" if left > 0 else ""
    )


# --- rows -----------------------------------------------------------------------------------------


def _symbols(book: AccountBook, symbol: str | None) -> Iterable[str]:
    if symbol is None:
        return book.worth.paths
    return [symbol] if symbol in book.worth.paths else []


def _position(held: Held, symbol: str) -> Row:
    return position(held.book, held.book.worth.paths[symbol])


def position(book: AccountBook, path: Path) -> Row:
    """A position with its price. Called where numbers are exact."""
    contract = path.contract
    mark = book.worth.mark_now(contract.symbol)
    return {
        "symbol": contract.symbol,
        "kind": contract.kind,
        "settle": contract.settle,
        **shown.position(book, path),
        "mark": written(mark),
        "notional": written(contract.notional(path.last.qty, mark)),
        "quote": contract.quote,
    }


def _order_ids(book: AccountBook, symbol: str | None) -> Iterable[str]:
    working = book.exposures.working
    if symbol is None:
        return working
    return [order_id for order_id, order in working.items() if _symbol(order) == symbol]


def _symbol(order: Working) -> str:
    assert order.begun is not None, "what was never told of has nothing that remains"
    return order.begun.symbol


def _order(held: Held, order_id: str) -> Row:
    order = held.book.exposures.working[order_id]
    assert order.begun is not None, "what was never told of has nothing that remains"
    return {
        "id": order_id,
        "symbol": order.begun.symbol,
        "side": order.begun.side,
        "qty": written(order.qty),
        "filled": written(order.filled),
        "remaining": written(order.remaining),
        "reduce_only": order.begun.reduce_only,
        "state": order.state,
    }


# --- an account -----------------------------------------------------------------------------------


def account(held: Held, by_currency: Mapping[str, Sum]) -> Row:
    """An account as a whole. The sums are those of its positions, each in its own currency."""
    about, flags = held.about, held.book.flags()
    with exact():
        return {
            "account": about.name,
            "exchange": about.exchange,
            "is_open": about.is_open,
            **shown.account(held.book),
            "by_currency": {ccy: _sum(one) for ccy, one in by_currency.items()},
            "broker": _broker(held),
            "is_drifting": about.is_drifting,
            "flags": flags[:FLAGS_MAX],
            "flags_count": len(flags),
        }


def _sum(one: Sum) -> Row:
    return {
        "realized_pnl": written(one.realised),
        "funding": written(one.funding),
        "net_realized_pnl": written(one.net),
        "unrealized_pnl": written(one.unrealised),
        "fees": written(one.fees),
    }


def _broker(held: Held) -> Row | None:
    """What it said last, and by how much the book was above that then."""
    said = held.about.equity
    if said is None:
        return None
    drift = None if said.ours is None else said.ours - said.theirs
    return {"equity": written(said.theirs), "at": said.at.isoformat(), "drift": written(drift)}
