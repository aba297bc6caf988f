"""By what limits are multiplied now: by the time of day, the symbol, and how much that moves.

What the clock says now holds until hours begin or end. That is found out once and kept for as long.
All that it rests on is the configuration's, the moment, and what marks say: it is the same whenever
it is worked out again.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import ROUND_FLOOR, Decimal
from typing import NamedTuple

from ....config.schema.factors import EVERY_DAY, LEAST, Factor
from ..book.numbers import HUNDRED, ONE, exact
from ..books import Books
from .rules.hours import utc

DAY = timedelta(days=1)
AROUND = range(-2, 3)
"""Days on which hours begin that may be on today, or before tomorrow is over."""


class Phase(NamedTuple):
    """From `begin` to `until`, which is no part of it."""

    begin: datetime
    until: datetime
    part: Decimal


Hours = tuple[time, time, Decimal]


def _hours(said: str, part: Decimal) -> Hours:
    opens, closes = said.split("-")
    return time.fromisoformat(opens), time.fromisoformat(closes), part


class Meter:
    """Of one factor."""

    def __init__(self, config: Factor, books: Books) -> None:
        self.config = config
        self._books = books
        self._calm = None if config.calm_pct is None else config.calm_pct / HUNDRED
        self._days = frozenset(EVERY_DAY.index(day) for day in config.days)
        self._hours = [_hours(said, part) for said, part in config.hours.items()]
        self._phase: Phase | None = None

    def now(self, at: datetime, symbol: str | None = None, account: str = "") -> Decimal:
        """In hundredths, rounded down. Without a symbol: by the time alone."""
        with exact():
            part = self._by_time(at)
            if symbol is not None:
                part *= self.config.symbols.get(symbol, ONE)
                if self._calm is not None:
                    part *= self._by_moves(self._calm, account, symbol, at)
            return max(part.quantize(LEAST, ROUND_FLOOR), LEAST)

    def _by_moves(self, calm: Decimal, account: str, symbol: str, at: datetime) -> Decimal:
        moves = self._books.volatility.lately(account, symbol, at)
        if moves is None:
            return self.config.floor
        return ONE if moves <= calm else max(calm / moves, self.config.floor)

    def _by_time(self, at: datetime) -> Decimal:
        if not self._hours:
            return ONE
        phase = self._phase
        if phase is None or not phase.begin <= at < phase.until:
            phase = self._phase = self._found(at, self._books.zone(self.config.zone))
        return phase.part

    def _found(self, at: datetime, zone: tzinfo) -> Phase:
        spans = list(self._spans(at.astimezone(zone).date(), zone))
        edges = [edge for begin, end, _ in spans for edge in (begin, end)]
        return Phase(
            max((edge for edge in edges if edge <= at), default=at),
            min((edge for edge in edges if edge > at), default=at + DAY),
            min((part for begin, end, part in spans if begin <= at < end), default=ONE),
        )

    def _spans(self, today: date, zone: tzinfo) -> Iterator[tuple[datetime, datetime, Decimal]]:
        """One that the clock leaves nothing of is none."""
        for ahead in AROUND:
            day = today + ahead * DAY
            if day.weekday() not in self._days:
                continue
            for opens, closes, part in self._hours:
                ends = day if closes > opens else day + DAY
                begin, end = utc(day, opens, zone), utc(ends, closes, zone)
                if begin < end:
                    yield begin, end, part
