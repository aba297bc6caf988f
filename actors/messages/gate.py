"""Orders, what the gate says of them, and what becomes of them.

An order is asked about before it is sent. Its numbers come as text and are judged like everything
else of it: what is no number is a block with a code of its own. What the gate permits is a ticket,
and counts against every limit from that moment on, until it is confirmed gone.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from .base import Bearing, By, Command, Fact, Name, Reply
from .book import Currency, Id, Side, Symbol, Time
from .metrics import ExactNumber
from .reasons import Code

Answer = Literal["allow", "scale_down", "block"]
RiskLevel = Literal["info", "warning", "critical"]
OrderType = Literal["limit", "market", "stop", "stop_limit"]
TicketCode = Literal["no_ticket", "wrong_decision", "ticket_used", "ticket_stale", "ticket_expired"]
"""Why an order may not be sent on what its sender says that permits it."""
Text = Annotated[str, Meta(max_length=1_000)]
"""Should be a number. The gate says what is wrong with one that is none."""


class OrderAsked(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False
):  # fmt: skip
    """An order as a worker wants to send it. `stop_loss` is where its protective stop will be."""

    client_order_id: Id
    account: Name
    symbol: Symbol
    side: Side
    qty: Text | int
    price: Text | int | None = None
    order_type: OrderType | None = None
    """Null: a limit order if it has a price, else a market order."""
    stop_price: Text | int | None = None
    stop_loss: Text | int | None = None
    exchange: Name | None = None
    strategy: Name | None = None
    leverage: Text | int | None = None
    """What the order says of its leverage, which nobody relies on."""
    reduce_only: bool = False
    override: Annotated[str, Meta(min_length=1, max_length=32)] | None = None
    """By which two persons let it pass what rules object to."""


class Verdict(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What decided, and by which numbers. `max_qty` is the most that would pass."""

    decision: Answer
    qty: Decimal
    code: Code
    rule: str | None = None
    """Its kind."""
    scope: str | None = None
    limit: Decimal | None = None
    value: Decimal | None = None
    headroom: Decimal | None = None
    max_qty: Decimal | None = None
    missing: str | None = None
    """What was not known."""
    risk_level: RiskLevel = "info"
    ess_active: bool = False
    override: str | None = None
    """By which it was permitted. It is used up."""


# --- commands -------------------------------------------------------------------------------------


class Check(Command, frozen=True, kw_only=True, tag="check"):
    """May this order be sent? If so it counts from now on."""

    order: OrderAsked


class OrderReport(Command, frozen=True, kw_only=True):
    """This has become of an order."""

    account: Name
    client_order_id: Id
    ts: Time | None = None


class AmendAsked(Command, frozen=True, kw_only=True, tag="amend"):
    """May this order, which works, become like this? It is told whole, as it is to be; `qty` is
    what is filled of it and what is to be filled. If it may, the larger quantity counts from now
    on, until the venue has answered. It passes whole or not at all."""

    order: OrderAsked


class Sent(OrderReport, frozen=True, kw_only=True, tag="sent"):
    """It is on its way to the venue: its ticket is used. Refused where there was none that was
    good; the order counts all the same."""

    decision_id: Annotated[str, Meta(max_length=32)] | None = None


class Acked(OrderReport, frozen=True, kw_only=True, tag="ack"):
    """The venue has it."""


class Amended(OrderReport, frozen=True, kw_only=True, tag="amended"):
    """The venue has changed it: this is its quantity, what is filled included."""

    qty: ExactNumber


class AmendRejected(OrderReport, frozen=True, kw_only=True, tag="amend_rejected"):
    """The venue has not changed it: it is as it was."""

    qty: ExactNumber | None = None
    """Which was asked for. Null: the oldest that waits for an answer."""


class CancelAsked(OrderReport, frozen=True, kw_only=True, tag="cancel"):
    """Its end was asked for. It counts until that is confirmed."""


class Canceled(OrderReport, frozen=True, kw_only=True, tag="canceled"):
    """Confirmed gone."""


class Rejected(OrderReport, frozen=True, kw_only=True, tag="rejected"):
    """Confirmed gone: the venue did not take it."""


class Expired(OrderReport, frozen=True, kw_only=True, tag="expired"):
    """Confirmed gone: its time was over."""


class Dropped(OrderReport, frozen=True, kw_only=True, tag="dropped"):
    """It was never sent, and never will be. Refused if it was, or anything was told of it."""


class Filled(Command, frozen=True, kw_only=True, tag="fill"):
    """An execution. `fee` above 0 was paid. Without an order it is nobody's."""

    account: Name
    client_order_id: Id | None = None
    fill_id: Id
    symbol: Symbol
    side: Side
    qty: ExactNumber
    price: ExactNumber
    fee: ExactNumber = "0"
    fee_ccy: Currency | None = None
    ts: Time | None = None


class Marked(Command, frozen=True, kw_only=True, tag="mark"):
    """A price to value positions at. Without an account: in all of them."""

    symbol: Symbol
    price: ExactNumber
    account: Name | None = None
    ts: Time | None = None


# --- replies --------------------------------------------------------------------------------------


class Ticket(Struct, frozen=True, kw_only=True):
    """The permission: for this order, up to this quantity, until it expires or something tightens.

    `expires_s` is a time by CLOCK_MONOTONIC. `epoch` is that of the lease page: another one there,
    and the order has to be asked for again, by another id.
    """

    digest: str
    max_qty: str
    expires_s: float
    epoch: int


class Decision(Reply, frozen=True, kw_only=True, tag="decision"):
    """The answer to a check. `ess_active`: the kill switch is not ACTIVE."""

    decision: Answer
    qty: str
    scale_factor: str
    rule: str | None
    scope: str | None
    code: Code
    reason: str
    limit: str | None
    value: str | None
    headroom: str | None
    max_qty: str | None
    risk_level: RiskLevel
    ess_active: bool
    override: str | None
    """By which it was permitted, and that is used up now."""
    decision_id: str | None
    lsn: int
    """The newest fact when it was judged."""
    timestamp: str
    ticket: Ticket | None


# --- facts ----------------------------------------------------------------------------------------


class OrderDecided(
    Fact, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="order_decided"
):  # fmt: skip
    """An order was judged by everything before this fact, at that time. What is permitted is
    reserved by it: it counts as an order. The ticket is good until `expires_s` by the monotonic
    clock, and as long as the lease page has this `epoch`; a block has none.

    `worker_account` and `worker_strategy`: what the worker that asked was bound to then."""

    order: OrderAsked
    worker: str | None = None
    worker_account: str | None = None
    worker_strategy: str | None = None
    at: datetime
    monotonic_s: float
    verdict: Verdict
    epoch: int = 0
    expires_s: float = 0.0
    amends: bool = False
    """It is one that works, as it was to become. What is permitted is asked of the venue."""


class OrderSent(Fact, frozen=True, kw_only=True, tag="order_sent"):
    """A ticket was used, and could be."""

    account: str
    client_order_id: str
    worker: str | None = None


class OrderAcked(Fact, frozen=True, kw_only=True, tag="order_acked"):
    """The venue has taken an order."""

    account: str
    client_order_id: str
    worker: str | None = None


class OrderDropped(Fact, frozen=True, kw_only=True, tag="order_dropped"):
    """An order was never sent, and never will be: what was reserved for it is free. If anything is
    heard of it later it was sent all the same, and counts again."""

    account: str
    client_order_id: str
    worker: str | None = None


class TicketMisused(Fact, frozen=True, kw_only=True, tag="ticket_misused"):
    """An order was sent that nothing permitted at that moment: `code` says why. If it counted, it
    counts as before."""

    account: str
    client_order_id: str
    code: TicketCode
    worker: str | None = None


class RuleRearmed(Fact, frozen=True, kw_only=True, tag="rule_rearmed"):
    """A rule that had latched begins anew: it forgets what it counted."""

    BEARING: ClassVar[Bearing] = "loosens"

    rule: str
    """Its id."""
    scope: str
    by: By
    approved_by: str | None
    reason: str


Commands = (
    Check
    | AmendAsked
    | Amended
    | AmendRejected
    | Sent
    | Acked
    | CancelAsked
    | Canceled
    | Rejected
    | Expired
    | Dropped
    | Filled
    | Marked
)
Replies = Decision
Facts = OrderDecided | OrderSent | OrderAcked | OrderDropped | TicketMisused | RuleRearmed
Loosening = RuleRearmed
