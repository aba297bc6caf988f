"""`order_validity`: the order lies on its instrument's grid."""

from decimal import Decimal

from .....config.schema import rules as schema
from ...book.numbers import ZERO
from ..rule import OK, Found, Judge, unknown
from ..view import View

PRICED = ("limit", "stop_limit")
"""The types of orders that are not filled beyond their price. What else has one says it for
nothing."""


class OrderValidity(Judge[schema.OrderValidity]):
    """Tick, lot, minimum and maximum. Always in force, for everything.

    What is left of a position may be less than the least that can be opened. An order that closes
    all of it passes below both minimums: it is the venue's to refuse it, not riskd's to keep it. A
    price of 0 or below is one where the listing says so, as of a spread or of power. In what is not
    listed any more an order may only reduce, by the listing that there was.
    """

    STAGE = 3

    def judge(self, view: View) -> Found | None:
        listing, asked, qty = view.listing, view.asked, view.qty
        if listing.lot is not None and qty % listing.lot:
            return Found("block", "qty_off_lot", listing.lot, qty, cap=on_lot(qty, listing.lot))
        if listing.max_qty is not None and qty > listing.max_qty:
            return Found("block", "qty_above_max", listing.max_qty, qty, cap=listing.max_qty)
        if listing.min_qty is not None and qty < listing.min_qty and qty != view.reducible:
            return Found("block", "qty_below_min", listing.min_qty, qty)
        tick, is_any = listing.tick, listing.allows_negative
        for price in (asked.price, asked.stop_price, asked.stop_loss):
            if price is not None:
                if price <= ZERO and not is_any:
                    return Found("block", "price_not_positive", value=price)
                if tick is not None and price % tick:
                    return Found("block", "price_off_tick", tick, price)
        if listing.min_notional is not None and qty != view.reducible:
            found = self._notional(view, listing.min_notional)
            if found is not None:
                return found
        if not view.place.is_listed:
            return Found("unknown", "symbol_delisted", missing=f"a listing of {view.symbol}")
        return OK if view.explains else None

    def _notional(self, view: View, least: Decimal) -> Found | None:
        """In the quote currency, by the price that the order has of itself, as venues reckon."""
        listing, price = view.listing, price_of(view)
        if listing.kind == "inverse":
            worth = view.qty * listing.multiplier
        elif price is None:
            return unknown(f"mark of {view.symbol}")
        else:
            worth = abs(view.qty * listing.multiplier * price)
        return Found("block", "notional_below_min", least, worth) if worth < least else None


def price_of(view: View) -> Decimal | None:
    """Its own, if it is one that venues heed; else its stop's, else the mark."""
    asked = view.asked
    if asked.order_type in PRICED:
        return asked.price
    return asked.stop_price if asked.order_type == "stop" else view.mark


def on_lot(qty: Decimal, lot: Decimal | None) -> Decimal:
    """The largest quantity up to this on the grid."""
    return qty if lot is None else qty - qty % lot
