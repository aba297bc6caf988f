"""The lease actor: lets workers trade a little longer, as often as all that must be well is.

It asks the actors that trading depends on through their mailboxes, all at once, and whatever else
may be in doubt. Silence, an absence or a doubt extends nothing. Nor does a crash of this actor:
what workers rely on ends by itself, and nobody has to act for trading to stop.
"""

import math
from collections.abc import Callable, Sequence

import attrs
import trio

from ..config.schema import Lease as Settings
from .core.tenure import Round, Tenure
from .mailbox import ActorDied, AskTimeout, MailboxFull, Registry
from .messages import Beat
from .ports import Clock, LeasePage, Record

NAME = "lease"
NS = 1_000_000_000


@attrs.define(eq=False, kw_only=True)
class Lease:
    """Behaviour of the actor. The tenure outlives it: a lapse may begin in one incarnation and be
    over in the next."""

    registry: Registry
    critical: Sequence[str]
    """The actors that must answer."""
    doubts: Callable[[], str | None]
    """Anything else for which nobody should trade now."""
    settings: Callable[[], Settings]
    page: LeasePage
    clock: Clock
    record: Record
    tenure: Tenure
    _began: float = attrs.field(default=-math.inf, init=False)

    async def receive(self, message: object) -> object:
        raise TypeError(f"the lease actor takes no messages, and got {type(message).__name__}")

    def wake_at(self) -> float:
        return self._began + self.settings().interval_s

    async def wake(self) -> None:
        """One round. What the settings say when it ends decides how far it extends."""
        self._began = trio.current_time()
        asked_s = self.clock.monotonic_s()
        answer_s = self.settings().answer_s
        # Doubts come last: nothing happens between this answer and the page.
        fault = await self._silent(answer_s) or self.doubts()
        outcome = self.tenure.after(
            Round(
                asked_s=asked_s,
                answered_s=self.clock.monotonic_s(),
                answer_s=answer_s,
                length_s=self.settings().length_s,
                fault=fault,
            )
        )
        if outcome.until_s is not None:
            self.page.extend(int(outcome.until_s * NS))
        for fact in outcome.facts:
            self.record(fact)

    async def _silent(self, answer_s: float) -> str | None:
        """Who did not answer, and how; None when all did."""
        faults: dict[str, str | None] = dict.fromkeys(self.critical)

        async def ask(name: str) -> None:
            faults[name] = await self._ask(name, answer_s)

        async with trio.open_nursery() as nursery:
            for name in self.critical:
                nursery.start_soon(ask, name)
        return "; ".join(fault for fault in faults.values() if fault) or None

    async def _ask(self, name: str, answer_s: float) -> str | None:
        if not self.registry[name].is_open:
            return f"actor {name!r} is not there"
        try:
            await self.registry.ask(name, Beat(), timeout_s=answer_s)
        except AskTimeout:
            return f"actor {name!r} did not answer within {answer_s:g} s"
        except ActorDied:
            return f"actor {name!r} died"
        except MailboxFull:
            return f"the mailbox of actor {name!r} is full"
        return None
