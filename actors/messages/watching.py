"""What the watch over limits sees without any order: a limit that broke, or comes near.

Each of them is told once, at the edge: a rule that is broken is told again only after it was calm.
What is broken is said by the rule's id and, of a rule that is asked of each position by itself, by
the account and the symbol.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from msgspec import Meta

from .base import Command, Fact, Name
from .book import Symbol, Time
from .metrics import ExactNumber

# --- commands -------------------------------------------------------------------------------------


Strategy = Annotated[
    str,
    Meta(
        title="a strategy's name, without spaces",
        min_length=1,
        max_length=128,
        pattern=r"^[^\s\x00-\x1f\x7f]+\Z",
    ),
]
"""What a halt can be for."""


class Edge(Command, frozen=True, kw_only=True, tag="edge"):
    """So much a strategy expects to win, in basis points: in this symbol, or without one in all
    that it trades."""

    strategy: Strategy
    symbol: Symbol | None = None
    bps: ExactNumber


class VenueSays(Command, frozen=True, kw_only=True, tag="venue"):
    """The venue says whether an account can trade. `ts`: when it said so; now, if that is left out
    or ahead."""

    account: Name
    can_trade: bool
    reason: Annotated[str, Meta(max_length=512)] | None = None
    ts: Time | None = None


# --- facts ----------------------------------------------------------------------------------------


class EdgeReported(Fact, frozen=True, kw_only=True, tag="edge_reported"):
    """What a strategy expects to win, by its own word."""

    strategy: str
    symbol: str | None
    bps: Decimal


class RuleTripped(Fact, frozen=True, kw_only=True, tag="rule_tripped"):
    """A limit is broken. THE HALT THAT ITS ACTION ASKS FOR IS IN FORCE by the time this is a fact,
    and what is to be closed has been asked for. `missing`: it is broken for want of this."""

    rule: str
    scope: str
    account: str | None
    symbol: str | None
    kind: str
    action: str
    limit: Decimal | None
    value: Decimal | None
    missing: str | None


class RuleCalm(Fact, frozen=True, kw_only=True, tag="rule_calm"):
    """It is known to be no longer so bad as was told last. `level_pct` is the warning level at
    which it still is; null: below all."""

    rule: str
    scope: str
    account: str | None
    symbol: str | None
    level_pct: Decimal | None
    limit: Decimal | None
    value: Decimal | None


class LimitWarned(Fact, frozen=True, kw_only=True, tag="limit_warned"):
    """So many percent of a limit are reached."""

    rule: str
    scope: str
    account: str | None
    symbol: str | None
    level_pct: Decimal
    limit: Decimal
    value: Decimal


class LimitUnknown(Fact, frozen=True, kw_only=True, tag="limit_unknown"):
    """Whether a limit holds has not been known for so long."""

    rule: str
    scope: str
    account: str | None
    symbol: str | None
    missing: str | None
    unknown_s: float


class CloseAsked(Fact, frozen=True, kw_only=True, tag="close_asked"):
    """A position is to be closed, or with no symbol all of an account that are in the scope. Who
    closes it looks at what there is to be closed by then."""

    rule: str
    scope: str
    account: str
    symbol: str | None
    reason: str


class OrderCancelAsked(Fact, frozen=True, kw_only=True, tag="order_cancel_asked"):
    """An order is to be cancelled, by the rule of this scope. Who cancels it looks at whether it
    still works by then."""

    rule: str
    scope: str
    account: str
    symbol: str
    client_order_id: str
    reason: str


class StopMoveAsked(Fact, frozen=True, kw_only=True, tag="stop_move_asked"):
    """The stop of a position is to be moved there, by the rule of this scope. Who moves it looks at
    what the position is by then."""

    rule: str
    scope: str
    account: str
    symbol: str
    stop_price: Decimal
    reason: str


class VenueStated(Fact, frozen=True, kw_only=True, tag="venue_stated"):
    """Whether an account can trade, by the venue's word. `at`: when it said so. `worker`: who told
    of it, if it was one."""

    account: str
    can_trade: bool
    reason: str | None
    at: datetime
    worker: str | None = None


Commands = Edge | VenueSays
Facts = (
    EdgeReported
    | RuleTripped
    | RuleCalm
    | LimitWarned
    | LimitUnknown
    | CloseAsked
    | OrderCancelAsked
    | StopMoveAsked
    | VenueStated
)
