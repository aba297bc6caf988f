"""The same order does not come again and again in a while."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core.gate.rules import duplicate
from riskd.config.schema.rules import DuplicateOrder

Desk = Callable[..., Any]
LIMIT = {"price": "100"}


def rule(**more: Any) -> DuplicateOrder:
    return DuplicateOrder(**{"within_s": 5.0, **more})


@pytest.mark.parametrize(("gap_s", "code"), [(4.999999, "duplicate_order"), (5.0, "ok")])
def test_the_same_passes_again_exactly_a_while_later(desk: Desk, gap_s: float, code: str) -> None:
    at = desk(rule())
    at.send(**LIMIT)
    at.passes(gap_s)
    verdict = at.ask(**LIMIT)
    assert verdict.code == code
    assert code == "ok" or (verdict.limit, verdict.value, verdict.headroom) == (1, 2, 0)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({}, "duplicate_order"),
        ({"qty": "1.0", "price": "1e2"}, "duplicate_order"),
        ({"qty": 1, "price": 100}, "duplicate_order"),
        ({"order_type": "limit", "strategy": "other"}, "duplicate_order"),
        ({"stop_loss": "90"}, "duplicate_order"),
        ({"qty": "1.1"}, "ok"),
        ({"price": "101"}, "ok"),
        ({"side": "sell"}, "ok"),
        ({"account": "other"}, "ok"),
        ({"price": None}, "ok"),
        ({"order_type": "stop_limit", "stop_price": "100"}, "ok"),
    ],
)
def test_what_is_the_same_goes_by_what_would_be_traded(desk: Desk, more: Any, code: str) -> None:
    at = desk(rule())
    at.send(**LIMIT)
    assert at.code(**{**LIMIT, **more}) == code


def test_so_many_of_the_same_pass(desk: Desk) -> None:
    at = desk(rule(max_orders=3))
    assert [at.send(**LIMIT).code for _ in range(5)] == ["ok"] * 3 + ["duplicate_order"] * 2


def test_what_was_blocked_makes_nothing_a_duplicate(desk: Desk) -> None:
    at = desk(rule())
    at.send(**LIMIT)
    for _ in range(4):
        at.passes(1)
        assert at.send(**LIMIT).code == "duplicate_order"
    at.passes(1)
    assert at.send(**LIMIT).code == "ok"


def test_one_that_has_ended_was_one(desk: Desk) -> None:
    at = desk(rule())
    at.send(**LIMIT)
    at.tell("cancel", id="o1")
    assert at.code(**LIMIT) == "duplicate_order"


def test_a_clock_that_is_set_back_opens_nothing(desk: Desk) -> None:
    at = desk(rule())
    at.send(**LIMIT)
    at.at -= timedelta(hours=1)
    assert at.code(**LIMIT) == "duplicate_order"
    at.send(qty="2", **LIMIT)
    at.at += timedelta(minutes=30)
    assert at.code(qty="2", **LIMIT) == "duplicate_order"


def test_it_counts_what_is_in_its_scope(desk: Desk) -> None:
    at = desk(rule(scope="account:other"))
    assert [at.send(**LIMIT).code for _ in range(3)] == ["ok"] * 3
    at.send(account="other", **LIMIT)
    assert at.code(account="other", **LIMIT) == "duplicate_order"


def test_a_restart_forgets_nothing_and_a_person_may(desk: Desk) -> None:
    one = rule()
    at = desk(one)
    at.send(**LIMIT)
    at.restart()
    assert at.code(**LIMIT) == "duplicate_order"
    at.rearm(rule(name="another"))
    assert at.code(**LIMIT) == "duplicate_order"
    at.rearm(one)
    assert at.code(**LIMIT) == "ok"


def test_more_than_can_be_remembered_let_nothing_in_but_what_gets_out(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicate, "ORDERS_MAX", 3)
    at = desk(rule())
    at.hold("9")
    assert [at.send(qty=str(qty)).code for qty in range(1, 6)] == ["ok"] * 3 + ["not_evaluable"] * 2
    assert at.code(qty="1") == "duplicate_order"
    at.passes(4)
    assert at.send("sell", "9").decision == "allow"
    at.passes(1)
    assert at.code("sell", "10") == "not_evaluable"  # of the one that there was no room for
    at.restart()
    assert at.code("sell", "10") == "not_evaluable"
    at.passes(4)
    assert at.code("sell", "10") == "ok"


def test_it_remembers_no_more_than_what_may_be_the_same(desk: Desk) -> None:
    at = desk(rule())
    for qty in range(1, 200):
        at.passes(1)
        at.mark("100")
        at.send(qty=str(qty))
    memory = at.limits.memories["duplicate_order@all"]
    assert (len(memory.orders), len(memory.times)) == (5, 5)


@pytest.mark.parametrize("state", [None, {}, [], {"orders": [[1, 2]], "lost": None}])
def test_what_is_no_dump_is_refused(desk: Desk, state: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        desk(rule()).limits.memories["duplicate_order@all"].load(state)


@given(
    steps=st.lists(st.tuples(st.integers(-8, 8), st.integers(1, 3)), max_size=50),
    most=st.integers(1, 3),
    restart_at=st.integers(0, 50),
)
def test_never_do_more_of_the_same_pass_in_any_while_and_no_fewer(
    desk: Desk, steps: list[tuple[int, int]], most: int, restart_at: int
) -> None:
    at = desk(rule(max_orders=most))
    passed: dict[int, list[Any]] = {1: [], 2: [], 3: []}
    latest = at.at - timedelta(days=1)  # as rules have seen it: it never goes back
    for number, (gap, qty) in enumerate(steps):
        at.at += timedelta(seconds=gap)
        at.mark("100")
        if number == restart_at:
            at.restart()
        newest = max(latest, at.at)
        while_s = timedelta(seconds=5)
        if at.send(qty=str(qty)).decision == "allow":
            assert sum(one > newest - while_s for one in passed[qty]) < most
            passed[qty].append(newest)
            latest = newest
        else:
            assert sum(one > at.at - while_s for one in passed[qty]) >= most
