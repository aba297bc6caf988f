"""Real daemons for tests, each in a process and a short directory of its own; and ledgers on a
simulated disk."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest
import trio
from riskd.actors.messages import Actors, ActorsAre, Command, Recorded, Status, StatusIs
from riskd.adapters.client import Client, NotReachable
from riskd.adapters.simulated_disk import SimulatedDisk, SimulatedOffload
from riskd.config.schema import Journal
from riskd.supervisor.keeper import Keeper
from riskd.supervisor.ledger import Ledger
from riskd.supervisor.recall import open_ledger

PATIENT = Journal(snapshot_facts=1_000_000, slow_sync_ms=60_000, free_mib=1)
"""A keeper that is told this makes no snapshot and no complaint by itself."""
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


STATE = Path("/state")
NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)


@attrs.define(eq=False)
class TestClock:
    """The loop's clock, if there is a loop; `days` have passed besides."""

    __test__ = False

    days: float = 0.0
    boots: int = 1

    def monotonic_s(self) -> float:
        return trio.current_time() if trio.lowlevel.in_trio_run() else 0.0

    def now(self) -> datetime:
        return NOON + timedelta(days=self.days)

    def boot(self) -> str:
        return f"boot {self.boots}"


class Story:
    """A projection that knows every fact in order; at those in `breaks` it breaks once."""

    version = 1

    def __init__(self, name: str = "story") -> None:
        self.name = name
        self.facts: list[Recorded] = []
        self.breaks: dict[int, Exception] = {}

    def apply(self, recorded: Recorded) -> None:
        error = self.breaks.pop(recorded.lsn, None)
        if error is not None:
            self.facts.append(recorded)  # which is half of what is to be done, and none too many
            self.facts.append(recorded)
            raise error
        self.facts.append(recorded)

    def dump(self) -> list[bytes]:
        return [msgspec.json.encode(self.facts)]

    def load(self, state: bytes | None) -> None:
        self.facts = [] if state is None else msgspec.json.decode(state, type=list[Recorded])

    @property
    def told(self) -> list[object]:
        return [recorded.fact for recorded in self.facts]


class LedgerOnDisk:
    """A machine with a simulated disk, whose riskd can be killed and whose power can be cut."""

    def __init__(self, seed: int = 1) -> None:
        self.disk = SimulatedDisk(seed)
        self.clock = TestClock()
        self.directory = STATE / "journal"

    def open(
        self,
        projections: Sequence[Any] = (),
        *,
        segment_bytes: int = 262_144,
        durability: str = "process",
    ) -> AbstractContextManager[Ledger]:
        return open_ledger(
            self.disk,
            STATE,
            self.clock,
            projections,
            segment_bytes=segment_bytes,
            durability=durability,
        )

    def cut_power(self) -> None:
        """And give it back."""
        self.disk.cut_power()
        self.clock.boots += 1

    def told(self) -> list[object]:
        """What the next riskd knows."""
        story = Story()
        with self.open([story]):
            return story.told

    def keeper(self, ledger: Ledger, said: Journal = PATIENT) -> Keeper:
        return Keeper(
            ledger,
            said,
            self.clock,
            syncs=SimulatedOffload(self.disk),
            chores=SimulatedOffload(self.disk),
        )

    @asynccontextmanager
    async def kept(self, ledger: Ledger, said: Journal = PATIENT) -> AsyncIterator[Keeper]:
        """A keeper serves while the block lasts, which is not for ever."""
        with trio.fail_after(1_000):
            async with trio.open_nursery() as nursery:
                one = self.keeper(ledger, said)
                nursery.start_soon(one.run)
                yield one
                nursery.cancel_scope.cancel()

    @staticmethod
    def sync(ledger: Ledger) -> None:
        """One trip to the disk, while no keeper is there. Those who wait for it look again."""
        sync = ledger.journal.sync()
        sync.run()
        ledger.journal.synced(sync)
        ledger._synced.unpark_all()


@pytest.fixture
def machine() -> LedgerOnDisk:
    return LedgerOnDisk()


@pytest.fixture
def machines() -> Callable[[int], LedgerOnDisk]:
    """One for each seed."""
    return LedgerOnDisk


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.fixture
def stories() -> Callable[[str], Story]:
    """One for each name."""
    return Story
