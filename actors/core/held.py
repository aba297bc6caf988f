"""One account: its book, and what is known of it beside that."""

from datetime import datetime
from decimal import Decimal

import attrs
import msgspec

from .book.account import AccountBook


class Equity(msgspec.Struct, frozen=True, array_like=True):
    """What a broker said of an account's worth."""

    theirs: Decimal
    at: datetime
    monotonic_s: float
    ours: Decimal | None = None
    """What the book said then. None: it did not know."""


class About(msgspec.Struct, array_like=True):
    """What is known of an account beside its book."""

    name: str
    currency: str
    balance: Decimal
    since: datetime
    """Resets of its session up to here are over, or came before it was opened."""
    exchange: str | None = None
    is_open: bool = True
    equity: Equity | None = None
    is_drifting: bool = False


@attrs.define(eq=False)
class Held:
    """An account."""

    about: About
    book: AccountBook
