"""The machine's disk. Every call blocks as long as the kernel lets it.

Files are for this user alone, are not handed to children, and are never reached through a link:
what lies in a state directory is what riskd put there.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import stat
import struct
from pathlib import Path

import attrs

from ..actors.ports import File, Held, Lock

_FILE_MODE = 0o600
_DIRECTORY_MODE = 0o700
# Without O_NONBLOCK a pipe in a file's place would be waited for instead of refused.
_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_ZEROS = bytes(1 << 16)
_HOLDER_BYTES_MAX = 256  # of a lock's text, enough to say who it is

_statx = getattr(ctypes.CDLL(None), "statx", None)
"""What `os` does not have. None: neither has this machine's C library."""
# From <linux/stat.h>; they are the same on every architecture.
_AT_FDCWD = -100
_AT_SYMLINK_NOFOLLOW = 0x100
_STATX_INO = 0x100
_STATX_BYTES = 256
_INODE_AND_DEVICE = struct.Struct("=32xQ96xII")


@attrs.define(eq=False)
class SystemFile:
    """An open file of a SystemDisk."""

    path: Path
    _descriptor: int
    _identity: tuple[int, int]
    _neighbours: "dict[int, SystemFile]"

    def read(self, offset: int, length: int) -> bytes:
        data = os.pread(self._descriptor, length, offset)
        if not data or len(data) == length:
            return data
        parts = [data]
        while data and (missing := length - sum(map(len, parts))):
            data = os.pread(self._descriptor, missing, offset + length - missing)
            parts.append(data)
        return b"".join(parts)

    def write(self, offset: int, data: bytes) -> None:
        written = os.pwrite(self._descriptor, data, offset)
        if written != len(data):
            self._write_on(offset, data, written)

    def _write_on(self, offset: int, data: bytes, written: int) -> None:
        """A kernel that takes a part says at the next part what it has against the rest."""
        rest = memoryview(data)[written:]
        while rest:
            offset += written
            written = os.pwrite(self._descriptor, rest, offset)
            if not written:
                raise OSError(errno.EIO, "the disk takes nothing, and gives no reason")
            rest = rest[written:]

    def sync(self) -> None:
        if self._descriptor < 0:
            raise OSError(errno.EBADF, "the file is closed", str(self.path))
        os.fdatasync(self._descriptor)

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def resize(self, size: int) -> None:
        """One that fails leaves the file as long as it was."""
        before = self.size()
        if size <= before:
            os.ftruncate(self._descriptor, size)
            return
        try:
            self._allocate(before, size)
        except OSError:
            # A disk that fills up meanwhile may have given a part. Why it stopped is what counts.
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, before)
            raise

    def _allocate(self, start: int, end: int) -> None:
        try:
            os.posix_fallocate(self._descriptor, start, end - start)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise
            # A file system that can't promise space: only what is written has its place.
            for offset in range(start, end, len(_ZEROS)):
                self.write(offset, _ZEROS[: end - offset])

    def is_named(self) -> bool:
        if _is_at(self.path, self._identity):
            return True
        try:
            found = self.path.stat(follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def close(self) -> None:
        """What comes after is refused: the descriptor's number may be another file's by then."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            del self._neighbours[descriptor]
            os.close(descriptor)


@attrs.define(eq=False)
class SystemLock:
    """A lock that this process holds."""

    _descriptor: int

    def release(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


@attrs.define(eq=False)
class SystemDisk:
    """The real one. It knows its open files, to tell them their new names."""

    _files: dict[int, SystemFile] = attrs.field(factory=dict, init=False)

    def create(self, path: Path, size: int) -> File:
        """One that fails leaves nothing behind."""
        assert size >= 0, "a file has no negative size"
        file = self._opened(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        try:
            file.resize(size)
        except OSError:
            file.close()
            path.unlink()
            raise
        return file

    def open(self, path: Path, *, writable: bool = False) -> File:
        return self._opened(path, os.O_RDWR if writable else os.O_RDONLY)

    def _opened(self, path: Path, flags: int) -> SystemFile:
        descriptor = os.open(path, flags | _FLAGS, _FILE_MODE)
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            os.close(descriptor)
            reason = errno.EISDIR if stat.S_ISDIR(found.st_mode) else errno.EINVAL
            raise OSError(reason, "not a file", str(path))
        file = SystemFile(path, descriptor, (found.st_dev, found.st_ino), self._files)
        self._files[descriptor] = file
        return file

    def names(self, directory: Path) -> list[str]:
        return sorted(os.listdir(directory))  # noqa: PTH208 - names are what is asked for

    def make_directory(self, path: Path) -> None:
        """A directory whose name is lost takes all that is in it along, so the name is synced."""
        if path.is_dir():
            return
        if not path.parent.is_dir():
            self.make_directory(path.parent)
        path.mkdir(_DIRECTORY_MODE)
        self.sync_directory(path.parent)

    def rename(self, old: Path, new: Path) -> None:
        renamed = [file for file in list(self._files.values()) if file.path == old]
        renamed = [file for file in renamed if file.is_named()]
        old.replace(new)
        for file in renamed:
            file.path = new

    def remove(self, path: Path) -> None:
        path.unlink()

    def sync_directory(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def free_bytes(self, path: Path) -> int:
        found = os.statvfs(path)
        return found.f_bavail * found.f_frsize

    def lock(self, path: Path, holder: str) -> Lock:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _FLAGS, _FILE_MODE)
        with contextlib.ExitStack() as undo:
            undo.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Held(path, _text(os.pread(descriptor, _HOLDER_BYTES_MAX, 0))) from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, holder.encode(errors="replace")[:_HOLDER_BYTES_MAX], 0)
            undo.pop_all()
        return SystemLock(descriptor)

    def lock_directory(self, path: Path) -> Lock:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                raise Held(path, "") from None
            raise
        return SystemLock(descriptor)


def _is_at(path: Path, identity: tuple[int, int]) -> bool:
    """Does this file lie there? No is no answer: the kernel may not have been able to say.

    It is asked after each sync, and for the inode alone. A stat asks for the times as well, and
    since Linux 6.13 the next write makes times anew that somebody has seen: on ext4 the syncs
    behind it, also of other files, took half as long again.
    """
    if _statx is None:
        return False
    found = ctypes.create_string_buffer(_STATX_BYTES)
    name = os.fsencode(path)
    if _statx(_AT_FDCWD, name, _AT_SYMLINK_NOFOLLOW, _STATX_INO, found) != 0:
        return False
    inode, major, minor = _INODE_AND_DEVICE.unpack_from(found)
    return (os.makedev(major, minor), inode) == identity


def _text(data: bytes) -> str:
    """It is shown on terminals, so that whatever is no text stays out."""
    return "".join(filter(str.isprintable, data.decode(errors="ignore"))).strip()
