"""Trading days and weeks: what was realised in the one under way, and what the account made in it.

Both go by the time at the venue. A fill exactly at the reset belongs to the day that it begins; one
that comes late restates its own day, and what came after it. The first day opens at the first event
that has a time.
"""

from collections.abc import Callable
from datetime import time, tzinfo
from decimal import Decimal

import attrs

from ...messages.book import Session
from .late import Late
from .numbers import ZERO
from .path import Execution, Key, Path, Step
from .series import Series
from .times import last_reset, next_reset, text
from .worth import Cash, Worth

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@attrs.define(eq=False)
class Period:
    """The day or the week under way. `net` is what was realised less fees and with funding, in the
    reporting currency; `gaps` counts what is not in it for lack of a rate."""

    begin: Key
    net: Decimal = ZERO
    gaps: int = 0
    opened: Decimal | None = None
    """What the account was worth when it began, as it was found last."""
    found_in: tuple[Series, int] | None = None
    """In which samples that was, and in which state of them. None: they may change by themselves.
    """


class Sessions:
    """Of one account. Before it is told by which clock, there are none."""

    def __init__(self, worth: Worth, zone: Callable[[str], tzinfo]) -> None:
        self._worth = worth
        self.zone = zone
        self.said: Session | None = None
        self.first_ns: int | None = None
        """The time of the first event that has one."""
        self.latest_ns = 0
        self.until_ns = 0
        self.day: Period | None = None
        self.week: Period | None = None

    def set(self, said: Session) -> None:
        """By which clock. What was before goes by it too."""
        self.said = said
        self._begin()

    @property
    def is_set(self) -> bool:
        return self.said is not None

    def reach(self, at: int) -> None:
        """Something happens at this time."""
        if self.first_ns is None:
            self.first_ns = self.latest_ns = at
            self._begin()
        elif at > self.latest_ns:
            self.latest_ns = at
            if at >= self.until_ns:
                self._begin()
        elif at < self.first_ns and self._worth.closed is None:
            self.first_ns = at
            self._begin()

    def _begin(self) -> None:
        """The periods under way, and all that is in them."""
        said, first = self.said, self.first_ns
        if said is None or first is None:
            return
        zone, reset = self.zone(said.tz), time.fromisoformat(said.reset)
        latest = self.latest_ns
        day = last_reset(latest, zone, reset)
        week = last_reset(latest, zone, reset, WEEKDAYS.index(said.week_start))
        self.until_ns = next_reset(latest, zone, reset)
        self.day, self.week = Period((max(day, first), -1)), Period((max(week, first), -1))
        self.again()

    # --- what was realised

    def booked(self, path: Path, fill: Execution, before: Step) -> None:
        """A fill came or went; `before` was the path's last step until then."""
        if self.day is None:
            return
        if fill.key < self.day.begin:
            self.again()
            return
        self._restate(path, before)

    def _restate(self, path: Path, before: Step) -> None:
        """What was realised since both began is another sum than it was."""
        net, gaps = path.last.net - before.net, path.last.net_gaps - before.net_gaps
        for period in (self.day, self.week):
            if period is not None:
                period.net += net
                period.gaps += gaps

    def rated(self, late: Late) -> None:
        """A rate came late."""
        if late.is_all or (self.day is not None and late.key < self.day.begin):
            self.again()
        else:
            for path, before in late.walked:
                self._restate(path, before)

    def paid(self, cash: Cash) -> None:
        for period in (self.day, self.week):
            if period is not None:
                self._pay(period, cash)

    def _pay(self, period: Period, cash: Cash) -> None:
        if cash.is_transfer or cash.key < period.begin or cash.is_start:
            return
        rate = self._worth.rate(cash.ccy, cash.key)
        if rate is None:
            period.gaps += 1
        else:
            period.net += cash.amount * rate

    @property
    def begins(self) -> list[Key]:
        """Where the periods under way began."""
        return [period.begin for period in (self.day, self.week) if period is not None]

    def again(self) -> None:
        """Add everything up anew."""
        for period in (self.day, self.week):
            if period is not None:
                period.net, period.gaps = ZERO, 0
                self._add_up(period, None)

    def _add_up(self, period: Period, end: Key | None) -> None:
        """All that was realised in it, up to its end if it is over."""
        for path in self._worth.paths.values():
            last = path.last if end is None else path.before(end)
            first = path.before(period.begin)
            if first is None or last is None:
                period.gaps += 1
                continue
            period.net += last.net - first.net
            period.gaps += last.net_gaps - first.net_gaps
        closed = self._worth.closed
        if closed is not None and period.begin <= closed.place:
            opening = closed.opening(period.begin)
            period.net += ZERO if opening is None else opening.net
            period.gaps += 1 if opening is None else opening.gaps
        for cash in self._worth.cash:
            if end is None or cash.key < end:
                self._pay(period, cash)

    def over(self, begin: int, end: int) -> tuple[Decimal | None, Decimal | None]:
        """What a period that is over has brought: realised, and made in all. Both as it is known
        now, whatever has begun since."""
        worth = self._worth
        first = (begin if self.first_ns is None else max(begin, self.first_ns), -1)
        last = (end, -1)
        if worth.closed is not None and last <= worth.closed.place:
            return None, None
        period = Period(first)
        self._add_up(period, last)
        opened, closed = self._opened(first), worth.series.opened(last)
        made = None if opened is None or closed is None else closed - opened
        return self.realised(period), made

    def _opened(self, begin: Key) -> Decimal | None:
        """What the account was worth there. None: it was not known, or is no longer."""
        closed = self._worth.closed
        if closed is not None and begin <= closed.place and closed.opening(begin) is None:
            return None
        return self._worth.series.opened(begin)

    # --- what can be seen

    def start(self, period: Period | None) -> str | None:
        return None if period is None else text(period.begin[0])

    def realised(self, period: Period | None) -> Decimal | None:
        return None if period is None or period.gaps else period.net

    def made(self, period: Period | None) -> Decimal | None:
        """What the account is worth more than when the period opened, less transfers."""
        worth = self._worth
        if period is None or worth.unknown:
            return None
        opened = self.opened(period)
        return None if opened is None else worth.total - opened

    def opened(self, period: Period) -> Decimal | None:
        """What the account was worth just before a period, less transfers; it is asked for with
        every order, and found anew only when a sample has changed. None: it was not known."""
        series = self._worth.series
        found_in = period.found_in
        if found_in is None or found_in[0] is not series or found_in[1] != series.revised:
            period.opened = self._opened(period.begin)
            # Once there is one behind the beginning, those that come at the end are so too.
            is_behind = bool(series.keys) and series.keys[-1] >= period.begin
            period.found_in = (series, series.revised) if is_behind else None
        return period.opened
