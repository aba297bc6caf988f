"""A number that changes now and then: a mark, or a rate. What it was at any place is known."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from decimal import Decimal

from .path import Key


class Line:
    """Its values, each from its key on."""

    def __init__(self) -> None:
        self.keys: list[Key] = []
        self.values: list[Decimal] = []

    @property
    def now(self) -> Decimal | None:
        return self.values[-1] if self.values else None

    @property
    def first(self) -> Key | None:
        """From where on it is known."""
        return self.keys[0] if self.keys else None

    def put(self, key: Key, value: Decimal) -> Key | None:
        """A value; the place of the one that follows it, None when this is the newest."""
        keys = self.keys
        if not keys or key > keys[-1]:
            keys.append(key)
            self.values.append(value)
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

    def forget(self, before: Key) -> None:
        """Let go of what was changed again before this place."""
        at = max(0, bisect_right(self.keys, before) - 1)
        del self.keys[:at], self.values[:at]
