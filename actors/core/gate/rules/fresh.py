"""`fresh_data`: what an order is judged by is known, and not old.

What is old is not known, so an order that adds no risk passes without it, as with every figure that
is missing. A clock that was set back proves nothing young: what came in its future is old.
"""

from decimal import Decimal
from functools import partial

from .....config.schema import rules as schema
from ....messages.reasons import Code
from ...books import Books
from ...held import Held
from ..rule import OK, Found, Judge
from ..view import Moment, View

MILLIS = Decimal("0.001")


def stale(code: Code, missing: str, limit_s: float, age_s: float | None) -> Found:
    """`age_s` None: there is nothing that could be old."""
    value = None if age_s is None else seconds(age_s)
    return Found("unknown", code, seconds(limit_s), value, missing=missing)


def seconds(value: float) -> Decimal:
    """To the millisecond, as an exact number."""
    return Decimal(value).quantize(MILLIS)


class FreshData(Judge[schema.FreshData]):
    """Always in force, for everything."""

    STAGE = 4

    def __init__(self, config: schema.FreshData) -> None:
        super().__init__(config)
        self._mark_s = config.max_mark_age_s
        self._held_s = config.held_mark_age_s
        self._rate_s = config.max_rate_age_s
        self._equity_s = config.max_equity_age_s

    def judge(self, view: View) -> Found | None:
        age_s, most_s = view.mark_age_s, self._mark_s
        if age_s is None:
            return stale("no_mark", f"mark of {view.symbol}", most_s, None)
        if not 0.0 <= age_s <= most_s:
            return stale("stale_mark", f"fresh mark of {view.symbol}", most_s, abs(age_s))
        if self._equity_s is not None:
            found = self._equity(view, self._equity_s)
            if found is not None:
                return found
        if view.adds_risk or view.explains:
            found = self._others(view)
            if found is not None:
                return found
        if not view.explains:
            return None
        left = seconds(most_s - age_s)
        return OK._replace(limit=seconds(most_s), value=seconds(age_s), headroom=left)

    def _others(self, view: View) -> Found | None:
        """What the order is added to: it counts by marks and rates of its own. That one is not
        there at all is for the rules to say that need it."""
        book, books, held = view.held.book, view.books, view.held
        if self._is_any_old(view):
            missing = f"fresh mark of all that {held.about.name} holds"
            return stale("stale_mark", missing, self._held_s, None)
        for ccy in book.worth.rates:
            age_s = books.rate_age_s(held, ccy, *view.moment)
            if age_s is None or 0.0 <= age_s <= self._rate_s:
                continue
            if _is_needed(view, ccy):
                return stale("stale_rate", f"fresh rate of {ccy}", self._rate_s, age_s)
        return None

    def _is_any_old(self, view: View) -> bool:
        """Of the marks of all that the account holds, the order's own symbol among it."""
        held, (at, monotonic_s) = view.held, view.moment
        exposures = held.book.exposures
        if len(exposures.standings) <= 1:
            return False
        oldest = exposures.stalest(self._held_s, none_is_old=False)
        if oldest.is_calm(at, monotonic_s, held.newest):
            return False
        age_of = partial(_age_s, view.books, held, view.moment)
        return oldest.is_any(at, monotonic_s, age_of, held.newest)

    def _equity(self, view: View, most_s: float) -> Found | None:
        about = view.held.about
        age_s = about.equity_age_s(*view.moment)
        if age_s is None:
            return stale("no_equity", f"equity of {about.name} by its broker's word", most_s, None)
        if age_s > most_s:
            return stale("stale_equity", f"fresh equity of {about.name}", most_s, age_s)
        return None


def _age_s(books: Books, held: Held, moment: Moment, symbol: str) -> float | None:
    return books.mark_age_s(held, symbol, *moment)


def _is_needed(view: View, ccy: str) -> bool:
    """Is anything reckoned in it: the order, or what there is in the account?"""
    worth = view.held.book.worth
    if ccy == worth.reporting:
        return False
    listing, standings = view.listing, view.held.book.exposures.standings
    if ccy in (listing.quote, listing.settle) or worth.held.get(ccy):
        return True
    contracts = (worth.paths[symbol].contract for symbol, one in standings.items() if one.widest)
    return any(ccy in (contract.quote, contract.settle) for contract in contracts)
