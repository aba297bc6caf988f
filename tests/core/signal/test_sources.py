"""What others say of the risk, and what their silence counts as."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core.signal.signals import CALM, OUTSIDE, Signals, badness
from riskd.actors.core.signal.sources import (
    OF_WORKER_MAX,
    SOURCES_MAX,
    Outlook,
    Standing,
    Unusable,
    read,
    refusal,
    signal_of,
    standing,
    time_of,
    turn,
)
from riskd.actors.messages import (
    By,
    Recorded,
    RiskSignal,
    Signal,
    SignalEased,
    SignalNoted,
    SignalWorsened,
)
from riskd.config.schema import OutsideSignal

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
CONFIG = OutsideSignal(url="https://risk.example.com/x")
BAD = RiskSignal(level="critical", score=100, critical_issues=("unwell",), tier="emergency")


def counts(outlook: Outlook, before: RiskSignal = CALM, after_s: float = 0, **config: Any) -> Any:
    """What it counts as so long after the monotonic clock showed 100."""
    given = msgspec.structs.replace(CONFIG, **config)
    return standing(outlook, given, before, NOW + timedelta(seconds=after_s), 100 + after_s)


def heard(text: str = '{"level":"info"}') -> Outlook:
    outlook = Outlook()
    outlook.hears(read(text), NOW, 100)
    return outlook


def put(signals: Signals, fact: Any) -> None:
    signals.apply(Recorded(lsn=1, at=NOW, monotonic_s=100, fact=fact))


def known(signal: RiskSignal, source: str = OUTSIDE, worker: str | None = None) -> Signals:
    signals = Signals()
    found = turn(signals, source, Standing("said", signal, None), worker=worker)
    if found is not None:
        put(signals, found)
    return signals


# --- what is said ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "[]", "critical", '{"score":1}', '{"level":"CRITICAL"}', '{"level":"fine"}',
        '{"level":"info","score":101}', '{"level":"info","score":-1}', '{"level":"info","more":1}',
        '{"level":"info","action_required":"no"}', '{"level":"info","tier":"calm"}',
        '{"level":"info","warnings":[""]}', '{"level":"info","ts":true}', "\ufffd{",
        '{"level":"info","warnings":[' + ",".join(['"a"'] * 33) + "]}",
        '{"level":"info","warnings":["' + "a" * 201 + '"]}',
    ],
)  # fmt: skip
def test_what_is_not_a_signal_to_the_letter_is_none(text: str) -> None:
    with pytest.raises(Unusable):
        read(text)


def test_score_and_tier_are_those_of_the_level_unless_they_are_said() -> None:
    assert signal_of(read('{"level":"critical"}')) == RiskSignal(
        level="critical", score=100, tier="emergency"
    )
    said = signal_of(read('{"level":"critical","score":70,"tier":"reduced"}'))
    assert (said.score, said.tier) == (70, "reduced")


@pytest.mark.parametrize("more", ['"critical_issues":["unwell"]', '"tier":"emergency"'])
@pytest.mark.parametrize("level", ["info", "warning"])
def test_what_contradicts_itself_counts_as_the_worst_that_it_says(level: str, more: str) -> None:
    said = signal_of(read(f'{{"level":"{level}",{more}}}'))
    assert (said.level, said.score, said.tier) == ("critical", 100, "emergency")


@pytest.mark.parametrize(
    "ts", ["yesterday", "2026-03-04T12:01:01Z", 10**30, "2026-03-04T11:58:59Z"]
)
def test_a_time_that_is_none_or_ahead_or_too_old_is_refused(ts: Any) -> None:
    with pytest.raises(Unusable):
        time_of(ts, NOW, 60)


# --- silence --------------------------------------------------------------------------------------


def test_before_anything_was_heard_the_policy_counts() -> None:
    assert counts(Outlook()).state == "expected"
    assert counts(Outlook()).signal.level == "critical"
    assert counts(Outlook(), policy="warning").signal.level == "warning"
    assert counts(Outlook(), policy="ignore").signal == CALM


@pytest.mark.parametrize(("after_s", "state"), [(60, "said"), (60.001, "stale")])
def test_it_is_believed_for_its_time_since_it_came(after_s: float, state: str) -> None:
    assert counts(heard(), after_s=after_s).state == state


@pytest.mark.parametrize(("ago_s", "state"), [(50, "said"), (51, "stale")])
def test_and_since_the_time_that_it_names(ago_s: int, state: str) -> None:
    ts = (NOW - timedelta(seconds=ago_s)).isoformat()
    outlook = heard(json.dumps({"level": "info", "ts": ts}))
    assert counts(outlook, after_s=10).state == state


def test_a_wall_clock_that_was_set_back_makes_nothing_younger() -> None:
    outlook = heard(json.dumps({"level": "info", "ts": NOW.isoformat()}))
    found = standing(outlook, CONFIG, CALM, NOW - timedelta(hours=1), 161)
    assert found.state == "stale"


@given(
    st.sampled_from(["critical", "warning", "ignore"]),
    st.sampled_from(["unreachable", "unusable"]),
    st.sampled_from([CALM, BAD, RiskSignal(level="warning", score=50)]),
)
def test_an_outage_never_makes_anything_better(policy: Any, state: Any, before: RiskSignal) -> None:
    outlook = heard()
    outlook.trouble = (state, "no")
    found = counts(outlook, before, policy=policy)
    assert (found.state, found.reason) == (state, "no")
    assert badness(found.signal) >= badness(before)
    if policy != "ignore":
        assert badness(found.signal) >= badness(RiskSignal(level=policy, score=0))


def test_what_comes_after_an_outage_counts_again() -> None:
    outlook = heard()
    outlook.trouble = ("unreachable", "no")
    outlook.hears(read('{"level":"warning"}'), NOW, 100)
    assert (counts(outlook, BAD).state, counts(outlook, BAD).signal.level) == ("said", "warning")


def test_one_that_nobody_expects_any_more_counts_as_nothing() -> None:
    assert counts(heard(), BAD, url=None) == Standing("gone", CALM, None)


# --- what is told ---------------------------------------------------------------------------------

SIGNALS = st.builds(
    RiskSignal,
    level=st.sampled_from(["info", "warning", "critical"]),
    score=st.integers(0, 100),
    critical_issues=st.lists(st.sampled_from("ab"), max_size=2).map(tuple),
    action_required=st.booleans(),
)


@given(SIGNALS, SIGNALS)
def test_from_any_signal_two_facts_lead_to_any_other_and_the_worse_comes_first(
    one: RiskSignal, other: RiskSignal
) -> None:
    signals, told = known(one), []
    while (fact := turn(signals, OUTSIDE, Standing("said", other, None))) is not None:
        told.append(fact)
        put(signals, fact)
    assert len(told) <= 2
    blocks = [badness(one), *(badness(fact.signal) for fact in told)]
    for fact, before, after in zip(told, blocks, blocks[1:], strict=False):
        level, acts = after
        if isinstance(fact, SignalEased):
            assert level <= before[0]
            assert acts <= before[1]
        elif isinstance(fact, SignalWorsened):
            assert level >= before[0]
            assert acts >= before[1]
        else:
            assert isinstance(fact, SignalNoted)
            assert after == before
    assert badness(signals.by(OUTSIDE)) == badness(other)


def test_another_score_alone_is_not_told() -> None:
    signals = known(BAD)
    less = msgspec.structs.replace(BAD, score=90)
    assert turn(signals, OUTSIDE, Standing("said", less, None)) is None


# --- who may say what -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "level", "worker", "code"),
    [
        ("outside", "info", None, "not_expected"),
        ("outside", "critical", "mm-1", "not_yours"),
        ("desk", "critical", "mm-1", "not_yours"),
        ("desk", "info", None, None),
        ("mine", "info", "mm-1", "only_worse"),
        ("mine", "warning", "mm-1", None),
        ("mine", "critical", "mm-1", None),
        ("mine", "critical", "mm-2", "not_yours"),
        ("mine", "info", None, None),
        ("new", "critical", "mm-1", None),
    ],
)
def test_a_worker_only_makes_it_worse_and_only_its_own(
    source: str, level: Any, worker: str | None, code: str | None
) -> None:
    signals = known(BAD, "desk")
    warning = RiskSignal(level="warning", score=50)
    put(signals, turn(signals, "mine", Standing("said", warning, None), worker="mm-1"))
    found = refusal(signals, CONFIG, Signal(source=source, level=level), worker)
    assert (found and found[0]) == code


def test_there_is_room_for_so_many_sources_and_no_more() -> None:
    signals = Signals()
    for number in range(SOURCES_MAX):
        put(signals, turn(signals, f"s{number}", Standing("said", BAD, None)))
    command = Signal(source="one_more", level="critical")
    assert (refusal(signals, CONFIG, command, None) or ("",))[0] == "too_many_sources"
    assert refusal(signals, CONFIG, Signal(source="s1", level="info"), None) is None


def test_workers_leave_room_for_operators_and_each_for_the_others() -> None:
    signals, command = Signals(), Signal(source="one_more", level="critical")
    for number in range(SOURCES_MAX):
        worker = f"w{number // OF_WORKER_MAX}"
        assert refusal(signals, CONFIG, command, worker) is None
        put(signals, turn(signals, f"s{number}", Standing("said", BAD, None), worker=worker))
        if number == OF_WORKER_MAX - 1:
            assert (refusal(signals, CONFIG, command, worker) or ("",))[0] == "too_many_sources"
    assert (refusal(signals, CONFIG, command, "new") or ("",))[0] == "too_many_sources"
    assert refusal(signals, CONFIG, command, None) is None


def test_it_is_kept_who_said_it() -> None:
    signals = Signals()
    by = By(via="socket", user_id=1000, user="bob")
    put(signals, turn(signals, "desk", Standing("said", BAD, None), by=by))
    assert signals.sources["desk"].user == "bob"
