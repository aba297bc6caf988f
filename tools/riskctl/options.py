"""The options that every command takes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from . import talk
from .talk import settings

F = TypeVar("F", bound=Callable[..., Any])

PATH = click.Path(path_type=Path, readable=False)
"""Not checked here: whoever uses it says what is wrong with it, in one line."""


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
