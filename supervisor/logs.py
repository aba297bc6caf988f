"""Logs: events with key-values, for a person at a terminal or as JSON lines, and never in the way.

Writing to a terminal or a pipe may block for as long as nobody reads. So a thread of its own
writes, from a bounded queue; when that is full, lines are dropped, counted, and the count is
written as soon as there is room. What riskd must remember is a fact in its ledger, not a log line.

One event is one line that begins at the margin. Names and values come from outside as well, so for
people they are quoted where a terminal or an eye could be deceived, and the lines of a traceback
are indented. No traceback shows the values of variables, for some are secrets.
"""

import contextlib
import os
import queue
import re
import select
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Literal, TextIO

import attrs
import msgspec
import structlog
from structlog.typing import EventDict, WrappedLogger

LINES_MAX = 10_000
VALUE_CHARS_MAX = 16_384
"""Beyond it a value is cut, and says so: it is a mistake, or an attempt to fill the disk."""

Format = Literal["auto", "console", "json"]
Level = Literal["debug", "info", "warning", "error"]
_LEVELS: dict[str, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_CRITICAL = 50
_PLAIN = re.compile(r"[\w./:@+#-]+", re.ASCII)
_COLUMNS = ("timestamp", "level", "event")
"""What every event has. It comes first."""
_BLOCKS = ("exception", "stack")
"""What is shown below its event, line by line."""


class Writer:
    """The far end of all loggers. `write` never waits."""

    def __init__(self, stream: TextIO, lines_max: int = LINES_MAX) -> None:
        self.level: Level = "info"
        self.tell_dropped: Callable[[int], str] = "log.dropped lines={}".format
        # Past the stream's buffer and its lock: a thread that waits for a reader while it holds the
        # lock would make the interpreter abort at its exit.
        self._file = os.dup(stream.fileno())
        self._queue: queue.Queue[str | None] = queue.Queue(lines_max)
        self._dropped = 0
        self._thread = threading.Thread(target=self._drain, name="riskd-log", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        try:
            if self._dropped:
                self._queue.put_nowait(self.tell_dropped(self._dropped))
                self._dropped = 0
            self._queue.put_nowait(line)
        except queue.Full:
            self._dropped += 1

    def close(self, timeout_s: float = 1.0) -> None:
        """Write what is queued, but don't wait for a reader that has gone away."""
        deadline = time.monotonic() + timeout_s
        last = [self.tell_dropped(self._dropped)] if self._dropped else []
        self._dropped = 0
        try:
            for line in (*last, None):
                self._queue.put(line, timeout=max(0.0, deadline - time.monotonic()))
        except queue.Full:
            return
        self._thread.join(max(0.0, deadline - time.monotonic()))

    def _drain(self) -> None:
        while (line := self._queue.get()) is not None:
            # When the reader is gone for good riskd goes on, and its facts are in the ledger.
            with contextlib.suppress(OSError):
                self._write_all(f"{line}\n".encode("utf-8", "backslashreplace"))
        os.close(self._file)

    def _write_all(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._file, data) :]
            except BlockingIOError:  # whoever shares the terminal with us has made it so
                select.select([], [self._file], [])

    # structlog calls the method that is named for the level.
    debug = info = warning = error = critical = msg = write


def configure(format_: Format, level: Level, stream: TextIO | None = None) -> Writer:
    """Make every structlog logger of this process write to a stream, which is standard error.

    Returns the writer, to close it.
    """
    stream = stream or sys.stderr
    writer = Writer(stream)
    writer.level = level
    readable = format_ == "console" or (format_ == "auto" and stream.isatty())
    render = _for_people(colours=stream.isatty()) if readable else _as_json
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    writer.tell_dropped = lambda lines: render(
        writer, "warning", stamp(writer, "warning", _dropped_event(lines))
    )
    structlog.configure(
        processors=[
            _drop_unimportant(writer),
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            stamp,
            structlog.processors.format_exc_info,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(0),
        logger_factory=lambda *_: writer,
        cache_logger_on_first_use=True,
    )
    return writer


def _dropped_event(lines: int) -> EventDict:
    return {"event": "log.dropped", "lines": lines, "level": "warning"}


def _drop_unimportant(writer: Writer) -> Callable[[WrappedLogger, str, EventDict], EventDict]:
    """By the level of the moment: a reload changes it for loggers that exist already."""

    def processor(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        if _LEVELS.get(method, _CRITICAL) < _LEVELS[writer.level]:
            raise structlog.DropEvent
        return event

    return processor


# --- for programs ---------------------------------------------------------------------------------


def _as_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """One JSON document, whatever the values are. When and what come first, for who reads raw."""
    first = {key: event.pop(key) for key in _COLUMNS if key in event}
    ordered = {key: _bounded(value) for key, value in {**first, **event}.items()}
    try:
        return msgspec.json.encode(ordered, enc_hook=str).decode()
    except (TypeError, ValueError, RecursionError):
        # Such as half a surrogate pair, or a list that contains itself.
        return msgspec.json.encode({_ascii(k): _ascii(v) for k, v in ordered.items()}).decode()


def _ascii(value: object) -> str:
    text = value if isinstance(value, str) else _cut(repr(value))
    return text.encode("ascii", "backslashreplace").decode()


def _bounded(value: object) -> object:
    return _cut(value) if isinstance(value, str) else value


def _cut(text: str) -> str:
    rest = len(text) - VALUE_CHARS_MAX
    return text if rest <= 0 else f"{text[:VALUE_CHARS_MAX]}… and {rest} more"


# --- for people -----------------------------------------------------------------------------------


def _for_people(*, colours: bool) -> Callable[[WrappedLogger, str, EventDict], str]:
    console = structlog.dev.ConsoleRenderer(
        colors=colours,
        sort_keys=False,
        # Tracebacks are text by now. The default would show local variables, and warns of text.
        exception_formatter=structlog.dev.plain_traceback,
    )

    def render(logger: WrappedLogger, method: str, event: EventDict) -> str:
        blocks = {key: _indented(event.pop(key)) for key in _BLOCKS if key in event}
        columns = {key: _quoted(event.pop(key)) for key in _COLUMNS if key in event}
        values = {_quoted(key): _Shown(_quoted(value)) for key, value in event.items()}
        return console(logger, method, {**columns, **values, **blocks})

    return render


@attrs.frozen(repr=False)
class _Shown:
    """A value that is quoted already, so that structlog does not do it a second time."""

    text: str

    def __repr__(self) -> str:
        return self.text


def _quoted(value: object) -> str:
    """As it is when it can deceive nobody, else with quotes and escapes."""
    if not isinstance(value, str):
        text = _cut(_worded(value))
        return text if text.isprintable() else repr(text)
    return value if _PLAIN.fullmatch(value) else repr(_cut(value))


def _worded(value: object) -> str:
    """Parts of facts as the journal has them, not as Python would write them."""
    if isinstance(value, msgspec.Struct | tuple | datetime | Decimal):
        with contextlib.suppress(TypeError, ValueError, RecursionError):
            text = msgspec.json.encode(value).decode()
            return text[1:-1] if isinstance(value, datetime | Decimal) else text
    return repr(value)


def _indented(block: object) -> str:
    """Each line off the margin, where events begin."""
    lines = block if isinstance(block, list | tuple) else _cut(str(block)).splitlines()
    return "\n".join(f"    {_visible(str(line))}" for line in lines)


def _visible(line: str) -> str:
    return line if line.isprintable() else repr(line)[1:-1]
