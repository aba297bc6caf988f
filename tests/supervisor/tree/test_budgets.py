"""Budgets, giving up and back-off, as plain calls of the core."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.messages import SupervisorEscalated
from riskd.supervisor.tree import Backoff, Budget
from riskd.supervisor.tree.cells import admit
from riskd.supervisor.tree.core import next_deadline
from riskd.supervisor.tree.state import Phase

ABC = ("a", "b", "c")


# --- budgets --------------------------------------------------------------------------------------


def test_intensity_failures_are_admitted_in_the_window_and_the_next_one_means_giving_up(tree):
    t = tree("a", "b", intensity=2).serve()
    for incarnation in (2, 3):
        assert t.crash("b") == ["child_failed b", f"spawn b#{incarnation}"]
        t.started("b")
    assert t.crash("b") == ["child_failed b", "supervisor_escalated b", "cancel a#1 by 5"]
    assert t.ended("a") == ["finish escalated"]


def test_intensity_zero_gives_up_at_the_first_failure(tree):
    t = tree("a", intensity=0).serve()
    assert t.crash("a") == ["child_failed a", "supervisor_escalated a", "finish escalated"]


def test_the_window_is_closed_a_failure_exactly_one_period_old_still_counts(tree):
    t = tree("a", intensity=1, period=5.0).serve()
    t.crash("a")
    t.started("a")
    t.now = 5.0
    assert t.crash("a")[-1] == "finish escalated"


def test_a_failure_older_than_the_period_no_longer_counts(tree):
    t = tree("a", intensity=1, period=5.0).serve()
    t.crash("a")
    t.started("a")
    t.now = math.nextafter(5.0, math.inf)
    assert t.crash("a") == ["child_failed a", "spawn a#3"]
    assert t.state.failures == (t.now,)


def test_one_failure_is_one_tick_however_many_siblings_restart(tree):
    t = tree("a", "b", "c", "d", strategy="one_for_all", intensity=1).serve()
    t.crash("a")
    for name in ("d", "c", "b"):
        t.crash(name)
    for name in ("a", "b", "c", "d"):
        t.started(name)
    assert len(t.state.failures) == 1
    assert all(c.phase is Phase.RUNNING for c in t.state.children.values())


def test_each_failed_restart_attempt_is_another_tick(tree):
    t = tree("a", intensity=2).serve()
    t.crash("a")
    assert t.crash("a") == ["child_failed a", "spawn a#3"]
    assert t.facts[0].phase == "starting"
    assert len(t.state.failures) == 2
    assert t.crash("a")[-1] == "finish escalated"


def test_a_restart_that_is_not_started_in_time_is_a_failed_one(tree, spec):
    t = tree(spec("a", start_timeout=1.0)).serve()
    t.crash("a")
    assert t.tick(1.0) == ["cancel a#2 by 6"]
    assert t.ended("a")[-1] == "finish escalated"
    assert t.state.outcome.cause == "StartTimeout: not started within 1 s"


def test_rest_for_one_resumes_from_the_child_whose_restart_failed(tree):
    t = tree(*ABC, strategy="rest_for_one", intensity=9).serve()
    t.crash("a")
    t.ended("c")
    t.ended("b")
    t.started("a")
    assert t.crash("b") == ["child_failed b", "spawn b#3"]
    assert t["a"].phase is Phase.RUNNING
    assert t["a"].incarnation == 2


def test_one_for_all_begins_again_when_a_restart_fails(tree):
    t = tree(*ABC, strategy="one_for_all", intensity=9).serve()
    t.crash("a")
    t.ended("c")
    t.ended("b")
    t.started("a")
    assert t.crash("b") == ["child_failed b", "cancel a#2 by 5"]
    assert t.ended("a") == ["spawn a#3"]


def test_between_a_failed_restart_and_the_next_attempt_a_call_gets_in(tree):
    t = tree("a", intensity=9).serve()
    t.crash("a")
    assert t.terminate("a") == ["child_held a", "cancel a#2 by 5"]
    assert t.crash("a") == ["child_ended a", "answer 1: ok"]
    assert t["a"].phase is Phase.IDLE


def test_a_childs_own_budget_is_held_beside_the_supervisors(tree, spec):
    own = Budget(intensity=1, period=100.0)
    t = tree(spec("a", budget=own), "b", intensity=2, period=5.0).serve()
    t.crash("a")
    t.started("a")
    t.now = 50.0
    assert t.crash("b") == ["child_failed b", "spawn b#2"]
    assert t.crash("a") == ["child_failed a", "supervisor_escalated a", "cancel b#2 by 55"]
    assert (t.state.outcome.child, t.state.outcome.failures) == ("a", 2)


def test_a_childs_own_budget_does_not_widen_the_supervisors(tree, spec):
    t = tree(spec("a", budget=Budget(intensity=99, period=1.0)), intensity=0).serve()
    assert t.crash("a")[-1] == "finish escalated"


@given(
    st.lists(st.floats(0, 100), max_size=20),
    st.integers(0, 10),
    st.floats(0.001, 50),
    st.floats(100, 200),
)
def test_admission_is_the_count_of_the_closed_window(times, intensity, period, now):
    times = tuple(sorted(times))
    counted, admitted = admit(times, Budget(intensity=intensity, period=period), now)
    assert counted == (*(t for t in times if now - period <= t), now)
    assert admitted == (len(counted) <= intensity)


def test_what_a_budget_remembers_is_bounded_by_it(tree):
    t = tree("a", intensity=3, period=2.0).serve()
    for second in range(1, 50):
        t.now = float(second)
        t.crash("a")
        t.started("a")
        assert len(t.state.failures) <= 3


# --- giving up ------------------------------------------------------------------------------------


def test_giving_up_stops_the_children_in_reverse_and_is_told_with_its_cause(tree):
    t = tree(*ABC, intensity=0).serve()
    assert t.crash("b") == ["child_failed b", "supervisor_escalated b", "cancel c#1 by 5"]
    assert t.facts[-1] == SupervisorEscalated(supervisor="top", child="b", cause="Oops", failures=1)
    assert t.ended("c") == ["cancel a#1 by 5"]
    assert t.ended("a") == ["finish escalated"]


def test_a_stop_that_comes_while_giving_up_does_not_make_the_end_a_normal_one(tree):
    t = tree("a", "b", intensity=0).serve()
    t.crash("b")
    t.stop(within=1.0)
    assert t.ended("a") == ["finish escalated"]


def test_giving_up_while_the_tree_starts_is_an_escalation(tree):
    t = tree("a", "b", intensity=0)
    t.begin()
    t.started("a")
    assert t.crash("a")[1:] == ["supervisor_escalated a", "cancel b#1 by 5"]
    assert t.ended("b") == ["finish escalated"]


# --- back-off -------------------------------------------------------------------------------------


def test_a_backed_off_restart_waits_longer_each_time_up_to_the_cap(tree, spec):
    policy = Backoff(first=1.0, factor=2.0, cap=3.0, jitter=0.0, healthy_after=60.0)
    t = tree(spec("a", backoff=policy), intensity=99, period=0.5).serve()
    waits = []
    for _ in range(4):
        assert t.crash("a") == ["child_failed a"]
        waits.append(next_deadline(t.state) - t.now)
        assert t.tick(next_deadline(t.state))[-1].startswith("spawn a#")
        t.started("a")
    assert waits == [1.0, 2.0, 3.0, 3.0]


def test_back_off_begins_again_after_a_healthy_time(tree, spec):
    policy = Backoff(first=1.0, factor=2.0, jitter=0.0, healthy_after=60.0)
    t = tree(spec("a", backoff=policy), intensity=99, period=0.5).serve()
    for healthy_s, wait in ((1.0, 1.0), (1.0, 2.0), (59.9, 4.0), (60.0, 1.0), (1.0, 2.0)):
        t.now += healthy_s
        t.crash("a")
        assert next_deadline(t.state) - t.now == pytest.approx(wait)
        t.tick(next_deadline(t.state))
        t.started("a")


def test_a_failing_start_is_no_healthy_time(tree, spec):
    policy = Backoff(first=1.0, jitter=0.0, healthy_after=2.0)
    t = tree(spec("a", backoff=policy), intensity=99).serve()
    t.crash("a")
    t.tick(1.0)
    t.now = 9.0
    t.crash("a")
    assert next_deadline(t.state) == 11.0


@given(
    st.floats(0.001, 1e6),
    st.floats(1.0, 1e9),
    st.floats(0.001, 1e9),
    st.floats(0, 1),
    st.integers(0, 10**6),
    st.floats(0, 1, exclude_max=True),
)
def test_a_wait_lies_between_its_jittered_self_and_the_cap(
    first, factor, cap, jitter, attempt, chance
):
    policy = Backoff(first=first, factor=factor, cap=cap, jitter=jitter)
    whole = policy.delay(attempt, 0.0)
    assert whole <= policy.delay(attempt + 1, 0.0) <= cap
    assert whole * (1 - jitter) <= policy.delay(attempt, chance) <= whole


@pytest.mark.parametrize(("chance", "wait"), [(0.0, 8.0), (0.25, 7.0), (0.5, 6.0)])
def test_what_failed_together_does_not_come_back_together(tree, spec, chance, wait):
    policy = Backoff(first=8.0, jitter=0.5)
    t = tree(spec("a", backoff=policy)).serve()
    t.crash("a", chance)
    assert next_deadline(t.state) == wait


def test_a_slowly_growing_wait_reaches_its_cap():
    assert Backoff(first=0.1, factor=1.05, cap=30.0).delay(200, 0.0) == 30.0


def test_under_rest_for_one_later_children_wait_for_a_backed_off_one(tree, spec):
    policy = Backoff(first=4.0, jitter=0.0)
    t = tree("a", spec("b", backoff=policy), "c", strategy="rest_for_one").serve()
    t.crash("b")
    assert t.ended("c") == []
    assert t.tick(4.0) == ["spawn b#2"]
    assert t.started("b") == ["child_restarted b", "spawn c#2"]
