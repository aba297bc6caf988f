"""How old may be what an order is judged by."""

from typing import Annotated, ClassVar

from msgspec import Meta

from .base import OrderRule

AGE_S_MAX = 31_536_000.0
MARK_AGE_S = 60.0
"""A market that is traded has a price every second, and one that is quiet a heartbeat of its feed
twice a minute. A minute without either is a feed that has stopped."""

AgeS = Annotated[float, Meta(gt=0, le=AGE_S_MAX)]


class FreshData(OrderRule, frozen=True, kw_only=True, tag="fresh_data"):
    """What an order is judged by is known, and not old. What adds no risk passes without. It is in
    force for everything, listed or not; one that blocks, for the scope `all`, takes the place of
    the built-in one."""

    SMALLER: ClassVar = ("max_mark_age_s", "max_equity_age_s")

    max_mark_age_s: Annotated[
        AgeS, Meta(description="Seconds since the mark of the order's symbol came.")
    ] = MARK_AGE_S
    max_equity_age_s: Annotated[
        AgeS | None,
        Meta(
            description="Seconds since its broker has said what the account is worth. Unset: that "
            "is not asked.",
            examples=[300.0],
        ),
    ] = None
