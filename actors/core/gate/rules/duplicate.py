"""`duplicate_order`: the same order does not come again and again in a while."""

from collections import deque
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated

from msgspec import Meta, Struct, to_builtins

from .....config.schema import rules as schema
from ...book.numbers import ZERO
from .. import asked
from ..memory import Judged, Rearmed, Seen
from ..rule import Found, Judge, unknown
from ..view import View
from ..window import loaded

ORDERS_MAX = 20_000
"""That are remembered: as many as a thousand each second for twenty seconds. Beyond it nobody knows
what is a duplicate, until the oldest have left."""


Content = tuple[str, str, str, str, Decimal, Decimal | None, Decimal | None]
"""What makes two orders the same: account, symbol, side, type, quantity, price and stop. Numbers
are equal however they are written."""


Time = Annotated[datetime, Meta(tz=True)]


class _Kept(Struct):
    """What `dump` writes."""

    orders: list[tuple[Time, Content]]
    lost: Time | None


def content_of(order: asked.Asked) -> Content:
    said = order.order
    kind, qty = order.order_type, order.qty
    return said.account, said.symbol, said.side, kind, qty, order.price, order.stop_price


class Duplicates:
    """What was permitted, the oldest first. Times never go backwards here: a clock that is set back
    makes nothing older."""

    def __init__(self, config: schema.DuplicateOrder) -> None:
        self._id = config.id
        self.span = timedelta(seconds=config.within_s)
        self.orders: deque[tuple[datetime, Content]] = deque()
        self.times: dict[Content, deque[datetime]] = {}
        self.lost: datetime | None = None
        """When the newest came of those that there was no room for."""

    def saw(self, seen: Seen) -> None:
        if isinstance(seen, Judged):
            if seen.verdict.decision != "block":
                self._add(seen.at, content_of(asked.read(seen.order, asked.Identity())))
        elif isinstance(seen, Rearmed) and seen.rule == self._id:
            self.orders.clear()
            self.times.clear()
            self.lost = None

    def _add(self, at: datetime, content: Content) -> None:
        orders = self.orders
        if orders:
            at = max(at, orders[-1][0])
        while orders and orders[0][0] <= at - self.span:
            _, gone = orders.popleft()
            times = self.times[gone]
            times.popleft()
            if not times:
                del self.times[gone]
        if len(orders) < ORDERS_MAX:
            orders.append((at, content))
            self.times.setdefault(content, deque()).append(at)
        else:
            self.lost = at

    def is_full(self, since: datetime) -> bool:
        """There may have been others since then than are remembered, or this would be one."""
        if self.lost is not None and self.lost > since:
            return True
        return len(self.orders) >= ORDERS_MAX and self.orders[0][0] > since

    def dump(self) -> object:
        return to_builtins(_Kept(list(self.orders), self.lost))

    def load(self, state: object) -> None:
        kept = loaded(state, _Kept)
        self.orders, self.times = deque(), {}
        for at, content in kept.orders:
            self._add(at, content)
        self.lost = kept.lost


class DuplicateOrder(Judge[schema.DuplicateOrder]):
    """As it is asked for: that less of it was permitted makes it no other order."""

    SAYS = "{value} of the same would exceed the limit of {limit}"

    STAGE = 9
    OF_AMENDMENTS = False

    def __init__(self, config: schema.DuplicateOrder) -> None:
        super().__init__(config)
        self._most = config.max_orders
        self._limit = Decimal(self._most)

    def memory(self) -> Duplicates:
        return Duplicates(self.config)

    def judge(self, view: View) -> Found | None:
        known: Duplicates = view.memories[self.id]
        times = known.times.get(content_of(view.asked)) if known.times else None
        is_sure = len(known.orders) < ORDERS_MAX and known.lost is None
        if times is None and is_sure and not view.explains:
            return None
        since = view.moment.at - known.span
        count = 0 if times is None else sum(at > since for at in times)
        if count >= self._most:
            return Found("block", self.kind, self._limit, Decimal(count + 1), ZERO)
        if known.is_full(since):
            return unknown(f"all orders of the last {self.config.within_s} seconds")
        if not view.explains:
            return None
        return Found("pass", "ok", self._limit, Decimal(count + 1), Decimal(self._most - count))
