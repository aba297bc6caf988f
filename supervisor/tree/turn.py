"""One turn of a decision: the copy of the state it works on, and the small steps of one child."""

from typing import Any

import attrs

from ...actors.messages import ChildEnded, ChildReleased, Fact
from .state import (
    STRIKE_S,
    Action,
    Answer,
    Cancel,
    Child,
    Kill,
    Mode,
    Note,
    Outcome,
    Phase,
    Respond,
    Spawn,
    State,
    Step,
    Then,
)


class Turn:
    """One call of decide: a copy of the state to work on, and the actions so far."""

    __slots__ = ("actions", "children", "now", "state")

    def __init__(self, state: State, now: float) -> None:
        self.state = state
        self.children = dict(state.children)
        self.now = now
        self.actions: list[Action] = []

    def step(self) -> Step:
        return Step(attrs.evolve(self.state, children=self.children), tuple(self.actions))

    def change(self, child: Child, **fields: Any) -> Child:
        changed = attrs.evolve(child, **fields)
        self.children[child.spec.id] = changed
        return changed

    def supervisor(self, **fields: Any) -> None:
        self.state = attrs.evolve(self.state, **fields)

    def note(self, fact: Fact) -> None:
        self.actions.append(Note(fact))

    def respond(self, call: int, answer: Answer, child: Child, error: str | None = None) -> None:
        self.actions.append(Respond(call, answer, child.spec.id, child.incarnation, error))


# --- steps of one child ---------------------------------------------------------------------------


def spawn(turn: Turn, child: Child) -> None:
    born = turn.change(
        child,
        phase=Phase.STARTING,
        incarnation=child.incarnation + 1,
        deadline=turn.now + child.spec.start_timeout,
        then=Then.REST,
    )
    turn.actions.append(Spawn(child.spec.id, born.incarnation))


def dismiss(turn: Turn, child: Child, then: Then) -> None:
    """Tell a child to stop. `shutdown=0` leaves it no time: that is a kill."""
    if child.spec.shutdown == 0:
        kill(turn, child, then)
        return
    deadline = min(turn.now + child.spec.shutdown, turn.state.stop_by)
    turn.change(child, phase=Phase.STOPPING, deadline=deadline, then=then)
    turn.actions.append(Cancel(child.spec.id, child.incarnation, deadline))


def kill(turn: Turn, child: Child, then: Then) -> None:
    turn.change(child, phase=Phase.KILLING, deadline=turn.now + STRIKE_S, then=then)
    turn.actions.append(Kill(child.spec.id, child.incarnation))


def rest(turn: Turn, child: Child) -> Child:
    """Down, with nothing pending. Those who waited for it are told."""
    for call in child.leavers:
        turn.respond(call, Answer.OK, child)
    return turn.change(
        child,
        phase=Phase.IDLE,
        deadline=None,
        then=Then.REST,
        marked=False,
        strikes=0,
        since=None,
        leavers=(),
    )


def forget(turn: Turn, child: Child) -> None:
    """Out of the table. The supervisor keeps its hold, for facts say that it has one."""
    if child.caller is not None:
        why = f"{child.because_of!r} failed and took it along: {child.cause}"
        turn.respond(child.caller, Answer.FAILED, child, why)
    rest(turn, child)
    del turn.children[child.spec.id]
    if child.held:
        turn.supervisor(held=turn.state.held | {child.spec.id})


def release(turn: Turn, name: str) -> None:
    """End the hold, if there is one. It is a caller's act, and a newer word than the hold."""
    child = turn.children.get(name)
    if child is not None and child.held:
        turn.change(child, held=False)
    elif name in turn.state.held:
        turn.supervisor(held=turn.state.held - {name})
    else:
        return
    turn.note(ChildReleased(supervisor=turn.state.name, child=name))


def record_end(turn: Turn, child: Child, cause: str | None) -> None:
    """An end that leads to no restart of its own. An error in it must not pass unseen."""
    turn.note(
        ChildEnded(
            supervisor=turn.state.name,
            child=child.spec.id,
            incarnation=child.incarnation,
            cause=cause,
        )
    )


def latch(turn: Turn, outcome: Outcome) -> None:
    """Begin to stop. The first reason stays the reason."""
    if turn.state.mode in (Mode.STOPPING, Mode.DONE):
        return
    turn.supervisor(mode=Mode.STOPPING, outcome=outcome)
    refuse_callers(turn)
    for child in tuple(turn.children.values()):
        settling = turn.change(child, deadline=settled(child))
        if child.phase is Phase.WAITING:
            rest(turn, settling)


def refuse_callers(turn: Turn) -> None:
    """Whoever waits for a start is told that nothing starts any more."""
    for child in tuple(turn.children.values()):
        if child.caller is not None:
            turn.respond(child.caller, Answer.STOPPING, child)
        turn.change(child, caller=None)


def settled(child: Child) -> float | None:
    """The deadline of a child that will be stopped: its start no longer matters, its stop does.

    Otherwise an overdue start would be stopped out of turn.
    """
    return None if child.phase is Phase.STARTING else child.deadline
