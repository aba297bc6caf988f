"""`single_trade_risk`: what one order could lose."""

from decimal import Decimal

from .....config.schema import rules as schema
from ...book.numbers import ONE, ZERO
from ..rule import HUNDRED, Found, unknown
from ..view import View
from .equity import ShareJudge


class SingleTradeRisk(ShareJudge[schema.SingleTradeRisk]):
    """From the worst price that it could be filled at down to its stop; without one on the losing
    side, all that it is worth. What only reduces the position risks nothing."""

    def __init__(self, config: schema.SingleTradeRisk) -> None:
        super().__init__(config, config.max_risk, config.max_pct)
        self._slip = config.slip_pct / HUNDRED

        self._slipped = ONE + self._slip

    def judge(self, view: View) -> Found | None:
        asked, each = view.asked, view.each_size
        if each is not None and asked.stop_loss is None and asked.stop_price is None:
            after = view.after(self.scope)
            if after.is_quick:
                if asked.price is None:
                    each *= self._slipped
                if self.is_quiet(each * view.to_fill, after):
                    return None
        return self.weighed(view)

    def worsens(self, view: View) -> bool:
        return view.adds_risk

    def weigh(self, view: View) -> Found | None:
        each = self._each(view)
        if each is None:
            return unknown(f"mark or rate of {view.symbol}")
        free = max(view.reducible, ZERO)
        at_risk = max(view.to_fill - free, ZERO)
        limit = self.limit(view, at_risk * each)
        if isinstance(limit, Found):
            return limit
        return self.used(view, limit, ZERO, at_risk * each, each, free)

    def _each(self, view: View) -> Decimal | None:
        """What one contract could lose, in the account's currency."""
        listing = view.listing
        entry = self._entry(view)
        rate = view.held.book.worth.rate_now(listing.quote)
        if entry is None or rate is None:
            return None
        each, is_inverse = listing.multiplier * rate, listing.kind == "inverse"
        stop = view.asked.stop_loss
        if stop is None or not (stop < entry if view.side == "buy" else stop > entry):
            worth = ONE if is_inverse else self._worth(view, entry)
            return None if worth is None else worth * each
        if not is_inverse:
            return abs(entry - stop) * each
        # Coins are lost, which are worth more or fewer of the quote currency at either price.
        high, low = max(entry, stop), min(entry, stop)
        return (high - low) / low * each if low > 0 else None

    def _worth(self, view: View, entry: Decimal) -> Decimal | None:
        """At the entry or at the mark, whichever is more: a sale may be filled above its price."""
        if view.mark is None:
            return abs(entry) if view.side == "buy" else None
        return max(abs(entry), abs(view.mark))

    def _entry(self, view: View) -> Decimal | None:
        asked = view.asked
        if asked.price is not None:
            return asked.price
        price = asked.stop_price if asked.stop_price is not None else view.mark
        if price is None:
            return None
        slip = abs(price) * self._slip
        return price + slip if view.side == "buy" else price - slip
