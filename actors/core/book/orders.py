"""Working orders: what remains of each.

An order counts from the event that begins it until it is confirmed gone; asking for its end changes
nothing. Of a pending change the larger quantity counts. What remains of it is that less what was
filled, and never below nothing.

Each order folds its own few changes, in canonical order, whenever one comes. The sums are in
`exposure`.
"""

from bisect import insort
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from ...messages.book import (
    Amend,
    AmendReject,
    AmendRequest,
    Cancel,
    CancelRequest,
    Expire,
    Order,
    Reject,
    Side,
    Timeout,
)
from .numbers import ZERO
from .path import Key

OrderEvent = (
    Order | AmendRequest | Amend | AmendReject | CancelRequest | Timeout | Cancel | Reject | Expire
)


class Beginning(Struct, frozen=True, gc=False, array_like=True):
    """An order as it was told of first, in canonical order."""

    key: Key
    symbol: str
    side: Side
    qty: Decimal
    reduce_only: bool
    filled: Decimal
    """So much of it before this."""


class Change(Struct, frozen=True, gc=False, array_like=True):
    """Another quantity was asked for, confirmed or refused."""

    key: Key
    kind: Literal["asked", "confirmed", "refused"]
    qty: Decimal | None


CHANGES_KEPT = 32
"""Of an order in a daemon: one that is changed every second is folded as quickly after a month."""


class Working(Struct, frozen=True, eq=False, gc=False, array_like=True):
    """One order: what was told of it, and what remains. What happens makes another one of it, so
    that a dump can hold it."""

    id: str
    begun: Beginning | None = None
    changes: tuple[Change, ...] = ()
    """In canonical order. That an order is gone is one bit, whenever it was told."""
    qty: Decimal = ZERO
    """The larger one while a change is pending."""
    early: Decimal = ZERO
    """Filled before its beginning, as far as is known: it may be in what it began with."""
    late: Decimal = ZERO
    """Filled since."""
    is_gone: bool = False
    closed: Decimal = ZERO
    """So much of what was filled before its fills were closed (`past`)."""

    @property
    def filled(self) -> Decimal:
        if self.begun is None or not self.begun.filled:
            return self.early + self.late
        return max(self.early, self.begun.filled) + self.late

    @property
    def remaining(self) -> Decimal:
        if self.begun is None or self.is_gone:
            return ZERO
        return max(ZERO, self.qty - self.filled)

    @property
    def is_overfilled(self) -> bool:
        return self.begun is not None and self.filled > self.qty

    def heard(self, key: Key, event: OrderEvent) -> "Working":
        """After what is told of it."""
        match event:
            case CancelRequest() | Timeout():
                return self  # it counts as before
            case Cancel() | Reject() | Expire():
                return replace(self, is_gone=True)
            case Order():
                return self._begun(key, event)
            case AmendRequest(qty=qty):
                return self._changed(Change(key, "asked", qty))
            case Amend(qty=qty):
                return self._changed(Change(key, "confirmed", qty))
            case AmendReject(qty=refused):
                return self._changed(Change(key, "refused", refused))

    def _begun(self, key: Key, event: Order) -> "Working":
        """Told of twice, it began at the first place."""
        if self.begun is not None and self.begun.key < key:
            return self
        begun = Beginning(key, event.symbol, event.side, event.qty, event.reduce_only, event.filled)
        return replace(self, begun=begun, qty=_most(begun, self.changes))

    def _changed(self, change: Change) -> "Working":
        """It comes after the beginning, whatever the clocks say of it."""
        changes = list(self.changes)
        insort(changes, change, key=_place)
        return replace(self, changes=tuple(changes), qty=_most(self.begun, changes))

    def settled(self) -> "Working":
        """With fewer changes, once there are many: the older are as if told at once."""
        if len(self.changes) < 2 * CHANGES_KEPT:
            return self
        older, newer = self.changes[:-CHANGES_KEPT], self.changes[-CHANGES_KEPT:]
        return replace(self, changes=(*_settled(older), *newer))

    def executed(self, key: Key, qty: Decimal) -> "Working":
        """So much of it was executed; below nothing: was not, after all."""
        is_late = self.begun is not None and key > self.begun.key
        early, late = (self.early, self.late + qty) if is_late else (self.early + qty, self.late)
        return Working(
            self.id, self.begun, self.changes, self.qty, early, late, self.is_gone, self.closed
        )

    def divided(self, fills: Iterable[tuple[Key, Decimal]]) -> "Working":
        """What was filled, divided by where it begins now. These are all of its fills; those that
        are closed came before it."""
        begun, early, late = self.begun, self.closed, ZERO
        for key, qty in fills:
            if begun is not None and key > begun.key:
                late += qty
            else:
                early += qty
        return replace(self, early=early, late=late)


def _settled(changes: Sequence[Change]) -> tuple[Change, ...]:
    """Fewer that come to the same: what was confirmed last, and what is pending since."""
    total, pending = None, list[Change]()
    for change in changes:
        at = _asked([each.qty for each in pending], change.qty)
        if change.kind == "asked":
            pending.append(change)
        elif change.kind == "refused":
            del pending[at : at + 1]
        else:
            total = change.qty
            del pending[: at + 1]
    if total is None:
        return tuple(pending)
    return Change(changes[0].key, "confirmed", total), *pending


def _most(begun: Beginning | None, changes: Iterable[Change]) -> Decimal:
    """The largest quantity that it may have."""
    total, pending = ZERO if begun is None else begun.qty, list[Decimal]()
    for change in changes:
        match change:
            case Change(kind="refused", qty=refused):
                at = _asked(pending, refused)
                del pending[at : at + 1]
            case Change(kind="asked", qty=Decimal() as qty):
                pending.append(qty)
            case Change(kind="confirmed", qty=Decimal() as qty):
                total = qty
                del pending[: _asked(pending, qty) + 1]
    return max([total, *pending])


def _place(change: Change) -> Key:
    return change.key


def _asked(pending: Sequence[Decimal | None], qty: Decimal | None) -> int:
    """Which pending change an answer is to: the one for this quantity, or else the oldest.

    One that is confirmed ends those asked for before it; one that is refused ends itself alone.
    """
    return pending.index(qty) if qty in pending else 0
