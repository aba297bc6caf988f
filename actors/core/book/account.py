"""The book of one account: what happened to it, folded into positions, orders and worth.

Every event has its place in canonical order: its time at the venue, and when it arrived. One
without a time happened at the latest time seen before it. What comes late is put in its place, so
that any order of arrival gives the same book. Nothing is counted twice: a fill is known by its
symbol, its order and its id, whatever is repeated. A fill always wins over what is told of its
order.

What goes in has been looked over (`door`); here nothing is refused any more.
"""

from bisect import insort
from collections.abc import Callable
from datetime import tzinfo
from decimal import Decimal
from typing import Any, get_args

import attrs
from msgspec import UNSET

from ...messages.book import (
    Account,
    AnyEvent,
    Bust,
    Correct,
    Event,
    Fill,
    Funding,
    Fx,
    Instrument,
    Mark,
    Order,
    Session,
    Snapshot,
    Tick,
    Transfer,
)
from . import past
from .exposure import Exposures
from .instruments import Contract
from .numbers import ZERO, exact
from .orders import OrderEvent, Working
from .path import Execution, Key, OrderId, Path
from .sessions import Sessions
from .times import EARLIEST, nanoseconds
from .worth import Cash, Worth

FillKey = tuple[str, str]
"""A symbol, and the venue's id of an execution."""


@attrs.define(eq=False)
class Told:
    """What the venue has told of a fill: it was taken back, or changed."""

    key: Key
    order: OrderId
    is_bust: bool
    change: Correct | None = None


class AccountBook:
    """Everything that is known of one account."""

    def __init__(
        self, zone: Callable[[str], tzinfo], *, prices_kept: int = past.PRICES_KEPT
    ) -> None:
        self.contracts: dict[str, Contract] = {}
        self.worth = Worth()
        self.exposures = Exposures(self.worth)
        self.sessions = Sessions(self.worth, zone)
        self.orders: dict[str, Working] = {}
        self.funding: dict[str, Decimal] = {}
        self.fees: dict[str, dict[str, tuple[Decimal, int]]] = {}
        """By symbol and currency: the sum, and of how many fills."""
        self._told: dict[FillKey, list[Told]] = {}
        self._adopted: dict[str, tuple[int, Key]] = {}
        """By symbol: as of when, and where it was told."""
        self._conflicts: dict[str, None] = {}
        self._rogues: dict[FillKey, None] = {}
        """Fills that say of themselves that they are of no order."""
        self._unknown: dict[str, dict[FillKey, None]] = {}
        """Fills by the order that nobody knows."""
        self._prices_kept = prices_kept
        self._prices_max = 2 * prices_kept
        """At so many the older are let go."""
        self._arrived = 0
        self._latest = EARLIEST
        self._acts: dict[type[Event], Callable[[Key, Any], None]] = {
            Instrument: self._instrument,
            Fill: self._fill,
            Bust: self._bust,
            Correct: self._correct,
            Mark: self._mark,
            Fx: self._fx,
            Funding: self._funding,
            Transfer: self._transfer,
            Snapshot: self._snapshot,
            Account: self._account,
            Session: self._session,
            Tick: self._tick,
            **dict.fromkeys(get_args(OrderEvent), self._order),
        }

    def apply(self, event: AnyEvent) -> None:
        """Take in what happened."""
        with exact():
            self._arrived += 1
            at = self._latest
            if event.ts is not None:
                at = nanoseconds(event.ts)
                self.sessions.reach(at)
                if at > self._latest:
                    self._latest = at
            key = (at, self._arrived)
            self._acts[type(event)](key, event)

    # --- fills

    def _fill(self, key: Key, event: Fill) -> None:
        path = self._path(event.symbol)
        signed = event.qty if event.side == "buy" else -event.qty
        order = event.order
        known = path.find(event.id, order)
        if known is not None:
            first = known.told or (known.signed, known.price)
            if (signed, event.price) not in ((known.signed, known.price), first[:2]):
                self._conflicts[event.id] = None
            return
        fill = Execution(
            key,
            event.id,
            event.symbol,
            signed,
            event.price,
            event.fee,
            event.fee_ccy or path.contract.settle,
            order if isinstance(order, str) else None,
            order is None,
        )
        path.know(fill)
        if self._told or self._adopted:
            self._restate(fill)
        if not fill.is_gone:
            self._put(path, fill)

    def _put(self, path: Path, fill: Execution) -> None:
        """A fill that counts."""
        before = path.last
        self.worth.fill(path, fill)
        self.sessions.booked(path, fill, before)
        self._charge(fill, 1)
        if fill.is_rogue:
            self._rogues[fill.symbol, fill.id] = None
        elif fill.order is not None:
            self._execute(fill, fill.key, abs(fill.signed))
        self.exposures.weigh(path)

    def _take_out(self, path: Path, fill: Execution) -> None:
        """As if it had never been."""
        before = path.last
        self.worth.fill(path, fill, -1)
        self.sessions.booked(path, fill, before)
        self._charge(fill, -1)
        if fill.is_rogue:
            self._rogues.pop((fill.symbol, fill.id), None)
        if fill.order is not None:
            self._execute(fill, fill.key, -abs(fill.signed))
            unknown = self._unknown.get(fill.order)
            if unknown is not None:
                unknown.pop((fill.symbol, fill.id), None)
        self.exposures.weigh(path)

    def _charge(self, fill: Execution, sign: int) -> None:
        """A currency is there as long as a fill is that was charged in it."""
        if fill.fee:
            fees = self.fees.get(fill.symbol)
            if fees is None:
                fees = self.fees[fill.symbol] = {}
            total, count = fees.get(fill.fee_ccy, (ZERO, 0))
            if count + sign:
                fees[fill.fee_ccy] = (total + fill.fee * sign, count + sign)
            else:
                del fees[fill.fee_ccy]

    def _execute(self, fill: Execution, key: Key, qty: Decimal) -> None:
        """Its order has so much less to go."""
        assert fill.order is not None, "it is of an order"
        order = self.orders.get(fill.order)
        if order is None:
            order = self.orders[fill.order] = Working(fill.order)
        self.exposures.leave(order)
        order.fill(key, qty)
        self.exposures.enter(order)
        if order.begun is None:
            if qty > 0:
                self._unknown.setdefault(fill.order, {})[fill.symbol, fill.id] = None
        elif order.begun.symbol != fill.symbol:
            self.exposures.weigh(self.worth.paths[order.begun.symbol])

    def _bust(self, key: Key, event: Bust) -> None:
        self._tell(event, Told(key, event.order, is_bust=True))

    def _correct(self, key: Key, event: Correct) -> None:
        self._tell(event, Told(key, event.order, is_bust=False, change=event))

    def _tell(self, event: Bust | Correct, told: Told) -> None:
        path = self._path(event.symbol)
        insort(self._told.setdefault((event.symbol, event.id), []), told, key=_place)
        for fill in path.all_of(event.id):
            if told.order is UNSET or told.order == fill.told_order:
                if not fill.is_gone:
                    self._take_out(path, fill)
                self._restate(fill)
                if not fill.is_gone:
                    self._put(path, fill)

    def _restate(self, fill: Execution) -> None:
        """As it was first told, and then all that was told of it, in canonical order."""
        adopted = self._adopted.get(fill.symbol)
        fill.is_gone = adopted is not None and fill.key[0] <= adopted[0]
        news = self._told.get((fill.symbol, fill.id))
        if news is None:
            return
        if fill.told is None:
            fill.told = (fill.signed, fill.price, fill.fee)
        fill.signed, fill.price, fill.fee = fill.told
        for told in news:
            if told.order is UNSET or told.order == fill.told_order:
                self._amend(fill, told)

    def _amend(self, fill: Execution, told: Told) -> None:
        if told.is_bust:
            fill.is_gone = True
        change = told.change
        if change is not None:
            if change.qty is not None:
                fill.signed = change.qty if fill.signed > 0 else -change.qty
            fill.price = fill.price if change.price is None else change.price
            fill.fee = fill.fee if change.fee is None else change.fee

    # --- orders

    def _order(self, key: Key, event: OrderEvent) -> None:
        order = self.orders.get(event.id)
        if order is None:
            order = self.orders[event.id] = Working(event.id)
        if isinstance(event, Order):
            self._path(event.symbol)
            self._unknown.pop(event.id, None)
        was = order.begun
        self.exposures.leave(order)
        order.hear(key, event)
        self.exposures.enter(order)
        for begun in (was, order.begun):
            if begun is not None:
                self.exposures.weigh(self.worth.paths[begun.symbol])

    # --- the market, and money

    def _instrument(self, _key: Key, event: Instrument) -> None:
        """Known from here on. One that was known stays as it was: positions rest on it."""
        self.contracts.setdefault(event.symbol, Contract.of(event))

    def _path(self, symbol: str) -> Path:
        path = self.worth.paths.get(symbol)
        if path is None:
            path = Path(self.contracts[symbol], self.worth.rate)
            self.worth.paths[symbol] = path
        return path

    def _mark(self, key: Key, event: Mark) -> None:
        path = self._path(event.symbol)
        self.worth.mark(event.symbol, key, event.price)
        self.exposures.reprice(path)
        self._thin()

    def _fx(self, key: Key, event: Fx) -> None:
        was_late = self.worth.fx(event.ccy, key, event.rate)
        if was_late:
            self.sessions.again()
        self.exposures.reprice_all(event.ccy)
        self._thin()

    def _thin(self) -> None:
        """Now and then, whenever there are twice as many prices as had to stay."""
        if self.worth.prices >= self._prices_max:
            periods = (self.sessions.day, self.sessions.week)
            opened = [period.begin for period in periods if period is not None]
            past.thin(self.worth, opened, self._prices_kept)
            self._prices_max = 2 * max(self.worth.prices, self._prices_kept)

    def _funding(self, key: Key, event: Funding) -> None:
        path = self._path(event.symbol)
        self.funding[event.symbol] = self.funding.get(event.symbol, ZERO) + event.amount
        self._pay(Cash(key, path.contract.settle, event.amount))

    def _transfer(self, key: Key, event: Transfer) -> None:
        self._pay(Cash(key, event.ccy, event.amount, is_transfer=True))

    def _pay(self, cash: Cash) -> None:
        self.worth.pay(cash)
        self.sessions.paid(cash)

    def _snapshot(self, key: Key, event: Snapshot) -> None:
        """The venue's position. What filled up to then is in it; what it won before is not."""
        path = self._path(event.symbol)
        place = (nanoseconds(event.as_of), key[1])
        adopted = self._adopted.get(event.symbol)
        if adopted is not None and adopted > (place[0], key):
            return
        self._adopted[event.symbol] = (place[0], key)
        for fill in tuple(path.fills):
            if fill.key[0] <= place[0]:
                self._take_out(path, fill)
                fill.is_gone = True
        self.worth.adopt(path, place, event.qty, event.avg_price)
        self.sessions.again()
        self.exposures.weigh(path)

    def _account(self, key: Key, event: Account) -> None:
        """The account begins. A repetition changes nothing."""
        if self.worth.reporting is None:
            self.worth.begin(key, event.ccy, event.balance)
            self.sessions.again()
            self.exposures.reprice_all(None)

    def _session(self, _key: Key, event: Session) -> None:
        self.sessions.set(event)

    def _tick(self, _key: Key, _event: Tick) -> None:
        """The time alone was news."""

    # --- what is odd

    def flags(self) -> list[str]:
        """Everything that somebody should look at, in words of a fixed form."""
        worth = self.worth
        found = [
            f"no_mark:{symbol}"
            for symbol, path in worth.paths.items()
            if path.qty and worth.mark_now(symbol) is None
        ]
        found += [f"fill_conflict:{one}" for one in self._conflicts]
        found += [f"overfill:{one}" for one, order in self.orders.items() if order.is_overfilled]
        rogues = dict(self._rogues)
        for fills in self._unknown.values():
            rogues.update(fills)
        found += dict.fromkeys(f"rogue_fill:{fill_id}" for _, fill_id in rogues)
        return sorted(found)


def _place(told: Told) -> Key:
    return told.key
