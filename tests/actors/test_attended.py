"""Work is done for whoever waits for it, and for nobody else."""

import socket
from collections.abc import Iterator

import pytest
import trio
from riskd.actors.attended import LOOK_S, Gone, attended


@pytest.fixture
def pair() -> Iterator[tuple[trio.socket.SocketType, socket.socket]]:
    """riskd's end, and the asker's."""
    mine, theirs = socket.socketpair()
    with mine, theirs:
        mine.setblocking(False)
        yield trio.socket.from_stdlib_socket(mine), theirs


Pair = tuple[trio.socket.SocketType, socket.socket]


async def test_what_it_returns_and_what_it_raises_comes_through(pair: Pair) -> None:
    async def act(what: object) -> object:
        await trio.lowlevel.checkpoint()
        if isinstance(what, Exception):
            raise what
        return what

    assert await attended(pair[0], act, 5) == 5
    with pytest.raises(LookupError, match="by itself"):
        await attended(pair[0], act, LookupError("by itself"))


async def test_it_ends_when_the_asker_has_gone(
    pair: Pair, autojump_clock: trio.testing.MockClock
) -> None:
    ended: list[float] = []

    async def act() -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append(trio.current_time())

    async def leave() -> None:
        await trio.sleep(10)
        pair[1].close()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(leave)
        with pytest.raises(Gone):
            await attended(pair[0], act)
    assert 10 <= ended[0] <= 10 + 2 * LOOK_S


async def test_who_has_only_said_all_that_he_had_to_say_still_waits(
    pair: Pair, autojump_clock: trio.testing.MockClock
) -> None:
    pair[1].sendall(b"more lines, that nobody reads yet\n")
    pair[1].shutdown(socket.SHUT_WR)

    async def act() -> str:
        await trio.sleep(10)
        return "done"

    assert await attended(pair[0], act) == "done"


async def test_who_is_cancelled_from_outside_is_gone_at_once(
    pair: Pair, autojump_clock: trio.testing.MockClock
) -> None:
    with trio.move_on_after(3) as scope:
        await attended(pair[0], trio.sleep_forever)
    assert scope.cancelled_caught
    assert trio.current_time() == 3
