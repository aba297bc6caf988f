"""The lease actor, with real actors below a real supervisor and a page that writes down."""

import math
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import attrs
import pytest
import trio
import trio.testing
from riskd.actors.actor import Behaviour, serve
from riskd.actors.core.tenure import Tenure
from riskd.actors.lease import NAME, NS, Lease
from riskd.actors.mailbox import Registry
from riskd.actors.messages import ChildFailed, Fact, LeaseLapsed, LeaseRenewed, Mode
from riskd.config import schema
from riskd.supervisor.tree import ChildSpec, Context, Ports, Supervisor

DAY = datetime(2024, 5, 17, 12, tzinfo=UTC)


@attrs.define(eq=False)
class Clock:
    """The loop's clock, and the time for which the whole process was stopped besides."""

    stopped_s: float = 0.0

    def monotonic_s(self) -> float:
        return trio.current_time() + self.stopped_s

    def now(self) -> datetime:
        return DAY

    def boot(self) -> str:
        return "boot"


@attrs.define(eq=False)
class Page:
    """A page that only remembers how far it was extended, and when."""

    clock: Clock
    extended: list[tuple[float, float]] = attrs.field(factory=list)

    def extend(self, until_ns: int) -> None:
        self.extended.append((self.clock.monotonic_s(), until_ns / NS))

    def fence(self) -> None:
        raise AssertionError("the lease fences nothing")

    def publish(self, modes: Mapping[str, Mode], epoch: int) -> None:
        raise AssertionError("the lease publishes nothing")

    def seize(self) -> None:
        raise AssertionError("the lease seizes nothing")

    def release(self) -> None:
        raise AssertionError("the lease releases nothing")


@attrs.define(eq=False)
class Part:
    """An actor that trading depends on: it works, hangs, crashes or stops time as it is told."""

    world: "World"

    async def receive(self, message: object) -> object:
        match message:
            case "hang":
                await trio.sleep_forever()
            case "crash":
                raise RuntimeError("as told")
            case ("stopped for", float(seconds)):
                self.world.clock.stopped_s += seconds
            case float(seconds):
                await trio.sleep(seconds)
        return message

    def wake_at(self) -> float:
        return math.inf

    async def wake(self) -> None:
        raise AssertionError("it sets no timer")


class World:
    """A ledger, a kill switch and the lease under one supervisor."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.clock = Clock()
        self.page = Page(self.clock)
        self.tenure = Tenure()
        self.settings = schema.Lease(length_s=1.0, interval_s=0.2, answer_s=0.4)
        self.doubt: str | None = None
        self.registry = Registry(self.facts.append)
        self.supervisor = Supervisor(
            [
                self.child("ledger", lambda: Part(self)),
                self.child("kill_switch", lambda: Part(self)),
                self.child(NAME, self.lease),
            ],
            intensity=100,
            period=1000,
            ports=Ports(record=self.facts.append),
        )

    def child(self, name: str, make: Callable[[], Behaviour]) -> ChildSpec:
        mailbox = self.registry.add(name, capacity=64)

        async def run(_ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
            await serve(mailbox, make(), task_status=task_status)

        return ChildSpec(name, run)

    def lease(self) -> Lease:
        return Lease(
            registry=self.registry,
            critical=("ledger", "kill_switch"),
            doubts=lambda: self.doubt,
            settings=lambda: self.settings,
            page=self.page,
            clock=self.clock,
            record=self.facts.append,
            tenure=self.tenure,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            await nursery.start(self.supervisor.run)
            yield
            self.supervisor.shutdown()

    def tell(self, actor: str, message: object) -> None:
        self.registry[actor].tell_nowait(message)

    def told(self) -> list[Fact]:
        return [fact for fact in self.facts if isinstance(fact, LeaseLapsed | LeaseRenewed)]

    def why(self) -> object:
        shown = self.tenure.shown(self.clock.monotonic_s(), length_s=1.0, path="")
        return shown["lapsed_because"]


@pytest.fixture
def world() -> World:
    return World()


async def test_while_all_is_well_it_is_extended_at_every_interval_and_history_is_silent(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    async with world.running():
        began = trio.current_time()
        await trio.sleep(0.9)
    rounds = [began + beat for beat in (0, 0.2, 0.4, 0.6, 0.8)]
    assert [at for at, _ in world.page.extended] == pytest.approx(rounds)
    assert [until for _, until in world.page.extended] == pytest.approx([at + 1 for at in rounds])
    assert world.facts == []


async def test_it_lasts_from_before_the_question_however_late_the_answer_came(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    async with world.running():
        await trio.sleep(0.1)
        world.page.extended.clear()
        world.tell("ledger", 0.4)  # busy from 0.1 to 0.5: the question of 0.2 is answered then
        await trio.sleep(0.45)
        at, until = world.page.extended[0]
    assert until - at == pytest.approx(1.0 - 0.3)


@pytest.mark.parametrize("actor", ["ledger", "kill_switch"])
async def test_an_actor_that_does_not_answer_in_time_lets_it_run_out(
    world: World, actor: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with world.running():
        await trio.sleep(0.1)
        world.page.extended.clear()
        world.tell(actor, "hang")
        await trio.sleep(3)
    reason = f"actor {actor!r} did not answer within 0.4 s"
    assert world.page.extended == []
    assert world.told() == [LeaseLapsed(reason=reason)]
    assert world.why() == reason


async def test_all_are_asked_at_once_and_each_that_is_silent_is_named(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    async with world.running():
        await trio.sleep(0.1)
        world.tell("ledger", "hang")
        world.tell("kill_switch", "hang")
        await trio.sleep(0.1 + 0.4 + 0.01)  # one deadline for both
        world.doubt = "never asked for once somebody is silent"
        await trio.sleep(2)
    (lapsed,) = world.told()
    assert isinstance(lapsed, LeaseLapsed)
    assert lapsed.reason == (
        "actor 'ledger' did not answer within 0.4 s; actor 'kill_switch' did not answer within "
        "0.4 s"
    )


async def test_a_doubt_lets_it_run_out_and_its_end_brings_it_back(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    async with world.running():
        await trio.sleep(0.1)
        world.page.extended.clear()
        world.doubt = "the page differs from the ledger"
        await trio.sleep(4.8)
        assert world.page.extended == []
        world.doubt = None
        await trio.sleep(0.2)
        assert world.page.extended
    # Extended last at 0, it ran out at 1, and the next round after 4.9 was at 5.
    assert world.told() == [
        LeaseLapsed(reason="the page differs from the ledger"),
        LeaseRenewed(after_s=4.0),
    ]


async def test_a_doubt_that_comes_up_while_actors_are_asked_counts(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    async with world.running():
        await trio.sleep(0.1)
        world.page.extended.clear()
        world.tell("ledger", 0.3)
        await trio.sleep(0.2)  # asked, not answered
        world.doubt = "the journal has failed"
        await trio.sleep(1)
    assert world.page.extended == []


async def test_one_late_answer_is_no_lapse(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    async with world.running():
        await trio.sleep(0.1)
        world.tell("ledger", 0.6)
        await trio.sleep(5)
    assert world.told() == []


async def test_a_process_that_was_stopped_during_a_round_extends_nothing(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    async with world.running():
        await trio.sleep(0.1)
        world.page.extended.clear()
        world.tell("ledger", 0.2)
        world.tell("ledger", ("stopped for", 30.0))  # in hand when the round of 0.2 has asked
        await trio.sleep(0.25)
        assert world.page.extended == []
        await trio.sleep(0.25)
        now, until = world.page.extended[0]  # the next round, whose questions were all new
        assert until - now == pytest.approx(1.0)
    lapsed, renewed = world.told()
    assert isinstance(lapsed, LeaseLapsed)
    assert lapsed.reason.startswith("the answers took 30.1 s")
    assert renewed == LeaseRenewed(after_s=29.4)


async def test_a_process_that_was_stopped_between_rounds_says_so_afterwards(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    async with world.running():
        await trio.sleep(0.1)
        world.clock.stopped_s = 30.0
        await trio.sleep(0.2)
    lapsed, renewed = world.told()
    assert isinstance(lapsed, LeaseLapsed)
    assert "riskd was stopped" in lapsed.reason
    assert renewed == LeaseRenewed(after_s=29.2)


async def test_an_actor_that_crashed_and_is_back_lets_nothing_lapse(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    async with world.running():
        await trio.sleep(0.1)
        world.tell("ledger", "crash")
        await trio.sleep(5)
        assert [f.child for f in world.facts if isinstance(f, ChildFailed)] == ["ledger"] * 3
        assert world.why() is None
    assert world.told() == []


async def test_an_actor_that_dies_with_the_question_extends_nothing(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    async with world.running():
        await trio.sleep(0.1)
        world.page.extended.clear()
        world.tell("ledger", "hang")
        await trio.sleep(0.15)  # asked at 0.2
        await world.supervisor.terminate_child("ledger")
        await trio.sleep(0.01)
        assert world.page.extended == []
        await trio.sleep(2)
    assert world.told() == [LeaseLapsed(reason="actor 'ledger' is not there")]
    assert world.page.extended == []


async def test_an_actor_that_is_absent_is_not_waited_for_nor_asked(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    async with world.running():
        await trio.sleep(0.1)
        world.page.extended.clear()
        await world.supervisor.terminate_child("kill_switch")
        depth = world.registry["kill_switch"].statistics().depth
        await trio.sleep(3)
        assert world.registry["kill_switch"].statistics().depth == depth
    assert world.page.extended == []
    assert world.told() == [LeaseLapsed(reason="actor 'kill_switch' is not there")]


async def test_a_full_mailbox_extends_nothing(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    async with world.running():
        await trio.sleep(0.1)
        world.page.extended.clear()
        world.tell("ledger", "hang")
        await trio.testing.wait_all_tasks_blocked()
        for number in range(64):
            world.tell("ledger", number)
        await trio.sleep(3)
    assert world.page.extended == []
    assert world.told() == [LeaseLapsed(reason="the mailbox of actor 'ledger' is full")]


async def test_an_actor_that_nobody_has_is_a_mistake_of_riskds_and_crashes_it(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    lease = world.lease()
    lease.critical = ("gate",)
    with pytest.raises(BaseExceptionGroup) as caught:
        await lease.wake()
    assert caught.group_contains(LookupError, match="no actor is called 'gate'")
    assert world.page.extended == []


async def test_a_lapse_that_goes_on_through_a_crash_of_the_lease_actor_is_told_once(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    async with world.running():
        await trio.sleep(0.1)
        world.tell("ledger", "hang")
        await trio.sleep(2)
        await world.supervisor.kill_child(NAME)
        await trio.sleep(20)
    assert len(world.told()) == 1
    assert "lease" in [f.child for f in world.facts if isinstance(f, ChildFailed)]


async def test_a_shorter_length_counts_from_the_round_in_flight_on(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    async with world.running():
        await trio.sleep(0.1)
        world.page.extended.clear()
        world.tell("ledger", 0.3)
        await trio.sleep(0.2)  # asked at 0.2, answered at 0.4
        world.settings = schema.Lease(length_s=0.7, interval_s=0.2, answer_s=0.4)
        await trio.sleep(0.15)
        at, until = world.page.extended[0]
    assert until - at == pytest.approx(0.7 - 0.2)


async def test_a_new_interval_is_followed_after_the_next_message_or_round(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    async with world.running():
        began = trio.current_time()
        await trio.sleep(0.1)
        world.settings = schema.Lease(length_s=5.0, interval_s=2.0, answer_s=0.4)
        await trio.sleep(5)
    assert [at - began for at, _ in world.page.extended] == pytest.approx([0, 0.2, 2.2, 4.2])


async def test_it_takes_no_messages(world: World, autojump_clock: trio.testing.MockClock) -> None:
    with pytest.raises(TypeError, match="the lease actor takes no messages, and got str"):
        await world.lease().receive("?")
