"""`[profiles.NAME]`: what an account of some kind may risk. Four are built in."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated

from msgspec import Meta

from .base import Disagreement, Section
from .trading import STRATEGIES_MAX, Named, unfit

PROFILES_MAX = 256


class Profile(Section, frozen=True, kw_only=True):
    """Limits that an account has by naming it. A key that is not written sets no limit."""

    daily_loss_pct: Annotated[
        Decimal | None,
        Meta(
            description="What a session may lose, in percent of what the account was worth when it "
            "opened.",
            examples=["2"],
        ),
    ] = None
    weekly_loss_pct: Annotated[
        Decimal | None,
        Meta(
            description="What a week may lose, in percent of what the account was worth when it "
            "began.",
            examples=["7"],
        ),
    ] = None
    single_trade_risk_pct: Annotated[
        Decimal | None,
        Meta(
            description="What one order may lose down to its stop, or without a stop altogether, "
            "in percent of what the account is worth.",
            examples=["1"],
        ),
    ] = None
    max_open_positions: Annotated[
        Annotated[int, Meta(ge=0, le=100_000)] | None,
        Meta(description="Instruments with a position, at one time.", examples=[5]),
    ] = None
    max_leverage: Annotated[
        Decimal | None,
        Meta(
            description="All positions at their worst, as a multiple of what the account is worth.",
            examples=["3"],
        ),
    ] = None
    strategies: Annotated[
        tuple[Named, ...],
        Meta(
            max_length=STRATEGIES_MAX,
            description="The strategies that may trade in it. None named: any may.",
        ),
    ] = ()

    def disagreements(self) -> Iterator[Disagreement]:
        """What may be risked is not negative. A loss of 0 is one that whoever does nothing has."""
        for key in ("daily_loss_pct", "weekly_loss_pct", "single_trade_risk_pct", "max_leverage"):
            number = getattr(self, key)
            if number is None:
                continue
            if number < 0:
                yield Disagreement(key, "is below 0", "write 0 or more")
            elif number == 0 and key in ("daily_loss_pct", "weekly_loss_pct"):
                yield Disagreement(key, "is not above 0", "write an amount that may be reached")
            yield from unfit(key, number)


def _of(day: str, week: str, trade: str, positions: int, leverage: str) -> Profile:
    return Profile(
        daily_loss_pct=Decimal(day),
        weekly_loss_pct=Decimal(week),
        single_trade_risk_pct=Decimal(trade),
        max_open_positions=positions,
        max_leverage=Decimal(leverage),
    )


BUILT_IN: Mapping[str, Profile] = {
    "micro": _of("0.5", "2", "0.2", 2, "1"),
    "low": _of("1", "3.5", "0.5", 3, "2"),
    "normal": _of("2", "7", "1", 5, "3"),
    "aggressive": _of("3.5", "12", "2", 8, "5"),
}

Profiles = Annotated[
    dict[Named, Profile],
    Meta(
        max_length=PROFILES_MAX,
        description="Accounts name them. micro, low, normal and aggressive are built in.",
    ),
]
