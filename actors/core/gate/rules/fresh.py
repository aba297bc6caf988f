"""`fresh_data`: what an order is judged by is known, and not old.

What is old is not known, so an order that adds no risk passes without it, as with every figure that
is missing. A clock that was set back proves nothing young: what came in its future is old.
"""

from decimal import Decimal

from .....config.schema import rules as schema
from ....messages.reasons import Code
from ..rule import OK, Found, Judge
from ..view import View

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
        if not view.explains:
            return None
        left = seconds(most_s - age_s)
        return OK._replace(limit=seconds(most_s), value=seconds(age_s), headroom=left)

    def _equity(self, view: View, most_s: float) -> Found | None:
        about = view.held.about
        age_s = about.equity_age_s(*view.moment)
        if age_s is None:
            return stale("no_equity", f"equity of {about.name} by its broker's word", most_s, None)
        if age_s > most_s:
            return stale("stale_equity", f"fresh equity of {about.name}", most_s, age_s)
        return None
