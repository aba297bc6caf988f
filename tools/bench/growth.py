"""Whether a long history costs anything: the time of a commit, and the memory, as it grows.

The keeper does its duties meanwhile, and each look waits until it has none. In a process of its
own, whose memory nothing else has touched. The peer of each is a ledger that is almost new.
"""

import ctypes
import gc
import logging
import multiprocessing
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import attrs
import structlog
import trio

from ...config.schema import Journal as Settings
from ...supervisor.journal.archive import SNAPSHOTS_KEPT
from ...supervisor.journal.files import segment_firsts
from ...supervisor.journal.snapshots import snapshot_lsns
from ...supervisor.ledger import Ledger
from .leak import resident_mib
from .ledgers import committing, kept, opened
from .processes import PATIENCE_S, Broken
from .results import US, Figure, Promise, Result, at_most, in_turn, latency, timed

TIMES_MAX = 1.25
MEMORY_MIB_MAX = 8.0
"""Room for buffers and caches that come with use. A million facts are hundreds."""
SHARES = (30, 3, 1)
"""The sizes, as parts of the largest: a hundred thousand, a million, three million."""
PEER_SHARE = 3_000
SAMPLES = 5_000
BATCH = 1_000
"""Commits between two checkpoints: in riskd others run too."""


@attrs.frozen
class Look:
    """What it was like at one size."""

    lsn: int
    commits_s: Sequence[float]
    memory_mib: float
    peer_lsn: int
    peers_s: Sequence[float]


def measure(n: int) -> list[Result]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as own:
        looks = own.submit(_grown, n).result()
    return [*map(_cost, looks), _memory(looks[0], looks[-1])]


def _cost(look: Look) -> Result:
    figure, peer = latency(look.commits_s, US), latency(look.peers_s, US)
    return Result(
        name=f"commit behind {look.lsn:,} facts",
        n=len(look.commits_s),
        figure=figure,
        peer_name=f"behind {look.peer_lsn:,}",
        peer=peer,
        promise=Promise(
            f"p50 at most {TIMES_MAX:g} times its", figure.value <= TIMES_MAX * peer.value
        ),
    )


def _memory(early: Look, late: Look) -> Result:
    more = Figure(late.memory_mib - early.memory_mib, "MiB more")
    return Result(
        name=f"memory with {late.lsn:,} facts",
        n=1,
        figure=more,
        promise=at_most(MEMORY_MIB_MAX, more),
        note=f"than the {early.memory_mib:.0f} MiB with {early.lsn:,}",
    )


# --- in the other process -------------------------------------------------------------------------


def _grown(n: int) -> list[Look]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory(prefix="riskd-") as place:
        return trio.run(_grow, n, Path(place))


async def _grow(n: int, place: Path) -> list[Look]:
    async with kept(place / "ours") as ledger:
        looks = []
        for share in SHARES:
            await _reach(ledger, n // share)
            memory_mib = _held_mib()
            with opened(place / f"theirs-{share}") as peer:
                looks.append(_look(ledger, peer, n // PEER_SHARE, memory_mib))
    return looks


def _held_mib() -> float:
    """What this process holds in memory, after all that is free has been given back: how much of
    that the allocator keeps differs by more, from moment to moment, than what is looked for."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return resident_mib()


async def _reach(ledger: Ledger, size: int) -> None:
    commit = committing(ledger)
    while ledger.lsn < size:
        for _ in range(min(BATCH, size - ledger.lsn)):
            commit()
        await trio.lowlevel.checkpoint()
    await _until_kept(ledger)


def _look(ledger: Ledger, peer: Ledger, peer_size: int, memory_mib: float) -> Look:
    commit, commit_peer = committing(ledger), committing(peer)
    while peer.lsn < peer_size:
        commit_peer()
    lsn, peer_lsn = ledger.lsn, peer.lsn
    ours, theirs = in_turn(SAMPLES, timed(commit), timed(commit_peer))
    return Look(lsn, ours, memory_mib, peer_lsn, theirs)


async def _until_kept(ledger: Ledger) -> None:
    """Until the keeper has caught up: what is due is in a snapshot, and in the archive."""
    with trio.move_on_after(PATIENCE_S):
        while not _is_kept(ledger):  # noqa: ASYNC110 - the keeper tells nobody
            await trio.sleep(0.05)
        return
    raise Broken(f"the keeper did not catch up with fact {ledger.lsn}")


def _is_kept(ledger: Ledger) -> bool:
    journal = ledger.journal
    names = journal.disk.names(journal.directory)
    kept_lsns = snapshot_lsns(names)
    if ledger.lsn - ledger.snapshot_lsn >= Settings().snapshot_facts or journal.wants_next:
        return False
    if len(kept_lsns) < SNAPSHOTS_KEPT:
        return True
    firsts = segment_firsts(names)
    return len(kept_lsns) == SNAPSHOTS_KEPT and (len(firsts) < 2 or firsts[1] - 1 >= kept_lsns[-1])
