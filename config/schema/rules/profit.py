"""What was won, and is to be kept."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from ..base import Disagreement
from .amounts import PERCENT, above_nothing, of_accounts, one_of
from .base import StateRule


class DailyProfit(StateRule, frozen=True, kw_only=True, tag="daily_profit"):
    """Locks in what a session has made: at a target, or once a share of the best that it had made
    is given back. Both count what is unrealised."""

    SMALLER: ClassVar = ("target", "target_pct", "give_back_pct", "give_back_from")

    target: Annotated[
        Decimal | None,
        Meta(description="Once so much is made, in the account's currency.", examples=["3000"]),
    ] = None
    target_pct: Annotated[Decimal | None, Meta(description=PERCENT, examples=["3"])] = None
    give_back_pct: Annotated[
        Decimal | None,
        Meta(
            description="Once so many percent of the best that the session had made are lost "
            "again.",
            examples=["30"],
        ),
    ] = None
    give_back_from: Annotated[
        Decimal | None,
        Meta(
            description="With `give_back_pct`: not before the session has made so much.",
            examples=["1000"],
        ),
    ] = None

    def disagreements(self) -> Iterator[Disagreement]:
        """A target, or a share to be given back and from where on."""
        keys = ("target", "target_pct", "give_back_pct")
        yield from one_of(self, *keys)
        yield from above_nothing(self, *keys, "give_back_from")
        yield from of_accounts(self, "target_pct")
        if (self.give_back_pct is None) != (self.give_back_from is None):
            key, other = "give_back_from", "give_back_pct"
            if self.give_back_pct is None:
                key, other = other, key
            yield Disagreement(key, f"is missing, and {other} is there", "write both or none")
        if self.give_back_pct is not None and self.give_back_pct > 100:
            yield Disagreement("give_back_pct", "is more than all of it", "write 100 or less")


class MaxUnrealizedProfit(StateRule, frozen=True, kw_only=True, tag="max_unrealized_profit"):
    """What a single position may have won before it is taken. It is asked of each position by
    itself, and closes that one."""

    SMALLER: ClassVar = ("max_profit", "max_pct")

    action: Annotated[
        Literal["warn", "block", "reduce_only", "close_position", "flatten", "halt"],
        Meta(description="As of every rule. `close_position`: the one position that broke it."),
    ] = "close_position"
    max_profit: Annotated[
        Decimal | None, Meta(description="In the account's currency.", examples=["1500"])
    ] = None
    max_pct: Annotated[Decimal | None, Meta(description=PERCENT, examples=["1.5"])] = None

    def disagreements(self) -> Iterator[Disagreement]:
        """One of the two, at least."""
        yield from one_of(self, "max_profit", "max_pct")
        yield from above_nothing(self, "max_profit", "max_pct")
        yield from of_accounts(self, "max_pct")
