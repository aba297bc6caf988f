"""The worst that working orders could make of positions, in contracts and in money.

The sums are kept as orders come and go: by symbol the quantities that remain, and over all symbols
what they are worth, how many contracts they are, and in how many symbols there are any. So the
question whether one order more would be too much costs the same with one open order and with ten
thousand, in one symbol and in ten thousand.

The same is kept of what a usual day's move of each symbol would cost (`swing`). It is rounded up to
a number of places, symbol by symbol, so that their sum is exact and need not be put away.
"""

from collections.abc import Callable, Iterator
from decimal import ROUND_UP, Decimal, getcontext, setcontext
from enum import IntEnum
from typing import NamedTuple

import attrs
from msgspec import Struct

from ...messages.book import Order, Side
from .numbers import CONTEXT, ONE, ZERO, exact
from .orders import Beginning, Working
from .path import Path
from .stalest import Stalest
from .worth import Worth

SWING_STEP = Decimal("1e-8")
SWING_DIGITS_MAX = 30
"""Before the point. What is more is not known."""
AGES_MAX = 16
"""Of marks that are too old: for so many it is kept when one will be."""


@attrs.define(eq=False)
class Remaining:
    """What remains of the orders of one symbol."""

    buys: Decimal = ZERO
    sells: Decimal = ZERO
    reducing_buys: Decimal = ZERO
    reducing_sells: Decimal = ZERO
    orders: int = 0
    """So many of them have anything to go."""

    @property
    def total(self) -> Decimal:
        """All that remains, in whatever direction."""
        return self.buys + self.sells + self.reducing_buys + self.reducing_sells

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
    """In money, in the reporting currency. None: a mark or a rate is missing."""

    gross: Decimal | None
    net: Decimal | None
    worst: Decimal | None
    """None whenever one of the others is."""
    high: Decimal | None
    """The most that it could be worth, short positions below nothing; and the least."""
    low: Decimal | None


NOTHING = Weight(ZERO, ZERO, ZERO, ZERO, ZERO)


class Contracts(NamedTuple):
    """In contracts, which are always known. `gross`: the worst side of each symbol."""

    gross: Decimal
    long: Decimal
    short: Decimal


NO_CONTRACTS = Contracts(ZERO, ZERO, ZERO)


class Blank(IntEnum):
    """What of a symbol can't be told in money."""

    NOTHING = 0
    WORST = 1
    """What its orders could make of it; it has no position."""
    ALL = 2


@attrs.define(eq=False)
class Standing:
    """One symbol, as it is in the sums. What can't be told in money is not in them."""

    remaining: Remaining = attrs.field(factory=Remaining)
    each: Decimal | None = None
    """What one contract is worth, in the reporting currency."""
    long: Decimal = ZERO
    short: Decimal = ZERO
    blank: Blank = Blank.NOTHING
    gross: Decimal = ZERO
    net: Decimal = ZERO
    worst: Decimal = ZERO
    up: Decimal = ZERO
    """So much more than `net` it could be worth with its orders, and so much less."""
    down: Decimal = ZERO
    widest: Decimal = ZERO
    """The larger of the two sides, in size."""
    open_worth: Decimal | None = ZERO
    """What remains of its orders is worth so much. None: not known."""
    swing: Decimal = ZERO
    """What the wider side moves by in a day. Nothing, if that is not known."""
    is_unmeasured: bool = False
    """There is a side, and it is not known."""


class Sums(Struct, array_like=True):
    """The same of all symbols together."""

    gross: Decimal = ZERO
    net: Decimal = ZERO
    worst: Decimal = ZERO
    up: Decimal = ZERO
    down: Decimal = ZERO
    contracts: Decimal = ZERO
    """The wider side of each."""
    long: Decimal = ZERO
    short: Decimal = ZERO
    open_count: int = 0
    """So many symbols in which there is a position, or could be one."""
    blank_positions: int = 0
    """So many of which they can't be told."""
    blank_worsts: int = 0
    orders: int = 0
    """So many have anything to go."""
    open_worth: Decimal = ZERO
    """What remains of them is worth so much, where it is known."""
    blank_orders: int = 0
    """So many symbols of which it is not."""


def _blank(qty: Decimal, long: Decimal, short: Decimal) -> Blank:
    """Without a mark or a rate. Nothing is worth nothing."""
    if qty:
        return Blank.ALL
    return Blank.WORST if long or short else Blank.NOTHING


def _weight(of: Standing | Sums, blank: Blank) -> Weight:
    """What is known of it."""
    if blank is Blank.NOTHING:
        return Weight(of.gross, of.net, of.worst, of.net + of.up, of.net - of.down)
    if blank is Blank.WORST:
        return Weight(of.gross, of.net, None, None, None)
    return Weight(None, None, None, None, None)


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
        self.sums = Sums()
        self.volatility: Callable[[str], Decimal | None] = lambda _symbol: None
        """Such a part of its price a symbol moves in a day. None: it is not known."""
        self._swing = ZERO
        """Of all symbols, where it is known."""
        self._unmeasured = 0
        """So many of which it is not."""
        self._swayed: dict[str, None] = {}
        """Symbols of which it may have changed since anybody asked."""
        self._stalest: dict[tuple[float, bool], Stalest] = {}
        """By the age that is too much."""

    def remaining(self, symbol: str) -> Remaining:
        standing = self.standings.get(symbol)
        return Remaining() if standing is None else standing.remaining

    def each(self, symbol: str) -> Decimal | None:
        """What one contract is worth, in the reporting currency. None: it is not known."""
        standing = self.standings.get(symbol)
        return None if standing is None else standing.each

    def leave(self, order: Working) -> None:
        """Take an order out of the sums, before it changes. Whoever calls weighs its symbol."""
        self._count(order, -1)

    def enter(self, order: Working) -> None:
        """Put it back as it is now."""
        if self._count(order, 1):
            self.working[order.id] = order
        else:
            self.working.pop(order.id, None)

    def lend(self, path: Path, order: Order | Beginning, before: Decimal, now: Decimal) -> None:
        """So much remained of an order that is none of this book's own, and remains."""
        remaining = self._standing(path.contract.symbol).remaining
        remaining.add(order.side, now - before, reduce_only=order.reduce_only)
        more = bool(now) - bool(before)
        remaining.orders += more
        self.sums.orders += more
        self.stretch(path)

    def _count(self, order: Working, sign: int) -> bool:
        """True: something of it remains."""
        begun = order.begun
        left = order.remaining
        if begun is None or not left:
            return False
        remaining = self._standing(begun.symbol).remaining
        remaining.add(begun.side, left * sign, reduce_only=begun.reduce_only)
        remaining.orders += sign
        self.sums.orders += sign
        return True

    def _standing(self, symbol: str) -> Standing:
        standing = self.standings.get(symbol)
        if standing is None:
            path = self._worth.paths[symbol]
            standing = self.standings[symbol] = Standing(each=self._each(path))
        return standing

    # --- in money

    def stretch(self, path: Path) -> None:
        """The orders of a symbol have changed, and nothing else: it could go farther, or not so
        far. What comes by the thousand is weighed no more than it has to be."""
        standing = self._standing(path.contract.symbol)
        each = standing.each
        if each is None or standing.blank or self._worth.reporting is None:
            self.weigh(path)
            return
        qty = path.last.qty
        long, short = standing.remaining.worst(qty)
        if long != standing.long or short != standing.short:
            self._stretch(path.contract.symbol, standing, long, short)
            self._reach(standing, long - qty, qty - short, each)
            self._swayed[path.contract.symbol] = None
        self._weigh_orders(standing)

    def weigh(self, path: Path) -> None:
        """The position or the orders of a symbol have changed."""
        if self._worth.reporting is None:
            return
        standing, sums = self._standing(path.contract.symbol), self.sums
        qty, each = path.last.qty, standing.each
        long, short = standing.remaining.worst(qty)
        if long != standing.long or short != standing.short:
            self._stretch(path.contract.symbol, standing, long, short)
        blank = _blank(qty, long, short) if each is None else Blank.NOTHING
        if blank is not standing.blank:
            self._mind(standing, blank)
        net = ZERO if each is None else qty * each
        gross = abs(net)
        if net != standing.net:
            sums.gross += gross - standing.gross
            sums.net += net - standing.net
            standing.gross, standing.net = gross, net
        self._reach(standing, long - qty, qty - short, each or ZERO)
        self._swayed[path.contract.symbol] = None
        if standing.remaining.orders or standing.open_worth != ZERO:
            self._weigh_orders(standing)

    def _reach(self, standing: Standing, longer: Decimal, shorter: Decimal, each: Decimal) -> None:
        """By how much more its orders could make it, and by how much less, in money."""
        sums, net = self.sums, standing.net
        up = longer * each if longer else ZERO
        down = shorter * each if shorter else ZERO
        if each < 0:
            up, down = -down, -up
        if up != standing.up:
            sums.up += up - standing.up
            standing.up = up
        if down != standing.down:
            sums.down += down - standing.down
            standing.down = down
        worst = max(standing.gross, net + up, down - net)
        if worst != standing.worst:
            sums.worst += worst - standing.worst
            standing.worst = worst

    def _weigh_orders(self, standing: Standing) -> None:
        """Of these alone, whatever the position is. Nothing is netted."""
        old, now, each = standing.open_worth, standing.remaining, standing.each
        worth: Decimal | None = ZERO
        if now.orders:
            worth = None if each is None else now.total * abs(each)
        standing.open_worth = worth
        self.sums.blank_orders += (worth is None) - (old is None)
        self.sums.open_worth += (worth or ZERO) - (old or ZERO)

    def _stretch(self, symbol: str, standing: Standing, long: Decimal, short: Decimal) -> None:
        """It could go so far now, in contracts."""
        sums, old, widest = self.sums, standing.widest, -short
        if long > widest:
            widest = long
        if widest != old:
            sums.contracts += widest - old
            if not widest or not old:
                sums.open_count += 1 if widest else -1
                for one in self._stalest.values():
                    if widest:
                        one.expose(symbol)
                    else:
                        one.conceal(symbol)
            standing.widest = widest
        sums.long += long - standing.long
        sums.short += short - standing.short
        standing.long, standing.short = long, short

    def _mind(self, standing: Standing, blank: Blank) -> None:
        """So much of it can't be told in money."""
        self.sums.blank_positions += (blank is Blank.ALL) - (standing.blank is Blank.ALL)
        self.sums.blank_worsts += bool(blank) - bool(standing.blank)
        standing.blank = blank

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
        blank = Blank.WORST if self.sums.blank_worsts else Blank.NOTHING
        if self.sums.blank_positions:
            blank = Blank.ALL
        return _weight(self.sums, blank)

    @property
    def worst(self) -> Decimal | None:
        """The worst of all symbols together, as `total` has it."""
        return None if self.sums.blank_worsts else self.sums.worst

    def of(self, symbol: str) -> Weight:
        """One symbol."""
        standing = self.standings.get(symbol)
        return NOTHING if standing is None else _weight(standing, standing.blank)

    def contracts(self) -> Contracts:
        """All symbols together."""
        sums = self.sums
        return Contracts(sums.contracts, sums.long, sums.short)

    def contracts_of(self, symbol: str) -> Contracts:
        """One symbol."""
        standing = self.standings.get(symbol)
        if standing is None:
            return NO_CONTRACTS
        return Contracts(standing.widest, standing.long, standing.short)

    def working_in(self, symbol: str) -> int:
        """So many orders in it have anything to go."""
        standing = self.standings.get(symbol)
        return 0 if standing is None else standing.remaining.orders

    def open_worth(self, symbol: str | None = None) -> Decimal | None:
        """What remains of all orders is worth so much: of a symbol's, or of all. None: a mark or a
        rate is missing."""
        if symbol is None:
            return None if self.sums.blank_orders else self.sums.open_worth
        standing = self.standings.get(symbol)
        return ZERO if standing is None else standing.open_worth

    # --- what a day's move would cost

    def sway(self, symbol: str) -> None:
        """A symbol may move by another amount than it did, or there is another amount of it. It is
        reckoned when somebody asks: the sums are of whole steps, so that it does not matter when.
        """
        self._swayed[symbol] = None

    def sway_all(self) -> None:
        """Nothing of it is put away with the book: it is found anew."""
        self._swayed.update(dict.fromkeys(self.standings))

    def _reckon_swings(self) -> None:
        with exact():
            for symbol in self._swayed:
                standing = self.standings.get(symbol)
                if standing is not None:
                    self._reckon_swing(symbol, standing)
        self._swayed.clear()

    def _reckon_swing(self, symbol: str, standing: Standing) -> None:
        part = self.volatility(symbol) if standing.widest else None
        swing: Decimal | None = ZERO if not standing.widest else None
        if part is not None:
            unrounded = standing.worst * part
            if unrounded.adjusted() < SWING_DIGITS_MAX:
                swing = unrounded.quantize(SWING_STEP, ROUND_UP)
        self._unmeasured += (swing is None) - standing.is_unmeasured
        self._swing += (swing or ZERO) - standing.swing
        standing.swing, standing.is_unmeasured = swing or ZERO, swing is None

    def swing_of(self, symbol: str | None) -> Decimal | None:
        """In money: of a symbol's worst side, or of all together, as if no two of them ever moved
        against each other. None: of something it is not known."""
        if self._swayed:
            self._reckon_swings()
        if symbol is None:
            return None if self._unmeasured or self.sums.blank_worsts else self._swing
        standing = self.standings.get(symbol)
        if standing is None:
            return ZERO
        return None if standing.is_unmeasured or standing.blank else standing.swing

    def stalest(self, max_age_s: float, *, none_is_old: bool = True) -> Stalest:
        """Who knows whether a mark of something that is here is older."""
        key = (max_age_s, none_is_old)
        found = self._stalest.get(key)
        if found is None:
            if len(self._stalest) >= AGES_MAX:
                self._stalest.clear()
            found = Stalest(max_age_s, self._exposed, none_is_old=none_is_old)
            self._stalest[key] = found
        return found

    def forget_ages(self) -> None:
        """A mark is older than it was: what was seen of any is not so any more."""
        self._stalest.clear()

    def _exposed(self) -> Iterator[str]:
        return (symbol for symbol, each in self.standings.items() if each.widest)

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
            worst = max(long, -short)
            each = standing.each if worst else ZERO
            gross = None
            if not self.sums.blank_worsts and each is not None:
                gross = self.sums.worst - standing.worst + abs(worst * each)
            return Judged(long, short, gross, worst <= widest)
        finally:
            setcontext(before)
