"""Work that takes a while is done as long as there is somebody who waits for it."""

import select
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

T = TypeVar("T")

LOOK_S = 0.25
"""How often it is looked whether he is still there."""


class Gone(Exception):
    """He is not."""


async def attended(
    client: trio.socket.SocketType, act: Callable[..., Awaitable[T]], *args: object
) -> T:
    """What `act(*args)` returns or raises. It is cancelled when the other end of this socket is
    closed; one that has only said all it had to say still waits for its answer. Raises Gone."""
    found: list[T] = []
    wrong: list[Exception] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_watch, client.fileno(), nursery.cancel_scope)
        try:
            found.append(await act(*args))
        except Exception as error:  # noqa: BLE001 - it is raised below, and by itself
            wrong.append(error)
        nursery.cancel_scope.cancel()
    if wrong:
        raise wrong[0]
    if not found:
        raise Gone("whoever asked has gone")
    return found[0]


async def _watch(client: int, scope: trio.CancelScope) -> None:
    """The loop itself would tell of what can be read too, which may be there all the time."""
    poll = select.poll()
    poll.register(client, 0)  # That it is closed is told in any case.
    while True:
        if poll.poll(0):
            scope.cancel()
        await trio.sleep(LOOK_S)
