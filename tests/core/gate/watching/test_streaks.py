"""What follows from trades that lost."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from riskd.actors.core.gate.memory import SessionEnded
from riskd.config.schema import rules as schema

World = Any  # its class lives in conftest.py
D = Decimal


def losses(world: World, *won: Any) -> World:
    """Trades one after another, each of an order of its own."""
    for each in won:
        world.fills += 1
        world.closed(each, f"o{world.fills}")
    return world


@pytest.mark.parametrize(
    ("count", "code"), [(2, "ok"), (3, "consecutive_losses"), (4, "consecutive_losses")]
)
def test_so_many_losses_in_a_row_break_it(world: World, count: int, code: str) -> None:
    world.held_to(schema.ConsecutiveLosses(max_losses=3)).mark(100)
    losses(world, *[-1] * count)
    assert world.code("buy") == code


@pytest.mark.parametrize(
    ("won", "broken"),
    [
        ((-1, -1, 5, -1), False),
        ((-1, -1, 0, -1), True),
        ((-1, 0, 0, -1), False),
        ((-1, None, -1), True),  # a rate was missing: nobody knows
        ((5, 5, -1, -1, -1), True),
    ],
)
def test_a_win_ends_the_row_and_what_brought_nothing_does_not(
    world: World, won: Any, broken: bool
) -> None:
    world.held_to(schema.ConsecutiveLosses(max_losses=3))
    assert losses(world, *won).outcome() == ("block" if broken else "pass")


def test_all_that_one_order_closes_is_one_trade(world: World) -> None:
    world.held_to(schema.ConsecutiveLosses(max_losses=3, warn_pct=()))
    for _ in range(10):
        world.closed(-1, "a").closed(-1, "b")
    assert world.outcome() == "pass"
    world.closed(100, "b")
    (found,) = world.found().values()
    assert found.value == 0, "the newest of them has won after all"
    world.closed(-1, "c").closed(-1, "d").closed(-1, "e")
    assert world.outcome() == "block"


def test_a_fill_that_opens_is_no_trade(world: World) -> None:
    world.held_to(schema.ConsecutiveLosses(max_losses=1))
    world.closed(None, "a", is_closing=False)
    assert world.outcome() == "pass"


def test_the_row_ends_with_the_session(world: World) -> None:
    world.held_to(schema.ConsecutiveLosses(max_losses=2))
    losses(world, -1, -1).see(SessionEnded(world.at, ("all",), is_week=False))
    assert world.outcome() == "pass"


@pytest.mark.parametrize("action", ["halt", "reduce_only", "flatten", "close_position"])
def test_a_lockout_begins_a_new_row(world: World, action: Any) -> None:
    world.held_to(
        schema.ConsecutiveLosses(max_losses=2, action=action),
        schema.ConsecutiveLosses(max_losses=2, name="another"),
    )
    losses(world, -1, -1)
    world.look()
    one, other = (world.memories[rule].losses for rule in ("consecutive_losses@all", "another"))
    assert (one, other) == (0, 2)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=st.lists(st.sampled_from([-2, -1, 0, 1, None]), max_size=20),
    after=st.lists(st.sampled_from([-1, 0, 1]), max_size=5),
)
def test_what_was_put_away_goes_on_as_if_it_never_had_been(
    make_world: Any, before: list[Any], after: list[Any]
) -> None:
    rules = schema.ConsecutiveLosses(max_losses=3), schema.CooldownAfterLoss(min_loss=D(2))
    one, other = make_world().held_to(*rules), make_world().held_to(*rules)
    for world in (one, other):
        losses(world, *before)
    other.restart()
    for world in (one, other):
        losses(world, *after)
    for rule, memory in one.memories.items():
        assert msgspec.json.encode(memory.dump()) == msgspec.json.encode(
            other.memories[rule].dump()
        )
    assert one.ask("buy").verdict == other.ask("buy").verdict


def test_a_dump_stays_as_it_was(world: World) -> None:
    world.held_to(schema.ConsecutiveLosses(max_losses=3))
    losses(world, -1)
    dumped = world.memories["consecutive_losses@all"].dump()
    before = msgspec.json.encode(dumped)
    world.closed(-5, "o1")
    assert msgspec.json.encode(dumped) == before


# --- after a loss ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("waits", "code"), [(0, "cooldown_after_loss"), (59.999999, "cooldown_after_loss"), (60, "ok")]
)
def test_after_a_loss_nothing_that_adds_risk_passes_for_a_while(
    world: World, waits: float, code: str
) -> None:
    world.held_to(schema.CooldownAfterLoss(lockout_s=60)).mark(100)
    losses(world, -1).passes(waits)
    assert world.code("buy") == code


def test_another_loss_makes_it_last_longer(world: World) -> None:
    world.held_to(schema.CooldownAfterLoss(lockout_s=60))
    losses(world, -1).passes(50)
    losses(world, -1).passes(50)
    assert world.outcome() == "block"
    world.passes(10)
    assert world.outcome() == "pass"


def test_a_clock_that_jumps_back_opens_nothing(world: World) -> None:
    world.held_to(schema.CooldownAfterLoss(lockout_s=60))
    losses(world, -1).passes(0, wall=-3_600)
    assert world.outcome() == "block"


@pytest.mark.parametrize(
    ("fills", "outcome"),
    [
        ([-9], "pass"),
        ([-10], "block"),
        ([-6, -4], "block"),
        ([-6, 1, -4], "pass"),
        ([None], "block"),
    ],
)
def test_a_small_loss_brings_no_cooldown_and_the_pieces_of_one_are_added(
    world: World, fills: list[Any], outcome: str
) -> None:
    world.held_to(schema.CooldownAfterLoss(min_loss=D(10)))
    for won in fills:
        world.closed(won, "a")
    assert world.outcome() == outcome


def test_a_win_brings_no_cooldown(world: World) -> None:
    world.held_to(schema.CooldownAfterLoss())
    assert losses(world, 1, 0).outcome() == "pass"


@pytest.mark.parametrize(
    "rule", [schema.CooldownAfterLoss(), schema.ConsecutiveLosses(max_losses=3)]
)
def test_without_what_they_remember_nothing_that_adds_risk_passes(world: World, rule: Any) -> None:
    world.held_to(rule).mark(100).trade(1, 100).memories.clear()
    assert world.outcome() == "unknown"
    assert world.code("buy") == "not_evaluable"
    assert world.code("sell") == "ok"
