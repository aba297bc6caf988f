"""What is traded and for whom: `[accounts.NAME]`, `[[instruments]]`, and how their book is kept."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta

from .base import Disagreement, Section, Zone
from .gate import OnExcess

ACCOUNTS_MAX = 256
INSTRUMENTS_MAX = 20_000
STRATEGIES_MAX = 256
"""Of one account, or of one profile."""
DIGITS_MAX = 30
"""Of a number, before its point and after it, as in the book."""

Named = Annotated[
    str,
    Meta(
        title="a name of letters, digits and any of _ . / -",
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_./-]*\Z",
        examples=["main"],
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
Size = Annotated[Decimal, Meta(title="an exact number above 0, in quotes")]
SIZES = ("multiplier", "tick", "lot", "min_qty", "max_qty", "min_notional")
TOLERANCES = ("equity_drift_pct", "equity_drift_min")


def unfit(key: str, number: Decimal) -> Iterator[Disagreement]:
    """What the book, which counts with so many digits, would not take in."""
    _, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int), "the walk lets only finite numbers pass"
    if number and max(-exponent, len(digits) + exponent) > DIGITS_MAX:
        problem = f"has more than {DIGITS_MAX} digits before the point or after it"
        yield Disagreement(key, problem, "write it with fewer")


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
            "they must name none.",
            examples=["sim"],
        ),
    ] = None
    profile: Annotated[
        Named,
        Meta(
            description="The capital profile whose limits it has besides those of `[[rules]]`: "
            "micro, low, normal, aggressive, or one of `[profiles]`.",
        ),
    ] = "normal"
    strategies: Annotated[
        tuple[Named, ...],
        Meta(
            max_length=STRATEGIES_MAX,
            description="The strategies that may trade in it. None named: any may.",
        ),
    ] = ()
    on_excess: Annotated[
        OnExcess | None,
        Meta(
            description="What becomes of an order of this account that asks for more than a limit "
            "has left, unless its rule says so itself. Unset: as `gate.on_excess` says.",
            examples=["scale_down"],
        ),
    ] = None

    def disagreements(self) -> Iterator[Disagreement]:
        """The book counts with so many digits."""
        yield from unfit("balance", self.balance)


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
    multiplier: Annotated[
        Size, Meta(description="How many units of what is traded one contract is.")
    ] = Decimal(1)
    quote: Annotated[Currency, Meta(description="What its price is in.")] = "USD"
    settle: Annotated[
        Currency | None,
        Meta(
            description="What its profit is paid in, which is `quote`, and for `inverse` the "
            "`base`. Unset: just that.",
            examples=["USD"],
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
        Size | None,
        Meta(
            description="Prices of orders are whole multiples of it. Unset: any price.",
            examples=["0.1"],
        ),
    ] = None
    lot: Annotated[
        Size | None,
        Meta(
            description="Quantities of orders are whole multiples of it. Unset: any quantity.",
            examples=["0.001"],
        ),
    ] = None
    min_qty: Annotated[
        Size | None,
        Meta(description="The smallest quantity of an order. Unset: any.", examples=["0.001"]),
    ] = None
    max_qty: Annotated[
        Size | None,
        Meta(description="The largest quantity of an order. Unset: any.", examples=["1000"]),
    ] = None
    min_notional: Annotated[
        Size | None,
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
    allows_negative: Annotated[
        bool,
        Meta(
            description="Its price may be 0 or below, as of a spread or of power; `linear` alone. "
            "Otherwise a price of 0 is a mistake: it is no mark, and no order has it.",
        ),
    ] = False

    @property
    def settled_in(self) -> str:
        """The settle currency, said or not."""
        if self.settle is not None:
            return self.settle
        return self.base if self.kind == "inverse" and self.base is not None else self.quote

    def disagreements(self) -> Iterator[Disagreement]:
        """Sizes are above 0, some quantity may be ordered, and the currencies make a contract."""
        for key in SIZES:
            number = getattr(self, key)
            if number is not None and number <= 0:
                yield Disagreement(key, "is not above 0", "write a number above 0")
            elif number is not None:
                yield from unfit(key, number)
        for key in ("lot", "min_qty"):
            least = getattr(self, key)
            if self.max_qty is not None and least is not None and least > self.max_qty > 0:
                problem = f"is below {key}, so that no quantity could be ordered"
                yield Disagreement("max_qty", problem, f"raise it, or lower {key}")
        if self.allows_negative and self.kind != "linear":
            problem = "is for linear instruments: nothing else can be worth 0 or below"
            yield Disagreement("allows_negative", problem, "leave it out")
        yield from self._currencies()

    def _currencies(self) -> Iterator[Disagreement]:
        """The book takes the profit as paid in what it is reckoned in: to do so with a contract
        that is paid in something else would be a guess at a rate."""
        if self.base == self.quote:
            problem = "is the quote, so that one would be bought with itself"
            yield Disagreement("base", problem, "write what is bought, or leave it out")
        elif self.kind == "inverse" and self.base is None:
            problem = "is required: an inverse contract is settled in it"
            yield Disagreement("base", problem, "write what is bought")
        elif self.kind == "inverse" and self.settled_in != self.base:
            problem = "is not the base, in which an inverse contract is settled"
            yield Disagreement("settle", problem, "write the base, or leave it out")
        elif self.kind != "inverse" and self.settled_in != self.quote:
            problem = "is not the quote: riskd can't reckon with a contract that pays in another"
            yield Disagreement("settle", problem, "write the quote, or leave it out")


Accounts = Annotated[
    dict[Named, Account],
    Meta(
        max_length=ACCOUNTS_MAX,
        description="Orders and fills use its name. One with a dot or a slash in it stands in "
        "quotes here.",
    ),
]
Instruments = Annotated[
    tuple[Instrument, ...],
    Meta(max_length=INSTRUMENTS_MAX, description="Orders and fills use its symbol."),
]


class Book(Section, frozen=True, kw_only=True):
    """How the book is compared with what the broker says."""

    equity_drift_pct: Annotated[
        Decimal,
        Meta(
            title="an exact number from 0 to 100, in quotes",
            description="The broker's equity may differ from the book's by so many percent of it, "
            "before that is told.",
        ),
    ] = Decimal(1)
    equity_drift_min: Annotated[
        Decimal,
        Meta(
            title="an exact number from 0, in quotes",
            description="A difference up to this, in the account's currency, is never told: "
            "rounding, or a mark of another moment.",
        ),
    ] = Decimal(1)

    def disagreements(self) -> Iterator[Disagreement]:
        """A tolerance is not negative, and one of more than everything would tolerate anything."""
        for key in TOLERANCES:
            number = getattr(self, key)
            if number < 0:
                yield Disagreement(key, "is below 0", "write 0 or more")
            else:
                yield from unfit(key, number)
        if self.equity_drift_pct > 100:
            yield Disagreement("equity_drift_pct", "is above 100", "write 100 or less")
