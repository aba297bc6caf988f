"""The vocabulary of the whole system: Command | Report | Fact, and the Reply that a command gets.

A *command* asks for something and may be refused. A *report* tells what somebody saw and can't be
refused, only disbelieved. A *fact* says in the past tense what riskd has decided or lived through;
what riskd knows is what its facts add up to. A *reply* answers one command, and carries its id. A
*push* is what a subscriber is told after that, with the id of its `subscribe`.

All of them are frozen, tagged structs. The tag is written out beside the class, because it is what
other programs see on the socket and what old journals hold: renaming a class is free, changing a
tag is a break. `tests/golden/messages/` holds one file a tag, and a test compares the bytes.

Commands refuse unknown fields, for they come from outside and a misspelt one must not pass
unseen. Facts ignore them, so that a newer riskd's history can be read by an older reader of the
same schema version.
"""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Raw, Struct

MessageId = (
    Annotated[int, Meta(ge=0, le=2**63 - 1)] | Annotated[str, Meta(min_length=1, max_length=64)]
)
Name = Annotated[str, Meta(min_length=1, max_length=128)]
Lsn = Annotated[int, Meta(ge=1, le=2**63 - 1)]
"""A fact's place in history. They count from 1 without a gap."""

PROTOCOL = 1
"""The socket protocol that this riskd speaks. It grows by new messages and optional fields; the
number changes only when an old client would be misled."""


# --- commands -------------------------------------------------------------------------------------


class Command(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """Something a client asks for. The id comes back in the reply; its meaning is the client's."""

    id: MessageId = 0


class Hello(Command, frozen=True, kw_only=True, tag="hello"):
    """Says who is calling. Optional for people: without it the kernel's word alone decides.

    `token` proves a worker (it was given to that launch of it and to nobody else). `role` can only
    give up rights: a dashboard that shows and never acts asks for "observer".
    """

    token: Annotated[str, Meta(max_length=256)] | None = None
    role: Annotated[str, Meta(max_length=32)] | None = None
    protocol: int = PROTOCOL


class Version(Command, frozen=True, kw_only=True, tag="version"):
    """Which riskd is this?"""


class Status(Command, frozen=True, kw_only=True, tag="status"):
    """Everything at a glance."""


class Actors(Command, frozen=True, kw_only=True, tag="actors"):
    """The supervision tree: states, restarts, budgets, mailboxes."""


class KillActor(Command, frozen=True, kw_only=True, tag="kill_actor"):
    """Crash one actor on purpose, and let its supervisor deal with it. Costs a restart."""

    name: Name


class ShowConfig(Command, frozen=True, kw_only=True, tag="config"):
    """The configuration in force, secrets masked."""


class Reload(Command, frozen=True, kw_only=True, tag="reload"):
    """Read the configuration file again; take it when it is valid, else change nothing."""


class Subscribe(Command, frozen=True, kw_only=True, tag="subscribe"):
    """Tell me the facts, or those that I choose: each once, in order, none left out.

    `from_lsn` is the first that is wanted; null: only those that come from now on. A fact is chosen
    when it fits each of `facts` (tags), `actor` and `account` that is given.
    """

    from_lsn: Lsn | None = None
    facts: Annotated[tuple[Name, ...], Meta(max_length=256)] = ()
    actor: Name | None = None
    account: Name | None = None


ClientCommand = Hello | Version | Status | Actors | KillActor | ShowConfig | Reload | Subscribe
"""What may arrive on the socket. Anything else gets a typed error."""


class Beat(Struct, frozen=True, tag_field="type", tag="beat"):
    """Are you serving? Answered from the actor's own mailbox, so that the answer means yes."""


# --- replies --------------------------------------------------------------------------------------


class Reply(Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=False):
    """The one answer to a command. `id` is null only when the command's own could not be read."""

    id: MessageId | None = None


class Welcome(Reply, frozen=True, kw_only=True, tag="welcome"):
    """Who riskd takes the caller for."""

    role: str
    user_id: int
    process_id: int
    worker: str | None
    version: str
    protocol: int = PROTOCOL


class VersionIs(Reply, frozen=True, kw_only=True, tag="version"):
    version: str
    protocol: int
    python: str


class StatusIs(Reply, frozen=True, kw_only=True, tag="status"):
    """`status` holds the document that `riskctl --json status` prints."""

    status: dict[str, object]


class ActorsAre(Reply, frozen=True, kw_only=True, tag="actors"):
    actors: list[dict[str, object]]


class ActorKilled(Reply, frozen=True, kw_only=True, tag="actor_killed"):
    """The named incarnation was told to die. The next one has a higher number."""

    name: str
    incarnation: int


class ConfigIs(Reply, frozen=True, kw_only=True, tag="config"):
    source: str
    config: dict[str, object]


class Reloaded(Reply, frozen=True, kw_only=True, tag="reloaded"):
    """What the reload changed, and what waits for a restart to be true."""

    source: str
    changed: list[str]
    needs_restart: list[str]


class Subscribed(Reply, frozen=True, kw_only=True, tag="subscribed"):
    """Pushes follow, from `from_lsn` on. `lsn` is the newest fact now, 0 when there is none yet."""

    from_lsn: int
    lsn: int


class Refused(Reply, frozen=True, kw_only=True, tag="refused"):
    """riskd understood and said no. Nothing was changed."""

    code: str
    message: str
    problems: list[str] = []


class Error(Reply, frozen=True, kw_only=True, tag="error"):
    """The line was no valid command. Nothing was changed; the connection goes on unless told so."""

    code: str
    message: str
    field: str | None = None


# --- pushes ---------------------------------------------------------------------------------------


class Push(Struct, frozen=True, kw_only=True, tag_field="type"):
    """What a subscriber is told without asking again. `id` is that of its `subscribe`."""

    id: MessageId


class Told(Push, frozen=True, kw_only=True, tag="recorded"):
    """One fact. The line is made of the stored one as it is, so that `fact` is not decoded here."""

    lsn: int
    at: str
    monotonic_s: float
    fact: Raw


class Position(Push, frozen=True, kw_only=True, tag="position"):
    """Everything up to `lsn` has been told, or was not chosen."""

    lsn: int


AnyPush = Told | Position


# --- reports --------------------------------------------------------------------------------------


class Report(Struct, frozen=True, kw_only=True, tag_field="type"):
    """What somebody saw."""


class Pulse(Report, frozen=True, kw_only=True, tag="pulse"):
    """One round of heartbeats: who answered from its mailbox in time, and who did not."""

    beating: tuple[str, ...]
    silent: tuple[str, ...]


# --- facts ----------------------------------------------------------------------------------------


Bearing = Literal["neutral", "tightens", "loosens"]


class Fact(Struct, frozen=True, kw_only=True, tag_field="type"):
    """What happened. Immutable, and kept.

    `BEARING` says what it does to what may trade. One that tightens is in force at once and waits
    for nothing, not even for a disk that has failed. One that loosens is in force only when the
    disk has it.
    """

    SCHEMA: ClassVar[int] = 1
    BEARING: ClassVar[Bearing] = "neutral"


class DaemonStarted(Fact, frozen=True, kw_only=True, tag="daemon_started"):
    """The first fact of a run. `boot` is that of all facts up to the next of these: their
    `monotonic_s` can be compared with those of the same boot."""

    version: str
    process_id: int
    boot: str
    config_source: str
    config_digest: str


class DaemonStopped(Fact, frozen=True, kw_only=True, tag="daemon_stopped"):
    """An orderly end. A start that finds none of these after the last start follows a crash."""

    reason: str


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


class ConfigReloaded(Fact, frozen=True, kw_only=True, tag="config_reloaded"):
    """Another configuration is in force. It may allow more than the one before."""

    BEARING: ClassVar[Bearing] = "loosens"

    source: str
    digest: str
    changed: tuple[str, ...]
    needs_restart: tuple[str, ...]


class ConfigRefused(Fact, frozen=True, kw_only=True, tag="config_refused"):
    """A reload was asked for and the file was not valid. The old configuration stays in force."""

    source: str
    problems: tuple[str, ...]


class JournalRepaired(Fact, frozen=True, kw_only=True, tag="journal_repaired"):
    """The end of the journal could not be read and was cut off; what was there is kept beside it.

    `how`: "torn": the last write was cut short. "lost": a power cut took what was not yet safe.
    "given_up": safe facts were damaged, and an operator gave them up.
    """

    file: str
    lost_lsn: int
    offset: int
    lost_bytes: int
    how: Literal["torn", "lost", "given_up"]
    evidence: tuple[str, ...]


class SnapshotSkipped(Fact, frozen=True, kw_only=True, tag="snapshot_skipped"):
    """A snapshot could not be used at a start. The one before it served, or the facts alone."""

    snapshot_lsn: int
    reason: str


class ProjectionRebuilt(Fact, frozen=True, kw_only=True, tag="projection_rebuilt"):
    """What was known of one subject was in doubt, and was made again from the facts."""

    projection: str
    cause: str


Loosening = ConfigReloaded
"""Facts that loosen."""


class LooseningProposed(Fact, frozen=True, kw_only=True, tag="loosening_proposed"):
    """What will be a fact of its own, and in force, once this is safe on the disk."""

    proposed: Loosening


class LooseningWithdrawn(Fact, frozen=True, kw_only=True, tag="loosening_withdrawn"):
    """A proposal that never came into force, because something was tightened meanwhile."""

    proposed_lsn: int
    because_lsn: int


AnyFact = (
    DaemonStarted
    | DaemonStopped
    | ChildFailed
    | ChildRestarted
    | ChildEnded
    | ChildHeld
    | ChildReleased
    | ChildStuck
    | SupervisorEscalated
    | MessageQuarantined
    | ActorSilent
    | ConfigReloaded
    | ConfigRefused
    | JournalRepaired
    | SnapshotSkipped
    | ProjectionRebuilt
    | LooseningProposed
    | LooseningWithdrawn
)
AnyReply = (
    Welcome
    | VersionIs
    | StatusIs
    | ActorsAre
    | ActorKilled
    | ConfigIs
    | Reloaded
    | Subscribed
    | Refused
    | Error
)


class Recorded(Struct, frozen=True, kw_only=True):
    """A fact with its place in history, as the journal holds it. `lsn` counts from 1 without a gap.

    `at` is the wall clock, in UTC, and may jump. `monotonic_s` can't, and is comparable only
    within one boot.
    """

    lsn: int
    at: datetime
    monotonic_s: float
    fact: AnyFact
