"""The watch: what it does and tells at each edge, and what it leaves alone."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from riskd.actors.core.gate.rule import Around
from riskd.actors.core.gate.rules.loss import DailyLoss
from riskd.actors.core.gate.watch import UNKNOWN_S
from riskd.actors.messages import CloseAsked, EdgeReported, Halt, LimitWarned, RuleCalm, RuleTripped
from riskd.actors.messages.book import Tick
from riskd.config.schema import rules as schema

World = Any  # its class lives in conftest.py
D = Decimal


def lost(world: World, amount: Any) -> World:
    """So much is lost in all, unrealised, of one contract bought at 500."""
    if not world.is_in:
        world.mark(500).trade(1, 500)
        world.is_in = True
    return world.mark(D(500) - D(amount))


# --- edges ----------------------------------------------------------------------------------------


def test_a_limit_breaks_on_a_mark_and_is_told_once(world: World) -> None:
    world.held_to(schema.DailyLoss(max_loss=D(100), scope="account:main", action="halt"))
    assert world.said() == []
    halt, tripped = lost(world, 100).look(["main"])
    assert (halt.scope, halt.mode, halt.cause) == ("account:main", "halt", "position")
    assert halt.source == "rule:daily_loss@account:main"
    assert halt.reason == ("daily_loss@account:main: account:main is at 100, and the limit is 100")
    assert tripped == RuleTripped(
        rule="daily_loss@account:main", scope="account:main", account=None, symbol=None,
        kind="daily_loss", action="halt", limit=D(100), value=D(100), missing=None,
    )  # fmt: skip
    assert lost(world, 150).said() == []


def test_it_trips_again_only_after_it_was_calm(world: World) -> None:
    world.held_to(schema.DailyLoss(max_loss=D(100), warn_pct=()))
    assert lost(world, 100).said() == ["RuleTripped"]
    for amount in (99, 100, "95.01", 101, 95):
        assert lost(world, amount).said() == [], amount
    assert lost(world, "94.99").said() == ["RuleCalm"]
    assert lost(world, 100).said() == ["RuleTripped"]


def test_each_level_is_told_once_and_again_when_it_was_left_for_good(world: World) -> None:
    world.held_to(schema.DailyLoss(max_loss=D(100)))

    def told(amount: Any) -> list[Any]:
        acts = lost(world, amount).look()
        return [(type(act).__name__, getattr(act, "level_pct", None)) for act in acts]

    warned, calm, tripped = LimitWarned.__name__, RuleCalm.__name__, RuleTripped.__name__
    for amount, expected in (
        ("79.99", []),
        (80, [(warned, 80)]),
        (94, []),
        (79, []),
        (80, []),
        (95, [(warned, 95)]),
        ("90.01", []),
        ("89.99", [(calm, 80)]),
        (96, [(warned, 95)]),
        (100, [(tripped, None)]),
        (96, []),
        ("94.99", [(calm, 80)]),
        (10, [(calm, None)]),
        (97, [(warned, 95)]),
        (10, [(calm, None)]),
    ):
        assert told(amount) == expected, amount


def test_a_loss_that_comes_at_once_is_told_as_such_and_as_nothing_else(world: World) -> None:
    world.held_to(schema.DailyLoss(max_loss=D(100)))
    assert lost(world, 500).said() == ["RuleTripped"]


def test_a_new_session_is_calm(world: World) -> None:
    world.held_to(schema.DailyLoss(max_loss=D(100)))
    assert lost(world, 100).said() == ["RuleTripped"]
    world.passes(13 * 3_600).book(Tick())
    assert world.said() == ["RuleCalm"]


# --- actions --------------------------------------------------------------------------------------

HALTS = {
    "warn": [],
    "block": [],
    "reduce_only": [("Halt", "reduce_only")],
    "halt": [("Halt", "halt")],
    "close_position": [("Halt", "reduce_only"), ("CloseAsked", None)],
    "flatten": [("Halt", "reduce_only"), ("CloseAsked", None)],
}


@pytest.mark.parametrize("action", HALTS)
def test_first_comes_the_halt_and_last_the_fact_that_it_has_tripped(
    world: World, action: Any
) -> None:
    world.held_to(schema.DailyLoss(max_loss=D(100), action=action))
    acts = lost(world, 100).look()
    assert [(type(act).__name__, getattr(act, "mode", None)) for act in acts] == [
        *HALTS[action], ("RuleTripped", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("lockout", "until"),
    [("operator", "UntilOperator"), ("session", "UntilSession"), ("time", "UntilElapsed")],
)
def test_a_lockout_ends_as_the_rule_says(world: World, lockout: Any, until: str) -> None:
    world.held_to(schema.DailyLoss(max_loss=D(100), action="halt", lockout=lockout, lockout_s=60.0))
    halt = lost(world, 100).look()[0]
    assert type(halt.until).__name__ == until


def test_a_time_that_is_not_given_waits_for_a_person(world: World) -> None:
    world.held_to(schema.DailyLoss(max_loss=D(100), action="halt", lockout="time"))
    assert type(lost(world, 100).look()[0].until).__name__ == "UntilOperator"


def test_everything_that_is_open_in_the_scope_is_to_be_closed(world: World) -> None:
    world.open("other").open("empty").trade(1, 500, account="other")
    world.held_to(schema.DailyLoss(max_loss=D(100), action="flatten"))
    asked = [act for act in lost(world, 100).look() if isinstance(act, CloseAsked)]
    assert [(one.account, one.symbol, one.scope) for one in asked] == [
        ("main", None, "all"), ("other", None, "all"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("scope", "halted"),
    [
        ("all", "account:main"),
        ("exchange:sim", "account:main"),
        ("account:main", "account:main"),
        ("symbol:L", "symbol:L"),
    ],
)
def test_one_position_closes_itself_and_halts_no_more_than_its_account(
    world: World, scope: str, halted: str
) -> None:
    world.held_to(schema.PositionLoss(max_loss=D(100), scope=scope)).open("other")
    world.mark(500, "M").trade(1, 500, "M").trade(1, 50, account="other")
    halt, close, tripped = lost(world, 100).look()
    assert (halt.scope, halt.mode) == (halted, "reduce_only")
    assert (close.account, close.symbol) == ("main", "L")
    assert (tripped.account, tripped.symbol) == ("main", "L")


def test_flatten_takes_the_whole_account_of_the_position(world: World) -> None:
    world.held_to(schema.PositionLoss(max_loss=D(100), action="flatten"))
    world.mark(500, "M").trade(1, 500, "M").mark(500).trade(1, 500).mark(400)
    (close,) = [act for act in world.look() if isinstance(act, CloseAsked)]
    assert (close.account, close.symbol) == ("main", None)


def test_a_position_that_is_closed_is_calm(world: World) -> None:
    world.held_to(schema.PositionLoss(max_loss=D(100)))
    lost(world, 100).look()
    world.trade(-1, 400)
    assert world.said() == ["RuleCalm"]
    assert world.said() == []
    assert world.watched.told == {}


# --- lockouts, and more than one rule -------------------------------------------------------------


def test_a_second_rule_trips_while_the_first_one_has_halted(world: World) -> None:
    world.held_to(
        schema.DailyLoss(max_loss=D(100), action="halt"),
        schema.Drawdown(max_drawdown=D(150), action="halt", lockout="operator"),
    )
    assert lost(world, 100).said() == ["Halt", "RuleTripped"]
    world.trade(-1, 350)  # a fill that comes during the lockout
    halt, tripped = world.look(["main"])
    assert (halt.source, tripped.value) == ("rule:drawdown@all", 150)


def test_only_rules_about_what_has_happened_are_looked_at(world: World) -> None:
    world.open("other")
    world.held_to(schema.DailyLoss(max_loss=D(100), scope="account:main"))
    lost(world, 100)
    assert world.said(["other"]) == []
    assert world.said([]) == []
    assert world.said(["main"]) == ["RuleTripped"]


# --- what is not known ----------------------------------------------------------------------------


def test_what_is_not_known_is_told_in_time_and_once(world: World) -> None:
    world.held_to(schema.DailyLoss(max_loss=D(100))).trade(1, 500)
    assert world.said() == []
    world.passes(UNKNOWN_S - 0.001)
    assert world.said() == []
    world.passes(0.001)
    (told,) = world.look()
    assert (told.missing, told.unknown_s) == ("daily_loss: what all has made", UNKNOWN_S)
    world.passes(60)
    assert world.said() == []
    world.mark(500)
    assert world.said() == ["RuleCalm"]


def test_what_was_known_meanwhile_begins_to_wait_anew(world: World) -> None:
    world.held_to(schema.EdgeFloor(min_bps=D(2), max_age_s=1.0))
    for _ in range(5):
        world.make(EdgeReported(strategy="mm", symbol=None, bps=D(5)))
        assert world.said() == []
        world.passes(1.5)
        assert world.said() == []
        world.passes(UNKNOWN_S - 0.001)
        assert world.said() == []


def test_what_has_tripped_is_not_calm_because_nobody_knows(world: World) -> None:
    world.held_to(schema.DailyLoss(max_loss=D(100)))
    lost(world, 100).look()
    world.trade(1, 500, "M")
    assert world.said() == []
    world.passes(UNKNOWN_S)
    assert world.said() == ["LimitUnknown"]
    world.mark(500, "M")
    assert world.said() == []
    assert lost(world, 0).said() == ["RuleCalm"]


def test_a_rule_that_fails_is_told_and_the_others_are_asked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(DailyLoss, "measure", fail)
    world.held_to(schema.DailyLoss(max_loss=D(1)), schema.Drawdown(max_drawdown=D(100)))
    assert lost(world, 100).said() == ["RuleTripped"]
    world.passes(UNKNOWN_S)
    (told,) = world.look()
    assert told.missing == "daily_loss@all failed: ZeroDivisionError()"


def test_a_rule_about_positions_that_fails_makes_none_of_them_calm(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.held_to(schema.PositionLoss(max_loss=D(100)))
    lost(world, 100).look()
    monkeypatch.setattr("riskd.actors.core.gate.rules.loss.unrealised_of", lambda *_: D(1) / D(0))
    assert world.said() == []


# --- restarts -------------------------------------------------------------------------------------


def test_what_was_told_is_not_told_again_after_a_restart(world: World) -> None:
    world.held_to(
        schema.DailyLoss(max_loss=D(100), action="halt"),
        schema.WeeklyLoss(max_loss=D(110)),
        schema.PositionLoss(max_loss=D(50)),
    )
    lost(world, 100)
    assert len(world.look()) > 3
    world.restart()
    assert world.said() == []
    assert world.said() == []


def test_a_rule_that_is_not_in_force_any_more_is_forgotten(world: World) -> None:
    world.held_to(schema.DailyLoss(max_loss=D(100)), schema.WeeklyLoss(max_loss=D(100)))
    lost(world, 100).look()
    world.watched.keep({"weekly_loss@all"})
    assert {subject.rule for subject in world.watched.told} == {"weekly_loss@all"}


RULES = (
    schema.DailyLoss(max_loss=D(100), action="halt"),
    schema.Drawdown(max_drawdown=D(120), action="flatten", lockout="operator"),
    schema.PositionLoss(max_loss=D(60)),
    schema.MaxUnrealizedProfit(max_profit=D(80)),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    steps=st.lists(
        st.one_of(st.integers(350, 620), st.sampled_from(["buy", "sell", "restart", "die"])),
        max_size=25,
    )
)
def test_no_rule_trips_twice_in_a_row_and_none_that_is_broken_is_not_tripped(
    make_world: Any, steps: list[Any]
) -> None:
    """Whatever happens between: also a death in the middle of what is done."""
    world = make_world().held_to(*RULES).mark(500)
    tripped: set[Any] = set()

    def note(acts: list[Any]) -> None:
        for act in acts:
            if isinstance(act, Halt | CloseAsked):
                continue
            subject = (act.rule, act.account, act.symbol)
            if isinstance(act, RuleTripped):
                assert subject not in tripped
                tripped.add(subject)
            elif isinstance(act, RuleCalm):
                tripped.discard(subject)

    for step in steps:
        match step:
            case "buy" | "sell":
                world.trade(1 if step == "buy" else -1, 500)
            case "restart":
                world.restart()
            case "die":
                pass  # nothing was looked at
            case _:
                world.mark(step)
        if step != "die":
            note(world.look())
            for judge in world.rules.judges[2:]:
                for subject, found in judge.survey(Around(world.books, world.moment)):
                    if found is not None and found.outcome == "block":
                        assert (subject.rule, subject.account, subject.symbol) in tripped
