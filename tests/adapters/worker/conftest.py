"""Lease pages for tests: as riskd keeps them, as somebody else might make them, and one whose
writer never rests."""

import array
import contextlib
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import attrs
import pytest
from riskd.actors.core import lease as layout
from riskd.adapters.lease_page import MemoryLeasePage
from riskd.adapters.worker.lease import Lease, View

MINUTE_NS = 60_000_000_000
SEALS = 0x1 | 0x2 | 0x4 | 0x10
"""F_SEAL_SEAL, _SHRINK, _GROW, _FUTURE_WRITE."""
NOTHING: Mapping[int, int] = {}


@attrs.define(eq=False)
class Published:
    """A page that is in force, with the link to it."""

    page: MemoryLeasePage
    path: Path

    def view(self, *scopes: str) -> View:
        return Lease(self.path).view(*scopes)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Published]:
    page = MemoryLeasePage()
    try:
        page.link(path)
        page.publish({}, 1)
        page.extend(time.monotonic_ns() + MINUTE_NS)
        yield Published(page, path)
    finally:
        page.close()


@pytest.fixture(scope="session")
def published() -> Callable[[Path], AbstractContextManager[Published]]:
    return opened


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Published]:
    with opened(tmp_path / "riskd.lease") as live:
        yield live


# --- in another process ---------------------------------------------------------------------------

RESTLESS = """
import array, sys, time
from pathlib import Path
from riskd.actors.core import lease
from riskd.adapters.lease_page import MemoryLeasePage
names = sorted((f"symbol:S{n}" for n in range(1000)), key=lease.scope_hash)
bodies = []
for halted in (names[:500], names[500:]):
    modes = {lease.scope_hash(name): 2 * (name in halted) for name in names}
    flat = [word for entry in modes.items() for word in entry]
    bodies.append(array.array("Q", [len(bodies) + 1, 0, len(names), *flat]))
page = MemoryLeasePage()
page._write(bodies[0])
page.extend(time.monotonic_ns() + 60_000_000_000)
page.link(Path(sys.argv[1]))
print(names[0], names[-1], flush=True)
while True:
    page._write(bodies[0])
    page._write(bodies[1])
"""


@contextlib.contextmanager
def running(program: str, *arguments: object) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-P", "-c", program, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as started:
        try:
            yield started
        finally:
            started.kill()


@pytest.fixture(scope="session")
def process() -> Callable[..., AbstractContextManager["subprocess.Popen[bytes]"]]:
    """A Python program, killed at the end."""
    return running


@pytest.fixture
def restless(tmp_path: Path) -> Iterator[tuple[Path, str, str]]:
    """A writer that goes to and fro between two states, in epochs 1 and 2: in one the first half of
    a thousand scopes is halted, in the other the second. With its page come the first scope and the
    last: at every instant one of the two is halted."""
    path = tmp_path / "riskd.lease"
    with running(RESTLESS, path) as writer:
        assert writer.stdout is not None
        first, last = writer.stdout.readline().decode().split()
        yield path, first, last


# --- made by somebody else ------------------------------------------------------------------------


def page_of(path: Path, changed: Mapping[int, int]) -> bytes:
    words = [0] * (layout.PAGE_BYTES // layout.WORD_BYTES)
    words[:3] = [layout.MAGIC, layout.VERSION, layout.PAGE_BYTES]
    words[layout.AT_PATH] = layout.path_hash(bytes(path.parent.resolve()), bytes(Path(path.name)))
    words[layout.AT_GENERATION] = 2
    words[layout.AT_UNTIL] = time.monotonic_ns() + MINUTE_NS
    for at, word in changed.items():
        words[at] = word
    return array.array("Q", words).tobytes()


@pytest.fixture(scope="session")
def lying() -> Callable[..., AbstractContextManager[Path]]:
    """A file in memory with an open page in it, but for some words, some seals, or its size."""

    @contextlib.contextmanager
    def lying(
        changed: Mapping[int, int] = NOTHING, *, unsealed: int = 0, size: int = layout.PAGE_BYTES
    ) -> Iterator[Path]:
        descriptor = os.memfd_create("test", os.MFD_ALLOW_SEALING)
        try:
            path = Path(f"/proc/{os.getpid()}/fd/{descriptor}")
            os.write(descriptor, (page_of(path, changed) * 2)[:size])
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEALS & ~unsealed)
            yield path
        finally:
            os.close(descriptor)

    return lying
