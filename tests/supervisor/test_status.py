"""The tree as documents: every row has every key, and every child is found."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import trio
import trio.testing
from riskd.supervisor.status import NOT_BUILT, find, only_stuck_left, tree_rows
from riskd.supervisor.tree import ChildSpec, Context, Supervisor

KEYS = [
    *("name", "kind", "supervisor", "state", "incarnation", "restarts"),
    *("budget", "mailbox", "last_failure", "held", "stuck"),
]


async def serve(_ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
    task_status.started()
    await trio.sleep_forever()


RELEASED = trio.Event()


async def swallow(_ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
    """Ends when the test says so, and for nobody else."""
    task_status.started()
    while not RELEASED.is_set():
        with suppress(trio.Cancelled), trio.CancelScope(shield=True):
            await RELEASED.wait()


def tree(*, deep: ChildSpec | None = None, patience_s: float = 5.0) -> Supervisor:
    """riskd ─ settings, watchdogs ─ (service, inner ─ heartbeat), control"""
    inner = Supervisor([deep or ChildSpec("heartbeat", serve)], intensity=3)
    watchdogs = Supervisor(
        [
            ChildSpec("service", serve),
            ChildSpec("inner", inner.run, kind="supervisor", shutdown=patience_s),
        ]
    )
    return Supervisor(
        [
            ChildSpec("settings", serve),
            ChildSpec("watchdogs", watchdogs.run, kind="supervisor", shutdown=patience_s),
            ChildSpec("control", serve),
        ],
        name="riskd",
        intensity=5,
        period=60,
    )


@asynccontextmanager
async def running(root: Supervisor) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        yield
        root.shutdown()


async def test_rows_are_in_start_order_parents_first_and_each_has_every_key() -> None:
    root = tree()
    async with running(root):
        rows = tree_rows(root, {"control": {"depth": 3}})
    assert [(row["name"], row["kind"], row["supervisor"]) for row in rows] == [
        ("riskd", "supervisor", None),
        ("settings", "actor", "riskd"),
        ("watchdogs", "supervisor", "riskd"),
        ("service", "actor", "riskd/watchdogs"),
        ("inner", "supervisor", "riskd/watchdogs"),
        ("heartbeat", "actor", "riskd/watchdogs/inner"),
        ("control", "actor", "riskd"),
    ]
    assert all(list(row) == KEYS for row in rows)
    assert [row["mailbox"] for row in rows] == [*[None] * 6, {"depth": 3}]


async def test_a_row_says_how_its_actor_stands_and_its_supervisor_what_it_has_left() -> None:
    root = tree()
    async with running(root):
        await root.kill_child("settings")
        await root.terminate_child("control")
        await trio.testing.wait_all_tasks_blocked()
        rows = {str(row["name"]): row for row in tree_rows(root, {})}
    assert rows["riskd"]["state"] == "serving"
    assert rows["riskd"]["budget"] == {"used": 1, "intensity": 5, "period_s": 60}
    assert rows["inner"]["budget"] == {"used": 0, "intensity": 3, "period_s": 5.0}
    assert rows["settings"]["budget"] is None
    crashed, held = rows["settings"], rows["control"]
    assert (crashed["state"], crashed["incarnation"], crashed["restarts"]) == ("running", 2, 1)
    assert str(crashed["last_failure"]).startswith("Killed")
    assert (held["state"], held["held"], held["restarts"]) == ("idle", True, 0)


async def test_a_child_is_found_wherever_it_is_with_the_supervisor_that_has_it() -> None:
    root = tree()
    async with running(root):
        for name, owner in [
            ("control", "riskd"),
            ("watchdogs", "riskd"),
            ("service", "riskd/watchdogs"),
            ("heartbeat", "riskd/watchdogs/inner"),
        ]:
            found = find(root, name)
            assert found is not None
            assert (found[0].name, found[1].id) == (owner, name)
        assert find(root, "riskd") is None
        assert find(root, "gat") is None


@pytest.mark.parametrize("patience_s", [0.5, 5.0, 20.0])
async def test_nothing_but_what_is_stuck_is_left_when_all_else_is_down(
    patience_s: float,
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(globals(), "RELEASED", trio.Event())
    root = tree(deep=ChildSpec("swallows", swallow, shutdown=1.0), patience_s=patience_s)
    seen = []
    async with running(root):
        seen.append(only_stuck_left(root))
        root.shutdown()
        await trio.testing.wait_all_tasks_blocked()
        seen.append(only_stuck_left(root))
        await trio.sleep(60)
        seen.append(only_stuck_left(root))
        rows = {str(row["name"]): row for row in tree_rows(root, {})}
        RELEASED.set()
    assert seen == [False, False, True]
    assert rows["watchdogs"]["stuck"]
    assert rows["settings"]["state"] == rows["control"]["state"] == "idle"


async def test_a_tree_that_is_down_has_nothing_left() -> None:
    root = tree()
    async with running(root):
        pass
    assert only_stuck_left(root)


def test_what_is_not_built_is_named_once_each() -> None:
    assert len(set(NOT_BUILT)) == len(NOT_BUILT) > 0
