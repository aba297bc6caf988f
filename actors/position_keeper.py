"""The position keeper: the one actor by whom anything gets into the books.

A report is decided, made facts and answered in one step without a checkpoint. So whatever this
actor is ended by, a report has been booked and answered, or it has not been begun: none is ever
delivered again that has been booked. Whoever gets no answer because riskd itself was killed asks
again, and what has an id counts once.

Its other deeds, as the configuration or the time asks for them, are found out by a look at the
books. Half done, the next look finds the rest.
"""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal

import attrs
import trio

from ..config.schema import Config
from .core import position_keeper as core
from .core.books import Books
from .core.position_keeper import NotBooked
from .messages import Fact, Refused, ReportEquity, ReportEvents
from .ports import Clock, Commit, NotRecorded, Record

NAME = "position_keeper"
LOOK_S = 1.0
"""How often it looks at the wall clock, which may jump over a reset."""
RETRY_S = 1.0
"""After what it could not do, because what it knows is in doubt or can't be written."""
FACTS_AT_ONCE = 500
"""Of a configuration: some milliseconds. In between others have their turn."""


def portions(facts: Sequence[Fact]) -> Iterator[Sequence[Fact]]:
    """What a configuration means, in parts that are committed each by itself."""
    return (facts[at : at + FACTS_AT_ONCE] for at in range(0, len(facts), FACTS_AT_ONCE))


@attrs.frozen
class Follow:
    """Make the books as the configuration in force says. Answered with Followed."""


@attrs.frozen
class Followed:
    """They are; or why they are not yet."""

    doubt: str | None = None


@attrs.frozen
class Made:
    """The facts of a report: how many, and the number of the last."""

    lsn: int
    count: int


@attrs.define(eq=False, kw_only=True)
class PositionKeeper:
    """Behaviour of the actor."""

    books: Books
    config: Callable[[], Config]
    commit: Commit
    record: Record
    doubt: Callable[[], str | None]
    """Why what the facts add up to can't be relied on. None: it can."""
    clock: Clock
    publish: Callable[[], None]
    """Tell those who hold a permission that it has grown old."""
    _followed: Config | None = attrs.field(default=None, init=False)
    """The configuration that the books are known to be like."""
    _look_at: float = attrs.field(factory=trio.current_time, init=False)
    _not_before: float = attrs.field(default=float("-inf"), init=False)

    async def receive(self, message: object) -> object:
        match message:
            case ReportEvents():
                return self._answered(lambda: self._report(message))
            case ReportEquity():
                return self._answered(lambda: self._hear(message))
            case Follow():
                return Followed(await self._follow())
        raise TypeError(f"{NAME!r} takes reports and Follow, and got {type(message).__name__}")

    # --- reports: from here to the answer there is no checkpoint

    def _answered(self, act: Callable[[], Made]) -> Made | Refused:
        doubt = self.doubt()
        if doubt is not None:
            said = f"{doubt}; until that is mended nothing is booked"
            return Refused(code="in_doubt", message=said)
        try:
            return act()
        except NotBooked as no:
            return Refused(code=no.code, message=str(no))
        except NotRecorded as why:
            return Refused(code="not_recorded", message=f"{why}; nothing was booked")

    def _report(self, report: ReportEvents) -> Made:
        facts = core.booked(self.books, report.account, report.events, self.clock.now())
        before = core.flags_about(self.books, facts)
        made = self._made(*facts)
        if self.doubt() is None:
            for fact in core.flagged(before, core.flags_about(self.books, facts)):
                self.record(fact)
        return made

    def _hear(self, report: ReportEquity) -> Made:
        tolerance, theirs = self.config().book, Decimal(report.equity)
        return self._made(*core.heard(self.books, report.account, theirs, tolerance))

    def _made(self, *facts: Fact) -> Made:
        return Made(self.commit(*facts), len(facts))

    # --- what the configuration says, and the time

    async def _follow(self) -> str | None:
        """Why it could not be done. None: it is."""
        config = self.config()
        if config is self._followed:
            return None
        doubt = self.doubt()
        if doubt is None:
            facts = core.meant(self.books, config, self.clock.now())
            try:
                for few in portions(facts):
                    self.commit(*few)
                    if any(isinstance(fact, core.CLOSING) for fact in few):
                        self.publish()
                    await trio.lowlevel.checkpoint()
            except NotRecorded as why:
                doubt = str(why)
            else:
                self._followed, self._look_at = config, trio.current_time()
        if doubt is not None:
            self._not_before = trio.current_time() + RETRY_S
        return doubt

    def wake_at(self) -> float:
        at = self._look_at if self.config() is self._followed else trio.current_time()
        return max(at, self._not_before)

    async def wake(self) -> None:
        if await self._follow() is None:
            self._end_days()

    def _end_days(self) -> None:
        """Those that are over; then it looks again when the next one is, or a little later."""
        now = trio.current_time()
        if self.doubt() is not None:
            self._not_before = now + RETRY_S
            return
        facts = core.due(self.books, self.clock.now())
        try:
            if facts:
                self.commit(*facts)
        except NotRecorded:
            self._not_before = now + RETRY_S
            return
        next_due, left_s = core.next_due(self.books), LOOK_S
        if next_due is not None:
            left_s = (next_due - self.clock.now()).total_seconds()
        self._look_at = now + min(max(left_s, 0.0), LOOK_S)
