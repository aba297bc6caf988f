"""Times as events tell them, and the resets of a clock on a wall."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core.book.times import last_reset, nanoseconds, next_reset, text

NOON = 1_715_947_200_000_000_000
"""17 May 2024, 12:00 in UTC."""


@pytest.mark.parametrize(
    ("said", "after_noon"),
    [
        ("2024-05-17T12:00:00Z", 0),
        ("2024-05-17T12:00:00", 0),
        ("2024-05-17 12:00", 0),
        ("2024-05-17T14:00:00+02:00", 0),
        ("2024-05-17T06:30:00-05:30", 0),
        ("2024-05-17T12:00:00.1Z", 100_000_000),
        ("2024-05-17T12:00:00,25Z", 250_000_000),
        ("2024-05-17T12:00:00.123456Z", 123_456_000),
        ("2024-05-17T12:00:00.123456789Z", 123_456_789),
        ("2024-05-17T12:00:00.123456789999+00:00", 123_456_789),
        ("2024-05-17", -12 * 3600 * 10**9),
        (1_715_947_200, 0),
        (1_715_947_200_000, 0),
        (1_715_947_200_001, 10**6),
        (1_715_947_200_000_001, 10**3),
        (1_715_947_200_000_000_001, 1),
    ],
)
def test_a_time_is_told_in_many_ways(said: str | int, after_noon: int) -> None:
    assert nanoseconds(said) == NOON + after_noon


@pytest.mark.parametrize(
    ("said", "unit"),
    [
        (31 * 10**9, 10**9),
        (10**11, 10**6),
        (31 * 10**12, 10**6),
        (10**14, 10**3),
        (31 * 10**15, 10**3),
        (10**17, 1),
    ],
)
def test_a_whole_number_is_in_the_unit_that_its_size_tells(said: int, unit: int) -> None:
    assert nanoseconds(said) == said * unit
    assert nanoseconds(-said) == -said * unit


def test_a_time_may_be_before_1970() -> None:
    assert nanoseconds("1969-12-31T23:59:59.5Z") == -500_000_000
    assert nanoseconds(-1) == -(10**9)


@pytest.mark.parametrize(
    "said",
    [
        "", "noon", "2024-02-30T00:00:00Z", "2024-05-17T25:00:00Z", "12:00:00",
        "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00",
        "0001-01-01T00:00:00Z",
        10**30, -(10**30), "1715947200", -(10**11) + 1, 10**11 - 1,
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused(said: str | int) -> None:
    with pytest.raises(ValueError, match="is "):
        nanoseconds(said)


@pytest.mark.parametrize("said", ["2968-01-01T00:00:00Z", "0972-01-01T00:00:00Z", -31_000_000_000])
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_what_is_a_time_has_a_day_in_any_zone(said: str | int, zone: str) -> None:
    now, where = nanoseconds(said), ZoneInfo(zone)
    assert last_reset(now, where, time(0), 0) <= now < next_reset(now, where, time(0))
    assert text(now) is not None


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (NOON, "2024-05-17T12:00:00Z"),
        (NOON + 500_000, "2024-05-17T12:00:00.000500Z"),
        (-(10**9), "1969-12-31T23:59:59Z"),
        (None, None),
    ],
)
def test_a_time_is_shown_in_utc(at: int | None, expected: str | None) -> None:
    assert text(at) == expected


@given(
    st.integers(int(6e17), int(2e18)),
    st.sampled_from(["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata"]),
    st.integers(0, 23),
    st.sampled_from([0, 15, 30]),
)
def test_every_instant_is_between_two_resets_a_local_day_apart(
    now: int, zone: str, hour: int, minute: int
) -> None:
    where, reset = ZoneInfo(zone), time(hour, minute)
    begin, end = last_reset(now, where, reset), next_reset(now, where, reset)
    assert begin <= now < end
    assert next_reset(begin, where, reset) == end
    assert last_reset(end - 1, where, reset) == begin
    assert last_reset(end, where, reset) == end
    hours = (end - begin) / (3600 * 10**9)
    assert 22 <= hours <= 26
    # Outside of a gap, the clock on the wall shows the time of the reset.
    walls = [datetime.fromtimestamp(at // 10**9, UTC).astimezone(where) for at in (begin, end)]
    assert any((wall.hour, wall.minute) == (hour, minute) for wall in walls)
    # A week is found among the days, whichever its first one is.
    weeks = {last_reset(now, where, reset, weekday) for weekday in range(7)}
    assert max(weeks) == begin
    assert len(weeks) == 7
