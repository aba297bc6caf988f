"""Where the stop of a position should be while it wins."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated

from msgspec import Meta

from ..base import Disagreement
from ..trading import unfit
from .amounts import one_of
from .base import Rule

WHOLE = Decimal(100)


class TradeManagement(Rule, frozen=True, kw_only=True, tag="trade_management"):
    """Moves the stop of each position to break-even, and after the price. It judges no order: it
    asks for a stop to be moved, and never back."""

    break_even_at_pct: Annotated[
        Decimal | None,
        Meta(
            description="Once the mark was so many percent better than the price of entry, the "
            "stop should be at the price of entry.",
            examples=["1"],
        ),
    ] = None
    trail_pct: Annotated[
        Decimal | None,
        Meta(
            description="The stop should be so many percent behind the best mark: from the "
            "beginning, or with `break_even_at_pct` from then on.",
            examples=["0.5"],
        ),
    ] = None
    trail_step_pct: Annotated[
        Decimal,
        Meta(
            description="It is moved by no less than so many percent of the price of entry, and "
            "no less than a tick."
        ),
    ] = Decimal("0.1")

    def disagreements(self) -> Iterator[Disagreement]:
        """Shares of a price, and one thing to do at least."""
        yield from one_of(self, "break_even_at_pct", "trail_pct")
        for key in ("break_even_at_pct", "trail_pct", "trail_step_pct"):
            value = getattr(self, key)
            if value is None:
                continue
            yield from unfit(key, value)
            if value <= 0 or (key == "trail_pct" and value >= WHOLE):
                yield Disagreement(key, "is no share of a price", "write more than 0, as 0.5")
