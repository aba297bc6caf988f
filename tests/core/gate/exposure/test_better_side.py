"""An order that is not the worst that could happen still is a risk: it may be the only one that is
filled. So is an amendment that makes what it may fill dearer, and no larger."""

from collections.abc import Callable
from typing import Any

import pytest

NewDesk = Callable[..., Any]  # the class of this fixture lives in conftest.py
Rule = dict[str, Any]

IN_MONEY: list[Rule] = [
    {"kind": "max_gross", "max_notional": "500"},
    {"kind": "max_total_notional", "max_notional": "500"},
    {"kind": "max_leverage", "max_leverage": "0.5"},
    {"kind": "margin", "margin_pct": "100", "max_used_pct": "50"},
]
SUMS: list[Rule] = [*IN_MONEY, {"kind": "max_contracts", "max_contracts": "50"}]
DEARER: list[Rule] = [
    *IN_MONEY,
    {"kind": "max_position", "max_notional": "500"},
    {"kind": "max_inventory", "max_notional": "500"},
    {"kind": "max_net", "max_notional": "500"},
    {"kind": "concentration", "max_pct": "50"},
]


def kind(rule: Rule) -> str:
    return str(rule["kind"])


def got(verdict: Any) -> tuple[str, str, int]:
    return verdict.decision, verdict.code, verdict.max_qty


@pytest.mark.parametrize("rule", SUMS, ids=kind)
def test_above_the_limit_nothing_opens_on_the_other_side_of_an_order(
    new_desk: NewDesk, rule: Rule
) -> None:
    desk = new_desk(rule)
    assert desk.send("sell", 10).decision == "allow"
    desk.hold(60, "M")
    assert got(desk.ask("buy", 1)) == ("block", rule["kind"], 0)
    assert desk.ask("sell", 60, "M").decision == "allow"


@pytest.mark.parametrize("rule", SUMS, ids=kind)
def test_above_the_limit_a_position_is_closed_and_not_turned(new_desk: NewDesk, rule: Rule) -> None:
    desk = new_desk(rule)
    desk.hold(60)
    assert desk.ask("sell", 60).decision == "allow"
    assert got(desk.ask("sell", 61)) == ("block", rule["kind"], 60)
    assert got(desk.ask("sell", 120)) == ("block", rule["kind"], 60)


@pytest.mark.parametrize("rule", SUMS, ids=kind)
def test_at_the_limit_the_other_side_is_free(new_desk: NewDesk, rule: Rule) -> None:
    desk = new_desk(rule)
    desk.hold(50)
    assert desk.ask("sell", 100).decision == "allow"
    assert got(desk.ask("sell", 101)) == ("block", rule["kind"], 100)


@pytest.mark.parametrize("rule", IN_MONEY, ids=kind)
def test_while_the_sum_is_not_known_nothing_opens_on_the_other_side(
    new_desk: NewDesk, rule: Rule
) -> None:
    desk = new_desk(rule, marks={"L": "10"})
    assert desk.send("sell", 10).decision == "allow"
    desk.hold(1, "M")
    assert got(desk.ask("buy", 1)) == ("block", "not_evaluable", 0)


@pytest.mark.parametrize("rule", DEARER, ids=kind)
def test_an_amendment_counts_at_its_price(new_desk: NewDesk, rule: Rule) -> None:
    desk = new_desk(rule)
    assert desk.send("buy", 10, client_order_id="a", price="10").decision == "allow"

    def amend(qty: int, price: str) -> tuple[str, str]:
        order = desk.order("buy", qty, client_order_id="a", price=price)
        verdict = desk.decided(order, amends=True).verdict
        return verdict.decision, verdict.code

    assert amend(10, "50") == ("allow", "ok")
    assert amend(10, "51") == ("block", rule["kind"])
    assert amend(9, "100") == ("block", rule["kind"])
    desk.hold(60, "L")
    assert amend(5, "10") == ("allow", "ok")
    assert amend(10, "10") == ("allow", "ok")
