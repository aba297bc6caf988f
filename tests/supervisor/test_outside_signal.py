"""The word of others about the risk, on a disk that may take its time."""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import msgspec
import pytest
import trio
from riskd.actors.core.signal.signals import OUTSIDE, Signals
from riskd.actors.core.signal.sources import Outlook
from riskd.actors.core.triggers import Ran
from riskd.actors.mailbox import Mailbox, Registry
from riskd.actors.messages import (
    By,
    LeaseLapsed,
    LooseningWithdrawn,
    RiskSignal,
    Signal,
    SignalEased,
    SignalWorsened,
)
from riskd.actors.outside_signal import NAME, OutsideSignals, Told
from riskd.config.schema import OutsideSignal
from riskd.supervisor.chronicle import Chronicle
from riskd.supervisor.ledger import Ledger

GOOD, BAD = '{"level":"info"}', '{"level":"critical"}'
ASKED = OutsideSignal(url="https://risk.example.com/x", every_s=2, timeout_s=1, max_age_s=10)
BOB = By(via="socket", user_id=1000, user="bob")


@attrs.define(eq=False)
class World:
    """One riskd: what it knows, and what it is answered when it asks."""

    ledger: Ledger
    signals: Signals
    clock: Any
    registry: Registry
    config: OutsideSignal = ASKED
    answer: Ran = attrs.field(factory=lambda: Ran(0, GOOD))
    takes_s: float = 0.0
    asked: int = 0
    at_once: int = 0
    most_at_once: int = 0
    published: int = 0
    outlook: Outlook = attrs.field(factory=Outlook)
    incarnation: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    async def fetch(self, _config: OutsideSignal) -> Ran:
        self.asked += 1
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            await trio.sleep(self.takes_s)
        finally:
            self.at_once -= 1
        return self.answer

    def publish(self) -> None:
        self.published += 1

    def actor(self) -> OutsideSignals:
        chronicle = Chronicle(self.ledger)
        return OutsideSignals(
            signals=lambda: self.signals,
            outlook=self.outlook,
            record=chronicle.record,
            loosen=chronicle.loosen,
            publish=self.publish,
            doubt=chronicle.doubt,
            fetch=self.fetch,
            clock=self.clock,
            config=lambda: self.config,
        )

    @property
    def mailbox(self) -> Mailbox:
        return self.registry[NAME]

    async def run(self, *, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
        """Again and again, as its supervisor would."""
        while True:
            with trio.CancelScope() as self.incarnation:
                await self.actor().serve(self.mailbox, task_status=task_status)
            task_status = trio.TASK_STATUS_IGNORED

    async def say(self, worker: str | None = None, **signal: Any) -> str:
        """The answer's tag, or the code of a refusal."""
        told = Told(Signal(**signal), BOB, worker)
        reply: Any = await self.mailbox.ask(told, timeout_s=100)
        return str(getattr(reply, "code", reply.__struct_config__.tag))

    @property
    def level(self) -> str:
        return self.signals.by(OUTSIDE).level

    @property
    def state(self) -> str:
        return str(self.signals.sources[OUTSIDE].state)


@pytest.fixture
def worlds(machine: Any, story: Any) -> Callable[..., Any]:
    """One whose disk is looked after, or not."""

    @asynccontextmanager
    async def begin(*, is_kept: bool = True, **more: Any) -> AsyncIterator[World]:
        signals = Signals()
        with machine.open([signals, story]) as ledger:
            registry = Registry(lambda _: None)
            registry.add(NAME, capacity=8)
            world = World(ledger, signals, machine.clock, registry, **more)
            async with contextlib.AsyncExitStack() as stack:
                if is_kept:
                    await stack.enter_async_context(machine.kept(ledger))
                nursery = await stack.enter_async_context(trio.open_nursery())
                await nursery.start(world.run)
                yield world
                nursery.cancel_scope.cancel()

    return begin


async def test_before_it_serves_nobody_believes_what_another_run_heard(
    autojump_clock: object, worlds: Any
) -> None:
    async with worlds(takes_s=1_000) as world:
        assert (world.state, world.level) == ("expected", "critical")
        assert world.published == 1


async def test_what_is_better_waits_for_the_disk(
    autojump_clock: object, worlds: Any, machine: Any
) -> None:
    async with worlds(is_kept=False) as world:
        await trio.sleep(3)
        assert world.outlook.said.level == "info"
        assert world.level == "critical"
        async with machine.kept(world.ledger):
            await trio.sleep(3)
            assert (world.state, world.level) == ("said", "info")


async def test_what_is_worse_waits_for_nothing(autojump_clock: object, worlds: Any) -> None:
    async with worlds() as world:
        await trio.sleep(1)
        assert world.level == "info"
        world.answer = Ran(0, BAD)
    async with worlds(is_kept=False, answer=Ran(0, BAD)) as world:
        await trio.sleep(1)
        assert (world.state, world.level) == ("said", "critical")


async def test_what_tightens_meanwhile_withdraws_it_and_it_comes_later(
    autojump_clock: object, worlds: Any, machine: Any, story: Any
) -> None:
    async with worlds(is_kept=False) as world:
        await trio.sleep(0.5)
        Chronicle(world.ledger).record(
            SignalWorsened(
                source="desk", state="said", signal=RiskSignal(level="critical", score=100),
                reason=None, by=BOB, worker=None, said_at=None,
            )
        )  # fmt: skip
        async with machine.kept(world.ledger):
            await trio.sleep(5)
            assert any(isinstance(fact, LooseningWithdrawn) for fact in story.told)
            assert (world.state, world.level) == ("said", "info")
            assert world.signals.level == "critical"


async def test_what_becomes_worse_while_the_disk_is_waited_for_is_so_at_once(
    autojump_clock: object, worlds: Any, machine: Any, story: Any
) -> None:
    async with worlds(is_kept=False) as world:
        await trio.sleep(0.4)
        world.outlook.trouble = ("unusable", "it has gone mad")
        async with machine.kept(world.ledger):
            while not any(isinstance(fact, SignalEased) for fact in story.told):
                await trio.lowlevel.checkpoint()
            eased = [isinstance(fact, SignalEased) for fact in story.told].index(True)
            assert isinstance(story.told[eased + 1], SignalWorsened)
            assert world.level == "critical"


async def test_one_is_asked_at_a_time_and_not_more_often_than_is_said(
    autojump_clock: object, worlds: Any
) -> None:
    async with worlds(takes_s=1.5) as world:
        await trio.sleep(20)
        assert world.most_at_once == 1
        assert 9 <= world.asked <= 11


async def test_one_that_never_answers_is_left_and_asked_again(
    autojump_clock: object, worlds: Any
) -> None:
    async with worlds(takes_s=10_000) as world:
        await trio.sleep(4)
        assert (world.state, world.level) == ("unreachable", "critical")
        world.takes_s = 0
        await trio.sleep(4)
        assert (world.state, world.level) == ("said", "info")


async def test_silence_is_told_once(autojump_clock: object, worlds: Any, story: Any) -> None:
    async with worlds() as world:
        await trio.sleep(1)
        world.answer = Ran(None, "")
        await trio.sleep(60)
        assert world.state == "unreachable"
        worse = [fact for fact in story.told if isinstance(fact, SignalWorsened)]
        assert {fact.by.via for fact in worse} == {"riskd"}
        assert [fact.state for fact in worse] == ["expected", "unreachable"]


async def test_a_crash_makes_nothing_better(autojump_clock: object, worlds: Any) -> None:
    async with worlds(answer=Ran(0, BAD)) as world:
        await trio.sleep(1)
        world.answer, world.takes_s = Ran(0, GOOD), 0.9
        world.incarnation.cancel()
        await trio.sleep(0.5)
        assert world.level == "critical"
        await trio.sleep(2)
        assert world.level == "info"


async def test_a_crash_makes_nothing_worse_than_what_was_heard(
    autojump_clock: object, worlds: Any
) -> None:
    async with worlds() as world:
        await trio.sleep(1)
        world.takes_s = 0.9
        world.incarnation.cancel()
        await trio.sleep(0.5)
        assert (world.state, world.level) == ("said", "info")


async def test_a_reload_that_expects_it_no_more_ends_it(
    autojump_clock: object, worlds: Any
) -> None:
    async with worlds(answer=Ran(0, BAD)) as world:
        await trio.sleep(1)
        assert world.signals.raised
        world.config = OutsideSignal()
        await trio.sleep(1)
        assert OUTSIDE not in world.signals.sources
        assert world.signals.raised == {}


async def test_another_one_to_be_asked_has_said_nothing_yet(
    autojump_clock: object, worlds: Any
) -> None:
    async with worlds() as world:
        await trio.sleep(1)
        world.takes_s = 0.9
        world.config = msgspec.structs.replace(ASKED, url="https://other.example.com/x")
        await trio.sleep(0.5)
        assert (world.state, world.level) == ("expected", "critical")


# --- what is told ---------------------------------------------------------------------------------

PUSHED = OutsideSignal(is_pushed=True, max_age_s=10)


async def test_what_is_pushed_is_in_force_when_it_is_answered_and_grows_old(
    autojump_clock: object, worlds: Any
) -> None:
    async with worlds(config=PUSHED) as world:
        assert world.level == "critical"
        assert await world.say(source=OUTSIDE, level="warning") == "taken"
        assert world.level == "warning"
        assert world.signals.sources[OUTSIDE].user == "bob"
        await trio.sleep(9)
        assert world.state == "said"
        await trio.sleep(2)
        assert (world.state, world.level) == ("stale", "critical")
        assert await world.say(source=OUTSIDE, level="info", ts="2024-05-17T11:00:00Z") == (
            "bad_time"
        )
        assert await world.say(source=OUTSIDE, level="info") == "taken"
        assert world.level == "info"


async def test_a_disk_that_takes_nothing_refuses_what_is_better(
    autojump_clock: object, worlds: Any
) -> None:
    async with worlds(is_kept=False, config=OutsideSignal()) as world:
        assert await world.say(source="desk", level="critical") == "taken"
        assert world.signals.level == "critical"
        assert await world.say(source="desk", level="info") == "not_loosened"
        assert world.signals.level == "critical"


async def test_a_worker_can_not_take_back_what_it_said(autojump_clock: object, worlds: Any) -> None:
    async with worlds(config=OutsideSignal()) as world:
        assert await world.say("mm-1", source="mm", level="critical") == "taken"
        assert await world.say("mm-1", source="mm", level="info") == "only_worse"
        assert await world.say(source="mm", level="info") == "taken"
        assert world.signals.raised == {}


async def test_it_outlives_a_power_cut(autojump_clock: object, worlds: Any, machine: Any) -> None:
    async with worlds(config=OutsideSignal()) as world:
        await world.say(source="desk", level="critical")
        Chronicle(world.ledger).record(LeaseLapsed(reason="it makes a trip to the disk"))
        await world.ledger.wait_safe(world.ledger.lsn)
    machine.cut_power()
    async with worlds(config=OutsideSignal()) as world:
        assert world.signals.raised["all"].level == "critical"
