"""A sliding window in little room: late by a step at most, and never early."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core.gate.window import STEPS, Window

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SPAN = timedelta(seconds=10)
STEP = SPAN / STEPS


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def filled(times: list[datetime]) -> Window:
    window = Window(10)
    for one in times:
        window.add(one)
    return window


ahead = st.lists(st.one_of(st.floats(0, 3), st.floats(0, 0.002)), max_size=80).map(
    lambda gaps: [at(sum(gaps[:last])) for last in range(1, len(gaps) + 1)]
)
anywhen = st.lists(st.floats(-30, 30).map(at), max_size=60)


@given(ahead, st.floats(0, 200).map(at))
def test_a_count_is_exact_to_a_step_and_never_too_small(times: list[Any], now: Any) -> None:
    now = max([now, *times])
    count = filled(times).count(now - SPAN)
    assert sum(one > now - SPAN for one in times) <= count
    assert count <= sum(one > now - SPAN - STEP for one in times)


@given(anywhen, st.floats(-60, 60).map(at))
def test_times_that_go_backwards_count_as_the_latest_that_was_seen(
    times: list[Any], now: Any
) -> None:
    latest = [max(times[: last + 1]) for last in range(len(times))]
    now = max([now, *latest[-1:]])
    assert filled(times).count(now - SPAN) >= sum(one > now - SPAN for one in latest)


@given(anywhen, st.floats(-60, 60).map(at))
def test_there_are_never_more_than_it_says_at_first_sight(times: list[Any], now: Any) -> None:
    window = filled(times)
    assert window.count(now - SPAN) <= window.most


@given(anywhen, anywhen, st.lists(st.floats(-60, 60).map(at), min_size=1, max_size=5))
def test_a_window_that_was_dumped_goes_on_as_if_it_never_were(
    before: list[Any], after: list[Any], moments: list[Any]
) -> None:
    whole, loaded = filled(before), Window(10)
    loaded.load(msgspec.json.decode(msgspec.json.encode(whole.dump())))
    for one in (None, *after):
        if one is not None:
            whole.add(one)
            loaded.add(one)
        assert [whole.count(now - SPAN) for now in moments] == [
            loaded.count(now - SPAN) for now in moments
        ]
        assert whole.most == loaded.most
    assert whole.dump() == loaded.dump()


def test_what_is_kept_as_one_leaves_with_the_last_of_it() -> None:
    window = filled([at(0), at(0.005)])
    assert window.count(at(0.004)) == 2
    assert window.count(at(0.005)) == 0


def test_it_needs_the_same_room_for_ten_events_a_step_as_for_one() -> None:
    window = Window(10)
    for number in range(10 * STEPS * 10):
        window.add(at(number / STEPS))
        assert window.most <= 10 * (STEPS + 1)
    kept: Any = window.dump()
    assert len(kept[0]) <= STEPS + 2


def test_a_window_that_was_cleared_is_empty() -> None:
    window = filled([at(0), at(1)])
    window.clear()
    assert (window.most, window.count(at(-60))) == (0, 0)


@pytest.mark.parametrize(
    "state",
    [
        None,
        [],
        [["2026-11-21T12:00:00Z"], [], None],
        [["2026-11-21T12:00:00Z"], [0], None],
        [["2026-11-21T12:00:00"], [1], None],
        [["2026-11-21T12:00:01Z", "2026-11-21T12:00:00Z"], [1, 1], None],
        [["noon"], [1], None],
    ],
)
def test_what_is_no_window_is_refused(state: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        Window(10).load(state)
