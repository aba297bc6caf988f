"""Looking for all that is wrong with a journal, and for nothing else: it changes nothing.

Recovery stops at the first damage, because riskd may not start with one. Here the walk goes on in
the next segment, so that whoever has to decide sees all of it. A riskd that writes meanwhile does
no harm: what it has not finished is looked at twice.
"""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs
import msgspec

from ...actors.core.selection import FACT_TAGS
from ...actors.messages import Recorded
from ...actors.ports import Disk
from .errors import JournalDamaged, JournalError
from .files import ARCHIVE, archived_name, names_in, segment_name
from .format import Frames, Header, HeaderFault, debris, framed_bytes
from .opening import Repair, survey
from .reader import TooOld, Walk, kept_segments, open_source, read_header, why_unread
from .snapshots import SnapshotUnusable, load, snapshot_lsns, snapshot_name

COPY = "restore it from a copy"
RESTORE = "restore it from a copy, or give up what is from there on with `riskctl journal repair`"
REPAIRED = "riskd cuts it off at its next start, and keeps it beside the journal"
REMOVE = "remove it: riskd starts from the one before, or from the facts"
OTHER_VERSION = "start the riskd that wrote it, or a newer one"
DISTRUST = "facts were changed or replaced since it was noted: compare with a copy"
UNREADABLE_LISTED_MAX = 100
"""An older riskd may find millions of facts that it doesn't know, and nobody reads on."""
_CHARACTERS_SHOWN = 200
_CHECKSUM_BYTES = 4
LOOKS_MAX = 100
"""At the end of a journal that is being written. A writer that stays ahead so long is alive."""


@attrs.frozen
class Problem:
    """One thing that is wrong, and what to do about it."""

    path: Path
    offset: int
    lsn: int
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}: at byte {self.offset}, fact {self.lsn}: {self.what}; {self.remedy}"


@attrs.frozen
class Head:
    """A journal up to one fact in 32 bytes: the SHA-256 of that fact's segment up to its frame.

    Each segment carries that of the one before, so that no fact behind a head can be changed
    without changing it."""

    lsn: int
    digest: str


@attrs.define
class Found:
    """What a verification saw."""

    problems: list[Problem] = attrs.field(factory=list)
    more: int = 0
    """Facts that can't be read, besides those among the problems."""
    head: Head | None = None
    oldest_lsn: int = 0
    facts: int = 0
    segments: int = 0
    snapshots: int = 0


@attrs.frozen
class _Before:
    """How the segment before the next one ended, when that is known."""

    path: Path
    first: int
    offset: int
    lsn: int
    digest: bytes


def verify(
    disk: Disk,
    directory: Path,
    boot: str,
    *,
    noted: Head | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> Found:
    """Walk everything. `noted`: a head of earlier, that history must still have.

    `boot`: which one this is, for it decides what a start repairs. `advance` is told each LSN that
    was reached. Raises JournalError for another version's journal.
    """
    return _Verification(disk, directory, boot, noted, advance).run()


@attrs.define
class _Verification:
    disk: Disk
    directory: Path
    boot: str
    noted: Head | None
    advance: Callable[[int], None]
    found: Found = attrs.field(factory=Found, init=False)
    _seen: set[str] = attrs.field(factory=set, init=False)
    """The digests that were met at the noted LSN: behind its frame, and at the start of the next
    segment, which has the same newest fact as long as it is empty."""
    _marks: dict[int, int | None] = attrs.field(factory=dict, init=False)
    """The frames of the facts that snapshots are of, by their checksums."""
    _unreadable: list[Problem] = attrs.field(factory=list, init=False)
    _decoder: msgspec.json.Decoder[Recorded] = attrs.field(
        factory=lambda: msgspec.json.Decoder(Recorded), init=False
    )

    def run(self) -> Found:
        self._marks = dict.fromkeys(snapshot_lsns(names_in(self.disk, self.directory)))
        firsts = kept_segments(self.disk, self.directory)
        self.found.oldest_lsn = firsts[0] if firsts else 0
        before: _Before | None = None
        for index, first in enumerate(firsts):
            before = self._segment(
                first, before, is_oldest=index == 0, is_newest=first == firsts[-1]
            )
            self.found.segments += 1
        self._snapshots(self._marks)
        self.found.problems += self._unreadable
        if self.found.problems:
            self._excuse(_cut_at_start(self.disk, self.directory, self.boot))
        self._compare()
        return self.found

    def _excuse(self, cut: Repair | None) -> None:
        """What riskd repairs by itself needs nobody's help: it cuts off all from there on."""
        for index, problem in enumerate(self.found.problems):
            if cut is not None and problem.lsn >= cut.lsn:
                self.found.problems[index] = attrs.evolve(problem, remedy=REPAIRED)

    def _problem(self, path: Path, offset: int, lsn: int, what: str, remedy: str = RESTORE) -> None:
        self.found.problems.append(Problem(path, offset, lsn, what, remedy))

    # --- one segment

    def _segment(
        self, first: int, before: _Before | None, *, is_oldest: bool, is_newest: bool
    ) -> _Before | None:
        path = self.directory / segment_name(first)
        try:
            try:
                source = open_source(self.disk, path)
            except FileNotFoundError:
                path = self.directory / ARCHIVE / archived_name(first)
                source = open_source(self.disk, path)
        except OSError as error:
            self._problem(path, 0, first, *why_unread(error, RESTORE))
            return None
        try:
            header = read_header(path, source, first)
            if isinstance(header, HeaderFault):
                self._problem(path, 0, first, f"its header {header.value}")
                return None
            self._link(path, header, before, is_oldest=is_oldest)
            return self._frames(Walk.begin(path, source, header), header, is_newest=is_newest)
        except JournalDamaged as damage:
            self._problem(path, damage.offset, damage.lsn, damage.what)
            return None
        except OSError as error:
            self._problem(path, 0, first, *why_unread(error, RESTORE))
            return None
        finally:
            source.close()

    def _link(self, path: Path, header: Header, before: _Before | None, *, is_oldest: bool) -> None:
        if before is None:
            if is_oldest and header.before == 0 and header.first != 1:
                self._problem(path, 24, header.first, "nothing should stand before it")
        elif header.before == before.first and header.first != before.lsn + 1:
            what = f"the segment ends too early: {segment_name(header.first)} comes next"
            self._problem(before.path, before.offset, before.lsn + 1, what)
        elif header.before != before.first:
            what = f"the facts from {before.lsn + 1} to {header.first - 1} are missing before it"
            self._problem(path, 0, before.lsn + 1, what)
        elif header.chain != before.digest:
            what = f"it does not continue {segment_name(before.first)}: one of them was rewritten"
            self._problem(path, 32, header.first, what)

    def _frames(self, walk: Walk, header: Header, *, is_newest: bool) -> _Before | None:
        digest = hashlib.sha256(header.encode())
        self._note(header.first - 1, digest)
        what, seen = "", 0
        for _ in range(LOOKS_MAX):
            while True:
                frames, facts = walk.piece()
                if not facts:
                    break
                self._take(frames, facts, digest)
                self._read(walk.path, walk.offset - frames.end, facts)
            self.found.head = Head(walk.lsn, digest.hexdigest())
            what = "" if self._is_sealed(walk, frames) else _what_follows(walk, frames)
            # A riskd that writes may have gone on since the end was reached. What is damage stays.
            if not what or walk.is_archived or not is_newest or walk.lsn == seen:
                break
            what, seen = "", walk.lsn
        if what:
            self._problem(walk.path, walk.offset, walk.lsn + 1, what)
            return None
        if is_newest and frames.is_sealed and not self._is_followed(walk.lsn + 1):
            path = self.directory / segment_name(walk.lsn + 1)
            self._problem(path, 0, walk.lsn + 1, "it is missing: the one before it is sealed")
        return _Before(walk.path, walk.first, walk.offset, walk.lsn, digest.digest())

    def _is_sealed(self, walk: Walk, frames: Frames) -> bool:
        return self._is_followed(walk.lsn + 1) and walk.is_at_seal(frames.reached)

    def _is_followed(self, lsn: int) -> bool:
        return lsn in kept_segments(self.disk, self.directory)

    def _take(
        self, frames: Frames, facts: list[tuple[int, memoryview]], digest: "hashlib._Hash"
    ) -> None:
        """Count and hash what one piece holds. The frames lie in it one behind the other."""
        last = facts[-1][0]
        begin = hashed = 0
        if self._is_wanted(facts[0][0], last):
            for lsn, payload in facts:
                end = begin + framed_bytes(len(payload))
                if lsn in self._marks:
                    mark = frames.data[begin : begin + _CHECKSUM_BYTES]
                    self._marks[lsn] = int.from_bytes(mark, "little")
                if self.noted is not None and lsn == self.noted.lsn:
                    digest.update(frames.data[hashed:end])
                    hashed = end
                    self._note(lsn, digest)
                begin = end
        digest.update(memoryview(frames.data)[hashed : frames.end])
        self.found.facts += len(facts)
        self.advance(last)

    def _read(self, path: Path, offset: int, facts: list[tuple[int, memoryview]]) -> None:
        """Is each a fact of this version, and the one that its frame says? A start reads them."""
        decode = self._decoder.decode
        for index, (lsn, payload) in enumerate(facts):
            try:
                named = decode(payload).lsn
                if named == lsn:
                    continue
                what, remedy = f"it says that it is fact {named}", COPY
            except ValueError as error:
                what, remedy = _unreadable(bytes(payload), error)
            if len(self._unreadable) == UNREADABLE_LISTED_MAX:
                self.found.more += 1
                continue
            begin = offset + sum(framed_bytes(len(before)) for _, before in facts[:index])
            self._unreadable.append(Problem(path, begin, lsn, what, remedy))

    def _is_wanted(self, first: int, last: int) -> bool:
        wanted = [*self._marks, *([self.noted.lsn] if self.noted else [])]
        return any(first <= lsn <= last for lsn in wanted)

    def _note(self, lsn: int, digest: "hashlib._Hash") -> None:
        if self.noted is not None and lsn == self.noted.lsn:
            self._seen.add(digest.hexdigest())

    # --- what stands beside

    def _snapshots(self, marks: Mapping[int, int | None]) -> None:
        for lsn, mark in marks.items():
            self.found.snapshots += 1
            path = self.directory / snapshot_name(lsn)
            try:
                snapshot = load(self.disk, self.directory, lsn)
            except SnapshotUnusable as error:
                cause = error.__cause__
                if isinstance(cause, OSError):
                    self._problem(path, 0, lsn, *why_unread(cause, REMOVE))
                else:
                    self._problem(path, 0, lsn, str(error), REMOVE)
                continue
            if mark is None and lsn >= self.found.oldest_lsn and not self.found.problems:
                self._problem(path, 16, lsn, "there is no such fact", REMOVE)
            elif mark is not None and mark != snapshot.frame:
                self._problem(path, 12, lsn, "it is of another history", REMOVE)

    def _compare(self) -> None:
        noted = self.noted
        if noted is None or noted.digest in self._seen:
            return
        if noted.lsn < self.found.oldest_lsn:
            raise TooOld(self.directory, noted.lsn, self.found.oldest_lsn)
        if self._seen:
            what = f"the head was {noted.digest} and is {min(self._seen)}"
        else:
            what = "the head was noted there, and the fact can't be found"
        self._problem(self.directory, 0, noted.lsn, what, DISTRUST)


def _what_follows(walk: Walk, frames: Frames) -> str:
    """What lies behind the last commit of a segment; empty when that is nothing but zeros."""
    if frames.is_sealed:
        return ""
    has_frames = has_bytes = False
    for data in walk.rest(frames.reached):
        has_bytes = has_bytes or bool(data.strip(b"\0"))
        has_frames = has_frames or any(debris(data, 0))
    what = f"the frame {frames.fault.value}" if frames.fault else "no frame is there"
    if has_frames:
        return f"{what}, and whole ones lie behind it"
    return f"{what}: the last write was cut short" if frames.fault or has_bytes else ""


class _Tag(msgspec.Struct):
    type: str


class _Tagged(msgspec.Struct):
    fact: _Tag


def _unreadable(payload: bytes, error: ValueError) -> tuple[str, str]:
    """What a whole frame holds that is no fact of this version, and what to do."""
    why = str(error)[:_CHARACTERS_SHOWN]
    try:
        tag = msgspec.json.decode(payload, type=_Tagged).fact.type
    except ValueError:
        return f"the frame is whole, and no fact is in it: {why}", COPY
    if tag in FACT_TAGS:
        return f"this riskd can't read this {tag!r}: {why}", OTHER_VERSION
    return f"this riskd knows no fact {tag[:_CHARACTERS_SHOWN]!r}", OTHER_VERSION


def _cut_at_start(disk: Disk, directory: Path, boot: str) -> Repair | None:
    """What the next start would cut off; None when it would refuse."""
    try:
        found = survey(disk, directory, boot)
        found.check()
    except (JournalError, OSError):
        return None
    return found.cut


def newest_lsn(disk: Disk, directory: Path) -> int:
    """How far a walk will come, roughly: for a progress bar. Looks at the last segment alone."""
    firsts = kept_segments(disk, directory)
    if not firsts:
        return 0
    try:
        source = open_source(disk, directory / segment_name(firsts[-1]))
    except OSError:
        return firsts[-1]
    try:
        header = read_header(directory, source)
        if isinstance(header, HeaderFault):
            return firsts[-1]
        walk = Walk.begin(directory, source, header)
        while walk.piece()[1]:
            pass
    except (JournalError, OSError):
        return firsts[-1]
    finally:
        source.close()
    return walk.lsn
