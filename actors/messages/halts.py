"""What stops trading, and what lets it go on: the kill switch, and halts of one scope each.

`actors/core/halts.py` says what these facts add up to, `actors/core/kill_switch.py` when each of
them may be made.
"""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from .base import Bearing, By, Command, Fact, Name, Reply

Scope = Annotated[
    str,
    Meta(
        title='"all", or one of account, exchange, strategy, symbol, worker, a colon and its name',
        max_length=200,
        pattern=r"^(all|(account|exchange|strategy|symbol|worker):[^\s\x00-\x1f\x7f]+)\Z",
    ),
]
"""What a halt is for."""

Mode = Literal["halt", "reduce_only"]
"""`halt`: nothing passes. `reduce_only`: what makes a position smaller does."""

State = Literal["ACTIVE", "KILLED", "RECOVERING"]

Cause = Literal[
    "manual",
    "threshold",
    "external",
    "network",
    "edge",
    "position",
    "data",
    "watchdog",
    "disk",
    "clock",
    "crash",
]
"""Causes are told apart: some may pass by themselves, others climb to a person."""

Reason = Annotated[str, Meta(title="a reason", min_length=1, max_length=512, pattern=r"\S")]
Seconds = Annotated[float, Meta(title="seconds above 0, up to a year", gt=0, le=31_536_000)]


# --- how long a halt lasts ------------------------------------------------------------------------


class UntilOperator(Struct, frozen=True, kw_only=True, tag_field="type", tag="operator"):
    """Until a person lifts it."""


class UntilElapsed(Struct, frozen=True, kw_only=True, tag_field="type", tag="elapsed"):
    """Until so much time has gone by that riskd was there to see, or could tell afterwards: a jump
    of the wall clock changes nothing."""

    seconds: Seconds


class UntilInstant(Struct, frozen=True, kw_only=True, tag_field="type", tag="instant"):
    """Until the wall clock says so."""

    at: datetime


class UntilSession(Struct, frozen=True, kw_only=True, tag_field="type", tag="session"):
    """Until the session's reset, which was to be at `at` when the halt was placed."""

    at: datetime


class UntilCondition(Struct, frozen=True, kw_only=True, tag_field="type", tag="condition"):
    """Until whoever watches this condition says that it holds."""

    condition: Name


Until = UntilOperator | UntilElapsed | UntilInstant | UntilSession | UntilCondition
"""A person may lift each of them before its time."""


class Halt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One reason why something may not trade. Several may cover the same order."""

    scope: Scope
    mode: Mode
    cause: Cause
    source: str
    """Which part of riskd, or which way to it: `operator`, `trigger:latency`, `start` ..."""
    reason: str
    until: Until
    repeat: int = 0
    """So many of this source came before it that still count, where it lasts longer each time."""


# --- commands -------------------------------------------------------------------------------------


class Trigger(Command, frozen=True, kw_only=True, tag="trigger"):
    """Stop everything now; or, with another scope than all, everything in it."""

    reason: Reason
    scope: Scope = "all"


class Recover(Command, frozen=True, kw_only=True, tag="recover"):
    """Begin the way back from a kill. `approved_by` is who takes the responsibility."""

    approved_by: Name


class CompleteRecovery(Command, frozen=True, kw_only=True, tag="complete_recovery"):
    """Trade again: after the cooldown, and when every account is reconciled."""


class Freeze(Command, frozen=True, kw_only=True, tag="freeze"):
    """Place a halt. It lasts until it is lifted; with `for_s` or `session`, until then at most."""

    scope: Scope
    reason: Reason
    reduce_only: bool = False
    for_s: Seconds | None = None
    session: bool = False


class Unfreeze(Command, frozen=True, kw_only=True, tag="unfreeze"):
    """Lift the halts of exactly this scope. Those of a wider one stay in force."""

    scope: Scope
    reason: Reason
    approved_by: Name | None = None


class ShowHalts(Command, frozen=True, kw_only=True, tag="halts"):
    """Everything that stops trading now, and until when."""


# --- replies --------------------------------------------------------------------------------------


class SwitchIs(Reply, frozen=True, kw_only=True, tag="kill_switch"):
    """Where the kill switch stands. `changed`: this command put it there.

    `kill_switch` and `halts` are as in `status`.
    """

    changed: bool
    kill_switch: dict[str, object]
    halts: list[dict[str, object]]


class HaltsAre(Reply, frozen=True, kw_only=True, tag="halts"):
    """`changed` lists the halts that this command placed or lifted."""

    changed: list[int]
    kill_switch: dict[str, object]
    halts: list[dict[str, object]]


# --- facts ----------------------------------------------------------------------------------------


class KillSwitchTriggered(Fact, frozen=True, kw_only=True, tag="kill_switch_triggered"):
    """Everything is halted. One that comes when it is already adds another cause."""

    BEARING: ClassVar[Bearing] = "tightens"

    by: By
    cause: Cause
    source: str
    reason: str


class RecoveryStarted(Fact, frozen=True, kw_only=True, tag="recovery_started"):
    """The cooldown runs from here. Nothing trades yet."""

    by: By
    approved_by: str
    cooldown_s: float


class RecoveryCompleted(Fact, frozen=True, kw_only=True, tag="recovery_completed"):
    """Trading is on again, but for what halts of their own cover."""

    BEARING: ClassVar[Bearing] = "loosens"

    by: By


class HaltPlaced(Fact, frozen=True, kw_only=True, tag="halt_placed"):
    """In force from here on. `halt_id` is its own for ever."""

    BEARING: ClassVar[Bearing] = "tightens"

    halt_id: int
    halt: Halt
    by: By


class HaltsLifted(Fact, frozen=True, kw_only=True, tag="halts_lifted"):
    """A person lifted them, before their time if they had one."""

    BEARING: ClassVar[Bearing] = "loosens"

    halt_ids: tuple[int, ...]
    scope: str
    by: By
    approved_by: str | None
    reason: str


class HaltsEnded(Fact, frozen=True, kw_only=True, tag="halts_ended"):
    """Their time had come, or what they waited for."""

    BEARING: ClassVar[Bearing] = "loosens"

    halt_ids: tuple[int, ...]
    reason: str


class TimeNoted(Fact, frozen=True, kw_only=True, tag="time_noted"):
    """Time has gone by for the cooldown and the halts that wait for it, `waiting` of them. After a
    reboot, what is known to have gone by is what was noted."""

    waiting: int


class LeaseLapsed(Fact, frozen=True, kw_only=True, tag="lease_lapsed"):
    """It was not extended in time: whoever asks the page is refused."""

    reason: str


class LeaseRenewed(Fact, frozen=True, kw_only=True, tag="lease_renewed"):
    """All that has to answer does so again."""

    after_s: float


Commands = Trigger | Recover | CompleteRecovery | Freeze | Unfreeze | ShowHalts
Replies = SwitchIs | HaltsAre
Facts = (
    KillSwitchTriggered
    | RecoveryStarted
    | RecoveryCompleted
    | HaltPlaced
    | HaltsLifted
    | HaltsEnded
    | TimeNoted
    | LeaseLapsed
    | LeaseRenewed
)
Loosening = RecoveryCompleted | HaltsLifted | HaltsEnded
