"""All rules about how often together: across restarts, and when what they need is not there."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.config.schema import rules as schema

Desk = Callable[..., Any]

RULES: tuple[schema.Rule, ...] = (
    schema.MessageRate(
        window_s=10.0, max_submits=4, max_amends=3, max_cancels=3, max_messages=9, cancel_reserve=2
    ),
    schema.RepeatedExecution(max_executions=4, window_s=10.0),
    schema.ConsecutiveRejects(max_rejects=3, lockout_s=8.0),
    schema.OrderToFill(max_ratio=Decimal(3), min_orders=3, window_s=20.0),
    schema.MaxWorkingOrders(max_orders=5, max_per_symbol=4),
    schema.TradeFrequency(
        max_per_minute=4, minute_lockout_s=5.0, max_per_hour=9, max_per_session=12
    ),
    schema.DailyTurnover(max_notional=Decimal(1_200)),
)

steps = st.lists(
    st.one_of(
        st.tuples(st.just("passes"), st.floats(-5, 15)),
        st.tuples(st.just("ask"), st.sampled_from(["buy", "sell"])),
        st.tuples(st.just("ask"), st.just("buy")),
        st.tuples(
            st.sampled_from(["cancel", "reject", "expire", "cancel_request", "fill", "amend"]),
            st.integers(1, 12),
        ),
        st.tuples(st.just("reset"), st.none()),
        st.tuples(st.just("rearm"), st.sampled_from(RULES)),
    ),
    max_size=30,
)


def go(desk: Any, step: tuple[str, Any]) -> object:
    """What it says, if it says anything."""
    what, how = step
    order = f"o{how}"
    if what == "ask":
        return desk.ask(side=how, strategy="mm")
    if what == "fill":
        if order in desk.books.accounts["main"].book.orders:
            desk.fill("0.5", order=order)
    elif what == "amend":
        desk.tell("amend_request", id=order, qty="2")
    elif what in ("cancel", "reject", "expire", "cancel_request"):
        desk.tell(what, id=order)
    elif what == "passes":
        desk.passes(how)
    elif what == "rearm":
        desk.rearm(how)
    else:
        desk.reset()
    return None


@given(steps, st.sets(st.integers(0, 30)))
def test_a_desk_that_restarts_decides_as_one_that_does_not(
    desk: Desk, steps: list[Any], restarts: set[int]
) -> None:
    one, other = desk(*RULES), desk(*RULES)
    for number, step in enumerate(steps):
        if number in restarts:
            other.restart()
        assert go(one, step) == go(other, step)
    for name, memory in one.memories.items():
        kept = msgspec.json.encode(memory.dump())
        assert kept == msgspec.json.encode(other.memories[name].dump())


@given(
    st.lists(
        st.tuples(st.sampled_from(["ask", "fill", "cancel", "reset"]), st.integers(1, 12)),
        max_size=40,
    )
)
def test_what_was_traded_and_what_is_open_never_exceed_the_limit(
    desk: Desk, steps: list[Any]
) -> None:
    at = desk(schema.DailyTurnover(max_notional=Decimal(700)))
    book, turnover = at.books.accounts["main"].book, at.memories["daily_turnover@all"]
    for what, number in steps:
        order = book.orders.get(f"o{number}")
        if what == "ask":
            at.ask(qty=str(number))
        elif what == "reset":
            at.passes(1)
            at.reset()
        elif order is not None and order.remaining:
            at.fill("0.5", order=order.id) if what == "fill" else at.tell(what, id=order.id)
        assert turnover.total + book.exposures.open_worth() <= 700


@given(steps)
def test_a_scope_never_has_more_open_orders_than_it_may(desk: Desk, steps: list[Any]) -> None:
    at = desk(
        schema.MaxWorkingOrders(max_orders=2, name="all"),
        schema.MaxWorkingOrders(max_orders=2, scope="strategy:mm"),
    )
    for step in steps:
        go(at, step)
        held = at.books.accounts["main"]
        working = sum(bool(order.remaining) for order in held.book.orders.values())
        assert working <= 2
        assert held.book.exposures.sums.orders == working
        if held.parts:
            assert held.parts["strategy:mm"].exposures.sums.orders == working


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.kind != "max_working_orders"])
def test_a_rule_that_has_lost_its_memory_can_not_be_evaluated(
    desk: Desk, rule: schema.Rule
) -> None:
    at = desk(rule)
    at.ask()
    at.fill()
    at.memories.clear()
    no = at.ask()
    assert (no.decision, no.code, no.rule) == ("block", "not_evaluable", rule.kind)
    assert at.ask(side="sell").decision == "allow"


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.kind != "max_working_orders"])
@pytest.mark.parametrize("state", [None, 1, "x", [], {}, [1], [1, 2], {"row": "x"}])
def test_what_is_no_dump_is_no_memory(desk: Desk, rule: schema.Rule, state: object) -> None:
    memory = desk(rule).memories[rule.id]
    with pytest.raises((ValueError, TypeError)):
        memory.load(state)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_that_only_warns_blocks_nothing(desk: Desk, rule: schema.Rule) -> None:
    at = desk(msgspec.structs.replace(rule, action="warn"))
    for _ in range(20):
        at.ask()
        at.fill()
        at.ask()
        at.tell("reject", id=at.last)
    assert at.ask().decision == "allow"


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_says_what_it_has_counted(desk: Desk, rule: schema.Rule) -> None:
    at = desk(rule)
    at.passes(1)
    (said,) = [one for one in at.decide(explains=True).opinions if one.judge.kind == rule.kind]
    assert (said.found.outcome, said.found.code) == ("pass", "ok")
    assert said.found.limit is not None
    assert said.found.value is not None
    assert said.found.headroom is not None


@pytest.mark.parametrize(
    ("rule", "keys"),
    [
        (schema.MessageRate(window_s=1.0), {"max_submits"}),
        (schema.MessageRate(window_s=1.0, max_submits=1, cancel_reserve=1), {"cancel_reserve"}),
        (schema.MessageRate(window_s=1.0, max_messages=5, cancel_reserve=5), {"cancel_reserve"}),
        (schema.MessageRate(window_s=1.0, max_messages=5, cancel_reserve=4), set()),
        (schema.OrderToFill(max_ratio=Decimal("0.9"), window_s=1.0), {"max_ratio"}),
        (schema.OrderToFill(max_ratio=Decimal("NaN"), window_s=1.0), {"max_ratio"}),
        (schema.OrderToFill(max_ratio=Decimal(1), window_s=1.0), set()),
        (schema.MaxWorkingOrders(), {"max_orders"}),
        (schema.MaxWorkingOrders(max_per_symbol=1), set()),
        (schema.TradeFrequency(), {"max_per_minute"}),
        (schema.TradeFrequency(max_per_hour=1, minute_lockout_s=1.0), {"minute_lockout_s"}),
        (schema.TradeFrequency(max_per_hour=1, hour_lockout_s=1.0), set()),
        (schema.DailyTurnover(max_notional=Decimal(-1)), {"max_notional"}),
        (schema.DailyTurnover(max_notional=Decimal("Infinity")), {"max_notional"}),
        (schema.DailyTurnover(max_notional=Decimal(0)), set()),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(rule: schema.Rule, keys: set[str]) -> None:
    assert {one.key for one in rule.disagreements()} == keys


def test_a_window_may_be_long_and_busy(desk: Desk) -> None:
    at = desk(schema.MessageRate(window_s=86_400.0, max_submits=2_000))
    start = at.at
    assert at.passed(2_001) == 2_000
    at.at = start + timedelta(days=1)
    assert at.ask().decision == "allow"
