"""The options that every command takes, or that several do, and times as a person writes them."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from ...actors.messages import Name, Reason
from . import talk
from .talk import settings

F = TypeVar("F", bound=Callable[..., Any])

PATH = click.Path(path_type=Path, readable=False)
"""Not checked here: whoever uses it says what is wrong with it, in one line."""
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(r"(\d{1,9})(s|m|h|d|w)")
_SPAN = re.compile(r"(?=\d)(?:\d{1,9}w)?(?:\d{1,9}d)?(?:\d{1,9}h)?(?:\d{1,9}m)?(?:\d{1,9}s)?")
SPAN_MAX = timedelta(days=365)
SCOPES = "all, or one of account, exchange, strategy, symbol, worker, as in account:main"


def _keep(_: click.Context, option: click.Parameter, value: object) -> None:
    if value is not None:
        setattr(settings(), str(option.name), value)


def everywhere(command: F) -> F:
    """Add the options that are taken before a command's name and after it; the last one counts."""
    for option in (
        click.option(
            "--timeout",
            type=click.FloatRange(min=0, min_open=True, max=3600),
            metavar="SECONDS",
            help=f"How long to wait for riskd.  [default: {talk.TIMEOUT_S:g}]",
            expose_value=False,
            callback=_keep,
        ),
        click.option(
            "--json",
            is_flag=True,
            default=None,
            help="Print one JSON document.",
            expose_value=False,
            callback=_keep,
        ),
        click.option(
            "--socket",
            type=PATH,
            help="Where riskd listens.  [default: $RISKD_SOCKET, else this user's own place]",
            expose_value=False,
            callback=_keep,
        ),
    ):
        command = option(command)
    return command


def moment(_: click.Context, __: click.Parameter, value: str | None) -> datetime | None:
    """A point in time, or how long ago it was."""
    if value is None:
        return None
    try:
        if _AGO.fullmatch(value):
            return datetime.now(UTC) - _timedelta(value)
        found = datetime.fromisoformat(value)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{value!r} is no time: write 2026-11-21T12:30:00Z, or 15m, 2h, 3d for so long ago"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def span(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    """How long, in seconds: each unit once, the largest first."""
    if value is None:
        return None
    if not _SPAN.fullmatch(value):
        raise click.BadParameter(f"{value!r} is no span of time: write 90s, 15m, 2h, 1d or 1h30m")
    try:
        found = _timedelta(value)
    except OverflowError:
        found = timedelta.max
    if not timedelta() < found <= SPAN_MAX:
        raise click.BadParameter(f"{value!r} is not within 1s and {SPAN_MAX.days}d")
    return found.total_seconds()


def _timedelta(value: str) -> timedelta:
    return sum(
        (timedelta(**{_UNITS[unit]: int(count)}) for count, unit in _AGO.findall(value)),
        timedelta(),
    )


# --- what those say who change something ----------------------------------------------------------


def fits(kind: object, remedy: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """What riskd would refuse is a wrong command line, and never gets as far as riskd."""

    def check(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
        if value is not None:
            try:
                msgspec.convert(value, kind)
            except msgspec.ValidationError:
                raise click.BadParameter(f"{value!r} is not {remedy}") from None
        return value

    return check


reason_option = click.option(
    "--reason",
    metavar="TEXT",
    required=True,
    callback=fits(Reason, "a reason: write 1 to 512 characters"),
    help="Why; it is kept.",
)
yes_option = click.option("--yes", is_flag=True, help="Ask nothing on a terminal.")


def approver(*, required: bool) -> Callable[[F], F]:
    return click.option(
        "--approved-by",
        metavar="NAME",
        required=required,
        callback=fits(Name, "a name: write 1 to 128 characters"),
        help="Who takes the responsibility. With security.two_person, another operator than you.",
    )
