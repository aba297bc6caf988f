"""The actor `machine`: steps of the clock, a disk that stalls or is full, and its own lateness."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal

import attrs
import pytest
import trio
from riskd.actors.core.kill_switch import Breaker
from riskd.actors.core.machine import CLOCK_STEP, FREE, LOOP_LAG, SYNC_AGE, Clocks
from riskd.actors.core.triggers import Metrics
from riskd.actors.machine import Machine
from riskd.actors.mailbox import Registry
from riskd.actors.messages import By, Cause, Fact, Halt
from structlog.testing import capture_logs
from trio.testing import MockClock

GIB = 2**30


@attrs.define
class Clock:
    """The monotonic clock is trio's; the wall clock goes with it until a test sets it."""

    ahead_s: float = 1_767_000_000.0
    reads: list[float] = attrs.field(factory=list)
    """How long the next readings of the wall clock take."""
    lost_s: float = 0.0

    def monotonic_s(self) -> float:
        return trio.current_time() + self.lost_s

    def now(self) -> datetime:
        at = datetime.fromtimestamp(trio.current_time() + self.lost_s + self.ahead_s, UTC)
        if self.reads:
            self.lost_s += self.reads.pop(0)
        return at

    def boot(self) -> str:
        return "b1"


@attrs.define
class Switch:
    """A kill switch that writes down what it is told."""

    told: list[tuple[By, str, str, str]] = attrs.field(factory=list)

    def trigger(self, *, by: By, cause: Cause, source: str, reason: str) -> bool:
        self.told.append((by, cause, source, reason))
        return True

    def halt(self, _halt: Halt, *, by: By) -> int | None:
        raise AssertionError("the machine kills, and halts nothing else")

    def trip(self, _halt: Halt, _breaker: Breaker, *, by: By) -> int | None:
        raise AssertionError("the machine kills, and halts nothing else")

    def clear(self, _condition: str) -> None:
        raise AssertionError("a kill ends by no condition")

    @property
    def sources(self) -> list[str]:
        return [source for _, _, source, _ in self.told]


@attrs.define
class Limits:
    clock_step_s: float = 5.0
    sync_stall_s: float = 10.0
    free_mib: int = 64


@attrs.define
class Rig:
    """One riskd as far as this actor sees it."""

    switch: Switch = attrs.field(factory=Switch)
    clock: Clock = attrs.field(factory=Clock)
    metrics: Metrics = attrs.field(factory=Metrics)
    clocks: Clocks = attrs.field(factory=Clocks)
    limits: Limits = attrs.field(factory=Limits)
    sync_age_s: float = 0.0
    free_bytes: Callable[[], int] = lambda: GIB
    before: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
    """What the disk does before it answers."""
    asked: int = 0

    async def ask(self) -> int:
        self.asked += 1
        await self.before()
        return self.free_bytes()

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """One incarnation of the actor, which has looked once."""

        def record(_: Fact) -> None: ...

        mailbox = Registry(record).add("machine")
        actor = Machine(
            halting=self.switch,
            clock=self.clock,
            metrics=self.metrics,
            clocks=self.clocks,
            limits=lambda: self.limits,
            sync_age_s=lambda: self.sync_age_s,
            free_bytes=self.ask,
        )

        async def serve(*, task_status: trio.TaskStatus[None]) -> None:
            await actor.serve(mailbox, task_status=task_status)

        async with trio.open_nursery() as nursery:
            await nursery.start(serve)
            await trio.sleep(0.1)
            yield
            nursery.cancel_scope.cancel()

    def value(self, name: str) -> Decimal:
        reading = self.metrics.get(name)
        assert reading is not None
        return reading.value


async def test_a_machine_that_is_well_kills_nothing_and_is_measured(
    autojump_clock: MockClock,
) -> None:
    rig = Rig()
    async with rig.run():
        await trio.sleep(60)
        assert rig.switch.told == []
        for name in (CLOCK_STEP, SYNC_AGE, LOOP_LAG):
            assert abs(rig.value(name)) < Decimal("0.1")
        assert rig.value(FREE) == 1024
        for name in (CLOCK_STEP, SYNC_AGE, LOOP_LAG, FREE):
            reading = rig.metrics.get(name)
            assert reading is not None
            assert rig.clock.monotonic_s() - reading.at_s <= 1.1


@pytest.mark.parametrize(
    ("step_s", "words"),
    [(3600.0, "forward by 3600.000 s"), (-3600.0, "back by 3600.000 s"), (5.01, "forward")],
)
async def test_a_clock_that_jumps_is_a_kill_once(
    autojump_clock: MockClock, step_s: float, words: str
) -> None:
    rig = Rig()
    async with rig.run():
        rig.clock.ahead_s += step_s
        await trio.sleep(1)
        assert rig.value(CLOCK_STEP) == pytest.approx(Decimal(str(step_s)), abs=Decimal("0.001"))
        await trio.sleep(60)
        ((by, cause, source, reason),) = rig.switch.told
        assert (by, cause, source) == (By(via="riskd"), "clock", "clock")
        assert words in reason
        assert rig.value(CLOCK_STEP) == 0


async def test_a_jump_while_the_actor_is_down_is_seen_by_the_next_one(
    autojump_clock: MockClock,
) -> None:
    rig = Rig()
    async with rig.run():
        pass
    rig.clock.ahead_s -= 3600
    async with rig.run():
        assert rig.switch.sources == ["clock"]


async def test_small_steps_and_a_process_that_was_stopped_are_no_jump(
    autojump_clock: MockClock,
) -> None:
    rig = Rig()
    async with rig.run():
        rig.clock.ahead_s += 4.9
        await trio.sleep(1)
        rig.clock.ahead_s -= 4.9
        await trio.sleep(1)
        rig.clock.lost_s += 600
        await trio.sleep(1)
        rig.clock.reads = [600.0, 0.5]
        await trio.sleep(5)
        assert rig.switch.told == []


async def test_it_says_how_late_it_is(autojump_clock: MockClock) -> None:
    rig = Rig()
    async with rig.run():
        autojump_clock.jump(31)
        await trio.sleep(0.1)
        assert 29 <= rig.value(LOOP_LAG) <= 31
        await trio.sleep(1)
        assert rig.value(LOOP_LAG) < 1


async def test_a_sync_that_stalls_is_a_kill_for_as_long_as_it_does(
    autojump_clock: MockClock,
) -> None:
    rig = Rig()
    async with rig.run():
        rig.sync_age_s = 9.99
        await trio.sleep(5)
        assert rig.switch.told == []
        rig.sync_age_s = 10.0
        await trio.sleep(5)
        assert rig.switch.sources == ["disk"] * 5
        assert rig.value(SYNC_AGE) == 10


async def test_too_little_room_is_a_kill_by_the_limits_of_the_moment(
    autojump_clock: MockClock,
) -> None:
    rig = Rig(free_bytes=lambda: 63 * 2**20)
    async with rig.run():
        await trio.sleep(2)
        assert rig.switch.told[0][:3] == (By(via="riskd"), "disk", "disk")
        assert "has 63.000 MiB free, below 64 MiB" in rig.switch.told[0][3]
        rig.limits.free_mib = 63
        rig.switch.told.clear()
        await trio.sleep(10)
        assert rig.switch.told == []


async def test_a_disk_that_does_not_say_is_one_that_stalls(autojump_clock: MockClock) -> None:
    """Nothing waits for it, and it is not asked again while it hangs."""
    rig = Rig(before=trio.sleep_forever)
    async with rig.run():
        await trio.sleep(9)
        assert rig.switch.told == []
        await trio.sleep(3)
        assert set(rig.switch.sources) == {"disk"}
        assert "has not told its free space for 10.0 s" in rig.switch.told[0][3]
        assert rig.asked == 1


async def test_a_disk_that_answers_with_an_error_does_not_say(autojump_clock: MockClock) -> None:
    def fail() -> int:
        raise OSError(5, "Input/output error")

    rig = Rig(free_bytes=fail)
    with capture_logs() as logs:
        async with rig.run():
            await trio.sleep(9)
            assert rig.switch.told == []
            await trio.sleep(3)
            assert "has not told its free space" in rig.switch.told[0][3]
            rig.free_bytes = lambda: GIB
            await trio.sleep(2)
            rig.switch.told.clear()
            await trio.sleep(20)
            assert rig.switch.told == []
    assert logs[0]["event"] == "disk.space_unknown"
