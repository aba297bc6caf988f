"""What a strategy expects to win, by its own word."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from ..base import Disagreement
from ..trading import unfit
from .base import Lockout, Seconds, StateRule


class EdgeFloor(StateRule, frozen=True, kw_only=True, tag="edge_floor"):
    """The edge that a strategy reports for itself, or for a symbol, in basis points: below the
    floor it may not add risk. One that is not reported, or not lately, is not known. With
    `reduce_only` and `halt` the strategy is halted, though it were low in one symbol alone: for a
    minute at first, and longer each time."""

    LARGER: ClassVar = ("min_bps",)
    SMALLER: ClassVar = ("max_age_s",)

    min_bps: Annotated[Decimal, Meta(description="In basis points.", examples=["2.5"])]
    max_age_s: Annotated[
        float, Meta(gt=0, le=86_400, description="How long a report is believed.")
    ] = 60.0
    action: Annotated[
        Literal["warn", "block", "reduce_only", "close_position", "flatten", "halt"],
        Meta(description="What is done once it is broken."),
    ] = "reduce_only"
    lockout: Annotated[
        Lockout, Meta(description="What ends the halt that it places: an edge may come back.")
    ] = "breaker"
    lockout_s: Annotated[
        Seconds | None,
        Meta(description="Seconds of the first halt.", examples=[60.0]),
    ] = 60.0
    warn_pct: Annotated[
        tuple[Decimal, ...], Meta(max_length=0, description="A floor has no levels above it.")
    ] = ()

    def disagreements(self) -> Iterator[Disagreement]:
        """An edge is a strategy's, of whichever account."""
        yield from unfit("min_bps", self.min_bps)
        if not self.scope.startswith(("all", "strategy:")):
            problem = "has no edge of its own: strategies report it"
            yield Disagreement("scope", problem, 'write "all", or the scope of a strategy')
