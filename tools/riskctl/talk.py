"""Asking riskd, and what is said and which status is left when that fails."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import attrs
import click
import msgspec

from ...actors.messages import Command, Error, Refused, Reply
from ...adapters.client import Client, NotReachable, ProtocolError
from ...config.paths import PathRefused, default_socket
from . import page

REFUSED = 1
USAGE = 2
NOT_REACHABLE = 3
NOT_CONFIRMED = 4
INTERRUPTED = 130
"""What a shell reports for a program that Ctrl-C ended."""

TIMEOUT_S = 5.0
COMPLETION_TIMEOUT_S = 0.5
"""A person has pressed Tab and waits; no names are better than late ones."""
_REMEDY = "start it with `riskd run`, or name its socket with --socket or $RISKD_SOCKET"
_REMEDIES = {
    "timeout": "it is there, and busy or stuck: see its log, or wait longer with --timeout",
    "permission": "ask its owner, or see security.group of its configuration",
}
"""For what nobody mends by starting another one."""

R = TypeVar("R", bound=Reply)


class Failure(click.ClickException):
    """A reason to end with a status other than 0, in words for a person and as a document."""

    on_stderr = False
    """In words also with --json, because stdout holds something else already."""

    def __init__(
        self, status: int, code: str, message: str, problems: Sequence[str] = (), **more: object
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.problems = list(problems)
        self.more = more

    def document(self) -> dict[str, object]:
        problems = {"problems": self.problems} if self.problems else {}
        return {"error": {"code": self.code, "message": self.message, **problems, **self.more}}


@attrs.define
class Settings:
    """The options that every command takes, before its name or after it."""

    socket: Path | None = None
    json: bool = False
    timeout: float = TIMEOUT_S


def settings() -> Settings:
    """Those of this call. They are kept in the context, which all nested commands share."""
    meta = click.get_current_context().meta
    found: Settings = meta.setdefault(__name__, Settings())
    return found


def socket_path() -> Path:
    given = settings().socket
    if given is not None:
        return given
    try:
        return default_socket(os.environ, os.getuid())
    except PathRefused as error:
        raise Failure(NOT_REACHABLE, "not_reachable", str(error)) from error


def ask(command: Command, expected: type[R], *, changes: bool = False) -> R:
    """The reply, or Failure. `changes`: when its fate is unknown, the status must say so."""
    path = socket_path()
    try:
        with Client(path, timeout_s=settings().timeout) as client:
            reply = client.ask(command)
    except NotReachable as error:
        if changes and error.sent:
            raise _not_confirmed(path, str(error)) from error
        raise not_reachable(path, error) from error
    except ProtocolError as error:
        raise not_understood(path, str(error), changes=changes) from error
    if isinstance(reply, Refused):
        raise Failure(REFUSED, reply.code, reply.message, reply.problems)
    if isinstance(reply, Error):
        if changes and reply.code in ("internal", "not_confirmed"):
            raise _not_confirmed(path, reply.message)
        raise Failure(REFUSED, reply.code, reply.message)
    if not isinstance(reply, expected):
        raise not_understood(path, f"an answer of type {type(reply).__name__}", changes=changes)
    return reply


def emit(document: object, words: page.Page) -> None:
    """Print the one or the other, as the user asked."""
    if settings().json:
        emit_json(document)
    else:
        page.write_page(words)


def emit_json(document: object) -> None:
    page.write(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())


def _not_confirmed(path: Path, message: str) -> Failure:
    said = f"{message}. The command was sent and may have been carried out: see `riskctl status`"
    return Failure(NOT_CONFIRMED, "not_confirmed", said, socket=str(path))


def not_reachable(path: Path, error: NotReachable) -> Failure:
    """There is no answer, and what to do about it."""
    reason = {"socket": str(path), "reason": error.reason}
    said = f"{error}; {_REMEDIES.get(error.reason, _REMEDY)}"
    return Failure(NOT_REACHABLE, "not_reachable", said, **reason)


def not_understood(path: Path, message: str, *, changes: bool = False) -> Failure:
    """There is somebody, and it is no riskd of ours."""
    if changes:
        return _not_confirmed(path, message)
    said = f"what answers at {path} is no riskd that this riskctl understands: {message}"
    return Failure(NOT_REACHABLE, "protocol", said, socket=str(path))


def confirm(said: Callable[[], Sequence[str]], question: str, *, yes: bool) -> None:
    """Go on only with his word, where there is somebody who can see the question and answer it."""
    terminals = all(stream and stream.isatty() for stream in (sys.stdin, sys.stderr))
    if yes or settings().json or not terminals:
        return
    for line in said():
        click.echo(page.clean(line), err=True)
    if not click.confirm(question, err=True):
        raise Failure(REFUSED, "declined", "nothing was changed")
