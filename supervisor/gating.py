"""The gate, put together: its actor, what the socket asks of it, and who may ask."""

from collections.abc import Callable, Mapping
from itertools import islice

import attrs
import trio

from ..actors import gate, position_keeper
from ..actors.actor import as_child
from ..actors.control import CommandUnconfirmed, Handler
from ..actors.core.access import Caller
from ..actors.core.book.times import instant
from ..actors.core.gate.asked import Identity
from ..actors.core.gate.counters import gauges
from ..actors.core.gate.decision import Knowledge
from ..actors.core.gate.gathered import Limits
from ..actors.core.gate.ruleset import Ruleset
from ..actors.core.gate.view import Moment
from ..actors.core.limit_rows import rows
from ..actors.gate import Gate
from ..actors.mailbox import Registry
from ..actors.messages import Command, CountersAre, Reply, ShowCounters
from ..actors.orders import Orders
from ..actors.ports import Clock
from .books import Bookkeeping
from .chronicle import Chronicle
from .journal import JournalFailed
from .known import Known
from .tree import ChildSpec, Supervisor

SETTLE_TIMEOUT_S = 10.0
"""For a disk that is slow. Whoever waits longer is told that nobody knows."""
RULES_MEASURED_MAX = 100
"""For one answer: all that is asked meanwhile waits for it."""


@attrs.define(eq=False, kw_only=True)
class Gating:
    """Built and not yet running."""

    known: Known
    chronicle: Chronicle
    books: Bookkeeping
    clock: Clock
    registry: Registry
    limits: Limits
    ticket_s: Callable[[], float]
    workers: Mapping[str, Identity]
    """Whose orders those of each worker are."""
    process_id: int
    """riskd's own."""
    gate: Gate = attrs.field(init=False)
    _orders: Orders = attrs.field(init=False)
    _since: str = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._since = instant(self.clock.now())
        mailbox = self.registry.add(gate.NAME, capacity=64)
        ledger = self.chronicle.ledger
        keeper = self.registry[position_keeper.NAME]
        self.gate = Gate(
            books=self.known.books,
            halts=self.known.halts,
            answers=self.known.answers,
            overrides=self.known.overrides,
            raised=self.known.signals.raised,
            limits=self.limits,
            commit=self.chronicle.commit,
            clock=self.clock,
            doubt=self.chronicle.doubt,
            has_failed=lambda: ledger.failure is not None,
            serves=lambda: mailbox.is_open,
            keeps_positions=lambda: keeper.is_open,
            ticket_s=self.ticket_s,
            lsn=lambda: ledger.lsn,
        )
        self._orders = Orders(
            gate=self.gate,
            report=self.books.report,
            settle=self._settle,
            waits=ledger.durability == "power",
            identity=self.workers.get,
            process_id=self.process_id,
        )

    def tree(self, *, intensity: int, period_s: float) -> ChildSpec:
        """By itself, so that its crash takes no connection with it: who asks is told."""
        child = ChildSpec(gate.NAME, as_child(self.registry[gate.NAME], gate.Watch))
        trading = Supervisor([child], intensity=intensity, period=period_s)
        return ChildSpec("trading", trading.run, kind="supervisor", shutdown=2.0)

    def handlers(self) -> dict[type[Command], Handler]:
        return {**self._orders.handlers(), ShowCounters: self._counters}

    async def _counters(self, _caller: Caller, _command: Command) -> Reply:
        moment = Moment(self.clock.now(), self.clock.monotonic_s())
        found = rows(self.known.limits, self.known.books, moment)
        measured = list(gauges(islice(found, RULES_MEASURED_MAX)))
        tally = self.gate.tally
        return CountersAre(
            lsn=self.chronicle.ledger.lsn,
            since=self._since,
            counters=[*tally.counters(), *self.chronicle.freezes.counters()],
            gauges=measured,
            histograms=[tally.latency()],
            more=next(found, None) is not None,
        )

    def knowledge(self) -> Knowledge:
        """For whoever looks at how things stand when nobody asks."""
        found = self.gate.knowledge()
        if found is None:
            return Knowledge(
                books=self.known.books,
                rules=Ruleset(()),
                memories={},
                is_active=False,
                modes={},
                on_excess="block",
                doubt="nobody has said yet what the limits are",
            )
        return attrs.evolve(found, doubt=self.chronicle.doubt())

    async def _settle(self, lsn: int) -> None:
        """By whoever asks, so that one trip to the disk serves many."""
        try:
            with trio.fail_after(SETTLE_TIMEOUT_S):
                await self.chronicle.ledger.settle(lsn)
        except (trio.TooSlowError, JournalFailed) as error:
            why = str(error) or f"the journal's disk has not confirmed it in {SETTLE_TIMEOUT_S:g} s"
            raise CommandUnconfirmed(f"it counts, and a power cut may take it: {why}") from error
