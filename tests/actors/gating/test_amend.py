"""A working order is changed: judged like an order, and the larger quantity counts until the venue
has answered."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from riskd.actors.core.gate.asked import Identity
from riskd.actors.messages import Decision, OrderAsked
from riskd.actors.messages.book import Amend, AmendReject, CancelRequest, Fill, Reject
from riskd.config.schema import rules as schema

Desk = Any  # its class lives in conftest.py
OWN = Identity("mm-1", "main", None)


def order(qty: int | str = 6, **more: Any) -> OrderAsked:
    said = {"client_order_id": "a1", "account": "main", "symbol": "X", "side": "buy"}
    return OrderAsked(**{**said, "price": "100", **more}, qty=qty)


def amend(desk: Desk, qty: int | str, who: Identity = OWN, **more: Any) -> Decision:
    found: Decision = desk.gate.check(order(qty, **more), who, amends=True)
    return found


@pytest.fixture
def working(limited: Desk) -> Desk:
    """6 of the 10 that are permitted work."""
    assert limited.check(order(), OWN).decision == "allow"
    return limited


@pytest.mark.parametrize(("qty", "decision"), [(9, "allow"), (10, "allow"), (11, "block")])
def test_what_it_becomes_is_held_to_the_limits(working: Desk, qty: int, decision: str) -> None:
    assert amend(working, qty).decision == decision
    assert working.worst() == ((qty, 0) if decision == "allow" else (6, 0))


def test_it_is_not_counted_beside_itself(working: Desk) -> None:
    assert amend(working, 10).decision == "allow"
    assert amend(working, 10).decision == "allow"
    assert working.worst() == (10, 0)


def test_it_passes_whole_or_not_at_all(desk_of: type[Desk]) -> None:
    rule = schema.MaxPosition(scope="account:main", max_qty=Decimal(10), on_excess="scale_down")
    desk = desk_of([rule])
    desk.check(order(), OWN)
    said = amend(desk, 12)
    assert (said.decision, said.code, said.ticket) == ("block", "max_position", None)


def test_the_larger_quantity_counts_until_the_venue_has_answered(working: Desk) -> None:
    assert amend(working, 2).decision == "allow"
    assert working.worst() == (6, 0)
    working.book(Amend(id="a1", qty=Decimal(2)))
    assert working.worst() == (2, 0)
    assert amend(working, 8).decision == "allow"
    working.book(AmendReject(id="a1", qty=Decimal(8)))
    assert working.worst() == (2, 0)


def test_what_was_filled_is_part_of_its_quantity(working: Desk) -> None:
    fill = Fill(id="f", symbol="X", side="buy", qty=Decimal(4), price=Decimal(100), order="a1")
    working.book(fill)
    assert amend(working, 11).code == "max_position"
    assert amend(working, 10).decision == "allow"
    assert working.worst() == (10, 4)


def test_a_restart_finds_what_is_pending(working: Desk) -> None:
    amend(working, 9)
    assert working.again().worst() == (9, 0)
    assert working.again().check(order(), OWN).decision == "allow"
    assert working.again().worst() == (9, 0)


@pytest.mark.parametrize(
    ("more", "who", "code"),
    [
        ({"client_order_id": "a2"}, OWN, "no_working_order"),
        ({"side": "sell"}, OWN, "amend_mismatch"),
        ({"reduce_only": True}, OWN, "amend_mismatch"),
        ({"strategy": "mm"}, OWN, "amend_mismatch"),
        ({"symbol": "Y"}, OWN, "unknown_symbol"),
        ({"qty": "NaN"}, OWN, "not_finite"),
        ({"price": "100.3"}, OWN, "price_off_tick"),
        ({}, Identity("mm-2", "main"), "not_your_order"),
        ({}, Identity("mm-2", "other"), "not_your_account"),
    ],
)
def test_only_what_works_and_only_by_its_owner(
    working: Desk, more: dict[str, Any], who: Identity, code: str
) -> None:
    said = amend(working, **{"qty": 7, "who": who, **more})
    assert (said.decision, said.code) == ("block", code)
    assert working.worst() == (6, 0)


@pytest.mark.parametrize("end", [Reject(id="a1"), CancelRequest(id="a1")])
def test_what_is_over_or_ends_is_not_changed(working: Desk, end: Any) -> None:
    working.book(end)
    assert amend(working, 7).code == "no_working_order"


def outcomes(rules: Sequence[schema.AnyRule], desk_of: type[Desk]) -> list[str]:
    desk = desk_of(rules)
    memories = {judge.id: judge.memory() for judge in desk.limits.rules.judges}
    desk.limits.memories = {one: memory for one, memory in memories.items() if memory is not None}
    desk.check(order(), OWN)
    return [amend(desk, 7).decision, amend(desk, 6).decision]


@pytest.mark.parametrize(
    "rule",
    [
        schema.MaxWorkingOrders(max_orders=1),
        schema.DuplicateOrder(within_s=60.0),
    ],
)
def test_rules_about_new_orders_have_nothing_to_say(
    rule: schema.AnyRule, desk_of: type[Desk]
) -> None:
    assert outcomes([rule], desk_of) == ["allow", "allow"]


def test_the_rules_about_one_order_are_asked(desk_of: type[Desk]) -> None:
    assert outcomes([schema.MaxOrderQty(max_qty=Decimal(6))], desk_of) == ["block", "allow"]


def test_while_all_is_halted_nothing_is_changed(working: Desk) -> None:
    working.doubt = "the books are made again"
    assert amend(working, 5).code == "in_doubt"
    working.doubt, working.is_serving = None, False
    assert amend(working, 5).code == "gate_unavailable"
