"""`session_hours`: orders pass while a session is on, by a clock on some wall.

What the clock says now holds until the session ends or the next one begins. That is found out once
and kept for as long, so that an order costs two comparisons.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

from .....config.schema import rules as schema
from ....messages.reasons import Code
from ..rule import OK, Found, Judge
from ..view import View

DAY = timedelta(days=1)
BACK, AHEAD = 2, 9
"""Days that are looked at. All that is on since yesterday is found so, and of what goes on for so
long that its end is not found the last minutes, of a day at most, are not near either."""
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Phase(NamedTuple):
    """From `begin` to `until`, which is no part of it. `code` None: all orders pass."""

    begin: datetime
    until: datetime
    code: Code | None


class SessionHours(Judge[schema.SessionHours]):
    """Sessions that join are one: it is not close-only before the end of what goes on."""

    STAGE = 7

    def __init__(self, config: schema.SessionHours) -> None:
        super().__init__(config)
        self._hours = [tuple(map(time.fromisoformat, one.split("-"))) for one in config.hours]
        self._days = frozenset(DAYS.index(day) for day in config.days)
        self._holidays = frozenset(map(date.fromisoformat, config.holidays))
        self._closing = timedelta(minutes=config.close_only_min)
        self._lets_out = config.reducing == "pass"
        self._phases: dict[str, Phase] = {}
        """What was found out last, by zone."""

    def judge(self, view: View) -> Found | None:
        name, at = self.config.zone or view.listing.zone, view.moment.at
        phase = self._phases.get(name)
        if phase is None or not phase.begin <= at < phase.until:
            phase = self._phases[name] = self._phase(at, view.zone(name))
        code = phase.code
        if code is None:
            return OK if view.explains else None
        if not view.adds_risk and (code == "close_only" or self._lets_out):
            return OK if view.explains else None
        return Found("block", code)

    def _phase(self, at: datetime, zone: tzinfo) -> Phase:
        """What the clock says at this time."""
        today = at.astimezone(zone).date()
        last = utc(today - DAY, time(), zone)
        for begin, end in self._joined(today, zone):
            closes = max(begin, end - self._closing)
            if at < begin:
                return Phase(last, begin, "session_closed")
            if at < closes:
                return Phase(begin, closes, None)
            if at < end:
                return Phase(closes, end, "close_only")
            last = end
        return Phase(last, at + DAY, "session_closed")

    def _joined(self, today: date, zone: tzinfo) -> Iterator[tuple[datetime, datetime]]:
        """The sessions of these days, one after another, with time between them."""
        found: tuple[datetime, datetime] | None = None
        for begin, end in sorted(self._sessions(today, zone)):
            if found is None:
                found = (begin, end)
            elif begin <= found[1]:
                found = (found[0], max(found[1], end))
            else:
                yield found
                found = (begin, end)
        if found is not None:
            yield found

    def _sessions(self, today: date, zone: tzinfo) -> Iterator[tuple[datetime, datetime]]:
        """In UTC. One that the clock leaves nothing of is none."""
        for ahead in range(-BACK, AHEAD):
            day = today + ahead * DAY
            if day.weekday() not in self._days or day in self._holidays:
                continue
            for opens, closes in self._hours:
                ends = day if closes > opens else day + DAY
                begin, end = utc(day, opens, zone), utc(ends, closes, zone)
                if ends in self._holidays:
                    end = min(end, utc(ends, time(), zone))
                if begin < end:
                    yield begin, end


def utc(day: date, clock: time, zone: tzinfo) -> datetime:
    """When a clock shows a time of day; where it does twice, the first time."""
    return datetime.combine(day, clock, tzinfo=zone).astimezone(UTC)
