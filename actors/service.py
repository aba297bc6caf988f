"""The service actor: tells the service manager that riskd is well, only when it really is.

A ping needs a fresh pulse in which somebody beats and nobody is silent. When the pulse itself
stops, the heartbeat actor hangs, and it is the one that is crashed; until it beats again nothing is
sent, so that a riskd which can't recover is ended by its service manager.
"""

import math
from collections.abc import Callable

import attrs
import trio

from .messages import ActorSilent, Pulse
from .ports import CrashActor, HeartbeatSettings, Record, ServiceLink

NAME = "service"


@attrs.define(eq=False)
class Service:
    """Behaviour of the actor."""

    manager: ServiceLink
    settings: Callable[[], HeartbeatSettings]
    crash: CrashActor
    record: Record
    _pulse_due: float = attrs.field(default=math.nan, init=False)

    def __attrs_post_init__(self) -> None:
        self._expect()

    async def receive(self, message: object) -> object:
        if not isinstance(message, Pulse):
            raise TypeError(f"the service actor takes pulses, and got {type(message).__name__}")
        self._expect()
        if message.beating and not message.silent:
            status = f"STATUS={len(message.beating)} actors serve"
            self.manager.notify("WATCHDOG=1", status)
        else:
            self.manager.notify(f"STATUS=silent: {', '.join(message.silent) or 'everyone'}")
        return None

    def wake_at(self) -> float:
        return self._pulse_due

    async def wake(self) -> None:
        self.manager.notify("STATUS=no heartbeats are being made")
        self.record(ActorSilent(actor="heartbeat", deadline_s=self._patience()))
        self._expect()
        await self.crash("heartbeat")

    def _patience(self) -> float:
        """A round may take its whole timeout, and then crash whom it found silent."""
        settings = self.settings()
        round_s = settings.heartbeat_interval_s + settings.heartbeat_timeout_s
        return round_s * (settings.heartbeat_misses + 1)

    def _expect(self) -> None:
        self._pulse_due = trio.current_time() + self._patience()
