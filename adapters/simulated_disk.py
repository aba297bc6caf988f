"""A disk in memory that does by seed what a real one may do.

It holds everything twice: as programs see it, and as it lies on the disk. What lies between the
two is a list of changes since the last sync, for each file one, and one for names. A power cut
decides by chance for each change of a file, alone, whether it is kept, lost or torn: that is also
what a disk does that writes in an order of its own up to the last sync. Names change in order, as
in a file system with a journal: some first ones are kept.

Harder than most file systems are: a file's sync keeps no name, a directory's sync keeps the names
of that directory alone, and a file that grew may have its new size without its new bytes.
"""

import contextlib
import errno
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Literal, TypeVar

import attrs
import trio

from ..actors.ports import File, Held, Lock

T = TypeVar("T")

Operation = Literal[
    "read", "write", "sync", "resize", "create", "rename", "remove", "sync_directory"
]

UNSYNCED_MAX = 1000
"""Changes of a file, and of names, that wait for a sync. Beyond, the oldest is written back, as a
kernel does it in the background."""

_Change = tuple[int, bytes | None]
"""Bytes at an offset; or, without bytes, a new size."""


def _refused(reason: int, path: Path) -> OSError:
    return OSError(reason, os.strerror(reason), str(path))


def _apply(content: bytearray, change: _Change) -> None:
    """Bytes beyond the end, whose new size was lost, are not to be found."""
    offset, data = change
    if data is None:
        del content[offset:]
        content.extend(bytes(offset - len(content)))
    elif offset < len(content):
        data = data[: len(content) - offset]
        content[offset : offset + len(data)] = data


@attrs.define(eq=False)
class _Content:
    """What a file holds, under whatever name: as it is seen, and as it lies on the disk."""

    seen: bytearray = attrs.field(factory=bytearray, init=False)
    kept: bytearray = attrs.field(factory=bytearray, init=False)
    unsynced: list[_Change] = attrs.field(factory=list, init=False)

    def change(self, change: _Change) -> None:
        _apply(self.seen, change)
        self.unsynced.append(change)
        if len(self.unsynced) > UNSYNCED_MAX:
            _apply(self.kept, self.unsynced.pop(0))

    def sync(self) -> None:
        for change in self.unsynced:
            _apply(self.kept, change)
        self.unsynced.clear()

    def sync_in_part(self, chance: Random) -> None:
        """Each change for itself. How many survive differs from time to time, from none to all."""
        share = chance.random()
        for offset, data in self.unsynced:
            if chance.random() < share:
                _apply(self.kept, (offset, data))
            elif data is not None and chance.random() < 0.5:
                _apply(self.kept, (offset, data[: chance.randrange(len(data))]))
        self.unsynced.clear()

    def forget(self) -> None:
        """Nothing is seen any more but what lies on the disk."""
        self.seen = bytearray(self.kept)


@attrs.define(eq=False)
class SimulatedFile:
    """An open file of a SimulatedDisk, until it is closed or its process dies."""

    path: Path
    content: _Content
    _disk: "SimulatedDisk"
    _is_writable: bool

    def read(self, offset: int, length: int) -> bytes:
        self._demand_open()
        self._disk.demand("read", self.path)
        return bytes(self.content.seen[offset : offset + length])

    def write(self, offset: int, data: bytes) -> None:
        """One that fails may have written a part."""
        self._demand_open()
        if not self._is_writable:
            raise _refused(errno.EBADF, self.path)
        end = offset + len(data)
        if data and end > len(self.content.seen):
            self._disk.demand_room(end - len(self.content.seen), self.path)
        failure = self._disk.failure("write", self.path)
        if failure is not None:
            data = data[: self._disk.chance.randint(0, len(data))]
        self._put(offset, bytes(data))
        if failure is not None:
            raise failure

    def _put(self, offset: int, data: bytes) -> None:
        if not data:
            return
        if offset + len(data) > len(self.content.seen):
            self.content.change((offset + len(data), None))
        self.content.change((offset, data))

    def sync(self) -> None:
        """One that fails keeps some changes and forgets the others, as Linux does: the next one has
        nothing left to write, and succeeds. What is seen stays the same until a power cut."""
        self._demand_open()
        failure = self._disk.failure("sync", self.path)
        if failure is not None:
            self.content.sync_in_part(self._disk.chance)
            raise failure
        self.content.sync()

    def size(self) -> int:
        self._demand_open()
        return len(self.content.seen)

    def resize(self, size: int) -> None:
        self._demand_open()
        more = size - len(self.content.seen)
        if not self._is_writable:
            raise _refused(errno.EBADF if more > 0 else errno.EINVAL, self.path)
        self._disk.demand("resize", self.path)
        if more > 0:
            self._disk.demand_room(more, self.path)
        self.content.change((size, None))

    def is_named(self) -> bool:
        return self._disk.content(self.path) is self.content

    def close(self) -> None:
        self._disk.files.discard(self)

    def _demand_open(self) -> None:
        if self not in self._disk.files:
            raise _refused(errno.EBADF, self.path)


@attrs.define(eq=False)
class SimulatedLock:
    """A lock of a SimulatedDisk, until it is released or its process dies."""

    holder: str
    _path: Path
    _locks: "dict[Path, SimulatedLock]"

    def release(self) -> None:
        if self._locks.get(self._path) is self:
            del self._locks[self._path]


def _root() -> set[Path]:
    return {Path("/"), Path()}


@attrs.define(eq=False)
class SimulatedDisk:
    """The same seed and the same calls give the same disk. `capacity_bytes` may change meanwhile;
    files without a name take no room."""

    seed: int
    capacity_bytes: int = 1 << 40
    sync_s: tuple[float, float] = (0.0, 0.0)
    chance: Random = attrs.field(init=False)
    files: set[SimulatedFile] = attrs.field(factory=set, init=False)
    _directories: set[Path] = attrs.field(factory=_root, init=False)
    _seen: dict[Path, _Content] = attrs.field(factory=dict, init=False)
    _kept: dict[Path, _Content] = attrs.field(factory=dict, init=False)
    _unsynced: list[Mapping[Path, _Content | None]] = attrs.field(factory=list, init=False)
    _locks: dict[Path, SimulatedLock] = attrs.field(factory=dict, init=False)
    _failures: dict[Operation, tuple[int, int]] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.chance = Random(self.seed)  # noqa: S311 - it must be the same again, and guards nothing

    # --- the port

    def create(self, path: Path, size: int) -> File:
        self._demand_directory(path.parent)
        if path in self._seen or path in self._directories:
            raise _refused(errno.EEXIST, path)
        self.demand("create", path)
        self.demand_room(size, path)
        content = _Content()
        content.change((size, None))
        self._rename({path: content})
        return self._opened(path, content, is_writable=True)

    def open(self, path: Path, *, writable: bool = False) -> File:
        return self._opened(path, self._found(path), is_writable=writable)

    def _opened(self, path: Path, content: _Content, *, is_writable: bool) -> SimulatedFile:
        file = SimulatedFile(path, content, self, is_writable)
        self.files.add(file)
        return file

    def names(self, directory: Path) -> list[str]:
        self._demand_directory(directory)
        paths = (*self._seen, *self._directories - _root())
        return sorted(path.name for path in paths if path.parent == directory)

    def make_directory(self, path: Path) -> None:
        if path in self._directories:
            return
        if path in self._seen:
            raise _refused(errno.EEXIST, path)
        self.make_directory(path.parent)
        self._directories.add(path)

    def rename(self, old: Path, new: Path) -> None:
        """Of files alone."""
        content = self._found(old)
        self._demand_directory(new.parent)
        if new in self._directories:
            raise _refused(errno.EISDIR, new)
        self.demand("rename", old)
        self._rename({old: None, new: content})
        for file in self.files:
            if file.content is content and file.path == old:
                file.path = new

    def remove(self, path: Path) -> None:
        self._found(path)
        self.demand("remove", path)
        self._rename({path: None})

    def sync_directory(self, path: Path) -> None:
        """With what came before it for the same names, and nothing else."""
        self._demand_directory(path)
        self.demand("sync_directory", path)
        names: set[Path] = set()
        synced, others = [], []
        for change in reversed(self._unsynced):
            if any(name.parent == path or name in names for name in change):
                names.update(change)
                synced.append(change)
            else:
                others.append(change)
        for change in reversed(synced):
            _assign(self._kept, change)
        self._unsynced = others[::-1]

    def free_bytes(self, path: Path) -> int:
        if path not in self._directories:
            self._found(path)
        used = sum(len(content.seen) for content in self._seen.values())
        return max(0, self.capacity_bytes - used)

    def lock(self, path: Path, holder: str) -> Lock:
        if path in self._locks:
            raise Held(path, self._locks[path].holder)
        is_new = path not in self._seen and path not in self._directories
        file = self.create(path, 0) if is_new else self.open(path, writable=True)
        file.resize(0)
        file.write(0, holder.encode(errors="replace"))
        file.close()
        lock = self._locks[path] = SimulatedLock(holder, path, self._locks)
        return lock

    def lock_directory(self, path: Path) -> Lock:
        self.names(path)
        if path in self._locks:
            raise Held(path, "")
        lock = self._locks[path] = SimulatedLock("", path, self._locks)
        return lock

    # --- what may happen to it

    def crash(self) -> None:
        """The process died: its files and locks are gone, and what the kernel has stays."""
        self.files.clear()
        self._locks.clear()

    def cut_power(self) -> None:
        """What was not synced is kept, lost or torn. It ends the process too."""
        for change in self._unsynced[: self.chance.randint(0, len(self._unsynced))]:
            _assign(self._kept, change)
        self._unsynced.clear()
        self._seen = dict(self._kept)
        for content in self._seen.values():
            content.sync_in_part(self.chance)
            content.forget()
        self.crash()

    def fail(self, operation: Operation, times: int = 1, reason: int = errno.EIO) -> None:
        """The next `times` calls of it raise OSError with that errno."""
        self._failures[operation] = times, reason

    def flip(self, path: Path, offset: int, bit: int) -> None:
        """Damage one bit, as it is seen and on the disk. What is written there later heals it."""
        content = self._found(path)
        content.seen[offset] ^= 1 << bit
        if offset < len(content.kept):
            content.kept[offset] ^= 1 << bit

    # --- what its files ask

    def content(self, path: Path) -> _Content | None:
        return self._seen.get(path)

    def failure(self, operation: Operation, path: Path) -> OSError | None:
        times, reason = self._failures.get(operation, (0, 0))
        if not times:
            return None
        self._failures[operation] = times - 1, reason
        return _refused(reason, path)

    def demand(self, operation: Operation, path: Path) -> None:
        failure = self.failure(operation, path)
        if failure is not None:
            raise failure

    def demand_room(self, more_bytes: int, path: Path) -> None:
        if more_bytes > self.free_bytes(Path("/")):
            raise _refused(errno.ENOSPC, path)

    def _demand_directory(self, path: Path) -> None:
        if path not in self._directories:
            is_below_file = any(parent in self._seen for parent in (path, *path.parents))
            raise _refused(errno.ENOTDIR if is_below_file else errno.ENOENT, path)

    def _found(self, path: Path) -> _Content:
        if path in self._directories:
            raise _refused(errno.EISDIR, path)
        self._demand_directory(path.parent)
        if path not in self._seen:
            raise _refused(errno.ENOENT, path)
        return self._seen[path]

    def _rename(self, change: Mapping[Path, _Content | None]) -> None:
        _assign(self._seen, change)
        self._unsynced.append(change)
        if len(self._unsynced) > UNSYNCED_MAX:
            _assign(self._kept, self._unsynced.pop(0))


def _assign(names: dict[Path, _Content], change: Mapping[Path, _Content | None]) -> None:
    for path, content in change.items():
        if content is None:
            names.pop(path, None)
        else:
            names[path] = content


@attrs.define(eq=False)
class SimulatedOffload:
    """Acts on a SimulatedDisk that take `sync_s`, from the least to the most.

    An act has its effect at some instant within the time that it takes: what is written meanwhile
    may be too late for a sync. A cancelled caller's act is done at once.
    """

    _disk: SimulatedDisk
    _line: trio.Lock = attrs.field(factory=trio.Lock, init=False)

    async def run(self, act: Callable[[], T]) -> T:
        async with self._line:
            lasts_s = self._disk.chance.uniform(*self._disk.sync_s)
            before_s = self._disk.chance.uniform(0, lasts_s)
            try:
                await trio.sleep(before_s)
            except trio.Cancelled:
                with contextlib.suppress(OSError):
                    act()
                raise
            result = act()
            await trio.sleep(lasts_s - before_s)
            return result
