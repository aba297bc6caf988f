"""`riskctl trigger`, `recover`, `complete-recovery`, `freeze`, `unfreeze` and `halts`.

A person on a terminal is told what is about to happen and asked, unless --yes. A program is never
asked: what it calls is done. Before a trigger there is no round trip that nobody reads.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from ...actors.messages import (
    CompleteRecovery,
    Freeze,
    HaltsAre,
    Recover,
    Scope,
    ShowHalts,
    SwitchIs,
    Trigger,
    Unfreeze,
)
from . import options
from . import show_halting as show
from .options import SCOPES, approver, everywhere, reason_option, span, yes_option
from .talk import (
    COMPLETION_TIMEOUT_S,
    NOT_CONFIRMED,
    NOT_REACHABLE,
    Failure,
    ask,
    confirm,
    emit,
    settings,
)

F = TypeVar("F", bound=Callable[..., Any])
LOOK_S_MAX = 1.0
"""For what is said before a trigger. A riskd that takes longer to tell may still obey at once."""


# --- what is given --------------------------------------------------------------------------------


def _in_force(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Scopes that have a halt now, and `all`."""
    with ctx.scope(cleanup=False):
        settings().timeout = COMPLETION_TIMEOUT_S
        try:
            found = [str(halt.get("scope")) for halt in _look().get("halts", [])]
        except Failure:
            found = []
    names = dict.fromkeys(["all", *found])
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


_scope = options.fits(Scope, f"a scope: write {SCOPES}")
_scope_argument = click.argument("scope", callback=_scope, shell_complete=_in_force)
# --- what there is --------------------------------------------------------------------------------


def _look() -> dict[str, Any]:
    """What is halted now."""
    reply = ask(ShowHalts(), HaltsAre)
    return {"kill_switch": reply.kill_switch, "halts": reply.halts}


def _glance() -> dict[str, Any] | None:
    """The same, if it comes soon. Only where nobody listens there is nothing to go on with."""
    patience_s = settings().timeout
    settings().timeout = min(patience_s, LOOK_S_MAX)
    try:
        return _look()
    except Failure as failure:
        if failure.status == NOT_REACHABLE and failure.more.get("reason") != "timeout":
            raise
        return None
    finally:
        settings().timeout = patience_s


class _Unwritten(Failure):
    """It is in force, and the next riskd may know nothing of it."""

    on_stderr = True


def _check_written(document: dict[str, Any]) -> None:
    """After what stops trading: was it recorded, or is it in riskd's memory alone?"""
    doubt = document["kill_switch"].get("doubt")
    if doubt:
        said = f"in force as long as this riskd runs, and not to be relied on after it: {doubt}"
        raise _Unwritten(NOT_CONFIRMED, "not_confirmed", said)


def _document(reply: SwitchIs | HaltsAre) -> dict[str, Any]:
    return {"changed": reply.changed, "kill_switch": reply.kill_switch, "halts": reply.halts}


# --- commands -------------------------------------------------------------------------------------


@click.command()
@reason_option
@click.option(
    "--scope", default="all", callback=_scope, shell_complete=_in_force, help=f"{SCOPES}."
)
@yes_option
@everywhere
def trigger(reason: str, scope: str, *, yes: bool) -> None:
    """Stop everything now: the kill switch. With --scope, everything in that.

    The way back: recover, the cooldown, complete-recovery. Of a scope: unfreeze.
    """
    question = "Stop everything?" if scope == "all" else f"Stop {scope}?"
    confirm(lambda: show.before_trigger(_glance(), scope), question, yes=yes)
    command = Trigger(reason=reason, scope=scope)
    if scope == "all":
        reply = _document(ask(command, SwitchIs, changes=True))
        emit(reply, show.triggered(reply))
    else:
        reply = _document(ask(command, HaltsAre, changes=True))
        emit(reply, show.placed(reply, scope))
    _check_written(reply)


@click.command()
@approver(required=True)
@yes_option
@everywhere
def recover(approved_by: str, *, yes: bool) -> None:
    """Begin the way back from a kill. Nothing trades before complete-recovery."""
    confirm(lambda: show.before_recover(_look()), "Begin the recovery?", yes=yes)
    reply = _document(ask(Recover(approved_by=approved_by), SwitchIs, changes=True))
    emit(reply, show.recovering(reply))


@click.command("complete-recovery")
@yes_option
@everywhere
def complete_recovery(*, yes: bool) -> None:
    """Trade again, after the cooldown and when every account is reconciled."""
    confirm(lambda: show.before_complete(_look()), "Trade again?", yes=yes)
    reply = _document(ask(CompleteRecovery(), SwitchIs, changes=True))
    emit(reply, show.completed(reply))


@click.command()
@_scope_argument
@reason_option
@click.option(
    "--for",
    "for_s",
    metavar="SPAN",
    callback=span,
    help="For so long: 90s, 15m, 2h, 1d, 1h30m.  [default: until it is lifted]",
)
@click.option("--until-session", "session", is_flag=True, help="Until the session's reset.")
@click.option("--reduce-only", is_flag=True, help="Let pass what makes a position smaller.")
@yes_option
@everywhere
def freeze(
    scope: str, reason: str, for_s: float | None, *, session: bool, reduce_only: bool, yes: bool
) -> None:
    """Halt SCOPE: all, or one of account, exchange, strategy, symbol, worker, as in account:main.

    The strictest of all halts that cover an order counts.
    """
    if session and for_s is not None:
        raise click.UsageError("--for and --until-session exclude each other")
    lasting = "until it is lifted"
    if for_s is not None:
        lasting = f"for {show.duration(for_s)}"
    elif session:
        lasting = "until the session's reset"
    confirm(
        lambda: show.before_freeze(_look(), scope, lasting, reduce_only=reduce_only),
        f"Freeze {scope}?",
        yes=yes,
    )
    command = Freeze(
        scope=scope, reason=reason, reduce_only=reduce_only, for_s=for_s, session=session
    )
    reply = _document(ask(command, HaltsAre, changes=True))
    emit(reply, show.placed(reply, scope))
    _check_written(reply)


@click.command()
@_scope_argument
@reason_option
@approver(required=False)
@yes_option
@everywhere
def unfreeze(scope: str, reason: str, approved_by: str | None, *, yes: bool) -> None:
    """Lift the halts of exactly SCOPE, whoever placed them. Those of a wider one stay in force."""
    confirm(lambda: show.before_unfreeze(_look(), scope), f"Unfreeze {scope}?", yes=yes)
    command = Unfreeze(scope=scope, reason=reason, approved_by=approved_by)
    reply = _document(ask(command, HaltsAre, changes=True))
    emit(reply, show.lifted(reply, scope))


@click.command()
@everywhere
def halts() -> None:
    """What stops trading now, why, and until when."""
    found = _look()
    emit(found, show.in_force(found))


COMMANDS = (trigger, recover, complete_recovery, freeze, unfreeze, halts)
