"""`var_limit`, `es_limit`: what everything held may lose on a bad day.

By how much a symbol moves in a day its marks say (`core.volatility`). Times what is held of it at
worst, that is a loss in money; the losses of all symbols are added up. So the figure is that of
returns that are normal, and all of which go the wrong way at once. WHATEVER THE CORRELATIONS ARE,
THE TRUE ONE OF SUCH RETURNS IS NO MORE. Returns that are wilder than normal ones can lose more.
"""

from collections.abc import Sequence
from decimal import ROUND_UP, Decimal
from functools import cache
from statistics import NormalDist
from typing import NamedTuple, TypeVar

from .....config.schema import rules as schema
from ...book.numbers import ONE, ZERO, exact
from ...book.stalest import Age
from ...held import Held
from ..rule import HUNDRED, SEVERITY, Found, tighter, unknown
from ..standing import Standing
from ..view import Moment, View
from .equity import ShareJudge
from .gross import WidthJudge

T = TypeVar("T", bound=schema.TailRule)
STEP = Decimal("1e-8")
NORMAL = NormalDist()


class Tail(NamedTuple):
    """In money."""

    var: Decimal
    es: Decimal


@cache
def var_weight(confidence: Decimal) -> Decimal:
    """So many daily moves are not exceeded in such a part of all times. It is rounded up to where
    any machine finds the same."""
    return Decimal(NORMAL.inv_cdf(float(confidence))).quantize(STEP, ROUND_UP)


@cache
def es_weight(confidence: Decimal) -> Decimal:
    """So many are exceeded by, on average, in all others."""
    at = NORMAL.inv_cdf(float(confidence))
    return Decimal(NORMAL.pdf(at) / (1.0 - float(confidence))).quantize(STEP, ROUND_UP)


def swing_of(standing: Standing) -> Decimal | None:
    """What a usual day's move costs. None: of something it is not known."""
    return standing.total(lambda book: book.exposures.swing_of(standing.symbol))


def var_es(
    standing: Standing,
    *,
    confidence: Decimal = Decimal("0.99"),
    horizon_days: Decimal = ONE,
) -> Tail | None:
    """Of how things stand. None: of something that is held nobody knows how much it moves."""
    with exact():
        swing = swing_of(standing)
        if swing is None:
            return None
        swing *= horizon_days.sqrt()
        return Tail(swing * var_weight(confidence), swing * es_weight(confidence))


class TailJudge(WidthJudge[T], ShareJudge[T]):
    """A sum over symbols that grows with the worse side of the order's, by what that moves by."""

    def __init__(self, config: T, most: Decimal | None, weight: Decimal) -> None:
        super().__init__(config, most, config.max_pct)
        with exact():
            self._weight = weight * config.horizon_days.sqrt()
            self._least = config.min_volatility_pct / HUNDRED

    def judge(self, view: View) -> Found | None:
        after = view.after(self.scope)
        before, gross, book = after.gross_before, after.gross, after.book
        if after.is_quick and not view.dearer and before is not None and gross is not None:
            assert book is not None, "the sum is of one"
            part = book.exposures.volatility(view.symbol)
            swing = book.exposures.swing_of(None)
            if part is not None and swing is not None:
                then = max(swing + (gross - before) * part, gross * self._least) * self._weight
                if self.is_quiet(then, after) and not self._is_stale(view):
                    return None
        return self.weighed(view)

    def hold(
        self, view: View, before: Decimal, after: Decimal, each: Decimal, free: Decimal
    ) -> Found | None:
        part = view.held.book.exposures.volatility(view.symbol)
        if part is None:
            return unknown(f"volatility of {view.symbol}")
        swing = swing_of(view.standing(self.scope))
        if swing is None or self._is_stale(view):
            return unknown(f"volatility of all that {self.scope} holds")
        swing += view.after(self.scope).dearer * part
        weight, more = self._weight, after - before
        now, then = swing * weight, (swing + more * part) * weight
        least = self._least * weight
        limit = self.limit(view, max(then, after * least))
        if isinstance(limit, Found):
            return limit
        by_marks = self.used(view, limit, now, then, each * part * weight, free)
        if then >= after * least and (by_marks is None or by_marks.cap is None):
            return by_marks
        at_least = self.used(view, limit, before * least, after * least, each * least, free)
        return _larger((by_marks, at_least))

    def _is_stale(self, view: View) -> bool:
        """Has the order's symbol, or anything in the scope, a mark that is too old to go by?"""
        most, own = self.config.max_mark_age_s, view.mark_age_s
        if own is None or not 0.0 <= own <= most:
            return True
        symbol = view.standing(self.scope).symbol
        for held, book in view.books.within(self.scope):
            age_s = _ages(view, held)
            if symbol is None:
                if book.exposures.stalest(most).is_any(*view.moment, age_s, held.newest):
                    return True
            elif book.exposures.contracts_of(symbol).gross:
                age = age_s(symbol)
                if age is None or not 0.0 <= age <= most:
                    return True
        return False

    def measure(
        self,
        standing: Standing,
        _moment: Moment,
        _memory: object = None,
        *,
        explains: bool = False,
    ) -> Found | None:
        if not explains:
            return None
        swing, gross = swing_of(standing), standing.worst_gross()
        if swing is None or gross is None:
            return unknown(f"volatility of all that {standing.scope} holds")
        limit = self._limit_of(standing)
        if limit is None:
            return unknown(f"equity of {standing.scope}")
        value = max(swing, gross * self._least) * self._weight
        left = max(limit - value, ZERO)
        if value > limit:
            return Found("block", self.kind, limit, value, left)
        return Found("warn" if value >= limit * self.near else "pass", "ok", limit, value, left)

    def _limit_of(self, standing: Standing) -> Decimal | None:
        """In money. None: what it is a share of is not known."""
        pct = self.config.max_pct
        if pct is None:
            return self.most
        equity = standing.equity()
        if equity is None:
            return None
        share = max(equity, ZERO) * pct / HUNDRED
        return share if self.most is None else min(share, self.most)


def _ages(view: View, held: Held) -> Age:
    """How old the marks of an account are."""
    return lambda symbol: view.books.mark_age_s(held, symbol, *view.moment)


def _larger(found: Sequence[Found | None]) -> Found | None:
    """Of the same limit held against two figures, what both say together."""
    one, other = found
    if one is None or other is None or one.cap is not None or other.cap is not None:
        return tighter(one, other)
    return max(one, other, key=lambda each: (SEVERITY.index(each.outcome), each.value or ZERO))


class VarLimit(TailJudge[schema.VarLimit]):
    """Value at risk."""

    def __init__(self, config: schema.VarLimit) -> None:
        super().__init__(config, config.max_var, var_weight(config.confidence))


class EsLimit(TailJudge[schema.EsLimit]):
    """Expected shortfall."""

    def __init__(self, config: schema.EsLimit) -> None:
        super().__init__(config, config.max_es, es_weight(config.confidence))
