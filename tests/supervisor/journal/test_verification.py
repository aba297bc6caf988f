"""Verifying finds what is wrong, says where and what to do, and changes nothing."""

import gzip
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from riskd.actors.messages import ActorSilent, Recorded
from riskd.adapters.disk import SystemDisk
from riskd.supervisor.journal import verification
from riskd.supervisor.journal.errors import JournalError
from riskd.supervisor.journal.files import ARCHIVE, archived_name, segment_firsts, segment_name
from riskd.supervisor.journal.format import HEADER_BYTES, SEAL, framed_bytes
from riskd.supervisor.journal.journal import RESERVE_BYTES, Journal, open_journal
from riskd.supervisor.journal.opening import survey
from riskd.supervisor.journal.reader import TooOld
from riskd.supervisor.journal.snapshots import Snapshot, save, snapshot_name
from riskd.supervisor.journal.verification import (
    COPY,
    OTHER_VERSION,
    REPAIRED,
    RESTORE,
    UNREADABLE_LISTED_MAX,
    Found,
    Head,
    newest_lsn,
    verify,
)

DISK = SystemDisk()
BOOT = "boot-1"
AT = datetime(2026, 11, 21, 12, tzinfo=UTC)


def fact(lsn: int, words: str = "a fact") -> bytes:
    silent = ActorSilent(actor=words, deadline_s=1.5)
    return msgspec.json.encode(Recorded(lsn=lsn, at=AT, monotonic_s=0.5, fact=silent))


FRAME_BYTES = framed_bytes(len(fact(10)))
ROOM = RESERVE_BYTES + HEADER_BYTES + 7 * FRAME_BYTES


def opened(directory: Path) -> Journal:
    found = survey(DISK, directory, BOOT)
    for _ in found.facts():
        pass
    return open_journal(found, ROOM)


def keep(directory: Path, payloads: Iterable[bytes]) -> Head:
    """Add these; the head that the writer has then."""
    journal = opened(directory)
    for payload in payloads:
        journal.append([payload])
    journal.sync().run()
    journal.close()
    return Head(journal.lsn, journal.head)


def grow(directory: Path, count: int, words: str = "a fact") -> Head:
    """Add so many facts."""
    journal = opened(directory)
    journal.close()
    return keep(directory, (fact(journal.lsn + 1 + n, words) for n in range(count)))


def live(directory: Path) -> list[int]:
    return segment_firsts(DISK.names(directory))


def archive(directory: Path, first: int) -> None:
    segment = directory / segment_name(first)
    (directory / ARCHIVE).mkdir(exist_ok=True)
    path = directory / ARCHIVE / archived_name(first)
    path.write_bytes(gzip.compress(segment.read_bytes(), 1))
    segment.unlink()


def content(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def verified(directory: Path, noted: Head | None = None, boot: str = BOOT) -> Found:
    before = content(directory)
    found = verify(DISK, directory, boot, noted=noted)
    assert content(directory) == before
    return found


def is_faulted(directory: Path) -> bool:
    try:
        return bool(verified(directory).problems)
    except JournalError:
        return True  # the version is another one by that bit


def places(found: Found) -> list[tuple[str, int]]:
    return [(problem.path.name, problem.lsn) for problem in found.problems]


def test_a_sound_journal_has_no_problem_and_the_writers_head(tmp_path: Path) -> None:
    head = grow(tmp_path, 30)
    archive(tmp_path, 1)
    found = verified(tmp_path)
    assert found.problems == []
    assert found.head == head
    assert (found.oldest_lsn, found.facts) == (1, 30)
    assert found.segments == len(live(tmp_path)) + 1
    assert newest_lsn(DISK, tmp_path) == 30


def test_every_head_that_was_ever_noted_is_still_right(tmp_path: Path) -> None:
    heads = [grow(tmp_path, 1) for _ in range(20)]
    assert len(live(tmp_path)) > 2
    archive(tmp_path, 1)
    for head in heads:
        assert verified(tmp_path, head).problems == []
        wrong = Head(head.lsn, "0" * 64)
        assert places(verified(tmp_path, wrong)) == [(tmp_path.name, head.lsn)]


def test_the_head_of_a_segment_without_a_fact_counts(tmp_path: Path) -> None:
    head = grow(tmp_path, 3)
    journal = opened(tmp_path)
    journal._roll()
    journal.close()
    rolled = Head(3, journal.head)
    assert rolled != head
    assert verified(tmp_path, head).problems == []
    assert verified(tmp_path, rolled).problems == []


def test_a_head_of_facts_that_are_gone_proves_nothing(tmp_path: Path) -> None:
    head = grow(tmp_path, 2)
    grow(tmp_path, 20)
    (tmp_path / segment_name(1)).unlink()
    assert verified(tmp_path).problems == []
    with pytest.raises(TooOld):
        verified(tmp_path, head)
    beyond = Head(99, head.digest)
    assert places(verified(tmp_path, beyond)) == [(tmp_path.name, 99)]


@settings(max_examples=80, deadline=None)
@given(data=st.data(), bit=st.integers(0, 7))
def test_no_changed_bit_of_a_sealed_segment_is_missed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, bit: int
) -> None:
    directory = tmp_path_factory.mktemp("journal")
    grow(directory, 16)
    path = directory / segment_name(data.draw(st.sampled_from(live(directory)[:-1])))
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << bit
    path.write_bytes(content)
    assert is_faulted(directory)


def test_each_problem_is_told_and_not_only_the_first(tmp_path: Path) -> None:
    grow(tmp_path, 40)
    _, second, third, _, fifth, sixth, *_ = live(tmp_path)
    for first in (second, fifth):
        path = tmp_path / segment_name(first)
        data = bytearray(path.read_bytes())
        data[HEADER_BYTES + 30] ^= 4
        path.write_bytes(data)
    found = verified(tmp_path)
    assert places(found) == [(segment_name(second), second), (segment_name(fifth), fifth)]
    assert all(problem.offset == HEADER_BYTES for problem in found.problems)
    (tmp_path / segment_name(third)).unlink()
    (tmp_path / segment_name(sixth)).unlink()
    assert len(verified(tmp_path).problems) == 2


def test_a_missing_segment_is_named_by_its_facts(tmp_path: Path) -> None:
    grow(tmp_path, 20)
    _, second, third, *_ = live(tmp_path)
    (tmp_path / segment_name(second)).unlink()
    (problem,) = verified(tmp_path).problems
    assert f"from {second} to {third - 1} are missing" in problem.what


def test_a_segment_that_was_rewritten_with_care_is_found_by_the_next(tmp_path: Path) -> None:
    real, forged = tmp_path / "real", tmp_path / "forged"
    real.mkdir()
    forged.mkdir()
    grow(real, 20)
    grow(forged, 20, "a lie!")
    first, second, *_ = live(real)
    (real / segment_name(first)).write_bytes((forged / segment_name(first)).read_bytes())
    (problem,) = verified(real).problems
    assert (problem.lsn, problem.offset) == (second, 32)


def test_a_torn_end_is_said_to_be_repaired_by_riskd(tmp_path: Path) -> None:
    grow(tmp_path, 4)
    path = tmp_path / segment_name(live(tmp_path)[-1])
    data = path.read_bytes()
    end = len(data.rstrip(b"\0"))
    path.write_bytes(data[: end - 4] + bytes(len(data) - end + 4))
    (problem,) = verified(tmp_path).problems
    assert (problem.lsn, problem.remedy) == (4, REPAIRED)
    assert "the last write was cut short" in problem.what


def test_snapshots_are_checked_against_the_facts(tmp_path: Path) -> None:
    grow(tmp_path, 10)
    journal = opened(tmp_path)
    save(DISK, tmp_path, Snapshot(10, journal.checksum, [b"{}"]))
    journal.close()
    assert verified(tmp_path).problems == []
    assert verified(tmp_path).snapshots == 1
    save(DISK, tmp_path, Snapshot(7, journal.checksum, [b"{}"]))
    save(DISK, tmp_path, Snapshot(11, journal.checksum, [b"{}"]))
    (tmp_path / snapshot_name(3)).write_bytes(b"rubbish")
    told = {problem.lsn: problem.what for problem in verified(tmp_path).problems}
    assert told == {
        11: "there is no such fact",
        7: "it is of another history",
        3: "it is cut off",
    }


def test_a_missing_last_segment_is_named(tmp_path: Path) -> None:
    grow(tmp_path, 40)
    gone = live(tmp_path)[-1]
    (tmp_path / segment_name(gone)).unlink()
    (problem,) = verified(tmp_path).problems
    assert (problem.path.name, problem.lsn) == (segment_name(gone), gone)
    assert "it is missing" in problem.what


@pytest.mark.parametrize("kept", range(len(SEAL) + 1))
def test_a_seal_that_a_crash_has_cut_is_no_problem_before_a_successor(
    tmp_path: Path, kept: int
) -> None:
    grow(tmp_path, 40)
    first, *_, before, last = live(tmp_path)
    for each in (first, before):
        path = tmp_path / segment_name(each)
        data = path.read_bytes().removesuffix(SEAL)
        path.write_bytes(data + SEAL[:kept] + bytes(1_000))
    assert verified(tmp_path).problems == []
    (tmp_path / segment_name(last)).unlink()
    assert kept == 0 or len(verified(tmp_path).problems) == 1


def test_what_is_written_meanwhile_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the end of the walk and the look behind it."""
    journal = opened(tmp_path)
    journal.append([fact(1)])
    look, left = verification._what_follows, [3]

    def writing(walk: Any, frames: Any) -> str:
        if left[0]:
            left[0] -= 1
            journal.append([fact(journal.lsn + 1)])
        return look(walk, frames)

    monkeypatch.setattr(verification, "_what_follows", writing)
    found = verify(DISK, tmp_path, BOOT)
    journal.close()
    assert (found.problems, found.facts) == ([], 4)


# --- what a start cuts off ------------------------------------------------------------------------


@pytest.mark.parametrize("is_zeroed", [True, False])
@pytest.mark.parametrize("boot", [BOOT, "boot-2"])
def test_the_lost_end_of_a_sealed_segment_is_named_with_what_a_start_does(
    tmp_path: Path, is_zeroed: bool, boot: str
) -> None:
    journal = opened(tmp_path)
    for lsn in range(1, 31):
        journal.append([fact(lsn)])  # nothing of it is known to be safe
    journal.close()
    _, second, third, *_ = live(tmp_path)
    places = []
    for first, lsn in ((second, third - 1), (third, third)):
        path = tmp_path / segment_name(first)
        data = bytearray(path.read_bytes())
        at = data.index(fact(lsn)) - 24
        places.append((path, at, lsn))
        data[at : at + FRAME_BYTES] = bytes(FRAME_BYTES)
        data[at + 30 : at + 31] = b"\0" if is_zeroed else b"x"
        path.write_bytes(data)
    problems = verified(tmp_path, boot=boot).problems
    assert [(each.path, each.offset, each.lsn) for each in problems] == places
    remedy = RESTORE if boot == BOOT else REPAIRED
    assert {each.remedy for each in problems} == {remedy}


# --- what is whole and no fact of this version ----------------------------------------------------

UNKNOWN = fact(6).replace(b"actor_silent", b"order_moved")
ALTERED = fact(6).replace(b"deadline_s", b"deadline")


@pytest.mark.parametrize("is_archived", [False, True])
@pytest.mark.parametrize(
    ("payload", "what", "remedy"),
    [
        (UNKNOWN, "knows no fact 'order_moved'", OTHER_VERSION),
        (ALTERED, "'actor_silent': Object missing required field `deadline_s`", OTHER_VERSION),
        (fact(5), "it says that it is fact 5", COPY),
        (b"a fact", "no fact is in it", COPY),
        (b"\xff", "no fact is in it", COPY),
    ],
)
def test_a_whole_frame_without_a_fact_of_this_version_is_a_problem(
    tmp_path: Path, payload: bytes, what: str, remedy: str, is_archived: bool
) -> None:
    head = keep(tmp_path, [*map(fact, range(1, 6)), payload, *map(fact, range(7, 31))])
    path = tmp_path / segment_name(1)
    if is_archived:
        archive(tmp_path, 1)
        path = tmp_path / ARCHIVE / archived_name(1)
    found = verified(tmp_path, head)
    (problem,) = found.problems
    assert (problem.path, problem.lsn, problem.remedy) == (path, 6, remedy)
    assert problem.offset == HEADER_BYTES + sum(framed_bytes(len(fact(n))) for n in range(1, 6))
    assert what in problem.what
    assert (found.facts, found.head, found.more) == (30, head, 0)


def test_a_long_name_of_a_fact_is_told_in_part(tmp_path: Path) -> None:
    keep(tmp_path, [fact(1).replace(b"actor_silent", b"x" * 500)])
    (problem,) = verified(tmp_path).problems
    assert "x" * 100 in problem.what
    assert len(problem.what) < 300


def test_damage_is_listed_however_many_facts_this_version_cannot_read(tmp_path: Path) -> None:
    count = UNREADABLE_LISTED_MAX + 30
    keep(tmp_path, (fact(lsn).replace(b"actor_silent", b"order_moved") for lsn in range(count)))
    newest = live(tmp_path)[-1]
    path = tmp_path / segment_name(newest)
    path.write_bytes(bytes(HEADER_BYTES) + path.read_bytes()[HEADER_BYTES:])
    found = verified(tmp_path)
    assert places(found)[0] == (path.name, newest)
    unreadable = [problem.lsn for problem in found.problems[1:]]
    assert unreadable == list(range(1, UNREADABLE_LISTED_MAX + 1))
    assert found.more == newest - 1 - UNREADABLE_LISTED_MAX > 0


# --- what is in a file's place --------------------------------------------------------------------


@pytest.mark.parametrize("name", [segment_name(1), snapshot_name(2)])
def test_what_is_no_file_is_said_to_be_none(tmp_path: Path, name: str) -> None:
    grow(tmp_path, 4)
    path = tmp_path / name
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    (problem,) = verify(DISK, tmp_path, BOOT).problems
    assert (problem.path, problem.what) == (path, "it is not a file")
    assert problem.remedy == "put the file itself in its place"
    path.unlink()
    path.mkdir()
    assert verify(DISK, tmp_path, BOOT).problems == [problem]


@pytest.mark.parametrize("name", [segment_name(1), snapshot_name(2)])
def test_a_link_is_said_not_to_be_followed(tmp_path: Path, name: str) -> None:
    grow(tmp_path, 4)
    path = tmp_path / name
    path.unlink(missing_ok=True)
    path.symlink_to("elsewhere")
    (problem,) = verified(tmp_path).problems
    assert (problem.path, problem.what) == (path, "it is a link, and none is followed")
