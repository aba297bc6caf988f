"""Limits on a disk that may be lost: no crash loosens any, and what is set by hand outlives it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
import trio
from riskd.actors.control import CommandRefused, CommandUnavailable
from riskd.actors.core.access import Caller, Peer, Role
from riskd.actors.core.kill_switch import Rules
from riskd.actors.limits import Asked
from riskd.actors.mailbox import Registry
from riskd.actors.messages import (
    By,
    Command,
    Fact,
    LimitsAre,
    LimitsChanged,
    LimitsLoosened,
    LimitsTightened,
    LooseningProposed,
    Refused,
    ResetLimit,
    SetLimit,
    ShowLimits,
)
from riskd.config import parse
from riskd.supervisor.chronicle import LOOSEN_TIMEOUT_S, Chronicle
from riskd.supervisor.configuration import Configuration
from riskd.supervisor.known import Known
from riskd.supervisor.ledger import Ledger
from riskd.supervisor.limiting import Limiting
from trio.testing import MockClock, wait_all_tasks_blocked

Machine = Any  # the class of this fixture lives in conftest.py
BOB = By(via="socket", user_id=1000, user="bob", process_id=4711)
OPERATOR = Caller(peer=Peer(process_id=7, user_id=1000, group_id=1000), role=Role.OPERATOR)
POSITION = "max_position@all"


def file(qty: str, more: str = "") -> str:
    return f"[[rules]]\nkind = 'max_position'\nmax_qty = '{qty}'\n{more}"


def set_to(qty: str) -> SetLimit:
    return SetLimit(rule=POSITION, key="max_qty", value=qty, reason="news")


class Life:
    """One run of riskd, as far as limits go."""

    def __init__(self, machine: Machine, ledger: Ledger, known: Known, text: str) -> None:
        self.machine, self.ledger, self.known = machine, ledger, known
        chronicle = Chronicle(ledger)
        self.limiting = Limiting(
            chronicle=chronicle,
            in_force=known.limits,
            overrides=known.overrides,
            books=known.books,
            clock=machine.clock,
            configuration=Configuration(parse(text, "riskd.toml", {}), None, {}),
            registry=Registry(chronicle.record, crashes_max=3),
            rules=lambda: Rules(cooldown_s=1),
            by=lambda _: BOB,
            publish=lambda: None,
        )
        self.limiting.begin()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Life"]:
        """With its actor, and a disk."""
        async with self.machine.kept(self.ledger), trio.open_nursery() as nursery:
            await nursery.start(self.limiting.children()[0].run, None)
            yield self
            nursery.cancel_scope.cancel()

    async def ask(self, command: Command) -> Any:
        return await self.limiting.handlers()[type(command)](OPERATOR, command)

    async def reload(self, text: str) -> Any:
        self.limiting.configuration.current = parse(text, "riskd.toml", {}).config
        return await self.limiting.follow(BOB)

    @property
    def qty(self) -> str | None:
        rules = {given.rule.id: given.rule for given in self.known.limits.now.rules}
        return str(getattr(rules[POSITION], "max_qty", None)) if POSITION in rules else None


Lives = Callable[[str], AbstractAsyncContextManager[Life]]


@pytest.fixture
def lives(machine: Machine) -> Lives:
    """A run with a configuration, on what the runs before have left."""

    @asynccontextmanager
    async def live(text: str) -> AsyncIterator[Life]:
        known = Known()
        with machine.open(known.projections()) as ledger:
            yield Life(machine, ledger, known, text)

    return live


def told(machine: Machine) -> list[Fact]:
    return [each for each in machine.told() if isinstance(each, LimitsTightened | LimitsLoosened)]


async def test_a_start_tightens_before_anything_else_and_loosens_before_it_serves(
    lives: Lives,
) -> None:
    async with lives(file("2")) as first:
        assert first.qty == "2"
    async with lives(file("1")) as second:
        assert second.qty == "1"
    async with lives(file("3")) as third:
        assert third.qty == "1"
        async with third.serving():
            assert third.qty == "3"


async def test_a_start_without_news_makes_no_fact(lives: Lives, machine: Machine) -> None:
    for _ in range(2):
        async with lives(file("2")) as life, life.serving():
            pass
    assert len(told(machine)) == 1


async def test_a_disk_that_hangs_holds_no_start_and_the_tighter_limits_stay(
    lives: Lives, machine: Machine, autojump_clock: MockClock
) -> None:
    async with lives(file("2")) as first:
        machine.sync(first.ledger)
    async with lives(file("3")) as life:
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            limits, _ = life.limiting.children()
            await nursery.start(limits.run, None)  # there is no keeper: no disk
            assert trio.current_time() - began <= LOOSEN_TIMEOUT_S
            assert life.qty == "2"
            async with machine.kept(life.ledger):
                await trio.sleep(5)
                assert life.qty == "3"
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("power", [False, True])
async def test_a_crash_between_the_proposal_and_the_fact_loosens_nothing(
    lives: Lives, machine: Machine, power: bool
) -> None:
    async with lives(file("2")) as life:
        machine.sync(life.ledger)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(life.limiting.chronicle.ledger.loosen, _loosening(life, "3"))
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        if power:
            machine.cut_power()
        else:
            machine.disk.crash()
    async with lives(file("2")) as again:
        assert again.qty == "2"
    facts = machine.told()
    assert any(isinstance(each, LooseningProposed) for each in facts) is not power
    assert not any(isinstance(each, LimitsLoosened) for each in facts)


def _loosening(life: Life, qty: str) -> LimitsLoosened:
    fact = life.limiting.limiter.change(Asked(set_to(qty), BOB))
    assert isinstance(fact, LimitsLoosened)
    return fact


async def test_what_a_person_has_set_outlives_restarts_and_reloads(lives: Lives) -> None:
    async with lives(file("2")) as life, life.serving():
        assert isinstance(await life.ask(set_to("3")), LimitsChanged)
        assert life.qty == "3"
    async with lives(file("2")) as again, again.serving():
        assert again.qty == "3"
        await again.reload(file("2", "[gate]\non_excess = 'scale_down'\n"))
        assert again.qty == "3"
        assert again.known.limits.now.on_excess == "scale_down"
        assert isinstance(await again.ask(ResetLimit(rule=POSITION)), LimitsChanged)
        assert again.qty == "2"


async def test_a_file_that_says_something_else_of_the_key_wins_and_says_so(lives: Lives) -> None:
    async with lives(file("2")) as life, life.serving():
        await life.ask(set_to("1"))
        changes, waiting = await life.reload(file("5"))
        assert life.qty == "5"
        assert [each.how for each in changes] == ["loosened", "overruled"]
        assert waiting == ()


async def test_what_tightens_needs_no_actor_and_what_loosens_does(
    lives: Lives, autojump_clock: MockClock
) -> None:
    async with lives(file("2")) as life:
        await life.ask(set_to("1"))
        assert life.qty == "1"
        with trio.move_on_after(60), pytest.raises(CommandUnavailable):
            await life.ask(set_to("3"))
        assert life.qty == "1"


async def test_a_reload_tells_what_waits_where_the_actor_does_not_answer(
    lives: Lives, autojump_clock: MockClock
) -> None:
    async with lives(file("2")) as life:
        changes, waiting = await life.reload(file("3"))
        assert changes == waiting
        assert [each.how for each in waiting] == ["loosened"]
        assert life.qty == "2"
        async with life.serving():
            assert life.qty == "3"


async def test_a_look_at_a_file_tells_what_it_would_change_and_changes_nothing(
    lives: Lives,
) -> None:
    async with lives(file("2")) as life:
        made = life.ledger.lsn
        changes = life.limiting.configuration.preview(parse(file("1"), "f", {}).config)
        assert [each.how for each in changes] == ["tightened"]
        assert (life.qty, life.ledger.lsn) == ("2", made)


async def test_what_is_refused_has_its_code_and_changes_nothing(lives: Lives) -> None:
    async with lives(file("2")) as life:
        made = life.ledger.lsn
        for command, code in (
            (SetLimit(rule="x", key="max_qty", value="1", reason="y"), "unknown_rule"),
            (ShowLimits(after="x"), "limits_changed"),
        ):
            with pytest.raises(CommandRefused) as refused:
                await life.ask(command)
            assert refused.value.code == code
        assert life.ledger.lsn == made


async def test_what_loosens_is_refused_by_the_rules_of_a_recovery(lives: Lives) -> None:
    async with lives(file("2")) as life:
        life.limiting.rules = lambda: Rules(cooldown_s=1, two_person=True)
        async with life.serving():
            answer = await life.ask(set_to("3"))
            assert isinstance(answer, Refused)
            assert answer.code == "no_approval"
            assert isinstance(await life.ask(set_to("1")), LimitsChanged)


async def test_the_table_is_told_in_pieces(lives: Lives) -> None:
    text = "".join(f"[[rules]]\nkind='max_order_qty'\nname='r{n}'\nmax_qty=1\n" for n in range(5))
    async with lives(text) as life:
        first = await life.ask(ShowLimits(limit=3))
        assert isinstance(first, LimitsAre)
        assert ([row["rule"] for row in first.limits], first.more) == (["r0", "r1", "r2"], True)
        rest = await life.ask(ShowLimits(limit=3, after="r2"))
        assert ([row["rule"] for row in rest.limits], rest.more) == (["r3", "r4"], False)


async def test_a_snapshot_holds_what_is_in_force(lives: Lives, machine: Machine) -> None:
    async with lives(file("2")) as life:
        await life.ask(set_to("1"))
        again = Known().limits
        again.load(b"".join(life.known.limits.dump()))
        assert again.now == life.known.limits.now
        assert [judge.id for judge in again.rules.judges] == [
            judge.id for judge in life.known.limits.rules.judges
        ]
    assert len(told(machine)) == 2
