"""The ledger: the facts, in one order, on disk before what follows from them.

This version keeps the supervision's facts in SQLite, in its write-ahead mode: a commit is in the
kernel when `commit` returns, so that it survives the death of the process. Few facts are made (a
restart, a hold, a reload), and what they add up to is small: the budgets and the holds.

It keeps the newest `KEPT_MAX` facts: each commit beyond takes the oldest one away, but for those
that say which child is held, for a hold has no age.

A write that fails is the last one. What came after it would be a history with a hole.
"""

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Self

import attrs
import msgspec

from ..actors.messages import AnyFact, Fact, Recorded
from ..actors.ports import Clock

KEPT_MAX = 100_000
SCHEMA_VERSION = 1
_FILE = "facts.sqlite3"


def _identity(path: Path) -> tuple[int, int]:
    """Which file is at `path` now. A ledger that has no name would not be found again."""
    found = path.stat()
    return found.st_dev, found.st_ino


class LedgerError(Exception):
    """The ledger can't be used. The text names the file, what is wrong and what to do."""


class LedgerHeld(LedgerError):
    """Another daemon keeps its ledger there."""

    def __init__(self, directory: Path, holder: str) -> None:
        who = f"process {holder}" if holder else "another process"
        super().__init__(
            f"{directory}: {who} keeps its state there; stop it, or choose another --state-dir"
        )


@attrs.define(eq=False)
class Ledger:
    """The one writer of facts. Open it with `open_ledger`."""

    path: Path
    _connection: sqlite3.Connection
    _lock: int | None
    _clock: Clock
    _lsn: int
    _kept_max: int
    _file: tuple[int, int]
    _failure: str | None = attrs.field(default=None, init=False)

    @property
    def lsn(self) -> int:
        """The number of the newest fact; 0 before the first."""
        return self._lsn

    def commit(self, fact: Fact) -> None:
        """Make a fact part of history. WHEN THIS RETURNS a killed process does not lose it."""
        if self._failure is not None:
            raise LedgerError(self._failure)
        lsn = self._lsn + 1
        recorded = (
            lsn,
            self._clock.now().isoformat(),
            self._clock.boot(),
            self._clock.monotonic_s(),
            str(type(fact).__struct_config__.tag),
            msgspec.json.encode(fact),
        )
        try:
            if _identity(self.path) != self._file:
                raise OSError("the file was moved or deleted while riskd ran")  # noqa: TRY301 - one way out
            self._forget(lsn - self._kept_max)
            self._connection.execute("INSERT INTO facts VALUES (?, ?, ?, ?, ?, ?)", recorded)
        except (sqlite3.Error, OSError) as error:
            self._failure = (
                f"{self.path}: a fact could not be written: {error}; nothing more is written: "
                f"see to the disk, then start riskd again"
            )
            raise LedgerError(self._failure) from error
        self._lsn = lsn

    def _forget(self, lsn: int) -> None:
        if lsn > 0:
            self._connection.execute(
                "DELETE FROM facts WHERE lsn = ? AND tag NOT IN ('child_held', 'child_released')",
                (lsn,),
            )

    def facts(self) -> Iterator[Recorded]:
        """All that are kept, in order."""
        decoder = msgspec.json.Decoder(AnyFact)
        for lsn, at, boot, monotonic_s, body in self._rows():
            try:
                fact = decoder.decode(body)
                datetime.fromisoformat(at)
            except ValueError as error:
                raise LedgerError(
                    f"{self.path}: fact {lsn} can't be read: {error}; it was written by another "
                    f"version of riskd, or damaged: start that version, or move the file away"
                ) from error
            yield Recorded(lsn=lsn, at=at, boot=boot, monotonic_s=monotonic_s, fact=fact)

    def _rows(self) -> Iterator[tuple[int, str, str, float, bytes]]:
        try:
            yield from self._connection.execute(
                "SELECT lsn, at, boot, monotonic_s, body FROM facts ORDER BY lsn"
            )
        except sqlite3.Error as error:
            raise _unreadable(self.path, error) from error

    def close(self) -> None:
        """Let go of it. Every fact is where it belongs already, so that nothing can fail here."""
        lock, self._lock = self._lock, None
        if lock is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            os.close(lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_ledger(directory: Path, clock: Clock, *, kept_max: int = KEPT_MAX) -> Ledger:
    """Lock the state directory, then open what is in it. Raises LedgerError or LedgerHeld."""
    assert kept_max >= 1, "the newest fact says where the numbers go on"
    path = directory / _FILE
    with contextlib.ExitStack() as undo:
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = _take_lock(directory)
            undo.callback(os.close, lock)
            path.touch(mode=0o600)
        except OSError as error:
            raise LedgerError(
                f"{directory}: {error.strerror or error}; choose a directory that this user may "
                f"write, with --state-dir or riskd.state_dir"
            ) from error
        try:
            connection = sqlite3.connect(path, isolation_level=None, timeout=0)
            undo.callback(connection.close)
            newest = _prepare(connection, path)
        except sqlite3.Error as error:
            raise _unreadable(path, error) from error
        undo.pop_all()
    return Ledger(path, connection, lock, clock, newest, kept_max, _identity(path))


def _unreadable(path: Path, error: sqlite3.Error) -> LedgerError:
    return LedgerError(f"{path}: {error}; restore it, or move it away to start without a past")


def _take_lock(directory: Path) -> int:
    """The kernel lets go of it however the holder ends."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    lock = os.open(directory / "lock", flags, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError:
        holder = os.read(lock, 20).decode("ascii", "replace").strip()
        os.close(lock)
        raise LedgerHeld(directory, holder) from None
    except OSError:
        os.close(lock)
        raise
    return lock


def _prepare(connection: sqlite3.Connection, path: Path) -> int:
    """The newest number in it. What this version can't read it does not touch."""
    version = _value(connection, "PRAGMA user_version")
    is_new = version == 0 and _value(connection, "SELECT count(*) FROM sqlite_master") == 0
    if version != SCHEMA_VERSION and not is_new:
        raise LedgerError(
            f"{path}: written in version {version} of its format, and this riskd knows "
            f"{SCHEMA_VERSION}; start the riskd that wrote it, or move it away"
        )
    newest = 0 if is_new else _value(connection, "SELECT coalesce(max(lsn), 0) FROM facts")
    # NORMAL is what WAL needs to survive the death of the process. A commit waits for no fsync, but
    # for the one in about a thousand that moves the log into the file.
    connection.execute("PRAGMA journal_mode = WAL").fetchone()
    connection.execute("PRAGMA synchronous = NORMAL")
    if is_new:
        connection.executescript(_CREATE)
    return newest


def _value(connection: sqlite3.Connection, query: str) -> int:
    value = connection.execute(query).fetchone()[0]
    assert isinstance(value, int), "each of these queries counts something"
    return value


_CREATE = f"""
BEGIN IMMEDIATE;
CREATE TABLE facts (
    lsn INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    boot TEXT NOT NULL,
    monotonic_s REAL NOT NULL,
    tag TEXT NOT NULL,
    body BLOB NOT NULL
);
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""
