"""Rules whose limits shrink: each is the rule that it would be with smaller limits.

What it is multiplied by comes in hundredths, so that there are no more than a hundred such rules of
one; each is made when it is first needed. None of them knows of it. What a rule remembers is the
same for all, so what it remembers by is never multiplied (`FIXED`).
"""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar

from ....config.schema.rules import Rule, StateRule
from ....config.schema.rules.scaling import scaled
from ..book.numbers import ONE, exact
from .factor import Meter
from .memory import Memory
from .rule import Around, Found, Judge, StateJudge, Subject
from .rules import judge_of
from .standing import Standing
from .view import Moment, View

J = TypeVar("J", bound=Judge[Any])


class Shrinking(Generic[J]):
    """One rule, at each size of its limits."""

    def __init__(self, whole: J, meter: Meter) -> None:
        self.whole = whole
        self.meter = meter
        kind, _, name = whole.scope.partition(":")
        self._symbol = name if kind == "symbol" else None
        self._judges: dict[Decimal, J] = {ONE: whole}

    @property
    def is_by_symbol(self) -> bool:
        """Is it another one for some orders?"""
        return self._symbol is None and self.meter.config.is_by_symbol

    def part(self, at: datetime) -> Decimal:
        """What it is multiplied by now, as far as that can be told without an order."""
        return self.meter.now(at, self._symbol)

    def of(self, part: Decimal) -> J:
        if part not in self._judges:
            with exact():
                smaller: Any = judge_of(scaled(self.whole.config, part))
            self._judges[part] = smaller
        return self._judges[part]

    def at(self, at: datetime) -> J:
        """Without an order."""
        return self.of(self.part(at))

    def by(self, view: View) -> J:
        """For an order."""
        account = view.held.about.name
        return self.of(self.meter.now(view.moment.at, view.symbol, account))


class Dynamic(Judge[Rule]):
    """A rule about orders."""

    def __init__(self, whole: Judge[Any], meter: Meter) -> None:
        super().__init__(whole.config)
        self.STAGE, self.OF_AMENDMENTS = whole.STAGE, whole.OF_AMENDMENTS
        self.shrinking = Shrinking(whole, meter)

    def memory(self) -> Memory | None:
        return self.shrinking.whole.memory()

    def judge(self, view: View) -> Found | None:
        return self.shrinking.by(view).judge(view)

    def measure(
        self, standing: Standing, moment: Moment, memory: Any = None, *, explains: bool = False
    ) -> Found | None:
        judge = self.shrinking.at(moment.at)
        return judge.measure(standing, moment, memory, explains=explains)


class DynamicState(StateJudge[StateRule]):
    """A rule about how things stand. Its factor goes by the time, or by the symbol that is its
    scope: it is the same for an order and without one."""

    def __init__(self, whole: StateJudge[Any], meter: Meter) -> None:
        self.shrinking = Shrinking(whole, meter)
        super().__init__(whole.config)
        self.STAGE, self.OF_AMENDMENTS = whole.STAGE, whole.OF_AMENDMENTS
        self.ON_NEWS, self.CAUSE, self.BROKEN = whole.ON_NEWS, whole.CAUSE, whole.BROKEN
        self.patience_s = whole.patience_s

    def memory(self) -> Memory | None:
        return self.shrinking.whole.memory()

    def judge(self, view: View) -> Found | None:
        return self.shrinking.at(view.moment.at).judge(view)

    def measure(
        self, standing: Standing, moment: Moment, memory: Any = None, *, explains: bool = False
    ) -> Found | None:
        judge = self.shrinking.at(moment.at)
        return judge.measure(standing, moment, memory, explains=explains)

    def overall(self, around: Around) -> Found | None:
        return self.shrinking.at(around.moment.at).overall(around)

    def survey(self, around: Around) -> Iterator[tuple[Subject, Found | None]]:
        return self.shrinking.at(around.moment.at).survey(around)


def shrinking(rule: Rule, meter: Meter) -> Judge[Any]:
    """A rule in force that has a factor."""
    whole = judge_of(rule)
    if isinstance(whole, StateJudge):
        return DynamicState(whole, meter)
    return Dynamic(whole, meter)
