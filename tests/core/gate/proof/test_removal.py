"""What each rule needs is taken away in turn: what adds risk stops, and getting out passes."""

from collections.abc import Callable
from typing import Any, get_args

import pytest
from riskd.actors.messages import InstrumentDelisted
from riskd.config.schema.rules.kinds import RuleKind

NewDesk = Callable[..., Any]  # the class of this fixture lives in conftest.py
Rule = dict[str, Any]
Needs = dict[str, str]

INPUTS = (
    *("mark", "fresh mark", "other mark", "marks since then", "rate"),
    *("equity", "agreement", "word", "session", "strategy", "edge", "memory", "volatility"),
    "venue",
)
"""`other mark`: that of another symbol that is held. `agreement`: of the book and its broker about
equity, of which the broker's own is the `word`. `fresh mark`: nothing is heard for a minute.
`venue`: its word on whether the account can trade."""
LACKS = "not_evaluable"


def lacks(*inputs: str, **codes: str) -> Needs:
    """It can't be judged without these, and says so by the code if it has one of its own."""
    return dict.fromkeys(inputs, LACKS) | {one.replace("_", " "): codes[one] for one in codes}


NOTHING = lacks()
MEMORY = lacks("memory")
WORTH = lacks("mark", "rate")
WORTH_OF_ALL = lacks("mark", "rate", "other mark")
EQUITY = lacks("mark", "rate", "other mark", "equity", "agreement")
MADE = lacks("mark", "rate", "other mark", "equity", "session")
FRESH = lacks(mark="no_mark", fresh_mark="stale_mark")

# A rule that lets orders of 1 pass when all is known, and what it needs for that.
CASES: list[tuple[Rule, Needs]] = [
    ({"kind": "auth_loss"}, lacks("memory", "venue")),
    ({"kind": "auth_loss", "max_age_s": 60}, lacks("memory", "venue", fresh_mark="auth_loss")),
    ({"kind": "concentration", "max_pct": "90"}, EQUITY),
    ({"kind": "concentration", "max_pct": "90", "basis": "gross"}, WORTH_OF_ALL),
    ({"kind": "consecutive_losses", "max_losses": 9}, MEMORY),
    ({"kind": "consecutive_rejects", "max_rejects": 9, "lockout_s": 60}, MEMORY),
    # A trade of which nobody knows what it brought counts as one that lost.
    ({"kind": "cooldown_after_loss", "lockout_s": 90}, MEMORY | {"rate": "cooldown_after_loss"}),
    ({"kind": "daily_loss", "max_loss": "999"}, MADE),
    ({"kind": "daily_loss", "max_pct": "9"}, MADE),
    ({"kind": "daily_profit", "target": "999"}, MADE),
    ({"kind": "daily_profit", "target_pct": "9"}, MADE),
    ({"kind": "daily_profit", "give_back_pct": "50", "give_back_from": "1"}, MADE | MEMORY),
    ({"kind": "daily_realized_loss", "max_loss": "999"}, lacks("rate", "session")),
    ({"kind": "daily_realized_loss", "max_pct": "9"}, lacks("rate", "session")),
    ({"kind": "daily_turnover", "max_notional": "99999"}, WORTH | MEMORY),
    ({"kind": "daily_unrealized_loss", "max_loss": "999"}, WORTH),
    ({"kind": "daily_unrealized_loss", "max_pct": "9"}, WORTH | lacks("session")),
    ({"kind": "drawdown", "max_drawdown": "999"}, WORTH_OF_ALL | lacks("equity")),
    ({"kind": "drawdown", "max_pct": "9"}, WORTH_OF_ALL | lacks("equity")),
    ({"kind": "duplicate_order", "within_s": 5}, MEMORY),
    ({"kind": "edge_floor", "min_bps": "1", "scope": "all"},
     lacks("fresh mark", "strategy", "edge", "memory")),
    ({"kind": "es_limit", "max_es": "9999"}, WORTH_OF_ALL | lacks("volatility")),
    ({"kind": "es_limit", "max_pct": "90"}, EQUITY | lacks("volatility")),
    ({"kind": "es_limit", "max_es": "9999", "max_mark_age_s": 60},
     WORTH_OF_ALL | lacks("volatility", "fresh mark")),
    ({"kind": "feed_silence", "max_age_s": 60}, lacks("mark", fresh_mark="feed_silence")),
    ({"kind": "fresh_data"}, FRESH),
    ({"kind": "fresh_data", "max_equity_age_s": 90}, FRESH | lacks(word="no_equity")),
    ({"kind": "liquidation_distance", "margin_pct": "5", "min_pct": "10"}, EQUITY),
    ({"kind": "margin", "margin_pct": "10"}, EQUITY),
    ({"kind": "max_contracts", "max_contracts": "99"}, NOTHING),
    ({"kind": "max_contracts_per_instrument", "max_contracts": "99"}, NOTHING),
    ({"kind": "max_gross", "max_notional": "99999"}, WORTH_OF_ALL),
    ({"kind": "max_gross", "max_pct": "90"}, EQUITY),
    ({"kind": "max_inventory", "max_qty": "99"}, NOTHING),
    ({"kind": "max_inventory", "max_notional": "99999"}, WORTH),
    ({"kind": "max_leverage", "max_leverage": "2"}, EQUITY),
    ({"kind": "max_leverage", "max_leverage": "2", "max_equity_age_s": 60},
     EQUITY | lacks("word", "fresh mark")),
    ({"kind": "max_net", "max_notional": "99999"}, WORTH_OF_ALL),
    ({"kind": "max_net", "max_pct": "90"}, EQUITY),
    ({"kind": "max_open_positions", "max_positions": 9}, NOTHING),
    ({"kind": "max_order_notional", "max_notional": "99999"}, WORTH),
    ({"kind": "max_order_qty", "max_qty": "99"}, NOTHING),
    ({"kind": "max_position", "max_qty": "99"}, NOTHING),
    ({"kind": "max_position", "max_notional": "99999"}, WORTH),
    ({"kind": "max_total_notional", "max_notional": "99999"}, WORTH_OF_ALL),
    ({"kind": "max_unrealized_profit", "max_profit": "999"}, WORTH),
    ({"kind": "max_unrealized_profit", "max_pct": "9"}, WORTH | lacks("session")),
    ({"kind": "max_working_orders", "max_orders": 99}, NOTHING),
    ({"kind": "message_rate", "max_submits": 99, "window_s": 10}, MEMORY),
    ({"kind": "order_to_fill", "max_ratio": "9", "min_orders": 1, "window_s": 10}, MEMORY),
    ({"kind": "order_types", "allow": ["limit", "market"]}, NOTHING),
    ({"kind": "order_validity"}, NOTHING),
    ({"kind": "orphan_order", "grace_s": 90, "action": "block"}, MEMORY),
    ({"kind": "position_loss", "max_loss": "999"}, WORTH),
    ({"kind": "position_loss", "max_pct": "50"}, WORTH),
    ({"kind": "price_collar", "max_pct": "9"}, FRESH),
    ({"kind": "price_collar", "max_drift_pct": "9"}, FRESH | lacks("marks since then", "memory")),
    ({"kind": "reconciliation"}, lacks("memory", "word", agreement="reconciliation")),
    ({"kind": "reduce_only_correct"}, NOTHING),
    ({"kind": "repeated_execution", "max_executions": 99, "window_s": 10}, MEMORY),
    ({"kind": "rogue_order"}, NOTHING),
    ({"kind": "self_match"}, MEMORY),
    ({"kind": "session_hours", "hours": ["08:00-18:00"], "zone": "UTC"}, NOTHING),
    ({"kind": "single_trade_risk", "max_risk": "9999"}, WORTH),
    ({"kind": "single_trade_risk", "max_pct": "90"}, EQUITY),
    ({"kind": "stop_required", "grace_s": 90}, MEMORY),
    ({"kind": "strategy_whitelist", "strategies": ["mm"]}, lacks(strategy="no_strategy")),
    ({"kind": "symbol_restricted", "deny": ["X"]}, NOTHING),
    ({"kind": "trade_management", "trail_pct": "1"}, NOTHING),
    ({"kind": "trade_frequency", "max_per_minute": 99}, MEMORY),
    ({"kind": "unknown_order_age", "max_age_s": 60}, MEMORY),
    ({"kind": "var_limit", "max_var": "9999"}, WORTH_OF_ALL | lacks("volatility")),
    ({"kind": "var_limit", "max_pct": "90"}, EQUITY | lacks("volatility")),
    ({"kind": "weekly_loss", "max_loss": "999"}, MADE),
    ({"kind": "weekly_loss", "max_pct": "9"}, MADE),
]  # fmt: skip
NEEDED = [(rule, one, needs[one]) for rule, needs in CASES for one in needs]
FOR_ALL = {"strategy_whitelist"}
"""What it lacks makes an order one that nobody may send, whatever it is for."""
BY_ALL = {"mark", "fresh mark"}
"""What the `fresh_data` that is always in force misses as well."""


def known(case: Any) -> str | None:
    return "-".join(map(str, case.values())) if isinstance(case, dict) else None


def said(decided: Any, rule: Rule) -> list[tuple[str, str]]:
    """What the rule has against the order."""
    return [
        (one.found.outcome, one.found.code)
        for one in decided.opinions
        if one.judge.kind == rule["kind"] and one.found.outcome not in ("pass", "warn")
    ]


def test_every_kind_is_in_the_table() -> None:
    assert {rule["kind"] for rule, _ in CASES} == set(get_args(RuleKind))
    assert {one for _, needs in CASES for one in needs} == set(INPUTS)


@pytest.mark.parametrize("rule", [rule for rule, _ in CASES], ids=known)
@pytest.mark.parametrize("side", ["buy", "sell"])
def test_with_all_that_it_needs_a_rule_says_nothing(
    new_desk: NewDesk, rule: Rule, side: str
) -> None:
    verdict = new_desk(rule, holds=10, holds_l=10).ask(side)
    assert (verdict.decision, verdict.code, verdict.risk_level) == ("allow", "ok", "info")


@pytest.mark.parametrize(("rule", "needs"), CASES, ids=known)
def test_without_what_it_does_not_need_it_says_nothing_either(
    new_desk: NewDesk, rule: Rule, needs: Needs
) -> None:
    for one in set(INPUTS) - set(needs):
        desk = new_desk(rule, holds=10, holds_l=10, without=one)
        assert said(desk.asked("buy"), rule) == [], one


@pytest.mark.parametrize(("rule", "missing", "code"), NEEDED, ids=known)
def test_without_what_it_needs_nothing_adds_risk(
    new_desk: NewDesk, rule: Rule, missing: str, code: str
) -> None:
    decided = new_desk(rule, holds=10, holds_l=10, without=missing).asked("buy")
    assert decided.verdict.decision == "block"
    assert decided.verdict.qty == decided.verdict.max_qty == 0
    assert code in [code for _, code in said(decided, rule)]
    if missing not in BY_ALL:
        assert (decided.verdict.rule, decided.verdict.code) == (rule["kind"], code)
        assert decided.verdict.missing or code != LACKS


@pytest.mark.parametrize(("rule", "missing", "code"), NEEDED, ids=known)
def test_what_only_reduces_passes_without_it_and_that_is_told(
    new_desk: NewDesk, rule: Rule, missing: str, code: str
) -> None:
    verdict = new_desk(rule, holds=10, holds_l=10, without=missing).ask("sell", 10)
    if rule["kind"] in FOR_ALL:
        assert (verdict.decision, verdict.code) == ("block", code)
        return
    assert (verdict.decision, verdict.qty) == ("allow", 10)
    assert verdict.risk_level == "warning"


@pytest.mark.parametrize(("rule", "missing", "code"), NEEDED, ids=known)
def test_one_more_than_closes_adds_risk(
    new_desk: NewDesk, rule: Rule, missing: str, code: str
) -> None:
    verdict = new_desk(rule, holds=10, holds_l=10, without=missing).ask("sell", 22)
    assert verdict.decision == "block", code


@pytest.mark.parametrize("rule", [rule for rule, _ in CASES], ids=known)
def test_a_rule_that_fails_stops_what_adds_risk_and_nothing_else(
    new_desk: NewDesk, monkeypatch: pytest.MonkeyPatch, rule: Rule
) -> None:
    def fails(_judge: object, _view: object) -> None:
        raise ZeroDivisionError("a bug")

    desk = new_desk(rule, holds=10, holds_l=10)
    failing = next(one for one in desk.limits.rules.judges if one.kind == rule["kind"])
    monkeypatch.setattr(type(failing), "judge", fails)
    verdict = desk.ask("buy")
    assert (verdict.decision, verdict.code, verdict.rule) == ("block", LACKS, rule["kind"])
    assert "a bug" in verdict.missing
    out = desk.ask("sell")
    assert (out.decision, out.risk_level) == ("allow", "warning")


def test_of_what_is_listed_no_more_one_can_only_get_out(new_desk: NewDesk) -> None:
    desk = new_desk(holds=10)
    desk.record(InstrumentDelisted(symbol="E"))
    added = desk.ask("buy")
    assert (added.decision, added.code, added.rule) == (
        "block", "symbol_delisted", "order_validity"
    )  # fmt: skip
    assert desk.ask("sell", 11).code == "symbol_delisted"
    assert desk.ask("sell", "0.5").code == "qty_off_lot"
    out = desk.send("sell", 10)
    assert (out.decision, out.risk_level) == ("allow", "warning")
    assert desk.ask("sell", 1).code == "symbol_delisted", "all of it is on its way out"


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_nothing_passes_in_what_is_not_listed(new_desk: NewDesk, side: str) -> None:
    verdict = new_desk(holds=10).ask(side, symbol="Q")
    assert (verdict.decision, verdict.code) == ("block", "unknown_symbol")
