"""What a strategy expects to win, by its own word."""

from decimal import Decimal
from typing import Any

import pytest
from riskd.actors.core.gate.rules.edge import EDGES_MAX
from riskd.actors.messages import EdgeReported
from riskd.config.schema import rules as schema

World = Any  # its class lives in conftest.py
D = Decimal
FLOOR = schema.EdgeFloor(min_bps=D(2), max_age_s=60)


def edge(world: World, bps: Any, symbol: str | None = None, strategy: str = "mm") -> World:
    world.make(EdgeReported(strategy=strategy, symbol=symbol, bps=D(bps)))
    return world


@pytest.mark.parametrize(
    ("bps", "code"), [("1.99", "edge_floor"), ("2", "ok"), ("2.01", "ok"), ("-5", "edge_floor")]
)
@pytest.mark.parametrize("scope", ["all", "strategy:mm"])
def test_below_the_floor_nothing_that_adds_risk_passes(
    world: World, bps: str, code: str, scope: str
) -> None:
    world.held_to(schema.EdgeFloor(min_bps=D(2), scope=scope)).mark(100).trade(1, 100)
    edge(world, bps)
    assert world.code("buy") == code
    assert world.code("sell") == "ok"


def test_that_of_the_symbol_counts_before_that_of_the_strategy(world: World) -> None:
    world.held_to(FLOOR).mark(100).mark(100, "M")
    edge(edge(world, 5), 1, "L")
    assert (world.code("buy"), world.code("buy", symbol="M")) == ("edge_floor", "ok")


@pytest.mark.parametrize(("waits", "code"), [(60, "ok"), (60.000001, "not_evaluable")])
def test_a_report_is_believed_for_so_long(world: World, waits: float, code: str) -> None:
    world.held_to(FLOOR).mark(100)
    edge(world, 5).passes(waits)
    assert world.code("buy") == code


def test_a_report_from_the_future_is_not_believed(world: World) -> None:
    world.held_to(FLOOR).mark(100)
    edge(world, 5).passes(0, wall=-1)
    assert world.code("buy") == "not_evaluable"


def test_who_reports_nothing_adds_no_risk(world: World) -> None:
    world.held_to(FLOOR).mark(100).trade(1, 100)
    edge(world, 5, strategy="other")
    assert world.code("buy") == "not_evaluable"
    assert world.code("buy", strategy=None) == "not_evaluable"
    assert world.code("sell") == "ok"


def test_a_strategys_edge_halts_that_strategy_alone(world: World) -> None:
    world.held_to(schema.EdgeFloor(min_bps=D(2), action="halt"))
    edge(edge(world, 1), 5, strategy="other")
    trip, tripped = world.look()
    halt = trip.halt
    assert (halt.scope, halt.cause, halt.mode) == ("strategy:mm", "edge", "halt")
    assert (tripped.scope, tripped.value) == ("strategy:mm", 1)
    assert world.look() == []


def test_an_edge_that_is_just_back_at_the_floor_is_not_calm_yet(world: World) -> None:
    world.held_to(FLOOR)
    assert edge(world, 1).said() == ["Trip", "RuleTripped"]
    assert edge(world, "2.1").said() == []
    assert edge(world, "2.2").said() == ["RuleCalm"]


def test_what_is_closed_for_an_edge_is_what_the_strategy_holds(world: World) -> None:
    world.held_to(schema.EdgeFloor(min_bps=D(2), action="close_position")).mark(100).trade(1, 100)
    edge(world, 1, "L")
    assert [type(act).__name__ for act in world.look()] == ["Trip", "RuleTripped"]


def test_so_many_are_remembered_and_the_others_are_not_known(world: World) -> None:
    world.held_to(FLOOR).mark(100)
    edge(world, 5)
    for number in range(EDGES_MAX):
        edge(world, 5, f"S{number}", "other")
    assert world.code("buy") == "not_evaluable"


def test_what_was_reported_survives_a_restart(world: World) -> None:
    world.held_to(FLOOR).mark(100)
    edge(edge(world, 5), 1, "L")
    world.restart()
    assert world.code("buy") == "edge_floor"
