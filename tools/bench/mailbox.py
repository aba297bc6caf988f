"""What a mailbox costs beside the two memory channels that would do without its promises."""

import math

import attrs
import trio

from ...actors.actor import serve
from ...actors.mailbox import Mailbox
from .restart import ignore
from .results import US, Result, in_turn_async, latency, rate, timed_async

BATCH = 500
"""Messages told at once, and then waited for. They fit in both mailboxes."""
CAPACITY = 1024
PATIENCE_S = 30.0


class Parrot:
    """Answers with what it was asked."""

    async def receive(self, message: object) -> object:
        return message

    def wake_at(self) -> float:
        return math.inf

    async def wake(self) -> None:
        raise AssertionError("the parrot sets no timer")


@attrs.define(eq=False)
class Ours:
    """A parrot behind a mailbox."""

    mailbox: Mailbox = attrs.field(
        factory=lambda: Mailbox("parrot", record=ignore, capacity=CAPACITY)
    )

    async def run(self) -> None:
        await serve(self.mailbox, Parrot())

    async def ask(self) -> None:
        await self.mailbox.ask(1, timeout_s=PATIENCE_S)

    async def tell(self) -> None:
        """One batch, and the question after it, which is answered when all have been read."""
        for _ in range(BATCH):
            self.mailbox.tell_nowait(None)
        await self.ask()


class Theirs:
    """The same on bare channels: one there, one back. None wants no answer."""

    def __init__(self) -> None:
        self._there, self._questions = trio.open_memory_channel[int | None](CAPACITY)
        self._back, self._answers = trio.open_memory_channel[int](CAPACITY)

    async def run(self) -> None:
        async for message in self._questions:
            if message is not None:
                await self._back.send(message)

    async def ask(self) -> None:
        await self._there.send(1)
        await self._answers.receive()

    async def tell(self) -> None:
        for _ in range(BATCH):
            self._there.send_nowait(None)
        await self.ask()


def measure(n: int) -> list[Result]:
    return trio.run(_measure, n)


async def _measure(n: int) -> list[Result]:
    ours, theirs = Ours(), Theirs()
    batches = max(1, n // 20)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.run)
        nursery.start_soon(theirs.run)
        asked = await in_turn_async(n, timed_async(ours.ask), timed_async(theirs.ask))
        told = await in_turn_async(batches, timed_async(ours.tell), timed_async(theirs.tell))
        nursery.cancel_scope.cancel()
    peer_name = "bare channels"
    return [
        Result(
            name="ask and answer",
            n=n,
            figure=latency(asked[0], US),
            peer_name=peer_name,
            peer=latency(asked[1], US),
        ),
        Result(
            name="tell",
            n=batches * BATCH,
            figure=rate(told[0], BATCH),
            peer_name=peer_name,
            peer=rate(told[1], BATCH),
        ),
    ]
