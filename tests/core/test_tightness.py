"""Which way a change of a rule goes: never said to be tighter when it lets more pass."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core.tightness import Direction, declared, direction, untold
from riskd.config import kinds
from riskd.config.schema import rules as schema
from riskd.config.schema.rules import AnyRule, DailyLoss, MaxOrderNotional, MaxOrderQty, MaxPosition

KINDS: tuple[type[AnyRule], ...] = get_args(AnyRule)
UNTOLD: dict[str, frozenset[str]] = {
    "message_rate": frozenset({"window_s"}),
    "order_to_fill": frozenset({"window_s"}),
    "price_collar": frozenset({"drift_s"}),
    "repeated_execution": frozenset({"window_s"}),
    "margin": frozenset({"margin_pct"}),
    "liquidation_distance": frozenset({"margin_pct"}),
    "trade_management": frozenset({"break_even_at_pct", "trail_pct", "trail_step_pct"}),
}
"""By kind: numbers of which nobody can say which way is tighter. A change of them loosens."""
BACK: dict[Direction, Direction] = {
    "same": "same",
    "changed": "changed",
    "tightened": "loosened",
    "loosened": "tightened",
}


def qty(number: str | int | None, **more: Any) -> MaxPosition:
    return MaxPosition(max_qty=None if number is None else Decimal(number), **more)


def sample(kind: type[AnyRule], key: str) -> AnyRule:
    """One with nothing but what it needs, and this key, by their examples."""
    values = {}
    for field in msgspec.structs.fields(kind):
        examples = [each for meta in kinds.metas(field.type) for each in meta.examples or ()]
        if examples and (field.required or field.name == key):
            values[field.name] = examples[0]
    return msgspec.convert({**values, "kind": kind.__struct_config__.tag}, kind)


def numbers(kind: type[AnyRule]) -> Iterator[str]:
    for field in msgspec.structs.fields(kind):
        match kinds.kind(field.type):
            case kinds.Leaf(types) if {int, float, Decimal} & set(types):
                yield field.name


def told(kind: type[AnyRule]) -> set[str]:
    return set(numbers(kind)) - UNTOLD.get(str(kind.__struct_config__.tag), frozenset())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_says_of_each_of_its_numbers_which_way_is_tighter(kind: type[AnyRule]) -> None:
    assert not set(untold(kind)) & told(kind)
    for what in ("SMALLER", "LARGER", "FEWER", "MORE", "BY_PROPERTY"):
        assert all(hasattr(kind, key) for key in declared(kind, what))


@pytest.mark.parametrize(
    ("kind", "key"), [(kind, key) for kind in KINDS for key in sorted(told(kind))]
)
def test_lowering_a_limit_tightens_and_raising_it_loosens(kind: type[AnyRule], key: str) -> None:
    rule = sample(kind, key)
    if getattr(rule, key) == 0:
        rule = msgspec.structs.replace(rule, **{key: 2})
    lower = msgspec.structs.replace(rule, **{key: getattr(rule, key) - 1})
    larger, by_property = key in declared(kind, "LARGER"), key in declared(kind, "BY_PROPERTY")
    way = direction(rule, lower)
    assert way == ("loosened" if larger else "tightened") or by_property
    assert way != "changed"
    assert direction(lower, rule) == BACK[way]


@pytest.mark.parametrize(
    ("old", "new", "way"),
    [
        (qty(2), qty(2), "same"),
        (qty(2), qty("1.9"), "tightened"),
        (qty(2), qty("2.1"), "loosened"),
        (qty(2), qty(None, max_notional=Decimal(1)), "changed"),
        (qty(2), qty(2, max_notional=Decimal(1)), "tightened"),
        (qty(2, max_notional=Decimal(1)), qty(2), "loosened"),
        # What stands for another key is compared with what it stands for.
        (qty(2), qty(2, max_long=Decimal(3)), "loosened"),
        (qty(2), qty(2, max_long=Decimal(1)), "tightened"),
        (qty(2), qty(5, max_long=Decimal(2), max_short=Decimal(2)), "changed"),
        (qty(2), qty(5, max_long=Decimal(2), max_short=Decimal(1)), "tightened"),
        (qty(2), qty(2, action="warn"), "loosened"),
        (qty(2, on_excess="scale_down"), qty(2), "tightened"),
        (qty(2), qty(2, on_excess="block"), "tightened"),
        (qty(2), qty(2, on_excess="scale_down"), "loosened"),
        (qty(2), qty(1, action="warn"), "changed"),
        (qty(2), qty(2, warn_pct=()), "changed"),
        (qty(2), qty(1, scope="account:main"), "changed"),
        (qty(2), MaxOrderQty(max_qty=Decimal(1)), "changed"),
        (
            MaxOrderNotional(max_notional=Decimal(1), slip_pct=Decimal(1)),
            MaxOrderNotional(max_notional=Decimal(1), slip_pct=Decimal(2)),
            "tightened",
        ),
        (DailyLoss(max_pct=Decimal(2)), DailyLoss(max_loss=Decimal(9)), "changed"),
    ],
)
def test_a_change_goes_this_way(old: AnyRule, new: AnyRule, way: Direction) -> None:
    assert direction(old, new) == way
    assert direction(new, old) == BACK[way]


@pytest.mark.parametrize(
    ("old", "new", "way"),
    [
        ("warn", "block", "tightened"),
        ("block", "halt", "tightened"),
        ("reduce_only", "halt", "tightened"),
        ("reduce_only", "flatten", "tightened"),
        ("close_position", "flatten", "tightened"),
        ("flatten", "halt", "changed"),
        ("halt", "close_position", "changed"),
    ],
)
def test_actions_are_tighter_as_far_as_they_can_be_compared(
    old: str, new: str, way: Direction
) -> None:
    one, other = (DailyLoss(max_loss=Decimal(1), action=each) for each in (old, new))  # type: ignore[arg-type]  # both are actions
    assert direction(one, other) == way
    assert direction(other, one) == BACK[way]


POSITIONS = st.builds(
    MaxPosition,
    max_qty=st.none() | st.integers(0, 3).map(Decimal),
    max_long=st.none() | st.integers(0, 3).map(Decimal),
    max_short=st.none() | st.integers(0, 3).map(Decimal),
    on_excess=st.sampled_from([None, "block", "scale_down"]),
    action=st.sampled_from(["warn", "block"]),
)


def bound(limit: Decimal | None) -> Decimal:
    return Decimal("Infinity") if limit is None else limit


@given(POSITIONS, POSITIONS)
def test_what_tightens_lets_no_position_pass_that_did_not_before(
    old: MaxPosition, new: MaxPosition
) -> None:
    way = direction(old, new)
    assert direction(new, old) == BACK[way]
    if way == "tightened":
        assert bound(new.long_limit) <= bound(old.long_limit)
        assert bound(new.short_limit) <= bound(old.short_limit)
        assert not (old.action == "block" and new.action == "warn")


@given(POSITIONS, POSITIONS, POSITIONS)
def test_two_steps_that_tighten_are_one(
    one: MaxPosition, two: MaxPosition, three: MaxPosition
) -> None:
    steps = {direction(one, two), direction(two, three)}
    if steps <= {"tightened", "same"} and steps != {"same"}:
        assert direction(one, three) == "tightened"


def test_names_of_fewer_that_may_and_of_more_that_may_not_are_tighter() -> None:
    class Few(schema.OrderRule, frozen=True, kw_only=True, tag="few"):
        FEWER = ("allow",)
        MORE = ("deny",)
        allow: tuple[str, ...] | None = None
        deny: tuple[str, ...] = ()

    def way(old: Any, new: Any) -> Direction:
        return direction(Few(**old), Few(**new))  # type: ignore[arg-type]  # a kind of its own

    assert way({}, {"allow": ("a",)}) == "tightened"
    assert way({"allow": ("a", "b")}, {"allow": ("b",)}) == "tightened"
    assert way({"allow": ("a", "b")}, {"allow": ()}) == "tightened"
    assert way({"allow": ("a",)}, {"allow": ("b",)}) == "changed"
    assert way({"allow": ("a",)}, {}) == "loosened"
    assert way({}, {"deny": ("a",)}) == "tightened"
    assert way({"deny": ("a", "b")}, {"deny": ("a",)}) == "loosened"
