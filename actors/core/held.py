"""One account: its book, and beside it what each strategy and each worker has made in it.

A part is a book of its own, of the fills of its orders and of the same marks and rates; it begins
with nothing, so that what it is worth is what it has won. Its orders are those of the account: what
remains of them is counted in both. What names no order, one that came from nowhere, or one of
another symbol or side, is in no part; nor are funding and transfers.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

import msgspec

from ..messages.book import (
    Account,
    AnyEvent,
    Bust,
    Correct,
    Fill,
    Fx,
    Mark,
    Order,
    Session,
    Side,
    Tick,
)
from .book.account import AccountBook
from .book.numbers import ZERO, exact
from .book.orders import OrderEvent
from .book.times import EARLIEST, text

Owners = tuple[str, ...]
"""The scopes of parts, `strategy:…` and `worker:…`."""
_BEFORE = datetime(1970, 1, 1, tzinfo=UTC)
EVERYWHERE = (Mark, Fx, Session, Tick)
PARTS_MAX = 1_000
"""Of an account, from where on no other strategy gets one: each mark is told to all of them."""


class Equity(msgspec.Struct, frozen=True, array_like=True):
    """What a broker said of an account's worth."""

    theirs: Decimal
    at: datetime
    monotonic_s: float
    ours: Decimal | None = None
    """What the book said then. None: it did not know."""


class About(msgspec.Struct, array_like=True):
    """What is known of an account beside its book."""

    name: str
    currency: str
    balance: Decimal
    since: datetime
    """Resets of its session up to here are over, or came before it was opened."""
    exchange: str | None = None
    is_open: bool = True
    equity: Equity | None = None
    is_drifting: bool = False

    def equity_age_s(self, at: datetime, monotonic_s: float) -> float | None:
        """How old the broker's word is, by the clock that says more; a wall clock that was set back
        makes it old, too. None: there is none."""
        if self.equity is None:
            return None
        age_s = abs((at - self.equity.at).total_seconds())
        return max(age_s, monotonic_s - self.equity.monotonic_s)


class Marked(NamedTuple):
    """When a mark or a rate came, by both clocks of riskd, and how old it was by its own time."""

    at: datetime
    monotonic_s: float
    boot: str
    late_s: float = 0.0

    def is_older_than(self, other: "Marked") -> bool:
        """Does it make the mark of its symbol an older one, though it came later?"""
        if self.boot != other.boot:
            return True
        more_s = self.late_s - other.late_s
        return more_s > 0.0 and (
            more_s > (self.at - other.at).total_seconds()
            or more_s > self.monotonic_s - other.monotonic_s
        )


class Held:
    """An account."""

    def __init__(
        self,
        about: About,
        book: AccountBook,
        new: Callable[[], AccountBook],
        parts: dict[str, AccountBook] | None = None,
        owners: dict[str, Owners] | None = None,
        marked: dict[str, Marked] | None = None,
        rated: dict[str, Marked] | None = None,
    ) -> None:
        self.about = about
        self.book = book
        self._new = new
        self.parts = {} if parts is None else parts
        for part in self.parts.values():
            self._share(part)
        self.owners = {} if owners is None else owners
        """By order."""
        self.rated = {} if rated is None else rated
        """By currency: when its rate came."""
        self.marked = {} if marked is None else marked
        self.newest = max((one.at for one in self.marked.values()), default=_BEFORE)
        """When the last of them came."""
        """By symbol: when its mark came."""
        self.gap: Decimal | None = None
        """By how much the position that was adopted last was not the book's. None: it was of before
        another one. Not part of a dump."""
        self.clock: Session | None = None
        """By which days and weeks end."""

    def own(self, scope: str) -> AccountBook | None:
        """The book that an order of this account, in this scope, is in. None: there is none yet."""
        return self.parts.get(scope) if scope.startswith(("strategy:", "worker:")) else self.book

    def marks(self, symbol: str, marked: Marked) -> None:
        """The mark of a symbol has come."""
        was = self.marked.get(symbol)
        self.marked[symbol] = marked
        if marked.at > self.newest:
            self.newest = marked.at
        if was is None or marked.is_older_than(was):
            for book in (self.book, *self.parts.values()):
                book.exposures.forget_ages()

    def tell(self, event: AnyEvent) -> None:
        """What all books have to know."""
        self.book.apply(event)
        if isinstance(event, Session):
            self.clock = event
        for part in self.parts.values():
            if not isinstance(event, Mark) or event.symbol in part.worth.paths:
                part.apply(event)

    def place(self, order: Order, owners: Owners) -> bool:
        """An order that was permitted. True: there is a part that was not."""
        is_new = False
        for owner in owners:
            if owner not in self.parts:
                self.parts[owner] = self._part()
                is_new = True
        if owners:
            self.owners[order.id] = owners
            if len(self.owners) > 2 * len(self.book.orders) + 1_000:
                self._forget()
        before = self.remaining(order.id)
        self.book.place(order)
        self._move(order.id, before)
        return is_new

    def _part(self) -> AccountBook:
        """A book that begins now, with nothing, and knows what is known."""
        part, book = self._new(), self.book
        self._share(part)
        part.apply(Account(ccy=self.about.currency))
        if self.clock is not None:
            part.apply(self.clock)
        if book.latest != EARLIEST:
            part.apply(Tick(ts=text(book.latest)))
        for ccy in book.worth.rates:
            rate = book.worth.rate_now(ccy)
            if rate is not None:
                part.apply(Fx(ccy=ccy, rate=rate))
        return part

    def _share(self, part: AccountBook) -> None:
        """What is the same for all books of the account."""
        part.contracts = self.book.contracts
        part.exposures.volatility = self.book.exposures.volatility

    def sway(self, symbol: str | None = None) -> None:
        """A symbol moves by another amount than it did; None: all may."""
        with exact():
            for book in (self.book, *self.parts.values()):
                if symbol is None:
                    book.exposures.sway_all()
                else:
                    book.exposures.sway(symbol)

    def _acquaint(self, part: AccountBook, symbol: str) -> None:
        """A part knows the marks of what is in it."""
        if symbol not in part.worth.paths:
            mark = self.book.worth.mark_now(symbol)
            if mark is not None:
                part.apply(Mark(symbol=symbol, price=mark))

    def _forget(self) -> None:
        """Orders that the book does not know any more need no owners."""
        orders = self.book.orders
        self.owners = {order: owners for order, owners in self.owners.items() if order in orders}

    def apply(self, event: AnyEvent) -> None:
        """Something happened in this account."""
        if not self.parts:
            self.book.apply(event)
        elif isinstance(event, EVERYWHERE):
            self.tell(event)
        elif isinstance(event, Fill):
            self._fill(event)
        elif isinstance(event, Bust | Correct):
            self._restate(event)
        elif isinstance(event, OrderEvent):
            self._order(event)
        else:
            self.book.apply(event)

    def _order(self, event: OrderEvent) -> None:
        before = self.remaining(event.id)
        self.book.apply(event)
        self._move(event.id, before)

    def drop(self, order_id: str) -> None:
        """An order was never sent, and never will be."""
        before = self.remaining(order_id)
        self.book.drop(order_id)
        self._move(order_id, before)

    def find(self, order_id: str) -> None:
        """The venue has an order, or will have it."""
        before = self.remaining(order_id)
        self.book.find(order_id)
        self._move(order_id, before)

    def remaining(self, order_id: str) -> Decimal:
        """Of an order, whether it is known or not."""
        order = self.book.orders.get(order_id)
        return ZERO if order is None else order.remaining

    def _move(self, order_id: str, before: Decimal) -> None:
        """What remains of an order has changed, in its parts too."""
        order, owners = self.book.orders.get(order_id), self.owners.get(order_id, ())
        if order is None or order.begun is None or not owners:
            return
        with exact():
            now = order.remaining
            if now != before:
                begun = order.begun
                for owner in owners:
                    self._acquaint(self.parts[owner], begun.symbol)
                    self.parts[owner].lend(begun, before, now)

    def _fill(self, event: Fill) -> None:
        order = event.order
        if not isinstance(order, str):
            self.book.apply(event)
            return
        before, path = self.remaining(order), self.book.worth.paths.get(event.symbol)
        first = None if path is None else path.find(event.id, order)
        self.book.apply(event)
        self._move(order, before)
        if self.explains(order, event.symbol, event.side if first is None else first.side):
            for owner in self.owners.get(order, ()):
                self._acquaint(self.parts[owner], event.symbol)
                self.parts[owner].apply(_apart(event, order))

    def explains(self, order_id: str, symbol: str, side: Side) -> bool:
        """Is there such an order, and is such a fill in its name its own?"""
        order = self.book.orders.get(order_id)
        return order is not None and order.has(symbol, side)

    def _restate(self, event: Bust | Correct) -> None:
        path = self.book.worth.paths.get(event.symbol)
        known = () if path is None else path.all_of(event.id)
        fills = {fill.order: fill for fill in known if fill.order is not None}
        orders = [event.order] if isinstance(event.order, str) else list(fills)
        before = {order: self.remaining(order) for order in orders}
        self.book.apply(event)
        for order in orders:
            self._move(order, before[order])
            fill = fills.get(order)
            if fill is None or self.explains(order, fill.symbol, fill.side):
                for owner in self.owners.get(order, ()):
                    self.parts[owner].apply(_apart(event, order))


def _apart(event: Fill | Bust | Correct, order: str) -> Fill | Bust | Correct:
    """As a part has it: its identity has the order in it, and nothing remains of one there."""
    name = f"{order}\0{event.id}"
    return msgspec.structs.replace(event, id=name, order=msgspec.UNSET)
