"""The word of others about the risk: the shell that asks for it, and takes what is told.

What is worse is a fact at once, whoever finds it. What is better waits for the disk, in the actor
alone, one after another; after each of them it looks again whether it is still so. While the disk
takes nothing it stays as bad as it was, and the actor tries on.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime

import attrs
import trio

from ..config.schema import OutsideSignal
from .actor import serve
from .core.signal.signals import OUTSIDE, Signals, is_calm
from .core.signal.sources import (
    Outlook,
    SourceFact,
    Standing,
    Unusable,
    read,
    refusal,
    signal_of,
    standing,
    time_of,
    turn,
)
from .core.triggers import Ran
from .mailbox import Mailbox
from .messages import By, Refused, Reply, Signal, SignalEased, Taken
from .ports import Clock, Loosen, NotLoosened, Record

NAME = "outside"
BY = By(via="riskd")
TICK_S = 0.25
RETRY_S = 1.0
"""After a disk that did not take what is better."""
SPARE_S = 2.0
"""How much longer than its time asking may take to be begun and killed."""
UNUSABLE_STATUS = 4
"""Of the process that asks: it was answered, and not with a signal."""

Fetch = Callable[[OutsideSignal], Awaitable[Ran]]
"""Ask once. Raises OSError."""


@attrs.frozen
class Told:
    """What somebody says, and who it is."""

    command: Signal
    by: By
    worker: str | None


@attrs.define(eq=False, kw_only=True)
class OutsideSignals:
    """Behaviour of the actor. `outlook` is what outlives it."""

    signals: Callable[[], Signals]
    """As the ledger has them."""
    outlook: Outlook
    record: Record
    loosen: Loosen
    publish: Callable[[], None]
    doubt: Callable[[], str | None]
    fetch: Fetch
    clock: Clock
    config: Callable[[], OutsideSignal]
    _next: float = attrs.field(default=0.0, init=False)
    _due: float = attrs.field(default=0.0, init=False)
    """When it is asked for next (trio's time)."""
    _not_before: float = attrs.field(default=0.0, init=False)
    """When what is better is tried again."""
    _teller: By = attrs.field(default=BY, init=False)
    """Who told what was heard last."""
    _asking: trio.CancelScope | None = attrs.field(default=None, init=False)
    _nursery: trio.Nursery = attrs.field(init=False)

    async def serve(self, mailbox: Mailbox, *, task_status: trio.TaskStatus[None]) -> None:
        """Run the actor, with the task that asks."""
        async with trio.open_nursery() as self._nursery:
            self._follow()
            self._tighten()
            await serve(mailbox, self, task_status=task_status)

    async def receive(self, message: object) -> Reply:
        """A signal: it is in force when it is answered."""
        if not isinstance(message, Told):
            raise TypeError(f"{NAME!r} takes what is told, and got {type(message).__name__}")
        doubt = self.doubt()
        if doubt is not None:
            return Refused(
                code="in_doubt", message=f"{doubt}; until that is mended nobody is heard"
            )
        try:
            return await self._hear(message)
        except Unusable as why:
            return Refused(code="bad_time", message=str(why))
        except NotLoosened as why:
            return Refused(code="not_loosened", message=f"{why}; it is as bad as it was")

    def wake_at(self) -> float:
        return self._next

    async def wake(self) -> None:
        now = trio.current_time()
        self._next = now + TICK_S
        self._follow()
        config = self.config()
        if config.url is not None and self._asking is None and now >= self._due:
            self._due = now + config.every_s
            self._asking = trio.CancelScope()
            self._nursery.start_soon(self._ask, config, self._asking)
        self._tighten()
        if now >= self._not_before:
            try:
                await self._ease(self._turn_outside)
            except NotLoosened:
                self._not_before = trio.current_time() + RETRY_S

    def _follow(self) -> None:
        """Take the settings as they are now. Another one to be asked has said nothing yet."""
        config = self.config()
        is_other = self.outlook.follow(config.url)
        if not config.is_expected:
            self.outlook.forget()
        if is_other or not config.is_expected:
            self._due = 0.0
            if self._asking is not None:
                self._asking.cancel()
                self._asking = None

    # --- asking

    async def _ask(self, config: OutsideSignal, scope: trio.CancelScope) -> None:
        with scope:
            try:
                with trio.fail_after(config.timeout_s + SPARE_S):
                    ran = await self.fetch(config)
            except (OSError, trio.TooSlowError) as error:
                ran = Ran(1, str(error) or "it does not answer")
            if self._asking is scope:
                self._asking = None
                self._hear_answer(ran, config)
                self._tighten()

    def _hear_answer(self, ran: Ran, config: OutsideSignal) -> None:
        outlook = self.outlook
        if ran.status is None:
            outlook.trouble = "unreachable", f"no answer within {config.timeout_s:g} s"
        elif ran.status == UNUSABLE_STATUS:
            outlook.trouble = "unusable", ran.said[:300]
        elif ran.status != 0:
            outlook.trouble = "unreachable", ran.said[:300]
        else:
            try:
                outlook.hears(read(ran.said), *self._now())
                self._teller = BY
            except Unusable as why:
                outlook.trouble = "unusable", str(why)

    def _now(self) -> tuple[datetime, float]:
        return self.clock.now(), self.clock.monotonic_s()

    # --- telling

    def _turn_outside(self) -> SourceFact | None:
        """Toward what the one that is expected counts as now."""
        signals, now = self.signals(), self._now()
        found = standing(self.outlook, self.config(), signals.by(OUTSIDE), *now)
        by = self._teller if found.state == "said" else BY
        return turn(signals, OUTSIDE, found, by=by, said_at=self.outlook.said_at)

    def _tighten(self) -> None:
        """What is no better is a fact when this returns."""
        while self.doubt() is None:
            fact = self._turn_outside()
            if fact is None or isinstance(fact, SignalEased):
                return
            self._make(fact)

    def _make(self, fact: SourceFact) -> None:
        self.record(fact)
        self.publish()

    async def _ease(self, decide: Callable[[], SourceFact | None]) -> None:
        """Until there is nothing to be told. Raises NotLoosened.

        WHAT HAS BECOME WORSE WHILE THE DISK WAS WAITED FOR IS SO AT ONCE: there is no checkpoint
        between what is better coming into force and the next look.
        """
        while self.doubt() is None:
            fact = decide()
            if fact is None:
                return
            if isinstance(fact, SignalEased):
                await self.loosen(fact)
            else:
                self._make(fact)

    async def _hear(self, told: Told) -> Reply:
        """Raises Unusable and NotLoosened."""
        command, config = told.command, self.config()
        refused = refusal(self.signals(), config, command, told.worker)
        if refused is not None:
            return Refused(code=refused[0], message=refused[1])
        if command.source == OUTSIDE:
            time_of(command.ts, self.clock.now(), config.max_age_s)
            self.outlook.hears(command, *self._now())
            self._teller = told.by
            await self._ease(self._turn_outside)
        else:
            said_at = time_of(command.ts, self.clock.now())
            found = Standing("said", signal_of(command), None)
            await self._ease(lambda: self._turn(told, found, said_at))
        return Taken()

    def _turn(self, told: Told, found: Standing, said_at: datetime | None) -> SourceFact | None:
        signals, source = self.signals(), told.command.source
        if source not in signals.sources and is_calm(found.signal):
            return None
        return turn(signals, source, found, by=told.by, worker=told.worker, said_at=said_at)
