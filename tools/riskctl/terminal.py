"""Pages on a terminal, with rich. Loaded only when stdout is one."""

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import Progress
from rich.table import Table as RichTable
from rich.text import Text

from .page import Line, Mood, Page, Table, clean

_STYLES: dict[Mood, str] = {"plain": "", "good": "green", "warn": "yellow", "bad": "bold red"}


PATIENCE_S = 0.5
"""What is done by then needs no bar."""


def write_rich(page: Page) -> None:
    """Colours for what is not well, and long cells folded: a terminal shows all of them."""
    console = Console(highlight=False, markup=False, emoji=False)
    for part in page:
        if isinstance(part, Line):
            console.print(clean(part.text), style=_STYLES[part.mood])
        else:
            console.print(_table(part))


def _table(part: Table) -> RichTable:
    table = RichTable(box=None, pad_edge=False, header_style="bold")
    for position, head in enumerate(part.heads):
        # A name is what one types next, so it stays whole; what is long is folded instead.
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
