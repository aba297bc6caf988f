"""Orders pass while a session is on, by the clock on the wall."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.config import ConfigInvalid, parse
from riskd.config.schema.rules import SessionHours

Desk = Callable[..., Any]
NEW_YORK = ZoneInfo("America/New_York")
WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def hours(*said: str, zone: str | None = "America/New_York", **more: Any) -> SessionHours:
    return SessionHours(hours=said, zone=zone, **more)


def at_wall(desk: Desk, rule: SessionHours, said: str, zone: ZoneInfo = NEW_YORK) -> Any:
    """A desk when that clock says so."""
    return desk(rule, at=datetime.fromisoformat(said).replace(tzinfo=zone).astimezone(UTC))


@pytest.mark.parametrize(
    ("clock", "code"),
    [
        ("09:29:59.999999", "session_closed"),
        ("09:30:00", "ok"),
        ("12:00:00", "ok"),
        ("15:59:59.999999", "ok"),
        ("16:00:00", "session_closed"),
    ],
)
@pytest.mark.parametrize("day", ["2026-03-06", "2026-03-09", "2026-07-01", "2026-11-02"])
def test_a_session_has_its_first_moment_and_not_its_last_summer_or_winter(
    desk: Desk, day: str, clock: str, code: str
) -> None:
    assert at_wall(desk, hours("09:30-16:00"), f"{day}T{clock}").code() == code


@pytest.mark.parametrize("day", ["2026-11-21", "2026-11-22"])
def test_there_is_none_on_other_days(desk: Desk, day: str) -> None:
    assert at_wall(desk, hours("09:30-16:00"), f"{day}T12:00").code() == "session_closed"


@pytest.mark.parametrize(
    ("when", "code"),
    [
        ("2026-11-22T16:59:59", "session_closed"),
        ("2026-11-22T17:00:00", "ok"),
        ("2026-11-23T15:59:59", "ok"),
        ("2026-11-23T16:00:00", "session_closed"),
        ("2026-11-23T17:00:00", "ok"),
        ("2026-11-27T15:59:59", "ok"),
        ("2026-11-27T17:00:00", "session_closed"),
        ("2026-11-28T03:00:00", "session_closed"),
    ],
)
def test_one_across_midnight_belongs_to_the_day_it_begins_on(
    desk: Desk, when: str, code: str
) -> None:
    days = ("sunday", "monday", "tuesday", "wednesday", "thursday")
    assert at_wall(desk, hours("17:00-16:00", days=days), when).code() == code


@pytest.mark.parametrize(
    ("clock", "code"), [("11:29", "ok"), ("11:30", "session_closed"), ("13:00", "ok")]
)
def test_a_day_may_have_a_break(desk: Desk, clock: str, code: str) -> None:
    rule = hours("09:00-11:30", "13:00-15:00")
    assert at_wall(desk, rule, f"2026-11-20T{clock}").code() == code


@pytest.mark.parametrize(
    ("when", "code"),
    [
        ("2026-12-24T23:59:59", "ok"),
        ("2026-12-25T00:00:00", "session_closed"),
        ("2026-12-25T18:00:00", "session_closed"),
        ("2026-12-26T17:00:00", "ok"),
    ],
)
def test_on_a_holiday_nothing_passes_all_day(desk: Desk, when: str, code: str) -> None:
    rule = hours("17:00-16:00", days=WEEK, holidays=("2026-12-25",))
    assert at_wall(desk, rule, when).code() == code


@pytest.mark.parametrize(
    ("clock", "buy", "sell"),
    [
        ("15:44:59", "ok", "ok"),
        ("15:45:00", "close_only", "ok"),
        ("15:59:59", "close_only", "ok"),
        ("16:00:00", "session_closed", "session_closed"),
    ],
)
def test_before_the_end_only_getting_out_passes(
    desk: Desk, clock: str, buy: str, sell: str
) -> None:
    at = at_wall(desk, hours("09:30-16:00", close_only_min=15), f"2026-11-20T{clock}")
    at.hold("3")
    assert at.code("buy") == buy
    assert at.code("sell", "3") == sell
    assert at.code("sell", "4") == buy


def test_getting_out_may_pass_at_any_time(desk: Desk) -> None:
    at = at_wall(desk, hours("09:30-16:00", reducing="pass"), "2026-11-21T12:00")
    at.hold("3")
    assert at.code("sell", "3") == "ok"
    assert at.code("sell", "4") == at.code("buy") == "session_closed"


@pytest.mark.parametrize(
    ("when", "code"),
    [
        ("2026-11-18T23:59:59", "ok"),
        ("2026-11-19T00:00:00", "ok"),
        ("2026-11-20T22:59:59", "ok"),
        ("2026-11-20T23:00:00", "close_only"),
        ("2026-11-21T00:00:00", "session_closed"),
    ],
)
def test_days_that_join_are_one_session(desk: Desk, when: str, code: str) -> None:
    assert at_wall(desk, hours("00:00-00:00", close_only_min=60), when).code() == code


def test_what_never_ends_is_never_close_only(desk: Desk) -> None:
    rule = hours("00:00-00:00", days=WEEK, close_only_min=1_440)
    at = at_wall(desk, rule, "2026-11-18T12:00")
    for _ in range(60):
        at.passes(5 * 3_600 + 17)
        at.mark("100")
        assert at.code() == "ok"


@pytest.mark.parametrize(("zone", "code"), [("UTC", "session_closed"), ("Asia/Tokyo", "ok")])
def test_without_a_zone_it_is_the_instruments(desk: Desk, zone: str, code: str) -> None:
    at = desk(hours("09:00-15:00", zone=None), at=datetime(2026, 11, 20, 3, tzinfo=UTC))
    at.list("X", zone=zone)
    at.mark("100", "X")
    assert at.code(symbol="X") == code


def test_a_zone_that_nobody_knows_lets_nothing_in(desk: Desk) -> None:
    at = desk(hours("00:00-00:00", days=WEEK, zone="Mars/Olympus"))
    at.hold("1")
    assert at.code() == "not_evaluable"
    assert at.ask("sell").decision == "allow"


def test_a_clock_that_goes_back_is_believed(desk: Desk) -> None:
    at = at_wall(desk, hours("09:30-16:00"), "2026-11-20T16:00")
    assert at.code() == "session_closed"
    at.at -= timedelta(minutes=1)
    assert at.code() == "ok"
    at.at -= timedelta(hours=7)
    assert at.code() == "session_closed"


@pytest.mark.parametrize(
    ("utc", "code"),
    [
        ("2026-03-08T06:59:59", "session_closed"),  # 01:59:59; 02:30 never comes
        ("2026-03-08T07:29:59", "session_closed"),  # 03:29:59
        ("2026-03-08T07:30:00", "ok"),
        ("2026-03-08T07:59:59", "ok"),
        ("2026-03-08T08:00:00", "session_closed"),
        ("2026-11-01T05:29:59", "session_closed"),  # 01:29:59, the first of two
        ("2026-11-01T06:30:00", "session_closed"),  # 01:30 again
    ],
)
def test_where_the_wall_clock_is_changed_the_first_reading_counts(
    desk: Desk, utc: str, code: str
) -> None:
    rule = hours("02:30-04:00" if "-03-" in utc else "01:45-01:50", days=WEEK)
    assert desk(rule, at=datetime.fromisoformat(utc).replace(tzinfo=UTC)).code() == code


@given(
    opens=st.times().map(lambda one: one.replace(second=0, microsecond=0)),
    closes=st.times().map(lambda one: one.replace(second=0, microsecond=0)),
    days=st.sets(st.sampled_from(WEEK), min_size=1),
    holidays=st.sets(st.dates(date(2026, 10, 20), date(2026, 11, 20)), max_size=8),
    steps=st.lists(st.integers(-400_000, 400_000), min_size=1, max_size=12),
)
def test_it_is_open_exactly_when_the_wall_says_so(
    desk: Desk, opens: time, closes: time, days: Any, holidays: Any, steps: list[int]
) -> None:
    """Whatever was asked before, and with the end of summer time among it."""
    said = f"{opens:%H:%M}-{closes:%H:%M}"
    rule = hours(said, days=tuple(days), holidays=tuple(str(one) for one in holidays))
    at = desk(rule, at=datetime(2026, 11, 1, 12, tzinfo=UTC))
    for step in steps:
        at.at += timedelta(seconds=step)
        at.mark("100")
        wall = at.at.astimezone(NEW_YORK)
        if wall.date() == date(2026, 11, 1) and wall.hour < 3:
            continue  # where it shows a time twice: the law above
        clock, today = wall.time(), wall.date()
        before = today - timedelta(days=1)
        is_across = closes <= opens
        own = WEEK[today.weekday()] in days and clock >= opens and (is_across or clock < closes)
        rest = is_across and WEEK[before.weekday()] in days and before not in holidays
        is_open = today not in holidays and (own or (rest and clock < closes))
        assert at.code() == ("ok" if is_open else "session_closed"), wall


def test_a_holiday_is_a_date_and_a_zone_is_known() -> None:
    text = "[[rules]]\nkind = 'session_hours'\nhours = ['09:00-15:00']\nzone = 'Mars/Olympus'\n"
    with pytest.raises(ConfigInvalid) as refused:
        parse(text, "FILE", {})
    assert "FILE:4: rules[0].zone: is no time zone" in str(refused.value)
    with pytest.raises(ConfigInvalid) as refused:
        parse(f"{text}holidays = ['2026-02-30']\n", "FILE", {})
    assert "rules[0].holidays[0]: is no date" in str(refused.value)


def test_its_zone_is_asked_once_for_as_long_as_nothing_changes(desk: Desk) -> None:
    at = at_wall(desk, hours("09:30-16:00"), "2026-11-20T10:00")
    asked: list[str] = []
    known = at.books.zone
    at.books.zone = lambda name: (asked.append(name), known(name))[1]
    for _ in range(50):
        at.passes(60)
        at.mark("100")
        at.code()
    assert asked == ["America/New_York"]
