"""How a tree stops, and when it shuts down by itself, as plain calls of its core."""

import math

import pytest
from riskd.supervisor.tree import Backoff, ChildSpec
from riskd.supervisor.tree.core import next_deadline
from riskd.supervisor.tree.state import STRIKE_S, Phase

ABC = ("a", "b", "c")
EVERY_STRATEGY = pytest.mark.parametrize(
    "strategy", ["one_for_one", "rest_for_one", "one_for_all", "dynamic"]
)
ORDERED = pytest.mark.parametrize("strategy", ["one_for_one", "rest_for_one", "one_for_all"])


# --- stopping -------------------------------------------------------------------------------------


@ORDERED
def test_a_stop_takes_the_children_down_in_reverse_one_at_a_time(tree, strategy):
    t = tree(*ABC, strategy=strategy).serve()
    assert t.stop() == ["cancel c#1 by 5"]
    assert t.ended("c") == ["cancel b#1 by 5"]
    assert t.ended("b") == ["cancel a#1 by 5"]
    assert t.ended("a") == ["finish stopped"]


def test_dynamic_children_stop_in_parallel_under_one_deadline(tree):
    t = tree(*ABC, strategy="dynamic").serve()
    assert t.stop(within=3.0) == ["cancel a#1 by 3", "cancel b#1 by 3", "cancel c#1 by 3"]
    assert t.tick(3.0) == ["kill a#1", "kill b#1", "kill c#1"]


def test_each_child_has_its_own_deadline_inside_one_total(tree, spec):
    t = tree(spec("a", shutdown=1.0), spec("b", shutdown=2.0), spec("c", shutdown=9.0)).serve()
    assert t.stop(within=4.0) == ["cancel c#1 by 4"]
    t.now = 1.5
    assert t.ended("c") == ["cancel b#1 by 3.5"]
    assert t.tick(3.5) == ["kill b#1"]
    assert t.ended("b") == ["cancel a#1 by 4"]
    assert next_deadline(t.state) == 4.0
    assert t.tick(4.0) == ["kill a#1"]


def test_past_the_total_whatever_is_left_is_killed_in_reverse(tree, spec):
    t = tree("a", "b", spec("c", shutdown=math.inf)).serve()
    t.stop(within=4.0)
    assert next_deadline(t.state) == 4.0
    assert t.tick(4.0) == ["kill c#1", "kill b#1", "kill a#1"]


def test_a_child_with_an_endless_shutdown_is_waited_for_without_a_deadline(tree, spec):
    t = tree(spec("a", shutdown=math.inf)).serve()
    assert t.stop() == ["cancel a#1 by inf"]
    assert next_deadline(t.state) == math.inf
    assert t.tick(1e9) == []


def test_a_shutdown_of_zero_is_a_kill_at_once(tree, spec):
    t = tree("a", spec("b", shutdown=0)).serve()
    assert t.stop() == ["kill b#1"]
    assert t.ended("b") == ["cancel a#1 by 5"]


def test_a_second_stop_can_only_hasten(tree):
    t = tree("a").serve()
    t.stop(within=4.0)
    assert t.stop(within=9.0) == []
    assert t.state.stop_by == 4.0
    t.now = 1.0
    assert t.stop(within=1.0) == []
    assert next_deadline(t.state) == 2.0
    assert t.tick(2.0) == ["kill a#1"]


@EVERY_STRATEGY
def test_nothing_restarts_after_a_stop(tree, spec, strategy):
    t = tree("a", spec("b", backoff=Backoff(first=2.0)), strategy=strategy, intensity=9).serve()
    t.crash("b")
    t.stop()
    assert t["b"].phase is Phase.IDLE
    assert not [line for line in t.tick(60.0) if line.startswith("spawn")]
    assert t.crash("a") == ["child_ended a", "finish stopped"]
    assert t.state.failures == (0.0,)


def test_a_crash_on_purpose_that_a_stop_overtakes_costs_nothing(tree):
    t = tree("a", "b", intensity=0).serve()
    t.kill("a")
    t.stop()
    assert t.ended("a") == []
    assert t.ended("b") == ["finish stopped"]
    assert t.state.failures == ()


def test_a_sibling_that_a_stop_overtakes_is_not_started_again(tree):
    t = tree("a", "b", strategy="rest_for_one").serve()
    t.crash("a")
    t.stop()
    assert t.ended("b") == ["finish stopped"]
    assert [child.phase for child in t.state.children.values()] == [Phase.IDLE] * 2


def test_an_overdue_start_that_a_stop_overtakes_costs_nothing(tree, spec):
    t = tree(spec("a", start_timeout=1.0)).serve()
    t.crash("a")
    t.tick(1.0)
    t.stop()
    assert t.ended("a") == ["finish stopped"]
    assert t.state.failures == (0.0,)


@ORDERED
def test_a_stop_during_the_first_start_undoes_it_in_reverse_and_is_not_ready(tree, strategy):
    t = tree(*ABC, strategy=strategy)
    t.begin()
    t.started("a")
    assert t.stop() == ["cancel b#1 by 5"]
    assert t.ended("b") == ["cancel a#1 by 5"]
    assert t.ended("a") == ["finish stopped"]


def test_a_start_that_is_overdue_while_the_tree_stops_keeps_its_turn(tree, spec):
    t = tree(spec("a", start_timeout=2.0), "b", intensity=9).serve()
    t.crash("a")
    assert t.stop() == ["cancel b#1 by 5"]
    assert next_deadline(t.state) == 5.0
    assert t.tick(2.0) == []
    assert t.ended("b") == ["cancel a#2 by 7"]


def test_a_child_that_ignores_its_kill_is_killed_again_and_told_stuck_once(tree):
    t = tree("a", "b").serve()
    t.stop()
    assert t.tick(5.0) == ["kill b#1"]
    assert t.tick(5.0 + STRIKE_S) == ["kill b#1"]
    told = t.tick(5.0 + 2 * STRIKE_S)
    assert told == ["kill b#1", "child_stuck b", "stuck b#1", "cancel a#1 by 11"]
    t.ended("a")
    for strike in range(3, 20):
        assert t.tick(5.0 + strike * STRIKE_S) == ["kill b#1"]
    assert t["b"].strikes <= 3


def test_a_stuck_child_does_not_keep_the_others_from_being_stopped_in_order(tree):
    t = tree(*ABC).serve()
    t.stop()
    for at in (5.0, 5.0 + STRIKE_S):
        t.tick(at)
    assert t.tick(5.0 + 2 * STRIKE_S)[-1] == "cancel b#1 by 11"
    assert t.ended("b") == ["cancel a#1 by 11"]
    assert t.ended("a") == []
    assert t.ended("c") == ["finish stopped"]


# --- a stop above ---------------------------------------------------------------------------------


@EVERY_STRATEGY
@pytest.mark.parametrize("error", [None, "Oops"])
def test_while_a_supervisor_above_stops_an_end_costs_nothing_and_leads_to_nothing(
    tree, strategy, error
):
    t = tree(*ABC, strategy=strategy, intensity=0).serve()
    assert t.close() == []
    assert t.ended("b", error) == ["child_ended b"] * (error is not None)
    t.kill("c")
    assert t.ended("c") == []
    assert [child.phase for child in t.state.children.values()] == [
        Phase.RUNNING,
        Phase.IDLE,
        Phase.IDLE,
    ]
    assert t.stop() == ["cancel a#1 by 5"]


@EVERY_STRATEGY
def test_while_a_supervisor_above_stops_no_back_off_ends_in_a_start(tree, spec, strategy):
    t = tree("a", spec("b", backoff=Backoff(first=2.0)), strategy=strategy, intensity=9).serve()
    t.crash("b")
    t.close()
    assert t.tick(2.0) == []
    assert t["b"].phase is Phase.WAITING
    assert next_deadline(t.state) > 2.0


def test_while_a_supervisor_above_stops_a_first_start_goes_no_further_and_is_not_ready(tree):
    t = tree("a", "b")
    t.begin()
    t.close()
    assert t.started("a") == []
    t = tree("a")
    t.begin()
    t.close()
    assert t.started("a") == []


def test_while_a_supervisor_above_stops_who_waits_for_a_start_is_told(tree):
    t = tree("a", "b").serve()
    t.add("c")
    assert t.close() == ["answer 1: stopping"]
    assert t.crash("c") == ["child_ended c"]
    assert t.add("d") == ["answer 2: stopping"]
    t.terminate("b")
    assert t.ended("b") == ["answer 3: ok"]
    assert t.restart("b") == ["answer 4: stopping"]
    assert t.delete("b") == ["answer 5: ok"]


# --- auto_shutdown --------------------------------------------------------------------------------


@pytest.fixture
def significant(spec):
    def make(name: str, restart: str = "transient") -> ChildSpec:
        return spec(name, restart=restart, significant=True)

    return make


def test_any_significant_shuts_down_at_the_first_own_end(tree, significant):
    specs = [significant("s"), significant("t")]
    t = tree("a", *specs, auto_shutdown="any_significant").serve()
    assert t.ended("s") == ["child_ended s", "cancel t#1 by 5"]
    t.ended("t")
    assert t.ended("a") == ["finish auto_shutdown"]


def test_all_significant_shuts_down_at_the_last_own_end(tree, significant):
    specs = [significant("s"), significant("t", "temporary")]
    t = tree("a", *specs, auto_shutdown="all_significant").serve()
    assert t.crash("t") == ["child_ended t"]
    assert t.ended("s") == ["child_ended s", "cancel a#1 by 5"]
    assert t.ended("a") == ["finish auto_shutdown"]


def test_a_significant_child_that_crashes_and_is_restarted_has_not_ended(tree, significant):
    t = tree(significant("s"), auto_shutdown="any_significant").serve()
    assert t.crash("s") == ["child_failed s", "spawn s#2"]


@pytest.mark.parametrize("policy", ["any_significant", "all_significant"])
def test_an_end_by_the_api_never_shuts_down(tree, significant, policy):
    specs = [significant("s"), significant("t", "temporary")]
    t = tree("a", *specs, auto_shutdown=policy).serve()
    t.terminate("s")
    assert t.ended("s") == ["answer 1: ok"]
    t.kill("t")
    assert t.ended("t") == ["child_ended t"]


@pytest.mark.parametrize("error", [None, "Oops"])
def test_an_end_caused_by_a_sibling_never_shuts_down(tree, significant, error):
    temporary = significant("t", "temporary")
    t = tree("a", temporary, strategy="one_for_all", auto_shutdown="any_significant").serve()
    assert t.crash("a") == ["child_failed a", "cancel t#1 by 5"]
    assert t.ended("t", error)[-1] == "spawn a#2"


def test_an_ordinary_child_never_shuts_down(tree, spec):
    t = tree("a", spec("b", restart="transient"), auto_shutdown="any_significant").serve()
    assert t.ended("b") == ["child_ended b"]


def test_a_significant_child_that_has_not_started_yet_is_still_to_come(tree, significant):
    specs = [significant("s"), significant("t")]
    t = tree(*specs, auto_shutdown="all_significant")
    t.begin()
    t.started("s")
    assert t.ended("s") == ["child_ended s"]
    assert t.started("t") == ["ready"]


def test_an_auto_shutdown_during_the_first_start_stops_what_has_started(tree, significant):
    t = tree(significant("s"), "b", "c", auto_shutdown="any_significant")
    t.begin()
    t.started("s")
    assert t.ended("s") == ["child_ended s", "cancel b#1 by 5"]
    assert t.ended("b") == ["finish auto_shutdown"]
