"""The risk signal: how bad things are, by riskd's own figures and by the word of others.

riskd looks at each account, each exchange and everything together. What it finds is a fact when it
is another than was told last, and so is what others say of the whole: a service that is asked over
HTTP or tells by itself, an operator, a worker. Orders are judged by these facts.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from .base import Bearing, By, Command, Fact, Name, Reply
from .book import Time
from .gate import RiskLevel

Tier = Literal["normal", "reduced", "emergency"]
Issues = Annotated[
    tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...], Meta(max_length=32)
]
Score = Annotated[int, Meta(ge=0, le=100)]
SourceName = Annotated[
    str,
    Meta(
        title="a name of letters, digits, dots, dashes and underscores",
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z",
    ),
]
SourceState = Literal["said", "expected", "stale", "unreachable", "unusable", "gone"]
"""`said`: it holds. `expected`: nothing was heard yet. `gone`: nobody is to be heard any more."""


class RiskSnapshot(Struct, frozen=True, kw_only=True):
    """The figures of a scope. Null: not known. Ratios are rounded up at the sixth place.

    `currency` is null where the accounts report in different ones: then there are no sums. Losses
    are in percent of what there was when the day or the week opened; `concentration_pct` is the
    largest symbol in percent of equity. `value_at_risk` and `expected_shortfall` are of one day and
    99 percent, of what working orders could make of it at worst.
    """

    currency: str | None
    equity: Decimal | None = None
    drawdown_pct: Decimal | None = None
    gross_leverage: Decimal | None = None
    net_leverage: Decimal | None = None
    daily_pnl: Decimal | None = None
    daily_loss_pct: Decimal | None = None
    weekly_pnl: Decimal | None = None
    weekly_loss_pct: Decimal | None = None
    concentration_pct: Decimal | None = None
    value_at_risk: Decimal | None = None
    expected_shortfall: Decimal | None = None


class RiskSignal(Struct, frozen=True, kw_only=True):
    """What is made of it. A critical one, or one that requires an action, blocks what adds risk."""

    level: RiskLevel
    score: Score
    critical_issues: Issues = ()
    warnings: Issues = ()
    tier: Tier = "normal"
    action_required: bool = False


# --- commands -------------------------------------------------------------------------------------


class Signal(Command, frozen=True, kw_only=True, tag="signal"):
    """How bad things are, by the word of whoever says it. In force when it is answered.

    Of a worker only what is worse than it said before. `outside` is the source whose word riskd
    expects by its configuration; that of any other stands until an operator says otherwise. Score
    and tier are those of the level, unless they are said.
    """

    source: SourceName
    level: RiskLevel
    score: Score | None = None
    critical_issues: Issues = ()
    warnings: Issues = ()
    tier: Tier | None = None
    action_required: bool = False
    ts: Time | None = None


class ShowRisk(Command, frozen=True, kw_only=True, tag="risk"):
    """The figures of all scopes as they are now, and the signals in force. `account`: of it alone,
    of its exchange and of everything."""

    account: Name | None = None


# --- replies --------------------------------------------------------------------------------------


class RiskIs(Reply, frozen=True, kw_only=True, tag="risk_is"):
    """`level` is the worst of all. A row a scope, and one a source."""

    lsn: int
    level: RiskLevel
    scopes: list[dict[str, object]]
    sources: list[dict[str, object]]


# --- facts ----------------------------------------------------------------------------------------


class RiskSignalChanged(Fact, frozen=True, kw_only=True, tag="risk_signal_changed"):
    """A scope's signal is another one than was told last: its level, its tier, its issues, or
    whether an action is required. From here on orders are judged by it."""

    scope: str
    signal: RiskSignal
    snapshot: RiskSnapshot


class SourceHeard(Fact, frozen=True, kw_only=True):
    """What holds of a source from here on: `signal` is what orders are judged by. `state` and
    `reason` say why, where that is not what it has said itself."""

    source: str
    state: SourceState
    signal: RiskSignal
    reason: str | None
    by: By | None
    worker: str | None
    said_at: datetime | None
    """By its own word."""


class SignalWorsened(SourceHeard, frozen=True, kw_only=True, tag="signal_worsened"):
    """Less passes than before."""

    BEARING: ClassVar[Bearing] = "tightens"


class SignalEased(SourceHeard, frozen=True, kw_only=True, tag="signal_eased"):
    """More passes than before."""

    BEARING: ClassVar[Bearing] = "loosens"


class SignalNoted(SourceHeard, frozen=True, kw_only=True, tag="signal_noted"):
    """As much passes as before."""


Commands = Signal | ShowRisk
Replies = RiskIs
Facts = RiskSignalChanged | SignalWorsened | SignalEased | SignalNoted
Loosening = SignalEased
