"""The commands of `riskctl`, and the one place where it ends.

Exit statuses: 0 done; 1 refused, the reason on stderr; 2 usage; 3 riskd not reachable; 4 begun but
not confirmed; 130 interrupted. With --json there is exactly one document on stdout, also when the
status is not 0; `journal dump` prints one a line instead.
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

from ...actors.messages import (
    PROTOCOL,
    ActorKilled,
    Actors,
    ActorsAre,
    ConfigIs,
    KillActor,
    PreviewReload,
    Reload,
    Reloaded,
    ReloadPreviewed,
    ShowConfig,
    Status,
    StatusIs,
    Version,
    VersionIs,
)
from . import show, show_limits, talk
from .accounts import COMMANDS as ACCOUNTS
from .audit import audit
from .book import book
from .counters import counters
from .explaining import COMMANDS as EXPLAINING
from .halting import COMMANDS as HALTING
from .journal import journal
from .limits import limits
from .options import PATH, everywhere
from .overrides import override
from .page import Line, Unprinted, clean
from .risk import risk
from .talk import Failure, ask, emit, emit_json, settings


class Program(click.Group):
    """A group whose failures leave one status each, as words or as one document."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        words = sys.argv[1:] if args is None else list(args)
        run: Callable[..., Any] = partial(super().main, words, prog_name, complete_var, **extra)
        if not standalone_mode:
            return run(standalone_mode=False)
        try:
            status = run(standalone_mode=False)
        except Failure as failure:
            _complain(failure, as_json="--json" in words and not failure.on_stderr)
            status = failure.status
        except click.ClickException as error:
            if "--json" in words:
                emit_json(Failure(talk.USAGE, "usage", error.format_message()).document())
            else:
                error.show()
            status = talk.USAGE
        except click.Abort:
            status = talk.INTERRUPTED
        except Unprinted:
            status = talk.NOT_CONFIRMED
        sys.exit(status)


def _complain(failure: Failure, *, as_json: bool) -> None:
    if as_json:
        emit_json(failure.document())
    else:
        for line in (f"riskctl: {failure.message}", *failure.problems):
            click.echo(clean(line), err=True)


def _own_version() -> str:
    # Looked up when asked for: reading the installed metadata takes longer than asking riskd.
    from ... import __version__  # noqa: PLC0415 - see above

    return __version__


def _version_only(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(f"riskctl {_own_version()}")
        ctx.exit()


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@everywhere
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version_only,
    help="Print this program's version and exit.",
)
def main() -> None:
    """Ask riskd, and tell it what to do.

    Exit status: 0 done; 1 refused; 2 usage; 3 riskd not reachable; 4 begun but not confirmed.
    """


@main.command()
@everywhere
def status() -> None:
    """Can anything trade, and is all well?"""
    reply = ask(Status(), StatusIs)
    emit(reply.status, show.status(reply.status))


@main.command()
@everywhere
def version() -> None:
    """The versions of riskctl and, when it can be reached, of riskd."""
    own = {"version": _own_version(), "protocol": PROTOCOL}
    words = [Line(f"riskctl {own['version']} (protocol {PROTOCOL})")]
    try:
        reply = ask(Version(), VersionIs)
    except Failure as failure:
        emit({"riskctl": own, "riskd": None, **failure.document()}, [*words, Line(str(failure))])
        return
    other = {"version": reply.version, "protocol": reply.protocol, "python": reply.python}
    said = f"riskd   {reply.version} (protocol {reply.protocol}, Python {reply.python})"
    emit({"riskctl": own, "riskd": other}, [*words, Line(said)])


# --- actors ---------------------------------------------------------------------------------------


@main.group(invoke_without_command=True)
@everywhere
@click.pass_context
def actors(ctx: click.Context) -> None:
    """The supervision tree: states, restarts, budgets, mailboxes."""
    if ctx.invoked_subcommand is None:
        found = ask(Actors(), ActorsAre).actors
        emit(found, show.tree(found))


def _names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    with ctx.scope(cleanup=False):
        settings().timeout = talk.COMPLETION_TIMEOUT_S
        try:
            found = ask(Actors(), ActorsAre).actors
        except Failure:
            return []
    # All that have a supervisor: only the root has nobody to restart it.
    names = [str(actor["name"]) for actor in found if actor.get("supervisor") is not None]
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


@actors.command()
@click.argument("name", shell_complete=_names)
@everywhere
def kill(name: str) -> None:
    """Crash one actor on purpose; its supervisor restarts it. Costs one restart of the budget."""
    if not 1 <= len(name) <= 128:
        raise click.BadParameter("a name has 1 to 128 characters", param_hint="NAME")
    killed = ask(KillActor(name=name), ActorKilled, changes=True)
    document = {"name": killed.name, "incarnation": killed.incarnation}
    emit(document, [Line(f"killed {killed.name}, incarnation {killed.incarnation}")])


# --- configuration --------------------------------------------------------------------------------


@main.group()
def config() -> None:
    """Check, show and reload the configuration."""


@config.command()
@click.argument("file", type=PATH)
@everywhere
def check(file: Path) -> None:
    """Is FILE a valid configuration? Names every problem at once. Needs no riskd."""
    from . import files  # noqa: PLC0415 - status must not wait for its import

    loaded = files.read(file)
    document = {"valid": True, "source": loaded.source, "digest": loaded.digest}
    emit(document, [Line(f"{loaded.source}: valid")])


@config.command(name="show")
@click.option("--file", type=PATH, help="Show this file's instead; needs no riskd.")
@everywhere
def show_config(file: Path | None) -> None:
    """The configuration in force, all defaults filled in and secrets masked."""
    if file is None:
        reply = ask(ShowConfig(), ConfigIs)
        source, document = reply.source, reply.config
    else:
        from . import files  # noqa: PLC0415 - see above

        source, document = files.shown(file)
    emit({"source": source, "config": document}, show.config(source, document))


@config.command()
@everywhere
def schema() -> None:
    """JSON Schema of the configuration file, for editors. Needs no riskd."""
    from . import files  # noqa: PLC0415 - see above

    emit_json(files.json_schema())


@config.command()
@click.option("--dry-run", is_flag=True, help="Only tell what it would change.")
@everywhere
def reload(*, dry_run: bool) -> None:
    """Have riskd read its file again. An invalid one is refused and changes nothing."""
    if dry_run:
        _preview()
        return
    reply = ask(Reload(), Reloaded, changes=True)
    document = {
        "source": reply.source,
        "changed": reply.changed,
        "needs_restart": reply.needs_restart,
        "limits": reply.limits,
        "waiting": reply.waiting,
    }
    words = show.reloaded(reply.source, reply.changed, reply.needs_restart)
    emit(document, [*words, *show_limits.reloaded(reply.limits, reply.waiting)])


def _preview() -> None:
    reply = ask(PreviewReload(), ReloadPreviewed)
    document = {
        "source": reply.source,
        "changed": reply.changed,
        "needs_restart": reply.needs_restart,
        "limits": reply.limits,
    }
    words = show.previewed(reply.source, reply.changed, reply.needs_restart)
    emit(document, [*words, *show_limits.changes(reply.limits)])


_GROUPS = (limits, override, audit, journal, book, counters, risk)
for _command in (*HALTING, *ACCOUNTS, *EXPLAINING, *_GROUPS):
    main.add_command(_command)


# --- the shell ------------------------------------------------------------------------------------


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@everywhere
def completion(shell: str) -> None:
    """Print the script that lets SHELL complete riskctl: source it in the shell's start file."""
    found = get_completion_class(shell)
    assert found is not None, "click completes every shell that the choice allows"
    script = found(main, {}, "riskctl", "_RISKCTL_COMPLETE").source()
    emit({"shell": shell, "script": script}, [Line(line) for line in script.splitlines()])
