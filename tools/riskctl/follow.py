"""Following riskd: the facts as they come, through its restarts."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
import click

from ...actors.messages import Refused, Status, StatusIs, Subscribe
from ...adapters.client import Client, NotReachable, NotSubscribed, ProtocolError
from . import page
from .history import Facts, pieces
from .page import clean
from .talk import REFUSED, Failure, ask, not_reachable, not_understood, settings, socket_path

PAUSE_S = 0.1
PAUSE_S_MAX = 2.0
"""Between two attempts to reach a riskd that is gone: soon at first, and never a burden."""


def tail(first: int | None, count: int, chosen: Mapping[str, Any], *, follow: bool) -> None:
    """Print what was asked for, and go on."""
    try:
        newest = newest_lsn()
        begin = first or max(1, newest - count + 1)
        until = None if follow else newest
        page.write_pieces(pieces(facts(begin, until, chosen)))
    except Failure as failure:
        failure.on_stderr = True
        raise


def newest_lsn() -> int:
    """Of the facts that are there now."""
    journal = ask(Status(), StatusIs).status.get("journal")
    lsn = journal.get("lsn") if isinstance(journal, dict) else None
    if not isinstance(lsn, int):
        raise Failure(REFUSED, "no_journal", "this riskd doesn't say how long its journal is")
    return lsn


def facts(
    begin: int,
    until: int | None,
    chosen: Mapping[str, Any],
    seen: Callable[[int], None] = lambda _: None,
) -> Iterator[Facts]:
    """Each fact from `begin` on, once; as far as `until`. `seen` is told how far it has come."""
    lsn = begin - 1
    path, outage = socket_path(), Outage()
    while until is None or lsn < until:
        try:
            with Client(path, timeout_s=settings().timeout) as client:
                news = client.subscribe(Subscribe(from_lsn=lsn + 1, **chosen))
                outage.has_been_there = True
                for one in news:
                    outage.over()
                    if until is not None and one.lsn > until:
                        return
                    if one.stored is not None:
                        yield [(one.lsn, one.stored)]
                    # Only now it is dealt with, and not asked for again.
                    lsn = one.lsn
                    seen(lsn)
                    if lsn == until:
                        return
        except NotReachable as error:
            outage.wait(not_reachable(path, error))
        except NotSubscribed as error:
            failure = Failure(REFUSED, error.reply.code, error.reply.message)
            if isinstance(error.reply, Refused):
                raise failure from error
            outage.wait(failure)
        except ProtocolError as error:
            raise not_understood(path, str(error)) from error


@attrs.define
class Outage:
    """A time without riskd. It is one only when riskd has been there."""

    has_been_there: bool = False
    _is_told: bool = False
    _pause_s: float = PAUSE_S

    def wait(self, failure: Failure) -> None:
        """Until the next attempt."""
        self.tell(failure)
        time.sleep(self._pause_s)
        self._pause_s = min(2 * self._pause_s, PAUSE_S_MAX)

    def tell(self, failure: Failure) -> None:
        """Once, whoever asks how often."""
        if not self.has_been_there:
            raise failure
        if not self._is_told:
            click.echo(f"riskctl: {clean(failure.message)}; waiting for it", err=True)
        self._is_told = True

    def over(self) -> None:
        if self._is_told:
            click.echo("riskctl: riskd is back", err=True)
        self._is_told = False
        self._pause_s = PAUSE_S
