"""What may only reduce does nothing else, by the worst that all open orders could do together."""

from collections.abc import Callable
from typing import Any

import pytest

NewDesk = Callable[..., Any]  # the class of this fixture lives in conftest.py

OUT = {1: "sell", -1: "buy"}
IN = {1: "buy", -1: "sell"}


@pytest.fixture(params=["the order", "a halt of the account", "a halt of the strategy"])
def reducing(request: pytest.FixtureRequest, new_desk: NewDesk) -> Callable[..., Any]:
    """A desk where whatever is asked may only reduce, and how an order is asked there."""

    def make(holds: int) -> Any:
        desk = new_desk({"kind": "max_gross", "max_notional": "1000000"}, holds=holds)
        scope = {"a halt of the account": "account:main", "a halt of the strategy": "strategy:mm"}
        if request.param in scope:
            desk.modes[scope[request.param]] = "reduce_only"
        desk.says = {"reduce_only": True} if request.param == "the order" else {}
        desk.code = "not_reducing" if desk.says else "reduce_only"
        return desk

    return make


@pytest.mark.parametrize("way", [1, -1])
@pytest.mark.parametrize("more", [1, 20])
def test_one_more_than_there_is_is_blocked_or_cut(
    reducing: Callable[..., Any], way: int, more: int
) -> None:
    desk = reducing(10 * way)
    verdict = desk.ask(OUT[way], 10 + more, **desk.says)
    assert (verdict.decision, verdict.code, verdict.max_qty) == ("block", desk.code, 10)
    assert desk.ask(OUT[way], 10, **desk.says).decision == "allow"
    desk.on_excess = "scale_down"
    cut = desk.ask(OUT[way], 10 + more, **desk.says)
    assert (cut.decision, cut.code, cut.qty) == ("scale_down", desk.code, 10)


@pytest.mark.parametrize("way", [1, -1])
def test_while_one_is_open_that_closes_it_all_no_other_is(
    reducing: Callable[..., Any], way: int
) -> None:
    desk = reducing(10 * way)
    assert desk.send(OUT[way], 10, **desk.says).decision == "allow"
    first = f"o{desk.orders}"
    for on_excess in ("block", "scale_down"):
        desk.on_excess = on_excess
        second = desk.ask(OUT[way], 10, **desk.says)
        assert (second.decision, second.code, second.qty) == ("block", desk.code, 0)
    desk.tell("cancel", id=first)
    assert desk.ask(OUT[way], 10, **desk.says).decision == "allow"


@pytest.mark.parametrize("way", [1, -1])
def test_what_one_leaves_of_it_another_may_have(reducing: Callable[..., Any], way: int) -> None:
    desk = reducing(10 * way)
    assert desk.send(OUT[way], 7, **desk.says).decision == "allow"
    assert desk.ask(OUT[way], 3, **desk.says).decision == "allow"
    over = desk.ask(OUT[way], 4, **desk.says)
    assert (over.decision, over.max_qty) == ("block", 3)


@pytest.mark.parametrize("way", [1, -1])
@pytest.mark.parametrize("holds", [0, 10])
def test_nothing_is_opened_and_nothing_made_larger(
    reducing: Callable[..., Any], way: int, holds: int
) -> None:
    desk = reducing(holds * way)
    for on_excess in ("block", "scale_down"):
        desk.on_excess = on_excess
        verdict = desk.ask(IN[way], 1, **desk.says)
        assert (verdict.decision, verdict.code, verdict.max_qty) == ("block", desk.code, 0)
