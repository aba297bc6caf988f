"""Is the lease held, why not, and what of that becomes history.

A round asks whoever trading depends on. When all is well the lease lasts `length_s` from the moment
at which the round *began*: a riskd that was stopped between the question and the answer has proved
nothing about the time since, and extends nothing. A round with a fault leaves the lease as it is.
Only when it has really run out has it lapsed: one late answer is no lapse, for the lease is longer
than a round.

History has the first lapse at once. Those that follow within `TOLD_EVERY_S` are told together once
it is over, so that a lease that flaps fills no journal, and none of them is passed over. A lapse
that was over before anybody could look, as when riskd was stopped, is told afterwards.
"""

from collections.abc import Sequence

import attrs

from ..messages import Fact, LeaseLapsed, LeaseRenewed

TOLD_EVERY_S = 10.0
NOT_YET = "nothing was asked yet"
UNASKED = "nothing extended it in time: riskd was stopped, or its event loop was stuck"


@attrs.frozen(kw_only=True)
class Round:
    """One look at those who have to answer, in seconds of the monotonic clock."""

    asked_s: float
    """Before the first question left."""
    answered_s: float
    """After the last answer came, or its deadline passed."""
    answer_s: float
    length_s: float
    fault: str | None
    """What is not well; None when all answered and nothing is in doubt."""


@attrs.frozen
class Outcome:
    """What follows from a round."""

    until_s: float | None
    """To when the lease is to be extended. None: not at all."""
    facts: Sequence[Fact]


class Tenure:
    """The lease through all incarnations of its actor."""

    def __init__(self) -> None:
        self._is_granted = False
        self._ends_s: float | None = None
        self._fault: str | None = NOT_YET
        """The newest since the lease was last extended."""
        self._lapsed_s: float | None = None
        """When the lapse that lasts began."""
        self._untold = 0
        self._told_s: float | None = None
        self._is_told = False
        """History has it as lapsed."""
        self._refused_s = 0.0
        """Of the lapses that are over and whose end is not told."""

    def after(self, done: Round) -> Outcome:
        """Take a round into account."""
        if self._ends_s is None:
            # The first one finds no lease, and that is no lapse: it has as long as a lease lasts.
            self._ends_s, self._fault = done.asked_s + done.length_s, None
        fault = done.fault or _late(done)
        self._fault = fault or self._fault
        if self._lapsed_s is None and done.answered_s >= self._ends_s:
            self._lapsed_s = self._ends_s
            self._untold += 1
        reason = self._fault or UNASKED
        until_s = None if fault else done.asked_s + done.length_s
        if until_s is not None:
            self._extend(until_s, done.answered_s)
        return Outcome(until_s, self._tell(reason, done.answered_s))

    def _extend(self, until_s: float, now_s: float) -> None:
        assert self._ends_s is not None, "a round was taken into account"
        self._is_granted, self._fault = True, None
        self._ends_s = max(self._ends_s, until_s)
        if self._lapsed_s is not None:
            self._refused_s += now_s - self._lapsed_s
            self._lapsed_s = None

    def _tell(self, reason: str, now_s: float) -> list[Fact]:
        facts: list[Fact] = []
        is_due = self._told_s is None or now_s - self._told_s >= TOLD_EVERY_S
        if self._untold and is_due:
            many = f"; the last of {self._untold} lapses" if self._untold > 1 else ""
            facts.append(LeaseLapsed(reason=reason + many))
            self._untold, self._told_s, self._is_told = 0, now_s, True
        if self._is_told and self._lapsed_s is None:
            facts.append(LeaseRenewed(after_s=round(self._refused_s, 3)))
            self._refused_s, self._is_told = 0.0, False
        return facts

    def shown(self, now_s: float, *, length_s: float, path: str) -> dict[str, object]:
        """The lease as `status` has it. Its keys are a contract."""
        ends_s = self._ends_s if self._is_granted else None
        left_s = 0.0 if ends_s is None else max(0.0, ends_s - now_s)
        return {
            "held": left_s > 0,
            "remaining_s": round(left_s, 3),
            "length_s": length_s,
            "path": path,
            "lapsed_because": None if left_s > 0 else self._fault or UNASKED,
        }


def _late(done: Round) -> str | None:
    """Did the answers come too late, whatever the timers say? After a stop they may be late too."""
    took_s = done.answered_s - done.asked_s
    if took_s <= done.answer_s and took_s < done.length_s:
        return None
    return f"the answers took {took_s:.3g} s, and have {min(done.answer_s, done.length_s):g} s"
