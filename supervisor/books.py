"""The books, put together: their actor, what the socket may report, and what the file must not say.

What is known of accounts is in the ledger, and outlives the actor.
"""

from collections.abc import Callable, Mapping

import attrs
import trio

from ..actors import position_keeper
from ..actors.actor import as_child
from ..actors.control import CommandUnconfirmed, Handler, unanswered
from ..actors.core import position_keeper as core
from ..actors.core.access import Caller
from ..actors.core.books import Books
from ..actors.mailbox import ActorDied, AskTimeout, MailboxFull, Registry
from ..actors.messages import Command, Refused, Reply, Reported, ReportEquity, ReportEvents
from ..actors.ports import Clock
from ..config.problems import Problem, dotted
from ..config.schema import Config
from .chronicle import Chronicle
from .configuration import Configuration
from .journal import JournalFailed
from .tree import ChildSpec

ANSWER_TIMEOUT_S = 10.0
SETTLE_TIMEOUT_S = 10.0
"""For a disk that is slow. Whoever waits longer is told that nobody knows."""

Document = dict[str, object]


def conflicts(
    books: Books, config: Config, source: str, in_force: Config | None = None
) -> tuple[str, ...]:
    """What in a configuration contradicts what is known of accounts and instruments, in lines."""
    return tuple(
        str(Problem(source, dotted(each.path), None, each.message, each.remedy))
        for each in core.conflicts(books, config, in_force)
    )


@attrs.define(eq=False, kw_only=True)
class Bookkeeping:
    """Built and not yet running."""

    books: Books
    chronicle: Chronicle
    configuration: Configuration
    clock: Clock
    registry: Registry
    publish: Callable[[], None]
    """Tell readers of the lease page which permissions have grown old."""

    def __attrs_post_init__(self) -> None:
        self.registry.add(position_keeper.NAME, capacity=1_024)
        self.configuration.check = self._problems

    def first(self) -> ChildSpec:
        """On which all stands that asks about positions."""
        return ChildSpec(
            position_keeper.NAME, as_child(self.registry[position_keeper.NAME], self._keeper)
        )

    def _keeper(self) -> position_keeper.PositionKeeper:
        return position_keeper.PositionKeeper(
            books=self.books,
            config=lambda: self.configuration.current,
            commit=self.chronicle.commit,
            record=self.chronicle.record,
            doubt=self.chronicle.doubt,
            clock=self.clock,
            publish=self.publish,
        )

    # --- the configuration

    def record_start(self) -> None:
        """What the configuration says becomes facts, the days that are over end, and time begins.
        Raises JournalFailed."""
        record, now = self.chronicle.record_together, self.clock.now()
        facts = core.meant(self.books, self.configuration.current, now)
        for few in position_keeper.portions(facts):
            record(*few)
        while ends := core.due(self.books, now):
            record(*ends)
        if self.books.accounts:
            record(core.begun(now))
        self.publish()

    def _problems(self, config: Config) -> tuple[str, ...]:
        doubt = self.chronicle.doubt()
        if doubt is not None:
            return (f"{self.configuration.name}: {doubt}; reload again once that is mended",)
        current, name = self.configuration.current, self.configuration.name
        return conflicts(self.books, config, name, in_force=current)

    async def follow(self) -> None:
        """What a reload has put in force becomes facts before it is answered. When the actor is not
        there now, it does so when it is back."""
        try:
            await self._ask(position_keeper.Follow())
        except (ActorDied, AskTimeout, MailboxFull):
            return

    # --- what the socket answers

    def handlers(self) -> Mapping[type[Command], Handler]:
        return {ReportEvents: self._answer, ReportEquity: self._answer}

    async def _answer(self, _caller: Caller, command: ReportEvents | ReportEquity) -> Reply:
        return await self.report(command)

    async def report(self, command: ReportEvents | ReportEquity) -> Reply:
        """Whoever it comes from. Raises CommandUnavailable."""
        try:
            answer = await self._ask(command)
        except (ActorDied, AskTimeout, MailboxFull) as error:
            raise unanswered(position_keeper.NAME, error) from error
        if isinstance(answer, Refused):
            return answer
        assert isinstance(answer, position_keeper.Made), "the position keeper answers with these"
        await self._settle(answer.lsn)
        return Reported(lsn=answer.lsn, booked=answer.count)

    async def _ask(self, message: object) -> object:
        name = position_keeper.NAME
        return await self.registry.ask(name, message, timeout_s=ANSWER_TIMEOUT_S)

    async def _settle(self, lsn: int) -> None:
        """By whoever asks, so that one trip to the disk serves many reports."""
        try:
            with trio.fail_after(SETTLE_TIMEOUT_S):
                await self.chronicle.ledger.settle(lsn)
        except (trio.TooSlowError, JournalFailed) as error:
            why = str(error) or f"the journal's disk has not confirmed it in {SETTLE_TIMEOUT_S:g} s"
            raise CommandUnconfirmed(f"it is booked, and a power cut may take it: {why}") from error

    # --- what can be seen

    def shown(self) -> list[Document]:
        """None at all while what is known is in doubt: `kill_switch.doubt` says so."""
        return [] if self.chronicle.doubt() is not None else core.accounts_shown(self.books)
