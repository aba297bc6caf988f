"""What moves the book: fills, orders, prices and cash, as a venue or an operator tells of them.

These are the lines of `riskctl book replay` as well. Numbers are exact decimals, written as text.
A time is ISO 8601 (UTC where it names no zone) or a whole number since 1970, in seconds,
milliseconds, microseconds or nanoseconds, told apart by its size. An event without one happened at
the latest time seen before it.
"""

from decimal import Decimal
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

Kind = Literal["linear", "inverse", "spot"]
Side = Literal["buy", "sell"]
Symbol = Annotated[str, Meta(min_length=1, max_length=64)]
Currency = Annotated[str, Meta(min_length=1, max_length=32)]
Id = Annotated[str, Meta(min_length=1, max_length=128)]
Time = Annotated[str, Meta(min_length=1, max_length=64)] | int
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class Event(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True,
    tag_field="type", gc=False,
):  # fmt: skip
    """Something that happened in the market or to the account. It holds nothing that could hold it
    in turn: the garbage collector need not look."""

    ts: Time | None = None


class Instrument(Event, frozen=True, kw_only=True, tag="instrument"):
    """linear: one contract is worth multiplier times price in quote. inverse: it is multiplier
    units of quote, settled in base. spot: as linear, and it is the thing itself."""

    symbol: Symbol
    kind: Kind = "linear"
    multiplier: Decimal = Decimal(1)
    quote: Currency
    settle: Currency
    base: Currency | None = None


class Fill(Event, frozen=True, kw_only=True, tag="fill"):
    """An execution. `fee` above 0 was paid. `order` absent: not checked; null: nobody's."""

    id: Id
    symbol: Symbol
    side: Side
    qty: Decimal
    price: Decimal
    fee: Decimal = Decimal(0)
    fee_ccy: Currency | None = None
    order: Id | UnsetType | None = UNSET


class Bust(Event, frozen=True, kw_only=True, tag="bust"):
    """The venue took a fill back: it never was."""

    id: Id
    symbol: Symbol
    order: Id | UnsetType | None = UNSET


class Correct(Event, frozen=True, kw_only=True, tag="correct"):
    """The venue changed a fill: what is given replaces what was."""

    id: Id
    symbol: Symbol
    order: Id | UnsetType | None = UNSET
    qty: Decimal | None = None
    price: Decimal | None = None
    fee: Decimal | None = None


class Order(Event, frozen=True, kw_only=True, tag="order"):
    """Counts from here on, until it is confirmed gone. `filled`: so much of it before this.
    `stop_price`: it is a stop, and waits for that price."""

    id: Id
    symbol: Symbol
    side: Side
    qty: Decimal
    reduce_only: bool = False
    filled: Decimal = Decimal(0)
    stop_price: Decimal | None = None


class CancelRequest(Event, frozen=True, kw_only=True, tag="cancel_request"):
    """Asked for: the order still counts in full."""

    id: Id


class Timeout(Event, frozen=True, kw_only=True, tag="timeout"):
    """No answer: the order still counts in full."""

    id: Id


class Cancel(Event, frozen=True, kw_only=True, tag="cancel"):
    """Confirmed gone."""

    id: Id


class Reject(Event, frozen=True, kw_only=True, tag="reject"):
    """Confirmed gone: it never worked."""

    id: Id


class Expire(Event, frozen=True, kw_only=True, tag="expire"):
    """Confirmed gone: its time was over."""

    id: Id


class AmendRequest(Event, frozen=True, kw_only=True, tag="amend_request"):
    """Another total quantity was asked for, what is filled included: the larger one counts."""

    id: Id
    qty: Decimal


class Amend(Event, frozen=True, kw_only=True, tag="amend"):
    """Confirmed: this is the total quantity."""

    id: Id
    qty: Decimal


class AmendReject(Event, frozen=True, kw_only=True, tag="amend_reject"):
    """Refused: the order is as it was."""

    id: Id
    qty: Decimal | None = None


class Mark(Event, frozen=True, kw_only=True, tag="mark"):
    """The price that a position is valued at."""

    symbol: Symbol
    price: Decimal


class Fx(Event, frozen=True, kw_only=True, tag="fx"):
    """Units of the reporting currency for one of `ccy`."""

    ccy: Currency
    rate: Decimal


class Funding(Event, frozen=True, kw_only=True, tag="funding"):
    """Received for a position; below 0: paid. In the settle currency. With an id it counts once,
    however often it is told."""

    id: Id | None = None
    symbol: Symbol
    amount: Decimal


class Transfer(Event, frozen=True, kw_only=True, tag="transfer"):
    """A deposit; below 0: a withdrawal. With an id it counts once, however often it is told."""

    id: Id | None = None
    ccy: Currency
    amount: Decimal


class Snapshot(Event, frozen=True, kw_only=True, tag="snapshot"):
    """The venue's position, taken over. Fills up to `as_of` are in it."""

    symbol: Symbol
    qty: Decimal
    avg_price: Decimal | None = None
    as_of: Time


class Account(Event, frozen=True, kw_only=True, tag="account"):
    """The currency to report in, and what the account began with."""

    ccy: Currency
    balance: Decimal = Decimal(0)


class Session(Event, frozen=True, kw_only=True, tag="session"):
    """The trading day: by which clock it ends, and at which of its days the week does."""

    tz: Annotated[str, Meta(min_length=1, max_length=64)] = "UTC"
    reset: Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z")] = "00:00"
    week_start: Weekday = "monday"


class Tick(Event, frozen=True, kw_only=True, tag="tick"):
    """Nothing but that it is this late."""


AnyEvent = (
    Instrument
    | Fill
    | Bust
    | Correct
    | Order
    | CancelRequest
    | Timeout
    | Cancel
    | Reject
    | Expire
    | AmendRequest
    | Amend
    | AmendReject
    | Mark
    | Fx
    | Funding
    | Transfer
    | Snapshot
    | Account
    | Session
    | Tick
)
