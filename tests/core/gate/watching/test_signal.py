"""The risk signal: what figures make of it, what it does to orders, and when it is told."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core.signal.signals import Signals, badness, is_same, worse
from riskd.actors.core.signal.snapshot import MOST, snapshot
from riskd.actors.core.signal.watch import SYMBOLS_MAX
from riskd.actors.messages import (
    AccountClosed,
    InstrumentListed,
    Recorded,
    RiskSignal,
    SignalEased,
    SignalWorsened,
)
from riskd.actors.messages.book import Fx
from riskd.config.schema import RiskSignal as Limits

World = Any  # its class lives in conftest.py
D = Decimal
ALL = ("account:main", "exchange:sim", "all")
BAD = RiskSignal(
    level="critical", score=100, critical_issues=("the venue is unwell",), tier="emergency"
)
ACT = RiskSignal(level="info", score=10, action_required=True)
UNEASY = RiskSignal(level="warning", score=50, warnings=("thin books",), tier="reduced")


def figures(world: World, scope: str = "account:main") -> Any:
    return snapshot(scope, world.books.of(scope))


def said(
    world: World, signal: RiskSignal, source: str = "desk", kind: Any = SignalWorsened
) -> None:
    world.make(
        kind(
            source=source, state="said", signal=signal, reason=None, by=None, worker=None,
            said_at=None,
        )
    )  # fmt: skip


# --- figures --------------------------------------------------------------------------------------


def test_an_account_in_which_nothing_has_happened_is_known_whole(make_world: Any) -> None:
    world = make_world(is_open=False).open()
    found = figures(world)
    known = {
        name: value
        for name, value in msgspec.structs.asdict(found).items()
        if name not in ("value_at_risk", "expected_shortfall")
    }
    assert None not in known.values()
    assert world.turn() == {}
    assert world.passes(60).turn() == {}


def test_the_figures_are_those_of_the_books(world: World) -> None:
    assert (figures(world).value_at_risk, figures(world).expected_shortfall) == (0, 0)
    world.mark(100).mark(50, "M").trade(20, 100).trade(-10, 50, "M")
    world.passes(1).mark(95)
    found = figures(world)
    assert found.equity == 900
    assert found.value_at_risk is None, "two marks say nothing of how much it moves"
    assert found.gross_leverage == D("2.666667")  # rounded up: (1900 + 500) / 900
    assert found.net_leverage == D("1.555556")
    assert found.concentration_pct == D("211.1112")
    assert (found.daily_pnl, found.daily_loss_pct) == (-100, 10)
    assert (found.weekly_pnl, found.weekly_loss_pct, found.drawdown_pct) == (-100, 10, 10)


def test_what_was_realised_counts_where_it_is_worse(world: World) -> None:
    world.mark(100).trade(10, 100).trade(-10, 95).trade(10, 95).passes(1).mark(100)
    assert figures(world).daily_pnl == -50


def test_exposure_on_no_equity_is_as_bad_as_can_be(world: World) -> None:
    world.mark(100).trade(20, 100).mark(40)
    assert figures(world).gross_leverage == figures(world).net_leverage == MOST
    issues = {each.critical_issues[0] for each in world.turn().values()}
    assert issues == {"there are positions, and equity is not above 0"}


def test_what_is_lost_where_there_was_nothing_is_all_of_it(make_world: Any) -> None:
    world = make_world(is_open=False).open(balance=0)
    world.mark(100).trade(1, 100).passes(1).mark(99)
    assert figures(world).daily_loss_pct == figures(world).drawdown_pct == 100


def test_accounts_in_different_currencies_have_no_sum_and_that_is_no_issue(world: World) -> None:
    world.open("euro", "EUR").mark(100)
    world.book(Fx(ccy="USD", rate=D("0.9")), account="euro")
    assert figures(world, "all").currency is None
    assert figures(world, "all").equity is None
    assert world.turn() == world.passes(60).turn() == {}
    world.trade(150, 100).mark(90)
    assert set(world.turn()) == {"account:main"}


# --- what is made of them -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("price", "level", "tier", "acts"),
    [
        ("95.01", "info", "normal", False),
        ("95", "warning", "reduced", False),
        ("90.01", "warning", "reduced", False),
        ("90", "critical", "emergency", True),
    ],
)
def test_a_figure_that_has_reached_its_limit_is_an_issue(
    world: World, price: str, level: str, tier: str, acts: bool
) -> None:
    world.mark(100).trade(10, 100).passes(1).mark(price)
    found = world.turn().get("account:main")
    if level == "info":
        assert found is None
        return
    assert (found.level, found.tier, found.action_required) == (level, tier, acts)
    issue = f"daily_loss_pct has reached {5 if level == 'warning' else 10}"
    assert issue in found.warnings + found.critical_issues
    assert (found.score == 100) == (level == "critical")
    assert 50 <= found.score <= 100


@pytest.mark.parametrize("name", ["drawdown", "daily_loss", "weekly_loss"])
def test_each_loss_has_limits_of_its_own(world: World, name: str) -> None:
    wide = {
        f"{each}_{kind}_pct": D(1_000)
        for each in ("drawdown", "daily_loss", "weekly_loss")
        for kind in ("warning", "critical")
        if each != name
    }
    world.mark(100).trade(10, 100).passes(1).mark(70)
    assert world.turn(Limits(**wide))["all"].critical_issues[0].startswith(f"{name}_pct ")


def test_leverage_is_held_to_its_limits(world: World) -> None:
    world.mark(100).mark(100, "M").trade("49.99", 100).trade(50, 100, "M").turn()
    assert world.signals.of("account:main").warnings == ("concentration_pct has reached 500",)
    world.trade("0.01", 100)
    assert world.turn()["account:main"].warnings == (
        "gross_leverage has reached 10", "net_leverage has reached 10",
        "concentration_pct has reached 500",
    )  # fmt: skip
    world.trade(100, 100)
    assert world.turn()["account:main"].critical_issues == (
        "gross_leverage has reached 20", "net_leverage has reached 20",
    )  # fmt: skip


def test_an_issue_is_told_once_until_it_is_five_percent_better(world: World) -> None:
    world.mark(100).trade(10, 100).passes(1).mark(90)
    assert set(world.turn()) == set(ALL)
    assert world.turn() == {}
    assert world.mark("90.4").turn() == {}
    assert world.mark("90").turn() == {}
    eased = world.mark("90.6").turn()["account:main"]
    assert (eased.level, eased.action_required) == ("warning", False)
    assert eased.warnings == ("daily_loss_pct has reached 5",)


def test_nothing_is_told_twice_over_a_restart(world: World) -> None:
    world.mark(100).trade(10, 100).passes(1).mark(90).turn()
    before = dict(world.signals.raised)
    world.restart()
    assert world.signals.raised == before != {}
    assert world.mark("90.4").turn() == {}


# --- what is not known ----------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["critical", "warning"])
def test_what_was_not_known_for_ten_seconds_is_an_issue(world: World, level: Any) -> None:
    limits = Limits(unknown=level)
    world.trade(1, 100)
    assert world.turn(limits) == {}
    assert world.passes(9.99).turn(limits) == {}
    found = world.passes(0.01).turn(limits)
    assert set(found) == set(ALL)
    assert {each.level for each in found.values()} == {level}
    assert "equity is not known" in found["all"].critical_issues + found["all"].warnings
    world.mark(100)
    assert {each.level for each in world.turn(limits).values()} == {"info"}


def test_a_restart_makes_nothing_known(world: World) -> None:
    world.trade(1, 100).turn()
    world.passes(10).turn()
    assert world.signals.raised["all"].level == "critical"
    world.restart()
    assert world.turn() == {}
    assert world.signals.raised["all"].level == "critical"


def test_a_figure_that_nobody_knows_any_more_is_as_bad_as_it_was(world: World) -> None:
    world.mark(100).trade(10, 100).passes(1).mark(90).turn()
    world.trade(1, 100, "M")
    assert figures(world).equity is None
    for _ in range(20):
        world.passes(1).turn()
        assert world.signals.raised["account:main"].level == "critical"
    assert "daily_loss_pct has reached 10" in world.signals.of("account:main").critical_issues


# --- whose signal it is ---------------------------------------------------------------------------


def test_one_account_makes_its_own_critical_and_no_other(world: World) -> None:
    world.open("other", balance=1_000_000).mark(100).trade(10, 100).passes(1).mark(90)
    assert set(world.turn(touched={"main"})) == {"account:main"}
    assert world.code() == "risk_signal_critical"
    assert world.code(account="other") == "ok"


def test_an_account_that_is_closed_has_none(world: World) -> None:
    world.open("other", balance=1_000_000).mark(100).trade(10, 100).passes(1).mark(90).turn()
    world.make(AccountClosed(account="main"))
    assert world.turn()["account:main"].level == "info"
    assert world.signals.raised == {}


def test_a_large_scope_is_looked_at_in_its_time_alone(world: World) -> None:
    listing = world.books.listings["L"]
    for number in range(SYMBOLS_MAX):
        one = msgspec.structs.replace(listing, symbol=f"S{number}")
        world.make(InstrumentListed(listing=one))
        world.mark(1, f"S{number}").trade(1, 1, f"S{number}")
    world.mark(100).trade(10, 100).passes(1).mark(85)
    assert world.turn(touched={"main"}) == {}
    assert set(world.turn()) == set(ALL)


# --- orders ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signal", "code", "level"),
    [
        (BAD, "risk_signal_critical", "critical"),
        (ACT, "risk_action_required", "warning"),
        (UNEASY, "ok", "warning"),
    ],
)
def test_what_adds_risk_is_blocked_and_what_reduces_passes_and_is_told(
    world: World, signal: RiskSignal, code: str, level: str
) -> None:
    world.held_to().mark(100).trade(5, 100)
    said(world, signal)
    adding, reducing = world.ask("buy", 1).verdict, world.ask("sell", 5).verdict
    assert (adding.code, adding.risk_level) == (code, level)
    assert (reducing.code, reducing.decision) == ("ok", "allow")
    assert reducing.risk_level == ("critical" if level == "critical" else "warning")
    assert world.code("sell", "5.01") == code


def test_a_block_says_whose_signal_it_is_and_why(world: World) -> None:
    said(world.held_to().mark(100), BAD)
    found = world.ask().verdict
    assert (found.rule, found.scope) == ("risk_signal", "all")
    assert found.missing == "desk: the venue is unwell"
    assert (found.decision, found.qty, found.max_qty) == ("block", 0, 0)


def test_it_stands_behind_freshness_and_before_what_only_reduces(world: World) -> None:
    """No mark is the fourth stage, an order that says that it reduces the sixth."""
    world.held_to()
    said(world, BAD)
    assert world.code(qty="-1") == "qty_not_positive"
    assert world.code(symbol="X") == "unknown_symbol"
    assert world.mark(100).code(reduce_only=True) == "risk_signal_critical"
    stages = [one.judge.STAGE for one in world.ask().opinions]
    assert stages == sorted(stages)
    assert 5 in stages


@pytest.mark.parametrize(("price", "moves"), [(90, True), (94, False)])
def test_what_was_permitted_is_stale_once_a_signal_blocks(
    world: World, price: int, moves: bool
) -> None:
    world.mark(100).trade(10, 100).passes(1).mark(price)
    before = world.halts.now.epoch
    assert world.turn() != {}
    assert (world.halts.now.epoch > before) == moves
    before = world.halts.now.epoch
    said(world, BAD)
    assert world.halts.now.epoch > before


def test_an_order_that_nobody_could_place_is_under_the_signals_of_everything(world: World) -> None:
    said(world.held_to(), BAD)
    assert world.ask(symbol="X").verdict.risk_level == "critical"
    assert world.ask(account="nobody").verdict.risk_level == "critical"


def test_the_worst_of_all_sources_counts_and_an_action_of_any(world: World) -> None:
    world.held_to().mark(100)
    said(world, UNEASY, "one")
    said(world, ACT, "two")
    assert world.code() == "risk_action_required"
    said(world, BAD, "three")
    assert world.code() == "risk_signal_critical"
    said(world, RiskSignal(level="info", score=0), "three", SignalEased)
    said(world, RiskSignal(level="info", score=0), "two", SignalEased)
    assert (world.code(), world.signals.level) == ("ok", "warning")
    assert set(world.signals.sources) == {"one"}


# --- the projection -------------------------------------------------------------------------------

SIGNALS = st.builds(
    RiskSignal,
    level=st.sampled_from(["info", "warning", "critical"]),
    score=st.integers(0, 100),
    critical_issues=st.lists(st.sampled_from("abc"), max_size=2).map(tuple),
    action_required=st.booleans(),
)


@given(st.lists(st.tuples(st.sampled_from("xyz"), SIGNALS), max_size=20))
def test_what_it_knows_survives_a_dump_and_is_the_worst_of_what_holds(
    heard: list[tuple[str, RiskSignal]],
) -> None:
    world = _World()
    for source, signal in heard:
        said(world, signal, source)
    last = dict(heard)
    worst = max((badness(one)[0] for one in last.values()), default=0)
    assert {"info": 0, "warning": 1, "critical": 2}[world.signals.level] == worst
    acts = any(one.action_required for one in last.values())
    raised = world.signals.raised.get("all")
    assert (raised is not None and raised.action_required) == acts
    again = Signals()
    again.load(b"".join(world.signals.dump()))
    assert (again.raised, again.sources) == (world.signals.raised, world.signals.sources)


class _World:
    """The projection alone."""

    def __init__(self) -> None:
        self.signals = Signals()

    def make(self, fact: Any) -> None:
        text = b'{"lsn":1,"at":"2026-03-04T12:00:00Z","monotonic_s":1,"fact":%s}'
        self.signals.apply(msgspec.json.decode(text % msgspec.json.encode(fact), type=Recorded))


@given(SIGNALS, SIGNALS)
def test_the_worse_of_two_is_one_of_them_and_not_better_than_either(
    one: RiskSignal, other: RiskSignal
) -> None:
    found = worse(one, other)
    assert found in (one, other)
    assert badness(found) == max(badness(one), badness(other))
    assert is_same(worse(one, one), one)
