"""Which limits are broken or near, as was told: part of what the ledger's facts add up to.

A rule is told of at edges alone, also across restarts. So what was told last is state: it is here,
for each subject that a rule is not simply calm about. Nothing that is judged goes by it.
"""

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from ...messages import (
    Fact,
    HaltPlaced,
    HaltsEnded,
    HaltsLifted,
    LimitUnknown,
    LimitWarned,
    Recorded,
    RuleCalm,
    RuleTripped,
    UntilElapsed,
)
from .rule import Subject


class Told(msgspec.Struct, frozen=True, array_like=True):
    """Of one subject."""

    is_tripped: bool = False
    level_pct: Decimal | None = None
    """The warning level that was told last."""
    is_unknown: bool = False
    """That it can't be judged was told, and nothing since."""


CALM = Told()
RULE = "rule:"
"""Begins the source of a halt that a rule has placed."""
Halting = tuple[str, str]
"""Source and scope of such a halt."""
Watchable = RuleTripped | RuleCalm | LimitWarned | LimitUnknown


class _State(msgspec.Struct, array_like=True):
    """What `dump` writes."""

    told: tuple[tuple[Subject, Told], ...]
    timed: dict[int, tuple[str, str]]
    over: list[tuple[str, str]]


class Watched:
    """All subjects that are not calm, and the halts of rules that time ends."""

    def __init__(self) -> None:
        self.told: dict[Subject, Told] = {}
        self.timed: dict[int, Halting] = {}
        """Those that stand, by their ids."""
        self.over: set[Halting] = set()
        """Those whose time has come, and of which none was placed since."""

    def of(self, subject: Subject) -> Told:
        return self.told.get(subject, CALM)

    def apply(self, recorded: Recorded) -> None:
        fact = recorded.fact
        halting = _HALTINGS.get(type(fact))
        if halting is not None:
            halting(self, fact)
            return
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
        self.over = {one for one in self.over if one[0].removeprefix(RULE) in rules}

    def dump(self) -> object:
        """What JSON can hold, as it is now."""
        return _State(tuple(self.told.items()), self.timed.copy(), sorted(self.over))

    def load(self, state: object) -> None:
        """Go back to a dump. Raises ValueError or TypeError."""
        found = msgspec.convert(state, _State, str_keys=True)
        self.told, self.timed, self.over = dict(found.told), found.timed, set(found.over)


def _place(watched: Watched, fact: HaltPlaced) -> None:
    halt = fact.halt
    if halt.source.startswith(RULE):
        watched.over.discard((halt.source, halt.scope))
        if isinstance(halt.until, UntilElapsed):
            watched.timed[fact.halt_id] = (halt.source, halt.scope)


def _end(watched: Watched, fact: HaltsEnded) -> None:
    ended = [watched.timed.pop(one) for one in fact.halt_ids if one in watched.timed]
    watched.over.update(one for one in ended if one not in watched.timed.values())


def _lift(watched: Watched, fact: HaltsLifted) -> None:
    """A person has taken it on himself."""
    for one in fact.halt_ids:
        halting = watched.timed.pop(one, None)
        if halting is not None:
            watched.over.discard(halting)


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


_HALTINGS: Mapping[type[Fact], Callable[[Watched, Any], None]] = {
    HaltPlaced: _place,
    HaltsEnded: _end,
    HaltsLifted: _lift,
}
_TURNS: Mapping[type[Fact], Callable[[Told, Any], Told]] = {
    RuleTripped: _trip,
    RuleCalm: _calm,
    LimitWarned: _warn,
    LimitUnknown: _doubt,
}
