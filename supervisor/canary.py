"""The canary, put together: its actor, its way to the socket, and what `status` shows of it."""

import os
from collections.abc import Callable
from pathlib import Path

import attrs
import trio

from ..actors import canary
from ..actors.canary import MISSES_MAX, Canary, Tally
from ..actors.core.book.times import instant
from ..actors.core.gate.decision import Knowledge
from .brakes import Brakes
from .tree import ChildSpec, Context

Document = dict[str, object]
NAME_BYTES = 16


@attrs.define(eq=False, kw_only=True)
class Watched:
    """Built and not yet running."""

    brakes: Brakes
    path: Path
    """Of the socket."""
    known: Callable[[], Knowledge | None]
    _tally: Tally = attrs.field(factory=Tally, init=False)

    def __attrs_post_init__(self) -> None:
        self.brakes.registry.add(canary.NAME, capacity=8)

    def child(self) -> ChildSpec:
        return ChildSpec(canary.NAME, self._serve, shutdown=1.0)

    async def _serve(self, _ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
        brakes = self.brakes
        one = Canary(
            connect=self._connect,
            known=self.known,
            halting=brakes.switch,
            record=brakes.chronicle.record,
            clock=brakes.clock,
            settings=lambda: brakes.configuration.current.gate,
            name=lambda: f"riskd-canary-{os.urandom(NAME_BYTES).hex()}",
            tally=self._tally,
        )
        await one.serve(brakes.registry[canary.NAME], task_status=task_status)

    async def _connect(self) -> trio.SocketStream:
        return await trio.open_unix_socket(self.path)

    def shown(self) -> Document:
        """As `status` has it. Its keys are a contract."""
        tally, every_s = self._tally, self.brakes.configuration.current.gate.canary_s
        at = tally.last_at
        return {
            "every_s": every_s,
            "last_at": None if at is None else instant(at),
            "answers": tally.answers,
            "failures": tally.failures,
            "misses": tally.misses,
            "warning": self._warning(every_s),
        }

    def _warning(self, every_s: float) -> str | None:
        """What a person should know of it. None: nothing."""
        tally = self._tally
        if tally.failures:
            return f"the gate has failed its own test {tally.failures} times since riskd began"
        if not every_s:
            return "it is off: nobody sees whether the gate refuses what it must refuse"
        if tally.misses >= MISSES_MAX:
            return f"the gate has not answered it, {tally.misses} times by now"
        return None
