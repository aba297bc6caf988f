"""How long riskd takes to serve: from its exec to the first `status` that it answers.

The peer is the same Python, importing the libraries that riskd stands on and saying so.
"""

import subprocess
import sys
import time

from .processes import Broken, placed
from .results import MS, Result, at_most, in_turn, latency

SERVING_MS_MAX = 500.0
IMPORTS = "import trio, msgspec, structlog, click; print('here', flush=True)"


def measure(n: int) -> list[Result]:
    ours, theirs = in_turn(n, _serving_s, _imported_s)
    figure = latency(ours, MS)
    return [
        Result(
            name="start to first status",
            n=n,
            figure=figure,
            peer_name="importing its libraries",
            peer=latency(theirs, MS),
            promise=at_most(SERVING_MS_MAX, figure),
        )
    ]


def _serving_s() -> float:
    with placed() as daemon:
        began_s = time.perf_counter()
        daemon.start()
        daemon.wait_answering()
        took_s = time.perf_counter() - began_s
        daemon.stop()
    return took_s


def _imported_s() -> float:
    began_s = time.perf_counter()
    with subprocess.Popen(  # noqa: S603 - this Python and a constant
        [sys.executable, "-P", "-c", IMPORTS], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None, "it was asked for"
        said = process.stdout.readline()
        took_s = time.perf_counter() - began_s
    if not said:
        raise Broken("the libraries that riskd stands on can't be imported")
    return took_s
