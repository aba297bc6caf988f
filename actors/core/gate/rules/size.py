"""`max_order_qty`, `max_order_notional`: how large one order may be."""

from decimal import Decimal

from .....config.schema import rules as schema
from ...book.numbers import ZERO
from ..rule import HUNDRED, Found, LimitJudge, unknown
from ..view import View
from .order import PRICED


class MaxOrderQty(LimitJudge[schema.MaxOrderQty]):
    """In contracts or units."""

    STAGE = 8

    def judge(self, view: View) -> Found | None:
        return self.used(view, self.config.max_qty, ZERO, view.qty)


class MaxOrderNotional(LimitJudge[schema.MaxOrderNotional]):
    """In the account's currency: at the mark or at a price of its own, whichever is farthest from
    nothing. What has no price that binds it may slip beyond. An inverse contract is worth the same
    at any price."""

    STAGE = 8

    def __init__(self, config: schema.MaxOrderNotional) -> None:
        super().__init__(config)
        self._slipped = 1 + config.slip_pct / HUNDRED

    def judge(self, view: View) -> Found | None:
        each = view.each_size if view.listing.kind == "inverse" else self._each(view)
        if each is None:
            return unknown(f"mark or rate of {view.symbol}")
        return self.used(view, self.config.max_notional, ZERO, view.qty * each, each)

    def _each(self, view: View) -> Decimal | None:
        """What one is worth at the worst of them. None: that is not known."""
        mark, each, asked = view.mark, view.each_size, view.asked
        if mark is None or each is None:
            return None
        size = farthest = abs(mark)
        price, stop = asked.price, asked.stop_price
        if price is not None and (price > farthest or -price > farthest):
            farthest = abs(price)
        if stop is not None and (stop > farthest or -stop > farthest):
            farthest = abs(stop)
        if farthest > size:
            listing = view.listing
            rate = view.held.book.worth.rate_now(listing.quote)
            assert rate is not None, "a contract has a value"
            each = farthest * listing.multiplier * rate
        return each if asked.order_type in PRICED else each * self._slipped
