"""What stops for a time or until a person begins anew: repeated executions, refusals in a row."""

from collections.abc import Callable
from typing import Any

import pytest
from riskd.actors.core.gate.rules import consecutive_rejects, repeated_execution
from riskd.actors.messages import OrderDropped
from riskd.config.schema.rules import ConsecutiveRejects, RepeatedExecution

Desk = Callable[..., Any]


def repeats(most: int = 3, **more: Any) -> RepeatedExecution:
    return RepeatedExecution(max_executions=most, window_s=10.0, **more)


def refusals(most: int = 3, **more: Any) -> ConsecutiveRejects:
    return ConsecutiveRejects(max_rejects=most, **more)


def refused(desk: Any, number: int, **more: Any) -> int:
    """So many of a number of orders passed; the venue takes none."""
    passed = 0
    for _ in range(number):
        if desk.ask(**more).decision == "allow":
            passed += 1
            desk.tell("reject", id=desk.last)
    return passed


# --- repeated executions


def test_with_the_last_execution_it_latches(desk: Desk) -> None:
    at = desk(repeats())
    assert [at.trade().decision for _ in range(4)] == ["allow"] * 3 + ["block"]
    no = at.ask()
    assert (no.code, no.limit, no.value) == ("repeated_execution", 3, 3)


def test_one_fewer_in_the_window_does_not_latch(desk: Desk) -> None:
    at = desk(repeats())
    at.trade()
    at.passes(10)
    at.trade()
    at.trade()
    assert at.ask().decision == "allow"


def test_no_time_ends_a_latch_and_no_restart(desk: Desk) -> None:
    at = desk(repeats())
    for _ in range(3):
        at.trade()
    at.passes(10_000_000)
    at.restart()
    assert at.ask().decision == "block"


def test_a_person_ends_a_latch_and_it_counts_from_nothing(desk: Desk) -> None:
    at = desk(repeats())
    for _ in range(3):
        at.trade()
    at.rearm(repeats(4, name="another"))
    assert at.ask().decision == "block"
    at.rearm(repeats())
    assert [at.trade().decision for _ in range(4)] == ["allow"] * 3 + ["block"]


def test_a_latch_is_of_one_strategy_in_one_symbol(desk: Desk) -> None:
    at = desk(repeats())
    at.list("ETH")
    for _ in range(3):
        at.trade(strategy="mm")
    assert at.ask(strategy="mm").decision == "block"
    assert at.ask(strategy="mm", symbol="ETH").decision == "allow"
    assert at.ask(strategy="other").decision == "allow"
    assert at.ask().decision == "allow"


def test_a_latch_stops_what_adds_no_risk(desk: Desk) -> None:
    at = desk(repeats())
    for _ in range(3):
        at.trade()
    assert at.ask(side="sell").decision == "block"


def test_each_fill_is_an_execution_and_a_repeated_one_is_none(desk: Desk) -> None:
    at = desk(repeats())
    at.ask(qty="3")
    for _ in range(5):
        at.fill(id="same")
    assert at.decide().verdict.decision == "allow"
    at.fill(id="second")
    at.fill(id="third")
    assert at.decide().verdict.decision == "block"


def test_a_window_of_executions_goes_on_across_a_restart(desk: Desk) -> None:
    at = desk(repeats())
    at.trade()
    at.trade()
    at.passes(9)
    at.restart()
    at.trade()
    assert at.ask().decision == "block"


def test_set_back_clocks_do_not_spread_executions(desk: Desk) -> None:
    at = desk(repeats())
    for _ in range(3):
        at.passes(-100)
        at.trade()
    assert at.ask().decision == "block"


def test_more_than_can_be_counted_is_a_block_for_all(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeated_execution, "KEYS_MAX", 2)
    at = desk(repeats())
    for name in ("a", "b"):
        at.trade(strategy=name)
    at.passes(10)
    for name in ("c", "d"):
        at.trade(strategy=name)
    assert at.ask(strategy="c").decision == "allow"
    at.trade(strategy="e")
    at.restart()
    assert at.ask(strategy="c").code == "memory_full"
    at.rearm(repeats())
    assert at.ask(strategy="c").decision == "allow"


def test_executions_near_the_limit_are_told(desk: Desk) -> None:
    at = desk(repeats(5))
    levels = []
    for _ in range(5):
        levels.append(at.ask().risk_level)
        at.fill()
    assert levels == ["info"] * 4 + ["warning"]


# --- refusals in a row


def test_with_the_last_refusal_of_a_row_it_is_over(desk: Desk) -> None:
    at = desk(refusals())
    assert refused(at, 5) == 3
    no = at.ask()
    assert (no.rule, no.code, no.limit) == ("consecutive_rejects", "consecutive_rejects", 3)


@pytest.mark.parametrize("taken", ["fill", "cancel", "expire"])
def test_an_order_that_was_taken_ends_the_row(desk: Desk, taken: str) -> None:
    at = desk(refusals())
    refused(at, 2)
    at.ask()
    at.fill() if taken == "fill" else at.tell(taken, id=at.last)
    assert refused(at, 5) == 3


def test_an_order_from_before_the_row_does_not_end_it(desk: Desk) -> None:
    at = desk(refusals())
    at.ask()
    old = at.last
    refused(at, 2)
    at.fill(order=old)
    assert refused(at, 5) == 1


def test_an_order_is_refused_once_however_often_it_is_told(desk: Desk) -> None:
    at = desk(refusals())
    at.ask()
    for _ in range(5):
        at.tell("reject", id=at.last)
    assert at.ask().decision == "allow"


def test_what_was_never_sent_was_neither_refused_nor_taken(desk: Desk) -> None:
    at = desk(refusals())
    refused(at, 2)
    for _ in range(5):
        at.ask()
        at.record(OrderDropped(account="main", client_order_id=at.last))
    assert at.ask().decision == "allow"
    assert refused(at, 5) == 1


def test_what_the_gate_blocks_is_no_refusal(desk: Desk) -> None:
    at = desk(refusals())
    for _ in range(5):
        at.ask(qty="NaN")
    assert at.ask().decision == "allow"


def test_a_lockout_ends_exactly_on_time_and_the_row_goes_on(desk: Desk) -> None:
    at = desk(refusals(lockout_s=60.0))
    refused(at, 3)
    at.passes(59.999999)
    assert at.ask().decision == "block"
    at.passes(0.000001)
    assert refused(at, 5) == 1
    at.passes(60)
    at.trade()
    assert refused(at, 5) == 3


def test_a_lockout_outlasts_restarts_and_set_back_clocks(desk: Desk) -> None:
    at = desk(refusals(lockout_s=60.0))
    refused(at, 3)
    at.passes(-3_600)
    at.restart()
    assert at.ask().decision == "block"
    at.passes(3_660)
    assert at.ask().decision == "allow"


def test_without_a_lockout_only_a_person_ends_it(desk: Desk) -> None:
    at = desk(refusals())
    refused(at, 3)
    at.passes(10_000_000)
    at.restart()
    assert at.ask().decision == "block"
    at.rearm(refusals())
    assert refused(at, 5) == 3


def test_refusals_do_not_keep_a_position_from_being_closed(desk: Desk) -> None:
    at = desk(refusals())
    at.trade()
    refused(at, 3)
    assert at.ask(side="sell").decision == "allow"
    assert at.ask(side="sell").decision == "block"


def test_orders_that_could_end_a_row_outlast_a_restart(desk: Desk) -> None:
    at = desk(refusals())
    refused(at, 2)
    at.ask()
    at.restart()
    at.fill()
    assert refused(at, 5) == 3


def test_too_many_orders_in_a_row_of_refusals_end_it_no_more(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consecutive_rejects, "SINCE_MAX", 2)
    at = desk(refusals())
    refused(at, 1)
    at.passed(3)
    at.fill()
    assert refused(at, 5) == 2


def test_a_row_is_of_its_scope(desk: Desk) -> None:
    at = desk(refusals(scope="strategy:mm"))
    assert refused(at, 5) == 5
    assert refused(at, 5, strategy="mm") == 3
    assert at.ask().decision == "allow"
