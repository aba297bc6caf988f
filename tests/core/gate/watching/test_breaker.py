"""A lockout that lasts longer each time, and what waits for a person in the end."""

from typing import Any

import pytest
from riskd.actors.core import kill_switch
from riskd.actors.core.halts import halts_shown
from riskd.actors.core.kill_switch import Rules
from riskd.actors.messages import By, EdgeReported, UntilElapsed, UntilOperator
from riskd.config.schema import rules as schema
from riskd.config.schema.rules import EdgeFloor

World = Any  # its class lives in conftest.py
KEYS = {
    "lockout": "breaker", "lockout_s": 60.0, "lockout_max_s": 200.0, "repeats_within_s": 1_000.0,
}  # fmt: skip


def floor(**more: Any) -> EdgeFloor:
    return EdgeFloor(**{"min_bps": 2, "max_age_s": 10_000.0, **KEYS, **more})


def edge(world: World, bps: int) -> World:
    world.make(EdgeReported(strategy="mm", symbol=None, bps=bps))
    return world


def time_comes(world: World) -> bool:
    """Halts whose time is over end."""
    ended = kill_switch.due(world.halts.now, world.now())
    if ended is not None:
        world.make(ended)
    return ended is not None


def lasting(world: World) -> list[float | None]:
    """What stands, by how long it was placed for; None: until a person lifts it."""
    found = [standing.halt.until for standing in world.halts.now.halts.values()]
    assert all(isinstance(one, UntilElapsed | UntilOperator) for one in found)
    return [getattr(one, "seconds", None) for one in found]


def goes_off(world: World) -> list[float | None]:
    """The edge is low, and then high again; what it was halted for stands."""
    edge(world, 1).look()
    found = lasting(world)
    edge(world, 5).look()
    return found


def test_each_repeat_lasts_twice_as_long_and_the_last_waits_for_a_person(world: World) -> None:
    world.held_to(floor(repeats_max=4))
    for expected in (60, 120, 200, 200):
        assert goes_off(world) == [expected]
        world.passes(expected - 0.001)
        assert not time_comes(world)
        world.passes(0.001)
        assert time_comes(world)
    assert goes_off(world) == [None]
    world.passes(100_000)
    assert not time_comes(world)


def test_what_was_long_ago_counts_no_more(world: World) -> None:
    world.held_to(floor())
    assert goes_off(world) == [60]
    world.passes(999)
    time_comes(world)
    assert goes_off(world) == [120]
    world.passes(1_000)
    time_comes(world)
    assert goes_off(world) == [60]


def test_what_is_not_calm_when_the_time_is_over_is_halted_again(world: World) -> None:
    world.held_to(floor())
    assert edge(world, 1).said() == ["Trip", "RuleTripped"]
    assert world.said() == []
    world.passes(60)
    assert time_comes(world)
    assert world.said() == ["Trip"]
    assert lasting(world) == [120]
    assert world.said() == []


def test_what_is_not_known_when_the_time_is_over_is_halted_again(world: World) -> None:
    world.held_to(floor(max_age_s=30.0))
    edge(world, 1).look()
    world.passes(60)
    time_comes(world)
    world.look()
    assert lasting(world) == [120]


def test_what_is_calm_when_the_time_is_over_trades_again(world: World) -> None:
    world.held_to(floor())
    assert goes_off(world) == [60]
    world.passes(60)
    time_comes(world)
    assert (world.look(), lasting(world)) == ([], [])


def test_a_halt_that_stands_is_made_no_longer_by_what_goes_on(world: World) -> None:
    world.held_to(floor())
    for _ in range(3):
        assert goes_off(world) == [60]


def test_what_a_person_has_lifted_is_not_placed_again_for_the_same(world: World) -> None:
    world.held_to(floor()).mark(100)
    edge(world, 1).look()
    lifted = kill_switch.lift(
        world.halts.now, scope="strategy:mm", by=By(via="socket"), reason="seen", approved_by=None,
        rules=Rules(cooldown_s=0),
    )  # fmt: skip
    world.make(lifted)
    assert world.passes(1_000).look() == []
    assert world.code("buy") == "edge_floor", "the rule itself still holds"
    edge(world, 5).look()
    edge(world, 1).look()
    assert lasting(world) == [60], "it is long ago"


def test_a_position_climbs_to_a_person_at_the_first_repeat(world: World) -> None:
    world.held_to(schema.PositionLoss(max_loss=100, action="reduce_only", **KEYS))
    world.mark(500).trade(1, 500).mark(400).look()
    assert lasting(world) == [60]
    world.mark(500).look()
    world.passes(60)
    assert time_comes(world)
    world.mark(400).look()
    assert lasting(world) == [None]


@pytest.mark.parametrize("moment", ["halted", "over"])
def test_a_restart_forgets_no_repeat(world: World, moment: str) -> None:
    world.held_to(floor())
    edge(world, 1).look()
    if moment == "halted":
        world.restart()
    world.passes(60)
    assert time_comes(world)
    if moment == "over":
        world.restart()
    world.look()
    assert lasting(world) == [120]


def test_its_halt_says_which_repeat_it_is(world: World) -> None:
    world.held_to(floor(repeats_max=2))
    for repeat in (0, 1, 2):
        edge(world, 1).look()
        (shown,) = halts_shown(world.halts.now, world.now())
        assert shown["repeat"] == repeat
        world.passes(120)
        time_comes(world)


@pytest.mark.parametrize("action", ["warn", "block"])
def test_what_halts_nothing_halts_nothing_again(world: World, action: Any) -> None:
    world.held_to(floor(action=action))
    assert edge(world, 1).said() == ["RuleTripped"]
    world.passes(60)
    time_comes(world)
    assert world.said() == []


def test_an_edge_freezes_by_a_breaker_unless_something_else_is_said(world: World) -> None:
    world.held_to(EdgeFloor(min_bps=2))
    trip, _ = edge(world, 1).look()
    assert (trip.halt.mode, trip.breaker.for_s) == ("reduce_only", 60)
