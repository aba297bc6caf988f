"""Whether an account may trade and what it holds, by the venue's and the broker's own word."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from ..base import Disagreement
from ..trading import unfit
from .base import Lockout, StateRule

Levels = Annotated[
    tuple[Decimal, ...],
    Meta(max_length=8, description="At so many percent of the limit that is told."),
]
Age = Annotated[float, Meta(gt=0, le=604_800)]
Action = Annotated[
    Literal["warn", "block", "reduce_only", "flatten", "halt"],
    Meta(description="What is done once it is broken."),
]
EndedBy = Annotated[
    Lockout,
    Meta(description="What ends the halt that it places. A person should have looked."),
]


class WordRule(StateRule, frozen=True, kw_only=True):
    """What is said of an account as a whole. Each account is halted by itself."""

    action: Action = "halt"
    lockout: EndedBy = "operator"
    warn_pct: Levels = ()

    def disagreements(self) -> Iterator[Disagreement]:
        """Nobody says that of a strategy or a symbol."""
        if self.scope.startswith(("strategy:", "worker:", "symbol:")):
            problem = "is no account, and what is said is said of accounts"
            yield Disagreement("scope", problem, "write that of an account, of an exchange, or all")


class AuthLoss(WordRule, frozen=True, kw_only=True, tag="auth_loss"):
    """The venue says that an account can't trade. As long as it has said nothing of an account,
    nobody knows whether that can."""

    SMALLER: ClassVar = ("max_age_s",)

    max_age_s: Annotated[
        Age | None,
        Meta(
            description="So old its word may be. Unset: what it said last is so until it says "
            "something else.",
            examples=[60.0],
        ),
    ] = None


class Reconciliation(WordRule, frozen=True, kw_only=True, tag="reconciliation"):
    """An account's book and its broker disagree: about what the account is worth, by more than
    `[book]` allows, or about a position. The second is so when a position was adopted that was not
    the book's, until another one agrees or a person re-arms the rule."""

    SMALLER: ClassVar = ("max_qty",)

    max_qty: Annotated[
        Decimal,
        Meta(description="By so much a position that is adopted may differ.", examples=["0.001"]),
    ] = Decimal(0)

    def disagreements(self) -> Iterator[Disagreement]:
        """A tolerance is not negative."""
        yield from super().disagreements()
        yield from unfit("max_qty", self.max_qty)
        if self.max_qty < 0:
            yield Disagreement("max_qty", "is below 0", "write 0 or more")
