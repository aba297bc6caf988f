"""The tree on a real Trio: stops and cancels, and children that don't want to leave."""

import contextlib
import math

import pytest
import trio
import trio.lowlevel
import trio.testing
from riskd.supervisor.tree import ChildSpec, Escalated, FailedToStart, Ports, Supervisor
from riskd.supervisor.tree.shell import _revoke_shields


class Oops(Exception):
    """A child's own error."""


def private_shield(scene, name, seconds, **fields):
    """A child that cleans up under a shield that its supervisor doesn't own."""

    async def run(ctx, *, task_status):
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(seconds)
            scene.say(f"{name} left by itself")

    return ChildSpec(name, run, **fields)


def stubborn(scene, name, swallows, **fields):
    """A child that swallows its cancellation so many times before it goes."""

    async def run(ctx, *, task_status):
        task_status.started()
        for _ in range(swallows):
            with trio.CancelScope(shield=True):
                await hang_here()
        scene.say(f"{name} gone at {trio.current_time():g}")

    async def hang_here():
        with contextlib.suppress(trio.Cancelled):
            await trio.sleep_forever()

    return ChildSpec(name, run, **fields)


# --- stopping in order ----------------------------------------------------------------------------


async def test_a_shutdown_stops_in_reverse_each_after_the_one_before_is_down(
    scene, autojump_clock, start
):
    supervisor = await start(
        scene.supervisor(scene.slow("a", 1), scene.slow("b", 2), scene.slow("c", 3))
    )
    supervisor.shutdown()
    await trio.sleep(10)
    assert scene.heard() == ["c cleaned at 3", "b cleaned at 5", "a cleaned at 6"]
    assert scene.end is None


async def test_an_outer_cancel_reaches_everybody_at_once_and_still_stops_in_reverse(
    scene, autojump_clock
):
    inner = Supervisor([scene.slow("b", 1), scene.slow("c", 1)])
    spec = ChildSpec("inner", inner.run, kind="supervisor", shutdown=math.inf)
    outer = scene.supervisor(scene.slow("a", 1), spec, scene.slow("d", 1))
    with trio.move_on_after(5) as scope:
        await outer.run()
    assert scope.cancelled_caught
    assert scene.heard() == [
        "d cleaned at 6",
        "c cleaned at 7",
        "b cleaned at 8",
        "a cleaned at 9",
    ]
    assert scene.facts == []


async def test_dynamic_children_stop_in_parallel(scene, autojump_clock, start):
    children = [scene.slow(name, 3) for name in "abc"]
    supervisor = await start(scene.supervisor(*children, strategy="dynamic"))
    supervisor.shutdown()
    await trio.sleep(3.5)
    assert sorted(scene.heard()) == ["a cleaned at 3", "b cleaned at 3", "c cleaned at 3"]


async def test_a_stop_overtakes_what_was_queued_before_it(scene, autojump_clock):
    async def serves_and_stops_all(ctx, *, task_status):
        task_status.started()
        supervisor.shutdown()
        await trio.sleep_forever()

    supervisor = scene.supervisor(
        scene.calm("a"), ChildSpec("b", serves_and_stops_all), scene.calm("c")
    )
    await supervisor.run()
    assert scene.heard() == ["a up", "a down"]


async def test_a_later_shutdown_can_only_hasten(scene, autojump_clock, start):
    supervisor = await start(scene.supervisor(scene.slow("a", 60, shutdown=math.inf)))
    supervisor.shutdown(within=30)
    await trio.sleep(1)
    supervisor.shutdown(within=99)
    supervisor.shutdown(within=2)
    supervisor.shutdown(within=50)
    await trio.sleep(10)
    assert scene.heard() == ["a cleaned cut at 3"]


async def test_the_total_bounds_the_whole_stop(scene, autojump_clock):
    children = [scene.slow(name, 3, shutdown=5) for name in "abc"]
    with trio.move_on_after(1):
        await scene.supervisor(*children, total=5).run()
    first, *killed = scene.heard()
    assert first == "c cleaned at 4"
    assert sorted(killed) == ["a cleaned cut at 6", "b cleaned cut at 6"]


@pytest.mark.parametrize("cancel", [True, False])
async def test_a_stop_during_the_first_start_undoes_it_and_does_not_hang(
    scene, autojump_clock, cancel
):
    async def never(ctx, *, task_status):
        try:
            await trio.sleep_forever()
        finally:
            scene.say("b down")

    supervisor = scene.supervisor(scene.calm("a"), ChildSpec("b", never), scene.calm("c"))
    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            nursery.start_soon(stop_later, scope if cancel else supervisor)
            await nursery.start(supervisor.run)
    assert scene.heard() == ["a up", "b down", "a down"]
    assert trio.current_time() == 1


async def stop_later(what):
    await trio.sleep(1)
    what.cancel() if isinstance(what, trio.CancelScope) else what.shutdown()


async def test_an_outer_cancel_does_not_hide_that_the_supervisor_gave_up(scene, autojump_clock):
    async def crashes(ctx, *, task_status):
        task_status.started()
        await trio.sleep(1)
        raise Oops

    supervisor = scene.supervisor(scene.slow("a", 2), ChildSpec("b", crashes), intensity=0)
    with pytest.raises(Escalated), trio.move_on_after(2):
        await supervisor.run()


# --- cleaning up ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shutdown", "cleanup_s", "said"),
    [
        (5.0, 4.0, "a cleaned at 4"),
        (5.0, 6.0, "a cleaned cut at 5"),
        (0, 1.0, "a cleaned cut at 0"),
        (math.inf, 10_000.0, "a cleaned at 10000"),
    ],
)
async def test_cleaning_up_lasts_for_the_childs_shutdown_at_most(
    scene, autojump_clock, start, shutdown, cleanup_s, said
):
    supervisor = await start(scene.supervisor(scene.slow("a", cleanup_s, shutdown=shutdown)))
    supervisor.shutdown()
    await trio.sleep(20_000)
    assert scene.heard() == [said]


@pytest.mark.parametrize(("cleanup_s", "said"), [(4.0, "done at 5"), (6.0, "cut at 6")])
async def test_a_child_that_crashes_may_clean_up_as_long(
    scene, autojump_clock, start, cleanup_s, said
):
    async def run(ctx, *, task_status):
        task_status.started()
        try:
            await trio.sleep(1)
            raise Oops
        finally:
            with ctx.cleanup() as scope:
                await trio.sleep(cleanup_s)
            word = "cut" if scope.cancelled_caught else "done"
            scene.say(f"{word} at {trio.current_time():g}")

    supervisor = await start(scene.supervisor(ChildSpec("a", run)))
    await trio.sleep(6.5)
    assert scene.heard() == [said]
    assert scene.facts[0] == "child_failed a"
    supervisor.shutdown()


async def test_a_stop_shortens_a_cleanup_that_is_under_way(scene, autojump_clock, start):
    async def run(ctx, *, task_status):
        task_status.started()
        with ctx.cleanup() as scope:
            await trio.sleep_forever()
        scene.say(f"cut at {trio.current_time():g}: {scope.cancelled_caught}")
        await trio.sleep_forever()

    supervisor = await start(scene.supervisor(ChildSpec("a", run, shutdown=10)))
    await trio.sleep(4)
    supervisor.shutdown(within=3)
    await trio.sleep(20)
    assert scene.heard() == ["cut at 7: True"]


async def test_a_child_that_tries_to_clean_up_for_ever_ends_at_its_deadline(
    scene, autojump_clock, start
):
    async def run(ctx, *, task_status):
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            while True:
                with ctx.cleanup():
                    await trio.sleep(2)

    supervisor = await start(scene.supervisor(ChildSpec("a", run, shutdown=5)))
    supervisor.shutdown()
    await trio.sleep(5.1)
    assert supervisor.count_children().active == 0
    assert scene.stuck == []


async def test_a_cleanup_that_raises_is_recorded_and_does_not_prevent_the_rest(
    scene, autojump_clock, start
):
    async def run(ctx, *, task_status):
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            raise Oops

    supervisor = await start(scene.supervisor(scene.calm("a"), ChildSpec("b", run)))
    supervisor.shutdown()
    await trio.sleep(1)
    assert scene.heard() == ["a up", "a down"]
    assert scene.facts == ["child_ended b"]


# --- children that don't want to leave ------------------------------------------------------------


async def test_a_private_shield_is_revoked_at_the_deadline(scene, autojump_clock, start):
    supervisor = await start(
        scene.supervisor(scene.calm("a"), private_shield(scene, "b", math.inf, shutdown=3))
    )
    supervisor.shutdown()
    await trio.sleep(2.9)
    assert scene.heard() == ["a up"]
    await trio.sleep(0.2)
    assert scene.heard() == ["a down"]
    assert scene.stuck == []


async def test_a_private_shield_of_a_grandchild_task_is_revoked_too(scene, autojump_clock, start):
    async def run(ctx, *, task_status):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(shielded)
            task_status.started()

    async def shielded():
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)

    supervisor = await start(scene.supervisor(ChildSpec("a", run, shutdown=0)))
    supervisor.shutdown()
    await trio.sleep(0.1)
    assert supervisor.count_children().active == 0


async def test_a_shield_raised_while_it_is_killed_is_revoked_as_well(scene, autojump_clock, start):
    supervisor = await start(scene.supervisor(scene.calm("a"), stubborn(scene, "b", 2, shutdown=0)))
    supervisor.shutdown()
    await trio.sleep(5)
    assert scene.heard() == ["a up", "b gone at 0.5", "a down"]
    assert scene.stuck == []


async def test_a_child_that_swallows_its_cancellation_is_reported_with_where_it_hangs(
    scene, autojump_clock, start
):
    supervisor = scene.supervisor(
        scene.calm("a"), stubborn(scene, "b", 8, shutdown=0), scene.calm("c")
    )
    await start(supervisor)
    supervisor.shutdown()
    await trio.sleep(2)
    assert scene.heard() == ["a up", "c up", "c down", "a down"]
    ((path, stack),) = scene.stuck
    assert path == "top/b"
    assert "hang_here" in "".join(stack)
    assert scene.facts == ["child_stuck b"]
    assert supervisor.which_children()[1].stuck
    await trio.sleep(10)
    assert scene.heard() == ["b gone at 3.5"]
    assert scene.end is None


async def test_the_stack_of_a_stuck_child_shows_the_tasks_below_it(scene, autojump_clock, start):
    async def below(ctx):
        await stubborn(scene, "inner", 5).run(ctx, task_status=trio.TASK_STATUS_IGNORED)

    async def run(ctx, *, task_status):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(below, ctx)
            task_status.started()

    supervisor = await start(scene.supervisor(ChildSpec("a", run, shutdown=0)))
    supervisor.shutdown()
    await trio.sleep(10)
    ((_, stack),) = scene.stuck
    assert "hang_here" in "".join(stack)


async def test_a_start_that_is_overdue_and_stubborn_is_killed_and_then_reported(
    scene, autojump_clock
):
    async def run(ctx, *, task_status):
        await stubborn(scene, "a", 5).run(ctx, task_status=trio.TASK_STATUS_IGNORED)

    with pytest.raises(FailedToStart):
        await scene.supervisor(ChildSpec("a", run, start_timeout=1, shutdown=1)).run()
    assert [path for path, _ in scene.stuck] == ["top/a"]


# --- supervisors below supervisors ----------------------------------------------------------------


async def test_a_nested_supervisor_stops_in_order_within_its_parents_deadline(
    scene, autojump_clock, start
):
    inner = Supervisor([scene.slow("a", 1), scene.slow("b", 1)])
    spec = ChildSpec("inner", inner.run, kind="supervisor", shutdown=3)
    outer = await start(scene.supervisor(scene.calm("first"), spec))
    outer.shutdown()
    await trio.sleep(9)
    assert scene.heard() == ["first up", "b cleaned at 1", "a cleaned at 2", "first down"]


async def test_beyond_its_parents_deadline_a_nested_supervisor_is_killed_with_its_children(
    scene, autojump_clock, start
):
    children = [
        scene.slow("a", 9, shutdown=math.inf),
        private_shield(scene, "b", math.inf, shutdown=math.inf),
    ]
    inner = Supervisor(children)
    spec = ChildSpec("inner", inner.run, kind="supervisor", shutdown=3)
    outer = await start(scene.supervisor(scene.calm("first"), spec))
    outer.shutdown()
    await trio.sleep(3.1)
    assert scene.heard() == ["first up", "a cleaned cut at 3", "first down"]
    assert scene.stuck == []


async def test_a_killed_supervisor_leaves_no_child_behind_and_is_started_again(
    scene, autojump_clock, start
):
    inner = Supervisor([scene.calm("a"), private_shield(scene, "b", math.inf)])
    outer = await start(scene.supervisor(ChildSpec("inner", inner.run, kind="supervisor")))
    await outer.kill_child("inner")
    await trio.sleep(0.1)
    assert scene.heard() == ["a up", "a down", "a up"]
    assert inner.count_children().active == 2
    outer.shutdown()


# --- faults of the supervisor itself --------------------------------------------------------------


def broken(scene, port):
    def breaks(*_):
        raise ZeroDivisionError

    fields = {"record": scene.ports.record, "chance": lambda: 0.0, "stuck": scene.ports.stuck}
    return Ports(**{**fields, port: breaks})


@pytest.mark.parametrize("port", ["record", "chance"])
async def test_a_fault_of_the_supervisor_kills_the_children_and_goes_up(
    scene, autojump_clock, port
):
    async def crashes(ctx, *, task_status):
        task_status.started()
        await trio.sleep(1)
        raise Oops

    children = [
        scene.calm("a"),
        private_shield(scene, "b", math.inf, shutdown=math.inf),
        stubborn(scene, "c", 3),
        ChildSpec("d", crashes),
    ]
    with pytest.raises(ExceptionGroup) as raised:
        await scene.supervisor(*children, ports=broken(scene, port)).run()
    assert raised.group_contains(ZeroDivisionError)
    assert scene.heard() == ["a up", "a down", "c gone at 2"]


async def test_after_a_fault_of_the_supervisor_the_dead_are_not_shown_as_running(
    scene, autojump_clock
):
    async def crashes(ctx, *, task_status):
        task_status.started()
        await trio.sleep(1)
        raise Oops

    children = [scene.calm("a"), stubborn(scene, "b", 3), ChildSpec("c", crashes)]
    supervisor = scene.supervisor(*children, ports=broken(scene, "record"))
    with pytest.raises(ExceptionGroup):
        await supervisor.run()
    assert [info.state for info in supervisor.which_children()] == ["idle"] * 3
    assert supervisor.count_children().active == 0


async def test_a_child_that_outlasts_a_fault_of_its_supervisor_is_reported(scene, autojump_clock):
    async def crashes(ctx, *, task_status):
        task_status.started()
        await trio.sleep(1)
        raise Oops

    children = [stubborn(scene, "a", 6), ChildSpec("b", crashes)]
    with pytest.raises(ExceptionGroup):
        await scene.supervisor(*children, ports=broken(scene, "record")).run()
    assert [path for path, _ in scene.stuck] == ["top/a"]


async def test_a_fault_of_a_nested_supervisor_is_a_failure_to_its_parent(
    scene, autojump_clock, start
):
    inner = Supervisor([scene.calm("a")], ports=broken(scene, "record"))
    outer = await start(scene.supervisor(ChildSpec("inner", inner.run, kind="supervisor")))
    await inner.kill_child("a")
    await trio.sleep(1)
    assert scene.facts == ["child_failed inner", "child_restarted inner"]
    assert outer.which_children()[0].cause == "ZeroDivisionError"
    outer.shutdown()


async def test_a_call_that_a_fault_interrupts_is_answered(scene, autojump_clock):
    supervisor = scene.supervisor(scene.calm("a"), ports=broken(scene, "record"))
    async with trio.open_nursery() as nursery:

        async def run(*, task_status):
            with pytest.raises(ExceptionGroup):
                await supervisor.run(task_status=task_status)

        await nursery.start(run)
        assert (await supervisor.terminate_child("a")).answer.value == "stopping"


# --- what is private to Trio ----------------------------------------------------------------------


async def test_trio_still_tells_everybody_that_a_scope_is_cancelled_from_outside():
    async def wait(*, task_status):
        with trio.CancelScope() as scope:
            task_status.started(scope)
            with trio.CancelScope(shield=True, deadline=-math.inf):
                await trio.sleep_forever()
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        scope = await nursery.start(wait)
        await trio.testing.wait_all_tasks_blocked()
        assert scope._cancel_status.effectively_cancelled is False
        nursery.cancel_scope.cancel()
        assert scope._cancel_status.effectively_cancelled is True
    assert scope._cancel_status is None


async def test_trio_still_keeps_its_scopes_in_the_tree_that_shields_are_revoked_through():
    with trio.CancelScope(shield=True) as outer:
        async with trio.open_nursery() as nursery:
            with trio.CancelScope(shield=True) as inner:
                await trio.lowlevel.checkpoint()
                status = outer._cancel_status
                assert status._scope is outer
                (below,) = status._children
                assert below._scope is nursery.cancel_scope
                assert [child._scope for child in below._children] == [inner]
                _revoke_shields(outer, spared=[])
                assert (outer.shield, inner.shield) == (False, False)
    assert outer._cancel_status is None
    _revoke_shields(outer, spared=[])
