"""The watch over the event loop, with real threads and loops that are really stuck."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import attrs
import pytest
import structlog
import trio
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core.kill_switch import Breaker
from riskd.actors.messages import By, Cause, Halt, Mode
from riskd.supervisor import logs, loop_watch
from riskd.supervisor.loop_watch import AGAIN_S, ALIVE, LATE_S, LOOK_S, Look, LoopWatch, stopped_s
from structlog.typing import FilteringBoundLogger

PATIENCE_S = 30.0
"""Never reached by a test that passes."""
LAG_S = 0.5


class World:
    """What was done to page, kill switch, log and service manager, in the order it was done."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.reasons: list[str] = []
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.failures: list[Exception] = []
        """What the next seizures or triggers raise."""
        self.news = threading.Condition()
        self.watch = self.watching()

    def watching(self, log: object = None) -> LoopWatch:
        log = cast("FilteringBoundLogger", log or self)
        return LoopWatch(Page(self), Service(self), log, lag_s=LAG_S)

    def do(self, what: str) -> None:
        with self.news:
            self.did.append(what)
            self.news.notify_all()

    def until(self, true: Callable[[], bool]) -> None:
        """Block the thread that calls this until something comes true."""
        with self.news:
            assert self.news.wait_for(true, PATIENCE_S), self.did

    async def reached(self, true: Callable[[], bool]) -> None:
        """The same, and the loop goes on meanwhile."""
        await trio.to_thread.run_sync(self.until, true)

    def error(self, event: str, **values: Any) -> None:
        self.events.append((event, values))
        self.do(event)

    warning = error

    def fail(self) -> None:
        if self.failures:
            raise self.failures.pop(0)


@attrs.define(eq=False)
class Page:
    world: World

    def seize(self) -> None:
        self.world.do("seize")
        self.world.fail()

    def release(self) -> None:
        self.world.do("release")

    def fence(self) -> None:
        raise AssertionError("the watch does not fence: that is the loop's")

    def publish(self, modes: Mapping[str, Mode], epoch: int) -> None:
        raise AssertionError("the watch publishes nothing")

    def extend(self, until_ns: int) -> None:
        raise AssertionError("the watch extends nothing")


@attrs.define(eq=False)
class Service:
    world: World
    watchdog_s: float | None = None

    def notify(self, *lines: str) -> None:
        self.world.do(lines[0].partition(":")[0])


@attrs.define(eq=False)
class Switch:
    world: World

    def trigger(self, *, by: By, cause: Cause, source: str, reason: str) -> bool:
        assert (by, cause, source) == (By(via="riskd"), "watchdog", "loop")
        self.world.do("trigger")
        self.world.fail()
        self.world.reasons.append(reason)
        return True

    def halt(self, halt: Halt, *, by: By) -> int | None:
        raise AssertionError("a stuck loop is a kill")

    def trip(self, halt: Halt, breaker: Breaker, *, by: By) -> int | None:
        raise AssertionError("a stuck loop is a kill")

    def clear(self, condition: str) -> None:
        raise AssertionError("a stuck loop is a kill")


@pytest.fixture
def world() -> World:
    return World()


async def stick(world: World, block: Callable[[], object], watch: LoopWatch | None = None) -> None:
    """Run a watched loop, block it, and wait until what came of that is a fact."""
    watch = watch or world.watch
    with watch:
        async with trio.open_nursery() as nursery:
            await nursery.start(watch.beat, Switch(world))
            block()
            await world.reached(lambda: "release" in world.did)
            nursery.cancel_scope.cancel()


# --- a loop that is stuck -------------------------------------------------------------------------


async def test_a_loop_that_waits_is_halted_while_it_waits(world: World) -> None:
    def block() -> None:
        world.until(lambda: "seize" in world.did)
        assert "trigger" not in world.did

    await stick(world, block)
    acts = [what for what in world.did if what in ("seize", "trigger", "release")]
    assert acts == ["seize", "trigger", "release"]
    assert world.watch.seized is None


async def test_the_reason_says_how_long_it_was_stuck_and_where(world: World) -> None:
    await stick(world, lambda: world.until(lambda: "seize" in world.did))
    (reason,) = world.reasons
    what, _, where = reason.partition(", in ")
    assert what.startswith("the event loop was stuck for ")
    innermost, *_, outermost = where.split(" < ")
    assert innermost.endswith(" wait")
    assert outermost.startswith("supervisor/test_loop_watch.py:")
    assert outermost.endswith(" until")


async def test_the_log_and_the_service_manager_are_told_while_it_is_stuck(
    tmp_path: Path, world: World
) -> None:
    path = tmp_path / "log"

    def hold_everything_up() -> None:
        deadline = time.monotonic() + PATIENCE_S
        while b"\n" not in path.read_bytes():
            assert time.monotonic() < deadline
        assert "STATUS=everything is halted" in world.did

    with path.open("w") as stream:
        writer = logs.configure("json", "info", stream)
    try:
        await stick(world, hold_everything_up, world.watching(structlog.get_logger("riskd.loop")))
    finally:
        writer.close(PATIENCE_S)
        structlog.reset_defaults()
    told = json.loads(path.read_text().splitlines()[0])
    assert (told["event"], told["level"]) == ("loop.stuck", "error")
    assert told["stuck_s"] >= LAG_S
    besides = told["stack"].index("thread 1 besides")
    loop, rest = told["stack"][:besides], told["stack"][besides:]
    assert loop[0] == "the loop"
    assert [line for line in loop if line.endswith(" hold_everything_up")]
    assert [line for line in rest if line.endswith(" _drain")]  # the log's own thread


def sleep_with_the_lock() -> None:
    """As an extension does that waits without letting other threads run."""
    assert ctypes.PyDLL(None).usleep(3 * int(LAG_S * 1e6)) == 0


def compute_with_the_lock() -> None:
    numbers, took_s = 1_000_000, 0.0
    while took_s < 2 * LAG_S:
        numbers *= 2
        began_s = time.thread_time()
        sum(range(numbers))
        took_s = time.thread_time() - began_s


@pytest.mark.parametrize("block", [sleep_with_the_lock, compute_with_the_lock])
async def test_a_call_that_kept_the_interpreters_lock_is_found_when_it_returns(
    world: World, block: Callable[[], None]
) -> None:
    await stick(world, block)
    assert world.did[0] == "seize"
    assert world.reasons[0].startswith("the event loop was stuck for ")


async def test_a_loop_that_stays_stuck_is_told_again_and_seized_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_watch, "AGAIN_S", 0.0)
    await stick(world, lambda: world.until(lambda: world.did.count("loop.stuck") >= 3))
    assert world.did.count("seize") == 1
    assert len(world.reasons) == 1


async def test_its_return_is_told(world: World) -> None:
    with world.watch:
        async with trio.open_nursery() as nursery:
            await nursery.start(world.watch.beat, Switch(world))
            world.until(lambda: "loop.stuck" in world.did)
            await world.reached(lambda: "loop.back" in world.did)
            nursery.cancel_scope.cancel()


# --- what fails -----------------------------------------------------------------------------------


async def test_while_it_can_not_be_made_a_fact_the_page_stays_seized(world: World) -> None:
    watch = world.watch

    async def incarnation() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(watch.beat, Switch(world))
            world.until(lambda: "seize" in world.did)
            world.failures.append(OSError("no journal"))

    with watch:
        with pytest.raises(BaseExceptionGroup) as caught:
            await incarnation()
        assert caught.group_contains(OSError, match="no journal")
        assert "release" not in world.did
        assert watch.seized is not None
        async with trio.open_nursery() as nursery:  # the next incarnation
            nursery.start_soon(watch.beat, Switch(world))
            await world.reached(lambda: "release" in world.did)
            nursery.cancel_scope.cancel()
    assert world.did.count("trigger") == 2
    assert world.did.count("release") == 1


async def test_a_seizure_that_failed_is_told_and_tried_again(world: World) -> None:
    world.failures += [OSError("no page"), OSError("no page")]

    def block() -> None:
        world.until(lambda: "loop.stuck" in world.did)
        assert world.watch.seized is not None

    await stick(world, block)
    assert world.did.count("seize") == 3
    assert world.did.count("loop.watch_failed") == 1  # told once in a while, tried at every look
    assert ("loop.watch_failed", {"cause": "OSError: no page"}) in world.events


def test_closing_it_ends_its_thread(world: World) -> None:
    with world.watch:
        assert "riskd-watch" in [thread.name for thread in threading.enumerate()]
    assert "riskd-watch" not in [thread.name for thread in threading.enumerate()]


# --- what it makes of what it sees, without its thread --------------------------------------------


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock as the beats see it."""
    now = [1000.0]
    monkeypatch.setattr(loop_watch, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def seizures(world: World) -> int:
    return world.did.count("seize")


def test_a_beat_may_be_as_old_as_the_lag_and_no_older(world: World, now: list[float]) -> None:
    world.watch._live()
    world.watch._judge(1000.0 + LAG_S)
    assert seizures(world) == 0
    world.watch._judge(1000.0 + LAG_S + 0.01)
    assert seizures(world) == 1


def test_time_in_which_the_process_was_stopped_does_not_count(
    world: World, now: list[float]
) -> None:
    world.watch._live()
    world.watch._stopped_s += 60.0
    world.watch._judge(1060.0 + LAG_S)
    assert seizures(world) == 0
    now[0] = 1060.0 + LAG_S
    world.watch._live()  # a long gap, as the loop sees it
    world.watch._judge(now[0])
    assert seizures(world) == 0
    world.watch._judge(now[0] + LAG_S + 0.01)
    assert seizures(world) == 1


def test_a_gap_that_was_over_before_the_thread_could_look_is_found(
    world: World, now: list[float]
) -> None:
    world.watch._live()
    now[0] += 5.0
    world.watch._live()
    world.watch._judge(now[0])
    assert world.watch.seized == "the event loop was stuck for 5.0 s"
    assert world.events == [("loop.was_stuck", {"stuck_s": 5.0})]


def test_what_was_found_while_it_lasted_is_not_found_again_as_a_gap(
    world: World, now: list[float]
) -> None:
    world.watch._live()
    now[0] += 5.0
    world.watch._judge(now[0])
    world.watch._live()
    world.watch._settle(Switch(world))
    world.watch._judge(now[0])
    world.watch._judge(now[0])
    assert seizures(world) == 1
    assert [event for event, _ in world.events] == ["loop.stuck", "loop.back"]


def test_it_is_said_again_every_so_often(world: World, now: list[float]) -> None:
    world.watch._live()
    for second in range(1, 32):
        world.watch._judge(1000.0 + second)
    told = [values["stuck_s"] for event, values in world.events if event == "loop.stuck"]
    assert told == [1.0, 1.0 + AGAIN_S, 1.0 + 2 * AGAIN_S, 1.0 + 3 * AGAIN_S]


def test_before_an_earlier_seizure_is_a_fact_the_page_is_left_as_it_is(
    world: World, now: list[float]
) -> None:
    world.watch._live()
    world.watch._judge(1005.0)
    first = world.watch.seized
    now[0] = 1006.0
    world.watch._live()
    world.watch._judge(1006.0)
    world.watch._judge(1010.0)
    assert seizures(world) == 1
    assert world.watch.seized == first
    assert world.did.count("loop.stuck") == 2


async def test_a_loop_that_was_told_to_stop_is_not_watched(world: World) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(world.watch.beat, Switch(world))
        nursery.cancel_scope.cancel()
    world.watch._judge(time.monotonic() + 3600)
    assert world.did == []


# --- was it stopped? ------------------------------------------------------------------------------

LAST = Look(now_s=100.0, wakes=1_000, cpu_s=5.0)
GAPS = st.floats(LATE_S + 0.01, 1e6)


@given(st.floats(0, LATE_S * 0.99), st.integers(0, 100), st.floats(0, 10))
def test_a_look_in_time_saw_no_stop(gap_s: float, wakes: int, cpu_s: float) -> None:
    assert stopped_s(LAST, Look(100.0 + gap_s, 1_000 + wakes, 5.0 + cpu_s)) == 0


@given(GAPS, st.floats(ALIVE + 0.01, 1.0))
def test_one_that_was_busy_for_a_good_part_of_the_time_was_not_stopped(
    gap_s: float, part: float
) -> None:
    wakes = int(gap_s * part / sys.getswitchinterval()) + 1
    assert stopped_s(LAST, Look(100.0 + gap_s, 1_000 + wakes, 5.0)) == 0
    assert stopped_s(LAST, Look(100.0 + gap_s, 1_000, 5.0 + gap_s * part)) == 0


@given(GAPS)
def test_one_that_did_nothing_was_stopped_for_all_but_a_look(gap_s: float) -> None:
    found = stopped_s(LAST, Look(100.0 + gap_s, 1_002, 5.0))
    assert found == pytest.approx(gap_s - LOOK_S, rel=1e-6)


STOPPED = """
import ctypes, json, sys, trio
from riskd.supervisor.loop_watch import BEAT_S, LoopWatch

did = []

class Everything:
    watchdog_s = None
    def seize(self): did.append("seize")
    def release(self): did.append("release")
    def notify(self, *lines): did.append("notify")
    def error(self, event, **values): did.append(event)
    warning = error
    def trigger(self, **values): did.append("trigger")

async def main():
    every = Everything()
    with LoopWatch(every, every, every, lag_s=1.0) as watch:
        async with trio.open_nursery() as nursery:
            await nursery.start(watch.beat, every)
            print("ready", flush=True)
            await trio.lowlevel.wait_readable(sys.stdin)
            if sys.stdin.read(1) == "b":
                ctypes.PyDLL(None).usleep(2_000_000)
            for _ in range(20):
                await trio.sleep(BEAT_S)
            nursery.cancel_scope.cancel()
    print(json.dumps(did))

trio.run(main)
"""


@pytest.mark.parametrize(
    ("word", "found"),
    [("s", []), ("b", ["seize", "trigger", "release"])],
    ids=["stopped", "blocked"],
)
def test_a_process_that_was_stopped_is_told_from_one_that_is_stuck(
    word: str, found: list[str]
) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-P", "-c", STOPPED], stdin=pipe, stdout=pipe, text=True
    ) as child:
        try:
            assert child.stdin is not None
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            if word == "s":
                child.send_signal(signal.SIGSTOP)
                os.waitid(os.P_PID, child.pid, os.WSTOPPED)
                threading.Event().wait(2)  # twice what a loop may be stuck
                child.send_signal(signal.SIGCONT)
            child.stdin.write(word)
            child.stdin.close()
            did = json.loads(child.stdout.readline())
        finally:
            child.kill()
    assert [what for what in did if what in ("seize", "trigger", "release")] == found
