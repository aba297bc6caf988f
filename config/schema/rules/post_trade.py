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


class StopRequired(StateRule, frozen=True, kw_only=True, tag="stop_required"):
    """A position without working stops that would close all of it. Stops are orders of type `stop`
    and `stop_limit` on the other side; one counts when the venue is known to have it, and no more
    once its end was asked for or an answer of it is missing. It is asked of each position by
    itself."""

    SMALLER: ClassVar = ("grace_s",)

    grace_s: Annotated[
        float,
        Meta(
            ge=0,
            le=86_400,
            description="So long one may be without. A stop that is replaced takes a while.",
            examples=[10.0],
        ),
    ]
    action: Annotated[
        Literal["warn", "block", "reduce_only", "close_position", "flatten", "halt"],
        Meta(description="What is done once it has been without for longer."),
    ] = "close_position"
    warn_pct: Levels = ()


class OrphanOrder(StateRule, frozen=True, kw_only=True, tag="orphan_order"):
    """A working order that is of no use: one that may only reduce, or a stop, while there is no
    position on the other side and no order that could make one; or an order that nobody asked for.
    That it is to be cancelled is asked for, whatever `action` says."""

    SMALLER: ClassVar = ("grace_s",)

    grace_s: Annotated[
        float, Meta(ge=0, le=86_400, description="So long one may work.", examples=[30.0])
    ]
    stops: Annotated[
        bool,
        Meta(
            description="Stops are such orders whether they say `reduce_only` or not. Turn it off "
            "where stops open positions."
        ),
    ] = True
    unasked: Annotated[
        bool,
        Meta(
            description="An order that was told of and never asked about is one. Turn it off where "
            "orders are sent that do not ask."
        ),
    ] = True
    action: Annotated[
        Literal["warn", "block", "reduce_only", "halt"],
        Meta(description="What is done besides, once there is one."),
    ] = "warn"
    warn_pct: Levels = ()
