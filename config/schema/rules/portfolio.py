"""How much may be held of everything together."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from ..base import Disagreement
from .base import LimitRule, Seconds
from .numbers import none_of, unfit_numbers

PERCENT = "In percent of what the scope's accounts are worth."


class EquityRule(LimitRule, frozen=True, kw_only=True):
    """A limit that goes by what accounts are worth. A strategy and a worker go by those that they
    trade in. Where a book and its broker disagree about that, it is not known."""

    SMALLER: ClassVar[tuple[str, ...]] = ("max_equity_age_s",)

    max_equity_age_s: Annotated[
        Seconds | None,
        Meta(
            description="So old may the broker's word be of what an account is worth. Unset: the "
            "book's own figure is enough, as long as no broker contradicts it.",
            examples=[60.0],
        ),
    ] = None


class ShareRule(EquityRule, frozen=True, kw_only=True):
    """A limit in money, in percent of equity, or both: then the lower one counts."""

    SMALLER: ClassVar[tuple[str, ...]] = ("max_notional", "max_pct")

    max_notional: Annotated[
        Decimal | None, Meta(description="In the account's currency.", examples=["500000"])
    ] = None
    max_pct: Annotated[Decimal | None, Meta(description=PERCENT, examples=["300"])] = None

    def disagreements(self) -> Iterator[Disagreement]:
        """One of the two, at least."""
        yield from none_of(self, "max_notional", "max_pct")
        yield from unfit_numbers(self)


class MaxGross(ShareRule, frozen=True, kw_only=True, tag="max_gross"):
    """Everything held, longs and shorts added up, by the worst that working orders could make of
    each symbol."""


class MaxNet(ShareRule, frozen=True, kw_only=True, tag="max_net"):
    """Longs less shorts, either way, by the worst that working orders could make of it. What only
    makes a position smaller passes, for closing it must be possible; that is told."""


class MaxTotalNotional(LimitRule, frozen=True, kw_only=True, tag="max_total_notional"):
    """What `max_gross` counts, in money alone."""

    SMALLER: ClassVar = ("max_notional",)

    max_notional: Annotated[
        Decimal, Meta(description="In the account's currency.", examples=["500000"])
    ]

    def disagreements(self) -> Iterator[Disagreement]:
        """It is a number that limits."""
        yield from unfit_numbers(self)


class MaxContracts(LimitRule, frozen=True, kw_only=True, tag="max_contracts"):
    """Contracts of all symbols together, by the worst that working orders could make of them."""

    SMALLER: ClassVar = ("max_contracts",)

    max_contracts: Annotated[Decimal, Meta(description="So many.", examples=["100"])]
    basis: Annotated[
        Literal["gross", "net"],
        Meta(
            description="`gross`: the worse side of each symbol, added up. `net`: longs less "
            "shorts, either way; what only makes a position smaller passes, and that is told."
        ),
    ] = "gross"

    def disagreements(self) -> Iterator[Disagreement]:
        """It is a number that limits."""
        yield from unfit_numbers(self)


class MaxOpenPositions(LimitRule, frozen=True, kw_only=True, tag="max_open_positions"):
    """Symbols with a position, or with orders that could make one; in each account, where there are
    several."""

    SMALLER: ClassVar = ("max_positions",)

    max_positions: Annotated[int, Meta(ge=0, le=1_000_000, description="So many.", examples=[5])]


class MaxLeverage(EquityRule, frozen=True, kw_only=True, tag="max_leverage"):
    """How many times its worth an account may hold: the gross exposure of `max_gross` over equity.
    What an order says of its leverage counts for nothing."""

    SMALLER: ClassVar = ("max_leverage",)

    max_leverage: Annotated[Decimal, Meta(description="So many times.", examples=["3"])]

    def disagreements(self) -> Iterator[Disagreement]:
        """It is a number that limits."""
        yield from unfit_numbers(self)


class Concentration(EquityRule, frozen=True, kw_only=True, tag="concentration"):
    """How much of everything may be one symbol, by the worst case. It is about the order's symbol:
    that another one becomes a larger part because this one becomes smaller stops nothing."""

    SMALLER: ClassVar = ("max_pct", "free_notional")

    max_pct: Annotated[Decimal, Meta(description="In percent.", examples=["25"])]
    basis: Annotated[
        Literal["equity", "gross"],
        Meta(
            description="`equity`: of what the scope's accounts are worth. `gross`: of the gross "
            "exposure, so that the first position of all needs `free_notional`."
        ),
    ] = "equity"
    free_notional: Annotated[
        Decimal,
        Meta(
            description="A symbol worth no more than that is never too much, in the account's "
            "currency.",
            examples=["10000"],
        ),
    ] = Decimal(0)

    def disagreements(self) -> Iterator[Disagreement]:
        """Everything can't be more than all of it."""
        yield from unfit_numbers(self)
        if self.basis == "gross" and self.max_pct >= 100:
            yield Disagreement("max_pct", "is no limit", "of `gross`, write less than 100")
