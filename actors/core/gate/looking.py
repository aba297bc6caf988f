"""Memories of how things stand: since when something is as it is, as of the facts that made it so.

A rule that says for how long something may be so has such a memory. It looks after each fact that
may have changed a position or an order, or for those that go by prices a mark, at the one symbol
that the fact is of; and at everything once, when the rule comes into force. So it is known since
when, and the same again after a restart.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, ClassVar

from ...messages import Booked, Recorded
from ...messages.book import Bust, Correct, Fill, Mark, Order, Snapshot
from ...messages.gate import OrderAcked, OrderDecided
from ..book.numbers import exact
from ..books import Books
from ..held import Held
from .memory import Seen

OF_SYMBOL = (Fill, Bust, Correct, Order, Snapshot)
Place = tuple[str, str]
"""Account and symbol."""


class Looking(ABC):
    """A memory of one rule. Until it has looked once it knows nothing."""

    MARKS: ClassVar[bool] = False
    """It looks at marks, too."""

    def __init__(self, rule: str, scope: str) -> None:
        self.rule = rule
        self.scope = scope
        self.has_looked = False

    def saw(self, seen: Seen) -> None:  # noqa: B027  # most remember nothing by it
        """Something happened in its scope. Most go by the books alone."""

    @abstractmethod
    def look(self, at: datetime, books: Books, held: Held, symbol: str) -> None:
        """At one symbol in one account, which is in its scope."""

    @abstractmethod
    def dump(self) -> object:
        """What JSON can hold, as it is now."""

    @abstractmethod
    def load(self, state: object) -> None:
        """Go back to a dump. Raises ValueError or TypeError."""


def look(recorded: Recorded, books: Books, looking: Iterable[Looking]) -> None:
    """After a fact; the books have taken it in."""
    fact = recorded.fact
    if isinstance(fact, Booked) and isinstance(fact.event, Mark):
        accounts = list(books.accounts) if fact.account is None else [fact.account]
        places = [(account, fact.event.symbol) for account in accounts]
        looking = [one for one in looking if one.MARKS]
    else:
        place = _place(fact, books)
        places = [] if place is None else [place]
    for account, symbol in places:
        held = books.accounts[account]
        for one in looking:
            _look(one, recorded.at, books, held, symbol)


def look_around(at: datetime, books: Books, looking: Iterable[Looking]) -> None:
    """At everything: rules have come into force."""
    for one in looking:
        one.has_looked = True
        for held in books.accounts.values():
            for symbol in held.book.worth.paths:
                _look(one, at, books, held, symbol)


def _look(one: Looking, at: datetime, books: Books, held: Held, symbol: str) -> None:
    scope = one.scope
    if scope.startswith("symbol:") and scope != f"symbol:{symbol}":
        return
    if held in books.holders(scope):
        with exact():
            one.look(at, books, held, symbol)


def _place(fact: Any, books: Books) -> Place | None:
    """Whose position or orders may be others since."""
    if isinstance(fact, OrderDecided):
        order = fact.order
        return None if fact.verdict.decision == "block" else (order.account, order.symbol)
    if isinstance(fact, OrderAcked):
        return _of_order(books, fact.account, fact.client_order_id)
    if not isinstance(fact, Booked) or fact.account is None:
        return None
    event = fact.event
    if isinstance(event, OF_SYMBOL):
        return fact.account, event.symbol
    return _of_order(books, fact.account, getattr(event, "id", None))


def _of_order(books: Books, account: str, order_id: str | None) -> Place | None:
    held = books.accounts.get(account)
    order = None if held is None or order_id is None else held.book.orders.get(order_id)
    if order is None or order.begun is None:
        return None
    return account, order.begun.symbol


def places(books: Books, scope: str) -> Iterator[tuple[Held, str]]:
    """All that a rule of this scope is asked of: the symbols of its accounts in which anything has
    happened."""
    only = scope.partition(":")[2] if scope.startswith("symbol:") else None
    for held, book in books.within(scope):
        for symbol in book.worth.paths:
            if only in (None, symbol):
                yield held, symbol
