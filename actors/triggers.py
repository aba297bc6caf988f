"""The triggers of the configuration: they watch metrics, files and commands, and stop trading.

The actor itself never waits for any of it. Each look is a task beside it; one that doesn't answer
in time has seen nothing, and no other is begun until it is over. A metric is judged when it comes,
everything else at each tick, and by settings that are read anew each time.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal

import attrs
import trio

from ..config.schema import AnyTrigger, Command, FileAppears, StatusFile, Threshold
from .actor import serve
from .core import triggers as core
from .core.triggers import OWN, Board, Outcome, Tripped, Unseen
from .mailbox import Mailbox
from .messages import By, Metric, Refused, Reply, Taken
from .ports import Clock, Halting, Looks

NAME = "triggers"
BY = By(via="riskd")
TICK_S = 0.25
CLEAR_S = 1.0
"""How often it is said that a trigger is calm."""
FILE_S = 2.0
"""How long a look at a file may take."""
SPARE_S = 2.0
"""How much longer than its time the run of a command may take to be begun and killed."""

_Looked = FileAppears | StatusFile | Command


@attrs.define
class _Look:
    """A look under way."""

    rule: _Looked
    began_s: float
    overdue_s: float
    """When it is next taken for one that sees nothing."""
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)


@attrs.define(eq=False, kw_only=True)
class Triggers:
    """Behaviour of the actor. `board` is what outlives it."""

    halting: Halting
    clock: Clock
    looks: Looks
    board: Board
    rules: Callable[[], tuple[AnyTrigger, ...]]
    session_end: Callable[[], datetime]
    """When the session under way ends."""
    _followed: tuple[AnyTrigger, ...] | None = attrs.field(default=None, init=False)
    _next: float = attrs.field(factory=trio.current_time, init=False)
    _due: dict[str, float] = attrs.field(factory=dict, init=False)
    """When the next look begins, by the trigger's name."""
    _said: dict[str, float] = attrs.field(factory=dict, init=False)
    """When it was last said that one is calm."""
    _under_way: dict[str, _Look] = attrs.field(factory=dict, init=False)
    _nursery: trio.Nursery = attrs.field(init=False)

    async def serve(self, mailbox: Mailbox, *, task_status: trio.TaskStatus[None]) -> None:
        """Run the actor, with the tasks that look."""
        async with trio.open_nursery() as self._nursery:
            await serve(mailbox, self, task_status=task_status)

    async def receive(self, message: object) -> Reply:
        if not isinstance(message, Metric):
            raise TypeError(f"{NAME!r} takes metrics, and got {type(message).__name__}")
        if message.name.startswith(OWN):
            said = f"names that begin with {OWN!r} are riskd's own"
            return Refused(id=message.id, code="reserved_name", message=said)
        self._follow()
        self.board.metrics.put(message.name, Decimal(message.value), self.clock.monotonic_s())
        self._weigh(self.board.watching(message.name))
        return Taken(id=message.id)

    def wake_at(self) -> float:
        return self._next

    async def wake(self) -> None:
        self._next = trio.current_time() + TICK_S
        self._follow()
        now_s = self.clock.monotonic_s()
        for name, watch in tuple(self.board.watches.items()):
            if not isinstance(watch.rule, Threshold):
                self._look_after(name, watch.rule, now_s)
        self._weigh(tuple(self.board.watches))

    def _follow(self) -> None:
        """Take the settings as they are now."""
        rules = self.rules()
        if rules is self._followed:
            return
        self._followed = rules
        before = self.board.watches
        self.board.follow(rules, self.clock.monotonic_s())
        for name in before:
            if self.board.watches.get(name) is not before[name]:
                self._due.pop(name, None)
                self._said.pop(name, None)
                look = self._under_way.pop(name, None)
                if look is not None:
                    look.scope.cancel()

    # --- looking

    def _look_after(self, name: str, rule: _Looked, now_s: float) -> None:
        """Begin a look when it is due, and note one that doesn't answer."""
        look = self._under_way.get(name)
        if look is not None:
            if now_s >= look.overdue_s:
                look.overdue_s = now_s + _period_s(rule)
                self._see(name, Unseen(f"{_object(rule)} does not answer"), look.began_s)
        elif now_s >= self._due.get(name, now_s):
            self._due[name] = now_s + _period_s(rule)
            self._under_way[name] = _Look(rule, now_s, now_s + _patience_s(rule))
            self._nursery.start_soon(self._look, name, self._under_way[name])

    async def _look(self, name: str, look: _Look) -> None:
        with look.scope:
            try:
                outcome = await self._outcome(look.rule)
            except OSError as error:
                outcome = Unseen(f"{_object(look.rule)}: {error.strerror or error}")
            if self._under_way.get(name) is look:
                del self._under_way[name]
                self._see(name, outcome, look.began_s)
                self._weigh((name,))

    async def _outcome(self, rule: _Looked) -> Outcome:
        match rule:
            case FileAppears():
                return core.presence(rule, await self.looks.is_there(rule.path))
            case StatusFile():
                text = await self.looks.read(rule.path)
                return core.standing(rule, text.said, text.changed_at, self.clock.now())
            case Command():
                return core.ending(rule, await self.looks.run(rule.argv, rule.timeout_s))

    def _see(self, name: str, outcome: Outcome, began_s: float) -> None:
        watches = self.board.watches
        watches[name] = core.looked(watches[name], outcome, began_s)

    # --- acting

    def _weigh(self, names: Iterable[str]) -> None:
        """Judge these, and act. Nothing here waits: what is tripped has stopped when it returns."""
        now_s = self.clock.monotonic_s()
        watches = self.board.watches
        for name in names:
            verdict = core.judge(watches[name], self.board.metrics, now_s)
            watches[name] = watch = core.settled(watches[name], verdict, now_s)
            if isinstance(verdict, Tripped):
                self._stop(watch.rule, verdict.reason)
            elif core.is_over(watch, now_s) and now_s - self._said.get(name, -CLEAR_S) >= CLEAR_S:
                self._said[name] = now_s
                self.halting.clear(core.source(watch.rule))

    def _stop(self, rule: AnyTrigger, reason: str) -> None:
        source = core.source(rule)
        if rule.action == "kill":
            self.halting.trigger(by=BY, cause=core.cause(rule), source=source, reason=reason)
            return
        halt = core.halt(rule, reason, self.session_end())
        breaker = core.breaker(rule)
        if breaker is None:
            self.halting.halt(halt, by=BY)
        else:
            self.halting.trip(halt, breaker, by=BY)


def _period_s(rule: _Looked) -> float:
    return rule.interval_s if isinstance(rule, Command) else rule.poll_s


def _patience_s(rule: _Looked) -> float:
    return rule.timeout_s + SPARE_S if isinstance(rule, Command) else FILE_S


def _object(rule: _Looked) -> str:
    return rule.argv[0] if isinstance(rule, Command) else rule.path
