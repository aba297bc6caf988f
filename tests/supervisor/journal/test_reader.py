"""A cursor reads each fact once and in order, whatever the writer does to the files meanwhile."""

import gzip
import itertools
import threading
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from riskd.actors.ports import File
from riskd.adapters.disk import SystemDisk
from riskd.supervisor.journal.errors import JournalDamaged, JournalError
from riskd.supervisor.journal.files import ARCHIVE, archived_name, segment_firsts, segment_name
from riskd.supervisor.journal.format import HEADER_BYTES, SEAL, Frames, Header, decode_header
from riskd.supervisor.journal.journal import RESERVE_BYTES, Journal, open_journal
from riskd.supervisor.journal.opening import survey
from riskd.supervisor.journal.reader import (
    PIECE_BYTES,
    Cursor,
    TooOld,
    oldest_lsn,
    read_segment,
)

DISK = SystemDisk()
BOOT = "boot-1"
ROOM = RESERVE_BYTES + HEADER_BYTES + 280
"""Segments that a handful of facts fills."""


def opened(directory: Path, segment_bytes: int = ROOM) -> Journal:
    found = survey(DISK, directory, BOOT)
    for _ in found.facts():
        pass
    return open_journal(found, segment_bytes)


def fact(lsn: int, length: int = 20) -> bytes:
    return b"%06d" % lsn + b"x" * (length - 6)


def write(journal: Journal, lengths: Sequence[int]) -> list[bytes]:
    """One commit."""
    payloads = [fact(journal.lsn + 1 + i, length) for i, length in enumerate(lengths)]
    journal.append(payloads)
    return payloads


def past(directory: Path, count: int, segment_bytes: int = ROOM) -> list[bytes]:
    """A journal of so many facts, closed and synced."""
    journal = opened(directory, segment_bytes)
    written = [fact for _ in range(count) for fact in write(journal, [20])]
    journal.sync().run()
    journal.close()
    return written


def archive(directory: Path, first: int) -> Path:
    """As the writer does it: whole, then named, then the other one goes."""
    segment = directory / segment_name(first)
    data = segment.read_bytes()
    header = decode_header(data)
    assert isinstance(header, Header)
    frames = Frames.of(header, data)
    list(frames)
    (directory / ARCHIVE).mkdir(exist_ok=True)
    path = directory / ARCHIVE / archived_name(first)
    path.write_bytes(gzip.compress(data[: frames.end], 1))
    segment.unlink()
    return path


def live(directory: Path) -> list[int]:
    return segment_firsts(DISK.names(directory))


def numbered(written: Sequence[bytes], after: int = 0) -> list[tuple[int, bytes]]:
    return list(enumerate(written, 1))[after:]


def everything(cursor: Cursor, bytes_max: int = 1_000) -> list[tuple[int, bytes]]:
    batches = iter(lambda: cursor.read(bytes_max), [])
    return list(itertools.chain.from_iterable(batches))


# --- what is there --------------------------------------------------------------------------------

COMMIT = st.lists(st.integers(6, 60), min_size=1, max_size=3)


@settings(max_examples=40, deadline=None)
@given(
    commits=st.lists(COMMIT, max_size=30),
    archived=st.integers(0, 10),
    after=st.integers(0, 95),
    bytes_max=st.integers(1, 300),
)
def test_every_fact_behind_the_place_comes_once_and_in_order(
    commits: list[list[int]], archived: int, after: int, bytes_max: int
) -> None:
    with TemporaryDirectory() as name:
        directory = Path(name)
        journal = opened(directory)
        written = [fact for commit in commits for fact in write(journal, commit)]
        journal.sync().run()
        for first in live(directory)[:-1][:archived]:
            archive(directory, first)
        with Cursor(DISK, directory, after) as cursor:
            assert everything(cursor, bytes_max) == numbered(written, after)
            cursor.expect_end()
        journal.close()


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            COMMIT,
            st.sampled_from(["read", "seal", "archive", "close", "restart"]),
        ),
        max_size=60,
    )
)
def test_nothing_that_the_writer_does_makes_a_gap_or_a_repeat(steps: list[list[int] | str]) -> None:
    with TemporaryDirectory() as name:
        directory = Path(name)
        journal = opened(directory)
        cursor = Cursor(DISK, directory, 0)
        written: list[bytes] = []
        seen: list[tuple[int, bytes]] = []
        for step in steps:
            match step:
                case "read":
                    seen += cursor.read(100)
                case "seal":
                    sync = journal.sync()
                    sync.run()
                    journal.synced(sync)
                case "archive" if len(live(directory)) > 1:
                    archive(directory, live(directory)[0])
                case "close":
                    cursor.close()
                case "restart" if not (directory / ARCHIVE).exists():
                    journal.close()
                    journal = opened(directory)
                case list():
                    written += write(journal, step)
        seen += everything(cursor)
        assert seen == numbered(written)
        cursor.close()
        journal.close()


def test_a_reader_beside_a_writer_never_sees_damage(tmp_path: Path) -> None:
    journal = opened(tmp_path, RESERVE_BYTES + 20_000)
    written: list[bytes] = []

    def go() -> None:
        for number in range(3_000):
            written.extend(write(journal, [20 + number % 50] * (1 + number % 4)))

    writer = threading.Thread(target=go)
    seen: list[tuple[int, bytes]] = []
    with Cursor(DISK, tmp_path, 0) as cursor:
        writer.start()
        while writer.is_alive():
            seen += cursor.read(10_000)
            cursor.expect_end()
        writer.join()
        seen += everything(cursor)
    assert seen == numbered(written)
    journal.close()


@attrs.define
class Late:
    """A file whose reader was held up: once, a read gives what had been there a while ago."""

    file: File
    before: bytes

    def read(self, offset: int, length: int) -> bytes:
        before, self.before = self.before, b""
        return before[offset : offset + length] if before else self.file.read(offset, length)

    def close(self) -> None:
        self.file.close()


@pytest.mark.parametrize("unfinished", [0, 1, 40])
def test_what_was_written_between_two_looks_is_no_damage(tmp_path: Path, unfinished: int) -> None:
    journal = opened(tmp_path)
    write(journal, [20])
    segment = tmp_path / segment_name(1)
    before = segment.read_bytes()
    end = len(before.rstrip(b"\0")) + unfinished
    with Cursor(DISK, tmp_path, 0) as cursor:
        assert everything(cursor) == [(1, fact(1))]
        written = [fact(1), *write(journal, [60]), *write(journal, [60])]
        late = segment.read_bytes()[:end] + before[end:]
        written += write(journal, [200])
        assert len(live(tmp_path)) == 2
        cursor._walk.source = Late(cursor._walk.source, late)
        assert everything(cursor) == numbered(written, 1)
    journal.close()


def test_a_batch_has_its_bounds_and_at_least_one_fact(tmp_path: Path) -> None:
    past(tmp_path, 10)
    with Cursor(DISK, tmp_path, 0) as cursor:
        assert [lsn for lsn, _ in cursor.read(1)] == [1]
        assert [lsn for lsn, _ in cursor.read(59)] == [2, 3]
        assert [lsn for lsn, _ in cursor.read(60)] == [4, 5, 6]
        assert [lsn for lsn, _ in cursor.read(1_000, up_to_lsn=8)] == [7, 8]
        assert cursor.read(1_000, up_to_lsn=8) == []
        assert [lsn for lsn, _ in cursor.read(1_000)] == [9, 10]
        assert cursor.lsn == 10


@pytest.mark.parametrize("is_archived", [False, True])
def test_a_commit_longer_than_a_piece_is_read_whole(tmp_path: Path, is_archived: bool) -> None:
    journal = opened(tmp_path, 2_000_000)
    written = write(journal, [20, 3 * PIECE_BYTES, 700_000, 30]) + write(journal, [50])
    if is_archived:
        archive(tmp_path, 1)
    with Cursor(DISK, tmp_path, 0) as cursor:
        assert everything(cursor) == numbered(written)
    journal.close()


def test_what_is_no_whole_commit_yet_comes_when_it_is(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    segment = tmp_path / segment_name(1)
    write(journal, [20])
    before = segment.read_bytes()
    write(journal, [20, 9])
    after = segment.read_bytes()
    journal.close()
    begin, end = len(before.rstrip(b"\0")), len(after.rstrip(b"\0"))
    for cut in range(begin, end + 1):
        segment.write_bytes(after[:cut] + before[cut:])
        with Cursor(DISK, tmp_path, 1) as cursor:
            assert cursor.read(1_000) == [] or cut == end, cut
            cursor.expect_end()
            segment.write_bytes(after)
            cursor.read(1_000)
            assert cursor.lsn == 3


def test_an_empty_directory_and_none_have_no_facts_yet(tmp_path: Path) -> None:
    with Cursor(DISK, tmp_path / "journal", 0) as cursor:
        assert cursor.read(1_000) == []
        (tmp_path / "journal").mkdir()
        assert cursor.read(1_000) == []
        written = past(tmp_path / "journal", 3)
        assert everything(cursor) == numbered(written)


# --- what is gone ---------------------------------------------------------------------------------


def test_a_fact_that_is_no_longer_kept_is_refused_with_the_oldest(tmp_path: Path) -> None:
    past(tmp_path, 20)
    assert oldest_lsn(DISK, tmp_path) == 1
    first, second, *_ = live(tmp_path)
    (tmp_path / segment_name(first)).unlink()
    assert oldest_lsn(DISK, tmp_path) == second
    for after in range(second - 1):
        with pytest.raises(TooOld) as caught:
            Cursor(DISK, tmp_path, after).read(1_000)
        assert caught.value.oldest_lsn == second
    with Cursor(DISK, tmp_path, second - 1) as cursor:
        assert cursor.read(1)[0][0] == second


def test_an_open_segment_is_read_to_its_end_though_it_is_deleted(tmp_path: Path) -> None:
    past(tmp_path, 20)
    first, second, third, *_ = live(tmp_path)
    with Cursor(DISK, tmp_path, 0) as cursor:
        cursor.read(1)
        for gone in (first, second):
            (tmp_path / segment_name(gone)).unlink()
        assert [lsn for lsn, _ in cursor.read(10_000)] == list(range(2, second))
        for _ in range(2):
            with pytest.raises(TooOld) as caught:
                cursor.read(1_000)
            assert caught.value.oldest_lsn == third


# --- what is damaged ------------------------------------------------------------------------------


@pytest.mark.parametrize("is_archived", [False, True])
def test_all_before_damage_is_read_then_it_is_named(tmp_path: Path, is_archived: bool) -> None:
    written = past(tmp_path, 12)
    first, second, *_ = live(tmp_path)
    segment = tmp_path / segment_name(second)
    data = bytearray(segment.read_bytes())
    at = data.index(fact(second + 1))
    data[at] ^= 1
    if is_archived:
        archive(tmp_path, second)
        segment = tmp_path / ARCHIVE / archived_name(second)
        segment.write_bytes(gzip.compress(bytes(data)))
        archive(tmp_path, first)
    else:
        segment.write_bytes(data)
    with Cursor(DISK, tmp_path, 0) as cursor:
        assert cursor.read(100_000) == numbered(written[:second])
        for _ in range(2):
            with pytest.raises(JournalDamaged) as caught:
                cursor.read(1_000)
            assert (caught.value.path, caught.value.lsn) == (segment, second + 1)
            assert caught.value.offset == at - 24


def test_a_missing_segment_is_damage(tmp_path: Path) -> None:
    past(tmp_path, 20)
    _, second, third, *_ = live(tmp_path)
    (tmp_path / segment_name(second)).unlink()
    with Cursor(DISK, tmp_path, 0) as cursor:
        assert len(cursor.read(10_000)) == second - 1
        with pytest.raises(JournalDamaged, match=f"{segment_name(third)} comes next"):
            cursor.read(1_000)


@pytest.mark.parametrize("is_archived", [False, True])
def test_a_missing_last_segment_does_not_pass_for_the_end(
    tmp_path: Path, is_archived: bool
) -> None:
    past(tmp_path, 20)
    *_, before, last = live(tmp_path)
    (tmp_path / segment_name(last)).unlink()
    if is_archived:
        data = (tmp_path / segment_name(before)).read_bytes()
        archive(tmp_path, before).write_bytes(gzip.compress(data))
    with Cursor(DISK, tmp_path, 0) as cursor:
        assert len(cursor.read(10_000)) == last - 1
        with pytest.raises(JournalDamaged, match="is missing") as caught:
            cursor.read(1_000)
        assert (caught.value.path.name, caught.value.lsn) == (segment_name(last), last)


def test_facts_behind_a_hole_are_damage_however_far_they_lie(tmp_path: Path) -> None:
    journal = opened(tmp_path, 4_000_000)
    write(journal, [20])
    for _ in range(3):
        write(journal, [1_000_000])
    write(journal, [20])
    journal.close()
    segment = tmp_path / segment_name(1)
    data = segment.read_bytes()
    begin, end = data.index(fact(2)) - 24, data.index(fact(5)) - 24
    segment.write_bytes(data[:begin] + bytes(end - begin) + data[end:])
    with Cursor(DISK, tmp_path, 0) as cursor:
        assert [lsn for lsn, _ in cursor.read(1_000)] == [1]
        with pytest.raises(JournalDamaged) as caught:
            cursor.expect_end()
        assert (caught.value.offset, caught.value.lsn) == (begin, 2)


def test_an_archived_segment_that_is_cut_is_damage(tmp_path: Path) -> None:
    past(tmp_path, 12)
    path = archive(tmp_path, 1)
    path.write_bytes(path.read_bytes()[:-12])
    with Cursor(DISK, tmp_path, 0) as cursor, pytest.raises(JournalDamaged, match="unpacked"):
        everything(cursor)


def test_the_last_header_may_be_missing_and_no_other(tmp_path: Path) -> None:
    past(tmp_path, 20)
    *_, before, newest = live(tmp_path)
    for left in (b"", bytes(1_000), b"riskdjnl" + bytes(992)):
        (tmp_path / segment_name(newest)).write_bytes(left)
        with Cursor(DISK, tmp_path, 0) as cursor:
            assert [lsn for lsn, _ in everything(cursor)] == list(range(1, newest))
    (tmp_path / segment_name(before)).write_bytes(bytes(1_000))
    with Cursor(DISK, tmp_path, 0) as cursor, pytest.raises(JournalDamaged, match="not there"):
        everything(cursor)


@pytest.mark.parametrize("count", [3, 20])
@pytest.mark.parametrize("bit", [12 * 8, 40 * 8 + 3, 95 * 8])
def test_the_last_header_is_damaged_when_anything_lies_behind_it(
    tmp_path: Path, count: int, bit: int
) -> None:
    past(tmp_path, count)
    newest = live(tmp_path)[-1]
    segment = tmp_path / segment_name(newest)
    data = bytearray(segment.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    segment.write_bytes(data)
    with Cursor(DISK, tmp_path, 0) as cursor:
        if newest > 1:
            assert len(cursor.read(100_000)) == newest - 1
        for _ in range(2):
            with pytest.raises(JournalDamaged, match="journal verify") as caught:
                cursor.read(1_000)
            found = caught.value
            assert (found.path, found.offset, found.lsn) == (segment, 0, newest)


def test_the_first_header_of_all_is_never_torn(tmp_path: Path) -> None:
    past(tmp_path, 1)
    (tmp_path / segment_name(1)).write_bytes(bytes(1_000))
    with Cursor(DISK, tmp_path, 0) as cursor, pytest.raises(JournalDamaged, match="at byte 0"):
        cursor.read(1_000)


@pytest.mark.parametrize("kept", range(len(SEAL) + 1))
@pytest.mark.parametrize("room", [0, 8, 100_000, 3_000_000])
def test_a_seal_that_a_crash_has_cut_is_no_damage_before_a_successor(
    tmp_path: Path, kept: int, room: int
) -> None:
    written = past(tmp_path, 20)
    first, second, *_ = live(tmp_path)
    segment = tmp_path / segment_name(first)
    data = segment.read_bytes()
    assert data.endswith(SEAL)
    left = data[: len(data) - len(SEAL) + kept] + bytes(room)
    segment.write_bytes(left)
    with Cursor(DISK, tmp_path, 0) as cursor:
        assert everything(cursor) == numbered(written)
    if room and kept:
        segment.write_bytes(left[:-1] + b"x")
        with Cursor(DISK, tmp_path, 0) as cursor, pytest.raises(JournalDamaged):
            everything(cursor)
    segment.write_bytes(left)
    (tmp_path / segment_name(second)).unlink()
    with Cursor(DISK, tmp_path, 0) as cursor, pytest.raises(JournalDamaged):
        everything(cursor)


def test_an_archived_header_is_never_torn(tmp_path: Path) -> None:
    past(tmp_path, 20)
    newest = live(tmp_path)[-1]
    archive(tmp_path, newest).write_bytes(gzip.compress(bytes(1_000)))
    with Cursor(DISK, tmp_path, newest - 1) as cursor, pytest.raises(JournalDamaged):
        cursor.read(1_000)


def test_another_version_is_named_with_its_own(tmp_path: Path) -> None:
    past(tmp_path, 1)
    segment = tmp_path / segment_name(1)
    data = segment.read_bytes()
    segment.write_bytes(data[:8] + b"\x07" + data[9:])
    with pytest.raises(JournalError, match=r"version 7 .* reads version 1"):
        Cursor(DISK, tmp_path, 0).read(1_000)


# --- one file -------------------------------------------------------------------------------------


def test_a_file_is_read_whatever_its_name(tmp_path: Path) -> None:
    written = past(tmp_path, 3, RESERVE_BYTES + 10_000)
    evidence = tmp_path / "evidence.broken"
    evidence.write_bytes((tmp_path / segment_name(1)).read_bytes())
    assert list(read_segment(DISK, evidence)) == numbered(written)
    evidence.write_bytes(gzip.compress(evidence.read_bytes()))
    assert list(read_segment(DISK, evidence)) == numbered(written)


@given(st.binary(max_size=300))
def test_rubbish_has_no_facts_and_says_so(data: bytes) -> None:
    with TemporaryDirectory() as name:
        file = Path(name) / "rubbish"
        file.write_bytes(data)
        with pytest.raises(JournalDamaged, match="at byte 0"):
            list(read_segment(DISK, file))
