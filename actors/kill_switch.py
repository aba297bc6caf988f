"""The kill switch: whoever wants trading to stop calls it, and it has stopped when that returns.

A halt waits for nothing. So `trigger`, `halt` and `trip` are no messages: they are calls, made in
the task of whoever asks, and none of them has a checkpoint. First the lease page refuses, then the
fact is made, then the page says what the facts add up to. If anything fails on the way, what is
left is a page that refuses.

The actor `kill_switch` sees to what goes on by itself: it notes the time that cooldowns and halts
wait for, and keeps the page as the facts have it. What loosens takes time and is asked of the
actor `recovery`; this one never waits for a disk, since the lease depends on its answers.
"""

from collections.abc import Callable, Hashable, Mapping

import attrs
import msgspec
import trio

from .core import kill_switch as core
from .core.halts import Halted, Halts, Now, strictest, waiting
from .core.kill_switch import Breaker
from .mailbox import Mailbox, MailboxFull
from .messages import (
    By,
    Cause,
    Halt,
    HaltPlaced,
    KillSwitchTriggered,
    Mode,
    Scope,
    TimeNoted,
    UntilCondition,
)
from .ports import Clock, LeasePage, Record

NAME = "kill_switch"
PAGE_S = 0.5
"""How often the page is made sure of."""
NOTE_S = 10.0
"""How often time is noted while something waits for it. A reboot costs a cooldown so much at most.
"""
REASON_CHARACTERS_MAX = 2_000


@attrs.frozen
class Cleared:
    """Whoever watches this condition says that it holds, as long as there was no halt from `below`
    on."""

    condition: str
    below: int


@attrs.define(eq=False, kw_only=True)
class KillSwitch:
    """`ports.Halting`. It outlives the actors: all it knows is in the ledger and on the page."""

    halts: Halts
    record: Record
    page: LeasePage
    clock: Clock
    doubt: Callable[[], str | None]
    """Why what the facts add up to can't be relied on. None: it can."""
    recovery: Mailbox
    lsn: Callable[[], int]
    """The number of the newest fact."""
    _doubtful: set[Hashable] = attrs.field(factory=set, init=False)
    """What was halted since the doubt began, and need not be halted again in it."""
    denied: set[str] = attrs.field(factory=set, init=False)
    """Conditions that were said to hold until a halt that waits for them was asked for again."""

    def now(self) -> Now:
        return Now(self.clock.boot(), self.clock.monotonic_s(), self.clock.now())

    def trigger(self, *, by: By, cause: Cause, source: str, reason: str) -> bool:
        """Stop everything. False: it was stopped already, for this cause among others."""
        self.page.fence()
        said = reason[:REASON_CHARACTERS_MAX]
        fact = core.trigger(self.halts.now, by=by, cause=cause, source=source, reason=said)
        if fact is None and self.doubt() is not None:
            # What it is compared with may be wrong. Once too often does no harm.
            fact = KillSwitchTriggered(by=by, cause=cause, source=source, reason=said)
        if fact is not None:
            self.record(fact)
        self.publish()
        return fact is not None

    def halt(self, halt: Halt, *, by: By) -> int | None:
        """Halt one scope; the halt's id. None: it is so already, or now everything is halted."""
        wanted = _short(halt)
        if self.doubt() is not None:
            return self._place(self._unsure(wanted, by))
        fact = core.place(self.halts.now, wanted, by=by, now=self.now())
        if fact is None and isinstance(wanted.until, UntilCondition):
            self.denied.add(wanted.until.condition)
        return self._place(fact)

    def trip(self, halt: Halt, breaker: Breaker, *, by: By) -> int | None:
        """The same for as long as the breaker says."""
        wanted, now = _short(halt), self.now()
        if self.doubt() is not None:
            return self._place(self._unsure(breaker.timed(self.halts.now, wanted, now), by))
        return self._place(core.trip(self.halts.now, wanted, breaker, by=by, now=now))

    def _unsure(self, halt: Halt, by: By) -> HaltPlaced | KillSwitchTriggered | None:
        """In doubt no halt that seems to stand is one, and no number that seems free. A halt is a
        fact, so that of the next fact no other can have."""
        one = (halt.scope, halt.mode, halt.cause, halt.source, halt.until)
        if one in self._doubtful:
            return None
        self._doubtful.add(one)
        unknown = Halted(next_id=max(self.halts.now.next_id, self.lsn() + 1))
        return core.place(unknown, halt, by=by, now=self.now())

    def _place(self, fact: HaltPlaced | KillSwitchTriggered | None) -> int | None:
        if fact is None:
            return None
        # One store. To say what else is halted takes longer the more of it there is.
        self.page.fence()
        if isinstance(fact, HaltPlaced):
            self._publish({fact.halt.scope: fact.halt.mode})
        self.record(fact)
        self.publish()
        return fact.halt_id if isinstance(fact, HaltPlaced) else None

    def clear(self, condition: str) -> None:
        """What waits for this condition may end. It is said again when there is no room for it,
        which is for those alone for which something waits."""
        self.denied.discard(condition)
        if core.holds(self.halts.now, condition) is None:
            return
        try:
            self.recovery.tell_nowait(Cleared(condition, self.halts.now.next_id))
        except MailboxFull:
            return

    def publish(self) -> None:
        """Bring the page to what the facts add up to; to nothing at all when that is in doubt."""
        self._publish({})

    def _publish(self, more: Mapping[Scope, Mode]) -> None:
        if self.doubt() is not None:
            self.page.fence()
            return
        self._doubtful.clear()
        modes = strictest(self.halts.now)
        for scope, mode in more.items():
            if modes.get(scope) != "halt":
                modes[scope] = mode
        self.page.publish(modes, self.halts.now.epoch)


def _short(halt: Halt) -> Halt:
    return msgspec.structs.replace(halt, reason=halt.reason[:REASON_CHARACTERS_MAX])


@attrs.define(eq=False)
class Watch:
    """Behaviour of the actor."""

    switch: KillSwitch
    _page_at: float = attrs.field(factory=trio.current_time, init=False)
    _note_at: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._note_at = self._page_at + NOTE_S

    async def receive(self, message: object) -> object:
        raise TypeError(f"{NAME!r} takes no messages, and got {type(message).__name__}")

    def wake_at(self) -> float:
        return self._page_at

    async def wake(self) -> None:
        now = trio.current_time()
        self._page_at = now + PAGE_S
        self.switch.publish()
        if now >= self._note_at:
            self._note_at = now + NOTE_S
            count = waiting(self.switch.halts.now)
            if count:
                self.switch.record(TimeNoted(waiting=count))
