"""Positions have stops, and what works has something to work for."""

from decimal import Decimal
from typing import Any

import pytest
from riskd.actors.core.gate.rules import orphans
from riskd.actors.messages import OrderAcked, OrderAsked, OrderCancelAsked, OrderDecided, Verdict
from riskd.actors.messages.book import (
    Amend,
    AmendRequest,
    Cancel,
    CancelRequest,
    Expire,
    Order,
    Reject,
    Timeout,
)
from riskd.config.schema import rules as schema

World = Any  # its class lives in conftest.py
D = Decimal
GRACE = schema.StopRequired(grace_s=10)


def permitted(world: World, name: str, side: Any = "sell", qty: Any = 1, **more: Any) -> World:
    """An order that the gate lets pass."""
    keys = {"account": "main", "symbol": "L", "strategy": "mm", **more}
    order = OrderAsked(client_order_id=name, side=side, qty=str(qty), **keys)
    verdict = Verdict(decision="allow", qty=D(qty), code="ok")
    world.make(
        OrderDecided(order=order, at=world.at, monotonic_s=world.monotonic_s, verdict=verdict)
    )
    return world


def acked(world: World, name: str) -> World:
    world.make(OrderAcked(account="main", client_order_id=name))
    return world


def stop(world: World, name: str = "s", qty: Any = 1, **more: Any) -> World:
    keys = {"order_type": "stop", "stop_price": "90", "side": "sell", **more}
    return acked(permitted(world, name, qty=qty, **keys), name)


# --- stops ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("waits", "outcome"), [(10, "pass"), (10.000001, "block")])
def test_a_position_may_be_without_a_stop_for_so_long(
    world: World, waits: float, outcome: str
) -> None:
    world.held_to(GRACE).mark(100).trade(1, 100).passes(waits)
    assert world.outcome() == outcome
    assert world.code("buy") == ("ok" if outcome == "pass" else "stop_required")
    assert world.code("sell") == "ok"


def test_a_position_without_one_is_to_be_closed(world: World) -> None:
    world.held_to(GRACE).mark(100).trade(1, 100).passes(11)
    halt, closing, tripped = world.look()
    assert (halt.scope, halt.mode) == ("account:main", "reduce_only")
    assert (closing.account, closing.symbol) == ("main", "L")
    assert (tripped.symbol, tripped.value) == ("L", 11)
    assert stop(world).said() == ["RuleCalm"]


@pytest.mark.parametrize("kind", ["stop", "stop_limit"])
@pytest.mark.parametrize(("position", "side"), [(2, "sell"), (-2, "buy")])
@pytest.mark.parametrize(("qty", "outcome"), [("1.99", "block"), (2, "pass"), ("2.01", "pass")])
def test_stops_have_to_cover_all_of_it(
    world: World, kind: str, position: int, side: str, qty: Any, outcome: str
) -> None:
    world.held_to(GRACE).mark(100).trade(position, 100)
    stop(world, "a", 1, side=side, order_type=kind, price="90")
    stop(world, "b", D(qty) - 1, side=side, order_type=kind, price="90")
    world.passes(11)
    assert world.outcome() == outcome


@pytest.mark.parametrize(
    "why", ["limit", "other side", "other symbol", "other account", "permitted alone"]
)
def test_what_is_no_stop_of_it_protects_nothing(world: World, why: str) -> None:
    world.held_to(GRACE).mark(100).open("other").trade(1, 100)
    match why:
        case "limit":
            acked(permitted(world, "s", price="110"), "s")
        case "other side":
            stop(world, side="buy")
        case "other symbol":
            stop(world, symbol="M")
        case "other account":
            permitted(world, "s", account="other", order_type="stop", stop_price="90")
            world.make(OrderAcked(account="other", client_order_id="s"))
        case "permitted alone":
            permitted(world, "s", order_type="stop", stop_price="90")
    world.passes(11)
    assert world.code("buy") == "stop_required"


@pytest.mark.parametrize(
    "event",
    [Cancel(id="s"), Reject(id="s"), Expire(id="s"), CancelRequest(id="s"), Timeout(id="s"),
     AmendRequest(id="s", qty=D("0.5")), Amend(id="s", qty=D("0.5"))],
    ids=lambda one: type(one).__name__,
)  # fmt: skip
def test_a_stop_that_may_be_gone_protects_nothing(world: World, event: Any) -> None:
    stop(world.held_to(GRACE).mark(100).trade(1, 100)).passes(100)
    assert world.outcome() == "pass"
    world.book(event).passes(10)
    assert world.outcome() == "pass", "the grace begins then"
    world.passes(1)
    assert world.outcome() == "block"


def test_a_stop_that_the_venue_tells_of_is_one(world: World) -> None:
    world.held_to(GRACE).mark(100).trade(1, 100)
    world.book(Order(id="s", symbol="L", side="sell", qty=D(1), stop_price=D(90))).passes(11)
    assert world.outcome() == "pass"


def test_a_position_that_grows_outgrows_its_stop(world: World) -> None:
    stop(world.held_to(GRACE).mark(100).trade(1, 100)).passes(100)
    world.trade(1, 100).passes(11)
    assert world.outcome() == "block"


@pytest.mark.parametrize("rule", [GRACE, schema.OrphanOrder(grace_s=10, stops=False)])
def test_what_happens_meanwhile_does_not_begin_the_grace_anew(world: World, rule: Any) -> None:
    world.held_to(rule).mark(100).trade(1, 100)
    reducing(world, side="buy").passes(6)
    stop(world, qty="0.5").trade(1, 100)
    reducing(world, "q", side="buy").passes(5)
    assert world.outcome() == "block"


def test_a_flat_symbol_needs_none_and_the_next_position_has_its_own_grace(world: World) -> None:
    world.held_to(GRACE).mark(100).trade(1, 100).passes(9).trade(-1, 100).passes(9)
    assert world.found() == {}
    assert world.trade(1, 100).outcome() == "pass"


def test_of_a_strategy_its_own_stops_count(world: World) -> None:
    world.held_to(schema.StopRequired(grace_s=10, scope="strategy:mm")).mark(100)
    acked(permitted(world, "a", "buy", 1, price="100"), "a").trade(1, 100, order="a")
    stop(world, strategy="other").passes(11)
    assert world.outcome() == "block"
    assert stop(world, "own").outcome() == "pass"


def test_stops_from_before_the_rule_count_and_the_grace_begins_with_it(world: World) -> None:
    stop(world.mark(100).mark(100, "M").trade(1, 100)).trade(1, 100, "M")
    world.passes(1_000).held_to(GRACE).passes(10)
    assert {found.outcome for found in world.found().values()} == {"pass"}
    world.passes(1)
    assert [one.symbol for one, found in world.found().items() if found.outcome == "block"] == ["M"]


def test_how_long_it_has_been_without_survives_a_restart(world: World) -> None:
    stop(world.held_to(GRACE).mark(100).mark(100, "M").trade(1, 100)).trade(1, 100, "M").passes(9)
    world.restart()
    world.passes(2)
    assert [one.symbol for one, found in world.found().items() if found.outcome == "block"] == ["M"]


def test_a_clock_that_jumped_back_makes_it_unknown_for_how_long(world: World) -> None:
    world.held_to(GRACE).mark(100).trade(1, 100).passes(1, wall=-60)
    assert world.code("buy") == "not_evaluable"
    assert world.code("sell") == "ok"


@pytest.mark.parametrize("rule", [GRACE, schema.OrphanOrder(grace_s=10, action="block")])
def test_a_rule_that_has_never_looked_knows_nothing(world: World, rule: Any) -> None:
    world.mark(100).trade(1, 100).held_to(rule)
    world.memories[rule.id].has_looked = False
    assert world.code("buy") == "not_evaluable"
    assert world.outcome() == "unknown"


# --- orders without use ---------------------------------------------------------------------------

ORPHAN = schema.OrphanOrder(grace_s=10, action="block")


def reducing(world: World, name: str = "r", **more: Any) -> World:
    return permitted(world, name, reduce_only=True, **{"price": "110", **more})


@pytest.mark.parametrize(("waits", "outcome"), [(10, "pass"), (10.000001, "block")])
def test_an_order_may_be_without_use_for_so_long(world: World, waits: float, outcome: str) -> None:
    reducing(world.held_to(ORPHAN).mark(100)).passes(waits)
    assert world.outcome() == outcome
    assert world.code("buy") == ("ok" if outcome == "pass" else "orphan_order")


@pytest.mark.parametrize("make", [reducing, stop])
def test_it_has_a_use_while_there_is_a_position_or_an_order_that_could_make_one(
    world: World, make: Any
) -> None:
    world.held_to(ORPHAN).mark(100)
    permitted(world, "entry", "buy", price="100")
    make(world, "x").passes(100)
    assert world.found() == {}
    world.trade(1, 100, order="entry").passes(100)
    assert world.found() == {}
    world.trade(-1, 100).passes(11)
    assert world.outcome() == "block"


def test_stops_on_both_sides_do_not_keep_each_other(world: World) -> None:
    stop(stop(world.held_to(ORPHAN).mark(100)), "t", side="buy").passes(11)
    assert world.outcome() == "block"


def test_where_stops_open_positions_they_have_a_use(world: World) -> None:
    stop(world.held_to(schema.OrphanOrder(grace_s=10, stops=False)).mark(100)).passes(11)
    assert world.found() == {}
    reducing(world).passes(11)
    assert world.outcome() == "block"


@pytest.mark.parametrize("is_counted", [True, False])
def test_an_order_that_nobody_asked_for_has_none(world: World, is_counted: bool) -> None:
    world.held_to(schema.OrphanOrder(grace_s=10, unasked=is_counted)).mark(100)
    world.book(Order(id="x", symbol="L", side="buy", qty=D(1))).passes(11)
    assert bool(world.found()) == is_counted


def test_an_order_that_was_asked_for_and_is_told_of_was_asked_for(world: World) -> None:
    permitted(world.held_to(ORPHAN).mark(100), "a", "buy", price="100")
    world.book(Order(id="a", symbol="L", side="buy", qty=D(1))).passes(11)
    assert world.found() == {}


def test_that_it_is_to_be_cancelled_is_asked_for_once(world: World) -> None:
    reducing(reducing(world.held_to(schema.OrphanOrder(grace_s=10)).mark(100), "a"), "b")
    assert world.passes(10).look() == []
    acts = world.passes(1).look()
    asked = [act for act in acts if isinstance(act, OrderCancelAsked)]
    assert [(one.account, one.symbol, one.client_order_id) for one in asked] == [
        ("main", "L", "a"), ("main", "L", "b"),
    ]  # fmt: skip
    world.restart()
    assert world.passes(100).look() == []
    reducing(world, "c").passes(11)
    assert [act.client_order_id for act in world.look()] == ["c"], "another one, while it is broken"


@pytest.mark.parametrize("event", [Cancel(id="r"), Reject(id="r"), Expire(id="r")])
def test_what_works_no_more_is_none(world: World, event: Any) -> None:
    reducing(world.held_to(ORPHAN).mark(100)).passes(11).look()
    world.book(event)
    assert world.found() == {}
    assert world.said() == ["RuleCalm"]


def test_how_long_it_has_worked_survives_a_restart(world: World) -> None:
    reducing(world.held_to(ORPHAN).mark(100)).passes(9)
    world.restart()
    assert world.passes(2).outcome() == "block"


def test_with_too_many_nothing_is_known_until_there_are_none(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "ORPHANS_MAX", 1)
    reducing(reducing(world.held_to(ORPHAN).mark(100), "a"), "b")
    assert world.outcome() == "unknown"
    world.restart()
    assert world.outcome() == "unknown"
    world.book(Cancel(id="b"))
    assert world.outcome() == "unknown"
    world.book(Cancel(id="a"))
    assert world.found() == {}


def test_a_clock_that_jumped_back_makes_its_age_unknown(world: World) -> None:
    reducing(world.held_to(ORPHAN).mark(100)).passes(1, wall=-60)
    assert world.code("buy") == "not_evaluable"
