"""When an actor is silent: the decision alone."""

from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core.heartbeat import Answered, Heartbeats, decide

ACTORS = ("gate", "keeper", "control")
ROUNDS = st.lists(
    st.fixed_dictionaries({actor: st.sampled_from(Answered) for actor in ACTORS}), max_size=20
)


def told(rounds: list[dict[str, Answered]], misses_max: int) -> list[tuple[str, ...]]:
    state, silent = Heartbeats(), []
    for answers in rounds:
        state, pulse = decide(state, answers, misses_max)
        silent.append(pulse.silent)
    return silent


@given(ROUNDS, st.integers(1, 4))
def test_an_actor_is_silent_at_each_last_of_so_many_misses_in_a_row(
    rounds: list[dict[str, Answered]], misses_max: int
) -> None:
    row = dict.fromkeys(ACTORS, 0)
    for answers, silent in zip(rounds, told(rounds, misses_max), strict=True):
        for actor in ACTORS:
            row[actor] = row[actor] + 1 if answers[actor] is Answered.MISSED else 0
        assert silent == tuple(actor for actor in answers if row[actor] == misses_max)
        row = {actor: count % misses_max for actor, count in row.items()}


@given(ROUNDS, st.integers(1, 4))
def test_beating_are_those_who_answered_in_time(
    rounds: list[dict[str, Answered]], misses_max: int
) -> None:
    state = Heartbeats()
    for answers in rounds:
        state, pulse = decide(state, answers, misses_max)
        assert pulse.beating == tuple(
            actor for actor, answered in answers.items() if answered is Answered.IN_TIME
        )


def test_an_actor_that_is_not_there_is_neither_beating_nor_silent() -> None:
    _, pulse = decide(Heartbeats({"gate": 5}), {"gate": Answered.ABSENT}, 1)
    assert (pulse.beating, pulse.silent) == ((), ())


def test_a_new_incarnation_begins_with_a_clean_slate() -> None:
    missed, absent = {"gate": Answered.MISSED}, {"gate": Answered.ABSENT}
    assert told([missed, absent, missed], 2) == [(), (), ()]


def test_fewer_misses_after_a_reload_count_at_the_next_miss() -> None:
    state, _ = decide(Heartbeats(), {"gate": Answered.MISSED}, 5)
    state, _ = decide(state, {"gate": Answered.MISSED}, 5)
    _, pulse = decide(state, {"gate": Answered.MISSED}, 2)
    assert pulse.silent == ("gate",)
