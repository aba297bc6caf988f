"""Each rule at its limit, one step below it and one above, the step being the smallest there is."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any, get_args

import pytest
from riskd.actors.messages import Verdict
from riskd.config.schema.rules.kinds import RuleKind

NewDesk = Callable[..., Any]  # the class of this fixture lives in conftest.py
Desk = Any
Scene = Callable[[Desk, int], Verdict]
"""What is done and asked, so many steps above the limit."""
Rule = dict[str, Any]
CENT = Decimal("0.01")
MILLISECOND = 0.001
MICROSECOND = timedelta(microseconds=1)

ABOVE = "pass pass block"
"""It may be reached."""
REACHED = "pass block block"
"""Whatever reaches it has broken it."""
BELOW = "block pass pass"
"""It is the least that there must be."""


def buying(qty: int, **more: Any) -> Scene:
    return lambda desk, step: desk.ask("buy", qty + step, **more)


def losing(symbol: str, way: int = -1) -> Scene:
    """1,000 and so many dollars, by the mark of what is held."""

    def scene(desk: Desk, step: int) -> Verdict:
        desk.trade("L", 100, 100)
        desk.mark(100 + way * (10 + step * CENT), "L")
        return desk.ask("buy", symbol=symbol)

    return scene


def realised(desk: Desk, step: int) -> Verdict:
    desk.trade("L", 100, 100)
    desk.trade("L", -100, 90 - step * CENT)
    return desk.ask()


def sent(before: int) -> Scene:
    """So many orders before this one, which all still work."""

    def scene(desk: Desk, step: int) -> Verdict:
        for number in range(before + step):
            assert desk.send("buy", price=50 + number).decision == "allow"
        return desk.ask()

    return scene


def repeated(desk: Desk, step: int) -> Verdict:
    for _ in range(2 + step):
        assert desk.send("buy", price=100).decision == "allow"
    return desk.ask("buy", price="100.0")


def rejected(desk: Desk, step: int) -> Verdict:
    for _ in range(3 + step):
        desk.send()
        desk.tell("reject", id=f"o{desk.orders}")
    return desk.ask()


def executed(desk: Desk, step: int) -> Verdict:
    for _ in range(3 + step):
        desk.send()
        desk.fill()
    return desk.ask()


def lost(desk: Desk, step: int) -> Verdict:
    for _ in range(3 + step):
        desk.trade("L", 1, 100)
        desk.trade("L", -1, 99)
    return desk.ask()


def cooled(desk: Desk, step: int) -> Verdict:
    lost(desk, -2)
    desk.at += timedelta(seconds=90) + step * MICROSECOND
    desk.quote()
    return desk.ask()


def opened(desk: Desk, step: int) -> Verdict:
    for symbol in "AB"[: 1 + step]:
        said = {"symbol": symbol, "kind": "linear", "multiplier": 1}
        desk.list(**said, quote="USD", settle="USD")
        desk.mark(100, symbol)
        desk.trade(symbol, 1, 100)
    return desk.ask()


def silent(seconds: int) -> Scene:
    def scene(desk: Desk, step: int) -> Verdict:
        desk.passes(seconds + step * MILLISECOND)
        return desk.ask()

    return scene


def unanswered(desk: Desk, step: int) -> Verdict:
    desk.send()
    desk.tell("timeout", id=f"o{desk.orders}")
    desk.passes(90 + step * MILLISECOND)
    desk.quote()
    return desk.ask()


def rogue(desk: Desk, step: int) -> Verdict:
    for _ in range(step):
        desk.fill(order=None)
    return desk.ask()


def unasked(desk: Desk, step: int) -> Verdict:
    desk.tell("order", id="x", symbol="E", side="buy", qty="1")
    return silent(30)(desk, step)


def bare(desk: Desk, step: int) -> Verdict:
    desk.trade("E", 1, 100)
    return silent(30)(desk, step)


def adopted(desk: Desk, step: int) -> Verdict:
    desk.trade("E", 10, 100)
    as_of = desk.at.isoformat()
    desk.tell("snapshot", symbol="E", qty=str(7 - step), avg_price="100", as_of=as_of)
    return desk.ask()


def crossing(desk: Desk, step: int) -> Verdict:
    desk.send("sell", price=101)
    return desk.ask("buy", price=101 + step)


def at(hour: int) -> Scene:
    def scene(desk: Desk, step: int) -> Verdict:
        desk.at = desk.at.replace(hour=hour) + step * MICROSECOND
        desk.quote()
        return desk.ask()

    return scene


def reported(desk: Desk, step: int) -> Verdict:
    desk.edge(1 + step * CENT)
    return desk.ask()


def listed(**limits: Any) -> Scene:
    """Of 10, by what the instrument allows."""

    def scene(desk: Desk, step: int) -> Verdict:
        said = {"symbol": "A", "kind": "linear", "multiplier": 1, **limits}
        desk.list(**said, quote="USD", settle="USD")
        desk.mark(100, "A")
        return desk.ask("buy", 10 + step, symbol="A", price=100)

    return scene


def reducing(desk: Desk, step: int) -> Verdict:
    desk.hold("E", 10)
    return desk.ask("sell", 10 + step, reduce_only=True)


def one_of(field: str, *values: str) -> Scene:
    """Two that are listed, and one that is not."""
    return lambda desk, step: desk.ask(
        "buy", price=100, stop_price=100, **{field: values[1 + step]}
    )


# A rule, what happens when it is that near, and what asks for that much. E is worth 200 each, and
# the account 100,000.
CASES: list[tuple[Rule, str, Scene]] = [
    ({"kind": "auth_loss", "max_age_s": 30}, ABOVE, silent(30)),
    ({"kind": "concentration", "max_pct": "25"}, ABOVE, buying(125)),
    ({"kind": "consecutive_losses", "max_losses": 3}, REACHED, lost),
    ({"kind": "consecutive_rejects", "max_rejects": 3}, REACHED, rejected),
    ({"kind": "cooldown_after_loss", "lockout_s": 90}, BELOW, cooled),
    ({"kind": "daily_loss", "max_loss": "1000"}, REACHED, losing("E")),
    ({"kind": "daily_loss", "max_pct": "1"}, REACHED, losing("E")),
    ({"kind": "daily_loss", "max_loss": "1000", "by": "realized"}, REACHED, realised),
    ({"kind": "daily_profit", "target": "1000"}, REACHED, losing("E", way=1)),
    ({"kind": "daily_realized_loss", "max_loss": "1000"}, REACHED, realised),
    ({"kind": "daily_turnover", "max_notional": "20000"}, ABOVE, buying(100)),
    ({"kind": "daily_unrealized_loss", "max_loss": "1000"}, REACHED, losing("L")),
    ({"kind": "drawdown", "max_drawdown": "1000"}, REACHED, losing("E")),
    ({"kind": "drawdown", "max_pct": "1"}, REACHED, losing("E")),
    ({"kind": "duplicate_order", "within_s": 5, "max_orders": 3}, ABOVE, repeated),
    ({"kind": "edge_floor", "min_bps": "1", "scope": "strategy:mm"}, BELOW, reported),
    # 20,000 that move by 1 % a day, times how far out the tail begins and how far it is on average.
    ({"kind": "es_limit", "max_es": "533.042846"}, ABOVE, buying(100)),
    ({"kind": "feed_silence", "max_age_s": 30}, ABOVE, silent(30)),
    ({"kind": "fresh_data", "max_mark_age_s": 30}, ABOVE, silent(30)),
    ({"kind": "fresh_data", "max_equity_age_s": 30}, ABOVE, silent(30)),
    ({"kind": "liquidation_distance", "margin_pct": "0", "min_pct": "20"}, ABOVE, buying(2_500)),
    ({"kind": "margin", "margin_pct": "10"}, ABOVE, buying(5_000)),
    ({"kind": "max_contracts", "max_contracts": "30"}, ABOVE, buying(30)),
    ({"kind": "max_contracts_per_instrument", "max_contracts": "30"}, ABOVE, buying(30)),
    ({"kind": "max_gross", "max_notional": "20000"}, ABOVE, buying(100)),
    ({"kind": "max_gross", "max_pct": "20"}, ABOVE, buying(100)),
    ({"kind": "max_inventory", "max_qty": "30"}, ABOVE, buying(30)),
    ({"kind": "max_leverage", "max_leverage": "2"}, ABOVE, buying(1_000)),
    ({"kind": "max_net", "max_notional": "20000"}, ABOVE, buying(100)),
    ({"kind": "max_open_positions", "max_positions": 2}, ABOVE, opened),
    ({"kind": "max_order_notional", "max_notional": "20000"}, ABOVE, buying(100, price=100)),
    ({"kind": "max_order_qty", "max_qty": "30"}, ABOVE, buying(30)),
    ({"kind": "max_position", "max_qty": "30"}, ABOVE, buying(30)),
    ({"kind": "max_position", "max_notional": "20000"}, ABOVE, buying(100)),
    ({"kind": "max_total_notional", "max_notional": "20000"}, ABOVE, buying(100)),
    ({"kind": "max_unrealized_profit", "max_profit": "1000"}, REACHED, losing("L", way=1)),
    ({"kind": "max_working_orders", "max_orders": 3}, ABOVE, sent(2)),
    ({"kind": "message_rate", "max_submits": 3, "window_s": 10}, ABOVE, sent(2)),
    ({"kind": "order_to_fill", "max_ratio": "3", "min_orders": 1, "window_s": 10}, ABOVE, sent(2)),
    ({"kind": "order_types", "allow": ["limit", "stop"]}, ABOVE,
     one_of("order_type", "limit", "stop", "stop_limit")),
    ({"kind": "order_validity"}, ABOVE, listed(max_qty=10)),
    ({"kind": "order_validity"}, BELOW, listed(min_qty=10)),
    ({"kind": "order_validity"}, BELOW, listed(min_notional=1_000)),
    ({"kind": "orphan_order", "grace_s": 30, "action": "block"}, ABOVE, unasked),
    ({"kind": "position_loss", "max_loss": "1000"}, REACHED, losing("L")),
    ({"kind": "position_loss", "max_pct": "10"}, REACHED, losing("L")),
    ({"kind": "price_collar", "max_pct": "10"}, ABOVE,
     lambda desk, step: desk.ask(price=110 + step)),
    ({"kind": "price_collar", "max_pct": "10"}, BELOW,
     lambda desk, step: desk.ask(price=90 + step)),
    ({"kind": "reconciliation", "max_qty": "3"}, ABOVE, adopted),
    ({"kind": "reduce_only_correct"}, ABOVE, reducing),
    ({"kind": "repeated_execution", "max_executions": 3, "window_s": 10}, REACHED, executed),
    ({"kind": "rogue_order"}, ABOVE, rogue),
    ({"kind": "self_match"}, REACHED, crossing),
    ({"kind": "session_hours", "hours": ["08:00-18:00"], "zone": "UTC"}, BELOW, at(8)),
    ({"kind": "session_hours", "hours": ["08:00-18:00"], "zone": "UTC"}, REACHED, at(18)),
    ({"kind": "single_trade_risk", "max_risk": "20000", "slip_pct": "0"}, ABOVE, buying(100)),
    ({"kind": "stop_required", "grace_s": 30}, ABOVE, bare),
    ({"kind": "strategy_whitelist", "strategies": ["mm", "arb"]}, ABOVE,
     one_of("strategy", "mm", "arb", "mn")),
    ({"kind": "symbol_restricted", "allow": ["E", "F"], "deny": ["F"]}, ABOVE,
     one_of("symbol", "E", "E", "L")),
    ({"kind": "trade_management", "trail_pct": "1"}, "pass pass pass", buying(2)),
    ({"kind": "trade_frequency", "max_per_minute": 3, "counts": "orders"}, ABOVE, sent(2)),
    ({"kind": "unknown_order_age", "max_age_s": 90}, ABOVE, unanswered),
    ({"kind": "var_limit", "max_var": "465.269576"}, ABOVE, buying(100)),
    ({"kind": "weekly_loss", "max_loss": "1000"}, REACHED, losing("E")),
    ({"kind": "weekly_loss", "max_pct": "1"}, REACHED, losing("E")),
]  # fmt: skip


def test_every_kind_is_in_the_table() -> None:
    assert {rule["kind"] for rule, *_ in CASES} == set(get_args(RuleKind))


@pytest.mark.parametrize(
    ("rule", "edge", "scene"),
    CASES,
    ids=lambda case: "-".join(map(str, case.values())) if isinstance(case, dict) else "",
)
@pytest.mark.parametrize("step", [-1, 0, 1])
def test_a_limit_is_exactly_where_it_is(
    new_desk: NewDesk, rule: Rule, edge: str, scene: Scene, step: int
) -> None:
    verdict = scene(new_desk(rule), step)
    if edge.split()[1 + step] == "pass":
        assert (verdict.decision, verdict.code) == ("allow", "ok")
    else:
        assert (verdict.decision, verdict.rule) == ("block", rule["kind"])
        assert verdict.qty == 0
