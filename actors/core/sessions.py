"""The trading day: from one reset to the next, by a clock that hangs somewhere.

The reset comes once a local day, at a time of that day. Where the clocks are put forward over it,
or back over it, the first of the two readings counts (`fold=0`).
"""

from datetime import UTC, datetime, time, timedelta, tzinfo

_DAY = timedelta(days=1)


def next_reset(now: datetime, zone: tzinfo, reset: time) -> datetime:
    """The first reset after `now`, in UTC. One that is just now belongs to the day it begins."""
    today = now.astimezone(zone).date()
    days = (today - _DAY, today, today + _DAY, today + 2 * _DAY)
    resets = (datetime.combine(day, reset, tzinfo=zone).astimezone(UTC) for day in days)
    return min(each for each in resets if each > now)
