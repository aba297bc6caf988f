"""What should not be after orders were sent, or while there is something to be watched."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from ..base import Disagreement
from .base import Lockout, StateRule

Levels = Annotated[
    tuple[Decimal, ...],
    Meta(max_length=8, description="At so many percent of the limit that is told."),
]


class RogueOrder(StateRule, frozen=True, kw_only=True, tag="rogue_order"):
    """A fill that no order explains which riskd knows of: there are none, or it is broken. It goes
    on until the order is told of, the fill is busted, or a position is adopted that holds it."""

    action: Annotated[
        Literal["warn", "block", "reduce_only", "flatten", "halt"],
        Meta(description="What is done once there is one."),
    ] = "halt"
    lockout: Annotated[
        Lockout,
        Meta(description="What ends the halt that it places. A person should have looked."),
    ] = "operator"
    warn_pct: Levels = ()

    def disagreements(self) -> Iterator[Disagreement]:
        """What nobody's order explains is no strategy's."""
        if self.scope.startswith(("strategy:", "worker:")):
            problem = "can have no fill that its orders do not explain"
            yield Disagreement("scope", problem, "write that of an account, or all")


class UnknownOrderAge(StateRule, frozen=True, kw_only=True, tag="unknown_order_age"):
    """Orders that got no answer in time, and of which nothing has been heard since. Nobody knows
    whether they work."""

    SMALLER: ClassVar = ("max_age_s",)

    max_age_s: Annotated[
        float,
        Meta(
            ge=0,
            le=86_400,
            description="So long one may be of unknown fate.",
            examples=[30.0],
        ),
    ]
    warn_pct: Levels = ()


class FeedSilence(StateRule, frozen=True, kw_only=True, tag="feed_silence"):
    """A symbol of which no mark has come for too long. Hours in which a market is closed are none
    that it knows of."""

    SMALLER: ClassVar = ("max_age_s",)

    max_age_s: Annotated[
        float, Meta(gt=0, le=604_800, description="So old a mark may be.", examples=[15.0])
    ]
    of: Annotated[
        Literal["held", "listed"],
        Meta(
            description="`held`: symbols with a position, or with an order that could make one. "
            "`listed`: all that are listed."
        ),
    ] = "held"
    warn_pct: Levels = ()
