"""What the facts about halts add up to, how halts compose, and when they end."""

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core.halts import (
    BREAKERS_KEPT,
    TRIGGERS_KEPT,
    TRIPS_KEPT,
    Halted,
    Halts,
    Now,
    Span,
    Standing,
    breaker,
    cooldown_left_s,
    covering,
    halts_shown,
    passing,
    remaining_s,
    shown,
    strictest,
    waiting,
)
from riskd.actors.messages import (
    AccountClosed,
    ActorSilent,
    By,
    Cause,
    DaemonStarted,
    DaemonStopped,
    Fact,
    Halt,
    HaltPlaced,
    HaltsEnded,
    HaltsLifted,
    InstrumentDelisted,
    KillSwitchTriggered,
    LeaseLapsed,
    LooseningProposed,
    LooseningWithdrawn,
    Mode,
    Recorded,
    RecoveryCompleted,
    RecoveryStarted,
    State,
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
KILL = KillSwitchTriggered(by=BOB, cause="manual", source="operator", reason="the feed is wrong")
RECOVERY = RecoveryStarted(by=BOB, approved_by="alice", cooldown_s=300.0)
DONE = RecoveryCompleted(by=BOB)
SCOPES = ("all", "account:main", "account:alt", "exchange:sim", "strategy:mm", "worker:mm-1")
NAN_FREE = {"allow_nan": False, "allow_infinity": False}


def halt(until: Until | None = None, **other: Any) -> Halt:
    wanted: dict[str, Any] = {
        "scope": "account:main",
        "mode": "halt",
        "cause": "manual",
        "source": "operator",
        "reason": "news",
        "until": UntilOperator() if until is None else until,
    }
    return Halt(**(wanted | other))


def placed(halt_id: int, until: Until | None = None, **other: Any) -> HaltPlaced:
    return HaltPlaced(halt_id=halt_id, halt=halt(until, **other), by=BOB)


def lifted(*ids: int) -> HaltsLifted:
    return HaltsLifted(halt_ids=ids, scope="all", by=BOB, approved_by=None, reason="over")


def started(boot: str) -> DaemonStarted:
    return DaemonStarted(version="1", process_id=1, boot=boot, config_source="", config_digest="")


# --- any history ----------------------------------------------------------------------------------

INSTANTS = st.datetimes(
    datetime(2026, 1, 1),  # noqa: DTZ001 - the strategy gives them their zone
    datetime(2027, 1, 1),  # noqa: DTZ001 - likewise
    timezones=st.just(UTC),
)
PEOPLE = st.builds(
    By,
    via=st.sampled_from(["socket", "signal", "riskd"]),
    user_id=st.none() | st.integers(0, 3),
    user=st.none() | st.just("bob"),
)
UNTILS: st.SearchStrategy[Until] = st.one_of(
    st.just(UntilOperator()),
    st.builds(UntilElapsed, seconds=st.floats(0.001, 100_000)),
    st.builds(UntilInstant, at=INSTANTS),
    st.builds(UntilSession, at=INSTANTS),
    st.builds(UntilCondition, condition=st.sampled_from(["reconciled", "feed"])),
)
HALTS = st.builds(
    Halt,
    scope=st.sampled_from(SCOPES),
    mode=st.sampled_from(get_args(Mode)),
    cause=st.sampled_from(get_args(Cause)),
    source=st.sampled_from(["operator", "start", "trigger:lag"]),
    reason=st.just("why"),
    until=UNTILS,
)
IDS = st.lists(st.integers(1, 6), max_size=4).map(tuple)
LIFTED = st.builds(
    HaltsLifted, halt_ids=IDS, scope=st.just("all"), by=PEOPLE, approved_by=st.none()
)
ENDED = st.builds(HaltsEnded, halt_ids=IDS)
FACTS: st.SearchStrategy[Fact] = st.one_of(
    st.sampled_from(["first", "second"]).map(started),
    st.just(DaemonStopped(reason="asked")),
    st.builds(
        KillSwitchTriggered,
        by=PEOPLE,
        cause=st.sampled_from(get_args(Cause)),
        source=st.just("operator"),
    ),
    st.builds(RecoveryStarted, by=PEOPLE, cooldown_s=st.floats(0, 1_000)),
    st.just(DONE),
    st.builds(HaltPlaced, halt_id=st.integers(1, 6), halt=HALTS, by=PEOPLE),
    LIFTED,
    ENDED,
    st.builds(LooseningProposed, proposed=LIFTED | ENDED | st.just(DONE)),
    st.just(LooseningWithdrawn(proposed_lsn=1, because_lsn=2)),
    st.just(TimeNoted(waiting=1)),
    st.just(LeaseLapsed(reason="nobody answered")),
    st.just(ActorSilent(actor="settings", deadline_s=2.0)),
    st.just(AccountClosed(account="main")),
    st.just(InstrumentDelisted(symbol="X")),
)
RECORDS = st.lists(
    st.builds(
        Recorded,
        lsn=st.integers(1, 50),
        at=INSTANTS,
        monotonic_s=st.floats(0, 1e7, **NAN_FREE),
        fact=FACTS,
    ),
    max_size=12,
)


def folded(records: list[Recorded]) -> Halts:
    halts = Halts()
    for recorded in records:
        halts.apply(recorded)
    return halts


@given(RECORDS)
def test_facts_of_any_order_and_any_time_never_raise_and_have_a_face(
    records: list[Recorded],
) -> None:
    halts, now = Halts(), Now(boot="first", monotonic_s=500.0, at=NOON)
    for recorded in records:
        halts.apply(recorded)
        assert halts.now.state in get_args(State)
        assert shown(halts.now, now, 300.0)["state"] == halts.now.state
        assert len(halts_shown(halts.now, now)) == len(halts.now.halts)


@given(RECORDS)
def test_a_snapshot_at_any_point_changes_nothing_that_comes_after(records: list[Recorded]) -> None:
    whole = folded(records)
    for cut in range(len(records) + 1):
        halts, again = folded(records[:cut]), Halts()
        again.load(b"".join(halts.dump()))
        assert again.now == halts.now
        assert again.dump() == halts.dump()
        for recorded in records[cut:]:
            again.apply(recorded)
        assert again.now == whole.now
        assert list(again.now.halts) == list(whole.now.halts), "in the order in which they came"
        assert list(again.now.trips) == list(whole.now.trips)


@given(RECORDS)
def test_nothing_of_an_earlier_state_is_left_after_a_load(records: list[Recorded]) -> None:
    halts = folded(records)
    halts.load(None)
    assert halts.now == Halted() == Halts().now


def test_a_dump_that_makes_no_sense_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="ASLEEP"):
        Halts().load(b'["ASLEEP"]')


@given(RECORDS)
def test_the_epoch_rises_with_what_tightens_and_with_a_start_and_with_nothing_else(
    records: list[Recorded],
) -> None:
    halts = Halts()
    for recorded in records:
        before = halts.now.epoch
        halts.apply(recorded)
        others = DaemonStarted | AccountClosed | InstrumentDelisted
        rises = recorded.fact.BEARING == "tightens" or isinstance(recorded.fact, others)
        if rises:
            assert halts.now.epoch == max(before + 1, recorded.lsn)
        else:
            assert halts.now.epoch == before


# --- the kill switch's facts ----------------------------------------------------------------------


def test_a_history_without_facts_is_active_and_halts_nothing() -> None:
    assert passing(Halted(), SCOPES) == "all"
    assert strictest(Halted()) == {}


def test_the_states_follow_their_facts(history):
    for fact, state in ((KILL, "KILLED"), (RECOVERY, "RECOVERING"), (DONE, "ACTIVE")):
        history.make(fact)
        assert history.halted.state == state


def test_a_kill_ends_the_recovery_and_the_next_one_waits_from_its_own_beginning(history):
    history.make(KILL)
    history.make(RECOVERY)
    history.passes(299)
    history.make(KILL)
    assert history.halted.recovery is None
    assert cooldown_left_s(history.halted, history.now, 300) is None
    history.make(RECOVERY)
    assert cooldown_left_s(history.halted, history.now, 300) == 300


def test_every_cause_since_it_was_last_active_is_kept_in_order(history):
    history.make(KILL)
    history.make(RECOVERY)
    history.passes(7)
    external = KillSwitchTriggered(by=BOB, cause="external", source="venue", reason="it is closed")
    history.make(external)
    first, second = history.halted.triggers
    assert (first.cause, first.at, first.lsn) == ("manual", NOON, 2)
    assert (second.cause, second.source, second.reason) == ("external", "venue", "it is closed")
    assert (second.by, second.at, second.lsn) == (BOB, NOON + timedelta(seconds=7), 4)
    history.make(RECOVERY)
    history.make(DONE)
    assert history.halted.triggers == []
    assert history.halted.recovery is None


def test_of_many_causes_the_first_and_the_newest_are_kept(history):
    for number in range(TRIGGERS_KEPT + 5):
        reason = str(number)
        history.make(KillSwitchTriggered(by=BOB, cause="manual", source="operator", reason=reason))
    reasons = [int(seen.reason) for seen in history.halted.triggers]
    assert reasons == [0, *range(6, TRIGGERS_KEPT + 5)]


def test_it_runs_from_a_start_to_an_orderly_end(history):
    assert history.halted.is_running
    history.make(DaemonStopped(reason="asked"))
    assert not history.halted.is_running
    history.start()
    assert history.halted.is_running


# --- time that has gone by ------------------------------------------------------------------------


def test_a_span_counts_its_own_boot_and_of_earlier_ones_what_was_seen() -> None:
    span = Span(100.0)
    assert span.elapsed_s(160.0) == 60.0
    span.reboot(160.0, 7.0)
    assert span.elapsed_s(7.0) == 60.0
    assert span.elapsed_s(17.0) == 70.0
    span.reboot(17.0, 900.0)
    assert span.elapsed_s(905.0) == 75.0


def test_a_span_never_counts_backwards() -> None:
    span = Span(100.0, 5.0)
    assert span.elapsed_s(99.0) == 5.0


@pytest.mark.parametrize("wall_s", [-86_400, -3_600, 0, 3_600, 86_400])
def test_the_cooldown_is_over_at_its_second_whatever_the_wall_clock_does(history, wall_s):
    history.make(KILL)
    history.make(RECOVERY)
    history.passes(299)
    history.jumps(wall_s)
    assert cooldown_left_s(history.halted, history.now, 300) == 1
    history.passes(1)
    assert cooldown_left_s(history.halted, history.now, 300) == 0
    history.passes(1)
    assert cooldown_left_s(history.halted, history.now, 300) == 0


@pytest.mark.parametrize(("present_s", "left_s"), [(0, 300), (300, 300), (301, 301)])
def test_the_longer_of_the_cooldown_at_its_beginning_and_the_present_one_counts(
    history, present_s, left_s
):
    history.make(KILL)
    history.make(RECOVERY)
    assert cooldown_left_s(history.halted, history.now, present_s) == left_s


def test_a_restart_in_the_same_boot_takes_nothing_from_the_cooldown_and_adds_nothing(history):
    history.make(KILL)
    history.make(RECOVERY)
    history.passes(100)
    history.start()
    assert cooldown_left_s(history.halted, history.now, 300) == 200


@pytest.mark.parametrize("monotonic_s", [0.0, 1_100.0, 50_000.0])
def test_a_reboot_keeps_of_the_cooldown_what_was_noted(history, monotonic_s):
    history.make(KILL)
    history.make(RECOVERY)
    history.passes(100)
    history.make(TimeNoted(waiting=1))
    history.passes(50)
    history.reboot("second", monotonic_s, off_s=9_999)
    assert cooldown_left_s(history.halted, history.now, 300) == 200
    history.passes(30)
    assert cooldown_left_s(history.halted, history.now, 300) == 170
    history.make(TimeNoted(waiting=1))
    history.reboot("third", 0.0)
    assert cooldown_left_s(history.halted, history.now, 300) == 170


def test_a_reboot_counts_once_for_a_halt_and_for_its_breaker(history):
    history.make(placed(1, UntilElapsed(seconds=100)))
    history.passes(40)
    history.make(TimeNoted(waiting=1))
    history.reboot("second", 0.0)
    (standing,) = history.halted.halts.values()
    (trip,) = history.halted.trips[breaker("operator", "account:main")]
    assert remaining_s(standing, history.now) == 60
    assert trip.elapsed_s(history.monotonic_s) == 40


def test_a_fact_out_of_its_time_takes_nothing_from_what_was_seen(history):
    history.make(KILL)
    history.make(RECOVERY)
    history.passes(100)
    history.make(TimeNoted(waiting=1))
    history.passes(-60)
    history.make(TimeNoted(waiting=1))
    history.reboot("second", 0.0)
    assert cooldown_left_s(history.halted, history.now, 300) == 200


# --- when a halt ends -----------------------------------------------------------------------------


def standing_of(history) -> Standing:
    standing: Standing = history.halted.halts[1]
    return standing


def test_a_halt_for_a_time_ends_at_its_second(history):
    history.make(placed(1, UntilElapsed(seconds=60)))
    for seconds, left_s in ((0, 60), (59, 1), (1, 0), (100, 0)):
        history.passes(seconds)
        assert remaining_s(standing_of(history), history.now) == left_s


@pytest.mark.parametrize("kind", [UntilInstant, UntilSession])
def test_a_halt_until_an_instant_ends_at_its_second(history, kind):
    history.make(placed(1, kind(at=NOON + timedelta(seconds=60))))
    for seconds, left_s in ((0, 60), (59, 1), (1, 0), (100, 0)):
        history.passes(seconds)
        assert remaining_s(standing_of(history), history.now) == left_s


@pytest.mark.parametrize("until", [UntilOperator(), UntilCondition(condition="feed")])
def test_no_time_ends_what_waits_for_a_person_or_a_condition(history, until):
    history.make(placed(1, until))
    history.passes(1e9)
    assert remaining_s(standing_of(history), history.now) is None


@pytest.mark.parametrize("kind", [UntilInstant, UntilSession])
def test_a_clock_that_jumps_forward_ends_no_halt_until_an_instant(history, kind):
    history.make(placed(1, kind(at=NOON + timedelta(seconds=60))))
    history.passes(10)
    history.jumps(3_600)
    assert remaining_s(standing_of(history), history.now) == 50
    history.passes(50)
    assert remaining_s(standing_of(history), history.now) == 0


@pytest.mark.parametrize("kind", [UntilInstant, UntilSession])
def test_a_clock_that_jumps_back_leaves_a_halt_until_its_instant_comes(history, kind):
    history.make(placed(1, kind(at=NOON + timedelta(seconds=60))))
    history.passes(10)
    history.jumps(-30)
    assert remaining_s(standing_of(history), history.now) == 80


@pytest.mark.parametrize("seen_s", [0, 10])
def test_after_a_reboot_the_wall_clock_alone_ends_a_halt_until_an_instant(history, seen_s):
    history.make(placed(1, UntilInstant(at=NOON + timedelta(seconds=60))))
    history.passes(seen_s)
    history.make(TimeNoted(waiting=0))
    history.reboot("second", 5.0, off_s=45 - seen_s)
    assert remaining_s(standing_of(history), history.now) == 15
    history.reboot("third", 5.0, off_s=15)
    assert remaining_s(standing_of(history), history.now) == 0


def test_what_waits_for_noted_time_is_the_cooldown_and_the_halts_for_a_time(history):
    assert waiting(history.halted) == 0
    history.make(placed(1, UntilElapsed(seconds=60)))
    history.make(placed(2, UntilInstant(at=NOON)))
    history.make(placed(3, UntilOperator()))
    assert waiting(history.halted) == 1
    history.make(KILL)
    history.make(RECOVERY)
    assert waiting(history.halted) == 2


# --- halts come and go ----------------------------------------------------------------------------


def test_a_halt_is_as_it_was_placed_until_it_is_lifted(history):
    history.make(placed(1))
    history.passes(5)
    history.make(placed(7, scope="worker:mm-1"))
    standing = history.halted.halts[7]
    assert (standing.halt_id, standing.halt, standing.by, standing.at) == (
        7,
        halt(scope="worker:mm-1"),
        BOB,
        NOON + timedelta(seconds=5),
    )
    assert history.halted.next_id == 8
    history.make(lifted(1, 3))
    assert list(history.halted.halts) == [7]
    history.make(HaltsEnded(halt_ids=(7,), reason="the time has come"))
    assert history.halted.halts == {}
    assert history.halted.next_id == 8, "an id is its halt's own for ever"
    history.make(placed(2))
    assert history.halted.next_id == 8


def test_a_proposed_end_ends_nothing_yet(history):
    history.make(placed(1))
    history.make(LooseningProposed(proposed=lifted(1)))
    assert passing(history.halted, ["account:main"]) == "none"
    assert history.halted.ending == (1,)


def test_ends_under_way_are_those_of_halts_that_stand(history):
    for one in (1, 2, 3, 4):
        history.make(placed(one))
    history.make(LooseningProposed(proposed=lifted(3, 9)))
    history.make(LooseningProposed(proposed=HaltsEnded(halt_ids=(1,), reason="over")))
    history.make(LooseningProposed(proposed=DONE))
    assert history.halted.ending == (1, 3)
    history.make(lifted(3))
    assert history.halted.ending == (1,)


@pytest.mark.parametrize("fact", [KILL, placed(2), started("first"), started("second")])
def test_what_tightens_overtakes_every_end_under_way_and_so_does_a_start(history, fact):
    history.make(placed(1))
    history.make(LooseningProposed(proposed=lifted(1)))
    history.make(fact)
    assert history.halted.ending == ()


def test_trips_are_the_halts_for_a_time_by_source_and_scope(history):
    history.make(placed(1, UntilElapsed(seconds=60), source="trigger:lag"))
    history.make(placed(2, UntilElapsed(seconds=60), source="trigger:lag", scope="all"))
    history.make(placed(3, UntilInstant(at=NOON), source="trigger:lag"))
    history.passes(10)
    history.make(placed(4, UntilElapsed(seconds=120), source="trigger:lag"))
    history.make(lifted(1, 2, 3, 4))
    assert history.halted.trips == {
        breaker("trigger:lag", "all"): [Span(1_000.0)],
        breaker("trigger:lag", "account:main"): [Span(1_000.0), Span(1_010.0)],
    }


def test_of_the_trips_of_one_breaker_the_newest_are_kept(history):
    for one in range(TRIPS_KEPT + 3):
        history.passes(1)
        history.make(placed(one, UntilElapsed(seconds=60)))
    (trips,) = history.halted.trips.values()
    assert [trip.since_s for trip in trips] == [1_004.0 + n for n in range(TRIPS_KEPT)]


def test_of_too_many_breakers_the_one_that_tripped_longest_ago_is_forgotten(history):
    for one in range(BREAKERS_KEPT):
        history.make(placed(one, UntilElapsed(seconds=60), scope=f"symbol:{one}"))
    history.make(placed(BREAKERS_KEPT, UntilElapsed(seconds=60), scope="symbol:0"))
    assert len(history.halted.trips) == BREAKERS_KEPT
    history.make(placed(BREAKERS_KEPT + 1, UntilElapsed(seconds=60), scope="symbol:new"))
    scopes = [key.partition(" ")[2] for key in history.halted.trips]
    assert scopes == [*(f"symbol:{n}" for n in range(2, BREAKERS_KEPT)), "symbol:0", "symbol:new"]


# --- what passes ----------------------------------------------------------------------------------

STRICTNESS = {"all": 0, "reduce_only": 1, "none": 2}
ORDERS = st.fixed_dictionaries(
    {
        "account": st.sampled_from(["main", "alt"]),
        "exchange": st.sampled_from(["sim", "perps"]),
        "strategy": st.sampled_from(["mm", "arb"]),
        "worker": st.sampled_from(["mm-1", "mm-2"]),
    }
)
STATES = st.sampled_from(get_args(State))


def allowed(state: str, halts: list[Halt], order: dict[str, str]) -> str:
    """What passes, as it is specified: the most restrictive of all that cover the order."""
    found = [2] if state in ("KILLED", "RECOVERING") else [0]
    for one in halts:
        kind, _, name = one.scope.partition(":")
        if kind == "all" or order[kind] == name:
            found.append(2 if one.mode == "halt" else 1)
    return ["all", "reduce_only", "none"][max(found)]


def scopes_of(order: dict[str, str]) -> list[str]:
    return [f"{kind}:{name}" for kind, name in order.items()]


def halted_by(state: State, halts: list[Halt]) -> Halted:
    standing = {n: Standing(n, one, BOB, NOON, Span(0.0)) for n, one in enumerate(halts)}
    return Halted(state=state, halts=standing)


@given(STATES, st.lists(HALTS, max_size=6), ORDERS)
def test_the_most_restrictive_of_all_that_cover_an_order_wins(
    state: State, halts: list[Halt], order: dict[str, str]
) -> None:
    halted = halted_by(state, halts)
    assert passing(halted, scopes_of(order)) == allowed(state, halts, order)


@given(STATES, st.lists(HALTS, max_size=6), ORDERS)
def test_a_table_of_the_strictest_by_scope_says_the_same(
    state: State, halts: list[Halt], order: dict[str, str]
) -> None:
    halted = halted_by(state, halts)
    table = strictest(halted)
    modes = {table.get(scope) for scope in ("all", *scopes_of(order))}
    strict = "none" if "halt" in modes else "reduce_only" if "reduce_only" in modes else "all"
    assert strict == passing(halted, scopes_of(order))


@given(STATES, st.lists(HALTS, max_size=6), HALTS, ORDERS, st.randoms())
def test_one_more_halt_never_lets_anything_through_and_the_order_of_halts_changes_nothing(
    state: State, halts: list[Halt], another: Halt, order: dict[str, str], random: Any
) -> None:
    scopes = scopes_of(order)
    before = passing(halted_by(state, halts), scopes)
    more = [*halts, another]
    after = passing(halted_by(state, more), scopes)
    random.shuffle(more)
    assert STRICTNESS[after] >= STRICTNESS[before]
    assert passing(halted_by(state, more), scopes) == after


def test_a_part_of_a_scope_is_another_scope() -> None:
    halted = halted_by("ACTIVE", [halt(scope="account:main")])
    for scope in ("account:mai", "account:main2", "account", "main", "worker:main"):
        assert passing(halted, [scope]) == "all"


def test_covering_are_the_halts_of_everything_and_of_the_scopes_in_their_order() -> None:
    scopes = ("worker:mm-1", "all", "account:alt", "account:main")
    halted = halted_by("ACTIVE", [halt(scope=scope) for scope in scopes])
    assert [one.halt_id for one in covering(halted, ["account:main", "worker:mm-1"])] == [0, 1, 3]
    assert [one.halt_id for one in covering(halted, [])] == [1]
