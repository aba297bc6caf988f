"""What is traded and for whom: `[accounts.NAME]`, `[[instruments]]`, and how their book is kept."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta

from .base import Disagreement, Section

ACCOUNTS_MAX = 256
INSTRUMENTS_MAX = 20_000
DIGITS_MAX = 30
"""Of a number, before its point and after it, as in the book."""

Named = Annotated[
    str,
    Meta(
        title="a name of letters, digits and any of _ . / -",
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_./-]*\Z",
    ),
]
Currency = Annotated[
    str,
    Meta(
        title="a currency, as USD",
        min_length=1,
        max_length=32,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*\Z",
    ),
]
Symbol = Annotated[
    str,
    Meta(
        title="a symbol without white space",
        min_length=1,
        max_length=64,
        pattern=r"^[^\s\x00-\x1f\x7f]+\Z",
    ),
]
Zone = Annotated[
    str,
    Meta(
        title="a time zone, as in the IANA database",
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z0-9_+/-]+\Z",
    ),
]


def unfit(number: Decimal | None) -> str | None:
    """What keeps a number out of the book. None: nothing."""
    if number is not None and number:
        _, digits, exponent = number.as_tuple()
        if isinstance(exponent, int) and max(-exponent, len(digits) + exponent) > DIGITS_MAX:
            return f"has more than {DIGITS_MAX} digits before the point or after it"
    return None


class Account(Section, frozen=True, kw_only=True):
    """An account at a venue, whose book riskd keeps."""

    currency: Annotated[
        Currency,
        Meta(
            description="What it reports in: equity, limits and losses. It can't change while "
            "riskd remembers the account.",
        ),
    ] = "USD"
    balance: Annotated[
        Decimal,
        Meta(
            description="What it began with, in that currency. A later change of this changes "
            "nothing: report a transfer.",
            examples=["100000"],
        ),
    ] = Decimal(0)
    exchange: Annotated[
        Named | None,
        Meta(
            description="The venue that it trades at, which orders must not contradict. Unset: "
            "they must not name one.",
            examples=["sim"],
        ),
    ] = None

    def disagreements(self) -> Iterator[Disagreement]:
        """The book counts with so many digits."""
        if problem := unfit(self.balance):
            yield Disagreement("balance", problem, "write a number that means something")


class Instrument(Section, frozen=True, kw_only=True):
    """Something that is traded. What is not listed has no price, and no order in it passes."""

    symbol: Annotated[
        Symbol, Meta(description="Its name, as orders and fills use it.", examples=["BTCUSDT"])
    ]
    kind: Annotated[
        Literal["linear", "inverse", "spot"],
        Meta(
            description="`linear`: a contract is worth `multiplier` times its price in `quote`. "
            "`inverse`: it is `multiplier` units of `quote`, settled in `base`. `spot`: the thing "
            "itself. Kind, multiplier and currencies can't change while riskd remembers the "
            "instrument: list another symbol.",
        ),
    ] = "linear"
    multiplier: Annotated[Decimal, Meta(description="What one contract is a multiple of.")] = (
        Decimal(1)
    )
    quote: Annotated[Currency, Meta(description="What its price is in.")] = "USD"
    settle: Annotated[
        Currency | None,
        Meta(
            description="What its profit is paid in. Unset: `quote`, and for `inverse` the `base`.",
            examples=["USDT"],
        ),
    ] = None
    base: Annotated[
        Currency | None,
        Meta(
            description="What is bought, where it is a currency. `inverse` needs it.",
            examples=["BTC"],
        ),
    ] = None
    tick: Annotated[
        Decimal | None,
        Meta(
            description="Prices of orders are whole multiples of it. Unset: any price.",
            examples=["0.1"],
        ),
    ] = None
    lot: Annotated[
        Decimal | None,
        Meta(
            description="Quantities of orders are whole multiples of it. Unset: any quantity.",
            examples=["0.001"],
        ),
    ] = None
    min_qty: Annotated[
        Decimal | None,
        Meta(description="The smallest quantity of an order. Unset: none.", examples=["0.001"]),
    ] = None
    max_qty: Annotated[
        Decimal | None,
        Meta(description="The largest quantity of an order. Unset: none.", examples=["1000"]),
    ] = None
    min_notional: Annotated[
        Decimal | None,
        Meta(
            description="What an order must be worth at least, in `quote`. Unset: nothing.",
            examples=["5"],
        ),
    ] = None
    zone: Annotated[
        Zone,
        Meta(
            description="Where the clock of its trading hours hangs.",
            examples=["America/Chicago"],
        ),
    ] = "UTC"

    @property
    def settled_in(self) -> str:
        """The settle currency, said or not."""
        if self.settle is not None:
            return self.settle
        return self.base if self.kind == "inverse" and self.base is not None else self.quote

    def disagreements(self) -> Iterator[Disagreement]:
        """Sizes are above 0, and an inverse contract is settled in its base."""
        for key in ("multiplier", "tick", "lot", "min_qty", "max_qty", "min_notional"):
            number = getattr(self, key)
            if number is not None and number <= 0:
                yield Disagreement(key, "is not above 0", "write a number above 0")
            elif problem := unfit(number):
                yield Disagreement(key, problem, "write a number that means something")
        if self.kind == "inverse" and self.base is None:
            problem = "is missing: an inverse contract is settled in it"
            yield Disagreement("base", problem, "name it")
        elif self.kind == "inverse" and self.settled_in != self.base:
            problem = "is not the base, in which an inverse contract is settled"
            yield Disagreement("settle", problem, "write the base, or leave it out")
        if self.min_qty is not None and self.max_qty is not None and self.min_qty > self.max_qty:
            yield Disagreement("max_qty", "is below min_qty", "raise it, or lower min_qty")


class Book(Section, frozen=True, kw_only=True):
    """How the book is compared with what the broker says."""

    equity_drift_pct: Annotated[
        Decimal,
        Meta(
            description="The broker's equity may differ from the book's by so many percent of it, "
            "before that is told.",
        ),
    ] = Decimal(1)
    equity_drift_min: Annotated[
        Decimal,
        Meta(
            description="A difference up to this, in the account's currency, is never told: "
            "rounding, or a mark of another moment.",
        ),
    ] = Decimal(1)

    def disagreements(self) -> Iterator[Disagreement]:
        """A tolerance is not negative."""
        for key in ("equity_drift_pct", "equity_drift_min"):
            if getattr(self, key) < 0:
                yield Disagreement(key, "is below 0", "write 0 or more")
            elif problem := unfit(getattr(self, key)):
                yield Disagreement(key, problem, "write a number that means something")
