"""Where the stop of a position should be while it wins."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from riskd.actors.core.gate.rules.trailing import TradeManagement as Judge
from riskd.actors.messages import InstrumentListed, Listing, StopMoveAsked
from riskd.config.schema.rules import TradeManagement

World = Any  # its class lives in conftest.py
D = Decimal
BOTH = TradeManagement(break_even_at_pct=D(2), trail_pct=D(5), trail_step_pct=D(1))
EVEN = TradeManagement(break_even_at_pct=D(2))
TRAIL = TradeManagement(trail_pct=D(5), trail_step_pct=D(1))


def asked(world: World) -> list[Decimal]:
    """Where stops are asked to be."""
    return [act.stop_price for act in world.look() if isinstance(act, StopMoveAsked)]


def ticking(world: World, tick: str) -> World:
    listing = Listing(
        symbol="L", kind="linear", multiplier=D(1), quote="USD", settle="USD", tick=D(tick)
    )
    world.make(InstrumentListed(listing=listing))
    return world


@pytest.mark.parametrize(("qty", "below", "at"), [(1, "101.99", 102), (-1, "98.01", 98)])
def test_the_stop_goes_to_break_even_after_so_much_profit(
    world: World, qty: int, below: str, at: int
) -> None:
    world.held_to(EVEN).mark(100).trade(qty, 100)
    assert asked(world.mark(below)) == []
    assert asked(world.mark(at)) == [100]
    assert asked(world.mark(at)) == []


@pytest.mark.parametrize("sign", [1, -1])
def test_the_stop_follows_the_best_mark_and_never_goes_back(world: World, sign: int) -> None:
    world.held_to(TRAIL).mark(100).trade(sign, 100)

    def goes(by: int) -> list[Decimal]:
        return asked(world.mark(100 + sign * by))

    assert asked(world) == [100 - sign * 5]
    for by, expected in ((20, 120), (10, None), (-50, None), (20, None), (40, 140)):
        best = 100 + sign * by
        expected_at = best - sign * best * D("0.05") if expected else None
        assert goes(by) == ([] if expected_at is None else [expected_at])


def test_after_break_even_it_trails_what_is_better(world: World) -> None:
    world.held_to(BOTH).mark(100).trade(1, 100)
    assert asked(world.mark(101)) == []
    assert asked(world.mark(102)) == [100]
    assert asked(world.mark(105)) == [], "99.75 is worse"
    assert asked(world.mark(110)) == [D("104.5")]


@pytest.mark.parametrize(("mark", "moves"), [("101.05", False), ("101.06", True)])
def test_it_is_moved_by_a_step_at_least(world: World, mark: str, moves: bool) -> None:
    world.held_to(TRAIL).mark(100).trade(1, 100)
    assert asked(world) == [95]
    assert bool(asked(world.mark(mark))) == moves


def test_it_is_moved_by_a_tick_at_least_and_lies_on_the_grid(world: World) -> None:
    ticking(world, "3").held_to(TRAIL).mark(100).trade(1, 100)
    assert asked(world) == [93], "95, away from the market"
    assert asked(world.mark(101)) == []
    assert asked(world.mark(102)) == [96]


@pytest.mark.parametrize(("qty", "mark", "stop"), [(1, 110, 102), (-1, 90, 99)])
def test_break_even_on_the_grid_loses_nothing(world: World, qty: int, mark: int, stop: int) -> None:
    ticking(world, "3").held_to(EVEN).mark(100).trade(qty, 100)
    assert asked(world.mark(mark)) == [stop]


def test_the_next_position_begins_anew(world: World) -> None:
    world.held_to(EVEN).mark(100).trade(1, 100)
    assert asked(world.mark(110)) == [100]
    world.trade(-1, 110).trade(1, 110)
    assert asked(world) == []
    assert asked(world.mark(120)) == [110]
    world.trade(-2, 120)
    assert asked(world) == []
    assert asked(world.mark(100)) == [120], "it was turned round"


def test_the_best_mark_survives_a_restart_and_nothing_is_asked_for_twice(world: World) -> None:
    world.held_to(TRAIL).mark(100).trade(1, 100).mark(200)
    world.restart()
    assert asked(world.mark(150)) == [190]
    world.restart()
    assert asked(world.mark(150)) == []


def test_of_a_strategy_its_own_position_counts(world: World) -> None:
    world.held_to(TradeManagement(trail_pct=D(5), scope="strategy:mm")).mark(100).trade(1, 100)
    assert asked(world) == []


def test_of_a_symbol_only_that_one(world: World) -> None:
    world.held_to(TradeManagement(trail_pct=D(5), scope="symbol:M")).mark(100).trade(1, 100)
    assert asked(world) == []
    assert asked(world.mark(100, "M").trade(1, 100, "M")) == [95]


def test_without_a_mark_nothing_is_asked_for(world: World) -> None:
    assert asked(world.held_to(TRAIL).trade(1, 100)) == []


def test_it_stands_in_no_orders_way(world: World) -> None:
    world.held_to(TRAIL).mark(100).trade(1, 100).mark(50)
    assert (world.code("buy"), world.code("sell")) == ("ok", "ok")


def test_that_it_fails_is_told_once_and_so_is_that_it_does_no_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_judge: object, _around: object) -> None:
        raise ZeroDivisionError("a bug")

    world.held_to(TRAIL).mark(100)
    with monkeypatch.context() as patched:
        patched.setattr(Judge, "asks", fails)
        assert world.said() == ["LimitUnknown"]
        assert world.said() == []
    assert world.said() == ["RuleCalm"]


@given(
    marks=st.lists(st.integers(1, 400), min_size=1, max_size=30),
    sign=st.sampled_from([1, -1]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_a_stop_only_ever_comes_nearer(make_world: Any, marks: list[int], sign: int) -> None:
    world = make_world().held_to(BOTH).mark(100).trade(sign, 100)
    stops = [stop for mark in marks for stop in asked(world.mark(mark))]
    assert stops == sorted(set(stops), reverse=sign < 0)
