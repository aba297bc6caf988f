"""The power may fail at any moment, and the disk keep what it likes of what was not synced.

Each seed is a history: journals that are opened, written, synced, rolled over, snapshotted and
archived on a simulated disk, and that end at any operation of it, in a kill, a power cut or an
error of the disk; the opening itself and its repairs no less than the rest. Whatever happened:

* the next start is not refused;
* what was called safe is there, in order and once;
* what is there is a first part of what was written, commit by commit;
* a kill alone loses nothing that was written.

RISKD_SEEDS=10000 asks for that many histories in place of the few that the suite has time for.
"""

import contextlib
import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

import attrs
import pytest
from riskd.adapters.simulated_disk import Operation, SimulatedDisk
from riskd.supervisor.journal import (
    Journal,
    JournalError,
    JournalFailed,
    Judgement,
    Snapshot,
    SnapshotUnusable,
    Survey,
    open_journal,
    repair,
    survey,
)
from riskd.supervisor.journal.archive import put_away
from riskd.supervisor.journal.format import HEADER_BYTES
from riskd.supervisor.journal.journal import RESERVE_BYTES
from riskd.supervisor.journal.snapshots import load, save

SEEDS = int(os.environ.get("RISKD_SEEDS", "2000"))
BATCH = 100
DIRECTORY = Path("/state/journal")
SEGMENT_BYTES = RESERVE_BYTES + HEADER_BYTES + 400
FAILING: tuple[Operation, ...] = (
    "write", "sync", "resize", "create", "rename", "remove", "sync_directory",
)  # fmt: skip


class Gone(BaseException):
    """The process is no more, in the middle of whatever it did."""


@attrs.define(eq=False)
class EndingDisk(SimulatedDisk):
    """Its operations are counted, and one of them is the last that the process began."""

    left: int = 0

    def failure(self, operation: Operation, path: Path) -> OSError | None:
        self.left -= 1
        if self.left < 0:
            raise Gone
        return super().failure(operation, path)


@attrs.define
class History:
    """What one seed does, and what is known of what must be there."""

    seed: int
    disk: EndingDisk = attrs.field(init=False)
    chance: Random = attrs.field(init=False)
    boot: int = attrs.field(default=0, init=False)
    commits: list[list[bytes]] = attrs.field(factory=list, init=False)
    """Written, in order. The last may be there or not when it is `doubtful`."""
    doubtful: bool = attrs.field(default=False, init=False)
    replaced: tuple[int, list[bytes]] | None = attrs.field(default=None, init=False)
    """A commit that failed on a full disk, and its place: a power cut may lose what took it."""
    safe: int = attrs.field(default=0, init=False)
    powered: bool = attrs.field(default=True, init=False)
    """Since the last start there was no more than a kill: what is written is there."""
    number: int = attrs.field(default=0, init=False)
    repairs: list[Judgement] = attrs.field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.chance = Random(self.seed)  # noqa: S311 - it must be the same again, and guards nothing
        self.disk = EndingDisk(self.seed, left=1_000_000)
        self.disk.make_directory(DIRECTORY)

    def run(self) -> None:
        for _ in range(self.chance.randint(2, 5)):
            self.disk.left = self.chance.choice((3, 10, 30, 100)) + self.chance.randrange(10)
            with contextlib.suppress(Gone):
                self.live(self.open())
            self.end()
        self.disk.left = 1_000_000
        self.open().close()

    # --- the next start

    def open(self) -> Journal:
        found = self.look()
        repaired = repair(found)
        if repaired is not None:
            self.repairs.append(repaired.judgement)
        journal = open_journal(found, SEGMENT_BYTES)
        assert journal.is_safe
        self.safe = journal.lsn
        return journal

    def look(self) -> Survey:
        """As a start does it: from a snapshot if there is one. Then all of it, from the first."""
        left, self.disk.left = self.disk.left, 1_000_000
        whole = survey(self.disk, DIRECTORY, str(self.boot), archived=True)
        self.check([bytes(payload) for _, payload in self.numbered(whole.facts())])
        found = survey(self.disk, DIRECTORY, str(self.boot))
        snapshot = None
        if found.snapshots:
            snapshot = load(self.disk, DIRECTORY, found.snapshots[0])
            assert b"".join(snapshot.body) == self.state(snapshot.lsn)
        facts = [bytes(payload) for _, payload in found.facts(snapshot)]
        assert facts == self.flat()[found.snapshots[0] if snapshot else 0 :]
        assert found.end is not None
        assert found.end.lsn == len(self.flat())
        self.disk.left = left
        return found

    def numbered(self, facts: Iterable[tuple[int, memoryview]]) -> Iterator[tuple[int, memoryview]]:
        for expected, (lsn, payload) in enumerate(facts, start=1):
            assert lsn == expected
            yield lsn, payload

    def check(self, found: list[bytes]) -> None:
        assert len(found) >= self.safe, "what was safe is there"
        if self.replaced is not None:
            place, commit = self.replaced
            if found == self.flat(place) + commit:
                assert not self.powered, "what was written in its place is there"
                self.commits[place:] = [commit]
            self.replaced = None
        before: list[bytes] = []
        for number in range(len(self.commits) + 1):
            if before == found:
                break
            assert number < len(self.commits), "what is there is a first part of what was written"
            before = before + self.commits[number]
        if self.powered:
            assert number >= len(self.commits) - self.doubtful, "a kill loses nothing"
        del self.commits[number:]
        self.doubtful = False
        self.powered = True

    def flat(self, end: int | None = None) -> list[bytes]:
        return [payload for commit in self.commits[:end] for payload in commit]

    def state(self, lsn: int) -> bytes:
        return b"|".join(self.flat()[:lsn])

    # --- one life

    def live(self, journal: Journal) -> None:
        acts = (self.append,) * 6 + (self.sync,) * 2 + (self.room, self.snapshot, self.fault)
        try:
            while True:
                self.chance.choice(acts)(journal)
        except JournalFailed as failure:
            self.failed(journal, failure)
        except OSError:
            pass

    def failed(self, journal: Journal, failure: JournalFailed) -> None:
        assert journal.failure is failure
        with pytest.raises(JournalFailed) as again:
            journal.append([b"later"])
        assert again.value is failure
        with contextlib.suppress(JournalFailed):
            for _ in range(self.chance.randrange(4)):
                self.tighten(journal)

    def tighten(self, journal: Journal) -> None:
        """On a full disk there is room for it, in the place of what did not fit."""
        failed, commit = self.doubtful, [b"halt %d" % self.number]
        self.number += 1
        if journal.append(commit, reserved=True) and failed:
            self.replaced = len(self.commits) - 1, self.commits.pop()
        self.doubtful = False
        self.commits.append(commit)
        assert journal.lsn == len(self.flat())

    def append(self, journal: Journal, *, reserved: bool = False) -> None:
        commit = []
        for _ in range(self.chance.choice((1, 1, 1, 2, 4))):
            self.number += 1
            commit.append(b"%d " % self.number + b"x" * self.chance.randrange(40))
        self.commits.append(commit)
        self.doubtful = True
        assert journal.append(commit) == len(self.flat())
        self.doubtful = False

    def sync(self, journal: Journal) -> None:
        trip = journal.sync()
        for _ in range(self.chance.choice((0, 0, 1, 3))):
            self.append(journal)
        try:
            trip.run()
        except OSError as error:
            raise journal.fail("it could not be synced", error) from error
        journal.synced(trip)
        self.safe = journal.safe_lsn

    def room(self, journal: Journal) -> None:
        if journal.wants_next:
            file = journal.prepare()
            for _ in range(self.chance.choice((0, 0, 3, 9))):
                self.append(journal)
            journal.prepared(file)

    def snapshot(self, journal: Journal) -> None:
        lsn, checksum = journal.lsn, journal.checksum
        self.sync(journal)
        save(self.disk, DIRECTORY, Snapshot(lsn, checksum, [self.state(lsn)]))
        if self.chance.random() < 0.5:
            put_away(self.disk, DIRECTORY)

    def fault(self, journal: Journal) -> None:
        if self.chance.random() < 0.5:
            reason = self.chance.choice((errno.EIO, errno.ENOSPC))
            self.disk.fail(self.chance.choice(FAILING), 1, reason)

    # --- its end

    def end(self) -> None:
        self.disk._failures.clear()
        if self.chance.random() < 0.7:
            self.disk.cut_power()
            self.boot += 1
            self.powered = False
        else:
            self.disk.crash()


@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
def test_what_was_safe_is_there_and_no_start_is_refused(first: int) -> None:
    for seed in range(first, min(first + BATCH, SEEDS)):
        try:
            History(seed).run()
        except (AssertionError, JournalError, OSError, SnapshotUnusable) as error:
            error.add_note(f"seed {seed}")
            raise
