"""A start goes on where the facts end, repairs what a crash left, and refuses all else.

A refusal is one line that names the place and the remedy, and it has changed nothing.
"""

import json
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from zlib import crc32

import attrs
import pytest
from riskd.actors.messages import (
    ActorSilent,
    Fact,
    JournalRepaired,
    Recorded,
    SnapshotSkipped,
)
from riskd.adapters.disk import SystemDisk
from riskd.supervisor.journal import (
    Journal,
    JournalDamaged,
    JournalError,
    JournalHeld,
)
from riskd.supervisor.journal.archive import put_away
from riskd.supervisor.journal.format import (
    HEADER_BYTES,
    SEAL,
    encode_frame,
    framed_bytes,
)
from riskd.supervisor.journal.journal import RESERVE_BYTES
from riskd.supervisor.journal.snapshots import save
from riskd.supervisor.ledger import Ledger
from riskd.supervisor.recall import open_ledger, recall

SMALL = RESERVE_BYTES + HEADER_BYTES + 700
"""A few facts go into a segment of this size."""
DISK = SystemDisk()


@attrs.define
class StillClock:
    """A clock that shows the moment it is given, in the boot it is given."""

    boot_id: str = "a"

    def monotonic_s(self) -> float:
        return 100.0

    def now(self) -> datetime:
        return datetime(2024, 5, 17, 12, tzinfo=UTC)

    def boot(self) -> str:
        return self.boot_id


@attrs.define
class Names:
    """A projection: what was silent, in order; and which facts were applied to know it."""

    name: str = "names"
    version: int = 1
    known: list[str] = attrs.field(factory=list)
    applied: list[Recorded] = attrs.field(factory=list)

    def apply(self, recorded: Recorded) -> None:
        self.applied.append(recorded)
        if isinstance(recorded.fact, ActorSilent):
            self.known.append(recorded.fact.actor)

    def dump(self) -> list[bytes]:
        return [json.dumps(self.known).encode()]

    def load(self, state: bytes | None) -> None:
        self.known = [] if state is None else json.loads(state)
        self.applied.clear()


def silent(number: int) -> Fact:
    return ActorSilent(actor=f"actor-{number:02}", deadline_s=1.0)


def names_up_to(number: int) -> list[str]:
    return [f"actor-{one:02}" for one in range(1, number + 1)]


@contextmanager
def opened(
    home: Path, boot: str = "a", names: Names | None = None, segment_bytes: int = SMALL
) -> Iterator[Ledger]:
    projection = Names() if names is None else names
    with open_ledger(
        DISK, home, StillClock(boot), [projection], segment_bytes=segment_bytes
    ) as ledger:
        yield ledger


def remembered(home: Path, boot: str = "a") -> Names:
    """What a start knows."""
    names = Names()
    with opened(home, boot, names):
        pass
    return names


def facts(names: Names) -> list[Fact]:
    """Those that were not made to be silent."""
    return [one.fact for one in names.applied if not isinstance(one.fact, ActorSilent)]


def safe(journal: Journal) -> None:
    trip = journal.sync()
    trip.run()
    journal.synced(trip)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def journal(home: Path) -> Path:
    return home / "journal"


def write(home: Path, count: int, *snapshots: int, is_archiving: bool = False) -> None:
    """So many facts, each safe, with a snapshot at some of them."""
    with opened(home) as ledger:
        for number in range(1, count + 1):
            ledger.commit(silent(number))
            safe(ledger.journal)
            if number in snapshots:
                snapshot = ledger.snapshot()
                assert snapshot is not None
                save(DISK, home / "journal", snapshot)
                if is_archiving:
                    put_away(DISK, home / "journal")


def image(home: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in home.rglob("*")
        if path.is_file() and path.name != "lock"
    }


def segments(journal: Path) -> list[Path]:
    return sorted(journal.glob("*.log"))


def refusal(home: Path) -> JournalError:
    """The one by which both a start of the same boot and one of a later leave all as it is."""
    before = image(home)
    said = []
    for boot in ("a", "b"):
        with pytest.raises(JournalError) as raised, opened(home, boot):
            pass
        said.append(raised.value)
    assert image(home) == before, "nothing was changed"
    assert str(said[0]) == str(said[1])
    assert len(str(said[0]).splitlines()) == 1
    return said[0]


def damage(home: Path, path: Path, offset: int, lsn: int) -> str:
    error = refusal(home)
    assert isinstance(error, JournalDamaged)
    assert (error.path, error.offset, error.lsn) == (path, offset, lsn)
    assert str(error).startswith(f"{path}: at byte {offset}, fact {lsn}: ")
    return str(error)


# --- what is whole --------------------------------------------------------------------------------


def test_the_first_start_knows_nothing_and_the_next_what_was_said(home: Path) -> None:
    with opened(home) as ledger:
        assert ledger.lsn == 0
        assert ledger.commit(silent(1)) == 1
        assert ledger.commit(silent(2), silent(3)) == 3
    names = remembered(home)
    assert names.known == names_up_to(3)
    assert [one.lsn for one in names.applied] == [1, 2, 3]
    assert facts(names) == []


def test_every_boot_has_segments_of_its_own_and_an_empty_one_gives_its_name_away(
    home: Path, journal: Path
) -> None:
    for boot in "abc":
        remembered(home, boot)
    assert [path.name for path in segments(journal)] == [f"{1:020}.log"]
    write(home, 1)
    for boot in "defgh":
        remembered(home, boot)
        assert [path.name for path in segments(journal)] == [f"{1:020}.log", f"{2:020}.log"]
    assert remembered(home, "i").known == names_up_to(1)


def test_a_start_of_the_same_boot_goes_on_in_the_same_segment(home: Path, journal: Path) -> None:
    write(home, 1)
    write(home, 1)
    assert [path.name for path in segments(journal)] == [f"{1:020}.log"]
    assert remembered(home).known == ["actor-01", "actor-01"]


def test_what_is_left_of_an_unfinished_start_is_removed(home: Path, journal: Path) -> None:
    write(home, 5, 3)
    before = image(home)
    for name in ("next", "next.new", f"{9:020}.snapshot.new", f"{1:020}.log.1.broken.new"):
        (journal / name).write_bytes(b"unfinished")
    assert remembered(home).known == names_up_to(5)
    assert image(home) == before


def test_other_files_are_let_alone(home: Path, journal: Path) -> None:
    write(home, 5)
    for name in ("1.log", f"{2:020}.log.1.broken", "notes.txt", f"{3:020}.logs", "x.snapshot"):
        (journal / name).write_bytes(b"mine")
    before = image(home)
    names = remembered(home)
    assert names.known == names_up_to(5)
    assert facts(names) == []
    assert image(home) == before


# --- what is repaired -----------------------------------------------------------------------------


def test_a_torn_end_is_cut_off_kept_and_told_once(home: Path, journal: Path) -> None:
    write(home, 2)
    (path,) = segments(journal)
    torn = bytearray(path.read_bytes())
    end = len(torn.rstrip(b"\0"))
    second = frame_starts(bytes(torn))[1]
    torn[end - 9 :] = bytes(len(torn) - end + 9)
    path.write_bytes(torn)

    assert remembered(home).known == names_up_to(1)
    repaired = JournalRepaired(
        file=path.name,
        lost_lsn=2,
        offset=second,
        lost_bytes=len(torn.rstrip(b"\0")) - second,
        how="torn",
        evidence=(f"{path.name}.1.broken",),
    )
    assert (journal / f"{path.name}.1.broken").read_bytes() == torn
    again = remembered(home)
    assert again.known == names_up_to(1)
    assert facts(again) == [repaired]
    assert again.applied[-1].lsn == 2


def test_evidence_takes_no_other_evidences_place(home: Path, journal: Path) -> None:
    for count in (1, 2, 3):
        write(home, 1)
        path = segments(journal)[-1]
        data = path.read_bytes()
        end = len(data.rstrip(b"\0"))
        path.write_bytes(data[: end - 1])
        remembered(home)
        assert len(list(journal.glob("*.broken"))) == count


def test_a_power_cut_takes_the_facts_from_the_first_that_is_gone(home: Path, journal: Path) -> None:
    with opened(home) as ledger:
        for number in range(1, 8):
            ledger.commit(silent(number))
        unsafe = image(home)
    for path in segments(journal):
        path.write_bytes(unsafe[str(path.relative_to(home))])
    one, two = segments(journal)
    data = bytearray(one.read_bytes())
    hole = frame_starts(bytes(data))[2]
    data[hole : hole + 8] = bytes(8)
    one.write_bytes(data)
    behind = two.read_bytes()

    with pytest.raises(JournalDamaged), opened(home, "a"):
        pass
    assert remembered(home, "b").known == names_up_to(2)
    (repaired,) = facts(remembered(home, "b"))
    assert isinstance(repaired, JournalRepaired)
    assert (repaired.how, repaired.lost_lsn, repaired.file) == ("lost", 3, one.name)
    assert repaired.evidence == (f"{one.name}.1.broken", f"{two.name}.1.broken")
    assert (journal / repaired.evidence[0]).read_bytes() == data
    assert (journal / repaired.evidence[1]).read_bytes() == behind


def frame_starts(data: bytes) -> list[int]:
    """By their lengths."""
    starts, offset = [], HEADER_BYTES
    while offset + 24 <= len(data) and data[offset : offset + 8].strip(b"\0"):
        starts.append(offset)
        offset += framed_bytes(int.from_bytes(data[offset + 16 : offset + 20], "little"))
    return starts


# --- what is refused ------------------------------------------------------------------------------


def test_a_missing_segment_is_refused_by_its_name(home: Path, journal: Path) -> None:
    write(home, 14)
    one, two, three, *_ = segments(journal)
    two_first = int(two.stem)
    data = two.read_bytes()

    two.unlink()
    said = damage(home, two, 0, two_first)
    assert f"this segment is missing, between {one.name} and {three.name}" in said

    two.write_bytes(data)
    one.unlink()
    said = str(refusal(home))
    assert f"the facts before {two_first} are gone and fact 1 is needed" in said


def test_a_missing_last_segment_is_known_from_the_seal_of_the_one_before(
    home: Path, journal: Path
) -> None:
    write(home, 14)
    *_, before, last = segments(journal)
    last.unlink()
    said = damage(home, last, 0, int(last.stem))
    assert f"this segment is missing: {before.name} is sealed, and so not the last" in said


def test_missing_last_segments_are_known_from_a_snapshot(home: Path, journal: Path) -> None:
    write(home, 14, 14)
    *_, before, last = segments(journal)
    last.unlink()
    before.write_bytes(before.read_bytes().removesuffix(SEAL))
    said = str(refusal(home))
    assert "the log ends here, and there is a snapshot of fact 14; look at it with" in said


def test_rubbish_named_like_a_later_snapshot_proves_nothing_and_is_set_aside(
    home: Path, journal: Path
) -> None:
    write(home, 14, 14)
    rubbish = snapshot(journal, 99)
    rubbish.write_bytes(b"rubbish")
    (skipped,) = facts(remembered(home))
    assert skipped == SnapshotSkipped(snapshot_lsn=99, reason="it is cut off")
    assert not rubbish.exists()
    assert (journal / f"{rubbish.name}.1.broken").read_bytes() == b"rubbish"


def test_a_segment_under_another_name_is_refused(home: Path, journal: Path) -> None:
    write(home, 6)
    one, two = segments(journal)
    two.rename(journal / f"{9:020}.log")
    damage(home, one, len(one.read_bytes()) - len(SEAL), int(two.stem))
    (journal / f"{9:020}.log").unlink()
    one.rename(journal / f"{0:020}.log")
    assert "begins with fact 1; give it its name back" in damage(
        home, journal / f"{0:020}.log", 16, 0
    )


def rewritten(data: bytes, number: int, old: bytes, new: bytes, lsn: int | None = None) -> bytes:
    """One frame with another text or number, and a checksum that fits."""
    start = frame_starts(data)[number]
    _, previous, was, length, unsafe, more = struct.unpack_from("<IIQIHH", data, start)
    payload = data[start + 24 : start + 24 + length].replace(old, new)
    assert len(payload) == length
    told = was if lsn is None else lsn
    frame, _ = encode_frame(payload, told, previous, told - unsafe, more)
    return data[:start] + frame + data[start + len(frame) :]


def test_a_fact_that_was_rewritten_with_its_checksum_is_found_by_the_next(
    home: Path, journal: Path
) -> None:
    write(home, 3)
    (path,) = segments(journal)
    data = path.read_bytes()
    path.write_bytes(rewritten(data, 0, b"actor-01", b"actor-99"))
    second = frame_starts(data)[1]
    assert "does not continue the one before" in damage(home, path, second, 2)


def test_the_last_fact_of_a_segment_that_was_rewritten_is_found_by_the_next_segment(
    home: Path, journal: Path
) -> None:
    write(home, 6)
    one, two = segments(journal)
    data = one.read_bytes()
    last = len(frame_starts(data))
    one.write_bytes(
        rewritten(data, last - 1, f"actor-{last:02}".encode(), f"actor-{last + 1:02}".encode())
    )
    said = damage(home, two, 32, last + 1)
    assert f"it does not continue {one.name}: one of them was rewritten" in said


def test_a_gap_in_the_numbers_is_refused(home: Path, journal: Path) -> None:
    write(home, 3)
    (path,) = segments(journal)
    data = path.read_bytes()
    path.write_bytes(rewritten(data, 1, b"", b"", lsn=7))
    assert "has the wrong number" in damage(home, path, frame_starts(data)[1], 2)


def test_another_version_is_refused_naming_both(home: Path, journal: Path) -> None:
    write(home, 6)
    for path in segments(journal):
        data = path.read_bytes()
        header = bytearray(data[:HEADER_BYTES])
        struct.pack_into("<II", header, 8, 7, 0)
        struct.pack_into("<I", header, 12, crc32(header))
        path.write_bytes(bytes(header) + data[HEADER_BYTES:])
        said = str(refusal(home))
        assert f"{path}: at byte 8: written in version 7 of the journal's format" in said
        assert "this riskd reads version 1" in said
        path.write_bytes(data)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"actor_silent", b"actor_absent", "fact 2: 'actor_absent': "),
        (b'"fact"', b'"tale"', "fact 2: "),
        (b"{", b"[", "fact 2: "),
    ],
)
def test_a_fact_that_this_riskd_does_not_know_is_refused_by_its_name(
    home: Path, journal: Path, old: bytes, new: bytes, said: str
) -> None:
    write(home, 2)
    (path,) = segments(journal)
    path.write_bytes(rewritten(path.read_bytes(), 1, old, new))
    error = str(refusal(home))
    assert f"{path}: at byte " in error
    assert said in error
    assert "; another riskd wrote it, and this is riskd " in error


def test_rubbish_named_like_a_segment_is_refused(home: Path, journal: Path) -> None:
    write(home, 2)
    (path,) = segments(journal)
    rubbish = journal / f"{3:020}.log"
    rubbish.write_bytes(b"not a journal at all, but long enough for a header" * 4)
    said = "its header is not that of a journal"
    with pytest.raises(JournalDamaged, match=said) as raised, opened(home, "a"):
        pass
    assert (raised.value.path, raised.value.offset, raised.value.lsn) == (rubbish, 0, 3)
    rubbish.rename(journal / f"{1:020}.log")
    damage(home, path, 0, 1)


def test_a_directory_in_the_place_of_a_segment_is_refused(home: Path, journal: Path) -> None:
    write(home, 2)
    (journal / f"{3:020}.log").mkdir()
    assert str(journal / f"{3:020}.log") in str(refusal(home))


@pytest.mark.parametrize("place", ["state", "state/journal", "state/lock"])
def test_something_else_in_the_place_of_a_directory_or_the_lock_is_refused_with_a_remedy(
    tmp_path: Path, home: Path, place: str
) -> None:
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    if path.name == "lock":
        path.mkdir()
    else:
        path.write_bytes(b"a file")
    with pytest.raises(JournalError) as raised, opened(home):
        pass
    assert str(path) in str(raised.value)
    assert "choose a directory that this user may write, with --state-dir" in str(raised.value)


def test_a_second_riskd_is_refused_and_told_who_is_first(home: Path) -> None:
    with opened(home) as ledger:
        ledger.commit(silent(1))
        before = image(home)
        said = f"process {os.getpid()} keeps its state there"
        with pytest.raises(JournalHeld, match=said), opened(home):
            pass
        assert image(home) == before
        ledger.commit(silent(2))
    assert remembered(home).known == names_up_to(2)


def test_a_refused_start_lets_go_of_the_lock(home: Path, journal: Path) -> None:
    write(home, 2)
    (path,) = segments(journal)
    data = path.read_bytes()
    path.write_bytes(b"x" + data[1:])
    refusal(home)
    path.write_bytes(data)
    assert remembered(home).known == names_up_to(2)


# --- snapshots ------------------------------------------------------------------------------------


def snapshot(journal: Path, lsn: int) -> Path:
    return journal / f"{lsn:020}.snapshot"


def test_a_start_applies_only_what_the_snapshot_lacks(home: Path) -> None:
    write(home, 9, 3, 7)
    names = remembered(home)
    assert names.known == names_up_to(9)
    assert [one.lsn for one in names.applied] == [8, 9]


def test_a_snapshot_taken_right_after_a_reboot_serves(home: Path, journal: Path) -> None:
    write(home, 3)
    with opened(home, "b") as ledger:
        taken = ledger.snapshot()
        assert taken is not None
        save(DISK, journal, taken)
    names = remembered(home, "b")
    assert names.known == names_up_to(3)
    assert names.applied == []


def test_every_byte_of_a_snapshot_counts_and_the_one_before_it_serves(
    home: Path, journal: Path
) -> None:
    write(home, 9, 3, 7)
    path = snapshot(journal, 7)
    data = path.read_bytes()
    for offset, byte in enumerate(data):
        for damaged in (data[:offset], data[:offset] + bytes([byte ^ 4]) + data[offset + 1 :]):
            path.write_bytes(damaged)
            names = Names()
            found = recall(DISK, journal, "a", [names])
            assert found.snapshot is not None
            assert found.snapshot.lsn == 3
            assert [skipped.snapshot_lsn for skipped in found.skipped] == [7]
            assert names.known == names_up_to(9)
            assert [one.lsn for one in names.applied] == [4, 5, 6, 7, 8, 9]


def test_without_a_good_snapshot_all_facts_are_read_also_the_archived(
    home: Path, journal: Path
) -> None:
    write(home, 14, 9, 13, is_archiving=True)
    assert list((journal / "archive").iterdir())
    assert [one.lsn for one in remembered(home).applied] == [14]
    for lsn in (9, 13):
        snapshot(journal, lsn).write_bytes(b"rot")
    names = remembered(home)
    assert names.known == names_up_to(14)
    assert [one.lsn for one in names.applied] == list(range(1, 17))
    assert [fact.snapshot_lsn for fact in facts(names) if isinstance(fact, SnapshotSkipped)] == [
        13,
        9,
    ]


def test_a_snapshot_of_another_journal_is_not_used(home: Path, tmp_path: Path) -> None:
    write(home, 5)
    other = tmp_path / "other"
    write(other, 5, 4)
    with opened(other, "c") as ledger:
        ledger.commit(silent(6))
    foreign = snapshot(other / "journal", 4)
    data = foreign.read_bytes()
    frame = int.from_bytes(data[12:16], "little")
    with opened(home, "b") as ledger:
        ledger.commit(silent(6))
        ledger.commit(silent(7))
        taken = ledger.snapshot()
        assert taken is not None
        save(DISK, home / "journal", attrs.evolve(taken, frame=frame))
    names = remembered(home, "b")
    assert names.known == names_up_to(7)
    (skipped,) = facts(names)
    assert skipped == SnapshotSkipped(snapshot_lsn=7, reason="snapshot 7 is of another journal")


def test_a_projection_of_another_version_is_read_from_the_facts(home: Path) -> None:
    write(home, 5, 4)
    names = Names(version=2)
    with opened(home, "a", names):
        assert names.known == names_up_to(5)
        (skipped,) = facts(names)
        assert isinstance(skipped, SnapshotSkipped)
        assert "holds no 'names' of version 2" in skipped.reason
