"""The simulated disk: it does all that a real one may, and nothing that a real one may not.

That it keeps the port's laws is shown with the real one's tests.
"""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.ports import File, Held
from riskd.adapters.simulated_disk import (
    UNSYNCED_MAX,
    Operation,
    SimulatedDisk,
    SimulatedOffload,
)

HOME = Path("/home")
FILE = HOME / "file"
SEEDS = range(300)  # enough for each of a few outcomes to come up
OPERATIONS: tuple[Operation, ...] = get_args(Operation)


def made(
    seed: int, content: bytes = b"", capacity_bytes: int = 1 << 20
) -> tuple[SimulatedDisk, File]:
    """A disk with one file, all of it synced."""
    disk = SimulatedDisk(seed, capacity_bytes)
    disk.make_directory(HOME)
    file = disk.create(FILE, len(content))
    file.write(0, content)
    file.sync()
    disk.sync_directory(HOME)
    return disk, file


def content(disk: SimulatedDisk, path: Path = FILE) -> bytes:
    return disk.open(path).read(0, 10_000)


def outcomes(content_before: bytes, change: Callable[[File], None]) -> set[bytes]:
    """What a file may hold after a change and a power cut."""
    found = set()
    for seed in SEEDS:
        disk, file = made(seed, content_before)
        change(file)
        disk.cut_power()
        found.add(content(disk))
    return found


# --- power cuts -----------------------------------------------------------------------------------


def test_an_unsynced_write_is_kept_lost_or_torn_anywhere() -> None:
    found = outcomes(b"....", lambda file: file.write(0, b"abcd"))
    assert found == {b"....", b"a...", b"ab..", b"abc.", b"abcd"}


def test_of_two_writes_the_later_may_be_kept_and_the_earlier_lost() -> None:
    def change(file: File) -> None:
        file.write(0, b"a")
        file.write(1, b"b")

    assert outcomes(b"..", change) == {b"..", b"a.", b".b", b"ab"}


def test_a_file_may_have_its_new_size_without_its_new_bytes_and_not_the_reverse() -> None:
    found = outcomes(b".", lambda file: file.write(1, b"ab"))
    assert found == {b".", b".\0\0", b".a\0", b".ab"}
    found = outcomes(b".", lambda file: file.write(3, b"abcd"))
    assert found == {b"."} | {b".\0\0" + b"abcd"[:kept].ljust(4, b"\0") for kept in range(5)}


def test_a_new_size_is_kept_or_lost() -> None:
    assert outcomes(b"ab", lambda file: file.resize(1)) == {b"a", b"ab"}
    assert outcomes(b"ab", lambda file: file.resize(3)) == {b"ab", b"ab\0"}


WRITES = st.lists(st.tuples(st.integers(0, 30), st.binary(min_size=1, max_size=20)), max_size=20)


@given(seed=st.integers(), synced=WRITES, unsynced=WRITES)
def test_each_byte_is_the_synced_one_or_was_written_there_since(
    seed: int, synced: list[tuple[int, bytes]], unsynced: list[tuple[int, bytes]]
) -> None:
    disk, file = made(seed, bytes(50))
    for offset, data in synced:
        file.write(offset, data)
    file.sync()
    allowed = [{byte} for byte in content(disk)]
    for offset, data in unsynced:
        file.write(offset, data)
        for place, byte in enumerate(data, offset):
            allowed[place].add(byte)
    disk.cut_power()
    assert all(byte in bytes_ for byte, bytes_ in zip(content(disk), allowed, strict=True))
    once = content(disk)
    disk.cut_power()
    assert content(disk) == once


SIZES = st.integers(0, 60)
CHANGES = st.lists(st.tuples(SIZES, st.none() | st.binary(max_size=20)), max_size=20)


def changed(file: File, changes: list[tuple[int, bytes | None]]) -> None:
    for offset, data in changes:
        if data is None:
            file.resize(offset)
        else:
            file.write(offset, data)


@given(seed=st.integers(), changes=CHANGES)
def test_what_was_synced_is_kept(seed: int, changes: list[tuple[int, bytes | None]]) -> None:
    disk, file = made(seed)
    changed(file, changes)
    file.sync()
    before = content(disk)
    disk.cut_power()
    assert content(disk) == before


@given(seed=st.integers(), changes=CHANGES)
def test_the_same_seed_gives_the_same_disk(
    seed: int, changes: list[tuple[int, bytes | None]]
) -> None:
    found = []
    for _ in range(2):
        disk, file = made(seed)
        changed(file, changes)
        disk.cut_power()
        found.append((content(disk), disk.chance.random()))
    assert found[0] == found[1]


def test_beyond_what_may_wait_the_oldest_is_written_back() -> None:
    for seed in SEEDS:
        disk, file = made(seed, b"..")
        file.write(0, b"a")
        for _ in range(UNSYNCED_MAX):
            file.write(1, b"b")
        disk.cut_power()
        assert content(disk) in (b"a.", b"ab")


def test_beyond_the_names_that_may_wait_the_oldest_is_written_back() -> None:
    disk, _ = made(0)
    disk.create(HOME / "oldest", 0)
    for _ in range(UNSYNCED_MAX):
        disk.rename(FILE, FILE)
    assert len(disk._unsynced) == UNSYNCED_MAX
    assert HOME / "oldest" in disk._kept


# --- names ----------------------------------------------------------------------------------------


def test_of_unsynced_names_the_first_ones_are_kept_in_order() -> None:
    found = set()
    for seed in SEEDS:
        disk, _ = made(seed)
        disk.create(HOME / "a", 0)
        disk.create(HOME / "b", 0)
        disk.rename(HOME / "a", FILE)
        disk.remove(HOME / "b")
        disk.cut_power()
        names = tuple(disk.names(HOME))
        disk.cut_power()
        assert tuple(disk.names(HOME)) == names
        found.add(names)
    assert found == {("file",), ("a", "file"), ("a", "b", "file"), ("b", "file")}


def survivors(change: Callable[[SimulatedDisk], None]) -> set[tuple[tuple[str, ...], ...]]:
    """The names in two directories after a change and a power cut."""
    found = set()
    for seed in SEEDS:
        disk, _ = made(seed)
        disk.make_directory(HOME / "x")
        disk.make_directory(HOME / "y")
        change(disk)
        disk.cut_power()
        found.add(tuple(tuple(disk.names(HOME / name)) for name in "xy"))
    return found


def test_a_directorys_sync_keeps_its_own_names_alone() -> None:
    def change(disk: SimulatedDisk) -> None:
        disk.create(HOME / "y" / "b", 0)
        disk.create(HOME / "x" / "a", 0)
        disk.create(HOME / "y" / "c", 0)
        disk.sync_directory(HOME / "x")

    assert survivors(change) == {(("a",), ()), (("a",), ("b",)), (("a",), ("b", "c"))}


def test_a_file_that_moves_is_in_one_place() -> None:
    def change(disk: SimulatedDisk) -> None:
        disk.create(HOME / "x" / "a", 0)
        disk.rename(HOME / "x" / "a", HOME / "y" / "b")
        disk.sync_directory(HOME / "y")

    assert survivors(change) == {((), ("b",))}


def test_a_files_sync_does_not_keep_its_name() -> None:
    def change(disk: SimulatedDisk) -> None:
        disk.create(HOME / "x" / "a", 0).sync()

    assert survivors(change) == {((), ()), (("a",), ())}


def test_a_name_on_the_disk_says_nothing_of_what_it_holds() -> None:
    found = set()
    for seed in SEEDS:
        disk, _ = made(seed, b"old")
        disk.create(HOME / "new", 3).write(0, b"new")
        disk.rename(HOME / "new", FILE)
        disk.sync_directory(HOME)
        disk.cut_power()
        found.add(content(disk))
    assert found == {b"", b"\0\0\0", b"n\0\0", b"ne\0", b"new"}


# --- the death of the process ---------------------------------------------------------------------


@pytest.mark.parametrize("end", [SimulatedDisk.crash, SimulatedDisk.cut_power])
def test_a_dead_process_holds_neither_files_nor_locks(end: Callable[[SimulatedDisk], None]) -> None:
    disk, file = made(0, b"x")
    dead = disk.lock(HOME / "lock", "the dead")
    end(disk)
    for act in (file.sync, file.size, lambda: file.read(0, 1), lambda: file.write(0, b"y")):
        with pytest.raises(OSError, match="Bad file descriptor"):
            act()
    disk.lock(HOME / "lock", "the next")
    dead.release()
    with pytest.raises(Held, match=r"the next$"):
        disk.lock(HOME / "lock", "another")


def test_a_killed_process_loses_nothing_and_a_power_cut_after_it_may() -> None:
    found = set()
    for seed in SEEDS:
        disk, file = made(seed, b".")
        file.write(0, b"x")
        disk.create(HOME / "new", 1)
        disk.crash()
        assert content(disk) == b"x"
        assert disk.names(HOME) == ["file", "new"]
        disk.cut_power()
        found.add((content(disk), len(disk.names(HOME))))
    assert found == {(b".", 1), (b".", 2), (b"x", 1), (b"x", 2)}


# --- faults ---------------------------------------------------------------------------------------


def acts(disk: SimulatedDisk, file: File) -> dict[Operation, Callable[[], object]]:
    return {
        "read": lambda: file.read(0, 1),
        "write": lambda: file.write(0, b""),
        "sync": file.sync,
        "resize": lambda: file.resize(1),
        "create": lambda: disk.create(HOME / "new", 1),
        "rename": lambda: disk.rename(FILE, HOME / "moved"),
        "remove": lambda: disk.remove(FILE),
        "sync_directory": lambda: disk.sync_directory(HOME),
    }


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_is_to_fail_fails_as_often_and_changes_nothing(operation: Operation) -> None:
    disk, file = made(0, b"abc")
    act = acts(disk, file)[operation]
    disk.fail(operation, times=2, reason=errno.EROFS)
    for _ in range(2):
        with pytest.raises(OSError, match="Read-only file system"):
            act()
    assert (disk.names(HOME), content(disk), file.path) == (["file"], b"abc", FILE)
    act()


def test_a_write_that_fails_may_have_written_a_part() -> None:
    def change(seed: int) -> bytes:
        disk, file = made(seed, b"..")
        disk.fail("write")
        with pytest.raises(OSError, match="Input/output error"):
            file.write(1, b"ab")
        return content(disk)

    assert {change(seed) for seed in SEEDS} == {b"..", b".a", b".ab"}


def test_a_failed_sync_loses_writes_for_good_though_they_are_seen_and_the_next_succeeds() -> None:
    found = set()
    for seed in SEEDS:
        disk, file = made(seed, b"..")
        file.write(0, b"a")
        file.write(1, b"b")
        disk.fail("sync")
        with pytest.raises(OSError, match="Input/output error"):
            file.sync()
        file.sync()
        assert content(disk) == b"ab"
        disk.cut_power()
        found.add(content(disk))
    assert found == {b"..", b"a.", b".b", b"ab"}


def test_a_full_disk_takes_nothing_but_what_has_its_place() -> None:
    disk, file = made(0, bytes(60), capacity_bytes=100)
    assert disk.free_bytes(HOME) == 40
    for act in (
        lambda: disk.create(HOME / "new", 41),
        lambda: file.resize(101),
        lambda: file.write(90, bytes(11)),
    ):
        with pytest.raises(OSError, match="No space left"):
            act()
    assert (disk.names(HOME), content(disk)) == (["file"], bytes(60))
    disk.create(HOME / "new", 40)
    assert disk.free_bytes(HOME) == 0
    file.write(50, b"0123456789")
    disk.remove(HOME / "new")
    assert disk.free_bytes(HOME) == 40
    disk.capacity_bytes = 10
    assert disk.free_bytes(HOME) == 0


def test_a_flipped_bit_is_damage_that_lasts() -> None:
    disk, _ = made(0, b"\0\0\0")
    disk.flip(FILE, 1, 3)
    assert content(disk) == b"\0\x08\0"
    disk.cut_power()
    assert content(disk) == b"\0\x08\0"


def test_damage_does_not_make_what_was_not_synced_last() -> None:
    found = set()
    for seed in SEEDS:
        disk, file = made(seed, b"@")
        file.write(1, b"b")
        disk.flip(FILE, 0, 0)
        disk.flip(FILE, 1, 0)
        assert content(disk) == b"Ac"
        disk.cut_power()
        found.add(content(disk))
    assert found == {b"A", b"A\0", b"Ab"}


# --- time -----------------------------------------------------------------------------------------


async def test_an_act_lasts_as_long_as_the_disk_is_slow(
    autojump_clock: trio.testing.MockClock,
) -> None:
    disk, _ = made(0)
    disk.sync_s = (2.0, 5.0)
    lasted = []
    for number in range(100):
        started = trio.current_time()
        assert await SimulatedOffload(disk).run(lambda: "done") == "done"
        lasted.append(trio.current_time() - started)
        assert len(lasted) == number + 1
    assert 2 <= min(lasted) < 3
    assert 4 < max(lasted) <= 5


async def test_what_is_written_during_a_sync_is_in_time_for_it_or_not(
    autojump_clock: trio.testing.MockClock,
) -> None:
    instants = []
    for seed in range(100):
        disk, _ = made(seed)
        disk.sync_s = (2.0, 2.0)
        started = trio.current_time()
        instants.append(await SimulatedOffload(disk).run(trio.current_time) - started)
    assert 0 <= min(instants) < 0.5
    assert 1.5 < max(instants) <= 2


async def test_acts_are_done_one_after_another(autojump_clock: trio.testing.MockClock) -> None:
    disk, _ = made(0)
    disk.sync_s = (1.0, 1.0)
    offload, ended = SimulatedOffload(disk), []

    async def caller() -> None:
        await offload.run(lambda: None)
        ended.append(round(trio.current_time() - started))

    async with trio.open_nursery() as nursery:
        started = trio.current_time()
        for _ in range(3):
            nursery.start_soon(caller)
    assert ended == [1, 2, 3]


async def test_the_act_of_a_cancelled_caller_is_done(
    autojump_clock: trio.testing.MockClock,
) -> None:
    for seed in range(20):
        disk, file = made(seed, b".")
        file.write(0, b"x")
        disk.sync_s = (2.0, 2.0)
        with trio.move_on_after(0.5) as scope:
            await SimulatedOffload(disk).run(file.sync)
        assert scope.cancelled_caught
        disk.cut_power()
        assert content(disk) == b"x"


async def test_the_act_of_a_dead_process_is_not(autojump_clock: trio.testing.MockClock) -> None:
    disk, file = made(3, b".")
    disk.sync_s = (9.0, 9.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(SimulatedOffload(disk).run, file.sync)
        await trio.testing.wait_all_tasks_blocked()
        disk.crash()
        nursery.cancel_scope.cancel()
    with pytest.raises(OSError, match="Bad file descriptor"):
        await SimulatedOffload(disk).run(file.sync)
