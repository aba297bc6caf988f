"""The watch over limits: the shell that looks when something was booked, and acts.

It looks at accounts in which something has happened, soon after that, and every second at all,
since marks grow old and lockouts end while nothing happens. It looks no more often than leaves most
of the loop to others. What it finds is done at once, without a checkpoint: a halt is in force
before the fact that tells why. The risk signal is looked at in the same rhythm, after the limits,
one scope at a time: others have their turn between two of them, and never within one.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from decimal import Decimal

import attrs
import trio

from .actor import serve
from .core.book import times
from .core.gate.decision import Knowledge
from .core.gate.view import Moment
from .core.gate.watch import Act, Patience, Trip, watch
from .core.gate.watched import Watched
from .mailbox import Mailbox
from .messages import (
    By,
    Edge,
    EdgeReported,
    Fact,
    Halt,
    Refused,
    Reply,
    RuleTripped,
    Taken,
    VenueSays,
    VenueStated,
)
from .ports import Clock, Halting, Record

NAME = "limit_watch"
BY = By(via="riskd")
REST_S = 0.02
"""Between two looks. News that come meanwhile are looked at together."""
REST_FACTOR = 9.0
"""And at least so many times as long as the last one took: it never has more than a tenth."""
EVERY_S = 1.0
"""How often everything is looked at, whether something has happened or not."""


@attrs.frozen
class Stated:
    """What a venue says, and which worker told of it. None: a person did."""

    said: VenueSays
    worker: str | None


@attrs.define(eq=False, kw_only=True)
class LimitWatch:
    """Behaviour of the actor. `patience` is what outlives it: a crash makes nothing known."""

    halting: Halting
    record: Record
    publish: Callable[[], None]
    """Tell those who hold a permission that it has grown old."""
    clock: Clock
    known: Callable[[], Knowledge]
    """What is known now. In doubt nothing is looked at: then nobody trades, and what seems to be
    calm may not be."""
    watched: Callable[[], Watched]
    scopes: Callable[[Collection[str] | None], Sequence[str]]
    """Those whose risk signal is due when something happened in these accounts; None: all."""
    signal: Callable[[str, float], Fact | None]
    """What is to be told of the risk signal of one of them, at this time."""
    patience: Patience
    session_end: Callable[[], datetime]
    """When the session under way ends."""
    news: trio.lowlevel.ParkingLot
    """Where whoever follows the ledger waits for the next fact."""
    _seen: dict[str, int] = attrs.field(factory=dict, init=False)
    """How much had happened in each account when it was looked at last."""
    _all_at_s: float = attrs.field(default=0.0, init=False)
    """When all is due to be looked at (trio's time): at once, after a start."""

    async def serve(self, mailbox: Mailbox, *, task_status: trio.TaskStatus[None]) -> None:
        """Run the actor, with the task that looks."""
        self.look()
        await self._look_at_signals(None)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch)
            await serve(mailbox, self, task_status=task_status)

    async def receive(self, message: object) -> Reply:
        """An edge, or a venue's word: what it breaks is in force when it is answered."""
        if isinstance(message, Stated):
            return self._hear(message)
        if not isinstance(message, Edge):
            raise TypeError(f"{NAME!r} takes edges and words, and got {type(message).__name__}")
        self.record(
            EdgeReported(strategy=message.strategy, symbol=message.symbol, bps=Decimal(message.bps))
        )
        self.look()
        return Taken(id=message.id)

    def _hear(self, stated: Stated) -> Reply:
        said = stated.said
        if said.account not in self.known().books.accounts:
            message = f"no account is called {said.account!r}"
            return Refused(id=said.id, code="unknown_account", message=message)
        now = self.clock.now()
        try:
            at = now if said.ts is None else min(now, times.moment(times.nanoseconds(said.ts)))
        except ValueError as error:
            return Refused(id=said.id, code="invalid_value", message=f"ts {error}")
        self.record(
            VenueStated(
                account=said.account,
                can_trade=said.can_trade,
                reason=said.reason,
                at=at,
                worker=stated.worker,
            )
        )
        self.look()
        return Taken(id=said.id)

    def wake_at(self) -> float:
        return float("inf")

    async def wake(self) -> None:
        raise AssertionError(f"{NAME!r} sets no timer")

    async def _watch(self) -> None:
        rest_s = REST_S
        while True:
            await trio.sleep(rest_s)
            with trio.move_on_at(self._all_at_s):
                while not self._touched():
                    await self.news.park()
            touched: set[str] | None = self._touched()
            if trio.current_time() >= self._all_at_s:
                touched, self._all_at_s = None, trio.current_time() + EVERY_S
            began_s = self.clock.monotonic_s()
            self._note()
            self.look(touched)
            took_s = self.clock.monotonic_s() - began_s
            took_s += await self._look_at_signals(touched)
            rest_s = max(REST_S, REST_FACTOR * took_s)

    async def _look_at_signals(self, touched: set[str] | None) -> float:
        """How long that took, without what others did meanwhile."""
        took_s, scopes = 0.0, () if self.known().doubt is not None else self.scopes(touched)
        for scope in scopes:
            await trio.lowlevel.checkpoint()
            if self.known().doubt is not None:
                break
            began_s = self.clock.monotonic_s()
            fact = self.signal(scope, began_s)
            if fact is not None:
                self.record(fact)
                self.publish()
            took_s += self.clock.monotonic_s() - began_s
        return took_s

    def _note(self) -> None:
        """What has happened by now will have been looked at."""
        known = self.known()
        if known.doubt is None:
            accounts = known.books.accounts
            self._seen = {name: held.book.arrived for name, held in accounts.items()}

    def _touched(self) -> set[str]:
        """Accounts in which something has happened since."""
        accounts, seen = self.known().books.accounts, self._seen
        return {name for name, held in accounts.items() if held.book.arrived != seen.get(name)}

    def look(self, touched: set[str] | None = None) -> None:
        """At the limits of these accounts, or at all that there are."""
        known = self.known()
        if known.doubt is not None:
            return
        moment = Moment(self.clock.now(), self.clock.monotonic_s())
        for act in watch(
            known,
            self.watched(),
            touched,
            moment,
            session_end=self.session_end(),
            patience=self.patience,
        ):
            self._do(act)

    def _do(self, act: Act) -> None:
        if isinstance(act, Halt):
            self.halting.halt(act, by=BY)
        elif isinstance(act, Trip):
            self.halting.trip(act.halt, act.breaker, by=BY)
        else:
            self.record(act)
            if isinstance(act, RuleTripped):
                self.publish()
