"""What may be lost: each rule at its limit, one tick below and one above, and without an input."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from riskd.actors.messages.book import Funding, Fx, Tick, Transfer
from riskd.config.schema import rules as schema

World = Any  # its class lives in conftest.py
D = Decimal
BOUNDARY = [("99.99", "pass"), ("100", "block"), ("100.01", "block")]


@pytest.mark.parametrize(("lost", "outcome"), BOUNDARY)
@pytest.mark.parametrize("rule", [schema.DailyRealizedLoss, schema.DailyLoss, schema.WeeklyLoss])
def test_a_realised_loss_that_reaches_its_limit_has_broken_it(
    world: World, rule: Any, lost: str, outcome: str
) -> None:
    world.held_to(rule(max_loss=D(100), warn_pct=()))
    world.mark(500).trade(1, 500).trade(-1, D(500) - D(lost))
    assert world.outcome() == outcome
    assert world.code("buy") == (rule.__struct_config__.tag if outcome == "block" else "ok")


@pytest.mark.parametrize(("lost", "outcome"), BOUNDARY)
@pytest.mark.parametrize("rule", [schema.DailyLoss, schema.WeeklyLoss])
def test_a_loss_that_is_not_realised_counts_as_much(
    world: World, rule: Any, lost: str, outcome: str
) -> None:
    world.held_to(rule(max_loss=D(100), warn_pct=()))
    world.mark(500).trade(1, 500).mark(D(500) - D(lost))
    assert world.outcome() == outcome


def test_a_gain_that_is_not_realised_does_not_make_up_for_a_loss_that_is(world: World) -> None:
    world.mark(500).trade(2, 500).trade(-1, 400).mark(600)
    world.held_to(schema.DailyLoss(max_loss=D(100)))
    assert world.outcome() == "block"
    world.held_to(schema.DailyLoss(max_loss=D(100), by="pnl"))
    assert world.outcome() == "pass"
    world.held_to(schema.DailyLoss(max_loss=D(100), by="realized"))
    assert world.outcome() == "block"


def test_fees_and_funding_are_part_of_what_was_realised(world: World) -> None:
    world.held_to(schema.DailyRealizedLoss(max_loss=D(10)))
    world.mark(500).trade(1, 500, fee=D(4)).book(Funding(symbol="L", amount=D("-5.99")))
    assert world.outcome() == "warn"
    world.book(Funding(symbol="L", amount=D("-0.01")))
    assert world.outcome() == "block"


@pytest.mark.parametrize(("lost", "outcome"), [("19.99", "pass"), ("20", "block")])
def test_a_share_is_one_of_what_the_account_was_worth_at_the_opening(
    world: World, lost: str, outcome: str
) -> None:
    world.held_to(schema.DailyLoss(max_pct=D(2), warn_pct=()))
    world.mark(500).trade(1, 500).mark(D(500) - D(lost))
    assert world.outcome() == outcome


def test_of_an_amount_and_a_share_the_smaller_one_counts(world: World) -> None:
    world.mark(500).trade(1, 500).mark(485)
    world.held_to(schema.DailyLoss(max_loss=D(500), max_pct=D(1)))
    assert world.outcome() == "block"
    world.held_to(schema.DailyLoss(max_loss=D(10), max_pct=D(50)))
    assert world.outcome() == "block"
    world.held_to(schema.DailyLoss(max_loss=D(16), max_pct=D(50), warn_pct=()))
    assert world.outcome() == "pass"


def test_a_deposit_is_a_part_of_what_a_share_is_taken_of(world: World) -> None:
    world.held_to(schema.DailyLoss(max_pct=D(2), warn_pct=()))
    world.mark(500).trade(1, 500).book(Transfer(ccy="USD", amount=D(1_000))).mark(461)
    assert world.outcome() == "pass"
    world.mark(460)
    assert world.outcome() == "block"


def test_a_withdrawal_is_no_loss(world: World) -> None:
    world.held_to(schema.DailyLoss(max_loss=D(100), warn_pct=()))
    world.book(Transfer(ccy="USD", amount=D(-900)))
    assert world.outcome() == "pass"


def test_a_share_of_nothing_is_not_known_and_trips_nothing(
    make_world: Callable[..., World],
) -> None:
    world = make_world(is_open=False).open(balance=0)
    world.held_to(schema.DailyLoss(max_pct=D(2)))
    assert world.outcome() == "unknown"
    assert world.code("buy") == "not_evaluable"


def test_a_new_session_begins_with_nothing_lost_and_the_week_goes_on(world: World) -> None:
    world.mark(500).trade(1, 500).trade(-1, 300)
    world.passes(13 * 3_600).book(Tick())
    world.held_to(schema.DailyLoss(max_loss=D(100)))
    assert world.outcome() == "pass"
    world.held_to(schema.WeeklyLoss(max_loss=D(100)))
    assert world.outcome() == "block"
    world.passes(5 * 86_400).book(Tick())
    assert world.outcome() == "pass"


def test_what_adds_no_risk_passes_though_the_limit_is_broken_and_that_is_told(
    world: World,
) -> None:
    world.held_to(schema.DailyLoss(max_loss=D(100)))
    world.mark(500).trade(1, 500).mark(300)
    assert world.code("buy") == "daily_loss"
    reducing = world.ask("sell").verdict
    assert (reducing.code, reducing.risk_level) == ("ok", "warning")
    assert world.code("sell", 2) == "daily_loss"


UNREALISED = [
    schema.DailyLoss(max_loss=D(100)),
    schema.WeeklyLoss(max_loss=D(100)),
    schema.Drawdown(max_drawdown=D(100)),
    schema.DailyUnrealizedLoss(max_loss=D(100)),
    schema.PositionLoss(max_pct=D(100)),
    schema.MaxUnrealizedProfit(max_profit=D(100)),
    schema.DailyProfit(target=D(100)),
]


@pytest.mark.parametrize("rule", UNREALISED, ids=lambda rule: rule.kind)
def test_without_a_mark_what_adds_risk_is_blocked_and_what_reduces_passes_and_is_told(
    world: World, rule: Any
) -> None:
    world.held_to(rule).trade(1, 500)
    assert world.code("buy") == "not_evaluable"
    reducing = world.ask("sell").verdict
    assert (reducing.code, reducing.risk_level) == ("ok", "warning")


@pytest.mark.parametrize("rule", [*UNREALISED, schema.DailyRealizedLoss(max_loss=D(1))],
                         ids=lambda rule: rule.kind)  # fmt: skip
def test_without_a_rate_what_adds_risk_is_blocked(world: World, rule: Any) -> None:
    world.held_to(rule).mark(501, "E").trade(2, 500, "E").trade(-1, 490, "E")
    assert world.code("buy", symbol="E") == "not_evaluable"
    assert world.code("sell", symbol="E") == "ok"


def test_what_was_realised_is_known_though_a_mark_is_missing(world: World) -> None:
    world.held_to(schema.DailyRealizedLoss(max_loss=D(100), max_pct=D(50)))
    world.mark(500).trade(1, 500).trade(-1, 450)
    world.trade(1, 10, "M")
    assert world.outcome() == "pass"


@pytest.mark.parametrize("rule", [schema.DailyLoss, schema.WeeklyLoss])
@pytest.mark.parametrize(("lost", "outcome"), [("99.99", "unknown"), ("100", "block")])
def test_what_was_realised_breaks_the_limit_though_a_mark_is_missing(
    world: World, rule: Any, lost: str, outcome: str
) -> None:
    world.mark(500).trade(1, 500).trade(-1, D(500) - D(lost))
    world.trade(1, 10, "M")
    world.held_to(rule(max_loss=D(100)))
    assert world.outcome() == outcome
    world.held_to(rule(max_loss=D(100), max_pct=D(1)))
    assert world.outcome() == "block"
    world.held_to(rule(max_loss=D(100), by="pnl"))
    assert world.outcome() == "unknown", "what is not known may have won it back"


@pytest.mark.parametrize(("lost", "outcome"), [("99.99", "unknown"), ("100", "block")])
def test_an_amount_that_is_lost_is_lost_of_whatever_it_would_be_a_share(
    world: World, lost: str, outcome: str
) -> None:
    world.open("poor", balance=0).mark(500)
    world.trade(1, 500, account="poor").trade(-1, D(500) - D(lost), account="poor")
    said = {"max_loss": D(100), "max_pct": D(50), "scope": "account:poor"}
    for rule in (schema.DailyRealizedLoss, schema.DailyLoss, schema.WeeklyLoss):
        world.held_to(rule(**said))
        assert world.outcome() == outcome


@pytest.mark.parametrize(("fallen", "outcome"), [("99.99", "unknown"), ("100", "block")])
def test_the_falls_that_are_known_break_a_drawdown_of_several_accounts(
    world: World, fallen: str, outcome: str
) -> None:
    world.open("other").mark(500).trade(1, 500, account="other").mark(D(500) - D(fallen))
    world.trade(1, 10, "M")
    world.held_to(schema.Drawdown(max_drawdown=D(100)))
    assert world.outcome() == outcome
    world.open("euro", "EUR")
    assert world.outcome() == "unknown"


def test_accounts_in_two_currencies_have_no_sum(world: World) -> None:
    world.open("other", "EUR")
    for rule in (schema.DailyLoss, schema.DailyRealizedLoss, schema.WeeklyLoss):
        world.held_to(rule(max_loss=D(100)))
        assert world.outcome() == "unknown"
        world.held_to(rule(max_loss=D(100), scope="account:main"))
        assert world.outcome() == "pass"


def test_accounts_in_one_currency_are_added_up(world: World) -> None:
    world.open("other").mark(500)
    world.trade(1, 500).trade(-1, 440).trade(1, 500, account="other").trade(
        -1, 460, account="other"
    )
    for scope, outcome in (
        ("all", "block"),
        ("exchange:sim", "block"),
        ("account:main", "pass"),
        ("symbol:L", "block"),
        ("symbol:M", "pass"),
    ):
        world.held_to(schema.DailyLoss(max_loss=D(100), scope=scope))
        assert world.outcome() == outcome, scope


# --- of one symbol --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["day", "week"])
def test_a_symbols_loss_is_its_own(world: World, kind: str) -> None:
    rule = schema.DailyLoss if kind == "day" else schema.WeeklyLoss
    world.mark(500).mark(500, "M").trade(1, 500).trade(1, 500, "M").mark(450).mark(700, "M")
    world.held_to(rule(max_loss=D(50), scope="symbol:L"))
    assert world.outcome() == "block"
    world.held_to(rule(max_loss=D(50), scope="symbol:M"))
    assert world.outcome() == "pass"


def test_of_a_symbol_only_counts_what_was_lost_since_the_session_opened(world: World) -> None:
    world.mark(500).trade(2, 500).trade(-1, 400).mark(450)
    world.passes(13 * 3_600).book(Tick())
    world.held_to(schema.DailyLoss(max_loss=D(50), scope="symbol:L", warn_pct=()))
    assert world.outcome() == "pass"
    world.mark("400.01")
    assert world.outcome() == "pass"
    world.mark(400)
    assert world.outcome() == "block"
    world.trade(-1, 400)
    assert world.outcome() == "block"


def test_what_a_symbol_realised_without_a_rate_is_not_known(world: World) -> None:
    world.held_to(schema.DailyRealizedLoss(max_loss=D(100), scope="symbol:E"))
    world.mark(500, "E").trade(1, 500, "E")
    assert world.outcome() == "pass"
    world.trade(-1, 490, "E")
    assert world.outcome() == "unknown"
    world.held_to(schema.DailyRealizedLoss(max_loss=D(100), scope="symbol:L"))
    assert world.outcome() == "pass"


# --- the fall from the peak -----------------------------------------------------------------------


@pytest.mark.parametrize(("price", "outcome"), [("500.01", "warn"), ("500", "block")])
def test_a_drawdown_is_counted_from_the_peak(world: World, price: str, outcome: str) -> None:
    world.held_to(schema.Drawdown(max_drawdown=D(100), max_pct=D(50)))
    world.mark(500).trade(1, 500).mark(600).mark(price)
    assert world.outcome() == outcome


@pytest.mark.parametrize(("price", "outcome"), [("490.01", "warn"), ("490", "block")])
def test_a_drawdown_in_percent_is_one_of_the_peak(world: World, price: str, outcome: str) -> None:
    world.held_to(schema.Drawdown(max_pct=D(10)))
    world.mark(500).trade(1, 500).mark(600).mark(price)
    assert world.outcome() == outcome


def test_a_withdrawal_is_no_fall(world: World) -> None:
    world.held_to(schema.Drawdown(max_drawdown=D(100), warn_pct=()))
    world.book(Transfer(ccy="USD", amount=D(-900)))
    assert world.outcome() == "pass"


def test_of_several_accounts_the_falls_are_added(world: World) -> None:
    world.open("other").mark(500).mark(500, "M")
    world.trade(1, 500).trade(1, 500, "M", account="other").mark(560).mark(440).mark(440, "M")
    world.held_to(schema.Drawdown(max_drawdown=D(180)))
    assert world.outcome() == "block"
    world.held_to(schema.Drawdown(max_drawdown=D("180.01")))
    assert world.outcome() == "warn"


# --- of each position -----------------------------------------------------------------------------


@pytest.mark.parametrize(("lost", "outcome"), BOUNDARY)
@pytest.mark.parametrize(
    "rule",
    [
        schema.DailyUnrealizedLoss(max_loss=D(100), warn_pct=()),
        schema.DailyUnrealizedLoss(max_pct=D(10), warn_pct=()),
        schema.PositionLoss(max_loss=D(100), warn_pct=()),
        schema.PositionLoss(max_pct=D(20), warn_pct=()),
    ],
    ids=["unrealised", "unrealised %", "position", "position %"],
)
@pytest.mark.parametrize("sign", [1, -1], ids=["long", "short"])
def test_a_position_that_reaches_its_limit_has_broken_it(
    world: World, rule: Any, lost: str, outcome: str, sign: int
) -> None:
    world.held_to(rule).mark(500).trade(sign, 500).mark(500 - sign * D(lost))
    assert world.outcome() == outcome
    more, less = ("buy", "sell") if sign > 0 else ("sell", "buy")
    assert world.code(more) == (rule.kind if outcome == "block" else "ok")
    assert world.code(less) == "ok"


def test_an_order_is_held_to_its_own_position_alone(world: World) -> None:
    world.held_to(schema.PositionLoss(max_loss=D(100)))
    world.mark(500).mark(500, "M").trade(1, 500).mark(300)
    assert world.code("buy", symbol="M") == "ok"
    assert world.code("buy") == "position_loss"


def test_each_position_is_found_by_itself(world: World) -> None:
    world.held_to(schema.PositionLoss(max_loss=D(100)))
    world.open("other").mark(500).mark(500, "M")
    world.trade(1, 500).trade(1, 500, "M").trade(-1, 500, account="other").mark(390)
    found = {(s.account, s.symbol): one.outcome for s, one in world.found().items()}
    assert found == {("main", "L"): "block", ("main", "M"): "pass", ("other", "L"): "pass"}


def test_a_position_in_another_currency_is_weighed_at_its_rate(world: World) -> None:
    world.held_to(schema.PositionLoss(max_loss=D(100)))
    world.book(Fx(ccy="EUR", rate=D(2))).mark(500, "E").trade(1, 500, "E").mark("450.01", "E")
    assert world.outcome() == "warn"
    world.mark(450, "E")
    assert world.outcome() == "block"
