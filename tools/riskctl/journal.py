"""`riskctl journal`: reading what riskd has written, from its files or as it writes.

The commands and what they take from a person are here; `history` reads files, `export` writes some,
`follow` listens to riskd. They are loaded when they are needed, for `riskctl status` must not wait
for them.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .options import PATH, everywhere, moment

if TYPE_CHECKING:
    from .history import Asked

F = TypeVar("F", bound=Callable[..., Any])
LSN_MAX = 2**63 - 1
_HEAD = re.compile(r"(\d{1,18})[: ]([0-9a-f]{64})", re.IGNORECASE)


def _tags(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Names of kinds of facts."""
    import difflib  # noqa: PLC0415 - see the top

    from ...actors.core.selection import FACT_TAGS  # noqa: PLC0415 - see the top

    for value in values:
        if value not in FACT_TAGS:
            near = difflib.get_close_matches(value, FACT_TAGS, n=1)
            meant = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(FACT_TAGS)}"
            raise click.BadParameter(f"no fact is called {value!r}; {meant}")
    return values


def _head(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, str] | None:
    """What `verify` printed as head, earlier."""
    if value is None:
        return None
    match = _HEAD.fullmatch(value.strip())
    if match is None:
        raise click.BadParameter(f"{value!r} is no head: write LSN:HEX, with what verify printed")
    return int(match[1]), match[2].lower()


_DIRECTORY = click.option(
    "--dir",
    "directory",
    type=PATH,
    metavar="PATH",
    help="The state directory, or the journal in it.  [default: this user's state directory]",
)
_LSN = click.IntRange(1, LSN_MAX)


def _with(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorated(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorated


by_kind = _with(
    click.option(
        "--fact",
        "facts",
        metavar="TAG",
        multiple=True,
        callback=_tags,
        help="Only this kind. Repeatable.",
    ),
    click.option("--actor", metavar="NAME", help="Only those of this actor or supervisor."),
    click.option("--account", metavar="NAME", help="Only those of this account."),
)
choosing = _with(
    _DIRECTORY,
    click.option("--from", "first", type=_LSN, metavar="LSN", help="The first that is wanted."),
    click.option("--to", "last", type=_LSN, metavar="LSN", help="The last."),
    click.option(
        "--since",
        metavar="TIME",
        callback=moment,
        help="Only those from this time on: 2026-11-21T12:30:00Z, or 15m, 2h, 3d ago.",
    ),
    click.option("--until", metavar="TIME", callback=moment, help="Only those before this time."),
    by_kind,
)


def _asked(directory: Path | None, first: int | None, last: int | None, **chosen: Any) -> "Asked":
    from ...actors.core.selection import Selection  # noqa: PLC0415 - see the top
    from .history import Asked  # noqa: PLC0415 - see the top

    return Asked(directory, first, last, Selection(**chosen))


@click.group()
def journal() -> None:
    """Read, follow, export and verify what riskd has written.

    All but tail read the files: they need no riskd, and a running one does not matter.
    """


@journal.command()
@click.argument("file", type=PATH, required=False)
@choosing
@everywhere
def dump(file: Path | None, **options: Any) -> None:
    """Print facts: one a line on a terminal, else one JSON document a line, as it is stored.

    FILE is one segment, live, archived or kept as evidence; without it, the whole journal is read.
    With --json there are JSON lines on a terminal too, and a failure is told on stderr.
    """
    from . import history  # noqa: PLC0415 - see the top

    if file is not None and options["directory"] is not None:
        raise click.UsageError("FILE and --dir exclude each other")
    history.dump(_asked(**options), file)


@journal.command()
@choosing
@everywhere
def stats(**options: Any) -> None:
    """How many facts of which kind there are, and what they take on the disk."""
    from . import history  # noqa: PLC0415 - see the top

    history.stats(_asked(**options))


@journal.command()
@click.argument("file", type=PATH)
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv", "sqlite"]),
    help="What to write.  [default: by FILE's suffix]",
)
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@choosing
@everywhere
def export(file: Path, form: str | None, *, force: bool, **options: Any) -> None:
    """Write facts to FILE, as JSON lines, CSV or an SQLite database.

    CSV has the columns lsn, at, type and body, the fact as JSON. SQLite has a table `facts` of
    these and monotonic_s, and a view for each kind of fact with its fields as columns.
    """
    from . import export as exporting  # noqa: PLC0415 - see the top

    exporting.export(_asked(**options), file, exporting.form_of(file, form), force=force)


@journal.command()
@click.option(
    "--against",
    callback=_head,
    metavar="LSN:HEX",
    help="A head that was printed earlier: is history up to there still the same?",
)
@_DIRECTORY
@everywhere
@click.pass_context
def verify(ctx: click.Context, directory: Path | None, against: tuple[int, str] | None) -> None:
    """Check every byte, and print the head: what proves later that nothing was changed.

    Exit status: 1 when there is a problem. Each is one line, with file, offset, fact and remedy.
    """
    from . import history  # noqa: PLC0415 - see the top

    if not history.verify(directory, against):
        ctx.exit(1)


@journal.command()
@click.option(
    "--give-up",
    type=_LSN,
    metavar="LSN",
    help="Do it: the number of the fact where the damage begins, as this command names it.",
)
@click.option("--yes", is_flag=True, help="Ask nothing on a terminal.")
@_DIRECTORY
@everywhere
def repair(directory: Path | None, give_up: int | None, *, yes: bool) -> None:
    """Go on without what is damaged, when there is no copy to restore.

    riskd repairs by itself what a crash has left. This is for the rest, and for a person: without
    --give-up it says what is damaged and what going on would cost, and changes nothing. Every byte
    is kept beside the journal. riskd must not run.
    """
    from . import repair as repairing  # noqa: PLC0415 - see the top

    repairing.repair(directory, give_up, yes=yes)


@journal.command()
@click.option(
    "-n",
    "count",
    type=click.IntRange(0, LSN_MAX),
    default=10,
    show_default=True,
    help="Begin so many facts back, of whatever kind.",
)
@click.option("--from", "first", type=_LSN, metavar="LSN", help="Begin at this fact instead.")
@click.option("--follow/--no-follow", default=True, help="Wait for more.  [default: follow]")
@by_kind
@everywhere
def tail(count: int, first: int | None, *, follow: bool, **chosen: Any) -> None:
    """Print the newest facts as dump does, and those that come, until Ctrl-C.

    Asks riskd. When riskd is restarted it goes on where it was, without a gap or a repeat.
    """
    from . import follow as following  # noqa: PLC0415 - see the top

    following.tail(first, count, chosen, follow=follow)
