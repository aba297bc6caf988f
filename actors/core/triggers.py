"""What the configured triggers watch, and what each makes of it.

Theory
------
A trigger is judged by what is known of what it watches, and there are three verdicts. TRIPPED: it
is as it must not be, and whoever judges says so to the kill switch, again and again for as long as
that lasts. CALM: it is known to be good. UNKNOWN: neither is known.

What is not known is not good. It doesn't trip at once, for a report may be late and a disk slow:
each trigger has its grace, and after it not to know is itself the reason. And it never counts as
calm, so that no halt ends because somebody stopped looking. What was seen to be bad stays so until
it is seen to be good.

Metrics are reported: a value is good for the grace of whoever watches it. Files and commands are
looked at, and a look sees that all is well (`Good`), that it is not (`Bad`), or nothing (`Unseen`).
For a command nothing is as bad as something: each run that isn't seen to end well is a failure, and
so many in a row trip it.

Numbers are exact. A float is refused wherever one could come in.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import attrs

from ...config.schema import AnyTrigger, Command, FileAppears, StatusFile, Threshold
from ..messages import (
    Cause,
    Halt,
    Mode,
    Until,
    UntilCondition,
    UntilOperator,
    UntilSession,
)
from .kill_switch import Breaker

METRICS_MAX = 1_024
"""Names that are known at one time. Beyond it the one that was reported longest ago is forgotten,
and never one that a trigger watches."""
OWN = "riskd."
"""How the names of riskd's own metrics begin. Nobody else reports them."""
TEXT_CHARACTERS_MAX = 100
"""Of what a file or a command says, as far as a reason repeats it."""


# --- what is known --------------------------------------------------------------------------------


@attrs.frozen
class Reading:
    """A value, and when it was reported."""

    value: Decimal
    at_s: float


class Metrics:
    """The newest value of each metric."""

    def __init__(self) -> None:
        self.watched: frozenset[str] = frozenset()
        """Those that must not be forgotten: fewer than there is room for."""
        self._readings: dict[str, Reading] = {}

    def put(self, name: str, value: Decimal, now_s: float) -> None:
        """Raises TypeError and ValueError for what is no exact, finite number."""
        if not isinstance(value, Decimal):
            raise TypeError(f"metric {name} is a {type(value).__name__}, and not exact")
        if not value.is_finite():
            raise ValueError(f"metric {name} is {value}, and no number")
        # The newest last: the first to be forgotten is the oldest.
        self._readings.pop(name, None)
        if len(self._readings) >= METRICS_MAX:
            del self._readings[next(each for each in self._readings if each not in self.watched)]
        self._readings[name] = Reading(value, now_s)

    def get(self, name: str) -> Reading | None:
        return self._readings.get(name)

    def __len__(self) -> int:
        return len(self._readings)


def exact(seconds: float) -> Decimal:
    """A time that was measured, to the microsecond."""
    return Decimal(round(seconds * 1e6)).scaleb(-6)


@attrs.frozen
class Good:
    """All is well."""


@attrs.frozen
class Bad:
    """It is not. `why` says what was seen, and what should have been."""

    why: str


@attrs.frozen
class Unseen:
    """Whether it is could not be seen."""

    why: str


Outcome = Good | Bad | Unseen


@attrs.frozen
class Ran:
    """How a run ended, and what it said. `status` is None when it had to be killed."""

    status: int | None
    said: str


def presence(rule: FileAppears, is_there: bool) -> Outcome:
    return Bad(f"{rule.path} is there") if is_there else Good()


def standing(rule: StatusFile, said: str, changed_at: datetime, now: datetime) -> Outcome:
    """What a status file's text and its last change mean."""
    text = said.strip()
    if not text:
        # It may be about to be written.
        return Unseen(f"{rule.path} is empty")
    if text not in rule.good:
        return Bad(f"{rule.path} says {_quoted(text)}, and not {_either(rule.good)}")
    if rule.max_age_s is not None:
        age_s = (now - changed_at) / timedelta(seconds=1)
        if abs(age_s) > rule.max_age_s:
            when = f"{age_s:.1f} s ago" if age_s > 0 else f"{-age_s:.1f} s in the future"
            limit = f"is believed for {rule.max_age_s:g} s"
            return Unseen(f"{rule.path} was changed {when}, and {limit}")
    return Good()


def ending(rule: Command, ran: Ran) -> Outcome:
    """What the end of a run means."""
    if ran.status == 0:
        return Good()
    if ran.status is None:
        how = f"did not end within {rule.timeout_s:g} s"
    elif ran.status < 0:
        how = f"was ended by signal {-ran.status}"
    else:
        how = f"ended with status {ran.status}, not 0"
    said = f", and said {_quoted(ran.said.strip())}" if ran.said.strip() else ""
    return Bad(f"{rule.argv[0]} {how}{said}")


def _quoted(text: str) -> str:
    shown = text[:TEXT_CHARACTERS_MAX]
    return f"{shown!r}{'' if shown == text else ' …'}"


def _either(words: Sequence[str]) -> str:
    return " or ".join(map(_quoted, words[:4])) + (" …" if len(words) > 4 else "")


# --- what it means --------------------------------------------------------------------------------


@attrs.frozen
class Tripped:
    """As it must not be."""

    reason: str


@attrs.frozen
class Calm:
    """Known to be good."""


@attrs.frozen
class Unknown:
    """Neither is known, and not for so long that this would be the reason."""

    since_s: float


Verdict = Tripped | Calm | Unknown


@attrs.frozen
class Watch:
    """One trigger, and what it remembers."""

    rule: AnyTrigger
    since_s: float
    """When it began to watch."""
    seen: Good | Bad | None = None
    """By the newest look that saw anything."""
    seen_at_s: float = 0.0
    """When that look began."""
    unseen: Unseen | None = None
    unseen_since_s: float = 0.0
    """When the first of the looks began that saw nothing."""
    failures: int = 0
    """Runs in a row that were not seen to end well."""
    calm_since_s: float | None = None


def looked(watch: Watch, outcome: Outcome, began_s: float) -> Watch:
    """After a look, or when one that began then should have been over."""
    failures = 0 if isinstance(outcome, Good) else watch.failures + 1
    if isinstance(outcome, Unseen):
        since_s = began_s if watch.unseen is None else watch.unseen_since_s
        return attrs.evolve(watch, unseen=outcome, unseen_since_s=since_s, failures=failures)
    return attrs.evolve(watch, seen=outcome, seen_at_s=began_s, unseen=None, failures=failures)


def judge(watch: Watch, metrics: Metrics, now_s: float) -> Verdict:
    """What is known now of what it watches."""
    rule = watch.rule
    match rule:
        case Threshold():
            return _measured(rule, metrics.get(rule.metric), watch.since_s, now_s)
        case Command():
            return _counted(rule, watch)
        case FileAppears() | StatusFile():
            return _viewed(rule, watch, now_s)


def _measured(rule: Threshold, reading: Reading | None, since_s: float, now_s: float) -> Verdict:
    good_for = f"and is good for {rule.grace_s:g} s"
    if reading is None:
        missing_s = now_s - since_s
        if missing_s <= rule.grace_s:
            return Unknown(since_s)
        never = f"metric {rule.metric} has not been reported at all for {missing_s:.1f} s"
        return Tripped(f"{never}, {good_for}")
    if rule.above is not None and reading.value > rule.above:
        return Tripped(f"metric {rule.metric} is {reading.value}, above its limit {rule.above}")
    if rule.below is not None and reading.value < rule.below:
        return Tripped(f"metric {rule.metric} is {reading.value}, below its limit {rule.below}")
    age_s = now_s - reading.at_s
    if age_s > rule.grace_s:
        last = f"metric {rule.metric} was last reported {age_s:.1f} s ago, as {reading.value}"
        return Tripped(f"{last}, {good_for}")
    return Calm()


def _counted(rule: Command, watch: Watch) -> Verdict:
    if watch.failures >= rule.failures:
        why = watch.unseen or watch.seen
        assert isinstance(why, Bad | Unseen), "something was no good"
        times = f"; {watch.failures} in a row, {rule.failures} trip it"
        return Tripped(why.why + (times if rule.failures > 1 else ""))
    if watch.failures or watch.seen is None:
        return Unknown(watch.since_s)
    return Calm()


def _viewed(rule: FileAppears | StatusFile, watch: Watch, now_s: float) -> Verdict:
    if isinstance(watch.seen, Bad):
        return Tripped(watch.seen.why)
    if watch.unseen is not None:
        unseen_s = now_s - watch.unseen_since_s
        if unseen_s >= rule.grace_s:
            grace = f"{unseen_s:.1f} s without knowing more, {rule.grace_s:g} s trip it"
            return Tripped(f"{watch.unseen.why}; {grace}")
        return Unknown(watch.unseen_since_s)
    return Unknown(watch.since_s) if watch.seen is None else Calm()


def settled(watch: Watch, verdict: Verdict, now_s: float) -> Watch:
    """What of a verdict is remembered: for how long it has been calm without a break."""
    if not isinstance(verdict, Calm):
        return attrs.evolve(watch, calm_since_s=None)
    return watch if watch.calm_since_s is not None else attrs.evolve(watch, calm_since_s=now_s)


def is_over(watch: Watch, now_s: float) -> bool:
    """May what it halted go on? It has been calm for as long as its rule asks, and a look that
    began after that has seen so: time in which nobody looked is no calm."""
    rule, since_s = watch.rule, watch.calm_since_s
    if rule.until != "clear" or since_s is None:
        return False
    known_s = now_s if isinstance(rule, Threshold) else watch.seen_at_s
    return known_s - since_s >= rule.clear_s


# --- what it does ---------------------------------------------------------------------------------


def source(rule: AnyTrigger) -> str:
    """What a halt or a kill says it came from. Also the condition that ends a halt by calm."""
    return f"trigger:{rule.name}"


def cause(rule: AnyTrigger) -> Cause:
    if rule.cause is not None:
        return rule.cause
    return "threshold" if isinstance(rule, Threshold) else "external"


def halt(rule: AnyTrigger, reason: str, session_end: datetime) -> Halt:
    """The halt that a trigger asks for. One for a time ends by its breaker."""
    mode: Mode = "reduce_only" if rule.action == "reduce_only" else "halt"
    until: Until = UntilOperator()
    if rule.until == "clear":
        until = UntilCondition(condition=source(rule))
    elif rule.until == "session":
        until = UntilSession(at=session_end)
    return Halt(
        scope=rule.scope,
        mode=mode,
        cause=cause(rule),
        source=source(rule),
        reason=reason,
        until=until,
    )


def breaker(rule: AnyTrigger) -> Breaker | None:
    """How long its halts last; None when no time ends them."""
    if rule.until != "time":
        return None
    assert rule.for_s is not None, "the schema says so"
    return Breaker(
        for_s=rule.for_s,
        factor=rule.factor,
        for_max_s=rule.for_max_s,
        window_s=rule.window_s,
        times_max=rule.times_max,
    )


# --- all of them ----------------------------------------------------------------------------------


class Board:
    """What is known of all that is watched. It outlives the actor: a crash makes nothing fresh."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.watches: dict[str, Watch] = {}
        self._by_metric: dict[str, list[str]] = {}
        self._is_followed = False
        self._has_looked = False

    def follow(self, rules: Iterable[AnyTrigger], now_s: float) -> None:
        """Watch these from now on. One that has not changed goes on as it was; nobody says any
        more of one that is gone that it is calm."""
        before, self.watches, self._by_metric = self.watches, {}, {}
        self._is_followed = True
        for rule in rules:
            known = before.get(rule.name)
            is_same = known is not None and known.rule == rule
            self.watches[rule.name] = known if known and is_same else Watch(rule, now_s)
            if isinstance(rule, Threshold):
                self._by_metric.setdefault(rule.metric, []).append(rule.name)
        self.metrics.watched = frozenset(self._by_metric)

    def uneasy(self) -> list[str]:
        """Triggers of a kill that are not calm: tripped, or without what they watch."""
        return [
            f"trigger {name!r} is not calm"
            for name, watch in self.watches.items()
            if watch.rule.action == "kill" and watch.calm_since_s is None
        ]

    def unlooked(self) -> str | None:
        """Who has not looked once since riskd began: until then a file that stops everything could
        lie there all the while. None: all have. What a reload brings later has its grace."""
        if self._has_looked:
            return None
        if not self._is_followed:
            return "no trigger watches yet"
        waiting = [name for name, watch in self.watches.items() if _is_to_look(watch)]
        if waiting:
            more = f" and {len(waiting) - 1} others" if len(waiting) > 1 else ""
            return f"the trigger {waiting[0]!r}{more} has not looked yet"
        self._has_looked = True
        return None

    def watching(self, metric: str) -> Sequence[str]:
        """The names of the triggers that watch a metric."""
        return self._by_metric.get(metric, ())


def _is_to_look(watch: Watch) -> bool:
    return not isinstance(watch.rule, Threshold) and watch.seen is None and watch.unseen is None
