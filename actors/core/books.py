"""The books of all accounts: the projection that everything about money is asked of.

Facts come as they were decided: what goes in has passed the door, and is applied to one account or,
where it names none, to every one. An account or an instrument that the configuration drops is
closed, and what is held of it is counted on.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import tzinfo
from typing import Any

import msgspec

from ..messages import (
    AccountClosed,
    AccountOpened,
    Booked,
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
from ..messages.book import Account, Fx, Instrument, Session
from .book.account import AccountBook
from .book.past import FILLS_KEPT
from .held import About, Equity, Held

_encode = msgspec.json.Encoder().encode


class _State(msgspec.Struct):
    """What `dump` writes."""

    listings: list[Listing]
    delisted: list[str]
    clock: SessionClockSet | None
    accounts: list["_Dumped"]


class _Dumped(msgspec.Struct):
    about: About
    book: msgspec.Raw


class Books:
    """Every account, and every instrument."""

    name = "book"
    version = 1

    def __init__(self, zone: Callable[[str], tzinfo]) -> None:
        self.zone = zone
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
        if state is None:
            return
        found = _decode(state)
        self.listings = {listing.symbol: listing for listing in found.listings}
        self.delisted, self.clock = set(found.delisted), found.clock
        for one in found.accounts:
            book = self._new()
            book.load(bytes(one.book))
            self.accounts[one.about.name] = Held(one.about, book)

    def dump(self) -> Iterable[bytes]:
        held = [(_encode(one.about), one.book.dump()) for one in self.accounts.values()]
        head = {
            "listings": list(self.listings.values()),
            "delisted": sorted(self.delisted),
            "clock": self.clock,
        }
        return _pieces(_encode(head), held)

    def _new(self) -> AccountBook:
        return AccountBook(self.zone, fills_kept=FILLS_KEPT)

    # --- what is there

    def listed(self, symbol: str) -> Listing | None:
        """The instrument, if orders in it may be permitted at all."""
        return None if symbol in self.delisted else self.listings.get(symbol)

    def _list(self, _recorded: Recorded, fact: InstrumentListed) -> None:
        listing = fact.listing
        self.listings[listing.symbol] = listing
        self.delisted.discard(listing.symbol)
        event = _instrument(listing)
        for held in self.accounts.values():
            held.book.apply(event)

    def _delist(self, _recorded: Recorded, fact: InstrumentDelisted) -> None:
        self.delisted.add(fact.symbol)

    def opened(self) -> Iterator[Held]:
        """The accounts that are open."""
        return (held for held in self.accounts.values() if held.about.is_open)

    def _open(self, recorded: Recorded, fact: AccountOpened) -> None:
        held = self.accounts.get(fact.account)
        if held is not None:
            if not held.about.is_open:
                held.about.since = recorded.at
            held.about.exchange, held.about.is_open = fact.exchange, True
            return
        book = self._new()
        for listing in self.listings.values():
            book.apply(_instrument(listing))
        book.apply(Account(ccy=fact.currency, balance=fact.balance))
        if self.clock is not None:
            book.apply(_session(self.clock))
        about = About(fact.account, fact.currency, fact.balance, recorded.at, fact.exchange)
        self.accounts[fact.account] = Held(about, book)

    def _close(self, _recorded: Recorded, fact: AccountClosed) -> None:
        self.accounts[fact.account].about.is_open = False

    def _set_clock(self, recorded: Recorded, fact: SessionClockSet) -> None:
        """A reset that the new clock had before this was none."""
        self.clock = fact
        for held in self.accounts.values():
            held.about.since = recorded.at
            held.book.apply(_session(fact))

    def _reset(self, _recorded: Recorded, fact: SessionReset) -> None:
        self.accounts[fact.account].about.since = fact.at

    # --- what happens

    def _book(self, _recorded: Recorded, fact: Booked) -> None:
        if fact.account is not None:
            self.accounts[fact.account].book.apply(fact.event)
            return
        event, currencies = fact.event, {held.about.currency for held in self.opened()}
        for held in self.accounts.values():
            # A rate is one of the currency of all that are open. Those that are closed may have
            # reported in another one, of which it says nothing.
            if not isinstance(event, Fx) or held.about.currency in currencies:
                held.book.apply(event)

    def _hear_equity(self, recorded: Recorded, fact: EquityReported) -> None:
        about = self.accounts[fact.account].about
        about.equity = Equity(fact.theirs, recorded.at, recorded.monotonic_s, fact.ours)

    def _drift(self, _recorded: Recorded, fact: EquityDrifted) -> None:
        self.accounts[fact.account].about.is_drifting = True

    def _agree(self, _recorded: Recorded, fact: EquityAgreed) -> None:
        self.accounts[fact.account].about.is_drifting = False


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


def _pieces(head: bytes, held: list[tuple[bytes, Iterator[bytes]]]) -> Iterator[bytes]:
    yield head[:-1] + b',"accounts":['
    lead = b""
    for about, book in held:
        yield lead + b'{"about":' + about + b',"book":'
        yield from book
        yield b"}"
        lead = b","
    yield b"]}"


_decode = msgspec.json.Decoder(_State).decode
