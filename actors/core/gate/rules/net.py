"""Sums over symbols that net: `max_net`, `max_contracts`; and `max_open_positions`, a count."""

from decimal import Decimal

from .....config.schema import rules as schema
from ...book.numbers import ONE, ZERO
from ..rule import ExposureJudge, Found
from ..view import View
from .equity import ShareJudge
from .gross import free_of, no_exposure


def closing(view: View, found: Found | None) -> Found | None:
    """An order that only makes a position smaller may be what a hedge of it is missed by. It
    passes, for closing must be possible; but it is told of."""
    if found is None or view.adds_risk or found.outcome not in ("cap", "block"):
        return found
    return found._replace(outcome="warn")


class MaxNet(ShareJudge[schema.MaxNet]):
    """In money, or in percent of equity: what everything is worth at most, and at least."""

    def __init__(self, config: schema.MaxNet) -> None:
        super().__init__(config, config.max_notional, config.max_pct)

    def judge(self, view: View) -> Found | None:
        after = view.after(self.scope)
        if after.is_quick and after.gross is not None:
            each, book = view.each, after.book
            assert each is not None, "it is in the sum"
            assert view.each_size is not None, "it has a size"
            assert book is not None, "the sum is of one"
            sums = book.exposures.sums
            if (view.side == "buy") == (each >= ZERO):
                now = sums.up + sums.net
            else:
                now = sums.down - sums.net
            if view.dearer:
                now += self._dearer(view)
            if self.is_quiet(now + after.added * view.each_size, after):
                return None
        return self.weighed(view)

    def worsens(self, view: View) -> bool:
        return view.after(self.scope).added > ZERO

    def weigh(self, view: View) -> Found | None:
        now, each = self._now(view), view.each_size
        if now is None or each is None:
            return no_exposure(view, self.scope)
        now += self._dearer(view)
        after = now + view.after(self.scope).added * each
        limit = self.limit(view, after)
        if isinstance(limit, Found):
            return closing(view, limit)
        return closing(view, self.used(view, limit, now, after, each))

    def _dearer(self, view: View) -> Decimal:
        """What is open on the order's side is worth so much more at the order's price."""
        after = view.after(self.scope)
        open_now = after.own_long_before if view.side == "buy" else -after.own_short_before
        return max(open_now, ZERO) * view.dearer

    def _now(self, view: View) -> Decimal | None:
        """How far it could go to the side that the order moves it to."""
        standing = view.standing(self.scope)
        if view.each is None:
            return None
        if (view.side == "buy") == (view.each >= ZERO):
            return standing.highest()
        lowest = standing.lowest()
        return None if lowest is None else -lowest


class MaxContracts(ExposureJudge[schema.MaxContracts]):
    """Of all symbols, whatever each is worth."""

    def __init__(self, config: schema.MaxContracts) -> None:
        super().__init__(config)
        self._is_gross = config.basis == "gross"
        self._quiet = config.max_contracts * self.near

    def judge(self, view: View) -> Found | None:
        after = view.after(self.scope)
        if after.is_quick and after.book is not None:
            sums = after.book.exposures.sums
            if self._is_gross:
                worst = sums.contracts + after.widest - after.widest_before
            else:
                worst = after.added + (sums.long if view.side == "buy" else -sums.short)
            if worst < self._quiet:
                return None
        return self.weighed(view)

    def worsens(self, view: View) -> bool:
        after = view.after(self.scope)
        if self._is_gross and not view.adds_risk:
            return after.widest > after.widest_before
        return after.added > ZERO

    def weigh(self, view: View) -> Found | None:
        after, limit = view.after(self.scope), self.config.max_contracts
        now = view.standing(self.scope).contracts()
        if self._is_gross:
            worst = now.gross + after.widest - after.widest_before
            free = free_of(view, after) if now.gross <= limit else ZERO
            return self.used(view, limit, now.gross, worst, ONE, free)
        before = now.long if view.side == "buy" else -now.short
        return closing(view, self.used(view, limit, before, before + after.added))


class MaxOpenPositions(ExposureJudge[schema.MaxOpenPositions]):
    """One more is all of one: there is nothing to scale down to."""

    def __init__(self, config: schema.MaxOpenPositions) -> None:
        super().__init__(config)
        self._most = Decimal(config.max_positions)

    def judge(self, view: View) -> Found | None:
        after = view.after(self.scope)
        if after.is_quick and after.widest_before:
            return None
        return self.weighed(view)

    def worsens(self, view: View) -> bool:
        after = view.after(self.scope)
        return not after.widest_before and bool(after.widest)

    def weigh(self, view: View) -> Found | None:
        before = Decimal(view.standing(self.scope).open_count())
        more = ONE if self.worsens(view) else ZERO
        return self.used(view, self._most, before, before + more, ZERO)
