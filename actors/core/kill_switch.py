"""The kill switch decides: what each event does in each state, and which halts may be lifted.

Theory
------
Three states. ACTIVE: trading is on. KILLED: it is off. RECOVERING: it is still off, a person has
taken the responsibility for going on, and the cooldown runs.

                 trigger                  recover                   complete_recovery
    ACTIVE       -> KILLED                stays                     stays
    KILLED       stays, one more cause    -> RECOVERING, if         refused: recover first
                                             somebody approved
    RECOVERING   -> KILLED                stays                     -> ACTIVE, if the cooldown
                                                                       is over and every
                                                                       account reconciled

There is one way to ACTIVE, and it leads through a person, the cooldown and the reconciliation. To
KILLED there is a way from everywhere, which nothing guards. Who asks for what is already so is
answered with it, and nothing is recorded: each event may be repeated at will. `TABLE` holds the
same table, and a test compares the two.

A trigger that goes on triggering while the switch is KILLED must not fill the journal: a cause is
noted once for each source and person, and there are at most so many.

Everything else that stops trading is a halt (`core.halts`): placed without being asked twice,
lifted by a person, by time, or by whoever watches its condition. A halt that goes off again and
again lasts longer each time (`Breaker`), and in the end it needs a person. When there are more
halts than can be kept apart, everything is halted.

Nothing here is asked what time it is, nor does it act: it answers with the facts to be made.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import attrs
import msgspec
from attrs.validators import ge, gt, le

from ..messages import (
    By,
    Cause,
    Halt,
    HaltPlaced,
    HaltsEnded,
    HaltsLifted,
    KillSwitchTriggered,
    RecoveryCompleted,
    RecoveryStarted,
    Scope,
    State,
    Until,
    UntilCondition,
    UntilElapsed,
    UntilInstant,
    UntilOperator,
    UntilSession,
)
from .halts import (
    EVERYTHING,
    TRIPS_KEPT,
    Halted,
    Now,
    Standing,
    breaker,
    cooldown_left_s,
    remaining_s,
)

TRIGGERS_NOTED = 16
"""Causes of one kill. Those that come later find everything halted, and are not noted."""
HALTS_MAX = 1_000
"""In force at one time."""
FOR_MAX_S = 31_536_000
"""What a fact can say of how long a halt lasts."""
RECONCILED = "reconciled"
"""The condition that riskd's book and the brokers' agree."""

Event = Literal["trigger", "recover", "complete_recovery"]
Move = Literal["kill", "note", "recover", "complete", "stay", "refuse"]

TABLE: Mapping[State, Mapping[Event, Move]] = {
    "ACTIVE": {"trigger": "kill", "recover": "stay", "complete_recovery": "stay"},
    "KILLED": {"trigger": "note", "recover": "recover", "complete_recovery": "refuse"},
    "RECOVERING": {"trigger": "kill", "recover": "stay", "complete_recovery": "complete"},
}


class NotAllowed(Exception):
    """A transition or a lift that may not be now. Nothing has changed. `code` is a closed set."""

    def __init__(self, code: str, message: str, problems: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.problems = list(problems)


@attrs.frozen
class Rules:
    """What the configuration says, and whom it knows."""

    cooldown_s: float
    two_person: bool = False
    people: Mapping[str, int] = attrs.field(factory=dict)
    """Those who may act, by every name they can be called, with their user ids."""


# --- the kill switch ------------------------------------------------------------------------------


def trigger(
    halted: Halted, *, by: By, cause: Cause, source: str, reason: str
) -> KillSwitchTriggered | None:
    """Stop everything. None: it is stopped already, and for this cause among others."""
    if TABLE[halted.state]["trigger"] == "note":
        # What a person has to say is noted for itself; a trigger says the same in other figures.
        one = (cause, source, by.via, by.user_id, _said(by, reason))
        known = any(
            (t.cause, t.source, t.by.via, t.by.user_id, _said(t.by, t.reason)) == one
            for t in halted.triggers
        )
        if known or len(halted.triggers) >= TRIGGERS_NOTED:
            return None
    return KillSwitchTriggered(by=by, cause=cause, source=source, reason=reason)


def _said(by: By, reason: str) -> str:
    return "" if by.via == "riskd" else reason


def recover(halted: Halted, *, by: By, approved_by: str, rules: Rules) -> RecoveryStarted | None:
    """Begin the way back. None: there is nothing to begin. Raises NotAllowed."""
    if TABLE[halted.state]["recover"] == "stay":
        return None
    approver = _approved(by, approved_by, rules)
    return RecoveryStarted(by=by, approved_by=approver, cooldown_s=rules.cooldown_s)


def complete(
    halted: Halted,
    *,
    by: By,
    rules: Rules,
    now: Now,
    unreconciled: Iterable[str],
    uneasy: Iterable[str] = (),
) -> RecoveryCompleted | None:
    """Trade again. None: that is so. Raises NotAllowed.

    `unreconciled` says of each account that does not agree with its broker what is wrong, `uneasy`
    which triggers would stop everything again, or don't know.
    """
    match TABLE[halted.state]["complete_recovery"]:
        case "stay":
            return None
        case "refuse":
            raise NotAllowed(
                "not_recovering",
                f"the kill switch is {halted.state}; begin with recover, which somebody approves",
            )
    left_s = cooldown_left_s(halted, now, rules.cooldown_s)
    assert left_s is not None, "RECOVERING has a recovery"
    if left_s > 0:
        raise NotAllowed(
            "cooldown", f"the kill switch is RECOVERING; the cooldown has {left_s:.1f} s to go"
        )
    if problems := list(unreconciled):
        raise NotAllowed(
            "not_reconciled",
            "the kill switch is RECOVERING; not every account agrees with its broker",
            problems,
        )
    if problems := list(uneasy):
        raise NotAllowed(
            "still_tripped",
            "the kill switch is RECOVERING; triggers that stop everything are not calm",
            problems,
        )
    return RecoveryCompleted(by=by)


def second(by: By, approved_by: str | None, rules: Rules) -> str | None:
    """Who approves of what loosens, to be recorded: nobody need, unless two persons must. Raises
    NotAllowed."""
    if approved_by is not None:
        return _approved(by, approved_by, rules)
    if rules.two_person:
        raise NotAllowed(
            "no_approval",
            "with security.two_person another person has to approve this: name one with "
            "approved_by",
        )
    return None


def _approved(by: By, approved_by: str, rules: Rules) -> str:
    """The name to be recorded. With two persons it must be that of another one who may act."""
    name = approved_by.strip()
    if not name:
        raise NotAllowed("no_approval", "approved_by is empty; name who takes the responsibility")
    if rules.two_person:
        approver = rules.people.get(name)
        if approver is None:
            known = ", ".join(sorted(rules.people)) or "nobody"
            raise NotAllowed(
                "unknown_approver",
                f"{name!r} is none of those who may act ({known}); with security.two_person "
                f"one of them has to approve",
            )
        if by.user_id is None or approver == by.user_id:
            raise NotAllowed(
                "same_person",
                f"{name!r} is who asks for it; with security.two_person another one has to approve",
            )
    return name


# --- halts ----------------------------------------------------------------------------------------


@attrs.frozen
class Breaker:
    """A halt that ends by itself, and lasts longer each time it comes again within the window.

    After `times_max` such halts in the window the next one waits for a person.
    """

    for_s: float = attrs.field(validator=gt(0))
    factor: float = attrs.field(default=2.0, validator=ge(1))
    for_max_s: float = attrs.field(default=3_600.0, validator=[gt(0), le(FOR_MAX_S)])
    window_s: float = 86_400.0
    times_max: int = attrs.field(default=5, validator=le(TRIPS_KEPT))

    def timed(self, halted: Halted, wanted: Halt, now: Now) -> Halt:
        """The next one, with how long it lasts. Ask `trip`, which knows whether there is one."""
        trips = halted.trips.get(breaker(wanted.source, wanted.scope), [])
        times = sum(trip.elapsed_s(now.monotonic_s) < self.window_s for trip in trips)
        return msgspec.structs.replace(wanted, until=self._until(times), repeat=times)

    def _until(self, times: int) -> Until:
        if times >= self.times_max:
            return UntilOperator()
        seconds = min(self.for_max_s, self.for_s)
        for _ in range(times):
            seconds = min(self.for_max_s, seconds * self.factor)
        return UntilElapsed(seconds=seconds)


def place(
    halted: Halted, halt: Halt, *, by: By, now: Now
) -> HaltPlaced | KillSwitchTriggered | None:
    """Halt a scope. None: a halt of the same source does this already, and for as long. What can't
    be told from others, or is no scope, halts everything."""
    if any(_outlasts(standing, halt, now) for standing in _lasting(halted, halt.scope)):
        return None
    if len(halted.halts) >= HALTS_MAX:
        reason = f"{HALTS_MAX} halts are in force, and another was asked for: {halt.scope}"
        return trigger(halted, by=by, cause=halt.cause, source=halt.source, reason=reason)
    if not _is_scope(halt.scope):
        reason = f"a halt was asked for whose scope is none: {halt.scope!r}"
        return trigger(halted, by=by, cause=halt.cause, source=halt.source, reason=reason)
    return HaltPlaced(halt_id=halted.next_id, halt=halt, by=by)


def _is_scope(scope: str) -> bool:
    try:
        msgspec.convert(scope, Scope)
    except msgspec.ValidationError:
        return False
    return True


def trip(
    halted: Halted, wanted: Halt, breaker: Breaker, *, by: By, now: Now
) -> HaltPlaced | KillSwitchTriggered | None:
    """The same by a breaker, which says how long. None: it is open already; what goes on while it
    is open doesn't make it last longer."""
    for standing in _lasting(halted, wanted.scope):
        held = standing.halt
        is_open = held.source == wanted.source
        if is_open and _is_as_strict(held, wanted) and remaining_s(standing, now) != 0:
            return None
    return place(halted, breaker.timed(halted, wanted, now), by=by, now=now)


def _lasting(halted: Halted, scope: str) -> Iterator[Standing]:
    """Those of this scope, but for those whose end is on its way to the disk: to ask for one of
    them again is to ask for a new one, which overtakes that end."""
    # The scope before all else: there may be many halts, and another one must not take long.
    here = [(one, each) for one, each in halted.halts.items() if each.halt.scope == scope]
    return (each for one, each in here if one not in halted.ending)


def _is_as_strict(held: Halt, wanted: Halt) -> bool:
    return held.mode in ("halt", wanted.mode)


def _outlasts(standing: Standing, halt: Halt, now: Now) -> bool:
    """Is the halt that stands as strict as the one that is asked for, and as long?"""
    held = standing.halt
    if (held.cause, held.source) != (halt.cause, halt.source):
        return False
    return _is_as_strict(held, halt) and _lasts_as_long(standing, halt.until, now)


def _lasts_as_long(standing: Standing, until: Until, now: Now) -> bool:
    """For sure: what ends by one clock says nothing of the other, nor a condition of either."""
    held, left_s = standing.halt.until, remaining_s(standing, now)
    if isinstance(held, UntilOperator):
        return True
    match until:
        case UntilElapsed(seconds=seconds):
            return isinstance(held, UntilElapsed) and left_s is not None and left_s >= seconds
        case UntilInstant(at=at) | UntilSession(at=at):
            return isinstance(held, UntilInstant | UntilSession) and held.at >= at
    return held == until


def lift(
    halted: Halted,
    *,
    scope: str,
    by: By,
    reason: str,
    approved_by: str | None,
    rules: Rules,
    below: float = math.inf,
) -> HaltsLifted | None:
    """Lift what was placed for exactly this scope. None: nothing was. Raises NotAllowed.

    `below` is the number of the first halt that was placed after this was asked for: those who ask
    mean what they could see.
    """
    found = tuple(
        one
        for one, standing in halted.halts.items()
        if standing.halt.scope == scope and one < below
    )
    if not found:
        return None
    approver = second(by, approved_by, rules)
    return HaltsLifted(halt_ids=found, scope=scope, by=by, approved_by=approver, reason=reason)


def holds(halted: Halted, condition: str, *, below: float = math.inf) -> HaltsEnded | None:
    """A condition holds: what waited for it ends. None: nothing did. A halt from `below` on was
    placed since then, perhaps because it holds no more."""
    found = tuple(
        one
        for one, standing in halted.halts.items()
        if _waits_for(standing, condition) and one < below
    )
    return HaltsEnded(halt_ids=found, reason=f"{condition} holds") if found else None


def _waits_for(standing: Standing, condition: str) -> bool:
    until = standing.halt.until
    return isinstance(until, UntilCondition) and until.condition == condition


def due(halted: Halted, now: Now) -> HaltsEnded | None:
    """Those whose time has come. None: none has."""
    found = tuple(one for one, standing in halted.halts.items() if remaining_s(standing, now) == 0)
    return HaltsEnded(halt_ids=found, reason="the time has come") if found else None


def next_due_s(halted: Halted, now: Now) -> float:
    """How long until `due` has to be asked again; infinity when no time ends anything."""
    left = (remaining_s(standing, now) for standing in halted.halts.values())
    return min((each for each in left if each is not None), default=float("inf"))


# --- a start --------------------------------------------------------------------------------------


def after_crash(
    halted: Halted, *, by: By, policy: Literal["reconcile", "operator"]
) -> HaltPlaced | None:
    """The halt that a start after an unclean end begins with. None: the last end was in order, or
    the halt of an earlier crash still stands."""
    if not halted.is_running:
        return None
    until = UntilCondition(condition=RECONCILED) if policy == "reconcile" else UntilOperator()
    halt = Halt(
        scope=EVERYTHING,
        mode="halt",
        cause="crash",
        source="start",
        reason="riskd did not end in order: what it did last may not be what its brokers saw",
        until=until,
    )
    if any(
        (held.scope, held.mode, held.source) == (halt.scope, halt.mode, halt.source)
        and held.until in (until, UntilOperator())
        for held in (standing.halt for standing in halted.halts.values())
    ):
        return None
    return HaltPlaced(halt_id=halted.next_id, halt=halt, by=by)
