"""What an account was worth after each event, in canonical order: its peak, and its falls from it.

Theory
------
Kept beside each event is the account's equity less all transfers so far, so that a deposit is no
gain and a withdrawal no fall: shifting the peak by a transfer, as traders do, is the same thing.

An event that comes late changes what the account was worth from its place on. By how much does not
depend on any other instrument: it is a number for each stretch between two marks of its own (or two
rates of its currency). So a late event adds stretches, and nothing is folded again but the running
peak behind it.

While anything that is needed is unknown, a mark or a rate, what the account was worth is unknown as
well: such a sample makes no peak and no fall.

There are `SAMPLES_MAX` samples at most. Beyond that the older half is forgotten: its peak and fall
are kept as they were, and an event later than all that is kept changes what is kept alone.
"""

from bisect import bisect_left
from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from .numbers import ZERO
from .path import Key

SAMPLES_MAX = 1_000_000


class Stretch(NamedTuple):
    """From one place in canonical order to another (None: to the end): so much more worth, and so
    many more unknowns."""

    begin: Key
    end: Key | None
    worth: Decimal
    unknown: int = 0


class Series:
    """The samples of one account."""

    def __init__(self) -> None:
        self.keys: list[Key] = []
        self.worth: list[Decimal] = []
        self.unknown: list[int] = []
        self._peaks: list[Decimal | None] = []
        self._falls: list[Decimal] = []
        self._peak: Decimal | None = None
        self._fall = ZERO
        self._base = (ZERO, 0)
        self._has_forgotten = False
        """Of what has been forgotten: peak, fall, and the last sample."""

    # --- samples

    def add(self, key: Key, worth: Decimal, unknown: int) -> None:
        """A sample at the end."""
        self.keys.append(key)
        self.worth.append(worth)
        self.unknown.append(unknown)
        self._rate(len(self.keys) - 1)
        if len(self.keys) > SAMPLES_MAX:
            self.forget(SAMPLES_MAX // 2)

    def insert(self, key: Key) -> None:
        """A sample at its place, worth what the one before it was. What is new comes by `shift`.
        One that is there already is taken as it is."""
        at = bisect_left(self.keys, key)
        if self.keys[at : at + 1] == [key]:
            return
        worth, unknown = (self.worth[at - 1], self.unknown[at - 1]) if at else self._base
        self.keys.insert(at, key)
        self.worth.insert(at, worth)
        self.unknown.insert(at, unknown)
        self._peaks.insert(at, self._peaks[at - 1] if at else self._peak)
        self._falls.insert(at, self._falls[at - 1] if at else self._fall)

    def shift(self, stretches: Iterable[Stretch]) -> None:
        """Take late news into account, and find the peak and the falls again behind it."""
        keys, worth, unknown = self.keys, self.worth, self.unknown
        first = len(keys)
        for begin_key, end_key, more, unknowns in stretches:
            begin = bisect_left(keys, begin_key)
            end = len(keys) if end_key is None else bisect_left(keys, end_key)
            first = min(first, begin)
            if more:
                worth[begin:end] = [each + more for each in worth[begin:end]]
            if unknowns:
                unknown[begin:end] = [each + unknowns for each in unknown[begin:end]]
        del self._peaks[first:], self._falls[first:]
        for at in range(first, len(keys)):
            self._rate(at)

    def _rate(self, at: int) -> None:
        """The peak up to a sample, and the deepest fall."""
        peak, fall = (self._peaks[at - 1], self._falls[at - 1]) if at else (self._peak, self._fall)
        if not self.unknown[at]:
            worth = self.worth[at]
            if peak is None or worth > peak:
                peak = worth
            elif peak - worth > fall:
                fall = peak - worth
        self._peaks.append(peak)
        self._falls.append(fall)

    def forget(self, count: int) -> None:
        """Let go of the oldest samples."""
        if count:
            self._peak, self._fall = self._peaks[count - 1], self._falls[count - 1]
            self._base = self.worth[count - 1], self.unknown[count - 1]
            self._has_forgotten = True
            for each in (self.keys, self.worth, self.unknown, self._peaks, self._falls):
                del each[:count]

    # --- questions

    @property
    def peak(self) -> Decimal | None:
        """The most that the account was ever worth, less transfers. None: it never was known."""
        return self._peaks[-1] if self._peaks else self._peak

    @property
    def fall(self) -> Decimal:
        """The most that it ever lost from a peak."""
        return self._falls[-1] if self._falls else self._fall

    def opened(self, key: Key) -> Decimal | None:
        """What the account was worth just before this place, less transfers; or at its beginning,
        if that was later. None: it was not known."""
        at = bisect_left(self.keys, key)
        if not at and self._has_forgotten:
            worth, unknown = self._base
        elif self.keys:
            worth, unknown = self.worth[max(0, at - 1)], self.unknown[max(0, at - 1)]
        else:
            return None
        return None if unknown else worth
