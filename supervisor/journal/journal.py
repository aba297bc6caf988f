"""The writer: numbered payloads into segments, in the kernel at once, on the disk when asked.

`append` makes one system call and waits for nothing but the kernel's copy. What has to wait for
the disk is a value, `Sync`, which somebody runs off the loop and hands back: one of them serves
all who wait (see the ledger's group commit).

A new segment is made while the one in use still has half its room, so that going over to it is a
header and a name. Its header may reach the disk after its first frames; nothing in it is called
safe before both, and the directory, are synced. That, and not an fsync in the path of an order, is
what `recovery` counts on.

What happens when it can't: a write or sync that fails is the last one, and every later call raises
the same JournalFailed. When the disk is full the descriptor is still good: what tightens may then
use the last RESERVE_BYTES of the segment, so that a halt can always be written.
"""

import contextlib
import errno
import hashlib
from collections.abc import Sequence
from pathlib import Path

import attrs

from ...actors.ports import Disk, File
from .errors import FactTooLarge, JournalFailed
from .files import BESIDE, PREPARED, names_in, segment_name
from .format import (
    COMMIT_FACTS_MAX,
    HEADER_BYTES,
    NO_CHAIN,
    PAYLOAD_BYTES_MAX,
    SEAL,
    Header,
    debris,
    encode_frame,
    framed_bytes,
)
from .opening import End, Survey

SEALED_MAX = 64
"""Full segments that wait for one sync. At any usual rate of facts the disk has hung for minutes by
then; each holds a descriptor, and what it holds may be lost by a power cut."""
RESERVE_BYTES = 65_536
"""Room for some hundred facts: a halt, what the enforcer does about it, and the end."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@attrs.frozen
class Sync:
    """One trip to the disk. Run it off the loop, then give it to `Journal.synced`."""

    lsn: int
    """Everything up to here is safe when it has run."""
    sealed: tuple[tuple[File, int], ...]
    file: File
    _directory: tuple[Disk, Path] | None

    def run(self) -> None:
        """Raises OSError: then nothing is known of what is on the disk."""
        for file, _ in self.sealed:
            file.sync()
        self.file.sync()
        if self._directory is not None:
            disk, path = self._directory
            disk.sync_directory(path)
        for file, end in self.sealed:
            # Only now: a seal says that a successor is on the disk.
            file.write(end, SEAL)
            file.resize(end + len(SEAL))
            file.sync()
        _see(self.file)


@attrs.define(eq=False)
class Journal:
    """The one writer of a directory. Open it with `open_journal`."""

    disk: Disk
    directory: Path
    boot: bytes
    segment_bytes: int
    lsn: int
    """Of the newest fact; 0 before the first."""
    safe_lsn: int
    """Everything up to here survives a power cut."""
    _file: File
    _first: int
    _offset: int
    _checksum: int
    """What the next frame names as its previous."""
    _newest: int
    _digest: "hashlib._Hash"
    _next: File | None = attrs.field(default=None, init=False)
    _sealed: list[tuple[File, int]] = attrs.field(factory=list, init=False)
    _is_new_name: bool = attrs.field(default=False, init=False)
    _failure: JournalFailed | None = attrs.field(default=None, init=False)
    _is_full: bool = attrs.field(default=False, init=False)
    _is_closed: bool = attrs.field(default=False, init=False)
    _spoilt: int = attrs.field(default=0, init=False)
    """Up to here a write that failed may have left frames. What comes next wipes them out."""

    @property
    def failure(self) -> JournalFailed | None:
        """Why nothing more is written. It never goes away again."""
        return self._failure

    @property
    def path(self) -> Path:
        """The segment in use."""
        return self._file.path

    @property
    def first_lsn(self) -> int:
        """Of the segment in use."""
        return self._first

    @property
    def checksum(self) -> int:
        """Of the newest frame, whatever segment it is in; 0 before the first."""
        return self._newest

    @property
    def head(self) -> str:
        """The SHA-256 that the next segment would carry. It changes with everything before it."""
        return self._digest.hexdigest()

    # --- writing

    def append(self, payloads: Sequence[bytes], *, reserved: bool = False) -> int:
        """Write the facts of one commit; the LSN of the last. WHEN IT RETURNS a killed process
        loses none of them, and until then it has all of them or none.

        `reserved`: they may use the room that is kept for what tightens.
        """
        if self._failure is not None and not (self._is_full and reserved):
            raise self._failure
        if len(payloads) > COMMIT_FACTS_MAX:
            raise FactTooLarge(
                f"a commit of {len(payloads)} facts; {COMMIT_FACTS_MAX} are the most"
            )
        need = 0
        for payload in payloads:
            length = len(payload)
            if length > PAYLOAD_BYTES_MAX:
                raise FactTooLarge(f"a fact of {length} bytes; {PAYLOAD_BYTES_MAX} are the most")
            need += framed_bytes(length)
        if self._offset + need > self.segment_bytes - RESERVE_BYTES:
            self._find_room(need, reserved=reserved, facts=len(payloads))
        lsn, checksum, safe_lsn = self.lsn, self._checksum, self.safe_lsn
        more = len(payloads)
        frames = []
        for payload in payloads:
            lsn += 1
            more -= 1
            frame, checksum = encode_frame(payload, lsn, checksum, safe_lsn, more)
            frames.append(frame)
        data = frames[0] if len(frames) == 1 else b"".join(frames)
        try:
            self._file.write(self._offset, data.ljust(self._spoilt - self._offset, b"\0"))
        except OSError as error:
            self._spoilt = max(self._spoilt, self._offset + need)
            raise self._refused("a fact could not be written", error) from error
        self._digest.update(data)
        self.lsn, self._checksum, self._newest = lsn, checksum, checksum
        self._offset += need
        return lsn

    def fail(self, what: str, error: Exception) -> JournalFailed:
        """Latch a failure: the first one stays, whatever comes after. What a thread that was left
        behind meets when all is closed is none."""
        why, remedy = str(error), "this is a fault of riskd: report it"
        if isinstance(error, OSError):
            why, remedy = error.strerror or why, "see to the disk"
        failure = JournalFailed(
            f"{self.path}: {what}: {why}; nothing more is written: {remedy}, then start riskd again"
        )
        if self._failure is None and not self._is_closed:
            self._failure = failure
        self._is_full = False
        return self._failure or failure

    def _refused(self, what: str, error: OSError) -> JournalFailed:
        """A write failed. Without room, what was written before it can still be made safe."""
        is_full = error.errno in _FULL and (self._failure is None or self._is_full)
        failure = self.fail(what, error)
        self._is_full = is_full
        return failure

    @property
    def is_full(self) -> bool:
        """It failed because the disk has no room; no sync has, and nothing else."""
        return self._is_full

    def _find_room(self, need: int, *, reserved: bool, facts: int) -> None:
        """Go over to the next segment. Without one, what tightens takes from the reserve."""
        if HEADER_BYTES + need > self.segment_bytes - RESERVE_BYTES:
            raise FactTooLarge(f"a commit of {facts} facts and {need} bytes fits in no segment")
        fits = reserved and self._offset + need <= self.segment_bytes
        if self._is_full and fits:
            return
        try:
            self._roll()
        except OSError as error:
            failure = self._refused("no further segment could be made", error)
            if not (self._is_full and fits):
                raise failure from error

    def _roll(self) -> None:
        if len(self._sealed) == SEALED_MAX:
            what = f"{SEALED_MAX} full segments wait for a sync that does not end"
            raise TimeoutError(errno.ETIMEDOUT, what)
        header = Header(
            first=self.lsn + 1, before=self._first, chain=self._digest.digest(), boot=self.boot
        )
        prepared, self._next = self._next or self._make_now(), None
        file = _begin(self.disk, prepared, self.directory, header)
        self._sealed.append((self._file, self._offset))
        self._file, self._first, self._offset, self._spoilt = file, header.first, HEADER_BYTES, 0
        self._checksum = header.checksum
        self._digest = hashlib.sha256(header.encode())
        self._is_new_name = True

    def _begin_again(self, before: Header) -> None:
        """Put another in the place of a segment that holds no fact yet: it has the same number.

        The header is on the disk before the name is: it may be that of the first segment."""
        header = attrs.evolve(before, boot=self.boot)
        prepared = self._make_now()
        prepared.write(0, header.encode())
        prepared.sync()
        file = _begin(self.disk, prepared, self.directory, header)
        self._file.close()
        self._file, self._checksum = file, header.checksum
        self._digest = hashlib.sha256(header.encode())
        self._is_new_name = True

    # --- the next segment

    @property
    def wants_next(self) -> bool:
        """Half of the segment is written, and the next has no room on the disk yet."""
        return self._next is None and self._offset * 2 > self.segment_bytes

    def prepare(self) -> File:
        """Make the file that the next segment will be. It may take long: run it off the loop."""
        file = _prepare(self.disk, self.directory / PREPARED, self.segment_bytes)
        try:
            file.sync()
        except OSError:
            file.close()
            raise
        return file

    def _make_now(self) -> File:
        """The same in the step that needs it, which waits for no disk. `prepare` may be under way
        meanwhile, so it has a name of its own."""
        return _prepare(self.disk, self.directory / (PREPARED + BESIDE), self.segment_bytes)

    def prepared(self, file: File) -> None:
        """Hand over what `prepare` made. If a segment was needed meanwhile it has its own."""
        if self._next is None and self.wants_next:
            self._next = file
        else:
            file.close()

    # --- the disk

    @property
    def is_safe(self) -> bool:
        return self.safe_lsn == self.lsn

    def sync(self) -> Sync:
        """What makes everything that is written now safe."""
        directory = (self.disk, self.directory) if self._is_new_name else None
        return Sync(self.lsn, tuple(self._sealed), self._file, directory)

    def synced(self, sync: Sync) -> None:
        """It has run, and raised nothing."""
        self.safe_lsn = max(self.safe_lsn, sync.lsn)
        for file, _ in sync.sealed:
            file.close()
        self._sealed = [pair for pair in self._sealed if pair not in sync.sealed]
        if sync.file is self._file:
            self._is_new_name = False

    def see(self) -> None:
        """Raises FileNotFoundError when the segment in use would not be found again."""
        _see(self._file)

    def close(self) -> None:
        """Let go of the files. What is not safe yet is in the kernel, and stays there."""
        self._is_closed = True
        for file in (self._file, self._next, *(pair[0] for pair in self._sealed)):
            if file is not None:
                with contextlib.suppress(OSError):
                    file.close()


def _see(file: File) -> None:
    if not file.is_named():
        raise FileNotFoundError(errno.ENOENT, "it was moved or deleted while riskd ran")


def _prepare(disk: Disk, path: Path, segment_bytes: int) -> File:
    with contextlib.suppress(FileNotFoundError):
        disk.remove(path)
    return disk.create(path, segment_bytes)


def _begin(disk: Disk, prepared: File, directory: Path, header: Header) -> File:
    """Write the header, then give the file its name: no kill leaves a name without a header."""
    try:
        prepared.write(0, header.encode())
        disk.rename(prepared.path, directory / segment_name(header.first))
    except OSError:
        prepared.close()
        raise
    return prepared


def open_journal(survey: Survey, segment_bytes: int) -> Journal:
    """Go on where the walk of a survey ended. What was torn off is repaired already.

    WHEN IT RETURNS everything in the journal is safe on the disk. Raises OSError.
    """
    disk, directory, end = survey.disk, survey.directory, survey.end
    assert end is not None, "the facts were walked to their end"
    for name in names_in(disk, directory):
        if name == PREPARED or name.endswith(BESIDE):
            disk.remove(directory / name)
    if end.segment is None:
        return _first(survey, segment_bytes)
    header = end.segment.header
    assert isinstance(header, Header), "the walk ended in it"
    _write_again(survey)
    journal = _resume(survey, end, header, segment_bytes)
    try:
        if header.boot != survey.boot:
            # A segment holds the facts of one boot: `recovery` tells by that what a kill can't do.
            if end.offset == HEADER_BYTES:
                journal._begin_again(header)  # noqa: SLF001 - the last step of making one
            else:
                journal._roll()  # noqa: SLF001 - the same
        sync = journal.sync()
        sync.run()
        disk.sync_directory(directory)
    except OSError:
        journal.close()
        raise
    journal.synced(sync)
    return journal


def _write_again(survey: Survey) -> None:
    """Bring to the disk what an earlier process of this boot may have left in the kernel.

    It is written once more, for a sync that failed may have left pages that the kernel takes for
    written and the disk doesn't have. Raises OSError.
    """
    for segment in reversed(survey.segments):
        header = segment.header
        if not isinstance(header, Header) or header.boot != survey.boot or segment.is_archived:
            continue
        try:
            file = survey.disk.open(segment.path, writable=True)
        except FileNotFoundError:
            continue  # the repair moved it away
        try:
            data = file.read(0, file.size()).rstrip(b"\0")
            file.write(0, data)
            file.sync()
        finally:
            file.close()
        first = next(debris(data, HEADER_BYTES), None)
        if first is not None and first.safe_lsn >= segment.first - 1:
            break


def _resume(survey: Survey, end: End, header: Header, segment_bytes: int) -> Journal:
    assert end.segment is not None, "there is a segment to go on with"
    file = survey.disk.open(end.segment.path, writable=True)
    try:
        if file.size() < segment_bytes:
            file.resize(segment_bytes)
    except OSError:
        file.close()
        raise
    return Journal(
        disk=survey.disk,
        directory=survey.directory,
        boot=survey.boot,
        segment_bytes=segment_bytes,
        lsn=end.lsn,
        safe_lsn=0,
        file=file,
        first=header.first,
        offset=end.offset,
        checksum=end.checksum,
        newest=end.newest,
        digest=end.digest,
    )


def _first(survey: Survey, segment_bytes: int) -> Journal:
    """The first segment of all. Its header is on the disk before it has its name."""
    disk, directory = survey.disk, survey.directory
    header = Header(first=1, before=0, chain=NO_CHAIN, boot=survey.boot)
    prepared = _prepare(disk, directory / PREPARED, segment_bytes)
    prepared.write(0, header.encode())
    prepared.sync()
    file = _begin(disk, prepared, directory, header)
    disk.sync_directory(directory)
    return Journal(
        disk=disk,
        directory=directory,
        boot=survey.boot,
        segment_bytes=segment_bytes,
        lsn=0,
        safe_lsn=0,
        file=file,
        first=1,
        offset=HEADER_BYTES,
        checksum=header.checksum,
        newest=0,
        digest=hashlib.sha256(header.encode()),
    )
