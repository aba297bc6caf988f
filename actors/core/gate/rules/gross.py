"""The worst-case gross exposure, held against different things: `max_gross`, `max_total_notional`,
`max_leverage` and `concentration`.

It is the worse side of each symbol, added up. Neither symbols nor accounts net.
"""

from abc import abstractmethod
from decimal import Decimal
from typing import ClassVar, TypeVar

from .....config.schema import rules as schema
from ...book.numbers import ONE, ZERO
from ..rule import HUNDRED, ExposureJudge, Found, unknown
from ..spot import After
from ..view import View
from .equity import EquityJudge, ShareJudge

L = TypeVar("L", bound=schema.LimitRule)


def no_exposure(view: View, scope: str) -> Found:
    """What it was that could not be valued."""
    if view.each is None:
        return unknown(f"mark or rate of {view.symbol}")
    standing = view.standing(scope)
    if len(standing.books) > 1 and standing.currency is None:
        return unknown(f"one currency of all accounts of {scope}")
    return unknown(f"worst-case exposure of {scope}")


def free_of(view: View, after: After) -> Decimal:
    """So much of the order does not make the worse side worse."""
    if view.side == "buy":
        return after.widest_before - after.own_long_before
    return after.widest_before + after.own_short_before


def broken(found: Found | None) -> Found | None:
    """A limit that is passed though not all that counts is known: nothing of the order passes."""
    if found is None or found.outcome not in ("cap", "block"):
        return None
    return found._replace(outcome="block", cap=None)


class WidthJudge(ExposureJudge[L]):
    """Of a sum over symbols that grows if the worse side of the order's symbol does. While the sum
    is above its limit, or is not known, nothing passes that adds risk: on the better side of its
    symbol neither, for the worse one may never be filled, and then it is the order that counts."""

    ADDS_UP: ClassVar[bool] = True
    """The more there is of anything, the more it is."""

    def worsens(self, view: View) -> bool:
        after = view.after(self.scope)
        return after.widest > after.widest_before or (view.adds_risk and after.added > ZERO)

    def used(
        self,
        view: View,
        limit: Decimal,
        before: Decimal,
        after: Decimal,
        each: Decimal = ONE,
        free: Decimal = ZERO,
    ) -> Found | None:
        return super().used(view, limit, before, after, each, free if before <= limit else ZERO)

    def weigh(self, view: View) -> Found | None:
        after, each = view.after(self.scope), view.each_size
        before, worst = after.gross_before, after.gross
        if before is None or worst is None or each is None:
            return self._known(view, after) or no_exposure(view, self.scope)
        return self.hold(view, before, worst, each, free_of(view, after))

    def _known(self, view: View, after: After) -> Found | None:
        """Of what is known of the sum, if that has passed the limit by itself."""
        if not self.ADDS_UP:
            return None
        before = view.standing(self.scope).known_gross()
        more = (after.widest - after.widest_before) * (view.each_size or ZERO)
        return broken(self.hold(view, before, before + more, ONE, ZERO))

    @abstractmethod
    def hold(
        self, view: View, before: Decimal, after: Decimal, each: Decimal, free: Decimal
    ) -> Found | None:
        """The gross exposure against its limit."""


class MaxGross(WidthJudge[schema.MaxGross], ShareJudge[schema.MaxGross]):
    """In money, or in percent of equity."""

    def __init__(self, config: schema.MaxGross) -> None:
        super().__init__(config, config.max_notional, config.max_pct)

    def judge(self, view: View) -> Found | None:
        after = view.after(self.scope)
        if after.is_quick and after.gross is not None and self.is_quiet(after.gross, after):
            return None
        return self.weighed(view)

    def hold(
        self, view: View, before: Decimal, after: Decimal, each: Decimal, free: Decimal
    ) -> Found | None:
        limit = self.limit(view, after)
        if isinstance(limit, Found):
            return limit
        return self.used(view, limit, before, after, each, free)


class MaxTotalNotional(WidthJudge[schema.MaxTotalNotional]):
    """In money."""

    def __init__(self, config: schema.MaxTotalNotional) -> None:
        super().__init__(config)
        self._quiet = config.max_notional * self.near

    def judge(self, view: View) -> Found | None:
        after = view.after(self.scope)
        if after.is_quick and after.gross is not None and after.gross < self._quiet:
            return None
        return self.weighed(view)

    def hold(
        self, view: View, before: Decimal, after: Decimal, each: Decimal, free: Decimal
    ) -> Found | None:
        return self.used(view, self.config.max_notional, before, after, each, free)


class MaxLeverage(WidthJudge[schema.MaxLeverage], EquityJudge[schema.MaxLeverage]):
    """In multiples of equity. It is compared in money, where nothing is rounded."""

    def __init__(self, config: schema.MaxLeverage) -> None:
        super().__init__(config)
        self._quiet = config.max_leverage * self.near

    def judge(self, view: View) -> Found | None:
        after = view.after(self.scope)
        if after.is_quick and self.trusts_books:
            gross, equity = after.gross, after.equity
            if (
                gross is not None
                and equity is not None
                and equity > ZERO
                and gross < equity * self._quiet
            ):
                return None
        return self.weighed(view)

    def hold(
        self, view: View, before: Decimal, after: Decimal, each: Decimal, free: Decimal
    ) -> Found | None:
        equity = self.equity(view, self.scope)
        if isinstance(equity, Found):
            return equity
        most = self.config.max_leverage
        found = self.used(view, equity * most, before, after, each, free)
        if found is None or found.headroom is None:
            return found
        return found._replace(limit=most, value=after / equity, headroom=found.headroom / equity)


class Concentration(WidthJudge[schema.Concentration], EquityJudge[schema.Concentration]):
    """What the order's symbol is worth, of equity or of all exposure. Of all exposure: what is not
    in this symbol is not changed by the order, so that it is a limit like any other."""

    SAYS = "{value} % would exceed the limit of {limit} %"

    ADDS_UP = False

    def __init__(self, config: schema.Concentration) -> None:
        super().__init__(config)
        self._quiet = config.max_pct * self.near / HUNDRED
        self._is_of_equity = config.basis == "equity"

    def judge(self, view: View) -> Found | None:
        after = view.after(self.scope)
        if after.is_quick and self._is_of_equity and self.trusts_books:
            gross, equity, each = after.gross, after.equity, view.each_size
            if (
                gross is not None
                and each is not None
                and equity is not None
                and equity > ZERO
                and after.widest * each < equity * self._quiet
            ):
                return None
        return self.weighed(view)

    def hold(
        self, view: View, before: Decimal, after: Decimal, each: Decimal, free: Decimal
    ) -> Found | None:
        at_mark = view.standing(self.scope).worst_gross_of(view.symbol)
        assert at_mark is not None, "it is in the sum"
        mine = at_mark + view.after(self.scope).dearer
        worst, pct, floor = mine + after - before, self.config.max_pct, self.config.free_notional
        if worst <= floor:
            return Found("pass", "ok", pct, worst) if view.explains else None
        if not self._is_of_equity:
            # worst <= pct * (others + worst), all times a hundred
            rest, others = HUNDRED - pct, before - mine
            limit = max(pct * others, floor * rest)
            found = self.used(view, limit, mine * rest, worst * rest, each * rest, free)
            return self._in_percent(found, worst, after)
        equity = self.equity(view, self.scope)
        if isinstance(equity, Found):
            return equity
        limit = max(equity * pct / HUNDRED, floor)
        return self._in_percent(self.used(view, limit, mine, worst, each, free), worst, equity)

    def _in_percent(self, found: Found | None, mine: Decimal, of: Decimal) -> Found | None:
        """As people think of it."""
        if found is None:
            return None
        pct = self.config.max_pct
        value = mine * HUNDRED / of if of else ZERO
        return found._replace(limit=pct, value=value, headroom=max(pct - value, ZERO))
