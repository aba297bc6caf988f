"""Lines and tables on a terminal, or plain text for whatever else reads the output.

Plain text holds no escape codes and is never cut to a width. What comes from riskd may hold words
of a broker or a worker, so control characters are taken out before anything reaches a terminal.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

import click

Mood = Literal["plain", "good", "warn", "bad"]


class Line(NamedTuple):
    text: str
    mood: Mood = "plain"


class Table(NamedTuple):
    """Every row has as many cells as there are heads. `moods` has one entry a row, or none."""

    heads: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    moods: Sequence[Mood] = ()
    numbers: frozenset[str] = frozenset()
    """Heads of columns that stand to the right."""
    spare: tuple[str, ...] = ()
    """Heads of columns that a narrow terminal leaves out, the first of them first."""


Page = Sequence[Line | Table]

GAP = 2
"""Between columns."""
PLACES = 8
"""Behind the point. As many as the smallest lots have."""


def clean(text: str) -> str:
    """The text without anything that a terminal would obey."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text)


def brief(number: str) -> str:
    """A number that a person can take in: what is behind so many places is cut off, never rounded
    up, and that it is cut off is shown. --json has all of it."""
    whole, point, places = number.partition(".")
    if len(places) <= PLACES or not places.isdecimal():
        return number
    return f"{whole}{point}{places[:PLACES]}…"


class Unprinted(Exception):
    """Stdout took no more. Whether the command was done is no longer known to its reader."""


@contextlib.contextmanager
def _printing() -> Iterator[None]:
    """That the reader has left is no error, for the command itself is done; a full disk is one,
    and must not look like a refusal of riskd's."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        _abandon_stdout()
    except OSError as error:
        _abandon_stdout()
        click.echo(f"riskctl: the answer could not be printed: {error.strerror}", err=True)
        raise Unprinted from None


def _abandon_stdout() -> None:
    """What is still in the buffer would fail again, with a traceback, when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def write(text: str) -> None:
    """Print to stdout."""
    with _printing():
        click.echo(text)


def write_pieces(pieces: Iterable[bytes]) -> None:
    """Print them as they come, until there are no more or nobody reads."""
    with _printing():
        sys.stdout.flush()
        for piece in pieces:
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()


@contextlib.contextmanager
def progress(what: str, count: Callable[[], int]) -> Iterator[Callable[[int], None]]:
    """How far it is, on a terminal, as soon as it takes long; call what it gives with the number
    that is done. `count` is asked for the whole when somebody sees it."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from .terminal import bar  # noqa: PLC0415 - rich costs as much as all else here

    with bar(what, count()) as advance:
        yield advance


def write_page(page: Page) -> None:
    if sys.stdout.isatty():
        from .terminal import write_rich  # noqa: PLC0415 - rich costs as much as all else here

        with _printing():
            write_rich(page)
    else:
        write(plain(page))


def plain(page: Page) -> str:
    """Without anything that a terminal would obey."""
    return "\n".join(line for part in page for line in _plain(part))


def _plain(part: Line | Table) -> list[str]:
    if isinstance(part, Line):
        return [clean(part.text)]
    lines = [part.heads, *(tuple(clean(cell) for cell in row) for row in part.rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(part.heads))]
    places = [str.rjust if head in part.numbers else str.ljust for head in part.heads]
    return [
        (GAP * " ")
        .join(place(cell, width) for place, cell, width in zip(places, line, widths, strict=True))
        .rstrip()
        for line in lines
    ]


def fitting(part: Table, width: int) -> tuple[Table, list[str]]:
    """As many columns as there is room for, and which were left out."""
    wide = dict.fromkeys(part.heads, 0)
    for line in (part.heads, *part.rows):
        for head, cell in zip(part.heads, line, strict=True):
            wide[head] = max(wide[head], len(clean(cell)))
    left_out = []
    for head in part.spare:
        if sum(wide.values()) + GAP * (len(wide) - 1) <= width:
            break
        if head in wide:
            del wide[head]
            left_out.append(head)
    if not left_out:
        return part, []
    kept = [column for column, head in enumerate(part.heads) if head in wide]
    rows = [tuple(row[column] for column in kept) for row in part.rows]
    return part._replace(heads=tuple(part.heads[column] for column in kept), rows=rows), left_out
