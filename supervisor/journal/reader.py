"""Reading facts by their LSN, while riskd writes them and afterwards.

A `Cursor` is one reader's place in history. It needs no lock and changes nothing, so that any
number of them read beside the writer, in its process or another. What makes that safe:

* frames never change, and commits appear in their order. Bytes at the end that are no whole commit
  are "not yet", as long as nothing follows them;
* what follows them may have been written between two looks at the same place. So nothing is called
  damage before it was read again AFTER something behind it was seen;
* a segment is sealed by the next one's name, its last LSN plus 1. It may then be cut behind its
  last frame, compressed and deleted, but an open descriptor still reads what was there.
"""

import errno
import gzip
import io
import zlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import attrs

from ...actors.ports import Disk, File
from .errors import JournalDamaged, JournalError
from .files import (
    ARCHIVE,
    archived_firsts,
    archived_name,
    names_in,
    segment_firsts,
    segment_name,
)
from .format import (
    FITS_ELSEWHERE,
    FRAME_BYTES,
    HEADER_BYTES,
    PAYLOAD_BYTES_MAX,
    SEAL,
    VERSION,
    FrameFault,
    Frames,
    Header,
    HeaderFault,
    debris,
    decode_header,
    version_of,
)

PIECE_BYTES = 65_536
"""What is read at once, unless a commit is longer."""
VERIFY = "look at it with `riskctl journal verify`, then restore the journal from a copy"
_GZIP = b"\x1f\x8b"
_CUT_SHORT = frozenset({FrameFault.SHORT, FrameFault.UNFINISHED})
NOT_UNPACKED = (gzip.BadGzipFile, EOFError, zlib.error)
_NOT_ALLOWED = frozenset({errno.EACCES, errno.EPERM})
_NO_FILE = frozenset({errno.EINVAL, errno.EISDIR, errno.ENXIO})


class TooOld(JournalError):
    """The fact that comes next is no longer kept."""

    def __init__(self, directory: Path, lsn: int, oldest_lsn: int) -> None:
        super().__init__(
            f"{directory}: fact {lsn} is no longer kept; begin at {oldest_lsn}, the oldest"
        )
        self.oldest_lsn = oldest_lsn


def kept_segments(disk: Disk, directory: Path) -> list[int]:
    """The first LSNs of all segments, live and archived, in order."""
    live = segment_firsts(names_in(disk, directory))
    archived = archived_firsts(names_in(disk, directory / ARCHIVE))
    return sorted({*live, *archived})


def oldest_lsn(disk: Disk, directory: Path) -> int:
    """The oldest fact that is kept. 1 when there is none yet: it will be the first."""
    return next(iter(kept_segments(disk, directory)), 1)


# --- one segment ----------------------------------------------------------------------------------


class _Stream(io.RawIOBase):
    """A File as gzip wants it."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._offset = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]  # a Buffer, in 3.12
        data = self._file.read(self._offset, len(buffer))
        buffer[: len(data)] = data
        self._offset += len(data)
        return len(data)


class Unpacked:
    """A compressed file read as if it were not. Cheap forwards only: it holds what lies behind the
    last offset that was asked for, and unpacks no more than was asked for."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._stream = gzip.GzipFile(fileobj=io.BufferedReader(_Stream(file)), mode="rb")
        self._start = 0
        self._held = b""

    def read(self, offset: int, length: int) -> bytes:
        """What lies there; shorter only where the content ends."""
        assert offset >= self._start, "it is read forwards"
        while self._start + len(self._held) < offset + length:
            piece = self._stream.read(PIECE_BYTES)
            if not piece:
                break
            passed = min(offset - self._start, len(self._held))
            self._held = self._held[passed:] + piece
            self._start += passed
        begin = offset - self._start
        return self._held[begin : begin + length]

    def close(self) -> None:
        self._file.close()


Source = File | Unpacked


def open_source(disk: Disk, path: Path) -> Source:
    """Any segment, compressed or not: its content says so, for evidence has other names."""
    file = disk.open(path)
    try:
        return Unpacked(file) if file.read(0, len(_GZIP)) == _GZIP else file
    except OSError:
        file.close()
        raise


def why_unread(error: OSError, remedy: str) -> tuple[str, str]:
    """What is wrong with a file of the journal, and what to do. `remedy`: when nothing else fits;
    a copy helps nobody who may not read what is there."""
    if error.errno in _NOT_ALLOWED:
        return f"it can't be read: {error.strerror}", "give this user access to it"
    if error.errno == errno.ELOOP:
        return "it is a link, and none is followed", "put the file itself in its place"
    if error.errno in _NO_FILE:
        return "it is not a file", "put the file itself in its place"
    return f"it can't be read: {error.strerror or error}", remedy


@attrs.define(eq=False)
class Walk:
    """Through the commits of one open segment, a piece at a time."""

    path: Path
    source: Source
    first: int
    offset: int
    lsn: int
    checksum: int
    """These three belong to the last commit that was taken."""

    @classmethod
    def begin(cls, path: Path, source: Source, header: Header) -> "Walk":
        return cls(path, source, header.first, HEADER_BYTES, header.first - 1, header.checksum)

    @property
    def is_archived(self) -> bool:
        """Compressed, and so complete: nothing is added to it any more."""
        return isinstance(self.source, Unpacked)

    def piece(self) -> tuple[Frames, list[tuple[int, memoryview]]]:
        """The next commits, and the walk that found them. None of them when no whole one is there:
        then `fault` and `reached` of the walk say why."""
        length = PIECE_BYTES
        while True:
            data = self._read(self.offset, length)
            frames = Frames(data, 0, self.lsn, self.checksum)
            found = list(frames)
            if found or len(data) < length or frames.fault not in _CUT_SHORT:
                break
            length *= 2
        self.offset += frames.end
        self.lsn, self.checksum = frames.lsn, frames.checksum
        return frames, found

    def is_followed(self, distance: int) -> bool:
        """Does a whole frame lie anywhere behind the place so far from here?"""
        return any(any(debris(data, 0)) for data in self.rest(distance))

    def rest(self, distance: int) -> Iterator[bytes]:
        """All that lies behind that place, in windows that overlap by the longest frame."""
        offset = self.offset + distance
        while data := self._read(offset, 2 * PAYLOAD_BYTES_MAX + FRAME_BYTES):
            yield data
            offset += PAYLOAD_BYTES_MAX

    def is_at_seal(self, distance: int) -> bool:
        """Is what lies behind that place a seal, or the part of one that a crash has left? Alone it
        proves nothing: a successor with the next number has to be there."""
        windows = self.rest(distance)
        is_seal = SEAL.startswith(next(windows, b"").rstrip(b"\0"))
        return is_seal and not any(data.strip(b"\0") for data in windows)

    def damaged(self, what: str) -> JournalDamaged:
        """Here, where the next fact should be."""
        return JournalDamaged(self.path, what, VERIFY, offset=self.offset, lsn=self.lsn + 1)

    def _read(self, offset: int, length: int) -> bytes:
        try:
            return self.source.read(offset, length)
        except NOT_UNPACKED as error:
            raise self.damaged(f"it can't be unpacked: {error}") from error


def read_header(path: Path, source: Source, named: int | None = None) -> Header | HeaderFault:
    """The header of a segment. A fault is one that a crash can have left; all else is raised.

    `named`: the LSN that its name says it begins with."""
    lsn = 1 if named is None else named
    try:
        data = source.read(0, HEADER_BYTES)
    except NOT_UNPACKED as error:
        what = f"it can't be unpacked: {error}"
        raise JournalDamaged(path, what, VERIFY, offset=0, lsn=lsn) from error
    header = decode_header(data)
    if header is HeaderFault.VERSION:
        raise JournalError(
            f"{path}: at byte 8: written in version {version_of(data)} of the journal's format, "
            f"and this riskd reads version {VERSION}; use the riskctl of the riskd that wrote it"
        )
    if header is HeaderFault.MAGIC:
        what = f"its header {header.value}"
        raise JournalDamaged(path, what, "name a segment of one", offset=0, lsn=lsn)
    if isinstance(header, Header) and named is not None and header.first != named:
        what = f"its header says that it begins with fact {header.first}"
        raise JournalDamaged(path, what, VERIFY, offset=16, lsn=lsn)
    return header


def read_segment(disk: Disk, path: Path) -> Iterator[tuple[int, bytes]]:
    """The facts of one file, whatever its name: a segment, an archived one, evidence.

    Raises JournalDamaged behind the last good one when something else than zeros follows."""
    source = open_source(disk, path)
    try:
        header = read_header(path, source)
        if isinstance(header, HeaderFault):
            what = f"its header {header.value}"
            raise JournalDamaged(path, what, VERIFY, offset=0, lsn=1)
        walk = Walk.begin(path, source, header)
        while True:
            frames, found = walk.piece()
            for lsn, payload in found:
                yield lsn, bytes(payload)
            if not found:
                break
        if frames.fault is not None:
            raise walk.damaged(f"the frame {frames.fault.value}")
    finally:
        source.close()


# --- the whole ------------------------------------------------------------------------------------


@attrs.define(eq=False)
class Cursor:
    """One reader's place. Its calls block as long as the disk does."""

    disk: Disk
    directory: Path
    lsn: int
    """Of the last fact that was read; at first, of the one before those that are wanted."""
    _walk: Walk | None = attrs.field(default=None, init=False)
    _ready: deque[tuple[int, bytes]] = attrs.field(factory=deque, init=False)

    def read(self, bytes_max: int, up_to_lsn: int | None = None) -> list[tuple[int, bytes]]:
        """The facts that follow, as they are stored, in order and without a gap. Empty: there is
        nothing more now. All but the first together with it have at most `bytes_max`.

        Raises TooOld or JournalDamaged once all before it was read, and then again each time.
        """
        found: list[tuple[int, bytes]] = []
        room = bytes_max
        while up_to_lsn is None or self.lsn < up_to_lsn:
            if not self._ready:
                try:
                    if not self._fill():
                        break
                except JournalError:
                    if found:
                        break
                    raise
                continue
            if found and len(self._ready[0][1]) > room:
                break
            fact = self._ready.popleft()
            found.append(fact)
            self.lsn = fact[0]
            room -= len(fact[1])
        return found

    def expect_end(self) -> None:
        """Raises JournalDamaged when facts lie behind the place where reading found no more.

        Reading itself doesn't look for them, for that takes the rest of the segment; a writer that
        is alive may have added some meanwhile, which is no damage."""
        walk = self._walk
        if walk is None or self._ready:
            return
        frames, found = walk.piece()
        if not found and walk.is_followed(frames.reached):
            found = walk.piece()[1]
            if not found:
                raise walk.damaged("no fact is there, and whole frames lie behind it")
        self._keep(found)

    def close(self) -> None:
        """Let go of the file. A later read opens it again."""
        walk, self._walk = self._walk, None
        self._ready.clear()
        if walk is not None:
            walk.source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _fill(self) -> bool:
        """Take in what comes next. False: nothing does, for now."""
        walk = self._walk
        if walk is None:
            return self._enter()
        frames, found = walk.piece()
        if found:
            self._keep(found)
            return True
        return self._go_on(walk, frames)

    def _keep(self, found: list[tuple[int, memoryview]]) -> None:
        self._ready.extend((lsn, bytes(payload)) for lsn, payload in found if lsn > self.lsn)

    def _go_on(self, walk: Walk, frames: Frames) -> bool:
        """This segment holds no further commit, as it looks. Find out what that means."""
        is_final = walk.is_archived or (
            frames.fault is not None
            and (frames.fault in FITS_ELSEWHERE or walk.is_followed(frames.reached))
        )
        firsts = kept_segments(self.disk, self.directory)
        following = next((first for first in firsts if first > walk.first), None)
        if following is None and frames.is_sealed:
            # The seal came when the next one was on the disk, and the look at the names after it.
            path = self.directory / segment_name(walk.lsn + 1)
            what = f"this segment is missing: {walk.path.name} is sealed, and so not the last"
            raise JournalDamaged(path, what, VERIFY, offset=0, lsn=walk.lsn + 1)
        if following is None and not is_final:
            return False
        if not walk.is_archived:
            # What was seen since came later than all that belongs here: by now it is there.
            frames, found = walk.piece()
            if found:
                self._keep(found)
                return True
        missing = walk.lsn + 1
        fault = frames.fault
        if fault and not (following == missing and walk.is_at_seal(frames.reached)):
            raise walk.damaged(f"the frame {fault.value}, and others follow it")
        if following is None:
            return False
        if firsts[0] > missing:
            raise TooOld(self.directory, missing, firsts[0])
        if following != missing:
            raise walk.damaged(f"the segment ends, and {segment_name(following)} comes next")
        self.close()
        return self._enter()

    def _enter(self) -> bool:
        """Open the segment that holds the next fact, or will."""
        for is_last_try in (False, False, True):
            firsts = kept_segments(self.disk, self.directory)
            if not firsts:
                return False
            if firsts[0] > self.lsn + 1:
                raise TooOld(self.directory, self.lsn + 1, firsts[0])
            try:
                return self._open(max(first for first in firsts if first <= self.lsn + 1))
            except FileNotFoundError:
                # It was archived or deleted between the look and the opening.
                if is_last_try:
                    raise
        raise AssertionError("the last try returns or raises")

    def _open(self, first: int) -> bool:
        path = self.directory / segment_name(first)
        try:
            source = open_source(self.disk, path)
        except FileNotFoundError:
            path = self.directory / ARCHIVE / archived_name(first)
            source = open_source(self.disk, path)
        try:
            header = read_header(path, source, first)
        except JournalError:
            source.close()
            raise
        if isinstance(header, HeaderFault):
            try:
                if self._is_torn_roll(path, source, first):
                    return False
            finally:
                source.close()
            what = f"its header {header.value}"
            raise JournalDamaged(path, what, VERIFY, offset=0, lsn=first)
        self._walk = Walk.begin(path, source, header)
        return True

    def _is_torn_roll(self, path: Path, source: Source, first: int) -> bool:
        """Did a power cut take the header before anything behind it was there? A start repairs
        that, and writes the next facts there. The first header of all is safe before its name."""
        firsts = kept_segments(self.disk, self.directory)
        if len(firsts) < 2 or firsts[-1] != first or isinstance(source, Unpacked):
            return False
        walk = Walk(path, source, first, HEADER_BYTES, first - 1, 0)
        return not any(data.strip(b"\0") for data in walk.rest(0))
