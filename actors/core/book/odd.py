"""What is odd about an account, and somebody should look at. Each is told once, however often it
happened."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ...messages.book import AnyEvent, Bust, Correct, Fill, Funding, Transfer
from .orders import Working
from .path import Execution


class Rogue(NamedTuple):
    """A fill of an order that nobody knows; None: it says that it is of no order."""

    symbol: str
    id: str
    order: str | None


class Odd:
    """Of one account."""

    def __init__(self) -> None:
        self.conflicts: dict[str, None] = {}
        """Fills that were told with another side, quantity or price."""
        self.payments: dict[str, None] = {}
        """Payments that were told with another amount."""
        self.overfilled: dict[str, None] = {}
        """Orders of which more was filled than they had."""
        self.rogues: dict[Rogue, None] = {}
        self._orphans: dict[str, set[Rogue]] = {}
        """The same by the order."""

    def conflict(self, fill_id: str) -> None:
        self.conflicts[fill_id] = None

    def see(self, order: Working) -> None:
        """It has changed."""
        if order.is_overfilled:
            self.overfilled[order.id] = None
        elif order.id in self.overfilled:
            del self.overfilled[order.id]

    def rogue(self, fill: Execution) -> None:
        self.suspect(Rogue(fill.symbol, fill.id, fill.order))

    def suspect(self, rogue: Rogue) -> None:
        self.rogues[rogue] = None
        if rogue.order is not None:
            self._orphans.setdefault(rogue.order, set()).add(rogue)

    def clear(self, fill: Execution) -> None:
        """It is in the book no more."""
        rogue = Rogue(fill.symbol, fill.id, fill.order)
        if rogue in self.rogues:
            self._forget(rogue)

    def told(self, order: str) -> None:
        """The order is known now."""
        for rogue in tuple(self._orphans.get(order, ())):
            self._forget(rogue)

    def _forget(self, rogue: Rogue) -> None:
        del self.rogues[rogue]
        if rogue.order is not None:
            orphans = self._orphans[rogue.order]
            orphans.discard(rogue)
            if not orphans:
                del self._orphans[rogue.order]

    def flags(self) -> Iterator[str]:
        yield from (f"fill_conflict:{one}" for one in self.conflicts)
        yield from (f"payment_conflict:{one}" for one in self.payments)
        yield from (f"overfill:{one}" for one in self.overfilled)
        yield from dict.fromkeys(f"rogue_fill:{one.id}" for one in self.rogues)

    def about(self, event: AnyEvent, orders: Iterable[str]) -> set[str]:
        """The flags that an event may have raised, which is about these orders."""
        found = {f"overfill:{order}" for order in orders if order in self.overfilled}
        match event:
            case Funding(id=one) | Transfer(id=one) if one in self.payments:
                found.add(f"payment_conflict:{one}")
            case Fill() | Bust() | Correct():
                if event.id in self.conflicts:
                    found.add(f"fill_conflict:{event.id}")
                names = (Rogue(event.symbol, event.id, order) for order in (None, *orders))
                if any(name in self.rogues for name in names):
                    found.add(f"rogue_fill:{event.id}")
        return found
