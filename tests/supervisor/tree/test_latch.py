"""A stop is latched before anything else, here and below, and nothing is started after it."""

import math

import pytest
import trio
import trio.lowlevel
from riskd.supervisor.tree import Backoff, ChildSpec, Supervisor


class Oops(Exception):
    """A child's own error."""


def crashing_when_told(scene, go, **fields):
    """A child that crashes once, and says each of its lives."""

    async def run(ctx, *, task_status):
        task_status.started()
        scene.say(f"{ctx.id}#{ctx.incarnation} up")
        if ctx.incarnation == 1:
            await go.wait()
            raise Oops
        await trio.sleep_forever()

    return ChildSpec("a", run, **fields)


@pytest.mark.parametrize("cancel", [False, True])
@pytest.mark.parametrize("levels", [1, 2, 3])
async def test_a_stop_overtakes_a_crash_that_has_been_reported_but_not_decided(
    any_order, scene, autojump_clock, levels, cancel
):
    go = trio.Event()
    supervisor = scene.supervisor(crashing_when_told(scene, go))
    for _ in range(levels - 1):
        nested = ChildSpec("inner", supervisor.run, kind="supervisor", shutdown=math.inf)
        supervisor = scene.supervisor(nested)
    async with trio.open_nursery() as nursery:
        await nursery.start(supervisor.run)
        await trio.sleep(1)
        go.set()
        await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel() if cancel else supervisor.shutdown()
    assert scene.heard() == ["a#1 up"]
    assert [fact for fact in scene.facts if fact.endswith(" a")] == ["child_ended a"]
    assert supervisor.count_children().active == 0


async def test_below_a_supervisor_that_stops_nothing_starts_and_what_runs_waits_for_its_turn(
    scene, autojump_clock, start
):
    async def last(ctx, *, task_status):
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            with ctx.cleanup():
                go.set()
                await trio.sleep(1)
                for call in (inner.start_child(scene.calm("x")), inner.restart_child("c")):
                    scene.say((await call).answer.value)
                scene.say(f"last down at {trio.current_time():g}")

    go = trio.Event()
    inner = Supervisor([crashing_when_told(scene, go), scene.calm("b"), scene.calm("c")])
    spec = ChildSpec("inner", inner.run, kind="supervisor", shutdown=math.inf)
    outer = await start(scene.supervisor(spec, ChildSpec("last", last)))
    await inner.terminate_child("c")
    scene.heard()
    outer.shutdown()
    await trio.sleep(5)
    assert scene.heard() == ["stopping", "stopping", "last down at 1", "b down"]
    assert scene.facts == ["child_held c", "child_ended a"]


async def test_a_supervisor_that_is_cancelled_before_it_begins_starts_nobody(scene, autojump_clock):
    with trio.CancelScope() as scope:
        scope.cancel()
        await scene.supervisor(scene.calm("a")).run()
    assert scope.cancelled_caught
    assert scene.heard() == []


async def test_a_cancel_that_is_heard_with_the_last_event_is_still_a_cancel(
    any_order, scene, autojump_clock
):
    go = trio.Event()

    async def stop():
        await trio.sleep(1)
        go.set()
        await trio.lowlevel.checkpoint()
        scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop)
        with trio.CancelScope() as scope:
            await scene.supervisor(crashing_when_told(scene, go)).run()
    assert scope.cancelled_caught


async def test_a_deadline_of_the_supervisor_above_is_no_stop(any_order, scene, autojump_clock):
    """The inner supervisor hears of a crash in the very turn in which the outer one is woken."""

    async def crashes(ctx, *, task_status):
        task_status.started()
        if ctx.incarnation == 1:
            await trio.sleep(1.5)
            autojump_clock.jump(0.5)
            raise Oops
        await trio.sleep_forever()

    inner = Supervisor([ChildSpec("a", crashes)], intensity=9)
    beside = scene.crashing("b", Oops(), backoff=Backoff(first=1.0, jitter=0.0))
    nested = ChildSpec("inner", inner.run, kind="supervisor")
    supervisor = scene.supervisor(nested, beside, intensity=9)
    with trio.move_on_after(2.5):
        await supervisor.run()
    assert "child_restarted a" in scene.facts
    assert supervisor.count_children().active == 0
