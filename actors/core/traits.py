"""What is known of a working order beside what remains of it: whether it is a stop, whether it may
only reduce, whether it was asked for, and whether the venue has it.

Only orders of which a rule may want to know are here: stops, those that may only reduce, and those
that nobody has asked for. They are left out once nothing remains of them. One that comes back to
life, because a fill of it is taken back, is not known here any more: it protects nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

import msgspec

from ..messages.book import Side
from .held import Held


class Traits(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Of one order."""

    symbol: str
    side: Side
    is_stop: bool = False
    is_reduce_only: bool = False
    is_asked: bool = True
    """It was permitted."""
    is_confirmed: bool = False
    """The venue has been heard to have it."""
    owners: tuple[str, ...] = ()
    """The scopes of its strategy and its worker."""


Row = tuple[str, str, Traits]
"""Account, order."""


class OrderTraits:
    """By account and symbol."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self._of: dict[tuple[str, str], dict[str, Traits]] = {}
        self._symbols: dict[tuple[str, str], str] = {}
        """By account and order."""
        for account, order, traits in rows:
            self.put(account, order, traits)

    def of(self, account: str, symbol: str) -> Mapping[str, Traits]:
        """By order."""
        return self._of.get((account, symbol), {})

    def find(self, account: str, order: str) -> Traits | None:
        symbol = self._symbols.get((account, order))
        return None if symbol is None else self._of[account, symbol][order]

    def put(self, account: str, order: str, traits: Traits) -> None:
        self.drop(account, order)
        self._of.setdefault((account, traits.symbol), {})[order] = traits
        self._symbols[account, order] = traits.symbol

    def drop(self, account: str, order: str) -> None:
        symbol = self._symbols.pop((account, order), None)
        if symbol is not None:
            orders = self._of[account, symbol]
            del orders[order]
            if not orders:
                del self._of[account, symbol]

    def confirm(self, account: str, order: str) -> None:
        """The venue has it."""
        found = self.find(account, order)
        if found is not None and not found.is_confirmed:
            self.put(account, order, msgspec.structs.replace(found, is_confirmed=True))

    def settle(self, held: Held, order: str) -> None:
        """Something has happened to it."""
        account = held.about.name
        if (account, order) in self._symbols and not held.remaining(order):
            self.drop(account, order)

    def rows(self) -> Iterator[Row]:
        for (account, _), orders in self._of.items():
            for order, traits in orders.items():
                yield account, order, traits


def surely(held: Held, order_id: str) -> Decimal:
    """What remains of an order for sure: one whose end was asked for, or of which an answer is
    missing, may be gone, and of a change that is pending the smaller quantity counts."""
    order = held.book.orders.get(order_id)
    if order is None or order.state not in ("open", "amend_pending"):
        return Decimal(0)
    return order.least
