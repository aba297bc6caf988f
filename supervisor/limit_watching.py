"""The watch over limits, put together: its actor, and what the socket asks of it.

What was told last is in the ledger, and since when something is not known outlives the actor: a
restart of it tells nothing twice and waits for nothing anew.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

import attrs
import trio

from ..actors import limit_watch
from ..actors.control import Handler, unanswered
from ..actors.core.access import Caller
from ..actors.core.gate.asked import Identity
from ..actors.core.gate.decision import Knowledge
from ..actors.core.gate.watch import Patience
from ..actors.core.gate.watched import Watched
from ..actors.limit_watch import LimitWatch, Stated
from ..actors.mailbox import ActorDied, AskTimeout, MailboxFull, Registry
from ..actors.messages import Command, Edge, Fact, Refused, Reply, VenueSays
from ..actors.ports import Clock, Halting, Record
from .tree import ChildSpec, Context

TIMEOUT_S = 5.0


@attrs.define(eq=False, kw_only=True)
class LimitWatching:
    """Built and not yet running."""

    halting: Halting
    record: Record
    publish: Callable[[], None]
    clock: Clock
    known: Callable[[], Knowledge]
    watched: Callable[[], Watched]
    """As the ledger has it: it is another one after the ledger was read again."""
    scopes: Callable[[Collection[str] | None], Sequence[str]]
    signal: Callable[[str, float], Fact | None]
    """What is to be told of the risk signal of one of them."""
    session_end: Callable[[], datetime]
    news: trio.lowlevel.ParkingLot
    registry: Registry
    identity: Callable[[str], Identity | None]
    """Whose orders those of a worker are. None: nobody's."""
    _patience: Patience = attrs.field(factory=Patience, init=False)

    def __attrs_post_init__(self) -> None:
        # An edge that finds no room is refused, and what was known grows old.
        self.registry.add(limit_watch.NAME, capacity=1_024)

    def child(self) -> ChildSpec:
        return ChildSpec(limit_watch.NAME, self._watch, shutdown=1.0)

    async def _watch(self, _ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
        one = LimitWatch(
            halting=self.halting,
            record=self.record,
            publish=self.publish,
            clock=self.clock,
            known=self.known,
            watched=self.watched,
            scopes=self.scopes,
            signal=self.signal,
            patience=self._patience,
            session_end=self.session_end,
            news=self.news,
        )
        await one.serve(self.registry[limit_watch.NAME], task_status=task_status)

    def handlers(self) -> dict[type[Command], Handler]:
        return {Edge: self._answer_edge, VenueSays: self._answer_venue}

    async def _answer_edge(self, caller: Caller, command: Edge) -> Reply:
        if caller.worker is not None:
            who = self.identity(caller.worker)
            if who is None or who.strategy not in (None, command.strategy):
                said = f"{command.strategy!r} is no strategy of {caller.worker!r}"
                return Refused(id=command.id, code="not_your_strategy", message=said)
        return await self._ask(command)

    async def _answer_venue(self, caller: Caller, command: VenueSays) -> Reply:
        if caller.worker is not None:
            who = self.identity(caller.worker)
            if who is None or who.account != command.account:
                said = f"{command.account!r} is no account of {caller.worker!r}"
                return Refused(id=command.id, code="not_your_account", message=said)
            if command.can_trade:
                said = "a worker can only say that it can't trade: an operator says that it can"
                return Refused(id=command.id, code="only_operators", message=said)
        return await self._ask(Stated(command, caller.worker))

    async def _ask(self, message: Edge | Stated) -> Reply:
        try:
            answer = await self.registry.ask(limit_watch.NAME, message, timeout_s=TIMEOUT_S)
        except (ActorDied, AskTimeout, MailboxFull) as error:
            raise unanswered(limit_watch.NAME, error) from error
        assert isinstance(answer, Reply), "the watch answers with replies"
        return answer
