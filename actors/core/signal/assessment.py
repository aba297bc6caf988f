"""What is made of a scope's figures: a level, a score, and issues in words.

A figure that has reached its limit is an issue, and stays one until it is 5 percent of the limit
better, so that one that goes up and down at its limit is told once. The words of an issue hold the
limit and not the figure: as long as they are the same, it is the same issue.

What is not known is never good. It is an issue once that has lasted, or at once if it was told
already: a restart makes nothing known.
"""

from collections.abc import Iterator
from decimal import Decimal

import attrs

from ....config.schema import RiskSignal as Thresholds
from ...messages.gate import RiskLevel
from ...messages.signal import RiskSignal, RiskSnapshot, Tier
from ..book.numbers import ZERO, exact
from .snapshot import is_broke

EASE = Decimal("0.95")
"""Of its limit: below that a figure is no issue any more."""
UNKNOWN_S = 10.0
"""So long a figure may be unknown before that is an issue: a mark may be a little late."""
BROKE = "there are positions, and equity is not above 0"
FIGURES = (
    ("drawdown_pct", "drawdown_warning_pct", "drawdown_critical_pct"),
    ("daily_loss_pct", "daily_loss_warning_pct", "daily_loss_critical_pct"),
    ("weekly_loss_pct", "weekly_loss_warning_pct", "weekly_loss_critical_pct"),
    ("gross_leverage", "gross_leverage_warning", "gross_leverage_critical"),
    ("net_leverage", "net_leverage_warning", "net_leverage_critical"),
    ("concentration_pct", "concentration_warning_pct", None),
)
"""Each with the keys of its limits."""
SCORE_OF: dict[RiskLevel, int] = {"info": 0, "warning": 50, "critical": 100}
"""The least that a level scores."""
TIERS: dict[RiskLevel, Tier] = {"info": "normal", "warning": "reduced", "critical": "emergency"}
CALM = RiskSignal(level="info", score=0)


@attrs.define(eq=False)
class Waits:
    """Since when each figure of each scope is not known, by the monotonic clock."""

    since_s: dict[tuple[str, str], float] = attrs.field(factory=dict)

    def forget(self, scope: str) -> None:
        """There is no such scope any more."""
        self.since_s = {key: at_s for key, at_s in self.since_s.items() if key[0] != scope}


def assess(
    scope: str,
    found: RiskSnapshot,
    limits: Thresholds,
    told: RiskSignal,
    waits: Waits,
    now_s: float,
) -> RiskSignal:
    """The signal of these figures. `told`: the one that was told last."""
    before = {*told.critical_issues, *told.warnings}
    critical = list(_kept(found, told.critical_issues))
    warnings = list(_kept(found, told.warnings))
    with exact():
        if is_broke(found):
            critical.append(BROKE)
        for name, warning, most in FIGURES:
            value: Decimal | None = getattr(found, name)
            if value is None:
                continue
            words = None if most is None else _reached(name, value, getattr(limits, most), before)
            if words is not None:
                critical.append(words)
            elif words := _reached(name, value, getattr(limits, warning), before):
                warnings.append(words)
        score = max(_shares(found, limits), default=0)
    unknown = critical if limits.unknown == "critical" else warnings
    unknown += [f"{name} is not known" for name in _unknown(scope, found, waits, now_s, before)]
    level: RiskLevel = "critical" if critical else "warning" if warnings else "info"
    is_exposed = found.gross_leverage is None or found.gross_leverage > 0
    return RiskSignal(
        level=level,
        score=100 if critical else max(score, SCORE_OF[level]),
        critical_issues=tuple(critical),
        warnings=tuple(warnings),
        tier=TIERS[level],
        action_required=bool(critical) and is_exposed,
    )


def _kept(found: RiskSnapshot, issues: tuple[str, ...]) -> Iterator[str]:
    """What was told of figures that nobody knows now: they are not known to be better. Without a
    common currency there is nothing to know."""
    if found.currency is None:
        return
    for name, _, _ in FIGURES:
        if getattr(found, name) is None:
            yield from (each for each in issues if each.startswith(f"{name} has reached "))
    if found.equity is None and BROKE in issues:
        yield BROKE


def _reached(name: str, value: Decimal, limit: Decimal, before: set[str]) -> str | None:
    words = f"{name} has reached {limit.normalize():f}"
    return words if value >= (limit * EASE if words in before else limit) else None


def _shares(found: RiskSnapshot, limits: Thresholds) -> Iterator[int]:
    """How much of each critical limit is used, in percent and below all of it."""
    for name, _, most in FIGURES:
        value: Decimal | None = getattr(found, name)
        if most is not None and value is not None:
            yield min(99, int(max(value, ZERO) * 100 / getattr(limits, most)))


def _unknown(
    scope: str, found: RiskSnapshot, waits: Waits, now_s: float, before: set[str]
) -> Iterator[str]:
    """What has not been known for too long. Without equity nothing is, and that is said alone."""
    names = ("equity", *(name for name, _, _ in FIGURES))
    is_comparable = found.currency is not None
    for name in names:
        key = (scope, name)
        if not is_comparable or getattr(found, name) is not None:
            waits.since_s.pop(key, None)
            continue
        waited_s = now_s - waits.since_s.setdefault(key, now_s)
        is_said = name == "equity" or found.equity is not None
        if is_said and (waited_s >= UNKNOWN_S or f"{name} is not known" in before):
            yield name
