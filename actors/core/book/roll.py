"""All orders that an account knows, each as it stands now.

Whatever is told of an order makes another one of it; the sums over all of them (`exposure`) and
what is odd follow. Where a book lives long, orders of which nothing remains may be forgotten.
"""

from collections.abc import Iterator
from decimal import Decimal
from itertools import islice

from ...messages.book import Order
from .exposure import Exposures
from .odd import Odd
from .orders import Beginning, OrderEvent, Working
from .path import Execution, Key
from .worth import Worth


class Roll:
    """Of one account. Whoever changes an order here weighs its symbol, unless said otherwise."""

    def __init__(self, worth: Worth, exposures: Exposures, odd: Odd, kept: int | None) -> None:
        """`kept`: so many of those that are finished stay at least; None: all."""
        self._worth = worth
        self._exposures = exposures
        self._odd = odd
        self._kept = kept
        self.orders: dict[str, Working] = {}
        self.finished: dict[str, None] = {}
        """Orders of which nothing remains, as they became so, where they may be forgotten."""
        self.finished_max = 2 * (kept or 0)

    def explains(self, fill: Execution) -> bool:
        """It is of an order that is known, and of its symbol and side."""
        order = None if fill.order is None else self.orders.get(fill.order)
        return order is not None and order.has(fill.symbol, fill.side)

    def begin(self, key: Key, event: Order) -> None:
        """An order of which nothing was heard before, as of most."""
        begun = Beginning(key, event.symbol, event.side, event.qty, event.reduce_only, event.filled)
        order = self.orders[event.id] = Working(event.id, begun, qty=event.qty)
        self._exposures.enter(order)

    def execute(self, fill: Execution, sign: int) -> None:
        """The order that it names has so much less to go, if it is its own."""
        assert fill.order is not None, "it is of an order"
        order = self.orders.get(fill.order) or Working(fill.order)
        self._replace(order, order.executed(fill, sign))

    def hear(self, key: Key, event: OrderEvent) -> Working | None:
        """Something was told of an order. Its symbols are weighed. The order, if it is gone by
        this."""
        order = self.orders.get(event.id) or Working(event.id)
        heard = order.heard(key, event)
        was, begun = order.begun, heard.begun
        if begun is not None and begun is not was:
            heard = self._rebegun(order, heard, begun)
        return self._change(order, heard if self._kept is None else heard.settled())

    def drop(self, order_id: str) -> Working | None:
        """It was never sent, and never will be. The order, if it is gone by this."""
        order = self.orders.get(order_id)
        return None if order is None else self._change(order, order.dropped())

    def find(self, order_id: str) -> None:
        """It is at the venue, or on its way: it counts again, if it was dropped."""
        order = self.orders.get(order_id)
        if order is not None and order.is_dropped:
            self._change(order, order.found())

    def _change(self, order: Working, by: Working) -> Working | None:
        """Its symbols are weighed. What it is now, if it is gone by this."""
        self._replace(order, by)
        for each in (order.begun, by.begun):
            if each is not None:
                self._exposures.stretch(self._worth.paths[each.symbol])
        return by if by.is_gone and not order.is_gone else None

    def _replace(self, order: Working, by: Working) -> None:
        self._exposures.leave(order)
        self.orders[by.id] = by
        self._exposures.enter(by)
        self._odd.see(by)
        if self._kept is not None:
            if by.remaining:
                self.finished.pop(by.id, None)
            else:
                self.finished[by.id] = None
                self._forget(self._kept)

    def _forget(self, kept: int) -> None:
        """Now and then: the orders that are finished, the newest of them excepted. One that has a
        fill that is known may work again, once that is taken back."""
        if len(self.finished) >= self.finished_max:
            filled = {each.order for path in self._worth.paths.values() for each in path.told()}
            for order in list(islice(self.finished, len(self.finished) - kept)):
                if order not in filled:
                    del self.finished[order], self.orders[order]
            self.finished_max = 2 * max(len(self.finished), kept)

    # --- which fills are its own

    def _rebegun(self, before: Working, order: Working, begun: Beginning) -> Working:
        """It has begun, or at another place than before: which fills are its own is known now."""
        self._odd.told(begun, order.id)
        was = before.begun
        if was is not None and not order.has(was.symbol, was.side) and before.filled:
            for fill in self._fills(order.id):
                if not (fill.is_adopted or order.has(fill.symbol, fill.side)):
                    self._odd.rogue(fill)
        if not begun.filled or not (order.early or order.late):
            return order
        return order.divided(self._executions(order))

    def _executions(self, order: Working) -> Iterator[tuple[Key, Decimal]]:
        for fill in self._fills(order.id):
            if order.has(fill.symbol, fill.side):
                yield fill.key, abs(fill.signed)

    def _fills(self, order: str) -> Iterator[Execution]:
        """Rarely asked for: a look at every fill costs less than a list for each order."""
        for path in self._worth.paths.values():
            for fill in path.told():
                if fill.order == order and not fill.is_busted:
                    yield fill
