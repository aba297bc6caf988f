"""The supervision tree: its actors, their failures, and what became of them."""

from typing import ClassVar

from msgspec import Struct

from .base import Bearing, By, Command, Fact, Name, Reply, Report


class Actors(Command, frozen=True, kw_only=True, tag="actors"):
    """The supervision tree: states, restarts, budgets, mailboxes."""


class ActorsAre(Reply, frozen=True, kw_only=True, tag="actors"):
    actors: list[dict[str, object]]


class KillActor(Command, frozen=True, kw_only=True, tag="kill_actor"):
    """Crash one actor on purpose, and let its supervisor deal with it. Costs a restart."""

    name: Name


class ActorKilled(Reply, frozen=True, kw_only=True, tag="actor_killed"):
    """The named incarnation was told to die. The next one has a higher number."""

    name: str
    incarnation: int


class Beat(Struct, frozen=True, tag_field="type", tag="beat"):
    """Are you serving? Answered from the actor's own mailbox, so that the answer means yes."""


class Pulse(Report, frozen=True, kw_only=True, tag="pulse"):
    """One round of heartbeats: who answered from its mailbox in time, and who did not."""

    beating: tuple[str, ...]
    silent: tuple[str, ...]


class ActorKillAsked(Fact, frozen=True, kw_only=True, tag="actor_kill_asked"):
    """Somebody wanted this incarnation to crash."""

    by: By
    actor: str
    incarnation: int


class ChildFailed(Fact, frozen=True, kw_only=True, tag="child_failed"):
    """A failure that cost one tick of a budget. Budgets are rebuilt from these alone."""

    supervisor: str
    child: str
    incarnation: int
    phase: str
    cause: str


class ChildRestarted(Fact, frozen=True, kw_only=True, tag="child_restarted"):
    """A later incarnation serves again. `because_of` names the child whose failure led to it.

    That is itself as well when it didn't fail, and an operator asked: `cause` says so.
    """

    supervisor: str
    child: str
    incarnation: int
    because_of: str
    cause: str


class ChildEnded(Fact, frozen=True, kw_only=True, tag="child_ended"):
    """An end that led to no restart of its own. `cause` is null when it was an orderly one."""

    supervisor: str
    child: str
    incarnation: int
    cause: str | None


class ChildHeld(Fact, frozen=True, kw_only=True, tag="child_held"):
    """Stopped by an operator; stays so through restarts of its siblings and of riskd."""

    BEARING: ClassVar[Bearing] = "tightens"

    supervisor: str
    child: str


class ChildReleased(Fact, frozen=True, kw_only=True, tag="child_released"):
    """A hold has ended: the child was started again, or it had been added and was deleted."""

    supervisor: str
    child: str


class ChildStuck(Fact, frozen=True, kw_only=True, tag="child_stuck"):
    """Told to stop, past its deadline, killed, and still there."""

    supervisor: str
    child: str
    incarnation: int


class SupervisorEscalated(Fact, frozen=True, kw_only=True, tag="supervisor_escalated"):
    """A budget was used up and the failure climbed."""

    BEARING: ClassVar[Bearing] = "tightens"

    supervisor: str
    child: str
    cause: str
    failures: int


class MessageQuarantined(Fact, frozen=True, kw_only=True, tag="message_quarantined"):
    """The same message crashed its actor again and again and was taken out of its way."""

    actor: str
    message: str
    attempts: int


class ActorSilent(Fact, frozen=True, kw_only=True, tag="actor_silent"):
    """An actor did not answer a heartbeat from its mailbox in time."""

    actor: str
    deadline_s: float


Commands = Actors | KillActor
Replies = ActorsAre | ActorKilled
Facts = (
    ActorKillAsked
    | ChildFailed
    | ChildRestarted
    | ChildEnded
    | ChildHeld
    | ChildReleased
    | ChildStuck
    | SupervisorEscalated
    | MessageQuarantined
    | ActorSilent
)
