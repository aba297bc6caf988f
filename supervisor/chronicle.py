"""History as the parts of riskd write it: a fact first, then a line of the log."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping

import attrs
import structlog
import trio

from ..actors.core.gate.counters import Freezes
from ..actors.messages import (
    ActorKillAsked,
    ActorSilent,
    Booked,
    BookFlagged,
    CanaryFailed,
    CanarySilent,
    ChildFailed,
    ChildStuck,
    CloseAsked,
    ConfigRefused,
    EdgeReported,
    EquityDrifted,
    EquityReported,
    Fact,
    HaltPlaced,
    InstrumentDelisted,
    InstrumentListed,
    JournalRepaired,
    KillSwitchTriggered,
    LeaseLapsed,
    LimitUnknown,
    LimitWarned,
    Loosening,
    MessageQuarantined,
    OrderAcked,
    OrderCancelAsked,
    OrderDecided,
    OrderDropped,
    OrderSent,
    ProjectionRebuilt,
    RiskSignalChanged,
    RuleTripped,
    SignalNoted,
    SignalWorsened,
    SnapshotSkipped,
    SupervisorEscalated,
    TicketMisused,
    VenueStated,
)
from ..actors.ports import NotLoosened, NotRecorded, Withdrawn
from .journal import FactTooLarge, JournalFailed
from .ledger import Ledger, Overtaken
from .sparing import Sparing
from .stacks import stack

TROUBLE = (
    ActorKillAsked,
    ActorSilent,
    BookFlagged,
    CanaryFailed,
    CanarySilent,
    ChildFailed,
    ChildStuck,
    CloseAsked,
    ConfigRefused,
    EquityDrifted,
    HaltPlaced,
    JournalRepaired,
    KillSwitchTriggered,
    LeaseLapsed,
    LimitUnknown,
    LimitWarned,
    MessageQuarantined,
    OrderCancelAsked,
    ProjectionRebuilt,
    RiskSignalChanged,
    RuleTripped,
    SignalWorsened,
    SnapshotSkipped,
    SupervisorEscalated,
    TicketMisused,
)
"""Facts that somebody should look at: they are logged as warnings."""

PLENTIFUL = frozenset(
    {
        Booked,
        EquityReported,
        InstrumentDelisted,
        InstrumentListed,
        OrderAcked,
        OrderDecided,
        OrderDropped,
        OrderSent,
    }
)
"""Facts that come by the thousand. The log would be nothing else; the journal has them."""

SPARED = (EdgeReported, SignalNoted, TicketMisused, VenueStated)
"""Facts that a worker can make as many of as it likes: few of them are logged at a time."""

LOOSEN_TIMEOUT_S = 1.0
"""Below the heartbeat's patience: a disk that hangs is no reason to crash who waits for it."""


@attrs.frozen(eq=False)
class Chronicle:
    """The ledger, for whoever has something to record."""

    ledger: Ledger
    freezes: Freezes = attrs.field(factory=Freezes, init=False)
    now_s: Callable[[], float] = attrs.field(default=time.monotonic, kw_only=True)
    _spared: Mapping[type[Fact], Sparing] = attrs.field(
        factory=lambda: {kind: Sparing() for kind in SPARED}, init=False
    )

    def record(self, fact: Fact) -> None:
        self._record(fact)

    def record_failure(self, fact: ChildFailed, error: BaseException) -> None:
        """The log has where the error came from as well; history has its one line."""
        self._record(fact, stack=stack(error))

    def _record(self, fact: Fact, **more: object) -> None:
        """A journal that has failed has told so itself, and riskd is about to end: whoever wanted
        to record something on the way has no use for another error. The log says what is missing.
        """
        try:
            is_written = self.ledger.commit(fact) > 0
        except JournalFailed:
            is_written = False
        self.tell(fact, **more, **({} if is_written else {"unwritten": True}))

    def record_together(self, *facts: Fact) -> int:
        """All or none of them; the number of the last. Of those that come by the thousand the log
        has none. Raises JournalFailed: then none was made."""
        lsn = self.ledger.commit(*facts)
        for fact in facts:
            if type(fact) not in PLENTIFUL:
                self.tell(fact)
        return lsn

    def commit(self, *facts: Fact) -> int:
        """The same for whoever has a use for an answer. Raises NotRecorded."""
        try:
            return self.record_together(*facts)
        except (JournalFailed, FactTooLarge) as error:
            raise NotRecorded(str(error)) from error

    async def loosen(self, fact: Loosening) -> None:
        """Record what allows more, once the disk has it. Raises NotLoosened."""
        try:
            with trio.fail_after(LOOSEN_TIMEOUT_S):
                await self.ledger.loosen(fact)
        except trio.TooSlowError:
            seconds = f"{LOOSEN_TIMEOUT_S:g} s"
            raise NotLoosened(f"the journal's disk did not confirm it within {seconds}") from None
        except Overtaken as error:
            raise Withdrawn(str(error)) from error
        except JournalFailed as error:
            raise NotLoosened(str(error)) from error
        self.tell(fact)

    async def settle(self) -> None:
        """Wait for the disk, and not for long: nothing is allowed by what is waited for."""
        with trio.move_on_after(LOOSEN_TIMEOUT_S), contextlib.suppress(JournalFailed):
            await self.ledger.wait_safe(self.ledger.lsn)

    def doubt(self) -> str | None:
        """Why what riskd knows can't be relied on; then nothing may trade. None: it can."""
        ledger = self.ledger
        if ledger.journal.failure is not None:
            return f"the journal has failed: {ledger.failure}"
        if ledger.suspected:
            return f"in doubt, and being made again: {', '.join(ledger.suspected)}"
        return None

    def tell_what_was_found(self) -> None:
        """What the start had to repair: it was made a fact before there was a log."""
        for fact in self.ledger.found:
            self.tell(fact)

    def tell(self, fact: Fact, **more: object) -> None:
        self.freezes.saw(fact)
        spared = self._spared.get(type(fact))
        if spared is not None:
            besides = spared.more(self.now_s())
            if besides is None:
                return
            more.update(besides)
        tag = str(type(fact).__struct_config__.tag)
        fields = {name: getattr(fact, name) for name in _logged(fact)}
        log = structlog.get_logger("riskd.fact")
        say = log.warning if isinstance(fact, TROUBLE) else log.info
        subject, _, verb = tag.rpartition("_")
        say(f"{subject}.{verb}", **fields, **more)


def _logged(fact: Fact) -> Iterator[str]:
    return (name for name in fact.__struct_fields__ if name not in fact.UNLOGGED)
