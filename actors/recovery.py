"""The recovery actor: everything that lets trading go on, one thing after another.

What loosens is in force when the disk has it, so each of these may wait for a disk. While one
waits, anything that tightens wins: the fact is withdrawn, and it is decided anew whether it may be.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

import attrs
import trio

from .core import kill_switch as core
from .core.halts import halts_shown
from .core.kill_switch import NotAllowed, Rules
from .kill_switch import Cleared, KillSwitch
from .messages import (
    By,
    CompleteRecovery,
    HaltsAre,
    HaltsEnded,
    HaltsLifted,
    Loosening,
    Recover,
    Refused,
    Reply,
    SwitchIs,
    Unfreeze,
)
from .ports import Loosen, NotLoosened, Settle, Withdrawn

NAME = "recovery"
ATTEMPTS_MAX = 3
"""Of one loosening that is withdrawn because of something else that tightened."""
LOOK_S = 0.5
"""How often it looks for what is to end: halts are placed without a message that would wake it."""
RETRY_S = 1.0
"""After an end of halts that the disk did not confirm."""

L = TypeVar("L", bound=Loosening)
Document = dict[str, object]


@attrs.frozen
class Asked:
    """A command with who gives it, by the kernel's word. Halts from `below` on came after it."""

    command: Recover | CompleteRecovery | Unfreeze
    by: By
    below: int


@attrs.define(eq=False, kw_only=True)
class Recovery:
    """Behaviour of the actor."""

    switch: KillSwitch
    rules: Callable[[], Rules]
    unreconciled: Callable[[], Iterable[str]]
    """What is wrong with each account that doesn't agree with its broker."""
    uneasy: Callable[[], Iterable[str]]
    """Triggers that would stop everything again."""
    loosen: Loosen
    settle: Settle
    shown: Callable[[], Document]
    """The kill switch as `status` has it."""
    _not_before: float = attrs.field(default=float("-inf"), init=False)

    async def receive(self, message: object) -> object:
        if isinstance(message, Cleared):
            await self._end(lambda: self._over(message))
            return None
        if not isinstance(message, Asked):
            raise TypeError(f"{NAME!r} takes Asked and Cleared, and got {type(message).__name__}")
        try:
            return await self._obey(message)
        except NotAllowed as no:
            return Refused(code=no.code, message=str(no), problems=no.problems)
        except NotLoosened as why:
            return Refused(code="not_loosened", message=f"{why}; nothing has changed")

    async def _obey(self, asked: Asked) -> Reply:
        doubt = self.switch.doubt()
        if doubt is not None:
            raise NotAllowed("in_doubt", f"{doubt}; until that is mended nothing is let go on")
        match asked.command:
            case Recover(approved_by=approved_by):
                return await self._recover(asked.by, approved_by)
            case CompleteRecovery():
                return await self._complete(asked.by)
            case Unfreeze():
                return await self._lift(asked.by, asked.command, asked.below)

    async def _recover(self, by: By, approved_by: str) -> SwitchIs:
        fact = core.recover(
            self.switch.halts.now, by=by, approved_by=approved_by, rules=self.rules()
        )
        if fact is not None:
            self.switch.record(fact)
            # For the cooldown's sake: a power cut would otherwise take it back. It allows nothing.
            await self.settle()
        return self._standing(changed=fact is not None)

    async def _complete(self, by: By) -> SwitchIs:
        done = await self._loosen(
            lambda: core.complete(
                self.switch.halts.now,
                by=by,
                rules=self.rules(),
                now=self.switch.now(),
                unreconciled=self.unreconciled(),
                uneasy=self.uneasy(),
            )
        )
        return self._standing(changed=done is not None)

    async def _lift(self, by: By, command: Unfreeze, below: int) -> HaltsAre:
        lifted: HaltsLifted | None = await self._loosen(
            lambda: core.lift(
                self.switch.halts.now,
                scope=command.scope,
                by=by,
                reason=command.reason,
                approved_by=command.approved_by,
                rules=self.rules(),
                below=below,
            )
        )
        return HaltsAre(
            changed=[] if lifted is None else list(lifted.halt_ids),
            kill_switch=self.shown(),
            halts=halts_shown(self.switch.halts.now, self.switch.now()),
        )

    async def _loosen(self, decide: Callable[[], L | None]) -> L | None:
        """Make the fact; decide anew when something tightened meanwhile. None: nothing to do."""
        for attempt in range(ATTEMPTS_MAX):
            fact = decide()
            if fact is None:
                return None
            try:
                await self.loosen(fact)
            except Withdrawn:
                if attempt == ATTEMPTS_MAX - 1:
                    raise
            else:
                self.switch.publish()
                return fact
        raise AssertionError("the last attempt returns or raises")

    def _standing(self, *, changed: bool) -> SwitchIs:
        halts = halts_shown(self.switch.halts.now, self.switch.now())
        return SwitchIs(changed=changed, kill_switch=self.shown(), halts=halts)

    # --- what ends by itself

    def wake_at(self) -> float:
        left_s = core.next_due_s(self.switch.halts.now, self.switch.now())
        return max(trio.current_time() + min(left_s, LOOK_S), self._not_before)

    async def wake(self) -> None:
        await self._end(lambda: core.due(self.switch.halts.now, self.switch.now()))

    def _over(self, cleared: Cleared) -> HaltsEnded | None:
        """What ends by a condition, unless whoever watches it has meanwhile seen otherwise."""
        if cleared.condition in self.switch.denied:
            return None
        return core.holds(self.switch.halts.now, cleared.condition, below=cleared.below)

    async def _end(self, decide: Callable[[], HaltsEnded | None]) -> None:
        if self.switch.doubt() is not None:
            self._not_before = trio.current_time() + RETRY_S
            return
        try:
            await self._loosen(decide)
        except NotLoosened:
            self._not_before = trio.current_time() + RETRY_S
