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

Each module holds one subject, with its own unions at the end; here they come together.
"""

from datetime import datetime

from msgspec import Struct

from . import (
    accounts,
    canary,
    counters,
    daemon,
    gate,
    halts,
    history,
    limits,
    metrics,
    overrides,
    signal,
    supposing,
    talk,
    tree,
    watching,
)
from .accounts import (
    AccountClosed,
    AccountOpened,
    Booked,
    BookFlagged,
    EquityAgreed,
    EquityDrifted,
    EquityReported,
    InstrumentDelisted,
    InstrumentListed,
    Listing,
    OrdersAre,
    PnlIs,
    PositionsAre,
    Reported,
    ReportEquity,
    ReportEvents,
    SessionClockSet,
    SessionReset,
    ShowOrders,
    ShowPnl,
    ShowPositions,
)
from .base import (
    PROTOCOL,
    Bearing,
    By,
    Command,
    Fact,
    Lsn,
    MessageId,
    Name,
    Push,
    Reply,
    Report,
)
from .canary import CanaryFailed, CanarySilent
from .counters import CountersAre, ShowCounters
from .daemon import (
    ConfigIs,
    ConfigRefused,
    ConfigReloaded,
    DaemonStarted,
    DaemonStopped,
    Reload,
    Reloaded,
    ShowConfig,
)
from .gate import (
    Acked,
    AmendAsked,
    Amended,
    AmendRejected,
    CancelAsked,
    Canceled,
    Check,
    Decision,
    Dropped,
    Expired,
    Filled,
    Marked,
    OrderAcked,
    OrderAsked,
    OrderDecided,
    OrderDropped,
    OrderSent,
    Rejected,
    RuleRearmed,
    Sent,
    Ticket,
    TicketMisused,
    Verdict,
)
from .halts import (
    Cause,
    CompleteRecovery,
    Freeze,
    Halt,
    HaltPlaced,
    HaltsAre,
    HaltsEnded,
    HaltsLifted,
    KillSwitchTriggered,
    LeaseLapsed,
    LeaseRenewed,
    Mode,
    Reason,
    Recover,
    RecoveryCompleted,
    RecoveryStarted,
    Scope,
    Seconds,
    ShowHalts,
    State,
    SwitchIs,
    TimeNoted,
    Trigger,
    Unfreeze,
    Until,
    UntilCondition,
    UntilElapsed,
    UntilInstant,
    UntilOperator,
    UntilSession,
)
from .history import (
    JournalRepaired,
    Loosening,
    LooseningProposed,
    LooseningWithdrawn,
    ProjectionRebuilt,
    SnapshotSkipped,
)
from .limits import (
    Given,
    KeyChange,
    LimitChange,
    Limits,
    LimitsAre,
    LimitsChanged,
    LimitsLoosened,
    LimitsTightened,
    PreviewReload,
    Rearmed,
    RearmRule,
    ReloadPreviewed,
    ResetLimit,
    SetLimit,
    Setting,
    ShowLimits,
)
from .metrics import Metric, Taken
from .overrides import (
    ApproveOverride,
    OverrideApproved,
    OverrideIs,
    OverrideRequested,
    OverrideRevoked,
    OverridesAre,
    RequestOverride,
    RevokeOverride,
    ShowOverrides,
    Terms,
)
from .signal import (
    RiskIs,
    RiskSignal,
    RiskSignalChanged,
    RiskSnapshot,
    ShowRisk,
    Signal,
    SignalEased,
    SignalNoted,
    SignalWorsened,
)
from .supposing import Explain, Explained, LimitPut, Supposed, WhatIf
from .talk import (
    Error,
    Hello,
    Position,
    Refused,
    Status,
    StatusIs,
    Subscribe,
    Subscribed,
    Told,
    Version,
    VersionIs,
    Welcome,
)
from .tree import (
    ActorKillAsked,
    ActorKilled,
    Actors,
    ActorsAre,
    ActorSilent,
    Beat,
    ChildEnded,
    ChildFailed,
    ChildHeld,
    ChildReleased,
    ChildRestarted,
    ChildStuck,
    KillActor,
    MessageQuarantined,
    Pulse,
    SupervisorEscalated,
)
from .watching import (
    CloseAsked,
    Edge,
    EdgeReported,
    LimitUnknown,
    LimitWarned,
    OrderCancelAsked,
    RuleCalm,
    RuleTripped,
    StopMoveAsked,
    VenueSays,
    VenueStated,
)

ClientCommand = (
    talk.Commands
    | tree.Commands
    | daemon.Commands
    | halts.Commands
    | metrics.Commands
    | accounts.Commands
    | gate.Commands
    | limits.Commands
    | overrides.Commands
    | counters.Commands
    | supposing.Commands
    | watching.Commands
    | signal.Commands
)
"""What may arrive on the socket. Anything else gets a typed error."""

AnyReply = (
    talk.Replies
    | tree.Replies
    | daemon.Replies
    | halts.Replies
    | metrics.Replies
    | accounts.Replies
    | gate.Replies
    | limits.Replies
    | overrides.Replies
    | counters.Replies
    | supposing.Replies
    | signal.Replies
)
AnyPush = talk.Pushes
AnyFact = (
    tree.Facts
    | daemon.Facts
    | halts.Facts
    | history.Facts
    | accounts.Facts
    | gate.Facts
    | limits.Facts
    | overrides.Facts
    | canary.Facts
    | watching.Facts
    | signal.Facts
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


__all__ = [
    "PROTOCOL",
    "AccountClosed",
    "AccountOpened",
    "Acked",
    "ActorKillAsked",
    "ActorKilled",
    "ActorSilent",
    "Actors",
    "ActorsAre",
    "AmendAsked",
    "AmendRejected",
    "Amended",
    "AnyFact",
    "AnyPush",
    "AnyReply",
    "ApproveOverride",
    "Bearing",
    "Beat",
    "BookFlagged",
    "Booked",
    "By",
    "CanaryFailed",
    "CanarySilent",
    "CancelAsked",
    "Canceled",
    "Cause",
    "Check",
    "ChildEnded",
    "ChildFailed",
    "ChildHeld",
    "ChildReleased",
    "ChildRestarted",
    "ChildStuck",
    "ClientCommand",
    "CloseAsked",
    "Command",
    "CompleteRecovery",
    "ConfigIs",
    "ConfigRefused",
    "ConfigReloaded",
    "CountersAre",
    "DaemonStarted",
    "DaemonStopped",
    "Decision",
    "Dropped",
    "Edge",
    "EdgeReported",
    "EquityAgreed",
    "EquityDrifted",
    "EquityReported",
    "Error",
    "Expired",
    "Explain",
    "Explained",
    "Fact",
    "Filled",
    "Freeze",
    "Given",
    "Halt",
    "HaltPlaced",
    "HaltsAre",
    "HaltsEnded",
    "HaltsLifted",
    "Hello",
    "InstrumentDelisted",
    "InstrumentListed",
    "JournalRepaired",
    "KeyChange",
    "KillActor",
    "KillSwitchTriggered",
    "LeaseLapsed",
    "LeaseRenewed",
    "LimitChange",
    "LimitPut",
    "LimitUnknown",
    "LimitWarned",
    "Limits",
    "LimitsAre",
    "LimitsChanged",
    "LimitsLoosened",
    "LimitsTightened",
    "Listing",
    "Loosening",
    "LooseningProposed",
    "LooseningWithdrawn",
    "Lsn",
    "Marked",
    "MessageId",
    "MessageQuarantined",
    "Metric",
    "Mode",
    "Name",
    "OrderAcked",
    "OrderAsked",
    "OrderCancelAsked",
    "OrderDecided",
    "OrderDropped",
    "OrderSent",
    "OrdersAre",
    "OverrideApproved",
    "OverrideIs",
    "OverrideRequested",
    "OverrideRevoked",
    "OverridesAre",
    "PnlIs",
    "Position",
    "PositionsAre",
    "PreviewReload",
    "ProjectionRebuilt",
    "Pulse",
    "Push",
    "RearmRule",
    "Rearmed",
    "Reason",
    "Recorded",
    "Recover",
    "RecoveryCompleted",
    "RecoveryStarted",
    "Refused",
    "Rejected",
    "Reload",
    "ReloadPreviewed",
    "Reloaded",
    "Reply",
    "Report",
    "ReportEquity",
    "ReportEvents",
    "Reported",
    "RequestOverride",
    "ResetLimit",
    "RevokeOverride",
    "RiskIs",
    "RiskSignal",
    "RiskSignalChanged",
    "RiskSnapshot",
    "RuleCalm",
    "RuleRearmed",
    "RuleTripped",
    "Scope",
    "Seconds",
    "Sent",
    "SessionClockSet",
    "SessionReset",
    "SetLimit",
    "Setting",
    "ShowConfig",
    "ShowCounters",
    "ShowHalts",
    "ShowLimits",
    "ShowOrders",
    "ShowOverrides",
    "ShowPnl",
    "ShowPositions",
    "ShowRisk",
    "Signal",
    "SignalEased",
    "SignalNoted",
    "SignalWorsened",
    "SnapshotSkipped",
    "State",
    "Status",
    "StatusIs",
    "StopMoveAsked",
    "Subscribe",
    "Subscribed",
    "SupervisorEscalated",
    "Supposed",
    "SwitchIs",
    "Taken",
    "Terms",
    "Ticket",
    "TicketMisused",
    "TimeNoted",
    "Told",
    "Trigger",
    "Unfreeze",
    "Until",
    "UntilCondition",
    "UntilElapsed",
    "UntilInstant",
    "UntilOperator",
    "UntilSession",
    "VenueSays",
    "VenueStated",
    "Verdict",
    "Version",
    "VersionIs",
    "Welcome",
    "WhatIf",
]
