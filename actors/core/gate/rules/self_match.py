"""`self_match`: an order does not trade with another one of the same owner.

The prices of limit orders that work are kept in order, by venue, symbol and side. So the best of
them is found at once, whether there is one or ten thousand. What the book has and is not known here
has a price that nobody knows: then it can't be told.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable
from decimal import Decimal

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from .....config.schema import rules as schema
from ....messages.book import Side
from ....messages.gate import OrderAsked
from ...book.exposure import Remaining
from .. import asked
from ..memory import Asked, Ended, Executed, Heard, Judged, Rearmed, Scopes, Seen
from ..rule import OK, Found, Judge, Outcome, unknown
from ..view import View
from ..window import loaded
from .order import PRICED

ORDERS_MAX = 100_000
"""That are kept. Of one more the price is not known."""

Row = tuple[Decimal, str, str]
"""A price, an account, and the id of an order there."""


class Resting(Struct, frozen=True, array_like=True, gc=False):
    """An order that works. `price` None: it is none that waits at a price."""

    account: str
    id: str
    venue: tuple[str | None, str | None]
    symbol: str
    side: Side
    price: Decimal | None
    amended: Decimal | None = None
    """The price that was asked for last, until the venue has changed it."""


class _Kept(Struct):
    """What `dump` writes."""

    orders: list[Resting]


Venue = tuple[str | None, str | None]
"""An exchange, or an account: those that name no exchange meet none."""


def venue_of(exchange: str | None, account: str) -> Venue:
    """Where orders meet."""
    return (None, account) if exchange is None else (exchange, None)


class Working:
    """All that work in the rule's scope."""

    def __init__(self, config: schema.SelfMatch) -> None:
        self._id = config.id
        self.orders: dict[tuple[str, str], Resting] = {}
        self.counts: dict[tuple[str, str], int] = {}
        """So many of an account, in a symbol."""
        self.rows: dict[tuple[Venue, str, Side], list[Row]] = {}
        """By venue, symbol and side, the lowest price first."""

    def saw(self, seen: Seen) -> None:
        if isinstance(seen, Judged):
            if seen.verdict.decision != "block":
                self._add(_resting(seen))
        elif isinstance(seen, Asked):
            if seen.said is not None:
                self._amend(seen.said)
        elif isinstance(seen, Ended):
            self._drop(seen.account, seen.order)
        elif isinstance(seen, Executed | Heard):
            if seen.order is not None and not seen.left:
                self._drop(seen.account, seen.order)
            elif isinstance(seen, Heard) and seen.is_amended:
                self._amended(seen.account, seen.order)
        elif isinstance(seen, Rearmed) and seen.rule == self._id:
            self._fill(())

    def _amend(self, order: OrderAsked) -> None:
        """Until the venue has answered it may wait at either price: at the one that meets more."""
        one = self.orders.get((order.account, order.client_order_id))
        price = asked.read(order, asked.Identity()).price
        if one is not None and one.price is not None and price is not None:
            met = max(one.price, price) if one.side == "buy" else min(one.price, price)
            self._add(replace(one, price=met, amended=price))

    def _amended(self, account: str, name: str) -> None:
        one = self.orders.get((account, name))
        if one is not None and one.amended is not None:
            self._add(replace(one, price=one.amended, amended=None))

    def _add(self, one: Resting) -> None:
        self._drop(one.account, one.id)
        if len(self.orders) >= ORDERS_MAX:
            return
        self.orders[one.account, one.id] = one
        key = (one.account, one.symbol)
        self.counts[key] = self.counts.get(key, 0) + 1
        if one.price is not None:
            rows = self.rows.setdefault((one.venue, one.symbol, one.side), [])
            insort(rows, (one.price, one.account, one.id))

    def _drop(self, account: str, name: str) -> None:
        one = self.orders.pop((account, name), None)
        if one is None:
            return
        key = (account, one.symbol)
        self.counts[key] -= 1
        if not self.counts[key]:
            del self.counts[key]
        if one.price is not None:
            place = (one.venue, one.symbol, one.side)
            rows = self.rows[place]
            del rows[bisect_left(rows, (one.price, account, name))]
            if not rows:
                del self.rows[place]

    def knows(self, account: str, symbol: str, facing: Side, left: Remaining) -> bool:
        """The prices of all that the book has on that side."""
        if self.counts.get((account, symbol), 0) >= left.orders:
            return True
        return not (
            left.sells + left.reducing_sells if facing == "sell" else left.buys + left.reducing_buys
        )

    def dump(self) -> object:
        return to_builtins(_Kept(list(self.orders.values())))

    def load(self, state: object) -> None:
        self._fill(loaded(state, _Kept).orders)

    def _fill(self, orders: Iterable[Resting]) -> None:
        self.orders, self.counts, self.rows = {}, {}, {}
        for one in orders:
            self._add(one)


def _resting(seen: Judged) -> Resting:
    order = seen.order
    said = asked.read(order, asked.Identity())
    price = said.price if said.order_type == "limit" else None
    venue = venue_of(_exchange(seen.scopes), order.account)
    return Resting(order.account, order.client_order_id, venue, order.symbol, order.side, price)


def _exchange(scopes: Scopes) -> str | None:
    found = (scope for scope in scopes if scope.startswith("exchange:"))
    return next((scope.removeprefix("exchange:") for scope in found), None)


class SelfMatch(Judge[schema.SelfMatch]):
    """Getting out comes first: an order that adds no risk passes, and that it may meet another one
    is told."""

    SAYS = "a price of {value} would meet an order of its own at {limit}"

    STAGE = 9

    def memory(self) -> Working:
        return Working(self.config)

    def judge(self, view: View) -> Found | None:
        order = view.asked
        if order.order_type in ("stop", "stop_limit"):
            return OK if view.explains else None
        known: Working = view.memories[self.id]
        about = view.held.about
        venue, is_buy = venue_of(about.exchange, about.name), view.side == "buy"
        facing: Side = "sell" if is_buy else "buy"
        rows = known.rows.get((venue, view.symbol, facing))
        if rows is not None:
            price = order.price if order.order_type in PRICED else None
            best = self._best(view, rows if is_buy else reversed(rows), price, is_buy=is_buy)
            if best is not None:
                outcome: Outcome = "block" if view.adds_risk else "warn"
                return Found(outcome, self.kind, best, price)
        for held in view.holders(self.scope):
            if held is not view.held and venue_of(held.about.exchange, held.about.name) != venue:
                continue
            book = held.own(self.scope)
            standing = None if book is None else book.exposures.standings.get(view.symbol)
            if standing is not None and standing.remaining.orders:
                name = held.about.name
                if not known.knows(name, view.symbol, facing, standing.remaining):
                    return unknown(f"prices of all open orders of {name} in {view.symbol}")
        return OK if view.explains else None

    def _best(
        self, view: View, rows: Iterable[Row], price: Decimal | None, *, is_buy: bool
    ) -> Decimal | None:
        """The best of those that it would trade with. One that a correction has filled may still be
        among them."""
        for best, account, name in rows:
            if price is not None and (price < best if is_buy else price > best):
                return None
            for held in view.holders(self.scope):
                if held.about.name == account and held.remaining(name):
                    return best
        return None
