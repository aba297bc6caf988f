"""Whose figures a rule counts: those of everything, an exchange, an account, a strategy, a worker
or a symbol."""

from collections.abc import Callable
from typing import Any

import pytest

NewDesk = Callable[..., Any]  # the class of this fixture lives in conftest.py


def test_an_exchanges_figures_are_those_of_its_accounts(new_desk: NewDesk) -> None:
    desk = new_desk({"kind": "max_gross", "max_notional": "200", "scope": "exchange:sim"})
    desk.hold(5)
    desk.hold(-12, account="other")
    assert desk.ask("buy", 4).max_qty == 3
    assert desk.ask("sell", 14, account="main").max_qty == 13
    assert desk.ask("sell", 4, account="other").max_qty == 3
    assert desk.ask("buy", 1000, account="euro").decision == "allow"


def test_accounts_do_not_net(new_desk: NewDesk) -> None:
    desk = new_desk({"kind": "max_position", "max_qty": "10", "scope": "symbol:L"})
    desk.hold(8)
    desk.hold(-8, account="other")
    assert desk.ask("buy", 3).max_qty == 2
    assert desk.ask("sell", 3, account="other").max_qty == 2
    # Back to flat first, and then the rest of what is left on that side.
    assert desk.ask("buy", 11, account="other").max_qty == 10
    assert desk.ask("buy", 10, account="other").decision == "allow"


def test_a_position_can_be_closed_whatever_other_accounts_hold(new_desk: NewDesk) -> None:
    desk = new_desk({"kind": "max_position", "max_qty": "10", "scope": "all"})
    desk.hold(30)
    desk.hold(-5, account="other")
    assert desk.ask("buy", 5, account="other").decision == "allow"
    assert desk.ask("buy", 6, account="other").max_qty == 5
    assert desk.ask("sell", 30).decision == "allow"


def test_a_symbols_figures_are_those_of_that_symbol_everywhere(new_desk: NewDesk) -> None:
    desk = new_desk({"kind": "max_gross", "max_notional": "200", "scope": "symbol:L"})
    for account in ("main", "other"):
        desk.hold(100, "M", account=account)
    assert desk.ask("buy", 1).missing == "one currency of all accounts of symbol:L"
    assert desk.ask("buy", 1, "M").decision == "allow"
    count = new_desk({"kind": "max_contracts", "max_contracts": "20", "scope": "symbol:L"})
    count.hold(100, "M")
    count.hold(5, account="euro")
    count.hold(7, account="other")
    assert count.ask("buy", 9).max_qty == 8
    assert count.ask("buy", 1000, "M").decision == "allow"


@pytest.mark.parametrize("who", ["strategy:mm", "worker:w1"])
def test_a_strategys_and_a_workers_figures_are_what_their_orders_made(
    new_desk: NewDesk, who: str
) -> None:
    desk = new_desk({"kind": "max_gross", "max_notional": "100", "scope": who})
    theirs = {"strategy": "mm", "worker": "w1"}
    desk.hold(1000)
    assert desk.ask("sell", 11, **theirs).max_qty == 10
    assert desk.send("sell", 6, **theirs).decision == "allow"
    assert desk.ask("sell", 6, "M", **theirs).max_qty == 4
    assert desk.ask("sell", 6, account="other", **theirs).max_qty == 4
    assert desk.send("sell", 4, account="other", **theirs).decision == "allow"
    assert desk.ask("sell", 1, "M", **theirs).max_qty == 0
    assert desk.ask("sell", 900, strategy="arb", worker="w2").decision == "allow"


def test_a_strategy_leans_on_the_accounts_that_it_trades_in(new_desk: NewDesk) -> None:
    desk = new_desk({"kind": "max_leverage", "max_leverage": "1", "scope": "strategy:mm"})
    # 1000 in main
    assert desk.ask("buy", 101, strategy="mm").max_qty == 100
    assert desk.send("buy", 60, strategy="mm").decision == "allow"
    # 1000 more in the other, as soon as it trades there
    assert desk.ask("buy", 141, strategy="mm", account="other").max_qty == 140
    assert desk.ask("buy", 41, strategy="mm").max_qty == 40
    desk.drifts("other")
    assert desk.ask("buy", 1, strategy="mm").decision == "allow"
    assert desk.ask("buy", 1, strategy="mm", account="other").code == "not_evaluable"
    assert desk.ask("buy", 1, strategy="mm", account="euro").code == "not_evaluable"


def test_what_an_order_says_of_its_leverage_counts_for_nothing(new_desk: NewDesk) -> None:
    desk = new_desk({"kind": "max_leverage", "max_leverage": "1"})
    assert desk.ask("buy", 100, leverage="50").decision == "allow"
    assert desk.ask("buy", 101, leverage="1").max_qty == 100


def test_each_open_position_of_each_account_counts(new_desk: NewDesk) -> None:
    desk = new_desk({"kind": "max_open_positions", "max_positions": 3, "scope": "all"})
    desk.hold(1)
    desk.hold(1, account="other")
    assert desk.ask("buy", 1, "M").decision == "allow"
    desk.hold(1, account="euro")
    assert desk.ask("buy", 1, "M").decision == "block"


def test_an_account_is_liquidated_alone(new_desk: NewDesk) -> None:
    """Whatever the scope, its own equity is behind its own positions."""
    rule = {"kind": "liquidation_distance", "margin_pct": "0", "min_pct": "50", "scope": "all"}
    desk = new_desk(rule)
    desk.hold(500, account="other")
    assert desk.ask("buy", 201).max_qty == 200
    # An account in EUR: 1000 of them against contracts of 5.
    assert desk.ask("buy", 401, account="euro").max_qty == 400


# --- what does not make it worse


MUCH: list[dict[str, Any]] = [
    {"kind": "max_position", "max_qty": "1"},
    {"kind": "max_inventory", "max_notional": "1"},
    {"kind": "max_contracts_per_instrument", "max_contracts": "1"},
    {"kind": "max_gross", "max_notional": "1"},
    {"kind": "max_total_notional", "max_notional": "1"},
    {"kind": "max_net", "max_notional": "1"},
    {"kind": "max_contracts", "max_contracts": "1"},
    {"kind": "max_contracts", "max_contracts": "1", "basis": "net"},
    {"kind": "max_leverage", "max_leverage": "0"},
    {"kind": "max_open_positions", "max_positions": 0},
    {"kind": "concentration", "max_pct": "1"},
    {"kind": "concentration", "max_pct": "1", "basis": "gross"},
    {"kind": "margin", "margin_pct": "100", "max_used_pct": "1"},
    {"kind": "liquidation_distance", "margin_pct": "100", "min_pct": "90"},
    {"kind": "single_trade_risk", "max_risk": "1"},
]


@pytest.mark.parametrize("rule", MUCH, ids=lambda rule: str(rule["kind"]))
@pytest.mark.parametrize("held", [50, -50])
@pytest.mark.parametrize("reduce_only", [False, True])
def test_what_is_too_much_already_can_be_made_less(
    new_desk: NewDesk, rule: dict[str, Any], held: int, reduce_only: bool
) -> None:
    desk = new_desk(rule)
    desk.hold(held)
    desk.hold(held, "M")
    desk.book("transfer", ccy="USD", amount="-100")
    side, wrong = ("sell", "buy") if held > 0 else ("buy", "sell")
    assert desk.ask(side, 50, reduce_only=reduce_only).decision == "allow"
    assert desk.ask(side, 1, reduce_only=reduce_only).decision == "allow"
    if rule["kind"] != "max_open_positions":
        assert desk.ask(wrong, 2).decision == "block"


def test_closing_a_hedge_is_told_of_and_not_stopped(new_desk: NewDesk) -> None:
    for rule in (
        {"kind": "max_net", "max_notional": "100"},
        {"kind": "max_contracts", "max_contracts": "10", "basis": "net"},
    ):
        desk = new_desk(rule)
        desk.hold(50)
        desk.hold(-50, "M")
        closed = desk.ask("buy", 50, "M")
        assert (closed.decision, closed.risk_level) == ("allow", "warning")
        assert desk.ask("buy", 51, "M").decision == "block"
        assert desk.ask("buy", 10, "M").risk_level == "warning"
        assert desk.ask("buy", 1, "M").risk_level == "info"


@pytest.mark.parametrize("rule", MUCH, ids=lambda rule: str(rule["kind"]))
def test_each_rule_has_a_word_for_every_order_when_all_is_explained(
    new_desk: NewDesk, rule: dict[str, Any]
) -> None:
    desk = new_desk(rule)
    desk.hold(50)
    desk.hold(50, "M")
    for side in ("buy", "sell"):
        found = desk.said(side, 20)
        assert found.outcome == ("pass" if side == "sell" else "block") or (
            rule["kind"] == "max_open_positions"
        )
        assert found.limit is not None
