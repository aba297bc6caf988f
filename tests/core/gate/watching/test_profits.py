"""What was won, and is to be kept."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from riskd.actors.messages.book import Tick
from riskd.config.schema import rules as schema

World = Any  # its class lives in conftest.py
D = Decimal
BOUNDARY = [("99.99", "pass"), ("100", "block"), ("100.01", "block")]


@pytest.mark.parametrize(("won", "outcome"), BOUNDARY)
@pytest.mark.parametrize("limits", [{"target": D(100)}, {"target_pct": D(10)}])
def test_a_session_that_has_made_its_target_stops(
    world: World, limits: Any, won: str, outcome: str
) -> None:
    world.held_to(schema.DailyProfit(**limits, warn_pct=()))
    world.mark(500).trade(1, 500).mark(D(500) + D(won))
    assert world.outcome() == outcome
    assert world.code("buy") == ("daily_profit" if outcome == "block" else "ok")


@pytest.mark.parametrize(
    ("best", "now", "code"),
    [
        ("99.99", "0", "ok"),  # it never made enough for anything to be kept
        ("100", "70.01", "ok"),
        ("100", "70", "profit_given_back"),
        ("200", "140.01", "ok"),
        ("200", "140", "profit_given_back"),
        ("200", "-50", "profit_given_back"),
    ],
)
def test_so_much_of_the_best_may_be_given_back(
    world: World, best: str, now: str, code: str
) -> None:
    world.held_to(schema.DailyProfit(give_back_pct=D(30), give_back_from=D(100), warn_pct=()))
    world.mark(500).trade(1, 500).mark(D(500) + D(best)).mark(D(500) + D(now))
    assert world.code("buy") == code


def test_what_was_given_back_is_told_before_it_is_too_much(world: World) -> None:
    world.held_to(schema.DailyProfit(give_back_pct=D(50), give_back_from=D(100), target=D(900)))
    world.mark(500).trade(1, 500).mark(700).mark(615)
    (found,) = world.found().values()
    assert (found.outcome, found.code, found.limit, found.value) == (
        "warn", "profit_given_back", D(100), D(85),
    )  # fmt: skip


def test_the_best_is_that_of_the_session_and_survives_a_restart(world: World) -> None:
    rule = schema.DailyProfit(give_back_pct=D(30), give_back_from=D(100))
    world.held_to(rule).mark(500).trade(1, 500).mark(700).mark(600)
    world.restart()
    assert world.code("buy") == "profit_given_back"
    world.passes(13 * 3_600).book(Tick())
    assert world.code("buy") == "ok"


def test_each_session_has_a_best_of_its_own(world: World) -> None:
    rule = schema.DailyProfit(give_back_pct=D(30), give_back_from=D(100))
    world.held_to(rule).mark(500).trade(1, 500).mark(700)
    world.passes(13 * 3_600).book(Tick()).mark(850).mark(806)
    assert world.outcome() == "warn"
    world.mark(805)
    assert world.code("buy") == "profit_given_back"


def test_while_accounts_are_in_different_sessions_nothing_is_given_back(world: World) -> None:
    world.open("other")
    world.held_to(schema.DailyProfit(give_back_pct=D(30), give_back_from=D(100)))
    world.mark(500).trade(1, 500).mark(700)
    world.passes(13 * 3_600).book(Tick())
    assert world.outcome() == "pass"
    world.book(Tick(), account="other")
    assert world.outcome() == "pass"


def test_without_what_it_remembers_nothing_that_adds_risk_passes(world: World) -> None:
    world.held_to(schema.DailyProfit(give_back_pct=D(30), give_back_from=D(100)))
    world.mark(500).trade(1, 500)
    world.memories.clear()
    assert world.outcome() == "unknown"
    assert world.code("buy") == "not_evaluable"
    assert world.code("sell") == "ok"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prices=st.lists(st.integers(400, 600), min_size=1, max_size=30))
def test_it_is_broken_exactly_when_a_quarter_of_the_best_so_far_is_gone(
    make_world: Any, prices: list[int]
) -> None:
    world = make_world().held_to(
        schema.DailyProfit(give_back_pct=D(25), give_back_from=D(10), warn_pct=())
    )
    world.mark(500).trade(1, 500)
    best = 0
    for price in prices:
        world.mark(price)
        best = max(best, price - 500)
        is_broken = best >= 10 and D(best - (price - 500)) >= D(best) / 4
        assert world.outcome() == ("block" if is_broken else "pass")


@pytest.mark.parametrize(("won", "outcome"), BOUNDARY)
@pytest.mark.parametrize("limits", [{"max_profit": D(100)}, {"max_pct": D(10)}])
def test_a_position_that_has_won_enough_is_to_be_taken(
    world: World, limits: Any, won: str, outcome: str
) -> None:
    world.held_to(schema.MaxUnrealizedProfit(**limits, warn_pct=()))
    world.mark(500).trade(-1, 500).mark(D(500) - D(won))
    assert world.outcome() == outcome
    assert world.code("sell") == ("max_unrealized_profit" if outcome == "block" else "ok")
    assert world.code("buy") == "ok"
