"""The books of all accounts: the projection that everything about money is asked of.

Facts come as they were decided: what goes in has passed the door, and is applied to one account or,
where it names none, to every one. An account or an instrument that the configuration drops is
closed, and what is held of it is counted on.

What an order makes is also kept apart for its strategy and for its worker (`Held`), so that a limit
can be theirs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, tzinfo
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec

from ..messages import (
    AccountClosed,
    AccountOpened,
    Booked,
    DaemonStarted,
    EquityAgreed,
    EquityDrifted,
    EquityReported,
    Fact,
    InstrumentDelisted,
    InstrumentListed,
    Listing,
    Recorded,
    SessionClockSet,
    SessionReset,
)
from ..messages.book import (
    Account,
    Amend,
    AmendReject,
    AmendRequest,
    AnyEvent,
    Cancel,
    Expire,
    Fill,
    Fx,
    Instrument,
    Mark,
    Order,
    Reject,
    Session,
    Snapshot,
)
from ..messages.gate import OrderAcked, OrderDecided, OrderDropped, OrderSent, TicketMisused
from .book.account import AccountBook
from .book.line import Line
from .book.numbers import ZERO, exact
from .book.past import FILLS_KEPT
from .book.times import moment, nanoseconds
from .gate.asked import CANARY
from .held import About, Equity, Held, Marked
from .traits import OrderTraits, Row, Traits
from .volatility import Swing, Volatility

SCOPES_MAX = 10_000
"""Of those whose books are remembered. Beyond it they are found anew."""

_encode = msgspec.json.Encoder().encode


class _State(msgspec.Struct):
    """What `dump` writes."""

    listings: list[Listing]
    delisted: list[str]
    clock: SessionClockSet | None
    boot: str
    accounts: list["_Dumped"]
    swings: list[Swing] = []
    traits: list[Row] = []


class _Dumped(msgspec.Struct):
    about: About
    book: msgspec.Raw
    parts: dict[str, msgspec.Raw]
    owners: dict[str, tuple[str, ...]]
    marked: dict[str, Marked]
    rated: dict[str, Marked] = {}


class Books:
    """Every account, and every instrument."""

    name = "book"
    version = 2

    def __init__(self, zone: Callable[[str], tzinfo]) -> None:
        self.zone = zone
        self.revision = 0
        """Another one whenever an account, a part of one or an instrument comes, goes or changes:
        what was found out about who is in which scope holds no longer."""
        self.traits = OrderTraits()
        self._acts: Mapping[type[Fact], Callable[[Recorded, Any], None]] = {
            InstrumentListed: self._list,
            InstrumentDelisted: self._delist,
            AccountOpened: self._open,
            AccountClosed: self._close,
            SessionClockSet: self._set_clock,
            SessionReset: self._reset,
            Booked: self._book,
            EquityReported: self._hear_equity,
            EquityDrifted: self._drift,
            EquityAgreed: self._agree,
            OrderDecided: self._decide,
            OrderDropped: self._drop,
            OrderSent: self._find,
            OrderAcked: self._acknowledge,
            TicketMisused: self._find,
            DaemonStarted: self._start,
        }
        self.load(None)

    # --- as a projection

    def apply(self, recorded: Recorded) -> None:
        fact = recorded.fact
        act = self._acts.get(type(fact))
        if act is not None:
            act(recorded, fact)

    def load(self, state: bytes | None) -> None:
        """Go back to a dump, or to before the first fact."""
        self.accounts: dict[str, Held] = {}
        self.listings: dict[str, Listing] = {}
        """Every instrument that was ever listed, as it was last."""
        self.delisted: set[str] = set()
        self.clock: SessionClockSet | None = None
        self.volatility = Volatility()
        self.traits = OrderTraits()
        self._boot = ""
        self._of: dict[str, tuple[AccountBook, ...]] = {}
        self._holders: dict[str, tuple[Held, ...]] = {}
        self._regroup()
        if state is None:
            return
        found = _decode(state)
        self.listings = {listing.symbol: listing for listing in found.listings}
        self.delisted, self.clock, self._boot = set(found.delisted), found.clock, found.boot
        self.volatility.load(found.swings)
        self.traits = OrderTraits(found.traits)
        for one in found.accounts:
            parts = {name: self._loaded(part) for name, part in one.parts.items()}
            book = self._measured(self._loaded(one.book), one.about.name)
            held = Held(one.about, book, self._new, parts, one.owners, one.marked, one.rated)
            self.accounts[one.about.name] = held
            held.sway()
            if self.clock is not None:
                held.clock = _session(self.clock)

    def _regroup(self) -> None:
        """There is an account, an instrument or a part that was not."""
        self._of.clear()
        self._holders.clear()
        self.revision += 1

    def _loaded(self, state: msgspec.Raw) -> AccountBook:
        book = self._new()
        book.load(bytes(state))
        return book

    def dump(self) -> Iterable[bytes]:
        head = {
            "listings": list(self.listings.values()),
            "delisted": sorted(self.delisted),
            "clock": self.clock,
            "boot": self._boot,
            "swings": self.volatility.dump(),
            "traits": list(self.traits.rows()),
        }
        return _pieces(_encode(head), [_fixed(held) for held in self.accounts.values()])

    def _measured(self, book: AccountBook, account: str) -> AccountBook:
        """It knows by how much each symbol moves."""
        book.exposures.volatility = partial(self.volatility.of, account)
        return book

    def _new(self) -> AccountBook:
        return AccountBook(self.zone, fills_kept=FILLS_KEPT)

    # --- what is there

    def listed(self, symbol: str) -> Listing | None:
        """The instrument, if orders in it may be permitted at all."""
        return None if symbol in self.delisted else self.listings.get(symbol)

    def _list(self, _recorded: Recorded, fact: InstrumentListed) -> None:
        listing = fact.listing
        self._regroup()
        self.listings[listing.symbol] = listing
        self.delisted.discard(listing.symbol)
        event = _instrument(listing)
        for held in self.accounts.values():
            held.book.apply(event)

    def _delist(self, _recorded: Recorded, fact: InstrumentDelisted) -> None:
        self.delisted.add(fact.symbol)
        self._regroup()
        if not any(held.book.exposures.contracts_of(fact.symbol).gross
                   for held in self.accounts.values()):  # fmt: skip
            self.volatility.forget(fact.symbol)

    def opened(self) -> Iterator[Held]:
        """The accounts that are open."""
        return (held for held in self.accounts.values() if held.about.is_open)

    def _open(self, recorded: Recorded, fact: AccountOpened) -> None:
        self._regroup()
        held = self.accounts.get(fact.account)
        if held is not None:
            if not held.about.is_open:
                held.about.since = recorded.at
            held.about.exchange, held.about.is_open = fact.exchange, True
            return
        about = About(fact.account, fact.currency, fact.balance, recorded.at, fact.exchange)
        held = Held(about, self._measured(self._new(), fact.account), self._new)
        self.accounts[fact.account] = held
        for listing in self.listings.values():
            held.book.apply(_instrument(listing))
        held.book.apply(Account(ccy=fact.currency, balance=fact.balance))
        if self.clock is not None:
            held.tell(_session(self.clock))

    def _close(self, _recorded: Recorded, fact: AccountClosed) -> None:
        self.accounts[fact.account].about.is_open = False

    def _set_clock(self, recorded: Recorded, fact: SessionClockSet) -> None:
        """A reset that the new clock had before this was none."""
        self.clock = fact
        for held in self.accounts.values():
            held.about.since = recorded.at
            held.tell(_session(fact))

    def of(self, scope: str) -> tuple[AccountBook, ...]:
        """All books that a scope covers."""
        found = self._of.get(scope)
        if found is None:
            if len(self._of) >= SCOPES_MAX:
                self._of.clear()
            found = self._of[scope] = tuple(book for _, book in self.within(scope))
        return found

    def within(self, scope: str) -> Iterator[tuple[Held, AccountBook]]:
        """The same, each with its account."""
        for held in self.holders(scope):
            yield held, held.parts.get(scope, held.book)

    def holders(self, scope: str) -> tuple[Held, ...]:
        """The accounts that they are in."""
        found = self._holders.get(scope)
        if found is None:
            if len(self._holders) >= SCOPES_MAX:
                self._holders.clear()
            held = self.accounts.values()
            found = self._holders[scope] = tuple(one for one in held if _covers(scope, one))
        return found

    def mark_age_s(self, held: Held, symbol: str, at: datetime, monotonic_s: float) -> float | None:
        """How old the mark is: since it came, by the clock that says more, and what it was then.
        None: there is none. A clock that was set back makes it younger than nothing."""
        return self._age_s(held.marked.get(symbol), at, monotonic_s)

    def rate_age_s(self, held: Held, ccy: str, at: datetime, monotonic_s: float) -> float | None:
        """The same of a currency's rate."""
        return self._age_s(held.rated.get(ccy), at, monotonic_s)

    def _age_s(self, marked: Marked | None, at: datetime, monotonic_s: float) -> float | None:
        if marked is None:
            return None
        age_s = (at - marked.at).total_seconds()
        if marked.boot == self._boot:
            age_s = max(age_s, monotonic_s - marked.monotonic_s)
        return age_s if age_s < 0.0 else age_s + marked.late_s

    def _reset(self, _recorded: Recorded, fact: SessionReset) -> None:
        self.accounts[fact.account].about.since = fact.at

    # --- what happens

    def _start(self, _recorded: Recorded, fact: DaemonStarted) -> None:
        self._boot = fact.boot

    def _book(self, recorded: Recorded, fact: Booked) -> None:
        event, accounts = fact.event, self.accounts
        concerned = [accounts[fact.account]] if fact.account is not None else self._all(event)
        is_newest = False
        for held in concerned:
            is_new = type(event) is Order and _is_new(held, event.id)
            if type(event) is Snapshot:
                _adopt(held, event)
            else:
                held.apply(event)
            if type(event) in _OF_ORDERS:
                self._trace(held, event, is_new=is_new)
            if isinstance(event, Mark):
                line = held.book.worth.marks.get(event.symbol)
                if line is not None and line.is_newest(held.book.arrived):
                    held.marks(event.symbol, self._marked(recorded, event, line))
                    is_newest = True
            elif isinstance(event, Fx):
                line = held.book.worth.rates.get(event.ccy)
                if line is not None and line.is_newest(held.book.arrived):
                    held.rated[event.ccy] = self._marked(recorded, event, line)
        if is_newest and isinstance(event, Mark):
            self._sway(recorded, fact.account, event, concerned)

    def _sway(
        self, recorded: Recorded, account: str | None, mark: Mark, concerned: list[Held]
    ) -> None:
        """By a mark that is the newest a symbol may be known to move by another amount."""
        if self.volatility.mark(recorded.at, account, mark.symbol, mark.price):
            for held in concerned:
                held.sway(mark.symbol)

    def _marked(self, recorded: Recorded, event: Mark | Fx, line: Line) -> Marked:
        """One without a time of its own was new when it came."""
        at, monotonic_s = recorded.at, recorded.monotonic_s
        if event.ts is None:
            return Marked(at, monotonic_s, self._boot)
        late_s = (at - moment(line.keys[-1][0])).total_seconds()
        return Marked(at, monotonic_s, self._boot, max(late_s, 0.0))

    def _trace(self, held: Held, event: AnyEvent, *, is_new: bool) -> None:
        """An order was heard of, and may be over."""
        account = held.about.name
        if isinstance(event, Order):
            before = self.traits.find(account, event.id)
            if is_new or before is not None:
                traits = before or Traits(event.symbol, event.side, is_asked=False)
                self.traits.put(account, event.id, _heard(traits, event))
        name = event.order if isinstance(event, Fill) else getattr(event, "id", None)
        if isinstance(name, str):
            is_own = not isinstance(event, Fill) or held.explains(name, event.symbol, event.side)
            if is_own and isinstance(event, _SPOKEN):
                self.traits.confirm(account, name)
            self.traits.settle(held, name)

    def _acknowledge(self, recorded: Recorded, fact: OrderAcked) -> None:
        self._find(recorded, fact)
        self.traits.confirm(fact.account, fact.client_order_id)

    def _all(self, event: AnyEvent) -> list[Held]:
        """A rate is one of the currency of all that are open. Those that are closed may have
        reported in another one, of which it says nothing."""
        if not isinstance(event, Fx):
            return list(self.accounts.values())
        currencies = {held.about.currency for held in self.opened()}
        return [held for held in self.accounts.values() if held.about.currency in currencies]

    def _decide(self, _recorded: Recorded, fact: OrderDecided) -> None:
        """What was permitted counts from here on. What riskd asks for itself is never sent: a gate
        that permits it is broken, and the order may be in no account and no instrument at all."""
        verdict, asked = fact.verdict, fact.order
        if verdict.decision == "block" or fact.worker == CANARY:
            return
        held = self.accounts[asked.account]
        if fact.amends:
            held.apply(AmendRequest(id=asked.client_order_id, qty=verdict.qty))
            return
        order = Order(
            id=asked.client_order_id,
            symbol=asked.symbol,
            side=asked.side,
            qty=verdict.qty,
            reduce_only=asked.reduce_only,
        )
        owners = [] if asked.strategy is None else [f"strategy:{asked.strategy}"]
        if fact.worker is not None:
            owners.append(f"worker:{fact.worker}")
        if held.place(order, tuple(owners)):
            self._regroup()
        is_stop = asked.order_type in ("stop", "stop_limit")
        if is_stop or asked.reduce_only:
            traits = Traits(
                asked.symbol, asked.side, is_stop, asked.reduce_only, owners=tuple(owners)
            )
            self.traits.put(asked.account, asked.client_order_id, traits)
        else:
            self.traits.drop(asked.account, asked.client_order_id)

    def _drop(self, _recorded: Recorded, fact: OrderDropped) -> None:
        held = self.accounts[fact.account]
        held.drop(fact.client_order_id)
        self.traits.settle(held, fact.client_order_id)

    def _find(self, _recorded: Recorded, fact: OrderSent | OrderAcked | TicketMisused) -> None:
        """It may be of an order, and in an account, that nobody knows."""
        held = self.accounts.get(fact.account)
        if held is not None:
            held.find(fact.client_order_id)

    def _hear_equity(self, recorded: Recorded, fact: EquityReported) -> None:
        about = self.accounts[fact.account].about
        about.equity = Equity(fact.theirs, recorded.at, recorded.monotonic_s, fact.ours)

    def _drift(self, _recorded: Recorded, fact: EquityDrifted) -> None:
        self.accounts[fact.account].about.is_drifting = True

    def _agree(self, _recorded: Recorded, fact: EquityAgreed) -> None:
        self.accounts[fact.account].about.is_drifting = False


def _adopt(held: Held, event: Snapshot) -> None:
    """The venue's position is taken over, and how far it was from the book's is said."""
    book, symbol = held.book, event.symbol
    path, before = book.worth.paths.get(symbol), book.adopted.get(symbol)
    qty: Decimal | None = ZERO
    if path is not None:
        step = path.before((nanoseconds(event.as_of) + 1, 0))
        qty = None if step is None else step.qty
    held.apply(event)
    is_taken = book.adopted.get(symbol) != before
    with exact():
        held.gap = event.qty - qty if is_taken and qty is not None else None


def _is_new(held: Held, order_id: str) -> bool:
    """Nobody has said before that there is such an order, though fills may have named it."""
    order = held.book.orders.get(order_id)
    return order is None or order.begun is None


def _heard(traits: Traits, event: Order) -> Traits:
    """What the venue says of an order is so, beside what was asked for."""
    return msgspec.structs.replace(
        traits,
        is_stop=traits.is_stop or event.stop_price is not None,
        is_reduce_only=traits.is_reduce_only or event.reduce_only,
    )


def _covers(scope: str, held: Held) -> bool:
    kind, _, name = scope.partition(":")
    return (
        kind in ("all", "symbol")
        or (kind == "account" and held.about.name == name)
        or (kind == "exchange" and held.about.exchange == name)
        or scope in held.parts
    )


def _instrument(listing: Listing) -> Instrument:
    return Instrument(
        symbol=listing.symbol,
        kind=listing.kind,
        multiplier=listing.multiplier,
        quote=listing.quote,
        settle=listing.settle,
        base=listing.base,
    )


def _session(clock: SessionClockSet) -> Session:
    return Session(tz=clock.tz, reset=clock.reset, week_start=clock.week_start)


Fixed = tuple[bytes, Iterator[bytes], dict[str, Iterator[bytes]], bytes]


def _fixed(held: Held) -> Fixed:
    parts = {name: part.dump() for name, part in held.parts.items()}
    rest = _encode({"owners": held.owners, "marked": held.marked, "rated": held.rated})
    return _encode(held.about), held.book.dump(), parts, rest


def _pieces(head: bytes, accounts: list[Fixed]) -> Iterator[bytes]:
    yield head[:-1] + b',"accounts":['
    lead = b""
    for about, book, parts, rest in accounts:
        yield lead + b'{"about":' + about + b',"book":'
        yield from book
        yield b',"parts":{'
        comma = b""
        for name, part in parts.items():
            yield comma + _encode(name) + b":"
            yield from part
            comma = b","
        yield b"}," + rest[1:]
        lead = b","
    yield b"]}"


_SPOKEN = (Order, Amend, AmendReject, Fill)
"""The venue has the order of which it says this."""
_OF_ORDERS = frozenset({*_SPOKEN, Cancel, Reject, Expire})
_decode = msgspec.json.Decoder(_State).decode
