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

Samples of prices alone do not stay for ever: see `past`.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import NamedTuple

from .numbers import ZERO
from .path import Key


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
        self.revised = 0
        """Grows whenever a sample changes, or another one than the last comes or goes."""
        self._peaks: list[Decimal | None] = []
        self._falls: list[Decimal] = []
        self.peak: Decimal | None = None
        """The most that the account was ever worth, less transfers. None: it never was known."""
        self.fall = ZERO
        """The most that it ever lost from a peak."""

    # --- samples

    def add(self, key: Key, worth: Decimal, unknown: int) -> None:
        """A sample at the end. It is rated here and not by `_rate`: most samples come this way."""
        self.keys.append(key)
        self.worth.append(worth)
        self.unknown.append(unknown)
        peak, fall = self.peak, self.fall
        if not unknown:
            if peak is None or worth > peak:
                self.peak = peak = worth
            elif peak - worth > fall:
                self.fall = fall = peak - worth
        self._peaks.append(peak)
        self._falls.append(fall)

    def insert(self, key: Key) -> None:
        """A sample at its place, worth what the one before it was. What is new comes by `shift`.
        One that is there already is taken as it is."""
        at = bisect_left(self.keys, key)
        if self.keys[at : at + 1] == [key]:
            return
        assert at, "the account's beginning is before it"
        self.revised += 1
        self.keys.insert(at, key)
        self.worth.insert(at, self.worth[at - 1])
        self.unknown.insert(at, self.unknown[at - 1])
        self._peaks.insert(at, self._peaks[at - 1])
        self._falls.insert(at, self._falls[at - 1])

    def shift(self, stretches: Iterable[Stretch]) -> None:
        """Take late news into account, and find the peak and the falls again behind it."""
        self.revised += 1
        keys, worth, unknown = self.keys, self.worth, self.unknown
        first, settled = len(keys), 0
        for begin_key, end_key, more, unknowns in stretches:
            begin = bisect_left(keys, begin_key)
            end = len(keys) if end_key is None else bisect_left(keys, end_key)
            first, settled = min(first, begin), max(settled, end)
            if more:
                worth[begin:end] = [each + more for each in worth[begin:end]]
            if unknowns:
                unknown[begin:end] = [each + unknowns for each in unknown[begin:end]]
        self._rate(first, settled)

    def _rate(self, first: int, settled: int) -> None:
        """From this sample on: the peak up to each, and the deepest fall. None from `settled` on is
        worth anything else than it was, so once peak and fall are what they were, they stay so."""
        peaks, falls = self._peaks, self._falls
        peak, fall = (peaks[first - 1], falls[first - 1]) if first else (None, ZERO)
        for at in range(first, len(self.keys)):
            if not self.unknown[at]:
                worth = self.worth[at]
                if peak is None or worth > peak:
                    peak = worth
                elif peak - worth > fall:
                    fall = peak - worth
            if at >= settled and peaks[at] == peak and falls[at] == fall:
                return
            peaks[at], falls[at] = peak, fall
        self.peak, self.fall = peak, fall

    # --- what stays of the past

    def records(self, until: Key) -> set[Key]:
        """The samples before a place that made the peak, and the deepest fall: without all others
        both would be the same."""
        end = bisect_left(self.keys, until)
        peaks, falls = self._peaks, self._falls
        found = set()
        if end and (peak := peaks[end - 1]) is not None:
            found.add(self.keys[peaks.index(peak)])
            bottom = falls.index(falls[end - 1])
            found.add(self.keys[bottom])
            if (top := peaks[bottom]) is not None:
                found.add(self.keys[peaks.index(top)])
        return found

    def last_before(self, key: Key) -> Key | None:
        """The sample that tells what the account was worth when a period opened here."""
        at = bisect_left(self.keys, key)
        return self.keys[at - 1] if at else None

    def drop(self, keys: Collection[Key]) -> None:
        """Let go of these samples."""
        self.revised += 1
        kept = [at for at, key in enumerate(self.keys) if key not in keys]
        self.keys = [self.keys[at] for at in kept]
        self.worth = [self.worth[at] for at in kept]
        self.unknown = [self.unknown[at] for at in kept]
        self._rate_all()

    def restore(self, samples: Iterable[tuple[Key, Decimal, int]]) -> None:
        """All of them, as they once were."""
        self.revised += 1
        self.keys, self.worth, self.unknown = [], [], []
        for key, worth, unknown in samples:
            self.keys.append(key)
            self.worth.append(worth)
            self.unknown.append(unknown)
        self._rate_all()

    def close(self, place: Key, samples: Iterable[tuple[Key, Decimal, int]]) -> None:
        """Up to this place there are these alone, and they make the peak and the deepest fall that
        there were."""
        at = bisect_left(self.keys, (place[0], place[1] + 1))
        before = Series()
        before.restore(samples)
        self.keys[:at] = before.keys
        self.worth[:at] = before.worth
        self.unknown[:at] = before.unknown
        self._peaks[:at] = before._peaks
        self._falls[:at] = before._falls

    def _rate_all(self) -> None:
        count = len(self.keys)
        self._peaks, self._falls = [None] * count, [ZERO] * count
        self._rate(0, count)

    # --- questions

    def at(self, key: Key) -> tuple[Decimal, int]:
        """The sample of this place: what was worth how much, and how many unknowns there were."""
        at = bisect_left(self.keys, key)
        return self.worth[at], self.unknown[at]

    def opened(self, key: Key) -> Decimal | None:
        """What the account was worth just before this place, less transfers; or at its beginning,
        if that was later. None: it was not known."""
        if not self.keys:
            return None
        at = max(0, bisect_left(self.keys, key) - 1)
        return None if self.unknown[at] else self.worth[at]
