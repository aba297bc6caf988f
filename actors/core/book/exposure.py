"""The worst that working orders could make of positions, in contracts and in money.

The sums are kept as orders come and go: by symbol the quantities that remain, and over all symbols
what they are worth. So the question whether one order more would be too much costs the same with
one open order and with ten thousand, in one symbol and in ten thousand.
"""

import contextlib
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

import attrs

from ...messages.book import Side
from .numbers import ONE, ZERO, exact
from .orders import Working
from .path import Path
from .worth import Worth


@attrs.define(eq=False)
class Remaining:
    """What remains of the orders of one symbol."""

    buys: Decimal = ZERO
    sells: Decimal = ZERO
    reducing_buys: Decimal = ZERO
    reducing_sells: Decimal = ZERO

    def add(self, side: Side, qty: Decimal, *, reduce_only: bool) -> None:
        if side == "buy":
            if reduce_only:
                self.reducing_buys += qty
            else:
                self.buys += qty
        elif reduce_only:
            self.reducing_sells += qty
        else:
            self.sells += qty

    def worst(self, position: Decimal) -> tuple[Decimal, Decimal]:
        """The longest and the shortest that the position could become. Orders never net."""
        long = position + self.buys
        short = position - self.sells
        if position < 0:
            long += min(self.reducing_buys, -position)
        elif position > 0:
            short -= min(self.reducing_sells, position)
        return long, short


class Weight(NamedTuple):
    """A symbol in money, in the reporting currency. None: a mark or a rate is missing."""

    gross: Decimal | None
    net: Decimal | None
    worst: Decimal | None


NOTHING = Weight(ZERO, ZERO, ZERO)


class Judged(NamedTuple):
    """What one order more would make possible."""

    worst_long: Decimal
    worst_short: Decimal
    worst_gross: Decimal | None
    is_reducing: bool
    """The worst side does not grow."""


class Exposures:
    """Of one account."""

    def __init__(self, worth: Worth) -> None:
        self._worth = worth
        self._remaining: dict[str, Remaining] = {}
        self._weights: dict[str, Weight] = {}
        self._sums = [ZERO, ZERO, ZERO]
        self._unknown = [0, 0, 0]

    def remaining(self, symbol: str) -> Remaining:
        return self._remaining.get(symbol) or Remaining()

    @contextlib.contextmanager
    def changing(self, order: Working) -> Iterator[None]:
        """Keep the sums while an order changes."""
        self._count(order, -1)
        yield
        self._count(order, 1)
        if order.begun is not None:
            path = self._worth.paths.get(order.begun.symbol)
            if path is not None:
                self.weigh(path)

    def _count(self, order: Working, sign: int) -> None:
        begun = order.begun
        if begun is not None:
            left = order.remaining
            if left:
                symbol = self._remaining.setdefault(begun.symbol, Remaining())
                symbol.add(begun.side, left * sign, reduce_only=begun.reduce_only)

    # --- in money

    def weigh(self, path: Path) -> None:
        """A symbol has changed: its position, its orders, its mark or its rate."""
        if self._worth.reporting is not None:
            symbol = path.contract.symbol
            self._put(symbol, self._weight(path, self._remaining.get(symbol)))

    def weigh_all(self, quote: str | None) -> None:
        """All symbols of a quote currency; None: all."""
        for path in self._worth.paths.values():
            if quote is None or path.contract.quote == quote:
                self.weigh(path)

    def _weight(self, path: Path, remaining: Remaining | None) -> Weight:
        contract = path.contract
        qty = path.last.qty
        long, short = (qty, qty) if remaining is None else remaining.worst(qty)
        worst = max(abs(long), abs(short))
        if not qty and not worst:
            return NOTHING
        unit = self._unit(path)
        if unit is None:
            return Weight(None if qty else ZERO, None if qty else ZERO, None if worst else ZERO)
        mark, rate = unit
        each = contract.multiplier * rate * (ONE if contract.is_inverse else mark)
        return Weight(abs(qty * each), qty * each, abs(worst * each))

    def _unit(self, path: Path) -> tuple[Decimal, Decimal] | None:
        """The mark and the rate of a symbol, when both are known."""
        contract = path.contract
        rate = self._worth.rate_now(contract.quote)
        mark = ZERO if contract.is_inverse else self._worth.mark_now(contract.symbol)
        return None if rate is None or mark is None else (mark, rate)

    def _put(self, symbol: str, weight: Weight) -> None:
        old = self._weights.get(symbol, NOTHING)
        if weight is old:
            return
        self._weights[symbol] = weight
        for at, (new, before) in enumerate(zip(weight, old, strict=True)):
            if before is None:
                self._unknown[at] -= 1
            elif before:
                self._sums[at] -= before
            if new is None:
                self._unknown[at] += 1
            elif new:
                self._sums[at] += new

    def total(self) -> Weight:
        """All symbols together."""
        gross, net, worst = (
            None if unknown else total
            for total, unknown in zip(self._sums, self._unknown, strict=True)
        )
        return Weight(gross, net, worst)

    # --- a question

    def judge(self, path: Path, side: Side, qty: Decimal, *, reduce_only: bool = False) -> Judged:
        """What would be possible with one order more. Nothing is changed by asking."""
        with exact():
            symbol, position = path.contract.symbol, path.last.qty
            now = self.remaining(symbol)
            more = attrs.evolve(now)
            more.add(side, qty, reduce_only=reduce_only)
            before, after = now.worst(position), more.worst(position)
            total, old = self.total().worst, self._weights.get(symbol, NOTHING).worst
            new = self._weight(path, more).worst
            known = total is not None and old is not None and new is not None
            return Judged(
                after[0],
                after[1],
                total - old + new if known else None,  # type: ignore[operator]  # all are known
                max(abs(after[0]), abs(after[1])) <= max(abs(before[0]), abs(before[1])),
            )
