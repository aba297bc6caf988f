"""How long riskd takes to serve when it has a history: from its exec to the first `status`.

At its worst: the next snapshot was about to be made, so that as many facts as ever are to be
replayed. The peer is the same riskd with nothing to remember.
"""

import time

from .ledgers import write_history
from .processes import Daemon, placed
from .results import MS, Result, at_most, in_turn, latency

SERVING_MS_MAX = 1_000.0
STARTS = 7
BEHIND_SHARE = 0.099
"""Of a million facts just less than a snapshot is made after: the starts add some themselves."""


def measure(n: int, *, starts: int = STARTS) -> list[Result]:
    behind = int(n * BEHIND_SHARE)
    with placed() as laden, placed() as empty:
        write_history(laden.state_dir, n, behind)
        ours, theirs = in_turn(starts, lambda: _serving_s(laden), lambda: _serving_s(empty))
    figure = latency(ours, MS)
    return [
        Result(
            name=f"start to first status with {n:,} facts",
            n=starts,
            figure=figure,
            peer_name="without any",
            peer=latency(theirs, MS),
            promise=at_most(SERVING_MS_MAX, figure),
            note=f"{behind:,} of them behind the newest snapshot",
        )
    ]


def _serving_s(daemon: Daemon) -> float:
    began_s = time.perf_counter()
    daemon.start()
    daemon.wait_answering()
    took_s = time.perf_counter() - began_s
    daemon.stop()
    return took_s
