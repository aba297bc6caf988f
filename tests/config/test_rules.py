"""`[[rules]]` and `[profiles.NAME]`: who is named must be there, and what is written counts."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from riskd.config import Config, ConfigInvalid, parse
from riskd.config.profiles import BRINGS, RULES_BYTES_MAX, excess, limits, rules_of
from riskd.config.schema import BUILT_IN, Profile
from riskd.config.schema.rules import (
    AnyRule,
    DailyLoss,
    MaxLeverage,
    MaxOpenPositions,
    MaxOrderQty,
    MaxPosition,
    SingleTradeRisk,
    StrategyWhitelist,
    WeeklyLoss,
)

DESK = """
[accounts.main]
exchange = "sim"
strategies = ["mm"]

[[instruments]]
symbol = "BTCUSDT"
"""
LINES = DESK.count("\n")


def told(text: str) -> list[str]:
    with pytest.raises(ConfigInvalid) as refused:
        parse(text, "FILE", {})
    return [str(problem) for problem in refused.value.problems]


def rule(more: str = "", *, scope: str = "all") -> str:
    return f"[[rules]]\nkind = 'max_order_qty'\nmax_qty = '2'\nscope = '{scope}'\n{more}\n"


# --- factor -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("factor", "rules", "problem"),
    [
        ("calm_pct = 2", rule("factor = 'day'"),
         "rules[0].factor: names no factor of the file; there is night"),
        ("calm_pct = 2", "[[rules]]\nkind = 'reduce_only_correct'\nfactor = 'night'\n",
         "rules[0].factor: has nothing to multiply in a reduce_only_correct; leave it out"),
        ("calm_pct = 2",
         "[[rules]]\nkind='repeated_execution'\nmax_executions=5\nwindow_s=5\nfactor='night'\n",
         "rules[0].factor: has nothing to multiply in a repeated_execution; leave it out"),
        ("symbols = {X = '0.5'}",
         "[[rules]]\nkind = 'daily_loss'\nmax_loss = '5'\nfactor = 'night'\n",
         "rules[0].factor: goes by the symbol, and this rule is about several; name one of hours"),
        ("symbols = {X = '1.01'}", rule("factor = 'night'"),
         "factors.night.symbols.X: is 1.01; write 0.01 to 1"),
        ("hours = {'22:00-06:00' = '0'}", rule("factor = 'night'"),
         "factors.night.hours.\"22:00-06:00\": is 0; write 0.01 to 1"),
        ("hours = {'22:00' = '0.5'}", "", "factors.night.hours"),
        ("calm_pct = '0'", "", "factors.night.calm_pct: is not above 0; write"),
        ("calm_pct = 2\nfloor = '2'", "", "factors.night.floor: is 2; write 0.01 to 1"),
        ("", "", "factors.night.hours: is missing, and so are the others; write one of them"),
        ("calm_pct = 2\nzone = 'Mars/Olympus'", "", "factors.night.zone: is no time zone"),
    ],
)  # fmt: skip
def test_a_factor_shrinks_and_has_something_to_shrink(
    factor: str, rules: str, problem: str
) -> None:
    (said,) = told(f"{DESK}{rules}\n[factors.night]\n{factor}\n")
    assert problem in said


def test_a_factor_by_symbol_may_be_that_of_a_rule_about_its_symbol() -> None:
    rules = "[[rules]]\nkind = 'daily_loss'\nmax_loss = '5'\nscope = 'symbol:BTCUSDT'\n"
    text = f"{DESK}{rules}factor = 'wild'\n[factors.wild]\ncalm_pct = 2\n"
    config = parse(text, "FILE", {}).config
    assert config.rules[0].factor == "wild"
    assert config.factors["wild"].is_by_symbol


# --- [[rules]] ------------------------------------------------------------------------------------


def test_rules_are_read_in_their_order_and_each_is_of_its_kind() -> None:
    text = f"{DESK}[[rules]]\nkind = 'max_position'\nmax_qty = 2\n{rule(scope='account:main')}"
    config = parse(text, "FILE", {}).config
    assert config.rules == (
        MaxPosition(max_qty=Decimal(2)),
        MaxOrderQty(max_qty=Decimal(2), scope="account:main"),
    )


@pytest.mark.parametrize(
    "scope", ["all", "account:main", "exchange:sim", "strategy:mm", "symbol:BTCUSDT", "worker:w"]
)
def test_a_scope_may_name_what_the_file_has(scope: str) -> None:
    assert parse(DESK + rule(scope=scope), "FILE", {}).config.rules[0].scope == scope


@pytest.mark.parametrize(
    ("scope", "remedy"),
    [
        ("account:mian", "there is account:main"),
        ("exchange:binance", "there is exchange:sim"),
        ("strategy:arb", "there is strategy:mm"),
        ("symbol:ETHUSDT", "there is symbol:BTCUSDT"),
    ],
)
def test_a_scope_that_names_what_is_not_there_is_told_by_key_and_line(
    scope: str, remedy: str
) -> None:
    (problem,) = told(DESK + rule(scope=scope))
    kind = scope.partition(":")[0]
    a = "an" if kind[0] in "ae" else "a"
    said = f"FILE:{LINES + 4}: rules[0].scope: names {a} {kind} that the file does not have"
    assert problem == f"{said}; {remedy}"


def test_any_strategy_is_known_where_some_account_names_none() -> None:
    text = f"{DESK}[accounts.other]\n{rule(scope='strategy:arb')}"
    assert parse(text, "FILE", {}).config.rules[0].scope == "strategy:arb"


@pytest.mark.parametrize(
    ("more", "key", "what"),
    [
        ("", "kind", "and scope are those of rules[0] too"),
        ("name = 'max_order_qty@all'", "name", "is that of rules[0] too"),
    ],
)
def test_two_rules_are_not_called_the_same(more: str, key: str, what: str) -> None:
    (problem,) = told(rule() + rule(more))
    assert f"rules[1].{key}: {what}; give it a name of its own" in problem


def test_a_second_rule_of_a_kind_in_a_scope_has_a_name() -> None:
    rules = parse(rule() + rule("name = 'second'"), "FILE", {}).config.rules
    assert [each.id for each in rules] == ["max_order_qty@all", "second"]


def test_the_names_of_profiles_are_nobody_elses() -> None:
    (problem,) = told(rule("name = 'normal:daily_loss'"))
    assert "rules[0].name: has a ':'" in problem


def test_who_locks_for_a_time_says_for_how_long() -> None:
    text = "[[rules]]\nkind = 'daily_loss'\nmax_loss = 1\nlockout = 'time'\n"
    assert "rules[0].lockout_s: is missing" in told(text)[0]
    assert parse(f"{text}lockout_s = 60\n", "FILE", {}).config.rules


# --- profiles -------------------------------------------------------------------------------------


def test_the_four_built_in_profiles_are_these() -> None:
    assert {
        name: tuple(
            str(getattr(profile, key))
            for key in (
                "daily_loss_pct",
                "weekly_loss_pct",
                "single_trade_risk_pct",
                "max_open_positions",
                "max_leverage",
            )
        )
        for name, profile in BUILT_IN.items()
    } == {
        "micro": ("0.5", "2", "0.2", "2", "1"),
        "low": ("1", "3.5", "0.5", "3", "2"),
        "normal": ("2", "7", "1", "5", "3"),
        "aggressive": ("3.5", "12", "2", "8", "5"),
    }


def test_an_account_is_of_the_normal_profile_unless_it_says_otherwise() -> None:
    text = f"{DESK}[accounts.second]\nprofile = 'micro'\n"
    found = {each.rule.id for each in limits(parse(text, "FILE", {}).config)}
    assert "normal:daily_loss@account:main" in found
    assert "micro:daily_loss@account:second" in found


@pytest.mark.parametrize(
    ("profile", "day", "week", "trade", "positions", "leverage"),
    [
        ("micro", "0.5", "2", "0.2", 2, 1),
        ("low", "1", "3.5", "0.5", 3, 2),
        ("normal", "2", "7", "1", 5, 3),
        ("aggressive", "3.5", "12", "2", 8, 5),
    ],
)
def test_a_built_in_profile_brings_five_rules(
    profile: str, day: str, week: str, trade: str, positions: int, leverage: int
) -> None:
    text = f"[accounts.a]\nprofile = '{profile}'\n"
    found = {each.rule.kind: each for each in limits(parse(text, "FILE", {}).config)}
    named: dict[str, Any] = {
        kind: {"name": f"{profile}:{kind}@account:a", "scope": "account:a"} for kind in found
    }
    assert [each.rule for each in found.values()] == [
        DailyLoss(max_pct=Decimal(day), **named["daily_loss"]),
        WeeklyLoss(max_pct=Decimal(week), **named["weekly_loss"]),
        SingleTradeRisk(max_pct=Decimal(trade), **named["single_trade_risk"]),
        MaxOpenPositions(max_positions=positions, **named["max_open_positions"]),
        MaxLeverage(max_leverage=Decimal(leverage), **named["max_leverage"]),
    ]
    assert {each.source for each in found.values()} == {f"profile:{profile}"}
    assert not [no for each in found.values() for no in each.rule.disagreements()]


@pytest.mark.parametrize(
    ("account", "own", "named"),
    [
        ("", "['arb']", ("arb",)),
        ("strategies = ['mm']", "['arb']", ("mm",)),
        ("strategies = ['mm']", "[]", ("mm",)),
        ("", "[]", None),
    ],
)
def test_the_strategies_of_an_account_go_before_those_of_its_profile_and_none_is_any(
    account: str, own: str, named: tuple[str, ...] | None
) -> None:
    text = f"[accounts.a]\nprofile = 'own'\n{account}\n[profiles.own]\nstrategies = {own}\n"
    found = [each.rule for each in limits(parse(text, "FILE", {}).config)]
    name = "own:strategy_whitelist@account:a"
    assert found == (
        [] if named is None else [StrategyWhitelist(name=name, scope="account:a", strategies=named)]
    )


def test_a_profile_of_the_file_can_be_named_and_sets_what_it_says_alone() -> None:
    text = "[accounts.a]\nprofile = 'own'\n[profiles.own]\ndaily_loss_pct = '9'\n"
    (one,) = limits(parse(text, "FILE", {}).config)
    assert one.source == "profile:own"
    assert one.rule == DailyLoss(
        name="own:daily_loss@account:a", scope="account:a", max_pct=Decimal(9)
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "[accounts.a]\nprofile = 'own'\n",
            (
                "FILE:2: accounts.a.profile: is no profile; "
                "write one of micro, low, normal, aggressive, or add it to [profiles]"
            ),
        ),
        ("[profiles.low]\n", "FILE:1: profiles.low: is built in; choose another name"),
        (
            "[profiles.own]\nmax_leverage = '-1'\n",
            "FILE:2: profiles.own.max_leverage: is below 0; write 0 or more",
        ),
        (
            "[profiles.own]\ndaily_loss_pct = 0\n",
            (
                "FILE:2: profiles.own.daily_loss_pct: is not above 0; "
                "write an amount that may be reached"
            ),
        ),
    ],
)
def test_a_profile_that_means_nothing_is_refused(text: str, problem: str) -> None:
    assert told(text) == [problem]


def test_every_key_of_a_profile_means_a_rule_of_the_account() -> None:
    values = {
        key: ("mm",) if key == "strategies" else 5 if key == "max_open_positions" else Decimal(1)
        for key in Profile.__struct_fields__
    }
    found = list(rules_of(Profile(**values), "own", "main"))  # type: ignore[arg-type]  # each is of its key's kind
    assert set(BRINGS) == set(values)
    assert len(found) == len(BRINGS)
    assert {each.scope for each in found} == {"account:main"}
    assert msgspec.json.decode(msgspec.json.encode(found), type=list[AnyRule]) == found


def test_limits_are_those_of_the_file_first_and_say_where_they_are_from() -> None:
    found = limits(parse(DESK + rule(), "FILE", {}).config)
    assert [each.source for each in found[:2]] == ["config", "profile:normal"]


def test_more_rules_than_a_fact_can_hold_are_refused() -> None:
    many = "".join(rule(f"name = '{'x' * 200}{n}'") for n in range(1_000))
    (problem,) = told(many)
    assert problem.startswith("FILE:1: rules: and the profiles of accounts bring ")
    rules = tuple(MaxOrderQty(name=f"r{n}", max_qty=Decimal(1)) for n in range(1_000))
    size = len(msgspec.json.encode(rules))
    assert excess(Config(rules=rules)) == max(0, size - RULES_BYTES_MAX)
