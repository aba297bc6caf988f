"""The contract of the tree, sentence by sentence, as plain calls of its core."""

import pytest
from riskd.actors.messages import ChildFailed, ChildRestarted
from riskd.supervisor.tree import Backoff
from riskd.supervisor.tree.cells import CELLS
from riskd.supervisor.tree.core import next_deadline
from riskd.supervisor.tree.spec import describe
from riskd.supervisor.tree.state import CHILD_EVENTS, STRIKE_S, Ended, Phase, Started

ABC = ("a", "b", "c")
EVERY_STRATEGY = pytest.mark.parametrize(
    "strategy", ["one_for_one", "rest_for_one", "one_for_all", "dynamic"]
)


# --- the table ------------------------------------------------------------------------------------


def test_every_phase_has_a_cell_for_every_child_event():
    assert len(Phase) == 6
    assert len(CHILD_EVENTS) == 7
    assert set(CELLS) == {(phase, event) for phase in Phase for event in CHILD_EVENTS}


@pytest.mark.parametrize(
    ("phase", "event"),
    [
        (Phase.IDLE, Ended),
        (Phase.WAITING, Ended),
        (Phase.RUNNING, Started),
    ],
)
def test_an_impossible_cell_raises_and_names_child_phase_and_event(tree, spec, phase, event):
    t = tree(spec("a", backoff=Backoff(first=9)), intensity=9).serve()
    if phase is Phase.IDLE:
        t.terminate("a")
        t.ended("a")
    elif phase is Phase.WAITING:
        t.crash("a")
    assert t["a"].phase is phase
    before = t.state
    with pytest.raises(AssertionError, match=f"'a' in {phase.name} can't see {event.__name__}"):
        t.tell(event("a", 1))
    assert t.state is before


# --- starting -------------------------------------------------------------------------------------


@EVERY_STRATEGY
def test_children_start_in_order_each_after_the_one_before_has_called_started(tree, strategy):
    t = tree(*ABC, strategy=strategy)
    assert t.begin() == ["spawn a#1"]
    assert t.started("a") == ["spawn b#1"]
    assert t.tick(1.0) == []
    assert t.started("b") == ["spawn c#1"]
    assert t.started("c") == ["ready"]


def test_a_tree_without_children_is_ready_at_once_and_stops_at_once(tree):
    t = tree()
    assert t.begin() == ["ready"]
    assert t.stop() == ["finish stopped"]


def test_a_start_has_a_deadline_and_leaves_time_to_clean_up(tree, spec):
    t = tree("a", spec("b", start_timeout=3.0, shutdown=2.0))
    t.begin()
    t.started("a")
    assert next_deadline(t.state) == 3.0
    assert t.tick(2.9) == []
    assert t.tick(3.0) == ["cancel b#1 by 5"]
    assert t.tick(5.0) == ["kill b#1"]
    assert t.ended("b") == ["child_ended b", "cancel a#1 by 10"]
    outcome = t.state.outcome
    assert (outcome.child, outcome.incarnation) == ("b", 1)
    assert outcome.cause == "StartTimeout: not started within 3 s"
    assert t.ended("a") == ["finish failed_to_start"]


def test_what_goes_wrong_while_an_overdue_child_leaves_does_not_hide_that_it_was_overdue(
    tree, spec
):
    t = tree(spec("a", start_timeout=3.0))
    t.begin()
    t.tick(3.0)
    assert t.crash("a") == ["child_ended a", "finish failed_to_start"]
    expected = "StartTimeout: not started within 3 s; while leaving: Oops"
    assert t.state.outcome.cause == expected


@EVERY_STRATEGY
def test_a_failed_start_during_init_stops_what_ran_in_reverse_without_a_restart_or_a_tick(
    tree, strategy
):
    t = tree("a", "b", "c", "d", strategy=strategy, intensity=9)
    t.begin()
    t.started("a")
    t.started("b")
    stopped = ["cancel b#1 by 5"]
    if strategy == "dynamic":
        stopped.insert(0, "cancel a#1 by 5")
    assert t.crash("c") == ["child_ended c", *stopped]
    assert t.state.failures == ()
    t.ended("b")
    assert t.ended("a") == ["finish failed_to_start"]
    assert (t.state.outcome.child, t.state.outcome.cause) == ("c", "Oops")


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
def test_a_failed_start_during_init_fails_it_whatever_the_restart_type(tree, spec, restart):
    t = tree(spec("a", restart=restart))
    t.begin()
    assert t.crash("a") == ["child_ended a", "finish failed_to_start"]


def test_a_child_that_ends_without_having_started_has_failed_to_start(tree):
    t = tree("a")
    t.begin()
    assert t.ended("a")[-1] == "finish failed_to_start"
    assert t.state.outcome.cause.startswith("NeverStarted: ")


def test_a_child_that_crashes_while_later_ones_start_for_the_first_time_is_restarted(tree):
    t = tree("a", "b")
    t.begin()
    t.started("a")
    assert t.crash("a") == ["child_failed a", "spawn a#2"]
    assert t.started("b") == []
    assert t.started("a") == ["child_restarted a", "ready"]


def test_a_restart_that_fails_while_later_ones_start_is_a_failed_restart(tree):
    t = tree("a", "b")
    t.begin()
    t.started("a")
    t.crash("a")
    assert t.crash("a")[:2] == ["child_failed a", "supervisor_escalated a"]
    assert t.ended("b") == ["finish escalated"]


# --- restart types --------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [None, "Oops"])
def test_a_permanent_child_is_always_restarted(tree, error):
    t = tree("a").serve()
    assert t.ended("a", error) == ["child_failed a", "spawn a#2"]


def test_a_transient_child_is_restarted_unless_it_ended_normally(tree, spec):
    t = tree(spec("a", restart="transient")).serve()
    assert t.crash("a") == ["child_failed a", "spawn a#2"]
    t.started("a")
    assert t.ended("a") == ["child_ended a"]
    assert t["a"].phase is Phase.IDLE
    assert len(t.state.failures) == 1


def test_a_dynamic_transient_child_that_ended_normally_is_forgotten(tree, spec):
    t = tree(strategy="dynamic").serve()
    t.add(spec("a", restart="transient"))
    t.started("a")
    assert t.crash("a") == ["child_failed a", "spawn a#2"]
    t.started("a")
    assert t.ended("a") == ["child_ended a"]
    assert t.state.children == {}


@pytest.mark.parametrize("error", [None, "Oops"])
def test_a_temporary_child_is_never_restarted_and_its_spec_goes(tree, spec, error):
    t = tree(spec("a", restart="temporary")).serve()
    assert t.ended("a", error) == ["child_ended a"]
    assert t.state.children == {}
    assert t.state.failures == ()


def test_a_temporary_child_taken_along_by_a_sibling_is_not_started_again(tree, spec):
    t = tree("a", spec("b", restart="temporary"), "c", strategy="one_for_all").serve()
    assert t.crash("a") == ["child_failed a", "cancel c#1 by 5"]
    assert t.ended("c") == ["cancel b#1 by 5"]
    assert t.ended("b") == ["spawn a#2"]
    assert t.started("a") == ["child_restarted a", "spawn c#2"]
    assert list(t.state.children) == ["a", "c"]


@pytest.mark.parametrize("error", [None, "Oops"])
def test_a_stop_leaves_every_restart_type_down(tree, spec, error):
    t = tree("a", spec("b", restart="transient"), spec("c", restart="temporary")).serve()
    t.stop()
    t.ended("c", error)
    t.ended("b", error)
    assert t.ended("a", error)[-1] == "finish stopped"
    assert t.state.failures == ()


# --- strategies -----------------------------------------------------------------------------------


def test_a_start_that_fails_when_a_sibling_is_to_take_it_along_costs_nothing_of_its_own(tree):
    """The later sibling is still leaving, so that nobody has told this one yet."""
    t = tree("a", "b", "c", strategy="rest_for_one", intensity=1).serve()
    t.terminate("b")
    t.ended("b")
    t.restart("b")
    t.terminate("c")
    t.crash("a")
    assert t["b"].phase is Phase.STARTING
    assert t.crash("b") == ["child_ended b"]
    assert len(t.state.failures) == 1
    assert t.ended("c") == ["answer 3: ok", "spawn a#2"]
    assert t.started("a") == ["child_restarted a", "spawn b#3"]


@pytest.mark.parametrize("strategy", ["one_for_one", "dynamic"])
def test_one_for_one_restarts_the_victim_alone(tree, strategy):
    t = tree(*ABC, strategy=strategy).serve()
    assert t.crash("b") == ["child_failed b", "spawn b#2"]


def test_one_for_all_stops_the_others_in_reverse_and_starts_all_in_order(tree):
    t = tree(*ABC, strategy="one_for_all").serve()
    assert t.crash("b") == ["child_failed b", "cancel c#1 by 5"]
    assert t.ended("c") == ["cancel a#1 by 5"]
    assert t.ended("a") == ["spawn a#2"]
    assert t.started("a") == ["child_restarted a", "spawn b#2"]
    assert t.started("b") == ["child_restarted b", "spawn c#2"]
    assert t.started("c") == ["child_restarted c"]


def test_rest_for_one_does_it_for_those_started_after_the_victim(tree):
    t = tree("a", "b", "c", "d", strategy="rest_for_one").serve()
    assert t.crash("b") == ["child_failed b", "cancel d#1 by 5"]
    assert t.ended("d") == ["cancel c#1 by 5"]
    assert t.ended("c") == ["spawn b#2"]
    assert t.started("b") == ["child_restarted b", "spawn c#2"]
    assert t.started("c") == ["child_restarted c", "spawn d#2"]
    assert t["a"].incarnation == 1


def test_a_restart_says_because_of_whom_and_why(tree):
    t = tree("a", "b", strategy="rest_for_one").serve()
    t.crash("a")
    assert t.facts == [
        ChildFailed(supervisor="top", child="a", incarnation=1, phase="running", cause="Oops")
    ]
    t.ended("b")
    t.started("a")
    t.started("b")
    assert t.facts == [
        ChildRestarted(supervisor="top", child="b", incarnation=2, because_of="a", cause="Oops")
    ]
    assert (t["a"].restarts, t["b"].restarts) == (1, 1)


@pytest.mark.parametrize("strategy", ["rest_for_one", "one_for_all"])
def test_a_sibling_that_ended_normally_is_started_again_with_the_others(tree, spec, strategy):
    t = tree("a", spec("b", restart="transient"), strategy=strategy).serve()
    t.ended("b")
    t.crash("a")
    assert t.started("a") == ["child_restarted a", "spawn b#2"]


@pytest.mark.parametrize("strategy", ["rest_for_one", "one_for_all"])
def test_a_sibling_that_crashes_while_the_others_are_taken_down_costs_nothing_more(tree, strategy):
    t = tree(*ABC, strategy=strategy).serve()
    t.crash("a")
    assert t.crash("b") == ["child_ended b"]
    assert len(t.state.failures) == 1
    assert t.ended("c") == ["spawn a#2"]
    t.started("a")
    assert t.started("b") == ["child_restarted b", "spawn c#2"]


@pytest.mark.parametrize("strategy", ["rest_for_one", "one_for_all"])
def test_nothing_starts_while_a_sibling_is_still_to_be_stopped(tree, strategy):
    t = tree(*ABC, strategy=strategy).serve()
    t.crash("a")
    assert t.tick(1.0) == []
    assert t.ended("c") == ["cancel b#1 by 6"]
    assert t["a"].phase is Phase.WAITING


@pytest.mark.parametrize("strategy", ["rest_for_one", "one_for_all"])
def test_siblings_are_stopped_in_reverse_even_when_an_operator_stops_one_meanwhile(tree, strategy):
    t = tree(*ABC, strategy=strategy).serve()
    t.crash("a")
    assert t.terminate("c") == ["child_held c"]
    assert t["b"].phase is Phase.RUNNING
    assert t.ended("c") == ["answer 1: ok", "cancel b#1 by 5"]
    assert t.ended("b") == ["spawn a#2"]
    t.started("a")
    assert t.started("b") == ["child_restarted b"]
    assert t["c"].held


@pytest.mark.parametrize("strategy", ["rest_for_one", "one_for_all"])
def test_a_sibling_that_an_operator_is_stopping_is_waited_for(tree, strategy):
    t = tree(*ABC, strategy=strategy).serve()
    t.terminate("c")
    assert t.crash("a") == ["child_failed a"]
    assert t.ended("c") == ["answer 1: ok", "cancel b#1 by 5"]


@pytest.mark.parametrize("strategy", ["rest_for_one", "one_for_all"])
def test_a_stuck_child_that_stays_down_does_not_keep_its_siblings_from_restarting(tree, strategy):
    t = tree("a", "b", strategy=strategy).serve()
    t.kill("b")
    t.terminate("b")
    t.tick(STRIKE_S)
    t.tick(2 * STRIKE_S)
    assert t["b"].stuck
    assert t.crash("a") == ["child_failed a", "spawn a#2"]


@pytest.mark.parametrize("strategy", ["rest_for_one", "one_for_all"])
def test_a_stuck_temporary_child_does_not_keep_its_siblings_from_restarting(tree, spec, strategy):
    t = tree("a", spec("b", restart="temporary", shutdown=0), strategy=strategy).serve()
    assert t.crash("a") == ["child_failed a", "kill b#1"]
    t.tick(STRIKE_S)
    assert t.tick(2 * STRIKE_S)[-1] == "spawn a#2"


@pytest.mark.parametrize("strategy", ["rest_for_one", "one_for_all"])
def test_a_sibling_that_fails_to_start_again_has_failed_while_starting(tree, strategy):
    t = tree("a", "b", strategy=strategy, intensity=9).serve()
    t.crash("a")
    t.ended("b")
    t.started("a")
    t.crash("b")
    assert t.facts[0].phase == "starting"


def test_a_child_that_was_stuck_and_has_left_is_stuck_no_more(tree):
    t = tree("a").serve()
    t.kill("a")
    t.tick(STRIKE_S)
    t.tick(2 * STRIKE_S)
    assert t["a"].stuck
    assert t.ended("a") == ["child_failed a", "spawn a#2"]
    assert not t["a"].stuck


@pytest.mark.parametrize("strategy", ["rest_for_one", "one_for_all"])
def test_a_start_that_is_to_be_undone_is_not_overdue_out_of_turn(tree, spec, strategy):
    b = spec("b", start_timeout=1.0)
    t = tree("a", b, spec("c", shutdown=9.0), strategy=strategy, held=("b",)).serve()
    t.restart("b")
    assert t.crash("a") == ["child_failed a", "cancel c#1 by 9"]
    assert next_deadline(t.state) == 9.0
    assert t.tick(1.0) == []
    assert t.ended("c") == ["cancel b#1 by 6"]
    assert t.ended("b") == ["spawn a#2"]
    assert len(t.state.failures) == 1


@pytest.mark.parametrize("strategy", ["rest_for_one", "one_for_all"])
def test_a_temporary_child_that_is_down_is_not_started_with_its_siblings(tree, spec, strategy):
    t = tree("a", spec("b", restart="temporary"), strategy=strategy, held=("b",)).serve()
    t.restart("b")
    t.crash("b")
    t.crash("a")
    assert t.started("a") == ["child_restarted a"]
    assert t["b"].phase is Phase.IDLE


@pytest.mark.parametrize("strategy", ["rest_for_one", "one_for_all"])
def test_a_child_that_never_served_and_is_taken_along_fails_like_any_other(tree, strategy):
    t = tree("a", "b", strategy=strategy, held=("b",), intensity=9).serve()
    t.restart("b")
    t.crash("b")
    t.crash("a")
    t.started("a")
    assert t.crash("b")[0] == "child_failed b"


# --- incarnations ---------------------------------------------------------------------------------


def test_what_an_earlier_incarnation_sends_late_is_dropped(tree):
    t = tree("a", intensity=9).serve()
    t.crash("a")
    t.started("a")
    before = t.state
    assert t.tell(Ended("a", 1, "late")) == []
    assert t.tell(Started("a", 1)) == []
    assert t.tell(Ended("gone", 1, "late")) == []
    assert t.state == before


def test_started_comes_too_late_for_a_child_that_was_told_to_stop(tree):
    t = tree("a")
    t.begin()
    t.stop()
    assert t.started("a") == []
    assert t["a"].phase is Phase.STOPPING


# --- errors in words ------------------------------------------------------------------------------


def test_what_is_no_text_in_an_errors_words_is_escaped():
    """Names of files may hold it, and what can't be written down is no fact."""
    assert describe(OSError("can't open caf\udce9")) == "OSError: can't open caf\\udce9"


def test_an_error_is_described_by_its_innermost_single_cause():
    inner = ValueError("bad\n  price")
    assert describe(inner) == "ValueError: bad price"
    assert describe(ExceptionGroup("", [ExceptionGroup("", [inner])])) == "ValueError: bad price"
    several = ExceptionGroup("", [inner, KeyError("k"), OSError(), TypeError("x")])
    assert describe(several) == "4 errors: ValueError: bad price; KeyError: 'k'; OSError"


def test_a_description_is_bounded_and_survives_an_error_that_cannot_be_printed():
    class Unprintable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("never")

    assert len(describe(ValueError("x" * 9999))) <= 500
    assert describe(Unprintable()) == "Unprintable: (its text can't be made)"
