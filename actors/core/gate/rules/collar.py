"""`price_collar`: an order's prices are near the mark, and the mark is near where it was.

The way of a mark is kept in slices of its period: the highest and the lowest of each, and nothing
else. So an extreme leaves late, by a slice at most, and never early. What was in force when a mark
came was in force until then: a jump after a silence is a jump.
"""

from collections import deque
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated

from msgspec import Meta, Struct, to_builtins

from .....config.schema import rules as schema
from ....messages.reasons import Code
from ...book.numbers import ZERO, exact
from ..memory import Quoted, Rearmed, Seen
from ..rule import HUNDRED, OK, Found, Judge, unknown
from ..view import View
from ..window import loaded
from .fresh import stale
from .order import PRICED

SLICES = 8
WAYS_MAX = 20_000
"""As many as there may be instruments. One more is not followed, and what adds risk there does not
pass."""

Key = tuple[str, str]
"""The account that the marks were of, "" of those for all, and the symbol."""
Time = Annotated[datetime, Meta(tz=True)]
Slice = tuple[Time, Decimal, Decimal]
"""From when on, the lowest and the highest."""


class _Kept(Struct):
    """What `dump` writes."""

    ways: list[tuple[str, str, Decimal, list[Slice]]]


class Way:
    """Of one mark. Times never go backwards here. From `least` to `most` it is near both extremes:
    it may have gone such a share of each."""

    __slots__ = ("high", "last", "least", "low", "most", "share", "slices")

    def __init__(self, last: Decimal, slices: deque[Slice], share: Decimal) -> None:
        self.last = last
        self.slices = slices
        self.share = share
        self.look()

    def look(self) -> None:
        low = min(low for _, low, _ in self.slices)
        self._reach(low, max(high for _, _, high in self.slices))

    def _reach(self, low: Decimal, high: Decimal) -> None:
        self.low, self.high = low, high
        with exact():
            self.most = low + abs(low) * self.share
            self.least = high - abs(high) * self.share

    def add(self, at: datetime, price: Decimal, span: timedelta) -> None:
        slices, grain = self.slices, span / SLICES
        begin, low, high = slices[-1]
        at = max(at, begin)
        if at < begin + grain:
            slices[-1] = (begin, min(low, price), max(high, price))
            if not self.low <= price <= self.high:
                self._reach(min(self.low, price), max(self.high, price))
        else:
            slices.append((at, min(self.last, price), max(self.last, price)))
            while slices[0][0] + grain <= at - span:
                slices.popleft()
            self.look()
        self.last = price


class Ways:
    """Of all marks that the rule may be asked about."""

    def __init__(self, config: schema.PriceCollar) -> None:
        self._id = config.id
        self._span = timedelta(seconds=config.drift_s)
        kind, _, name = config.scope.partition(":")
        self._symbol = name if kind == "symbol" else None
        self._share = None if config.max_drift_pct is None else config.max_drift_pct / HUNDRED
        self.ways: dict[Key, Way] = {}

    def saw(self, seen: Seen) -> None:
        if isinstance(seen, Rearmed) and seen.rule == self._id:
            for way in self.ways.values():
                way.slices = deque([(way.slices[-1][0], way.last, way.last)])
                way.look()

    def quote(self, quoted: Quoted) -> None:
        """Every mark that comes."""
        at, account, symbol, price = quoted
        share = self._share
        if share is None or (self._symbol is not None and symbol != self._symbol):
            return
        key = (account or "", symbol)
        way = self.ways.get(key)
        if way is not None:
            way.add(at, price, self._span)
        elif len(self.ways) < WAYS_MAX:
            self.ways[key] = Way(price, deque([(at, price, price)]), share)

    def of(self, account: str, symbol: str) -> list[Way]:
        """Those that marks of this account have gone, its own and that of all."""
        found = (self.ways.get((account, symbol)), self.ways.get(("", symbol)))
        return [way for way in found if way is not None]

    def dump(self) -> object:
        ways = [(*key, way.last, list(way.slices)) for key, way in self.ways.items()]
        return to_builtins(_Kept(ways))

    def load(self, state: object) -> None:
        kept = loaded(state, _Kept)
        if not all(slices for *_, slices in kept.ways):
            raise ValueError("the way of a mark has no slices")
        self.ways = {
            (account, symbol): Way(last, deque(slices), self._share or ZERO)
            for account, symbol, last, slices in kept.ways
        }


class PriceCollar(Judge[schema.PriceCollar]):
    """Prices are held to it whatever the order is for: that one is mistyped makes it no safer. Of
    the way of the mark an order that adds no risk knows nothing."""

    SAYS = "a price {value} % away is farther than the limit of {limit} %"

    STAGE = 8

    def __init__(self, config: schema.PriceCollar) -> None:
        super().__init__(config)
        self._price, self._stop = config.max_pct, config.max_stop_pct
        self._drift = config.max_drift_pct
        self._age_s = config.max_mark_age_s
        self._share = None if self._price is None else self._price / HUNDRED

    def memory(self) -> Ways:
        return Ways(self.config)

    def judge(self, view: View) -> Found | None:
        mark, age_s = view.mark, view.mark_age_s
        if mark is None or age_s is None:
            return stale("no_mark", f"mark of {view.symbol}", self._age_s, None)
        if not 0.0 <= age_s <= self._age_s:
            return stale("stale_mark", f"fresh mark of {view.symbol}", self._age_s, abs(age_s))
        if self._is_near(view, mark):
            return None
        asked = view.asked
        price = asked.price if asked.order_type in PRICED else None
        stop = asked.stop_price if asked.order_type in ("stop", "stop_limit") else None
        found = None
        if price is not None and self._price is not None:
            of = mark if stop is None else stop
            found = _away(self.kind, view, price, of, self._price)
        if stop is not None and self._stop is not None and (found is None or _passes(found)):
            found = _away("stop_collar", view, stop, mark, self._stop) or found
        if self._drift is not None and (found is None or _passes(found)):
            drifted = self._drifted(view, mark, self._drift)
            # Getting out is not held to it; that it is not known is told.
            if view.adds_risk or (drifted is not None and drifted.outcome == "unknown"):
                found = drifted or found
        return found or (OK if view.explains else None)

    def _is_near(self, view: View, mark: Decimal) -> bool:
        """Nothing needs to be looked at twice. Most orders are so."""
        asked, share = view.asked, self._share
        price = asked.price
        if view.explains or asked.stop_price is not None:
            return False
        if price is not None and share is not None and abs(price - mark) > abs(mark) * share:
            return False
        if self._drift is None:
            return True
        known: Ways = view.memories[self.id]
        own = known.ways.get((view.held.about.name, view.symbol))
        way = known.ways.get(("", view.symbol))
        if way is None or own is not None:
            return False
        return way.least <= mark <= way.most

    def _drifted(self, view: View, mark: Decimal, most: Decimal) -> Found | None:
        known: Ways = view.memories[self.id]
        ways = known.of(view.held.about.name, view.symbol)
        if not ways:
            return unknown(f"marks of {view.symbol} since the rule is in force")
        found = None
        for way in ways:
            for extreme in (way.low, way.high):
                found = _away("price_drift", view, mark, extreme, most) or found
                if found is not None and not _passes(found):
                    return found
        return found


def _passes(found: Found) -> bool:
    return found.outcome == "pass"


def _away(code: Code, view: View, price: Decimal, of: Decimal, most: Decimal) -> Found | None:
    """How far a price is from another one, in percent of that, which is 0 of nothing."""
    away = abs(price - of) * HUNDRED
    size = abs(of)
    is_near = away <= most * size
    if is_near and not view.explains:
        return None
    if not size:
        return OK if is_near else unknown(f"a reference of {view.symbol} other than 0")
    pct = away / size
    if is_near:
        return Found("pass", "ok", most, pct, most - pct)
    return Found("block", code, most, pct, ZERO)
