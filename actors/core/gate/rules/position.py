"""`max_position`, `max_inventory`, `max_contracts_per_instrument`: how far one symbol may go."""

from decimal import Decimal
from typing import TypeVar

from .....config.schema import rules as schema
from ...book.numbers import ZERO
from ..rule import ExposureJudge, Found, tighter, unknown
from ..view import View

P = TypeVar("P", bound=schema.PositionRule)


class PositionJudge(ExposureJudge[P]):
    """By the worst that all working orders could make of it, this one among them, on its side."""

    def __init__(self, config: P) -> None:
        super().__init__(config)
        self._sides = sides = config.sides
        self._quiet_buys = self._quiet(sides.long), self._quiet(sides.long_notional)
        self._quiet_sells = self._quiet(sides.short), self._quiet(sides.short_notional)

    def _quiet(self, limit: Decimal | None) -> Decimal | None:
        """Below it there is nothing to say."""
        return None if limit is None else limit * self.near

    def judge(self, view: View) -> Found | None:
        after = view.after(self.scope)
        if after.is_quick:
            if view.side == "buy":
                side, (most, notional) = after.long, self._quiet_buys
            else:
                side, (most, notional) = -after.short, self._quiet_sells
            each = view.each_size
            if (most is None or side < most) and (
                notional is None or (each is not None and side * each < notional)
            ):
                return None
        return self.weighed(view)

    def worsens(self, view: View) -> bool:
        after = view.after(self.scope)
        if view.side == "buy":
            return after.long > after.long_before and after.long > after.others_long
        return after.short < after.short_before and after.short < after.others_short

    def free(self, view: View) -> Decimal:
        after = view.after(self.scope)
        if view.side == "buy":
            return max(after.others_long - after.long_before, ZERO)
        return max(after.short_before - after.others_short, ZERO)

    def weigh(self, view: View) -> Found | None:
        after, sides = view.after(self.scope), self._sides
        if view.side == "buy":
            before, worst, others = after.long_before, after.long, after.others_long
            limit, notional = sides.long, sides.long_notional
        else:
            before, worst, others = -after.short_before, -after.short, -after.others_short
            limit, notional = sides.short, sides.short_notional
        free = ZERO
        if before < others:  # it is on the other side, and has to come back from there first
            free, before = others - before, others
        found = None if limit is None else self.used(view, limit, before, worst, free=free)
        if notional is None:
            return found
        return tighter(found, self._in_money(view, notional, before, worst, free))

    def _in_money(
        self, view: View, limit: Decimal, before: Decimal, worst: Decimal, free: Decimal
    ) -> Found | None:
        each = view.each_size
        if each is None:
            return unknown(f"mark or rate of {view.symbol}")
        return self.used(view, limit, before * each, worst * each, each, free)


class MaxPosition(PositionJudge[schema.MaxPosition]):
    """Long and short apart."""


class MaxInventory(PositionJudge[schema.MaxInventory]):
    """The same with one limit for both sides."""


class MaxContractsPerInstrument(PositionJudge[schema.MaxContractsPerInstrument]):
    """The same in contracts alone."""
