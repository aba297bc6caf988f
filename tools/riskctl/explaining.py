"""`riskctl explain` and `riskctl check`: why an answer is what it is, and what another would be."""

import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import attrs
import click
import msgspec

from ...actors.messages import Explain, Explained, LimitPut, OrderAsked, Supposed, WhatIf
from ...actors.messages.gate import OrderType
from ...actors.messages.limits import Value
from ...actors.messages.supposing import ORDERS_MAX, Shock
from . import talk
from .limits import UNSET
from .options import PATH, everywhere
from .page import clean
from .talk import USAGE, Failure, ask, emit, settings

PATIENCE_S = 45.0
"""Longer than riskd takes at most."""
LINE_BYTES_MAX = 16_384
"""Of one order in a batch."""
LSN_MAX = 2**63 - 1
_ID = re.compile(r"[0-9]{1,18}\Z")
_SHOCK = re.compile(r"([^=\s]{1,64})=(\S{1,64})\Z")
_NEEDED = ("account", "symbol", "side", "qty")
_LSN = click.IntRange(1, LSN_MAX)
Document = dict[str, Any]


def _wait() -> None:
    """It takes a while, unless a person says how long he waits."""
    if settings().timeout == talk.TIMEOUT_S:
        settings().timeout = PATIENCE_S


# --- explain --------------------------------------------------------------------------------------


def _number(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is not None and not _ID.match(value):
        raise click.BadParameter(f"{value!r} is no decision_id: write the number of an answer")
    return value


@click.command()
@click.argument("decision_id", required=False, callback=_number)
@click.option("--all", "every", is_flag=True, help="Recompute every decision; needs no riskd.")
@click.option("--from", "first", type=_LSN, metavar="LSN", help="With --all: the first fact.")
@click.option("--to", "last", type=_LSN, metavar="LSN", help="With --all: the last.")
@click.option(
    "--state-dir",
    "directory",
    type=PATH,
    metavar="PATH",
    help="Read the files of this state directory, without riskd.  [--all: this user's own]",
)
@everywhere
@click.pass_context
def explain(
    ctx: click.Context,
    decision_id: str | None,
    first: int | None,
    last: int | None,
    directory: Path | None,
    *,
    every: bool,
) -> None:
    """Why was DECISION_ID answered like that? It is decided once more, from the facts before it.

    With --all every decision is, or those of a range. Exit status: 1 when one comes out otherwise.
    """
    from . import show_explained as show  # noqa: PLC0415 - status must not wait for it

    if every == (decision_id is not None):
        raise click.UsageError("name a DECISION_ID, or give --all")
    if not every and (first or last):
        raise click.UsageError("--from and --to go with --all")
    if first and last and first > last:
        raise click.UsageError(f"--from {first} is behind --to {last}")
    if every:
        from .recomputing import recompute  # noqa: PLC0415 - see above

        found = recompute(directory, first, last)
        emit(found, show.recomputed(found))
        ctx.exit(bool(found["unequal"]))
    assert decision_id is not None, "there is one, or --all"
    found = _explained(decision_id, directory)
    emit(found, show.explanation(found))
    ctx.exit(0 if found["is_equal"] else 1)


def _explained(decision_id: str, directory: Path | None) -> Document:
    if directory is None:
        _wait()
        return ask(Explain(decision_id=decision_id), Explained).explanation
    from .recomputing import explained  # noqa: PLC0415 - see above

    return explained(directory, int(decision_id))


# --- check ----------------------------------------------------------------------------------------


def _shocks(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for value in values:
        match = _SHOCK.match(value)
        if match is None or not _fits(match[2], Shock):
            raise click.BadParameter(
                f"{value!r} is no shock: write BTCUSDT=-5%, or the price as in BTCUSDT=47500"
            )
        found[match[1]] = match[2]
    return found


def _fits(value: object, kind: object) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _changes(
    _: click.Context, __: click.Parameter, values: tuple[tuple[str, str, str], ...]
) -> tuple[LimitPut, ...]:
    found = []
    for rule, key, said in values:
        value: Value = None if said == UNSET else said
        try:
            found.append(msgspec.convert({"rule": rule, "key": key, "value": value}, LimitPut))
        except msgspec.ValidationError as error:
            raise click.BadParameter(f"{rule} {key} {said}: {error}") from None
    return tuple(found)


@attrs.frozen
class _Other:
    """In what world it is asked."""

    shocks: dict[str, str]
    changes: tuple[LimitPut, ...]
    together: bool


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """Those that say what the order is. Whether it can be one is for riskd to say."""
    named = (
        ("--account", "The account."),
        ("--symbol", "The instrument."),
        ("--qty", "The quantity, exact."),
        ("--price", "The limit."),
        ("--stop-price", "Where a stop order is set off."),
        ("--stop-loss", "Where its protective stop will be."),
        ("--strategy", "Whose it is."),
        ("--exchange", "Where it is meant for."),
        ("--override", "The override that it names."),
        ("--client-order-id", "Its id.  [default: one that nobody else has]"),
    )
    for name, words in reversed(named):
        command = click.option(name, metavar=name[2:].split("-")[-1].upper(), help=words)(command)
    command = click.option("--side", type=click.Choice(["buy", "sell"]), help="Which way.")(command)
    kinds = click.Choice(list(get_args(OrderType)))
    words = "[default: limit with a price, else market]"
    return click.option("--order-type", type=kinds, help=words)(command)


@click.command()
@_options
@click.option("--reduce-only", is_flag=True, default=None, help="It may only make less.")
@click.option("--shock", "shocks", multiple=True, metavar="SYMBOL=PCT%|PRICE", callback=_shocks,
              help="If the mark were so. Repeatable.")  # fmt: skip
@click.option("--set", "changes", multiple=True, nargs=3, metavar="RULE KEY VALUE",
              callback=_changes, help="If a limit were so. Repeatable.")  # fmt: skip
@click.option("--batch", metavar="FILE", help="Orders, a JSON object a line; - is standard input.")
@click.option("--together", is_flag=True, help="Each after those before it, with what they take.")
@everywhere
@click.pass_context
def check(
    ctx: click.Context,
    /,
    batch: str | None,
    shocks: dict[str, str],
    changes: tuple[LimitPut, ...],
    *,
    together: bool,
    **fields: Any,
) -> None:
    """Would this order pass? Nothing is sent, reserved or written down.

    Exit status: 0 when it would pass whole, and all of a batch would; else 1, and why on stderr.
    """
    from . import show_explained as show  # noqa: PLC0415 - status must not wait for it

    given = {key: value for key, value in fields.items() if value is not None}
    if (batch is None) == (not given):
        raise click.UsageError("say what the order is, or where a --batch of them lies")
    if batch is None and (missing := [name for name in _NEEDED if name not in given]):
        raise click.UsageError(f"an order needs {', '.join(f'--{name}' for name in missing)}")
    try:
        orders = [_order(given)] if batch is None else _batch(batch)
    except msgspec.ValidationError as error:
        raise click.UsageError(str(error)) from None
    found = _supposed(orders, _Other(shocks, changes, together))
    emit(found, show.supposed(found))
    short = [each for each in found["decisions"] if each["verdict"]["decision"] != "allow"]
    for each in short:
        said = f"{each['order']['client_order_id']}: {each['verdict']['decision']}"
        click.echo(clean(f"riskctl: {said}: {each['verdict']['reason']}"), err=True)
    ctx.exit(1 if short else 0)


def _supposed(orders: list[OrderAsked], other: _Other) -> Document:
    """Of more orders than riskd takes at once, as long as each is asked about by itself."""
    if len(orders) > ORDERS_MAX and other.together:
        said = f"at most {ORDERS_MAX} orders can be asked about together"
        raise Failure(USAGE, "too_many_orders", said)
    _wait()
    decisions: list[Document] = []
    lsn = 0
    for begin in range(0, len(orders), ORDERS_MAX):
        asked = WhatIf(
            orders=orders[begin : begin + ORDERS_MAX],
            marks=other.shocks,
            limits=other.changes,
            together=other.together,
        )
        reply = ask(asked, Supposed)
        lsn, decisions = reply.lsn, decisions + reply.decisions
    return {"lsn": lsn, "decisions": decisions}


def _order(fields: Document) -> OrderAsked:
    """Raises ValidationError for what is no order in shape; whether it is a good one riskd says."""
    named = {"client_order_id": f"check-{secrets.token_hex(8)}", **fields}
    return msgspec.convert(named, OrderAsked)


def _batch(name: str) -> list[OrderAsked]:
    found = []
    try:
        with click.open_file(name, "rb") as file:
            number = 0
            while line := file.readline(LINE_BYTES_MAX + 1):
                number += 1
                if len(line) > LINE_BYTES_MAX or not line.isspace():
                    found.append(_line(name, number, line))
    except OSError as error:
        said = f"{name}: it can't be read: {error.strerror}; name a file with one order a line"
        raise Failure(USAGE, "unreadable", said) from error
    if not found:
        raise Failure(USAGE, "no_orders", f"{name}: there is no order in it")
    return found


def _line(name: str, number: int, line: bytes) -> OrderAsked:
    place = f"{name}:{number}"
    if len(line) > LINE_BYTES_MAX:
        raise Failure(USAGE, "invalid_order", f"{place}: it is longer than any order")
    try:
        fields = msgspec.json.decode(line, type=dict[str, Any])
        return msgspec.convert(
            {"client_order_id": f"check-{secrets.token_hex(8)}", **fields}, OrderAsked
        )
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Failure(USAGE, "invalid_order", f"{place}: {error}") from None


COMMANDS = (explain, check)
