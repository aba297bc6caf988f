"""What is counted of the gate: each thing once, by names of which there is a bounded number."""

from typing import Any, get_args

import pytest
from riskd.actors.core.gate.counters import BOUNDS_S, MADE_UP, OTHER, Freezes, Tally, gauges
from riskd.actors.messages import (
    By,
    Cause,
    Halt,
    HaltPlaced,
    KillSwitchTriggered,
    UntilOperator,
)
from riskd.actors.messages.reasons import Code

BY = By(via="riskd")


def told(tally: Tally) -> dict[tuple[str, ...], int]:
    return {(one.name, *one.labels.values()): one.value for one in tally.counters()}


def test_answers_are_counted_by_reason_and_scope() -> None:
    tally = Tally()
    for _ in range(3):
        tally.decided("allow", "ok", None)
    for scope in ("account:a", "account:a", "account:b"):
        tally.decided("block", "max_net", scope)
    tally.decided("scale_down", "max_net", "account:a")
    assert told(tally) == {
        ("risk_gate_allows_total", "ok"): 3,
        ("risk_gate_blocks_total", "max_net", "account:a"): 2,
        ("risk_gate_blocks_total", "max_net", "account:b"): 1,
        ("risk_gate_scale_downs_total", "max_net", "account:a"): 1,
    }


def test_scopes_beyond_the_most_are_counted_together() -> None:
    tally = Tally(series_max=2)
    for number in range(5):
        tally.decided("block", "halted", f"symbol:{number}")
    tally.decided("block", "halted", "symbol:0")
    tally.decided("block", "max_net", "symbol:9")
    assert told(tally) == {
        ("risk_gate_blocks_total", "halted", "symbol:0"): 2,
        ("risk_gate_blocks_total", "halted", "symbol:1"): 1,
        ("risk_gate_blocks_total", "halted", OTHER): 3,
        ("risk_gate_blocks_total", "max_net", OTHER): 1,
    }


@pytest.mark.parametrize("code", sorted(MADE_UP))
def test_no_caller_makes_up_a_series(code: Code) -> None:
    tally = Tally()
    for number in range(5):
        tally.decided("block", code, f"account:{number}")
    assert told(tally) == {("risk_gate_blocks_total", code, OTHER): 5}


def test_a_bucket_has_what_took_no_longer_than_its_bound() -> None:
    tally = Tally()
    for seconds in (0.0, BOUNDS_S[0], BOUNDS_S[0] * 1.01, BOUNDS_S[-1], BOUNDS_S[-1] + 1):
        tally.took(seconds)
    found = tally.latency()
    counts = [bucket.count for bucket in found.buckets]
    assert [bucket.le for bucket in found.buckets] == sorted(BOUNDS_S)
    assert counts == [2, *[3] * (len(BOUNDS_S) - 2), 4]
    assert (found.count, found.sum) == (5, pytest.approx(2 * BOUNDS_S[-1] + 1 + 2.01 * BOUNDS_S[0]))


def test_halts_and_kills_are_counted_by_cause_and_none_is_missing() -> None:
    freezes = Freezes()
    halt = Halt(
        scope="all", mode="halt", cause="edge", source="s", reason="r", until=UntilOperator()
    )
    freezes.saw(HaltPlaced(halt_id=1, halt=halt, by=BY))
    freezes.saw(KillSwitchTriggered(by=BY, cause="edge", source="s", reason="r"))
    freezes.saw(KillSwitchTriggered(by=BY, cause="manual", source="s", reason="r"))
    found = {one.labels["reason"]: one.value for one in freezes.counters()}
    assert found == dict.fromkeys(get_args(Cause), 0) | {"edge": 2, "manual": 1}


def row(**more: Any) -> dict[str, object]:
    return {
        "rule": "r", "scope": "all", "outcome": "pass", "limit": "10", "headroom": "4",
        "used_pct": "60.0", **more,
    }  # fmt: skip


def test_what_is_left_is_shown_of_rules_that_measure_it() -> None:
    found = [(one.name, one.labels["rule"], one.value) for one in gauges([row(), row(limit=None)])]
    assert found == [("risk_limit_headroom", "r", "4"), ("risk_limit_used_pct", "r", "60.0")]


def test_what_is_not_known_is_not_left_out() -> None:
    lost = row(outcome="unknown", limit=None, headroom=None, used_pct=None)
    assert [one.value for one in gauges([lost])] == [None, None]
