"""Folding a file of events into the book: line by line, so that its length costs no memory.

A line is generic JSON first, because a typed decoder would take a JSON float for an exact number
and the last of two equal keys for the only one. What is wrong is told with file, line, field and
remedy, and ends the replay: a book without one of its events is another book.
"""

import contextlib
import errno
import io
import json
import os
import re
import stat
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO, NoReturn
from zoneinfo import ZoneInfo

import click
import msgspec

from ...actors.core.book import door, reading, shown
from ...actors.core.book.account import AccountBook
from ...actors.core.book.reading import EVENTS, NUMBER, REMEDIES, TEXT, Inexact
from ...actors.messages.book import AnyEvent
from . import page, show_book
from .talk import USAGE, Failure, emit, settings

LINE_BYTES_MAX = 1_048_576
"""An event takes some hundred bytes: what is longer is no event, and is never held whole."""
LINES_BETWEEN = 1_000
"""As often is said how far it is."""
NAME_CHARACTERS_MAX = 64
STDIN = "stdin"

_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`", re.DOTALL)


class Wrong(Exception):
    """What is wrong with a line, and what to do."""

    def __init__(self, field: str | None, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}; {remedy}")
        self.field = field


class _Float(Exception):
    """The line holds a JSON float."""


def replay(name: str) -> None:
    """The book of all events of this file, or the first thing that is wrong with it."""
    book = AccountBook(ZoneInfo)
    with _opened(name) as (file, size):
        _fold(book, file, size, STDIN if name == "-" else name)
    emit(shown.book(book), show_book.book(book))


@contextlib.contextmanager
def _opened(name: str) -> Iterator[tuple[BinaryIO, int]]:
    """A file, and its size where it has one."""
    if name == "-":
        if sys.stdin is None:
            _refuse("unreadable", f"{STDIN}: it is closed; name a file, or pipe one in", file=STDIN)
        file, close = sys.stdin.buffer, False
    else:
        try:
            file, close = open(name, "rb"), True  # noqa: SIM115, PTH123 - closed below; "-" is kept
        except (OSError, ValueError) as error:
            _unread(name, error)
    with file if close else contextlib.nullcontext():
        try:
            yield file, _size(file)
        except OSError as error:
            _unread(STDIN if name == "-" else name, error)


def _size(file: BinaryIO) -> int:
    """0: it has none, as a pipe."""
    try:
        about = os.fstat(file.fileno())
    except io.UnsupportedOperation:
        return 0
    return about.st_size if stat.S_ISREG(about.st_mode) else 0


def _unread(name: str, error: OSError | ValueError) -> NoReturn:
    reason = getattr(error, "strerror", None) or str(error)
    if getattr(error, "errno", None) in (errno.EACCES, errno.EPERM):
        remedy = "give this user access to it"
    else:
        remedy = "name a file with one event a line, or - for standard input"
    _refuse("unreadable", f"{name}: it can't be read: {reason}; {remedy}", file=name)


def _refuse(code: str, message: str, **more: Any) -> NoReturn:
    """With --json the words go to stderr all the same: whoever pipes the document into another
    program must see why there is no book in it."""
    if settings().json:
        click.echo(page.clean(f"riskctl: {message}"), err=True)
    raise Failure(USAGE, code, message, **more)


def _fold(book: AccountBook, file: BinaryIO, size: int, name: str) -> None:
    number = done = 0
    with page.progress("replaying", lambda: size) as advance:
        while line := file.readline(LINE_BYTES_MAX + 1):
            number += 1
            done += len(line)
            try:
                if not line.isspace():
                    take(book, line)
            except Wrong as wrong:
                field = wrong.field
                about = "" if field is None else f"{field}: "
                said = f"{name}:{number}: {about}{wrong}"
                _refuse("invalid_event", said, file=name, line=number, field=field)
            if not number % LINES_BETWEEN:
                advance(done)


def take(book: AccountBook, line: bytes) -> None:
    """Let the book have the event of a line. Raises Wrong, and the book is as it was."""
    event = event_of(line)
    try:
        door.check(book, event)
    except door.Refused as refused:
        raise _wrong(refused.field, refused.problem) from None
    book.apply(event)


# --- a line ---------------------------------------------------------------------------------------


def event_of(line: bytes) -> AnyEvent:
    """The event that a line tells of. Raises Wrong."""
    if len(line) > LINE_BYTES_MAX:
        raise Wrong(None, f"is longer than {LINE_BYTES_MAX:,} bytes", "write one event a line")
    document = _document(line)
    # One kind at a time: msgspec would make its plan of the union anew for each line.
    kind = _kind(document)
    field = reading.no_number(kind, document)
    if field is not None:
        raise _wrong(field, "is no finite number")
    try:
        event: AnyEvent = msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise _explained(kind, str(error)) from None
    _expect_no_double(line, document)
    return event


def _kind(document: dict[str, Any]) -> type[AnyEvent]:
    if "type" not in document:
        raise _wrong("type", "is missing")
    tag = document["type"]
    kind = EVENTS.get(tag) if isinstance(tag, str) else None
    if kind is None:
        said = repr(_named(tag)) if isinstance(tag, str) else "this"
        raise _wrong("type", f"{said} is no type of event")
    return kind


def _float(_: str) -> NoReturn:
    raise _Float


_decoder = msgspec.json.Decoder(float_hook=_float)


def _document(line: bytes) -> dict[str, Any]:
    """The object of a line."""
    try:
        found = _decoder.decode(line)
    except _Float:
        raise _inexact(line) or Wrong(None, "holds a JSON float", NUMBER) from None
    except UnicodeDecodeError:
        raise Wrong(None, "is not valid UTF-8", "save the file as UTF-8") from None
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        # ValueError: an integer of more digits than Python reads.
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        no_json = Wrong(None, f"is no JSON: {reason}", "write one whole JSON object a line")
        raise _inexact(line) or no_json from None
    if not isinstance(found, dict):
        raise Wrong(None, "is JSON, but no object", 'write an event, as {"type": "fill", ...}')
    return found


def _inexact(line: bytes) -> Wrong | None:
    """What is wrong with a line that holds a float, or NaN as many programs write it."""
    try:
        found = json.loads(line, parse_float=Inexact, parse_constant=Inexact)
    except (ValueError, RecursionError):
        return None
    for field, value in found.items() if isinstance(found, dict) else ():
        if isinstance(value, Inexact):
            remedy = REMEDIES.get(field, NUMBER)
            return Wrong(_named(field), f"{_named(value)} is a JSON float, not exact", remedy)
    return None


def _expect_no_double(line: bytes, document: dict[str, Any]) -> None:
    """A key that occurs twice has two quotes more than the object needs, so most lines are seen to
    be well without reading them a second time. A quote inside a text only costs that reading."""
    texts = sum(1 for value in document.values() if type(value) is str)
    if line.count(b'"') == 2 * (len(document) + texts):
        return
    pairs: list[tuple[str, Any]] = json.loads(line, object_pairs_hook=list)
    seen = set[str]()
    for key, _ in pairs:
        if key in seen:
            raise Wrong(_named(key), "occurs twice", "write it once")
        seen.add(key)


def _explained(kind: type[AnyEvent], said: str) -> Wrong:
    """What msgspec finds wrong: `what - at `$.field``."""
    what, _, place = said.rpartition(" - at `$.")
    what, field = (what, place.removesuffix("`")) if what else (said, "")
    if missing := _MISSING.fullmatch(said):
        return Wrong(missing[1], "is missing", REMEDIES.get(missing[1], TEXT))
    if unknown := _UNKNOWN.fullmatch(said):
        fields = ", ".join(kind.__struct_fields__)
        about = f"is no field of {kind.__struct_config__.tag}"
        return Wrong(_named(unknown[1]), about, f"its fields are {fields}")
    if what.startswith("Expected `str` matching"):
        return _wrong(field, "is written in another form")
    return _wrong(_named(field) or None, what[:1].lower() + what[1:])


def _wrong(field: str | None, problem: str) -> Wrong:
    return Wrong(*reading.fault(field, problem))


def _named(name: str) -> str:
    """A name from the file, bounded."""
    return name if len(name) <= NAME_CHARACTERS_MAX else f"{name[:NAME_CHARACTERS_MAX]}..."
