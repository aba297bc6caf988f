"""Pages on a terminal, with rich. Loaded only when stdout is one."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import Progress
from rich.segment import Segment, Segments
from rich.table import Table as RichTable
from rich.text import Text

from .page import Line, Mood, Page, Table, clean, fitting

_STYLES: dict[Mood, str] = {"plain": "", "good": "green", "warn": "yellow", "bad": "bold red"}


PATIENCE_S = 0.5
"""What is done by then needs no bar."""


def write_rich(page: Page) -> None:
    """Colours for what is not well, and long cells folded: a terminal shows all of them."""
    console = _console()
    for part in _rich(page, console.width):
        console.print(part)


def redraw(pages: Iterable[Page]) -> None:
    """Each in the place of the one before, on a screen of its own."""
    console = _console()
    with Live(console=console, screen=True, auto_refresh=False) as live:
        for page in pages:
            live.update(_cut(page, console), refresh=True)


def _cut(page: Page, console: Console) -> RenderableType:
    """As much as the screen holds. Totals and what is odd stand at the end, so the middle goes."""
    group = Group(*_rich(page, console.width))
    lines = console.render_lines(group, console.options.update(height=None), pad=False)
    height = console.height
    if len(lines) > height:
        last = height // 3
        first = max(0, height - last - 1)
        said = f"... {len(lines) - first - last} lines more, for which the window has no room"
        cut = [Segment(said[: console.width], console.get_style("yellow"))]
        lines = [*lines[:first], cut, *lines[len(lines) - last :]]
    return Segments([each for line in lines for each in (*line, Segment.line())][:-1])


def _console() -> Console:
    return Console(highlight=False, markup=False, emoji=False)


def _rich(page: Page, width: int) -> Iterator[RenderableType]:
    for part in page:
        if isinstance(part, Line):
            yield Text(clean(part.text), style=_STYLES[part.mood])
            continue
        fit, left_out = fitting(part, width)
        yield _table(fit)
        if left_out:
            said = f"(no room here for {', '.join(left_out)}; a wider window or --json has all)"
            yield Text(said, style="dim")


def _table(part: Table) -> RichTable:
    table = RichTable(box=None, pad_edge=False, header_style="bold")
    for position, head in enumerate(part.heads):
        # A name is what one types next, so it stays whole; what is long is folded instead. A number
        # in two parts would be read as two numbers: without room for all of it that is said.
        if head in part.numbers:
            table.add_column(head, overflow="ellipsis", no_wrap=True, justify="right")
        else:
            table.add_column(head, overflow="fold", no_wrap=position == 0)
    moods = part.moods or ["plain"] * len(part.rows)
    for row, mood in zip(part.rows, moods, strict=True):
        table.add_row(*(Text(clean(cell)) for cell in row), style=_STYLES[mood])
    return table


@contextlib.contextmanager
def bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """On stderr, and gone when it is over."""
    shown = Progress(console=Console(stderr=True), transient=True)
    task = shown.add_task(what, total=total)
    begun = time.monotonic()

    def advance(done: int) -> None:
        if shown.live.is_started or time.monotonic() - begun > PATIENCE_S:
            shown.start()
            shown.update(task, completed=done)

    try:
        yield advance
    finally:
        shown.stop()
