"""When is traded."""

from collections.abc import Iterator
from datetime import date
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from ..base import Disagreement, Zone
from .base import OrderRule
from .order import Reducing

HOURS_MAX = 16
HOLIDAYS_MAX = 5_000
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]"
Hours = Annotated[
    str,
    Meta(title="two times of day as HH:MM-HH:MM", pattern=rf"^{_TIME}-{_TIME}\Z"),
]
Holiday = Annotated[
    str,
    Meta(title="a date as YYYY-MM-DD", pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z"),
]
Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class SessionHours(OrderRule, frozen=True, kw_only=True, tag="session_hours"):
    """Orders pass in these hours alone, by a clock on some wall, whatever is done to it twice a
    year: where it shows a time twice, or leaves it out, that is the first of two readings."""

    FEWER: ClassVar = ("days",)
    MORE: ClassVar = ("holidays",)
    LARGER: ClassVar = ("close_only_min",)
    WORDS: ClassVar = {"reducing": (("pass", "block"),)}

    hours: Annotated[
        tuple[Hours, ...],
        Meta(
            min_length=1,
            max_length=HOURS_MAX,
            description="From one time of day to another, which is no part of it. What ends before "
            "it begins ends on the next day; twice the same time is a whole day.",
            examples=[("09:30-16:00",)],
        ),
    ]
    days: Annotated[
        tuple[Day, ...],
        Meta(min_length=1, max_length=7, description="On which they begin."),
    ] = ("monday", "tuesday", "wednesday", "thursday", "friday")
    zone: Annotated[
        Zone | None,
        Meta(
            description="Where the clock hangs. Unset: where that of the order's instrument does.",
            examples=["America/New_York"],
        ),
    ] = None
    holidays: Annotated[
        tuple[Holiday, ...],
        Meta(
            max_length=HOLIDAYS_MAX,
            description="Dates there. All day nothing passes: what began the day before ends at "
            "midnight.",
            examples=[("2026-12-25",)],
        ),
    ] = ()
    close_only_min: Annotated[
        int,
        Meta(
            ge=0,
            le=1_440,
            description="So many minutes before the end only what adds no risk passes.",
            examples=[15],
        ),
    ] = 0
    reducing: Reducing = "block"

    def disagreements(self) -> Iterator[Disagreement]:
        """There are such dates."""
        for index, said in enumerate(self.holidays):
            try:
                date.fromisoformat(said)
            except ValueError:
                yield Disagreement("holidays", "is no date", "write one as YYYY-MM-DD", (index,))
