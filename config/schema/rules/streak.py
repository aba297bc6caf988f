"""What follows from trades that lost."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from ..base import Disagreement
from ..trading import unfit
from .base import StateRule


class ConsecutiveLosses(StateRule, frozen=True, kw_only=True, tag="consecutive_losses"):
    """Trades that lost one after another in a session. All that an order has closed is one trade,
    however many fills it took. One that won ends the row, and so does the lockout that it brought:
    what comes after that is counted anew."""

    SMALLER: ClassVar = ("max_losses",)

    max_losses: Annotated[
        int, Meta(ge=1, le=1_000, description="So many in a row break it.", examples=[4])
    ]


class CooldownAfterLoss(StateRule, frozen=True, kw_only=True, tag="cooldown_after_loss"):
    """After a trade that lost, for `lockout_s` seconds nothing that adds risk passes. Another one
    in that time makes it last longer."""

    SMALLER: ClassVar = ("min_loss",)
    FIXED: ClassVar = ("min_loss",)

    action: Annotated[
        Literal["warn", "block", "reduce_only", "halt"],
        Meta(description="`reduce_only` and `halt`: also placed as a halt of the scope."),
    ] = "block"
    lockout: Annotated[
        Literal["time"], Meta(description="A cooldown ends by time, and by nothing else.")
    ] = "time"
    lockout_s: Annotated[
        float, Meta(gt=0, le=31_536_000, description="How long it lasts.", examples=[900.0])
    ] = 300.0
    min_loss: Annotated[
        Decimal,
        Meta(description="A trade that lost less, in the account's currency, does not count."),
    ] = Decimal(0)

    def disagreements(self) -> Iterator[Disagreement]:
        """A loss is said by its size."""
        if self.min_loss < 0:
            yield Disagreement("min_loss", "is below 0", "write the loss without a sign")
        yield from unfit("min_loss", self.min_loss)
