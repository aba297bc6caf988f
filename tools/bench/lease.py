"""What a look at the lease page costs a worker, and a halt its writer while workers look.

The peers are what is least: for a check the clock that it has to read, for a halt a bare store to
shared memory that nobody else has.
"""

import mmap
import tempfile
import time
from collections.abc import Callable, Sequence
from ctypes import c_ulonglong
from functools import partial
from pathlib import Path

from ...actors.core.lease import AT_GENERATION, PAGE_BYTES
from ...actors.messages import Mode
from ...adapters.lease_page import MemoryLeasePage
from ...adapters.worker.lease import Lease
from .processes import PATIENCE_S, Broken, neighbour
from .results import US, Figure, Promise, Result, at_most, in_turn, latency, timed

BATCH = 1_000
"""Checks that make a sample: enough that the benchmark's own clock costs nothing."""
READERS = 200
CHECK_US_MAX = 0.3
HALT_US_MAX = 100
HALTED: dict[str, Mode] = {"all": "halt"}


def measure(n: int, readers: int = READERS) -> list[Result]:
    page = MemoryLeasePage()
    try:
        with tempfile.TemporaryDirectory(prefix="riskd-") as place:
            path = Path(place, "riskd.lease")
            page.link(path)
            page.publish({}, 1)
            _renew(page)
            checked = _checked(n, path)
            _renew(page)
            with neighbour(look, path, readers):
                return [*checked, *_halted(n, page, readers)]
    finally:
        page.close()


def _renew(page: MemoryLeasePage) -> None:
    page.extend(time.monotonic_ns() + int(2 * PATIENCE_S * 1e9))


def _checked(n: int, path: Path) -> list[Result]:
    view = Lease(path).view("account:main", "exchange:sim", "strategy:mm", "symbol:BTCUSDT")
    if refusal := view.refusal():
        raise Broken(f"nothing may be sent: {refusal.why}")
    samples = in_turn(max(1, n // BATCH), *map(_each, (view.may_send, time.monotonic_ns)))
    figure, peer = _per_act(samples[0]), _per_act(samples[1])
    return [
        Result(
            name="a worker's check before it sends",
            n=len(samples[0]) * BATCH,
            figure=figure,
            peer_name="the clock alone",
            peer=peer,
            promise=at_most(CHECK_US_MAX, figure),
        )
    ]


def _each(act: Callable[[], object]) -> Callable[[], float]:
    def repeat() -> None:
        for _ in range(BATCH):
            act()

    return timed(repeat)


def _per_act(samples_s: Sequence[float]) -> Figure:
    return latency([sample_s / BATCH for sample_s in samples_s], US)


def _halted(n: int, page: MemoryLeasePage, readers: int) -> list[Result]:
    alone = memoryview(mmap.mmap(-1, PAGE_BYTES)).cast("Q")
    store = timed(partial(alone.__setitem__, AT_GENERATION, 1))

    def halt() -> float:
        """From an open page to one that halts everything."""
        page.publish({}, 1)
        return timed(page.fence)()

    def replace() -> float:
        page.fence()
        return timed(partial(page.publish, HALTED, 2))()

    results = []
    for name, act in (("fence", halt), ("publish", replace)):
        ours, theirs = in_turn(max(1, n // BATCH) * 10, act, store)
        figure = latency(ours, US)
        results.append(
            Result(
                name=f"{name}, while {readers} readers look",
                n=len(ours),
                figure=figure,
                peer_name="bare store",
                peer=latency(theirs, US),
                promise=_p99_at_most(HALT_US_MAX, figure),
            )
        )
    return results


def _p99_at_most(limit: float, figure: Figure) -> Promise:
    kept = figure.p99 is not None and figure.p99 <= limit
    return Promise(f"p99 at most {limit:g} {figure.unit}", kept)


def look(looks: c_ulonglong, path: Path, readers: int) -> None:
    """The readers' whole process: each with a mapping of its own, and never at rest."""
    views = [Lease(path).view(f"worker:w{number}") for number in range(readers)]
    while True:
        for view in views:
            view.may_send()
        looks.value += len(views)
