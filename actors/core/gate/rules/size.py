"""`max_order_qty`, `max_order_notional`: how large one order may be."""

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
        each = view.each_size
        if each is None:
            return unknown(f"mark or rate of {view.symbol}")
        if view.asked.order_type not in PRICED and view.listing.kind != "inverse":
            each *= self._slipped
        return self.used(view, self.config.max_notional, ZERO, view.qty * each, each)
