"""What a round trip over riskd's socket costs beside a bare Trio server in another process.

The peer sends the same bytes for each line, and neither reads the line nor asks who sent it.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from ctypes import c_ulonglong
from functools import partial
from pathlib import Path

import trio

from .processes import connected, exchange, neighbour, running
from .results import US, Result, in_turn, latency, rate, timed

LINE = b'{"type":"version","id":1}\n'
BATCH = 500
"""Lines at once. Their replies fit in a socket's buffer, so that neither side waits for room."""


def measure(n: int) -> list[Result]:
    with running() as daemon, connected(daemon.socket) as ours:
        reply = exchange(ours, LINE)
        with bare_server(reply) as path, connected(path) as theirs:
            pairs = [partial(exchange, connection, LINE) for connection in (ours, theirs)]
            one, bare_one = in_turn(n, *map(timed, pairs))
            batches = [
                partial(exchange, connection, LINE * BATCH, BATCH) for connection in (ours, theirs)
            ]
            many, bare_many = in_turn(max(1, n // 10), *map(timed, batches))
    peer_name = "bare Trio server"
    return [
        Result(
            name="version over the socket",
            n=n,
            figure=latency(one, US),
            peer_name=peer_name,
            peer=latency(bare_one, US),
        ),
        Result(
            name=f"version, {BATCH} at once",
            n=len(many),
            figure=rate(many, BATCH),
            peer_name=peer_name,
            peer=rate(bare_many, BATCH),
        ),
    ]


@contextlib.contextmanager
def bare_server(reply: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="riskd-") as place:
        path = Path(place, "echo.sock")
        with neighbour(serve, path, reply):
            yield path


def serve(listening: c_ulonglong, path: Path, reply: bytes) -> None:
    """The peer's whole process."""
    trio.run(_serve, listening, path, reply)


async def _serve(listening: c_ulonglong, path: Path, reply: bytes) -> None:
    async def answer(stream: trio.SocketStream) -> None:
        async for chunk in stream:
            await stream.send_all(reply * chunk.count(b"\n"))

    with trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM) as listener:
        await listener.bind(str(path))
        listener.listen()
        listening.value = 1
        await trio.serve_listeners(answer, [trio.SocketListener(listener)])
