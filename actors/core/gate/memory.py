"""What rules remember: each its own, of what has happened in its scope since it is in force.

A rule that counts orders, executions or refusals has a memory. It is fed by facts alone, live and
after a restart alike, and is part of the ledger's snapshot; it must be bounded, whatever comes. A
rule that is taken out of force is forgotten with it.
"""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, Protocol

from ...messages.book import Side
from ...messages.gate import OrderAsked, Verdict

Scopes = tuple[str, ...]
"""All that it is in: `all`, `account:main`, `symbol:BTCUSDT`, `strategy:mm` ..."""


class Judged(NamedTuple):
    """An order was judged, whatever the answer was."""

    at: datetime
    scopes: Scopes
    order: OrderAsked
    verdict: Verdict


class Executed(NamedTuple):
    """A fill that was not known before. `won`: what closing by it has brought, fees not counted;
    None: it closed nothing, or, with `is_closing`, a rate is missing. `notional` is None when one
    is. Both are in `currency`, the account's."""

    at: datetime
    scopes: Scopes
    account: str
    symbol: str
    side: Side
    qty: Decimal
    price: Decimal
    order: str | None
    notional: Decimal | None
    won: Decimal | None
    is_closing: bool
    currency: str
    left: Decimal | None = None
    """What remains of its order. None: it has none that is known and explains it."""


class Ended(NamedTuple):
    """An order is confirmed gone, or was never taken."""

    at: datetime
    scopes: Scopes
    account: str
    order: str
    how: str
    """`cancel`, `reject` or `expire`; `drop`: it was never sent."""


class Asked(NamedTuple):
    """A change of an order was asked for: `cancel_request` or `amend_request`."""

    at: datetime
    scopes: Scopes
    account: str
    order: str
    what: str
    said: OrderAsked | None = None
    """The order as it is to be, where the gate was asked."""


class SessionEnded(NamedTuple):
    """A day is over, and with `is_week` a week."""

    at: datetime
    scopes: Scopes
    is_week: bool


class Rearmed(NamedTuple):
    """A person has let a rule that had latched begin anew. `rule` is its id: it is for this one."""

    at: datetime
    scopes: Scopes
    rule: str


class TimedOut(NamedTuple):
    """An order got no answer in time: nobody knows whether it works."""

    at: datetime
    scopes: Scopes
    account: str
    order: str


class Heard(NamedTuple):
    """The venue knows of an order: it was confirmed, or a change of it was."""

    at: datetime
    scopes: Scopes
    account: str
    order: str
    left: Decimal | None = None
    """What remains of it."""
    is_amended: bool = False


class Quoted(NamedTuple):
    """A mark came: in every account, if it names none."""

    at: datetime
    account: str | None
    symbol: str
    price: Decimal


class EdgeSeen(NamedTuple):
    """What a strategy expects to win, in a symbol or, with None, in all that it trades."""

    at: datetime
    scopes: Scopes
    strategy: str
    symbol: str | None
    bps: Decimal


class Locked(NamedTuple):
    """A rule has tripped, and what it locks is locked. `rule` is its id: it is for this one."""

    at: datetime
    scopes: Scopes
    rule: str


class CancelSought(NamedTuple):
    """That an order is to be cancelled was asked for, by this rule."""

    at: datetime
    scopes: Scopes
    rule: str
    account: str
    symbol: str
    order: str


class StopSought(NamedTuple):
    """That the stop of a position is to be moved was asked for, by this rule."""

    at: datetime
    scopes: Scopes
    rule: str
    account: str
    symbol: str
    stop_price: Decimal


class VenueSaid(NamedTuple):
    """Whether an account can trade, by the venue's word, and when that was said."""

    at: datetime
    scopes: Scopes
    account: str
    can_trade: bool
    stated_at: datetime


class Adopted(NamedTuple):
    """A position was taken over from the venue. `gap`: by so much it was not the book's."""

    at: datetime
    scopes: Scopes
    account: str
    symbol: str
    gap: Decimal


Seen = (
    Judged
    | Executed
    | Ended
    | Asked
    | SessionEnded
    | Rearmed
    | TimedOut
    | Heard
    | EdgeSeen
    | Locked
    | CancelSought
    | StopSought
    | VenueSaid
    | Adopted
)


class Memory(Protocol):
    """Of one rule."""

    def saw(self, seen: Seen) -> None:
        """Something happened in its scope. Its time never decides by itself: clocks jump."""

    def dump(self) -> object:
        """What JSON can hold, as it is now."""

    def load(self, state: object) -> None:
        """Go back to a dump. Raises ValueError or TypeError."""
