"""What limits trading, put together: the limits in force, their actor, their commands; and what two
persons let pass all the same.

At a start what the configuration tightens is in force before anything can be judged, and what it
loosens once the disk has it. The limits outlive the actor, whose restarts change nothing.
"""

import contextlib
from collections.abc import Callable, Mapping
from itertools import islice

import attrs
import trio

from ..actors import limits
from ..actors.actor import serve
from ..actors.control import CommandRefused, Handler, unanswered
from ..actors.core import limits as core
from ..actors.core.access import Caller
from ..actors.core.books import Books
from ..actors.core.gate.view import Moment
from ..actors.core.kill_switch import NotAllowed, Rules
from ..actors.core.limit_rows import rows
from ..actors.core.limits import Configured, LimitsInForce
from ..actors.core.overrides import Overrides
from ..actors.limits import Adopt, Asked, Changes, Limiter, Loosener
from ..actors.mailbox import ActorDied, AskTimeout, Mailbox, MailboxFull, Registry
from ..actors.messages import (
    By,
    Command,
    LimitsAre,
    LimitsChanged,
    LimitsTightened,
    Rearmed,
    RearmRule,
    Refused,
    Reply,
    ResetLimit,
    SetLimit,
    ShowLimits,
)
from ..actors.ports import Clock
from ..config.profiles import limits as configured
from ..config.schema import Config
from .chronicle import Chronicle
from .configuration import Configuration
from .overriding import Overriding
from .tree import ChildSpec, Context

ASK_TIMEOUT_S = 10.0
"""An operator who waits longer would think that nothing happens."""
FOLLOW_TIMEOUT_S = 0.5
"""For what a reload loosens. It comes later else; the settings actor must not seem to hang."""


@attrs.define(eq=False, kw_only=True)
class Limiting:
    """Built and not yet running."""

    chronicle: Chronicle
    in_force: LimitsInForce
    overrides: Overrides
    books: Books
    clock: Clock
    configuration: Configuration
    registry: Registry
    rules: Callable[[], Rules]
    """Who may approve."""
    by: Callable[[Caller], By]
    publish: Callable[[], None]
    """Tell readers of the lease page which permissions have grown old."""
    limiter: Limiter = attrs.field(init=False)
    _overriding: Overriding = attrs.field(init=False)
    _mailbox: Mailbox = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._mailbox = self.registry.add(limits.NAME, capacity=64)
        self.limiter = Limiter(
            limits=self.in_force,
            configured=lambda: _said(self.configuration.current),
            record=self.chronicle.record,
            publish=self.publish,
            doubt=self.chronicle.doubt,
            clock=self.clock,
        )
        self.configuration.preview = self._preview
        self._overriding = Overriding(
            chronicle=self.chronicle,
            overrides=self.overrides,
            books=self.books,
            limits=lambda: self.limiter.rules,
            clock=self.clock,
            registry=self.registry,
            rules=self.rules,
            by=self.by,
            publish=self.publish,
        )

    def begin(self) -> None:
        """A run begins: what the configuration tightens is in force when this returns."""
        self.limiter.follow(limits.RISKD)

    def children(self) -> list[ChildSpec]:
        """The actors. What the configuration loosens is in force when the first serves, if the disk
        took it by then."""
        return [ChildSpec(limits.NAME, self._serve), self._overriding.child()]

    async def _serve(self, _ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
        one = Loosener(limiter=self.limiter, rules=self.rules, loosen=self.chronicle.loosen)
        await one.adopt()
        await serve(self._mailbox, one, task_status=task_status)

    async def follow(self, by: By) -> tuple[Changes, Changes]:
        """A configuration has just been taken: `settings.Follow`."""
        changes, waiting = self.limiter.follow(by)
        if not waiting:
            return changes, ()
        # Without an answer it goes on trying, or begins with this when it is there again.
        with contextlib.suppress(ActorDied, AskTimeout, MailboxFull):
            await self._mailbox.ask(Adopt(), timeout_s=FOLLOW_TIMEOUT_S)
        return changes, self.limiter.left()

    def _preview(self, config: Config) -> Changes:
        now = self.in_force.now
        return core.changes(now, core.adopt(now, _said(config)), overrules=True)

    # --- what the socket answers

    def handlers(self) -> Mapping[type[Command], Handler]:
        return {
            ShowLimits: self._show,
            SetLimit: self._change,
            ResetLimit: self._change,
            RearmRule: self._rearm,
            **self._overriding.handlers(),
        }

    async def _show(self, _caller: Caller, command: ShowLimits) -> Reply:
        given = self.in_force.now.rules
        if command.account is not None and command.account not in self.books.accounts:
            said = f"no account is called {command.account!r}"
            raise CommandRefused("unknown_account", said)
        if command.after is not None and all(each.rule.id != command.after for each in given):
            said = f"no rule is called {command.after!r} any more; ask again from the beginning"
            raise CommandRefused("limits_changed", said)
        moment = Moment(self.clock.now(), self.clock.monotonic_s())
        found = rows(
            self.in_force,
            self.books,
            moment,
            account=command.account,
            scope=command.scope,
            after=command.after,
        )
        page = list(islice(found, command.limit + 1))
        return LimitsAre(
            lsn=self.chronicle.ledger.lsn,
            on_excess=self.in_force.now.on_excess,
            on_excess_of=self.in_force.now.on_excess_of,
            limits=page[: command.limit],
            more=len(page) > command.limit,
        )

    async def _change(self, caller: Caller, command: SetLimit | ResetLimit) -> Reply:
        asked = Asked(command, self.by(caller))
        try:
            fact = self.limiter.change(asked)
        except NotAllowed as no:
            raise CommandRefused(no.code, str(no), no.problems) from no
        if fact is None:
            return self._changed(())
        if isinstance(fact, LimitsTightened):
            self.limiter.tighten(fact)
            return self._changed(fact.changes)
        answer = await self._ask(asked)
        if isinstance(answer, Refused):
            return answer
        assert isinstance(answer, tuple), "the limits actor answers with changes, or refuses"
        return self._changed(answer)

    async def _rearm(self, caller: Caller, command: RearmRule) -> Reply:
        answer = await self._ask(Asked(command, self.by(caller)))
        if isinstance(answer, Refused):
            return answer
        return Rearmed(lsn=self.chronicle.ledger.lsn, rule=command.rule)

    async def _ask(self, asked: Asked) -> object:
        try:
            return await self._mailbox.ask(asked, timeout_s=ASK_TIMEOUT_S)
        except (ActorDied, AskTimeout, MailboxFull) as error:
            raise unanswered(limits.NAME, error) from error

    def _changed(self, changes: Changes) -> LimitsChanged:
        return LimitsChanged(lsn=self.chronicle.ledger.lsn, changes=list(changes))


def _said(config: Config) -> Configured:
    own = {name: each.on_excess for name, each in config.accounts.items() if each.on_excess}
    rules = [(each.rule, each.source) for each in configured(config)]
    return Configured(config.gate.on_excess, rules, own, config.factors)
