"""Where an error came from, or a thread stands, in few lines: places in the code, and never what
variables held.

The source itself is not quoted, for that would mean to read from a disk, which may hang.
"""

import traceback
from collections import deque
from collections.abc import Iterator
from itertools import islice
from types import FrameType

from .tree import describe

FRAMES_MAX = 20
"""Of one error, the innermost: where it was raised tells most."""
LINES_MAX = 60
CHARS_MAX = 200
"""Of a line."""
STANDING_MAX = 60
"""Frames of a thread, the innermost."""
PARTS_MAX = 3
"""Of a group, as in its one-line description."""


def stack(error: BaseException) -> list[str]:
    """The error, its frames, innermost last; then those it holds and those it came from."""
    return [line[:CHARS_MAX] for line in islice(_lines(error, set()), LINES_MAX)]


def standing(frame: FrameType) -> list[str]:
    """The places from which a thread was called to where it stands now, innermost last."""
    frames = islice(traceback.walk_stack(frame), STANDING_MAX)
    return [_place(each, line)[:CHARS_MAX] for each, line in frames][::-1]


def _place(frame: FrameType, line: int | None) -> str:
    return f"{frame.f_code.co_filename}:{line} {frame.f_code.co_name}"


def _lines(error: BaseException, seen: set[int]) -> Iterator[str]:
    """`seen` ends a chain of causes that leads back to where it began."""
    seen.add(id(error))
    yield describe(error)
    for frame, line in deque(traceback.walk_tb(error.__traceback__), maxlen=FRAMES_MAX):
        yield f"  {_place(frame, line)}"
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions[:PARTS_MAX]:
            yield from _lines(part, seen)
    elif (cause := _cause(error)) is not None and id(cause) not in seen:
        yield "caused by"
        yield from _lines(cause, seen)


def _cause(error: BaseException) -> BaseException | None:
    if error.__cause__ is not None or error.__suppress_context__:
        return error.__cause__
    return error.__context__
