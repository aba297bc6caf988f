"""What should not be after orders were sent, or while there is something to be watched."""

from decimal import Decimal
from typing import Any

import pytest
from riskd.actors.core.gate.memory import Ended, Executed
from riskd.actors.core.gate.rules import post_trade
from riskd.actors.messages.book import Amend, Bust, Cancel, Mark, Order, Snapshot, Timeout
from riskd.config.schema import rules as schema

World = Any  # its class lives in conftest.py
D = Decimal

# --- fills that nothing explains ------------------------------------------------------------------


@pytest.mark.parametrize("order", [None, "unheard of"])
def test_a_fill_that_no_order_explains_breaks_it(world: World, order: str | None) -> None:
    world.held_to(schema.RogueOrder()).mark(100)
    world.trade(1, 100)
    assert world.outcome() == "pass", "one of which nothing is said is not checked"
    world.trade(1, 100, order=order)
    assert world.outcome() == "block"
    assert (world.code("buy"), world.code("sell")) == ("rogue_order", "ok")
    halt, _ = world.look()
    assert (halt.mode, halt.until.__class__.__name__) == ("halt", "UntilOperator")


@pytest.mark.parametrize("way", ["order", "bust", "snapshot"])
def test_it_is_over_when_it_is_explained(world: World, way: str) -> None:
    world.held_to(schema.RogueOrder()).mark(100)
    world.trade(1, 100, order="a")
    world.look()
    match way:
        case "order":
            world.book(Order(id="a", symbol="L", side="buy", qty=D(1)))
        case "bust":
            world.book(Bust(id="f1", symbol="L"))
        case "snapshot":
            world.passes(1)
            world.book(Snapshot(symbol="L", qty=D(1), avg_price=D(100), as_of=world.at.isoformat()))
    assert world.said() == ["RuleCalm"]


def test_of_a_symbol_only_its_own_count(world: World) -> None:
    world.mark(100).trade(1, 100, order=None)
    for scope, outcome in (("symbol:L", "block"), ("symbol:M", "pass"), ("exchange:sim", "block")):
        world.held_to(schema.RogueOrder(scope=scope))
        assert world.outcome() == outcome


# --- orders of unknown fate -----------------------------------------------------------------------


def ordered(world: World, *names: str) -> World:
    for name in names:
        world.book(Order(id=name, symbol="L", side="buy", qty=D(1)))
        world.book(Timeout(id=name))
    return world


@pytest.mark.parametrize(("waits", "outcome"), [(30, "pass"), (30.000001, "block")])
def test_an_order_may_be_of_unknown_fate_for_so_long(
    world: World, waits: float, outcome: str
) -> None:
    world.held_to(schema.UnknownOrderAge(max_age_s=30)).mark(100)
    ordered(world, "a").passes(waits)
    assert world.outcome() == outcome
    assert world.code("buy") == ("ok" if outcome == "pass" else "unknown_order_age")


def test_the_oldest_of_them_counts(world: World) -> None:
    world.held_to(schema.UnknownOrderAge(max_age_s=30))
    ordered(world, "a").passes(20)
    ordered(world, "b").book(Timeout(id="a")).passes(15)
    assert world.outcome() == "block"
    world.see(Ended(world.at, ("all",), "main", "a", "cancel"))
    assert world.outcome() == "pass"
    world.passes(16)
    assert world.outcome() == "block"


@pytest.mark.parametrize("how", ["ended", "executed", "order", "amend"])
def test_whatever_is_heard_of_it_tells_its_fate(world: World, how: str) -> None:
    world.held_to(schema.UnknownOrderAge(max_age_s=0))
    ordered(world, "a").passes(1)
    match how:
        case "ended":
            world.see(Ended(world.at, ("all",), "main", "a", "reject"))
        case "executed":
            one = D(1)
            world.see(
                Executed(
                    world.at, ("all",), "main", "L", "buy", one, one, "a", one, None,
                    is_closing=False, currency="USD",
                )
            )  # fmt: skip
        case "order":
            world.book(Order(id="a", symbol="L", side="buy", qty=D(1)))
        case "amend":
            world.book(Amend(id="a", qty=D(1)))
    assert world.outcome() == "pass"


def test_an_order_that_had_ended_before_is_known(world: World) -> None:
    world.held_to(schema.UnknownOrderAge(max_age_s=0))
    world.book(Order(id="a", symbol="L", side="buy", qty=D(1))).book(Cancel(id="a"))
    world.book(Timeout(id="a")).passes(1)
    assert world.outcome() == "pass"


def test_a_clock_that_jumped_back_makes_its_age_unknown(world: World) -> None:
    world.held_to(schema.UnknownOrderAge(max_age_s=30)).mark(100)
    ordered(world, "a").passes(1, wall=-60)
    assert world.code("buy") == "not_evaluable"


def test_with_too_many_of_them_nothing_is_known_until_all_have_ended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post_trade, "ORDERS_MAX", 2)
    world.held_to(schema.UnknownOrderAge(max_age_s=30))
    ordered(world, "a", "b", "c")
    assert world.outcome() == "unknown"
    world.restart()
    for order, outcome in (("a", "unknown"), ("b", "pass")):
        world.see(Ended(world.at, ("all",), "main", order, "cancel"))
        assert world.outcome() == outcome


def test_their_age_survives_a_restart(world: World) -> None:
    world.held_to(schema.UnknownOrderAge(max_age_s=30))
    ordered(world, "a").passes(20)
    world.restart()
    world.passes(11)
    assert world.outcome() == "block"


# --- silence --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("waits", "outcome"), [(15, "pass"), (15.000001, "block")])
def test_a_mark_may_be_so_old(world: World, waits: float, outcome: str) -> None:
    world.held_to(schema.FeedSilence(max_age_s=15)).mark(100).trade(1, 100).passes(waits)
    assert world.outcome() == outcome
    assert world.code("buy") == ("ok" if outcome == "pass" else "feed_silence")
    assert world.code("sell") == "ok"


def test_the_clock_that_says_more_counts(world: World) -> None:
    world.held_to(schema.FeedSilence(max_age_s=15)).mark(100).trade(1, 100).passes(16, wall=-60)
    assert world.outcome() == "block"


def test_what_is_neither_held_nor_could_be_may_be_silent(world: World) -> None:
    world.held_to(schema.FeedSilence(max_age_s=15)).mark(100).passes(16)
    assert world.outcome() == "pass"
    world.book(Order(id="a", symbol="L", side="buy", qty=D(1)))
    assert world.outcome() == "block"


def test_of_all_that_are_listed_each_has_to_be_heard(world: World) -> None:
    world.held_to(schema.FeedSilence(max_age_s=15, of="listed"))
    for symbol in "LME":
        assert world.outcome() == "unknown"
        world.book(Mark(symbol=symbol, price=D(1)), account=None)
    assert world.outcome() == "pass"
    world.passes(16)
    assert world.outcome() == "block"


def test_that_there_never_was_a_mark_is_silence_in_the_end(world: World) -> None:
    world.held_to(schema.FeedSilence(max_age_s=5, action="halt")).trade(1, 100)
    assert world.said() == []
    world.passes(4.9)
    assert world.said() == []
    world.passes(0.1)
    halt, tripped = world.look()
    assert (halt.cause, tripped.missing) == ("data", "mark of L")
    assert world.said() == []


def test_of_a_symbol_it_watches_that_one(world: World) -> None:
    world.mark(100).mark(100, "M").trade(1, 100).passes(16)
    for symbol, outcome in (("L", "block"), ("M", "pass")):
        world.held_to(schema.FeedSilence(max_age_s=15, scope=f"symbol:{symbol}"))
        assert world.outcome() == outcome


def test_what_goes_by_time_alone_is_not_looked_at_for_every_event(world: World) -> None:
    world.held_to(schema.FeedSilence(max_age_s=15)).mark(100).trade(1, 100).passes(16)
    assert world.said(["main"]) == []
    assert world.said() == ["RuleTripped"]
