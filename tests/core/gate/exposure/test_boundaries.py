"""Each rule's boundary: at the limit, one lot above it, and the largest quantity that passes."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

NewDesk = Callable[..., Any]  # the class of this fixture lives in conftest.py
Rule = dict[str, Any]

# A rule, what of L is held, what of M, and so much of L passes when bought, and when sold.
CASES: list[tuple[Rule, int, int, int, int]] = [
    ({"kind": "max_position", "max_qty": "20"}, 0, 0, 20, 20),
    ({"kind": "max_position", "max_qty": "20"}, 5, 0, 15, 25),
    ({"kind": "max_position", "max_long": "20", "max_short": "3"}, -2, 0, 22, 1),
    ({"kind": "max_position", "max_notional": "200"}, -5, 0, 25, 15),
    ({"kind": "max_position", "max_notional": "209.99"}, 0, 0, 20, 20),
    ({"kind": "max_position", "max_long_notional": "90", "max_qty": "10"}, 0, 0, 9, 10),
    ({"kind": "max_inventory", "max_qty": "7"}, 3, 0, 4, 10),
    ({"kind": "max_inventory", "max_qty": "7", "max_notional": "50"}, 3, 0, 2, 8),
    ({"kind": "max_contracts_per_instrument", "max_contracts": "7"}, -3, 9, 10, 4),
    ({"kind": "max_gross", "max_notional": "200"}, 0, 0, 20, 20),
    ({"kind": "max_gross", "max_notional": "200"}, 5, -10, 5, 15),
    ({"kind": "max_gross", "max_pct": "30"}, 0, 10, 20, 20),
    ({"kind": "max_gross", "max_notional": "1000", "max_pct": "30"}, 0, 10, 20, 20),
    ({"kind": "max_total_notional", "max_notional": "205"}, 0, 10, 10, 10),
    ({"kind": "max_net", "max_notional": "200"}, 0, 15, 5, 35),
    ({"kind": "max_net", "max_pct": "20"}, 0, -15, 35, 5),
    ({"kind": "max_contracts", "max_contracts": "30"}, 2, -20, 8, 12),
    ({"kind": "max_contracts", "max_contracts": "30", "basis": "net"}, 2, -20, 48, 12),
    ({"kind": "max_leverage", "max_leverage": "0.5"}, 0, 10, 40, 40),
    ({"kind": "max_leverage", "max_leverage": "3"}, 100, 0, 200, 400),
    ({"kind": "concentration", "max_pct": "25"}, 5, 100, 20, 30),
    ({"kind": "concentration", "max_pct": "1", "free_notional": "70"}, 0, 0, 7, 7),
    ({"kind": "concentration", "max_pct": "20", "basis": "gross"}, 0, 40, 10, 10),
    ({"kind": "concentration", "max_pct": "20", "basis": "gross", "free_notional": "60"}, 0, 1, 6,
     6),
    ({"kind": "margin", "margin_pct": "10"}, 0, 0, 1000, 1000),
    ({"kind": "margin", "margin_pct": "10", "margin_pct_of": {"M": "50"}, "max_used_pct": "50"},
     0, 40, 300, 300),
    ({"kind": "margin", "margin_pct_of": {"L": "10", "M": "50"}, "max_used_pct": "50"}, 0, -40,
     300, 300),
    # 1000 behind it: N (0.05 + 0.2 x 0.95) and N (0.05 + 0.2 x 1.05) are at most that.
    ({"kind": "liquidation_distance", "margin_pct": "5", "min_pct": "20"}, 0, 0, 416, 384),
    ({"kind": "liquidation_distance", "margin_pct": "0", "min_pct": "20"}, 10, 0, 490, 510),
    # 40 M tie up 100 of it
    ({"kind": "liquidation_distance", "margin_pct": "0", "margin_pct_of": {"M": "25"},
      "min_pct": "20"}, 0, 40, 450, 450),
    ({"kind": "single_trade_risk", "max_risk": "50", "slip_pct": "0"}, 0, 0, 5, 5),
    ({"kind": "single_trade_risk", "max_pct": "5", "slip_pct": "0"}, 4, 0, 5, 9),
    ({"kind": "single_trade_risk", "max_pct": "5", "slip_pct": "25"}, 0, 0, 4, 5),
]  # fmt: skip


def named(case: Any) -> str | None:
    return case["kind"] if isinstance(case, dict) else None


@pytest.mark.parametrize(("rule", "held", "of_m", "buys", "sells"), CASES, ids=named)
@pytest.mark.parametrize("side", ["buy", "sell"])
def test_a_limit_may_be_reached_and_not_passed(
    new_desk: NewDesk, rule: Rule, held: int, of_m: int, buys: int, sells: int, side: str
) -> None:
    desk = new_desk(rule)
    for qty, symbol in ((held, "L"), (of_m, "M")):
        if qty:
            desk.hold(qty, symbol)
    most = buys if side == "buy" else sells
    assert desk.ask(side, most).decision == "allow"
    assert desk.ask(side, most - 1 or 1).decision == "allow"
    more = desk.ask(side, most + 1)
    assert (more.decision, more.code, more.rule) == ("block", rule["kind"], rule["kind"])
    assert more.max_qty == most
    assert more.qty == 0


@pytest.mark.parametrize(("rule", "held", "of_m", "buys", "sells"), CASES, ids=named)
@pytest.mark.parametrize("side", ["buy", "sell"])
def test_what_is_scaled_down_gets_all_that_is_left(
    new_desk: NewDesk, rule: Rule, held: int, of_m: int, buys: int, sells: int, side: str
) -> None:
    desk = new_desk({**rule, "on_excess": "scale_down"})
    for qty, symbol in ((held, "L"), (of_m, "M")):
        if qty:
            desk.hold(qty, symbol)
    most = buys if side == "buy" else sells
    scaled = desk.send(side, most + 500)
    assert (scaled.decision, scaled.code, scaled.qty) == ("scale_down", rule["kind"], most)
    if rule["kind"] != "single_trade_risk":
        assert desk.ask(side, 1).decision == "block", "all of it is reserved"


@pytest.mark.parametrize("basis", ["net", "gross"])
def test_open_positions_are_counted_by_what_orders_could_open(
    new_desk: NewDesk, basis: str
) -> None:
    desk = new_desk({"kind": "max_open_positions", "max_positions": 2})
    desk.hold(3)
    order = desk.send("sell" if basis == "net" else "buy", 1, "M")
    assert order.decision == "allow"
    third = desk.ask("buy", 1, "E")
    assert (third.decision, third.code) == ("block", "max_open_positions")
    assert (third.limit, third.value, third.max_qty) == (2, 3, 0)
    assert desk.ask("buy", 9).decision == "allow", "it is open already"
    assert desk.ask("sell", 9, "M").decision == "allow"
    desk.book("cancel", id="o2")
    assert desk.ask("buy", 1, "E").decision == "allow"


def test_no_position_may_be_open_at_all(new_desk: NewDesk) -> None:
    desk = new_desk({"kind": "max_open_positions", "max_positions": 0})
    assert desk.ask("buy", 1).decision == "block"


@pytest.mark.parametrize(("stop", "most"), [("8", 25), ("9.5", 100), ("10", 5), ("12", 5)])
def test_the_risk_of_a_trade_is_down_to_its_stop_or_all_of_it(
    new_desk: NewDesk, stop: str, most: int
) -> None:
    desk = new_desk({"kind": "single_trade_risk", "max_risk": "50"})
    assert desk.ask("buy", most, price="10", stop_loss=stop).decision == "allow"
    assert desk.ask("buy", most + 1, price="10", stop_loss=stop).max_qty == most


@pytest.mark.parametrize(("stop", "most"), [("12", 25), ("10.5", 100), ("10", 5), ("8", 5)])
def test_the_stop_of_a_sale_is_above_it(new_desk: NewDesk, stop: str, most: int) -> None:
    desk = new_desk({"kind": "single_trade_risk", "max_risk": "50"})
    assert desk.ask("sell", most, price="10", stop_loss=stop).decision == "allow"
    assert desk.ask("sell", most + 1, price="10", stop_loss=stop).max_qty == most


def test_a_sale_far_below_the_mark_is_worth_the_mark(new_desk: NewDesk) -> None:
    desk = new_desk({"kind": "single_trade_risk", "max_risk": "50"})
    assert desk.ask("sell", 6, price="1").max_qty == 5


def test_an_inverse_trade_loses_coins(new_desk: NewDesk) -> None:
    desk = new_desk({"kind": "single_trade_risk", "max_risk": "50"})
    # One contract is 10 USD: a quarter of that from 100 down to 80, and a fifth up to 120.
    assert desk.ask("buy", 21, "I", price="100", stop_loss="80").max_qty == 20
    assert desk.ask("sell", 26, "I", price="100", stop_loss="120").max_qty == 25
    assert desk.ask("buy", 6, "I", price="100").max_qty == 5


@pytest.mark.parametrize(("side", "most"), [("buy", 320), ("sell", 400)])
def test_an_inverse_long_is_liquidated_sooner_for_its_coins_fall_too(
    new_desk: NewDesk, side: str, most: int
) -> None:
    desk = new_desk({"kind": "liquidation_distance", "margin_pct": "5", "min_pct": "20"})
    # N (0.05 + 0.2) is at most 1000 x 0.8, and at most 1000.
    assert desk.ask(side, most, "I").decision == "allow"
    assert desk.ask(side, most + 1, "I").max_qty == most


@pytest.mark.parametrize(("mark", "side"), [("10", "buy"), ("10", "sell"), ("-10", "buy"),
                                            ("-10", "sell")])  # fmt: skip
def test_the_distance_shown_is_the_one_at_which_equity_is_the_margin(
    new_desk: NewDesk, mark: str, side: str
) -> None:
    """Move the mark by it, and equity is what maintenance takes."""
    desk = new_desk({"kind": "liquidation_distance", "margin_pct": "5", "min_pct": "20"})
    desk.mark("L", mark)
    distance = desk.said(side, 150).value
    assert distance is not None
    sign, price = (1 if side == "buy" else -1), Decimal(mark)
    move = abs(price) * distance / 100
    equity = 1000 - 150 * move
    assert abs(equity - Decimal("0.05") * 150 * abs(price - sign * move)) < Decimal("1e-20")


def test_figures_are_in_the_words_of_the_limit(new_desk: NewDesk) -> None:
    leverage = new_desk({"kind": "max_leverage", "max_leverage": "2"}).ask("buy", 250)
    assert (leverage.limit, leverage.value, leverage.headroom) == (2, Decimal("2.5"), 2)
    part = new_desk({"kind": "concentration", "max_pct": "25"}).ask("buy", 50)
    assert (part.limit, part.value, part.headroom) == (25, 50, 0)
    far = new_desk({"kind": "liquidation_distance", "margin_pct": "0", "min_pct": "20"})
    verdict = far.ask("buy", 1000)
    assert (verdict.limit, verdict.value, verdict.headroom) == (20, 10, 0)
    gross = new_desk({"kind": "max_gross", "max_pct": "20"}).ask("buy", 50)
    assert (gross.limit, gross.value, gross.headroom) == (200, 500, 200)


@pytest.mark.parametrize(("qty", "level"), [(15, "info"), (16, "warning"), (20, "warning")])
def test_near_its_limit_a_rule_warns(new_desk: NewDesk, qty: int, level: str) -> None:
    desk = new_desk({"kind": "max_gross", "max_notional": "200"})
    verdict = desk.ask("buy", qty)
    assert (verdict.decision, verdict.risk_level) == ("allow", level)


def test_the_tighter_of_two_limits_of_one_rule_says_how_much_is_left(new_desk: NewDesk) -> None:
    desk = new_desk(
        {"kind": "max_position", "max_qty": "10", "max_notional": "50", "on_excess": "scale_down"}
    )
    assert desk.ask("buy", 20).qty == 5
    desk.mark("L", "1")
    assert desk.ask("buy", 20).qty == 10


def test_an_order_on_the_narrower_side_leaves_the_exposure_as_it_is(new_desk: NewDesk) -> None:
    desk = new_desk({"kind": "max_gross", "max_notional": "200"})
    desk.hold(-10)
    found = desk.said("buy", 5)
    assert (found.outcome, found.value, found.headroom) == ("pass", 100, 100)
