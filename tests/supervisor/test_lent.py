"""What a thread uses is closed once nobody uses it: never under it, and never left open."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from riskd.actors.messages import ChildFailed, Fact
from riskd.adapters.disk import SystemDisk
from riskd.adapters.disk_thread import DiskThread
from riskd.config.schema import Journal as Settings
from riskd.supervisor import ledger as ledgers
from riskd.supervisor.feed import LedgerFeed
from riskd.supervisor.journal import Journal
from riskd.supervisor.journal.reader import Cursor
from riskd.supervisor.keeper import Keeper
from riskd.supervisor.ledger import Ledger
from riskd.supervisor.lent import Lent
from riskd.supervisor.recall import open_ledger

PATIENCE_S = 20.0
PATIENT = Settings(snapshot_facts=1_000_000, slow_sync_ms=60_000, free_mib=1)
Machine = Any  # the classes of these fixtures live in conftest.py
Story = Any


def fact(cause: str) -> Fact:
    return ChildFailed(
        supervisor="riskd", child="gate", incarnation=1, phase="running", cause=cause
    )


@pytest.fixture
def ledger(
    tmp_path: Path, machine: Machine, story: Story, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Ledger]:
    """On a real disk, with facts that are in the files alone, and more than half a segment."""
    monkeypatch.setattr(ledgers, "RECENT_FACTS_MAX", 2)
    with open_ledger(
        SystemDisk(), tmp_path, machine.clock, [story], segment_bytes=160_000
    ) as ledger:
        while not ledger.journal.wants_next:
            ledger.commit(fact("x" * 500))
        yield ledger


@attrs.define(eq=False)
class Gate:
    """Every call of one method waits here, in its thread, before or behind what it does."""

    behind: bool = False
    reached: threading.Semaphore = attrs.field(factory=lambda: threading.Semaphore(0), init=False)
    passes: threading.Semaphore = attrs.field(factory=lambda: threading.Semaphore(0), init=False)

    def around(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def gated(*arguments: Any, **named: Any) -> Any:
            if self.behind:
                result = method(*arguments, **named)
                self.wait()
                return result
            self.wait()
            return method(*arguments, **named)

        return gated

    def wait(self) -> None:
        self.reached.release()
        assert self.passes.acquire(timeout=PATIENCE_S)

    async def until_reached(self) -> None:
        with trio.fail_after(PATIENCE_S):
            while not self.reached.acquire(blocking=False):  # noqa: ASYNC110 - a thread says it
                await trio.sleep(0.001)


def open_files(ledger: Ledger) -> int:
    disk = ledger.journal.disk
    assert isinstance(disk, SystemDisk)
    return len(disk._files)


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize(
    ("where", "what"), [(Journal, "prepare"), (Cursor, "read")], ids=["room", "rebuilding"]
)
async def test_a_keeper_that_is_killed_in_the_middle_of_its_work_leaves_no_file_open(
    machine: Machine,
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    where: type,
    what: str,
    behind: bool,
) -> None:
    gate = Gate(behind)
    monkeypatch.setattr(where, what, gate.around(getattr(where, what)))
    if where is Cursor:
        ledger.suspect("story", "its actor crashed in it")
    before = open_files(ledger)
    with DiskThread() as syncs, DiskThread() as chores:
        for _ in range(6):
            async with trio.open_nursery() as nursery:
                one = Keeper(ledger, PATIENT, machine.clock, syncs=syncs, chores=chores)
                nursery.start_soon(one.run)
                await gate.until_reached()
                nursery.cancel_scope.cancel()
            gate.passes.release()
            with trio.fail_after(PATIENCE_S):
                await chores.run(lambda: None)
            assert open_files(ledger) == before


@pytest.mark.parametrize("behind", [False, True])
async def test_a_follower_that_is_cancelled_while_its_thread_reads_leaves_no_file_open(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, behind: bool
) -> None:
    gate, ended = Gate(behind), threading.Semaphore(0)
    use = Lent.use

    def to_its_end(lent: Lent, act: Callable[[], object]) -> object:
        try:
            return use(lent, act)
        finally:
            ended.release()

    monkeypatch.setattr(Cursor, "read", gate.around(Cursor.read))
    monkeypatch.setattr(Lent, "use", to_its_end)
    before = open_files(ledger)
    follower = LedgerFeed(ledger).follow(0)
    for has_read in (False, True, False):
        if has_read:
            gate.passes.release()
            await follower.next(bytes_max=2_000)
            await gate.until_reached()
            assert ended.acquire(timeout=PATIENCE_S)
            assert open_files(ledger) == before + 1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: follower.next(bytes_max=2_000))
            await gate.until_reached()
            nursery.cancel_scope.cancel()
        gate.passes.release()
        assert ended.acquire(timeout=PATIENCE_S)
        assert open_files(ledger) == before


async def test_a_follower_that_is_cancelled_before_a_thread_is_free_leaves_no_file_open(
    ledger: Ledger,
) -> None:
    before = open_files(ledger)
    feed = LedgerFeed(ledger)
    follower = feed.follow(0)
    await follower.next(bytes_max=2_000)
    assert open_files(ledger) == before + 1
    for number in range(4):
        feed._limiter.acquire_on_behalf_of_nowait(number)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: follower.next(bytes_max=2_000))
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert open_files(ledger) == before


@attrs.define(eq=False)
class Thing:
    is_open: bool = False

    def open(self) -> str:
        self.is_open = True
        return "opened"

    def close(self) -> None:
        self.is_open = False


def test_what_was_left_before_its_act_begins_is_not_used_any_more() -> None:
    thing = Thing()
    lent = Lent(thing.close)
    assert lent.use(thing.open) == "opened"
    assert thing.is_open
    lent.leave()
    assert not thing.is_open
    with pytest.raises(trio.ClosedResourceError):
        lent.use(thing.open)
    assert not thing.is_open


def test_what_is_left_during_its_act_is_closed_at_the_end_of_it_and_not_under_it() -> None:
    thing = Thing()
    lent = Lent(thing.close)

    def act() -> None:
        thing.open()
        lent.leave()
        assert thing.is_open
        raise OSError("and whatever comes of the act")

    with pytest.raises(OSError, match="whatever comes"):
        lent.use(act)
    assert not thing.is_open


def test_what_is_left_between_the_end_of_its_act_and_that_of_its_use_is_closed() -> None:
    thing = Thing()
    lent = Lent(thing.close)
    lock = lent._lock

    class Late:
        """A lock whose holder is overtaken just before it lets go."""

        acquire, release = lock.acquire, lock.release

        def __enter__(self) -> None:
            lock.acquire()

        def __exit__(self, *_: object) -> None:
            lent.leave()
            lock.release()

    lent._lock = Late()  # type: ignore[assignment]  # as far as it is used
    lent.use(thing.open)
    assert not thing.is_open
