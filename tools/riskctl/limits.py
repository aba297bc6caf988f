"""`riskctl limits`, `limits set` and `limits reset`."""

import tomllib
from typing import Any

import click
from click.shell_completion import CompletionItem

from ...actors.messages import (
    LimitsAre,
    LimitsChanged,
    Name,
    Rearmed,
    RearmRule,
    ResetLimit,
    Scope,
    SetLimit,
    ShowLimits,
)
from ...actors.messages.limits import Key, RuleId, Value
from . import show_limits as show
from .options import SCOPES, approver, everywhere, fits, reason_option, yes_option
from .page import Line
from .talk import COMPLETION_TIMEOUT_S, Failure, ask, confirm, emit, settings

UNSET = "unset"
"""What a person writes for no value."""
Document = dict[str, Any]


def _rules(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    with ctx.scope(cleanup=False):
        settings().timeout = COMPLETION_TIMEOUT_S
        try:
            names = [str(row["rule"]) for row in ask(ShowLimits(), LimitsAre).limits]
        except Failure:
            return []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _value(_: click.Context, __: click.Parameter, said: str) -> Value:
    """A list is written as in the configuration. All else is text, so that no digit is lost."""
    if said == UNSET:
        return None
    if not said.startswith("["):
        return said
    try:
        found = tomllib.loads(f"value = {said}", parse_float=str)["value"]
    except tomllib.TOMLDecodeError as error:
        raise click.BadParameter(f"{said!r} is no list as in TOML: {error}") from None
    return [str(each) for each in found]


_rule_argument = click.argument(
    "rule",
    callback=fits(RuleId, "a rule: write the name that `riskctl limits` shows"),
    shell_complete=_rules,
)


@click.group(invoke_without_command=True)
@click.option(
    "--account",
    metavar="NAME",
    callback=fits(Name, "a name: write 1 to 128 characters"),
    help="Only what orders of this account can meet.",
)
@click.option(
    "--scope",
    callback=fits(Scope, f"a scope: write {SCOPES}"),
    help="Only the rules of exactly this scope.",
)
@everywhere
@click.pass_context
def limits(ctx: click.Context, account: str | None, scope: str | None) -> None:
    """The limits in force: how far each is used, and where it is from."""
    if ctx.invoked_subcommand is None:
        found = _look(account, scope)
        emit(found, show.limits(found))
    elif account or scope:
        raise click.UsageError("--account and --scope are for the table alone")


def _look(account: str | None = None, scope: str | None = None) -> Document:
    """All of them, however many riskd tells at a time."""
    reply = ask(ShowLimits(account=account, scope=scope), LimitsAre)
    rows = list(reply.limits)
    while reply.more:
        after = str(rows[-1]["rule"])
        reply = ask(ShowLimits(account=account, scope=scope, after=after), LimitsAre)
        rows += reply.limits
    return {
        "lsn": reply.lsn,
        "on_excess": reply.on_excess,
        "on_excess_of": reply.on_excess_of,
        "limits": rows,
    }


def _row(rule: str) -> Document | None:
    return next((row for row in _look()["limits"] if row.get("rule") == rule), None)


@limits.command("set")
@_rule_argument
@click.argument("key", callback=fits(Key, "a key: write 1 to 64 characters"))
@click.argument("value", callback=_value)
@reason_option
@approver(required=False)
@yes_option
@everywhere
def set_limit(
    rule: str, key: str, value: Value, reason: str, approved_by: str | None, *, yes: bool
) -> None:
    """Set KEY of RULE to VALUE, until it is reset or the file says something else of it.

    What tightens is in force at once. What loosens needs the disk, and with security.two_person
    another operator's approval. VALUE `unset` takes the key away; a list is written as in TOML.
    """
    words = UNSET if value is None else value if isinstance(value, str) else ", ".join(value)
    what = f"{key} is to be {words}"
    confirm(lambda: show.before_change(_row(rule), rule, what), "Change it?", yes=yes)
    command = SetLimit(rule=rule, key=key, value=value, reason=reason, approved_by=approved_by)
    _emit(ask(command, LimitsChanged, changes=True))


@limits.command("reset")
@_rule_argument
@click.argument("key", required=False, callback=fits(Key, "a key: write 1 to 64 characters"))
@click.option("--reason", metavar="TEXT", help="Why; it is kept.")
@approver(required=False)
@yes_option
@everywhere
def reset_limit(
    rule: str, key: str | None, reason: str | None, approved_by: str | None, *, yes: bool
) -> None:
    """Go back to what the configuration says of RULE, or of its KEY alone."""
    what = f"{key or 'all that was set by hand'} is to be as in the configuration"
    confirm(lambda: show.before_change(_row(rule), rule, what), "Reset it?", yes=yes)
    command = ResetLimit(rule=rule, key=key, reason=reason, approved_by=approved_by)
    _emit(ask(command, LimitsChanged, changes=True))


@limits.command("rearm")
@_rule_argument
@reason_option
@approver(required=False)
@yes_option
@everywhere
def rearm(rule: str, reason: str, approved_by: str | None, *, yes: bool) -> None:
    """Let RULE begin anew when it has latched: it forgets what it counted.

    It needs the disk, and with security.two_person another operator's approval.
    """
    what = "what it counted is to be forgotten"
    confirm(lambda: show.before_change(_row(rule), rule, what), "Rearm it?", yes=yes)
    command = RearmRule(rule=rule, reason=reason, approved_by=approved_by)
    reply = ask(command, Rearmed, changes=True)
    emit({"lsn": reply.lsn, "rule": reply.rule}, [Line(f"{reply.rule} begins anew")])


def _emit(reply: LimitsChanged) -> None:
    document = {"lsn": reply.lsn, "changes": reply.changes}
    same = [Line("nothing was changed: it is so already")]
    emit(document, show.changes(reply.changes) if reply.changes else same)
