"""Overrides: persons ask for them, approve and revoke them.

To ask for one permits nothing, and to revoke one waits for nothing: both are done here and now, in
the task of whoever asks. To approve loosens: it is asked of the actor `overrides`, one after
another, and decided anew when something was tightened meanwhile.
"""

from collections.abc import Callable

import attrs

from .core import overrides as core
from .core.books import Books
from .core.gate.ruleset import Ruleset
from .core.gate.view import Moment
from .core.kill_switch import NotAllowed, Rules
from .core.overrides import Overrides
from .messages import ApproveOverride, By, Refused, RequestOverride, RevokeOverride
from .ports import Clock, Commit, Loosen, NotLoosened, NotRecorded, Record, Withdrawn

NAME = "overrides"
ATTEMPTS_MAX = 3
"""Of one approval that is withdrawn because of something that tightened."""


@attrs.frozen
class Asked:
    """A command with who gives it, by the kernel's word."""

    command: ApproveOverride
    by: By


@attrs.define(eq=False, kw_only=True)
class Register:
    """What persons ask for. It outlives the actor: all it knows is in the ledger."""

    overrides: Overrides
    books: Books
    rules: Callable[[], Ruleset | None]
    """Those in force. None: nobody has said yet."""
    people: Callable[[], Rules]
    commit: Commit
    record: Record
    publish: Callable[[], None]
    """Tell those who hold a permission that it has grown old."""
    doubt: Callable[[], str | None]
    """Why what is known can't be relied on. None: it can."""
    clock: Clock

    def moment(self) -> Moment:
        return Moment(self.clock.now(), self.clock.monotonic_s())

    def request(self, command: RequestOverride, by: By) -> str:
        """Its id. Raises NotAllowed."""
        fact = core.request(
            self.overrides,
            command,
            by=by,
            moment=self.moment(),
            people=self.people(),
            books=self.books,
            rules=self.in_force(),
        )
        try:
            self.commit(fact)
        except NotRecorded as why:
            raise NotAllowed("not_recorded", f"the journal did not take it: {why}") from why
        return fact.override

    def revoke(self, command: RevokeOverride, by: By) -> bool:
        """False: it was so already. Raises NotAllowed."""
        fact = core.revoke(self.overrides, command.override, by=by, reason=command.reason)
        if fact is None:
            return False
        self.record(fact)
        self.publish()
        return True

    def in_force(self) -> Ruleset:
        """The rules, if they can be relied on. Raises NotAllowed."""
        doubt, rules = self.doubt(), self.rules()
        if doubt is not None or rules is None:
            said = doubt or "the limits are not in force yet"
            raise NotAllowed("in_doubt", f"{said}; until that is mended nothing is overridden")
        return rules


@attrs.define(eq=False, kw_only=True)
class Approver:
    """Behaviour of the actor."""

    register: Register
    loosen: Loosen

    async def receive(self, message: object) -> bool | Refused:
        """False: it was approved already."""
        if not isinstance(message, Asked):
            raise TypeError(f"{NAME!r} takes approvals, and got {type(message).__name__}")
        try:
            return await self._approve(message.command, message.by)
        except NotAllowed as no:
            return Refused(code=no.code, message=str(no), problems=no.problems)
        except NotLoosened as why:
            return Refused(code="not_loosened", message=f"{why}; nothing has changed")

    async def _approve(self, command: ApproveOverride, by: By) -> bool:
        register = self.register
        for attempt in range(ATTEMPTS_MAX):
            fact = core.approve(
                register.overrides,
                command.override,
                by=by,
                moment=register.moment(),
                people=register.people(),
                rules=register.in_force(),
                reason=command.reason,
            )
            if fact is None:
                return False
            try:
                await self.loosen(fact)
            except Withdrawn:
                if attempt == ATTEMPTS_MAX - 1:
                    raise
            else:
                return True
        raise AssertionError("the last attempt returns or raises")

    def wake_at(self) -> float:
        return float("inf")

    async def wake(self) -> None:
        raise AssertionError(f"{NAME!r} sets no timer")
