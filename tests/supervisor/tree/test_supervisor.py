"""The tree on a real Trio: what it remembers, its API, and the checking of arguments."""

import gc
import math
from datetime import UTC, datetime

import pytest
import trio
import trio.lowlevel
from riskd.actors.messages import Recorded
from riskd.supervisor.past import SupervisionHistory
from riskd.supervisor.tree import (
    Answer,
    Backoff,
    Budget,
    ChildSpec,
    Context,
    Escalated,
    Past,
    Ports,
    Supervisor,
)

NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)


class Oops(Exception):
    """A child's own error."""


# --- history --------------------------------------------------------------------------------------


def after(scene, **past):
    return Ports(record=scene.ports.record, past=Past(**past))


async def test_budgets_are_rebuilt_from_facts(scene, autojump_clock):
    failures = (("top", "a", 4.0), ("top", "a", 4.1), ("top/a", "a", 0.0), ("other", "a", 0.0))
    ports = after(scene, failures=failures)
    supervisor = scene.supervisor(scene.crashing("a", Oops()), ports=ports, intensity=2, period=6.0)
    with pytest.raises(Escalated) as raised:
        await supervisor.run()
    assert raised.value.failures == 3
    assert trio.current_time() == 1


async def test_a_failure_that_is_older_than_the_period_is_not_rebuilt(scene, autojump_clock, start):
    ports = after(scene, failures=(("top", "a", 5.0), ("top", "a", 5.1)))
    supervisor = await start(scene.supervisor(scene.calm("a"), ports=ports, period=5.0))
    assert supervisor.failures_in_window() == 1
    supervisor.shutdown()


async def test_a_childs_own_budget_is_rebuilt_from_facts(scene, autojump_clock):
    ports = after(scene, failures=(("top", "a", 50.0), ("top", "b", 1.0)))
    own = Budget(intensity=1, period=60.0)
    supervisor = scene.supervisor(scene.crashing("a", Oops(), budget=own), ports=ports, intensity=9)
    with pytest.raises(Escalated) as raised:
        await supervisor.run()
    assert raised.value.failures == 2
    assert trio.current_time() == 1


@pytest.mark.parametrize("held", [False, True])
async def test_the_own_budget_of_a_child_that_is_added_is_rebuilt_from_facts(
    scene, autojump_clock, held
):
    failures = (("top", "a", 50.0), ("top", "a", 61.0), ("top", "b", 1.0), ("other", "a", 1.0))
    holds = frozenset({("top", "a")} if held else ())
    own = Budget(intensity=1, period=60.0)
    supervisor = scene.supervisor(
        strategy="dynamic", intensity=9, ports=after(scene, failures=failures, held=holds)
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(scene.run, supervisor)
        if not held:
            await supervisor.start_child(scene.failing("a", Oops(), budget=own))
        await supervisor.start_child(scene.crashing("a", Oops(), budget=own))
        await supervisor.restart_child("a")
        await trio.sleep(2)
        assert (scene.end.child, scene.end.failures) == ("a", 2)


async def test_holds_are_rebuilt_from_facts_and_nested_ones_too(scene, autojump_clock, start):
    inner = Supervisor([scene.calm("a"), scene.calm("b")])
    ports = after(scene, held=frozenset({("top/inner", "a"), ("top", "b")}))
    outer = scene.supervisor(ChildSpec("inner", inner.run, kind="supervisor"), ports=ports)
    await start(outer)
    assert scene.heard() == ["b up"]
    assert [info.held for info in inner.which_children()] == [True, False]
    outer.shutdown()


async def test_run_again_it_keeps_holds_and_refills_the_budget(scene, autojump_clock, start):
    supervisor = scene.supervisor(scene.calm("a"), scene.calm("b"), period=100)
    await start(supervisor)
    await supervisor.terminate_child("a")
    await supervisor.kill_child("b")
    await trio.sleep(1)
    supervisor.shutdown()
    await trio.sleep(1)
    assert supervisor.count_children().active == 0
    scene.heard()
    await start(supervisor)
    assert scene.heard() == ["b up"]
    assert supervisor.failures_in_window() == 0
    assert supervisor.which_children()[1].incarnation == 3
    supervisor.shutdown()


@pytest.mark.parametrize("restart", ["permanent", "temporary"])
async def test_a_listed_child_that_was_terminated_and_has_gone_stays_stopped_when_run_again(
    scene, autojump_clock, start, restart
):
    inner = scene.supervisor(scene.calm("a", restart=restart), scene.calm("b"))
    outer = scene.supervisor(ChildSpec("inner", inner.run, kind="supervisor"), intensity=9)
    await start(outer)
    await inner.terminate_child("a")
    await inner.delete_child("a")
    for _ in range(2):
        scene.heard()
        await outer.kill_child("inner")
        await trio.sleep(1)
        assert scene.heard() == ["b down", "b up"]
        assert [(c.id, c.held) for c in inner.which_children()] == [("a", True), ("b", False)]
        await inner.delete_child("a")
    await inner.start_child(scene.calm("a"))
    await outer.kill_child("inner")
    await trio.sleep(1)
    assert scene.heard()[-2:] == ["a up", "b up"]
    outer.shutdown()


async def test_a_listed_temporary_child_stays_stopped_through_a_restart_of_riskd(
    scene, autojump_clock, start
):
    ports = after(scene, held=frozenset({("top", "a")}))
    supervisor = await start(scene.supervisor(scene.calm("a", restart="temporary"), ports=ports))
    assert scene.heard() == []
    assert (await supervisor.restart_child("a")).ok
    assert scene.heard() == ["a up"]
    supervisor.shutdown()


async def test_the_past_counts_once(scene, autojump_clock, start):
    ports = after(scene, held=frozenset({("top", "a")}), failures=(("top", "a", 0.0),))
    supervisor = await start(scene.supervisor(scene.calm("a"), ports=ports, period=100))
    assert supervisor.failures_in_window() == 1
    await supervisor.restart_child("a")
    supervisor.shutdown()
    await trio.sleep(1)
    await start(supervisor)
    assert supervisor.failures_in_window() == 0
    assert scene.heard() == ["a up", "a down", "a up"]
    supervisor.shutdown()


async def test_a_supervisor_that_first_runs_late_judges_the_past_by_its_age_then(
    scene, autojump_clock, start
):
    inner = Supervisor([scene.calm("a")], intensity=3, period=10.0)
    spec = ChildSpec("inner", inner.run, kind="supervisor")
    failures = (("top/inner", "a", 1.0), ("top/inner", "a", 2.0))
    outer = await start(scene.supervisor(ports=after(scene, failures=failures)))
    await trio.sleep(8.5)
    await outer.start_child(spec)
    assert inner.failures_in_window() == 1
    assert inner.state.failures == (-1.0,)
    outer.shutdown()


def built_for_each_life(scene, lives, *children):
    """A nested supervisor that is a new object in each of its lives, as a factory would make it."""

    async def run(ctx, *, task_status):
        lives.append(Supervisor([scene.calm(name) for name in children], period=1000.0))
        await lives[-1].run(ctx, task_status=task_status)

    return ChildSpec("inner", run, kind="supervisor")


async def test_a_supervisor_that_is_built_for_each_life_keeps_the_holds_and_no_others(
    scene, autojump_clock, start
):
    lives = []
    ports = after(scene, held=frozenset({("top/inner", "b")}))
    outer = scene.supervisor(built_for_each_life(scene, lives, *"abc"), ports=ports, intensity=9)
    await start(outer)
    await lives[-1].terminate_child("a")
    await lives[-1].restart_child("b")
    for _ in range(2):
        await outer.kill_child("inner")
        await trio.sleep(1)
        held = {info.id: info.held for info in lives[-1].which_children()}
        assert held == {"a": True, "b": False, "c": False}
    assert len(lives) == 3
    outer.shutdown()


async def test_a_supervisor_that_is_built_for_each_life_has_a_full_budget_when_it_is_restarted(
    scene, autojump_clock, start
):
    lives = []
    ports = after(scene, failures=(("top/inner", "a", 1.0),))
    outer = await start(scene.supervisor(built_for_each_life(scene, lives, "a"), ports=ports))
    assert lives[-1].failures_in_window() == 1
    await outer.kill_child("inner")
    await trio.sleep(1)
    assert lives[-1].failures_in_window() == 0
    outer.shutdown()


async def test_a_supervisor_that_is_restarted_is_forgiven_with_all_below_it_and_nothing_else(
    scene, autojump_clock, start
):
    """As the facts say it: else the tree and its journal would count differently."""
    low = Supervisor([scene.calm("a")], period=1000.0)
    middle = Supervisor(strategy="dynamic")
    failures = (("top/middle/low", "a", 1.0), ("top/middle2", "a", 1.0))
    ports = after(scene, failures=failures)
    outer = await start(
        scene.supervisor(ChildSpec("middle", middle.run, kind="supervisor"), ports=ports)
    )
    await outer.kill_child("middle")
    await trio.sleep(1)
    await middle.start_child(ChildSpec("low", low.run, kind="supervisor"))
    assert low.failures_in_window() == 0
    beside = Supervisor([scene.calm("a")], period=1000.0)
    await outer.start_child(ChildSpec("middle2", beside.run, kind="supervisor"))
    assert beside.failures_in_window() == 1
    outer.shutdown()


async def test_what_an_operator_restarts_has_as_full_a_budget_after_a_crash_of_riskd(
    scene, autojump_clock, start
):
    """The journal forgives by the fact of the restart, and the tree by having restarted."""
    history = SupervisionHistory()

    def record(fact):
        history.apply(Recorded(lsn=1, at=NOON, monotonic_s=trio.current_time(), fact=fact))

    async def life(failures_at_first):
        past = history.past(boot="", monotonic_s=trio.current_time(), now=NOON)
        inner = Supervisor([scene.calm("a")], intensity=9, period=1000.0)
        spec = ChildSpec("inner", inner.run, kind="supervisor")
        outer = scene.supervisor(spec, ports=Ports(record=record, past=past))
        async with trio.open_nursery() as nursery:
            await nursery.start(outer.run)
            assert inner.failures_in_window() == failures_at_first
            await inner.kill_child("a")
            await trio.sleep(1)
            await outer.terminate_child("inner")
            await outer.restart_child("inner")
            assert inner.failures_in_window() == 0
            for _ in range(2):
                await inner.kill_child("a")
                await trio.sleep(1)
            nursery.cancel_scope.cancel()

    await life(0)
    await life(2)


async def test_it_runs_once_at_a_time(scene, autojump_clock, start):
    supervisor = await start(scene.supervisor())
    with pytest.raises(RuntimeError, match="'top' is running already"):
        await supervisor.run()
    supervisor.shutdown()


# --- the API --------------------------------------------------------------------------------------


async def test_start_child_answers_ok_with_the_value_or_already_there_or_the_error(
    scene, autojump_clock, start
):
    supervisor = await start(scene.supervisor())
    reply = await supervisor.start_child(scene.calm("a"))
    assert reply.ok
    assert (reply.incarnation, reply.value) == (1, "a serves")
    reply = await supervisor.start_child(scene.calm("a"))
    assert (reply.answer, reply.value) == (Answer.ALREADY_RUNNING, "a serves")
    await supervisor.terminate_child("a")
    reply = await supervisor.start_child(scene.calm("a"))
    assert (reply.answer, reply.value) == (Answer.ALREADY_PRESENT, None)
    reply = await supervisor.start_child(scene.failing("b", Oops("x")))
    assert (reply.answer, reply.error) == (Answer.FAILED, "Oops: x")
    assert [info.id for info in supervisor.which_children()] == ["a"]
    supervisor.shutdown()


async def test_a_terminated_child_can_be_restarted_and_deleted(scene, autojump_clock, start):
    supervisor = await start(scene.supervisor(scene.calm("a"), intensity=0))
    assert (await supervisor.delete_child("a")).answer is Answer.RUNNING
    assert (await supervisor.terminate_child("a")).ok
    assert scene.heard() == ["a up", "a down"]
    assert (await supervisor.terminate_child("a")).ok
    assert (await supervisor.restart_child("a")).incarnation == 2
    assert (await supervisor.terminate_child("a")).ok
    assert (await supervisor.delete_child("a")).ok
    assert (await supervisor.delete_child("a")).answer is Answer.NOT_FOUND
    assert supervisor.which_children() == []
    supervisor.shutdown()


async def test_children_are_counted_and_shown(scene, autojump_clock, start):
    inner = Supervisor()
    supervisor = scene.supervisor(
        scene.calm("a"), ChildSpec("inner", inner.run, kind="supervisor"), scene.calm("b")
    )
    await start(supervisor)
    await supervisor.terminate_child("b")
    counts = supervisor.count_children()
    assert (counts.specs, counts.active, counts.supervisors, counts.workers) == (3, 2, 1, 2)
    infos = supervisor.which_children()
    assert [info.state for info in infos] == ["running", "running", "idle"]
    assert [info.supervisor for info in infos] == [None, inner, None]
    assert (inner.name, infos[2].held) == ("top/inner", True)
    supervisor.shutdown()


@pytest.mark.parametrize("call", ["terminate_child", "kill_child"])
async def test_a_child_may_end_itself_through_the_api(scene, autojump_clock, start, call):
    async def ends_itself(ctx, *, task_status):
        task_status.started()
        scene.say(f"{ctx.incarnation} up")
        if ctx.incarnation == 1:
            await getattr(supervisor, call)("a")
        await trio.sleep_forever()

    supervisor = scene.supervisor(ChildSpec("a", ends_itself))
    await start(supervisor)
    await trio.sleep(1)
    restarted = call == "kill_child"
    assert scene.heard() == ["1 up", *["2 up"] * restarted]
    assert supervisor.count_children().active == restarted
    assert supervisor._run._calls == {}
    supervisor.shutdown()


async def test_a_caller_that_is_cancelled_while_it_waits_leaves_nothing_behind(
    scene, autojump_clock, start
):
    supervisor = await start(scene.supervisor(scene.slow("a", 3.0)))
    with trio.move_on_after(1) as scope:
        await supervisor.terminate_child("a")
    assert scope.cancelled_caught
    assert supervisor._run._calls == {}
    await trio.sleep(3)
    assert supervisor.which_children()[0].state == "idle"
    supervisor.shutdown()


async def test_callers_are_answered_when_the_supervisor_stops(
    scene, autojump_clock, start, nursery
):
    async def never(ctx, *, task_status):
        await trio.sleep_forever()

    async def ask(call):
        answers.append((await call).answer)

    answers = []
    supervisor = await start(scene.supervisor(scene.slow("a", 3.0)))
    nursery.start_soon(ask, supervisor.start_child(ChildSpec("b", never)))
    await trio.sleep(1)
    nursery.start_soon(ask, supervisor.terminate_child("a"))
    await trio.sleep(1)
    supervisor.shutdown()
    nursery.start_soon(ask, supervisor.restart_child("a"))
    await trio.sleep(9)
    assert sorted(answer.value for answer in answers) == ["ok", "stopping", "stopping"]


async def test_dynamic_children_leave_nothing_behind(scene, autojump_clock, start):
    class Mark(Exception):
        pass

    async def brief(ctx, *, task_status):
        task_status.started()
        raise Mark

    supervisor = await start(scene.supervisor(strategy="dynamic"))
    for number in range(500):
        await supervisor.start_child(ChildSpec(f"job-{number}", brief, restart="temporary"))
        await supervisor.start_child(scene.failing(f"bad-{number}", Mark()))
    await trio.sleep(1)
    run = supervisor._run
    assert supervisor.which_children() == []
    assert (run._incarnations, run._errors, run._calls) == ({}, {}, {})
    assert len(run._nursery.child_tasks) == 0
    gc.collect()
    assert not [each for each in gc.get_objects() if isinstance(each, Mark)]
    supervisor.shutdown()


# --- arguments ------------------------------------------------------------------------------------


async def run_nothing(ctx, *, task_status):
    """Never run."""


@pytest.mark.parametrize(
    "fields",
    [
        {"id": ""},
        {"id": "a b"},
        {"id": "x" * 129},
        {"run": None},
        {"restart": "always"},
        {"shutdown": -1},
        {"shutdown": math.nan},
        {"shutdown": True},
        {"start_timeout": 0},
        {"kind": "other"},
        {"significant": True},
        {"backoff": 3},
        {"budget": 3},
    ],
)
def test_a_spec_is_checked_field_by_field(fields):
    with pytest.raises((ValueError, TypeError), match=next(iter(fields))):
        ChildSpec(**{"id": "a", "run": run_nothing, **fields})


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"strategy": "simple"}, "strategy='simple': must be one of one_for_one, "),
        ({"auto_shutdown": "yes"}, "auto_shutdown='yes': must be one of never, "),
        ({"intensity": -1}, "intensity=-1: must be a whole number"),
        ({"period": 0}, "period=0: must be above zero"),
        ({"period": math.inf}, "period=inf: must be finite"),
        ({"total": 0}, "total=0: must be"),
        ({"children": [ChildSpec("a", run_nothing)] * 2}, "children with the same id: a"),
        (
            {
                "children": [
                    ChildSpec("a", run_nothing, restart="transient", significant=True),
                ]
            },
            "child 'a' is significant, but auto_shutdown is 'never'",
        ),
    ],
)
def test_a_supervisor_is_checked_argument_by_argument(fields, problem):
    with pytest.raises(ValueError, match=problem):
        Supervisor(**fields)


@pytest.mark.parametrize(
    "fields",
    [{"first": 0}, {"factor": 0.5}, {"cap": math.inf}, {"jitter": 1.1}, {"healthy_after": -1}],
)
def test_a_back_off_is_checked_field_by_field(fields):
    with pytest.raises(ValueError, match=next(iter(fields))):
        Backoff(**fields)


async def test_a_held_child_that_is_added_again_stays_stopped_until_it_is_asked_for(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def run(ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        await trio.sleep_forever()

    past = Past(held=frozenset({("pool", "w")}))
    pool = Supervisor(strategy="dynamic", name="pool", ports=Ports(past=past))
    async with trio.open_nursery() as nursery:
        await nursery.start(pool.run)
        reply = await pool.start_child(ChildSpec("w", run))
        assert reply.answer is Answer.ALREADY_PRESENT
        assert [(c.state, c.held) for c in pool.which_children()] == [("idle", True)]
        assert (await pool.restart_child("w")).ok
        pool.shutdown()
    assert pool.count_children().active == 0
