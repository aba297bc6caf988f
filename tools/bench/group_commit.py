"""What waiting for the disk costs: alone, and with many who wait at the same time.

Alone the peer is the least that it can be: the same bytes and an fdatasync, with no thread, in the
way of all else. Many are measured beside SQLite in its mode FULL, which promises as much; since it
has one writer, the most that it can do for 64 tasks is one insert after another.
"""

import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import trio

from ...supervisor.ledger import Ledger
from .ledgers import committing, inserting, kept, payload, preallocated
from .results import (
    US,
    Promise,
    Result,
    in_turn_async,
    latency,
    rate,
    timed,
    timed_async,
    warm_up,
)

TIMES_ALONE_MAX = 1.3
TIMES_TOGETHER_MIN = 3.0
COMMITTERS = 64
ROUNDS = 10
"""What each of them commits in a sample: enough that starting the tasks costs little."""


def measure(n: int) -> list[Result]:
    with tempfile.TemporaryDirectory(prefix="riskd-") as place:
        return trio.run(_measure, n, Path(place))


async def _measure(n: int, place: Path) -> list[Result]:
    async with kept(place / "ours") as ledger:
        with preallocated(place / "bare", _room(n)) as descriptor:
            alone = await _alone(n, ledger, descriptor)
        with inserting(place / "theirs.sqlite3", "FULL") as insert:
            together = await _together(max(1, n // COMMITTERS), ledger, insert)
    return [alone, together]


def _room(n: int) -> int:
    return (n + warm_up(n)) * len(payload(n))


async def _alone(n: int, ledger: Ledger, descriptor: int) -> Result:
    commit = committing(ledger)
    data, written = payload(1), 0

    async def write() -> None:
        nonlocal written
        written += os.pwrite(descriptor, data, written)
        os.fdatasync(descriptor)

    async def commit_safely() -> None:
        await ledger.wait_safe(commit())

    ours, theirs = await in_turn_async(n, timed_async(commit_safely), timed_async(write))
    figure, peer = latency(ours, US), latency(theirs, US)
    return Result(
        name="commit that waits for the disk, alone",
        n=n,
        figure=figure,
        peer_name="bare pwrite and fdatasync",
        peer=peer,
        promise=Promise(
            f"p50 at most {TIMES_ALONE_MAX:g} times its",
            figure.value <= TIMES_ALONE_MAX * peer.value,
        ),
    )


async def _together(n: int, ledger: Ledger, insert: Callable[[], None]) -> Result:
    commit = committing(ledger)

    async def commit_often() -> None:
        for _ in range(ROUNDS):
            await ledger.wait_safe(commit())

    async def all_commit() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(COMMITTERS):
                nursery.start_soon(commit_often)

    async def insert_all() -> float:
        return timed(partial(_repeat, COMMITTERS, insert))()

    ours, theirs = await in_turn_async(n, timed_async(all_commit), insert_all)
    figure, peer = rate(ours, COMMITTERS * ROUNDS), rate(theirs, COMMITTERS)
    return Result(
        name=f"commits that wait for the disk, by {COMMITTERS} tasks",
        n=n,
        figure=figure,
        peer_name="SQLite, synchronous=FULL",
        peer=peer,
        promise=Promise(
            f"at least {TIMES_TOGETHER_MIN:g} times its",
            figure.value >= TIMES_TOGETHER_MIN * peer.value,
        ),
        note="SQLite has one writer: its inserts come one after another",
    )


def _repeat(count: int, act: Callable[[], None]) -> None:
    for _ in range(count):
        act()
