"""How large one order may be."""

from decimal import Decimal
from typing import Annotated, ClassVar

from msgspec import Meta

from .base import LimitRule


class MaxOrderQty(LimitRule, frozen=True, kw_only=True, tag="max_order_qty"):
    """The quantity of one order."""

    SMALLER: ClassVar = ("max_qty",)

    max_qty: Annotated[Decimal, Meta(description="In contracts or units.", examples=["10"])]


class MaxOrderNotional(LimitRule, frozen=True, kw_only=True, tag="max_order_notional"):
    """What one order is worth, in the account's currency."""

    SMALLER: ClassVar = ("max_notional",)
    LARGER: ClassVar = ("slip_pct",)

    max_notional: Annotated[Decimal, Meta(description="In that currency.", examples=["50000"])]
    slip_pct: Annotated[
        Decimal,
        Meta(
            description="A market or a stop order may slip by so many percent of the mark, or of "
            "what it says."
        ),
    ] = Decimal(1)
