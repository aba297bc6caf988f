"""One instrument's fills in canonical order, and the position after each of them.

Theory
------
A position is walked through fill by fill, because what the rest of it has cost depends on the way
there. Each step is kept beside its fill; so a fill that comes late, is busted or corrected is put
in its place, and the walk is made again from there on, in this instrument alone.

Beside the walk stand two sums that do not depend on any order: the quantity, and what was spent for
it in all. What they are worth together at a mark is everything that price has ever won or lost; the
walk only says which part of it is realised.

A fee of spot that is taken in the thing itself is paid out of the position: the fill is applied in
full, then so many units leave at its price.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import NamedTuple

import attrs

from .instruments import Contract
from .numbers import ZERO

Key = tuple[int, int]
"""Where an event stands in canonical order: its time, and when it arrived."""

Rate = Callable[[str, Key], Decimal | None]
"""Units of the reporting currency for one of this, at that place in canonical order."""


@attrs.define(eq=False)
class Execution:
    """A fill in the book."""

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
    told: tuple[Decimal, Decimal, Decimal] = (ZERO, ZERO, ZERO)
    """Signed quantity, price and fee as first told: what a correction leaves out stays so, and a
    repetition is compared with these."""
    is_gone: bool = False
    """Busted, or part of a position that was adopted."""


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


START = Step(ZERO, ZERO, ZERO, ZERO, ZERO, 0, 0)


class Path:
    """The walk of one instrument."""

    def __init__(self, contract: Contract, rate: Rate) -> None:
        self.contract = contract
        self.base = START
        """Where the walk begins: flat, or at an adopted position."""
        self.base_key: Key | None = None
        """From where on that position is held."""
        self.keys: list[Key] = []
        self.fills: list[Execution] = []
        self.steps: list[Step] = []
        self.qty = ZERO
        self.spent = ZERO
        """Without the multiplier. Both are of the base and of all fills."""
        self._rate = rate

    @property
    def last(self) -> Step:
        return self.steps[-1] if self.steps else self.base

    def moved(self, fill: Execution) -> Decimal:
        """By how much a fill changes the quantity."""
        return fill.signed - fill.fee if self.pays_in_kind(fill) else fill.signed

    def pays_in_kind(self, fill: Execution) -> bool:
        """Is its fee taken out of the position?"""
        contract = self.contract
        return contract.kind == "spot" and fill.fee_ccy == contract.base and bool(fill.fee)

    def charge(self, fill: Execution) -> tuple[str, Decimal]:
        """What a fee costs, and in which currency. In kind: what the units were sold for."""
        if self.pays_in_kind(fill):
            return self.contract.settle, fill.fee * fill.price
        return fill.fee_ccy, fill.fee

    # --- changes

    def add(self, fill: Execution) -> None:
        """Put a fill in its place."""
        keys = self.keys
        self._sum(fill, 1)
        if not keys or fill.key > keys[-1]:
            keys.append(fill.key)
            self.fills.append(fill)
            self.steps.append(self._step(self.last, fill))
        else:
            at = bisect_left(keys, fill.key)
            keys.insert(at, fill.key)
            self.fills.insert(at, fill)
            self._walk(at)

    def remove(self, fill: Execution) -> None:
        """As if it had never been."""
        at = bisect_left(self.keys, fill.key)
        assert self.fills[at] is fill, "it is here"
        self._sum(fill, -1)
        del self.keys[at], self.fills[at]
        self._walk(at)

    def adopt(self, key: Key, qty: Decimal, average: Decimal | None) -> None:
        """Begin the walk at a position. Whoever calls has removed the fills that are in it."""
        self.base_key = key
        spent = ZERO if average is None else self.contract.spent(qty, average)
        self.qty += qty - self.base.qty
        self.spent += spent - self.base.cost
        self.base = Step(qty, spent, ZERO, ZERO, ZERO, 0, 0)
        self._walk(0)

    def again(self) -> None:
        """The walk with the rates as they are known now."""
        self._walk(0)

    def _sum(self, fill: Execution, sign: int) -> None:
        moved = self.moved(fill) * sign
        self.qty += moved
        self.spent += self.contract.spent(moved, fill.price)

    def _walk(self, begin: int) -> None:
        step = self.steps[begin - 1] if begin else self.base
        del self.steps[begin:]
        steps, make = self.steps, self._step
        for fill in self.fills[begin:]:
            step = make(step, fill)
            steps.append(step)

    def _step(self, before: Step, fill: Execution) -> Step:
        contract = self.contract
        qty, cost, won = _moved(
            contract, before.qty, before.cost, before.won, fill.signed, fill.price
        )
        if self.pays_in_kind(fill):
            qty, cost, won = _moved(contract, qty, cost, won, -fill.fee, fill.price)
        _, _, _, net, fees, net_gaps, fee_gaps = before
        currency, charge = (fill.fee_ccy, fill.fee) if fill.fee else (contract.settle, ZERO)
        if fill.fee:
            currency, charge = self.charge(fill)
        gained = (won - before.won) * contract.multiplier
        if gained or charge:
            booked = self._booked(gained, currency, charge, fill.key)
            if booked is None:
                net_gaps += 1
            else:
                net += booked
        if charge:
            settled = self._settled(currency, charge, fill.key)
            if settled is None:
                fee_gaps += 1
            else:
                fees += settled
        return Step(qty, cost, won, net, fees, net_gaps, fee_gaps)

    def _booked(self, gained: Decimal, currency: str, charge: Decimal, key: Key) -> Decimal | None:
        """What a fill has brought, in the reporting currency."""
        total = ZERO
        if gained:
            rate = self._rate(self.contract.settle, key)
            if rate is None:
                return None
            total = gained * rate
        if charge:
            rate = self._rate(currency, key)
            if rate is None:
                return None
            total -= charge * rate
        return total

    def _settled(self, currency: str, charge: Decimal, key: Key) -> Decimal | None:
        """A charge in the settle currency."""
        settle = self.contract.settle
        if currency == settle:
            return charge
        rate, unit = self._rate(currency, key), self._rate(settle, key)
        return None if rate is None or not unit else charge * rate / unit

    # --- questions

    def before(self, key: Key) -> Step:
        """The step in force just before this place in canonical order."""
        at = bisect_left(self.keys, key)
        return self.steps[at - 1] if at else self.base

    def quantities(self, since: Key) -> Iterator[tuple[Key, Decimal]]:
        """The quantity at this place, and each time that it changes later."""
        at = bisect_left(self.keys, since)
        if not at and self.base_key is not None and since < self.base_key:
            yield since, ZERO
            yield self.base_key, self.base.qty
        else:
            yield since, (self.steps[at - 1] if at else self.base).qty
        for key, step in zip(self.keys[at:], self.steps[at:], strict=True):
            yield key, step.qty

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
