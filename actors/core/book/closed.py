"""What is left of the past once it is closed: enough that nothing later comes out otherwise.

Up to the closed place nothing is put in its place any more. Positions stand in the bases of their
paths; here are the money, the samples of the account's worth that are still asked for, and what was
paid in periods that began before.
"""

from decimal import Decimal
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from .path import Key


class Part(NamedTuple):
    """What one instrument has in a sample."""

    worth: Decimal
    unknown: int
    """Whether its mark is missing."""


class Sample(Struct, frozen=True, array_like=True):
    """What the account was worth somewhere before the closed place."""

    key: Key
    worth: Decimal
    unknown: int
    parts: dict[str, Part]
    """By symbol, for what a snapshot takes over never was won."""

    def without(self, symbol: str) -> "Sample":
        if symbol not in self.parts:
            return self
        parts = self.parts.copy()
        part = parts.pop(symbol)
        return Sample(self.key, self.worth - part.worth, self.unknown - part.unknown, parts)


class Opening(Struct, frozen=True, array_like=True):
    """The beginning of a period, and what was paid from there to the closed place."""

    begin: Key
    net: Decimal
    gaps: int


class Closed(Struct, frozen=True, array_like=True):
    """Everything up to a place."""

    place: Key
    cash: dict[str, Decimal]
    """All payments, by currency."""
    moved: Decimal
    """All transfers, at the rates of their time."""
    needed: dict[str, Key]
    """Currencies other than the reporting one, and from where on each is needed."""
    samples: tuple[Sample, ...]
    openings: tuple[Opening, ...]
    """Of the periods that were under way. Of another one nobody knows what was in it."""

    def opening(self, begin: Key) -> Opening | None:
        return next((each for each in self.openings if each.begin == begin), None)

    def without(self, symbol: str) -> "Closed":
        """A snapshot has taken over what is held of an instrument."""
        return replace(self, samples=tuple(each.without(symbol) for each in self.samples))
