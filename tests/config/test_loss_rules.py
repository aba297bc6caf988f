"""Rules about what is lost, won, or should not be: which of their keys can't stand together."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from riskd.config.schema import rules as schema

KINDS = (
    schema.ConsecutiveLosses, schema.CooldownAfterLoss, schema.DailyLoss, schema.DailyProfit,
    schema.DailyRealizedLoss, schema.DailyUnrealizedLoss, schema.Drawdown, schema.EdgeFloor,
    schema.FeedSilence, schema.MaxUnrealizedProfit, schema.PositionLoss, schema.RogueOrder,
    schema.UnknownOrderAge, schema.WeeklyLoss,
)  # fmt: skip
GOOD: dict[str, dict[str, Any]] = {
    "consecutive_losses": {"max_losses": 3},
    "cooldown_after_loss": {},
    "daily_loss": {"max_loss": "100"},
    "daily_profit": {"target": "100"},
    "daily_realized_loss": {"max_pct": "2"},
    "daily_unrealized_loss": {"max_loss": "100"},
    "drawdown": {"max_pct": "10"},
    "edge_floor": {"min_bps": "-1"},
    "feed_silence": {"max_age_s": 5.0},
    "max_unrealized_profit": {"max_profit": "100"},
    "position_loss": {"max_pct": "5"},
    "rogue_order": {},
    "unknown_order_age": {"max_age_s": 0.0},
    "weekly_loss": {"max_loss": "100"},
}


def rule(kind: str, **keys: Any) -> Any:
    given = {**GOOD[kind], **keys}
    return msgspec.convert({"kind": kind, **given}, schema.AnyRule)


def faults(found: Any) -> list[str]:
    return [each.key for each in found.disagreements()]


def test_these_are_all_of_them() -> None:
    assert {str(kind.__struct_config__.tag) for kind in KINDS} == set(GOOD)


@pytest.mark.parametrize("kind", GOOD)
def test_one_that_says_what_it_needs_is_good(kind: str) -> None:
    assert faults(rule(kind)) == []


@pytest.mark.parametrize("kind", sorted({"daily_loss", "daily_profit", "daily_realized_loss",
    "daily_unrealized_loss", "drawdown", "max_unrealized_profit", "position_loss", "weekly_loss",
}))  # fmt: skip
def test_one_without_any_limit_is_none(kind: str) -> None:
    empty = dict.fromkeys(GOOD[kind])
    assert faults(rule(kind, **empty)) != []


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        (kind, key)
        for kind, keys in GOOD.items()
        for key, value in keys.items()
        if key != "min_bps" and isinstance(value, str)
    ],
)
@pytest.mark.parametrize("value", ["0", "-1", "1e40"])
def test_an_amount_is_above_nothing_and_can_be_counted_with(
    kind: str, key: str, value: str
) -> None:
    assert faults(rule(kind, **{key: value})) == [key]


@pytest.mark.parametrize("scope", ["strategy:mm", "worker:mm-1"])
@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("daily_loss", "max_pct"),
        ("weekly_loss", "max_pct"),
        ("daily_realized_loss", "max_pct"),
        ("daily_unrealized_loss", "max_pct"),
        ("drawdown", "max_pct"),
        ("daily_profit", "target_pct"),
        ("max_unrealized_profit", "max_pct"),
    ],
)
def test_what_has_no_money_of_its_own_has_no_share_to_lose(kind: str, key: str, scope: str) -> None:
    assert faults(rule(kind, scope=scope, **{key: "2"})) == [key]
    assert faults(rule(kind, scope="account:main", **{key: "2"})) == []


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ({"give_back_pct": "30"}, "give_back_from"),
        ({"give_back_from": "100"}, "give_back_pct"),
        ({"give_back_pct": "101", "give_back_from": "100"}, "give_back_pct"),
        ({"give_back_pct": "30", "give_back_from": "0"}, "give_back_from"),
    ],
)
def test_what_is_given_back_is_a_share_and_from_somewhere_on(
    keys: dict[str, str], fault: str
) -> None:
    assert faults(rule("daily_profit", **keys)) == [fault]


@pytest.mark.parametrize(
    ("kind", "scope"),
    [
        ("drawdown", "symbol:L"),
        ("rogue_order", "strategy:mm"),
        ("rogue_order", "worker:mm-1"),
        ("edge_floor", "account:main"),
        ("edge_floor", "symbol:L"),
        ("edge_floor", "worker:mm-1"),
        ("edge_floor", "exchange:sim"),
    ],
)
def test_a_scope_that_can_not_be_asked_is_refused(kind: str, scope: str) -> None:
    assert "scope" in faults(rule(kind, scope=scope))


def test_a_loss_is_said_without_a_sign() -> None:
    assert faults(rule("cooldown_after_loss", min_loss="-1")) == ["min_loss"]


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("cooldown_after_loss", {"lockout": "session"}),
        ("cooldown_after_loss", {"lockout_s": 0.0}),
        ("cooldown_after_loss", {"action": "flatten"}),
        ("rogue_order", {"action": "close_position"}),
        ("edge_floor", {"warn_pct": ["80"]}),
        ("edge_floor", {"max_age_s": 0.0}),
        ("feed_silence", {"max_age_s": 0.0}),
        ("unknown_order_age", {"max_age_s": -1.0}),
        ("consecutive_losses", {"max_losses": 0}),
    ],
)
def test_what_would_mean_nothing_is_no_value(kind: str, keys: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        rule(kind, **keys)


def test_a_position_that_breaks_its_own_limit_is_to_be_closed() -> None:
    for kind in ("position_loss", "daily_unrealized_loss", "max_unrealized_profit"):
        assert rule(kind).action == "close_position"
    assert (rule("rogue_order").action, rule("rogue_order").lockout) == ("halt", "operator")
    assert rule("cooldown_after_loss", lockout_s=60.0).lockout_s == 60.0
    assert Decimal(0) == rule("cooldown_after_loss").min_loss
