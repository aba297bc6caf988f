"""The heartbeat trigger and the service actor, with real actors below a real supervisor."""

import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
import trio.testing
from riskd.actors.actor import Behaviour, serve
from riskd.actors.heartbeat import Heartbeat
from riskd.actors.mailbox import Registry
from riskd.actors.messages import ActorSilent, ChildFailed, Fact, MessageQuarantined, Pulse
from riskd.actors.service import Service
from riskd.supervisor.tree import ChildSpec, Context, Ports, Supervisor


@attrs.define
class Patience:
    """How long the actors of these tests may be silent. A round of misses takes 1 + 2 s."""

    heartbeat_interval_s: float = 1.0
    heartbeat_timeout_s: float = 2.0
    heartbeat_misses: int = 2


@attrs.define(eq=False)
class Gate:
    """An actor that hangs, or works for long, when it is told to."""

    seen: list[object]

    async def receive(self, message: object) -> object:
        self.seen.append(message)
        if message == "hang":
            await trio.sleep_forever()
        if isinstance(message, float):
            await trio.sleep(message)
        return message

    def wake_at(self) -> float:
        return math.inf

    async def wake(self) -> None:
        raise AssertionError("it sets no timer")


@attrs.define
class Listener:
    """A service manager that writes down what it hears, and when."""

    heard: list[tuple[float, tuple[str, ...]]] = attrs.field(factory=list)
    watchdog_s: float | None = None

    def notify(self, *lines: str) -> None:
        self.heard.append((trio.current_time(), lines))

    @property
    def pings(self) -> list[float]:
        return [at for at, lines in self.heard if "WATCHDOG=1" in lines]


class World:
    """A gate, a heartbeat trigger and a service actor under one supervisor."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.seen: list[object] = []
        self.patience = Patience()
        self.manager = Listener()
        self.registry = Registry(self.facts.append, crashes_max=2)
        self.hang_heartbeat = False
        self.supervisor = Supervisor(
            [
                self.child("gate", lambda: Gate(self.seen)),
                self.child("service", self.service),
                self.child("heartbeat", self.heartbeat),
            ],
            intensity=100,
            period=1000,
            ports=Ports(record=self.facts.append),
        )

    def child(self, name: str, make: Callable[[], Behaviour]) -> ChildSpec:
        mailbox = self.registry.add(name)

        async def run(_ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
            await serve(mailbox, make(), task_status=task_status)

        return ChildSpec(name, run)

    def service(self) -> Behaviour:
        return Service(self.manager, lambda: self.patience, self.crash, self.facts.append)

    def heartbeat(self) -> Behaviour:
        behaviour = Heartbeat(self.registry, lambda: self.patience, self.crash, self.facts.append)
        return Hanging(behaviour, self) if self.hang_heartbeat else behaviour

    async def crash(self, name: str) -> None:
        await self.supervisor.kill_child(name)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            await nursery.start(self.supervisor.run)
            yield
            self.supervisor.shutdown()

    def failed(self) -> list[str]:
        return [fact.child for fact in self.facts if isinstance(fact, ChildFailed)]

    def incarnation(self, name: str) -> int:
        (found,) = [child for child in self.supervisor.which_children() if child.id == name]
        return found.incarnation


@attrs.define
class Hanging:
    """A heartbeat trigger whose next round never ends."""

    behaviour: Heartbeat
    world: World

    async def receive(self, message: object) -> object:
        return await self.behaviour.receive(message)

    def wake_at(self) -> float:
        return self.behaviour.wake_at()

    async def wake(self) -> None:
        if self.world.hang_heartbeat:
            await trio.sleep_forever()
        await self.behaviour.wake()


@pytest.fixture
def world() -> World:
    return World()


async def test_actors_that_answer_are_left_alone_and_the_service_manager_is_pinged(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    async with world.running():
        began = trio.current_time()
        await trio.sleep(9.5)
    assert world.facts == []
    assert world.manager.pings == [pytest.approx(began + second) for second in range(10)]
    assert world.manager.heard[0][1] == ("WATCHDOG=1", "STATUS=2 actors serve")


async def test_an_actor_that_hangs_in_a_message_is_silent_and_crashed_and_serves_again(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    async with world.running():
        world.registry["gate"].tell_nowait("hang")
        world.registry["gate"].tell_nowait("next")
        await trio.sleep(30)
        assert await world.registry.ask("gate", "still there?", timeout_s=1) == "still there?"
    assert world.seen == ["hang", "hang", "next", "still there?"]
    assert world.facts.count(ActorSilent(actor="gate", deadline_s=2.0)) == 2
    assert world.failed() == ["gate", "gate"]
    assert MessageQuarantined(actor="gate", message="str", attempts=2) in world.facts


async def test_a_round_in_which_an_actor_was_silent_is_told_and_is_no_ping(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    async with world.running():
        world.registry["gate"].tell_nowait("hang")
        await trio.sleep(30)
    told = [lines for _, lines in world.manager.heard if "silent" in " ".join(lines)]
    assert told == [("STATUS=silent: gate",)] * 2
    assert world.manager.heard[-1][1] == ("WATCHDOG=1", "STATUS=2 actors serve")


async def test_one_late_answer_is_not_silence(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    async with world.running():
        world.registry["gate"].tell_nowait(2.5)
        await trio.sleep(20)
    assert world.failed() == []
    assert world.facts == []


async def test_an_actor_that_is_not_there_is_not_asked(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    async with world.running():
        await trio.sleep(0.5)
        await world.supervisor.terminate_child("gate")
        await trio.sleep(20)
    assert world.failed() == []
    assert world.registry["gate"].statistics().depth == 0
    assert world.manager.heard[-1][1] == ("WATCHDOG=1", "STATUS=1 actors serve")


async def test_the_settings_are_read_anew_at_each_round(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    async with world.running():
        began = trio.current_time()
        await trio.sleep(0.5)
        world.patience.heartbeat_interval_s = 5.0
        await trio.sleep(15)
    assert world.manager.pings == [pytest.approx(began + second) for second in (0, 1, 6, 11)]


async def test_a_heartbeat_trigger_that_hangs_is_crashed_by_the_service_actor(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    world.hang_heartbeat = True
    async with world.running():
        began = trio.current_time()
        # One interval and one timeout for each miss, and once more for the round itself.
        await trio.sleep(9.5)
        assert world.incarnation("heartbeat") == 2
        ((at, lines),) = world.manager.heard
        assert (at, lines) == (began + 9, ("STATUS=no heartbeats are being made",))
        world.hang_heartbeat = False
        await trio.sleep(30)
    assert ActorSilent(actor="heartbeat", deadline_s=9.0) in world.facts
    assert set(world.failed()) == {"heartbeat"}
    assert world.incarnation("service") == 1
    assert world.manager.pings


async def test_a_pulse_in_which_nobody_beats_is_no_sign_of_life(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    service = world.service()
    await service.receive(Pulse(beating=(), silent=()))
    assert [lines for _, lines in world.manager.heard] == [("STATUS=silent: everyone",)]


async def test_a_full_mailbox_is_a_missed_heartbeat(autojump_clock: trio.testing.MockClock) -> None:
    crashed: list[str] = []

    async def crash(name: str) -> None:
        crashed.append(name)

    facts: list[Fact] = []
    registry = Registry(facts.append)
    gate, service = registry.add("gate", capacity=1), registry.add("service")
    gate.tell_nowait("work")
    patience = Patience(heartbeat_misses=1)
    with gate.open():
        await Heartbeat(registry, lambda: patience, crash, facts.append).wake()
    assert crashed == ["gate"]
    with service.open() as inbox:
        assert (await inbox.receive()).message == Pulse(beating=(), silent=("gate",))


async def test_a_round_that_took_long_is_followed_by_one_and_not_by_several(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def crash(_: str) -> None:
        await trio.sleep(20)

    registry = Registry(lambda _: None)
    gate = registry.add("gate", capacity=1)
    registry.add("service")
    gate.tell_nowait("work")
    heartbeat = Heartbeat(registry, lambda: Patience(heartbeat_misses=1), crash, lambda _: None)
    with gate.open():
        await heartbeat.wake()
    assert heartbeat.wake_at() == trio.current_time()


async def test_messages_that_they_do_not_take_crash_them(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    with pytest.raises(TypeError, match="the service actor takes pulses, and got str"):
        await world.service().receive("?")
    with pytest.raises(TypeError, match="the heartbeat actor takes no messages, and got str"):
        await world.heartbeat().receive("?")
