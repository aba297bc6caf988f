"""What stops trading now: the projection that folds it from the facts, and how it composes.

A halt covers an order when its scope is everything, or names the order's account, exchange,
strategy, symbol or worker. Of all that cover it the most restrictive wins: `halt` before
`reduce_only`, however many there are and in whatever order they came. The kill switch stands above
them: unless it is ACTIVE, everything is halted. So one more halt never lets anything through.

Time, here, is what riskd can prove. A `Span` counts the monotonic clock within a boot, and across
boots only what a fact has noted: it neither shrinks by a jump of the wall clock, nor starts again
because of a crash, nor counts what it has not seen.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

import attrs
import msgspec

from ..messages import (
    AccountClosed,
    By,
    Cause,
    DaemonStarted,
    DaemonStopped,
    Fact,
    Halt,
    HaltPlaced,
    HaltsEnded,
    HaltsLifted,
    InstrumentDelisted,
    JournalRepaired,
    KillSwitchTriggered,
    LooseningProposed,
    Mode,
    Recorded,
    RecoveryCompleted,
    RecoveryStarted,
    RiskSignalChanged,
    RuleTripped,
    SnapshotSkipped,
    State,
    UntilCondition,
    UntilElapsed,
    UntilInstant,
    UntilSession,
)

EVERYTHING = "all"
TRIGGERS_KEPT = 64
"""Of those that came since it was last ACTIVE: the first one, and the newest."""
TRIPS_KEPT = 64
"""Of one breaker. More within its window change nothing: it is at its longest by then."""
BREAKERS_KEPT = 1_000
"""Beyond it the one that tripped longest ago is forgotten."""

Passing = Literal["all", "reduce_only", "none"]
"""What may pass."""


@attrs.frozen
class Now:
    """The time at which something is decided."""

    boot: str
    monotonic_s: float
    at: datetime


class Span(msgspec.Struct, array_like=True):
    """Time that has gone by for sure: `before_s` in earlier boots, the rest since `since_s`."""

    since_s: float
    before_s: float = 0.0
    is_of_one_boot: bool = True

    def elapsed_s(self, monotonic_s: float) -> float:
        return self.before_s + max(0.0, monotonic_s - self.since_s)

    def reboot(self, seen_s: float, since_s: float) -> None:
        """Go on in another boot: what the last one is known to have seen is kept."""
        self.before_s = self.elapsed_s(seen_s)
        self.since_s = since_s
        self.is_of_one_boot = False


class TriggerSeen(msgspec.Struct, frozen=True, array_like=True):
    """One reason for the kill."""

    cause: Cause
    source: str
    reason: str
    by: By
    at: datetime
    lsn: int


class Recovery(msgspec.Struct, array_like=True):
    """A recovery under way."""

    by: By
    approved_by: str
    cooldown_s: float
    at: datetime
    waited: Span


class Standing(msgspec.Struct, array_like=True):
    """A halt in force."""

    halt_id: int
    halt: Halt
    by: By
    at: datetime
    waited: Span


class Halted(msgspec.Struct, array_like=True):
    """All of the projection's state, as a snapshot holds it."""

    state: State = "ACTIVE"
    triggers: list[TriggerSeen] = []
    """Why it is not ACTIVE, in order."""
    recovery: Recovery | None = None
    halts: dict[int, Standing] = {}
    next_id: int = 1
    ending: tuple[int, ...] = ()
    """Halts whose end waits for the disk: in force, but nobody may rely on them to last."""
    trips: dict[str, list[Span]] = {}
    """When the halts of a source that lasts for a time were placed, by source and scope."""
    is_running: bool = False
    """There was a start, and no orderly end since; or there may have been, among the facts that a
    repair has cut off. So may have been kills and halts."""
    boot: str = ""
    seen_s: float = 0.0
    """The monotonic time of the newest fact, in that boot."""
    epoch: int = 0
    """The number of the newest fact that tightened, began a run, or ended what may trade: what was
    permitted before it has to be asked for again."""


class Halts:
    """The kill switch and every halt, as the facts have them."""

    name = "halts"
    version = 2

    def __init__(self) -> None:
        self.revision = 0
        """Another one whenever what is halted may have changed."""
        self.load(None)

    def load(self, state: bytes | None) -> None:
        """Go back to a dump, or to before the first fact."""
        self.now = Halted() if state is None else _decode(state)
        self.revision += 1

    def dump(self) -> tuple[bytes]:
        """In one piece: there are few halts at a time."""
        return (msgspec.json.encode(self.now),)

    def apply(self, recorded: Recorded) -> None:
        now, fact = self.now, recorded.fact
        if fact.BEARING == "tightens":
            now.epoch = max(now.epoch + 1, recorded.lsn)
            now.ending = ()  # It overtakes whatever would loosen.
        # By its type: most facts are none of these, and there are millions of them.
        act = _ACTS.get(type(fact))
        if act is not None:
            act(now, recorded, fact)
            self.revision += 1
        if recorded.monotonic_s > now.seen_s and type(fact) not in _OF_NO_BOOT:
            now.seen_s = recorded.monotonic_s


def _start(now: Halted, recorded: Recorded, fact: DaemonStarted) -> None:
    if fact.boot != now.boot:
        for span in _spans(now):
            span.reboot(now.seen_s, recorded.monotonic_s)
        now.boot, now.seen_s = fact.boot, recorded.monotonic_s
    now.is_running, now.ending = True, ()
    now.epoch = max(now.epoch + 1, recorded.lsn)


def _stop(now: Halted, _recorded: Recorded, _fact: DaemonStopped) -> None:
    now.is_running = False


def _repair(now: Halted, _recorded: Recorded, _fact: JournalRepaired) -> None:
    now.is_running = True


def _trigger(now: Halted, recorded: Recorded, fact: KillSwitchTriggered) -> None:
    now.state, now.recovery = "KILLED", None
    seen = TriggerSeen(fact.cause, fact.source, fact.reason, fact.by, recorded.at, recorded.lsn)
    now.triggers.append(seen)
    if len(now.triggers) > TRIGGERS_KEPT:
        del now.triggers[1]


def _recover(now: Halted, recorded: Recorded, fact: RecoveryStarted) -> None:
    now.state = "RECOVERING"
    waited = Span(recorded.monotonic_s)
    now.recovery = Recovery(fact.by, fact.approved_by, fact.cooldown_s, recorded.at, waited)


def _complete(now: Halted, _recorded: Recorded, _fact: RecoveryCompleted) -> None:
    now.state, now.recovery, now.triggers = "ACTIVE", None, []


def _place(now: Halted, recorded: Recorded, fact: HaltPlaced) -> None:
    halt, waited = fact.halt, Span(recorded.monotonic_s)
    now.halts[fact.halt_id] = Standing(fact.halt_id, halt, fact.by, recorded.at, waited)
    now.next_id = max(now.next_id, fact.halt_id + 1)
    if isinstance(halt.until, UntilElapsed):
        # The newest last, also among the breakers: the first to be forgotten is the oldest.
        key = breaker(halt.source, halt.scope)
        trips = now.trips.pop(key, [])
        trips.append(Span(recorded.monotonic_s))
        now.trips[key] = trips[-TRIPS_KEPT:]
        if len(now.trips) > BREAKERS_KEPT:
            del now.trips[next(iter(now.trips))]


def _lift(now: Halted, _recorded: Recorded, fact: HaltsLifted | HaltsEnded) -> None:
    for one in fact.halt_ids:
        now.halts.pop(one, None)
    now.ending = tuple(one for one in now.ending if one in now.halts)


def _trip(now: Halted, recorded: Recorded, fact: RuleTripped) -> None:
    """A limit that is broken stops orders whether it halts anything or not: what was permitted
    before was permitted by a limit that held. It ends no halt's end, for it is no halt."""
    if fact.action != "warn":
        now.epoch = max(now.epoch + 1, recorded.lsn)


def _close(now: Halted, recorded: Recorded, _fact: AccountClosed | InstrumentDelisted) -> None:
    """No order is permitted there any more: what was permitted before has to be asked for again."""
    now.epoch = max(now.epoch + 1, recorded.lsn)


def _worsen(now: Halted, recorded: Recorded, fact: RiskSignalChanged) -> None:
    """One that blocks makes old what was permitted before, as a limit does that is broken."""
    if fact.signal.level == "critical" or fact.signal.action_required:
        now.epoch = max(now.epoch + 1, recorded.lsn)


def _propose(now: Halted, _recorded: Recorded, fact: LooseningProposed) -> None:
    if isinstance(fact.proposed, HaltsLifted | HaltsEnded):
        ids = {*now.ending, *fact.proposed.halt_ids}
        now.ending = tuple(sorted(ids & now.halts.keys()))


_ACTS: Mapping[type[Fact], Callable[[Halted, Recorded, Any], None]] = {
    DaemonStarted: _start,
    DaemonStopped: _stop,
    JournalRepaired: _repair,
    KillSwitchTriggered: _trigger,
    RecoveryStarted: _recover,
    RecoveryCompleted: _complete,
    HaltPlaced: _place,
    HaltsLifted: _lift,
    HaltsEnded: _lift,
    LooseningProposed: _propose,
    RuleTripped: _trip,
    AccountClosed: _close,
    InstrumentDelisted: _close,
    RiskSignalChanged: _worsen,
}
_OF_NO_BOOT = frozenset({JournalRepaired, SnapshotSkipped})
"""Made before the start that says which boot it is. What the clock showed then may be the uptime of
another boot, and counted to this one it would be time that nobody has seen."""
_decode = msgspec.json.Decoder(Halted).decode


def breaker(source: str, scope: str) -> str:
    """What trips are counted by."""
    return f"{source} {scope}"


def _spans(halted: Halted) -> Iterable[Span]:
    if halted.recovery is not None:
        yield halted.recovery.waited
    for standing in halted.halts.values():
        yield standing.waited
    for trips in halted.trips.values():
        yield from trips


# --- what passes ----------------------------------------------------------------------------------


def covering(halted: Halted, scopes: Iterable[str]) -> list[Standing]:
    """The halts for whatever is in these scopes, in the order in which they came. Everything is in
    `all`, whether the scopes say so or not."""
    inside = {EVERYTHING, *scopes}
    return [standing for standing in halted.halts.values() if standing.halt.scope in inside]


def passing(halted: Halted, scopes: Iterable[str]) -> Passing:
    """What the kill switch and all that cover it let pass."""
    if halted.state != "ACTIVE":
        return "none"
    modes = {standing.halt.mode for standing in covering(halted, scopes)}
    if "halt" in modes:
        return "none"
    return "reduce_only" if "reduce_only" in modes else "all"


def strictest(halted: Halted) -> dict[str, Mode]:
    """The strictest mode by scope: as much as a table of halts has to say."""
    found: dict[str, Mode] = {}
    if halted.state != "ACTIVE":
        found[EVERYTHING] = "halt"
    for standing in halted.halts.values():
        halt = standing.halt
        if found.get(halt.scope) != "halt":
            found[halt.scope] = halt.mode
    return found


# --- when it ends ---------------------------------------------------------------------------------


def remaining_s(standing: Standing, now: Now) -> float | None:
    """Until its time has come; 0 when it has. None: no time ends it."""
    waited_s = standing.waited.elapsed_s(now.monotonic_s)
    match standing.halt.until:
        case UntilElapsed(seconds=seconds):
            return max(0.0, seconds - waited_s)
        case UntilInstant(at=at) | UntilSession(at=at):
            left_s = _seconds(at - now.at)
            if standing.waited.is_of_one_boot:
                # There both clocks have to agree: a jump forward ends nothing.
                left_s = max(left_s, _seconds(at - standing.at) - waited_s)
            return max(0.0, left_s)
    return None


def _seconds(span: timedelta) -> float:
    return span / timedelta(seconds=1)


def cooldown_left_s(halted: Halted, now: Now, cooldown_s: float) -> float | None:
    """Until a recovery may be completed; None while there is none. The longer of the cooldown at
    its beginning and the present one counts, so that no change of the settings shortens it."""
    recovery = halted.recovery
    if recovery is None:
        return None
    asked = max(recovery.cooldown_s, cooldown_s)
    return max(0.0, asked - recovery.waited.elapsed_s(now.monotonic_s))


def waiting(halted: Halted) -> int:
    """How many wait for time to go by that has to be noted."""
    timed = sum(isinstance(s.halt.until, UntilElapsed) for s in halted.halts.values())
    return timed + (halted.recovery is not None)


# --- how it is shown ------------------------------------------------------------------------------

Document = dict[str, object]


def shown(halted: Halted, now: Now, cooldown_s: float) -> Document:
    """The kill switch as `status` has it. Its keys are a contract."""
    first = halted.triggers[0] if halted.triggers else None
    recovery = halted.recovery
    return {
        "state": halted.state,
        "reason": None if first is None else first.reason,
        "cause": None if first is None else first.cause,
        "since": None if first is None else first.at.isoformat(),
        "triggers": [_trigger_shown(each) for each in halted.triggers],
        "recovery": None
        if recovery is None
        else {
            "approved_by": recovery.approved_by,
            "by": _by_shown(recovery.by),
            "since": recovery.at.isoformat(),
            "cooldown_left_s": _rounded(cooldown_left_s(halted, now, cooldown_s)),
        },
        "epoch": halted.epoch,
    }


def halts_shown(halted: Halted, now: Now) -> list[Document]:
    """The halts in force, as `status` and `halts` have them."""
    return [_standing_shown(standing, now) for standing in halted.halts.values()]


def _standing_shown(standing: Standing, now: Now) -> Document:
    halt = standing.halt
    until = halt.until
    at = until.at.isoformat() if isinstance(until, UntilInstant | UntilSession) else None
    return {
        "id": standing.halt_id,
        "scope": halt.scope,
        "mode": halt.mode,
        "cause": halt.cause,
        "source": halt.source,
        "reason": halt.reason,
        "by": _by_shown(standing.by),
        "since": standing.at.isoformat(),
        "until": str(type(until).__struct_config__.tag),
        "until_at": at,
        "condition": until.condition if isinstance(until, UntilCondition) else None,
        "ends_in_s": _rounded(remaining_s(standing, now)),
        "repeat": halt.repeat,
    }


def _trigger_shown(seen: TriggerSeen) -> Document:
    return {
        "cause": seen.cause,
        "source": seen.source,
        "reason": seen.reason,
        "by": _by_shown(seen.by),
        "at": seen.at.isoformat(),
        "lsn": seen.lsn,
    }


def _by_shown(by: By) -> Document:
    return {name: getattr(by, name) for name in by.__struct_fields__}


def _rounded(seconds: float | None) -> float | None:
    """To the millisecond above: what is not over yet is not shown as 0."""
    return None if seconds is None else math.ceil(seconds * 1_000) / 1_000
