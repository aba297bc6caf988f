"""What the facts of earlier runs mean: holds for good, failures with their age."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.messages import (
    AnyFact,
    ChildEnded,
    ChildFailed,
    ChildHeld,
    ChildReleased,
    DaemonStarted,
    DaemonStopped,
    Recorded,
)
from riskd.supervisor.past import fold
from riskd.supervisor.tree import Past

NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)
STARTED = DaemonStarted(version="1", process_id=1, config_source="x", config_digest="y")
STOPPED = DaemonStopped(reason="SIGTERM")


def failed(child: str = "gate") -> ChildFailed:
    return ChildFailed(
        supervisor="riskd", child=child, incarnation=1, phase="running", cause="ValueError"
    )


def recorded(
    fact: AnyFact, *, boot: str = "now", monotonic_s: float = 0.0, at: datetime = NOON
) -> Recorded:
    return Recorded(lsn=1, at=at.isoformat(), boot=boot, monotonic_s=monotonic_s, fact=fact)


def history(*facts: AnyFact) -> list[Recorded]:
    return [recorded(fact) for fact in facts]


def fold_at(
    *facts: Recorded, boot: str = "now", monotonic_s: float = 100.0, now: datetime = NOON
) -> Past:
    return fold(facts, boot=boot, monotonic_s=monotonic_s, now=now)


PAIRS = st.tuples(st.sampled_from(["riskd", "riskd/watchdogs"]), st.sampled_from(["a", "b"]))
HISTORIES = st.lists(
    st.one_of(
        PAIRS.map(lambda pair: ChildHeld(supervisor=pair[0], child=pair[1])),
        PAIRS.map(lambda pair: ChildReleased(supervisor=pair[0], child=pair[1])),
        st.sampled_from(["a", "b"]).map(failed),
        st.sampled_from([STARTED, STOPPED]),
    )
)


@given(HISTORIES)
def test_a_child_is_held_when_the_last_that_was_said_of_it_is_that_it_is_held(
    facts: list[AnyFact],
) -> None:
    last: dict[tuple[str, str], bool] = {}
    for fact in facts:
        if isinstance(fact, ChildHeld | ChildReleased):
            last[fact.supervisor, fact.child] = isinstance(fact, ChildHeld)
    past = fold_at(*history(*facts))
    assert past.held == {pair for pair, is_held in last.items() if is_held}


@given(HISTORIES)
def test_the_failures_are_those_since_the_last_orderly_stop_in_order(
    facts: list[AnyFact],
) -> None:
    stops = [number for number, fact in enumerate(facts, start=1) if fact == STOPPED]
    since = facts[stops[-1] if stops else 0 :]
    past = fold_at(*history(*facts))
    assert [child for _, child, _ in past.failures] == [
        fact.child for fact in since if isinstance(fact, ChildFailed)
    ]


def test_a_start_that_follows_a_crash_clears_nothing_and_a_stop_keeps_the_holds() -> None:
    held = ChildHeld(supervisor="riskd", child="gate")
    crashed = fold_at(*history(STARTED, failed(), held, STARTED))
    assert [child for _, child, _ in crashed.failures] == ["gate"]
    stopped = fold_at(*history(STARTED, failed(), held, STOPPED))
    assert stopped == Past(held=frozenset({("riskd", "gate")}), failures=())


def test_an_end_that_cost_nothing_is_no_failure() -> None:
    ended = ChildEnded(supervisor="riskd", child="gate", incarnation=1, cause=None)
    assert fold_at(recorded(ended)) == Past()


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_within_a_boot_the_monotonic_clock_tells_the_age_whatever_the_wall_clock_says(
    then: float, passed: float
) -> None:
    fact = recorded(failed(), monotonic_s=then, at=NOON + timedelta(days=9))
    (failure,) = fold_at(fact, monotonic_s=then + passed).failures
    assert failure == ("riskd", "gate", then + passed - then)


@given(st.floats(0, 1e6), st.timedeltas(timedelta(days=-400), timedelta(days=400)))
def test_across_boots_the_wall_clock_tells_but_not_less_than_the_time_since_the_boot(
    since_boot: float, passed: timedelta
) -> None:
    fact = recorded(failed(), boot="before", monotonic_s=5e9, at=NOON - passed)
    ((_, _, age_s),) = fold_at(fact, monotonic_s=since_boot).failures
    assert age_s == max(since_boot, passed.total_seconds())


def test_no_failure_lies_in_the_future() -> None:
    ahead = recorded(failed(), monotonic_s=101.0)
    later = recorded(failed(), boot="before", at=NOON + timedelta(days=1))
    ages = [age_s for _, _, age_s in fold_at(ahead, later, monotonic_s=100.0).failures]
    assert ages == [0.0, 100.0]
