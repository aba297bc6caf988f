"""The book of one account: what happened to it, folded into positions, orders and worth.

Every event has its place in canonical order: its time at the venue, and when it arrived. One
without a time happened at the latest time seen before it. What comes late is put in its place, so
that any order of arrival gives the same book. Nothing is counted twice: a fill is known by its
symbol, its order and its id, whatever is repeated. A fill always wins over what is told of its
order.

What goes in has been looked over (`door`); here nothing is refused any more.
"""

from collections.abc import Callable, Iterator
from datetime import tzinfo
from decimal import Decimal
from typing import Any, get_args

from msgspec import UNSET
from msgspec.structs import replace

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
from . import kept, past
from .exposure import Exposures
from .instruments import Contract
from .numbers import ZERO, exact
from .odd import FLAGS_KEPT, Odd
from .orders import Beginning, OrderEvent, Working
from .path import Execution, FillKey, Key, Path, Step
from .roll import Roll
from .sessions import Sessions
from .times import EARLIEST, nanoseconds
from .worth import Cash, Worth

Told = tuple[Key, Bust | Correct]
"""What the venue has told of a fill, and where: it was taken back, or changed."""

ORDERS = frozenset(get_args(OrderEvent))


class AccountBook:
    """Everything that is known of one account."""

    def __init__(
        self,
        zone: Callable[[str], tzinfo],
        *,
        prices_kept: int = past.PRICES_KEPT,
        fills_kept: int | None = None,
    ) -> None:
        """`fills_kept`: so many fills, payments and finished orders stay at least (`past`); None:
        all."""
        self.contracts: dict[str, Contract] = {}
        self.worth = Worth()
        self.exposures = Exposures(self.worth)
        self.sessions = Sessions(self.worth, zone)
        self.funding: dict[str, Decimal] = {}
        self.fees: dict[str, dict[str, tuple[Decimal, int]]] = {}
        """By symbol and currency: the sum, and of how many fills."""
        self.told: dict[FillKey, tuple[Told, ...]] = {}
        """Of each fill in canonical order, whether the fill has come or not."""
        self.adopted: dict[str, tuple[int, Key]] = {}
        """By symbol: as of when, and where it was told."""
        self.paid: dict[tuple[str, str, str], Decimal] = {}
        """Payments that have an id: their kind, what they are for, the id, and how much. Where the
        past is closed the newest stay, as many as there are payments."""
        self.odd = Odd(None if fills_kept is None else FLAGS_KEPT)
        self.roll = Roll(self.worth, self.exposures, self.odd, fills_kept)
        self.orders = self.roll.orders
        self.news: tuple[Execution, Step] | Working | None = None
        """What the last event was the first to bring: a fill that counts, with the last step before
        it, or an order that is gone."""
        self._prices_kept = prices_kept
        self.prices_max = 2 * prices_kept
        """At so many the older are let go."""
        self._fills_kept = fills_kept
        self.fills = 0
        """So many are known."""
        self.arrived = self.stirred = 0
        """Of those, the second may change what was made: all but orders that tell no time."""
        self.latest = EARLIEST
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
            **dict.fromkeys(ORDERS, self._order),
        }

    def apply(self, event: AnyEvent) -> None:
        """Take in what happened."""
        with exact():
            self.arrived += 1
            self.news = None
            at = self.latest
            if event.ts is not None or type(event) not in ORDERS:
                self.stirred += 1
            if event.ts is not None:
                at = nanoseconds(event.ts)
                self.sessions.reach(at)
                if at > self.latest:
                    self.latest = at
            key = (at, self.arrived)
            self._acts[type(event)](key, event)

    def place(self, order: Order) -> None:
        """An order that was permitted here. It begins before all that is told of it, by whatever
        clock: nobody can tell of another one in its place."""
        with exact():
            self.arrived += 1
            self.news = None
            self._order((EARLIEST, self.arrived), order)

    # --- kept while riskd does not run

    def dump(self) -> Iterator[bytes]:
        """Everything, as JSON in pieces. They are fixed when this returns."""
        return kept.dump(self)

    def load(self, state: bytes) -> None:
        """Be the book of a dump. For a new book alone: one that raises ValueError is of no use."""
        with exact():
            kept.load(self, state)

    # --- fills

    def _fill(self, key: Key, event: Fill) -> None:
        path = self._path(event.symbol)
        signed = event.qty if event.side == "buy" else -event.qty
        order = event.order
        known = path.find(event.id, order)
        if known is not None:
            first = known.told or (known.signed, known.price)
            if (signed, event.price) not in ((known.signed, known.price), first[:2]):
                self.odd.conflict(event.id)
            return
        closed = self.worth.closed
        if closed is not None and key <= closed.place:
            self.odd.old(event.id)
            return
        fill = Execution(
            key,
            event.id,
            path.contract.symbol,
            signed,
            event.price,
            event.fee,
            event.fee_ccy or path.contract.settle,
            order if isinstance(order, str) else None,
            order is None,
        )
        if self.told or self.adopted:
            fill = self._restated(fill)
        if self.odd.waiting:
            self.odd.waiting.pop((fill.symbol, fill.id), None)
        path.know(fill)
        before = path.last
        self._count(path, fill)
        if fill.is_walked:
            self.news = (fill, before)
        self.fills += 1
        self._close()

    def _count(self, path: Path, fill: Execution, sign: int = 1) -> None:
        """A fill, or with sign -1 its end, as if it had never been."""
        if fill.is_busted:
            return
        if not fill.is_adopted:
            before = path.last
            self.worth.fill(path, fill, sign)
            self.sessions.booked(path, fill, before)
            self._charge(fill, sign)
        if fill.order is not None:
            self.roll.execute(fill, sign)
        if sign < 0:
            self.odd.clear(fill)
        elif not fill.is_adopted and self._is_rogue(fill):
            self.odd.rogue(fill)
        self.exposures.weigh(path)

    def _is_rogue(self, fill: Execution) -> bool:
        return fill.is_rogue if fill.order is None else not self.roll.explains(fill)

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

    def _bust(self, key: Key, event: Bust) -> None:
        self._tell(key, event)

    def _correct(self, key: Key, event: Correct) -> None:
        self._tell(key, event)

    def _tell(self, key: Key, event: Bust | Correct) -> None:
        path, closed = self._path(event.symbol), self.worth.closed
        name = event.symbol, event.id
        if not any(_is_of(event, fill) for fill in path.all_of(event.id)):
            if closed is not None and key <= closed.place:
                self.odd.old(event.id)
                return
            given_up = self.odd.wait(name, is_closed=closed is not None)
            if given_up is not None:
                self.told.pop(given_up, None)
        self.told[name] = tuple(sorted((*self.told.get(name, ()), (key, event)), key=_place))
        for fill in path.all_of(event.id):
            if _is_of(event, fill):
                self._count(path, fill, -1)
                changed = self._restated(fill)
                path.renew(fill, changed)
                self._count(path, changed)

    def _restated(self, fill: Execution) -> Execution:
        """As it is after all that was told of it."""
        adopted = self.adopted.get(fill.symbol)
        is_adopted = adopted is not None and fill.key[0] <= adopted[0]
        return _restated(fill, self.told.get((fill.symbol, fill.id), ()), is_adopted=is_adopted)

    # --- orders

    def _order(self, key: Key, event: OrderEvent) -> None:
        if isinstance(event, Order):
            path = self._path(event.symbol)
            if event.id not in self.orders and not event.filled:
                self.roll.begin(key, event)
                self.exposures.stretch(path)
                return
        self.news = self.roll.hear(key, event)

    def drop(self, order_id: str) -> None:
        """An order was never sent, and never will be."""
        with exact():
            self.news = self.roll.drop(order_id)

    def find(self, order_id: str) -> None:
        """The venue has an order, or will have it."""
        with exact():
            self.roll.find(order_id)

    def lend(self, order: Order | Beginning, before: Decimal, now: Decimal) -> None:
        """So much remained of an order that another book keeps, and remains: it counts here too."""
        with exact():
            self.exposures.lend(self._path(order.symbol), order, before, now)

    # --- the market, and money

    def _instrument(self, _key: Key, event: Instrument) -> None:
        """Known from here on. One that was known stays as it was: positions rest on it."""
        self.contracts.setdefault(event.symbol, Contract.of(event))

    def _path(self, symbol: str) -> Path:
        path = self.worth.paths.get(symbol)
        if path is None:
            path = Path(self.contracts[symbol], self.worth.rate)
            self.worth.paths[symbol] = path
            self.worth.changed.add(symbol)
        return path

    def _mark(self, key: Key, event: Mark) -> None:
        path = self._path(event.symbol)
        self.worth.mark(event.symbol, key, event.price)
        self.exposures.reprice(path)
        self._thin()

    def _fx(self, key: Key, event: Fx) -> None:
        before = self.worth.rate_now(event.ccy)
        late = self.worth.fx(event.ccy, key, event.rate)
        if late is not None:
            self.sessions.rated(late)
        if self.worth.rate_now(event.ccy) != before:
            self.exposures.reprice_all(event.ccy)
        self._thin()

    def _thin(self) -> None:
        """Now and then, whenever there are twice as many prices as had to stay."""
        if self.worth.prices >= self.prices_max:
            periods = (self.sessions.day, self.sessions.week)
            opened = [period.begin for period in periods if period is not None]
            past.thin(self.worth, opened, self._prices_kept)
            self.prices_max = 2 * max(self.worth.prices, self._prices_kept)

    def _funding(self, key: Key, event: Funding) -> None:
        path = self._path(event.symbol)
        if self._is_repeated("funding", event.symbol, event):
            return
        self.funding[event.symbol] = self.funding.get(event.symbol, ZERO) + event.amount
        self.worth.changed.add(event.symbol)
        self._pay(Cash(key, path.contract.settle, event.amount))

    def _transfer(self, key: Key, event: Transfer) -> None:
        if not self._is_repeated("transfer", event.ccy, event):
            self._pay(Cash(key, event.ccy, event.amount, is_transfer=True))

    def _is_repeated(self, kind: str, of: str, event: Funding | Transfer) -> bool:
        """Was this payment told before? What was told first stays."""
        if event.id is None:
            return False
        first = self.paid.get((kind, of, event.id))
        if first is None:
            self.paid[kind, of, event.id] = event.amount
            if self._fills_kept is not None and len(self.paid) > 2 * self._fills_kept:
                del self.paid[next(iter(self.paid))]
        elif first != event.amount:
            self.odd.payment(event.id)
        return first is not None

    def _pay(self, cash: Cash) -> None:
        self.sessions.paid(self.worth.pay(cash))
        self._close()

    def _close(self) -> None:
        """Now and then, whenever there are twice as many fills or payments as had to stay."""
        kept, worth = self._fills_kept, self.worth
        if kept is None or max(self.fills, len(worth.cash)) < 2 * kept or worth.reporting is None:
            return
        keys = [cash.key for cash in worth.cash]
        if self.fills >= 2 * kept:
            keys = [fill.key for path in worth.paths.values() for fill in path.told()]
        self.fills -= past.close(worth, self.sessions.begins, sorted(keys)[-kept - 1])
        for symbol, name in self.told.keys() - self.odd.waiting.keys():
            if not worth.paths[symbol].all_of(name):
                del self.told[symbol, name]

    def _snapshot(self, key: Key, event: Snapshot) -> None:
        """The venue's position. What filled up to then is in it; what it won before is not."""
        path = self._path(event.symbol)
        place = (nanoseconds(event.as_of), key[1])
        closed = self.worth.closed
        if closed is not None and place < closed.place:
            self.odd.old(event.symbol)
            return
        adopted = self.adopted.get(event.symbol)
        if adopted is not None and adopted > (place[0], key):
            return
        self.adopted[event.symbol] = (place[0], key)
        for fill in self.worth.adopt(path, place, event.qty, event.avg_price):
            path.renew(fill, replace(fill, is_adopted=True))
            self.odd.clear(fill)
        self.odd.adopted(path)
        self.fees.pop(event.symbol, None)
        for fill in path.fills:
            self._charge(fill, 1)
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
        return sorted([*found, *self.odd.flags()])

    def flags_about(self, event: AnyEvent) -> set[str]:
        """Those that this event may have raised, without a look at all others."""
        path = self.worth.paths.get(getattr(event, "symbol", ""))
        found, orders = set[str](), set[str]()
        if path is not None and path.qty and self.worth.mark_now(path.contract.symbol) is None:
            found.add(f"no_mark:{path.contract.symbol}")
        if isinstance(event, OrderEvent):
            orders.add(event.id)
        elif path is not None and isinstance(event, Fill | Bust | Correct):
            orders.update(f.order for f in path.all_of(event.id) if f.order is not None)
            if isinstance(event, Fill) and isinstance(event.order, str):
                orders.add(event.order)
        return found | self.odd.about(event, orders)


def _place(told: Told) -> Key:
    return told[0]


def _is_of(event: Bust | Correct, fill: Execution) -> bool:
    return event.order is UNSET or event.order == fill.told_order


def _restated(fill: Execution, news: tuple[Told, ...], *, is_adopted: bool) -> Execution:
    """As it was first told, and then all that was told of it, in canonical order."""
    if not news:
        return replace(fill, is_adopted=True) if is_adopted else fill
    told = fill.told or (fill.signed, fill.price, fill.fee)
    (signed, price, fee), is_busted = told, False
    for _, event in news:
        if _is_of(event, fill):
            if isinstance(event, Bust):
                is_busted = True
            else:
                qty = abs(signed) if event.qty is None else event.qty
                signed = qty if signed > 0 else -qty
                price = price if event.price is None else event.price
                fee = fee if event.fee is None else event.fee
    return replace(
        fill, signed=signed, price=price, fee=fee, told=told, is_busted=is_busted,
        is_adopted=is_adopted,
    )  # fmt: skip
