"""What a fact means to the memories of rules. Pure; the books have taken the fact in already.

A fact means one thing or nothing. What was told before means nothing: a fill counts when it is new,
an order ends once. All of it is in the scopes of the order that it is of; what no known order
explains is in those of its account and its symbol.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from ...messages import Booked, Fact, Recorded, SessionReset
from ...messages.book import AmendRequest, Cancel, CancelRequest, Event, Expire, Fill, Reject
from ...messages.gate import OrderDecided, OrderDropped, RuleRearmed
from ..book.account import AccountBook
from ..book.numbers import exact
from ..book.orders import Working
from ..book.path import Execution, Path, Step
from ..books import Books
from ..held import Held
from .asked import CANARY, scopes
from .memory import Asked, Ended, Executed, Judged, Rearmed, Scopes, Seen, SessionEnded

ENDS: Mapping[type[Event], str] = {Cancel: "cancel", Reject: "reject", Expire: "expire"}
CHANGES: Mapping[type[Event], str] = {
    CancelRequest: "cancel_request",
    AmendRequest: "amend_request",
}


def seen(recorded: Recorded, books: Books) -> Seen | None:
    """None: rules have nothing to remember of it. Times are those of riskd's own clock."""
    fact = recorded.fact
    mean = _MEANINGS.get(type(fact))
    return None if mean is None else mean(recorded, fact, books)


def _judged(_recorded: Recorded, fact: OrderDecided, books: Books) -> Seen | None:
    if fact.worker == CANARY:
        return None  # It wants to trade nothing: no rule counts it.
    order = fact.order
    held = books.accounts.get(order.account)
    exchange = None if held is None else held.about.exchange
    inside = scopes(order, exchange, fact.worker)
    if not fact.amends:
        return Judged(fact.at, inside, order, fact.verdict)
    if fact.verdict.decision == "block":
        return None
    return Asked(fact.at, inside, order.account, order.client_order_id, "amend_request", order)


def _booked(recorded: Recorded, fact: Booked, books: Books) -> Seen | None:
    if fact.account is None:
        return None
    event, at, held = fact.event, recorded.at, books.accounts[fact.account]
    kind = type(event)
    if kind is Fill:
        return _executed(at, event, held)  # type: ignore[arg-type]  # it is one
    how = ENDS.get(kind)
    news = held.book.news
    if how is not None and isinstance(news, Working):
        return Ended(at, _scopes_of(held, news.id), fact.account, news.id, how)
    what = CHANGES.get(kind)
    if what is not None:
        assert isinstance(event, CancelRequest | AmendRequest), "the table says so"
        order = event.id
        return Asked(at, _scopes_of(held, order), fact.account, order, what)
    return None


def _dropped(recorded: Recorded, fact: OrderDropped, books: Books) -> Seen | None:
    held = books.accounts[fact.account]
    if not isinstance(held.book.news, Working):
        return None
    order = fact.client_order_id
    return Ended(recorded.at, _scopes_of(held, order), fact.account, order, "drop")


def _scopes_of(held: Held, order: str, symbol: str | None = None) -> Scopes:
    """`symbol`: if it is known. Else the order's own, if that is."""
    about = held.about
    found = ["all", f"account:{about.name}"]
    if symbol is None:
        working = held.book.orders.get(order)
        if working is not None and working.begun is not None:
            symbol = working.begun.symbol
    if symbol is not None:
        found.append(f"symbol:{symbol}")
    if about.exchange is not None:
        found.append(f"exchange:{about.exchange}")
    return (*found, *held.owners.get(order, ()))


def _executed(at: datetime, event: Fill, held: Held) -> Seen | None:
    book, news = held.book, held.book.news
    if not isinstance(news, tuple):
        return None
    fill, before = news
    path = book.worth.paths[fill.symbol]
    order = fill.order
    if order is not None and not held.explains(order, fill.symbol, fill.side):
        order = None
    with exact():
        is_closing, won = _won(book, path, fill, before)
        notional = _notional(book, path, fill)
    return Executed(
        at,
        _scopes_of(held, order or "", fill.symbol),
        held.about.name,
        fill.symbol,
        event.side,
        abs(fill.signed),
        fill.price,
        order,
        notional,
        won,
        is_closing,
        held.about.currency,
        None if order is None else held.remaining(order),
    )


def _won(
    book: AccountBook, path: Path, fill: Execution, before: Step
) -> tuple[bool, Decimal | None]:
    """Whether it closed anything, where it stands in canonical order, and what that brought."""
    after = path.last
    if path.fills[-1] is not fill:
        time, arrived = fill.key
        early, late = path.before(fill.key), path.before((time, arrived + 1))
        if early is None or late is None:
            return True, None  # what it was then is closed, and nobody knows any more
        before, after = early, late
    if not before.qty or (before.qty > 0) == (fill.signed > 0):
        return False, None
    rate = book.worth.rate(path.contract.settle, fill.key)
    if rate is None:
        return True, None
    return True, (after.won - before.won) * path.contract.multiplier * rate


def _notional(book: AccountBook, path: Path, fill: Execution) -> Decimal | None:
    rate = book.worth.rate(path.contract.quote, fill.key)
    worth = path.contract.notional(fill.signed, fill.price)
    return None if rate is None or worth is None else abs(worth) * rate


def _session_ended(_recorded: Recorded, fact: SessionReset, books: Books) -> Seen:
    held = books.accounts[fact.account]
    return SessionEnded(fact.at, tuple(_all_of(held)), fact.is_week)


def _all_of(held: Held) -> Iterable[str]:
    """Every scope in which anything of an account is."""
    about = held.about
    yield "all"
    yield f"account:{about.name}"
    if about.exchange is not None:
        yield f"exchange:{about.exchange}"
    yield from held.parts
    for symbol in held.book.worth.paths:
        yield f"symbol:{symbol}"


def _rearmed(recorded: Recorded, fact: RuleRearmed, _books: Books) -> Seen:
    return Rearmed(recorded.at, (fact.scope,), fact.rule)


_MEANINGS: Mapping[type[Fact], Callable[[Recorded, Any, Books], Seen | None]] = {
    OrderDecided: _judged,
    OrderDropped: _dropped,
    Booked: _booked,
    SessionReset: _session_ended,
    RuleRearmed: _rearmed,
}
