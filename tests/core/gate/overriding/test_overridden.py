"""What an order may do that goes by an override, and what it may not."""

from decimal import Decimal
from typing import Any

import pytest
from riskd.actors.core.gate.words import reason
from riskd.actors.messages import (
    By,
    Halt,
    HaltPlaced,
    KillSwitchTriggered,
    UntilOperator,
)
from riskd.config.schema.rules import (
    MaxOrderNotional,
    MaxOrderQty,
    MaxPosition,
    OrderTypes,
    SymbolRestricted,
)

Room = Any  # the class of this fixture lives in conftest.py
BY = By(via="riskd")
ALL = [MaxOrderQty(max_qty=Decimal(10)), MaxOrderQty(scope="account:main", max_qty=Decimal(20))]


def halt(mode: Any) -> HaltPlaced:
    found = Halt(
        scope="account:main",
        mode=mode,
        cause="manual",
        source="operator",
        reason="news",
        until=UntilOperator(),
    )
    return HaltPlaced(halt_id=1, halt=found, by=BY)


def test_an_order_passes_the_rule_that_two_persons_have_waived(room: Room) -> None:
    assert room.ask(None).code == "max_order_qty"
    verdict = room.ask(room.approved())
    assert (verdict.decision, verdict.qty, verdict.code) == ("allow", 50, "overridden")
    assert (verdict.override, verdict.risk_level) == ("ov1", "warning")
    assert "ov1" in reason(verdict)


def test_the_rules_that_it_does_not_name_go_on_counting(room_of: Any) -> None:
    room = room_of(*ALL)
    one = room.ask(room.approved(rules=[ALL[1].id]))
    assert (one.decision, one.scope, one.override) == ("block", "all", None)
    both = room.ask(room.approved(rules=[each.id for each in ALL]))
    assert both.decision == "allow"


def test_what_is_explained_says_which_rules_did_not_count(room_of: Any) -> None:
    """They say what they would have said, and none of them stood in the way."""
    room = room_of(*ALL)
    names = {each.id for each in ALL}

    def objected(*rules: str) -> set[str]:
        found = room.explained(room.approved(rules=list(rules)) if rules else None)
        blocking = {row["rule"] for row in found.rules if row["outcome"] == "block"}
        assert blocking == names
        return {row["rule"] for row in found.rules if row["objects"]}

    assert objected() == names
    assert objected(ALL[1].id) == {ALL[0].id}
    assert objected(*names) == set()


def test_a_rule_that_is_not_named_may_cut_it_and_the_override_is_used(room_of: Any) -> None:
    size = MaxOrderQty(scope="account:main", max_qty=Decimal(10))
    room = room_of(size, MaxPosition(max_qty=Decimal(30), on_excess="scale_down"))
    verdict = room.send(room.approved())
    assert (verdict.decision, verdict.qty, verdict.code) == ("scale_down", 30, "max_position")
    assert (verdict.override, room.state("ov1")) == ("ov1", "used")


def test_a_rule_that_would_cut_is_waived_as_one_that_blocks(room_of: Any) -> None:
    room = room_of(MaxOrderQty(scope="account:main", max_qty=Decimal(10), on_excess="scale_down"))
    assert room.ask(None).qty == 10
    assert room.ask(room.approved()).qty == 50


def test_a_rule_that_can_not_judge_is_waived_as_well(room_of: Any) -> None:
    worth = MaxOrderNotional(scope="account:main", max_notional=Decimal(10))
    room = room_of(worth, mark=None)
    name = room.approved(rules=[worth.id])
    limits = {"price": "100"}
    found = [one for one in room.limits.rules.judges if one.kind != "fresh_data"]
    room.limits.rules.judges = tuple(found)
    assert room.ask(name, **limits).code == "overridden"


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"account": "other"}, "account"),
        ({"side": "sell"}, "side"),
        ({"qty": "51"}, "qty"),
        ({"price": "100.5"}, "price"),
        ({"price": None}, "price"),
        ({"order_type": "market"}, "price"),
        ({"order_type": "stop", "stop_price": "100"}, "price"),
    ],
)
def test_an_order_that_is_another_one_is_not_covered(room: Room, more: Any, what: str) -> None:
    name = room.approved(price_limit="100")
    verdict = room.ask(name, **{"price": "100", **more})
    assert (verdict.code, verdict.missing) == ("override_does_not_cover", what)
    assert (verdict.decision, verdict.override) == ("block", None)


@pytest.mark.parametrize(
    ("side", "good", "bad"), [("buy", "100", "100.5"), ("sell", "100", "99.5")]
)
def test_the_price_is_no_worse_than_was_asked_for(
    room: Room, side: str, good: str, bad: str
) -> None:
    name = room.approved(side=side, price_limit="100")
    assert room.ask(name, side=side, price=good).code == "overridden"
    assert room.ask(name, side=side, price=bad).code == "override_does_not_cover"


def test_another_symbol_is_not_covered(room: Room) -> None:
    name = room.approved()
    assert room.ask(name, symbol="Y").code == "unknown_symbol"


# --- once, and in its time ------------------------------------------------------------------------


def test_it_is_used_up_by_the_first_order_that_is_permitted(room: Room) -> None:
    name = room.approved()
    assert room.send(name, "51").code == "override_does_not_cover"
    assert room.send(name).decision == "allow"
    again = room.send(name)
    assert (again.decision, again.code) == ("block", "override_used")
    assert room.overrides.find(name).used_by == "o2"


def test_it_is_used_up_also_where_no_rule_had_objected(room: Room) -> None:
    name = room.approved()
    verdict = room.send(name, "1")
    assert (verdict.code, verdict.override, verdict.risk_level) == ("ok", name, "warning")
    assert room.ask(name).code == "override_used"


def test_its_time_begins_with_the_approval_and_ends(room: Room) -> None:
    name = room.request(for_s=20)
    room.passes(30)
    room.approve(name)
    room.passes(19.999)
    assert room.ask(name).decision == "allow"
    room.passes(0.001)
    assert room.ask(name).code == "override_expired"


def test_a_clock_that_is_set_back_makes_nothing_last_longer(room: Room) -> None:
    name = room.approved(for_s=60)
    room.passes(10)
    room.passes(-9, 0)
    room.passes(49)
    assert room.ask(name).decision == "allow"
    room.passes(1)
    assert room.ask(name).code == "override_expired"


def test_what_was_seen_to_be_over_stays_so(room: Room) -> None:
    name = room.approved(for_s=60)
    room.start("another boot")
    room.passes(60)
    room.request()
    room.passes(-30, 0)
    assert room.ask(name).code == "override_expired"


def test_a_clock_that_shows_a_time_before_the_approval_permits_nothing(room: Room) -> None:
    name = room.approved()
    room.passes(-0.001, 0)
    assert room.ask(name).code == "override_early"


def test_the_monotonic_clock_of_another_boot_says_nothing(room: Room) -> None:
    name = room.approved(for_s=60)
    room.monotonic_s = 5_000.0
    room.start("another boot")
    assert room.ask(name).decision == "allow"
    room.passes(60)
    assert room.ask(name).code == "override_expired"


def test_what_is_revoked_permits_nothing(room: Room) -> None:
    name = room.approved()
    room.revoke(name)
    assert room.ask(name).code == "override_revoked"


def test_one_that_there_is_not_permits_nothing(room: Room) -> None:
    for name in ("ov1", "boo", "\n"):
        verdict = room.ask(name, "1")
        assert (verdict.decision, verdict.code) == ("block", "override_unknown")


# --- what nobody can waive ------------------------------------------------------------------------


def test_a_kill_and_a_halt_stand(room: Room) -> None:
    name = room.approved()
    room.record(halt("halt"))
    assert room.ask(name).code == "halted"
    room.record(KillSwitchTriggered(by=room.BOB, cause="manual", source="operator", reason="stop"))
    assert room.ask(name).code == "kill_switch"


def test_where_only_what_reduces_may_pass_it_adds_nothing(room: Room) -> None:
    name = room.approved()
    room.record(halt("reduce_only"))
    assert room.ask(name).code == "reduce_only"


def test_what_is_no_order_stays_none(room: Room) -> None:
    name = room.approved()
    assert room.ask(name, "NaN").code == "not_finite"
    assert room.ask(name, "1.5").code == "qty_off_lot"


def test_a_name_that_has_come_to_be_another_kind_waives_nothing(room_of: Any) -> None:
    size = MaxOrderQty(name="mine", scope="account:main", max_qty=Decimal(10))
    room = room_of(size)
    name = room.approved(rules=["mine"])
    room.rule(OrderTypes(name="mine", scope="account:main", allow=("limit",)))
    assert room.ask(name).code == "order_type_not_allowed"


def test_a_later_stage_is_waived(room_of: Any) -> None:
    room = room_of(SymbolRestricted(scope="account:main", deny=("X",)))
    assert room.ask(None, "1").code == "symbol_denied"
    name = room.approved(rules=["symbol_restricted@account:main"])
    assert room.ask(name, "1").code == "overridden"


def test_a_change_of_a_working_order_goes_by_an_override_of_its_own(room: Room) -> None:
    name = room.approved()
    assert room.send(name, "20").code == "overridden"
    grown = {"client_order_id": "o1", "amends": True}
    assert room.send(None, "30", **grown).code == "max_order_qty"
    assert room.send(name, "30", **grown).code == "override_used"
    other = room.approved()
    verdict = room.send(other, "30", **grown)
    assert (verdict.code, verdict.qty, verdict.override) == ("overridden", 30, other)
    assert room.state(other) == "used"
