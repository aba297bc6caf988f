"""Reading a journal from its first needed fact to its end, and finding out what is wrong with it.

`survey` looks at names and headers; `Survey.facts` then walks the frames, one segment in memory at
a time. Neither changes anything on the disk. When the walk is over the survey knows where the log
ends and what has to be repaired; `repair` does that, and keeps the evidence.

A segment that no fact is needed of is still checked whole, against the SHA-256 that the next one
carries: that costs a hundredth of what its facts would, and rot is found before the need is.
"""

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import attrs

from ...actors.ports import Disk
from .errors import JournalDamaged, JournalError
from .files import (
    ARCHIVE,
    archived_firsts,
    archived_name,
    names_in,
    read_whole,
    segment_firsts,
    segment_name,
)
from .format import (
    HEADER_BYTES,
    SEAL,
    VERSION,
    Debris,
    Frames,
    Header,
    HeaderFault,
    boot_mark,
    debris,
    decode_header,
    framed_bytes,
    version_of,
)
from .reader import why_unread
from .recovery import Judgement, judge_frame, judge_header
from .snapshots import Snapshot, SnapshotUnusable, load, snapshot_lsns

VERIFY = (
    "look at it with `riskctl journal verify`, then restore the journal from a copy, or give up"
)
REMEDY = f"{VERIFY} what is behind the damage with `riskctl journal repair`"
RESTORE = "restore it from a copy"


@attrs.frozen
class Segment:
    """A file of the journal: live, or archived."""

    first: int
    path: Path
    header: Header | HeaderFault
    is_archived: bool = False


@attrs.frozen
class Repair:
    """What has to be cut off, and why."""

    path: Path
    lsn: int
    offset: int
    lost_bytes: int
    judgement: Judgement


@attrs.frozen
class End:
    """Where the log ends: behind which fact, in which file."""

    lsn: int
    offset: int
    checksum: int
    """What the next frame names as its previous."""
    newest: int
    """The checksum of the last frame; 0: it was not read, or there is none."""
    segment: Segment | None
    digest: "hashlib._Hash" = attrs.field(repr=False, factory=hashlib.sha256)
    """Of the segment up to its end. It goes on from here."""


@attrs.define(eq=False)
class Survey:
    """What was found. Walk it once with `facts`, then ask for `end` and `cut`."""

    disk: Disk
    directory: Path
    boot: bytes
    segments: tuple[Segment, ...]
    snapshots: tuple[int, ...]
    """The LSNs of the snapshots, newest first; not yet read."""
    end: End | None = attrs.field(default=None, init=False)
    """None until the walk is over."""
    cut: Repair | None = attrs.field(default=None, init=False)
    """What has to be cut off before the journal can go on."""

    path: Path = attrs.field(default=Path(), init=False)
    """Where the fact that was given last lies."""
    _frames: Frames | None = attrs.field(default=None, init=False)

    def offset_of(self, payload: bytes | memoryview) -> int:
        """Where in `path` the frame of the fact that was given last begins; of a commit of several,
        roughly."""
        assert self._frames is not None, "one was given"
        return self._frames.end - framed_bytes(len(payload))

    @property
    def oldest_lsn(self) -> int:
        """The first fact that is still there."""
        return self.segments[0].first if self.segments else 1

    def facts(self, after: Snapshot | None = None) -> Iterator[tuple[int, memoryview]]:
        """The facts behind a snapshot, or all, in order.

        Raises JournalDamaged where the journal is, and changes nothing. Raises SnapshotUnusable
        before the first fact when the snapshot is of another history."""
        begin = 0 if after is None else after.lsn
        if begin + 1 < self.oldest_lsn:
            raise JournalError(
                f"{self.directory}: the facts before {self.oldest_lsn} are gone and fact "
                f"{begin + 1} is needed; {RESTORE}, with its snapshots"
            )
        yield from self._walk(begin, after)

    def check(self) -> None:
        """Walk every frame that is there, for what it is worth. Raises JournalDamaged."""
        for _ in self._walk(0, None):
            pass

    def _walk(self, begin: int, after: Snapshot | None) -> Iterator[tuple[int, memoryview]]:
        self._expect_all()
        end = End(0, 0, 0, 0, None)
        for index, segment in enumerate(self.segments):
            header = segment.header
            data = self._read(segment)
            if isinstance(header, HeaderFault):
                self._judge_header(index, header, data)
                break
            self._link(index, header, end.digest.digest())
            whole = self._known_good(index, data, begin)
            if whole is not None:
                end = whole
                continue
            frames = Frames.of(header, data)
            self.path, self._frames = segment.path, frames
            if segment.first > begin:
                yield from frames
            else:
                yield from _behind(frames, begin, after)
            digest = hashlib.sha256(memoryview(data)[: frames.end])
            newest = frames.checksum if frames.lsn >= header.first else end.newest
            end = End(frames.lsn, frames.end, frames.checksum, newest, segment, digest)
            if self._judge(index, frames):
                break
        self._finish(end, begin)

    def _known_good(self, index: int, data: bytes, begin: int) -> End | None:
        """The end of a segment of which no fact is needed and which is as the next one says."""
        if index + 1 == len(self.segments):
            return None
        segment, following = self.segments[index : index + 2]
        data = data.removesuffix(SEAL)
        last, chain = following.first - 1, following.header
        if last >= begin or not isinstance(chain, Header):
            return None
        digest = hashlib.sha256(data)
        if digest.digest() != chain.chain:
            return None
        return End(last, len(data), 0, 0, segment, digest)

    # --- one segment

    def _read(self, segment: Segment) -> bytes:
        try:
            data = read_whole(self.disk, segment.path)
            return gzip.decompress(data) if segment.is_archived else data
        except (OSError, EOFError, zlib.error) as error:
            raise _not_read(segment.path, segment.first, error) from error

    def _link(self, index: int, header: Header, digest: bytes) -> None:
        """Does this segment continue the one before? The frames say so too; this says it earlier,
        and of segments whose frames nobody has read."""
        segment = self.segments[index]
        if header.first != segment.first:
            raise JournalDamaged(
                segment.path,
                f"its header says that it begins with fact {header.first}",
                "give it its name back, or " + RESTORE,
                offset=16,
                lsn=segment.first,
            )
        if index and header.chain != digest:
            before = self.segments[index - 1].path.name
            raise JournalDamaged(
                segment.path,
                f"it does not continue {before}: one of them was rewritten",
                REMEDY,
                offset=32,
                lsn=segment.first,
            )

    def _expect_all(self) -> None:
        """Each segment names the one before: none is missing, whatever lies in them."""
        for segment, following in pairwise(self.segments):
            header = following.header
            if isinstance(header, Header) and header.before != segment.first:
                raise JournalDamaged(
                    self.directory / segment_name(header.before),
                    f"this segment is missing, between {segment.path.name} and "
                    f"{following.path.name}",
                    REMEDY,
                    offset=0,
                    lsn=header.before,
                )

    def _judge_header(self, index: int, fault: HeaderFault, data: bytes) -> None:
        segment = self.segments[index]
        if fault is HeaderFault.VERSION:
            raise JournalError(
                f"{segment.path}: at byte 8: written in version {version_of(data)} of the "
                f"journal's format, and this riskd reads version {VERSION}; start the riskd that "
                f"wrote it, or move the journal away"
            )
        judgement = judge_header(
            fault,
            segment.first,
            [*debris(data, HEADER_BYTES), *self._debris_behind(index)],
            began=bool(data[HEADER_BYTES:].strip(b"\0")) or index + 1 < len(self.segments),
            is_only=index == 0,
            rebooted=self._rebooted(index - 1),
        )
        if judgement is Judgement.DAMAGED:
            raise JournalDamaged(
                segment.path, f"its header {fault.value}", REMEDY, offset=0, lsn=segment.first
            )
        self.cut = Repair(segment.path, segment.first, 0, len(data), judgement)

    def _judge(self, index: int, frames: Frames) -> bool:
        """Is this where the journal ends? Raises JournalDamaged when it may not be."""
        segment, data, missing = self.segments[index], frames.data, frames.lsn + 1
        following = self.segments[index + 1 :]
        if following and following[0].first == missing:
            # What a power cut left of a seal is none, and the successor proves what it should.
            rest = data[frames.reached :].rstrip(b"\0")
            if frames.fault is None or SEAL.startswith(rest):
                return False
        if frames.is_sealed and not following:
            raise JournalDamaged(
                self.directory / segment_name(missing),
                f"this segment is missing: {segment.path.name} is sealed, and so not the last",
                REMEDY,
                offset=0,
                lsn=missing,
            )
        behind = [*debris(data, frames.reached), *self._debris_behind(index)]
        judgement = judge_frame(frames.fault, missing, behind, rebooted=self._rebooted(index))
        if following and judgement in (Judgement.END, Judgement.TORN):
            judgement = Judgement.LOST if self._rebooted(index) else Judgement.DAMAGED
        if judgement is Judgement.DAMAGED:
            raise JournalDamaged(
                segment.path, self._what(index, frames), REMEDY, offset=frames.end, lsn=missing
            )
        if judgement is not Judgement.END:
            lost = len(data[frames.end :].rstrip(b"\0"))
            self.cut = Repair(segment.path, missing, frames.end, lost, judgement)
        return True

    def _what(self, index: int, frames: Frames) -> str:
        if frames.fault is None:
            return f"the segment ends too early: {self.segments[index + 1].path.name} comes next"
        return f"the frame {frames.fault.value}, and there are whole ones behind it"

    def _debris_behind(self, index: int) -> Iterator[Debris]:
        for segment in self.segments[index + 1 :]:
            yield from debris(self._read(segment), HEADER_BYTES)

    def _rebooted(self, index: int) -> bool:
        """Was everything from this segment on written in an earlier boot of the machine? Never so
        for what is archived: that was safe, and no power cut explains what it lacks."""
        return all(
            not segment.is_archived
            and (not isinstance(segment.header, Header) or segment.header.boot != self.boot)
            for segment in self.segments[max(index, 0) :]
        )

    # --- the end

    def _is_whole(self, lsn: int) -> bool:
        """A snapshot that is rubbish proves nothing."""
        try:
            load(self.disk, self.directory, lsn)
        except SnapshotUnusable:
            return False
        return True

    def _finish(self, end: End, begin: int) -> None:
        ahead = [lsn for lsn in self.snapshots if lsn > end.lsn and self._is_whole(lsn)]
        newest = max(begin, *ahead, 0)
        if end.lsn < newest:
            place = end.segment.path if end.segment else self.directory
            raise JournalDamaged(
                place,
                f"the log ends here, and there is a snapshot of fact {newest}",
                REMEDY,
                offset=end.offset,
                lsn=end.lsn + 1,
            )
        if end.segment is not None and end.segment.is_archived:
            raise JournalError(
                f"{self.directory}: the log ends at fact {end.lsn}, in the archive: the segments "
                f"that follow are missing; {RESTORE}"
            )
        self.end = end


def _behind(frames: Frames, begin: int, after: Snapshot | None) -> Iterator[tuple[int, memoryview]]:
    """Those behind a snapshot in its own segment."""
    for lsn, payload in frames:
        if lsn > begin:
            yield lsn, payload
        elif after is not None and lsn == begin and frames.checksum != after.frame:
            raise SnapshotUnusable(f"snapshot {begin} is of another journal")


def survey(disk: Disk, directory: Path, boot: str, *, archived: bool = False) -> Survey:
    """What is there. `archived`: with the segments that were put away."""
    names = names_in(disk, directory)
    live = [
        _segment(disk, first, directory / segment_name(first)) for first in segment_firsts(names)
    ]
    old: list[Segment] = []
    if archived:
        place = directory / ARCHIVE
        firsts = archived_firsts(names_in(disk, place))
        # A crash between the two steps of archiving leaves a segment in both places, and so does
        # whoever restores one.
        taken = {segment.first for segment in live}
        old = [_archived(disk, f, place / archived_name(f)) for f in firsts if f not in taken]
    segments = tuple(sorted((*old, *live), key=lambda segment: segment.first))
    return Survey(disk, directory, boot_mark(boot), segments, tuple(snapshot_lsns(names)))


def _segment(disk: Disk, first: int, path: Path) -> Segment:
    try:
        file = disk.open(path)
        try:
            return Segment(first, path, decode_header(file.read(0, HEADER_BYTES)))
        finally:
            file.close()
    except OSError as error:
        what, remedy = why_unread(error, RESTORE)
        raise JournalError(f"{path}: {what}; {remedy}") from error


def _archived(disk: Disk, first: int, path: Path) -> Segment:
    try:
        header = decode_header(gzip.decompress(read_whole(disk, path))[:HEADER_BYTES])
    except (OSError, EOFError, zlib.error) as error:
        raise _not_read(path, first, error) from error
    return Segment(first, path, header, is_archived=True)


def _not_read(path: Path, lsn: int, error: Exception) -> JournalError:
    """Damage, unless the bytes may be whole and only can't be had: nobody may give those up."""
    if isinstance(error, OSError):
        what, remedy = why_unread(error, RESTORE)
        if remedy != RESTORE:
            return JournalError(f"{path}: {what}; {remedy}")
    return JournalDamaged(path, f"can't be read: {error}", RESTORE, offset=0, lsn=lsn)
