"""The archive holds what no start needs: whole, and never taken for what a crash may have left."""

import gzip
from pathlib import Path

import pytest
from riskd.adapters.simulated_disk import SimulatedDisk
from riskd.supervisor.journal import (
    JournalDamaged,
    JournalError,
    Snapshot,
    open_journal,
    survey,
)
from riskd.supervisor.journal.archive import put_away
from riskd.supervisor.journal.files import write_beside
from riskd.supervisor.journal.format import HEADER_BYTES, SEAL
from riskd.supervisor.journal.journal import RESERVE_BYTES
from riskd.supervisor.journal.snapshots import save

DIRECTORY = Path("/state/journal")
ARCHIVE = DIRECTORY / "archive"
FACTS = [b"fact %d" % number for number in range(1, 21)]
SEGMENT_BYTES = RESERVE_BYTES + HEADER_BYTES + 4 * 32
"""Four facts each."""


@pytest.fixture
def disk() -> SimulatedDisk:
    """Three segments are archived. No fact knew, when it was written, that one was safe: that is
    how it would look if a power cut had taken some."""
    disk = SimulatedDisk(1)
    disk.make_directory(DIRECTORY)
    found = survey(disk, DIRECTORY, "a")
    assert list(found.facts()) == []
    journal = open_journal(found, SEGMENT_BYTES)
    taken = [
        Snapshot(journal.lsn, journal.checksum, [b"{}"])
        for fact in FACTS
        if journal.append([fact]) in (13, 14)
    ]
    trip = journal.sync()
    trip.run()
    journal.synced(trip)
    journal.close()
    for snapshot in taken:
        save(disk, DIRECTORY, snapshot)
    assert put_away(disk, DIRECTORY) == [1, 5, 9]
    for snapshot in taken:
        disk.remove(DIRECTORY / f"{snapshot.lsn:020}.snapshot")
    return disk


def archived(first: int) -> Path:
    return ARCHIVE / f"{first:020}.log.gz"


def content(disk: SimulatedDisk, path: Path) -> bytes:
    file = disk.open(path)
    try:
        return file.read(0, file.size())
    finally:
        file.close()


def everything(disk: SimulatedDisk) -> list[bytes]:
    found = survey(disk, DIRECTORY, "b", archived=True)
    facts = [bytes(payload) for _, payload in found.facts()]
    assert found.cut is None
    return facts


def refusal(disk: SimulatedDisk) -> JournalError:
    with pytest.raises(JournalError) as raised:
        everything(disk)
    return raised.value


def test_all_facts_are_read_and_also_a_segment_that_is_in_both_places(disk: SimulatedDisk) -> None:
    assert everything(disk) == FACTS
    for first in (5, 9):
        data = gzip.decompress(content(disk, archived(first)))
        write_beside(disk, DIRECTORY / f"{first:020}.log", data)
        assert everything(disk) == FACTS


@pytest.mark.parametrize("first", [1, 5, 9])
def test_a_gap_is_never_taken_for_a_power_cut(disk: SimulatedDisk, first: int) -> None:
    data = content(disk, archived(first))
    disk.remove(archived(first))
    refusal(disk)
    write_beside(disk, archived(first), data[:-20])
    assert "can't be read" in str(refusal(disk))
    for shorter in (8, 32, 64):
        cut = gzip.compress(gzip.decompress(data).removesuffix(SEAL)[:-shorter])
        write_beside(disk, archived(first), cut)
        assert isinstance(refusal(disk), JournalDamaged)


@pytest.mark.parametrize("shorter", [0, 8, 32])
def test_an_archive_is_not_gone_on_with(disk: SimulatedDisk, shorter: int) -> None:
    for first in (13, 17):
        disk.remove(DIRECTORY / f"{first:020}.log")
    data = gzip.decompress(content(disk, archived(9)))
    write_beside(disk, archived(9), gzip.compress(data[: len(data) - shorter]))
    assert "missing" in str(refusal(disk))
