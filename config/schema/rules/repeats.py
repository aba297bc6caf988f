"""Orders beside those that were permitted before: the same again, or their other side."""

from typing import Annotated, ClassVar

from msgspec import Meta

from .base import OrderRule

DUPLICATE_S_MAX = 3_600.0
DUPLICATES_MAX = 1_000


class DuplicateOrder(OrderRule, frozen=True, kw_only=True, tag="duplicate_order"):
    """The same order does not come again and again: of one account, in one symbol, of the same
    side, quantity, type and prices. What was blocked was none, and what has ended was one."""

    SMALLER: ClassVar = ("max_orders",)
    LARGER: ClassVar = ("within_s",)

    within_s: Annotated[
        float,
        Meta(gt=0, le=DUPLICATE_S_MAX, description="How far back is looked.", examples=[5.0]),
    ]
    max_orders: Annotated[
        int,
        Meta(ge=1, le=DUPLICATES_MAX, description="So many of the same pass in that time."),
    ] = 1


class SelfMatch(OrderRule, frozen=True, kw_only=True, tag="self_match"):
    """An order would not trade with one of the scope's own that works at the same venue. What adds
    no risk passes, and that is told. Stop orders are left out of it: when they are triggered is the
    venue's to know."""
