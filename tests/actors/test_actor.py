"""The loop of every actor, alone and below a real supervisor."""

import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
import trio.testing
from riskd.actors.actor import Behaviour, serve
from riskd.actors.mailbox import ActorDied, Mailbox
from riskd.actors.messages import Beat, ChildFailed, ChildRestarted, Fact, MessageQuarantined
from riskd.supervisor.tree import ChildSpec, Context, Ports, Supervisor

PAGE = Path(__file__).parents[2] / "docs" / "actors.md"


@attrs.define(eq=False)
class Gate:
    """An actor whose messages say what becomes of it."""

    seen: list[object]

    async def receive(self, message: object) -> object:
        self.seen.append(message)
        if message == "crash":
            raise ValueError("crash")
        if message == "hang":
            await trio.sleep_forever()
        return f"{message}!"

    def wake_at(self) -> float:
        return math.inf

    async def wake(self) -> None:
        raise AssertionError("it sets no timer")


def child(mailbox: Mailbox, make: Callable[[], Behaviour]) -> ChildSpec:
    async def run(_ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
        await serve(mailbox, make(), task_status=task_status)

    return ChildSpec(mailbox.name, run)


@asynccontextmanager
async def supervised(*specs: ChildSpec, facts: list[Fact]) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(specs, intensity=10, period=60, ports=Ports(record=facts.append))
    async with trio.open_nursery() as nursery:
        await nursery.start(supervisor.run)
        yield supervisor
        supervisor.shutdown()


async def test_a_message_that_was_in_hand_at_a_crash_is_delivered_again_and_then_the_next() -> None:
    seen: list[object] = []
    facts: list[Fact] = []
    box = Mailbox("gate", record=facts.append, crashes_max=2)
    for message in ("first", "crash", "last"):
        box.tell_nowait(message)
    async with supervised(child(box, lambda: Gate(seen)), facts=facts):
        await trio.testing.wait_all_tasks_blocked()
    assert seen == ["first", "crash", "crash", "last"]
    kinds = [type(fact) for fact in facts]
    assert kinds.count(ChildFailed) == kinds.count(ChildRestarted) == 2
    assert [fact for fact in facts if isinstance(fact, MessageQuarantined)] == [
        MessageQuarantined(actor="gate", message="str", attempts=2)
    ]


async def test_whoever_asks_learns_of_the_crash_and_can_ask_the_next_incarnation() -> None:
    seen: list[object] = []
    box = Mailbox("gate", record=lambda _: None, crashes_max=1)
    async with supervised(child(box, lambda: Gate(seen)), facts=[]):
        with pytest.raises(ActorDied) as caught:
            await box.ask("crash", timeout_s=math.inf)
        assert caught.value.begun
        assert await box.ask("still there?", timeout_s=5) == "still there?!"


async def test_being_restarted_is_not_the_fault_of_the_message_in_hand() -> None:
    seen: list[object] = []
    box = Mailbox("gate", record=lambda _: None, crashes_max=1)
    async with supervised(child(box, lambda: Gate(seen)), facts=[]) as supervisor:
        box.tell_nowait("hang")
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(3):
            await supervisor.terminate_child("gate")
            await supervisor.restart_child("gate")
            await trio.testing.wait_all_tasks_blocked()
    assert seen == ["hang"] * 4
    assert box.quarantine == ()


async def test_a_heartbeat_is_answered_between_two_messages_and_not_during_one(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class Slow(Gate):
        async def receive(self, message: object) -> object:
            await trio.sleep(3)
            return message

    box = Mailbox("gate", record=lambda _: None)
    async with supervised(child(box, lambda: Slow([])), facts=[]):
        began = trio.current_time()
        assert await box.ask(Beat(), timeout_s=1) == Beat()
        assert trio.current_time() == began
        box.tell_nowait("work")
        await box.ask(Beat(), timeout_s=10)
        assert trio.current_time() - began == pytest.approx(3)


@attrs.define(eq=False)
class Alarm:
    """An actor with a timer, in an incarnation that dies of its first message."""

    log: list[tuple[str, float]]
    due: float
    every: float = math.inf

    async def receive(self, message: object) -> object:
        self.log.append((str(message), trio.current_time()))
        return None

    def wake_at(self) -> float:
        return self.due

    async def wake(self) -> None:
        self.log.append(("wake", trio.current_time()))
        self.due += self.every


async def test_it_is_woken_when_it_wants_to_be_and_not_by_messages(
    autojump_clock: trio.testing.MockClock,
) -> None:
    log: list[tuple[str, float]] = []
    box = Mailbox("gate", record=lambda _: None)
    start = trio.current_time()
    async with supervised(child(box, lambda: Alarm(log, start + 5)), facts=[]):
        await trio.sleep(2)
        box.tell_nowait("early")
        await trio.sleep(10)
    assert log == [("early", start + 2), ("wake", start + 5)]


async def test_a_timer_that_is_always_due_does_not_keep_messages_from_being_read() -> None:
    log: list[tuple[str, float]] = []
    box = Mailbox("gate", record=lambda _: None)
    async with supervised(child(box, lambda: Alarm(log, -math.inf, every=0)), facts=[]):
        await box.ask("between", timeout_s=5)
    assert "between" in [what for what, _ in log]


async def test_a_flood_of_messages_does_not_keep_a_timer_from_being_due(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class Flooded(Alarm):
        async def receive(self, message: object) -> object:
            await trio.sleep(1)
            box.tell_nowait(message)
            return await super().receive(message)

    log: list[tuple[str, float]] = []
    box = Mailbox("gate", record=lambda _: None)
    box.tell_nowait("again")
    start = trio.current_time()
    async with supervised(child(box, lambda: Flooded(log, start + 3.5)), facts=[]):
        await trio.sleep(10)
    assert [pytest.approx(at) for what, at in log if what == "wake"] == [start + 4]


async def test_a_timer_dies_with_the_incarnation_that_set_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class Fragile(Alarm):
        async def receive(self, message: object) -> object:
            raise ValueError(message)

    log: list[tuple[str, float]] = []
    timers = iter([trio.current_time() + 5, math.inf, math.inf])
    box = Mailbox("gate", record=lambda _: None, crashes_max=1)
    async with supervised(child(box, lambda: Fragile(log, next(timers))), facts=[]):
        box.tell_nowait("crash")
        await trio.sleep(20)
    assert log == []


async def test_a_timer_that_is_due_at_the_start_does_not_lose_the_message_of_the_last_life() -> (
    None
):
    class Reborn(Alarm):
        async def receive(self, message: object) -> object:
            await super().receive(message)
            if len(log) == 1:
                raise ValueError(message)
            return None

    log: list[tuple[str, float]] = []
    timers = iter([math.inf, trio.current_time()])
    box = Mailbox("gate", record=lambda _: None)
    box.tell_nowait("kept")
    async with supervised(child(box, lambda: Reborn(log, next(timers))), facts=[]):
        await trio.testing.wait_all_tasks_blocked()
    assert [what for what, _ in log] == ["kept", "wake", "kept"]


# --- the page for contributors --------------------------------------------------------------------


async def test_the_example_of_the_page_does_what_the_page_says() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Awaitable[None]] = {}
    exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102 - the page is ours
    example: Callable[[], Awaitable[list[object]]] = names["example"]  # type: ignore[assignment] # defined by the page
    assert await example() == [3, "death of actor 'tally'; it may have taken effect", 3]
