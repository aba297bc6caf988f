"""Overrides, put together: their actor, and their commands.

What is requested and approved is in the ledger, and outlives the actor.
"""

from collections.abc import Callable, Mapping
from itertools import islice

import attrs

from ..actors import overrides
from ..actors.actor import as_child
from ..actors.control import CommandRefused, Handler, unanswered
from ..actors.core.access import Caller
from ..actors.core.books import Books
from ..actors.core.gate.ruleset import Ruleset
from ..actors.core.kill_switch import NotAllowed, Rules
from ..actors.core.overrides import Overrides, override_shown, overrides_shown
from ..actors.mailbox import ActorDied, AskTimeout, Mailbox, MailboxFull, Registry
from ..actors.messages import (
    ApproveOverride,
    By,
    Command,
    OverrideIs,
    OverridesAre,
    Refused,
    Reply,
    RequestOverride,
    RevokeOverride,
    ShowOverrides,
)
from ..actors.overrides import Approver, Asked, Register
from ..actors.ports import Clock
from .chronicle import Chronicle
from .tree import ChildSpec

ASK_TIMEOUT_S = 10.0
"""An operator who waits longer would think that nothing happens."""


@attrs.define(eq=False, kw_only=True)
class Overriding:
    """Built and not yet running."""

    chronicle: Chronicle
    overrides: Overrides
    books: Books
    limits: Callable[[], Ruleset | None]
    clock: Clock
    registry: Registry
    rules: Callable[[], Rules]
    """Who may act."""
    by: Callable[[Caller], By]
    publish: Callable[[], None]
    register: Register = attrs.field(init=False)
    _mailbox: Mailbox = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._mailbox = self.registry.add(overrides.NAME, capacity=64)
        self.register = Register(
            overrides=self.overrides,
            books=self.books,
            rules=self.limits,
            people=self.rules,
            commit=self.chronicle.commit,
            record=self.chronicle.record,
            publish=self.publish,
            doubt=self.chronicle.doubt,
            clock=self.clock,
        )

    def child(self) -> ChildSpec:
        return ChildSpec(
            overrides.NAME,
            as_child(
                self._mailbox,
                lambda: Approver(register=self.register, loosen=self.chronicle.loosen),
            ),
        )

    # --- what the socket answers

    def handlers(self) -> Mapping[type[Command], Handler]:
        return {
            RequestOverride: self._request,
            ApproveOverride: self._approve,
            RevokeOverride: self._revoke,
            ShowOverrides: self._show,
        }

    async def _request(self, caller: Caller, command: RequestOverride) -> Reply:
        try:
            name = self.register.request(command, self.by(caller))
        except NotAllowed as no:
            raise CommandRefused(no.code, str(no), no.problems) from no
        return self._is(name, changed=True)

    async def _approve(self, caller: Caller, command: ApproveOverride) -> Reply:
        asked = Asked(command, self.by(caller))
        try:
            answer = await self._mailbox.ask(asked, timeout_s=ASK_TIMEOUT_S)
        except (ActorDied, AskTimeout, MailboxFull) as error:
            raise unanswered(overrides.NAME, error) from error
        if isinstance(answer, Refused):
            return answer
        return self._is(command.override, changed=bool(answer))

    async def _revoke(self, caller: Caller, command: RevokeOverride) -> Reply:
        try:
            changed = self.register.revoke(command, self.by(caller))
        except NotAllowed as no:
            raise CommandRefused(no.code, str(no), no.problems) from no
        return self._is(command.override, changed=changed)

    async def _show(self, _caller: Caller, command: ShowOverrides) -> Reply:
        found = overrides_shown(
            self.overrides.newest(),
            self.register.moment(),
            account=command.account,
            after=command.after,
        )
        page = list(islice(found, command.limit + 1))
        return OverridesAre(
            lsn=self.chronicle.ledger.lsn,
            overrides=page[: command.limit],
            more=len(page) > command.limit,
        )

    def _is(self, name: str, *, changed: bool) -> OverrideIs:
        found = self.overrides.find(name)
        shown = {} if found is None else override_shown(found, self.register.moment())
        return OverrideIs(lsn=self.chronicle.ledger.lsn, changed=changed, override=shown)
