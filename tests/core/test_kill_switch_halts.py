"""Which halts may be placed, for how long, and which may be lifted."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core.halts import (
    TRIPS_KEPT,
    Halted,
    Now,
    Span,
    Standing,
    passing,
    remaining_s,
)
from riskd.actors.core.kill_switch import (
    HALTS_MAX,
    Breaker,
    NotAllowed,
    Rules,
    due,
    holds,
    lift,
    next_due_s,
    place,
    trip,
)
from riskd.actors.messages import (
    By,
    Halt,
    HaltPlaced,
    HaltsEnded,
    HaltsLifted,
    KillSwitchTriggered,
    LooseningProposed,
    LooseningWithdrawn,
    TimeNoted,
    Until,
    UntilCondition,
    UntilElapsed,
    UntilInstant,
    UntilOperator,
    UntilSession,
)

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
BOB = By(via="socket", user_id=1000, user="bob", process_id=4711)
RISKD = By(via="riskd")
RULES = Rules(cooldown_s=300.0)
PAIR = Rules(
    cooldown_s=300.0,
    two_person=True,
    people={"bob": 1000, "1000": 1000, "alice": 1001, "1001": 1001},
)
FEED = UntilCondition(condition="feed")
OPERATOR = UntilOperator()
LIFTED = HaltsLifted(halt_ids=(1,), scope="all", by=BOB, approved_by=None, reason="over")
ENDED = HaltsEnded(halt_ids=(1,), reason="over")


def halt(until: Until = OPERATOR, **other: Any) -> Halt:
    wanted: dict[str, Any] = {
        "scope": "account:main",
        "mode": "halt",
        "cause": "manual",
        "source": "operator",
        "reason": "news",
        "until": until,
    }
    return Halt(**(wanted | other))


def at(seconds: float) -> UntilInstant:
    return UntilInstant(at=NOON + timedelta(seconds=seconds))


def session(seconds: float) -> UntilSession:
    return UntilSession(at=NOON + timedelta(seconds=seconds))


def elapsed(seconds: float) -> UntilElapsed:
    return UntilElapsed(seconds=seconds)


def unfrozen(history, scope, *, approved_by=None, by=BOB, rules=RULES):
    return lift(
        history.halted, scope=scope, by=by, reason="over", approved_by=approved_by, rules=rules
    )


def put(history, wanted, *, by=BOB):
    fact = place(history.halted, wanted, by=by, now=history.now)
    return history.make(fact)


def again(history, wanted):
    return place(history.halted, wanted, by=BOB, now=history.now)


def refusal(act, *arguments, **named):
    with pytest.raises(NotAllowed) as caught:
        act(*arguments, **named)
    return caught.value


def test_a_halt_of_what_is_no_scope_halts_everything(history):
    """Written down as it is it could not be read again."""
    for scope in ("", "everything", "account:", "account:a b", "desk:1", "account:main\n"):
        fact = place(history.halted, halt(scope=scope), by=BOB, now=history.now)
        assert isinstance(fact, KillSwitchTriggered)
        assert repr(scope) in fact.reason


# --- place ----------------------------------------------------------------------------------------


def test_a_halt_is_placed_under_the_next_id(history):
    put(history, halt(scope="symbol:A"))
    assert again(history, halt(scope="symbol:B")) == HaltPlaced(
        halt_id=2, halt=halt(scope="symbol:B"), by=BOB
    )


HELD: list[tuple[Until, Until, bool]] = [
    (OPERATOR, OPERATOR, True),
    (OPERATOR, FEED, True),
    (OPERATOR, elapsed(1e6), True),
    (OPERATOR, at(1e6), True),
    (OPERATOR, session(1e6), True),
    (FEED, FEED, True),
    (FEED, UntilCondition(condition="venue"), False),
    (FEED, OPERATOR, False),
    (FEED, elapsed(1), False),
    (FEED, at(11), False),
    (FEED, session(11), False),
    (elapsed(60), elapsed(50), True),
    (elapsed(60), elapsed(50.001), False),
    (elapsed(60), elapsed(60), False),
    (elapsed(60), OPERATOR, False),
    (elapsed(60), FEED, False),
    (elapsed(60), at(20), False),
    (elapsed(60), session(20), False),
    (at(60), at(60), True),
    (at(60), at(59), True),
    (at(60), at(60.001), False),
    (at(60), session(60), True),
    (at(60), elapsed(20), False),
    (at(60), OPERATOR, False),
    (at(60), FEED, False),
    (session(60), session(60), True),
    (session(60), session(61), False),
    (session(60), at(60), True),
    (session(60), elapsed(20), False),
    (session(60), OPERATOR, False),
    (session(60), FEED, False),
]


@pytest.mark.parametrize(("held", "asked", "is_so"), HELD)
@pytest.mark.parametrize(
    ("held_mode", "asked_mode", "is_as_strict"),
    [
        ("halt", "halt", True),
        ("halt", "reduce_only", True),
        ("reduce_only", "halt", False),
        ("reduce_only", "reduce_only", True),
    ],
)
def test_a_halt_is_so_already_when_one_stands_that_is_as_strict_and_lasts_as_long(
    history, held, asked, is_so, held_mode, asked_mode, is_as_strict
):
    put(history, halt(held, mode=held_mode))
    history.passes(10)
    found = again(history, halt(asked, mode=asked_mode, reason="another one"))
    assert (found is None) == (is_so and is_as_strict)


@pytest.mark.parametrize(
    "other",
    [
        {"scope": "all"},
        {"scope": "account:alt"},
        {"cause": "data"},
        {"source": "trigger:lag"},
    ],
)
def test_a_halt_of_another_scope_or_cause_or_source_stands_beside(history, other):
    put(history, halt())
    assert isinstance(again(history, halt(**other)), HaltPlaced)


def test_any_of_those_that_stand_may_be_the_one_that_lasts(history):
    put(history, halt(elapsed(60)))
    put(history, halt())
    put(history, halt(scope="all"))
    assert again(history, halt(elapsed(90))) is None


UNTILS: st.SearchStrategy[Until] = st.one_of(
    st.just(OPERATOR),
    st.sampled_from([FEED, UntilCondition(condition="venue")]),
    st.integers(1, 100).map(elapsed),
    st.integers(1, 100).map(at),
    st.integers(1, 100).map(session),
)
MODES = st.sampled_from(["halt", "reduce_only"])
LATER = st.lists(
    st.one_of(
        st.tuples(st.just("passes"), st.integers(0, 60)),
        st.tuples(st.just("jumps"), st.integers(0, 100)),
        st.tuples(st.just("noted"), st.just(0)),
        st.tuples(st.just("reboots"), st.integers(0, 100)),
    ),
    max_size=6,
)


@given(UNTILS, MODES, st.integers(0, 50), UNTILS, MODES, LATER)
def test_a_halt_that_was_so_already_does_whatever_the_one_that_was_asked_for_would_have_done(
    held: Until, held_mode: Any, wait_s: int, asked: Until, asked_mode: Any, later: Any
) -> None:
    standing = Standing(1, halt(held, mode=held_mode), BOB, NOON, Span(0.0))
    moment = Now(boot="first", monotonic_s=wait_s, at=NOON + timedelta(seconds=wait_s))
    wanted = halt(asked, mode=asked_mode)
    if place(Halted(halts={1: standing}), wanted, by=BOB, now=moment) is not None:
        return
    twin = Standing(2, wanted, BOB, moment.at, Span(moment.monotonic_s))
    seen_s, monotonic_s, wall = moment.monotonic_s, moment.monotonic_s, moment.at
    for what, seconds in later:
        wall += timedelta(seconds=seconds)
        if what == "passes":
            monotonic_s += seconds
        if what == "reboots":
            for each in (standing, twin):
                each.waited.reboot(seen_s, 7.0)
            seen_s = monotonic_s = 7.0
        if what == "noted":
            seen_s = monotonic_s
        now = Now(boot="any", monotonic_s=monotonic_s, at=wall)
        if remaining_s(twin, now) != 0:
            assert remaining_s(standing, now) != 0
            assert held_mode in ("halt", asked_mode)


@pytest.mark.parametrize("until", [OPERATOR, FEED, elapsed(5), at(5), session(5)])
@pytest.mark.parametrize("end", [LIFTED, ENDED])
def test_a_halt_that_is_about_to_end_is_not_there_for_who_asks_again(history, until, end):
    put(history, halt(until))
    history.make(LooseningProposed(proposed=end))
    wanted = halt(elapsed(1) if isinstance(until, UntilElapsed) else until)
    put(history, wanted)
    history.make(LooseningWithdrawn(proposed_lsn=3, because_lsn=4))
    assert sorted(history.halted.halts) == [1, 2]
    assert again(history, wanted) is None, "whose end was overtaken lasts again"


def test_one_halt_too_many_halts_everything(history):
    history.halted.halts.update(
        {
            n: Standing(n, halt(scope=f"symbol:{n}"), BOB, NOON, Span(0.0))
            for n in range(1, HALTS_MAX)
        }
    )
    history.halted.next_id = HALTS_MAX
    put(history, halt(scope="symbol:last"))
    assert again(history, halt(scope="symbol:last")) is None, "what stands takes no more room"
    kill = again(history, halt(scope="symbol:more", cause="data", source="feed"))
    assert (kill.cause, kill.source, kill.by) == ("data", "feed", BOB)
    assert "symbol:more" in kill.reason
    history.make(kill)
    assert passing(history.halted, []) == "none"
    assert again(history, halt(scope="symbol:more", cause="data", source="feed")) is None


# --- breakers -------------------------------------------------------------------------------------

BACK_OFF = Breaker(for_s=10, factor=3, for_max_s=100, window_s=1_000, times_max=4)
LAG = {"source": "trigger:lag", "cause": "network"}


def tripped(history, wanted=None, breaker=BACK_OFF):
    return trip(history.halted, wanted or halt(**LAG), breaker, by=RISKD, now=history.now)


def lasts(fact):
    return fact.halt.until.seconds


def cleared(history):
    """All that stands is lifted."""
    history.make(HaltsEnded(halt_ids=tuple(history.halted.halts), reason="over"))


def test_a_breaker_lasts_longer_each_time_up_to_its_longest_and_then_waits_for_a_person(history):
    for repeat, seconds in enumerate((10, 30, 90, 100)):
        fact = history.make(tripped(history))
        assert fact == HaltPlaced(
            halt_id=fact.halt_id, halt=halt(elapsed(seconds), **LAG, repeat=repeat), by=RISKD
        )
        history.passes(seconds)
        history.make(due(history.halted, history.now))
    for _ in range(2):
        assert history.make(tripped(history)).halt.until == OPERATOR
        cleared(history)


def test_a_breaker_forgets_what_is_out_of_its_window(history):
    for seconds in (10, 30):
        assert lasts(history.make(tripped(history))) == seconds
        cleared(history)
        history.passes(500)
    assert lasts(tripped(history)) == 30, "the first one is at the window's edge, and out"
    history.passes(-0.001)
    assert lasts(tripped(history)) == 90


def test_breakers_of_other_sources_and_scopes_count_for_themselves(history):
    history.make(tripped(history))
    assert lasts(tripped(history, halt(scope="all", **LAG))) == 10
    assert lasts(tripped(history, halt(source="trigger:loss"))) == 10
    cleared(history)
    assert lasts(tripped(history)) == 30


def test_what_goes_on_while_a_breaker_is_open_does_not_make_it_last_longer(history):
    history.make(tripped(history))
    history.passes(9)
    assert tripped(history) is None
    assert tripped(history, halt(mode="reduce_only", **LAG)) is None
    assert len(history.halted.trips) == 1


def test_a_breaker_that_waits_for_a_person_is_open(history):
    put(history, halt(**LAG))
    assert tripped(history) is None


def test_a_stricter_trip_is_not_taken_for_one_that_is_open(history):
    history.make(tripped(history, halt(mode="reduce_only", **LAG)))
    assert history.make(tripped(history)).halt.mode == "halt"
    assert passing(history.halted, ["account:main"]) == "none"


@pytest.mark.parametrize("seconds", [10, 11])
def test_a_breaker_whose_time_has_come_is_not_open_though_it_still_stands(history, seconds):
    history.make(tripped(history))
    history.passes(seconds)
    assert lasts(tripped(history)) == 30


def test_a_breaker_that_is_about_to_close_is_not_open(history):
    history.make(tripped(history))
    history.make(LooseningProposed(proposed=unfrozen(history, "account:main")))
    assert lasts(tripped(history)) == 30


def test_a_breaker_never_lasts_longer_than_its_longest_however_fast_it_grows(history):
    wild = Breaker(for_s=200, factor=1e300, for_max_s=100, times_max=TRIPS_KEPT)
    for _ in range(TRIPS_KEPT):
        assert lasts(history.make(tripped(history, breaker=wild))) == 100
        cleared(history)
    assert tripped(history, breaker=wild).halt.until == OPERATOR


def test_a_breaker_counts_its_window_across_a_reboot(history):
    history.make(tripped(history))
    cleared(history)
    history.passes(999)
    history.make(TimeNoted(waiting=0))
    history.reboot()
    assert lasts(tripped(history)) == 30
    history.passes(1)
    assert lasts(tripped(history)) == 10


@pytest.mark.parametrize(
    "wrong",
    [
        {"for_s": 0},
        {"for_s": -1},
        {"factor": 0.99},
        {"for_max_s": 0},
        {"for_max_s": 31_536_001},
        {"times_max": TRIPS_KEPT + 1},
    ],
)
def test_a_breaker_that_could_not_be_recorded_or_would_never_end_up_with_a_person_is_none(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Breaker(**({"for_s": 10} | wrong))


def test_a_trip_too_many_halts_everything(history):
    history.halted.halts.update(
        {n: Standing(n, halt(), BOB, NOON, Span(0.0)) for n in range(1, HALTS_MAX + 1)}
    )
    assert isinstance(tripped(history), KillSwitchTriggered)


# --- lift -----------------------------------------------------------------------------------------


def test_exactly_the_scope_that_was_named_is_lifted_and_all_of_it(history):
    for scope in ("all", "account:main", "account:main2", "account:alt"):
        put(history, halt(scope=scope))
    put(history, halt(elapsed(60), source="trigger:lag", mode="reduce_only"))
    assert history.make(unfrozen(history, "account:main")) == HaltsLifted(
        halt_ids=(2, 5), scope="account:main", by=BOB, approved_by=None, reason="over"
    )
    assert list(history.halted.halts) == [1, 3, 4]
    assert unfrozen(history, "account:main") is None
    assert passing(history.halted, ["account:main"]) == "none", "a wider one stays in force"


def test_a_lift_says_who_approved_where_somebody_did(history):
    put(history, halt())
    assert unfrozen(history, "account:main", approved_by=" alice ").approved_by == "alice"
    assert refusal(unfrozen, history, "account:main", approved_by=" ").code == "no_approval"


def test_with_two_persons_another_one_has_to_approve_a_lift(history):
    put(history, halt())
    for approved_by, code in (
        (None, "no_approval"),
        ("", "no_approval"),
        ("bob", "same_person"),
        ("1000", "same_person"),
        ("mallory", "unknown_approver"),
    ):
        refused = refusal(unfrozen, history, "account:main", approved_by=approved_by, rules=PAIR)
        assert refused.code == code
    assert unfrozen(history, "account:main", approved_by="alice", rules=PAIR) is not None
    assert unfrozen(history, "symbol:none", rules=PAIR) is None, "there is nothing to approve"


# --- conditions and time --------------------------------------------------------------------------


def test_a_condition_ends_what_waits_for_it_and_nothing_else(history):
    for wanted in (FEED, UntilCondition(condition="venue"), elapsed(60), at(60), OPERATOR):
        put(history, halt(wanted))
    put(history, halt(FEED, scope="all"))
    assert holds(history.halted, "feed") == HaltsEnded(halt_ids=(1, 6), reason="feed holds")
    assert holds(history.halted, "fee") is None
    assert holds(Halted(), "feed") is None


def test_due_are_those_whose_time_has_come_and_the_next_is_asked_for_when_it_has(history):
    put(history, halt(source="risk desk"))
    put(history, halt(FEED))
    assert due(history.halted, history.now) is None
    assert next_due_s(history.halted, history.now) == float("inf")
    put(history, halt(elapsed(60)))
    put(history, halt(at(30)))
    put(history, halt(session(30), scope="all"))
    assert next_due_s(history.halted, history.now) == 30
    history.passes(29.999)
    assert due(history.halted, history.now) is None
    history.passes(0.001)
    assert next_due_s(history.halted, history.now) == 0
    fact = HaltsEnded(halt_ids=(4, 5), reason="the time has come")
    assert history.make(due(history.halted, history.now)) == fact
    assert next_due_s(history.halted, history.now) == 30
    history.passes(30)
    assert due(history.halted, history.now).halt_ids == (3,)
