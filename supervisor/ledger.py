"""The ledger: the journal, and what its facts add up to.

`commit` is one step without a checkpoint: append, apply to every projection, publish. So a task
that is cancelled has done all of it or nothing, and two of them can't both take the last of a
limit. What is known is what the facts add up to, live and after a start alike: projections have
`apply` and no other way to change.

Facts that loosen go through `loosen`. It writes them as a proposal, waits until that is safe on the
disk, and only then makes them facts; if something was tightened meanwhile it withdraws instead.
Facts that tighten wait for nothing: when the journal has failed they still are in force.

Followers read by LSN, from the newest facts in memory or else from the files. The ledger only wakes
them, so that one that is slow, or was away, costs nothing and misses nothing.
"""

import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

import attrs
import msgspec
import structlog
import trio

from ..actors.messages import (
    Fact,
    Loosening,
    LooseningProposed,
    LooseningWithdrawn,
    ProjectionRebuilt,
    Recorded,
)
from ..actors.ports import Clock
from .journal import FactTooLarge, Journal, JournalFailed, Snapshot

RECENT_FACTS_MAX = 4_096
RECENT_BYTES_MAX = 1_048_576
"""What followers that keep up are served from. Those further behind read the files."""
FEW = 64
_UNSTORABLE = (FactTooLarge, ValueError, TypeError, OverflowError)
"""What is wrong with facts that no disk could take: too long, or no text."""

_encode = msgspec.json.Encoder().encode


class Projection(Protocol):
    """What the facts say about one subject. Pure: the same facts, the same state."""

    name: str
    version: int
    """Of its state. Another one in a snapshot makes the snapshot useless, and the facts serve."""

    def apply(self, recorded: Recorded) -> None: ...

    def dump(self) -> Iterable[bytes]:
        """The state, as JSON in pieces. WHEN IT RETURNS they are fixed, whatever is applied later;
        each is made when it is asked for, and that takes a moment. See `actors.core.dumps`."""

    def load(self, state: bytes | None) -> None:
        """Go back to a dump; None: to before the first fact. Raises ValueError."""


def looks_at(projection: Projection) -> tuple[str, ...]:
    """The projections, by name, that this one asks about each fact. Most ask none."""
    found: tuple[str, ...] = getattr(projection, "looks_at", ())
    return found


class Overtaken(Exception):
    """A loosening was withdrawn, because something was tightened while it was made safe."""


@attrs.frozen
class LedgerStatistics:
    """`unsafe` facts are in the kernel and not known to be on the disk."""

    lsn: int
    unsafe: int
    syncs: int
    slow_syncs: int
    last_sync_s: float
    worst_sync_s: float
    snapshot_lsn: int
    suspected: tuple[str, ...]


@attrs.define
class SyncTally:
    """How the trips to the disk went. The keeper counts."""

    syncs: int = 0
    slow: int = 0
    last_s: float = 0.0
    worst_s: float = 0.0
    began: float | None = None
    """When the trip began of which nobody has seen the end (trio's time). Whoever is cancelled on
    it doesn't end it: those who ask again and again would hide a disk that hangs."""


@attrs.define(eq=False)
class Ledger:
    """The one place where facts are made. `recall.open_ledger` makes it."""

    journal: Journal
    projections: tuple[Projection, ...]
    durability: str
    _clock: Clock
    snapshot_lsn: int = 0
    """Of the newest snapshot."""
    tally: SyncTally = attrs.field(factory=SyncTally, init=False)
    on_failure: Callable[[JournalFailed], None] = attrs.field(default=lambda _: None, init=False)
    """Told once, in the step in which it fails. Nothing may trade from then on."""
    news: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)
    """Where followers wait for the next fact."""
    suspected: dict[str, str] = attrs.field(factory=dict, init=False)
    """Projections that are in doubt, with the cause. What they know is no knowledge."""
    found: list[Fact] = attrs.field(factory=list, init=False)
    """What the start had to repair or leave out, for whoever should be told."""
    _live: tuple[Projection, ...] = attrs.field(init=False)
    _synced: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)
    _tightened: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)
    _trip: Callable[[], Awaitable[None]] | None = attrs.field(default=None, init=False)
    """How to get to the disk. None while no keeper is there."""
    _is_under_way: bool = attrs.field(default=False, init=False)
    _was_shared: bool = attrs.field(default=False, init=False)
    """Others waited when the last trip was over."""
    _recent: deque[bytes] = attrs.field(factory=deque, init=False)
    _recent_bytes: int = attrs.field(default=0, init=False)
    _tightened_lsn: int = attrs.field(default=0, init=False)
    _failed: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._live = self.projections

    @property
    def lsn(self) -> int:
        """The number of the newest fact; 0 before the first."""
        return self.journal.lsn

    @property
    def failure(self) -> JournalFailed | None:
        """Why nothing more is written: then nothing may trade either. A latch."""
        return self.journal.failure

    def sync_age_s(self) -> float:
        """How long a trip to the disk has taken whose end is not seen yet; 0 when none is."""
        began = self.tally.began
        return 0.0 if began is None else trio.current_time() - began

    def statistics(self) -> LedgerStatistics:
        tally = self.tally
        return LedgerStatistics(
            lsn=self.lsn,
            unsafe=self.lsn - self.journal.safe_lsn,
            syncs=tally.syncs,
            slow_syncs=tally.slow,
            last_sync_s=tally.last_s,
            worst_sync_s=tally.worst_s,
            snapshot_lsn=self.snapshot_lsn,
            suspected=tuple(self.suspected),
        )

    # --- making facts

    def commit(self, *facts: Fact) -> int:
        """Make facts part of history, together; the LSN of the last. WHEN IT RETURNS a killed
        process does not lose them, and what they add up to is what everybody sees.

        Facts that tighten are in force even if they can't be written; the answer is 0 then. Where
        there are others among them JournalFailed is raised, and nothing has happened. What can
        never be stored, whatever the disk, is refused while the journal goes on: but not if
        something among it tightens, for nobody would be bound by that. Then the journal has failed.
        """
        for fact in facts:
            if fact.BEARING == "loosens":
                raise TypeError(f"{type(fact).__name__} loosens: it has to go through loosen()")
        return self._commit(facts)

    async def loosen(self, fact: Loosening) -> int:
        """Make a fact that loosens, once the disk has it. Raises Overtaken or JournalFailed: then
        nothing was loosened, nor was it when this is cancelled."""
        proposed = self._commit((LooseningProposed(proposed=fact),))
        await self.wait_safe(proposed)
        if self._tightened_lsn > proposed:
            self._commit(
                (LooseningWithdrawn(proposed_lsn=proposed, because_lsn=self._tightened_lsn),)
            )
            raise Overtaken(f"fact {self._tightened_lsn} tightened what was to be loosened")
        return self._commit((fact,))

    def _commit(self, facts: Sequence[Fact]) -> int:
        journal = self.journal
        at, monotonic_s, lsn = self._clock.now(), self._clock.monotonic_s(), journal.lsn
        recorded = []
        for fact in facts:
            lsn += 1
            recorded.append(
                Recorded(lsn=lsn, at=at, monotonic_s=monotonic_s, fact=fact)  # type: ignore[arg-type]  # every Fact is of AnyFact
            )
        tightens = [fact for fact in facts if fact.BEARING == "tightens"]
        payloads: list[bytes] = []
        try:
            payloads += map(_encode, recorded)
            journal.append(payloads, reserved=len(tightens) == len(facts))
        except JournalFailed as failure:
            self._refuse_others(failure, facts, tightens)
            lsn = 0
        except _UNSTORABLE as error:
            if not tightens:
                raise
            if 1 < len(facts) == len(tightens):
                return self._commit_apart(facts)
            final = journal.fail("what tightens could not be stored", error)
            self._refuse_others(final, facts, tightens)
            lsn = 0
        for one in recorded:
            self._apply(one)
        if lsn:
            if tightens:
                self._tightened_lsn = lsn
                self._tightened.unpark_all()
            self._publish(payloads)
        if journal.failure is not None:
            self.failed(journal.failure)
        return lsn

    def _commit_apart(self, facts: Sequence[Fact]) -> int:
        """What tightens is true without what tightens beside it, and more of it can be stored."""
        half = len(facts) // 2
        first, last = self._commit(facts[:half]), self._commit(facts[half:])
        return last if first else 0

    def _refuse_others(
        self, failure: JournalFailed, facts: Sequence[Fact], tightens: Sequence[Fact]
    ) -> None:
        """Without the journal only what tightens is in force, and only by itself."""
        if len(tightens) != len(facts):
            self.failed(failure)
            raise failure.with_traceback(None) from None

    def _apply(self, recorded: Recorded) -> None:
        for projection in self._live:
            try:
                projection.apply(recorded)
            except Exception as error:  # noqa: BLE001 - the fact is history, whoever can't read it
                self.suspect(projection.name, f"fact {recorded.lsn}: {error!r}")

    def _publish(self, payloads: Sequence[bytes]) -> None:
        recent = self._recent
        for payload in payloads:
            recent.append(payload)
            self._recent_bytes += len(payload)
        while len(recent) > RECENT_FACTS_MAX or self._recent_bytes > RECENT_BYTES_MAX:
            self._recent_bytes -= len(recent.popleft())
        if self.news:
            self.news.unpark_all()

    # --- waiting for the disk

    async def wait_tightened(self) -> None:
        """Until something is tightened that the disk does not have."""
        if self._tightened_lsn > self.journal.safe_lsn:
            await trio.lowlevel.checkpoint()
        else:
            await self._tightened.park()

    async def wait_safe(self, lsn: int) -> None:
        """WHEN IT RETURNS a power cut doesn't take this fact, nor those before it. One trip to the
        disk serves all who wait. Raises JournalFailed."""
        assert lsn <= self.lsn, "it has been written"
        await trio.lowlevel.checkpoint_if_cancelled()
        while self.journal.safe_lsn < lsn:
            if self.journal.failure is not None:
                raise self.journal.failure
            if self._trip is None or self._is_under_way:
                await self._synced.park()
            else:
                await self._lead(self._trip)

    async def _lead(self, trip: Callable[[], Awaitable[None]]) -> None:
        """Make a trip to the disk, for all. It is made in the task of the first who needs it: each
        change of tasks on the way would cost a tenth of what a fast disk takes.

        Whoever is cancelled on the way leaves it to the next."""
        self._is_under_way = True
        try:
            if self._was_shared:
                # Those whom the last one served have been woken, and may be about to come back: one
                # round for them to run in, whatever the order, and this trip takes them along.
                await trio.lowlevel.checkpoint()
                await trio.lowlevel.checkpoint()
            await trip()
        finally:
            self._is_under_way = False
            self._was_shared = bool(self._synced)
            self._synced.unpark_all()

    @contextlib.contextmanager
    def served_by(self, trip: Callable[[], Awaitable[None]]) -> Iterator[None]:
        """While the body runs, this is the way to the disk. Whoever gives it makes the first trip,
        which serves all who have waited for one."""
        self._trip = trip
        try:
            yield
        finally:
            self._trip = None

    async def settle(self, lsn: int) -> None:
        """Wait for as much as `journal.durability` asks, before an effect of this fact leaves."""
        if self.durability == "power":
            await self.wait_safe(lsn)
        else:
            await trio.lowlevel.checkpoint()

    def failed(self, failure: JournalFailed) -> None:
        """The journal has failed: tell, once. The daemon halts and ends."""
        if not self._failed:
            self._failed = True
            self._synced.unpark_all()
            self.news.unpark_all()
            self.on_failure(failure)

    # --- projections

    def suspect(self, name: str, cause: str) -> None:
        """What this projection knows may be wrong: it is made again from the facts, and until then
        nobody may rely on it, nor on those that are made together with it."""
        if name not in self.suspected:
            structlog.get_logger("riskd.ledger").error(
                "projection.suspected", projection=name, cause=cause
            )
        for each in self.together(name):
            self.suspected.setdefault(each.name, f"{name}: {cause}")
        self.suspected[name] = cause
        self._live = tuple(p for p in self.projections if p.name not in self.suspected)

    def together(self, name: str) -> tuple[Projection, ...]:
        """A projection with all that look at each other while facts are applied, in their order:
        each fact must find all of them as they were when it was made."""
        found = {name}
        for each in self.projections:
            pair = {each.name, *looks_at(each)}
            if len(pair) > 1 and name in pair:
                found |= pair
        return tuple(each for each in self.projections if each.name in found)

    def rebuilt(self, *names: str) -> None:
        """They have every fact again. Called without a checkpoint since the last was applied.

        Raises JournalFailed: what was tightened since then is in memory alone, so that nothing that
        is made from the files knows it.
        """
        if self.journal.failure is not None:
            raise self.journal.failure
        causes = {name: self.suspected.pop(name) for name in names}
        self._live = tuple(p for p in self.projections if p.name not in self.suspected)
        self._commit(
            [ProjectionRebuilt(projection=name, cause=cause) for name, cause in causes.items()]
        )

    def snapshot(self) -> Snapshot | None:
        """What the facts up to now add up to, whenever the pieces are made. None while a projection
        is in doubt."""
        if self.suspected:
            return None
        dumps = [(p.name, p.version, p.dump()) for p in self.projections]
        return Snapshot(self.lsn, self.journal.checksum, _body(dumps))

    # --- followers

    def recent(self, after: int, bytes_max: int) -> list[tuple[int, bytes]] | None:
        """The facts behind `after` that are in memory, in order. None: they are no longer."""
        first = self.lsn - len(self._recent) + 1
        if after + 1 < first:
            return None
        found: list[tuple[int, bytes]] = []
        size = 0
        wanted = self.lsn - after
        for lsn, payload in enumerate(_last(self._recent, wanted), after + 1):
            size += len(payload)
            if found and size > bytes_max:
                break
            found.append((lsn, payload))
        return found

    def close(self) -> None:
        """Make it safe, and let go. The last word on what is wrong has been said by then."""
        journal = self.journal
        if (journal.failure is None or journal.is_full) and not journal.is_safe:
            sync = self.journal.sync()
            try:
                sync.run()
            except OSError as error:
                self.failed(self.journal.fail("it could not be made safe", error))
            else:
                self.journal.synced(sync)
        self.journal.close()


def _last(recent: deque[bytes], count: int) -> Iterator[bytes]:
    """The last so many. Of few it asks from the end, where a deque is quick."""
    if count <= FEW:
        return (recent[-back] for back in range(count, 0, -1))
    return islice(recent, len(recent) - count, None)


def _body(dumps: Sequence[tuple[str, int, Iterable[bytes]]]) -> Iterator[bytes]:
    """A JSON object of `Dumped`, by the names."""
    lead = b"{"
    for name, version, pieces in dumps:
        yield lead + _encode(name) + b':{"version":%d,"state":' % version
        yield from pieces
        lead = b"},"
    yield b"}}" if dumps else b"{}"


class Dumped(msgspec.Struct, frozen=True):
    """A projection in a snapshot."""

    version: int
    state: msgspec.Raw


def restore(projections: Sequence[Projection], snapshot: Snapshot | None) -> None:
    """Put projections where a snapshot says, or before the first fact. Raises ValueError."""
    body = {} if snapshot is None else _bodies.decode(b"".join(snapshot.body))
    for projection in projections:
        if snapshot is None:
            projection.load(None)
            continue
        dumped = body.get(projection.name)
        if dumped is None or dumped.version != projection.version:
            raise ValueError(
                f"it holds no {projection.name!r} of version {projection.version}, as this riskd "
                f"needs"
            )
        projection.load(bytes(dumped.state))


_bodies = msgspec.json.Decoder(dict[str, Dumped])
