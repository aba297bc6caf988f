"""Writing facts into a file for other programs: whole under its name, or not there at all."""

import contextlib
import csv
import io
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import click

from ...actors.messages import AnyFact
from ...adapters.disk import SystemDisk
from ...supervisor.journal.verification import newest_lsn
from . import page
from .history import Asked, Facts, batches, place, stored_of
from .page import Line
from .talk import REFUSED, Failure, emit

_SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
    ".db": "sqlite",
}
_COLUMNS = ("lsn", "at", "type", "body")


def form_of(file: Path, given: str | None) -> str:
    """What to write, as it was said or as the suffix says."""
    form = given or _SUFFIXES.get(file.suffix.lower())
    if form is None:
        known = ", ".join(_SUFFIXES)
        raise click.UsageError(f"{file}: name a format with --format, or a suffix of {known}")
    return form


def export(asked: Asked, file: Path, form: str, *, force: bool) -> None:
    """Write what was asked for, and say how much it was."""
    directory = place(asked.directory)
    beside = file.with_name(f".{file.name}.{os.getpid()}.new")
    with page.progress("exporting", lambda: newest_lsn(SystemDisk(), directory)) as advance:
        counted = _Counted(batches(asked, directory), advance)
        with _writing(file, beside):
            _expect_free(file, force=force)
            _WRITERS[form](beside, iter(counted))
            with beside.open("rb") as written:
                os.fsync(written.fileno())
            beside.replace(file)
    document = {"file": str(file), "format": form, "facts": counted.facts}
    emit(document, [Line(f"{file}: {counted.facts:,} facts as {form}")])


def _expect_free(file: Path, *, force: bool) -> None:
    if file.is_dir() or (file.exists() and not force):
        what = "is a directory" if file.is_dir() else "is there already"
        raise Failure(
            REFUSED, "exists", f"{file}: {what}; name another, or replace it with --force"
        )


class _Counted:
    """Passes batches on, and knows how many facts were in them."""

    def __init__(self, source: Iterator[Facts], advance: Callable[[int], None]) -> None:
        self.facts = 0
        self._source = source
        self._advance = advance

    def __iter__(self) -> Iterator[Facts]:
        for facts in self._source:
            yield facts
            self.facts += len(facts)
            if facts:
                self._advance(facts[-1][0])


@contextlib.contextmanager
def _writing(file: Path, beside: Path) -> Iterator[None]:
    """Whatever happens, nothing half-written stays."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or error
        said = f"{file}: {reason}; name a file that this user may write, on a disk with room"
        raise Failure(REFUSED, "not_written", said) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


def _write_lines(file: Path, found: Iterator[Facts]) -> None:
    with file.open("xb") as out:
        for facts in found:
            out.write(b"".join([payload + b"\n" for _, payload in facts]))


def _write_csv(file: Path, found: Iterator[Facts]) -> None:
    with file.open("x", encoding="utf-8", newline="") as out:
        table = csv.writer(out)
        table.writerow(_COLUMNS)
        for facts in found:
            table.writerows((lsn, at, tag, body) for lsn, at, _, tag, body in _rows(facts))


def _write_sqlite(file: Path, found: Iterator[Facts]) -> None:
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as database:
        # Nobody sees the file before it is whole, and it is synced then.
        database.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_TABLE}")
        database.execute("BEGIN")
        for facts in found:
            database.executemany("INSERT INTO facts VALUES (?, ?, ?, ?, ?)", _rows(facts))
        database.execute("COMMIT")
        database.execute("CREATE INDEX facts_by_type ON facts (type, lsn)")
        database.executescript(_views())


def _rows(facts: Facts) -> Iterator[tuple[int, str, float, str, str]]:
    for lsn, payload in facts:
        stored, tag = stored_of(lsn, payload)
        yield lsn, stored.at, stored.monotonic_s, tag, bytes(stored.fact).decode()


_TABLE = """
CREATE TABLE facts (
    lsn INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    monotonic_s REAL NOT NULL,
    type TEXT NOT NULL,
    body TEXT NOT NULL
);
"""


def _views() -> str:
    """One for each kind of fact, with its fields as columns."""
    script = io.StringIO()
    for fact in get_args(AnyFact):
        tag = str(fact.__struct_config__.tag)
        fields = "".join(
            f", json_extract(body, '$.{field}') AS \"{field}\"" for field in fact.__struct_fields__
        )
        script.write(f"CREATE VIEW {tag} AS SELECT lsn, at{fields} FROM facts ")  # noqa: S608 - these are our own names
        script.write(f"WHERE type = '{tag}';\n")
    return script.getvalue()


_WRITERS: dict[str, Callable[[Path, Iterator[Facts]], None]] = {
    "jsonl": _write_lines,
    "csv": _write_csv,
    "sqlite": _write_sqlite,
}
