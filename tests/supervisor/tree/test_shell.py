"""The tree on a real Trio: starts, restarts and escalation."""

import attrs
import pytest
import trio
import trio.lowlevel
import trio.testing
from riskd.supervisor.tree import (
    Answer,
    Backoff,
    ChildSpec,
    Escalated,
    FailedToStart,
    NeverStarted,
    StartTimeout,
    Supervisor,
)


class Oops(Exception):
    """A child's own error."""


# --- starting -------------------------------------------------------------------------------------


async def test_start_returns_when_every_child_has_started_in_order(scene, autojump_clock, start):
    async def slowly(ctx, *, task_status):
        await trio.sleep(3)
        scene.say("b serves")
        task_status.started()
        await trio.sleep_forever()

    supervisor = scene.supervisor(scene.calm("a"), ChildSpec("b", slowly), scene.calm("c"))
    await start(supervisor)
    assert scene.heard() == ["a up", "b serves", "c up"]
    assert trio.current_time() == 3
    supervisor.shutdown()


async def test_a_failed_start_stops_what_ran_in_reverse_and_raises_id_and_cause(
    scene, autojump_clock
):
    error = Oops("no disk")
    supervisor = scene.supervisor(scene.calm("a"), scene.calm("b"), scene.failing("c", error))
    with pytest.raises(FailedToStart, match="child 'c' failed to start: Oops: no disk") as raised:
        await supervisor.run()
    assert raised.value.child == "c"
    assert raised.value.cause is raised.value.__cause__ is error
    assert scene.heard() == ["a up", "b up", "b down", "a down"]
    assert scene.facts == ["child_ended c"]


async def test_a_start_that_takes_too_long_fails_with_its_timeout(scene, autojump_clock):
    async def never(ctx, *, task_status):
        try:
            await trio.sleep_forever()
        finally:
            raise Oops("while leaving")

    supervisor = scene.supervisor(ChildSpec("a", never, start_timeout=7.0))
    with pytest.raises(FailedToStart, match="not started within 7 s") as raised:
        await supervisor.run()
    assert trio.current_time() == 7
    assert isinstance(raised.value.cause, StartTimeout)
    assert isinstance(raised.value.cause.__cause__.__context__, trio.Cancelled)


async def test_who_has_reported_while_the_loop_was_blocked_is_not_overdue(
    scene, autojump_clock, start, nursery
):
    reports = {}

    async def reported_for(ctx, *, task_status):
        reports[ctx.id] = task_status.started
        await trio.sleep_forever()

    async def add(name):
        reply = await supervisor.start_child(ChildSpec(name, reported_for, start_timeout=1.0))
        scene.say(f"{name} {reply.answer.value}")

    supervisor = await start(scene.supervisor())
    for name in "abc":
        nursery.start_soon(add, name)
    await trio.testing.wait_all_tasks_blocked()
    reports["a"]()
    reports["b"]()
    autojump_clock.jump(9.0)
    await trio.testing.wait_all_tasks_blocked()
    assert sorted(scene.heard()) == ["a ok", "b ok", "c failed"]
    supervisor.shutdown()


@pytest.mark.parametrize("levels", [2, 3, 6])
async def test_a_report_from_far_below_is_not_overdue_either_when_the_loop_was_blocked(
    any_order, scene, autojump_clock, start, levels
):
    async def reports_and_blocks(ctx, *, task_status):
        await trio.sleep(1)
        task_status.started()
        autojump_clock.jump(20.0)
        await trio.sleep_forever()

    supervisor = scene.supervisor(ChildSpec("a", reports_and_blocks, start_timeout=5.0))
    for _ in range(levels - 1):
        spec = ChildSpec("inner", supervisor.run, kind="supervisor", start_timeout=10.0)
        supervisor = scene.supervisor(spec)
    await start(supervisor)
    assert scene.end is None
    assert supervisor.which_children()[0].state == "running"
    supervisor.shutdown()


async def test_a_nested_supervisor_that_is_overdue_is_so_however_often_it_is_given_a_turn(
    scene, autojump_clock
):
    async def never(ctx, *, task_status):
        await trio.sleep_forever()

    inner = Supervisor([ChildSpec("a", never, start_timeout=99.0)])
    spec = ChildSpec("inner", inner.run, kind="supervisor", start_timeout=10.0)
    with pytest.raises(FailedToStart, match="not started within 10 s"):
        await scene.supervisor(spec).run()
    assert trio.current_time() == 10


async def test_deadlines_are_kept_when_the_queue_never_gets_empty(
    scene, autojump_clock, start, nursery
):
    async def never(ctx, *, task_status):
        await trio.sleep_forever()

    async def asks_without_end():
        while True:
            await supervisor.delete_child("nobody")

    supervisor = await start(scene.supervisor())
    with trio.CancelScope() as asking:
        async with trio.open_nursery() as askers:
            for _ in range(3):
                askers.start_soon(asks_without_end)
            askers.start_soon(supervisor.start_child, ChildSpec("a", never, start_timeout=1.0))
            await turns(20)
            assert supervisor.which_children()[0].state == "starting"
            autojump_clock.jump(1.0)
            await turns(20)
            assert supervisor.which_children() == []
            asking.cancel()
    supervisor.shutdown()


async def turns(count):
    """Let every task that is ready have so many turns."""
    for _ in range(count):
        await trio.lowlevel.checkpoint()


async def test_a_child_that_returns_before_it_has_started_fails_the_start(scene, autojump_clock):
    async def returns(ctx, *, task_status):
        """Says nothing."""

    with pytest.raises(FailedToStart) as raised:
        await scene.supervisor(ChildSpec("a", returns)).run()
    assert isinstance(raised.value.cause, NeverStarted)


@pytest.mark.parametrize("run", [lambda ctx, *, task_status: None, lambda: None])
async def test_a_run_that_is_no_child_fails_the_start(scene, autojump_clock, run):
    with pytest.raises(FailedToStart, match="TypeError"):
        await scene.supervisor(ChildSpec("a", run)).run()


async def test_started_called_twice_is_the_childs_error(scene, autojump_clock):
    async def twice(ctx, *, task_status):
        task_status.started()
        task_status.started()

    supervisor = scene.supervisor(ChildSpec("a", twice), intensity=0)
    with pytest.raises(Escalated, match=r"top/a: started\(\) was called twice"):
        await supervisor.run()


async def test_started_called_by_a_task_that_a_child_has_leaked_changes_nothing(
    scene, autojump_clock, start, nursery
):
    async def leaks(ctx, *, task_status):
        nursery.start_soon(late, task_status)
        raise Oops

    async def late(task_status):
        await trio.sleep(1)
        task_status.started()

    supervisor = await start(scene.supervisor())
    reply = await supervisor.start_child(ChildSpec("a", leaks))
    assert (reply.answer, reply.error) == (Answer.FAILED, "Oops")
    await supervisor.start_child(scene.calm("a"))
    before = supervisor.state
    await trio.sleep(2)
    assert supervisor.state == before
    supervisor.shutdown()


# --- restarts -------------------------------------------------------------------------------------


async def test_a_crash_restarts_the_child_and_not_its_siblings(scene, autojump_clock, start):
    supervisor = await start(
        scene.supervisor(scene.calm("a"), scene.crashing("b", Oops()), scene.calm("c"))
    )
    await trio.sleep(1.5)
    assert scene.heard() == ["a up", "c up"]
    assert scene.facts == ["child_failed b", "child_restarted b"]
    assert [info.incarnation for info in supervisor.which_children()] == [1, 2, 1]
    supervisor.shutdown()


async def test_rest_for_one_restarts_the_later_ones_in_order(scene, autojump_clock, start):
    supervisor = scene.supervisor(
        scene.calm("a"), scene.calm("b"), scene.calm("c"), strategy="rest_for_one"
    )
    await start(supervisor)
    scene.heard()
    await supervisor.kill_child("a")
    await trio.sleep(1)
    assert scene.heard() == ["a down", "c down", "b down", "a up", "b up", "c up"]
    supervisor.shutdown()


async def test_a_backed_off_restart_waits(scene, autojump_clock, start):
    policy = Backoff(first=8.0)
    supervisor = await start(scene.supervisor(scene.calm("a", backoff=policy)))
    await supervisor.kill_child("a")
    await trio.sleep(7.9)
    assert scene.heard() == ["a up", "a down"]
    await trio.sleep(0.2)
    assert scene.heard() == ["a up"]
    supervisor.shutdown()


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ExceptionGroup("", [Oops("x")]), "Oops: x"),
        (ExceptionGroup("", [Oops("x"), KeyError("k")]), "2 errors: Oops: x; KeyError: 'k'"),
    ],
)
async def test_a_group_of_errors_is_one_failure(scene, autojump_clock, start, error, cause):
    supervisor = await start(scene.supervisor(scene.crashing("a", error)))
    await trio.sleep(1.5)
    assert supervisor.which_children()[0].cause == cause
    assert supervisor.failures_in_window() == 1
    supervisor.shutdown()


async def test_a_cancelled_that_a_child_carries_out_of_its_scope_is_a_failure(
    scene, autojump_clock, start
):
    async def carries(ctx, *, task_status):
        task_status.started()
        with trio.CancelScope() as scope:
            scope.cancel()
            try:
                await trio.lowlevel.checkpoint()
            except trio.Cancelled as cancelled:
                carried = cancelled
        await trio.sleep(1)
        raise carried

    supervisor = await start(scene.supervisor(scene.calm("a"), ChildSpec("b", carries)))
    await trio.sleep(1.5)
    assert scene.facts == ["child_failed b", "child_restarted b"]
    assert supervisor.which_children()[1].cause.startswith("RuntimeError: raised a Cancelled")
    assert scene.heard() == ["a up"]
    supervisor.shutdown()


async def test_of_an_error_mixed_with_a_cancelled_the_error_counts(scene, autojump_clock, start):
    async def mixes(ctx, *, task_status):
        task_status.started()
        with trio.CancelScope() as scope:
            scope.cancel()
            try:
                await trio.lowlevel.checkpoint()
            except trio.Cancelled as cancelled:
                carried = cancelled
        await trio.sleep(1)
        raise BaseExceptionGroup("", [carried, Oops("x")])

    supervisor = await start(scene.supervisor(scene.calm("a"), ChildSpec("b", mixes)))
    await trio.sleep(1.5)
    assert supervisor.which_children()[1].cause == "Oops: x"
    assert scene.heard() == ["a up"]
    supervisor.shutdown()


async def test_an_error_that_cannot_be_printed_is_a_failure_like_any_other(
    scene, autojump_clock, start
):
    class Unprintable(Exception):
        def __str__(self):
            raise RuntimeError("never")

    supervisor = await start(scene.supervisor(scene.crashing("a", Unprintable())))
    await trio.sleep(1.5)
    assert scene.facts == ["child_failed a", "child_restarted a"]
    supervisor.shutdown()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
async def test_an_interrupt_in_a_child_stops_the_tree_in_order_and_goes_up(
    scene, autojump_clock, error
):
    inner = Supervisor([scene.calm("a"), scene.crashing("b", error()), scene.calm("c")])
    outer = scene.supervisor(
        scene.calm("first"), ChildSpec("inner", inner.run, kind="supervisor"), intensity=9
    )
    with pytest.raises(error):
        await outer.run()
    assert scene.heard() == ["first up", "a up", "c up", "c down", "a down", "first down"]
    assert "child_restarted" not in " ".join(scene.facts)


async def test_an_interrupt_during_an_outer_cancel_is_not_lost(scene, autojump_clock):
    async def interrupted(ctx, *, task_status):
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), trio.move_on_after(1):
        await scene.supervisor(ChildSpec("a", interrupted)).run()


# --- escalation -----------------------------------------------------------------------------------


async def test_giving_up_stops_the_others_in_reverse_and_raises(scene, autojump_clock):
    error = Oops("x")
    children = [scene.calm("a"), scene.crashing("b", error), scene.calm("c")]
    expected = "supervisor 'top' gave up after 1 failures; the last was of 'b': Oops: x"
    with pytest.raises(Escalated, match=expected) as raised:
        await scene.supervisor(*children, intensity=0).run()
    assert raised.value.__cause__ is error
    assert scene.heard() == ["a up", "c up", "c down", "a down"]
    assert scene.facts == ["child_failed b", "supervisor_escalated b"]


async def test_giving_up_over_a_restart_that_takes_too_long_has_the_timeout_as_its_cause(
    scene, autojump_clock
):
    async def starts_once(ctx, *, task_status):
        if ctx.incarnation == 1:
            task_status.started()
            await trio.sleep(1)
            raise Oops
        await trio.sleep_forever()

    with pytest.raises(Escalated) as raised:
        await scene.supervisor(ChildSpec("a", starts_once, start_timeout=1.0)).run()
    assert isinstance(raised.value.__cause__, StartTimeout)


@pytest.mark.parametrize("error", [None, StartTimeout("of its own")])
async def test_giving_up_has_no_cause_but_the_childs_own_error(scene, autojump_clock, error):
    async def serves_once(ctx, *, task_status):
        task_status.started()
        if error is not None:
            raise error

    with pytest.raises(Escalated) as raised:
        await scene.supervisor(ChildSpec("a", serves_once), intensity=0).run()
    assert raised.value.__cause__ is error


async def test_a_failure_is_told_with_its_error_where_that_is_asked_for(scene, autojump_clock):
    async def returns(ctx, *, task_status):
        task_status.started()

    error, told = Oops("x"), []
    ports = attrs.evolve(scene.ports, failed=lambda fact, error: told.append((fact.child, error)))
    for child in (scene.crashing("a", error), ChildSpec("b", returns)):
        with pytest.raises(Escalated):
            await scene.supervisor(child, intensity=0, ports=ports).run()
    assert told == [("a", error)]
    assert scene.facts == ["supervisor_escalated a", "child_failed b", "supervisor_escalated b"]


async def test_a_failure_climbs_through_three_levels(scene, autojump_clock):
    low = Supervisor([scene.crashing("worker", Oops("x"))], intensity=1, period=100)
    middle = Supervisor([ChildSpec("low", low.run, kind="supervisor")], intensity=1, period=100)
    top = scene.supervisor(ChildSpec("middle", middle.run, kind="supervisor"), intensity=1)
    with pytest.raises(Escalated, match=r"'top' .* 'top/middle' .* 'top/middle/low' .* Oops: x"):
        await top.run()
    assert scene.facts.count("child_failed worker") == 8
    assert scene.facts.count("child_failed low") == 4
    assert scene.facts.count("child_failed middle") == 2


@pytest.mark.parametrize("restart", ["permanent", "transient"])
async def test_an_escalated_supervisor_is_restarted_even_by_a_transient_spec(
    scene, autojump_clock, start, restart
):
    inner = Supervisor([scene.crashing("worker", Oops())], intensity=0)
    spec = ChildSpec("inner", inner.run, kind="supervisor", restart=restart)
    outer = await start(scene.supervisor(spec))
    await trio.sleep(1.5)
    assert [(info.state, info.restarts) for info in outer.which_children()] == [("running", 1)]
    outer.shutdown()


async def test_a_supervisor_that_its_parent_restarts_has_a_full_budget_and_counts_on(
    scene, autojump_clock, start
):
    inner = Supervisor([scene.calm("worker")], intensity=1, period=100)
    spec = ChildSpec("inner", inner.run, kind="supervisor")
    outer = await start(scene.supervisor(spec, intensity=5))
    for _ in range(2):
        await inner.kill_child("worker")
        await trio.sleep(1)
    assert inner.failures_in_window() == 0
    assert inner.which_children()[0].incarnation == 3
    await inner.kill_child("worker")
    await trio.sleep(1)
    assert outer.which_children()[0].incarnation == 2
    outer.shutdown()


async def test_an_auto_shutdown_is_a_normal_end_also_while_the_tree_starts(
    scene, autojump_clock, start, nursery
):
    async def ends(ctx, *, task_status):
        task_status.started()

    async def starts_late(ctx, *, task_status):
        await trio.sleep(5)
        task_status.started()
        await trio.sleep_forever()

    significant = ChildSpec("s", ends, restart="transient", significant=True)
    supervisor = await start(
        scene.supervisor(significant, ChildSpec("b", starts_late), auto_shutdown="any_significant")
    )
    assert trio.current_time() < 5
    await trio.sleep(1)
    assert scene.end is None
    with pytest.raises(RuntimeError, match="is not running"):
        await supervisor.start_child(scene.calm("c"))
