"""Working orders: what remains of each.

An order counts from the event that begins it until it is confirmed gone; asking for its end changes
nothing. Of a pending change the larger quantity counts. What remains of it is that less what was
filled, and never below nothing.

Each order folds its own few events, in canonical order, whenever one comes. The sums are in
`exposure`.
"""

from bisect import insort
from decimal import Decimal

import attrs

from ...messages.book import (
    Amend,
    AmendReject,
    AmendRequest,
    Cancel,
    CancelRequest,
    Expire,
    Order,
    Reject,
    Timeout,
)
from .numbers import ZERO
from .path import Key

Change = Order | AmendRequest | Amend | AmendReject
"""What has to be remembered. That an order is gone is one bit, whenever it was told."""
OrderEvent = Change | CancelRequest | Timeout | Cancel | Reject | Expire


@attrs.define(eq=False)
class Working:
    """One order: what was told of it, and what remains."""

    id: str
    told: list[tuple[Key, Change]] = attrs.field(factory=list)
    fills: list[tuple[Key, Decimal]] = attrs.field(factory=list)
    begun: Order | None = None
    qty: Decimal = ZERO
    """The larger one while a change is pending."""
    filled: Decimal = ZERO
    is_gone: bool = False

    def hear(self, key: Key, event: OrderEvent) -> None:
        match event:
            case CancelRequest() | Timeout():
                """It counts as before."""
            case Cancel() | Reject() | Expire():
                self.is_gone = True
            case _:
                insort(self.told, (key, event), key=_place)
                self._fold()

    def fill(self, key: Key, qty: Decimal) -> None:
        """So much of it was executed; below nothing: was not, after all."""
        self.fills.append((key, qty))
        if self.begun is not None and self.begun.filled:
            self._fold()
        else:
            self.filled += qty

    @property
    def remaining(self) -> Decimal:
        if self.begun is None or self.is_gone:
            return ZERO
        return max(ZERO, self.qty - self.filled)

    @property
    def is_overfilled(self) -> bool:
        return self.begun is not None and self.filled > self.qty

    def _fold(self) -> None:
        """What is told of it comes after its beginning, whatever the clocks say of it."""
        self.begun = None
        total, pending = ZERO, []
        began: Key | None = None
        for key, event in self.told:
            if isinstance(event, Order):
                self.begun, total, began = event, event.qty, key
                break
        for _, event in self.told:
            match event:
                case AmendRequest(qty=qty):
                    pending.append(qty)
                case Amend(qty=qty):
                    total = qty
                    del pending[: _asked(pending, qty) + 1]
                case AmendReject(qty=refused):
                    at = _asked(pending, refused)
                    del pending[at : at + 1]
        self.qty = max([total, *pending])
        self.filled = self._filled(began)

    def _filled(self, began: Key | None) -> Decimal:
        """All fills; those from before its beginning may be in what it began with."""
        if began is None or self.begun is None or not self.begun.filled:
            return sum((qty for _, qty in self.fills), ZERO)
        before = sum((qty for key, qty in self.fills if key < began), ZERO)
        after = sum((qty for key, qty in self.fills if key >= began), ZERO)
        return max(before, self.begun.filled) + after


def _place(told: tuple[Key, Change]) -> Key:
    return told[0]


def _asked(pending: list[Decimal], qty: Decimal | None) -> int:
    """Which pending change an answer is to: the one for this quantity, or else the oldest.

    One that is confirmed ends those asked for before it; one that is refused ends itself alone.
    """
    return pending.index(qty) if qty in pending else 0
