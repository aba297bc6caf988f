"""The decisions of a supervisor: `decide(state, event, now)` gives the next state and the actions.

Theory of operation
-------------------
The rules are Erlang/OTP's, with four changes that a trading desk needs: what an operator stopped
stays stopped, giving up is never mistaken for a normal end, a failed start is retried through the
same queue as everything else (so that a stop gets in between), and restarts may back off.

OTP's supervisor is a process that blocks while a child starts or stops. This one never blocks.
Each child is in one of six phases, and `CELLS` says for each phase and each of the seven child
events what happens; no cell is empty, and what is ignored says so. After every event `_reconcile`
looks at the children in order and does the next thing that the strategy allows:

* While the tree starts, and always under rest_for_one and one_for_all, order is kept: marked
  children are stopped from the last to the first, one at a time; only when none is left are
  waiting ones started, from the first to the last, each after the one before has called started().
* Otherwise (one_for_one and dynamic, once serving) children are on their own.
* Once stopping is latched, what is alive is stopped in reverse order (dynamic: all at once), each
  within its own deadline and all within `stop_by`. Nothing is started any more; nor is it while a
  supervisor above stops, and has not come to this one yet.

A failure costs the SUPERVISOR one tick, however many siblings it takes along; a failing restart
costs another. A tick counts while `t >= now - period`; `intensity` of them are admitted, the next
means giving up. What a caller asks for costs nothing, whether it succeeds or fails.

No event is acted upon twice: those of an earlier incarnation are dropped before the table is read.
An impossible cell raises, for then this page is wrong and not the world.
"""

import math

from .cells import failed_before, tell
from .state import (
    LEAVING,
    Add,
    Answer,
    Asked,
    Begin,
    Child,
    Close,
    Crash,
    Delete,
    Due,
    Ended,
    Ending,
    Event,
    Finish,
    Mode,
    Outcome,
    Phase,
    Ready,
    Restart,
    Started,
    State,
    Step,
    Stop,
    Terminate,
    Then,
    Tick,
)
from .turn import Turn, dismiss, kill, latch, refuse_callers, release, spawn


def decide(state: State, event: Event, now: float) -> Step:
    """The next state, and what to do, in order. Pure: the same arguments give the same step."""
    turn = Turn(state, now)
    match event:
        case Begin():
            _begin(turn)
        case Stop(within):
            _stop(turn, within)
        case Close():
            turn.supervisor(closing=True)
            refuse_callers(turn)
        case Tick():
            for name, child in state.children.items():
                if child.deadline is not None and child.deadline <= now:
                    tell(turn, Due(name))
        case Add():
            _add(turn, event)
        case Started() | Ended() | Terminate() | Restart() | Delete() | Crash():
            tell(turn, event)
    _reconcile(turn)
    return turn.step()


def next_deadline(state: State) -> float:
    """When to send the next Tick, at the latest."""
    deadlines = [c.deadline for c in state.children.values() if c.deadline is not None]
    if any(child.alive and child.phase is not Phase.KILLING for child in state.children.values()):
        deadlines.append(state.stop_by)
    return min(deadlines, default=math.inf)


# --- the supervisor as a whole --------------------------------------------------------------------


def _begin(turn: Turn) -> None:
    for child in tuple(turn.children.values()):
        if not child.held:
            turn.change(child, phase=Phase.WAITING)


def _stop(turn: Turn, within: float) -> None:
    turn.supervisor(stop_by=min(turn.state.stop_by, turn.now + within))
    latch(turn, Outcome(ending=Ending.STOPPED))


def _add(turn: Turn, event: Add) -> None:
    present = turn.children.get(event.spec.id)
    failures = failed_before(turn.state.past, event.spec, turn.now)
    if turn.state.starts_nothing:
        turn.respond(event.call, Answer.STOPPING, Child(spec=event.spec))
    elif event.spec.id in turn.state.held - turn.state.listed:
        # Held in an earlier run: whoever adds its children at each start does not lift that.
        child = Child(spec=event.spec, held=True, failures=failures)
        turn.children[event.spec.id] = child
        turn.supervisor(held=turn.state.held - {event.spec.id})
        turn.respond(event.call, Answer.ALREADY_PRESENT, child)
    elif present is None:
        release(turn, event.spec.id)
        turn.children[event.spec.id] = Child(
            spec=event.spec,
            phase=Phase.WAITING,
            asked=Asked.ADD,
            caller=event.call,
            failures=failures,
        )
    elif present.phase in (Phase.STARTING, Phase.RUNNING):
        turn.respond(event.call, Answer.ALREADY_RUNNING, present)
    else:
        turn.respond(event.call, Answer.ALREADY_PRESENT, present)


# --- what the strategy allows next ----------------------------------------------------------------


def _reconcile(turn: Turn) -> None:
    ordered = turn.state.strategy in ("rest_for_one", "one_for_all")
    if turn.state.mode is Mode.STOPPING:
        _stop_next(turn)
    elif turn.state.mode is Mode.STARTING or ordered:
        if not (_recycle_next(turn) or turn.state.closing):
            _start_next(turn)
    elif not turn.state.closing:
        for child in tuple(turn.children.values()):
            if child.phase is Phase.WAITING and child.deadline is None:
                spawn(turn, child)


def _recycle_next(turn: Turn) -> bool:
    """Stop the last marked child. True while any is left, for then nothing may start.

    One that is stuck and won't be started again is not waited for: it could be for ever.
    """
    marked = [c for c in turn.children.values() if c.marked and (c.comes_back or not c.stuck)]
    if marked and marked[-1].phase not in LEAVING:
        temporary = marked[-1].spec.restart == "temporary"
        dismiss(turn, marked[-1], Then.GONE if temporary else Then.AGAIN)
    return bool(marked)


def _start_next(turn: Turn) -> None:
    """Start the first child that waits, unless one before it is not there yet."""
    for child in turn.children.values():
        if child.phase is Phase.WAITING:
            if child.deadline is None:
                spawn(turn, child)
            return
        if child.phase is Phase.STARTING or (child.phase in LEAVING and child.comes_back):
            return
    if turn.state.mode is Mode.STARTING:
        turn.supervisor(mode=Mode.SERVING)
        turn.actions.append(Ready())


def _stop_next(turn: Turn) -> None:
    alive = [child for child in turn.children.values() if child.alive]
    if not alive:
        outcome = turn.state.outcome
        assert outcome is not None, "stopping is latched together with its outcome"
        turn.supervisor(mode=Mode.DONE)
        turn.actions.append(Finish(outcome))
    elif turn.now >= turn.state.stop_by:
        for child in reversed(alive):
            if child.phase is not Phase.KILLING:
                kill(turn, child, Then.REST)
    elif turn.state.strategy == "dynamic":
        for child in alive:
            if child.phase not in LEAVING:
                dismiss(turn, child, Then.REST)
    else:
        # A stuck child doesn't keep the others from being stopped in order.
        moving = [child for child in alive if not child.stuck]
        if moving and moving[-1].phase not in LEAVING:
            dismiss(turn, moving[-1], Then.REST)
