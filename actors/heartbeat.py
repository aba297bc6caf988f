"""The heartbeat trigger: asks every actor through its mailbox, and crashes those that hang."""

from collections.abc import Callable

import attrs
import trio

from .core.heartbeat import Answered, Heartbeats, decide
from .mailbox import ActorDied, AskTimeout, MailboxFull, Registry
from .messages import ActorSilent, Beat
from .ports import CrashActor, HeartbeatSettings, Record

NAME = "heartbeat"


@attrs.define(eq=False)
class Heartbeat:
    """Behaviour of the actor. It doesn't ask itself: the service actor watches its pulse."""

    registry: Registry
    settings: Callable[[], HeartbeatSettings]
    crash: CrashActor
    record: Record
    _state: Heartbeats = attrs.field(factory=Heartbeats, init=False)
    _next: float = attrs.field(factory=trio.current_time, init=False)

    async def receive(self, message: object) -> object:
        raise TypeError(f"the heartbeat actor takes no messages, and got {type(message).__name__}")

    def wake_at(self) -> float:
        return self._next

    async def wake(self) -> None:
        """One round: ask all at once, then act on who was silent."""
        settings = self.settings()
        began = trio.current_time()
        answers = await self._ask_all(settings.heartbeat_timeout_s)
        self._state, pulse = decide(self._state, answers, settings.heartbeat_misses)
        for actor in pulse.silent:
            self.record(ActorSilent(actor=actor, deadline_s=settings.heartbeat_timeout_s))
            # To its mailbox being ended will look like being stopped, which is nobody's fault.
            self.registry[actor].blame()
            await self.crash(actor)
        self.registry["service"].tell_nowait(pulse)
        # A round that took long is followed by the next at once, never by several.
        self._next = max(began + settings.heartbeat_interval_s, trio.current_time())

    async def _ask_all(self, timeout_s: float) -> dict[str, Answered]:
        others = [name for name in self.registry.names() if name != NAME]
        answers = dict.fromkeys(others, Answered.ABSENT)

        async def ask(name: str) -> None:
            answers[name] = await self._ask(name, timeout_s)

        async with trio.open_nursery() as nursery:
            for name in others:
                if self.registry[name].is_open:
                    nursery.start_soon(ask, name)
        return answers

    async def _ask(self, name: str, timeout_s: float) -> Answered:
        try:
            await self.registry.ask(name, Beat(), timeout_s=timeout_s)
        except (AskTimeout, MailboxFull):
            return Answered.MISSED
        except ActorDied:
            return Answered.ABSENT
        return Answered.IN_TIME
