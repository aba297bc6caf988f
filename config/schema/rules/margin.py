"""What positions tie up, how far they are from being liquidated, and what one trade may risk."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, ClassVar

from msgspec import Meta, field

from ..base import Disagreement
from ..trading import Symbol
from .numbers import none_of, unfit_numbers
from .portfolio import PERCENT, EquityRule

SYMBOLS_MAX = 100
"""With a fraction of their own: each is looked at for every order."""


class MarginRule(EquityRule, frozen=True, kw_only=True):
    """A rule that needs to know what part of a position has to be there as margin. A symbol of
    which that is not known can't be judged, nor can anything beside it."""

    margin_pct: Annotated[
        Decimal | None,
        Meta(
            description="In percent of what a position is worth. Unset: it is known only of the "
            "symbols that `margin_pct_of` names.",
            examples=["10"],
        ),
    ] = None
    margin_pct_of: Annotated[
        dict[Symbol, Decimal],
        Meta(
            max_length=SYMBOLS_MAX,
            description="The same of single symbols.",
            examples=[{"BTCUSDT": "5"}],
        ),
    ] = field(default_factory=dict)

    def disagreements(self) -> Iterator[Disagreement]:
        """Something of it is known."""
        if self.margin_pct is None and not self.margin_pct_of:
            yield Disagreement("margin_pct", "is missing", "write it, or margin_pct_of")
        yield from unfit_numbers(self)


class Margin(MarginRule, frozen=True, kw_only=True, tag="margin"):
    """Initial margin of everything held, by the worst that working orders could make of it."""

    SMALLER: ClassVar = ("max_used_pct",)

    max_used_pct: Annotated[Decimal, Meta(description=PERCENT, examples=["50"])] = Decimal(100)


class LiquidationDistance(MarginRule, frozen=True, kw_only=True, tag="liquidation_distance"):
    """How far the mark is from where the account would be liquidated, if only this symbol moved:
    with maintenance margin as `margin_pct`, all of the account's equity behind it, and for the
    position as it could be at worst. It goes by the order's account, whatever the scope. Of an
    inverse contract it takes the collateral to fall with the price."""

    LARGER: ClassVar = ("min_pct",)

    min_pct: Annotated[Decimal, Meta(description="In percent of the mark.", examples=["15"])]

    def disagreements(self) -> Iterator[Disagreement]:
        """A price can't fall by more than all of it."""
        yield from super().disagreements()
        if self.min_pct >= 100:
            yield Disagreement("min_pct", "is more than there is", "write less than 100")
        for key, values in (
            ("margin_pct", [self.margin_pct]),
            ("margin_pct_of", self.margin_pct_of.values()),
        ):
            if any(pct is not None and pct > 100 for pct in values):
                yield Disagreement(key, "is more than a position is worth", "write 100 or less")


class SingleTradeRisk(EquityRule, frozen=True, kw_only=True, tag="single_trade_risk"):
    """What one order could lose: down to its protective stop, if it has one on the losing side,
    else everything that it is worth. So much of it as only reduces a position risks nothing."""

    SMALLER: ClassVar = ("max_risk", "max_pct")
    LARGER: ClassVar = ("slip_pct",)

    max_risk: Annotated[
        Decimal | None, Meta(description="In the account's currency.", examples=["500"])
    ] = None
    max_pct: Annotated[Decimal | None, Meta(description=PERCENT, examples=["1"])] = None
    slip_pct: Annotated[
        Decimal,
        Meta(description="An order without a limit may slip by so many percent of its price."),
    ] = Decimal(1)

    def disagreements(self) -> Iterator[Disagreement]:
        """One of the two, at least."""
        yield from none_of(self, "max_risk", "max_pct")
        yield from unfit_numbers(self)
