"""`riskctl book`: the book from a file of events, without riskd.

The command is here; `replay` reads the file and `show_book` puts it into words. They are loaded
when they are needed, for `riskctl status` must not wait for them.
"""

import click

from .options import everywhere


@click.group()
def book() -> None:
    """Positions, orders and worth, folded from events. Needs no riskd."""


@book.command()
@click.argument("file", type=click.Path(readable=False))
@everywhere
def replay(file: str) -> None:
    """Fold the events of FILE, one JSON object a line, and print what the book then says.

    `-` reads standard input. The events and what is printed are in docs/book.md. Exit status: 2
    when a line can't be taken; nothing of the book is printed then.
    """
    from . import replay as replaying  # noqa: PLC0415 - see the top

    replaying.replay(file)
