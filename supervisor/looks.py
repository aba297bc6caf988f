"""Looks outside: at files that others write, and at commands that tell how something is.

All of it may take for ever: a file lies on a disk that hangs, a command never ends. So each look
is made in a thread of its own, and a caller that is cancelled leaves at once. There are as many
threads as there may be triggers; looks that hang keep theirs, and in the end no other is made,
which whoever waits sees as one that doesn't answer.

A command is no part of riskd. It gets no shell, no input but a question of riskd's own, little of
the environment (where secrets are) and a process group of its own, which is killed at its end:
nothing that it started goes on, unless it took care to leave. Of its output the first bit is kept,
and some more read and dropped. Whoever goes on after that writes to nobody, which ends most
programs: it fills no memory, and takes no time from the loop.
"""

import contextlib
import errno
import os
import select
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO, TypeVar

import trio

from ..actors.core.triggers import Ran
from ..actors.ports import Text
from ..config.schema import TRIGGERS_MAX

T = TypeVar("T")

PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR")
"""All of the environment that a command gets."""
STATUS_BYTES_MAX = 4_096
SAID_BYTES_MAX = 1_024
HEARD_BYTES_MAX = 1_048_576
"""Of a command's output. Then nobody reads it any more."""
ANSWER_BYTES_MAX = 12_582_912
"""Of what is asked for its output: less than a client takes as one reply."""
_CHUNK = 65_536


class Outside:
    """The real one."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = {key: environment[key] for key in PASSED_ON if key in environment}
        self._threads = trio.CapacityLimiter(TRIGGERS_MAX)
        self._asking = trio.CapacityLimiter(1)

    async def is_there(self, path: str) -> bool:
        return await self.apart(partial(_is_there, Path(path)))

    async def read(self, path: str) -> Text:
        return await self.apart(partial(_read, path))

    async def run(self, argv: Sequence[str], timeout_s: float) -> Ran:
        run = _Run(argv, timeout_s, self._environment)
        try:
            return await self.apart(run.perform)
        finally:
            run.end()

    async def ask(
        self, argv: Sequence[str], question: bytes, timeout_s: float, *, is_quick: bool = False
    ) -> Ran:
        """Run a command for what it says to a question, one after another, and beside the looks: a
        whole answer may be long. A quick one waits for nobody, and is as much as a look."""
        run = _Run(
            argv,
            timeout_s,
            self._environment,
            question=question,
            said_max=ANSWER_BYTES_MAX,
            heard_max=ANSWER_BYTES_MAX,
        )
        try:
            return await self.apart(run.perform, None if is_quick else self._asking)
        finally:
            run.end()

    async def apart(self, act: Callable[[], T], threads: trio.CapacityLimiter | None = None) -> T:
        """The result of `act()`, or what it raised. Whoever is cancelled leaves at once."""
        limiter = threads or self._threads
        return await trio.to_thread.run_sync(act, abandon_on_cancel=True, limiter=limiter)


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        # Where its folder is missing nobody could put it there: that says nothing.
        path.parent.stat()
        return False
    return True


def _read(path: str) -> Text:
    # Without a wait, also for a pipe that nobody writes to.
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        seen = os.fstat(file)
        if not stat.S_ISREG(seen.st_mode):
            raise OSError(errno.EINVAL, "Not a regular file", path)
        said = os.read(file, STATUS_BYTES_MAX + 1)
    finally:
        os.close(file)
    # Its beginning alone could be the opposite of what it says.
    more = "…" if len(said) > STATUS_BYTES_MAX else ""
    words = said[:STATUS_BYTES_MAX].decode(errors="replace") + more
    return Text(words, datetime.fromtimestamp(seen.st_mtime, UTC))


class _Run:
    """One run of a command. It is ended by its own end, by its time, or by whoever waits for it."""

    def __init__(
        self,
        argv: Sequence[str],
        timeout_s: float,
        environment: Mapping[str, str],
        *,
        question: bytes = b"",
        said_max: int = SAID_BYTES_MAX,
        heard_max: int = HEARD_BYTES_MAX,
    ) -> None:
        self._argv = argv
        self._timeout_s = timeout_s
        self._environment = environment
        self._question = question
        self._said_max = said_max
        self._heard_max = heard_max
        self._lock = threading.Lock()
        self._group: int | None = None
        """Its process group; None before it began and once its leader is no more."""
        self._is_unwanted = False

    def end(self) -> None:
        """Nobody waits for it any more."""
        with self._lock:
            self._is_unwanted = True
            self._kill()

    def perform(self) -> Ran:
        """In the thread."""
        # A file in memory: nobody has to write to a command that does not read.
        with os.fdopen(os.memfd_create("question"), "wb+") as question:
            question.write(self._question)
            question.seek(0)
            process = subprocess.Popen(  # noqa: S603 - it is the configuration's, or riskd's own
                list(self._argv),
                stdin=question,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd="/",
                start_new_session=True,
            )
        with self._lock:
            self._group = process.pid
            if self._is_unwanted:
                self._kill()
        assert process.stdout is not None, "it was asked for"
        with process.stdout as output:
            is_over, said = self._follow(process.pid, output)
        with self._lock:
            # Its leader is not waited for yet, so the group's number is nobody else's.
            self._kill()
            self._group = None
        status = process.wait()
        return Ran(status if is_over else None, said.decode(errors="replace"))

    def _follow(self, process_id: int, output: IO[bytes]) -> tuple[bool, bytes]:
        """Until it ends or its time is up: whether it ended, and the beginning of its output."""
        ends_s = time.monotonic() + self._timeout_s
        file = output.fileno()
        os.set_blocking(file, False)
        said, heard = bytearray(), 0
        with contextlib.ExitStack() as held:
            ended = os.pidfd_open(process_id)
            held.callback(os.close, ended)
            poll = select.poll()
            poll.register(ended, select.POLLIN)
            poll.register(file, select.POLLIN)
            while (left_s := ends_s - time.monotonic()) > 0:
                ready = {each for each, _ in poll.poll(left_s * 1e3)}
                if file in ready:
                    chunk = _chunk(file)
                    said += chunk[: self._said_max - len(said)]
                    heard += len(chunk)
                    if not chunk or heard > self._heard_max:
                        poll.unregister(file)
                        output.close()
                elif ended in ready:
                    return True, bytes(said)
        return False, bytes(said)

    def _kill(self) -> None:
        if self._group is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._group, signal.SIGKILL)


def _chunk(output: int) -> bytes:
    """What there is to read now; nothing when there is nothing, or will be nothing more."""
    with contextlib.suppress(BlockingIOError):
        return os.read(output, _CHUNK)
    return b""
