"""When a scope's signal is told: at its edges alone, also across restarts.

What was told last is in the ledger, so nothing is told twice. A scope that is no more, as that of
an account which the configuration has dropped, is calm.
"""

from collections.abc import Collection, Iterator

from ....config.schema import RiskSignal as Thresholds
from ...messages.signal import RiskSignalChanged, RiskSnapshot
from ..books import Books
from .assessment import CALM, Waits, assess
from .signals import Signals, is_same
from .snapshot import scopes_of, snapshot

SYMBOLS_MAX = 512
"""A scope with more of them, over all its accounts, is looked at in its time alone: news of one
account must not cost what all of them cost."""


def due(books: Books, signals: Signals, touched: Collection[str] | None) -> list[str]:
    """The scopes to be looked at now. `touched`: the accounts in which something has happened;
    None: all are, and those that are no more."""
    if touched is not None:
        return list(_touched(books, touched))
    return list(dict.fromkeys((*scopes_of(books), *signals.scopes)))


def turn(
    scope: str, books: Books, signals: Signals, limits: Thresholds, waits: Waits, now_s: float
) -> RiskSignalChanged | None:
    """What is to be told of one of them. All of its figures are of one moment, and the limits and
    what was told as well: other scopes may have been looked at long before."""
    told = signals.of(scope)
    if not any(held.about.is_open for held in books.holders(scope)):
        waits.forget(scope)
        found, signal = RiskSnapshot(currency=None), CALM
    else:
        found = snapshot(scope, books.of(scope))
        signal = assess(scope, found, limits, told, waits, now_s)
    return (
        None
        if is_same(signal, told)
        else RiskSignalChanged(scope=scope, signal=signal, snapshot=found)
    )


def _touched(books: Books, names: Collection[str]) -> Iterator[str]:
    """The scopes of these accounts that are small enough."""
    scopes: dict[str, None] = {}
    for name in names:
        about = books.accounts[name].about
        if about.is_open:
            scopes[f"account:{name}"] = None
            if about.exchange is not None:
                scopes[f"exchange:{about.exchange}"] = None
            scopes["all"] = None
    for scope in scopes:
        symbols = 0
        for book in books.of(scope):
            symbols += 1 + len(book.exposures.standings)
            if symbols > SYMBOLS_MAX:
                break
        else:
            yield scope
