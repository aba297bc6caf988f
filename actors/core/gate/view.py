"""What rules see: one order of one quantity, beside how things stand in each scope that it is in.

Figures are counted when a rule asks for them, once an order. None is a figure that is not known.
"""

from collections.abc import Mapping
from datetime import datetime, tzinfo
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ...messages import Mode
from ..book.numbers import ZERO
from ..book.orders import Working
from .asked import Asked
from .spot import After
from .standing import Standing

if TYPE_CHECKING:
    from ..books import Books
    from ..held import Held
    from .place import Place


class Moment(NamedTuple):
    """When it is judged."""

    at: datetime
    monotonic_s: float


class View:
    """An order, and all that a rule may ask about it."""

    __slots__ = (
        "_afters", "_mark_age_s", "_worths", "adds_risk", "amends", "asked", "books", "dearer",
        "default_on_excess", "each", "each_size", "explains", "growth", "held", "listing", "mark",
        "memories", "mode", "moment", "open_before", "place", "qty", "reducible", "side", "symbol",
        "to_fill",
    )  # fmt: skip

    def __init__(
        self,
        asked: Asked,
        qty: Decimal,
        moment: Moment,
        *,
        place: "Place",
        books: "Books",
        memories: Mapping[str, Any],
        default_on_excess: Literal["block", "scale_down"],
        mode: Mode | None,
        explains: bool,
        instead_of: Working | None = None,
    ) -> None:
        self.asked = asked
        self.symbol = symbol = asked.order.symbol
        self.side = side = asked.order.side
        self.qty = qty
        self.amends = instead_of is not None
        """It is an order that works, as it is to become."""
        self.to_fill = self.growth = qty
        """So much of it could be filled; and so much more than before it was asked about."""
        own = ZERO
        if instead_of is not None:
            own = instead_of.remaining
            self.to_fill = max(ZERO, qty - instead_of.filled)
            self.growth = max(ZERO, self.to_fill - own)
        self.open_before = own
        """So much could be filled of the order that works."""
        self.moment = moment
        self.place = place
        self.held = place.held
        self.listing = place.listing
        self.memories = memories
        self.explains = explains
        """Every rule says what it has measured."""
        self.default_on_excess = default_on_excess
        self.mode = mode
        """What the halts that cover it let pass. None: everything."""
        book = place.held.book
        line = book.worth.marks.get(symbol)
        mark = None if line is None else line.now
        each = book.exposures.each(symbol)
        if mark is not None and mark <= ZERO and not place.listing.allows_negative:
            mark = each = None
        self.mark = mark
        """Of the symbol, in its quote currency. Where it must be above 0, nothing else is one."""
        self.each = each
        """What one contract is worth at the mark, in the account's currency."""
        self.each_size = None if each is None else abs(each)
        """The same in size; or at a price of the order that is farther from nothing."""
        self.dearer = ZERO
        """By so much that is more than at the mark. Once the order is filled the price is there,
        so that all that there is of the symbol counts by it."""
        if asked.price is not None or asked.stop_price is not None:
            self._value_at_prices(asked)
        path = book.worth.paths.get(symbol)
        position = ZERO if path is None else path.last.qty
        is_opening = not position or (position > 0) == (side == "buy")
        self.reducible = ZERO if is_opening else self._room(position) + own
        """So much of the account's position could still be reduced by an order on this side, when
        all that are open there are filled. 0 or below: nothing."""
        self.adds_risk = self.to_fill > self.reducible
        """It could do something else than make the position smaller."""
        self.books = books
        self._afters: dict[str, After] = {}
        self._worths: dict[str, Decimal | None] = {}
        self._mark_age_s: float | None = None

    def _value_at_prices(self, asked: Asked) -> None:
        """A mark that is far too low makes no order small. An inverse contract is worth the same at
        any price."""
        mark, size, listing = self.mark, self.each_size, self.listing
        if mark is None or size is None or listing.kind == "inverse":
            return
        farthest = at_mark = abs(mark)
        for price in (asked.price, asked.stop_price):
            if price is not None and (price > farthest or -price > farthest):
                farthest = abs(price)
        if farthest > at_mark:
            rate = self.held.book.worth.rate_now(listing.quote)
            assert rate is not None, "a contract has a value"
            self.each_size = farthest * listing.multiplier * rate
            self.dearer = self.each_size - size

    @property
    def costs_more(self) -> bool:
        """Of an amendment: is what is to be filled at its price worth more than what could be
        filled before, at the mark? Without a mark nobody knows that it isn't."""
        if self.each is None or self.each_size is None:
            return True
        return self.to_fill * self.each_size > self.open_before * abs(self.each)

    def _room(self, position: Decimal) -> Decimal:
        open_now = self.held.book.exposures.remaining(self.symbol)
        if position > 0:
            return position - open_now.sells - open_now.reducing_sells
        return -position - open_now.buys - open_now.reducing_buys

    @property
    def mark_age_s(self) -> float | None:
        """None: there is no mark."""
        if self._mark_age_s is None:
            self._mark_age_s = self.books.mark_age_s(self.held, self.symbol, *self.moment)
        return self._mark_age_s

    def zone(self, name: str) -> tzinfo:
        """A place's clock."""
        return self.books.zone(name)

    def scales(self, on_excess: str | None) -> bool:
        """May an order that asks for too much have the rest?"""
        return not self.amends and (on_excess or self.default_on_excess) == "scale_down"

    def memory(self, rule_id: str) -> Any:
        """What a rule remembers of what has happened since it is in force."""
        return self.memories[rule_id]

    def standing(self, scope: str) -> Standing:
        """How things stand there, without the order."""
        return self.place.standings[scope]

    def holders(self, scope: str) -> tuple["Held", ...]:
        """The accounts of a scope, with the one that this order is in: those that a strategy or a
        worker trades in are behind it."""
        holders = self.books.holders(scope)
        return holders if self.held in holders else (*holders, self.held)

    def _worth(self, scope: str) -> Decimal | None:
        """Of the accounts of a scope."""
        if scope not in self._worths:
            self._worths[scope] = self._equity(scope)
        return self._worths[scope]

    def _equity(self, scope: str) -> Decimal | None:
        """None: something is missing, or a book and its broker disagree."""
        found, currency = ZERO, self.held.about.currency
        for held in self.holders(scope):
            equity = held.book.worth.equity
            if equity is None or held.about.is_drifting or held.about.currency != currency:
                return None
            found += equity
        return found

    def after(self, scope: str) -> After:
        """How things stand there with the order."""
        scope = self.place.alike[scope]
        found = self._afters.get(scope)
        if found is None:
            found = self._afters[scope] = self._count(scope)
        return found

    def _count(self, scope: str) -> After:
        spot = self.place.spots[scope]
        found = spot.after(self.side, self.growth, reduce_only=self.asked.order.reduce_only)
        found.gross_before = self.standing(scope).worst_gross()
        found.gross = None
        found.dearer = ZERO
        if self.dearer and found.gross_before is not None:
            found.dearer = found.widest_before * self.dearer
            found.gross_before += found.dearer
        if found.gross_before is not None and self.each_size is not None:
            more = found.widest - found.widest_before
            found.gross = found.gross_before + more * self.each_size
        found.worths = partial(self._worth, scope)
        found.is_quick = spot.is_alone and not self.explains and not scope.startswith("symbol:")
        return found
