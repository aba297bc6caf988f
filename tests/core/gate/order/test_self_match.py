"""An order does not trade with another one of the same owner."""

import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core.gate.rules import self_match
from riskd.config.schema.rules import SelfMatch

Desk = Callable[..., Any]


@pytest.mark.parametrize(
    ("rests", "side", "price", "code"),
    [
        ("sell", "buy", "100.9", "ok"),
        ("sell", "buy", "101", "self_match"),
        ("sell", "buy", "101.1", "self_match"),
        ("sell", "buy", None, "self_match"),
        ("sell", "sell", "101", "ok"),
        ("buy", "sell", "101.1", "ok"),
        ("buy", "sell", "101", "self_match"),
        ("buy", "sell", "100.9", "self_match"),
        ("buy", "sell", None, "self_match"),
        ("buy", "buy", "101", "ok"),
    ],
)
def test_an_order_may_come_near_its_own_other_side_and_not_reach_it(
    desk: Desk, rests: str, side: str, price: str | None, code: str
) -> None:
    at = desk(SelfMatch())
    at.send(rests, price="101")
    verdict = at.ask(side, price=price)
    assert verdict.code == code
    assert code == "ok" or verdict.limit == 101


def test_it_goes_by_the_best_of_them(desk: Desk) -> None:
    at = desk(SelfMatch())
    for price in ("105", "103", "104"):
        at.send("sell", price=price)
    assert at.code("buy", price="102") == "ok"
    assert at.ask("buy", price="104").limit == 103
    at.tell("cancel", id="o2")
    assert at.code("buy", price="103") == "ok"
    assert at.ask("buy", price="104").limit == 104


@pytest.mark.parametrize("how", ["cancel", "reject", "expire", "fill", "amend"])
def test_what_is_gone_is_met_by_nobody(desk: Desk, how: str) -> None:
    at = desk(SelfMatch())
    at.send("sell", "2", price="101")
    if how == "fill":
        at.fill("1", side="sell", order="o1")
        assert at.code("buy", qty="5", price="101") == "self_match"
        at.fill("1", side="sell", order="o1")
    elif how == "amend":
        at.fill("1", side="sell")
        at.tell("amend", id="o1", qty="1")
    else:
        at.tell(how, id="o1")
    assert at.code("buy", qty="5", price="101") == "ok"
    assert not at.limits.memories["self_match@all"].orders


def test_what_may_wait_at_either_of_two_prices_is_met_at_both(desk: Desk) -> None:
    at = desk(SelfMatch())
    at.send("sell", price="101")
    assert at.amend("o1", "sell", price="103").decision == "allow"
    assert at.code("buy", price="101") == "self_match"
    at.tell("amend", id="o1", qty="1")
    assert at.code("buy", price="101") == "ok"
    assert at.ask("buy", price="103").limit == 103
    at.amend("o1", "sell", price="102")
    assert at.ask("buy", price="102").limit == 102


def test_a_change_does_not_meet_the_other_side_either(desk: Desk) -> None:
    at = desk(SelfMatch())
    at.send("sell", price="101")
    at.send("buy", price="99")
    assert at.amend("o2", price="101").code == "self_match"
    assert at.amend("o2", price="100").decision == "allow"


def test_what_a_correction_has_filled_is_met_by_nobody(desk: Desk) -> None:
    at = desk(SelfMatch())
    at.send("sell", "2", price="101")
    at.fill("1", side="sell")
    at.tell("correct", id="f1", symbol="BTC", qty="2", price="101", order="o1")
    assert at.code("buy", qty="5", price="101") == "ok"


def test_asking_for_its_end_ends_nothing(desk: Desk) -> None:
    at = desk(SelfMatch())
    at.send("sell", price="101")
    at.tell("cancel_request", id="o1")
    assert at.code("buy", price="101") == "self_match"


def test_getting_out_passes_and_that_is_told(desk: Desk) -> None:
    at = desk(SelfMatch())
    at.hold("3")
    at.send("buy", price="99")
    verdict = at.ask("sell", "3")
    assert (verdict.decision, verdict.risk_level) == ("allow", "warning")
    assert at.code("sell", "3.1") == "self_match"


def test_stops_are_left_out_of_it(desk: Desk) -> None:
    at = desk(SelfMatch())
    at.send("buy", stop_price="105", order_type="stop")
    at.send("buy", stop_price="105", price="106", order_type="stop_limit")
    assert at.code("sell", price="101") == "ok"
    at.send("sell", price="101")
    assert at.code("buy", stop_price="105", order_type="stop") == "ok"


def test_accounts_of_one_venue_meet_and_others_do_not(desk: Desk) -> None:
    at = desk(SelfMatch())
    at.open("far", "else")
    at.open("alone")
    at.open("single")
    at.mark("100")
    at.send("sell", price="101")
    assert at.code("buy", account="other", price="101") == "self_match"
    assert at.code("buy", account="far", price="101") == "ok"
    at.send("sell", price="101", account="alone")
    assert at.code("buy", account="alone", price="101") == "self_match"
    assert at.code("buy", account="single", price="101") == "ok"


def test_it_looks_at_its_own_scope(desk: Desk) -> None:
    at = desk(SelfMatch(scope="account:main"), SelfMatch(scope="strategy:mm"))
    at.send("sell", price="101", account="other", strategy="mm")
    assert at.code("buy", price="101") == "ok"
    assert at.code("buy", price="101", strategy="arb") == "ok"
    assert at.ask("buy", price="101", strategy="mm").scope == "strategy:mm"


def test_another_symbol_is_not_met(desk: Desk) -> None:
    at = desk(SelfMatch())
    at.list("ETH")
    at.mark("100", "ETH")
    at.send("sell", price="101")
    assert at.code("buy", price="101", symbol="ETH") == "ok"


@pytest.mark.parametrize("more", [{"price": "50"}, {}])
def test_an_order_that_came_another_way_has_a_price_that_nobody_knows(
    desk: Desk, more: Any
) -> None:
    at = desk(SelfMatch())
    at.hold("2")
    at.tell("order", id="x", symbol="BTC", side="sell", qty="1")
    verdict = at.ask("buy", **more)
    assert verdict.code == "not_evaluable"
    assert verdict.missing == "prices of all open orders of main in BTC"
    assert at.code("sell", "1", price="101") == "ok"
    assert at.code("buy", account="other", price="50") == "not_evaluable"
    at.tell("cancel", id="x")
    assert at.code("buy", **more) == "ok"


def test_at_another_venue_it_has_one_that_nobody_asks_for(desk: Desk) -> None:
    at = desk(SelfMatch())
    at.open("far", "else")
    at.tell("order", "far", id="x", symbol="BTC", side="sell", qty="1")
    assert at.code("buy", price="101") == "ok"


def test_so_has_one_from_before_the_rule(desk: Desk) -> None:
    at = desk()
    at.send("sell", price="101")
    at.rule(SelfMatch())
    assert at.code("buy", price="50") == "not_evaluable"
    at.send("sell", price="102")
    assert at.code("buy", price="50") == "not_evaluable"
    at.tell("expire", id="o1")
    assert at.code("buy", price="101") == "ok"
    assert at.code("buy", price="102") == "self_match"


def test_a_bust_opens_an_order_whose_price_is_forgotten(desk: Desk) -> None:
    at = desk(SelfMatch())
    at.send("sell", price="101")
    at.fill("1", side="sell")
    at.tell("bust", id="f1", symbol="BTC", order="o1")
    assert at.code("buy", price="50") == "not_evaluable"


def test_of_more_than_can_be_kept_the_price_is_not_known(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(self_match, "ORDERS_MAX", 2)
    at = desk(SelfMatch())
    for price in ("101", "102", "103"):
        at.send("sell", price=price)
    assert at.code("buy", price="50") == "not_evaluable"


def test_a_restart_forgets_nothing_and_a_person_may(desk: Desk) -> None:
    one = SelfMatch()
    at = desk(one)
    at.send("sell", price="101")
    at.restart()
    assert at.code("buy", price="101") == "self_match"
    assert at.code("buy", price="100") == "ok"
    at.rearm(SelfMatch(name="another"))
    assert at.code("buy", price="101") == "self_match"
    at.rearm(one)
    assert at.code("buy", price="100") == "not_evaluable"


@pytest.mark.parametrize("state", [None, {}, [], {"orders": [["main"]]}])
def test_what_is_no_dump_is_refused(desk: Desk, state: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        desk(SelfMatch()).limits.memories["self_match@all"].load(state)


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["buy", "sell", "cancel", "fill", "restart"]), st.integers(95, 105)
        ),
        max_size=40,
    )
)
def test_no_two_orders_that_pass_could_ever_trade(desk: Desk, steps: list[tuple[str, int]]) -> None:
    at = desk(SelfMatch())
    working: dict[str, tuple[str, int]] = {}
    for what, price in steps:
        if what == "restart":
            at.restart()
        elif what in ("cancel", "fill"):
            if working:
                name = min(working)
                side, _ = working.pop(name)
                if what == "cancel":
                    at.tell("cancel", id=name)
                else:
                    at.fill("1", side=side, order=name)
                    at.hold("-1" if side == "buy" else "1")
        else:
            facing = [one for side, one in working.values() if side != what]
            meets = any(price >= one if what == "buy" else price <= one for one in facing)
            assert at.send(what, price=str(price)).code == ("self_match" if meets else "ok")
            if not meets:
                working[f"o{at.orders}"] = (what, price)


@pytest.mark.parametrize("number", [10, 2_000])
def test_it_looks_at_as_little_with_many_open_orders_as_with_few(desk: Desk, number: int) -> None:
    at = desk(SelfMatch())
    for each in range(number):
        at.send("sell", price=str(200 + each))
    order = at.order("buy", price="150")
    at.decided(order)
    assert _lines(lambda: at.decided(order)) < 400


def _lines(run: Callable[[], object]) -> int:
    """How many lines of Python are run."""
    count = 0

    def trace(_frame: Any, event: str, _arg: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(before)
    return count
