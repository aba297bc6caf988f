"""Which limits are broken or near, as was told: part of what the ledger's facts add up to.

A rule is told of at edges alone, also across restarts. So what was told last is state: it is here,
for each subject that a rule is not simply calm about. Nothing that is judged goes by it.
"""

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from ...messages import Fact, LimitUnknown, LimitWarned, Recorded, RuleCalm, RuleTripped
from .rule import Subject


class Told(msgspec.Struct, frozen=True, array_like=True):
    """Of one subject."""

    is_tripped: bool = False
    level_pct: Decimal | None = None
    """The warning level that was told last."""
    is_unknown: bool = False
    """That it can't be judged was told, and nothing since."""


CALM = Told()
Watchable = RuleTripped | RuleCalm | LimitWarned | LimitUnknown


class Watched:
    """All subjects that are not calm."""

    def __init__(self) -> None:
        self.told: dict[Subject, Told] = {}

    def of(self, subject: Subject) -> Told:
        return self.told.get(subject, CALM)

    def apply(self, recorded: Recorded) -> None:
        fact = recorded.fact
        turn = _TURNS.get(type(fact))
        if turn is not None:
            subject = subject_of(fact)  # type: ignore[arg-type]  # the table holds these alone
            told = turn(self.of(subject), fact)
            if told == CALM:
                self.told.pop(subject, None)
            else:
                self.told[subject] = told

    def keep(self, rules: Collection[str]) -> None:
        """Only these are in force from here on, by their ids."""
        self.told = {subject: told for subject, told in self.told.items() if subject.rule in rules}

    def dump(self) -> object:
        """What JSON can hold, as it is now."""
        return tuple(self.told.items())

    def load(self, state: object) -> None:
        """Go back to a dump. Raises ValueError or TypeError."""
        self.told = dict(msgspec.convert(state, list[tuple[Subject, Told]]))


def subject_of(fact: Watchable) -> Subject:
    return Subject(fact.rule, fact.scope, fact.account, fact.symbol)


def _trip(_told: Told, _fact: RuleTripped) -> Told:
    return Told(is_tripped=True)


def _calm(_told: Told, fact: RuleCalm) -> Told:
    return Told(level_pct=fact.level_pct)


def _warn(_told: Told, fact: LimitWarned) -> Told:
    return Told(level_pct=fact.level_pct)


def _doubt(told: Told, _fact: LimitUnknown) -> Told:
    return msgspec.structs.replace(told, is_unknown=True)


_TURNS: Mapping[type[Fact], Callable[[Told, Any], Told]] = {
    RuleTripped: _trip,
    RuleCalm: _calm,
    LimitWarned: _warn,
    LimitUnknown: _doubt,
}
