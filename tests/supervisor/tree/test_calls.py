"""What the API's calls come to, as plain calls of the core."""

import attrs
import pytest
from riskd.supervisor.tree import Backoff
from riskd.supervisor.tree.state import Phase

EVERY_STRATEGY = pytest.mark.parametrize(
    "strategy", ["one_for_one", "rest_for_one", "one_for_all", "dynamic"]
)


# --- start_child ----------------------------------------------------------------------------------


@EVERY_STRATEGY
def test_an_added_child_is_answered_when_it_serves(tree, strategy):
    t = tree("a", strategy=strategy).serve()
    assert t.add("b") == ["spawn b#1"]
    assert t.started("b") == ["answer 1: ok"]
    assert list(t.state.children) == ["a", "b"]


def test_a_child_that_is_there_and_up_is_already_running(tree):
    t = tree("a").serve()
    assert t.add("a") == ["answer 1: already running"]
    t.crash("a")
    assert t["a"].phase is Phase.STARTING
    assert t.add("a") == ["answer 2: already running"]


def test_a_child_that_is_there_and_down_is_already_present(tree, spec):
    t = tree("a", spec("w", backoff=Backoff(first=9))).serve()
    t.terminate("a")
    assert t.add("a") == ["answer 2: already present"]
    t.ended("a")
    assert t.add("a") == ["answer 3: already present"]
    t.crash("w")
    assert t.add("w") == ["answer 4: already present"]


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
def test_a_child_whose_first_start_fails_is_answered_with_the_error_and_not_kept(
    tree, spec, restart
):
    t = tree("a", intensity=0).serve()
    t.add(spec("b", restart=restart))
    assert t.crash("b") == ["answer 1: failed: Oops", "child_ended b"]
    assert list(t.state.children) == ["a"]
    assert t.state.failures == ()


def test_an_added_child_that_is_overdue_is_answered_with_the_timeout(tree, spec):
    t = tree(intensity=0).serve()
    t.add(spec("b", start_timeout=1.0))
    t.tick(1.0)
    assert t.ended("b")[0] == "answer 1: failed: StartTimeout: not started within 1 s"
    assert t.state.children == {}


def test_an_added_child_that_crashes_later_is_restarted_like_any_other(tree):
    t = tree().serve()
    t.add("b")
    t.started("b")
    assert t.crash("b") == ["child_failed b", "spawn b#2"]
    assert t.crash("b")[0] == "child_failed b"


def test_a_child_added_while_the_tree_starts_comes_last_and_its_failure_is_the_callers(tree):
    t = tree("a")
    t.begin()
    assert t.add("b") == []
    assert t.started("a") == ["spawn b#1"]
    assert t.crash("b") == ["answer 1: failed: Oops", "child_ended b", "ready"]


def test_the_caller_for_a_temporary_child_that_a_sibling_takes_along_is_told_so(tree, spec):
    t = tree("a", strategy="one_for_all").serve()
    t.add(spec("b", restart="temporary"))
    t.crash("a")
    assert t.ended("b") == ["answer 1: failed: 'a' failed and took it along: Oops", "spawn a#2"]


def test_the_caller_for_a_child_that_a_sibling_takes_along_waits_for_the_next_attempt(tree):
    t = tree("a", strategy="one_for_all").serve()
    t.add("b")
    t.crash("a")
    assert t.ended("b") == ["spawn a#2"]
    assert t.started("a") == ["child_restarted a", "spawn b#2"]
    assert t.started("b") == ["child_restarted b", "answer 1: ok"]


# --- terminate_child ------------------------------------------------------------------------------


@EVERY_STRATEGY
def test_a_terminated_child_is_answered_when_it_is_down_and_keeps_its_spec(tree, strategy):
    t = tree("a", strategy=strategy, intensity=0).serve()
    assert t.terminate("a") == ["child_held a", "cancel a#1 by 5"]
    assert t.ended("a") == ["answer 1: ok"]
    assert t["a"].phase is Phase.IDLE
    assert t.state.failures == ()


def test_terminating_is_idempotent(tree):
    t = tree("a").serve()
    t.terminate("a")
    assert t.terminate("a") == []
    assert t.ended("a") == ["answer 1: ok", "answer 2: ok"]
    assert t.terminate("a") == ["answer 3: ok"]


def test_terminating_during_back_off_cancels_the_pending_restart_and_costs_nothing(tree, spec):
    t = tree(spec("a", backoff=Backoff(first=2.0))).serve()
    t.crash("a")
    assert t.terminate("a") == ["child_held a", "answer 1: ok"]
    assert t.tick(60.0) == []
    assert t["a"].phase is Phase.IDLE
    assert t.state.failures == (0.0,)


def test_an_error_while_it_is_terminated_is_told_and_costs_nothing(tree):
    t = tree("a", intensity=0).serve()
    t.terminate("a")
    assert t.crash("a") == ["child_ended a", "answer 1: ok"]
    assert t.facts[0].cause == "Oops"


def test_terminating_a_child_that_is_being_crashed_makes_it_a_stop(tree):
    t = tree("a", intensity=0).serve()
    t.kill("a")
    assert t.terminate("a") == ["child_held a"]
    assert t.ended("a") == ["answer 2: ok"]
    assert t.state.failures == ()


@EVERY_STRATEGY
def test_a_terminated_temporary_child_loses_its_spec(tree, spec, strategy):
    t = tree(spec("a", restart="temporary"), strategy=strategy).serve()
    t.terminate("a")
    assert t.ended("a") == ["answer 1: ok"]
    assert t.state.children == {}


def test_terminating_a_child_that_is_being_started_answers_both_callers(tree):
    t = tree().serve()
    t.add("b")
    assert t.terminate("b")[:1] == ["answer 1: failed: terminated before it had started"]
    assert t.ended("b") == ["answer 2: ok"]
    assert t["b"].held


def test_a_child_terminated_before_its_first_start_is_passed_over(tree):
    t = tree("a", "b")
    t.begin()
    t.terminate("b")
    assert t.started("a") == ["ready"]


# --- holds ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["rest_for_one", "one_for_all"])
def test_a_held_child_stays_stopped_through_a_siblings_restart(tree, strategy):
    t = tree("a", "b", "c", strategy=strategy).serve()
    t.terminate("b")
    t.ended("b")
    t.crash("a")
    assert t.ended("c") == ["spawn a#2"]
    assert t.started("a") == ["child_restarted a", "spawn c#2"]
    assert t["b"].phase is Phase.IDLE


def test_a_child_that_was_held_before_is_not_started(tree):
    t = tree("a", "b", "c", held=("a", "c"))
    assert t.begin() == ["spawn b#1"]
    assert t.started("b") == ["ready"]


def test_restarting_a_held_child_ends_the_hold(tree):
    t = tree("a", held=("a",)).serve()
    assert t.restart("a") == ["child_released a", "spawn a#1"]
    assert t.started("a") == ["child_restarted a", "answer 1: ok"]
    assert t.crash("a") == ["child_failed a", "spawn a#2"]


def test_holding_twice_and_releasing_once_is_told_once(tree):
    t = tree("a").serve()
    t.terminate("a")
    t.ended("a")
    assert t.terminate("a") == ["answer 2: ok"]
    assert t.restart("a") == ["child_released a", "spawn a#2"]
    t.started("a")
    assert t.terminate("a")[0] == "child_held a"


def test_a_listed_temporary_child_that_is_terminated_leaves_its_hold_behind(tree, spec):
    t = tree(spec("a", restart="temporary")).serve()
    assert t.terminate("a") == ["child_held a", "cancel a#1 by 5"]
    t.ended("a")
    assert t.state.held == {"a"}


def test_a_listed_temporary_child_terminated_before_its_first_start_leaves_its_hold_too(tree, spec):
    t = tree("a", spec("b", restart="temporary"))
    t.begin()
    assert t.terminate("b") == ["child_held b", "answer 1: ok"]
    assert t.state.held == {"b"}


def test_deleting_a_listed_child_leaves_its_hold_behind(tree):
    t = tree("a", held=("a",)).serve()
    assert t.delete("a") == ["answer 1: ok"]
    assert t.state.held == {"a"}


@pytest.mark.parametrize("restart", ["permanent", "temporary"])
def test_starting_a_listed_child_after_it_has_gone_ends_its_hold(tree, spec, restart):
    child = spec("a", restart=restart)
    t = tree(child, held=("a",)).serve()
    t.terminate("a")
    t.delete("a")
    assert t.add(child) == ["child_released a", "spawn a#1"]
    assert t.started("a") == ["answer 3: ok"]
    assert t.state.held == frozenset()


def test_an_added_child_that_is_deleted_keeps_no_hold(tree):
    t = tree().serve()
    t.add("a")
    t.started("a")
    t.terminate("a")
    t.ended("a")
    assert t.delete("a") == ["child_released a", "answer 3: ok"]
    assert t.state.held == frozenset()
    assert t.add("a") == ["spawn a#1"]


def test_an_added_temporary_child_is_not_held_and_starts_when_it_is_added_again(tree, spec):
    t = tree().serve()
    child = spec("a", restart="temporary")
    t.add(child)
    t.started("a")
    assert t.terminate("a") == ["cancel a#1 by 5"]
    assert t.ended("a") == ["answer 2: ok"]
    assert t.state.held == frozenset()
    assert t.add(child) == ["spawn a#1"]


def test_a_hold_from_earlier_outlasts_a_temporary_child_that_is_added_and_terminated(tree, spec):
    t = tree().serve()
    t.state = attrs.evolve(t.state, held=frozenset({"a"}))
    child = spec("a", restart="temporary")
    assert t.add(child) == ["answer 1: already present"]
    assert t.terminate("a") == ["answer 2: ok"]
    assert t.add(child) == ["answer 3: already present"]
    assert t.restart("a") == ["child_released a", "spawn a#1"]


# --- restart_child --------------------------------------------------------------------------------


def test_a_restart_that_fails_leaves_the_child_down_and_costs_nothing(tree):
    t = tree("a", intensity=0).serve()
    t.terminate("a")
    t.ended("a")
    t.restart("a")
    assert t.crash("a") == ["answer 2: failed: Oops", "child_ended a"]
    assert t["a"].phase is Phase.IDLE
    assert t.state.failures == ()


def test_a_restart_that_was_asked_for_is_not_put_down_to_an_old_failure(tree):
    t = tree("a", "b", strategy="rest_for_one", intensity=9).serve()
    t.terminate("b")
    t.ended("b")
    t.restart("b")
    t.crash("a")
    t.ended("b")
    t.started("a")
    t.crash("b")
    assert t["b"].phase is Phase.IDLE
    t.restart("b")
    assert t.started("b") == ["child_restarted b", "answer 3: ok"]
    assert t.facts[0].cause == "restarted by an operator"
    assert t.facts[0].because_of == "b"
    assert t["b"].cause == "Oops"


def test_a_restart_that_a_sibling_interrupts_is_put_down_to_the_sibling(tree):
    t = tree("a", "b", strategy="rest_for_one", intensity=9).serve()
    t.terminate("b")
    t.ended("b")
    t.restart("b")
    t.crash("a")
    t.ended("b")
    t.started("a")
    assert t.started("b") == ["child_restarted b", "answer 2: ok"]
    assert (t.facts[0].because_of, t.facts[0].cause) == ("a", "Oops")
    assert t["b"].restarts == 1


def test_what_is_up_or_on_its_way_is_not_restarted(tree, spec):
    t = tree("a", spec("w", backoff=Backoff(first=9)), intensity=9).serve()
    assert t.restart("a") == ["answer 1: already running"]
    t.crash("w")
    assert t.restart("w") == ["answer 2: restarting"]
    t.crash("a")
    assert t.restart("a") == ["answer 3: restarting"]
    t.terminate("a")
    assert t.restart("a") == ["answer 5: stopping"]


# --- delete_child, kill_child ---------------------------------------------------------------------


def test_only_what_is_stopped_is_deleted(tree, spec):
    t = tree("a", spec("w", backoff=Backoff(first=9)), intensity=9).serve()
    assert t.delete("a") == ["answer 1: running"]
    t.crash("w")
    assert t.delete("w") == ["answer 2: restarting"]
    t.crash("a")
    assert t.delete("a") == ["answer 3: running"]
    t.terminate("a")
    assert t.delete("a") == ["answer 5: stopping"]
    t.ended("a")
    assert t.delete("a")[-1] == "answer 6: ok"
    assert list(t.state.children) == ["w"]


def test_a_crash_on_purpose_is_a_failure_like_any_other(tree):
    t = tree("a", "b", strategy="rest_for_one").serve()
    assert t.kill("a") == ["kill a#1", "answer 1: ok"]
    assert t.ended("a") == ["child_failed a", "cancel b#1 by 5"]
    assert t.facts[0].cause == "Killed: crashed on purpose"
    assert len(t.state.failures) == 1


def test_under_order_nothing_starts_while_a_killed_child_is_leaving(tree):
    t = tree("a", "b", strategy="rest_for_one").serve()
    t.kill("a")
    assert t.add("c") == []
    t.ended("a")
    t.ended("b")
    assert t.started("a") == ["child_restarted a", "spawn b#2"]
    assert t.started("b") == ["child_restarted b", "spawn c#1"]


def test_what_goes_wrong_while_a_killed_child_leaves_is_told_after_the_killing(tree):
    t = tree("a").serve()
    t.kill("a")
    t.crash("a")
    assert t.facts[0].cause == "Killed: crashed on purpose; while leaving: Oops"


def test_a_crash_on_purpose_while_it_starts_is_a_failed_start(tree):
    t = tree("a", intensity=0)
    t.begin()
    t.kill("a")
    assert t.ended("a")[-1] == "finish failed_to_start"


def test_a_crash_of_what_does_not_run_is_refused(tree, spec):
    t = tree("a", spec("w", backoff=Backoff(first=9))).serve()
    t.terminate("a")
    assert t.kill("a") == ["answer 2: stopping"]
    t.ended("a")
    assert t.kill("a") == ["answer 3: not running"]
    t.crash("w")
    assert t.kill("w") == ["answer 4: not running"]


# --- all of them ----------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["terminate", "restart", "delete", "kill"])
def test_an_unknown_child_is_not_found(tree, call):
    t = tree("a").serve()
    before = t.state
    assert getattr(t, call)("x") == ["answer 1: not found"]
    assert t.state == before


@pytest.mark.parametrize("call", ["add", "terminate", "restart", "delete", "kill"])
@pytest.mark.parametrize("name", ["a", "x"])
def test_once_stopping_is_latched_every_call_is_refused_and_changes_nothing(tree, call, name):
    t = tree("a").serve()
    t.stop()
    before = t.state
    assert getattr(t, call)(name) == ["answer 1: stopping"]
    assert t.state == before


REFUSED = {
    Phase.IDLE: ("add", "kill"),
    Phase.WAITING: ("add", "restart", "delete", "kill"),
    Phase.STARTING: ("add", "restart", "delete"),
    Phase.RUNNING: ("add", "restart", "delete"),
    Phase.STOPPING: ("add", "restart", "delete", "kill"),
    Phase.KILLING: ("add", "restart", "delete", "kill"),
}


@pytest.mark.parametrize(
    ("phase", "call"), [(phase, call) for phase, calls in REFUSED.items() for call in calls]
)
def test_a_refused_call_changes_nothing(tree, spec, phase, call):
    t = in_phase(tree, spec, phase)
    before = t.state
    (answer,) = getattr(t, call)("a")
    assert answer.startswith("answer ")
    assert t.state == before


def in_phase(tree, spec, phase):
    t = tree(spec("a", backoff=Backoff(first=9)), intensity=9).serve()
    if phase is Phase.STARTING:
        t.crash("a")
        t.tick(9.0)
    elif phase is Phase.WAITING:
        t.crash("a")
    elif phase is Phase.KILLING:
        t.kill("a")
    elif phase in (Phase.STOPPING, Phase.IDLE):
        t.terminate("a")
    if phase is Phase.IDLE:
        t.ended("a")
    assert t["a"].phase is phase
    return t


def test_a_stop_answers_everybody_who_waits(tree, spec):
    t = tree("a", spec("w", backoff=Backoff(first=9)), strategy="rest_for_one").serve()
    t.terminate("a")
    t.crash("w")
    t.add("b")
    assert t.stop() == ["answer 2: stopping"]
    assert t.ended("a") == ["answer 1: ok", "finish stopped"]


def test_calls_cost_nothing_of_the_budget(tree):
    t = tree("a", intensity=0).serve()
    for _ in range(5):
        t.terminate("a")
        t.ended("a")
        t.restart("a")
        t.started("a")
    assert t.state.failures == ()
    assert t["a"].restarts == 0
