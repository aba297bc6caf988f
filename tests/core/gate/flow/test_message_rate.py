"""What is sent in a while: new orders wait, cancelling never does."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core.gate.memory import Asked
from riskd.actors.core.gate.window import STEPS
from riskd.config.schema.rules import MessageRate

Desk = Callable[..., Any]


def rule(**more: Any) -> MessageRate:
    return MessageRate(window_s=10.0, **more)


def cancels(desk: Any, number: int, what: str = "cancel_request") -> None:
    """As it is asked for, of the newest order."""
    more = {"qty": "1"} if what == "amend_request" else {}
    for _ in range(number):
        desk.tell(what, id=desk.last, **more)


def test_so_many_orders_pass_in_a_window_and_one_more_does_not(desk: Desk) -> None:
    at = desk(rule(max_submits=3))
    assert at.passed(3) == 3
    no = at.ask()
    assert (no.decision, no.rule, no.code) == ("block", "message_rate", "submit_rate")
    assert (no.limit, no.value, no.headroom, no.max_qty) == (3, 4, 0, 0)


def test_changes_have_room_of_their_own(desk: Desk) -> None:
    at = desk(rule(max_submits=1, max_amends=2))
    assert at.passed(2) == 1
    assert [at.amend("o1", qty="2").code for _ in range(3)] == ["ok", "ok", "amend_rate"]
    at.passes(10)
    assert at.amend("o1", qty="2").code == "ok"
    assert at.ask().code == "ok"


def test_an_order_has_left_exactly_a_window_later_and_not_before(desk: Desk) -> None:
    at = desk(rule(max_submits=1))
    assert at.passed(1) == 1
    at.passes(9.999999)
    assert at.ask().code == "submit_rate"
    at.passes(0.000001)
    assert at.ask().decision == "allow"


def test_what_was_blocked_was_not_sent(desk: Desk) -> None:
    at = desk(rule(max_submits=2))
    assert at.passed(50) == 2
    at.passes(10)
    assert at.passed(50) == 2


def test_at_eighty_percent_that_is_told(desk: Desk) -> None:
    at = desk(rule(max_submits=10))
    levels = [at.ask().risk_level for _ in range(10)]
    assert levels == ["info"] * 7 + ["warning"] * 3


def test_submits_leave_the_reserve_to_cancelling(desk: Desk) -> None:
    at = desk(rule(max_messages=10, cancel_reserve=3))
    assert at.passed(20) == 7
    assert at.ask().code == "message_rate"


def test_cancelling_takes_from_what_submits_may_use_and_not_the_other_way(desk: Desk) -> None:
    at = desk(rule(max_messages=10, cancel_reserve=3))
    at.passed(1)
    cancels(at, 4)
    assert at.passed(20) == 2
    cancels(at, 3)
    assert at.memories["message_rate@all"].cancels.most == 7


@pytest.mark.parametrize(
    ("what", "code"), [("cancel_request", "cancel_rate"), ("amend_request", "amend_rate")]
)
def test_each_kind_has_a_limit_of_its_own_and_stops_orders_only_above_it(
    desk: Desk, what: str, code: str
) -> None:
    limit = {"cancel_rate": "max_cancels", "amend_rate": "max_amends"}[code]
    at = desk(rule(**{limit: 5}))
    at.passed(1)
    cancels(at, 5, what)
    assert at.ask().decision == "allow"
    cancels(at, 1, what)
    assert at.ask().code == code
    at.passes(10)
    assert at.ask().decision == "allow"


def test_the_kinds_do_not_count_for_one_another(desk: Desk) -> None:
    at = desk(rule(max_submits=3, max_amends=3, max_cancels=3))
    at.passed(1)
    cancels(at, 3)
    cancels(at, 3, "amend_request")
    assert at.passed(5) == 2


def test_a_clock_that_is_set_back_opens_nothing(desk: Desk) -> None:
    at = desk(rule(max_submits=2))
    assert at.passed(2) == 2
    at.passes(-3_600)
    assert at.passed(2) == 0


def test_a_window_goes_on_across_a_restart(desk: Desk) -> None:
    at = desk(rule(max_submits=3))
    at.passed(2)
    at.passes(4)
    at.restart()
    assert at.passed(5) == 1
    at.passes(6)
    at.restart()
    assert at.passed(5) == 2


def test_a_person_lets_it_begin_anew(desk: Desk) -> None:
    one = rule(max_submits=1)
    at = desk(one)
    assert at.passed(2) == 1
    at.rearm(rule(max_submits=1, name="another"))
    assert at.passed(1) == 0
    at.rearm(one)
    assert at.passed(1) == 1


def test_it_counts_what_is_in_its_scope(desk: Desk) -> None:
    at = desk(rule(max_submits=1, scope="strategy:mm"))
    assert at.passed(5) == 5
    assert at.passed(2, strategy="mm") == 1
    at.passed(1, strategy="other")
    cancels(at, 1)
    assert at.memories["message_rate@strategy:mm"].cancels.most == 0


def test_an_order_that_adds_no_risk_waits_too(desk: Desk) -> None:
    at = desk(rule(max_submits=1))
    at.trade()
    assert at.ask(side="sell").code == "submit_rate"


def test_it_says_what_it_has_counted_when_it_is_asked(desk: Desk) -> None:
    at = desk(rule(max_submits=10))
    at.passed(2)
    (said,) = [one for one in at.decide(explains=True).opinions if one.judge.kind == "message_rate"]
    assert said.found[:5] == ("pass", "ok", 10, 3, 8)


@given(
    gaps=st.lists(st.floats(min_value=-20, max_value=20), max_size=60),
    most=st.integers(min_value=1, max_value=6),
    restart_at=st.integers(min_value=0, max_value=60),
)
def test_never_do_more_pass_in_any_window(
    desk: Desk, gaps: list[float], most: int, restart_at: int
) -> None:
    """By the latest time at which one passed: setting the clock back does not make time."""
    at = desk(rule(max_submits=most))
    passed: list[Any] = []
    for number, gap in enumerate(gaps):
        at.passes(gap)
        if number == restart_at:
            at.restart()
        if at.ask().decision == "allow":
            passed.append(max([at.at, *passed]))
    window = timedelta(seconds=10)
    for end in passed:
        assert sum(end - window < one <= end for one in passed) <= most


@given(gaps=st.lists(st.floats(min_value=0, max_value=6), max_size=40))
def test_whatever_a_window_has_room_for_passes(desk: Desk, gaps: list[float]) -> None:
    """But for what is less than a step of it old, which may be told apart no more."""
    at = desk(rule(max_submits=3))
    passed: list[Any] = []
    window, step = timedelta(seconds=10), timedelta(seconds=10 / STEPS)
    for gap in gaps:
        at.passes(gap)
        if at.ask().decision == "allow":
            passed.append(at.at)
        else:
            assert sum(at.at - window - step < one for one in passed) >= 3


def test_a_flood_of_cancellations_takes_no_room(desk: Desk) -> None:
    at = desk(rule(max_messages=100, cancel_reserve=10))
    memory = at.memories["message_rate@all"]
    for number in range(20_000):
        when = at.at + timedelta(seconds=number / 1_000)
        memory.saw(Asked(when, ("all",), "main", "o1", "cancel_request"))
    assert len(memory.dump()[2][0]) <= STEPS + 2
    at.passes(20)
    assert at.ask().code == "message_rate"
    at.passes(10)
    assert at.ask().decision == "allow"


@pytest.mark.parametrize("state", [None, {}, [], [[[], [], None]], [1, 2, 3]])
def test_what_is_no_dump_is_refused(desk: Desk, state: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        desk(rule(max_submits=1)).memories["message_rate@all"].load(state)
