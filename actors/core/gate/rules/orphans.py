"""`orphan_order`: an order that works for nothing, or that nobody asked for."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec

from .....config.schema import rules as schema
from ....messages.watching import OrderCancelAsked
from ...book.numbers import ZERO
from ...books import Books
from ...held import Held
from ...traits import Traits
from ..looking import Looking, Place
from ..memory import CancelSought, Seen
from ..rule import Around, Found, StateJudge, Subject, badness, seconds, unknown
from ..standing import Standing
from ..view import Moment, View
from .stops import halted, position_of

ORPHANS_MAX = 10_000
"""At one time. With more, how old the oldest is can't be told any more."""


class Orphan(msgspec.Struct, frozen=True, array_like=True):
    """Since when it is one."""

    at: datetime
    is_asked: bool = False
    """Its end was asked for."""


class Orphans(Looking):
    """By place and order."""

    def __init__(self, rule: str, scope: str, config: schema.OrphanOrder) -> None:
        super().__init__(rule, scope)
        self._config = config
        self.of: dict[Place, dict[str, Orphan]] = {}
        self.count = 0
        self.has_lost = False
        """There were more than it can know of, and there may still be some of those."""

    def look(self, at: datetime, books: Books, held: Held, symbol: str) -> None:
        place = (held.about.name, symbol)
        before, now = self.of.get(place, {}), dict[str, Orphan]()
        for order_id, traits in books.traits.of(*place).items():
            if self._is_orphan(books, held, order_id, traits):
                now[order_id] = before.get(order_id) or Orphan(at)
        self.count += len(now) - len(before)
        if self.count > ORPHANS_MAX:
            self.count -= len(now) - len(before)
            self.has_lost = True
            return
        self.has_lost = self.has_lost and bool(self.count)
        if now:
            self.of[place] = now
        else:
            self.of.pop(place, None)

    def _is_orphan(self, books: Books, held: Held, order_id: str, traits: Traits) -> bool:
        if not held.remaining(order_id):
            return False
        config, scope = self._config, self.scope
        if scope.startswith(("strategy:", "worker:")) and scope not in traits.owners:
            return False
        if not traits.is_asked and config.unasked:
            return True
        if not (traits.is_reduce_only or (traits.is_stop and config.stops)):
            return False
        position = position_of(held, scope, traits.symbol)
        is_needed = position > 0 if traits.side == "sell" else position < 0
        return not is_needed and not _may_enter(books, held, traits)

    def saw(self, seen: Seen) -> None:
        if isinstance(seen, CancelSought) and seen.rule == self.rule:
            orders = self.of.get((seen.account, seen.symbol), {})
            if seen.order in orders:
                found = msgspec.structs.replace(orders[seen.order], is_asked=True)
                self.of[seen.account, seen.symbol] = {**orders, seen.order: found}

    def dump(self) -> object:
        rows = [(*place, orders) for place, orders in self.of.items()]
        return self.has_looked, self.has_lost, rows

    def load(self, state: object) -> None:
        self.has_looked, self.has_lost, rows = msgspec.convert(
            state, tuple[bool, bool, list[tuple[str, str, dict[str, Orphan]]]]
        )
        self.of = {(account, symbol): orders for account, symbol, orders in rows}
        self.count = sum(map(len, self.of.values()))


def _may_enter(books: Books, held: Held, traits: Traits) -> bool:
    """An order works that could make the position which it would reduce: it waits for that."""
    remaining = held.book.exposures.remaining(traits.symbol)
    entries = remaining.buys if traits.side == "sell" else remaining.sells
    if not entries:
        return False
    for order_id, other in books.traits.of(held.about.name, traits.symbol).items():
        if other.side != traits.side and not other.is_reduce_only:
            entries -= held.remaining(order_id)
    return entries > ZERO


class OrphanOrder(StateJudge[schema.OrphanOrder]):
    """Of each symbol in each account, by the oldest there. That it is to be cancelled is asked for
    once, whatever else is done."""

    SAYS = "an order has worked for nothing for {value} s, and may for {limit} s"

    STAGE = 13

    def __init__(self, config: schema.OrphanOrder) -> None:
        super().__init__(config)
        self._limit = seconds(timedelta(seconds=config.grace_s))

    def memory(self) -> Orphans:
        return Orphans(self.id, self.scope, self.config)

    def regard(self, view: View) -> Found | None:
        place = (view.held.about.name, view.symbol)
        return self._weigh(view.memory(self.id), place, view.moment, explains=view.explains)

    def measure(
        self,
        standing: Standing,
        moment: Moment,
        memory: Orphans | None = None,
        *,
        explains: bool = False,
    ) -> Found | None:
        """The oldest of all."""
        if memory is None or not memory.has_looked or memory.has_lost:
            return unknown(f"orders of {standing.scope}")
        found = [self._weigh(memory, place, moment, explains=True) for place in memory.of]
        worst = max((one for one in found if one is not None), key=badness, default=None)
        if worst is None:
            return Found("pass", "ok", self._limit, ZERO) if explains else None
        return worst if explains or worst.outcome != "pass" else None

    def survey(self, around: Around) -> Iterator[tuple[Subject, Found | None]]:
        memory: Orphans | None = around.memory
        if memory is None or not memory.has_looked or memory.has_lost:
            yield Subject(self.id, self.scope), unknown(f"orders of {self.scope}")
            return
        for place in memory.of:
            found = self._weigh(memory, place, around.moment, explains=True)
            yield Subject(self.id, halted(self.scope, place[0]), *place), found

    def asks(self, around: Around) -> Iterator[OrderCancelAsked]:
        """The end of each that is one for too long."""
        memory: Orphans | None = around.memory
        if memory is None:
            return
        for (account, symbol), orders in memory.of.items():
            for order_id, orphan in orders.items():
                age = seconds(around.moment.at - orphan.at)
                if not orphan.is_asked and age > self._limit:
                    yield OrderCancelAsked(
                        rule=self.id,
                        scope=self.scope,
                        account=account,
                        symbol=symbol,
                        client_order_id=order_id,
                        reason=_reason(around.books, account, order_id, age),
                    )

    def _weigh(
        self, memory: Orphans | None, place: Place, moment: Moment, *, explains: bool
    ) -> Found | None:
        account, symbol = place
        if memory is None or not memory.has_looked or memory.has_lost:
            return unknown(f"orders of {symbol} in {account}")
        orders = memory.of.get(place)
        if not orders:
            return Found("pass", "ok", self._limit, ZERO) if explains else None
        age = moment.at - min(orphan.at for orphan in orders.values())
        if age < timedelta(0):
            return unknown(f"for how long orders of {symbol} in {account} have had no use")
        return self.exceeded(self._limit, seconds(age), explains=explains)


def _reason(books: Books, account: str, order_id: str, age: Decimal) -> str:
    traits = books.traits.find(account, order_id)
    if traits is not None and not traits.is_asked:
        return f"nobody asked for it, and it has worked for {age} s"
    return f"for {age} s there has been no position that it could reduce"
