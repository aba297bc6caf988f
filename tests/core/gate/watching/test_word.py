"""What venues and brokers say of an account."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from riskd.actors.core.gate.memory import Rearmed
from riskd.actors.core.gate.rule import Around
from riskd.actors.messages import EquityAgreed, EquityDrifted, EquityReported, VenueStated
from riskd.actors.messages.book import Snapshot
from riskd.config.schema import rules as schema

World = Any  # its class lives in conftest.py
D = Decimal

# --- may it trade ---------------------------------------------------------------------------------

AUTH = schema.AuthLoss()


def says(world: World, *, can_trade: bool, account: str = "main", ago_s: float = 0) -> World:
    at = world.at - timedelta(seconds=ago_s)
    world.make(VenueStated(account=account, can_trade=can_trade, reason=None, at=at))
    return world


@pytest.mark.parametrize(
    ("can_trade", "code"), [(True, "ok"), (False, "auth_loss"), (None, "not_evaluable")]
)
@pytest.mark.parametrize("scope", ["all", "account:main", "exchange:sim"])
def test_what_the_venue_says_of_an_account_decides(
    world: World, can_trade: bool | None, code: str, scope: str
) -> None:
    world.held_to(schema.AuthLoss(scope=scope)).mark(100).trade(1, 100)
    if can_trade is not None:
        says(world, can_trade=can_trade)
    assert world.code("buy") == code
    assert world.code("sell") == "ok"


def test_an_account_that_cannot_trade_is_halted_until_a_person_has_looked(world: World) -> None:
    world.held_to(AUTH).open("other")
    says(says(world, can_trade=False), can_trade=True, account="other")
    halt, tripped = world.look()
    assert (halt.scope, halt.mode, halt.cause) == ("account:main", "halt", "external")
    assert type(halt.until).__name__ == "UntilOperator"
    assert halt.reason == "auth_loss@all: account:main: the venue says that it can't trade"
    assert (tripped.account, tripped.limit, tripped.missing) == ("main", None, None)
    assert says(world, can_trade=True).said() == ["RuleCalm"]


@pytest.mark.parametrize(("waits", "code"), [(60, "ok"), (60.000001, "auth_loss")])
def test_its_word_may_be_so_old(world: World, waits: float, code: str) -> None:
    world.held_to(schema.AuthLoss(max_age_s=60)).mark(100)
    says(world, can_trade=True, ago_s=10).passes(waits - 10)
    assert world.code("buy") == code


def test_without_an_age_its_word_holds(world: World) -> None:
    assert says(world.held_to(AUTH), can_trade=True).passes(10**6).code("buy") == "ok"


def test_what_was_said_before_the_right_was_lost_does_not_give_it_back(world: World) -> None:
    says(world.held_to(AUTH).mark(100), can_trade=False)
    assert says(world, can_trade=True, ago_s=1).code("buy") == "auth_loss"
    assert says(world, can_trade=True).code("buy") == "ok"
    assert says(world, can_trade=False, ago_s=1).code("buy") == "auth_loss"


def test_a_word_from_the_future_is_of_unknown_age(world: World) -> None:
    world.held_to(schema.AuthLoss(max_age_s=60)).mark(100)
    says(world, can_trade=True).passes(0, wall=-1)
    assert world.code("buy") == "not_evaluable"


def test_what_was_said_survives_a_restart(world: World) -> None:
    says(world.held_to(AUTH).mark(100), can_trade=False)
    world.restart()
    assert world.code("buy") == "auth_loss"


def test_a_closed_account_is_asked_about_no_more(world: World) -> None:
    world.held_to(AUTH)
    world.books.accounts["main"].about.is_open = False
    assert world.found() == {}


# --- do the books agree ---------------------------------------------------------------------------

AGREES = schema.Reconciliation(max_qty=D(2))


def adopts(world: World, qty: Any, symbol: str = "L") -> World:
    world.passes(1)
    return world.book(
        Snapshot(symbol=symbol, qty=D(qty), avg_price=D(100), as_of=world.at.isoformat())
    )


@pytest.mark.parametrize(
    ("qty", "code"), [("3.01", "ok"), (3, "ok"), ("2.99", "reconciliation"), (7, "ok"),
                      ("7.01", "reconciliation"), (-5, "reconciliation")]
)  # fmt: skip
def test_a_position_that_is_adopted_may_differ_by_so_much(
    world: World, qty: Any, code: str
) -> None:
    world.held_to(AGREES).mark(100).trade(5, 100)
    assert adopts(world, qty).code("buy" if D(qty) > 0 else "sell") == code


def test_it_is_over_when_the_next_one_agrees(world: World) -> None:
    world.held_to(AGREES).mark(100).trade(5, 100)
    halt, tripped = adopts(world, 1).look()
    assert (halt.scope, halt.mode) == ("account:main", "halt")
    assert type(halt.until).__name__ == "UntilOperator"
    assert (tripped.value, tripped.limit) == (4, 2)
    assert adopts(world, 0, "M").said() == [], "another symbol says nothing of this one"
    assert adopts(world, 1).said() == ["RuleCalm"]


def test_it_is_over_when_a_person_says_so(world: World) -> None:
    adopts(world.held_to(AGREES).mark(100).trade(5, 100), 1)
    world.memories[AGREES.id].saw(Rearmed(world.at, ("all",), "another rule"))
    assert world.code("buy") == "reconciliation"
    world.memories[AGREES.id].saw(Rearmed(world.at, ("all",), AGREES.id))
    assert world.code("buy") == "ok"


def test_one_of_before_another_that_was_adopted_says_nothing(world: World) -> None:
    world.held_to(AGREES).mark(100).trade(5, 100)
    early = world.at.isoformat()
    adopts(world, 5).passes(1)
    world.book(Snapshot(symbol="L", qty=D(90), avg_price=D(1), as_of=early))
    assert world.outcome() == "pass"


def test_what_filled_after_it_is_no_difference(world: World) -> None:
    world.held_to(schema.Reconciliation()).mark(100).trade(5, 100)
    as_of = world.at.isoformat()
    world.passes(1).trade(2, 100)
    world.book(Snapshot(symbol="L", qty=D(5), avg_price=D(100), as_of=as_of))
    assert world.outcome() == "pass"


def test_an_account_whose_equity_drifts_does_not_agree(world: World) -> None:
    world.held_to(schema.Reconciliation()).mark(100).open("other")
    assert world.code("buy", account="other") == "not_evaluable", "nobody has said what it is worth"
    for account in ("main", "other"):
        world.make(EquityReported(account=account, theirs=D(1), ours=D(1)))
    world.make(EquityDrifted(account="main", theirs=D(1), ours=D(2), allowed=D(0)))
    assert world.code("buy") == "reconciliation"
    assert world.code("buy", account="other") == "ok"
    halt, _ = world.look()
    assert halt.reason.endswith("the book and the broker disagree about what it is worth")
    world.make(EquityAgreed(account="main", theirs=D(1), ours=D(1)))
    assert world.said() == ["RuleCalm"]


def test_a_difference_survives_a_restart(world: World) -> None:
    adopts(world.held_to(AGREES).mark(100).trade(5, 100), 1)
    world.restart()
    assert world.code("buy") == "reconciliation"


def test_people_see_the_worst_of_all_accounts(world: World) -> None:
    world.open("other").held_to(AUTH)

    def seen() -> str:
        judge = next(one for one in world.rules.judges if one.kind == AUTH.kind)
        around = Around(world.books, world.moment, world.memories[AUTH.id])
        return judge.overall(around).outcome

    says(world, can_trade=True)
    assert seen() == "unknown", "the other one was not heard of"
    says(world, can_trade=True, account="other")
    assert seen() == "pass"
    says(world, can_trade=False)
    assert seen() == "block"
