"""Trading days and weeks of an account: when they begin, and what was made in them.

The instants were worked out by hand: New York is at UTC-5 in winter, at UTC-4 from 10 March 2024,
02:00, to 3 November 2024, 02:00.
"""

from decimal import Decimal
from typing import Any

import pytest
from riskd.actors.core.book.times import nanoseconds

Log = Any  # the class of this fixture lives in conftest.py


def clocked(log: Any, reset: str = "17:00", week_start: str = "sunday") -> Any:
    """An account that trades by New York's clock since the beginning of 2024."""
    log.account("1000", ts="2024-01-01T00:00:00Z").linear()
    return log.tell("session", tz="America/New_York", reset=reset, week_start=week_start)


def starts(log: Any) -> tuple[str | None, str | None]:
    return log.worth["session_start"], log.worth["week_start"]


# --- when they begin


@pytest.mark.parametrize(
    ("now", "start"),
    [
        ("2024-01-10T21:59:59.999999999Z", "2024-01-09T22:00:00Z"),
        # A fill exactly at the reset belongs to the session that it begins.
        ("2024-01-10T22:00:00Z", "2024-01-10T22:00:00Z"),
        ("2024-01-10T22:00:00.000000001Z", "2024-01-10T22:00:00Z"),
        # The clocks go forward on the night to 10 March: that session has 23 hours.
        ("2024-03-10T20:59:59Z", "2024-03-09T22:00:00Z"),
        ("2024-03-10T21:30:00Z", "2024-03-10T21:00:00Z"),
        ("2024-03-11T20:59:59Z", "2024-03-10T21:00:00Z"),
        # They go back on 3 November: 25 hours.
        ("2024-11-03T21:30:00Z", "2024-11-02T21:00:00Z"),
        ("2024-11-03T22:00:00Z", "2024-11-03T22:00:00Z"),
    ],
)
def test_a_day_begins_when_the_clock_on_the_wall_says(log: Log, now: str, start: str) -> None:
    clocked(log).buy("1", "1", "100", ts=now)
    assert log.worth["session_start"] == start


@pytest.mark.parametrize(
    ("before", "at", "start"),
    [
        ("2024-03-09T22:30:00Z", "2024-03-10T20:59:59Z", "2024-03-09T22:00:00Z"),
        ("2024-03-09T22:30:00Z", "2024-03-10T21:00:00Z", "2024-03-10T21:00:00Z"),
        ("2024-11-02T21:30:00Z", "2024-11-03T21:30:00Z", "2024-11-02T21:00:00Z"),
        ("2024-11-02T21:30:00Z", "2024-11-03T22:00:00Z", "2024-11-03T22:00:00Z"),
    ],
)
def test_a_day_under_way_ends_by_the_clock_on_the_wall(
    log: Log, before: str, at: str, start: str
) -> None:
    """After 23 hours when the clocks go forward, and after 25 when they go back."""
    clocked(log).buy("1", "1", "100", ts=before).sell("2", "1", "107", ts=at)
    assert log.worth["session_start"] == start
    assert log.worth["session_realized"] == "7"


@pytest.mark.parametrize(
    ("reset", "now", "start"),
    [
        # 02:30 is in the gap of 10 March; with the offset of before, it is 07:30 in UTC.
        ("02:30", "2024-03-10T07:29:59Z", "2024-03-09T07:30:00Z"),
        ("02:30", "2024-03-10T07:30:00Z", "2024-03-10T07:30:00Z"),
        ("02:30", "2024-03-11T06:30:00Z", "2024-03-11T06:30:00Z"),
        # 01:30 comes twice on 3 November; the first is the reset.
        ("01:30", "2024-11-03T05:29:59Z", "2024-11-02T05:30:00Z"),
        ("01:30", "2024-11-03T05:30:00Z", "2024-11-03T05:30:00Z"),
        ("01:30", "2024-11-03T06:30:00Z", "2024-11-03T05:30:00Z"),
    ],
)
def test_a_reset_in_a_change_of_clocks_is_read_with_fold_0(
    log: Log, reset: str, now: str, start: str
) -> None:
    clocked(log, reset).buy("1", "1", "100", ts=now)
    assert log.worth["session_start"] == start


@pytest.mark.parametrize(
    ("week_start", "now", "start"),
    [
        # 13 March 2024 is a Wednesday.
        ("sunday", "2024-03-13T12:00:00Z", "2024-03-10T21:00:00Z"),
        ("wednesday", "2024-03-13T12:00:00Z", "2024-03-06T22:00:00Z"),
        ("tuesday", "2024-03-13T12:00:00Z", "2024-03-12T21:00:00Z"),
        # The week turns at the reset of its day, and not at midnight.
        ("sunday", "2024-03-10T20:59:59Z", "2024-03-03T22:00:00Z"),
        ("sunday", "2024-03-10T21:00:00Z", "2024-03-10T21:00:00Z"),
        ("monday", "2024-03-10T21:00:00Z", "2024-03-04T22:00:00Z"),
    ],
)
def test_a_week_begins_at_the_latest_reset_on_its_day(
    log: Log, week_start: str, now: str, start: str
) -> None:
    clocked(log, week_start=week_start).buy("1", "1", "100", ts=now)
    assert log.worth["week_start"] == start


def test_the_day_of_the_week_is_that_of_the_zone(log: Log) -> None:
    log.account().linear().tell("session", tz="Pacific/Kiritimati", week_start="monday")
    log.mark("1", ts="2024-01-01T00:00:00Z").mark("1", ts="2024-05-05T10:00:00Z")
    # Midnight to Monday, 6 May, at UTC+14.
    assert starts(log) == ("2024-05-05T10:00:00Z", "2024-05-05T10:00:00Z")


def test_the_first_day_opens_at_the_first_event_with_a_time(log: Log) -> None:
    log.account().linear().tell("session").mark("1").mark("1", ts="2024-05-17T11:00:00Z")
    log.mark("1", ts="2024-05-17T12:00:00Z")
    assert starts(log) == ("2024-05-17T11:00:00Z", "2024-05-17T11:00:00Z")
    log.mark("1", ts="2024-05-17T10:00:00Z")
    assert starts(log) == ("2024-05-17T10:00:00Z", "2024-05-17T10:00:00Z")
    log.mark("1", ts="2024-05-18T12:00:00Z")
    assert starts(log) == ("2024-05-18T00:00:00Z", "2024-05-17T10:00:00Z")


def test_before_any_time_is_known_there_is_no_day(log: Log) -> None:
    log.account().linear().tell("session").buy("1", "1", "100")
    assert starts(log) == (None, None)
    assert log.worth["session_pnl"] is None
    assert log.worth["session_realized"] is None


def test_without_a_clock_nothing_is_said_of_days(log: Log) -> None:
    log.account(ts="2024-05-17T11:00:00Z")
    assert not {key for key in log.worth if "session" in key or "week" in key}


def test_the_clock_may_be_told_of_late(log: Log) -> None:
    log.account().linear().mark("1", ts="2024-05-17T11:00:00Z").buy(
        "1", "1", "100", fee="2", ts="2024-05-18T11:00:00Z"
    )
    log.tell("session", reset="11:00")
    assert log.worth["session_start"] == "2024-05-18T11:00:00Z"
    assert log.worth["session_realized"] == "-2"


# --- what was realised


def test_what_is_realised_at_the_reset_belongs_to_the_new_day(log: Log) -> None:
    clocked(log).buy("1", "3", "100", ts="2024-01-10T12:00:00Z", fee="7")
    log.sell("2", "1", "105", ts="2024-01-10T21:59:59.999999999Z")
    log.sell("3", "1", "110", ts="2024-01-10T22:00:00Z")
    assert log.worth["session_realized"] == "10"
    # Sunday, 7 January, is long before.
    assert log.worth["week_realized"] == "8"


def test_a_day_that_is_over_has_nothing_of_what_happened_at_its_end(log: Log) -> None:
    """17:00 in New York is 22:00 in winter."""
    clocked(log).buy("1", "2", "100", ts="2024-01-10T12:00:00Z")
    log.mark("101", ts="2024-01-10T21:59:59Z")
    log.sell("2", "1", "103", ts="2024-01-10T22:00:00Z")
    log.tell("funding", symbol="L", amount="-5", ts="2024-01-10T22:00:00Z")
    begin, end = (nanoseconds(f"2024-01-{day}T22:00:00Z") for day in ("09", "10"))
    assert log.book.sessions.over(begin, end) == (Decimal(0), Decimal(2))


def test_it_is_net_of_fees_and_has_funding_in_it(log: Log) -> None:
    clocked(log).buy("1", "1", "100", fee="1", ts="2024-01-10T12:00:00Z")
    log.tell("funding", symbol="L", amount="-9", ts="2024-01-10T13:00:00Z")
    log.sell("2", "1", "120", fee="2", ts="2024-01-11T12:00:00Z")
    log.tell("funding", symbol="L", amount="-3", ts="2024-01-11T13:00:00Z")
    log.tell("transfer", ccy="USD", amount="500", ts="2024-01-11T14:00:00Z")
    assert log.worth["session_realized"] == "15"
    assert log.worth["week_realized"] == "5"


def test_it_is_booked_at_the_rate_of_its_time(log: Log) -> None:
    clocked(log).linear("E", settle="EUR").tell("fx", ccy="EUR", rate="1.1")
    log.buy("1", "1", "100", "E", ts="2024-01-10T12:00:00Z")
    log.sell("2", "1", "110", "E", ts="2024-01-10T13:00:00Z")
    log.tell("fx", ccy="EUR", rate="2", ts="2024-01-10T14:00:00Z")
    assert log.worth["session_realized"] == "11"
    # The cash is worth 20 by now.
    assert log.worth["session_pnl"] == "20"
    log.tell("fx", ccy="EUR", rate="1.5", ts="2024-01-10T12:30:00Z")
    assert log.worth["session_realized"] == "15"


def test_without_its_rate_it_is_unknown(log: Log) -> None:
    clocked(log).buy("1", "1", "100", fee="1", fee_ccy="BNB", ts="2024-01-10T12:00:00Z")
    assert log.worth["session_realized"] is None
    # The next day has nothing of it.
    log.mark("100", ts="2024-01-10T22:00:00Z")
    assert log.worth["session_realized"] == "0"
    assert log.worth["week_realized"] is None


def test_a_late_fill_restates_its_own_day_and_what_came_after(log: Log) -> None:
    clocked(log).buy("1", "1", "100", ts="2024-01-10T12:00:00Z")
    log.sell("2", "1", "120", ts="2024-01-11T12:00:00Z")
    assert log.worth["session_realized"] == "20"
    log.buy("late", "1", "140", ts="2024-01-10T13:00:00Z", fee="5")
    # Two at 120 the day before: nothing won today, and its fee was yesterday's.
    assert log.worth["session_realized"] == "0"
    assert log.worth["week_realized"] == "-5"


def test_a_late_fill_of_today_counts_today(log: Log) -> None:
    clocked(log).buy("1", "1", "100", ts="2024-01-10T12:00:00Z")
    log.sell("2", "1", "120", ts="2024-01-11T12:00:00Z")
    log.buy("late", "1", "140", ts="2024-01-11T11:00:00Z", fee="5")
    assert log.worth["session_realized"] == "-5"


def test_a_bust_is_taken_out_of_its_day(log: Log) -> None:
    clocked(log).buy("1", "1", "100", fee="3", ts="2024-01-10T12:00:00Z")
    log.sell("2", "1", "120", ts="2024-01-11T12:00:00Z")
    log.tell("bust", id="2", symbol="L", ts="2024-01-12T12:00:00Z")
    assert log.worth["session_realized"] == "0"
    assert log.worth["week_realized"] == "-3"
    log.tell("bust", id="1", symbol="L", ts="2024-01-12T12:00:00Z")
    assert log.worth["week_realized"] == "0"


# --- what was made


def test_a_day_opens_with_the_last_marks_before_it(log: Log) -> None:
    clocked(log).buy("1", "10", "100", ts="2024-01-10T12:00:00Z")
    log.mark("110", ts="2024-01-10T21:59:59Z").mark("130", ts="2024-01-10T22:00:00Z")
    # From 1100 to 1300: the mark at the reset is the new day's.
    assert log.worth["session_pnl"] == "200"
    assert log.worth["week_pnl"] == "300"


def test_transfers_are_not_made(log: Log) -> None:
    clocked(log).tell("transfer", ccy="USD", amount="50", ts="2024-01-09T12:00:00Z")
    log.tell("transfer", ccy="USD", amount="500", ts="2024-01-10T22:00:00Z")
    log.buy("1", "1", "100", fee="4", ts="2024-01-10T23:00:00Z").mark("101")
    assert log.worth["session_pnl"] == "-3"
    assert log.worth["week_pnl"] == "-3"


def test_a_late_mark_of_yesterday_restates_what_today_opened_with(log: Log) -> None:
    clocked(log).buy("1", "10", "100", ts="2024-01-10T12:00:00Z").mark("110")
    log.mark("130", ts="2024-01-10T23:00:00Z")
    assert log.worth["session_pnl"] == "200"
    log.mark("125", ts="2024-01-10T21:00:00Z")
    assert log.worth["session_pnl"] == "50"


def test_a_day_that_opened_unknown_has_made_nobody_knows_what(log: Log) -> None:
    clocked(log).buy("1", "10", "100", ts="2024-01-10T12:00:00Z")
    log.mark("110", ts="2024-01-10T22:00:00Z")
    assert log.worth["session_pnl"] is None
    assert log.worth["week_pnl"] == "100"
    log.mark("100", ts="2024-01-10T12:00:00Z")
    assert log.worth["session_pnl"] == "100"


def test_the_first_day_opens_with_the_starting_balance(log: Log) -> None:
    log.account("1000").linear().tell("session")
    log.buy("1", "10", "100", fee="5", ts="2024-05-17T11:00:00Z").mark("101")
    # The first event with a time is in the day that it opens.
    assert log.worth["session_pnl"] == "5"
    assert log.worth["session_realized"] == "-5"
