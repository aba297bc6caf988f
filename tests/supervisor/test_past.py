"""What the facts of earlier runs mean: holds for good, failures with their age."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core.dumps import ENTRIES_A_PIECE
from riskd.actors.messages import (
    AnyFact,
    ChildEnded,
    ChildFailed,
    ChildHeld,
    ChildReleased,
    ChildRestarted,
    DaemonStarted,
    DaemonStopped,
    Recorded,
)
from riskd.supervisor import past as module
from riskd.supervisor.past import SupervisionHistory
from riskd.supervisor.tree import Past

NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)
STOPPED = DaemonStopped(reason="SIGTERM")


def started(boot: str = "now") -> DaemonStarted:
    return DaemonStarted(version="1", process_id=1, boot=boot, config_source="x", config_digest="y")


def failed(child: str = "gate", supervisor: str = "riskd") -> ChildFailed:
    return ChildFailed(
        supervisor=supervisor, child=child, incarnation=1, phase="running", cause="ValueError"
    )


def restarted(child: str) -> ChildRestarted:
    return ChildRestarted(
        supervisor="riskd", child=child, incarnation=2, because_of=child, cause="ValueError"
    )


def recorded(fact: AnyFact, *, monotonic_s: float = 0.0, at: datetime = NOON) -> Recorded:
    return Recorded(lsn=1, at=at, monotonic_s=monotonic_s, fact=fact)


def remembering(facts: Iterable[AnyFact | Recorded]) -> SupervisionHistory:
    history = SupervisionHistory()
    for fact in facts:
        history.apply(fact if isinstance(fact, Recorded) else recorded(fact))
    return history


def dumped(history: SupervisionHistory) -> bytes:
    return b"".join(history.dump())


def past_of(
    *facts: AnyFact | Recorded,
    boot: str = "now",
    monotonic_s: float = 100.0,
    now: datetime = NOON,
) -> Past:
    return remembering(facts).past(boot=boot, monotonic_s=monotonic_s, now=now)


PAIRS = st.tuples(st.sampled_from(["riskd", "riskd/watchdogs"]), st.sampled_from(["a", "b"]))
HISTORIES = st.lists(
    st.one_of(
        PAIRS.map(lambda pair: ChildHeld(supervisor=pair[0], child=pair[1])),
        PAIRS.map(lambda pair: ChildReleased(supervisor=pair[0], child=pair[1])),
        PAIRS.map(lambda pair: failed(pair[1], pair[0])),
        st.sampled_from([started(), started("another"), STOPPED]),
    ),
    max_size=30,
)


@given(HISTORIES)
def test_a_child_is_held_when_the_last_that_was_said_of_it_is_that_it_is_held(
    facts: list[AnyFact],
) -> None:
    last: dict[tuple[str, str], bool] = {}
    for fact in facts:
        if isinstance(fact, ChildHeld | ChildReleased):
            last[fact.supervisor, fact.child] = isinstance(fact, ChildHeld)
    assert past_of(*facts).held == {pair for pair, is_held in last.items() if is_held}


@given(HISTORIES)
def test_the_failures_are_those_since_the_last_orderly_stop_in_order(
    facts: list[AnyFact],
) -> None:
    stops = [number for number, fact in enumerate(facts, start=1) if fact == STOPPED]
    since = facts[stops[-1] if stops else 0 :]
    assert [child for _, child, _ in past_of(*facts).failures] == [
        fact.child for fact in since if isinstance(fact, ChildFailed)
    ]


@given(HISTORIES, st.lists(st.sampled_from(["a", "watchdogs"]), max_size=3))
def test_a_dump_that_is_loaded_again_goes_on_as_if_nothing_had_been_between(
    facts: list[AnyFact], again: list[str]
) -> None:
    """At every prefix, and with every fact behind it."""
    facts = [*facts, *map(restarted, again)]
    whole = dumped(remembering(facts))
    for cut in range(len(facts) + 1):
        before = remembering(facts[:cut])
        resumed = SupervisionHistory()
        resumed.load(dumped(before))
        assert dumped(resumed) == dumped(before)
        for fact in facts[cut:]:
            resumed.apply(recorded(fact))
        assert dumped(resumed) == whole


def test_a_dump_comes_in_small_pieces_of_the_state_that_was_when_it_was_asked_for() -> None:
    history = remembering(failed(f"child-{number}") for number in range(3_000))
    before, pieces = dumped(history), history.dump()
    for fact in (failed("later"), ChildHeld(supervisor="riskd", child="x"), STOPPED):
        history.apply(recorded(fact))
    found = list(pieces)
    assert b"".join(found) == before
    assert max(piece.count(b"child-") for piece in found) == ENTRIES_A_PIECE


@given(HISTORIES)
def test_loading_nothing_goes_back_to_before_the_first_fact(facts: list[AnyFact]) -> None:
    history = remembering(facts)
    history.load(None)
    assert dumped(history) == dumped(SupervisionHistory())


def test_a_dump_is_json_and_what_is_no_dump_is_refused_and_changes_nothing() -> None:
    history = remembering([started(), failed()])
    before = dumped(history)
    assert json.loads(before)
    with pytest.raises(ValueError, match="Expected"):
        history.load(b'{"held": 1}')
    assert dumped(history) == before


def test_two_histories_share_nothing() -> None:
    remembering([failed(), ChildHeld(supervisor="riskd", child="gate")])
    assert past_of() == Past()


def test_it_keeps_no_more_failures_than_any_budget_can_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "FAILURES_MAX", 3)
    past = past_of(*(failed(str(number)) for number in range(5)))
    assert [child for _, child, _ in past.failures] == ["2", "3", "4"]


def test_a_supervisor_that_is_started_again_has_forgiven_all_below_it_and_nothing_else() -> None:
    below = [failed("a", "riskd/watchdogs"), failed("b", "riskd/watchdogs/inner")]
    others = [failed("watchdogs"), failed("c", "riskd/watchdogs2")]
    past = past_of(*below, *others, restarted("watchdogs"))
    assert [child for _, child, _ in past.failures] == ["watchdogs", "c"]


@given(st.lists(st.one_of(PAIRS, st.sampled_from(["watchdogs", "other"])), max_size=30))
def test_what_a_restart_forgives_is_found_however_many_failures_were_dropped_before(
    said: list[tuple[str, str] | str],
) -> None:
    expected: list[tuple[str, str]] = []
    facts: list[AnyFact] = []
    for one in said:
        if isinstance(one, str):
            facts.append(restarted(one))
            expected = [pair for pair in expected if pair[0] != f"riskd/{one}"]
        else:
            facts.append(failed(one[1], one[0]))
            expected = [*expected, one][-3:]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "FAILURES_MAX", 3)
        found = past_of(*facts).failures
    assert [(supervisor, child) for supervisor, child, _ in found] == expected


def test_a_start_that_follows_a_crash_clears_nothing_and_a_stop_keeps_the_holds() -> None:
    held = ChildHeld(supervisor="riskd", child="gate")
    crashed = past_of(started(), failed(), held, started())
    assert [child for _, child, _ in crashed.failures] == ["gate"]
    stopped = past_of(started(), failed(), held, STOPPED)
    assert stopped == Past(held=frozenset({("riskd", "gate")}), failures=())


def test_an_end_that_cost_nothing_is_no_failure() -> None:
    assert past_of(ChildEnded(supervisor="riskd", child="gate", incarnation=1, cause=None)) == (
        Past()
    )


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_within_a_boot_the_monotonic_clock_tells_the_age_whatever_the_wall_clock_says(
    then: float, passed: float
) -> None:
    fact = recorded(failed(), monotonic_s=then, at=NOON + timedelta(days=9))
    (failure,) = past_of(started(), fact, monotonic_s=then + passed).failures
    assert failure == ("riskd", "gate", then + passed - then)


@given(st.floats(0, 1e6), st.timedeltas(timedelta(days=-400), timedelta(days=400)))
def test_across_boots_the_wall_clock_tells_but_not_less_than_the_time_since_the_boot(
    since_boot: float, passed: timedelta
) -> None:
    fact = recorded(failed(), monotonic_s=5e9, at=NOON - passed)
    ((_, _, age_s),) = past_of(started("before"), fact, monotonic_s=since_boot).failures
    assert age_s == max(since_boot, passed.total_seconds())


def test_no_failure_lies_in_the_future() -> None:
    ahead = recorded(failed(), monotonic_s=101.0)
    later = recorded(failed(), at=NOON + timedelta(days=1))
    past = past_of(started("before"), later, started(), ahead, monotonic_s=100.0)
    assert [age_s for _, _, age_s in past.failures] == [100.0, 0.0]
