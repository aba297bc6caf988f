"""What the socket can ask of the kill switch.

What tightens is done here and now, in the task of whoever asks. What loosens is asked of the actor
`recovery`, and when that one is not there nothing is loosened.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

import attrs

from . import recovery
from .control import CommandRefused, Handler, unanswered
from .core.access import Caller
from .core.halts import EVERYTHING, halts_shown
from .core.kill_switch import HALTS_MAX
from .kill_switch import KillSwitch
from .mailbox import ActorDied, AskTimeout, Mailbox, MailboxFull
from .messages import (
    By,
    Command,
    CompleteRecovery,
    Freeze,
    Halt,
    HaltsAre,
    Recover,
    Reply,
    ShowHalts,
    SwitchIs,
    Trigger,
    Unfreeze,
    Until,
    UntilElapsed,
    UntilOperator,
    UntilSession,
)

OPERATOR = "operator"
"""The source of what a person asks for."""
ASK_TIMEOUT_S = 10.0
"""An operator who waits longer would think that nothing happens."""


@attrs.define(eq=False, kw_only=True)
class Switchboard:
    """The handlers of the kill switch's commands."""

    switch: KillSwitch
    recovery: Mailbox
    session_end: Callable[[], datetime]
    """When the session under way ends."""
    people: Mapping[int, str]
    """The names of those who may act, as they were at the start: a halt waits for no directory."""
    shown: Callable[[], dict[str, object]]

    def handlers(self) -> dict[type[Command], Handler]:
        return {
            Trigger: self._trigger,
            Freeze: self._freeze,
            ShowHalts: self._show,
            Recover: self._recovery,
            CompleteRecovery: self._recovery,
            Unfreeze: self._recovery,
        }

    def by(self, caller: Caller) -> By:
        """Who this is, by the kernel's word."""
        peer = caller.peer
        name = self.people.get(peer.user_id)
        return By(via="socket", user_id=peer.user_id, user=name, process_id=peer.process_id)

    async def _trigger(self, caller: Caller, command: Trigger) -> Reply:
        by = self.by(caller)
        if command.scope == EVERYTHING:
            changed = self.switch.trigger(
                by=by, cause="manual", source=OPERATOR, reason=command.reason
            )
            halts = halts_shown(self.switch.halts.now, self.switch.now())
            return SwitchIs(changed=changed, kill_switch=self.shown(), halts=halts)
        return self._halt(by, command.scope, command.reason, UntilOperator())

    async def _freeze(self, caller: Caller, command: Freeze) -> Reply:
        if command.for_s is not None and command.session:
            raise CommandRefused("two_ends", "for_s and session are two ends; give one of them")
        return self._halt(
            self.by(caller),
            command.scope,
            command.reason,
            self._until(command),
            reduce_only=command.reduce_only,
        )

    def _until(self, command: Freeze) -> Until:
        if command.for_s is not None:
            return UntilElapsed(seconds=command.for_s)
        if not command.session:
            return UntilOperator()
        return UntilSession(at=self.session_end())

    def _halt(
        self, by: By, scope: str, reason: str, until: Until, *, reduce_only: bool = False
    ) -> HaltsAre:
        halt = Halt(
            scope=scope,
            mode="reduce_only" if reduce_only else "halt",
            cause="manual",
            source=OPERATOR,
            reason=reason,
            until=until,
        )
        placed = self.switch.halt(halt, by=by)
        if placed is None and len(self.switch.halts.now.halts) >= HALTS_MAX:
            raise CommandRefused(
                "too_many_halts",
                f"{HALTS_MAX} halts are in force, as many as can be kept apart, so everything is "
                f"halted; this one is not kept: lift some, then ask again",
            )
        return self._halts([] if placed is None else [placed])

    async def _show(self, _caller: Caller, _command: ShowHalts) -> Reply:
        return self._halts([])

    def _halts(self, changed: list[int]) -> HaltsAre:
        halts = halts_shown(self.switch.halts.now, self.switch.now())
        return HaltsAre(changed=changed, kill_switch=self.shown(), halts=halts)

    async def _recovery(
        self, caller: Caller, command: Recover | CompleteRecovery | Unfreeze
    ) -> Reply:
        asked = recovery.Asked(command, self.by(caller), self.switch.halts.now.next_id)
        try:
            answer = await self.recovery.ask(asked, timeout_s=ASK_TIMEOUT_S)
        except (ActorDied, AskTimeout, MailboxFull) as error:
            raise unanswered(recovery.NAME, error) from error
        assert isinstance(answer, Reply), "the recovery actor answers with replies"
        return answer
