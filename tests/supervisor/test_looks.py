"""Looks outside, at real files and with real commands: each answers, or can be left alone."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest
import trio
from riskd.actors.core.triggers import Bad, Good, Ran, standing
from riskd.config.schema import StatusFile
from riskd.supervisor.looks import HEARD_BYTES_MAX, SAID_BYTES_MAX, Outside

SAFETY_S = 30.0
"""Never reached by a test that passes."""


@pytest.fixture
def outside() -> Outside:
    return Outside({"PATH": os.environ["PATH"], "HOME": "/nowhere", "SECRET": "s3cret"})


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], str]:
    """A program that this Python runs."""
    numbers = count()

    def write(text: str) -> str:
        file = tmp_path / f"check{next(numbers)}"
        file.write_text(f"#!{sys.executable}\nimport os, signal, sys, time\n{text}\n")
        file.chmod(0o755)
        return str(file)

    return write


# --- files ----------------------------------------------------------------------------------------


async def test_a_file_is_there_or_not(outside: Outside, tmp_path: Path) -> None:
    file = tmp_path / "stop"
    assert not await outside.is_there(str(file))
    file.touch()
    assert await outside.is_there(str(file))
    file.unlink()
    file.symlink_to("/nowhere/at/all")
    assert await outside.is_there(str(file))


async def test_where_the_folder_is_missing_nothing_is_known(
    outside: Outside, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        await outside.is_there(str(tmp_path / "unmounted" / "stop"))
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        await outside.is_there(str(tmp_path / "file" / "stop"))


async def test_a_file_is_read_with_its_last_change(outside: Outside, tmp_path: Path) -> None:
    file = tmp_path / "venue"
    file.write_bytes("open \xff".encode("latin-1"))
    os.utime(file, (1_700_000_000, 1_700_000_000))
    text = await outside.read(str(file))
    assert text.said == "open �"
    assert text.changed_at == datetime.fromtimestamp(1_700_000_000, UTC)


async def test_a_huge_file_is_read_in_part(outside: Outside, tmp_path: Path) -> None:
    file = tmp_path / "venue"
    with file.open("wb") as made:
        made.truncate(10**12)
    said = (await outside.read(str(file))).said
    assert (len(said), said[-1]) == (4_097, "…")


@pytest.mark.parametrize("spaces", [4_092, 10_000])
async def test_a_file_that_only_begins_well_is_not_taken_for_good(
    outside: Outside, tmp_path: Path, spaces: int
) -> None:
    file = tmp_path / "venue"
    rule = StatusFile(name="venue", path=str(file), good=("open",), action="kill")
    for end, expected in (("", Good if spaces == 4_092 else Bad), ("closed", Bad)):
        file.write_text("open" + " " * spaces + end)
        text = await outside.read(str(file))
        assert type(standing(rule, text.said, text.changed_at, text.changed_at)) is expected


async def test_what_is_no_regular_file_is_not_waited_for(outside: Outside, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with trio.fail_after(SAFETY_S), pytest.raises(OSError, match="Not a regular file"):
            await outside.read(str(path))
    with pytest.raises(FileNotFoundError):
        await outside.read(str(tmp_path / "venue"))


# --- commands -------------------------------------------------------------------------------------


async def test_a_command_is_told_by_its_status_and_its_words(
    outside: Outside, script: Callable[[str], str]
) -> None:
    program = script(
        "print(sys.argv[1:]); sys.stdout.flush(); print('no', file=sys.stderr)\n"
        "sys.exit(int(sys.argv[1]))"
    )
    assert await outside.run([program, "0"], SAFETY_S) == Ran(0, "['0']\nno\n")
    assert await outside.run([program, "3", "$HOME; ls"], SAFETY_S) == Ran(
        3, "['3', '$HOME; ls']\nno\n"
    )


async def test_a_command_gets_nothing_that_is_not_its_business(
    outside: Outside, script: Callable[[str], str]
) -> None:
    program = script(
        "print(sorted(k for k in os.environ if k != 'LC_CTYPE'), os.getcwd(), "
        "repr(sys.stdin.read()), os.getsid(0) == os.getpid(), sorted(os.listdir('/proc/self/fd')))"
    )
    kept, write = os.pipe()
    os.set_inheritable(kept, True)
    ran = await outside.run([program], SAFETY_S)
    os.close(kept)
    os.close(write)
    assert ran.said == "['HOME', 'PATH'] / '' True ['0', '1', '2', '3']\n"


async def test_a_command_that_hangs_is_killed_with_all_that_it_started(
    outside: Outside, tmp_path: Path
) -> None:
    program = tmp_path / "check"
    program.write_text(
        "#!/bin/sh\ntrap '' TERM\nsleep 1000 &\necho $$ $!\nwhile :; do sleep 1000; done\n"
    )
    program.chmod(0o755)
    ran = await outside.run([str(program)], 2.0)
    assert ran.status is None
    started = [int(each) for each in ran.said.split()]
    assert len(started) == 2
    await all_gone(started)


async def test_what_a_command_leaves_behind_neither_delays_its_answer_nor_lives_on(
    outside: Outside, script: Callable[[str], str]
) -> None:
    program = script(
        "child = os.fork()\n"
        "if child == 0:\n    signal.pause()\n"
        "print(child, flush=True)\nos._exit(0)"
    )
    with trio.fail_after(SAFETY_S):
        ran = await outside.run([program], 10 * SAFETY_S)
    assert ran.status == 0
    await all_gone([int(ran.said)])


async def test_a_command_that_floods_fills_nothing_and_is_heard_no_more(
    outside: Outside, script: Callable[[str], str]
) -> None:
    program = script(
        "signal.signal(signal.SIGPIPE, signal.SIG_DFL)\nwhile True: os.write(1, b'x' * 65536)"
    )
    with trio.fail_after(SAFETY_S):
        ran = await outside.run([program], 10 * SAFETY_S)
    assert ran == Ran(-signal.SIGPIPE, "x" * SAID_BYTES_MAX)


async def test_a_command_may_say_much_and_still_be_good(
    outside: Outside, script: Callable[[str], str]
) -> None:
    program = script(f"sys.stdout.write('x' * {HEARD_BYTES_MAX // 2})")
    assert await outside.run([program], SAFETY_S) == Ran(0, "x" * SAID_BYTES_MAX)


async def test_a_command_that_closes_its_output_is_waited_for(
    outside: Outside, script: Callable[[str], str]
) -> None:
    program = script("os.close(1); os.close(2)\nos._exit(7)")
    assert await outside.run([program], SAFETY_S) == Ran(7, "")


async def test_a_command_that_can_not_be_run_raises(outside: Outside, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await outside.run([str(tmp_path / "missing")], SAFETY_S)
    (tmp_path / "plain").write_text("#!/bin/sh\n")
    with pytest.raises(PermissionError):
        await outside.run([str(tmp_path / "plain")], SAFETY_S)
    (tmp_path / "odd").write_text("what is this\n")
    (tmp_path / "odd").chmod(0o755)
    with pytest.raises(OSError, match="Exec format error"):
        await outside.run([str(tmp_path / "odd")], SAFETY_S)


async def test_a_caller_that_leaves_leaves_no_process(
    outside: Outside, script: Callable[[str], str], tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    program = script(f"open({str(pipe)!r}, 'w').write(str(os.getpid()))\nsignal.pause()")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outside.run, [program], 10 * SAFETY_S)
        with trio.fail_after(SAFETY_S):
            started = int(await trio.to_thread.run_sync(pipe.read_text))
        nursery.cancel_scope.cancel()
    await all_gone([started])


async def test_a_caller_that_leaves_before_it_has_begun_leaves_no_process_either(
    outside: Outside, script: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, go, begun = threading.Event(), threading.Event(), threading.Event()
    started: list[int] = []
    begin = subprocess.Popen

    def slowly(*arguments: Any, **keys: Any) -> "subprocess.Popen[bytes]":
        asked.set()
        go.wait(SAFETY_S)
        process = begin(*arguments, **keys)
        started.append(process.pid)
        begun.set()
        return process

    monkeypatch.setattr(subprocess, "Popen", slowly)
    program = script("signal.pause()")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outside.run, [program], 10 * SAFETY_S)
        await trio.to_thread.run_sync(asked.wait, SAFETY_S)
        nursery.cancel_scope.cancel()
    go.set()
    await trio.to_thread.run_sync(begun.wait, SAFETY_S)
    await all_gone(started)


async def test_nothing_is_left_open(outside: Outside, script: Callable[[str], str]) -> None:
    program = script("print('hello')")
    await outside.run([program], SAFETY_S)
    before = open_files()
    for _ in range(5):
        await outside.run([program], SAFETY_S)
        with contextlib.suppress(OSError):
            await outside.run(["/nowhere"], SAFETY_S)
    assert open_files() <= before


def open_files() -> set[str]:
    return set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are what is compared


async def all_gone(process_ids: list[int]) -> None:
    """Wait until none of them runs. A zombie has ended; whose child it was will see to it."""
    for process_id in process_ids:
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(process_id)
            with trio.fail_after(SAFETY_S):
                await trio.lowlevel.wait_readable(handle)
            os.close(handle)


# --- questions ------------------------------------------------------------------------------------


async def test_a_question_of_any_length_is_read_and_its_whole_answer_is_told(
    outside: Outside, script: Callable[[str], str]
) -> None:
    program = script("sys.stdout.write(sys.stdin.read().upper())")
    question = b"why? " * 200_000
    ran = await outside.ask([program], question, SAFETY_S)
    assert ran == Ran(0, question.decode().upper())


async def test_one_that_does_not_read_its_question_hinders_nobody(
    outside: Outside, script: Callable[[str], str]
) -> None:
    ran = await outside.ask([script("print(7)")], b"x" * 1_000_000, SAFETY_S)
    assert ran == Ran(0, "7\n")


async def test_questions_are_asked_one_after_another_and_beside_the_looks(
    outside: Outside, script: Callable[[str], str]
) -> None:
    """Each says when it began and ended: no two of them overlap."""
    program = script("began = time.monotonic(); time.sleep(0.2); print(began, time.monotonic())")
    hangs = script("signal.pause()")
    spans: list[list[float]] = []

    async def ask() -> None:
        ran = await outside.ask([program], b"", SAFETY_S)
        spans.append([float(each) for each in ran.said.split()])

    with trio.fail_after(SAFETY_S):
        async with trio.open_nursery() as looks:
            for _ in range(4):
                looks.start_soon(outside.run, [hangs], SAFETY_S * 10)
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(ask)
            looks.cancel_scope.cancel()
    spans.sort()
    assert all(one[1] <= other[0] for one, other in pairwise(spans))


async def test_who_leaves_takes_his_question_along(
    outside: Outside, script: Callable[[str], str], tmp_path: Path
) -> None:
    told = tmp_path / "told"
    program = script(f"open({str(told)!r}, 'w').write(str(os.getpid()))\nsignal.pause()")
    with trio.fail_after(SAFETY_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outside.ask, [program], b"", SAFETY_S * 10)
            while not told.exists() or not told.read_text():  # noqa: ASYNC110 - a file tells nobody
                await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
    await all_gone([int(told.read_text())])
