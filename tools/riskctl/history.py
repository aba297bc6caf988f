"""Reading a journal for somebody: what is asked, what is found, and how it is shown."""

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs
import click
import msgspec

from ...actors.core.selection import ALL, Selection, matches
from ...adapters.clock import SystemClock
from ...adapters.disk import SystemDisk
from ...config.paths import PathRefused, default_state_dir
from ...supervisor.journal.errors import JournalError
from ...supervisor.journal.files import (
    ARCHIVE,
    EVIDENCE,
    archived_firsts,
    names_in,
    segment_firsts,
)
from ...supervisor.journal.reader import Cursor, oldest_lsn, read_segment, why_unread
from ...supervisor.journal.snapshots import snapshot_lsns
from ...supervisor.journal.verification import Head, newest_lsn
from ...supervisor.journal.verification import verify as verify_journal
from . import page
from .page import Line, Table, clean
from .talk import REFUSED, Failure, emit, settings

BATCH_BYTES = 1_048_576
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:+")

Facts = list[tuple[int, bytes]]


@attrs.frozen
class Asked:
    """Which facts, of which journal."""

    directory: Path | None
    first: int | None = None
    last: int | None = None
    selection: Selection = ALL


class Stored(msgspec.Struct):
    """A fact as it is stored. Its content is left as it is."""

    lsn: int
    at: str
    monotonic_s: float
    fact: msgspec.Raw


class _Tagged(msgspec.Struct):
    type: str


_stored = msgspec.json.Decoder(Stored)
_tagged = msgspec.json.Decoder(_Tagged)
_documents: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any])


def stored_of(lsn: int, payload: bytes) -> tuple[Stored, str]:
    """A fact with its tag, whatever else it holds."""
    try:
        stored = _stored.decode(payload)
        return stored, _tagged.decode(stored.fact).type
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _no_fact(lsn, error) from error


def document_of(lsn: int, payload: bytes) -> dict[str, Any]:
    """All of a fact."""
    try:
        return _documents.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _no_fact(lsn, error) from error


def _no_fact(lsn: int, error: Exception) -> Failure:
    return _refused(f"fact {lsn}: the frame is whole, and no fact of riskd's is in it: {error}")


# --- finding and reading --------------------------------------------------------------------------


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """What goes wrong with the files is one line, with the file and what to do."""
    try:
        yield
    except JournalError as error:
        raise _refused(str(error)) from error
    except OSError as error:
        what, remedy = why_unread(
            error, f"name a journal that this user may read, with {_option()}"
        )
        raise _refused(f"{error.filename or path}: {what}; {remedy}") from error


def _option() -> str:
    """By which the command that runs now is told where to look."""
    context = click.get_current_context(silent=True)
    options = () if context is None else context.command.params
    named = (name for option in options if option.name == "directory" for name in option.opts)
    return next(named, "--dir")


def _refused(message: str) -> Failure:
    return Failure(REFUSED, "journal", message)


def place(given: Path | None) -> Path:
    """The directory with the segments, of a state directory or of itself."""
    if given is None:
        try:
            given = default_state_dir(os.environ, os.getuid())
        except PathRefused as error:
            raise _refused(f"{error}; or name the journal with {_option()}") from error
    inner = given / "journal"
    with reading(given):
        names = SystemDisk().names(given)
        directory = inner if inner.name in names and inner.is_dir() else given
        held = SystemDisk().names(directory)
        if not segment_firsts(held) and ARCHIVE not in held:
            raise _refused(f"{directory}: there is no journal in it; name one with {_option()}")
    return directory


def batches(asked: Asked, directory: Path) -> Iterator[Facts]:
    """The facts that were asked for, some at a time. Failure where the journal is damaged."""
    disk = SystemDisk()
    with reading(directory):
        first = asked.first or oldest_lsn(disk, directory)
        with Cursor(disk, directory, first - 1) as cursor:
            while facts := cursor.read(BATCH_BYTES, asked.last):
                yield chosen(facts, asked.selection)
            if asked.last is None or cursor.lsn < asked.last:
                cursor.expect_end()


def chosen(facts: Facts, selection: Selection) -> Facts:
    if selection == ALL:
        return facts
    return [fact for fact in facts if matches(selection, document_of(*fact))]


def _of_file(asked: Asked, file: Path) -> Iterator[Facts]:
    with reading(file):
        for lsn, payload in read_segment(SystemDisk(), file):
            if (asked.first or 1) <= lsn <= (asked.last or lsn):
                yield chosen([(lsn, payload)], asked.selection)


# --- dump -----------------------------------------------------------------------------------------


def dump(asked: Asked, file: Path | None) -> None:
    """Print facts."""
    try:
        found = batches(asked, place(asked.directory)) if file is None else _of_file(asked, file)
        page.write_pieces(pieces(found))
    except Failure as failure:
        failure.on_stderr = True
        raise


def pieces(found: Iterable[Facts]) -> Iterator[bytes]:
    """Facts as they are printed: for a person on a terminal, as they are stored for all others."""
    if sys.stdout.isatty() and not settings().json:
        for facts in found:
            yield from (readable(*fact).encode(errors="replace") + b"\n" for fact in facts)
    else:
        for facts in found:
            yield b"".join([payload + b"\n" for _, payload in facts])


def readable(lsn: int, payload: bytes) -> str:
    """`LSN  time  tag  key=value …`, without anything that a terminal would obey."""
    document = document_of(lsn, payload)
    fact = dict(document["fact"])
    tag = fact.pop("type")
    pairs = " ".join(f"{key}={plain(value)}" for key, value in fact.items())
    return clean(f"{lsn}  {document['at']}  {tag}  {pairs}")


def plain(value: object) -> str:
    """A value without quotes where it needs none."""
    if isinstance(value, str) and value and _PLAIN.issuperset(value):
        return value
    return msgspec.json.encode(value).decode()


# --- stats ----------------------------------------------------------------------------------------


@attrs.define
class _Tally:
    facts: int = 0
    bytes: int = 0


def stats(asked: Asked) -> None:
    """Count what is there."""
    directory = place(asked.directory)
    kinds: dict[str, _Tally] = {}
    first: Stored | None = None
    last: Stored | None = None
    with page.progress("reading", lambda: newest_lsn(SystemDisk(), directory)) as advance:
        for facts in batches(asked, directory):
            for lsn, payload in facts:
                stored, tag = stored_of(lsn, payload)
                first, last = first or stored, stored
                tally = kinds.setdefault(tag, _Tally())
                tally.facts += 1
                tally.bytes += len(payload)
            if facts:
                advance(facts[-1][0])
    document = {
        "directory": str(directory),
        "facts": sum(tally.facts for tally in kinds.values()),
        "bytes": sum(tally.bytes for tally in kinds.values()),
        "first": _point(first),
        "last": _point(last),
        "kinds": {kind: attrs.asdict(kinds[kind]) for kind in sorted(kinds)},
        **_files(directory),
    }
    emit(document, _stats_page(document))


def _point(stored: Stored | None) -> dict[str, object] | None:
    return {"lsn": stored.lsn, "at": stored.at} if stored else None


def _files(directory: Path) -> dict[str, Any]:
    """What lies in the directory."""
    disk = SystemDisk()
    with reading(directory):
        names = disk.names(directory)
        archived = names_in(disk, directory / ARCHIVE)
        # Blocks and not lengths: a segment in use is longer than what it takes.
        files = [
            *(directory / name for name in names),
            *(directory / ARCHIVE / n for n in archived),
        ]
        sizes = [_allocated_bytes(file) for file in files]
    return {
        "disk_bytes": sum(sizes),
        "segments": len(segment_firsts(names)),
        "archived": len(archived_firsts(archived)),
        "snapshots": len(snapshot_lsns(names)),
        "evidence": [name for name in names if name.endswith(EVIDENCE)],
    }


def _allocated_bytes(file: Path) -> int:
    try:
        return file.stat().st_blocks * 512
    except FileNotFoundError:
        return 0


def _stats_page(document: dict[str, Any]) -> page.Page:
    first, last = document["first"], document["last"]
    kinds = document["kinds"].items()
    rows: list[tuple[str, ...]] = [
        (kind, f"{tally['facts']:,}", f"{tally['bytes']:,}") for kind, tally in kinds
    ]
    span = f"{first['lsn']} ({first['at']}) to {last['lsn']} ({last['at']})" if first else "none"
    evidence = document["evidence"]
    return [
        Line(document["directory"]),
        Line(f"facts     {document['facts']:,} in {document['bytes']:,} bytes"),
        Line(f"span      {span}"),
        Line(f"segments  {document['segments']} live, {document['archived']} archived"),
        Line(f"snapshots {document['snapshots']}"),
        Line(f"on disk   {document['disk_bytes']:,} bytes"),
        *([Line(f"evidence  {', '.join(evidence)}", "warn")] if evidence else []),
        Line(""),
        Table(("fact", "count", "bytes"), rows),
    ]


# --- verify ---------------------------------------------------------------------------------------


def verify(given: Path | None, against: tuple[int, str] | None) -> bool:
    """Check everything and say so. False: there is a problem."""
    directory = place(given)
    disk = SystemDisk()
    noted = Head(*against) if against else None
    with (
        reading(directory),
        page.progress("verifying", lambda: newest_lsn(disk, directory)) as advance,
    ):
        found = verify_journal(disk, directory, SystemClock().boot(), noted=noted, advance=advance)
    head = found.head
    document = {
        "directory": str(directory),
        "problems": [
            {**attrs.asdict(problem), "path": str(problem.path)} for problem in found.problems
        ],
        "more": found.more,
        "facts": found.facts,
        "oldest_lsn": found.oldest_lsn,
        "segments": found.segments,
        "snapshots": found.snapshots,
        "head": {"lsn": head.lsn, "sha256": head.digest} if head else None,
    }
    seen = f"{found.facts:,} facts, {found.segments} segments, {found.snapshots} snapshots"
    count = len(found.problems) + found.more
    words = [
        *(Line(str(problem), "bad") for problem in found.problems),
        *([Line(f"and {found.more:,} more facts that can't be read", "bad")] if found.more else []),
        Line(f"{seen}: {f'{count:,}' if count else 'no'} problem{'s' * (count != 1)}"),
        *([Line(f"head {head.lsn} {head.digest}")] if head else []),
    ]
    emit(document, words)
    return not found.problems
