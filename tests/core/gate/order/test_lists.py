"""What may be sent at all, by whom, in what."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from riskd.config import ConfigInvalid, parse
from riskd.config.schema.rules import OrderTypes, StrategyWhitelist, SymbolRestricted

Desk = Callable[..., Any]
STOP = {"stop_price": "90"}


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"price": "100"}, "ok"),
        ({"price": "100", "order_type": "limit"}, "ok"),
        ({}, "order_type_not_allowed"),
        ({"price": "100", "order_type": "market"}, "order_type_not_allowed"),
        ({**STOP, "order_type": "stop"}, "ok"),
        ({**STOP, "price": "90", "order_type": "stop_limit"}, "order_type_not_allowed"),
    ],
)
def test_only_the_types_in_the_list_pass_said_or_not(desk: Desk, more: Any, code: str) -> None:
    assert desk(OrderTypes(allow=("limit", "stop"))).code(**more) == code


def test_getting_out_is_of_an_allowed_type_too(desk: Desk) -> None:
    at = desk(OrderTypes(allow=("limit",)))
    at.hold("1")
    assert at.code("sell") == "order_type_not_allowed"


@pytest.mark.parametrize(
    ("strategy", "code"),
    [("mm", "ok"), ("arb", "strategy_not_listed"), ("MM", "strategy_not_listed"),
     (None, "no_strategy")],
)  # fmt: skip
def test_only_strategies_in_the_list_trade(desk: Desk, strategy: str | None, code: str) -> None:
    at = desk(StrategyWhitelist(strategies=("mm", "trend")))
    at.hold("9")
    for side in ("buy", "sell"):
        assert at.code(side, strategy=strategy) == code


def test_with_an_empty_list_nobody_does(desk: Desk) -> None:
    assert desk(StrategyWhitelist(strategies=())).code(strategy="mm") == "strategy_not_listed"


@pytest.mark.parametrize(
    ("lists", "code"),
    [
        ({"deny": ("BTC",)}, "symbol_denied"),
        ({"deny": ("ETH",)}, "ok"),
        ({"allow": ("BTC",)}, "ok"),
        ({"allow": ("ETH",)}, "symbol_not_allowed"),
        ({"allow": ()}, "symbol_not_allowed"),
        ({"allow": ("BTC",), "deny": ("BTC",)}, "symbol_denied"),
    ],
)
@pytest.mark.parametrize("reducing", ["block", "pass"])
def test_a_symbol_is_traded_if_no_list_is_against_it(
    desk: Desk, lists: Any, code: str, reducing: Any
) -> None:
    at = desk(SymbolRestricted(**lists, reducing=reducing))
    at.hold("5")
    assert at.code("buy") == code
    assert at.code("sell", "5") == ("ok" if reducing == "pass" else code)
    assert at.code("sell", "5.1") == code


@pytest.mark.parametrize(
    "rule",
    [
        OrderTypes(allow=("limit",), action="warn"),
        StrategyWhitelist(strategies=(), action="warn"),
        SymbolRestricted(deny=("BTC",), action="warn"),
    ],
)
def test_a_rule_that_warns_lets_it_pass(desk: Desk, rule: Any) -> None:
    assert desk(rule).ask().decision == "allow"


@pytest.mark.parametrize(
    "rule",
    [
        OrderTypes(allow=("market",)),
        StrategyWhitelist(strategies=("mm",)),
        SymbolRestricted(deny=("ETH",)),
    ],
)
def test_what_passes_says_so_only_when_asked(desk: Desk, rule: Any) -> None:
    at = desk(rule)
    assert not at.decided(at.order(strategy="mm")).opinions
    assert at.said(rule.kind, strategy="mm").outcome == "pass"


def test_a_restriction_that_restricts_nothing_is_a_mistake() -> None:
    with pytest.raises(ConfigInvalid) as refused:
        parse("[[rules]]\nkind = 'symbol_restricted'\n", "FILE", {})
    assert "rules[0].deny: is missing, and so is allow" in str(refused.value)


def test_no_other_type_can_be_listed() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"kind": "order_types", "allow": ["iceberg"]}, OrderTypes)
