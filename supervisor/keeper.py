"""The ledger's actor: it takes the ledger to the disk, and keeps room, snapshots and the archive.

Making a fact needs none of this: `Ledger.commit` is done when it returns. What may take as long as
a disk likes is done here, off the loop: group commits in one thread, everything else in another, so
that compressing an old segment delays nobody's sync.

* One trip to the disk serves all who wait for it; what comes meanwhile goes with the next. The
  first who waits makes it, in its own task, by the way that is kept here. What nobody waits for is
  made safe once a second.
* When it crashes, nobody who waits is forgotten: they wait at the ledger, and the next incarnation
  serves them. A trip that was under way is waited for, and if it failed then it has said so to the
  journal itself: no later one may hide it.
* Snapshots and the archive save time. When they fail that is logged, and tried again later.
"""

import contextlib
import time
import zlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Protocol

import attrs
import msgspec
import structlog
import trio

from ..actors.messages import Recorded
from ..actors.ports import Clock, Disk, File, Offload
from .journal import Journal, JournalError, JournalFailed, SnapshotUnusable, Sync
from .journal.archive import days_before, forget, put_away
from .journal.reader import Cursor
from .journal.snapshots import load, save, snapshot_lsns
from .ledger import Ledger, Projection, restore
from .lent import Lent

NAME = "ledger"
IDLE_SYNC_S = 1.0
"""What nobody waits for is safe after this long: the most that a power cut takes of it. What
tightens goes to the disk at once."""
TICK_S = 0.2
"""How often it looks for something to do besides. A segment lasts longer at any usual rate; where
it doesn't, the next one is made in the step that needs it."""
SLOW_S = 1.0
"""How often it is said that a disk is slow, while it is."""
SPACE_S = 10.0
LOW_S = 3_600.0
"""How often it is said that the disk is nearly full, while it is. Each time it becomes so, too."""
RETRY_S = 10.0
FORGET_S = 3_600.0
BATCH_BYTES = 262_144
MIB = 1_048_576


class Settings(Protocol):
    """What the configuration's journal section says."""

    @property
    def snapshot_facts(self) -> int: ...
    @property
    def archive_days(self) -> float | None: ...
    @property
    def slow_sync_ms(self) -> float: ...
    @property
    def free_mib(self) -> int: ...


class Keeper:
    """One incarnation."""

    def __init__(
        self,
        ledger: Ledger,
        settings: Settings,
        clock: Clock,
        *,
        syncs: Offload,
        chores: Offload,
    ) -> None:
        self._ledger = ledger
        self._journal = ledger.journal
        self._disk: Disk = ledger.journal.disk
        self._directory: Path = ledger.journal.directory
        self._settings = settings
        self._clock = clock
        self._syncs = syncs
        self._chores = chores
        self._log = structlog.get_logger("riskd.ledger")
        self._due: dict[str, float] = {}
        self._is_low = False

    async def run(self) -> None:
        """Until cancelled."""
        with self._ledger.served_by(self._sync):
            await self._keep()

    async def _keep(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_safe)
            nursery.start_soon(self._watch_sync)
            nursery.start_soon(self._keep_house)

    # --- the disk

    async def _keep_safe(self) -> None:
        """Those who wait for the disk go there themselves; this sees to what nobody waits for."""
        ledger, journal = self._ledger, self._journal
        with contextlib.suppress(JournalFailed):
            while journal.failure is None:
                await ledger.wait_safe(ledger.lsn)
                with trio.move_on_after(IDLE_SYNC_S):
                    await ledger.wait_tightened()
        assert journal.failure is not None, "nothing else ends this"
        ledger.failed(journal.failure)
        await trio.sleep_forever()

    async def _sync(self) -> None:
        """One group commit, in the task of one who waits for it."""
        journal, tally = self._journal, self._ledger.tally
        sync = journal.sync()
        if tally.began is None:
            tally.began = trio.current_time()
        try:
            took_s = await self._syncs.run(partial(timed, journal, sync))
        except JournalFailed as failure:
            tally.began = None
            self._ledger.failed(failure)
            return
        tally.began = None
        journal.synced(sync)
        tally.syncs += 1
        tally.last_s, tally.worst_s = took_s, max(tally.worst_s, took_s)
        if took_s * 1e3 > self._settings.slow_sync_ms:
            tally.slow += 1
            self._warn(
                "journal.slow_sync", SLOW_S, file=str(journal.path), took_ms=round(took_s * 1e3, 1)
            )

    # --- everything else

    async def _keep_house(self) -> None:
        while True:
            if self._journal.failure is None:
                await self._rebuild_suspected()
                await self._look_after("journal.no_next_segment", 0.0, self._make_room)
                await self._look_after("journal.snapshot_failed", 0.0, self._make_snapshot)
                await self._look_after("journal.place_unknown", IDLE_SYNC_S, self._watch_place)
            await self._look_after("journal.space_unknown", SPACE_S, self._watch_space)
            await self._look_after("journal.archive_failed", FORGET_S, self._tidy_archive)
            await trio.sleep(TICK_S)

    async def _look_after(
        self, event: str, every_s: float, chore: Callable[[], Awaitable[None]]
    ) -> None:
        """Do it when it is due. A failure is told, and tried again a little later."""
        now = trio.current_time()
        if now < self._due.get(event, now):
            return
        self._due[event] = now + every_s
        try:
            await chore()
        except JournalFailed:
            return  # told by the ledger, and final
        except (OSError, EOFError, ValueError, zlib.error) as error:
            self._due[event] = now + RETRY_S
            self._log.warning(event, cause=str(error), retry_s=RETRY_S)

    async def _watch_sync(self) -> None:
        """A sync that hangs can't say that it was slow. Nothing here waits for the disk."""
        while True:
            await trio.sleep(TICK_S)
            waiting_s = self._ledger.sync_age_s()
            if waiting_s * 1e3 > self._settings.slow_sync_ms:
                path = str(self._journal.path)
                self._warn("journal.sync_hangs", SLOW_S, file=path, waiting_s=round(waiting_s, 1))

    async def _make_room(self) -> None:
        if not self._journal.wants_next:
            return
        made = contextlib.ExitStack()
        lent = Lent(made.close)
        prepare = partial(_into, made, self._journal.prepare)
        try:
            file = await self._chores.run(partial(lent.use, prepare))
            made.pop_all()
        finally:
            lent.leave()
        self._journal.prepared(file)

    async def _make_snapshot(self) -> None:
        ledger = self._ledger
        if ledger.lsn - ledger.snapshot_lsn < self._settings.snapshot_facts:
            return
        snapshot = ledger.snapshot()
        if snapshot is None:
            return
        pieces = []
        for piece in snapshot.body:
            pieces.append(piece)
            await trio.lowlevel.checkpoint()  # each takes a moment; all of them could be missed
        made = attrs.evolve(snapshot, body=pieces)
        await ledger.wait_safe(made.lsn)
        await self._chores.run(lambda: save(self._disk, self._directory, made))
        ledger.snapshot_lsn = made.lsn
        self._log.debug("journal.snapshot", lsn=made.lsn, bytes=sum(map(len, pieces)))
        self._due.pop("journal.archive_failed", None)

    async def _tidy_archive(self) -> None:
        done = await self._chores.run(lambda: put_away(self._disk, self._directory))
        days = self._settings.archive_days
        gone: list[int] = []
        if days is not None:
            before = days_before(self._clock.now(), days)
            gone = await self._chores.run(
                lambda: forget(self._disk, self._directory, before, _written_at)
            )
        if done or gone:
            self._log.info("journal.archived", segments=done, deleted=gone)

    async def _watch_place(self) -> None:
        """A journal that was moved or deleted is noticed, also while nothing is written to it."""
        try:
            await self._chores.run(self._journal.see)
        except FileNotFoundError as error:
            self._ledger.failed(self._journal.fail("it is not in its place", error))

    async def _watch_space(self) -> None:
        free = await self._chores.run(lambda: self._disk.free_bytes(self._directory))
        is_low = free < self._settings.free_mib * MIB
        if is_low and not self._is_low:
            self._due.pop("said disk.nearly_full", None)
        if is_low:
            said = self._settings.free_mib
            self._warn("disk.nearly_full", LOW_S, free_mib=free // MIB, free_mib_wanted=said)
        elif self._is_low:
            self._log.info("disk.has_room_again", free_mib=free // MIB)
        self._is_low = is_low

    def _warn(self, event: str, every_s: float, **values: object) -> None:
        """At most so often."""
        now = trio.current_time()
        if now >= self._due.get("said " + event, now):
            self._due["said " + event] = now + every_s
            self._log.warning(event, **values)

    # --- projections in doubt

    async def _rebuild_suspected(self) -> None:
        for name in tuple(self._ledger.suspected):
            if name not in self._ledger.suspected:
                continue  # It was made again together with another.
            try:
                await self._rebuild(self._ledger.together(name))
            except Exception as error:  # noqa: BLE001 - whatever it is, what is known can't be had
                what = f"what is known of {name!r} can't be made again from the facts: {error!r}"
                self._ledger.failed(self._journal.fail(what, OSError(str(error))))
                return

    async def _rebuild(self, projections: Sequence[Projection]) -> None:
        """From the newest snapshot that has them, then fact by fact, until none is missing."""
        reached = await self._chores.run(lambda: self._restored(projections))
        decode = msgspec.json.Decoder(Recorded).decode
        cursor = Cursor(self._disk, self._directory, reached)
        lent = Lent(cursor.close)
        try:
            while reached < self._ledger.lsn:
                read = partial(cursor.read, BATCH_BYTES, up_to_lsn=self._ledger.lsn)
                found = await self._chores.run(partial(lent.use, read))
                if not found:
                    raise JournalError(f"{self._directory}: fact {reached + 1} is not to be found")
                for lsn, payload in found:
                    recorded = decode(payload)
                    for projection in projections:
                        projection.apply(recorded)
                    reached = lsn
        finally:
            lent.leave()
        self._ledger.rebuilt(*(projection.name for projection in projections))

    def _restored(self, projections: Sequence[Projection]) -> int:
        for lsn in snapshot_lsns(self._disk.names(self._directory)):
            try:
                restore(projections, load(self._disk, self._directory, lsn))
            except (SnapshotUnusable, ValueError):
                continue
            return lsn
        restore(projections, None)
        return 0


def _written_at(payload: bytes) -> datetime:
    return msgspec.json.decode(payload, type=Recorded).at


def _into(stack: contextlib.ExitStack, make: Callable[[], File]) -> File:
    """Make a file, which is closed with the rest of the stack."""
    return stack.enter_context(contextlib.closing(make()))


def timed(journal: Journal, sync: Sync) -> float:
    """Run it, off the loop, and say how long it took."""
    if journal.failure is not None:
        # The trip before this one failed when nobody waited for it any more. The same descriptor
        # could now say that all is well, and would be wrong.
        raise journal.failure
    began_s = time.perf_counter()
    try:
        sync.run()
    except OSError as error:
        # Here, and not in the caller, who may have been killed: it must never be unknown.
        raise journal.fail("it could not be synced", error) from error
    return time.perf_counter() - began_s
