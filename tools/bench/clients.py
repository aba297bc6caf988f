"""Whether `status` stays answered, and memory bounded, while other clients behave badly.

The peer of each is the same riskd in the same run, when nobody else is there: quiet and trouble
are measured by turns.
"""

import contextlib
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from ctypes import c_ulonglong
from functools import partial
from pathlib import Path

from ...actors.messages import Status
from ...adapters.client import Client
from .processes import CHUNK_BYTES, Daemon, connected, neighbour, running, until
from .results import MS, Figure, Promise, Result, at_most, latency, timed

ANSWERED_S_MAX = 1.0
"""Beyond this an operator asks what is wrong; below it a slow machine is no failure."""
GROWTH_MIB_MAX = 64.0
"""What 1,000 clients could have riskd hold if each had sent a longest line."""
ROUNDS = 5
BLOCKED_S = 0.2
"""Who could not send a byte for so long is blocked."""
LINE = b'{"type":"status"}\n'

Trouble = Callable[[], AbstractContextManager[Callable[[], bool]]]
"""Is there while its body runs; what it gives tells whether it has done enough."""


def measure(n: int, *, idle: int = 1000, flood_mb: int = 100, deaths: int = 1000) -> list[Result]:
    """`flood_mb` and `deaths` are in all; `idle` clients are there at the same time."""
    _allow_descriptors()
    with running() as daemon:
        for _ in range(n):
            daemon.status()
        before_mib = daemon.memory_mib()
        troubles: dict[str, Trouble] = {
            f"{idle:,} idle clients": partial(_idle, daemon, idle),
            "a client that never reads": partial(_unread, daemon.socket),
            f"{flood_mb} MB without a newline": partial(
                _neighbour, flood, daemon.socket, flood_mb * 1_000_000 // ROUNDS
            ),
            f"{deaths:,} that die in mid-line": partial(
                _neighbour, die, daemon.socket, deaths // ROUNDS
            ),
        }
        results = [_answered(daemon, n, name, trouble) for name, trouble in troubles.items()]
        return [*results, *_memory(daemon, before_mib)]


def _allow_descriptors() -> None:
    """Each client is one, and the usual limit was made for select()."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


# --- status, quiet and in trouble -----------------------------------------------------------------


def _answered(daemon: Daemon, n: int, name: str, trouble: Trouble) -> Result:
    quiet: list[float] = []
    troubled: list[float] = []
    with Client(daemon.socket) as client:
        ask = timed(lambda: client.ask(Status()))
        for _ in range(ROUNDS):
            # Whoever made trouble has gone, or else the quiet would not be one.
            until(lambda: daemon.clients() <= 2, lambda: "old clients are still there")
            quiet += [ask() for _ in range(-(-n // ROUNDS))]
            with trouble() as enough:
                troubled += [ask() for _ in range(-(-n // ROUNDS))]
                while not enough():
                    troubled.append(ask())
    return Result(
        name=f"status beside {name}",
        n=len(troubled),
        figure=latency(troubled, MS),
        peer_name="quiet",
        peer=latency(quiet, MS),
        promise=Promise(f"each within {ANSWERED_S_MAX:g} s", max(troubled) <= ANSWERED_S_MAX),
    )


def _memory(daemon: Daemon, before_mib: float) -> Iterator[Result]:
    for name, key in (("at its peak", "VmHWM"), ("after all have gone", "VmRSS")):
        figure = Figure(daemon.memory_mib(key), "MiB")
        yield Result(
            name=f"memory of riskd {name}",
            n=1,
            figure=figure,
            peer_name="before",
            peer=Figure(before_mib, "MiB"),
            promise=at_most(round(before_mib + GROWTH_MIB_MAX), figure),
        )


# --- trouble --------------------------------------------------------------------------------------


@contextlib.contextmanager
def _idle(daemon: Daemon, count: int) -> Iterator[Callable[[], bool]]:
    with contextlib.ExitStack() as connections:
        for _ in range(count):
            connections.enter_context(connected(daemon.socket))
        until(lambda: daemon.clients() > count, lambda: f"riskd did not accept {count} clients")
        yield lambda: True


@contextlib.contextmanager
def _unread(path: Path) -> Iterator[Callable[[], bool]]:
    with connected(path) as connection:
        connection.settimeout(BLOCKED_S)
        with contextlib.suppress(TimeoutError):
            while True:
                connection.send(LINE)
        yield lambda: True


@contextlib.contextmanager
def _neighbour(
    work: Callable[[c_ulonglong, Path], None], path: Path, share: int
) -> Iterator[Callable[[], bool]]:
    with neighbour(work, path) as done:
        yield lambda: int(done.value) >= share


def flood(sent: c_ulonglong, path: Path) -> None:
    """Send what has no newline in it; when riskd hangs up, go on with the next connection."""
    chunk = bytes(CHUNK_BYTES).replace(b"\0", b"x")
    while True:
        with connected(path) as connection, contextlib.suppress(ConnectionError):
            while True:
                sent.value += connection.send(chunk)


def die(deaths: c_ulonglong, path: Path) -> None:
    """Begin a line and go, with the reply to the line before it unread."""
    while True:
        with connected(path) as connection:
            connection.sendall(LINE + LINE[:9])
            connection.shutdown(socket.SHUT_RD)
        deaths.value += 1
