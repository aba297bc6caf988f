"""An order lies on its instrument's grid, and is worth at least so much."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.config.schema.rules import MaxOrderNotional, MaxOrderQty

Desk = Callable[..., Any]
GRID = {"tick": "0.5", "lot": "0.1", "min_qty": "0.2", "max_qty": "10", "min_notional": "30"}


def grid(desk: Desk, **more: Any) -> Any:
    at = desk()
    at.list("G", **{**GRID, **more})
    at.mark("100", "G")
    return at


ANY = {"allows_negative": True}


@pytest.mark.parametrize(
    ("qty", "code"),
    [
        ("0.1", "qty_below_min"),
        ("0.2", "notional_below_min"),
        ("0.3", "ok"),
        ("0.25", "qty_off_lot"),
        ("10", "ok"),
        ("10.1", "qty_above_max"),
    ],
)
def test_a_quantity_is_on_the_lot_and_within_both_bounds(desk: Desk, qty: str, code: str) -> None:
    assert grid(desk).code(qty=qty, symbol="G") == code


def test_above_the_maximum_the_answer_names_it(desk: Desk) -> None:
    assert grid(desk).ask(qty="11", symbol="G").max_qty == 10


@pytest.mark.parametrize("field", ["price", "stop_price", "stop_loss"])
@pytest.mark.parametrize(("price", "code"), [("100.5", "ok"), ("100.4", "price_off_tick")])
def test_every_price_is_on_the_tick(desk: Desk, field: str, price: str, code: str) -> None:
    assert grid(desk).code(symbol="G", **{field: price}) == code


@pytest.mark.parametrize(
    ("kind", "price", "code"),
    [
        ("linear", "-40", "ok"),
        ("linear", "-20", "notional_below_min"),
        ("bounded", "-40", "price_not_positive"),
        ("bounded", "0", "price_not_positive"),
        ("spot", "-40", "price_not_positive"),
        ("spot", "0", "price_not_positive"),
        ("inverse", "-40", "price_not_positive"),
        ("inverse", "0.5", "ok"),
    ],
)
def test_only_a_contract_that_is_listed_so_has_a_price_below_nothing(
    desk: Desk, kind: str, price: str, code: str
) -> None:
    more: Any = {"linear": ANY, "bounded": {}}.get(kind, {"base": "G"})
    kind = "linear" if kind == "bounded" else kind
    settle = {"settle": "G", "multiplier": "30"} if kind == "inverse" else {}
    assert grid(desk, kind=kind, **more, **settle).code(symbol="G", price=price) == code


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"price": "29.5"}, "notional_below_min"),
        ({"price": "30"}, "ok"),
        ({"stop_price": "29.5", "order_type": "stop"}, "notional_below_min"),
        ({"stop_price": "0", "order_type": "stop"}, "notional_below_min"),
        ({"stop_price": "500", "price": "29.5", "order_type": "stop_limit"}, "notional_below_min"),
        ({"price": "29.5", "order_type": "market"}, "ok"),
        ({}, "ok"),
    ],
)
def test_what_it_is_worth_goes_by_the_price_that_binds_it(desk: Desk, more: Any, code: str) -> None:
    assert grid(desk, **ANY).code(symbol="G", **more) == code


def test_what_closes_all_that_is_left_may_be_below_the_minimums(desk: Desk) -> None:
    at = grid(desk)
    at.hold("0.1", "G")
    assert at.code("sell", "0.1", symbol="G") == "ok"
    assert at.code("buy", "0.1", symbol="G") == "qty_below_min"


def test_a_part_of_what_is_left_may_not(desk: Desk) -> None:
    at = grid(desk)
    at.hold("0.3", "G")
    assert at.code("sell", "0.1", symbol="G") == "qty_below_min"
    assert at.code("sell", "0.2", symbol="G") == "notional_below_min"
    assert at.code("sell", "0.3", symbol="G") == "ok"


def test_what_is_being_closed_is_not_closed_twice(desk: Desk) -> None:
    at = grid(desk)
    at.hold("0.4", "G")
    assert at.send("sell", "0.3", symbol="G").code == "ok"
    assert at.code("sell", "0.1", symbol="G") == "ok"
    assert at.send("sell", "0.1", symbol="G").code == "ok"
    assert at.code("sell", "0.1", symbol="G") == "qty_below_min"


@pytest.mark.parametrize("said", ["nan", "inf", "-1", "0", "1e31", "one", ""])
def test_no_quantity_passes_that_is_no_number_above_nothing(desk: Desk, said: str) -> None:
    assert grid(desk).ask(qty=said, symbol="G").decision == "block"


def test_what_it_would_be_worth_without_a_mark_is_not_known(desk: Desk) -> None:
    at = desk()
    at.list("N", min_notional="5")
    opinions = at.decided(at.order(symbol="N"), explains=True).opinions
    (found,) = [one.found for one in opinions if one.judge.kind == "order_validity"]
    assert (found.outcome, found.missing) == ("unknown", "mark of N")


# --- max_order_qty, max_order_notional ------------------------------------------------------------


@pytest.mark.parametrize(("qty", "decision"), [("1.9", "allow"), ("2", "allow"), ("2.1", "block")])
def test_a_quantity_may_be_the_limit_and_no_more(desk: Desk, qty: str, decision: str) -> None:
    verdict = desk(MaxOrderQty(max_qty=Decimal(2))).ask(qty=qty)
    assert verdict.decision == decision
    assert decision == "allow" or (verdict.code, verdict.max_qty) == ("max_order_qty", 2)


@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize(
    ("mark", "more", "each"),
    [
        ("100", {"price": "100"}, 100),
        ("100", {"price": "50"}, 100),
        ("100", {"price": "250"}, 250),
        ("100", {}, 110),
        ("100", {"price": "100", "order_type": "market"}, 110),
        ("100", {"stop_price": "200", "order_type": "stop"}, 220),
        ("100", {"stop_price": "50", "order_type": "stop"}, 110),
        ("100", {"stop_price": "200", "price": "210", "order_type": "stop_limit"}, 210),
        ("100", {"stop_price": "200", "price": "90", "order_type": "stop_limit"}, 200),
        ("-100", {"price": "-20"}, 100),
        ("-100", {"price": "-250"}, 250),
        ("-100", {"price": "250"}, 250),
        ("-100", {}, 110),
        ("0", {"price": "50"}, 50),
        ("0", {"price": "0"}, 0),
    ],
)
def test_an_order_is_worth_the_most_of_all_its_prices(
    desk: Desk, side: str, mark: str, more: Any, each: int
) -> None:
    at = desk(MaxOrderNotional(max_notional=Decimal(1_000_000), slip_pct=Decimal(10)), mark=mark)
    assert at.said("max_order_notional", side, "3", **more).value == 3 * each


@pytest.mark.parametrize(
    ("qty", "decision"), [("9.9", "allow"), ("10", "allow"), ("10.1", "block")]
)
def test_what_it_is_worth_may_be_the_limit_and_no_more(desk: Desk, qty: str, decision: str) -> None:
    at = desk(MaxOrderNotional(max_notional=Decimal(1_000)))
    verdict = at.ask(qty=qty, price="100")
    assert verdict.decision == decision
    assert decision == "allow" or (verdict.code, verdict.max_qty) == ("max_order_notional", 10)


def test_an_inverse_contract_is_worth_the_same_at_any_price(desk: Desk) -> None:
    at = desk(MaxOrderNotional(max_notional=Decimal(1_000)))
    at.list("I", kind="inverse", multiplier="100", settle="BTC", base="BTC")
    at.tell("fx", None, ccy="BTC", rate="50000")
    at.mark("50000", "I")
    for more in ({}, {"price": "1"}, {"price": "900000"}):
        assert at.said("max_order_notional", "buy", "7", symbol="I", **more).value == 700


def test_without_a_rate_it_is_not_known(desk: Desk) -> None:
    at = desk(MaxOrderNotional(max_notional=Decimal(1_000)))
    at.list("E", quote="EUR", settle="EUR")
    at.mark("100", "E")
    verdict = at.ask(symbol="E")
    assert (verdict.code, verdict.missing) == ("not_evaluable", "mark or rate of E")
    at.hold("1", "E")
    assert at.ask("sell", symbol="E").decision == "allow"


@given(
    mark=st.decimals("-1000", "1000", places=2),
    price=st.decimals("-1000", "1000", places=2),
    kind=st.sampled_from(["limit", "market", "stop", "stop_limit"]),
)
def test_nothing_of_what_an_order_names_makes_it_worth_less_than_at_the_mark(
    desk: Desk, mark: Any, price: Any, kind: str
) -> None:
    at = desk(MaxOrderNotional(max_notional=Decimal(10**9), slip_pct=Decimal(0)), mark=str(mark))
    said = {"price": str(price), "stop_price": str(price), "order_type": kind}
    found = at.said("max_order_notional", "buy", "1", **said)
    assert found.value == max(abs(mark), abs(price))
