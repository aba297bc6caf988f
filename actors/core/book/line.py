"""A number that changes now and then: a mark, or a rate. What it was at any place is known."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from decimal import Decimal

from .path import Key


class Line:
    """Its values, each from its key on."""

    def __init__(self) -> None:
        self.keys: list[Key] = []
        self.values: list[Decimal] = []
        self.now: Decimal | None = None
        """The newest of them."""

    @property
    def first(self) -> Key | None:
        """From where on it is known."""
        return self.keys[0] if self.keys else None

    def is_newest(self, arrived: int) -> bool:
        """What arrived so is what it is now, and not what it was before."""
        return bool(self.keys) and self.keys[-1][1] == arrived

    def put(self, key: Key, value: Decimal) -> Key | None:
        """A value; the place of the one that follows it, None when this is the newest."""
        keys = self.keys
        if not keys or key > keys[-1]:
            keys.append(key)
            self.values.append(value)
            self.now = value
            return None
        at = bisect_left(keys, key)
        keys.insert(at, key)
        self.values.insert(at, value)
        return keys[at + 1]

    def at(self, key: Key) -> Decimal | None:
        """What it is at this place. None: it is not known yet."""
        keys = self.keys
        if not keys:
            return None
        if key >= keys[-1]:
            return self.values[-1]
        at = bisect_right(keys, key)
        return self.values[at - 1] if at else None

    def before(self, key: Key) -> Decimal | None:
        """What it was just before."""
        at = bisect_left(self.keys, key)
        return self.values[at - 1] if at else None

    def changes(self, begin: Key, end: Key | None) -> Iterator[Key]:
        """Where it changes, between two places."""
        keys = self.keys
        if keys and keys[-1] > begin:
            stop = len(keys) if end is None else bisect_left(keys, end)
            yield from keys[bisect_right(keys, begin) : stop]

    def close(self, place: Key) -> None:
        """Let go of what was in force before this place, and no more."""
        at = bisect_right(self.keys, place) - 1
        if at > 0:
            del self.keys[:at], self.values[:at]

    def thin(self, places: Sequence[Key], until: Key) -> None:
        """Before this place let go of what was in force at none of these places, all in order. The
        first value stays: from there on something is known."""
        keys, values = self.keys, self.values
        end = bisect_left(keys, until) - 1
        kept = [0] if end > 0 else []
        for at in range(1, end):
            place = bisect_left(places, keys[at])
            if place < len(places) and places[place] < keys[at + 1]:
                kept.append(at)
        if end > 0:
            self.keys = [*(keys[at] for at in kept), *keys[end:]]
            self.values = [*(values[at] for at in kept), *values[end:]]
