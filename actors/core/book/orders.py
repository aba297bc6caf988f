"""Working orders: what remains of each.

An order counts from the event that begins it until it is confirmed gone; asking for its end changes
nothing. One that was dropped, which is said to have never been sent, counts again with whatever is
heard of it later. Of a pending change the larger quantity counts. What remains of it is that less
what was filled, and never below nothing.

A fill in its name that is of another symbol or side is none of its own: nothing of it is gone by
that. Which fills are its own is known once it has begun, however early they came.

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
from .path import Execution, Key

OrderEvent = (
    Order | AmendRequest | Amend | AmendReject | CancelRequest | Timeout | Cancel | Reject | Expire
)
State = Literal["open", "amend_pending", "cancel_pending", "timed_out"]
"""What is waited for, of an order that counts."""


class Beginning(Struct, frozen=True, gc=False, array_like=True):
    """An order as it was told of first, in canonical order."""

    key: Key
    symbol: str
    side: Side
    qty: Decimal
    reduce_only: bool
    filled: Decimal
    """So much of it before this."""


class Stray(Struct, frozen=True, gc=False, array_like=True):
    """So much was filled in the name of an order, and is not known to be its own."""

    symbol: str
    side: Side
    qty: Decimal


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
    is_ended: bool = False
    """The venue has confirmed that it is gone."""
    is_ending: bool = False
    """Its end was asked for."""
    silent: Key | None = None
    """Where an answer was last missed."""
    spoken: Key | None = None
    """Where anything else was last told of it, or it was last filled."""
    strays: tuple[Stray, ...] = ()
    """Of each symbol and side that is not its own; before its beginning, of all."""
    is_dropped: bool = False
    """It was never sent, and nothing says otherwise."""

    @property
    def is_gone(self) -> bool:
        return self.is_ended or self.is_dropped

    def has(self, symbol: str, side: Side) -> bool:
        """Is such a fill in its name its own?"""
        begun = self.begun
        return begun is not None and begun.symbol == symbol and begun.side == side

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
    def least(self) -> Decimal:
        """What remains of it if of a pending change the smaller quantity counts."""
        if self.begun is None or self.is_gone:
            return ZERO
        total, pending = _asked_for(self.begun, self.changes)
        return max(ZERO, min([total, *pending]) - self.filled)

    @property
    def is_overfilled(self) -> bool:
        return self.begun is not None and self.filled > self.qty

    @property
    def state(self) -> State:
        """It counts all the same. A silence is over with whatever is told of the order later."""
        if self.silent is not None and (self.spoken is None or self.spoken < self.silent):
            return "timed_out"
        if self.is_ending:
            return "cancel_pending"
        _, pending = _asked_for(self.begun, self.changes)
        return "amend_pending" if pending else "open"

    def dropped(self) -> "Working":
        """Whoever says so was asked whether anything of it was heard."""
        return replace(self, is_dropped=True)

    def found(self) -> "Working":
        """It is at the venue, or on its way."""
        return replace(self, is_dropped=False) if self.is_dropped else self

    def heard(self, key: Key, event: OrderEvent) -> "Working":
        """After what is told of it."""
        return self._heard(key, event).found()

    def _heard(self, key: Key, event: OrderEvent) -> "Working":
        match event:
            case Timeout():
                return replace(self, silent=_later(self.silent, key))
            case CancelRequest():
                return replace(self, is_ending=True, spoken=_later(self.spoken, key))
            case Cancel() | Reject() | Expire():
                return replace(self, is_ended=True)
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
        spoken = _later(self.spoken, key)
        if self.begun is not None and self.begun.key < key:
            return replace(self, spoken=spoken)
        begun = Beginning(key, event.symbol, event.side, event.qty, event.reduce_only, event.filled)
        qty = _most(begun, self.changes)
        if self.has(begun.symbol, begun.side):
            return replace(self, begun=begun, qty=qty, spoken=spoken)
        early, strays = self._sorted_out(begun)
        return replace(
            self, begun=begun, qty=qty, early=early, late=ZERO, spoken=spoken, strays=strays
        )

    def _sorted_out(self, begun: Beginning) -> tuple[Decimal, tuple[Stray, ...]]:
        """What of all that was filled in its name is its own now, and the rest."""
        strays, old = self.strays, self.begun
        if old is not None:
            strays = _stray(strays, old.symbol, old.side, self.early + self.late)
        rest = tuple(one for one in strays if (one.symbol, one.side) != (begun.symbol, begun.side))
        return sum((one.qty for one in strays if one not in rest), ZERO), rest

    def _changed(self, change: Change) -> "Working":
        """It comes after the beginning, whatever the clocks say of it."""
        changes = list(self.changes)
        insort(changes, change, key=_place)
        qty, spoken = _most(self.begun, changes), _later(self.spoken, change.key)
        return replace(self, changes=tuple(changes), qty=qty, spoken=spoken)

    def settled(self) -> "Working":
        """With fewer changes, once there are many: the older are as if told at once."""
        if len(self.changes) < 2 * CHANGES_KEPT:
            return self
        older, newer = self.changes[:-CHANGES_KEPT], self.changes[-CHANGES_KEPT:]
        return replace(self, changes=(*_settled(self.begun, older), *newer))

    def executed(self, fill: Execution, sign: int) -> "Working":
        """A fill in its name; with sign -1: it never was, after all."""
        key, qty, side = fill.key, abs(fill.signed) * sign, fill.side
        if not self.has(fill.symbol, side):
            spoken = _later(self.spoken, key) if sign > 0 else self.spoken
            strays = _stray(self.strays, fill.symbol, side, qty)
            return replace(self, strays=strays, spoken=spoken).found()
        is_late = self.begun is not None and key > self.begun.key
        early, late = (self.early, self.late + qty) if is_late else (self.early + qty, self.late)
        return Working(
            self.id,
            self.begun,
            self.changes,
            self.qty,
            early,
            late,
            self.is_ended,
            self.is_ending,
            self.silent,
            _later(self.spoken, key) if sign > 0 else self.spoken,
            self.strays,
        )

    def divided(self, fills: Iterable[tuple[Key, Decimal]]) -> "Working":
        """What was filled, divided by where it begins now. These are all of its own fills but those
        that are closed (`past`), which came before it."""
        assert self.begun is not None, "it begins"
        late = sum((qty for key, qty in fills if key > self.begun.key), ZERO)
        return replace(self, early=self.early + self.late - late, late=late)


def _settled(begun: Beginning | None, changes: Sequence[Change]) -> tuple[Change, ...]:
    """Fewer that come to the same: what was confirmed last, and what is pending since."""
    total, pending = _unanswered(begun, changes)
    if all(change.kind != "confirmed" for change in changes):
        return tuple(pending)
    return Change(changes[0].key, "confirmed", total), *pending


def _most(begun: Beginning | None, changes: Iterable[Change]) -> Decimal:
    """The largest quantity that it may have."""
    total, pending = _asked_for(begun, changes)
    return max([total, *pending])


def _asked_for(begun: Beginning | None, changes: Iterable[Change]) -> tuple[Decimal, list[Decimal]]:
    """Its quantity, and those that were asked for and not answered."""
    total, pending = _unanswered(begun, changes)
    return total, [change.qty for change in pending if change.qty is not None]


def _unanswered(begun: Beginning | None, changes: Iterable[Change]) -> tuple[Decimal, list[Change]]:
    """Its quantity, and the changes that wait for an answer.

    An answer is to the change that asked for this quantity. One that is to none of those that wait
    was told before, if it refuses or confirms what is so; else it is to the oldest. What is
    confirmed ends those asked for before it, what is refused ends itself alone.
    """
    total, pending = ZERO if begun is None else begun.qty, list[Change]()
    for change in changes:
        if change.kind == "asked":
            pending.append(change)
            continue
        at = next((at for at, each in enumerate(pending) if each.qty == change.qty), None)
        if change.kind == "refused":
            if at is not None or change.qty is None:
                del pending[at or 0 : (at or 0) + 1]
        elif change.qty is not None:
            if at is not None or change.qty != total:
                del pending[: (at or 0) + 1]
            total = change.qty
    return total, pending


def _stray(strays: tuple[Stray, ...], symbol: str, side: Side, qty: Decimal) -> tuple[Stray, ...]:
    """With so much more."""
    found = []
    for one in strays:
        if (one.symbol, one.side) == (symbol, side):
            qty += one.qty
        else:
            found.append(one)
    return (*found, Stray(symbol, side, qty)) if qty else tuple(found)


def _place(change: Change) -> Key:
    return change.key


def _later(one: Key | None, other: Key) -> Key:
    return other if one is None else max(one, other)
