"""What the commit of a fact costs beside a bare insert into a table of the same form.

Both are on the disk of the temporary directory, and neither waits for it: the peer is in SQLite's
write-ahead mode, synchronous NORMAL.
"""

import contextlib
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import msgspec

from ...actors.messages import ChildFailed
from ...adapters.clock import SystemClock
from ...adapters.disk import SystemDisk
from ...supervisor.recall import open_ledger
from .results import US, Result, in_turn, latency, rate, timed

BATCH = 100
FACT = ChildFailed(
    supervisor="riskd/watchdogs",
    child="heartbeat",
    incarnation=7,
    phase="running",
    cause="ConnectionResetError: [Errno 104] Connection reset by peer",
)


def measure(n: int) -> list[Result]:
    with (
        tempfile.TemporaryDirectory(prefix="riskd-") as place,
        open_ledger(SystemDisk(), Path(place, "ours"), SystemClock(), []) as ledger,
        _bare_insert(Path(place, "theirs.sqlite3")) as insert,
    ):

        def commit() -> None:
            ledger.commit(FACT)

        one = in_turn(n, timed(commit), timed(insert))
        batches = max(1, n // BATCH)
        many = in_turn(batches, timed(_repeated(commit)), timed(_repeated(insert)))
    peer_name = "bare insert"
    return [
        Result(
            name="commit of a fact",
            n=n,
            figure=latency(one[0], US),
            peer_name=peer_name,
            peer=latency(one[1], US),
        ),
        Result(
            name="commits one after another",
            n=batches * BATCH,
            figure=rate(many[0], BATCH),
            peer_name=peer_name,
            peer=rate(many[1], BATCH),
        ),
    ]


def _repeated(act: Callable[[], None]) -> Callable[[], None]:
    def repeat() -> None:
        for _ in range(BATCH):
            act()

    return repeat


@contextlib.contextmanager
def _bare_insert(path: Path) -> Iterator[Callable[[], None]]:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(
            "CREATE TABLE facts (lsn INTEGER PRIMARY KEY, at TEXT NOT NULL, boot TEXT NOT NULL, "
            "monotonic_s REAL NOT NULL, tag TEXT NOT NULL, body BLOB NOT NULL)"
        )
        body = msgspec.json.encode(FACT)
        rest = ("2026-01-01T00:00:00.000000+00:00", "0" * 36, 1000.5, "child_failed", body)
        numbers = count(1)

        def insert() -> None:
            row = (next(numbers), *rest)
            connection.execute("INSERT INTO facts VALUES (?, ?, ?, ?, ?, ?)", row)

        yield insert
