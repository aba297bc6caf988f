"""The writer: an append is in the kernel, what is called safe is on the disk, and it fails once."""

import errno
from pathlib import Path

import attrs
import pytest
from riskd.actors.ports import File
from riskd.adapters.simulated_disk import SimulatedDisk
from riskd.supervisor.journal import (
    FactTooLarge,
    Journal,
    JournalFailed,
    open_journal,
    repair,
    survey,
)
from riskd.supervisor.journal.format import (
    COMMIT_FACTS_MAX,
    HEADER_BYTES,
    PAYLOAD_BYTES_MAX,
    SEAL,
    framed_bytes,
)
from riskd.supervisor.journal.journal import RESERVE_BYTES, SEALED_MAX

DIRECTORY = Path("/state/journal")
FACT = b"fact of one frame"
SMALL = RESERVE_BYTES + HEADER_BYTES + 4 * framed_bytes(len(FACT))
"""Four facts fill it up to the reserve."""


@pytest.fixture
def disk() -> SimulatedDisk:
    disk = SimulatedDisk(1)
    disk.make_directory(DIRECTORY)
    return disk


def start(disk: SimulatedDisk, boot: str = "a", segment_bytes: int = SMALL) -> Journal:
    found = survey(disk, DIRECTORY, boot)
    assert list(found.facts()) is not None
    repair(found)
    return open_journal(found, segment_bytes)


def written(disk: SimulatedDisk, boot: str = "a") -> list[bytes]:
    found = survey(disk, DIRECTORY, boot)
    facts = [bytes(payload) for _, payload in found.facts()]
    assert found.cut is None
    return facts


def safe(journal: Journal) -> None:
    trip = journal.sync()
    trip.run()
    journal.synced(trip)


def segments(disk: SimulatedDisk) -> list[str]:
    return [name for name in disk.names(DIRECTORY) if name.endswith(".log")]


def size(disk: SimulatedDisk, name: str) -> int:
    file = disk.open(DIRECTORY / name)
    try:
        return file.size()
    finally:
        file.close()


# --- what may be written --------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 7, 8, 9, PAYLOAD_BYTES_MAX])
def test_every_length_up_to_the_greatest_is_read_again(disk: SimulatedDisk, length: int) -> None:
    journal = start(disk, segment_bytes=2 * PAYLOAD_BYTES_MAX)
    assert journal.append([b"x" * length, b"y"]) == 2
    assert written(disk) == [b"x" * length, b"y"]


def test_what_is_too_large_is_refused_and_the_journal_goes_on(disk: SimulatedDisk) -> None:
    journal = start(disk, segment_bytes=2 * PAYLOAD_BYTES_MAX)
    small = start_elsewhere(disk)
    for where, commit in (
        (journal, [b"before", b"x" * (PAYLOAD_BYTES_MAX + 1)]),
        (small, [FACT] * 5),
        (journal, [b"x"] * (COMMIT_FACTS_MAX + 1)),
    ):
        for reserved in (False, True):
            with pytest.raises(FactTooLarge):
                where.append(commit, reserved=reserved)
        assert (where.lsn, where.failure) == (0, None)
    assert journal.append([FACT]) == 1
    assert small.append([FACT] * 4) == 4
    assert written(disk) == [FACT]


def start_elsewhere(disk: SimulatedDisk) -> Journal:
    other = DIRECTORY.parent / "other"
    disk.make_directory(other)
    found = survey(disk, other, "a")
    assert list(found.facts()) == []
    return open_journal(found, SMALL)


def test_a_commit_never_spans_two_segments(disk: SimulatedDisk) -> None:
    journal = start(disk)
    journal.append([FACT] * 3)
    journal.append([FACT] * 2)
    assert segments(disk) == [f"{1:020}.log", f"{4:020}.log"]
    assert written(disk) == [FACT] * 5


def test_the_head_changes_with_every_fact_and_goes_on_over_a_start(disk: SimulatedDisk) -> None:
    journal = start(disk)
    heads = [journal.head]
    for number in range(6):
        journal.append([b"%d" % number])
        heads.append(journal.head)
    assert len(set(heads)) == len(heads)
    journal.close()
    again = start(disk)
    assert (again.head, again.checksum, again.lsn) == (heads[-1], journal.checksum, 6)


# --- the next segment -----------------------------------------------------------------------------


def test_room_is_wanted_once_half_of_it_is_written(disk: SimulatedDisk) -> None:
    journal = start(disk, segment_bytes=4 * RESERVE_BYTES)
    while not journal.wants_next:
        journal.append([b"x" * 1000])
    assert 0 <= journal.lsn * framed_bytes(1000) + HEADER_BYTES - 2 * RESERVE_BYTES < 1024
    journal.prepared(journal.prepare())
    assert not journal.wants_next
    assert disk.names(DIRECTORY) == [f"{1:020}.log", "next"]


def test_prepared_room_is_used_and_takes_no_more_of_the_disk(disk: SimulatedDisk) -> None:
    journal = start(disk, segment_bytes=4 * RESERVE_BYTES)
    while not journal.wants_next:
        journal.append([b"x" * 1000])
    journal.prepared(journal.prepare())
    disk.capacity_bytes = 8 * RESERVE_BYTES
    while len(segments(disk)) == 1:
        journal.append([b"x" * 1000])
    assert "next" not in disk.names(DIRECTORY)
    assert len(written(disk)) == journal.lsn


@attrs.define(eq=False)
class BusyDisk(SimulatedDisk):
    """While the journal makes room at once, a thread begins to make room in advance."""

    journal: Journal | None = None
    late: list[File] = attrs.field(factory=list)

    def rename(self, old: Path, new: Path) -> None:
        if self.journal is not None:
            self.late.append(self.journal.prepare())
        super().rename(old, new)


def test_room_made_in_advance_and_room_made_at_once_are_not_in_each_others_way() -> None:
    disk = BusyDisk(1)
    disk.make_directory(DIRECTORY)
    journal = start(disk)
    disk.journal = journal
    for count in range(1, 30):
        journal.append([FACT])
        if disk.late:
            journal.prepared(disk.late.pop())
        assert len(written(disk)) == count
    assert len(segments(disk)) > 5


# --- safe -----------------------------------------------------------------------------------------


def test_a_sync_makes_safe_what_was_written_when_it_was_asked_for(disk: SimulatedDisk) -> None:
    journal = start(disk)
    journal.append([FACT] * 2)
    trip = journal.sync()
    journal.append([FACT])
    assert (journal.safe_lsn, journal.is_safe) == (0, False)
    trip.run()
    journal.synced(trip)
    assert (journal.safe_lsn, journal.is_safe) == (2, False)
    safe(journal)
    assert (journal.safe_lsn, journal.is_safe) == (3, True)


def test_segments_that_wait_for_a_sync_that_hangs_are_not_without_number(
    disk: SimulatedDisk,
) -> None:
    journal = start(disk)
    for _ in range(SEALED_MAX + 1):
        journal.append([FACT] * 4)
    trip = journal.sync()  # and it hangs
    with pytest.raises(JournalFailed, match="64 full segments wait for a sync that does not end"):
        journal.append([FACT])
    assert len(segments(disk)) == len(disk.files) == SEALED_MAX + 1
    with pytest.raises(JournalFailed):
        journal.append([FACT], reserved=True)
    trip.run()
    journal.synced(trip)
    with pytest.raises(JournalFailed):
        journal.append([FACT])
    assert len(written(disk)) == journal.lsn, "the kernel has what was written"


def test_segments_that_a_sync_has_made_safe_count_no_longer(disk: SimulatedDisk) -> None:
    journal = start(disk)
    for _ in range(2):
        for _ in range(SEALED_MAX):
            journal.append([FACT] * 4)
        safe(journal)
        assert len(disk.files) <= 2, "the one in use, and the next"
    assert journal.is_safe


def test_a_sync_seals_full_segments_and_cuts_them_behind_the_seal(disk: SimulatedDisk) -> None:
    journal = start(disk)
    for _ in range(9):
        journal.append([FACT])
    one, two, three = segments(disk)
    assert [size(disk, name) for name in (one, two, three)] == [SMALL] * 3
    safe(journal)
    used = HEADER_BYTES + 4 * framed_bytes(len(FACT)) + len(SEAL)
    assert [size(disk, name) for name in (one, two, three)] == [used, used, SMALL]
    assert written(disk) == [FACT] * 9


def test_what_is_safe_survives_whatever_else_the_power_cut_takes() -> None:
    for seed in range(50):
        disk = SimulatedDisk(seed)
        disk.make_directory(DIRECTORY)
        journal = start(disk)
        for count in range(1, 11):
            journal.append([b"%d" % count])
            if count == 7:
                safe(journal)
        disk.cut_power()
        journal = start(disk, "b")
        facts = written(disk, "b")
        assert len(facts) >= 7
        assert facts == [b"%d" % count for count in range(1, len(facts) + 1)]
        assert journal.is_safe


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_segment_that_is_no_longer_there_is_no_place_for_what_is_safe(
    disk: SimulatedDisk, is_replaced: bool
) -> None:
    journal = start(disk)
    journal.append([FACT])
    if is_replaced:
        disk.create(DIRECTORY / "other", 0).close()
        disk.rename(DIRECTORY / "other", journal.path)
    else:
        disk.remove(journal.path)
    with pytest.raises(OSError, match="moved or deleted while riskd ran"):
        journal.sync().run()


def test_what_an_earlier_process_could_not_sync_is_written_again() -> None:
    for seed in range(50):
        disk = SimulatedDisk(seed)
        disk.make_directory(DIRECTORY)
        journal = start(disk)
        for _ in range(6):
            journal.append([FACT])
        disk.fail("sync")
        with pytest.raises(OSError, match=r"."):
            journal.sync().run()
        disk.crash()
        assert start(disk).safe_lsn == 6
        disk.cut_power()
        assert written(disk, "b") == [FACT] * 6


# --- failing --------------------------------------------------------------------------------------


def test_a_failure_is_the_last_word_whatever_comes_after(disk: SimulatedDisk) -> None:
    journal = start(disk)
    journal.append([FACT])
    disk.fail("write")
    with pytest.raises(JournalFailed, match="a fact could not be written") as raised:
        journal.append([FACT])
    for reserved in (False, True):
        with pytest.raises(JournalFailed) as again:
            journal.append([FACT], reserved=reserved)
        assert again.value is raised.value
    assert journal.fail("later", OSError(errno.ENOSPC, "full")) is raised.value
    assert journal.failure is raised.value
    assert str(journal.path) in str(raised.value)
    assert journal.lsn == 1


def test_on_a_full_disk_what_tightens_takes_the_reserve_and_nothing_else_does(
    disk: SimulatedDisk,
) -> None:
    journal = start(disk)
    disk.capacity_bytes = SMALL
    for _ in range(4):
        journal.append([FACT])
    halts = RESERVE_BYTES // framed_bytes(len(b"halt"))
    with pytest.raises(JournalFailed, match="no further segment could be made"):
        journal.append([FACT])
    for number in range(halts):
        assert journal.append([b"halt"], reserved=True) == 5 + number
        with pytest.raises(JournalFailed):
            journal.append([FACT])
    with pytest.raises(JournalFailed):
        journal.append([b"halt"], reserved=True)
    assert written(disk) == [FACT] * 4 + [b"halt"] * halts


def test_what_tightens_first_meets_a_full_disk_with_the_reserve(disk: SimulatedDisk) -> None:
    journal = start(disk)
    disk.capacity_bytes = SMALL
    journal.append([FACT] * 4)
    assert journal.append([b"halt"], reserved=True) == 5
    assert journal.failure is not None
    assert written(disk) == [FACT] * 4 + [b"halt"]


def test_a_halt_wipes_out_what_a_full_disk_took_of_the_commit_before() -> None:
    taken = set()
    for seed in range(60):
        disk = SimulatedDisk(seed)
        disk.make_directory(DIRECTORY)
        journal = start(disk)
        journal.append([b"before"])
        disk.fail("write", reason=errno.ENOSPC)
        with pytest.raises(JournalFailed):
            journal.append([b"one", b"two", b"six"])
        found = survey(disk, DIRECTORY, "a")
        taken.add(len(list(found.facts())))
        journal.append([b"end"], reserved=True)
        assert written(disk) == [b"before", b"end"]
        journal.append([b"of it"], reserved=True)
        assert written(disk) == [b"before", b"end", b"of it"]
    assert 1 in taken
