"""The machine's own triggers: once a second it looks at the clocks and at the journal's disk.

What it measures are metrics too, which triggers of the configuration can watch. Asking a disk how
much room it has may take for ever, so that is a task beside the actor, one at a time; a disk that
doesn't answer is one that stalls.
"""

from collections.abc import Awaitable, Callable
from decimal import Decimal

import attrs
import structlog
import trio

from .actor import serve
from .core import machine as core
from .core.machine import Clocks, Limits, Measures
from .core.triggers import Metrics, exact
from .mailbox import Mailbox
from .messages import By
from .ports import Clock, Halting

NAME = "machine"
BY = By(via="riskd")
LOOK_S = 1.0
READING_S = 0.01
"""Two clocks that were read within this were read together."""
READINGS_MAX = 5


@attrs.define(eq=False, kw_only=True)
class Machine:
    """Behaviour of the actor. `metrics` and `clocks` are what outlives it."""

    halting: Halting
    clock: Clock
    metrics: Metrics
    clocks: Clocks
    limits: Callable[[], Limits]
    sync_age_s: Callable[[], float]
    """How long the journal's sync that is under way has taken; 0 when none is."""
    free_bytes: Callable[[], Awaitable[int]]
    """What the journal's disk has left. It may take for ever, and raise OSError."""
    _next: float = attrs.field(factory=trio.current_time, init=False)
    _silent_s: float = attrs.field(default=0.0, init=False)
    """For how long the disk has been asked without an answer. Of the time that passes between two
    looks so much counts as one should take: what passed while riskd was stopped is nobody's
    silence."""
    _is_asking: bool = attrs.field(default=False, init=False)
    _nursery: trio.Nursery = attrs.field(init=False)

    async def serve(self, mailbox: Mailbox, *, task_status: trio.TaskStatus[None]) -> None:
        """Run the actor, with the task that asks the disk."""
        async with trio.open_nursery() as self._nursery:
            await serve(mailbox, self, task_status=task_status)

    async def receive(self, message: object) -> object:
        raise TypeError(f"{NAME!r} takes no messages, and got {type(message).__name__}")

    def wake_at(self) -> float:
        return self._next

    async def wake(self) -> None:
        late_s = trio.current_time() - self._next
        self._next = trio.current_time() + LOOK_S
        measures = self._measured()
        self._silent_s += LOOK_S
        if not self._is_asking:
            self._is_asking = True
            self._nursery.start_soon(self._ask_disk)
        self._put(core.LOOP_LAG, exact(late_s))
        self._put(core.CLOCK_STEP, exact(measures.step_s))
        self._put(core.SYNC_AGE, exact(measures.sync_age_s))
        for found in core.unsafe(measures, self.limits()):
            self.halting.trigger(by=BY, cause=found.cause, source=found.source, reason=found.reason)

    def _measured(self) -> Measures:
        wall_s, monotonic_s = self._read_clocks()
        free = self.metrics.get(core.FREE)
        return Measures(
            step_s=self.clocks.step_s(wall_s, monotonic_s),
            sync_age_s=self.sync_age_s(),
            free_mib=None if free is None else free.value,
            silent_s=self._silent_s,
        )

    def _read_clocks(self) -> tuple[float, float]:
        """Both at one time. Whoever is stopped between the two would see a step that wasn't."""
        for _ in range(READINGS_MAX):
            before_s = self.clock.monotonic_s()
            wall_s = self.clock.now().timestamp()
            after_s = self.clock.monotonic_s()
            if after_s - before_s <= READING_S:
                break
        return wall_s, after_s

    async def _ask_disk(self) -> None:
        try:
            size = await self.free_bytes()
        except OSError as error:
            structlog.get_logger("riskd.machine").warning("disk.space_unknown", cause=str(error))
        else:
            self._silent_s = 0.0
            self._put(core.FREE, core.mib(size))
        finally:
            self._is_asking = False

    def _put(self, name: str, value: Decimal) -> None:
        self.metrics.put(name, value, self.clock.monotonic_s())
