"""What the gate has answered, how often and how fast: a tally for whoever watches riskd.

Nothing is decided by it, no fact is made of it, and it begins anew when riskd starts. Series are
bounded, whatever callers make up: a scope beyond the most that are kept counts as `other`, and so
does one that only the order itself names.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from typing import get_args

from ...messages import Cause, Fact, HaltPlaced, KillSwitchTriggered
from ...messages.counters import Bucket, Counter, Gauge, Histogram, Labels
from ...messages.gate import Answer
from ...messages.reasons import Code

SERIES_MAX = 500
"""Beside those of `other`, of which there is one for each answer and code."""
OTHER = "other"
MADE_UP = frozenset({"not_your_account", "unknown_account", "unknown_symbol"})
"""Codes whose scope is whatever the caller wrote."""
BOUNDS_S = (
    *(0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5),
    *(0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0),
)
"""From what a check of few rules takes to what no caller waits for."""
NAMES: Mapping[Answer, str] = {
    "allow": "risk_gate_allows_total",
    "block": "risk_gate_blocks_total",
    "scale_down": "risk_gate_scale_downs_total",
}

_Key = tuple[Answer, Code, str | None]


class Tally:
    """Of the gate. A check costs it a fraction of a microsecond."""

    __slots__ = ("_answers", "_buckets", "_series_max", "_sum_s")

    def __init__(self, *, series_max: int = SERIES_MAX) -> None:
        self._answers: dict[_Key, int] = {}
        self._buckets = [0] * (len(BOUNDS_S) + 1)
        self._series_max = series_max
        self._sum_s = 0.0

    def decided(self, answer: Answer, code: Code, scope: str | None) -> None:
        """An order was judged, or nobody could judge it. One that was asked again was not."""
        try:
            self._answers[answer, code, scope] += 1
        except KeyError:
            known = None if scope is None else self._scope(code, scope)
            key = (answer, code, known)
            self._answers[key] = self._answers.get(key, 0) + 1

    def _scope(self, code: Code, scope: str) -> str:
        return OTHER if code in MADE_UP or len(self._answers) >= self._series_max else scope

    def took(self, seconds: float) -> None:
        """To answer, whatever the answer was."""
        self._buckets[bisect_left(BOUNDS_S, seconds)] += 1
        self._sum_s += seconds

    def counters(self) -> Iterator[Counter]:
        """In the order in which each was first counted."""
        for (answer, code, scope), count in self._answers.items():
            labels: Labels = {"code": code}
            if scope is not None:
                labels["scope"] = scope
            yield Counter(name=NAMES[answer], labels=labels, value=count)

    def latency(self) -> Histogram:
        buckets, count = [], 0
        for bound, of_it in zip(BOUNDS_S, self._buckets, strict=False):
            count += of_it
            buckets.append(Bucket(le=bound, count=count))
        return Histogram(
            name="risk_gate_check_seconds",
            buckets=buckets,
            count=count + self._buckets[-1],
            sum=self._sum_s,
        )


class Freezes:
    """How often something was halted, by its cause."""

    def __init__(self) -> None:
        self._of: dict[Cause, int] = dict.fromkeys(get_args(Cause), 0)

    def saw(self, fact: Fact) -> None:
        """A halt that is in force counts, though the disk never took it."""
        if isinstance(fact, HaltPlaced):
            self._of[fact.halt.cause] += 1
        elif isinstance(fact, KillSwitchTriggered):
            self._of[fact.cause] += 1

    def counters(self) -> Iterator[Counter]:
        """All causes, also those that never came."""
        for cause, count in self._of.items():
            yield Counter(name="freeze_triggered_total", labels={"reason": cause}, value=count)


def gauges(rows: Iterable[Mapping[str, object]]) -> Iterator[Gauge]:
    """Of rules that measure how things stand. Those that judge orders alone show nothing."""
    for row in rows:
        if row["limit"] is None and row["outcome"] != "unknown":
            continue
        labels: Labels = {"rule": str(row["rule"]), "scope": str(row["scope"])}
        for name, key in (("risk_limit_headroom", "headroom"), ("risk_limit_used_pct", "used_pct")):
            value = row[key]
            yield Gauge(name=name, labels=labels, value=None if value is None else str(value))
