"""How far from the market an order's price may be, and how far the market may have gone."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, ClassVar

from msgspec import Meta

from ..base import Disagreement
from .base import OrderRule
from .fresh import MARK_AGE_S, AgeS
from .numbers import none_of

DRIFT_S_MAX = 86_400.0


class PriceCollar(OrderRule, frozen=True, kw_only=True, tag="price_collar"):
    """Prices are near the mark, above it and below it, and the mark is near where it was. Without
    a mark that is fresh what adds risk does not pass."""

    SMALLER: ClassVar = ("max_pct", "max_stop_pct", "max_drift_pct", "max_mark_age_s")
    LARGER: ClassVar = ("drift_s",)
    FIXED: ClassVar = ("max_drift_pct",)

    max_pct: Annotated[
        Decimal | None,
        Meta(
            description="A limit price may be so many percent of the mark away from it, on either "
            "side, whatever the order is for. That of a `stop_limit`: away from its stop.",
            examples=["5"],
        ),
    ] = None
    max_stop_pct: Annotated[
        Decimal | None,
        Meta(
            description="A stop price may be so many percent of the mark away from it.",
            examples=["20"],
        ),
    ] = None
    max_drift_pct: Annotated[
        Decimal | None,
        Meta(
            description="The mark may be so many percent away from the highest and the lowest of "
            "the last `drift_s`. While it is farther, what adds risk does not pass.",
            examples=["10"],
        ),
    ] = None
    drift_s: Annotated[
        float,
        Meta(gt=0, le=DRIFT_S_MAX, description="Seconds: how far back is looked for it."),
    ] = 300.0
    max_mark_age_s: Annotated[
        AgeS, Meta(description="Seconds: a mark that is older is none to go by.")
    ] = MARK_AGE_S

    def disagreements(self) -> Iterator[Disagreement]:
        """One limit, at least."""
        yield from none_of(self, "max_pct", "max_stop_pct", "max_drift_pct")
