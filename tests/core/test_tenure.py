"""The lease's tenure: what extends it, when it has lapsed, and what history has of that."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core.tenure import NOT_YET, TOLD_EVERY_S, UNASKED, Outcome, Round, Tenure
from riskd.actors.messages import Fact, LeaseLapsed, LeaseRenewed

LENGTH_S = 1.0
ANSWER_S = 0.4


def look(
    tenure: Tenure, asked_s: float, fault: str | None = None, *, took_s: float = 0.0
) -> Outcome:
    done = Round(
        asked_s=asked_s,
        answered_s=asked_s + took_s,
        answer_s=ANSWER_S,
        length_s=LENGTH_S,
        fault=fault,
    )
    return tenure.after(done)


def shown(tenure: Tenure, now_s: float) -> dict[str, object]:
    return tenure.shown(now_s, length_s=LENGTH_S, path="/run/riskd.lease")


def test_it_lasts_from_the_moment_at_which_the_round_began() -> None:
    assert look(Tenure(), 100.0, took_s=0.3) == Outcome(101.0, [])


def test_a_round_with_a_fault_extends_nothing_and_is_no_lapse_while_the_lease_lasts() -> None:
    tenure = Tenure()
    look(tenure, 0.0)
    assert look(tenure, 0.9, "the ledger is silent") == Outcome(None, [])
    assert shown(tenure, 0.9)["held"] is True


@pytest.mark.parametrize("took_s", [0.41, 1.0, 500.0])
def test_answers_that_came_late_extend_nothing_whatever_the_timers_said(took_s: float) -> None:
    tenure = Tenure()
    assert look(tenure, 10.0, took_s=took_s).until_s is None
    assert f"the answers took {took_s:.3g} s, and have 0.4 s" in str(shown(tenure, 600.0))


def test_it_has_lapsed_only_when_it_has_run_out_and_is_told_once_with_its_reason() -> None:
    tenure = Tenure()
    look(tenure, 0.0)
    told = [look(tenure, at, "the ledger is silent").facts for at in (0.5, 0.99, 1.0, 1.5, 60.0)]
    assert told == [[], [], [LeaseLapsed(reason="the ledger is silent")], [], []]
    assert look(tenure, 61.0) == Outcome(62.0, [LeaseRenewed(after_s=60.0)])


def test_the_reason_of_a_lapse_found_afterwards_is_what_was_wrong_before_it() -> None:
    tenure = Tenure()
    look(tenure, 0.0)
    look(tenure, 0.8, "the ledger is silent")
    assert look(tenure, 1.2).facts[0] == LeaseLapsed(reason="the ledger is silent")


def test_a_lapse_that_nobody_saw_is_told_when_it_is_over() -> None:
    tenure = Tenure()
    look(tenure, 0.0)
    assert look(tenure, 31.0) == Outcome(
        32.0, [LeaseLapsed(reason=UNASKED), LeaseRenewed(after_s=30.0)]
    )


def test_a_fault_that_has_passed_is_not_blamed_for_a_later_lapse() -> None:
    tenure = Tenure()
    look(tenure, 0.0)
    look(tenure, 0.2, "the ledger is silent")
    look(tenure, 0.4)
    assert look(tenure, 9.0).facts[0] == LeaseLapsed(reason=UNASKED)


def test_a_start_is_no_lapse_unless_the_first_lease_never_comes() -> None:
    well, ill = Tenure(), Tenure()
    assert look(well, 50.0).facts == []
    assert look(ill, 50.0, "no kill switch").facts == []
    assert look(ill, 51.0, "no kill switch").facts == [LeaseLapsed(reason="no kill switch")]


def test_lapses_that_follow_soon_are_told_together() -> None:
    tenure = Tenure()
    facts: list[Fact] = []
    for second in range(0, 24, 2):  # each extension is followed by a second without one
        facts += look(tenure, second).facts
    assert facts == [
        LeaseLapsed(reason=UNASKED),
        LeaseRenewed(after_s=1.0),
        LeaseLapsed(reason=f"{UNASKED}; the last of 5 lapses"),
        LeaseRenewed(after_s=5.0),
        LeaseLapsed(reason=f"{UNASKED}; the last of 5 lapses"),
        LeaseRenewed(after_s=5.0),
    ]


ROUNDS = st.lists(
    st.tuples(
        st.floats(0.01, 6.0),
        st.floats(0.0, 1.5),
        st.one_of(st.none(), st.none(), st.just("a fault")),
    ),
    max_size=60,
)


@given(ROUNDS)
def test_history_ends_up_with_every_lapse_and_never_with_more_than_a_pair_in_each_while(
    rounds: list[tuple[float, float, str | None]],
) -> None:
    tenure, facts, now_s = Tenure(), list[Fact](), 1000.0
    ends_s: float | None = None
    refused_s = 0.0

    def take(wait_s: float, took_s: float, fault: str | None) -> None:
        nonlocal now_s, ends_s, refused_s
        asked_s = now_s + wait_s
        now_s = asked_s + took_s
        ends_s = asked_s + LENGTH_S if ends_s is None else ends_s
        outcome = look(tenure, asked_s, fault, took_s=took_s)
        facts.extend(outcome.facts)
        if outcome.until_s is not None:
            assert fault is None
            assert took_s <= ANSWER_S + 1e-9
            refused_s += max(0.0, now_s - ends_s)
            ends_s = max(ends_s, outcome.until_s)

    for wait_s, took_s, fault in rounds:
        take(wait_s, took_s, fault)
    began_s = now_s
    take(0.1, 0.0, None)
    while now_s < began_s + TOLD_EVERY_S + 1:  # a quiet while, in which nothing lapses
        take(0.5, 0.0, None)

    assert [type(fact) for fact in facts] == [LeaseLapsed, LeaseRenewed] * (len(facts) // 2)
    told_s = sum(fact.after_s for fact in facts if isinstance(fact, LeaseRenewed))
    assert told_s == pytest.approx(refused_s, abs=0.001 * (len(facts) + 1))
    assert len(facts) / 2 <= 1 + (now_s - 1000.0) / TOLD_EVERY_S


def test_status_says_for_how_long_it_is_held_or_why_it_is_not() -> None:
    tenure = Tenure()
    document = {"held": False, "remaining_s": 0.0, "length_s": 1.0, "path": "/run/riskd.lease"}
    assert shown(tenure, 5.0) == {**document, "lapsed_because": NOT_YET}
    look(tenure, 5.0, "no kill switch")
    assert shown(tenure, 5.5) == {**document, "lapsed_because": "no kill switch"}
    look(tenure, 6.0)
    held = {**document, "held": True, "remaining_s": 0.75, "lapsed_because": None}
    assert shown(tenure, 6.25) == held
    assert shown(tenure, 7.0) == {**document, "lapsed_because": UNASKED}
