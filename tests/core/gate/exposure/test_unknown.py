"""What is not known is a refusal, wherever in a scope it is missing."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

NewDesk = Callable[..., Any]  # the class of this fixture lives in conftest.py
Rule = dict[str, Any]

IN_MONEY: list[Rule] = [
    {"kind": "max_position", "max_notional": "500"},
    {"kind": "max_inventory", "max_notional": "500"},
    {"kind": "max_gross", "max_notional": "500"},
    {"kind": "max_net", "max_notional": "500"},
    {"kind": "max_total_notional", "max_notional": "500"},
    {"kind": "max_leverage", "max_leverage": "1"},
    {"kind": "concentration", "max_pct": "50"},
    {"kind": "margin", "margin_pct": "10"},
    {"kind": "liquidation_distance", "margin_pct": "5", "min_pct": "10"},
    {"kind": "single_trade_risk", "max_pct": "50"},
]
OF_EVERYTHING = [
    one for one in IN_MONEY
    if one["kind"] not in ("max_position", "max_inventory", "single_trade_risk")
]  # fmt: skip
OF_EQUITY: list[Rule] = [
    {"kind": "max_gross", "max_pct": "50"},
    {"kind": "max_net", "max_pct": "50"},
    {"kind": "max_leverage", "max_leverage": "1"},
    {"kind": "concentration", "max_pct": "50"},
    {"kind": "margin", "margin_pct": "10"},
    {"kind": "liquidation_distance", "margin_pct": "5", "min_pct": "10"},
    {"kind": "single_trade_risk", "max_pct": "50"},
]
OF_MARGIN: list[Rule] = [
    {"kind": "margin"},
    {"kind": "liquidation_distance", "min_pct": "10"},
]


def kind(rule: Rule) -> str:
    return str(rule["kind"])


def refused(desk: Any, rule: Rule, missing: str, side: str = "buy", symbol: str = "L") -> None:
    """Because of this."""
    verdict = desk.ask(side, 1, symbol)
    assert (verdict.decision, verdict.code, verdict.rule) == (
        "block", "not_evaluable", rule["kind"]
    )  # fmt: skip
    assert missing in verdict.missing
    assert verdict.max_qty == 0


@pytest.mark.parametrize("rule", OF_EVERYTHING, ids=kind)
def test_without_the_mark_of_another_symbol_that_is_held(new_desk: NewDesk, rule: Rule) -> None:
    desk = new_desk(rule, marks={})
    desk.mark("L", "10")
    assert desk.ask("buy", 1).decision == "allow"
    desk.hold(1, "M", price="2")
    refused(desk, rule, "account:main")
    desk.mark("M", "2")
    assert desk.ask("buy", 1).decision == "allow"


@pytest.mark.parametrize("rule", OF_EVERYTHING, ids=kind)
def test_without_the_mark_of_another_symbol_that_only_an_order_could_open(
    new_desk: NewDesk, rule: Rule
) -> None:
    desk = new_desk(rule, marks={})
    desk.mark("L", "10")
    desk.book("order", id="x", symbol="M", side="sell", qty="1")
    refused(desk, rule, "account:main")


@pytest.mark.parametrize("rule", OF_EQUITY, ids=kind)
def test_equity_that_the_broker_contradicts_is_not_known(new_desk: NewDesk, rule: Rule) -> None:
    desk = new_desk(rule)
    desk.drifts("other")
    assert desk.ask("buy", 1).decision == "allow"
    desk.drifts("main")
    refused(desk, rule, "equity of account:main")


@pytest.mark.parametrize("rule", OF_EQUITY, ids=kind)
def test_the_brokers_word_of_equity_may_not_be_too_old(new_desk: NewDesk, rule: Rule) -> None:
    desk = new_desk({**rule, "max_equity_age_s": 60})
    refused(desk, rule, "equity of main by its broker's word")
    desk.hears()
    assert desk.ask("buy", 1).decision == "allow"
    desk.passes(60)
    assert desk.ask("buy", 1).decision == "allow"
    desk.passes(0.001)
    refused(desk, rule, "equity of main by its broker's word")


@pytest.mark.parametrize(("wall_s", "monotonic_s"), [(-3600, 0), (3600, 0), (0, 61)])
def test_a_jump_of_the_clock_makes_no_word_younger(
    new_desk: NewDesk, wall_s: float, monotonic_s: float
) -> None:
    rule = {"kind": "max_leverage", "max_leverage": "1", "max_equity_age_s": 60}
    desk = new_desk(rule)
    desk.hears()
    desk.at += timedelta(seconds=wall_s)
    desk.monotonic_s += monotonic_s
    refused(desk, rule, "equity of main by its broker's word")


@pytest.mark.parametrize("rule", OF_EQUITY, ids=kind)
@pytest.mark.parametrize("left", ["0", "-1"])
def test_nothing_is_carried_by_nothing(new_desk: NewDesk, rule: Rule, left: str) -> None:
    desk = new_desk(rule)
    desk.book("transfer", ccy="USD", amount=str(int(left) - 1000))
    verdict = desk.ask("buy", 1)
    assert (verdict.decision, verdict.code, verdict.rule) == (
        "block", "equity_not_positive", rule["kind"]
    )  # fmt: skip
    assert verdict.value == int(left)


@pytest.mark.parametrize("rule", OF_MARGIN, ids=kind)
def test_without_a_fraction_of_margin(new_desk: NewDesk, rule: Rule) -> None:
    desk = new_desk({**rule, "margin_pct_of": {"M": "10"}})
    refused(desk, rule, "margin of L")
    assert desk.ask("buy", 1, "M").decision == "allow"
    desk.hold(1, "L")
    refused(desk, rule, "margin of account:main", symbol="M")


@pytest.mark.parametrize("rule", [*IN_MONEY, *OF_EQUITY], ids=kind)
@pytest.mark.parametrize("held", [10, -10])
def test_what_only_reduces_passes_whatever_is_missing(
    new_desk: NewDesk, rule: Rule, held: int
) -> None:
    desk = new_desk(rule, marks={})
    desk.hold(held, price="10")
    desk.drifts()
    assert desk.books.accounts["main"].book.worth.equity is None
    side = "sell" if held > 0 else "buy"
    assert desk.ask(side, 10).decision == "allow"
    if rule["kind"] not in ("max_position", "max_inventory"):
        assert desk.ask(side, 21).decision == "block", "more than that opens the other side"


@pytest.mark.parametrize("rule", OF_EVERYTHING[:-1], ids=kind)
def test_several_currencies_are_no_sum(new_desk: NewDesk, rule: Rule) -> None:
    desk = new_desk({**rule, "scope": "all"})
    verdict = desk.ask("buy", 1)
    assert (verdict.decision, verdict.code) == ("block", "not_evaluable")
    assert "of all" in verdict.missing
    one = new_desk({**rule, "scope": "exchange:sim"})
    assert one.ask("buy", 1).decision == "allow"


PASSED: list[Rule] = [
    {"kind": "max_gross", "max_notional": "100"},
    {"kind": "max_total_notional", "max_notional": "100"},
    {"kind": "max_leverage", "max_leverage": "0.1"},
    {"kind": "margin", "margin_pct": "10", "max_used_pct": "1"},
    {"kind": "margin", "margin_pct_of": {"L": "10"}, "max_used_pct": "1"},
]


@pytest.mark.parametrize("rule", PASSED, ids=kind)
def test_a_sum_that_is_above_its_limit_is_so_whatever_else_is_in_it(
    new_desk: NewDesk, rule: Rule
) -> None:
    desk = new_desk(rule, marks={})
    desk.mark("L", "10")
    desk.book("order", id="x", symbol="M", side="sell", qty="1")
    refused(desk, rule, "account:main")
    at_limit, above = desk.ask("buy", 10), desk.ask("buy", 11)
    assert (at_limit.code, above.code, above.max_qty) == ("not_evaluable", rule["kind"], 0)


def test_money_that_is_too_much_is_so_whatever_equity_is(new_desk: NewDesk) -> None:
    for name in ("max_gross", "max_net"):
        desk = new_desk({"kind": name, "max_notional": "100", "max_pct": "50"})
        desk.drifts("main")
        assert desk.ask("buy", 10).code == "not_evaluable"
        assert desk.ask("buy", 11).code == name
