"""How long a crashed child is away: from its raise to its next incarnation's started().

The peer is the least that keeps a child up in a bare nursery: catch what it raises, start it again.
"""

import contextlib
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import trio
from trio.testing import wait_all_tasks_blocked

from ...actors.messages import Fact
from ...actors.ports import Record
from ...adapters.clock import SystemClock
from ...adapters.disk import SystemDisk
from ...supervisor.past import SupervisionHistory
from ...supervisor.recall import open_ledger
from ...supervisor.tree import ChildSpec, Ports, Supervisor
from .results import MS, Result, at_most, in_turn_async, latency

SIBLINGS = (1, 20, 200)
AWAY_MS_MAX = 1.0
INTENSITY, PERIOD_S = 5, 1e-6
"""A budget that never runs out, because its window is shorter than any restart."""

Child = Callable[..., Awaitable[None]]


class Crash(Exception):
    """What a victim raises."""


class Victim:
    """A child that crashes when it is told to, and takes the time until it serves again."""

    def __init__(self) -> None:
        self._doom = trio.Event()
        self._back = trio.Event()
        self._crashed_s = 0.0
        self._away_s = 0.0

    async def run(self, _ctx: object, *, task_status: trio.TaskStatus[None]) -> None:
        doom = self._doom = trio.Event()
        task_status.started()
        self._away_s = time.perf_counter() - self._crashed_s
        self._back.set()
        await doom.wait()
        self._crashed_s = time.perf_counter()
        raise Crash

    async def crash(self) -> float:
        """How long it was away. What it left for others to do is not part of the next crash."""
        await wait_all_tasks_blocked()
        back = self._back = trio.Event()
        self._doom.set()
        await back.wait()
        return self._away_s


def ignore(_: Fact) -> None:
    """A record that costs nothing, so that the tree alone is measured."""


async def idle(_ctx: object, *, task_status: trio.TaskStatus[None]) -> None:
    """A child that serves nobody."""
    task_status.started()
    await trio.sleep_forever()


async def keep_up(
    children: Sequence[Child], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """The peer: start children in order, and start each again when it crashes."""
    async with trio.open_nursery() as nursery:
        for child in children:
            await nursery.start(_restart, nursery, child)
        task_status.started()


async def _restart(
    nursery: trio.Nursery, child: Child, *, task_status: trio.TaskStatus[None]
) -> None:
    while True:
        over = trio.Event()
        await nursery.start(_live, child, over)
        task_status.started()
        task_status = trio.TASK_STATUS_IGNORED
        await over.wait()


async def _live(child: Child, over: trio.Event, *, task_status: trio.TaskStatus[None]) -> None:
    try:
        with contextlib.suppress(Crash):
            await child(None, task_status=task_status)
    finally:
        over.set()


def measure(n: int) -> list[Result]:
    """Alone with its tree among few and many; and as in riskd, where each restart is a fact."""
    results = [_among(siblings, n, ignore, "facts dropped") for siblings in SIBLINGS]
    with (
        tempfile.TemporaryDirectory(prefix="riskd-") as place,
        open_ledger(SystemDisk(), Path(place), SystemClock(), [SupervisionHistory()]) as ledger,
    ):
        results.append(_among(20, n, ledger.commit, "facts on disk"))
    return results


def _among(siblings: int, n: int, record: Record, facts: str) -> Result:
    ours, theirs = trio.run(partial(_away, siblings, n, record))
    figure = latency(ours, MS)
    return Result(
        name=f"restart among {siblings} ({facts})",
        n=n,
        figure=figure,
        peer_name="bare nursery",
        peer=latency(theirs, MS),
        promise=at_most(AWAY_MS_MAX, figure),
    )


async def _away(siblings: int, n: int, record: Record) -> tuple[list[float], list[float]]:
    ours, theirs = Victim(), Victim()
    children = [ChildSpec(f"sibling-{number}", idle) for number in range(siblings)]
    supervisor = Supervisor(
        [ChildSpec("victim", ours.run), *children],
        intensity=INTENSITY,
        period=PERIOD_S,
        ports=Ports(record=record),
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(supervisor.run)
        await nursery.start(keep_up, [theirs.run, *[idle] * siblings])
        samples = await in_turn_async(n, ours.crash, theirs.crash)
        nursery.cancel_scope.cancel()
    return samples
