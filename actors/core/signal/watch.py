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


def turns(
    books: Books,
    signals: Signals,
    limits: Thresholds,
    touched: Collection[str] | None,
    now_s: float,
    waits: Waits,
) -> Iterator[RiskSignalChanged]:
    """What is to be told now. `touched`: the accounts in which something has happened; None: all
    are looked at."""
    scopes = scopes_of(books) if touched is None else _touched(books, touched)
    for scope in scopes:
        found = snapshot(scope, books.of(scope))
        told = signals.of(scope)
        signal = assess(scope, found, limits, told, waits, now_s)
        if not is_same(signal, told):
            yield RiskSignalChanged(scope=scope, signal=signal, snapshot=found)
    if touched is None:
        there = frozenset(scopes)
        for scope in [each for each in signals.scopes if each not in there]:
            waits.forget(scope)
            gone = RiskSnapshot(currency=None)
            yield RiskSignalChanged(scope=scope, signal=CALM, snapshot=gone)


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
