"""What making a fact costs: append it and apply it, with no wait for the disk.

The peers are what is least: the same bytes by a bare system call; and what others would take: an
insert into SQLite, which in its mode NORMAL promises as much.
"""

import os
import tempfile
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

from .ledgers import committing, inserting, opened, payload, preallocated
from .results import US, Result, at_least, in_turn, latency, rate, timed, warm_up

COMMITS_MIN = 150_000
BATCH = 1_000
"""What makes a sample of the rate: enough that the clock costs nothing."""


def measure(n: int) -> list[Result]:
    batches = max(1, n // BATCH)
    with (
        tempfile.TemporaryDirectory(prefix="riskd-") as place,
        opened(Path(place, "ours")) as ledger,
        inserting(Path(place, "theirs.sqlite3"), "NORMAL") as insert,
    ):
        commit = committing(ledger)
        one = in_turn(n, timed(commit), timed(insert))
        length = len(payload(1))
        with preallocated(Path(place, "bare"), BATCH * length) as descriptor:
            write = _writing(descriptor, length)
            many = in_turn(batches, timed(_repeated(commit)), timed(_repeated(write)))
    figure = rate(many[0], BATCH)
    return [
        Result(
            name="commit of a fact",
            n=n,
            figure=latency(one[0], US),
            peer_name="SQLite, synchronous=NORMAL",
            peer=latency(one[1], US),
        ),
        Result(
            name="commits one after another",
            n=batches * BATCH,
            figure=figure,
            peer_name="bare pwrite",
            peer=rate(many[1], BATCH),
            promise=at_least(COMMITS_MIN, figure),
            note=f"after {n + warm_up(n):,} others",
        ),
    ]


def _writing(descriptor: int, length: int) -> Callable[[], object]:
    data = bytes(length)
    offsets = cycle(range(0, BATCH * length, length))
    return lambda: os.pwrite(descriptor, data, next(offsets))


def _repeated(act: Callable[[], object]) -> Callable[[], None]:
    def repeat() -> None:
        for _ in range(BATCH):
            act()

    return repeat
