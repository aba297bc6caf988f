"""How much each symbol moves in a day, by its marks.

Theory
------
Time is cut into slots of `GRID`. The first mark of each slot is a sample; from one sample to the
next there is a return, and the mean of their squares, in which what is old weighs less and less, is
the variance of a slot. The root of it, times that of the slots of a day, is the volatility: such a
part of its price a symbol usually moves in a day.

It is a sum of floats, made with nothing but + - * / and the root, which give the same bits on every
machine. What leaves here is an exact number, rounded up.

A return over several slots counts as that of one of them. One over more than `GAP_MAX`, and one
after the clock was set back, counts whole: a jump after a silence is a jump. Before there are
`SAMPLES_MIN` returns nothing is known, and nothing is of a price that moves by more than
`MOST` of itself in a day. From 0 there is no return: a price of 0 begins anew.

Marks that are told to one account alone make a volatility of their own, and the larger counts.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import ceil, sqrt

from msgspec import Struct

from .book.numbers import exact

GRID = timedelta(minutes=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_SLOTS = 1_440
HALF_LIFE = 360
"""Slots: a return from so long ago weighs half of the newest."""
WEIGHT = 0.6931471805599453 / HALF_LIFE
"""Of the newest, once there are so many that it is less than its share of all."""
SAMPLES_MIN = 30
"""Returns: as far as anything can be said of a spread, from so many on."""
GAP_MAX = 15
"""Slots."""
MOST = 100
"""Of its price. What moves more is not a price that a limit could go by."""
PLACES = 8
"""After the point."""
FOLLOWED_MAX = 40_000
"""So many symbols, those of single accounts counted apart. Of one more nothing is known."""


class Swing(Struct, array_like=True):
    """Of one symbol, in the marks of one account or, with "", in those told to all."""

    account: str
    symbol: str
    slot: int
    last: float
    variance: float = 0.0
    samples: int = 0

    def sample(self, slot: int, level: float) -> None:
        """The first mark of a slot."""
        ahead, last = slot - self.slot, self.last
        self.slot, self.last = slot, level
        if not last:
            self.variance, self.samples = 0.0, 0
            return
        moved = (level - last) / last
        slots = ahead if 0 < ahead <= GAP_MAX else 1
        self.samples += 1
        weight = max(1.0 / self.samples, WEIGHT)
        self.variance += weight * (moved * moved / slots - self.variance)

    def daily(self) -> Decimal | None:
        """Such a part of its price. None: it is not known."""
        if self.samples < SAMPLES_MIN:
            return None
        part = sqrt(self.variance * DAY_SLOTS)
        return Decimal(ceil(part * 10**PLACES)).scaleb(-PLACES) if part <= MOST else None


def _level(mark: Decimal) -> float:
    """No money: it is only divided by another one."""
    return float(mark)


class Volatility:
    """Of all symbols."""

    def __init__(self) -> None:
        self._swings: dict[tuple[str, str], Swing] = {}
        self._daily: dict[tuple[str, str], Decimal] = {}
        """What is known."""

    def mark(self, at: datetime, account: str | None, symbol: str, price: Decimal) -> bool:
        """A mark came. True: what is known may be something else now."""
        key, slot = (account or "", symbol), (at - _EPOCH) // GRID
        swing = self._swings.get(key)
        if swing is None:
            if len(self._swings) < FOLLOWED_MAX:
                self._swings[key] = Swing(*key, slot, _level(price))
            return False
        if swing.slot == slot:
            return False
        swing.sample(slot, _level(price))
        self._learn(key, swing)
        return True

    def _learn(self, key: tuple[str, str], swing: Swing) -> None:
        with exact():
            daily = swing.daily()
        if daily is None:
            self._daily.pop(key, None)
        else:
            self._daily[key] = daily

    def of(self, account: str, symbol: str) -> Decimal | None:
        """Such a part of its price it moves in a day. None: it is not known."""
        common = self._daily.get(("", symbol))
        own = self._daily.get((account, symbol))
        if common is None or own is None:
            return common if own is None else own
        return max(common, own)

    def lately(self, account: str, symbol: str, at: datetime) -> Decimal | None:
        """The same, by samples that are no older than `GAP_MAX`, nor of a time to come."""
        slot, found = (at - _EPOCH) // GRID, None
        for key in (("", symbol), (account, symbol)):
            swing = self._swings.get(key)
            if swing is not None and 0 <= slot - swing.slot <= GAP_MAX:
                daily = self._daily.get(key)
                if daily is not None and (found is None or daily > found):
                    found = daily
        return found

    def forget(self, symbol: str) -> None:
        """It is not listed any more, and nobody has any."""
        for key in [key for key in self._swings if key[1] == symbol]:
            del self._swings[key]
            self._daily.pop(key, None)

    def dump(self) -> list[Swing]:
        """As it is now."""
        return [
            Swing(each.account, each.symbol, each.slot, each.last, each.variance, each.samples)
            for each in self._swings.values()
        ]

    def load(self, swings: Iterable[Swing]) -> None:
        """Go back to a dump."""
        self._swings = {(each.account, each.symbol): each for each in swings}
        self._daily.clear()
        for key, swing in self._swings.items():
            self._learn(key, swing)
