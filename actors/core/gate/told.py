"""What further facts mean to the memories of rules: a strategy's edge, an order's fate, a lockout;
and the best that a session has made. Pure; the books have taken the fact in already.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from ...messages import (
    Booked,
    EdgeReported,
    Fact,
    OrderCancelAsked,
    Recorded,
    RuleTripped,
    StopMoveAsked,
    VenueStated,
)
from ...messages.book import Amend, AmendReject, Mark, Order, Snapshot, Timeout
from ..book.numbers import exact
from ..books import Books
from ..held import Held
from .memory import (
    Adopted,
    CancelSought,
    EdgeSeen,
    Heard,
    Locked,
    Quoted,
    Scopes,
    Seen,
    StopSought,
    TimedOut,
    VenueSaid,
)
from .rule import Around
from .rules.collar import Ways
from .rules.profit import Crest
from .view import Moment

LOCKING = ("reduce_only", "close_position", "flatten", "halt")


def told(recorded: Recorded, books: Books) -> Seen | None:
    """None: rules have nothing to remember of it."""
    fact = recorded.fact
    mean = _MEANINGS.get(type(fact))
    return None if mean is None else mean(recorded, fact, books)


def _edge(recorded: Recorded, fact: EdgeReported, _books: Books) -> Seen:
    scopes: Scopes = ("all", f"strategy:{fact.strategy}")
    return EdgeSeen(recorded.at, scopes, fact.strategy, fact.symbol, fact.bps)


def _sought(recorded: Recorded, fact: OrderCancelAsked, _books: Books) -> Seen:
    scopes: Scopes = (fact.scope,)
    return CancelSought(
        recorded.at, scopes, fact.rule, fact.account, fact.symbol, fact.client_order_id
    )


def _moved(recorded: Recorded, fact: StopMoveAsked, _books: Books) -> Seen:
    scopes: Scopes = (fact.scope,)
    return StopSought(recorded.at, scopes, fact.rule, fact.account, fact.symbol, fact.stop_price)


def _stated(recorded: Recorded, fact: VenueStated, books: Books) -> Seen | None:
    held = books.accounts.get(fact.account)
    if held is None:
        return None
    return VenueSaid(recorded.at, _of_account(held), fact.account, fact.can_trade, fact.at)


def _of_account(held: Held) -> Scopes:
    about = held.about
    found = ("all", f"account:{about.name}")
    return found if about.exchange is None else (*found, f"exchange:{about.exchange}")


def _adopted(at: datetime, event: Snapshot, held: Held) -> Seen | None:
    """None: it was of before one that was adopted already."""
    if held.gap is None:
        return None
    return Adopted(at, _of_account(held), held.about.name, event.symbol, held.gap)


def _locked(recorded: Recorded, fact: RuleTripped, _books: Books) -> Seen | None:
    if fact.action not in LOCKING:
        return None
    rule_scope = (fact.scope,)
    return Locked(recorded.at, rule_scope, fact.rule)


def _booked(recorded: Recorded, fact: Booked, books: Books) -> Seen | None:
    event, account = fact.event, fact.account
    if isinstance(event, Snapshot) and account is not None:
        return _adopted(recorded.at, event, books.accounts[account])
    if account is None or not isinstance(event, Timeout | Order | Amend | AmendReject):
        return None
    held = books.accounts[account]
    about, order = held.about, held.book.orders.get(event.id)
    found = ["all", f"account:{account}", *held.owners.get(event.id, ())]
    if about.exchange is not None:
        found.append(f"exchange:{about.exchange}")
    if order is not None and order.begun is not None:
        found.append(f"symbol:{order.begun.symbol}")
    if not isinstance(event, Timeout):
        left = held.remaining(event.id)
        is_amended = isinstance(event, Amend)
        return Heard(recorded.at, tuple(found), account, event.id, left, is_amended)
    if order is not None and order.is_gone:
        return None  # it had an end before it timed out
    return TimedOut(recorded.at, tuple(found), account, event.id)


_MEANINGS: Mapping[type[Fact], Callable[[Recorded, Any, Books], Seen | None]] = {
    EdgeReported: _edge,
    OrderCancelAsked: _sought,
    RuleTripped: _locked,
    StopMoveAsked: _moved,
    VenueStated: _stated,
    Booked: _booked,
}


def rise(recorded: Recorded, books: Books, memories: Mapping[str, Any]) -> None:
    """Something was booked: rules that go by the best that a session has made look at it, and those
    that go by the way of a mark at every mark."""
    fact = recorded.fact
    if not isinstance(fact, Booked):
        return
    event = fact.event
    for memory in memories.values():
        if isinstance(memory, Ways):
            if isinstance(event, Mark):
                memory.quote(Quoted(recorded.at, fact.account, event.symbol, event.price))
            continue
        if isinstance(memory, Crest):
            around = Around(books, Moment(recorded.at, recorded.monotonic_s))
            with exact():
                memory.rise(around.standing(memory.scope))
