"""A journal of two segments, cut at every byte, and with every bit flipped that it uses.

What must come of it is derived here once more from the recovery table, from where each frame lies
and what it knew: facts up to some number and the rest kept as evidence, or a refusal that names the
place and has changed nothing.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import attrs
import pytest
from riskd.adapters.simulated_disk import SimulatedDisk
from riskd.supervisor.journal import (
    JournalDamaged,
    JournalError,
    Judgement,
    Repair,
    open_journal,
    repair,
    survey,
)
from riskd.supervisor.journal.format import HEADER_BYTES
from riskd.supervisor.journal.journal import RESERVE_BYTES

DIRECTORY = Path("/state/journal")
COMMITS = ((b"first",), (b"2nd",), (b"the third",), (b"4, of two", b"5"), (b"6",), (b"7", b"8th"))
FACTS = tuple(payload for commit in COMMITS for payload in commit)
IN_FIRST = 5
"""Facts in the first segment."""
ONE, TWO = f"{1:020}.log", f"{IN_FIRST + 1:020}.log"
REMEDIES = ("riskctl journal verify", "restore", "riskctl journal repair")

Image = dict[str, bytes]


@attrs.frozen
class Frame:
    """Where a fact lies, with whom it was written, and how far the log was safe by then."""

    lsn: int
    file: str
    start: int
    end: int
    commit_lsn: int
    commit_start: int
    safe_lsn: int


@attrs.frozen
class Written:
    """The files of a journal of boot "a", and what is where in them."""

    image: Image
    frames: tuple[Frame, ...]

    def end(self, file: str) -> int:
        return max(frame.end for frame in self.frames if frame.file == file)


def frames_of(safe: dict[int, int]) -> Iterator[Frame]:
    """From the sizes alone: 24 bytes and the payload, to the next multiple of 8."""
    lsn, offset = 0, HEADER_BYTES
    for commit in COMMITS:
        if lsn == IN_FIRST:
            offset = HEADER_BYTES
        first, start, safe_lsn = lsn + 1, offset, max(v for k, v in safe.items() if k <= lsn)
        for payload in commit:
            lsn += 1
            end = offset + (24 + len(payload) + 7) // 8 * 8
            file = ONE if lsn <= IN_FIRST else TWO
            yield Frame(lsn, file, offset, end, first, start, safe_lsn)
            offset = end


def image_of(disk: SimulatedDisk) -> Image:
    image = {}
    for name in disk.names(DIRECTORY):
        file = disk.open(DIRECTORY / name)
        image[name] = file.read(0, file.size())
        file.close()
    return image


def disk_of(image: Image) -> SimulatedDisk:
    disk = SimulatedDisk(1)
    disk.make_directory(DIRECTORY)
    for name, data in image.items():
        file = disk.create(DIRECTORY / name, len(data))
        file.write(0, data)
        file.close()
    return disk


def write(*, synced_at: tuple[int, ...]) -> Written:
    """The journal, synced when it has so many facts and never again."""
    safe = {0: 0} | {lsn: lsn for lsn in synced_at}
    frames = tuple(frames_of(safe))
    size = RESERVE_BYTES + max(frame.end for frame in frames if frame.file == ONE)
    disk = SimulatedDisk(1)
    disk.make_directory(DIRECTORY)
    found = survey(disk, DIRECTORY, "a")
    assert list(found.facts()) == []
    journal = open_journal(found, size)
    for commit in COMMITS:
        journal.append(commit)
        if journal.lsn in synced_at:
            trip = journal.sync()
            trip.run()
            journal.synced(trip)
    journal.close()
    image = image_of(disk)
    assert sorted(image) == [ONE, TWO]
    return Written(image, frames)


JOURNALS = {
    "nothing was safe": write(synced_at=()),
    "two facts were safe": write(synced_at=(2,)),
    "the first segment was safe": write(synced_at=(IN_FIRST,)),
    "the first segment was sealed": write(synced_at=(6,)),
}


@attrs.frozen
class Outcome:
    """What a start makes of it."""

    judgement: Judgement
    file: str = ""
    offset: int = 0
    lsn: int = len(FACTS) + 1


CLEAN = Outcome(Judgement.END)


def start(image: Image, boot: str) -> tuple[Outcome, Image]:
    """Open it, and see that all that was promised holds. What is on the disk afterwards, too."""
    disk = disk_of(image)
    found = survey(disk, DIRECTORY, boot)
    facts: list[bytes] = []
    damage: JournalDamaged | None = None
    try:
        facts.extend(bytes(payload) for _, payload in found.facts())
    except JournalDamaged as error:
        damage = error
    assert image_of(disk) == image, "reading changes nothing"
    if damage is not None:
        assert any(remedy in str(damage) for remedy in REMEDIES)
        assert f"{damage.path}: at byte {damage.offset}, fact {damage.lsn}: " in str(damage)
        refused = Outcome(Judgement.DAMAGED, damage.path.name, damage.offset, damage.lsn)
        return refused, image
    done = repair(found)
    journal = open_journal(found, RESERVE_BYTES + 4096)
    assert journal.append([b"next"]) == len(facts) + 1
    journal.close()
    after = survey(disk, DIRECTORY, boot)
    assert [bytes(payload) for _, payload in after.facts()] == [*facts, b"next"]
    assert after.cut is None, "what was repaired needs no repair"
    assert facts == list(FACTS[: len(facts)])
    outcome = Outcome(Judgement.END, lsn=len(facts) + 1) if done is None else outcome_of(done)
    assert outcome.lsn == len(facts) + 1
    return outcome, image_of(disk)


def outcome_of(done: Repair) -> Outcome:
    return Outcome(done.judgement, done.path.name, done.offset, done.lsn)


def check(image: Image, boot: str, expected: Outcome) -> None:
    outcome, after = start(image, boot)
    assert outcome == expected
    evidence = {name: data for name, data in after.items() if name.endswith(".broken")}
    if expected.judgement in (Judgement.TORN, Judgement.LOST):
        cut = [expected.file]
        if expected.file == ONE:
            cut.append(TWO)
        assert evidence == {f"{name}.1.broken": image[name] for name in cut if name in image}
    else:
        assert evidence == {}


def unreadable_frame(
    written: Written, frame: Frame, behind: list[Frame], boot: Literal["a", "b"]
) -> Outcome:
    """The table: this frame is none, and those behind it are whole."""
    if not behind:
        judgement = Judgement.TORN
    elif boot == "b" and all(later.safe_lsn < frame.commit_lsn for later in behind):
        judgement = Judgement.LOST
    else:
        judgement = Judgement.DAMAGED
    return Outcome(judgement, frame.file, frame.commit_start, frame.commit_lsn)


def unreadable_header(written: Written, file: str, boot: Literal["a", "b"]) -> Outcome:
    behind = [frame for frame in written.frames if frame.file == TWO]
    is_lost = boot == "b" and all(frame.safe_lsn <= IN_FIRST for frame in behind)
    if file == TWO and is_lost:
        return Outcome(Judgement.LOST, TWO, 0, IN_FIRST + 1)
    return Outcome(Judgement.DAMAGED, file, 0, 1 if file == ONE else IN_FIRST + 1)


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.fixture(params=JOURNALS)
def written(request: pytest.FixtureRequest) -> Written:
    return JOURNALS[request.param]


@pytest.fixture(params=["a", "b"], ids=["same boot", "later boot"])
def boot(request: pytest.FixtureRequest) -> Literal["a", "b"]:
    chosen: Literal["a", "b"] = request.param
    return chosen


def test_what_is_whole_is_read_whole(written: Written, boot: Literal["a", "b"]) -> None:
    check(written.image, boot, CLEAN)


def test_every_flipped_bit_of_a_frame_is_found_and_done_about(
    written: Written, boot: Literal["a", "b"]
) -> None:
    for number, frame in enumerate(written.frames):
        expected = unreadable_frame(written, frame, list(written.frames[number + 1 :]), boot)
        for bit in range(frame.start * 8, frame.end * 8):
            damaged = flipped(written.image[frame.file], bit)
            check({**written.image, frame.file: damaged}, boot, expected)


@pytest.mark.parametrize("file", [ONE, TWO])
def test_every_flipped_bit_of_a_header_is_found_and_done_about(
    written: Written, boot: Literal["a", "b"], file: str
) -> None:
    expected = unreadable_header(written, file, boot)
    for bit in range(HEADER_BYTES * 8):
        image = {**written.image, file: flipped(written.image[file], bit)}
        if 64 < bit < 96:
            check_version_refused(image, boot)
        else:
            check(image, boot, expected)


def check_version_refused(image: Image, boot: str) -> None:
    """A turned bit of the version may be another riskd's: it is refused, and both are named."""
    disk = disk_of(image)
    found = survey(disk, DIRECTORY, boot)
    with pytest.raises(JournalError, match=r"at byte 8: .* in version \d+ .* reads version 1;"):
        list(found.facts())
    assert image_of(disk) == image


@pytest.mark.parametrize("file", [ONE, TWO])
def test_bits_behind_the_last_frame_are_no_facts_and_stay_as_evidence(
    written: Written, boot: Literal["a", "b"], file: str
) -> None:
    end, size = written.end(file), len(written.image[file])
    behind = [frame for frame in written.frames if frame.file == TWO] if file == ONE else []
    lsn = IN_FIRST + 1 if file == ONE else len(FACTS) + 1
    place = Frame(lsn, file, end, end, lsn, end, 0)
    expected = unreadable_frame(written, place, behind, boot)
    for bit in [*range(end * 8, min(end + 40, size) * 8), size * 8 - 1]:
        if bit // 8 >= end:
            check(
                {**written.image, file: flipped(written.image[file], bit)},
                boot,
                expected,
            )


@pytest.mark.parametrize("file", [ONE, TWO])
@pytest.mark.parametrize("kind", ["cut", "zeroed"])
def test_every_byte_is_a_place_to_end_at(
    written: Written, boot: Literal["a", "b"], file: str, kind: str
) -> None:
    data = written.image[file]
    for length in range(written.end(file) + 2):
        damaged = data[:length] if kind == "cut" else data[:length].ljust(len(data), b"\0")
        check(
            {**written.image, file: damaged},
            boot,
            ends_early(written, file, damaged, boot),
        )


def ends_early(written: Written, file: str, data: bytes, boot: Literal["a", "b"]) -> Outcome:
    """The table: these bytes are what is left of the file, and zeros or nothing come behind."""
    original = written.image[file]
    if data[:HEADER_BYTES] != original[:HEADER_BYTES]:
        if file == TWO:
            return Outcome(Judgement.TORN, TWO, 0, IN_FIRST + 1)
        return Outcome(Judgement.DAMAGED, ONE, 0, 1)
    mine = [frame for frame in written.frames if frame.file == file]
    gone = [frame for frame in mine if data[: frame.end] != original[: frame.end]]
    if not gone:
        return CLEAN
    later = [frame for frame in written.frames if frame.file > file]
    outcome = unreadable_frame(written, gone[0], later, boot)
    if outcome.judgement is Judgement.TORN and not data[outcome.offset :].strip(b"\0"):
        return Outcome(Judgement.END, lsn=outcome.lsn)
    return outcome
