"""How things stand in a scope: the figures of all books that it covers.

An account's are its own; those of everything or of an exchange are of all accounts there; those of
a strategy or a worker are what its orders have made in each account; those of a symbol are of that
symbol in all accounts. None is a figure that is not known: with several books, one in money is
known only if all of them report in the same currency.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeVar

from ..book.account import AccountBook
from ..book.exposure import NO_CONTRACTS, Contracts, Remaining, Weight
from ..book.numbers import ZERO
from ..book.path import Path
from ..book.sessions import Period
from .winnings import made_of, realised_of

HUNDRED = Decimal(100)

F = TypeVar("F")


class Standing:
    """Of one scope, now. `symbol` is there when the scope is a symbol's: the others don't count."""

    __slots__ = ("_known", "books", "one", "scope", "symbol")

    def __init__(
        self, scope: str, books: tuple[AccountBook, ...], symbol: str | None = None
    ) -> None:
        self.scope = scope
        self.books = books
        self.one = books[0] if len(books) == 1 else None
        """The only book, where there is but one."""
        self.symbol = symbol
        self._known: dict[object, tuple[int, Any]] = {}

    def once(self, who: object, find: Callable[["Standing"], F]) -> F:
        """What somebody finds here, until something changes what was made in these books."""
        one = self.one
        stirred = sum(book.stirred for book in self.books) if one is None else one.stirred
        known = self._known.get(who)
        if known is None or known[0] != stirred:
            known = self._known[who] = (stirred, find(self))
        found: F = known[1]
        return found

    @property
    def currency(self) -> str | None:
        """What all of them report in. None: there are several, or no books."""
        found = {book.worth.reporting for book in self.books}
        return found.pop() if len(found) == 1 else None

    def total(self, figure: Callable[[AccountBook], Decimal | None]) -> Decimal | None:
        """A figure in money, over all books."""
        if self.one is not None:
            return figure(self.one)
        books = self.books
        if self.currency is None:
            return ZERO if not books else None
        found = ZERO
        for book in books:
            one = figure(book)
            if one is None:
                return None
            found += one
        return found

    # --- money

    def equity(self) -> Decimal | None:
        return self.total(lambda book: book.worth.equity)

    def session_realised(self) -> Decimal | None:
        if self.symbol is None:
            if len(self.books) == 1:
                sessions = self.books[0].sessions
                return sessions.realised(sessions.day)
            return self.total(lambda book: book.sessions.realised(book.sessions.day))
        symbol = self.symbol
        return self.total(lambda book: realised_of(book, symbol, book.sessions.day))

    def session_pnl(self) -> Decimal | None:
        if self.symbol is None:
            if len(self.books) == 1:
                sessions = self.books[0].sessions
                return sessions.made(sessions.day)
            return self.total(lambda book: book.sessions.made(book.sessions.day))
        symbol = self.symbol
        return self.total(lambda book: made_of(book, symbol, book.sessions.day))

    def session_base(self) -> Decimal | None:
        """What the accounts were worth when the session opened, with all transfers since then."""
        return self.total(lambda book: _base(book, book.sessions.day))

    def week_realised(self) -> Decimal | None:
        if self.symbol is None:
            if len(self.books) == 1:
                sessions = self.books[0].sessions
                return sessions.realised(sessions.week)
            return self.total(lambda book: book.sessions.realised(book.sessions.week))
        symbol = self.symbol
        return self.total(lambda book: realised_of(book, symbol, book.sessions.week))

    def week_pnl(self) -> Decimal | None:
        if self.symbol is None:
            if len(self.books) == 1:
                sessions = self.books[0].sessions
                return sessions.made(sessions.week)
            return self.total(lambda book: book.sessions.made(book.sessions.week))
        symbol = self.symbol
        return self.total(lambda book: made_of(book, symbol, book.sessions.week))

    def week_base(self) -> Decimal | None:
        """The same of the week."""
        return self.total(lambda book: _base(book, book.sessions.week))

    def peak(self) -> Decimal | None:
        """The most that each account was ever worth, with all transfers since then."""
        return self.total(_peak)

    def drawdown(self) -> Decimal | None:
        """How far each account has fallen from its peak. The sum of them is never less than the
        fall of what all are worth together."""
        return self.total(_drawdown)

    def known_drawdown(self) -> Decimal:
        """The same of the accounts of which it is known: it is no less of all of them."""
        if len(self.books) > 1 and self.currency is None:
            return ZERO
        return sum((_drawdown(book) or ZERO for book in self.books), ZERO)

    def gross(self) -> Decimal | None:
        return self.total(lambda book: self._weight(book).gross)

    def net(self) -> Decimal | None:
        return self.total(lambda book: self._weight(book).net)

    def worst_gross(self) -> Decimal | None:
        """By what working orders could make of each symbol; accounts do not net."""
        books = self.books
        if len(books) == 1 and self.symbol is None:
            return books[0].exposures.worst
        return self.total(lambda book: self._weight(book).worst)

    def known_gross(self) -> Decimal:
        """What of that is known, of which the rest can only be more."""
        if len(self.books) > 1 and self.currency is None:
            return ZERO
        if self.symbol is not None:
            return self.known_gross_of(self.symbol)
        return sum((book.exposures.sums.worst for book in self.books), ZERO)

    def known_gross_of(self, symbol: str) -> Decimal:
        """Of one symbol."""
        there = (book.exposures.standings.get(symbol) for book in self.books)
        return sum((one.worst for one in there if one is not None), ZERO)

    def highest(self) -> Decimal | None:
        """The most that everything together could be worth, short positions below nothing."""
        return self.total(lambda book: self._weight(book).high)

    def lowest(self) -> Decimal | None:
        """The least."""
        return self.total(lambda book: self._weight(book).low)

    def worst_gross_of(self, symbol: str) -> Decimal | None:
        """Of one symbol."""
        return self.total(lambda book: book.exposures.of(symbol).worst)

    def _weight(self, book: AccountBook) -> Weight:
        symbol = self.symbol
        return book.exposures.total() if symbol is None else book.exposures.of(symbol)

    # --- counts

    def contracts(self) -> Contracts:
        """By the worst case, over all symbols."""
        found = [self._contracts(book) for book in self.books]
        if len(found) == 1:
            return found[0]
        gross, long, short = (
            sum(column, ZERO) for column in zip(NO_CONTRACTS, *found, strict=True)
        )
        return Contracts(gross, long, short)

    def _contracts(self, book: AccountBook) -> Contracts:
        symbol = self.symbol
        return book.exposures.contracts() if symbol is None else book.exposures.contracts_of(symbol)

    def open_count(self) -> int:
        """So many symbols have a position, or orders that could make one; in each book."""
        if self.symbol is not None:
            return self.open_count_of(self.symbol)
        return sum(book.exposures.sums.open_count for book in self.books)

    def open_count_of(self, symbol: str) -> int:
        """In so many of the books."""
        return sum(bool(book.exposures.contracts_of(symbol).gross) for book in self.books)

    def open_worth(self) -> Decimal | None:
        """What remains of all orders; of the symbol's, in a symbol's scope."""
        books, symbol = self.books, self.symbol
        if len(books) == 1:
            return books[0].exposures.open_worth(symbol)
        return self.total(lambda book: book.exposures.open_worth(symbol))

    # --- one symbol

    def position(self, symbol: str) -> Decimal:
        """Signed, over all books."""
        found = ZERO
        for book in self.books:
            path = book.worth.paths.get(symbol)
            if path is not None:
                found += path.last.qty
        return found

    def worst(self, symbol: str) -> tuple[Decimal, Decimal]:
        """How far long and how far short it could become, the first never below 0 and the second
        never above. What one account is long makes no other less short."""
        long = short = ZERO
        for book in self.books:
            _, one_long, one_short = book.exposures.contracts_of(symbol)
            if one_long > 0:
                long += one_long
            if one_short < 0:
                short += one_short
        return long, short


def _base(book: AccountBook, period: Period | None) -> Decimal | None:
    if period is None:
        return None
    opened = book.sessions.opened(period)
    return None if opened is None else opened + book.worth.moved


def _peak(book: AccountBook) -> Decimal | None:
    peak = book.worth.series.peak
    return None if peak is None else peak + book.worth.moved


def _drawdown(book: AccountBook) -> Decimal | None:
    worth = book.worth
    peak = worth.series.peak
    return None if peak is None or worth.unknown else peak - worth.total


def position_of(path: Path | None) -> Decimal:
    return ZERO if path is None else path.last.qty


def reduced_by(remaining: Remaining, position: Decimal, side: str, qty: Decimal) -> Decimal:
    """The longest, with a buy more that can only reduce; with a sell, the shortest."""
    if side == "buy":
        room = max(-position, ZERO)
        return position + remaining.buys + min(remaining.reducing_buys + qty, room)
    room = max(position, ZERO)
    return position - remaining.sells - min(remaining.reducing_sells + qty, room)
