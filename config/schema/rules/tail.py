"""What may be lost on a bad day."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, ClassVar

from msgspec import Meta

from ..base import Disagreement
from .base import Seconds
from .numbers import none_of, unfit_numbers
from .portfolio import PERCENT, EquityRule

CONFIDENCE_LEAST, CONFIDENCE_MOST = Decimal("0.95"), Decimal("0.999")
HORIZON_DAYS_MAX = 365


class TailRule(EquityRule, frozen=True, kw_only=True):
    """A loss by how much prices usually move in a day, for everything held, by the worst that
    working orders could make of each symbol, as if no two of them ever moved against each
    other."""

    SMALLER: ClassVar[tuple[str, ...]] = ("max_pct", "max_mark_age_s")
    LARGER: ClassVar = ("confidence", "horizon_days", "min_volatility_pct")

    max_pct: Annotated[Decimal | None, Meta(description=PERCENT, examples=["5"])] = None
    confidence: Annotated[
        Decimal,
        Meta(description="Such a part of all times it is no more, from 0.95 to 0.999."),
    ] = Decimal("0.99")
    horizon_days: Annotated[
        Decimal, Meta(description="So many days it is held, as long as the market is open.")
    ] = Decimal(1)
    min_volatility_pct: Annotated[
        Decimal,
        Meta(
            description="Everything together is taken to move by so many percent a day at least, "
            "however calm its marks are."
        ),
    ] = Decimal(1)
    max_mark_age_s: Annotated[
        Seconds,
        Meta(
            description="Seconds: of what has an older mark nobody knows how much it moves. Where "
            "a market closes at night it has to be longer than that."
        ),
    ] = 900.0

    def disagreements(self) -> Iterator[Disagreement]:
        """A confidence that means something, and a time."""
        yield from unfit_numbers(self)
        if not CONFIDENCE_LEAST <= self.confidence <= CONFIDENCE_MOST:
            remedy = f"write {CONFIDENCE_LEAST} to {CONFIDENCE_MOST}"
            yield Disagreement("confidence", f"is {self.confidence}", remedy)
        if not 0 < self.horizon_days <= HORIZON_DAYS_MAX:
            remedy = f"write more than 0 and no more than {HORIZON_DAYS_MAX}"
            yield Disagreement("horizon_days", f"is {self.horizon_days}", remedy)


class VarLimit(TailRule, frozen=True, kw_only=True, tag="var_limit"):
    """Value at risk: what everything held loses at most in `confidence` of all times."""

    SMALLER: ClassVar = ("max_var",)

    max_var: Annotated[
        Decimal | None, Meta(description="In the account's currency.", examples=["5000"])
    ] = None

    def disagreements(self) -> Iterator[Disagreement]:
        """One of the two, at least."""
        yield from none_of(self, "max_var", "max_pct")
        yield from super().disagreements()


class EsLimit(TailRule, frozen=True, kw_only=True, tag="es_limit"):
    """Expected shortfall: what everything held loses on average in all other times."""

    SMALLER: ClassVar = ("max_es",)

    max_es: Annotated[
        Decimal | None, Meta(description="In the account's currency.", examples=["6000"])
    ] = None

    def disagreements(self) -> Iterator[Disagreement]:
        """One of the two, at least."""
        yield from none_of(self, "max_es", "max_pct")
        yield from super().disagreements()
