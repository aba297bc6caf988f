"""The cells: what each of the seven child events means in each of the six phases.

No cell is empty, and what is ignored says so. What an earlier incarnation sends late is dropped
before the table is read. An impossible cell raises, for then this page is wrong and not the world.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ...actors.messages import (
    ChildFailed,
    ChildHeld,
    ChildRestarted,
    ChildStuck,
    SupervisorEscalated,
)
from .spec import Budget, ChildSpec
from .state import (
    LEAVING,
    STRIKE_S,
    STRIKES_MAX,
    Answer,
    Asked,
    Child,
    ChildEvent,
    Crash,
    Delete,
    Due,
    Ended,
    Ending,
    Kill,
    Mode,
    Outcome,
    Phase,
    Respond,
    Restart,
    Started,
    Stuck,
    Terminate,
    Then,
)
from .turn import Turn, dismiss, forget, kill, latch, record_end, release, rest, settled

_KILLED = "Killed: crashed on purpose"
_BY_CALL = "restarted by an operator"


def _give_up(turn: Turn, child: Child, cause: str, failures: int) -> None:
    name = child.spec.id
    turn.note(
        SupervisorEscalated(supervisor=turn.state.name, child=name, cause=cause, failures=failures)
    )
    latch(turn, Outcome(ending=Ending.ESCALATED, child=name, cause=cause, failures=failures))


def _own_end(turn: Turn, child: Child, error: str | None, chance: float, *, own: bool) -> None:
    """A serving child has ended without having been told to."""
    spec = child.spec
    permanent = spec.restart == "permanent"
    if permanent or (spec.restart == "transient" and error is not None):
        _fail(turn, child, error or "returned", chance)
        return
    record_end(turn, child, error)
    if spec.restart == "temporary" or turn.state.strategy == "dynamic":
        # Of dynamic children each is a new one: those who are done would pile up.
        forget(turn, child)
    else:
        rest(turn, child)
    if own and spec.significant:
        _auto_shutdown(turn)


def _auto_shutdown(turn: Turn) -> None:
    others = any(c.spec.significant and c.phase is not Phase.IDLE for c in turn.children.values())
    policy = turn.state.auto_shutdown
    if policy == "any_significant" or (policy == "all_significant" and not others):
        latch(turn, Outcome(ending=Ending.AUTO_SHUTDOWN))


def _fail(turn: Turn, child: Child, cause: str, chance: float) -> None:
    """One failure: one tick, then the strategy's restart, or giving up."""
    failures, admitted = admit(turn.state.failures, turn.state.budget, turn.now)
    turn.supervisor(failures=failures)
    own, own_admitted = child.failures, True
    if child.spec.budget is not None:
        own, own_admitted = admit(own, child.spec.budget, turn.now)
    turn.note(
        ChildFailed(
            supervisor=turn.state.name,
            child=child.spec.id,
            incarnation=child.incarnation,
            phase="starting" if child.since is None else "running",
            cause=cause,
        )
    )
    if not (admitted and own_admitted):
        child = rest(turn, turn.change(child, cause=cause, failures=own))
        _give_up(turn, child, cause, len(failures) if own_admitted else len(own))
        return
    attempt, wait = _back_off(child, chance, turn.now)
    turn.change(
        rest(turn, child),
        phase=Phase.WAITING,
        deadline=wait,
        since=None,
        attempt=attempt,
        failures=own,
        cause=cause,
        because_of=child.spec.id,
    )
    _take_along(turn, child, cause)


def _back_off(child: Child, chance: float, now: float) -> tuple[int, float | None]:
    """The next attempt's number, and when it may be made; None is at once, as in OTP."""
    policy = child.spec.backoff
    if policy is None:
        return 0, None
    healthy = child.since is not None and now - child.since >= policy.healthy_after
    attempt = 0 if healthy else child.attempt
    return attempt + 1, now + policy.delay(attempt, chance)


def _take_along(turn: Turn, victim: Child, cause: str) -> None:
    """Mark the siblings that the strategy restarts with the victim. Held ones stay held.

    One that is leaving already leaves as it was told to, and is merely waited for.
    """
    strategy = turn.state.strategy
    if strategy not in ("one_for_all", "rest_for_one"):
        return
    siblings = list(turn.children)
    if strategy == "rest_for_one":
        siblings = siblings[siblings.index(victim.spec.id) + 1 :]
    why = {"cause": cause, "because_of": victim.spec.id}
    for sibling in (turn.children[name] for name in siblings if name != victim.spec.id):
        if sibling.phase in LEAVING:
            turn.change(sibling, marked=True)
        elif sibling.alive:
            turn.change(sibling, marked=True, deadline=settled(sibling), **why)
        elif sibling.phase is Phase.IDLE and _revives(sibling):
            turn.change(sibling, phase=Phase.WAITING, **why)


def _revives(child: Child) -> bool:
    """Does a sibling's failure start it again, as in OTP even after a normal end?"""
    return not child.held and child.spec.restart != "temporary"


def _start_failed(turn: Turn, child: Child, cause: str, chance: float) -> None:
    """It never called started(). Who asked for the start decides what that means."""
    if child.asked is not None:
        if child.caller is not None:
            turn.respond(child.caller, Answer.FAILED, child, cause)
        added = child.asked is Asked.ADD
        child = turn.change(child, asked=None, caller=None, because_of=None, cause=cause)
        record_end(turn, child, cause)
        if added:
            forget(turn, child)
        else:
            rest(turn, child)
    elif turn.state.mode is Mode.STARTING and not child.proven:
        record_end(turn, child, cause)
        rest(turn, turn.change(child, cause=cause))
        latch(
            turn,
            Outcome(
                ending=Ending.FAILED_TO_START,
                child=child.spec.id,
                incarnation=child.incarnation,
                cause=cause,
            ),
        )
    else:
        _fail(turn, child, cause, chance)


def admit(
    failures: tuple[float, ...], budget: Budget, now: float
) -> tuple[tuple[float, ...], bool]:
    """The failures that still count, this one included, and whether the budget allows them."""
    with_this = (*counted(failures, budget, now), now)
    return with_this, len(with_this) <= budget.intensity


def counted(failures: Iterable[float], budget: Budget, now: float) -> tuple[float, ...]:
    """The failures that lie in the window. It is closed."""
    return tuple(t for t in failures if t >= now - budget.period)


def failed_before(
    past: Mapping[str, tuple[float, ...]], spec: ChildSpec, now: float
) -> tuple[float, ...]:
    """What a child's own budget, if it has one, still counts of the past."""
    return () if spec.budget is None else counted(past.get(spec.id, ()), spec.budget, now)


# --- the cells: (phase, event) --------------------------------------------------------------------


def tell(turn: Turn, event: ChildEvent) -> None:
    """Find the cell. What an earlier incarnation sends late is dropped here, once for all."""
    child = turn.children.get(event.id)
    if isinstance(event, Started | Ended):
        if child is None or event.incarnation != child.incarnation:
            return
    elif isinstance(event, Call):
        missing = Answer.NOT_FOUND if child is None else None
        starts = isinstance(event, Restart)
        if turn.state.mode in (Mode.STOPPING, Mode.DONE) or (starts and turn.state.closing):
            missing = Answer.STOPPING
        if missing is not None:
            turn.actions.append(Respond(event.call, missing, event.id))
            return
    assert child is not None, "Due is made of a child that is there"
    CELLS[child.phase, type(event)](turn, child, event)


Cell = Callable[[Turn, Child, Any], None]
"""Its third argument is the event of its column."""
Call = Terminate | Restart | Delete | Crash


def _ignored(_turn: Turn, _child: Child, _event: ChildEvent) -> None:
    """Says so: the event changes nothing in this phase."""


def _impossible(_turn: Turn, child: Child, event: ChildEvent) -> None:
    raise AssertionError(f"{child.spec.id!r} in {child.phase.name} can't see {event!r}")


def _answer(answer: Answer) -> Cell:
    """A call that is refused in this phase: it changes nothing and says why."""

    def cell(turn: Turn, child: Child, event: Call) -> None:
        turn.respond(event.call, answer, child)

    cell.__name__ = f'answer "{answer.value}"'
    return cell


def _serves(turn: Turn, child: Child, _event: ChildEvent) -> None:
    is_again = child.because_of is not None
    by_call = child.asked is Asked.RESTART and child.because_of == child.spec.id
    served = turn.change(
        child,
        phase=Phase.RUNNING,
        deadline=None,
        since=turn.now,
        proven=True,
        asked=None,
        caller=None,
        because_of=None,
        restarts=child.restarts + (is_again and not by_call),
    )
    if child.because_of is not None:
        turn.note(
            ChildRestarted(
                supervisor=turn.state.name,
                child=child.spec.id,
                incarnation=child.incarnation,
                because_of=child.because_of,
                cause=_BY_CALL if by_call else child.cause or "",
            )
        )
    if child.caller is not None:
        turn.respond(child.caller, Answer.OK, served)


def _ended_starting(turn: Turn, child: Child, event: Ended) -> None:
    if turn.state.starts_nothing or child.marked:
        _left_early(turn, child, event)
    else:
        cause = event.error or "NeverStarted: ended without having called started()"
        _start_failed(turn, child, cause, event.chance)


def _ended_running(turn: Turn, child: Child, event: Ended) -> None:
    if turn.state.starts_nothing or child.marked:
        _left_early(turn, child, event)
    else:
        _own_end(turn, child, event.error, event.chance, own=True)


def _left_early(turn: Turn, child: Child, event: Ended) -> None:
    """Its stop was decided but not yet begun: an end now is that stop, and costs nothing."""
    _left(turn, turn.change(child, then=Then.AGAIN if child.marked else Then.REST), event)


def _left(turn: Turn, child: Child, event: Ended) -> None:
    """An incarnation that was told to leave has left."""
    stopping = turn.state.starts_nothing
    if child.then is Then.CRASH and not stopping:
        cause = _then(_KILLED, event.error)
        _own_end(turn, child, cause, event.chance, own=False)
    elif child.then is Then.FAILED and not stopping:
        _start_failed(turn, child, _then(child.cause or "", event.error), event.chance)
    else:
        if event.error is not None:
            record_end(turn, child, event.error)
        if child.spec.restart == "temporary":
            forget(turn, child)
        elif child.then is Then.AGAIN and not stopping:
            turn.change(rest(turn, child), phase=Phase.WAITING)
        else:
            rest(turn, child)


def _then(cause: str, error: str | None) -> str:
    """Why it had to leave comes first; what went wrong while it left must not hide it."""
    return cause if error is None else f"{cause}; while leaving: {error}"


def _start_overdue(turn: Turn, child: Child, _event: ChildEvent) -> None:
    cause = f"StartTimeout: not started within {child.spec.start_timeout:g} s"
    dismiss(turn, turn.change(child, cause=cause), Then.FAILED)


def _stop_overdue(turn: Turn, child: Child, _event: ChildEvent) -> None:
    kill(turn, child, child.then)


def _strike(turn: Turn, child: Child, _event: Due) -> None:
    """Killed and still there. Once it counts as stuck, that is told; the killing goes on."""
    name, strikes = child.spec.id, child.strikes + 1
    turn.change(child, deadline=turn.now + STRIKE_S, strikes=min(strikes, STRIKES_MAX + 1))
    turn.actions.append(Kill(name, child.incarnation))
    if strikes == STRIKES_MAX:
        turn.note(ChildStuck(supervisor=turn.state.name, child=name, incarnation=child.incarnation))
        turn.actions.append(Stuck(name, child.incarnation))


def _ripe(turn: Turn, child: Child, _event: ChildEvent) -> None:
    """The back-off is over; the child starts when its turn comes."""
    turn.change(child, deadline=None)


def _hold(turn: Turn, child: Child) -> Child:
    """Stopped by an operator.

    A temporary child is held only if it is listed, for then it would come back with its supervisor.
    One that was added goes for good: a hold of each would be kept for ever.
    """
    if child.caller is not None:
        turn.respond(child.caller, Answer.FAILED, child, "terminated before it had started")
    child = turn.change(child, asked=None, caller=None, because_of=None)
    comes_back = child.spec.restart != "temporary" or child.spec.id in turn.state.listed
    if comes_back and not child.held:
        turn.note(ChildHeld(supervisor=turn.state.name, child=child.spec.id))
        child = turn.change(child, held=True)
    return child


def _terminate_alive(turn: Turn, child: Child, event: Terminate) -> None:
    child = turn.change(_hold(turn, child), leavers=(*child.leavers, event.call))
    temporary = child.spec.restart == "temporary"
    dismiss(turn, child, Then.GONE if temporary else Then.REST)


def _terminate_leaving(turn: Turn, child: Child, event: Terminate) -> None:
    temporary = child.spec.restart == "temporary"
    turn.change(
        _hold(turn, child),
        leavers=(*child.leavers, event.call),
        then=Then.GONE if temporary else Then.REST,
    )


def _terminate_down(turn: Turn, child: Child, event: Terminate) -> None:
    """Nothing runs: a pending restart is cancelled, and the answer is the same as ever."""
    child = rest(turn, _hold(turn, child))
    turn.respond(event.call, Answer.OK, child)
    if child.spec.restart == "temporary":
        forget(turn, child)


def _start_again(turn: Turn, child: Child, event: Restart) -> None:
    name = child.spec.id
    release(turn, name)
    turn.change(
        turn.children[name],
        phase=Phase.WAITING,
        asked=Asked.RESTART,
        caller=event.call,
        because_of=name,
    )


def _delete(turn: Turn, child: Child, event: Delete) -> None:
    """Its hold goes as well, but for a listed child: it would come back with its supervisor."""
    name = child.spec.id
    if name not in turn.state.listed:
        release(turn, name)
    turn.respond(event.call, Answer.OK, child)
    forget(turn, turn.children[name])


def _crash(then: Then) -> Cell:
    def cell(turn: Turn, child: Child, event: Crash) -> None:
        kill(turn, turn.change(child, cause=_KILLED), then)
        turn.respond(event.call, Answer.OK, child)

    cell.__name__ = "crash"
    return cell


_LEAVING_CELLS: dict[type[ChildEvent], Cell] = {
    Started: _ignored,  # too late: it was told to stop first
    Ended: _left,
    Terminate: _terminate_leaving,
    Restart: _answer(Answer.STOPPING),
    Delete: _answer(Answer.STOPPING),
    Crash: _answer(Answer.STOPPING),
}
_ROWS: dict[Phase, dict[type[ChildEvent], Cell]] = {
    Phase.IDLE: {
        Started: _ignored,  # a helper task of a child that is gone
        Ended: _impossible,
        Due: _impossible,
        Terminate: _terminate_down,
        Restart: _start_again,
        Delete: _delete,
        Crash: _answer(Answer.NOT_RUNNING),
    },
    Phase.WAITING: {
        Started: _ignored,  # as above
        Ended: _impossible,
        Due: _ripe,
        Terminate: _terminate_down,
        Restart: _answer(Answer.RESTARTING),
        Delete: _answer(Answer.RESTARTING),
        Crash: _answer(Answer.NOT_RUNNING),
    },
    Phase.STARTING: {
        Started: _serves,
        Ended: _ended_starting,
        Due: _start_overdue,
        Terminate: _terminate_alive,
        Restart: _answer(Answer.RESTARTING),
        Delete: _answer(Answer.RUNNING),
        Crash: _crash(Then.FAILED),
    },
    Phase.RUNNING: {
        Started: _impossible,
        Ended: _ended_running,
        Due: _impossible,
        Terminate: _terminate_alive,
        Restart: _answer(Answer.ALREADY_RUNNING),
        Delete: _answer(Answer.RUNNING),
        Crash: _crash(Then.CRASH),
    },
    Phase.STOPPING: {**_LEAVING_CELLS, Due: _stop_overdue},
    Phase.KILLING: {**_LEAVING_CELLS, Due: _strike},
}
CELLS = {(phase, event): cell for phase, row in _ROWS.items() for event, cell in row.items()}
"""What happens to a child in each phase on each event. A test counts that no cell is missing."""
