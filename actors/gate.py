"""The gate: whoever wants to send an order asks it, and it has counted when that returns.

Asking is no message: it is a call, made in the task of whoever asks, and it has no checkpoint. The
order is judged by everything that is known, and what is permitted becomes a fact in the same step;
by that fact it counts. So two orders can never both take the last of a limit, and whoever is
cancelled has asked or has not.

The actor `gate` says by being there that orders may be judged. While it is not, each is blocked;
so is each while what is known is in doubt, while nobody has said yet which limits there are, and
while nobody keeps the positions, if it adds risk. Such a no is not history: it is of no order, but
of riskd, and whoever asks again may hear another.
"""

import math
from collections.abc import Callable, Mapping

import attrs

from .core.book.numbers import exact
from .core.books import Books
from .core.gate.answers import Answered, Answers, answered
from .core.gate.asked import CANARY, Identity
from .core.gate.counters import Tally
from .core.gate.decision import Decided, Knowledge, decide
from .core.gate.gathered import Limits, gather
from .core.gate.reply import decision, undecided
from .core.gate.tickets import misuse
from .core.gate.view import Moment
from .core.halts import Halts
from .core.overrides import Overrides
from .core.signal.signals import Raised
from .messages import (
    Acked,
    Decision,
    Dropped,
    MessageId,
    OrderAcked,
    OrderAsked,
    OrderDecided,
    OrderDropped,
    OrderSent,
    Sent,
    TicketMisused,
)
from .messages.gate import TicketCode
from .messages.reasons import Code
from .ports import Clock, Commit, NotRecorded

NAME = "gate"
AWAY = "the gate is being started, or has crashed"
UNLIMITED = "the limits are not in force yet"


class NotJudged(Exception):
    """Whatever was asked now would be blocked, because of riskd and not of an order."""


@attrs.define(eq=False, kw_only=True)
class Gate:
    """It outlives the actor: all it knows is in the ledger."""

    books: Books
    halts: Halts
    answers: Answers
    overrides: Overrides
    raised: Mapping[str, Raised]
    """The risk signals that are not calm, by scope. Always the same object."""
    limits: Limits
    commit: Commit
    clock: Clock
    doubt: Callable[[], str | None]
    """Why what the facts add up to can't be relied on. None: it can."""
    has_failed: Callable[[], bool]
    """The journal has."""
    serves: Callable[[], bool]
    """The actor is there."""
    keeps_positions: Callable[[], bool]
    """The position keeper is there."""
    ticket_s: Callable[[], float]
    lsn: Callable[[], int]
    """The number of the newest fact."""
    tally: Tally = attrs.field(factory=Tally, init=False)
    _known: Knowledge | None = attrs.field(default=None, init=False)
    _revision: int = attrs.field(default=-1, init=False)
    """Of the halts that are in `_known`."""

    # --- may this be sent?

    def check(
        self, order: OrderAsked, who: Identity, about: MessageId = 0, *, amends: bool = False
    ) -> Decision:
        """Judge an order; with `amends` what one that works is to become. What is permitted counts
        when this returns, and a killed process does not lose it. `about`: the id of the question.
        """
        began_s = self.clock.monotonic_s()
        answer = self._check(order, who, about, amends=amends)
        self.tally.took(self.clock.monotonic_s() - began_s)
        return answer

    def _check(
        self, order: OrderAsked, who: Identity, about: MessageId, *, amends: bool
    ) -> Decision:
        if not self.serves():
            return self._undecided("gate_unavailable", AWAY)
        doubt = self.doubt()
        if doubt is not None:
            return self._undecided("journal_failed" if self.has_failed() else "in_doubt", doubt)
        known = self.knowledge()
        if known is None:
            return self._undecided("gate_unavailable", UNLIMITED)
        with exact():  # Once, for the decision and for what is made of it.
            return self._judge(order, who, known, about, amends=amends)

    def _judge(
        self,
        order: OrderAsked,
        who: Identity,
        known: Knowledge,
        about: MessageId,
        *,
        amends: bool,
    ) -> Decision:
        moment = Moment(self.clock.now(), self.clock.monotonic_s())
        decided = decide(order, who, known, moment, amends=amends)
        if decided.again is not None:
            return decision(decided.again, about, permits=self._permits(decided.again, moment))
        if self._is_unkept(decided):
            return self._undecided("position_keeper_unavailable", "")
        try:
            found = self._record(order, who, decided, moment, amends=amends)
        except NotRecorded as why:
            return self._undecided("journal_failed", str(why))
        doubt = self.doubt()
        if doubt is not None:
            # It is history, and may not be in the books: nobody is told to send it.
            return self._undecided("in_doubt", doubt)
        verdict = found.verdict
        if who.worker != CANARY:
            self.tally.decided(verdict.decision, verdict.code, verdict.scope)
        return decision(found, about)

    def _record(
        self, order: OrderAsked, who: Identity, decided: Decided, moment: Moment, *, amends: bool
    ) -> Answered:
        verdict = decided.verdict
        if verdict.decision == "block":
            fact = OrderDecided(
                order=order,
                worker=who.worker,
                worker_account=who.account,
                worker_strategy=who.strategy,
                at=moment.at,
                monotonic_s=moment.monotonic_s,
                verdict=verdict,
                amends=amends,
            )
        else:
            fact = OrderDecided(
                order=order,
                worker=who.worker,
                worker_account=who.account,
                worker_strategy=who.strategy,
                at=moment.at,
                monotonic_s=moment.monotonic_s,
                verdict=verdict,
                epoch=self.halts.now.epoch,
                expires_s=moment.monotonic_s + self.ticket_s(),
                amends=amends,
            )
        lsn = self.commit(fact)
        newest = self.answers.newest
        # The projection has made it, unless it is in doubt.
        return newest if newest is not None and newest.lsn == lsn else answered(lsn, fact)

    def _permits(self, found: Answered, moment: Moment) -> bool:
        """May it still be sent on what was answered?"""
        epoch, now_s = self.halts.now.epoch, moment.monotonic_s
        return misuse(found, None, epoch=epoch, monotonic_s=now_s) is None

    def _is_unkept(self, decided: Decided) -> bool:
        if self.keeps_positions() or decided.verdict.decision == "block":
            return False
        return decided.view is None or decided.view.adds_risk

    def trusted(self) -> Knowledge:
        """What an order would be judged by now. Raises NotJudged."""
        known = self.knowledge()
        doubt = None if self.serves() else AWAY
        doubt = doubt or self.doubt() or (UNLIMITED if known is None else None)
        if doubt is None and not self.keeps_positions():
            doubt = "nobody keeps the positions now"
        if known is None or doubt is not None:
            raise NotJudged(doubt)
        return known

    def knowledge(self) -> Knowledge | None:
        """What a decision rests on; None while nobody has said what the limits are.

        Made anew when the halts or the limits are others; all else in it is looked at when it is
        needed."""
        known = self._known
        if (
            known is None
            or self._revision != self.halts.revision
            or known.rules is not self.limits.rules
        ):
            known = gather(
                self.books,
                self.halts,
                self.limits,
                self.answers,
                self.overrides,
                self.raised,
            )
            self._known, self._revision = known, self.halts.revision
        return known

    def _undecided(self, code: Code, missing: str) -> Decision:
        self.tally.decided("block", code, None)
        return undecided(
            code,
            missing,
            lsn=self.lsn(),
            at=self.clock.now(),
            ess_active=self.halts.now.state != "ACTIVE",
        )

    # --- what became of it

    def sent(self, told: Sent, who: Identity) -> TicketCode | None:
        """An order is on its way. Why it should not be; None: its ticket was good. Raises
        NotRecorded."""
        code = misuse(
            self.answers.find(told.account, told.client_order_id),
            told.decision_id,
            epoch=self.halts.now.epoch,
            monotonic_s=self.clock.monotonic_s(),
        )
        account, name, worker = told.account, told.client_order_id, who.worker
        if code is None:
            self.commit(OrderSent(account=account, client_order_id=name, worker=worker))
        else:
            self.commit(
                TicketMisused(account=account, client_order_id=name, code=code, worker=worker)
            )
        return code

    def dropped(self, told: Dropped, who: Identity) -> None:
        """It was never sent, and never will be. Raises NotRecorded."""
        self.commit(
            OrderDropped(
                account=told.account, client_order_id=told.client_order_id, worker=who.worker
            )
        )

    def acked(self, told: Acked, who: Identity) -> None:
        """The venue has it. Raises NotRecorded."""
        self.commit(
            OrderAcked(
                account=told.account, client_order_id=told.client_order_id, worker=who.worker
            )
        )


@attrs.define(eq=False)
class Watch:
    """Behaviour of the actor."""

    async def receive(self, message: object) -> object:
        raise TypeError(f"{NAME!r} is called, and got {type(message).__name__} as a message")

    def wake_at(self) -> float:
        return math.inf

    async def wake(self) -> None:
        raise AssertionError(f"{NAME!r} sets no timer")
