"""The signals in force, by scope and by source: the projection `signals`.

Orders are judged by `raised` alone, which is empty while all is well: so much costs a look. A
scope's signal is for the orders in it; a source's is for all.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from ...messages import Fact, Recorded
from ...messages.gate import RiskLevel
from ...messages.signal import (
    RiskSignal,
    RiskSignalChanged,
    SignalEased,
    SignalNoted,
    SignalWorsened,
    SourceHeard,
    SourceState,
)
from .assessment import CALM

SEVERITY: Mapping[RiskLevel, int] = {"info": 0, "warning": 1, "critical": 2}
OUTSIDE = "outside"
"""The source whose word the configuration expects."""


class Scoped(msgspec.Struct, frozen=True, array_like=True):
    """The signal of a scope, and since when."""

    signal: RiskSignal
    at: datetime


class Heard(msgspec.Struct, frozen=True, array_like=True):
    """The signal of a source: what it counts as, and why."""

    state: SourceState
    signal: RiskSignal
    at: datetime
    reason: str | None = None
    worker: str | None = None
    user: str | None = None
    said_at: datetime | None = None


class Raised(NamedTuple):
    """What a signal that is not calm does to orders. `why`: its first issue."""

    level: RiskLevel
    action_required: bool
    why: str


class _State(msgspec.Struct):
    """What `dump` writes."""

    scopes: dict[str, Scoped]
    sources: dict[str, Heard]


class Signals:
    """A projection."""

    name = "signals"
    version = 1

    def __init__(self) -> None:
        self.raised: dict[str, Raised] = {}
        """By scope, what is not calm. It stays the same object."""
        self._acts: Mapping[type[Fact], Callable[[Recorded, Any], None]] = {
            RiskSignalChanged: self._change,
            SignalWorsened: self._hear,
            SignalEased: self._hear,
            SignalNoted: self._hear,
        }
        self.load(None)

    # --- as a projection

    def apply(self, recorded: Recorded) -> None:
        act = self._acts.get(type(recorded.fact))
        if act is not None:
            act(recorded, recorded.fact)

    def load(self, state: bytes | None) -> None:
        """Go back to a dump, or to before the first fact."""
        self.scopes: dict[str, Scoped] = {}
        self.sources: dict[str, Heard] = {}
        if state is not None:
            found = _decode(state)
            self.scopes, self.sources = found.scopes, found.sources
        self.raised.clear()
        for scope in dict.fromkeys((*self.scopes, "all")):
            self._weigh(scope)

    def dump(self) -> Iterable[bytes]:
        return [_encode(_State(dict(self.scopes), dict(self.sources)))]

    # --- what is known

    def of(self, scope: str) -> RiskSignal:
        found = self.scopes.get(scope)
        return CALM if found is None else found.signal

    def by(self, source: str) -> RiskSignal:
        found = self.sources.get(source)
        return CALM if found is None else found.signal

    @property
    def level(self) -> RiskLevel:
        """The worst of all."""
        levels = [each.level for each in self.raised.values()]
        return max(levels, key=SEVERITY.__getitem__, default="info")

    # --- what happens

    def _change(self, recorded: Recorded, fact: RiskSignalChanged) -> None:
        if is_calm(fact.signal):
            self.scopes.pop(fact.scope, None)
        else:
            self.scopes[fact.scope] = Scoped(fact.signal, recorded.at)
        self._weigh(fact.scope)

    def _hear(self, recorded: Recorded, fact: SourceHeard) -> None:
        if fact.state == "gone" or (fact.source != OUTSIDE and is_calm(fact.signal)):
            self.sources.pop(fact.source, None)
        else:
            by = fact.by
            self.sources[fact.source] = Heard(
                fact.state,
                fact.signal,
                recorded.at,
                fact.reason,
                fact.worker,
                None if by is None else by.user,
                fact.said_at,
            )
        self._weigh("all")

    def _weigh(self, scope: str) -> None:
        """What of it concerns orders."""
        found = [(self.of(scope), "")]
        if scope == "all":
            found += [(each.signal, f"{name}: ") for name, each in self.sources.items()]
        found = [(signal, who) for signal, who in found if is_raised(signal)]
        if not found:
            self.raised.pop(scope, None)
            return
        worst, who = max(found, key=lambda one: badness(one[0]))
        issues = (*worst.critical_issues, *worst.warnings)
        self.raised[scope] = Raised(
            worst.level,
            any(signal.action_required for signal, _ in found),
            f"{who}{issues[0] if issues else worst.level}",
        )


def badness(signal: RiskSignal) -> tuple[int, bool]:
    """By what it does to orders. The larger is the worse."""
    return SEVERITY[signal.level], signal.action_required


def is_raised(signal: RiskSignal) -> bool:
    """It does anything to them."""
    return signal.level != "info" or signal.action_required


def is_calm(signal: RiskSignal) -> bool:
    """There is nothing to say about it but its score."""
    return is_same(signal, CALM)


def is_same(one: RiskSignal, other: RiskSignal) -> bool:
    """But for the score, and the order of the issues."""
    return (
        badness(one) == badness(other)
        and one.tier == other.tier
        and set(one.critical_issues) == set(other.critical_issues)
        and set(one.warnings) == set(other.warnings)
    )


def worse(one: RiskSignal, other: RiskSignal) -> RiskSignal:
    """The worse of two; of two as bad, the first."""
    return max(one, other, key=lambda each: (*badness(each), each is one))


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_State).decode
