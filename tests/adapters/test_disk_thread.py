"""The disk's thread: one act after another, and no end that waits for a hung disk."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio
import trio.testing
from riskd.adapters.disk_thread import DiskThread


@pytest.fixture
def thread() -> Iterator[DiskThread]:
    with DiskThread() as thread:
        yield thread


def descriptors() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


class Blocking:
    """An act that lasts until it is told to end."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.has_ended = False

    def __call__(self) -> str:
        self.may_end.wait()
        self.has_ended = True
        return "blocking"


def refuse() -> None:
    raise OSError(5, "the disk is gone")


async def abandoned(thread: DiskThread, act: Callable[[], object]) -> None:
    """Start it, and be cancelled while it is in the thread."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(thread.run, act)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


async def test_every_act_is_done_in_the_same_other_thread(thread: DiskThread) -> None:
    first, second = await thread.run(threading.get_ident), await thread.run(threading.get_ident)
    assert first == second != threading.get_ident()


async def test_an_error_is_the_callers_and_the_next_is_served(thread: DiskThread) -> None:
    with pytest.raises(OSError, match="the disk is gone"):
        await thread.run(refuse)
    assert await thread.run(lambda: 7) == 7


async def test_the_loop_goes_on_while_an_act_blocks(thread: DiskThread) -> None:
    act = Blocking()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(thread.run, act)
        await trio.testing.wait_all_tasks_blocked()
        assert not act.has_ended
        act.may_end.set()
    assert act.has_ended


async def test_callers_are_served_in_the_order_they_came(thread: DiskThread) -> None:
    act, served = Blocking(), []

    async def caller(number: int) -> None:
        served.append(await thread.run(lambda: number))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(thread.run, act)
        for number in range(5):
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(caller, number)
        await trio.testing.wait_all_tasks_blocked()
        assert served == []
        act.may_end.set()
    assert served == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("fails", [False, True])
async def test_the_act_of_a_cancelled_caller_goes_on_and_the_next_waits_for_it(
    thread: DiskThread, fails: bool
) -> None:
    act, seen = Blocking(), []

    def maybe_refuse() -> None:
        act()
        if fails:
            refuse()

    async def next_caller() -> None:
        seen.append(await thread.run(lambda: act.has_ended))

    await abandoned(thread, maybe_refuse)
    assert not act.has_ended
    async with trio.open_nursery() as nursery:
        nursery.start_soon(next_caller)
        await trio.testing.wait_all_tasks_blocked()
        assert seen == []
        act.may_end.set()
    assert seen == [True]


async def test_what_is_cancelled_before_its_turn_is_not_done(thread: DiskThread) -> None:
    act, late = Blocking(), Blocking()
    late.may_end.set()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(thread.run, act)
        await trio.testing.wait_all_tasks_blocked()
        await abandoned(thread, late)
        act.may_end.set()
    with trio.CancelScope() as scope:
        scope.cancel()
        await thread.run(late)
    assert await thread.run(lambda: "next") == "next"
    assert not late.has_ended


async def test_a_closed_thread_has_ended_and_takes_nothing_more() -> None:
    before = descriptors()
    with DiskThread() as thread:
        await thread.run(lambda: None)
    assert not thread._thread.is_alive()
    assert descriptors() == before
    with pytest.raises(trio.ClosedResourceError):
        await thread.run(lambda: None)
    thread.close()


async def test_a_hung_disk_does_not_hold_up_the_end() -> None:
    before = descriptors()
    act = Blocking()
    with DiskThread() as thread:
        await abandoned(thread, act)
    assert thread._thread.is_alive()
    act.may_end.set()
    thread._thread.join()
    assert descriptors() == before


async def test_an_act_that_was_begun_is_done_before_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read, reads = os.read, threading.Semaphore(1)

    def held_up(descriptor: int, length: int) -> bytes:
        if threading.current_thread().name == "disk":
            reads.acquire()
        return read(descriptor, length)

    monkeypatch.setattr(os, "read", held_up)
    thread, act = DiskThread(), Blocking()
    await thread.run(lambda: None)
    act.may_end.set()
    await abandoned(thread, act)
    thread.close()
    reads.release(2)
    thread._thread.join()
    assert act.has_ended


async def test_it_is_not_closed_under_a_waiting_task(thread: DiskThread) -> None:
    act = Blocking()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(thread.run, act)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(AssertionError, match="a task waits"):
            thread.close()
        act.may_end.set()


def state(thread: threading.Thread) -> str:
    """How the kernel sees it: S while it waits."""
    stat = Path(f"/proc/self/task/{thread.native_id}/stat").read_text(encoding="ascii")
    return stat.rpartition(") ")[2][0]


async def test_a_signal_does_not_end_the_thread(thread: DiskThread) -> None:
    seen: list[int] = []
    handler = signal.signal(signal.SIGUSR1, lambda number, _: seen.append(number))
    try:
        while state(thread._thread) != "S":
            await trio.lowlevel.checkpoint()
        assert thread._thread.ident is not None
        signal.pthread_kill(thread._thread.ident, signal.SIGUSR1)
        while not seen:
            await trio.lowlevel.checkpoint()
        assert await thread.run(threading.get_ident) == thread._thread.ident
    finally:
        signal.signal(signal.SIGUSR1, handler)


async def test_a_spurious_wake_up_is_no_answer(
    thread: DiskThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def woken_at_once(_: int) -> None:
        await trio.lowlevel.checkpoint()

    monkeypatch.setattr(trio.lowlevel, "wait_readable", woken_at_once)
    act = Blocking()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(thread.run, act)
        for _ in range(10):
            await trio.lowlevel.checkpoint()
        assert not act.has_ended
        act.may_end.set()
