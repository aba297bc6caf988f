"""`[factors.NAME]`: by what the limits of rules shrink, and when."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated

from msgspec import Meta, field

from .base import Disagreement, Section, Zone
from .rules.hours import HOURS_MAX, Day, Hours
from .trading import Named, Symbol

FACTORS_MAX = 64
SYMBOLS_MAX = 1_000
LEAST = Decimal("0.01")
"""A limit is never less than a hundredth of what is written: who wants nothing writes a block."""
EVERY_DAY: tuple[Day, ...] = (
    *("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
)


class Factor(Section, frozen=True, kw_only=True):
    """What the limits of the rules that name it are multiplied by, from 0.01 to 1: they only
    shrink. What it says of the time, of the symbol and of how much that moves is multiplied, and
    rounded down to a hundredth."""

    hours: Annotated[
        dict[Hours, Decimal],
        Meta(
            max_length=HOURS_MAX,
            description="From one time of day to another, which is no part of it: so much. What "
            "ends before it begins ends on the next day; twice the same time is a whole day. Where "
            "several are on the smallest counts.",
            examples=[{"22:00-06:00": "0.5"}],
        ),
    ] = field(default_factory=dict)
    days: Annotated[
        tuple[Day, ...],
        Meta(min_length=1, max_length=7, description="On which those hours begin."),
    ] = EVERY_DAY
    zone: Annotated[
        Zone,
        Meta(
            description="Where their clock hangs. Where it shows a time twice, or leaves it out, "
            "that is the first of two readings.",
            examples=["America/New_York"],
        ),
    ] = "UTC"
    symbols: Annotated[
        dict[Symbol, Decimal],
        Meta(
            max_length=SYMBOLS_MAX,
            description="Of single symbols.",
            examples=[{"BTCUSDT": "0.5"}],
        ),
    ] = field(default_factory=dict)
    calm_pct: Annotated[
        Decimal | None,
        Meta(
            description="A symbol that moves by more percent a day than that has this divided by "
            "what it moves.",
            examples=["2"],
        ),
    ] = None
    floor: Annotated[
        Decimal,
        Meta(
            description="With `calm_pct`: no less than that, and just that where nobody knows how "
            "much it moves."
        ),
    ] = Decimal("0.2")

    @property
    def is_by_symbol(self) -> bool:
        """Has one symbol another factor than another?"""
        return bool(self.symbols) or self.calm_pct is not None

    def disagreements(self) -> Iterator[Disagreement]:
        """Something that shrinks, and nothing that grows."""
        for key, table in (("hours", self.hours), ("symbols", self.symbols)):
            for name, number in table.items():
                if not LEAST <= number <= 1:
                    yield Disagreement(key, f"is {number}", f"write {LEAST} to 1", (name,))
        if not LEAST <= self.floor <= 1:
            yield Disagreement("floor", f"is {self.floor}", f"write {LEAST} to 1")
        if self.calm_pct is not None and self.calm_pct <= 0:
            yield Disagreement("calm_pct", "is not above 0", "write how much a calm day moves")
        if not (self.hours or self.symbols or self.calm_pct is not None):
            yield Disagreement("hours", "is missing, and so are the others", "write one of them")


Factors = Annotated[
    dict[Named, Factor],
    Meta(max_length=FACTORS_MAX, description="Rules name them as their `factor`."),
]
