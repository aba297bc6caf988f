"""Accounts and instruments as riskd keeps them: what it is told of them, and what it tells.

What moves a book is in `book`; here is whose book it moves. Instruments, accounts and the session's
clock come from the configuration and are facts from then on: what was decided by them must be found
out again when the file says something else.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from msgspec import Meta, Struct

from .base import Command, Fact, Name, Reply
from .book import AnyEvent, Currency, Kind, Symbol, Weekday
from .metrics import ExactNumber

EVENTS_MAX = 1_000
"""In one report: some milliseconds of work."""
ROWS_MAX = 100
"""In one reply: some milliseconds of work. The next one goes on where it ends."""

Rows = list[dict[str, object]]
Limit = Annotated[int, Meta(ge=1, le=ROWS_MAX)]


class Listing(Struct, frozen=True, kw_only=True):
    """An instrument: what it is, and the grid that orders in it must lie on. Null: no such bound.

    The calendar of the zone is that of its trading hours.
    """

    symbol: Symbol
    kind: Kind
    multiplier: Decimal
    quote: Currency
    settle: Currency
    base: Currency | None = None
    tick: Decimal | None = None
    lot: Decimal | None = None
    min_qty: Decimal | None = None
    max_qty: Decimal | None = None
    min_notional: Decimal | None = None
    zone: str = "UTC"
    allows_negative: bool = False
    """Its price may be 0 or below."""


# --- commands -------------------------------------------------------------------------------------


class ReportEvents(Command, frozen=True, kw_only=True, tag="report"):
    """This has happened, in this order: all of it is booked or none. Without an account: in each
    that it concerns, which only prices do."""

    account: Name | None = None
    events: Annotated[list[AnyEvent], Meta(min_length=1, max_length=EVENTS_MAX)]


class ReportEquity(Command, frozen=True, kw_only=True, tag="equity"):
    """So much the account is worth, by the broker's word, in its reporting currency."""

    account: Name
    equity: ExactNumber


class ShowPositions(Command, frozen=True, kw_only=True, tag="positions"):
    """Every instrument in which anything has happened. `after`: behind a row that was shown."""

    account: Name | None = None
    symbol: Symbol | None = None
    after: tuple[str, str] | None = None
    limit: Limit = ROWS_MAX


class ShowOrders(Command, frozen=True, kw_only=True, tag="orders"):
    """Every order that still counts."""

    account: Name | None = None
    symbol: Symbol | None = None
    after: tuple[str, str] | None = None
    limit: Limit = ROWS_MAX


class ShowPnl(Command, frozen=True, kw_only=True, tag="pnl"):
    """Each account as a whole."""

    account: Name | None = None


# --- replies --------------------------------------------------------------------------------------


class Reported(Reply, frozen=True, kw_only=True, tag="reported"):
    """All of it is booked, and survives a kill of riskd. `lsn`: the newest fact by then."""

    lsn: int
    booked: int


class PositionsAre(Reply, frozen=True, kw_only=True, tag="positions"):
    """Rows by account and symbol, of these accounts. `more`: ask again, behind the last of them."""

    lsn: int
    accounts: list[str]
    positions: Rows
    more: bool


class OrdersAre(Reply, frozen=True, kw_only=True, tag="orders"):
    """Rows by account and id, of these accounts. `more`: ask again, behind the last of them."""

    lsn: int
    accounts: list[str]
    orders: Rows
    more: bool


class PnlIs(Reply, frozen=True, kw_only=True, tag="pnl"):
    """By account, with what is odd in its book. Each row has the lsn that it is of, for much may
    happen while the sums of many are made; that of the reply is the last one's."""

    lsn: int
    accounts: Rows


# --- facts ----------------------------------------------------------------------------------------


class InstrumentListed(Fact, frozen=True, kw_only=True, tag="instrument_listed"):
    """This is what it is from here on. Kind, multiplier and currencies of one that was known stay:
    positions rest on them."""

    listing: Listing


class InstrumentDelisted(Fact, frozen=True, kw_only=True, tag="instrument_delisted"):
    """No order in it is permitted. What is held of it is still counted."""

    symbol: str


class AccountOpened(Fact, frozen=True, kw_only=True, tag="account_opened"):
    """It is kept from here on, or as this says from here on. What it began with stays."""

    account: str
    currency: str
    balance: Decimal
    exchange: str | None = None


class AccountClosed(Fact, frozen=True, kw_only=True, tag="account_closed"):
    """The configuration does not name it any more: no order in it is permitted. Its book stays."""

    account: str


class SessionClockSet(Fact, frozen=True, kw_only=True, tag="session_clock_set"):
    """By which clock days and weeks end, in every account."""

    tz: str
    reset: str
    week_start: Weekday


class Booked(Fact, frozen=True, kw_only=True, tag="booked"):
    """This has happened in an account; without one, in all of them."""

    account: str | None
    event: AnyEvent


class SessionReset(Fact, frozen=True, kw_only=True, tag="session_reset"):
    """A day ended, and with `is_week` a week as well. What they brought is as it was known then:
    what comes late restates it. Null: it was not known."""

    account: str
    at: datetime
    is_week: bool
    realized: Decimal | None
    pnl: Decimal | None
    week_realized: Decimal | None
    week_pnl: Decimal | None


class EquityReported(Fact, frozen=True, kw_only=True, tag="equity_reported"):
    """What the broker says that the account is worth, and what the book said. Null: unknown."""

    account: str
    theirs: Decimal
    ours: Decimal | None


class EquityDrifted(Fact, frozen=True, kw_only=True, tag="equity_drifted"):
    """The book and the broker differ by more than is allowed, or the book does not know."""

    account: str
    theirs: Decimal
    ours: Decimal | None
    allowed: Decimal


class EquityAgreed(Fact, frozen=True, kw_only=True, tag="equity_agreed"):
    """They agree again."""

    account: str
    theirs: Decimal
    ours: Decimal


class BookFlagged(Fact, frozen=True, kw_only=True, tag="book_flagged"):
    """Something in an account's book is odd: `fill_conflict:ID`, `overfill:ORDER` ..."""

    account: str
    flags: tuple[str, ...]


Commands = ReportEvents | ReportEquity | ShowPositions | ShowOrders | ShowPnl
Replies = Reported | PositionsAre | OrdersAre | PnlIs
Facts = (
    InstrumentListed
    | InstrumentDelisted
    | AccountOpened
    | AccountClosed
    | SessionClockSet
    | Booked
    | SessionReset
    | EquityReported
    | EquityDrifted
    | EquityAgreed
    | BookFlagged
)
