"""A symbol in the books of a scope: how far the position in it could go, with an order more."""

from collections.abc import Callable, Sequence
from decimal import Decimal

import attrs

from ..book.account import AccountBook
from ..book.numbers import ZERO
from .standing import Standing, position_of, reduced_by


@attrs.define(eq=False, init=False)
class After:
    """A scope with the order, and before it. `long` and `short` are the longest and the shortest
    that the position in its symbol could become; `widest` is the larger in size, of the one book
    that the order is in. `others_long` and `others_short` are in the sides: what the other books of
    the scope could become, the one never below 0 and the other never above."""

    book: AccountBook | None
    """That the order is in. None: there is none yet."""
    added: Decimal
    """By so much its side grows."""
    gross_before: Decimal | None
    """Worst-case notional of everything in the scope, the order's symbol at the order's price if
    that is the dearer. None: something of it is not known."""
    dearer: Decimal
    """By so much that is more than at the marks."""
    gross: Decimal | None
    worths: Callable[[], Decimal | None]
    """What the accounts are worth that it is about. Few rules ask."""
    long: Decimal
    short: Decimal
    long_before: Decimal
    short_before: Decimal
    own_long_before: Decimal
    """In the one book."""
    own_short_before: Decimal
    others_long: Decimal
    others_short: Decimal
    widest: Decimal
    widest_before: Decimal
    is_quick: bool
    """It is all in one book, and there is no need to explain anything: whoever finds that nothing
    is near its limit may leave it at that."""

    @property
    def equity(self) -> Decimal | None:
        """Of all those accounts. None: it is not known."""
        return self.worths()


class Spot:
    """A symbol in the books of a scope. `own`: the one that the order would be in, None while there
    is none yet. Scopes with the same books share it."""

    __slots__ = ("_rest", "is_alone", "own", "symbol")

    def __init__(self, symbol: str, own: AccountBook | None, books: Sequence[AccountBook]) -> None:
        self.symbol = symbol
        self.own = own
        others = tuple(book for book in books if book is not own)
        self._rest = Standing("", others)
        self.is_alone = own is not None and not others
        """There is no other book."""

    def after(self, side: str, qty: Decimal, *, reduce_only: bool) -> After:
        """With an order more; the positions alone."""
        found = After()
        found.book = own = self.own
        standing = None if own is None else own.exposures.standings.get(self.symbol)
        long = short = widest = ZERO
        if standing is not None:
            long, short, widest = standing.long, standing.short, standing.widest
        is_buy = side == "buy"
        found.long_before = found.own_long_before = found.long = long
        found.short_before = found.own_short_before = found.short = short
        found.widest_before = widest
        added = self._reducing(side, qty, long if is_buy else short) if reduce_only else qty
        found.added = added
        if is_buy:
            found.long = side_after = long + added
        else:
            found.short = short - added
            side_after = added - short
        found.widest = max(widest, side_after)
        if self.is_alone:
            found.others_long = found.others_short = ZERO
        else:
            self._beside(found)
        return found

    def _reducing(self, side: str, qty: Decimal, before: Decimal) -> Decimal:
        """By so much a side grows of an order that can only reduce."""
        own = self.own
        if own is None:
            return ZERO
        position = position_of(own.worth.paths.get(self.symbol))
        remaining = own.exposures.remaining(self.symbol)
        return abs(reduced_by(remaining, position, side, qty) - before)

    def _beside(self, found: After) -> None:
        """The other books of a scope: nothing in them nets with anything here."""
        found.others_long, found.others_short = self._rest.worst(self.symbol)
        found.long_before += found.others_long
        found.long += found.others_long
        found.short_before += found.others_short
        found.short += found.others_short
