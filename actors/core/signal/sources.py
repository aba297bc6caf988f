"""What others say of the whole, and what that counts as.

Of the source `outside` a word is expected, and silence is bad news: while it is too old, can't be
had or makes no sense, the policy of the configuration counts, and never less than what held before.
So an outage makes nothing better, nor does a restart, after which nothing has been heard yet.

Every other source is somebody who says something now and then: it stands until an operator says
otherwise. A worker can only make it worse, and only its own.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import attrs
import msgspec

from ....config.schema import OutsideSignal
from ...messages import By
from ...messages.book import Time
from ...messages.gate import RiskLevel
from ...messages.signal import (
    Issues,
    RiskSignal,
    Score,
    Signal,
    SignalEased,
    SignalNoted,
    SignalWorsened,
    SourceState,
    Tier,
)
from ..book.times import moment, nanoseconds
from .assessment import CALM, SCORE_OF, TIERS
from .signals import OUTSIDE, Heard, Signals, badness, is_same, worse

SOURCES_MAX = 64
"""Of operators, and as many of workers: those can't leave others without a place for bad news."""
OF_WORKER_MAX = 4
"""Sources of one worker."""
AHEAD_S = 60.0
"""So far in riskd's future what is said may be: clocks differ."""
TROUBLES: dict[SourceState, str] = {
    "expected": "nothing was heard of it yet",
    "stale": "what it said is too old",
    "unreachable": "it can't be reached",
    "unusable": "what it says makes no sense",
}

SourceFact = SignalWorsened | SignalEased | SignalNoted


class Unusable(Exception):
    """What somebody said is no signal. The text says why."""


class Said(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a service answers. Score and tier are those of the level, unless it says so."""

    level: RiskLevel
    score: Score | None = None
    critical_issues: Issues = ()
    warnings: Issues = ()
    tier: Tier | None = None
    action_required: bool = False
    ts: Time | None = None


def read(text: str) -> Said:
    """Raises Unusable."""
    try:
        return msgspec.json.decode(text, type=Said)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise Unusable(str(error)[:300]) from None


def signal_of(said: Said | Signal) -> RiskSignal:
    """What contradicts itself counts as the worst that it says."""
    is_critical = bool(said.critical_issues) or said.tier == "emergency"
    level: RiskLevel = "critical" if is_critical else said.level
    return RiskSignal(
        level=level,
        score=SCORE_OF[level] if said.score is None else said.score,
        critical_issues=said.critical_issues,
        warnings=said.warnings,
        tier=said.tier or TIERS[level],
        action_required=said.action_required,
    )


def time_of(ts: Time | None, now: datetime, max_age_s: float | None = None) -> datetime | None:
    """When it was so, by its own word. Raises Unusable: it is no time, ahead, or too old."""
    if ts is None:
        return None
    try:
        at = moment(nanoseconds(ts)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unusable("its ts is no time") from None
    age_s = (now - at).total_seconds()
    if age_s < -AHEAD_S:
        raise Unusable(f"its ts is {-age_s:.0f} s ahead of riskd's clock")
    if max_age_s is not None and age_s > max_age_s:
        raise Unusable(f"its ts is {age_s:.0f} s ago, and it is believed for {max_age_s:g} s")
    return at


# --- the one that is expected ---------------------------------------------------------------------


@attrs.define(eq=False)
class Outlook:
    """What was heard of it in this run. It outlives whoever listens."""

    of: str | None = None
    """Where it is asked for. None: it tells by itself."""
    said: RiskSignal | None = None
    """Last."""
    said_at: datetime | None = None
    """By its own word."""
    came_s: float = 0.0
    """By the monotonic clock."""
    trouble: tuple[SourceState, str] | None = None
    """Of the newest attempt to hear of it."""

    def follow(self, url: str | None) -> bool:
        """It is this one that is expected. True: another one was, of which nothing counts."""
        if url == self.of:
            return False
        self.of = url
        self.forget()
        return True

    def forget(self) -> None:
        self.said = self.trouble = None

    def hears(self, said: Said | Signal, now: datetime, now_s: float) -> None:
        """Raises Unusable."""
        at = time_of(said.ts, now)
        self.said, self.said_at, self.came_s = signal_of(said), at, now_s
        self.trouble = None

    def age_s(self, now: datetime, now_s: float) -> float | None:
        """Since it came, or since its own time: what is longer. None: nothing was heard."""
        if self.said is None:
            return None
        age_s = now_s - self.came_s
        return age_s if self.said_at is None else max(age_s, (now - self.said_at).total_seconds())


class Standing(NamedTuple):
    """What it counts as now, and why."""

    state: SourceState
    signal: RiskSignal
    reason: str | None


def standing(
    outlook: Outlook, config: OutsideSignal, before: RiskSignal, now: datetime, now_s: float
) -> Standing:
    """`before`: what counts until now."""
    if not config.is_expected:
        return Standing("gone", CALM, None)
    age_s = outlook.age_s(now, now_s)
    if outlook.trouble is not None:
        state, reason = outlook.trouble
    elif outlook.said is None or age_s is None:
        state, reason = "expected", TROUBLES["expected"]
    elif age_s > config.max_age_s:
        state, reason = "stale", f"it is {age_s:.0f} s old, and believed for {config.max_age_s:g} s"
    else:
        return Standing("said", outlook.said, None)
    return Standing(state, worse(before, _by_policy(config, TROUBLES[state])), reason)


def _by_policy(config: OutsideSignal, issue: str) -> RiskSignal:
    if config.policy == "ignore":
        return CALM
    level: RiskLevel = config.policy
    issues = (issue,)
    return RiskSignal(
        level=level,
        score=SCORE_OF[level],
        critical_issues=issues if level == "critical" else (),
        warnings=issues if level == "warning" else (),
        tier=TIERS[level],
    )


# --- what is told of it ---------------------------------------------------------------------------


def turn(
    signals: Signals,
    source: str,
    found: Standing,
    *,
    by: By | None = None,
    worker: str | None = None,
    said_at: datetime | None = None,
) -> SourceFact | None:
    """The next fact toward what it counts as now. None: it was told already.

    WHAT IS WORSE IS TOLD BEFORE WHAT IS BETTER, where a signal is both: it waits for nothing.
    """
    heard = signals.sources.get(source)
    before = CALM if heard is None else heard.signal
    if _is_told(heard, found):
        return None
    kind: type[SourceFact] = SignalNoted
    signal = found.signal
    worst = _worst(before, signal)
    if badness(worst) != badness(before):
        kind, signal = SignalWorsened, worst
    elif badness(signal) != badness(before):
        kind = SignalEased
    return kind(
        source=source,
        state=found.state,
        signal=signal,
        reason=found.reason,
        by=by,
        worker=worker,
        said_at=said_at,
    )


def _is_told(heard: Heard | None, found: Standing) -> bool:
    if heard is None:
        return found.state == "gone"
    return heard.state == found.state and is_same(heard.signal, found.signal)


def _worst(one: RiskSignal, other: RiskSignal) -> RiskSignal:
    """As bad as both together."""
    found = worse(other, one)
    acts = one.action_required or other.action_required
    return msgspec.structs.replace(found, action_required=acts)


# --- what somebody says ---------------------------------------------------------------------------


def refusal(
    signals: Signals, config: OutsideSignal, command: Signal, worker: str | None
) -> tuple[str, str] | None:
    """Why it is not heard: a code and a sentence."""
    source = command.source
    heard = signals.sources.get(source)
    if source == OUTSIDE:
        if worker is not None:
            return "not_yours", f"of {OUTSIDE!r} only operators tell"
        if not config.is_pushed:
            return "not_expected", "risk_signal.outside.is_pushed does not say that it tells itself"
        return None
    if heard is None:
        return _crowded([each.worker for each in signals.sources.values()], worker)
    if worker is None:
        return None
    if heard.worker != worker:
        return "not_yours", f"{source!r} is somebody else's word"
    if badness(signal_of(command)) < badness(heard.signal):
        return "only_worse", "a worker can only make it worse: an operator takes it back"
    return None


def _crowded(workers: Sequence[str | None], worker: str | None) -> tuple[str, str] | None:
    """Why there is no place for one source more of this worker, or with None of an operator, beside
    those that there are, each with its worker."""
    if worker is not None and workers.count(worker) >= OF_WORKER_MAX:
        return "too_many_sources", f"{worker!r} says something by {OF_WORKER_MAX} names already"
    if sum((each is None) == (worker is None) for each in workers) >= SOURCES_MAX:
        whose = "operators" if worker is None else "workers"
        return "too_many_sources", f"{SOURCES_MAX} sources of {whose} say something already"
    return None
