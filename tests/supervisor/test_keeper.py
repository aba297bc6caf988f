"""The keeper: what is committed gets to the disk, and nothing else that it does can fail that."""

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from riskd.actors.messages import ChildFailed, ChildHeld, Fact, SnapshotSkipped
from riskd.actors.ports import Disk
from riskd.adapters.disk_thread import DiskThread
from riskd.adapters.simulated_disk import SimulatedFile
from riskd.config.schema import Journal as Settings
from riskd.supervisor import keeper as module
from riskd.supervisor.journal import JournalFailed, Snapshot, snapshots
from riskd.supervisor.journal.archive import put_away
from riskd.supervisor.journal.files import archived_firsts, segment_firsts
from riskd.supervisor.journal.snapshots import snapshot_lsns
from riskd.supervisor.keeper import IDLE_SYNC_S, RETRY_S, SPACE_S, TICK_S, Keeper
from riskd.supervisor.ledger import Ledger, restore
from structlog.testing import capture_logs
from trio.testing import MockClock, wait_all_tasks_blocked

Machine = Any  # the classes of these fixtures live in conftest.py
Story = Any
MIB = 1_048_576


@pytest.fixture
def hours_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the clock jumps from tick to tick."""
    monkeypatch.setattr(module, "FORGET_S", 60.0)
    monkeypatch.setattr(module, "LOW_S", 100.0)


def fact(cause: str = "ValueError") -> Fact:
    return ChildFailed(
        supervisor="riskd", child="gate", incarnation=1, phase="running", cause=cause
    )


def names(machine: Machine) -> list[str]:
    found: list[str] = machine.disk.names(machine.directory)
    return found


def events(logs: list[Any], event: str) -> list[Any]:
    return [entry for entry in logs if entry["event"] == event]


# --- group commit ---------------------------------------------------------------------------------


async def test_few_trips_to_the_disk_serve_many_who_wait(
    machine: Machine, autojump_clock: MockClock
) -> None:
    machine.disk.sync_s = (0.01, 0.01)
    rounds, waiters = 10, 64
    with machine.open() as ledger:

        async def wait() -> None:
            for _ in range(rounds):
                lsn = ledger.commit(fact())
                await ledger.wait_safe(lsn)
                assert ledger.journal.safe_lsn >= lsn

        async with machine.kept(ledger), trio.open_nursery() as nursery:
            for _ in range(waiters):
                nursery.start_soon(wait)
        assert ledger.lsn == rounds * waiters
        assert rounds <= ledger.tally.syncs <= 2 * rounds


@pytest.mark.parametrize("seed", range(8))
async def test_what_was_waited_for_outlasts_a_power_cut(
    machines: Callable[[int], Machine], story: Story, seed: int, autojump_clock: MockClock
) -> None:
    machine = machines(seed)
    machine.disk.sync_s = (0.0, 0.05)
    safe: list[Fact] = []
    with machine.open([story], segment_bytes=70_000) as ledger:

        async def wait(name: str) -> None:
            for number in range(100):
                one = fact(f"{name}{number}" + "x" * 100)
                await ledger.wait_safe(ledger.commit(one))
                safe.append(one)

        async with machine.kept(ledger, Settings(snapshot_facts=10)):
            with trio.move_on_after(machine.disk.chance.uniform(0.1, 2)):
                async with trio.open_nursery() as nursery:
                    for name in "abc":
                        nursery.start_soon(wait, name)
        machine.cut_power()
        ledger.journal.fail("the power is gone", OSError())
    told = machine.told()
    assert all(one in told for one in safe)
    # Snapshots are of what was safe, and so of this history.
    assert not [one for one in told if isinstance(one, SnapshotSkipped)]


async def test_what_nobody_waits_for_is_safe_after_a_moment_and_a_rest_is_a_rest(
    machine: Machine, autojump_clock: MockClock
) -> None:
    with machine.open() as ledger:
        async with machine.kept(ledger):
            await trio.sleep(5)
            assert ledger.tally.syncs == 0
            ledger.commit(fact())
            await trio.sleep(IDLE_SYNC_S)
            await wait_all_tasks_blocked()
            assert ledger.journal.is_safe
            assert ledger.tally.syncs == 1
            await trio.sleep(5)
            assert ledger.tally.syncs == 1


async def test_what_tightens_goes_to_the_disk_at_once(
    machine: Machine, autojump_clock: MockClock
) -> None:
    with machine.open() as ledger:
        async with machine.kept(ledger):
            await trio.sleep(10 * IDLE_SYNC_S)
            for _ in range(3):
                lsn = ledger.commit(ChildHeld(supervisor="riskd", child="gate"))
                await trio.sleep(IDLE_SYNC_S / 10)
                assert ledger.journal.safe_lsn >= lsn


async def test_who_waits_is_served_by_the_next_keeper_and_at_once(
    machine: Machine, autojump_clock: MockClock
) -> None:
    machine.disk.sync_s = (0.1, 0.1)
    with machine.open() as ledger:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ledger.wait_safe, ledger.commit(fact()))
            await wait_all_tasks_blocked()
            with trio.move_on_after(0.05):
                await machine.keeper(ledger).run()
            nursery.start_soon(machine.keeper(ledger).run)
            await trio.sleep(IDLE_SYNC_S / 2)
            assert ledger.journal.is_safe
            nursery.cancel_scope.cancel()


async def test_all_who_wait_are_told_when_a_sync_fails_and_none_is_tried_again(
    machine: Machine, autojump_clock: MockClock
) -> None:
    told: list[JournalFailed] = []
    with machine.open() as ledger:
        ledger.on_failure = told.append
        async with machine.kept(ledger):
            machine.disk.fail("sync")
            for _ in range(2):
                with pytest.raises(JournalFailed, match="it could not be synced"):
                    await ledger.wait_safe(ledger.lsn or ledger.commit(fact()))
            await trio.sleep(5)
        assert told == [ledger.failure]
        assert ledger.journal.safe_lsn == 0


async def test_what_a_sync_finds_out_after_its_keeper_is_gone_is_not_hidden_by_the_next(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel says once that a write failed: the next sync of the same file succeeds."""
    go_on, syncs = threading.Event(), []
    sync = SimulatedFile.sync

    def slow(file: SimulatedFile) -> None:
        syncs.append(file)
        go_on.wait(20)
        sync(file)

    with machine.open() as ledger, DiskThread() as syncing, DiskThread() as chores:
        monkeypatch.setattr(SimulatedFile, "sync", slow)
        machine.disk.fail("sync")
        said = Settings()

        async def keep() -> None:
            await Keeper(ledger, said, machine.clock, syncs=syncing, chores=chores).run()

        async with trio.open_nursery() as nursery:
            lsn = ledger.commit(fact())
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as first:
                    first.start_soon(keep)
                    while not syncs:  # noqa: ASYNC110 - a thread says that it has begun
                        await trio.sleep(0.001)
                    scope.cancel()
            nursery.start_soon(keep)
            await wait_all_tasks_blocked()
            go_on.set()
            with trio.fail_after(20), pytest.raises(JournalFailed):
                await ledger.wait_safe(lsn)
            nursery.cancel_scope.cancel()
        assert len(syncs) == 1
        assert ledger.journal.safe_lsn == 0


# --- a slow disk ----------------------------------------------------------------------------------


async def test_slow_syncs_are_counted_each_and_warned_about_by_file_once_in_a_while(
    machine: Machine, autojump_clock: MockClock
) -> None:
    with machine.open() as ledger, capture_logs() as logs:
        async with machine.kept(ledger, Settings(slow_sync_ms=1e-9)):
            for _ in range(25):
                await ledger.wait_safe(ledger.commit(fact()))
                await trio.sleep(0.1)
        statistics = ledger.statistics()
        assert statistics.slow_syncs == statistics.syncs == 25
        assert 0 < statistics.last_sync_s <= statistics.worst_sync_s
        warnings = events(logs, "journal.slow_sync")
        assert len(warnings) == 3  # in two and a half seconds
        assert warnings[0]["file"] == str(ledger.journal.path)


@pytest.mark.parametrize("is_busy", [False, True], ids=["nothing else", "a snapshot is due"])
async def test_a_sync_that_hangs_is_warned_about_while_it_does(
    machine: Machine, autojump_clock: MockClock, is_busy: bool
) -> None:
    said = Settings(slow_sync_ms=100.0, snapshot_facts=1 if is_busy else 10**6)
    with machine.open() as ledger, capture_logs() as logs:
        async with machine.kept(ledger, said):
            await trio.sleep(5)
            machine.disk.sync_s = (60, 60)
            ledger.commit(fact())
            await trio.sleep(IDLE_SYNC_S + 10)
        warnings = events(logs, "journal.sync_hangs")
        assert 9 <= len(warnings) <= 11
        assert warnings[0]["file"] == str(ledger.journal.path)
        assert warnings[-1]["waiting_s"] > 8


async def test_a_sync_that_hangs_grows_old_whoever_gives_up_on_it(
    machine: Machine, autojump_clock: MockClock
) -> None:
    with machine.open() as ledger:
        async with machine.kept(ledger):
            await trio.sleep(5)
            assert ledger.sync_age_s() == 0
            machine.disk.sync_s = (60, 60)
            for _ in range(10):
                with trio.move_on_after(1):
                    await ledger.wait_safe(ledger.commit(fact()))
            assert 9 <= ledger.sync_age_s() <= 10
            machine.disk.sync_s = (0, 0)
            await trio.sleep(120)
            assert ledger.sync_age_s() == 0


# --- segments, snapshots, the archive -------------------------------------------------------------


def half_full(ledger: Ledger) -> None:
    while not ledger.journal.wants_next:
        ledger.commit(fact("x" * 500))


async def test_the_next_segment_has_its_room_before_it_is_needed(
    machine: Machine, autojump_clock: MockClock
) -> None:
    with machine.open() as ledger:
        async with machine.kept(ledger):
            await trio.sleep(1)
            assert "next" not in names(machine)
            half_full(ledger)
            await trio.sleep(TICK_S)
            await wait_all_tasks_blocked()
            assert "next" in names(machine)
        machine.disk.fail("create")  # it is not asked for any more
        machine.disk.fail("resize")
        before = ledger.journal.path
        while ledger.journal.path == before:
            ledger.commit(fact("x" * 500))


async def test_a_snapshot_is_made_after_so_many_facts_and_only_once_they_are_safe(
    machine: Machine,
    story: Story,
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: MockClock,
) -> None:
    with machine.open([story]) as ledger:

        def save(disk: Disk, directory: Path, snapshot: Snapshot) -> None:
            assert ledger.journal.safe_lsn >= snapshot.lsn
            snapshots.save(disk, directory, snapshot)

        monkeypatch.setattr(module, "save", save)
        async with machine.kept(ledger, Settings(snapshot_facts=5)):
            await trio.sleep(1)
            machine.disk.sync_s = (3, 3)
            for _ in range(4):
                ledger.commit(fact())
            await trio.sleep(10)
            ledger.commit(fact())
            await trio.sleep(2)
            assert not snapshot_lsns(names(machine))
            await trio.sleep(8)
            assert snapshot_lsns(names(machine)) == [5]
            assert ledger.statistics().snapshot_lsn == 5
            await trio.sleep(20)
            assert snapshot_lsns(names(machine)) == [5]
    with machine.open([story]) as ledger:
        assert len(story.facts) == 5
        assert ledger.snapshot_lsn == 5


class Long:
    """A projection whose dump has many pieces; it says when each was made."""

    name = "long"
    version = 1

    def __init__(self, tell: Callable[[], None]) -> None:
        self.tell = tell
        self.count = 0

    def apply(self, recorded: object) -> None:
        self.count += 1

    def dump(self) -> Iterator[bytes]:
        return self.pieces(self.count)

    def pieces(self, count: int) -> Iterator[bytes]:
        yield b"[%d" % count
        for _ in range(100):
            self.tell()
            yield b",0"
        yield b"]"

    def load(self, state: bytes | None) -> None:
        self.count = 0 if state is None else json.loads(state)[0]


async def test_others_run_between_the_pieces_of_a_snapshot_and_change_nothing_in_it(
    machine: Machine, autojump_clock: MockClock
) -> None:
    rounds: list[int] = []
    with machine.open([Long(lambda: rounds.append(ledger.lsn))]) as ledger:

        async def trade() -> None:
            while len(rounds) < 100:
                ledger.commit(fact())
                await trio.lowlevel.checkpoint()

        for _ in range(5):
            ledger.commit(fact())
        async with machine.kept(ledger, Settings(snapshot_facts=5)):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trade)
            await trio.sleep(1)
        # In each round of the loop it is chance who is first.
        assert all(
            one < next_but_one for one, next_but_one in zip(rounds[:98], rounds[2:100], strict=True)
        )
    (*_, first) = snapshot_lsns(names(machine))
    again = Long(lambda: None)
    restore([again], snapshots.load(machine.disk, machine.directory, first))
    assert again.count == first < ledger.lsn


async def fill_segments(ledger: Ledger, count: int) -> None:
    """Until so many have been left, with time for the keeper in between."""
    for _ in range(count):
        before = ledger.journal.path
        while ledger.journal.path == before:
            ledger.commit(fact("x" * 500))
        await trio.sleep(2)


@pytest.mark.usefixtures("hours_are_short")
async def test_segments_that_no_kept_snapshot_needs_are_archived_and_forgotten_by_age(
    machine: Machine, story: Story, autojump_clock: MockClock
) -> None:
    said = Settings(snapshot_facts=5, archive_days=30)
    archive = machine.directory / "archive"
    with machine.open([story], segment_bytes=70_000) as ledger:
        async with machine.kept(ledger, said):
            await fill_segments(ledger, 4)
            await trio.sleep(5)
            assert len(snapshot_lsns(names(machine))) == 2
            gone = archived_firsts(machine.disk.names(archive))
            assert gone[0] == 1
            # Together they are everything, and both kept snapshots have what they need.
            kept_ones = segment_firsts(names(machine))
            assert sorted({*gone, *kept_ones}) == [*gone, *kept_ones]
            assert kept_ones[0] <= snapshot_lsns(names(machine))[-1] + 1
            machine.clock.days = 29
            await trio.sleep(2 * module.FORGET_S)
            assert archived_firsts(machine.disk.names(archive)) == gone
            machine.clock.days = 31
            await trio.sleep(2 * module.FORGET_S)
            assert archived_firsts(machine.disk.names(archive)) == []
        facts = list(story.facts)
    with machine.open([story]):
        assert story.facts == facts


@pytest.mark.usefixtures("hours_are_short")
async def test_without_an_age_the_archive_is_for_ever(
    machine: Machine, story: Story, autojump_clock: MockClock
) -> None:
    with machine.open([story], segment_bytes=70_000) as ledger:
        async with machine.kept(ledger, Settings(snapshot_facts=5)):
            await fill_segments(ledger, 4)
            machine.clock.days = 36_500
            await trio.sleep(2 * module.FORGET_S)
        assert archived_firsts(machine.disk.names(machine.directory / "archive"))[0] == 1


@pytest.mark.parametrize(
    ("event", "operation"),
    [
        ("journal.snapshot_failed", "create"),
        ("journal.snapshot_failed", "rename"),
        ("journal.no_next_segment", "create"),
    ],
)
async def test_a_chore_that_fails_is_told_and_tried_again_and_fails_nothing_else(
    machine: Machine, story: Story, event: str, operation: str, autojump_clock: MockClock
) -> None:
    with machine.open([story]) as ledger, capture_logs() as logs:
        said = Settings(snapshot_facts=5 if "snapshot" in event else 10**6)
        async with machine.kept(ledger, said):
            await trio.sleep(1)
            machine.disk.fail(operation, 2)
            half_full(ledger) if "next" in event else ledger.commit(*[fact()] * 5)
            await ledger.wait_safe(ledger.lsn)
            await trio.sleep(RETRY_S - 1)
            assert len(events(logs, event)) == 1
            await trio.sleep(RETRY_S + 3)
            (first, _) = events(logs, event)
            assert first["retry_s"] == RETRY_S
            wanted = "next" if "next" in event else f"{5:020}.snapshot"
            assert wanted in names(machine)
            assert ledger.failure is None


def cut(data: bytes) -> bytes:
    return data[:-20]


def flip(data: bytes) -> bytes:
    return data[:40] + bytes([data[40] ^ 1]) + data[41:]


def other(_: bytes) -> bytes:
    return gzip.compress(b"not a segment")


@pytest.mark.parametrize("harm", [cut, flip, other])
async def test_an_archive_that_can_not_be_read_is_told_and_fails_nothing_else(
    machine: Machine, story: Story, harm: Callable[[bytes], bytes], autojump_clock: MockClock
) -> None:
    with machine.open([story], segment_bytes=70_000) as ledger, capture_logs() as logs:
        async with machine.kept(ledger, Settings(snapshot_facts=5)):
            await fill_segments(ledger, 4)
        path = next(_paths(machine.directory / "archive", machine))
        file = machine.disk.open(path, writable=True)
        data = harm(file.read(0, file.size()))
        file.resize(len(data))
        file.write(0, data)
        machine.clock.days = 10
        async with machine.kept(ledger, Settings(snapshot_facts=5, archive_days=1)):
            await ledger.wait_safe(ledger.commit(fact()))
            await trio.sleep(3 * RETRY_S)
            await ledger.wait_safe(ledger.commit(fact()))
        assert path.name in machine.disk.names(path.parent)
        assert ledger.failure is None
        assert harm is other or events(logs, "journal.archive_failed")


def _paths(directory: Path, machine: Machine) -> Any:
    return (directory / name for name in machine.disk.names(directory))


@pytest.mark.usefixtures("hours_are_short")
async def test_a_nearly_full_disk_is_told_when_it_becomes_so_and_once_an_hour_while_it_is(
    machine: Machine, autojump_clock: MockClock
) -> None:
    with machine.open() as ledger, capture_logs() as logs:

        def low() -> int:
            return len(events(logs, "disk.nearly_full"))

        async with machine.kept(ledger, Settings(free_mib=100)):
            await trio.sleep(5 * SPACE_S)
            assert low() == 0
            machine.disk.capacity_bytes = 50 * MIB
            await trio.sleep(5 * SPACE_S)
            assert low() == 1
            await trio.sleep(module.LOW_S)
            assert low() == 2
            machine.disk.capacity_bytes = 500 * MIB
            await trio.sleep(2 * SPACE_S)
            assert len(events(logs, "disk.has_room_again")) == 1
            machine.disk.capacity_bytes = 50 * MIB
            await trio.sleep(2 * SPACE_S)
            assert low() == 3
            assert ledger.failure is None


async def test_archiving_again_after_it_was_cut_off_loses_nothing(
    machine: Machine, story: Story, autojump_clock: MockClock
) -> None:
    with machine.open([story], segment_bytes=70_000) as ledger:
        async with machine.kept(ledger, Settings(snapshot_facts=5)):
            await fill_segments(ledger, 3)
            machine.disk.fail("remove")
            await fill_segments(ledger, 2)
            await trio.sleep(2 * RETRY_S)
        facts = list(story.facts)
        put_away(machine.disk, machine.directory)
    for name in names(machine):
        if name.endswith(".snapshot"):
            machine.disk.remove(machine.directory / name)
    with machine.open([story]):
        assert story.facts == facts


# --- a journal that goes away ---------------------------------------------------------------------


async def test_a_journal_that_goes_away_is_noticed_though_nothing_is_written(
    machine: Machine, autojump_clock: MockClock
) -> None:
    with machine.open() as ledger:
        told: list[JournalFailed] = []
        ledger.on_failure = told.append
        ledger.commit(fact())
        async with machine.kept(ledger):
            await trio.sleep(3 * IDLE_SYNC_S)
            assert not told
            assert ledger.journal.is_safe
            machine.disk.remove(ledger.journal.path)
            await trio.sleep(2 * IDLE_SYNC_S)
        (failure,) = told
        assert "it is not in its place: it was moved or deleted while riskd ran" in str(failure)
