"""What an answer says would pass is all that would: no more passes, and no less is said."""

from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NewDesk = Callable[..., Any]
Rule = Mapping[str, Any]
MONEY = st.sampled_from(["37", "95", "100", "250"])
PCT = st.sampled_from(["3", "10", "25"])
SCOPES = st.sampled_from(["all", "account:main", "exchange:sim", "symbol:L"])
LEAST_MOST = 40
"""Lots that are tried."""


def kind(name: str, **keys: st.SearchStrategy[Any]) -> st.SearchStrategy[Rule]:
    on_excess = st.sampled_from([None, "block", "scale_down"])
    return st.fixed_dictionaries(
        {"kind": st.just(name), "scope": SCOPES, "on_excess": on_excess, **keys}
    )


def only_blocks(name: str, **keys: st.SearchStrategy[Any]) -> st.SearchStrategy[Rule]:
    return st.fixed_dictionaries({"kind": st.just(name), "scope": SCOPES, **keys})


RULES = st.one_of(
    kind("max_order_qty", max_qty=MONEY),
    kind("max_order_notional", max_notional=MONEY, slip_pct=st.sampled_from(["0", "7"])),
    kind("max_position", max_qty=st.sampled_from(["0", "3", "11"])),
    kind("max_position", max_notional=MONEY),
    kind("max_position", max_long=st.just("5"), max_short=st.just("0")),
    kind("max_inventory", max_qty=st.sampled_from(["3", "11"])),
    kind("max_contracts_per_instrument", max_contracts=st.sampled_from(["3", "11"])),
    kind("max_gross", max_notional=MONEY),
    kind("max_gross", max_notional=MONEY, max_pct=PCT),
    kind("max_total_notional", max_notional=MONEY),
    kind("max_net", max_notional=MONEY),
    kind("max_net", max_pct=PCT),
    kind("max_contracts", max_contracts=st.sampled_from(["3", "11"]),
         basis=st.sampled_from(["net", "gross"])),
    kind("max_leverage", max_leverage=st.sampled_from(["0.03", "0.1", "0.25"])),
    kind("max_open_positions", max_positions=st.integers(1, 2)),
    kind("concentration", max_pct=PCT, basis=st.sampled_from(["equity", "gross"]),
         free_notional=st.sampled_from(["0", "55"])),
    kind("margin", margin_pct=st.just("10"), max_used_pct=st.sampled_from(["0.5", "2"])),
    kind("liquidation_distance", margin_pct=st.just("900"), min_pct=st.sampled_from(["20", "95"])),
    kind("single_trade_risk", max_risk=MONEY),
    kind("reduce_only_correct", scope=st.just("all")),
    only_blocks("daily_loss", max_loss=st.just("7")),
    only_blocks("drawdown", max_drawdown=st.just("7")),
)  # fmt: skip
HELD = st.fixed_dictionaries(
    {
        "L": st.integers(-15, 15),
        "M": st.integers(-8, 8),
        "other": st.integers(-8, 8),
        "buys": st.integers(0, 9),
        "sells": st.integers(0, 9),
        "mark": st.sampled_from(["10", "9.3", "0.7"]),
        "has_mark_of_m": st.booleans(),
    }
)
ORDER = st.fixed_dictionaries(
    {"reduce_only": st.booleans()},
    optional={
        "price": st.sampled_from(["8", "10", "12.5"]),
        "stop_loss": st.sampled_from(["6", "14"]),
    },
)


def book(new_desk: NewDesk, rules: list[Rule], held: Mapping[str, Any], on_excess: str) -> Any:
    named = [{**rule, "name": f"r{number}"} for number, rule in enumerate(rules)]
    said = [{key: one for key, one in rule.items() if one is not None} for rule in named]
    desk = new_desk(*said, on_excess=on_excess, marks={"L": "10"})
    if held["has_mark_of_m"]:
        desk.mark("M", "2")
    for symbol, account in (("L", "main"), ("M", "main")):
        if held[symbol]:
            desk.hold(held[symbol], symbol, account=account)
    if held["other"]:
        desk.hold(held["other"], "L", account="other")
    for side in ("buy", "sell"):
        if held[f"{side}s"]:
            desk.book("order", id=side, symbol="L", side=side, qty=str(held[f"{side}s"]))
    desk.mark("L", held["mark"])
    return desk


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rules=st.lists(RULES, min_size=1, max_size=4),
    held=HELD,
    side=st.sampled_from(["buy", "sell"]),
    more=ORDER,
    qty=st.integers(1, LEAST_MOST),
    on_excess=st.sampled_from(["block", "scale_down"]),
)
def test_it_is_the_largest_on_whole_lots_that_all_rules_let_pass(
    new_desk: NewDesk,
    rules: list[Rule],
    held: Mapping[str, Any],
    side: str,
    more: Mapping[str, Any],
    qty: int,
    on_excess: str,
) -> None:
    desk = book(new_desk, rules, held, on_excess)
    passing = [one for one in range(1, qty + 1) if desk.ask(side, one, **more).qty == one]
    verdict = desk.ask(side, qty, **more)
    assert verdict.max_qty == max(passing, default=0)
    assert verdict.qty in (0, verdict.max_qty)
