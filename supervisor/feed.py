"""Following the ledger: what alerts, dashboards and `riskctl journal tail` are fed by.

A follower has a place in history and asks for what comes next. Whoever keeps up is served from
memory. Whoever is further behind reads the files, in a thread, so that a cold disk keeps nobody
else waiting. Nothing is held for a follower that doesn't ask.
"""

from collections.abc import Sequence
from functools import partial

import attrs
import trio

from ..actors.ports import FeedLost
from .journal import JournalError
from .journal.reader import Cursor, oldest_lsn
from .ledger import Ledger
from .lent import Lent

READERS_MAX = 4
"""Threads that read for followers at once. A disk that hangs holds these and no more."""


@attrs.define(eq=False)
class LedgerFeed:
    """Made once, beside the ledger."""

    _ledger: Ledger
    _limiter: trio.CapacityLimiter = attrs.field(
        factory=lambda: trio.CapacityLimiter(READERS_MAX), init=False
    )

    @property
    def lsn(self) -> int:
        """Of the newest fact."""
        return self._ledger.lsn

    async def oldest_lsn(self) -> int:
        """Of the oldest that is kept."""
        journal = self._ledger.journal
        look = partial(oldest_lsn, journal.disk, journal.directory)
        try:
            return await trio.to_thread.run_sync(
                look, abandon_on_cancel=True, limiter=self._limiter
            )
        except (JournalError, OSError) as error:
            raise FeedLost(str(error)) from error

    def follow(self, after_lsn: int) -> "LedgerFollower":
        return LedgerFollower(self._ledger, after_lsn, self._limiter)


@attrs.define(eq=False)
class LedgerFollower:
    """One reader's place in history."""

    _ledger: Ledger
    _lsn: int
    _limiter: trio.CapacityLimiter
    _cursor: Cursor | None = attrs.field(default=None, init=False)

    async def next(self, *, bytes_max: int) -> Sequence[tuple[int, bytes]]:
        """What follows, at least one. Cancelled, it has passed over nothing."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while True:
            found = await self._found(bytes_max)
            if found:
                self._lsn = found[-1][0]
                return found
            if self._ledger.failure is not None:
                raise FeedLost(str(self._ledger.failure))
            await self._ledger.news.park()

    async def _found(self, bytes_max: int) -> list[tuple[int, bytes]]:
        recent = self._ledger.recent(self._lsn, bytes_max)
        if recent is None:
            return await self._read(bytes_max)
        self._let_go()
        if recent:
            await trio.lowlevel.cancel_shielded_checkpoint()
        return recent

    async def _read(self, bytes_max: int) -> list[tuple[int, bytes]]:
        """From the files. A cancelled read goes on in its thread, with a cursor of its own."""
        ledger, cursor = self._ledger, self._cursor
        self._cursor = None
        if cursor is None:
            cursor = Cursor(ledger.journal.disk, ledger.journal.directory, self._lsn)
        lent = Lent(cursor.close)
        read = partial(cursor.read, bytes_max, up_to_lsn=ledger.lsn)
        try:
            found = await trio.to_thread.run_sync(
                lent.use, read, abandon_on_cancel=True, limiter=self._limiter
            )
        except (JournalError, OSError) as error:
            lent.leave()
            raise FeedLost(str(error)) from error
        except BaseException:
            lent.leave()
            raise
        self._cursor = cursor
        if not found:
            raise FeedLost(f"fact {self._lsn + 1} is not in the files of the journal")
        return found

    async def aclose(self) -> None:
        self._let_go()

    def _let_go(self) -> None:
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            cursor.close()
