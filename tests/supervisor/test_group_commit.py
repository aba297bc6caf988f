"""Waiting for the disk: one trip serves all who wait, and nobody is forgotten on the way."""

import errno
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import attrs
import pytest
import trio
from riskd.actors.messages import ActorSilent
from riskd.adapters.simulated_disk import SimulatedDisk
from riskd.config.schema import Journal as Settings
from riskd.supervisor.journal import JournalFailed
from riskd.supervisor.keeper import Keeper
from riskd.supervisor.ledger import Ledger
from riskd.supervisor.recall import open_ledger
from trio.testing import wait_all_tasks_blocked

T = TypeVar("T")
FACT = ActorSilent(actor="gate", deadline_s=1.0)


class StillClock:
    def monotonic_s(self) -> float:
        return 100.0

    def now(self) -> datetime:
        return datetime(2024, 5, 17, 12, tzinfo=UTC)

    def boot(self) -> str:
        return "boot-1"


@attrs.define(eq=False)
class HeldOffload:
    """An offload whose acts go on when the test says so, even those that nobody waits for."""

    acts: list[Callable[[], object]] = attrs.field(factory=list)
    _done: trio.Event = attrs.field(factory=trio.Event)

    async def run(self, act: Callable[[], T]) -> T:
        while self.acts:
            await self._done.wait()
        outcome: list[T | Exception] = []

        def perform() -> None:
            try:
                outcome.append(act())
            except JournalFailed as failure:
                outcome.append(failure)

        self.acts.append(perform)
        await self._done.wait()
        (result,) = outcome
        if isinstance(result, Exception):
            raise result
        return result

    def go_on(self) -> None:
        """The disk is done with what it was given."""
        self.acts.pop()()
        self._done.set()
        self._done = trio.Event()


@attrs.define(eq=False)
class Scene:
    disk: SimulatedDisk
    ledger: Ledger
    syncs: HeldOffload
    nursery: trio.Nursery
    safe: list[int] = attrs.field(factory=list)
    failures: list[JournalFailed] = attrs.field(factory=list)

    async def keep(self) -> trio.CancelScope:
        """Start a keeper; it is gone when the scope that comes back is cancelled."""
        scope = trio.CancelScope()
        keeper = Keeper(
            self.ledger, Settings(), StillClock(), syncs=self.syncs, chores=HeldOffload()
        )

        async def run() -> None:
            with scope:
                await keeper.run()

        self.nursery.start_soon(run)
        await wait_all_tasks_blocked()
        return scope

    def commit(self) -> trio.CancelScope:
        """A task that commits and waits until that is safe. It leaves when the scope is."""
        scope, lsn = trio.CancelScope(), self.ledger.commit(FACT)

        async def wait() -> None:
            with scope:
                try:
                    await self.ledger.wait_safe(lsn)
                except JournalFailed as failure:
                    self.failures.append(failure)
                else:
                    self.safe.append(lsn)

        self.nursery.start_soon(wait)
        return scope


@pytest.fixture
def scene(nursery: trio.Nursery, mock_clock: object) -> Iterator[Scene]:
    disk = SimulatedDisk(1)
    with open_ledger(disk, Path("/state"), StillClock(), []) as ledger:
        yield Scene(disk, ledger, HeldOffload(), nursery)


async def test_what_comes_during_a_trip_goes_with_the_next_one_together(scene: Scene) -> None:
    await scene.keep()
    scene.commit()
    await wait_all_tasks_blocked()
    for _ in range(63):
        scene.commit()
    await wait_all_tasks_blocked()
    scene.syncs.go_on()
    await wait_all_tasks_blocked()
    assert scene.safe == [1]
    scene.syncs.go_on()
    await wait_all_tasks_blocked()
    assert sorted(scene.safe) == list(range(1, 65))
    assert scene.ledger.tally.syncs == 2


async def test_who_commits_again_after_a_shared_trip_does_not_leave_the_others_behind(
    scene: Scene,
) -> None:
    await scene.keep()
    rounds, committers = 10, 8

    async def commit_often() -> None:
        for _ in range(rounds):
            await scene.ledger.wait_safe(scene.ledger.commit(FACT))

    for _ in range(committers):
        scene.nursery.start_soon(commit_often)
    await wait_all_tasks_blocked()
    while scene.syncs.acts:
        scene.syncs.go_on()
        await wait_all_tasks_blocked()
    assert scene.ledger.journal.safe_lsn == rounds * committers
    assert scene.ledger.tally.syncs <= rounds + 1


async def test_who_makes_the_trip_and_is_cancelled_leaves_it_to_the_next(scene: Scene) -> None:
    await scene.keep()
    first = scene.commit()
    await wait_all_tasks_blocked()
    scene.commit()
    await wait_all_tasks_blocked()
    first.cancel()
    await wait_all_tasks_blocked()
    scene.syncs.go_on()  # the act that nobody waits for
    await wait_all_tasks_blocked()
    scene.syncs.go_on()
    await wait_all_tasks_blocked()
    assert scene.safe == [2]


async def test_who_waits_while_no_keeper_is_there_is_served_by_the_next_one(scene: Scene) -> None:
    keeper = await scene.keep()
    keeper.cancel()
    await wait_all_tasks_blocked()
    scene.commit()
    await wait_all_tasks_blocked()
    assert not scene.syncs.acts
    await scene.keep()
    scene.syncs.go_on()
    await wait_all_tasks_blocked()
    assert scene.safe == [1]


async def test_a_sync_that_fails_when_nobody_waits_for_it_is_never_tried_again(
    scene: Scene,
) -> None:
    told: list[JournalFailed] = []
    scene.ledger.on_failure = told.append
    await scene.keep()
    first = scene.commit()
    await wait_all_tasks_blocked()
    scene.commit()
    first.cancel()
    await wait_all_tasks_blocked()
    scene.disk.fail("sync", times=1, reason=errno.EIO)
    scene.syncs.go_on()  # the abandoned one: it fails, and the disk is well again
    await wait_all_tasks_blocked()
    scene.syncs.go_on()
    await wait_all_tasks_blocked()
    assert scene.safe == []
    assert len(scene.failures) == len(told) == 1
    assert scene.ledger.journal.safe_lsn == 0
