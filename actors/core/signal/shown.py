"""The risk signal as people and programs see it: rows of scopes and of sources."""

from collections.abc import Iterator

import msgspec

from ...messages.signal import RiskSignal, RiskSnapshot
from ..book.numbers import exact
from ..book.numbers import shown as written
from ..book.times import instant
from ..books import Books
from .signals import Signals
from .snapshot import scopes_of, snapshot

Row = dict[str, object]


def scopes_shown(books: Books, signals: Signals, account: str | None = None) -> Iterator[Row]:
    """Each with its figures as they are now, and its signal in force."""
    for scope in scopes_of(books):
        held = books.accounts.get(account or "")
        if account is not None and (held is None or held not in books.holders(scope)):
            continue
        found = signals.scopes.get(scope)
        yield {
            "scope": scope,
            **signal_shown(signals.of(scope)),
            "since": None if found is None else instant(found.at),
            **snapshot_shown(snapshot(scope, books.of(scope))),
        }


def raised_shown(signals: Signals) -> Iterator[Row]:
    """Those that orders feel, without their figures."""
    for scope, found in signals.scopes.items():
        if scope in signals.raised:
            yield {"scope": scope, **signal_shown(found.signal), "since": instant(found.at)}


def sources_shown(signals: Signals) -> Iterator[Row]:
    """What others say."""
    for name, heard in signals.sources.items():
        yield {
            "source": name,
            "state": heard.state,
            **signal_shown(heard.signal),
            "since": instant(heard.at),
            "reason": heard.reason,
            "by": heard.worker or heard.user,
            "said_at": None if heard.said_at is None else instant(heard.said_at),
        }


def signal_shown(signal: RiskSignal) -> Row:
    return {
        "level": signal.level,
        "score": signal.score,
        "tier": signal.tier,
        "action_required": signal.action_required,
        "critical_issues": list(signal.critical_issues),
        "warnings": list(signal.warnings),
    }


def snapshot_shown(found: RiskSnapshot) -> Row:
    figures = msgspec.structs.asdict(found)
    currency = figures.pop("currency")
    with exact():
        return {"currency": currency, **{name: written(each) for name, each in figures.items()}}
