"""What rules about how often have in common: they count, and one order more is one more.

Nothing of an order passes when there were too many; so they never cut one down. What a rule counts
is in a window or in the book, exact or late by a little, and never too few.
"""

from decimal import Decimal
from math import ceil
from typing import TypeVar

from ....config.schema.rules import FlowRule
from ...messages.reasons import Code
from ..book.numbers import ZERO
from .rule import HUNDRED, Found, Judge

F = TypeVar("F", bound=FlowRule)
NEVER = 2**63
"""More than anything is counted to."""
WORSE = {"pass": 0, "warn": 1, "unknown": 2, "block": 3}


class FlowJudge(Judge[F]):
    """Of how often something happens."""

    SAYS = "{value} would exceed the limit of {limit}"

    def __init__(self, config: F) -> None:
        super().__init__(config)
        self.near = min(config.warn_pct, default=HUNDRED) / HUNDRED

    def calm(self, limit: int | None) -> int:
        """Below so many there is nothing to say, one more included."""
        return NEVER if limit is None else ceil(limit * self.near) - 1

    def counted(self, code: Code, limit: int, before: int, more: int = 1) -> Found:
        """Up to the limit they pass."""
        after = before + more
        left = Decimal(max(limit - before, 0))
        if after > limit:
            return Found("block", code, Decimal(limit), Decimal(after), left)
        if after < limit * self.near:
            return Found("pass", "ok", Decimal(limit), Decimal(after), left)
        return Found("warn", code, Decimal(limit), Decimal(after), left)


def latched(code: Code, limit: int) -> Found:
    """It is over until a person or the time says otherwise."""
    return Found("block", code, Decimal(limit), Decimal(limit), ZERO)


def worst(*founds: Found | None) -> Found | None:
    """The first of the worst."""
    there = [found for found in founds if found is not None]
    return max(there, key=lambda found: WORSE[found.outcome], default=None)
