"""What is odd about an account, and somebody should look at. Each is told once, however often it
happened."""

from collections.abc import Iterable, Iterator, Sized
from typing import NamedTuple

from msgspec import UNSET

from ...messages.book import AnyEvent, Bust, Correct, Fill, Funding, Order, Side, Transfer
from .orders import Beginning, Working
from .path import Execution, FillKey, Path


class Rogue(NamedTuple):
    """A fill that no order explains: nobody knows its order, or that is of another symbol or side.
    None: it says that it is of no order."""

    symbol: str
    id: str
    order: str | None


FLAGS_KEPT = 1_000
"""Of each kind, in a daemon: more than anybody reads. What made the older is in the journal."""


class Odd:
    """Of one account. Of each kind the newest `kept` stay; None: all."""

    def __init__(self, kept: int | None) -> None:
        self._kept = kept
        self.conflicts: dict[str, None] = {}
        """Fills that were told with another side, quantity or price."""
        self.payments: dict[str, None] = {}
        """Payments that were told with another amount."""
        self.overfilled: dict[str, None] = {}
        """Orders of which more was filled than they had."""
        self.rogues: dict[Rogue, Side] = {}
        self.too_old: dict[str, None] = {}
        """What was told of the closed past, and not applied."""
        self.waiting: dict[FillKey, bool] = {}
        """Fills that were taken back or changed and have not come. True: perhaps they never will,
        for they are in the closed past."""
        self._orphans: dict[str, set[Rogue]] = {}
        """Rogues by their order."""

    def conflict(self, fill_id: str) -> None:
        self._note(self.conflicts, fill_id)

    def payment(self, name: str) -> None:
        self._note(self.payments, name)

    def old(self, name: str) -> None:
        self._note(self.too_old, name)

    def _note(self, names: dict[str, None], name: str) -> None:
        names[name] = None
        if self._are_many(names):
            del names[next(iter(names))]

    def _are_many(self, noted: Sized) -> bool:
        return self._kept is not None and len(noted) > self._kept

    def wait(self, fill: FillKey, *, is_closed: bool) -> FillKey | None:
        """Something was told of a fill that is not known: the one that nobody waits for any more
        because of it."""
        self.waiting[fill] = is_closed or self.waiting.get(fill, False)
        if not self._are_many(self.waiting):
            return None
        oldest = next(iter(self.waiting))
        del self.waiting[oldest]
        return oldest

    def see(self, order: Working) -> None:
        """It has changed."""
        if order.is_overfilled:
            self._note(self.overfilled, order.id)
        elif order.id in self.overfilled:
            del self.overfilled[order.id]

    def rogue(self, fill: Execution) -> None:
        self.suspect(Rogue(fill.symbol, fill.id, fill.order), fill.side)

    def suspect(self, rogue: Rogue, side: Side) -> None:
        self.rogues[rogue] = side
        if rogue.order is not None:
            self._orphans.setdefault(rogue.order, set()).add(rogue)
        if self._are_many(self.rogues):
            self._forget(next(iter(self.rogues)))

    def clear(self, fill: Execution) -> None:
        """It is in the book no more."""
        rogue = Rogue(fill.symbol, fill.id, fill.order)
        if rogue in self.rogues and fill.told_order is not UNSET:
            self._forget(rogue)

    def adopted(self, path: Path) -> None:
        """The position is the venue's, and so is what is closed of it: of its fills those are odd
        that are known."""
        for rogue in [each for each in self.rogues if each.symbol == path.contract.symbol]:
            if path.find(rogue.id, rogue.order) is None:
                self._forget(rogue)

    def told(self, begun: Beginning, order: str) -> None:
        """The order is known now."""
        for rogue in tuple(self._orphans.get(order, ())):
            if rogue.symbol == begun.symbol and self.rogues[rogue] == begun.side:
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
        missing = (name for (_, name), is_closed in self.waiting.items() if is_closed)
        yield from dict.fromkeys(f"too_old:{one}" for one in (*self.too_old, *missing))

    def about(self, event: AnyEvent, orders: Iterable[str]) -> set[str]:
        """The flags that an event may have raised, which is about these orders."""
        found = {f"overfill:{order}" for order in orders if order in self.overfilled}
        match event:
            case Funding(id=one) | Transfer(id=one) if one in self.payments:
                found.add(f"payment_conflict:{one}")
            case Order():
                found.update(f"rogue_fill:{one.id}" for one in self._orphans.get(event.id, ()))
            case Fill() | Bust() | Correct():
                if event.id in self.conflicts:
                    found.add(f"fill_conflict:{event.id}")
                names = (Rogue(event.symbol, event.id, order) for order in (None, *orders))
                if any(name in self.rogues for name in names):
                    found.add(f"rogue_fill:{event.id}")
                if event.id in self.too_old or self.waiting.get((event.symbol, event.id)):
                    found.add(f"too_old:{event.id}")
        return found
