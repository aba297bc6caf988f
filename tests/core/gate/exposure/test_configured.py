"""What a rule about exposure may say of itself."""

from typing import Any, get_args

import msgspec
import pytest
from riskd.actors.core.gate.rules import JUDGES
from riskd.config.schema.rules import AnyRule


def disagreements(kind: str, **fields: Any) -> list[str]:
    rule: Any = msgspec.convert({"kind": kind, **fields}, AnyRule)
    return [one.key for one in rule.disagreements()]


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("max_position", "max_qty"),
        ("max_inventory", "max_qty"),
        ("max_gross", "max_notional"),
        ("max_net", "max_notional"),
        ("margin", "margin_pct"),
        ("single_trade_risk", "max_risk"),
    ],
)
def test_a_rule_without_a_limit_is_none(kind: str, key: str) -> None:
    assert disagreements(kind) == [key]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("max_position", {"max_long": "-1"}),
        ("max_inventory", {"max_notional": "-1"}),
        ("max_contracts_per_instrument", {"max_contracts": "-1"}),
        ("max_gross", {"max_pct": "-1"}),
        ("max_net", {"max_notional": "1e31"}),
        ("max_total_notional", {"max_notional": "-0.1"}),
        ("max_contracts", {"max_contracts": "-1"}),
        ("max_leverage", {"max_leverage": "-1"}),
        ("concentration", {"max_pct": "-1"}),
        ("margin", {"margin_pct_of": {"L": "-1"}}),
        ("liquidation_distance", {"margin_pct": "5", "min_pct": "-1"}),
        ("single_trade_risk", {"max_risk": "1e-31"}),
    ],
)
def test_a_limit_is_a_number_that_limits(kind: str, fields: dict[str, Any]) -> None:
    assert disagreements(kind, **fields) == [list(fields)[-1]]


def test_a_share_of_everything_is_less_than_everything() -> None:
    assert disagreements("concentration", max_pct="100", basis="gross") == ["max_pct"]
    assert disagreements("concentration", max_pct="100") == []
    assert disagreements("liquidation_distance", margin_pct="5", min_pct="100") == ["min_pct"]
    assert disagreements("liquidation_distance", margin_pct="101", min_pct="5") == ["margin_pct"]
    far = disagreements("liquidation_distance", margin_pct_of={"L": "101"}, min_pct="5")
    assert far == ["margin_pct_of"]


def test_every_rule_that_can_be_configured_is_judged_by_something() -> None:
    assert set(get_args(AnyRule)) == set(JUDGES)
