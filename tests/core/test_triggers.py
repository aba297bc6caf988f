"""What a trigger makes of what is known, and that not to know is never good."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core import triggers as core
from riskd.actors.core.kill_switch import Breaker
from riskd.actors.core.triggers import (
    METRICS_MAX,
    Bad,
    Board,
    Calm,
    Good,
    Metrics,
    Outcome,
    Ran,
    Tripped,
    Unknown,
    Unseen,
    Watch,
)
from riskd.actors.messages import Halt, Until, UntilCondition, UntilOperator, UntilSession
from riskd.config.schema import (
    AnyTrigger,
    Command,
    FileAppears,
    StatusFile,
    Threshold,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EXACT = st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**6))
TIMES = st.floats(0, 1e6)


def threshold(**keys: object) -> Threshold:
    return msgspec.convert({"name": "t", "action": "halt", "metric": "m", **keys}, Threshold)


def a_file(**keys: object) -> FileAppears:
    return msgspec.convert({"name": "f", "action": "halt", "path": "/x/stop", **keys}, FileAppears)


def a_status(**keys: object) -> StatusFile:
    least = {"name": "s", "action": "halt", "path": "/x/venue", "good": ("open", "post only")}
    return msgspec.convert({**least, **keys}, StatusFile)


def a_command(**keys: object) -> Command:
    return msgspec.convert({"name": "c", "action": "halt", "argv": ("/x/check",), **keys}, Command)


# --- metrics --------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [1.5, 1, "1", True])
def test_what_is_not_exact_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="metric m is a"):
        Metrics().put("m", value, 0.0)  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_refused(value: str) -> None:
    metrics = Metrics()
    metrics.put("m", Decimal(7), 0.0)
    with pytest.raises(ValueError, match="and no number"):
        metrics.put("m", Decimal(value), 1.0)
    assert metrics.get("m") == core.Reading(Decimal(7), 0.0)


@given(st.lists(st.integers(0, METRICS_MAX + 50), max_size=300), st.sets(st.integers(0, 20)))
def test_however_many_are_reported_those_that_are_watched_stay(
    names: list[int], watched: set[int]
) -> None:
    metrics = Metrics()
    metrics.watched = frozenset(map(str, watched))
    for each in (*watched, *range(100, METRICS_MAX + 99), *names):
        metrics.put(str(each), Decimal(each), 0.0)
    assert len(metrics) <= METRICS_MAX
    assert all(metrics.get(str(each)) for each in watched)
    assert not names or metrics.get(str(names[-1]))


def test_beyond_the_bound_the_one_reported_longest_ago_is_forgotten() -> None:
    metrics = Metrics()
    for each in range(METRICS_MAX):
        metrics.put(str(each), Decimal(each), 0.0)
    metrics.put("0", Decimal(1), 1.0)
    metrics.put("new", Decimal(1), 1.0)
    assert metrics.get("1") is None
    assert metrics.get("0") is not None
    assert len(metrics) == METRICS_MAX


# --- thresholds -----------------------------------------------------------------------------------


@given(EXACT, st.none() | EXACT, st.none() | EXACT)
def test_a_fresh_value_trips_beyond_its_limits_and_nowhere_else(
    value: Decimal, above: Decimal | None, below: Decimal | None
) -> None:
    metrics = Metrics()
    metrics.put("m", value, 5.0)
    verdict = core.judge(Watch(threshold(above=above, below=below), 0.0), metrics, 6.0)
    is_beyond = (above is not None and value > above) or (below is not None and value < below)
    assert isinstance(verdict, Tripped if is_beyond else Calm)
    if isinstance(verdict, Tripped):
        limit = above if above is not None and value > above else below
        assert "metric m is " + str(value) in verdict.reason
        assert str(limit) in verdict.reason


@given(TIMES, st.floats(0, 86_400), TIMES)
def test_an_old_value_trips_after_its_grace_and_a_bad_one_stays_bad(
    at_s: float, grace_s: float, later_s: float
) -> None:
    metrics, rule = Metrics(), threshold(above=Decimal(10), grace_s=grace_s)
    now_s = at_s + later_s
    metrics.put("m", Decimal(10), at_s)
    verdict = core.judge(Watch(rule, 0.0), metrics, now_s)
    assert isinstance(verdict, Tripped if now_s - at_s > grace_s else Calm)
    metrics.put("m", Decimal("10.001"), at_s)
    assert core.judge(Watch(rule, 0.0), metrics, now_s) == Tripped(
        "metric m is 10.001, above its limit 10"
    )


def test_a_metric_that_never_came_is_unknown_and_then_a_reason() -> None:
    watch = Watch(threshold(above=Decimal(1), grace_s=3.0), 100.0)
    assert core.judge(watch, Metrics(), 103.0) == Unknown(100.0)
    assert core.judge(watch, Metrics(), 103.5) == Tripped(
        "metric m has not been reported at all for 3.5 s, and is good for 3 s"
    )


def test_the_reason_names_the_metric_its_value_and_the_limit() -> None:
    metrics = Metrics()
    metrics.put("m", Decimal("-0.75"), 0.0)
    watch = Watch(threshold(below=Decimal("-0.5")), 0.0)
    assert core.judge(watch, metrics, 0.0) == Tripped("metric m is -0.75, below its limit -0.5")
    assert core.judge(watch, metrics, 10.5) == Tripped("metric m is -0.75, below its limit -0.5")
    metrics.put("m", Decimal("-0.5"), 0.0)
    assert core.judge(watch, metrics, 10.5) == Tripped(
        "metric m was last reported 10.5 s ago, as -0.5, and is good for 10 s"
    )


# --- looks ----------------------------------------------------------------------------------------


def test_before_the_first_look_nothing_is_known() -> None:
    for rule in (a_file(grace_s=0), a_status(grace_s=0), a_command()):
        assert core.judge(Watch(rule, 5.0), Metrics(), 500.0) == Unknown(5.0)


def test_a_look_that_sees_nothing_trips_after_the_grace_from_the_first_of_them() -> None:
    watch = core.looked(Watch(a_file(grace_s=10), 0.0), Good(), 1.0)
    assert core.judge(watch, Metrics(), 1e6) == Calm()
    watch = core.looked(watch, Unseen("/x/stop: Stale file handle"), 100.0)
    watch = core.looked(watch, Unseen("/x/stop: Input/output error"), 105.0)
    assert core.judge(watch, Metrics(), 109.9) == Unknown(100.0)
    assert core.judge(watch, Metrics(), 110.0) == Tripped(
        "/x/stop: Input/output error; 10.0 s without knowing more, 10 s trip it"
    )
    assert core.judge(core.looked(watch, Good(), 111.0), Metrics(), 111.0) == Calm()


def test_what_was_seen_to_be_bad_stays_so_until_it_is_seen_to_be_good() -> None:
    watch = core.looked(Watch(a_file(), 0.0), Bad("/x/stop is there"), 1.0)
    assert core.judge(watch, Metrics(), 1.0) == Tripped("/x/stop is there")
    watch = core.looked(watch, Unseen("it hangs"), 2.0)
    assert core.judge(watch, Metrics(), 2.0) == Tripped("/x/stop is there")
    watch = core.looked(watch, Good(), 3.0)
    assert core.judge(watch, Metrics(), 3.0) == Calm()


OUTCOMES = st.lists(st.sampled_from([Good(), Bad("bad"), Unseen("unseen")]), max_size=12)


@given(OUTCOMES, st.integers(1, 4))
def test_a_command_trips_at_so_many_failures_in_a_row(outcomes: list[Outcome], most: int) -> None:
    watch, row = Watch(a_command(failures=most), 0.0), 0
    for outcome in outcomes:
        watch = core.looked(watch, outcome, 1.0)
        row = 0 if outcome == Good() else row + 1
        verdict = core.judge(watch, Metrics(), 1.0)
        expected = Calm if row == 0 else Tripped if row >= most else Unknown
        assert isinstance(verdict, expected)


@given(OUTCOMES, st.sampled_from([a_file(grace_s=2), a_status(grace_s=2), a_command(failures=3)]))
def test_only_a_look_that_saw_that_all_is_well_makes_it_calm(
    outcomes: list[Outcome], rule: AnyTrigger
) -> None:
    watch = Watch(rule, 0.0)
    for second, outcome in enumerate(outcomes):
        watch = core.looked(watch, outcome, float(second))
        assert (core.judge(watch, Metrics(), float(second)) == Calm()) == (outcome == Good())


def test_a_status_is_good_when_it_is_one_of_the_good_words_and_nothing_else() -> None:
    rule = a_status()
    assert core.standing(rule, " open\n", NOW, NOW) == Good()
    assert core.standing(rule, "post only", NOW, NOW) == Good()
    assert core.standing(rule, "halted\n", NOW, NOW) == Bad(
        "/x/venue says 'halted', and not 'open' or 'post only'"
    )
    assert isinstance(core.standing(rule, "OPEN", NOW, NOW), Bad)
    assert isinstance(core.standing(rule, "open\nopen", NOW, NOW), Bad)
    assert core.standing(rule, " \n", NOW, NOW) == Unseen("/x/venue is empty")


@pytest.mark.parametrize(
    ("age_s", "outcome"),
    [
        (30.0, Good()),
        (30.1, Unseen("/x/venue was changed 30.1 s ago, and is believed for 30 s")),
        (-30.0, Good()),
        (-31.0, Unseen("/x/venue was changed 31.0 s in the future, and is believed for 30 s")),
    ],
)
def test_an_old_status_says_nothing_and_one_of_the_future_neither(
    age_s: float, outcome: Outcome
) -> None:
    changed_at = NOW - timedelta(seconds=age_s)
    assert core.standing(a_status(max_age_s=30), "open", changed_at, NOW) == outcome
    assert core.standing(a_status(), "open", changed_at, NOW) == Good()


def test_a_status_that_is_bad_is_bad_however_old_it_is() -> None:
    changed_at = NOW - timedelta(days=1)
    assert isinstance(core.standing(a_status(max_age_s=30), "shut", changed_at, NOW), Bad)


@pytest.mark.parametrize(
    ("ran", "outcome"),
    [
        (Ran(0, "anything"), Good()),
        (Ran(3, ""), Bad("/x/check ended with status 3, not 0")),
        (Ran(1, " no route\n"), Bad("/x/check ended with status 1, not 0, and said 'no route'")),
        (Ran(-9, ""), Bad("/x/check was ended by signal 9")),
        (Ran(None, ""), Bad("/x/check did not end within 5 s")),
    ],
)
def test_a_run_is_good_when_it_ends_with_0(ran: Ran, outcome: Outcome) -> None:
    assert core.ending(a_command(), ran) == outcome


def test_a_reason_repeats_only_so_much_of_what_it_read() -> None:
    outcome = core.ending(a_command(), Ran(1, "x" * 10_000))
    assert isinstance(outcome, Bad)
    assert len(outcome.why) < 250
    assert outcome.why.endswith("…")
    many = a_status(good=tuple(f"word {n}" for n in range(64)))
    found = core.standing(many, "y" * 4_096, NOW, NOW)
    assert isinstance(found, Bad)
    assert len(found.why) < 500


# --- calm -----------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.sampled_from([Calm(), Tripped("x"), Unknown(0.0)]), st.floats(0, 9))))
def test_it_is_over_after_so_long_of_calm_without_a_break(
    steps: list[tuple[core.Verdict, float]],
) -> None:
    watch, now_s, calm_since_s = Watch(threshold(until="clear", clear_s=10.0), 0.0), 0.0, None
    for verdict, later_s in steps:
        now_s += later_s
        watch = core.settled(watch, verdict, now_s)
        if verdict != Calm():
            calm_since_s = None
        elif calm_since_s is None:
            calm_since_s = now_s
        over = calm_since_s is not None and now_s - calm_since_s >= 10.0
        assert core.is_over(watch, now_s) == over


@pytest.mark.parametrize("make", [a_file, a_status, a_command])
def test_time_in_which_nobody_looked_is_no_calm(make: Callable[..., AnyTrigger]) -> None:
    """As when riskd was stopped, or the next look comes long after `clear_s`."""
    watch = core.looked(Watch(make(until="clear", clear_s=10.0), 0.0), Good(), 1.0)
    watch = core.settled(watch, Calm(), 1.5)
    for now_s in (2.0, 11.5, 1e6):
        assert core.judge(watch, Metrics(), now_s) == Calm()
        assert not core.is_over(watch, now_s)
    assert not core.is_over(core.looked(watch, Good(), 11.4), 1e6)
    assert core.is_over(core.looked(watch, Good(), 11.5), 1e6)


@pytest.mark.parametrize("until", ["operator", "time", "session"])
def test_calm_ends_only_halts_that_wait_for_it(until: str) -> None:
    watch = core.settled(Watch(threshold(until=until), 0.0), Calm(), 0.0)
    assert not core.is_over(watch, 1e9)


# --- what it does ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "until"),
    [
        ({}, UntilOperator()),
        ({"until": "clear"}, UntilCondition(condition="trigger:t")),
        ({"until": "session"}, UntilSession(at=NOW)),
        ({"until": "time", "for_s": 5.0}, UntilOperator()),
    ],
)
def test_a_halt_is_as_the_rule_asks(keys: dict[str, object], until: Until) -> None:
    rule = threshold(scope="account:a", action="reduce_only", **keys)
    assert core.halt(rule, "why", NOW) == Halt(
        scope="account:a",
        mode="reduce_only",
        cause="threshold",
        source="trigger:t",
        reason="why",
        until=until,
    )
    assert core.halt(a_file(), "why", NOW).mode == "halt"


def test_a_cause_is_that_of_its_kind_unless_the_rule_names_another() -> None:
    assert core.cause(threshold()) == "threshold"
    assert {core.cause(each) for each in (a_file(), a_status(), a_command())} == {"external"}
    assert core.cause(threshold(cause="network")) == "network"


def test_a_breaker_is_of_the_rules_numbers_and_of_no_other_rule() -> None:
    keys = {"for_s": 5.0, "factor": 3.0, "for_max_s": 70.0, "window_s": 900.0, "times_max": 4}
    assert core.breaker(threshold(until="time", **keys)) == Breaker(
        for_s=5.0, factor=3.0, for_max_s=70.0, window_s=900.0, times_max=4
    )
    assert core.breaker(threshold()) is None


# --- all of them ----------------------------------------------------------------------------------


def test_a_rule_that_did_not_change_goes_on_as_it_was_and_another_begins_anew() -> None:
    board, same, old = Board(), a_file(name="same"), a_file(name="changed", grace_s=1)
    board.follow((same, old, a_file(name="gone")), 1.0)
    for name in board.watches:
        board.watches[name] = core.looked(board.watches[name], Good(), 2.0)
    before = board.watches["same"]
    board.follow((a_file(name="same"), a_file(name="changed", grace_s=2)), 50.0)
    assert board.watches == {
        "same": before,
        "changed": Watch(a_file(name="changed", grace_s=2), 50.0),
    }


def test_the_metrics_that_rules_watch_are_known_by_their_rules() -> None:
    board = Board()
    board.follow((threshold(name="a"), threshold(name="b"), threshold(name="c", metric="n")), 0.0)
    assert list(board.watching("m")) == ["a", "b"]
    assert board.metrics.watched == {"m", "n"}
    board.follow((), 1.0)
    assert not board.watching("m")
    assert not board.metrics.watched


@pytest.mark.parametrize("outcome", [Good(), Bad("it is there"), Unseen("it hangs")])
def test_all_who_look_are_waited_for_once_and_no_metric_is(outcome: core.Outcome) -> None:
    board = Board()
    assert board.unlooked() is not None, "nobody has said what there is to look at"
    board.follow((threshold(), a_file(name="a"), a_command(name="b")), 0.0)
    for waiting in ("a", "b"):
        assert waiting in str(board.unlooked())
        board.watches[waiting] = core.looked(board.watches[waiting], outcome, 1.0)
    assert board.unlooked() is None
    board.follow((a_file(name="new"),), 2.0)
    assert board.unlooked() is None, "what a reload brings has its grace"
