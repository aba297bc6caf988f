"""Snapshots and the archive never know more than the log, nor hold less than was taken from it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from riskd.actors.messages import ChildFailed, Fact, Recorded, SnapshotSkipped
from riskd.actors.ports import Disk
from riskd.adapters.simulated_disk import SimulatedDisk, SimulatedOffload
from riskd.config.schema import Journal as Settings
from riskd.supervisor import keeper as module
from riskd.supervisor.journal import Snapshot, snapshots
from riskd.supervisor.journal.files import segment_firsts
from riskd.supervisor.journal.snapshots import snapshot_lsns
from riskd.supervisor.keeper import Keeper
from structlog.testing import capture_logs
from trio.testing import MockClock

Machine = Any  # the classes of these fixtures live in conftest.py
Story = Any


def fact(cause: str = "ValueError") -> Fact:
    return ChildFailed(
        supervisor="riskd", child="gate", incarnation=1, phase="running", cause=cause
    )


class SlowOffload(SimulatedOffload):
    """A disk whose syncs take minutes, while all else is done at once."""

    async def run(self, act: Callable[[], Any]) -> Any:
        await trio.sleep(100)
        return await super().run(act)


@pytest.mark.parametrize("seed", range(8))
async def test_a_power_cut_right_after_a_snapshot_leaves_a_log_that_has_all_its_facts(
    machines: Callable[[int], Machine],
    story: Story,
    seed: int,
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: MockClock,
) -> None:
    machine = machines(seed)
    known: list[list[Recorded]] = []
    with machine.open([story]) as ledger, trio.fail_after(1_000):

        def save_and_die(disk: Disk, directory: Path, snapshot: Snapshot) -> None:
            snapshots.save(disk, directory, snapshot)
            machine.cut_power()
            known.append(story.facts[: snapshot.lsn])

        monkeypatch.setattr(module, "save", save_and_die)
        one = Keeper(
            ledger,
            Settings(snapshot_facts=5),
            machine.clock,
            syncs=SlowOffload(machine.disk),
            chores=SimulatedOffload(machine.disk),
        )
        async with trio.open_nursery() as nursery:
            for number in range(20):
                ledger.commit(fact(str(number)))
            nursery.start_soon(one.run)
            while not known:  # noqa: ASYNC110 - the clock jumps
                await trio.sleep(1)
            nursery.cancel_scope.cancel()
        ledger.journal.fail("the power is gone", OSError())
    assert snapshot_lsns(machine.disk.names(machine.directory)) == [20]
    with machine.open([story]) as ledger:
        assert ledger.snapshot_lsn == 20
        assert story.facts[:20] == known[0]
        assert not [one for one in story.told if isinstance(one, SnapshotSkipped)]


@pytest.mark.parametrize("bit", range(8))
async def test_a_disk_that_alters_what_is_archived_costs_no_fact(
    machine: Machine,
    story: Story,
    bit: int,
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: MockClock,
) -> None:
    """The segment stays until the archive was seen to hold it, and is put away once it does."""
    rename, altered = SimulatedDisk.rename, []

    def rename_and_flip(disk: SimulatedDisk, old: Path, new: Path) -> None:
        rename(disk, old, new)
        if new.name.endswith(".gz") and len(altered) < 3:
            content = disk.content(new)
            assert content is not None
            # Of its checksum: other bits may be of no account, as those that fill the last byte.
            disk.flip(new, len(content.seen) - 8 + len(altered), bit)
            altered.append(new)

    monkeypatch.setattr(module, "FORGET_S", 60.0)
    monkeypatch.setattr(SimulatedDisk, "rename", rename_and_flip)
    with machine.open([story], segment_bytes=70_000) as ledger, capture_logs() as logs:
        async with machine.kept(ledger, Settings(snapshot_facts=5)):
            for _ in range(60):
                ledger.commit(fact("x" * 500))
                await trio.sleep(1)
                if len(altered) < 3:
                    assert segment_firsts(machine.disk.names(machine.directory))[0] == 1
            await trio.sleep(200)
        told = [one for one in logs if one["event"] == "journal.archive_failed"]
        assert len(told) == len(altered) == 3
        assert all("does not hold what was written" in one["cause"] for one in told)
        assert segment_firsts(machine.disk.names(machine.directory))[0] > 1
        facts = list(story.facts)
    for name in machine.disk.names(machine.directory):
        if name.endswith(".snapshot"):
            machine.disk.remove(machine.directory / name)
    with machine.open([story]):
        assert story.facts == facts
