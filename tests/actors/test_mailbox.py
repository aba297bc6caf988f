"""Mailboxes: what is told is not lost, what is asked has one outcome, in any order of events."""

import math
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing
from riskd.actors.mailbox import (
    QUARANTINE_MAX,
    ActorDied,
    AskTimeout,
    Inbox,
    Mailbox,
    MailboxFull,
    NoSuchActor,
    Policy,
    Registry,
)
from riskd.actors.messages import Fact, MessageQuarantined


def mailbox(
    facts: list[Fact] | None = None, *, capacity: int = 8, policy: Policy = "refuse"
) -> Mailbox:
    record = (lambda _: None) if facts is None else facts.append
    return Mailbox("gate", record=record, capacity=capacity, policy=policy, crashes_max=3)


class Crash(Exception):
    """What the actor of a test dies of."""


def next_of(inbox: Inbox) -> object:
    """The message that must be there."""
    envelope = inbox.receive_nowait()
    assert envelope is not None, "nothing was there"
    return envelope.message


async def crash_on_the_next(box: Mailbox) -> None:
    with box.open() as inbox:
        await inbox.receive()
        raise Crash


async def test_the_message_in_hand_is_acknowledged_by_asking_for_the_next() -> None:
    box = mailbox()
    box.tell_nowait("first")
    with box.open() as inbox:
        await inbox.receive()
        assert box.statistics().in_flight
        with trio.move_on_at(-math.inf):
            await inbox.receive()
        assert not box.statistics().in_flight
        assert inbox.receive_nowait() is None


async def test_a_first_look_that_is_cancelled_does_not_lose_what_an_earlier_incarnation_left() -> (
    None
):
    box = mailbox()
    box.tell_nowait("halt")
    with pytest.raises(Crash):
        await crash_on_the_next(box)
    with box.open() as inbox:
        with trio.move_on_at(-math.inf):
            await inbox.receive()
        assert next_of(inbox) == "halt"
    assert box.statistics().redelivered == 1


async def test_what_was_left_behind_is_not_blamed_for_what_crashes_before_it_is_read() -> None:
    box = mailbox()
    box.tell_nowait("innocent")
    with box.open() as inbox:
        await inbox.receive()
    for _ in range(5):
        with pytest.raises(Crash), box.open():
            raise Crash
    with box.open() as inbox:
        assert next_of(inbox) == "innocent"


async def test_blame_falls_on_what_is_in_hand_at_the_end_and_on_nothing_else() -> None:
    box = Mailbox("gate", record=lambda _: None, crashes_max=1)
    for message in ("done", "in hand", "next"):
        box.tell_nowait(message)
    box.blame()
    with box.open() as inbox:
        assert next_of(inbox) == "done"
        box.blame()
        assert next_of(inbox) == "in hand"
    with box.open() as inbox:
        assert next_of(inbox) == "in hand"
        box.blame()
    with box.open() as inbox:
        assert next_of(inbox) == "next"
    assert box.quarantine == ("in hand",)


async def test_a_message_that_crashed_its_actor_too_often_is_a_fact_before_it_is_gone() -> None:
    facts: list[Fact] = []
    box = mailbox(facts)
    box.tell_nowait({"poison": True})
    for _ in range(3):
        with pytest.raises(Crash):
            await crash_on_the_next(box)
    with box.open() as inbox:
        assert inbox.receive_nowait() is None
    assert facts == [MessageQuarantined(actor="gate", message="dict", attempts=3)]
    assert box.quarantine == ({"poison": True},)


async def test_a_quarantine_that_can_not_be_recorded_does_not_happen() -> None:
    def fail(_: Fact) -> None:
        raise OSError("no disk")

    box = Mailbox("gate", record=fail, crashes_max=1)
    box.tell_nowait("poison")
    with pytest.raises(Crash):
        await crash_on_the_next(box)
    for _ in range(2):
        with pytest.raises(OSError, match="no disk"), box.open() as inbox:
            await inbox.receive()
    assert box.quarantine == ()
    assert box.statistics().in_flight


async def test_the_quarantine_keeps_the_newest() -> None:
    box = Mailbox("gate", record=lambda _: None, crashes_max=1)
    for number in range(QUARANTINE_MAX + 2):
        box.tell_nowait(number)
        with pytest.raises(Crash):
            await crash_on_the_next(box)
    with box.open() as inbox:
        inbox.receive_nowait()
    assert box.quarantine == tuple(range(2, QUARANTINE_MAX + 2))


async def test_a_group_of_cancellations_is_a_stop_and_one_error_among_them_is_a_crash() -> None:
    async def crash_when_stopped() -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            raise Crash from None

    async def stopped_life(*tasks: Callable[[], Awaitable[None]]) -> None:
        with trio.CancelScope() as scope, box.open() as inbox:
            next_of(inbox)
            async with trio.open_nursery() as nursery:
                for task in tasks:
                    nursery.start_soon(task)
                scope.cancel()

    box = Mailbox("gate", record=lambda _: None, crashes_max=1)
    box.tell_nowait("message")
    for _ in range(3):
        await stopped_life(trio.sleep_forever, trio.sleep_forever)
    with pytest.RaisesGroup(Crash):
        await stopped_life(trio.sleep_forever, crash_when_stopped)
    with box.open() as inbox:
        assert inbox.receive_nowait() is None


async def test_one_incarnation_reads_at_a_time() -> None:
    box = mailbox()
    with (
        box.open(),
        pytest.raises(RuntimeError, match="'gate' is read by another incarnation"),
        box.open(),
    ):
        pytest.fail("both are alive")


async def test_an_incarnation_that_is_over_can_neither_read_nor_acknowledge() -> None:
    box = mailbox()
    box.tell_nowait("message")
    with box.open() as old:
        pass
    with box.open() as inbox:
        await inbox.receive()
        with pytest.raises(trio.ClosedResourceError):
            await old.receive()
        with pytest.raises(trio.ClosedResourceError):
            old.receive_nowait()
        assert box.statistics().in_flight


class Asker:
    """Somebody who asks, and what came of it."""

    def __init__(self, box: Mailbox, message: object = "?", timeout_s: float = 1.0) -> None:
        self.box, self.message, self.timeout_s = box, message, timeout_s
        self.answer: object = None
        self.error: ActorDied | AskTimeout | None = None
        self.at: float = math.nan

    async def run(self) -> None:
        try:
            self.answer = await self.box.ask(self.message, timeout_s=self.timeout_s)
        except (ActorDied, AskTimeout) as error:
            self.error = error
        self.at = trio.current_time()


async def test_an_answer_that_comes_late_changes_nothing(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    box = mailbox()
    asker = Asker(box, timeout_s=1)
    nursery.start_soon(asker.run)
    with box.open() as inbox:
        envelope = await inbox.receive()
        await trio.sleep(2)
        assert isinstance(asker.error, AskTimeout)
        assert asker.error.begun
        assert not envelope.answer("late")
        assert asker.answer is None


async def test_the_first_answer_is_the_answer(nursery: trio.Nursery) -> None:
    box = mailbox()
    asker = Asker(box, timeout_s=math.inf)
    nursery.start_soon(asker.run)
    with box.open() as inbox:
        envelope = await inbox.receive()
        assert envelope.answer("first")
        assert not envelope.answer("second")
        await trio.testing.wait_all_tasks_blocked()
    assert asker.answer == "first"


async def test_nobody_waits_for_the_answer_to_what_was_told() -> None:
    box = mailbox()
    box.tell_nowait("message")
    with box.open() as inbox:
        assert not (await inbox.receive()).answer("unheard")


async def test_a_question_whose_time_is_over_is_never_begun(
    autojump_clock: trio.testing.MockClock,
) -> None:
    box = mailbox()
    with pytest.raises(AskTimeout, match="it was not begun"):
        await box.ask("?", timeout_s=1)
    with box.open() as inbox:
        assert inbox.receive_nowait() is None
    assert box.statistics().withdrawn == 1


@pytest.mark.parametrize("policy", ["refuse", "wait", "drop_oldest"])
async def test_no_time_at_all_is_a_timeout_like_any_other(policy: Policy) -> None:
    box = mailbox(policy=policy)
    with pytest.raises(AskTimeout):
        await box.ask("?", timeout_s=0)


async def test_the_wait_for_room_is_part_of_the_time_to_answer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    box = mailbox(capacity=1, policy="wait")
    box.tell_nowait("message")
    began = trio.current_time()
    with pytest.raises(AskTimeout) as caught, trio.fail_after(100):
        await box.ask("?", timeout_s=3)
    assert trio.current_time() - began == 3
    assert not caught.value.begun
    assert box.statistics().depth == 1


async def test_death_is_told_at_once_to_who_is_served_who_is_queued_and_who_waits_for_room(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    box = mailbox(capacity=1, policy="wait")
    askers = [Asker(box, number, timeout_s=100) for number in range(4)]
    for asker in askers:
        nursery.start_soon(asker.run)
        await trio.testing.wait_all_tasks_blocked()
    died_at = trio.current_time()
    with pytest.raises(Crash):
        await crash_on_the_next(box)
    await trio.testing.wait_all_tasks_blocked()
    assert [asker.at for asker in askers] == [died_at] * 4
    assert [type(asker.error) for asker in askers] == [ActorDied] * 4
    assert [asker.error.begun for asker in askers if asker.error] == [True, False, False, False]
    with box.open() as inbox:
        assert next_of(inbox) == 0
        assert inbox.receive_nowait() is None


async def test_a_full_mailbox_says_so_to_the_sender_and_keeps_what_it_has() -> None:
    box = mailbox(capacity=1)
    box.tell_nowait("kept")
    with pytest.raises(MailboxFull, match="mailbox of 'gate' is full"):
        box.tell_nowait("refused")
    with box.open() as inbox:
        assert next_of(inbox) == "kept"
        assert inbox.receive_nowait() is None


def test_a_mailbox_without_room_or_patience_is_a_mistake() -> None:
    for capacity, crashes_max in [(0, 1), (1, 0)]:
        with pytest.raises(ValueError, match="at least 1"):
            Mailbox("gate", record=lambda _: None, capacity=capacity, crashes_max=crashes_max)


async def test_the_registry_knows_each_name_once_and_says_which_it_knows() -> None:
    registry = Registry(lambda _: None)
    gate = registry.add("gate", capacity=3, policy="wait")
    registry.add("keeper")
    with pytest.raises(ValueError, match="'gate' already"):
        registry.add("gate")
    with pytest.raises(NoSuchActor, match="no actor is called 'gat'; there are: gate, keeper"):
        await registry.ask("gat", "?", timeout_s=1)
    assert registry["gate"] is gate
    assert "gate" in registry
    assert "gat" not in registry
    assert registry.names() == ("gate", "keeper")
    assert registry.statistics()["gate"].policy == "wait"
