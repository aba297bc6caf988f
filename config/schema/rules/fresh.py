"""How old may be what an order is judged by."""

from typing import Annotated, ClassVar

from msgspec import Meta

from .base import OrderRule

AGE_S_MAX = 31_536_000.0
MARK_AGE_S = 60.0
"""A market that is traded has a price every second, and one that is quiet a heartbeat of its feed
twice a minute. A minute without either is a feed that has stopped."""

HELD_MARK_AGE_S = 900.0
"""What is held of other symbols counts by its last price for a quarter of an hour. One who holds
what is not traded at night says so, by a longer time."""
RATE_AGE_S = 345_600.0
"""Four days: over a weekend with a holiday. Beyond it a rate is one that somebody forgot."""

AgeS = Annotated[float, Meta(gt=0, le=AGE_S_MAX)]


class FreshData(OrderRule, frozen=True, kw_only=True, tag="fresh_data"):
    """What an order is judged by is known, and not old. What adds no risk passes without. It is in
    force for everything, listed or not; one that blocks, for the scope `all`, takes the place of
    the built-in one."""

    SMALLER: ClassVar = (
        "max_mark_age_s", "max_equity_age_s", "held_mark_age_s", "max_rate_age_s"
    )  # fmt: skip
    BY_PROPERTY: ClassVar = ("max_held_mark_age_s",)

    max_mark_age_s: Annotated[
        AgeS, Meta(description="Seconds since the mark of the order's symbol came.")
    ] = MARK_AGE_S
    max_held_mark_age_s: Annotated[
        AgeS,
        Meta(
            description="Seconds since the mark came of anything else that the account holds or "
            "has orders in. A shorter time than `max_mark_age_s` counts as that."
        ),
    ] = HELD_MARK_AGE_S
    max_rate_age_s: Annotated[
        AgeS,
        Meta(
            description="Seconds since the rate came of any currency that the order, or what the "
            "account holds, is reckoned in."
        ),
    ] = RATE_AGE_S
    max_equity_age_s: Annotated[
        AgeS | None,
        Meta(
            description="Seconds since its broker has said what the account is worth. Unset: that "
            "is not asked.",
            examples=[300.0],
        ),
    ] = None

    @property
    def held_mark_age_s(self) -> float:
        """As it counts."""
        return max(self.max_held_mark_age_s, self.max_mark_age_s)
