"""How much there may be of it: orders for each fill, open orders, trades, turnover."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from riskd.config.schema.rules import (
    DailyTurnover,
    MaxWorkingOrders,
    OrderToFill,
    TradeFrequency,
)

Desk = Callable[..., Any]


# --- orders for each fill


def ratio(most: str = "3", least: int = 1, **more: Any) -> OrderToFill:
    return OrderToFill(max_ratio=Decimal(most), min_orders=least, window_s=10.0, **more)


def test_without_a_fill_it_is_as_if_there_were_one(desk: Desk) -> None:
    at = desk(ratio())
    assert at.passed(5) == 3
    no = at.ask()
    assert (no.code, no.limit, no.value, no.headroom) == ("order_to_fill", 3, 4, 0)
    at.fill(order="o1")
    assert at.ask().decision == "block"
    at.fill(order="o2")
    assert at.passed(5) == 3


def test_a_ratio_is_exact_at_its_limit(desk: Desk) -> None:
    at = desk(ratio("2.5"))
    at.trade()
    at.trade()
    assert at.passed(5) == 3
    assert at.ask().value == 3


def test_fewer_orders_than_the_minimum_are_not_judged(desk: Desk) -> None:
    at = desk(ratio("1", 5))
    assert at.passed(10) == 4


def test_orders_and_fills_leave_the_window(desk: Desk) -> None:
    at = desk(ratio())
    at.passed(3)
    at.passes(9.999999)
    assert at.ask().decision == "block"
    at.passes(0.000001)
    assert at.passed(5) == 3


def test_a_ratio_goes_on_across_a_restart(desk: Desk) -> None:
    at = desk(ratio())
    at.trade()
    at.restart()
    assert at.passed(5) == 2
    at.fill(order="o2")
    at.restart()
    assert at.passed(5) == 3


def test_a_ratio_does_not_keep_a_position_from_being_closed(desk: Desk) -> None:
    at = desk(ratio())
    at.trade()
    at.passed(2)
    assert at.ask().decision == "block"
    assert at.ask(side="sell").decision == "allow"


def test_a_ratio_near_its_limit_is_told(desk: Desk) -> None:
    at = desk(ratio("10"))
    assert [at.ask().risk_level for _ in range(9)] == ["info"] * 7 + ["warning"] * 2


# --- open orders


def test_so_many_orders_may_be_open(desk: Desk) -> None:
    at = desk(MaxWorkingOrders(max_orders=3))
    assert at.passed(5) == 3
    no = at.ask()
    assert (no.rule, no.code, no.value) == ("max_working_orders", "max_working_orders", 4)


@pytest.mark.parametrize("end", ["cancel", "reject", "expire", "fill"])
def test_an_order_that_is_gone_makes_room_once(desk: Desk, end: str) -> None:
    at = desk(MaxWorkingOrders(max_orders=2))
    at.passed(2)
    for _ in range(2):
        at.fill(id="f", order="o1") if end == "fill" else at.tell(end, id="o1")
    assert at.passed(3) == 1


def test_asking_for_the_end_of_an_order_makes_no_room(desk: Desk) -> None:
    at = desk(MaxWorkingOrders(max_orders=1))
    at.passed(1)
    at.tell("cancel_request", id="o1")
    at.fill("0.5", order="o1")
    assert at.passed(1) == 0


def test_each_symbol_has_room_of_its_own(desk: Desk) -> None:
    at = desk(MaxWorkingOrders(max_orders=5, max_per_symbol=2))
    at.list("ETH")
    at.list("SOL")
    assert at.passed(3) == 2
    assert at.ask().code == "max_working_orders_in_symbol"
    assert at.passed(3, symbol="ETH") == 2
    assert at.passed(3, symbol="SOL") == 1
    assert at.ask(symbol="SOL").code == "max_working_orders"


def test_open_orders_are_those_of_the_scope(desk: Desk) -> None:
    at = desk(
        MaxWorkingOrders(max_orders=1, scope="strategy:mm"),
        MaxWorkingOrders(max_orders=1, scope="worker:w"),
        MaxWorkingOrders(max_orders=2, scope="symbol:ETH"),
        MaxWorkingOrders(max_orders=2, scope="account:second"),
    )
    at.list("ETH")
    at.open("second", "EUR", None)
    assert at.passed(9) == 9
    assert at.passed(9, strategy="mm") == 1
    mine = at.last
    assert at.passed(9, symbol="ETH") == 2
    assert at.passed(9, account="second") == 2
    assert at.passed(9, worker="w") == 1
    assert mine != at.last
    at.fill("0.4", order="o10")
    assert at.passed(1, strategy="mm") == 0
    at.fill("0.6", order="o10")
    assert at.passed(9, strategy="mm") == 1


def test_a_bust_opens_an_order_again(desk: Desk) -> None:
    at = desk(MaxWorkingOrders(max_orders=1), MaxWorkingOrders(max_orders=1, scope="strategy:mm"))
    at.ask(strategy="mm")
    at.fill(id="f")
    assert at.decide().verdict.decision == "allow"
    at.tell("bust", id="f", symbol="BTC")
    assert at.decide().verdict.scope == "all"
    assert at.decide(strategy="mm").verdict.decision == "block"


# --- trades


def trades(**more: Any) -> TradeFrequency:
    return TradeFrequency(**{"counts": "fills", **more})


@pytest.mark.parametrize(("period", "seconds"), [("minute", 60), ("hour", 3_600)])
def test_each_period_has_its_limit_and_slides(desk: Desk, period: str, seconds: int) -> None:
    at = desk(trades(**{f"max_per_{period}": 2}))
    assert [at.trade().decision for _ in range(3)] == ["allow", "allow", "block"]
    assert at.ask().code == f"trades_per_{period}"
    at.passes(seconds - 0.000001)
    assert at.ask().decision == "block"
    at.passes(0.000001)
    assert at.ask().decision == "allow"


def test_a_session_ends_with_its_reset_and_no_sooner(desk: Desk) -> None:
    at = desk(trades(max_per_session=2))
    for _ in range(2):
        at.trade()
    at.passes(86_400)
    assert at.ask().code == "trades_per_session"
    at.reset()
    assert [at.trade().decision for _ in range(3)] == ["allow", "allow", "block"]


def test_a_session_begins_once_in_however_many_accounts(desk: Desk) -> None:
    at = desk(trades(max_per_session=2))
    at.open("second", "USD", None)
    boundary = at.at
    at.reset(at=boundary)
    for _ in range(2):
        at.trade()
    at.reset("second", at=boundary)
    assert at.ask().decision == "block"
    at.reset(at=boundary + timedelta(days=1))
    assert at.ask().decision == "allow"


@pytest.mark.parametrize("period", ["minute", "hour", "session"])
def test_the_lockout_begins_with_the_last_that_passes(desk: Desk, period: str) -> None:
    at = desk(trades(**{f"max_per_{period}": 2, f"{period}_lockout_s": 7_200.0}))
    at.trade()
    at.passes(10)
    at.trade()
    if period == "session":
        at.reset()
    at.restart()
    at.passes(7_199.999999)
    no = at.ask()
    assert (no.code, no.limit) == ("trade_lockout", 2)
    at.passes(0.000001)
    assert at.ask().decision == "allow"


def test_each_lockout_is_its_own(desk: Desk) -> None:
    at = desk(
        trades(max_per_minute=1, minute_lockout_s=90.0, max_per_hour=2, hour_lockout_s=5_000.0)
    )
    at.trade()
    at.passes(89)
    assert at.ask().code == "trade_lockout"
    at.passes(1)
    at.trade()
    at.passes(90)
    assert (at.ask().code, at.ask().limit) == ("trade_lockout", 2)
    at.passes(4_910)
    assert at.ask().decision == "allow"


def test_a_set_back_clock_ends_no_lockout(desk: Desk) -> None:
    at = desk(trades(max_per_minute=1, minute_lockout_s=120.0))
    at.trade()
    at.passes(-7_200)
    assert at.ask().decision == "block"


def test_a_trade_by_a_clock_that_was_set_back_shortens_no_lockout(desk: Desk) -> None:
    at = desk(trades(max_per_session=1, session_lockout_s=120.0))
    at.passed(2)
    at.fill(order="o1")
    at.passes(-60)
    at.fill(order="o2")
    at.reset(at=at.at + timedelta(days=1))
    at.passes(179)
    assert at.ask().decision == "block"
    at.passes(1)
    assert at.ask().decision == "allow"


def test_orders_count_when_orders_are_counted(desk: Desk) -> None:
    at = desk(trades(counts="orders", max_per_minute=2))
    assert at.passed(5) == 2
    at = desk(trades(max_per_minute=2))
    assert at.passed(5) == 5


def test_what_closes_passes_a_lockout_and_counts(desk: Desk) -> None:
    at = desk(trades(max_per_minute=2, minute_lockout_s=60.0))
    at.trade()
    at.trade()
    assert at.ask(side="sell", qty="2").decision == "allow"
    assert at.ask(side="sell", qty="1").decision == "block"


def test_a_person_ends_a_lockout(desk: Desk) -> None:
    one = trades(max_per_session=1, session_lockout_s=600.0)
    at = desk(one)
    at.trade()
    assert at.ask().decision == "block"
    at.rearm(one)
    assert at.ask().decision == "allow"


# --- turnover


def turnover(most: int = 1_000, **more: Any) -> DailyTurnover:
    return DailyTurnover(max_notional=Decimal(most), **more)


def test_what_was_traded_and_what_is_open_and_this_order(desk: Desk) -> None:
    at = desk(turnover())
    at.trade(qty="3")
    at.fill("2")
    at.ask(qty="2")
    assert at.ask(qty="5").decision == "allow"
    no = at.ask(qty="0.01")
    assert (no.rule, no.code, no.limit, no.value, no.headroom) == (
        "daily_turnover", "daily_turnover", 1_000, 1_001, 0,
    )  # fmt: skip


def test_a_block_says_how_much_would_have_passed(desk: Desk) -> None:
    at = desk(turnover())
    no = at.ask(qty="12")
    assert (no.decision, no.max_qty) == ("block", 10)
    assert at.ask(qty="10").decision == "allow"


def test_selling_is_turnover_too_and_closing_passes(desk: Desk) -> None:
    at = desk(turnover())
    at.trade(qty="5")
    at.fill("4")
    assert at.ask(side="sell", qty="5").decision == "allow"
    at.fill("5", side="sell")
    assert at.ask(qty="0.1").decision == "block"
    at.passes(1)
    at.reset()
    assert at.ask(qty="10").decision == "allow"


def test_closing_passes_beyond_the_limit(desk: Desk) -> None:
    at = desk(turnover(500))
    at.ask(qty="5")
    at.fill("5")
    assert at.ask(qty="1").decision == "block"
    assert at.ask(side="sell", qty="5").decision == "allow"


def test_an_order_is_worth_its_own_price_or_the_mark_whichever_is_more(desk: Desk) -> None:
    at = desk(turnover())
    assert at.decide(qty="10", price="50").verdict.decision == "allow"
    assert at.decide(qty="10.1", price="50").verdict.decision == "block"
    assert at.decide(qty="5", price="200").verdict.decision == "allow"
    assert at.decide(qty="5.1", price="200").verdict.decision == "block"


def test_a_turnover_goes_on_across_a_restart(desk: Desk) -> None:
    at = desk(turnover())
    at.ask(qty="9.9")
    at.fill("9.9")
    at.restart()
    assert at.ask(qty="0.2").decision == "block"
    assert at.ask(qty="0.1").decision == "allow"


def test_a_session_of_several_accounts_has_one_turnover(desk: Desk) -> None:
    at = desk(turnover())
    at.open("second", "USD", None)
    at.tell("mark", account=None, symbol="BTC", price="100")
    boundary = at.at
    at.reset(at=boundary)
    at.ask(qty="9")
    at.fill("9")
    at.reset("second", at=boundary)
    assert at.ask(account="second", qty="2").code == "daily_turnover"
    assert at.ask(account="second", qty="1").decision == "allow"


def test_without_a_mark_or_a_rate_nothing_is_known(desk: Desk) -> None:
    at = desk(turnover())
    at.list("NEW", mark=None)
    assert at.ask(symbol="NEW").missing == "mark or rate of NEW"
    at.list("YEN", "JPY")
    no = at.ask(symbol="YEN")
    assert (no.decision, no.code, no.missing) == ("block", "not_evaluable", "mark or rate of YEN")


def test_a_fill_that_lacked_a_rate_leaves_the_session_unknown(desk: Desk) -> None:
    at = desk(turnover())
    at.list("YEN", "JPY")
    at.fill(symbol="YEN", order=None)
    assert at.ask().missing == "turnover of all"
    at.restart()
    assert at.ask().missing == "turnover of all"
    at.passes(1)
    at.reset()
    assert at.ask().decision == "allow"


def test_an_open_order_that_lacks_a_rate_is_unknown(desk: Desk) -> None:
    at = desk(turnover())
    at.list("YEN", "JPY")
    at.tell("order", id="theirs", symbol="YEN", side="buy", qty="1")
    assert at.ask().missing == "turnover of all"
    at.tell("fx", account="main", ccy="JPY", rate="0.01")
    assert at.ask(qty="9.99").decision == "allow"
    assert at.ask(qty="0.001").decision == "block"


def test_several_currencies_have_no_sum(desk: Desk) -> None:
    at = desk(turnover(), turnover(name="mine", scope="account:main"))
    at.trade()
    at.open("second", "EUR", None)
    no = at.ask()
    assert (no.code, no.scope, no.missing) == ("not_evaluable", "all", "turnover of all")


def test_a_turnover_in_another_currency_is_unknown(desk: Desk) -> None:
    at = desk(turnover(scope="strategy:mm"))
    at.open("second", "EUR", None)
    at.list("DAX", "EUR")
    at.ask(account="second", symbol="DAX", strategy="mm")
    at.fill(account="second", symbol="DAX")
    assert at.ask(strategy="mm").missing == "one currency for strategy:mm"
