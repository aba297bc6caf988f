"""What persons ask for: by whom, of what, for how long, and how much of it there can be."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core.gate.rules import JUDGES
from riskd.actors.core.kill_switch import NotAllowed, Rules
from riskd.actors.core.overrides import (
    LIVE_MAX,
    OVER_KEPT,
    REQUEST_S,
    STAGE_MIN,
    Overrides,
    override_shown,
)
from riskd.actors.messages import By, OverrideApproved, OverrideRevoked

Room = Any  # the class of this fixture lives in conftest.py


def refused(room: Room, **more: Any) -> str:
    facts = len(room.facts)
    with pytest.raises(NotAllowed) as no:
        room.request(**more)
    assert len(room.facts) == facts
    return no.value.code


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"account": "boo"}, "unknown_account"),
        ({"symbol": "Y"}, "unknown_symbol"),
        ({"rules": ["boo@all"]}, "unknown_rule"),
        ({"rules": ["order_validity@all"]}, "not_overridable"),
        ({"rules": ["max_order_qty@account:main", "fresh_data@all"]}, "not_overridable"),
        ({"rules": ["reduce_only_correct@all"]}, "not_overridable"),
        ({"max_qty": "0"}, "invalid_value"),
        ({"max_qty": "-1"}, "invalid_value"),
        ({"max_qty": "1e40"}, "invalid_value"),
        ({"price_limit": "1e-40"}, "invalid_value"),
        ({"by": By(via="riskd")}, "unknown_person"),
        ({"by": By(via="socket", user_id=77)}, "unknown_person"),
        ({"people": Rules(cooldown_s=1, people={"bob": 1000, "rob": 1000})}, "one_person"),
    ],
)
def test_what_can_not_be_overridden_is_not_asked_for(room: Room, more: Any, code: str) -> None:
    assert refused(room, **more) == code


def test_of_the_kinds_only_those_from_stage_seven_on_can_be_overridden() -> None:
    kinds = {str(rule.__struct_config__.tag) for rule, one in JUDGES.items() if one.STAGE < 7}
    assert STAGE_MIN == 7
    assert kinds == {"order_validity", "order_types", "fresh_data", "reduce_only_correct"}


def test_a_request_permits_nothing(room: Room) -> None:
    name = room.request()
    assert room.state(name) == "requested"
    assert room.ask(name).code == "override_not_approved"


def test_always_two_persons_whatever_the_settings_say(room: Room) -> None:
    name = room.request(by=room.BOB)
    with pytest.raises(NotAllowed, match="another person") as no:
        room.approve(name, by=room.BOB)
    assert no.value.code == "same_person"
    for nobody in (By(via="socket", user_id=77), By(via="signal"), By(via="riskd")):
        with pytest.raises(NotAllowed) as no:
            room.approve(name, by=nobody)
        assert no.value.code == "unknown_person"
    assert room.approve(name, by=room.ANA)
    assert room.state(name) == "approved"


def test_another_name_makes_no_other_person(room: Room) -> None:
    name = room.request(by=By(via="socket", user_id=1001, user="1001"))
    with pytest.raises(NotAllowed) as no:
        room.approve(name, by=room.ANA)
    assert no.value.code == "same_person"


def test_what_is_approved_is_approved_once_and_each_call_may_be_repeated(room: Room) -> None:
    name = room.approved()
    room.passes(300)
    assert not room.approve(name)
    room.passes(301)
    assert room.state(name) == "expired"
    assert room.revoke(name)
    assert not room.revoke(name)


@pytest.mark.parametrize("how", ["used", "revoked", "expired", "early"])
def test_nobody_approves_of_what_is_over(room: Room, how: str) -> None:
    name = room.request()
    if how == "used":
        room.approve(name)
        room.send(name)
    elif how == "revoked":
        room.revoke(name)
    else:
        room.passes(REQUEST_S if how == "expired" else -1, 0)
    with pytest.raises(NotAllowed, match=f"is {how}") as no:
        room.approve(name)
    assert no.value.code == "override_over"


def test_a_request_is_good_for_an_hour(room: Room) -> None:
    name = room.request()
    room.passes(REQUEST_S - 1)
    assert room.approve(name)


def test_a_rule_that_is_gone_since_is_not_approved_of(room: Room) -> None:
    name = room.request()
    room.limits.rules.judges = ()
    with pytest.raises(NotAllowed) as no:
        room.approve(name)
    assert no.value.code == "unknown_rule"


def test_its_times_are_those_of_every_reply(room: Room) -> None:
    name = room.approved()
    one = room.overrides.find(name)
    row = override_shown(one, room.moment)
    for key in ("requested_at", "approved_at", "until"):
        assert str(row[key]).endswith("Z")


def test_nobody_speaks_of_one_that_there_is_not(room: Room) -> None:
    for act in (room.approve, room.revoke):
        with pytest.raises(NotAllowed) as no:
            act("ov7")
        assert no.value.code == "unknown_override"


def test_to_approve_loosens_and_to_revoke_tightens(room: Room) -> None:
    assert OverrideApproved.BEARING == "loosens"
    assert OverrideRevoked.BEARING == "tightens"
    name = room.approved()
    epoch = room.halts.now.epoch
    room.send(name)
    assert room.halts.now.epoch == epoch
    room.revoke(name)
    assert room.halts.now.epoch > epoch


# --- bounds ---------------------------------------------------------------------------------------


def test_there_is_room_for_so_many_and_what_is_over_makes_room(room: Room) -> None:
    for _ in range(LIVE_MAX):
        room.request()
    assert refused(room) == "too_many_overrides"
    room.revoke("ov1")
    assert room.request() == f"ov{LIVE_MAX + 1}"
    assert refused(room) == "too_many_overrides"
    room.passes(REQUEST_S)
    assert room.request() == f"ov{LIVE_MAX + 2}"


def test_those_that_are_over_are_remembered_up_to_a_number(room: Room) -> None:
    for _ in range(OVER_KEPT + 1):
        room.revoke(room.request())
    assert room.ask("ov1").code == "override_unknown"
    assert room.ask("ov2").code == "override_revoked"
    assert len(list(room.overrides.newest())) == OVER_KEPT


# --- after a crash --------------------------------------------------------------------------------

acts = st.lists(
    st.tuples(
        st.sampled_from(["request", "approve", "revoke", "send", "passes", "reboot"]),
        st.integers(1, 5),
    ),
    max_size=30,
)


@given(acts, st.integers(0, 60))
def test_a_dump_at_any_fact_and_the_facts_after_it_are_all_that_is_known(
    room_of: Any, found: list[tuple[str, int]], cut: int
) -> None:
    room = room_of()
    for act, number in found:
        name = f"ov{number}"
        try:
            match act:
                case "request":
                    room.request()
                case "approve" | "revoke":
                    getattr(room, act)(name)
                case "send":
                    room.send(name, str(number * 12))
                case "passes":
                    room.passes(number * 130, number * 100)
                case "reboot":
                    room.start(f"boot {number}")
        except NotAllowed:
            continue
    again = Overrides()
    for recorded in room.facts[:cut]:
        again.apply(recorded)
    loaded = Overrides()
    loaded.load(b"".join(again.dump()))
    for recorded in room.facts[cut:]:
        loaded.apply(msgspec.json.decode(msgspec.json.encode(recorded), type=type(recorded)))
    assert b"".join(loaded.dump()) == b"".join(room.overrides.dump())
