"""The loop that every actor runs: open the mailbox, say that you serve, take message by message."""

import math
from collections.abc import Awaitable, Callable
from typing import Protocol

import attrs
import trio

from .mailbox import Envelope, Mailbox
from .messages import Beat


class Behaviour(Protocol):
    """What an actor does. Whatever it raises crashes this incarnation, and its supervisor acts."""

    async def receive(self, message: object) -> object:
        """Act on a message; what is returned answers it if it was a question."""

    def wake_at(self) -> float:
        """When it wants to be woken without a message (trio's time); infinity for never.

        The time lives in the incarnation, so that no timer outlives the actor that set it.
        """

    async def wake(self) -> None:
        """The time has come."""


async def serve(
    mailbox: Mailbox,
    behaviour: Behaviour,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run an actor until it is cancelled or crashes.

    Heartbeats are answered here, between two messages: an actor that hangs in one is silent, and
    that is what its heartbeat is for.
    """
    with mailbox.open() as inbox:
        task_status.started()
        envelope: Envelope | None = None
        while True:
            if envelope is None:
                with trio.move_on_at(behaviour.wake_at()):
                    envelope = await inbox.receive()
            if envelope is None:
                await behaviour.wake()
                # A timer that is due again and again must not keep the mailbox from being read.
                envelope = inbox.receive_nowait()
            else:
                await _handle(envelope, behaviour)
                envelope = None


async def _handle(envelope: Envelope, behaviour: Behaviour) -> None:
    if isinstance(envelope.message, Beat):
        envelope.answer(envelope.message)
    else:
        envelope.answer(await behaviour.receive(envelope.message))


def as_child(mailbox: Mailbox, make: Callable[[], Behaviour]) -> Callable[..., Awaitable[None]]:
    """What a supervisor runs: serve the mailbox with a behaviour made anew for each incarnation."""

    async def run(_ctx: object, *, task_status: trio.TaskStatus[None]) -> None:
        await serve(mailbox, make(), task_status=task_status)

    return run


@attrs.define(eq=False)
class Quiet:
    """The behaviour of an actor whose mailbox brings heartbeats alone."""

    name: str

    async def receive(self, message: object) -> object:
        raise TypeError(f"{self.name!r} takes no messages, and got {type(message).__name__}")

    def wake_at(self) -> float:
        return math.inf

    async def wake(self) -> None:
        raise AssertionError(f"{self.name!r} sets no timer")
