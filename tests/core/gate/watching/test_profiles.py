"""An account that names no profile is held to the limits of the normal one."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from riskd.actors.core.gate.asked import Identity
from riskd.actors.core.gate.decision import decide
from riskd.actors.messages import OrderAsked
from riskd.config import parse
from riskd.config.profiles import limits

World = Any  # its class lives in conftest.py


@pytest.fixture
def normal(make_world: Callable[..., World]) -> World:
    """1,000 USD, and a mark of 100."""
    config = parse("[accounts.main]\n", "FILE", {}).config
    found: World = make_world().held_to(*(each.rule for each in limits(config)))
    return found.mark(100)


def outcomes(world: World, **more: Any) -> dict[str, str]:
    """By kind, what each rule has to say of an order."""
    return {one.judge.kind: one.found.outcome for one in world.ask(**more).opinions}


def test_a_trade_may_risk_a_hundredth(normal: World) -> None:
    assert normal.code(stop_loss="90") == "ok"
    assert normal.code(stop_loss="89.9") == "single_trade_risk"
    assert normal.code() == "single_trade_risk", "without a stop all of it is at risk"


def test_it_may_hold_three_times_its_worth(normal: World) -> None:
    normal.trade(29, 100)
    assert normal.code(stop_loss="99") == "ok"
    assert normal.code(qty="1.1", stop_loss="99") == "max_leverage"


@pytest.mark.parametrize(
    ("mark", "day", "week"),
    [
        ("98.01", "warn", None),
        ("98", "block", None),
        ("93.01", "block", "warn"),
        ("93", "block", "block"),
    ],
)
def test_it_may_lose_less_than_two_percent_in_a_day_and_seven_in_a_week(
    normal: World, mark: str, day: str, week: str | None
) -> None:
    found = outcomes(normal.trade(10, 100).mark(mark), stop_loss="99")
    assert (found["daily_loss"], found.get("weekly_loss")) == (day, week)
    assert normal.code(stop_loss="99") == ("ok" if day == "warn" else "daily_loss")


def test_whoever_may_trade_in_an_account_is_named(normal: World) -> None:
    assert normal.code(stop_loss="90", strategy="arb") == "ok"
    config = parse("[accounts.main]\nstrategies = ['mm']\n", "FILE", {}).config
    normal.held_to(*(each.rule for each in limits(config)))
    assert normal.code(stop_loss="90", strategy="mm") == "ok"
    assert normal.code(stop_loss="90", strategy="arb") == "strategy_not_listed"
    assert normal.code(stop_loss="90", strategy=None) == "no_strategy"


def test_it_may_have_five_positions(normal: World) -> None:
    order = OrderAsked(
        client_order_id="a", account="main", symbol="L", side="buy", qty="1", price="100"
    )
    found = decide(order, Identity(), normal.known(), normal.moment, explains=True).opinions
    (said,) = [one.found for one in found if one.judge.kind == "max_open_positions"]
    assert (said.limit, said.value) == (Decimal(5), Decimal(1))
