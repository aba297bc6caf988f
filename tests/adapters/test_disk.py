"""Disks: the port's laws, for the real one and the simulated one; then the real one's own."""

import contextlib
import errno
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from riskd.actors.ports import Disk, Held
from riskd.adapters import disk as module
from riskd.adapters.disk import SystemDisk
from riskd.adapters.simulated_disk import SimulatedDisk


@attrs.frozen
class Place:
    """A disk, and an empty directory on it."""

    disk: Disk
    home: Path


@pytest.fixture(params=["system", "simulated"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    disk: Disk = SystemDisk() if request.param == "system" else SimulatedDisk(seed=1)
    disk.make_directory(tmp_path)
    return Place(disk, tmp_path)


@pytest.fixture
def disk(place: Place) -> Disk:
    return place.disk


@pytest.fixture
def home(place: Place) -> Path:
    return place.home


@contextlib.contextmanager
def refused(reason: int) -> Iterator[None]:
    with pytest.raises(OSError, match=r".") as raised:
        yield
    assert errno.errorcode[raised.value.errno or 0] == errno.errorcode[reason]


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 4097, 200_000])
def test_a_new_file_holds_zeros(disk: Disk, home: Path, size: int) -> None:
    file = disk.create(home / "new", size)
    assert file.size() == size
    assert file.read(0, size + 1) == bytes(size)


def test_what_exists_is_not_created_again(disk: Disk, home: Path) -> None:
    disk.create(home / "here", 0).write(0, b"mine")
    with refused(errno.EEXIST):
        disk.create(home / "here", 10)
    assert disk.open(home / "here").read(0, 10) == b"mine"


def test_what_is_not_there_is_not_made_by_opening(disk: Disk, home: Path) -> None:
    for act in (
        lambda: disk.open(home / "a"),
        lambda: disk.open(home / "a", writable=True),
        lambda: disk.create(home / "a" / "b", 1),
        lambda: disk.remove(home / "a"),
        lambda: disk.rename(home / "a", home / "b"),
        lambda: disk.names(home / "a"),
        lambda: disk.sync_directory(home / "a"),
        lambda: disk.free_bytes(home / "a"),
        lambda: disk.lock(home / "a" / "lock", "me"),
    ):
        with refused(errno.ENOENT):
            act()
    assert disk.names(home) == []


def test_a_directory_is_no_file(disk: Disk, home: Path) -> None:
    disk.make_directory(home / "d")
    disk.create(home / "f", 1)
    for writable in (False, True):
        with refused(errno.EISDIR):
            disk.open(home / "d", writable=writable)
    with refused(errno.EISDIR):
        disk.remove(home / "d")
    with refused(errno.EISDIR):
        disk.rename(home / "f", home / "d")
    assert disk.names(home) == ["d", "f"]


def test_a_file_is_no_directory(disk: Disk, home: Path) -> None:
    disk.create(home / "f", 1)
    for act in (
        lambda: disk.create(home / "f" / "g", 1),
        lambda: disk.names(home / "f"),
        lambda: disk.sync_directory(home / "f"),
    ):
        with refused(errno.ENOTDIR):
            act()


OFFSETS = st.integers(0, 300)
CHANGES = st.lists(
    st.tuples(OFFSETS, st.binary(max_size=100))  # a write
    | st.tuples(OFFSETS, st.none())  # a resize
    | st.just((0, "sync"))
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=OFFSETS, changes=CHANGES)
def test_a_file_is_what_was_written_last_and_zeros(
    place: Place, size: int, changes: list[tuple[int, bytes | str | None]]
) -> None:
    file = place.disk.create(place.home / "file", size)
    expected = bytearray(size)
    for offset, change in changes:
        if isinstance(change, bytes):
            file.write(offset, change)
            if change:
                expected.extend(bytes(max(0, offset - len(expected))))
                expected[offset : offset + len(change)] = change
        elif change is None:
            file.resize(offset)
            expected[:] = expected[:offset].ljust(offset, b"\0")
        else:
            file.sync()
        assert file.size() == len(expected)
        assert file.read(0, 1000) == expected
    again = place.disk.open(place.home / "file")
    assert again.read(0, 1000) == expected
    place.disk.remove(place.home / "file")
    again.close()
    file.close()


@given(offset=OFFSETS, length=OFFSETS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_read_is_shorter_only_where_the_file_ends(place: Place, offset: int, length: int) -> None:
    content = bytes(range(200))
    if place.disk.names(place.home) == []:
        place.disk.create(place.home / "file", 0).write(0, content)
    file = place.disk.open(place.home / "file")
    assert file.read(offset, length) == content[offset : offset + length]
    file.close()


def test_what_is_open_for_reading_is_not_changed(disk: Disk, home: Path) -> None:
    disk.create(home / "f", 10).close()
    file = disk.open(home / "f")
    with refused(errno.EBADF):
        file.write(0, b"x")
    with refused(errno.EBADF):
        file.resize(20)
    with refused(errno.EINVAL):
        file.resize(5)
    assert disk.open(home / "f").read(0, 30) == bytes(10)


def test_a_closed_file_is_no_other_file(disk: Disk, home: Path) -> None:
    closed = disk.create(home / "closed", 5)
    closed.close()
    other = disk.create(home / "other", 5)
    for act in (
        lambda: closed.write(0, b"x"),
        lambda: closed.read(0, 1),
        closed.sync,
        closed.size,
        lambda: closed.resize(0),
    ):
        with refused(errno.EBADF):
            act()
    closed.close()
    assert other.read(0, 9) == bytes(5)


# --- names ----------------------------------------------------------------------------------------


def test_names_are_sorted_and_of_this_directory_alone(disk: Disk, home: Path) -> None:
    disk.make_directory(home / "b" / "deep")
    disk.create(home / "c", 0)
    disk.create(home / "a", 0)
    disk.create(home / "b" / "inside", 0)
    assert disk.names(home) == ["a", "b", "c"]
    assert disk.names(home / "b") == ["deep", "inside"]


def test_a_directory_may_exist_and_a_file_in_its_place_may_not(disk: Disk, home: Path) -> None:
    disk.make_directory(home / "d" / "e")
    disk.make_directory(home / "d" / "e")
    disk.create(home / "f", 0)
    with refused(errno.EEXIST):
        disk.make_directory(home / "f")


def test_a_renamed_file_replaces_what_is_there_and_knows_its_name(disk: Disk, home: Path) -> None:
    old, new = disk.create(home / "old", 0), disk.create(home / "new", 0)
    old.write(0, b"old")
    new.write(0, b"new")
    disk.rename(home / "old", home / "new")
    assert disk.names(home) == ["new"]
    assert disk.open(home / "new").read(0, 9) == b"old"
    assert (old.path, old.is_named()) == (home / "new", True)
    assert (new.path, new.is_named()) == (home / "new", False)
    assert new.read(0, 9) == b"new"
    disk.rename(home / "new", home / "newer")
    assert old.path == home / "newer"
    assert new.path == home / "new"


def test_a_file_is_named_as_long_as_it_is_found_again(disk: Disk, home: Path) -> None:
    file = disk.create(home / "f", 0)
    assert file.is_named()
    disk.remove(home / "f")
    assert not file.is_named()
    other = disk.create(home / "f", 0)
    assert not file.is_named()
    assert other.is_named()
    disk.rename(home / "f", home / "g")
    assert (other.is_named(), other.path) == (True, home / "g")
    assert file.path == home / "f"


def test_syncing_changes_nothing_that_is_seen(disk: Disk, home: Path) -> None:
    file = disk.create(home / "f", 3)
    file.write(1, b"x")
    file.sync()
    disk.open(home / "f").sync()
    disk.sync_directory(home)
    assert (disk.names(home), file.read(0, 9)) == (["f"], b"\0x\0")


def test_a_file_takes_of_what_is_free(disk: Disk, home: Path) -> None:
    assert disk.free_bytes(home) > 0
    disk.create(home / "f", 1)
    assert disk.free_bytes(home / "f") > 0


# --- locks ----------------------------------------------------------------------------------------


def test_a_lock_has_one_holder_who_is_named(disk: Disk, home: Path) -> None:
    lock = disk.lock(home / "lock", "process 1 with a long name")
    with pytest.raises(Held) as held:
        disk.lock(home / "lock", "process 2")
    assert (held.value.path, held.value.holder) == (home / "lock", "process 1 with a long name")
    lock.release()
    again = disk.lock(home / "lock", "process 3")
    lock.release()  # what one no longer has, one doesn't give away
    with pytest.raises(Held, match=r"process 3$"):
        disk.lock(home / "lock", "process 2")
    again.release()


def test_a_directory_can_be_locked_and_not_twice_and_keeps_its_files(
    disk: Disk, home: Path
) -> None:
    disk.make_directory(home / "a")
    lock = disk.lock_directory(home / "a")
    with pytest.raises(Held) as held:
        disk.lock_directory(home / "a")
    assert (held.value.path, held.value.holder) == (home / "a", "")
    disk.create(home / "a" / "file", 1)
    lock.release()
    disk.lock_directory(home / "a").release()
    for missing in (home / "none", home / "a" / "file"):
        with pytest.raises(OSError, match=r"."):
            disk.lock_directory(missing)


def test_a_locked_directory_is_locked_by_whatever_name(tmp_path: Path) -> None:
    disk = SystemDisk()
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    lock = disk.lock_directory(tmp_path / "real")
    with pytest.raises(Held):
        disk.lock_directory(tmp_path / "link")
    lock.release()


def test_a_lock_is_a_file_of_its_directory(disk: Disk, home: Path) -> None:
    disk.lock(home / "lock", "me").release()
    assert disk.names(home) == ["lock"]
    assert disk.open(home / "lock").read(0, 9) == b"me"


# --- the machine's own ----------------------------------------------------------------------------


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_made_is_for_this_user_alone(tmp_path: Path) -> None:
    disk, outer = SystemDisk(), tmp_path / "outer"
    disk.make_directory(outer / "inner")
    disk.create(outer / "file", 0)
    disk.lock(outer / "lock", "me")
    assert [mode(outer), mode(outer / "inner")] == [0o700, 0o700]
    assert [mode(outer / "file"), mode(outer / "lock")] == [0o600, 0o600]


def descriptors(directory: Path) -> list[int]:
    """Those that this process has open inside a directory."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if entry.readlink().is_relative_to(directory):
                found.append(int(entry.name))
    return found


def test_nothing_is_handed_to_children_and_nothing_is_left_open(tmp_path: Path) -> None:
    disk = SystemDisk()
    file, lock = disk.create(tmp_path / "a", 1), disk.lock(tmp_path / "b", "me")
    read = disk.open(tmp_path / "a")
    with pytest.raises(Held):
        disk.lock(tmp_path / "b", "you")
    disk.make_directory(tmp_path / "c")
    disk.sync_directory(tmp_path)
    with refused(errno.EISDIR):
        disk.open(tmp_path / "c")
    assert len(descriptors(tmp_path)) == 3
    assert not any(map(os.get_inheritable, descriptors(tmp_path)))
    file.close()
    read.close()
    lock.release()
    assert descriptors(tmp_path) == []
    assert not disk._files


def test_neither_link_nor_pipe_is_taken_for_a_file(tmp_path: Path) -> None:
    disk = SystemDisk()
    (tmp_path / "target").touch()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    os.mkfifo(tmp_path / "pipe")
    for act in (disk.open, lambda path: disk.lock(path, "me")):
        with refused(errno.ELOOP):
            act(tmp_path / "link")
    with refused(errno.EEXIST):
        disk.create(tmp_path / "link", 1)
    with refused(errno.EINVAL):
        disk.open(tmp_path / "pipe")


def test_a_link_in_its_place_is_not_the_file(tmp_path: Path) -> None:
    file = SystemDisk().create(tmp_path / "f", 0)
    (tmp_path / "f").rename(tmp_path / "g")
    (tmp_path / "f").symlink_to(tmp_path / "g")
    assert not file.is_named()


def test_a_file_is_looked_for_without_a_look_at_its_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stat asks for them, and the next sync has to take them along."""
    real, stats = os.stat, []

    def seen(*asked: Any, **how: Any) -> os.stat_result:
        stats.append(asked)
        return real(*asked, **how)

    file = SystemDisk().create(tmp_path / "f", 0)
    with monkeypatch.context() as watched:
        watched.setattr(os, "stat", seen)
        is_named = file.is_named()
    assert (is_named, stats) == (True, [])


@pytest.mark.parametrize("statx", [None, lambda *_: -1], ids=["missing", "refused"])
def test_a_machine_that_tells_no_inode_alone_is_asked_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statx: object
) -> None:
    monkeypatch.setattr(module, "_statx", statx)
    file = SystemDisk().create(tmp_path / "f", 0)
    assert file.is_named()
    (tmp_path / "f").rename(tmp_path / "g")
    assert not file.is_named()
    (tmp_path / "f").touch()
    assert not file.is_named()


def test_a_kernel_that_takes_and_gives_little_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pwrite, pread = os.pwrite, os.pread
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: pwrite(fd, data[:3], offset))
    monkeypatch.setattr(os, "pread", lambda fd, length, offset: pread(fd, min(2, length), offset))
    file = SystemDisk().create(tmp_path / "f", 20)
    file.write(1, b"0123456789")
    assert file.read(0, 12) == b"\x000123456789\x00"
    assert file.read(15, 100) == bytes(5)


def test_a_kernel_that_takes_nothing_is_not_asked_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = SystemDisk().create(tmp_path / "f", 20)
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: 0)
    with refused(errno.EIO):
        file.write(0, b"x")


def test_a_disk_that_is_full_leaves_all_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SystemDisk()
    file = disk.create(tmp_path / "f", 10)

    def fill_up(descriptor: int, offset: int, length: int) -> None:
        os.ftruncate(descriptor, offset + length // 2)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", fill_up)
    with refused(errno.ENOSPC):
        disk.create(tmp_path / "g", 100)
    with refused(errno.ENOSPC):
        file.resize(100)
    assert (disk.names(tmp_path), file.size()) == (["f"], 10)
    assert len(descriptors(tmp_path)) == 1


def test_space_has_its_place_on_the_disk_whatever_the_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: int) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    disk, size = SystemDisk(), 200_001
    allocated = disk.create(tmp_path / "allocated", size)
    monkeypatch.setattr(os, "posix_fallocate", unsupported)
    written = disk.create(tmp_path / "written", 10)
    written.write(9, b"x")
    written.resize(size)
    for file in (allocated, written):
        file.sync()
        assert file.path.stat().st_blocks * 512 >= size == file.size()
    assert written.read(9, 2) == b"x\0"


def test_a_new_directory_is_on_the_disk_before_anything_is_put_into_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    monkeypatch.setattr(
        os, "fsync", lambda fd: synced.append(Path(f"/proc/self/fd/{fd}").readlink())
    )
    SystemDisk().make_directory(tmp_path / "a" / "b")
    assert synced == [tmp_path, tmp_path / "a"]
    SystemDisk().make_directory(tmp_path / "a" / "b")
    assert len(synced) == 2


def test_a_lock_ends_with_the_process_that_holds_it(tmp_path: Path) -> None:
    hold = (
        "import pathlib, sys; from riskd.adapters.disk import SystemDisk;"
        "lock = SystemDisk().lock(pathlib.Path(sys.argv[1]), 'the other');"
        "print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-P", "-c", hold, str(tmp_path / "lock")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(Held, match=r"held by the other$"):
            SystemDisk().lock(tmp_path / "lock", "me")
        process.kill()
    SystemDisk().lock(tmp_path / "lock", "me").release()


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (b"", "another process"),
        (b"\xff\xfe\n\x1b[31mred\n", r"\[31mred"),
        (b"x" * 1000, "x{256}"),
    ],
)
def test_of_a_holder_only_what_is_text_is_shown(tmp_path: Path, written: bytes, shown: str) -> None:
    SystemDisk().lock(tmp_path / "lock", "me")
    (tmp_path / "lock").write_bytes(written)
    with pytest.raises(Held, match=f"is held by {shown}$"):
        SystemDisk().lock(tmp_path / "lock", "you")


def test_a_write_is_one_call_to_the_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    pwrite = os.pwrite

    def counted(descriptor: int, data: bytes, offset: int) -> int:
        calls.append(len(data))
        return pwrite(descriptor, data, offset)

    file = SystemDisk().create(tmp_path / "f", 100)
    monkeypatch.setattr(os, "pwrite", counted)
    file.write(0, bytes(90))
    assert calls == [90]
