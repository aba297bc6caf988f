"""The trading day: resets by a clock on a wall, across the days on which it is put forward or back.

The expected instants were worked out by hand from the zones' rules.
"""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core.sessions import next_reset

NEW_YORK = ZoneInfo("America/New_York")
FIVE = time(17)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]  # as many as are given


@pytest.mark.parametrize(
    ("zone", "reset", "now", "expected"),
    [
        (NEW_YORK, FIVE, utc(2024, 1, 10, 21, 59, 59), utc(2024, 1, 10, 22)),
        # A boundary belongs to the day that it begins.
        (NEW_YORK, FIVE, utc(2024, 1, 10, 22), utc(2024, 1, 11, 22)),
        # The clocks go forward on 10 March 2024: that session has 23 hours, and the next ones 24.
        (NEW_YORK, FIVE, utc(2024, 3, 9, 22), utc(2024, 3, 10, 21)),
        (NEW_YORK, FIVE, utc(2024, 3, 10, 21), utc(2024, 3, 11, 21)),
        # Back on 3 November 2024: 25 hours.
        (NEW_YORK, FIVE, utc(2024, 11, 2, 21), utc(2024, 11, 3, 22)),
        # 02:30 is in the gap of 10 March: read with the offset before it, 07:30 in UTC.
        (NEW_YORK, time(2, 30), utc(2024, 3, 9, 12), utc(2024, 3, 10, 7, 30)),
        # 01:30 comes twice on 3 November: the first counts, and the second is no reset.
        (NEW_YORK, time(1, 30), utc(2024, 11, 3, 5), utc(2024, 11, 3, 5, 30)),
        (NEW_YORK, time(1, 30), utc(2024, 11, 3, 5, 30), utc(2024, 11, 4, 6, 30)),
        # Half a world away it is another day.
        (ZoneInfo("Pacific/Kiritimati"), time(0), utc(2024, 5, 1, 9, 59), utc(2024, 5, 1, 10)),
        (UTC, time(0), utc(2024, 12, 31, 23, 59), utc(2025, 1, 1)),
    ],
)
def test_a_reset_is_where_the_clock_on_the_wall_says(
    zone: ZoneInfo, reset: time, now: datetime, expected: datetime
) -> None:
    assert next_reset(now, zone, reset) == expected


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - the zone is given beside it
    st.sampled_from(["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata"]),
    st.times(),
)
def test_resets_follow_each_other_once_a_local_day(now: datetime, zone: str, at: time) -> None:
    reset = at.replace(second=0, microsecond=0)
    first = next_reset(now, ZoneInfo(zone), reset)
    second = next_reset(first, ZoneInfo(zone), reset)
    assert now < first < second
    assert timedelta(hours=22) <= second - first <= timedelta(hours=26)
    days = [(each.astimezone(ZoneInfo(zone)) + timedelta(0)).date() for each in (first, second)]
    assert (days[1] - days[0]).days == 1
    assert next_reset(first - timedelta(microseconds=1), ZoneInfo(zone), reset) == first
