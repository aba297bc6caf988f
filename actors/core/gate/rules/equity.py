"""What exposure is measured against: what accounts are worth."""

from decimal import Decimal
from typing import TypeVar

from .....config.schema import rules as schema
from ...book.numbers import ZERO
from ..rule import HUNDRED, ExposureJudge, Found, unknown
from ..spot import After
from ..view import View

E = TypeVar("E", bound=schema.EquityRule)


class EquityJudge(ExposureJudge[E]):
    """A limit that goes by equity. What is worth nothing carries nothing."""

    def __init__(self, config: E) -> None:
        super().__init__(config)
        self.trusts_books = config.max_equity_age_s is None

    def equity(self, view: View, scope: str) -> Decimal | Found:
        """What the limit is a share of, or why there is none."""
        equity = view.after(scope).equity
        if equity is None:
            return unknown(f"equity of {scope}")
        if self.config.max_equity_age_s is not None:
            for held in view.holders(scope):
                age_s = held.about.equity_age_s(*view.moment)
                if age_s is None or age_s > self.config.max_equity_age_s:
                    return unknown(f"equity of {held.about.name} by its broker's word")
        if equity <= ZERO:
            return Found("block", "equity_not_positive", ZERO, equity, ZERO)
        return equity


class ShareJudge(EquityJudge[E]):
    """A limit in money, in percent of equity, or the lower one of both."""

    def __init__(self, config: E, most: Decimal | None, most_pct: Decimal | None) -> None:
        super().__init__(config)
        self.most = most
        """In money."""
        self._share = None if most_pct is None else most_pct / HUNDRED
        self._quiet_most = None if most is None else most * self.near
        self._quiet_share = None if self._share is None else self._share * self.near

    def limit(self, view: View, value: Decimal) -> Decimal | Found:
        """What this is held to. Above the one in money it is too much, whatever equity is."""
        most, share = self.most, self._share
        if share is None:
            assert most is not None, "the schema asks for one of them"
            return most
        equity = self.equity(view, self.scope)
        if isinstance(equity, Found):
            return most if most is not None and value > most else equity
        limit = equity * share
        return limit if most is None or limit < most else most

    def is_quiet(self, value: Decimal, after: After) -> bool:
        """Is it so far below the limit that there is nothing to say? Asked of `is_quick` alone."""
        if self._quiet_most is not None and value >= self._quiet_most:
            return False
        share, equity = self._quiet_share, after.equity
        if share is None:
            return True
        return self.trusts_books and equity is not None and equity > ZERO and value < equity * share
