"""Processes beside the benchmark: a riskd of its own, and neighbours that serve or make trouble."""

import contextlib
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from ctypes import c_ulonglong
from multiprocessing.sharedctypes import RawValue
from pathlib import Path

import attrs

from ...actors.messages import Status, StatusIs
from ...adapters.client import Client, NotReachable

PATIENCE_S = 30.0
"""For what must come. Beyond it the benchmark fails: a wrong figure would be worse than none."""
LOOK_AGAIN_S = 0.001
CHUNK_BYTES = 1 << 20


class Broken(Exception):
    """What was to be measured did not run. The text says what it was and what it said last."""


@attrs.define(eq=False)
class Daemon:
    """One riskd in a directory of its own, whose name is short enough for a socket in it."""

    place: Path
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def socket(self) -> Path:
        return self.place / "riskd" / "riskd.sock"

    @property
    def state_dir(self) -> Path:
        return self.place / "riskd"

    def start(self, config: str = "") -> None:
        """Start the installed command, as a person would. Does not wait for it to serve."""
        command = Path(sys.executable).with_name("riskd")
        if not command.exists():
            raise Broken(f"{command} is not there: install riskd beside this Python, as make does")
        # Nothing of whoever runs the benchmark gets in: neither another riskd's socket, nor a
        # service manager's.
        environment = {"PATH": os.defpath, "HOME": str(self.place)}
        environment |= dict.fromkeys(("XDG_RUNTIME_DIR", "XDG_STATE_HOME"), str(self.place))
        file = self.place / "riskd.toml"
        file.write_text(config)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - riskd's own command
                [str(command), "run", "--config", str(file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
            )

    def wait_answering(self) -> dict[str, object]:
        """The first `status` that is answered, asked for again and again."""
        until(self._answers, lambda: f"riskd doesn't answer:\n{self._log.read_text()}")
        return self.status()

    def status(self) -> dict[str, object]:
        with Client(self.socket, timeout_s=PATIENCE_S) as client:
            reply = client.ask(Status())
        if not isinstance(reply, StatusIs):
            raise Broken(f"riskd answered status with {reply}")
        return reply.status

    def clients(self) -> int:
        """How many are connected, the one that asks included."""
        control = self.status()["control"]
        if not isinstance(control, dict):
            raise Broken(f"riskd's status has no control section but {control!r}")
        return int(control["clients"])

    def memory_mib(self, key: str = "VmRSS") -> float:
        """What it holds in memory; with "VmHWM", the most that it has ever held."""
        status = Path(f"/proc/{self._running().pid}/status").read_text(encoding="ascii")
        kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith(key))
        return int(kilobytes) / 1024

    def stop(self) -> None:
        """End it in order; an end of another kind is no clean stop and breaks the benchmark."""
        process = self._running()
        process.send_signal(signal.SIGTERM)
        if (code := process.wait(PATIENCE_S)) != 0:
            raise Broken(f"riskd ended with status {code}:\n{self._log.read_text()}")

    def kill(self) -> None:
        """Leave nothing behind, whatever went wrong."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def _log(self) -> Path:
        return self.place / "log"

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            raise Broken("riskd was not started")
        return self._process

    def _answers(self) -> bool:
        if self._running().poll() is not None:
            raise Broken(f"riskd ended while it started:\n{self._log.read_text()}")
        try:
            self.status()
        except NotReachable:
            return False
        return True


@contextlib.contextmanager
def placed() -> Iterator[Daemon]:
    """A riskd that is still to be started. It is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="riskd-") as place:
        daemon = Daemon(Path(place))
        try:
            yield daemon
        finally:
            daemon.kill()


@contextlib.contextmanager
def running() -> Iterator[Daemon]:
    """A riskd that serves, and is stopped in order."""
    with placed() as daemon:
        daemon.start()
        daemon.wait_answering()
        yield daemon
        daemon.stop()


@contextlib.contextmanager
def neighbour(work: Callable[..., None], *arguments: object) -> Iterator[c_ulonglong]:
    """A process that works until it is ended, and counts in its first argument what it has done.

    It is there, and has begun to count, before the body runs.
    """
    done = RawValue(c_ulonglong, 0)
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=work, args=(done, *arguments), daemon=True)
    process.start()
    try:
        until(lambda: done.value > 0, lambda: f"{work.__name__} has not begun")
        yield done
    finally:
        process.terminate()
        process.join()


def until(true: Callable[[], bool], complaint: Callable[[], str]) -> None:
    """Wait for what must come true."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        if time.monotonic() > deadline:
            raise Broken(complaint())
        time.sleep(LOOK_AGAIN_S)


# --- plain connections ----------------------------------------------------------------------------


@contextlib.contextmanager
def connected(path: Path) -> Iterator[socket.socket]:
    """A connection with nothing around it, for what Client is too polite to do, or too slow."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        # Blocking, so that it waits for a place in a full queue instead of failing at once.
        connection.connect(os.fspath(path))
        connection.settimeout(PATIENCE_S)
        yield connection


def exchange(connection: socket.socket, lines: bytes, replies: int = 1) -> bytes:
    """Send lines, and read until so many replies have come."""
    connection.sendall(lines)
    received, missing = [], replies
    while missing > 0:
        chunk = connection.recv(CHUNK_BYTES)
        if not chunk:
            raise Broken("the connection was closed before the answer")
        missing -= chunk.count(b"\n")
        received.append(chunk)
    return b"".join(received)
