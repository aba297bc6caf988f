"""A mark is none if it is nothing, and none if it is old; and it makes no order small."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from riskd.config.schema.rules import (
    AnyRule,
    Concentration,
    DailyTurnover,
    LiquidationDistance,
    Margin,
    MaxGross,
    MaxLeverage,
    MaxNet,
    MaxOrderNotional,
    MaxPosition,
    MaxTotalNotional,
    SingleTradeRisk,
)

Desk = Callable[..., Any]
MONEY = Decimal(1_000_000)
"""What the account has."""
SUMS: tuple[AnyRule, ...] = (
    Concentration(max_pct=Decimal(10), scope="account:main", basis="equity"),
    DailyTurnover(max_notional=MONEY / 10, scope="account:main"),
    LiquidationDistance(margin_pct=Decimal(900), min_pct=Decimal(10), scope="account:main"),
    Margin(margin_pct=Decimal(100), max_used_pct=Decimal(10), scope="account:main"),
    MaxGross(max_notional=MONEY / 10, scope="account:main"),
    MaxGross(max_pct=Decimal(10), scope="account:main"),
    MaxLeverage(max_leverage=Decimal("0.1"), scope="account:main"),
    MaxNet(max_notional=MONEY / 10, scope="account:main"),
    MaxPosition(max_notional=MONEY / 10, scope="account:main"),
    MaxTotalNotional(max_notional=MONEY / 10, scope="account:main"),
)
"""At a price of 100 each lets a thousand pass, more or less."""
SINGLE: tuple[AnyRule, ...] = (
    MaxOrderNotional(max_notional=MONEY / 10, scope="account:main"),
    SingleTradeRisk(max_risk=MONEY / 10, scope="account:main"),
)


def bounded(desk: Desk, *rules: AnyRule, mark: str | None = "1e-30") -> Any:
    """An instrument whose price is above 0."""
    at = desk(*rules)
    at.list("X")
    if mark is not None:
        at.mark(mark, "X")
    return at


@pytest.mark.parametrize("mark", ["0", "-5"])
def test_a_mark_that_can_not_be_is_none(desk: Desk, mark: str) -> None:
    at = bounded(desk, *SUMS, *SINGLE, mark=mark)
    verdict = at.ask("buy", "1", symbol="X", price="100")
    assert (verdict.decision, verdict.code) == ("block", "not_evaluable")
    assert verdict.missing is not None
    assert "mark" in verdict.missing


@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize("rule", [*SUMS, *SINGLE], ids=lambda rule: rule.kind)
def test_a_mark_that_is_far_too_low_makes_no_order_small(
    desk: Desk, rule: AnyRule, side: str
) -> None:
    at = bounded(desk, rule)
    assert at.ask(side, "3000", symbol="X", price="100").decision == "block"
    assert at.ask(side, "1", symbol="X", price="100").decision == "allow"
    stop = {"stop_price": "100", "order_type": "stop"}
    assert rule.kind == "single_trade_risk" or (
        at.ask(side, "3000", symbol="X", **stop).decision == "block"
    )


@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize("rule", SUMS, ids=lambda rule: rule.kind)
def test_nor_many_of_them(desk: Desk, rule: AnyRule, side: str) -> None:
    at = bounded(desk, rule)
    passed = 0
    while at.send(side, "100", symbol="X", price="100").decision == "allow":
        passed += 1
        assert passed < 20
    assert passed >= 5


def test_an_order_below_the_mark_is_worth_what_the_mark_says(desk: Desk) -> None:
    at = bounded(desk, MaxPosition(max_notional=Decimal(1000)), mark="100")
    for price in ("50", "100"):
        assert at.ask("buy", "10", symbol="X", price=price).decision == "allow"
    assert at.ask("buy", "10", symbol="X", price="125").max_qty == 8


@pytest.mark.parametrize("late_s", [0, 59, 61, 3_600])
def test_a_mark_is_as_old_as_it_says_itself(desk: Desk, late_s: int) -> None:
    at = desk(mark=None)
    ts = (at.at - timedelta(seconds=late_s)).isoformat()
    at.tell("mark", None, symbol="BTC", price="100", ts=ts)
    assert at.code() == ("ok" if late_s <= 60 else "stale_mark")
    at.passes(61 - late_s)
    assert at.code() == "stale_mark"


def test_and_not_younger_than_it_has_been_here(desk: Desk) -> None:
    at = desk(mark=None)
    at.tell("mark", None, symbol="BTC", price="100", ts=(at.at + timedelta(hours=1)).isoformat())
    assert at.code() == "ok"
    at.passes(61)
    assert at.code() == "stale_mark"
