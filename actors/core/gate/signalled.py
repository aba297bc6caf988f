"""The risk signal in a decision: stage 5, after freshness and before what only reduces.

A critical signal of any scope that an order is in blocks what adds risk, and so does one that
requires an action. What makes a position smaller passes, and that is told.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...messages.gate import RiskLevel
from ..signal.signals import SEVERITY, Raised
from .rule import OK, Found, Judge
from .view import View

STAGE = 5
KIND = "risk_signal"


class SignalJudge(Judge[Any]):
    """Of one scope, as its signal is."""

    STAGE = STAGE

    def __init__(self, scope: str, raised: Raised | None) -> None:
        self.scope = scope
        self.kind = KIND  # type: ignore[assignment]  # it is none of the rules
        self.id = f"{KIND}@{scope}"
        self.blocks = True
        self._raised = raised

    def judge(self, view: View) -> Found | None:
        raised = self._raised
        if raised is None:
            return OK
        if raised.level == "critical":
            found = Found("block", "risk_signal_critical", missing=raised.why)
        elif raised.action_required:
            found = Found("block", "risk_action_required", missing=raised.why)
        else:
            return Found("warn", "ok", missing=raised.why)
        return found if view.adds_risk else found._replace(outcome="warn")


def with_signals(
    judges: Sequence[Judge[Any]],
    inside: Iterable[str],
    raised: Mapping[str, Raised],
    *,
    explains: bool,
) -> list[Judge[Any]]:
    """The rules, with the signals of an order's scopes in their place among them."""
    found = [SignalJudge(scope, raised[scope]) for scope in inside if scope in raised]
    if not found and explains:
        found = [SignalJudge("all", None)]
    before = [one for one in judges if one.STAGE < STAGE]
    return [*before, *found, *judges[len(before) :]]


def level_of(inside: Iterable[str], raised: Mapping[str, Raised], least: RiskLevel) -> RiskLevel:
    """That of an order's answer: no lower than that of any signal it is under."""
    levels = [raised[scope].level for scope in inside if scope in raised]
    return max((least, *levels), key=SEVERITY.__getitem__)
