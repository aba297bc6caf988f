"""What may be lost."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from ..base import Disagreement
from .amounts import PERCENT, above_nothing, of_accounts, one_of
from .base import StateRule

Loss = Annotated[Decimal | None, Meta(description="In the account's currency.", examples=["2000"])]
LossPct = Annotated[Decimal | None, Meta(description=PERCENT, examples=["2"])]
Basis = Annotated[
    Literal["worse", "realized", "pnl"],
    Meta(
        description="By which figure. `realized`: what was realised, less fees and with funding. "
        "`pnl`: what the scope is worth more or less than when the period opened, transfers not "
        "counted. `worse`: whichever is worse."
    ),
]


class LossRule(StateRule, frozen=True, kw_only=True):
    """A loss, in money or as a share. Where both are given the smaller one counts."""

    SMALLER: ClassVar = ("max_loss", "max_pct")

    max_loss: Loss = None
    max_pct: LossPct = None

    def disagreements(self) -> Iterator[Disagreement]:
        """One of the two, at least."""
        yield from one_of(self, "max_loss", "max_pct")
        yield from above_nothing(self, "max_loss", "max_pct")
        yield from of_accounts(self, "max_pct")


class DailyLoss(LossRule, frozen=True, kw_only=True, tag="daily_loss"):
    """What a session may lose: realised, or realised and unrealised, whichever is worse."""

    by: Basis = "worse"


class DailyRealizedLoss(LossRule, frozen=True, kw_only=True, tag="daily_realized_loss"):
    """What a session may lose by what was realised, less fees and with funding."""


class WeeklyLoss(LossRule, frozen=True, kw_only=True, tag="weekly_loss"):
    """What a week may lose. In percent: of what the accounts were worth when the week opened."""

    by: Basis = "worse"


class DailyUnrealizedLoss(LossRule, frozen=True, kw_only=True, tag="daily_unrealized_loss"):
    """What a single position may be under water at its mark. It is asked of each position by
    itself, and closes that one."""

    action: Annotated[
        Literal["warn", "block", "reduce_only", "close_position", "flatten", "halt"],
        Meta(description="As of every rule. `close_position`: the one position that broke it."),
    ] = "close_position"


class PositionLoss(StateRule, frozen=True, kw_only=True, tag="position_loss"):
    """How far a single position may move against what was paid for it, in percent of that; or what
    it may lose in money. It is asked of each position by itself."""

    SMALLER: ClassVar = ("max_loss", "max_pct")

    action: Annotated[
        Literal["warn", "block", "reduce_only", "close_position", "flatten", "halt"],
        Meta(description="As of every rule. `close_position`: the one position that broke it."),
    ] = "close_position"
    max_loss: Loss = None
    max_pct: Annotated[
        Decimal | None,
        Meta(description="In percent of what the position was entered for.", examples=["5"]),
    ] = None

    def disagreements(self) -> Iterator[Disagreement]:
        """One of the two, at least."""
        yield from one_of(self, "max_loss", "max_pct")
        yield from above_nothing(self, "max_loss", "max_pct")


class Drawdown(StateRule, frozen=True, kw_only=True, tag="drawdown"):
    """How far equity may fall from the most that it ever was. Of several accounts the falls are
    added up: that is never less than the fall of their sum."""

    SMALLER: ClassVar = ("max_drawdown", "max_pct")

    max_drawdown: Annotated[
        Decimal | None, Meta(description="In the account's currency.", examples=["5000"])
    ] = None
    max_pct: Annotated[
        Decimal | None, Meta(description="In percent of the peak.", examples=["10"])
    ] = None

    def disagreements(self) -> Iterator[Disagreement]:
        """One of the two, at least; and a scope that has a peak."""
        yield from one_of(self, "max_drawdown", "max_pct")
        yield from above_nothing(self, "max_drawdown", "max_pct")
        yield from of_accounts(self, "max_pct")
        if self.scope.startswith("symbol:"):
            problem = "is a symbol's, of which no peak is kept"
            yield Disagreement("scope", problem, "write that of an account or a strategy")
