"""The watch over limits: what is to be done and told when one breaks, order or no order.

Theory
------
Each rule about how things stand is asked again and again, of each subject that it may be broken for
(`StateJudge.survey`). What it finds is compared with what was told of that subject last
(`watched`), and only a difference has consequences:

    found         calm, or a level          tripped                     unknown was told
    broken        act, RuleTripped          nothing                     act, RuleTripped
    at a level    LimitWarned, if higher    RuleCalm, if far enough     RuleCalm or LimitWarned
    below         RuleCalm, if far enough   RuleCalm, if far enough     RuleCalm
    unknown       LimitUnknown, in time     LimitUnknown, in time       nothing
    gone          RuleCalm                  RuleCalm                    RuleCalm

"Far enough" is `EASE_PCT` of the limit below the level, so that a value that goes up and down at a
level is told once. What is not known is never calm: it neither ends anything nor, but for rules
that say so, breaks it. A subject that is no more, as a position that is closed, is calm.

Halts do not matter here: the watch goes on during a lockout, and a second rule trips in it. To act
comes before to tell. FIRST THE HALT, THEN WHAT IS TO BE CLOSED, THEN THE FACT THAT IT HAS TRIPPED:
whoever dies in between finds the rule still broken and not yet tripped, and does it all again, and
a halt that stands is not placed twice.

A breaker's halt whose time is over while the rule is still not calm is placed again, for longer:
that is a repeat. One that a person has lifted is not.
"""

from collections.abc import Collection, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import attrs

from ...messages import (
    Cause,
    CloseAsked,
    Halt,
    LimitUnknown,
    LimitWarned,
    RuleCalm,
    RuleTripped,
    Until,
    UntilElapsed,
    UntilOperator,
    UntilSession,
)
from ..book.numbers import exact, shown
from ..books import Books
from ..kill_switch import Breaker
from .decision import Knowledge
from .rule import HUNDRED, Around, Ask, Found, StateJudge, Steward, Subject, positions, unknown
from .view import Moment
from .watched import RULE, Told, Watched

EASE_PCT = Decimal(5)
"""Of the limit: so far below a level it is left."""
UNKNOWN_S = 10.0
"""So long a limit may be unknown before that is told: a mark may be a little late."""
TRANSIENT: frozenset[Cause] = frozenset({"network", "edge", "data"})
"""Causes that may pass by themselves. A breaker that goes off twice for any other one waits for a
person."""


@attrs.frozen
class Trip:
    """A halt for as long as the breaker says."""

    halt: Halt
    breaker: Breaker


Act = Halt | Trip | Ask | CloseAsked | RuleTripped | RuleCalm | LimitWarned | LimitUnknown
"""A halt to be placed, or a fact to be made."""


@attrs.define(eq=False)
class Patience:
    """Since when each subject can't be judged, by the monotonic clock. A restart begins anew."""

    since_s: dict[Subject, float] = attrs.field(factory=dict)

    def waited_s(self, subject: Subject, now_s: float) -> float:
        return now_s - self.since_s.setdefault(subject, now_s)

    def forget(self, subject: Subject) -> None:
        self.since_s.pop(subject, None)


def watch(
    known: Knowledge,
    watched: Watched,
    touched: Collection[str] | None,
    moment: Moment,
    *,
    session_end: datetime,
    patience: Patience,
) -> Iterator[Act]:
    """What is to be done now, in this order; each is done before the next one is asked for.
    `touched`: the accounts in which something has happened. None: all are looked at, and what goes
    by time as well."""
    for judge in known.rules.judges:
        if isinstance(judge, StateJudge) and _concerns(judge, known.books, touched):
            with exact():
                found = _survey(judge, known, moment)
            rule = _Rule(judge, known.books, watched, moment, session_end, patience)
            yield from rule.acts(found if isinstance(found, str) else found.of)
            if not isinstance(found, str):
                yield from found.asks
        elif isinstance(judge, Steward) and _concerns(judge, known.books, touched):
            yield from _tended(judge, known, watched, moment)


def _tended(
    judge: Steward[Any], known: Knowledge, watched: Watched, moment: Moment
) -> Iterator[Ask | LimitUnknown | RuleCalm]:
    """What it asks for. That it fails is told once, and so is that it doesn't any more."""
    subject = Subject(judge.id, judge.scope)
    is_unknown = watched.of(subject).is_unknown
    try:
        with exact():
            asked = tuple(judge.asks(Around(known.books, moment, known.memories.get(judge.id))))
    except Exception as error:  # noqa: BLE001 - it is told
        if not is_unknown:
            missing = f"{judge.id} failed: {error!r}"[:500]
            yield LimitUnknown(**_named(subject), missing=missing, unknown_s=0.0)
        return
    if is_unknown:
        yield _calm(subject, Found("pass", "ok"), None)
    yield from asked


def _concerns(
    judge: StateJudge[Any] | Steward[Any], books: Books, touched: Collection[str] | None
) -> bool:
    if touched is None:
        return True
    return judge.ON_NEWS and any(
        held.about.name in touched for held, _ in books.within(judge.scope)
    )


class _Survey(NamedTuple):
    of: dict[Subject, Found]
    asks: tuple[Ask, ...]


def _survey(judge: StateJudge[Any], known: Knowledge, moment: Moment) -> _Survey | str:
    """What it finds of each subject that there is, and asks for; or how it failed."""
    around = Around(known.books, moment, known.memories.get(judge.id))
    try:
        found = {one: each or Found("pass", "ok") for one, each in judge.survey(around)}
        return _Survey(found, tuple(judge.asks(around)))
    except Exception as error:  # noqa: BLE001 - it is told, and what adds risk is blocked
        return f"{judge.id} failed: {error!r}"[:500]


@attrs.frozen
class _Rule:
    """One rule, while it is looked at."""

    judge: StateJudge[Any]
    books: Books
    watched: Watched
    moment: Moment
    session_end: datetime
    patience: Patience

    def acts(self, found: dict[Subject, Found] | str) -> Iterator[Act]:
        if isinstance(found, str):
            subject = Subject(self.judge.id, self.judge.scope)
            yield from self._turn(subject, unknown(found), self.watched.of(subject))
            return
        for subject, one in found.items():
            yield from self._turn(subject, one, self.watched.of(subject))
        for subject in [each for each in self.watched.told if each.rule == self.judge.id]:
            if subject not in found:
                self.patience.forget(subject)
                yield _calm(subject, Found("pass", "ok"), None)

    def _turn(self, subject: Subject, found: Found, told: Told) -> Iterator[Act]:
        yield from self._edges(subject, found, told)
        if self.judge.config.lockout == "breaker" and self._is_half_open(subject, told):
            yield from self._halting(subject, reason_of(self.judge, subject, found))

    def _is_half_open(self, subject: Subject, told: Told) -> bool:
        """The time of its halt is over, and what it was placed for is not."""
        watched = self.watched
        return (
            told.is_tripped
            and watched.of(subject).is_tripped
            and (source(subject.rule), subject.scope) in watched.over
        )

    def _edges(self, subject: Subject, found: Found, told: Told) -> Iterator[Act]:
        if found.outcome == "unknown":
            yield from self._wait(subject, found, told)
            return
        self.patience.forget(subject)
        if found.outcome == "block":
            if not told.is_tripped:
                yield from self._trip(subject, found)
            return
        used = _used_pct(found)
        level = max((each for each in self.judge.levels if used is not None and used >= each),
                    default=None)  # fmt: skip
        was = HUNDRED if told.is_tripped else told.level_pct
        if level is not None and (was is None or level > was):
            assert found.limit is not None, "it has used so much of it"
            assert found.value is not None, "it has used so much of it"
            yield LimitWarned(
                **_named(subject), level_pct=level, limit=found.limit, value=found.value
            )
        elif was is not None and (used is None or used < was - EASE_PCT):
            yield _calm(subject, found, level)
        elif told.is_unknown and not told.is_tripped:
            yield _calm(subject, found, was)

    def _wait(self, subject: Subject, found: Found, told: Told) -> Iterator[Act]:
        """For what it needs."""
        waited_s = self.patience.waited_s(subject, self.moment.monotonic_s)
        patience_s = self.judge.patience_s
        if patience_s is not None and waited_s >= patience_s and not told.is_tripped:
            yield from self._trip(subject, found)
        elif waited_s >= UNKNOWN_S and not told.is_unknown:
            yield LimitUnknown(
                **_named(subject), missing=found.missing, unknown_s=round(waited_s, 3)
            )

    def _trip(self, subject: Subject, found: Found) -> Iterator[Act]:
        config = self.judge.config
        reason = reason_of(self.judge, subject, found)
        yield from self._halting(subject, reason)
        if config.action in ("close_position", "flatten"):
            yield from self._closing(subject, reason)
        yield RuleTripped(
            **_named(subject),
            kind=self.judge.kind,
            action=config.action,
            limit=found.limit,
            value=found.value,
            missing=found.missing,
        )

    def _halting(self, subject: Subject, reason: str) -> Iterator[Halt | Trip]:
        config = self.judge.config
        if config.action in ("warn", "block"):
            return
        halt = Halt(
            scope=subject.scope,
            mode="halt" if config.action == "halt" else "reduce_only",
            cause=self.judge.CAUSE,
            source=source(self.judge.id),
            reason=reason,
            until=self._until(),
        )
        breaker = breaker_of(self.judge)
        yield halt if breaker is None else Trip(halt, breaker)

    def _closing(self, subject: Subject, reason: str) -> Iterator[CloseAsked]:
        """The position that broke it. Of a rule that is about no single one, and for `flatten`, all
        that are open in the scope."""
        symbol = subject.symbol if self.judge.config.action == "close_position" else None
        if subject.scope.startswith("symbol:"):
            symbol = subject.scope.partition(":")[2]
        for held, book in self.books.within(subject.scope):
            account = held.about.name
            is_meant = subject.account in (None, account)
            if is_meant and any(True for _ in positions((book,), symbol)):
                yield CloseAsked(
                    rule=subject.rule,
                    scope=subject.scope,
                    account=account,
                    symbol=symbol,
                    reason=reason,
                )

    def _until(self) -> Until:
        config = self.judge.config
        if config.lockout == "session":
            return UntilSession(at=self.session_end)
        if config.lockout == "time" and config.lockout_s is not None:
            return UntilElapsed(seconds=config.lockout_s)
        return UntilOperator()


def _used_pct(found: Found) -> Decimal | None:
    """How much of a limit is used. What passes above it has a floor there: the larger it is, the
    less of that is used. None: it is nothing that could be used up."""
    limit, value = found.limit, found.value
    if limit is None or value is None or limit <= 0:
        return None
    return min(limit, value) * HUNDRED / max(limit, value)


def _named(subject: Subject) -> dict[str, Any]:
    return subject._asdict()


def _calm(subject: Subject, found: Found, level: Decimal | None) -> RuleCalm:
    return RuleCalm(**_named(subject), level_pct=level, limit=found.limit, value=found.value)


def breaker_of(judge: StateJudge[Any]) -> Breaker | None:
    """How long its halts last. None: that does not depend on how often it breaks."""
    config = judge.config
    if config.lockout != "breaker" or config.lockout_s is None:
        return None
    return Breaker(
        for_s=config.lockout_s,
        for_max_s=config.lockout_max_s,
        window_s=config.repeats_within_s,
        times_max=config.repeats_max if judge.CAUSE in TRANSIENT else 1,
    )


def source(rule: str) -> str:
    """Where its halts come from."""
    return f"{RULE}{rule}"


def reason_of(judge: StateJudge[Any], subject: Subject, found: Found) -> str:
    """In words, for whoever finds the halt."""
    where = subject.scope
    if subject.symbol is not None:
        where = f"{subject.symbol} of {subject.account or subject.scope}"
    if found.limit is None and found.missing is None:
        return f"{judge.id}: {where}: {judge.BROKEN}"
    if found.missing is not None:
        return f"{judge.id}: {where} can't be judged for want of {found.missing}"
    return f"{judge.id}: {where} is at {shown(found.value)}, and the limit is {shown(found.limit)}"
