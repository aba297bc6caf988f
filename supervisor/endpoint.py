"""The place where riskd listens: claimed by one daemon, and never taken from a living one.

Two things say that a daemon is there. The lock file beside the socket is held (`flock`) for a
daemon's whole life and is let go by the kernel however that life ends, so of two that start in the
same instant one wins. And a socket that answers belongs to somebody, whoever holds the lock. Only
a socket file that refuses connections, found while holding the lock, is a leftover and is replaced.

The lock file itself stays: deleting it would let one starter lock the old file and another a new
one under the same name.
"""

import fcntl
import os
import socket
import stat
import struct
from contextlib import suppress
from pathlib import Path
from typing import Self

import attrs

PATH_BYTES_MAX = 107
"""What fits in `sun_path` with its closing zero."""
BACKLOG = 4096
"""Asked for; the kernel takes at most net.core.somaxconn. A burst of connects must not be lost."""

_CREDENTIALS = struct.Struct("iII")


class SocketUnusable(Exception):
    """Nothing can listen there. Whoever set the machine or the configuration up can mend it."""

    def __init__(self, path: Path, problem: str, remedy: str) -> None:
        super().__init__(f"{path}: {problem}; {remedy}")
        self.path = path


class AnotherDaemon(Exception):
    """Somebody alive has this place. `process_id` is None when nobody would say who."""

    def __init__(self, path: Path, process_id: int | None) -> None:
        who = "another process" if process_id is None else f"process {process_id}"
        super().__init__(f"{path}: {who} is serving here; stop it, or choose another --socket")
        self.path = path
        self.process_id = process_id


@attrs.define(eq=False)
class Endpoint:
    """A listening socket and the lock that goes with it, held until released."""

    path: Path
    socket: socket.socket
    _lock: int
    _file: tuple[int, int]
    _released: bool = attrs.field(default=False, init=False)

    def release(self) -> None:
        """Stop listening, take our own file away, and let the next one in. Once is enough."""
        if self._released:
            return
        self._released = True
        with suppress(FileNotFoundError):
            if _identity(self.path) == self._file:
                self.path.unlink()
        self.socket.close()
        _unlock(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def claim(path: Path, group_id: int | None = None) -> Endpoint:
    """Listen at `path`, for this user only, or for a group too.

    Raises SocketUnusable or AnotherDaemon.
    """
    path = path.absolute()
    _check_length(path)
    try:
        _prepare_directory(path, group_id)
        lock = _lock(path)
        try:
            _clear(path)
            return _listen(path, lock, group_id)
        except BaseException:
            _unlock(lock)
            raise
    except OSError as error:
        remedy = "choose another --socket, or mend this one"
        raise SocketUnusable(path, os.strerror(error.errno or 0), remedy) from error


def _check_length(path: Path) -> None:
    length = len(os.fsencode(path))
    if length > PATH_BYTES_MAX:
        problem = f"the path has {length} bytes and a socket's may have {PATH_BYTES_MAX}"
        raise SocketUnusable(path, problem, "choose a shorter --socket")
    if b"\0" in os.fsencode(path):
        raise SocketUnusable(path, "the path holds a zero byte", "choose another --socket")


def _prepare_directory(path: Path, group_id: int | None) -> None:
    directory = path.parent
    for missing in reversed([d for d in (directory, *directory.parents) if not d.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
    found = directory.stat()
    if not stat.S_ISDIR(found.st_mode):
        problem = f"{directory} is not a directory"
        raise SocketUnusable(path, problem, "choose another --socket")
    if found.st_uid not in (0, os.geteuid()):
        problem = f"{directory} belongs to user {found.st_uid}, who could replace the socket"
        raise SocketUnusable(path, problem, f"use a directory of user {os.geteuid()}")
    if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
        problem = f"{directory} is writable by others, who could replace the socket"
        raise SocketUnusable(path, problem, f"run chmod go-w {directory}")
    ours_alone = found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) == 0o700
    if group_id is not None and ours_alone:
        # The group may pass through to the socket, and neither list nor change what is there.
        os.chown(directory, -1, group_id)
        directory.chmod(0o710)


# --- the lock -------------------------------------------------------------------------------------


def _lock(path: Path) -> int:
    lock_path = path.with_name(path.name + ".lock")
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(lock_path, flags, 0o600)
    try:
        _check_lock_file(path, lock_path, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as held:
        holder = _read_holder(descriptor)
        os.close(descriptor)
        raise AnotherDaemon(path, holder) from held
    except BaseException:
        os.close(descriptor)
        raise
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def _check_lock_file(path: Path, lock_path: Path, descriptor: int) -> None:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        problem = f"{lock_path} is not a regular file"
        raise SocketUnusable(path, problem, "move it away")
    if found.st_uid not in (0, os.geteuid()):
        problem = f"{lock_path} belongs to user {found.st_uid}, who could hold it for ever"
        raise SocketUnusable(path, problem, "choose another --socket")


def _read_holder(descriptor: int) -> int | None:
    digits = os.pread(descriptor, 20, 0).strip()
    return int(digits) if digits.isdigit() else None


def _unlock(descriptor: int) -> None:
    os.ftruncate(descriptor, 0)  # The next one to look must not read the name of one who has left.
    # Said aloud, because a child that is just being started still shares the descriptor.
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


# --- the socket -----------------------------------------------------------------------------------


def _clear(path: Path) -> None:
    """Make sure that nothing is at `path`. Deletes a dead socket, and nothing else ever."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        problem = "there is a file here that is no socket, and riskd deletes no such thing"
        raise SocketUnusable(path, problem, "move it away or choose another --socket")
    if _answers(path):
        path.unlink(missing_ok=True)


def _answers(path: Path) -> bool:
    """Raise AnotherDaemon when somebody listens at `path`; True when it is dead."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except BlockingIOError as full:
            # Its queue is full: it is busy or it hangs, but it is there.
            raise AnotherDaemon(path, None) from full
        except ConnectionRefusedError:
            return True
        raise AnotherDaemon(path, _process_id(probe))


def _process_id(connected: socket.socket) -> int | None:
    raw = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process_id, _, _ = _CREDENTIALS.unpack(raw)
    return int(process_id) or None


def _listen(path: Path, lock: int, group_id: int | None) -> Endpoint:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Linux gives the file the mode of the socket's own inode, less the umask. So the mode is
        # right from the first instant, without touching the umask, which all threads share.
        os.fchmod(listener.fileno(), 0o600)
        listener.bind(os.fspath(path))
        if group_id is None:
            path.chmod(0o600)  # A umask may have taken the owner's rights away; nothing is added.
        else:
            os.chown(path, -1, group_id)
            path.chmod(0o660)
        listener.listen(BACKLOG)
        listener.setblocking(False)
        return Endpoint(path, listener, lock, _identity(path))
    except BaseException:
        listener.close()
        raise


def _identity(path: Path) -> tuple[int, int]:
    """Which file is at `path` now."""
    found = path.lstat()
    return found.st_dev, found.st_ino
