"""One instrument's fills in canonical order, and the position after each of them.

Theory
------
A position is walked through fill by fill, because what the rest of it has cost depends on the way
there. Steps are kept on the way; so a fill that comes late, is busted or corrected is put in its
place, and the walk is made again from there on, in this instrument alone.

Beside the walk stand two sums that do not depend on any order: the quantity, and what was spent for
it in all. What they are worth together at a mark is everything that price has ever won or lost; the
walk only says which part of it is realised.

A fee of spot that is taken in the thing itself is paid out of the position: the fill is applied in
full, then so many units leave at its price.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import NamedTuple

from msgspec import UNSET, Struct, UnsetType

from ...messages.book import Side
from .instruments import Contract
from .numbers import ZERO

FillKey = tuple[str, str]
"""A symbol, and the venue's id of an execution."""

Key = tuple[int, int]
"""Where an event stands in canonical order: its time, and when it arrived."""

OrderId = str | None | UnsetType
"""Unset: nothing was said. None: it is of no order."""

Rate = Callable[[str, Key], Decimal | None]
"""Units of the reporting currency for one of this, at that place in canonical order."""


class Execution(Struct, frozen=True, eq=False, gc=False, array_like=True):
    """A fill in the book. There may be millions, and none is part of a ring: the garbage collector
    need not look at them. One that is changed is another one, so that a dump can hold it."""

    key: Key
    id: str
    symbol: str
    signed: Decimal
    """The quantity, negative when sold."""
    price: Decimal
    fee: Decimal
    fee_ccy: str
    order: str | None = None
    """Whose quantity it fills."""
    is_rogue: bool = False
    """It says that it is of no order."""
    told: tuple[Decimal, Decimal, Decimal] | None = None
    """Signed quantity, price and fee as first told, once something else was: what a correction
    leaves out stays so, and a repetition is compared with these too."""
    is_busted: bool = False
    is_adopted: bool = False
    """Part of a position that was adopted: its order has it, the walk has not."""

    @property
    def side(self) -> Side:
        return "buy" if self.signed > 0 else "sell"

    @property
    def is_walked(self) -> bool:
        """It counts in the position, and in what was won."""
        return not (self.is_busted or self.is_adopted)

    @property
    def told_order(self) -> OrderId:
        """The order as it was told: a part of the fill's identity."""
        if self.is_rogue:
            return None
        return UNSET if self.order is None else self.order


class Step(NamedTuple):
    """The position after a fill, all without the multiplier but for the last four."""

    qty: Decimal
    cost: Decimal
    """What the open part was paid for, in the contract's terms."""
    won: Decimal
    """What the closed part has brought."""
    net: Decimal
    """Realised less fees, in the reporting currency, at the rates of the time."""
    fees: Decimal
    """All fees, in the settle currency, at the rates of the time."""
    net_gaps: int
    """So many fills lacked a rate, and are not in `net`."""
    fee_gaps: int
    """The same for `fees`."""


STRIDE = 32
"""One step in so many is kept. The others are walked again when they are asked for: that is rare,
and a step is larger than a fill."""
START = Step(ZERO, ZERO, ZERO, ZERO, ZERO, 0, 0)


class Path:
    """The walk of one instrument."""

    def __init__(self, contract: Contract, rate: Rate) -> None:
        self.contract = contract
        self.base = START
        """Where the walk begins: flat, at an adopted position, or after the fills that are closed
        (`past`)."""
        self.base_key: Key | None = None
        """From where on that position is held."""
        self.is_closed = False
        """There are fills in the base."""
        self.charged: dict[str, Decimal] = {}
        """Their fees, by the currency in which each was charged."""
        self.openings: dict[Key, Step] = {}
        """The steps among them at which the periods under way began."""
        self.offset = 0
        """So many fills of the base come between it and the last step kept before it."""
        self.keys: list[Key] = []
        self.fills: list[Execution] = []
        self.steps: list[Step] = []
        """After each `STRIDE` fills, `offset` included."""
        self.last = START
        """The step after all of them."""
        self.qty = ZERO
        self.spent = ZERO
        """Without the multiplier. Both are of the base and of all fills."""
        self._rate = rate
        self.known: dict[str, Execution | tuple[Execution, ...]] = {}
        """By id, whatever became of them."""

    def moved(self, fill: Execution) -> Decimal:
        """By how much a fill changes the quantity."""
        return fill.signed - fill.fee if fill.fee_ccy == self.contract.in_kind else fill.signed

    def charge(self, fill: Execution) -> tuple[str, Decimal]:
        """What a fee costs, and in which currency. In kind: what the units were sold for."""
        if fill.fee_ccy == self.contract.in_kind:
            return self.contract.settle, fill.fee * fill.price
        return fill.fee_ccy, fill.fee

    # --- changes

    def add(self, fill: Execution) -> Decimal:
        """Put a fill in its place: what it spent, without the multiplier."""
        keys, fills = self.keys, self.fills
        moved = self.moved(fill)
        spent = self.contract.spent(moved, fill.price)
        self.qty += moved
        self.spent += spent
        if not keys or fill.key > keys[-1]:
            keys.append(fill.key)
            fills.append(fill)
            self.last = self._step(self.last, fill)
            if not (len(fills) + self.offset) % STRIDE:
                self.steps.append(self.last)
        else:
            at = bisect_left(keys, fill.key)
            keys.insert(at, fill.key)
            fills.insert(at, fill)
            self._walk(at)
        return spent

    def remove(self, fill: Execution) -> None:
        """As if it had never been."""
        at = bisect_left(self.keys, fill.key)
        assert self.fills[at] is fill, "it is here"
        moved = self.moved(fill)
        self.qty -= moved
        self.spent -= self.contract.spent(moved, fill.price)
        del self.keys[at], self.fills[at]
        self._walk(at)

    def adopt(self, key: Key, qty: Decimal, average: Decimal | None) -> list[Execution]:
        """Begin the walk at a position: the fills that are in it, and so no part of the walk."""
        at = bisect_left(self.keys, (key[0] + 1, 0))
        inside = self.fills[:at]
        del self.keys[:at], self.fills[:at]
        self.base_key = key
        spent = ZERO if average is None else self.contract.spent(qty, average)
        self.base = Step(qty, spent, ZERO, ZERO, ZERO, 0, 0)
        self.is_closed, self.charged, self.openings, self.offset = False, {}, {}, 0
        self.qty, self.spent = qty, spent
        for fill in self.fills:
            moved = self.moved(fill)
            self.qty += moved
            self.spent += self.contract.spent(moved, fill.price)
        self._walk(0)
        return inside

    def again(self, since: Key | None = None) -> None:
        """The walk with the rates as they are known now, from this place on."""
        self._walk(0 if since is None else bisect_left(self.keys, since))

    def _walk(self, begin: int) -> None:
        """From this fill on, or a few before it."""
        offset = self.offset
        del self.steps[(begin + offset) // STRIDE :]
        steps, make = self.steps, self._step
        step = steps[-1] if steps else self.base
        done = len(steps) * STRIDE - offset if steps else 0
        for at, fill in enumerate(self.fills[done:], done + offset + 1):
            step = make(step, fill)
            if not at % STRIDE:
                steps.append(step)
        self.last = step

    def close(self, place: Key, begins: Iterable[Key]) -> int:
        """Fold all fills up to a place into the base, and know them no more: so many are gone.
        `begins`: where the periods under way began."""
        at = bisect_right(self.keys, place)
        end = self.keys[at - 1] if at else self.base_key
        found = {begin: self.before(begin) for begin in begins if end is not None and begin <= end}
        self.openings = {begin: step for begin, step in found.items() if step is not None}
        if at:
            (self.charged,) = self.charges([place])
            self.base, self.base_key, self.is_closed = self._after(at), end, True
            del self.steps[: (at + self.offset) // STRIDE]
            del self.keys[:at], self.fills[:at]
            self.offset = (at + self.offset) % STRIDE
        return self._forget(place)

    def _step(self, before: Step, fill: Execution) -> Step:
        contract, fee = self.contract, fill.fee
        qty, cost, won, net, fees, net_gaps, fee_gaps = before
        qty, cost, won = _moved(contract, qty, cost, won, fill.signed, fill.price)
        charged, settle = ZERO, contract.settle
        if fee:
            if fill.fee_ccy == contract.in_kind:
                qty, cost, won = _moved(contract, qty, cost, won, -fee, fill.price)
            currency, charge = self.charge(fill)
            if currency == settle:
                charged = charge
                fees += charge
            else:
                rate, unit = self._rate(currency, fill.key), self._rate(settle, fill.key)
                if rate is None or not unit:
                    fee_gaps += 1
                else:
                    fees += charge * rate / unit
                if rate is None:
                    return Step(qty, cost, won, net, fees, net_gaps + 1, fee_gaps)
                net -= charge * rate
        gained = won - before.won
        if gained or charged:
            rate = self._rate(settle, fill.key)
            if rate is None:
                net_gaps += 1
            else:
                net += (gained * contract.multiplier - charged) * rate
        return Step(qty, cost, won, net, fees, net_gaps, fee_gaps)

    # --- identity

    def find(self, fill_id: str, order: OrderId) -> Execution | None:
        """The fill with this identity, gone or not."""
        if fill_id not in self.known:
            return None
        return next((fill for fill in self.all_of(fill_id) if fill.told_order == order), None)

    def all_of(self, fill_id: str) -> tuple[Execution, ...]:
        """All fills with this id, each of another order."""
        known = self.known.get(fill_id, ())
        return known if isinstance(known, tuple) else (known,)

    def know(self, fill: Execution) -> None:
        """It was told, and is never counted twice. Nearly always it is alone with its id."""
        if fill.id in self.known:
            self.known[fill.id] = (*self.all_of(fill.id), fill)
        else:
            self.known[fill.id] = fill

    def told(self) -> Iterator[Execution]:
        """All of them, whatever became of them."""
        for known in self.known.values():
            if isinstance(known, tuple):
                yield from known
            else:
                yield known

    def _forget(self, place: Key) -> int:
        """All fills up to a place: so many."""
        gone = [fill for fill in self.told() if fill.key <= place]
        known = self.known
        for fill in gone:
            same = known.pop(fill.id)
            if isinstance(same, tuple):
                others = tuple(each for each in same if each is not fill)
                known[fill.id] = others if len(others) > 1 else others[0]
        return len(gone)

    def renew(self, old: Execution, new: Execution) -> None:
        """The same fill, changed."""
        known = self.all_of(old.id)
        self.known[old.id] = (
            new if len(known) == 1 else tuple(new if each is old else each for each in known)
        )

    # --- questions

    def before(self, key: Key) -> Step | None:
        """The step in force just before this place in canonical order. None: that is closed, and
        nobody knows any more."""
        if self.is_closed and self.base_key is not None and key <= self.base_key:
            return self.openings.get(key)
        return self._after(bisect_left(self.keys, key))

    def charges(self, places: Iterable[Key]) -> Iterator[dict[str, Decimal]]:
        """All fees up to each of these places, which come in order, by their currency."""
        sums, begin = self.charged.copy(), 0
        for place in places:
            end = bisect_right(self.keys, place)
            for fill in self.fills[begin:end]:
                if fill.fee:
                    ccy, charge = self.charge(fill)
                    sums[ccy] = sums.get(ccy, ZERO) + charge
            begin = end
            yield sums.copy()

    def _after(self, count: int) -> Step:
        """The step after so many fills: from the last one kept, on foot."""
        if count == len(self.fills):
            return self.last
        kept = (count + self.offset) // STRIDE
        step = self.steps[kept - 1] if kept else self.base
        for fill in self.fills[kept * STRIDE - self.offset if kept else 0 : count]:
            step = self._step(step, fill)
        return step

    def quantities(self, since: Key) -> Iterator[tuple[Key, Decimal]]:
        """The quantity at this place, and each time that it changes later."""
        at = bisect_left(self.keys, since)
        qty = self._after(at).qty
        if not at and self.base_key is not None and since < self.base_key:
            yield since, ZERO
            yield self.base_key, qty
        else:
            yield since, qty
        for fill in self.fills[at:]:
            qty += self.moved(fill)
            yield fill.key, qty

    def value(self, mark: Decimal | None) -> Decimal:
        """What price has won or lost in all. Without a mark: what is spent and what came back."""
        contract = self.contract
        worth = contract.worth(self.qty, mark) if mark is not None and self.qty else ZERO
        return contract.multiplier * (worth - self.spent)

    def unrealised(self, mark: Decimal | None) -> Decimal | None:
        """Of the open part, at the mark. Flat: nothing, mark or no mark. None: there is no mark."""
        qty, cost = self.last.qty, self.last.cost
        if not qty:
            return ZERO
        if mark is None:
            return None
        return self.contract.multiplier * (self.contract.worth(qty, mark) - cost)


def _moved(
    contract: Contract, qty: Decimal, cost: Decimal, won: Decimal, signed: Decimal, price: Decimal
) -> tuple[Decimal, Decimal, Decimal]:
    """Quantity, cost and winnings after so many contracts more, at a price."""
    spent = contract.spent(signed, price)
    if not qty or (qty > 0) == (signed > 0):
        return qty + signed, cost + spent, won
    left = qty + signed
    if not left:
        return ZERO, ZERO, won - cost - spent
    if (left > 0) == (qty > 0):
        part = cost * -signed / qty
        return left, cost - part, won - part - spent
    return left, contract.spent(left, price), won - cost - contract.spent(-qty, price)
