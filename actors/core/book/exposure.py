"""The worst that working orders could make of positions, in contracts and in money.

The sums are kept as orders come and go: by symbol the quantities that remain, and over all symbols
what they are worth. So the question whether one order more would be too much costs the same with
one open order and with ten thousand, in one symbol and in ten thousand.
"""

from decimal import Decimal, getcontext, setcontext
from typing import NamedTuple

import attrs

from ...messages.book import Side
from .numbers import CONTEXT, ONE, ZERO
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
        """The longest and the shortest that the position could become. Orders never net.

        The longest is never below the shortest, so the larger of it and of the other's negative is
        the larger in size.
        """
        long = position + self.buys
        short = position - self.sells
        if position < 0:
            if self.reducing_buys:
                long += min(self.reducing_buys, -position)
        elif self.reducing_sells:
            short -= min(self.reducing_sells, position)
        return long, short


class Weight(NamedTuple):
    """A symbol in money, in the reporting currency. None: a mark or a rate is missing."""

    gross: Decimal | None
    net: Decimal | None
    worst: Decimal | None
    """None whenever one of the others is."""


NOTHING = Weight(ZERO, ZERO, ZERO)


@attrs.define(eq=False)
class Standing:
    """One symbol, as it is in the sums."""

    remaining: Remaining = attrs.field(factory=Remaining)
    each: Decimal | None = None
    """What one contract is worth, in the reporting currency."""
    weight: Weight = NOTHING


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
        self.working: dict[str, Working] = {}
        """The orders of which something remains."""
        self.standings: dict[str, Standing] = {}
        self.gross = self.net = self.worst = ZERO
        """Of all symbols of which they are known."""
        self.unknown = [0, 0, 0]
        """So many symbols of which each is not."""

    def remaining(self, symbol: str) -> Remaining:
        standing = self.standings.get(symbol)
        return Remaining() if standing is None else standing.remaining

    def leave(self, order: Working) -> None:
        """Take an order out of the sums, before it changes. Whoever calls weighs its symbol."""
        self._count(order, -1)

    def enter(self, order: Working) -> None:
        """Put it back as it is now."""
        if self._count(order, 1):
            self.working[order.id] = order
        else:
            self.working.pop(order.id, None)

    def _count(self, order: Working, sign: int) -> bool:
        """True: something of it remains."""
        begun = order.begun
        left = order.remaining
        if begun is None or not left:
            return False
        standing = self._standing(begun.symbol)
        standing.remaining.add(begun.side, left * sign, reduce_only=begun.reduce_only)
        return True

    def _standing(self, symbol: str) -> Standing:
        standing = self.standings.get(symbol)
        if standing is None:
            path = self._worth.paths[symbol]
            standing = self.standings[symbol] = Standing(each=self._each(path))
        return standing

    # --- in money

    def weigh(self, path: Path) -> None:
        """The position or the orders of a symbol have changed."""
        if self._worth.reporting is None:
            return
        standing = self._standing(path.contract.symbol)
        qty, each = path.last.qty, standing.each
        long, short = standing.remaining.worst(qty)
        worst = max(long, -short)
        if not qty and not worst:
            weight = NOTHING
        elif each is None:
            weight = Weight(None if qty else ZERO, None if qty else ZERO, None)
        else:
            net = qty * each
            weight = Weight(abs(net), net, abs(worst * each))
        old, standing.weight = standing.weight, weight
        if old.worst is None or weight.worst is None:
            for at, (new, before) in enumerate(zip(weight, old, strict=True)):
                self.unknown[at] += (new is None) - (before is None)
        self.gross += (weight.gross or ZERO) - (old.gross or ZERO)
        self.net += (weight.net or ZERO) - (old.net or ZERO)
        self.worst += (weight.worst or ZERO) - (old.worst or ZERO)

    def reprice(self, path: Path) -> None:
        """Its mark has changed, or its rate."""
        self._standing(path.contract.symbol).each = self._each(path)
        self.weigh(path)

    def reprice_all(self, quote: str | None) -> None:
        """All symbols of a quote currency; None: all."""
        for path in self._worth.paths.values():
            if quote is None or path.contract.quote == quote:
                self.reprice(path)

    def _each(self, path: Path) -> Decimal | None:
        """What one contract is worth. None: the mark or the rate is not known."""
        contract = path.contract
        rate = self._worth.rate_now(contract.quote)
        mark = ONE if contract.is_inverse else self._worth.mark_now(contract.symbol)
        return None if rate is None or mark is None else contract.multiplier * rate * mark

    def total(self) -> Weight:
        """All symbols together."""
        gross, net, worst = self.unknown
        return Weight(
            None if gross else self.gross,
            None if net else self.net,
            None if worst else self.worst,
        )

    # --- a question

    def judge(self, path: Path, side: Side, qty: Decimal, *, reduce_only: bool = False) -> Judged:
        """What would be possible with one order more. Nothing is changed by asking."""
        before = getcontext()
        setcontext(CONTEXT)  # as `exact`, which would take a tenth of the time that there is
        try:
            standing = self.standings.get(path.contract.symbol)
            if standing is None:
                standing = Standing(each=self._each(path))
            position, now = path.last.qty, standing.remaining
            long, short = now.worst(position)
            widest = max(long, -short)
            if reduce_only:
                more = attrs.evolve(now)
                more.add(side, qty, reduce_only=True)
                long, short = more.worst(position)
            elif side == "buy":
                long += qty
            else:
                short -= qty
            worst, old = max(long, -short), standing.weight.worst
            each = standing.each if worst else ZERO
            gross = None
            if not self.unknown[2] and old is not None and each is not None:
                gross = self.worst - old + abs(worst * each)
            return Judged(long, short, gross, worst <= widest)
        finally:
            setcontext(before)
