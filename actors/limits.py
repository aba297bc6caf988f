"""The limits in force: who may change them, and when the change is true.

What tightens waits for nothing: it is done here and now, in the task of whoever asks, and none of
`Limiter`'s calls has a checkpoint. What loosens takes time and is asked of the actor `limits`, one
after another, since each of these facts holds all the limits. What is tightened meanwhile
withdraws it, and it is decided anew.

Until what the configuration tightens is in force, `Limiter.rules` says that nobody knows the
limits: no order is judged by those of a file that is gone.

The actor also sees to what the configuration loosens: as long as the limits in force are not what
it says, it goes on trying. Until then the tighter ones stay in force.
"""

from collections.abc import Callable, Mapping
from functools import partial

import attrs
import trio

from ..config.schema import OnExcess
from .core import limits as core
from .core.gate.memory import Memory
from .core.gate.ruleset import Ruleset
from .core.kill_switch import NotAllowed, Rules, second
from .core.limits import Configured, LimitsInForce
from .messages import (
    By,
    LimitChange,
    Limits,
    LimitsLoosened,
    LimitsTightened,
    RearmRule,
    Refused,
    ResetLimit,
    SetLimit,
)
from .ports import Clock, Loosen, NotLoosened, Record, Withdrawn

NAME = "limits"
RISKD = By(via="riskd")
ATTEMPTS_MAX = 3
"""Of one loosening that is withdrawn because of something else that tightened."""
RETRY_S = 1.0
"""After a loosening that the disk did not confirm."""

Changes = tuple[LimitChange, ...]


@attrs.frozen
class Asked:
    """A command with who gives it, by the kernel's word."""

    command: SetLimit | ResetLimit | RearmRule
    by: By


@attrs.frozen
class Adopt:
    """The configuration has changed: what it loosens is to be in force."""


@attrs.define(eq=False, kw_only=True)
class Limiter:
    """Changes of the limits. It outlives the actor: all it knows is in the ledger."""

    limits: LimitsInForce
    configured: Callable[[], Configured]
    record: Record
    publish: Callable[[], None]
    """Tell those who hold a permission that it has grown old."""
    doubt: Callable[[], str | None]
    """Why what is known can't be relied on. None: it can."""
    clock: Clock
    is_pending: bool = attrs.field(default=False, init=False)
    """The configuration may say something that is not in force yet."""
    by: By = attrs.field(default=RISKD, init=False)
    """Who put that configuration in force."""
    _holds: bool = attrs.field(default=False, init=False)
    """Nothing is permitted that the configuration forbids."""

    # --- what the gate asks

    @property
    def rules(self) -> Ruleset | None:
        """None: nobody has said yet. Another object whenever anything of it has changed."""
        return self.limits.rules if self._holds else None

    @property
    def memories(self) -> Mapping[str, Memory]:
        return self.limits.memories

    @property
    def on_excess(self) -> OnExcess:
        return self.limits.on_excess

    @property
    def on_excess_of(self) -> Mapping[str, OnExcess]:
        return self.limits.on_excess_of

    # --- what changes them

    def follow(self, by: By) -> tuple[Changes, Changes]:
        """What the configuration tightens is in force when this returns, if the limits are known at
        all. All that it changes, and that of it which waits."""
        self.is_pending, self.by, self._holds = True, by, False
        if self.doubt() is not None:
            return (), ()
        changes = self.left()
        self.hold()
        return changes, self.left()

    def hold(self) -> None:
        """What the configuration tightens is in force when this returns."""
        self.tighten(self.next_fact())
        self._holds = True

    def wanted(self) -> Limits:
        """What is in force once everything that the configuration says is."""
        return core.adopt(self.limits.now, self.configured())

    def next_fact(self) -> LimitsTightened | LimitsLoosened | None:
        """On the way to what the configuration says. None: it is so."""
        return core.next_fact(
            self.limits.now, self.wanted(), by=self.by, reason="the configuration", overrules=True
        )

    def left(self) -> Changes:
        """What the configuration says and is not so."""
        return core.changes(self.limits.now, self.wanted(), overrules=True)

    def tighten(self, fact: LimitsTightened | LimitsLoosened | None) -> bool:
        """Make it so, if it tightens."""
        if not isinstance(fact, LimitsTightened):
            return False
        self.record(fact)
        self.publish()
        return True

    def change(self, asked: Asked) -> LimitsTightened | LimitsLoosened | None:
        """What a command asks for, by the limits in force now. None: it is so. Raises NotAllowed.
        What loosens is not approved yet."""
        doubt = self.doubt()
        if doubt is not None:
            raise NotAllowed("in_doubt", f"{doubt}; until that is mended no limit is changed")
        return self._fact(asked, None)

    def approved(self, asked: Asked, rules: Rules) -> LimitsTightened | LimitsLoosened | None:
        """The same for what loosens, with the name of who approves. Raises NotAllowed."""
        return self._fact(asked, second(asked.by, asked.command.approved_by, rules))

    def _fact(
        self, asked: Asked, approved_by: str | None
    ) -> LimitsTightened | LimitsLoosened | None:
        command, old = asked.command, self.limits.now
        assert not isinstance(command, RearmRule), "it changes no limit"
        reason = command.reason or "reset"
        if isinstance(command, SetLimit):
            new = core.put(
                old,
                command.rule,
                command.key,
                command.value,
                by=asked.by,
                at=self.clock.now(),
                reason=reason,
                approved_by=approved_by,
            )
        else:
            new = core.take_back(old, command.rule, command.key)
        return core.next_fact(old, new, by=asked.by, reason=reason, approved_by=approved_by)


@attrs.define(eq=False, kw_only=True)
class Loosener:
    """Behaviour of the actor."""

    limiter: Limiter
    rules: Callable[[], Rules]
    loosen: Loosen
    _not_before: float = attrs.field(default=float("-inf"), init=False)

    async def receive(self, message: object) -> object:
        if isinstance(message, Adopt):
            await self.adopt()
            return None
        if not isinstance(message, Asked):
            raise TypeError(f"{NAME!r} takes Asked and Adopt, and got {type(message).__name__}")
        try:
            if isinstance(message.command, RearmRule):
                return await self._rearm(message.command, message.by)
            return await self._toward(partial(self._decide, message))
        except NotAllowed as no:
            return Refused(code=no.code, message=str(no), problems=no.problems)
        except NotLoosened as why:
            return Refused(code="not_loosened", message=f"{why}; nothing has changed")

    async def _rearm(self, command: RearmRule, by: By) -> str:
        """A rule begins anew; its id."""
        doubt = self.limiter.doubt()
        if doubt is not None:
            raise NotAllowed("in_doubt", f"{doubt}; until that is mended no rule is rearmed")
        for attempt in range(ATTEMPTS_MAX):
            fact = core.rearm(
                self.limiter.limits,
                command.rule,
                by=by,
                reason=command.reason,
                approved_by=second(by, command.approved_by, self.rules()),
            )
            try:
                await self.loosen(fact)
            except Withdrawn:
                if attempt == ATTEMPTS_MAX - 1:
                    raise
            else:
                return fact.rule
        raise AssertionError("the last attempt returns or raises")

    def _decide(self, asked: Asked) -> LimitsTightened | LimitsLoosened | None:
        fact = self.limiter.change(asked)
        if isinstance(fact, LimitsLoosened):
            return self.limiter.approved(asked, self.rules())
        return fact

    async def _toward(
        self, decide: Callable[[], LimitsTightened | LimitsLoosened | None]
    ) -> Changes:
        """Make one fact; decide anew when something tightened meanwhile. What it changes."""
        for attempt in range(ATTEMPTS_MAX):
            fact = decide()
            if fact is None:
                return ()
            if isinstance(fact, LimitsTightened):
                self.limiter.tighten(fact)
                return fact.changes
            try:
                await self.loosen(fact)
            except Withdrawn:
                if attempt == ATTEMPTS_MAX - 1:
                    raise
            else:
                return fact.changes
        raise AssertionError("the last attempt returns or raises")

    async def adopt(self) -> None:
        """Bring what the configuration says into force, or leave it for the next time."""
        limiter = self.limiter
        try:
            while limiter.is_pending and limiter.doubt() is None:
                limiter.hold()
                if limiter.next_fact() is None:
                    limiter.is_pending = False
                    return
                await self._toward(limiter.next_fact)
        except NotLoosened:
            pass
        self._not_before = trio.current_time() + RETRY_S

    def wake_at(self) -> float:
        return self._not_before if self.limiter.is_pending else float("inf")

    async def wake(self) -> None:
        await self.adopt()
