"""`riskctl override`: request, approve, list and revoke."""

from typing import Any

import click
from click.shell_completion import CompletionItem

from ...actors.messages import (
    ApproveOverride,
    Name,
    OverrideIs,
    OverridesAre,
    Reason,
    RequestOverride,
    RevokeOverride,
    ShowOverrides,
)
from ...actors.messages.book import Symbol
from ...actors.messages.limits import RuleId
from ...actors.messages.metrics import ExactNumber
from ...actors.messages.overrides import RULES_MAX, OverrideId
from . import show_overrides as show
from .options import everywhere, fits, reason_option, span, yes_option
from .talk import COMPLETION_TIMEOUT_S, Failure, ask, confirm, emit, settings

DAY_S = 86_400.0
Document = dict[str, Any]

_number = fits(ExactNumber, "an exact number: write it as 2.5")
_rule = fits(RuleId, "a rule: write the name that `riskctl limits` shows")


def _rules(ctx: click.Context, option: click.Parameter, said: tuple[str, ...]) -> list[str]:
    if len(said) > RULES_MAX:
        raise click.BadParameter(f"{RULES_MAX} rules at most; for more, change the limits")
    return [_rule(ctx, option, each) for each in said]


def _span(ctx: click.Context, option: click.Parameter, said: str | None) -> float | None:
    found = span(ctx, option, said)
    if found is not None and found > DAY_S:
        raise click.BadParameter(f"{said!r} is more than a day")
    return found


def _names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    with ctx.scope(cleanup=False):
        settings().timeout = COMPLETION_TIMEOUT_S
        try:
            rows = ask(ShowOverrides(), OverridesAre).overrides
        except Failure:
            return []
    names = [str(row["override"]) for row in rows if row["state"] in ("requested", "approved")]
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


_id_argument = click.argument(
    "override",
    callback=fits(OverrideId, "an override: write it as ov7"),
    shell_complete=_names,
)


@click.group()
def override() -> None:
    """Let one order pass that rules object to: one person asks, another approves."""


@override.command()
@click.option(
    "--account",
    metavar="NAME",
    required=True,
    callback=fits(Name, "a name: write 1 to 128 characters"),
    help="Of the order.",
)
@click.option(
    "--symbol",
    metavar="NAME",
    required=True,
    callback=fits(Symbol, "a symbol: write 1 to 64 characters without a space"),
    help="Of the order.",
)
@click.option("--side", type=click.Choice(["buy", "sell"]), required=True, help="Of the order.")
@click.option(
    "--qty", metavar="MAX", required=True, callback=_number, help="The most that it may be."
)
@click.option(
    "--price-limit",
    metavar="PRICE",
    callback=_number,
    help="It buys for no more, or sells for no less.  [default: at any price]",
)
@click.option(
    "--rule",
    "rules",
    metavar="RULE",
    multiple=True,
    required=True,
    callback=_rules,
    help="What is not to count, as `riskctl limits` shows it. More than once for several.",
)
@click.option(
    "--for",
    "for_s",
    metavar="SPAN",
    required=True,
    callback=_span,
    help="How long from its approval on, as 10m or 2h; a day at most.",
)
@reason_option
@everywhere
def request(
    account: str,
    symbol: str,
    side: Any,
    qty: str,
    price_limit: str | None,
    rules: list[str],
    for_s: float,
    reason: str,
) -> None:
    """Ask another person to let one order pass. It permits nothing until somebody approves."""
    command = RequestOverride(
        account=account,
        symbol=symbol,
        side=side,
        max_qty=qty,
        price_limit=price_limit,
        rules=rules,
        for_s=for_s,
        reason=reason,
    )
    _emit(ask(command, OverrideIs, changes=True))


@override.command()
@_id_argument
@click.option(
    "--reason",
    metavar="TEXT",
    callback=fits(Reason, "a reason: write 1 to 512 characters"),
    help="Why; it is kept.",
)
@yes_option
@everywhere
def approve(override: str, reason: str | None, *, yes: bool) -> None:
    """Let OVERRIDE be, which another person has asked for. One order may go by it."""
    confirm(lambda: show.before_approval(_row(override), override), "Approve?", yes=yes)
    command = ApproveOverride(override=override, reason=reason)
    _emit(ask(command, OverrideIs, changes=True))


@override.command()
@_id_argument
@reason_option
@everywhere
def revoke(override: str, reason: str) -> None:
    """OVERRIDE is good for nothing any more. Any person may, and it waits for nothing."""
    _emit(ask(RevokeOverride(override=override, reason=reason), OverrideIs, changes=True))


@override.command("list")
@click.option(
    "--account",
    metavar="NAME",
    callback=fits(Name, "a name: write 1 to 128 characters"),
    help="Only those for its orders.",
)
@everywhere
def list_overrides(account: str | None) -> None:
    """All that are remembered, the newest first."""
    found = _look(account)
    emit(found, show.overrides(found))


def _look(account: str | None = None) -> Document:
    """All of them, however many riskd tells at a time."""
    reply = ask(ShowOverrides(account=account), OverridesAre)
    rows = list(reply.overrides)
    while reply.more:
        after = str(rows[-1]["override"])
        reply = ask(ShowOverrides(account=account, after=after), OverridesAre)
        rows += reply.overrides
    return {"lsn": reply.lsn, "overrides": rows}


def _row(name: str) -> Document | None:
    return next((row for row in _look()["overrides"] if row.get("override") == name), None)


def _emit(reply: OverrideIs) -> None:
    document = {"lsn": reply.lsn, "changed": reply.changed, "override": reply.override}
    emit(document, show.changed(reply.override, changed=reply.changed))
