"""`margin` and `liquidation_distance`: what positions tie up, and how far they are from the end.

Margin is counted by fractions that the configuration gives, of the worst-case exposure. The sum
over all symbols is that of the common fraction, corrected by the symbols that have their own.
"""

from decimal import Decimal
from typing import TypeVar

from .....config.schema import rules as schema
from ...book.numbers import ONE, ZERO
from ..rule import HUNDRED, Found, unknown
from ..standing import Standing
from ..view import View
from .equity import EquityJudge
from .gross import WidthJudge, broken

M = TypeVar("M", bound=schema.MarginRule)


class MarginJudge(EquityJudge[M]):
    """Knows what part of a position is margin."""

    def __init__(self, config: M) -> None:
        super().__init__(config)
        pct = config.margin_pct
        self._common = None if pct is None else pct / HUNDRED
        self._own = {symbol: pct / HUNDRED for symbol, pct in config.margin_pct_of.items()}
        self.only = self._common if self.trusts_books and not self._own else None
        """Of every symbol, where all of it is that simple."""

    def fraction(self, symbol: str) -> Decimal | None:
        """None: nobody has said."""
        return self._own.get(symbol, self._common)

    def known(self, standing: Standing) -> Decimal:
        """Of all of which it is known."""
        if standing.symbol is not None:
            return (self.fraction(standing.symbol) or ZERO) * standing.known_gross()
        common = self._common or ZERO
        return standing.known_gross() * common + sum(
            standing.known_gross_of(symbol) * (fraction - common)
            for symbol, fraction in self._own.items()
        )

    def required(self, standing: Standing) -> Decimal | None:
        """Of all that is there. None: of something it is not known."""
        if standing.symbol is not None:
            fraction, gross = self.fraction(standing.symbol), standing.worst_gross()
            return None if fraction is None or gross is None else gross * fraction
        found, common = ZERO, self._common
        if common is not None:
            gross = standing.worst_gross()
            if gross is None:
                return None
            found = gross * common
        elif standing.open_count() != sum(map(standing.open_count_of, self._own)):
            return None
        for symbol, fraction in self._own.items():
            gross = standing.worst_gross_of(symbol)
            if gross is None:
                return None
            if gross:
                found += gross * (fraction - (common or ZERO))
        return found


class Margin(WidthJudge[schema.Margin], MarginJudge[schema.Margin]):
    """What is tied up, in percent of equity."""

    def __init__(self, config: schema.Margin) -> None:
        super().__init__(config)
        self._share = config.max_used_pct / HUNDRED
        self._quiet = self._share * self.near

    def judge(self, view: View) -> Found | None:
        after, common = view.after(self.scope), self.only
        if after.is_quick and common is not None:
            gross, equity = after.gross, after.equity
            if (
                gross is not None
                and equity is not None
                and equity > ZERO
                and gross * common < equity * self._quiet
            ):
                return None
        return self.weighed(view)

    def hold(
        self, view: View, before: Decimal, after: Decimal, each: Decimal, free: Decimal
    ) -> Found | None:
        fraction = self.fraction(view.symbol)
        if fraction is None:
            return unknown(f"margin of {view.symbol}")
        standing = view.standing(self.scope)
        required, is_known = self.required(standing), True
        if required is None:
            required, is_known = self.known(standing), False
        equity = self.equity(view, self.scope)
        if isinstance(equity, Found):
            return equity
        required += view.after(self.scope).dearer * fraction
        worst, limit = required + (after - before) * fraction, equity * self._share
        found = self.used(view, limit, required, worst, each * fraction, free)
        return found if is_known else broken(found) or unknown(f"margin of {self.scope}")


class LiquidationDistance(MarginJudge[schema.LiquidationDistance]):
    """Of the order's account, for the order's symbol: how far its mark may move against the
    position until equity is down to maintenance margin.

    With N the worth of the position at worst, E the equity less the margin of everything else, m
    the fraction and d the move: E - N d = m N (1 - d) where the price falls towards nought, and
    E - N d = m N (1 + d) where it rises away from it. So d is at least the limit D as long as
    N (m + D (1 -+ m)) is at most E. An inverse contract has m N, and a long one is backed by coins
    that are worth 1 - d of what they were: N (m + D) is at most E (1 - D).
    """

    SAYS = "a distance of {value} % would be below the least, {limit} %"

    def __init__(self, config: schema.LiquidationDistance) -> None:
        super().__init__(config)
        self._least = least = config.min_pct / HUNDRED
        self._most = (self.only or ZERO) + least + least  # no side of any contract weighs more
        self._backed = (ONE - least) * self.near

    def judge(self, view: View) -> Found | None:
        after, common, each = view.after(_account(view)), self.only, view.each_size
        if after.is_quick and common is not None and each:
            gross, equity = after.gross_before, after.equity
            if gross is not None and equity is not None and equity > ZERO:
                side = after.long if view.side == "buy" else -after.short
                behind = equity - gross * common
                if behind > ZERO and side * each * self._most < behind * self._backed:
                    return None
        return self.weighed(view)

    def worsens(self, view: View) -> bool:
        after = view.after(_account(view))
        if view.side == "buy":
            return after.long > after.long_before and after.long > ZERO
        return after.short < after.short_before and after.short < ZERO

    def free(self, view: View) -> Decimal:
        after = view.after(_account(view))
        before = after.long_before if view.side == "buy" else -after.short_before
        return max(-before, ZERO)

    def weigh(self, view: View) -> Found | None:
        account, each = _account(view), view.each_size
        fraction = self.fraction(view.symbol)
        if not each:
            return unknown(f"mark or rate of {view.symbol}")
        if fraction is None:
            return unknown(f"margin of {view.symbol}")
        standing = view.standing(account)
        required, mine = self.required(standing), standing.worst_gross_of(view.symbol)
        if required is None or mine is None:
            return unknown(f"margin of {account}")
        equity = self.equity(view, account)
        if isinstance(equity, Found):
            return equity
        behind = equity - (required - mine * fraction)
        after, buys = view.after(account), view.side == "buy"
        before = after.long_before if buys else -after.short_before
        worst = (after.long if buys else -after.short) * each
        weight, backed = self._weights(view, fraction)
        found = self.used(
            view,
            behind * backed,
            max(before, ZERO) * each * weight,
            worst * weight,
            each * weight,
            max(-before, ZERO),
        )
        return self._in_percent(view, found, fraction, behind, worst)

    def _weights(self, view: View, fraction: Decimal) -> tuple[Decimal, Decimal]:
        """What each unit of worth takes of the equity behind it, and what part of that stays."""
        least = self._least
        if view.listing.kind == "inverse":
            return fraction + least, ONE - least if view.side == "buy" else ONE
        toward = self._toward(view)
        return fraction + least * (ONE - fraction if toward else ONE + fraction), ONE

    def _toward(self, view: View) -> bool:
        """Is it the way to nought that hurts?"""
        return (view.side == "buy") == ((view.each or ZERO) > 0)

    def _in_percent(
        self, view: View, found: Found | None, fraction: Decimal, behind: Decimal, worst: Decimal
    ) -> Found | None:
        """The distance, as people think of it."""
        if found is None or worst <= 0:
            return found
        behind = max(behind, ZERO)
        over = worst * (ONE - fraction if self._toward(view) else ONE + fraction)
        if view.listing.kind == "inverse":
            over = worst + behind if view.side == "buy" else worst
        if not over:
            return found
        distance = max((behind - fraction * worst) / over, ZERO) * HUNDRED
        least = self.config.min_pct
        return found._replace(limit=least, value=distance, headroom=max(distance - least, ZERO))


def _account(view: View) -> str:
    return f"account:{view.held.about.name}"
