"""How far a position may go."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, ClassVar, NamedTuple

from msgspec import Meta

from ..base import Disagreement
from .base import LimitRule
from .numbers import none_of, unfit_numbers


class Sides(NamedTuple):
    """What the two sides of a position are held to. None: nothing."""

    long: Decimal | None
    short: Decimal | None
    long_notional: Decimal | None = None
    short_notional: Decimal | None = None


class PositionRule(LimitRule, frozen=True, kw_only=True):
    """About the position in each symbol."""

    @property
    def sides(self) -> Sides:
        raise NotImplementedError


class MaxPosition(PositionRule, frozen=True, kw_only=True, tag="max_position"):
    """The position in each symbol, by the worst that working orders could make of it."""

    SMALLER: ClassVar = ("long_limit", "short_limit", "long_notional", "short_notional")
    BY_PROPERTY: ClassVar = (
        *("max_qty", "max_long", "max_short"),
        *("max_notional", "max_long_notional", "max_short_notional"),
    )

    max_qty: Annotated[
        Decimal | None, Meta(description="Long or short, in contracts or units.", examples=["2"])
    ] = None
    max_long: Annotated[
        Decimal | None, Meta(description="Long. Unset: `max_qty`.", examples=["3"])
    ] = None
    max_short: Annotated[
        Decimal | None, Meta(description="Short. Unset: `max_qty`.", examples=["1"])
    ] = None
    max_notional: Annotated[
        Decimal | None,
        Meta(description="Long or short, in the account's currency.", examples=["100000"]),
    ] = None
    max_long_notional: Annotated[
        Decimal | None, Meta(description="Long. Unset: `max_notional`.", examples=["100000"])
    ] = None
    max_short_notional: Annotated[
        Decimal | None, Meta(description="Short. Unset: `max_notional`.", examples=["50000"])
    ] = None

    @property
    def long_limit(self) -> Decimal | None:
        return _or(self.max_long, self.max_qty)

    @property
    def short_limit(self) -> Decimal | None:
        return _or(self.max_short, self.max_qty)

    @property
    def long_notional(self) -> Decimal | None:
        return _or(self.max_long_notional, self.max_notional)

    @property
    def short_notional(self) -> Decimal | None:
        return _or(self.max_short_notional, self.max_notional)

    @property
    def sides(self) -> Sides:
        return Sides(self.long_limit, self.short_limit, self.long_notional, self.short_notional)

    def disagreements(self) -> Iterator[Disagreement]:
        """One of them, at least."""
        yield from none_of(
            self, "max_qty", "max_long", "max_short", "max_notional", "max_long_notional",
            "max_short_notional",
        )  # fmt: skip
        yield from unfit_numbers(self)


class MaxInventory(PositionRule, frozen=True, kw_only=True, tag="max_inventory"):
    """What may be held of each symbol, whichever side: as `max_position`, with one limit for both.
    It has a kind of its own so that a market maker's stock can be told from a position that was
    meant."""

    SMALLER: ClassVar = ("max_qty", "max_notional")

    max_qty: Annotated[
        Decimal | None, Meta(description="In contracts or units.", examples=["5"])
    ] = None
    max_notional: Annotated[
        Decimal | None, Meta(description="In the account's currency.", examples=["50000"])
    ] = None

    @property
    def sides(self) -> Sides:
        return Sides(self.max_qty, self.max_qty, self.max_notional, self.max_notional)

    def disagreements(self) -> Iterator[Disagreement]:
        """One of them, at least."""
        yield from none_of(self, "max_qty", "max_notional")
        yield from unfit_numbers(self)


class MaxContractsPerInstrument(
    PositionRule, frozen=True, kw_only=True, tag="max_contracts_per_instrument"
):
    """So many contracts in any one symbol, long or short: as `max_position` with `max_qty`."""

    SMALLER: ClassVar = ("max_contracts",)

    max_contracts: Annotated[Decimal, Meta(description="Long or short.", examples=["20"])]

    @property
    def sides(self) -> Sides:
        return Sides(self.max_contracts, self.max_contracts)

    def disagreements(self) -> Iterator[Disagreement]:
        """It is a number that limits."""
        yield from unfit_numbers(self)


def _or(one: Decimal | None, both: Decimal | None) -> Decimal | None:
    return both if one is None else one
