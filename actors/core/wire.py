"""Bytes to commands: newline-delimited JSON, bounded, and never more than one bad line at a time.

`Lines` cuts a stream into lines and holds at most one unfinished line of `limit` bytes; `parse`
makes a command of a line, or the error that says what is wrong with it and where. Both are pure, so
that any chunking of any bytes can be tried without a socket.

Whatever a line holds, the answer is a value: malformed JSON, bytes that are no UTF-8, nesting
deeper than the decoder goes. Of a key that occurs twice the last one counts, as nearly every JSON
reader has it; two different values of `type` are an error.
"""

import re
from collections.abc import Iterator
from typing import Any, Literal, get_args

import msgspec

from ..messages import ClientCommand, Error, MessageId, ReportEvents
from .book import reading

ErrorCode = Literal[
    "invalid_json",
    "unknown_type",
    "unknown_field",
    "missing_field",
    "invalid_value",
    "line_too_long",
    "too_many_clients",
    "not_permitted",
    "unavailable",
    "not_confirmed",
    "feed_lost",
    "internal",
]
"""Every code that an `error` reply can carry."""

COMMAND_TAGS = tuple(sorted(str(c.__struct_config__.tag) for c in get_args(ClientCommand)))
FIELD_CHARACTERS_MAX = 128
"""A field's name comes from the client: what goes back of it, and into logs, is bounded."""

_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING_FIELD = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_commands: msgspec.json.Decoder[ClientCommand] = msgspec.json.Decoder(ClientCommand)


class _OnlyId(msgspec.Struct):
    id: MessageId = 0


class _OnlyEvents(msgspec.Struct):
    events: list[dict[str, Any]]


_ids = msgspec.json.Decoder(_OnlyId)
_events = msgspec.json.Decoder(_OnlyEvents, float_hook=reading.Inexact)


class LineTooLong(Exception):
    """The line passed the limit before it ended. The fault is the client's."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"a line may have {limit} bytes and this one has more")


class Lines:
    """Cuts chunks into lines. After LineTooLong it must not be fed again."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._partial = bytearray()

    @property
    def pending(self) -> int:
        """How many bytes of an unfinished line are held."""
        return len(self._partial)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The lines that this chunk ends, without their newline; then LineTooLong if it is."""
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            self._grow(end)
            yield bytes(self._partial)
            self._partial.clear()
        self._grow(rest)

    def _grow(self, piece: bytes) -> None:
        if len(self._partial) + len(piece) > self._limit:
            raise LineTooLong(self._limit)
        self._partial += piece


def blank(line: bytes) -> bool:
    """Nothing but white space: no command, and no error either."""
    return not line.strip(b" \t\r")


def parse(line: bytes) -> ClientCommand | Error:
    """The command of one line, or what is wrong with the line. Never raises."""
    try:
        command = _commands.decode(line)
        return (_inexact(command, line) or command) if type(command) is ReportEvents else command
    except msgspec.ValidationError as error:
        code, field, message = _explain(str(error))
        return Error(id=_id_of(line), code=code, message=message, field=field)
    except msgspec.DecodeError as error:
        return _unreadable(str(error))
    except UnicodeDecodeError:
        return _unreadable("the line is not valid UTF-8")
    except RecursionError:
        return _unreadable("the line is nested too deeply")


def _inexact(report: ReportEvents, line: bytes) -> Error | None:
    """What is wrong with the numbers of a report: a decoder of decimals takes more than digits, and
    floats. So its events are read once more, as they are written."""
    code: ErrorCode = "invalid_value"
    try:
        events = _events.decode(line).events
    except msgspec.ValidationError:
        said = f"an event holds a whole number that is too long; {reading.NUMBER}"
        return Error(id=report.id, code=code, message=said, field="events")
    for index, event in enumerate(events):
        if found := reading.inexact(event):
            said = f"{found.problem}; {found.remedy}"
            field = f"events[{index}].{found.field}"
            return Error(id=report.id, code=code, message=said, field=field)
    return None


def _unreadable(message: str) -> Error:
    code: ErrorCode = "invalid_json"
    return Error(code=code, message=message)


def _explain(text: str) -> tuple[ErrorCode, str | None, str]:
    """Code, field and message out of msgspec's text: `what - at `$.path``."""
    what, found, path = text.rpartition(" - at `$")
    what, path = (what, path.removesuffix("`").removeprefix(".")) if found else (text, "")
    if unknown := _UNKNOWN_FIELD.fullmatch(what):
        field = _joined(path, unknown[1])
        return "unknown_field", field, f"there is no field {field!r} here"
    if missing := _MISSING_FIELD.fullmatch(what):
        field = _joined(path, missing[1])
        return "missing_field", field, f"the field {field!r} is missing"
    if path == "type" and what.startswith("Invalid value"):
        return "unknown_type", path, f"no such command; one of: {', '.join(COMMAND_TAGS)}"
    return "invalid_value", path or None, what


def _joined(path: str, name: str) -> str:
    return (f"{path}.{name}" if path else name)[:FIELD_CHARACTERS_MAX]


def _id_of(line: bytes) -> MessageId | None:
    """The id of a line that is JSON but no command; 0 when it has none, as in a command."""
    try:
        return _ids.decode(line).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
