"""What the socket can ask of the books: positions, orders, and accounts as a whole.

These are plain reads of what the facts add up to: no actor is asked. While that is in doubt nothing
is answered, for a number that may be wrong is worse than none.
"""

import contextlib
from collections.abc import Callable, Iterator

import attrs
import trio

from .control import CommandRefused, CommandUnavailable, Handler
from .core import books_shown
from .core.access import Caller
from .core.book.sums import Sums
from .core.books import Books
from .core.held import Held
from .messages import (
    Command,
    OrdersAre,
    PnlIs,
    PositionsAre,
    ShowOrders,
    ShowPnl,
    ShowPositions,
)

AT_ONCE = 100
"""Instruments whose part of the sums is made anew between two looks at what else there is to do."""


@attrs.define(eq=False, kw_only=True)
class BookViews:
    """The handlers. `Sums` are kept from one question to the next."""

    books: Books
    lsn: Callable[[], int]
    """Of the newest fact."""
    doubt: Callable[[], str | None]
    """Why the books can't be relied on now."""
    _sums: dict[str, Sums] = attrs.field(factory=dict, init=False)

    def handlers(self) -> dict[type[Command], Handler]:
        return {
            ShowPositions: self._positions,
            ShowOrders: self._orders,
            ShowPnl: self._pnl,
        }

    async def _positions(self, _caller: Caller, command: ShowPositions) -> PositionsAre:
        with self._refusing():
            page = books_shown.positions(self.books, command)
        return PositionsAre(
            lsn=self.lsn(), accounts=page.accounts, positions=page.rows, more=page.more
        )

    async def _orders(self, _caller: Caller, command: ShowOrders) -> OrdersAre:
        with self._refusing():
            page = books_shown.orders(self.books, command)
        return OrdersAre(lsn=self.lsn(), accounts=page.accounts, orders=page.rows, more=page.more)

    async def _pnl(self, _caller: Caller, command: ShowPnl) -> PnlIs:
        with self._refusing():
            names = books_shown.accounts(self.books, command.account)
        rows, lsn = [], self.lsn()
        for name in names:
            sums = await self._caught_up(name)
            lsn = self.lsn()
            row = books_shown.account(self.books.accounts[name], sums.by_currency())
            rows.append({**row, "lsn": lsn})
            await trio.lowlevel.checkpoint()  # or many accounts would be one long step
        return PnlIs(lsn=lsn, accounts=rows)

    async def _caught_up(self, name: str) -> Sums:
        """The sums of an account as they are WHEN IT RETURNS."""
        while True:
            sums = self._sums_of(name, self._held(name))
            sums.catch_up(AT_ONCE)
            if not sums.behind:
                return sums
            await trio.lowlevel.checkpoint()

    def _held(self, name: str) -> Held:
        """The projection may be made anew while somebody waits."""
        self._expect_known()
        held = self.books.accounts.get(name)
        if held is None:
            raise CommandUnavailable("the book has been made anew; ask again")
        return held

    def _sums_of(self, name: str, held: Held) -> Sums:
        sums = self._sums.get(name)
        if sums is None or sums.book is not held.book:
            sums = self._sums[name] = Sums(held.book)
        return sums

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        """Of what is known, what is not there is refused."""
        self._expect_known()
        try:
            yield
        except books_shown.NotThere as no:
            raise CommandRefused(no.code, str(no)) from no

    def _expect_known(self) -> None:
        cause = self.doubt()
        if cause is not None:
            said = "the book is in doubt and is being made anew from the journal; ask again"
            raise CommandUnavailable(f"{said}: {cause}")
