"""Ledgers to measure: on the disk of the temporary directory, with the projections of riskd."""

import contextlib
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from pathlib import Path

import msgspec
import trio

from ...actors.messages import ChildFailed, ChildRestarted, Fact, Recorded
from ...adapters.clock import SystemClock
from ...adapters.disk import SystemDisk
from ...adapters.disk_thread import DiskThread
from ...config.schema import Journal as Settings
from ...supervisor.journal.archive import put_away
from ...supervisor.journal.snapshots import save
from ...supervisor.keeper import Keeper
from ...supervisor.ledger import Ledger
from ...supervisor.past import SupervisionHistory
from ...supervisor.recall import open_ledger

CAUSE = "ConnectionResetError: [Errno 104] Connection reset by peer"
FACTS: tuple[Fact, Fact] = (
    ChildFailed(
        supervisor="riskd/watchdogs", child="heartbeat", incarnation=7, phase="running", cause=CAUSE
    ),
    ChildRestarted(
        supervisor="riskd/watchdogs",
        child="heartbeat",
        incarnation=8,
        because_of="heartbeat",
        cause=CAUSE,
    ),
)
"""What a crash is in history. By turns, so that the projections have the most to do that they ever
have: as many failures to remember as they can."""


@contextlib.contextmanager
def opened(state_dir: Path) -> Iterator[Ledger]:
    with open_ledger(SystemDisk(), state_dir, SystemClock(), [SupervisionHistory()]) as ledger:
        yield ledger


@contextlib.asynccontextmanager
async def kept(state_dir: Path) -> AsyncIterator[Ledger]:
    """The same, with its keeper at work as in riskd."""
    with DiskThread() as syncs, DiskThread() as chores, opened(state_dir) as ledger:
        async with trio.open_nursery() as nursery:
            keeper = Keeper(ledger, Settings(), SystemClock(), syncs=syncs, chores=chores)
            nursery.start_soon(keeper.run)
            yield ledger
            nursery.cancel_scope.cancel()


def committing(ledger: Ledger) -> Callable[[], int]:
    """One commit of one fact; its LSN."""

    def commit() -> int:
        return ledger.commit(FACTS[ledger.lsn & 1])

    return commit


def write_history(state_dir: Path, facts: int, behind: int) -> None:
    """A journal of so many facts as riskd would have left it, but for the time that it takes: its
    newest snapshot lies so far back, and what no start needs is in the archive."""
    snapshot_facts = Settings().snapshot_facts
    disk = SystemDisk()
    with opened(state_dir) as ledger:
        commit, directory = committing(ledger), ledger.journal.directory
        while ledger.lsn < facts:
            commit()
            if (facts - behind - ledger.lsn) % snapshot_facts or ledger.lsn > facts - behind:
                continue
            sync = ledger.journal.sync()
            sync.run()
            ledger.journal.synced(sync)
            snapshot = ledger.snapshot()
            assert snapshot is not None, "nothing is in doubt"
            save(disk, directory, snapshot)
            put_away(disk, directory)


# --- what they are measured beside ----------------------------------------------------------------


def payload(lsn: int) -> bytes:
    """What the journal holds of a fact."""
    clock = SystemClock()
    fact = FACTS[lsn & 1]
    recorded = Recorded(lsn=lsn, at=clock.now(), monotonic_s=clock.monotonic_s(), fact=fact)  # type: ignore[arg-type]  # FACTS are facts
    return msgspec.json.encode(recorded)


@contextlib.contextmanager
def preallocated(path: Path, size: int) -> Iterator[int]:
    """A descriptor of a file that has its room on the disk already."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size)
        os.fsync(descriptor)
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def inserting(path: Path, synchronous: str) -> Iterator[Callable[[], None]]:
    """Insert the same fact into a table of SQLite, each in a transaction of its own."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("CREATE TABLE facts (lsn INTEGER PRIMARY KEY, fact BLOB NOT NULL)")
        numbers, fact = count(1), payload(1)

        def insert() -> None:
            connection.execute("INSERT INTO facts VALUES (?, ?)", (next(numbers), fact))

        yield insert
