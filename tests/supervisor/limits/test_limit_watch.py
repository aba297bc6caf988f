"""Limits that break while nobody asks, in the life of riskd: what stops, and until when."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import trio
from riskd.actors.limit_watch import EVERY_S, REST_S
from riskd.actors.messages import (
    CloseAsked,
    HaltPlaced,
    HaltsEnded,
    LimitUnknown,
    RuleCalm,
    RuleTripped,
    VenueStated,
)
from riskd.actors.messages.book import Tick
from riskd.config.schema import rules as schema

Host = Any  # the classes of these fixtures live in conftest.py
Life = Any
Hosts = Callable[..., Host]
D = Decimal
SOON_S = 3 * REST_S
MAIN = schema.DailyLoss(max_loss=D(100), scope="account:main", action="halt")


async def lose(life: Life, amount: Any) -> None:
    """On paper, and in `main` alone."""
    life.mark(500)
    life.trade(1, 500)
    await trio.sleep(SOON_S)
    life.mark(500 - D(amount))


def test_a_loss_limit_breaks_on_a_mark_and_trading_halts_until_the_sessions_reset(
    hosts: Hosts,
) -> None:
    async def script(life: Life) -> None:
        await lose(life, "99.99")
        await trio.sleep(SOON_S)
        assert life.page.says == {}
        life.mark(400)
        await trio.sleep(SOON_S)
        assert life.page.says == life.halts == {"account:main": "halt"}
        (placed,) = life.told(HaltPlaced)
        assert placed.halt.source == "rule:daily_loss@account:main"
        await trio.sleep(100)
        assert life.page.says == {"account:main": "halt"}
        await trio.sleep(25)  # past midnight
        for account in ("main", "other"):
            life.book(Tick(), account=account)
        await trio.sleep(2)
        assert life.page.says == {}
        assert len(life.told(HaltsEnded)) == len(life.told(RuleCalm)) == 1
        assert len(life.told(RuleTripped)) == 1

    assert hosts(MAIN).run(script)


@pytest.mark.parametrize(("action", "rises"), [("block", True), ("warn", False)])
def test_whoever_holds_a_permission_sees_that_a_limit_has_stopped_orders(
    hosts: Hosts, action: Any, rises: bool
) -> None:
    async def script(life: Life) -> None:
        await lose(life, 0)
        before = life.page.epoch
        life.mark(400)
        await trio.sleep(SOON_S)
        (tripped,) = life.told(RuleTripped)
        assert tripped.action == action
        assert (life.page.epoch > before) is rises
        assert life.page.says == {}

    assert hosts(schema.DailyLoss(max_loss=D(100), action=action)).run(script)


def test_a_fill_in_the_lockout_still_counts_and_a_second_rule_still_trips(hosts: Hosts) -> None:
    async def script(life: Life) -> None:
        await lose(life, 100)
        await trio.sleep(SOON_S)
        life.trade(-1, 300)  # its own flatten, worse than what it had been told for
        await trio.sleep(SOON_S)
        rules = [fact.rule for fact in life.told(RuleTripped)]
        assert rules == ["daily_loss@account:main", "drawdown@all"]
        assert life.page.says == {"account:main": "halt", "all": "reduce_only"}
        assert [fact.account for fact in life.told(CloseAsked)] == []

    assert hosts(MAIN, schema.Drawdown(max_drawdown=D(150), action="flatten")).run(script)


def test_what_is_to_be_closed_is_asked_for_when_the_halt_is_in_force(hosts: Hosts) -> None:
    async def script(life: Life) -> None:
        await lose(life, 100)
        await trio.sleep(SOON_S)
        kinds = (HaltPlaced, CloseAsked, RuleTripped)
        assert [type(fact) for fact in life.told(*kinds)] == list(kinds)
        (asked,) = life.told(CloseAsked)
        assert (asked.account, asked.symbol) == ("main", "L")

    assert hosts(schema.PositionLoss(max_loss=D(100))).run(script)


@pytest.mark.parametrize("action", ["halt", "flatten"])
def test_who_is_killed_between_the_mark_and_the_last_word_is_halted_afterwards(
    hosts: Hosts, action: Any
) -> None:
    """At each operation of the disk in turn."""
    rule = schema.DailyLoss(max_loss=D(100), action=action, lockout="operator")
    deaths = 0
    for operations in range(1, 50):
        host = hosts(rule)

        async def script(life: Life, operations: int = operations, host: Host = host) -> None:
            await lose(life, 0)
            await trio.sleep(SOON_S)
            host.disk.left = operations
            life.mark(400)  # which is one
            await trio.sleep(5)

        async def afterwards(life: Life) -> None:
            await trio.sleep(SOON_S)
            wanted = "halt" if action == "halt" else "reduce_only"
            assert life.page.says == life.halts == {"all": wanted}
            assert len(life.told(HaltPlaced)) == 1
            assert len(life.told(RuleTripped)) == 1
            assert len(life.told(CloseAsked)) >= (action == "flatten")
            await trio.sleep(5)
            assert len(life.told(HaltPlaced, RuleTripped)) == 2

        has_lived = host.run(script)
        deaths += not has_lived
        assert host.run(afterwards)
        if has_lived:
            break
    else:
        pytest.fail("it never came to the end")
    assert deaths >= 2


def test_a_halt_that_a_person_has_lifted_is_not_placed_again_while_it_is_broken(
    hosts: Hosts,
) -> None:
    async def script(life: Life) -> None:
        await lose(life, 100)
        await trio.sleep(SOON_S)
        (placed,) = life.told(HaltPlaced)
        end = HaltsEnded(halt_ids=(placed.halt_id,), reason="somebody has looked")
        await life.brakes.chronicle.loosen(end)
        life.mark(390)
        await trio.sleep(5)
        assert life.halts == {}

    assert hosts(MAIN).run(script)


def test_a_watch_that_is_crashed_goes_on_where_it_was(hosts: Hosts) -> None:
    async def script(life: Life) -> None:
        await lose(life, 0)
        life.watch.cancel()
        life.mark(400)
        await trio.sleep(SOON_S)
        assert life.halts == {"account:main": "halt"}
        life.watch.cancel()
        await trio.sleep(3)
        assert len(life.told(RuleTripped)) == 1

    assert hosts(MAIN).run(script)


def test_it_has_looked_before_anybody_else_begins(hosts: Hosts) -> None:
    host = hosts(MAIN)

    async def unseen(life: Life) -> None:
        life.limits.doubt = "so that nobody looks"
        await lose(life, 100)

    async def at_once(life: Life) -> None:
        assert life.halts == {"account:main": "halt"}

    assert host.run(unseen)
    assert host.run(at_once)


def test_what_time_alone_breaks_is_seen_within_a_second(hosts: Hosts) -> None:
    async def script(life: Life) -> None:
        life.mark(500)
        life.trade(1, 500)
        await trio.sleep(14.5)
        assert life.halts == {}
        await trio.sleep(0.5 + EVERY_S + SOON_S)
        assert life.halts == {"all": "halt"}

    assert hosts(schema.FeedSilence(max_age_s=15, action="halt")).run(script)


def test_what_can_not_be_judged_is_told_and_halts_nothing(hosts: Hosts) -> None:
    async def script(life: Life) -> None:
        life.trade(1, 500)
        await trio.sleep(9)
        assert life.told(LimitUnknown) == []
        await trio.sleep(10)
        assert len(life.told(LimitUnknown)) == 1
        assert life.halts == {}

    assert hosts(MAIN).run(script)


def test_in_doubt_nothing_is_looked_at_and_afterwards_everything(hosts: Hosts) -> None:
    async def script(life: Life) -> None:
        await lose(life, 0)
        await trio.sleep(SOON_S)
        life.limits.doubt = "a fact that could not be read"
        life.mark(400)
        await trio.sleep(5)
        assert life.told(RuleTripped) == []
        life.limits.doubt = None
        await trio.sleep(EVERY_S + SOON_S)
        assert life.halts == {"account:main": "halt"}

    assert hosts(MAIN).run(script)


# --- edges ----------------------------------------------------------------------------------------


def test_an_edge_below_the_floor_has_halted_its_strategy_when_it_is_answered(hosts: Hosts) -> None:
    async def script(life: Life) -> None:
        reply = await life.edge("mm", "5")
        assert type(reply).__name__ == "Taken"
        assert life.page.says == {}
        await life.edge("mm", "1.9")
        assert life.page.says == {"strategy:mm": "halt"}

    assert hosts(schema.EdgeFloor(min_bps=D(2), action="halt")).run(script)


def test_a_worker_tells_the_edge_of_its_own_strategy_alone(hosts: Hosts) -> None:
    async def script(life: Life) -> None:
        assert type(await life.edge("mm", "5", worker="mm-1")).__name__ == "Taken"
        for strategy, worker in (("arb", "mm-1"), ("mm", "another")):
            reply: Any = await life.edge(strategy, "5", worker=worker)
            assert reply.code == "not_your_strategy"

    assert hosts(schema.EdgeFloor(min_bps=D(2))).run(script)


def test_an_edge_is_known_after_a_restart(hosts: Hosts) -> None:
    host = hosts(schema.EdgeFloor(min_bps=D(2), max_age_s=1_000, action="halt"))

    async def before(life: Life) -> None:
        await life.edge("mm", "5")
        host.disk.left = -1

    async def after(life: Life) -> None:
        assert life.limits.memories["edge_floor@all"].of[("mm", None)].bps == 5

    host.run(before)
    assert host.run(after)


def test_an_account_that_cannot_trade_is_halted_when_that_is_answered(hosts: Hosts) -> None:
    async def script(life: Life) -> None:
        for account in ("main", "other"):
            reply = await life.venue(account, can_trade=True)
            assert type(reply).__name__ == "Taken"
        assert life.page.says == {}
        await life.venue("main", can_trade=False, reason="key expired", worker="mm-1")
        assert life.page.says == {"account:main": "halt"}
        assert [said.worker for said in life.told(VenueStated)] == [None, None, "mm-1"]

    assert hosts(schema.AuthLoss()).run(script)


def test_a_worker_tells_of_its_own_account_and_nobody_of_one_that_there_is_not(
    hosts: Hosts,
) -> None:
    async def script(life: Life) -> None:
        for account, worker, code in (
            ("other", "mm-1", "not_your_account"),
            ("main", "another", "not_your_account"),
            ("main", "of-none", "not_your_account"),
            ("third", None, "unknown_account"),
        ):
            reply: Any = await life.venue(account, can_trade=False, worker=worker)
            assert reply.code == code
        reply = await life.venue("main", can_trade=False, ts="yesterday")
        assert reply.code == "invalid_value"
        assert life.told(VenueStated) == []

    assert hosts(schema.AuthLoss()).run(script)


def test_others_have_their_turn_between_the_signals_of_scopes(hosts: Hosts) -> None:
    seen: list[str] = []
    nurseries: list[trio.Nursery] = []

    async def other() -> None:
        seen.append("other")

    def signal(scope: str, _now_s: float) -> None:
        seen.append(scope)
        for nursery in nurseries:
            nursery.start_soon(other)

    async def script(life: Life) -> None:
        assert seen == list(host.scopes)
        async with trio.open_nursery() as nursery:
            nurseries.append(nursery)
            seen.clear()
            await trio.sleep(0.5)
            # What was begun in the first step is done before the third.
            assert "other" in seen[: seen.index("all")]
            life.limits.doubt = "none of it is known"
            seen.clear()
            await trio.sleep(5)
            assert seen == []
            life.limits.doubt = None
            await trio.sleep(2)
            assert set(seen) == {*host.scopes, "other"}

    host = hosts(schema.AuthLoss())
    host.scopes, host.signal = ("account:main", "account:other", "all"), signal
    assert host.run(script)


def test_only_an_operator_says_that_an_account_can_trade(hosts: Hosts) -> None:
    async def script(life: Life) -> None:
        reply: Any = await life.venue("main", can_trade=True, worker="mm-1")
        assert (reply.code, life.told(VenueStated)) == ("only_operators", [])
        await life.venue("main", can_trade=False, worker="mm-1")
        for _ in range(3):
            reply = await life.venue("main", can_trade=True, worker="mm-1")
            assert reply.code == "only_operators"
        assert [said.can_trade for said in life.told(VenueStated)] == [False]
        await life.venue("main", can_trade=True)
        assert [said.worker for said in life.told(VenueStated)] == ["mm-1", None]

    assert hosts(schema.AuthLoss()).run(script)


def test_a_venue_speaks_of_what_was_and_not_of_what_will_be(hosts: Hosts) -> None:
    async def script(life: Life) -> None:
        now = life.brakes.clock.now()
        for ahead_s, at_s in ((-5, -5), (5, 0)):
            ts = (now + timedelta(seconds=ahead_s)).isoformat()
            await life.venue("main", can_trade=True, ts=ts)
            assert life.told(VenueStated)[-1].at == now + timedelta(seconds=at_s)

    assert hosts(schema.AuthLoss()).run(script)


def test_a_breaker_halts_for_longer_each_time_also_over_a_crash(hosts: Hosts) -> None:
    host = hosts(schema.EdgeFloor(min_bps=D(2), max_age_s=1_000, lockout_s=10.0))

    async def before(life: Life) -> None:
        await life.edge("mm", "1")
        assert life.page.says == {"strategy:mm": "reduce_only"}
        host.disk.left = -1

    async def after(life: Life) -> None:
        assert life.page.says == {"strategy:mm": "reduce_only"}
        await trio.sleep(12)
        first, second = life.told(HaltPlaced)
        assert (first.halt.until.seconds, second.halt.until.seconds) == (10, 20)
        assert second.halt.repeat == 1
        await life.edge("mm", "5")
        await trio.sleep(22)
        assert life.page.says == {}

    host.run(before)
    assert host.run(after)
