"""Real daemons for tests: each in a process of its own, in a short directory of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from riskd.actors.messages import Actors, ActorsAre, Command, Status, StatusIs
from riskd.adapters.client import Client, NotReachable

PATIENCE_S = 20.0
"""How long a test waits for what must come; a slow machine is no failure."""


class RunningDaemon:
    """One `riskd run`, and what a test does to it."""

    def __init__(self, directory: Path, *arguments: str, program: str | None = None, **popen: Any):
        self.directory = directory
        self.socket = directory / "run" / "riskd.sock"
        self.log = directory / "log"
        start = ["-c", program] if program else ["-m", "riskd"]
        environment = {**os.environ, **popen.pop("env", {})}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", *start, "run", "--state-dir", str(directory / "state"),
                 "--socket", str(self.socket), *arguments],
                **{"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, **popen},
                env=environment,
            )  # fmt: skip

    def wait_ready(self) -> "RunningDaemon":
        self.until(lambda: self.status()["state"] == "serving")
        return self

    def until(self, true: Callable[[], bool]) -> None:
        """Wait for what must come true; riskd may not be reachable meanwhile."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with contextlib.suppress(NotReachable):
                if true():
                    return
            assert self.process.poll() is None, f"riskd ended:\n{self.logged()}"
            assert time.monotonic() < deadline, f"never came true:\n{self.logged()}"

    def until_logged(self, event: str) -> None:
        """Wait for an event in the log; riskd may end meanwhile."""
        deadline = time.monotonic() + PATIENCE_S
        while event not in self.logged():
            assert time.monotonic() < deadline, f"never logged {event}:\n{self.logged()}"

    def ask(self, command: Command) -> Any:
        with Client(self.socket, timeout_s=PATIENCE_S) as client:
            return client.ask(command)

    def status(self) -> dict[str, Any]:
        reply = self.ask(Status())
        assert isinstance(reply, StatusIs)
        return reply.status

    def actors(self) -> dict[str, dict[str, Any]]:
        reply = self.ask(Actors())
        assert isinstance(reply, ActorsAre)
        return {str(row["name"]): row for row in reply.actors}

    def incarnations(self) -> dict[str, int]:
        return {name: row["incarnation"] for name, row in self.actors().items()}

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        """Its exit status."""
        return self.process.wait(PATIENCE_S)

    def logged(self) -> str:
        return self.log.read_text()

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.logged().splitlines() if line.startswith("{")]


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory whose name is short enough for a socket in it."""
    with tempfile.TemporaryDirectory(prefix="riskd-") as directory:
        yield Path(directory)


@pytest.fixture
def start(place: Path) -> Iterator[Callable[..., RunningDaemon]]:
    """Start a daemon in the test's directory. Whatever still runs at the end is killed."""
    daemons: list[RunningDaemon] = []

    def start(*arguments: str, **popen: Any) -> RunningDaemon:
        daemons.append(RunningDaemon(place, *arguments, **popen))
        return daemons[-1]

    yield start
    for daemon in daemons:
        daemon.process.kill()
        daemon.process.wait()
