"""The position keeper decides: what the configuration, reports and the time mean for the books.

Theory
------
Everything in the books is there by facts, and each of these functions answers with those that are
to be made; the books are read and never changed.

The configuration is compared with what the facts say: what is missing becomes facts, so that the
same configuration asked again has nothing more to say. What positions rest on, kind, multiplier and
currencies, can't change by it; such a configuration can't be used at all.

A report becomes facts as a whole or not at all. Behind the books' door nothing is refused, so every
event of a report is looked over before the first is booked.

A reset ends the day of every open account once. How many are due follows from the time of the last
one, whatever else has happened: a riskd that was away makes up for all of them, in order. What a
day has brought is asked of the book by its two ends; so it does not matter that events of the next
one may have come before riskd's own clock got there.

Nothing here is asked what time it is.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, time, timedelta, tzinfo
from decimal import Decimal
from itertools import islice

import attrs
from msgspec import structs

from ...config.schema import Book as Tolerance
from ...config.schema import Config
from ...config.schema import Instrument as Said
from ..messages import (
    AccountClosed,
    AccountOpened,
    Booked,
    BookFlagged,
    EquityAgreed,
    EquityDrifted,
    EquityReported,
    Fact,
    InstrumentDelisted,
    InstrumentListed,
    Listing,
    SessionClockSet,
    SessionReset,
)
from ..messages.book import (
    Account,
    AnyEvent,
    Fill,
    Fx,
    Instrument,
    Mark,
    Session,
    Snapshot,
    Tick,
)
from .book import door, reading, times
from .book.account import AccountBook
from .book.effort import steps
from .book.numbers import HUNDRED, ZERO, exact, fault, shown
from .book.sessions import WEEKDAYS
from .books import Books
from .held import Held

AHEAD_MAX = timedelta(minutes=15)
"""Of what is told: clocks differ by seconds, and a wrong time zone by half an hour at least."""
STEPS_MAX = 300_000
"""Of one report: about half a second in which nothing else is done. A single event may take more.
"""
PROBLEMS_MAX = 100
"""Of one configuration. Whoever has so many has one, in every line of a generated file."""
NAMES_MAX = 20
"""Names that an error lists."""
RESETS_MAX = 10
"""Made together, two facts each. With ten thousand instruments each takes some tens of
milliseconds, and others must have their turn."""
FIXED = ("kind", "multiplier", "quote", "settle", "base")
"""What of an instrument positions rest on."""
CONFIGURED: Mapping[type[AnyEvent], str] = {
    Instrument: "list it in [[instruments]] of the configuration, and reload",
    Account: "name it in [accounts] of the configuration, and reload",
    Session: "set it in [session] of the configuration, and reload",
    Tick: "leave it out: riskd has a clock of its own",
}
"""Events that nobody reports."""

CLOSING = (AccountClosed, InstrumentDelisted)
"""Facts by which what was permitted before is no longer."""

Document = dict[str, object]


class NotBooked(Exception):
    """A report that is not taken: nothing of it. `code` is a closed set."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@attrs.frozen
class Conflict:
    """A key of the configuration that contradicts what is known for good."""

    path: tuple[str | int, ...]
    message: str
    remedy: str


# --- the configuration ----------------------------------------------------------------------------


def conflicts(books: Books, config: Config, in_force: Config | None = None) -> list[Conflict]:
    """What keeps this configuration from being used. The first of it, where there is much.

    What one that is in force says counts as known: its facts may be under way.
    """
    return list(islice(_conflicts(books, config, in_force), PROBLEMS_MAX))


def _conflicts(books: Books, config: Config, in_force: Config | None) -> Iterator[Conflict]:
    currencies, listings = dict[str, str](), dict[str, Listing]()
    if in_force is not None:
        currencies = {name: account.currency for name, account in in_force.accounts.items()}
        news = (each for each in in_force.instruments if each.symbol not in books.listings)
        listings = {each.symbol: _listing(each) for each in news}
    for name, account in config.accounts.items():
        held = books.accounts.get(name)
        was = currencies.get(name) if held is None else held.about.currency
        if was is not None and was != account.currency:
            yield _changed(("accounts", name, "currency"), was, "name")
    for index, each in enumerate(config.instruments):
        known = books.listings.get(each.symbol) or listings.get(each.symbol)
        if known is not None:
            meant = _listing(each)
            for field in FIXED:
                was = getattr(known, field)
                if was != getattr(meant, field):
                    yield _changed(("instruments", index, field), was, "symbol")


def _changed(path: tuple[str | int, ...], was: object, name: str) -> Conflict:
    said = "unset" if was is None else repr(str(was))
    back = "leave it out again" if was is None else f"write {said} again"
    return Conflict(
        path,
        f"was {said} when riskd came to know it, and what it has counted since rests on that",
        f"{back}, or give what is new a {name} of its own",
    )


def meant(books: Books, config: Config, now: datetime) -> list[Fact]:
    """The facts by which the books come to be as this configuration says."""
    session = config.session
    clock = SessionClockSet(tz=session.zone, reset=session.reset, week_start=session.week_start)
    has_use = bool(config.accounts or books.accounts)
    facts: list[Fact] = [clock] if has_use and books.clock != clock else []
    listed = set[str]()
    for each in config.instruments:
        listed.add(each.symbol)
        listing = _listing(each)
        if books.listed(each.symbol) != listing:
            facts.append(InstrumentListed(listing=listing))
    gone = (one for one in books.listings if one not in listed and one not in books.delisted)
    facts += (InstrumentDelisted(symbol=symbol) for symbol in gone)
    facts += _accounts(books, config, now)
    return facts


def _listing(said: Said) -> Listing:
    return Listing(
        symbol=said.symbol,
        kind=said.kind,
        multiplier=said.multiplier,
        quote=said.quote,
        settle=said.settled_in,
        base=said.base,
        tick=said.tick,
        lot=said.lot,
        min_qty=said.min_qty,
        max_qty=said.max_qty,
        min_notional=said.min_notional,
        zone=said.zone,
        allows_negative=said.allows_negative,
    )


def _accounts(books: Books, config: Config, now: datetime) -> Iterator[Fact]:
    for name, said in config.accounts.items():
        held = books.accounts.get(name)
        is_open = held is not None and held.about.is_open
        if held is None or not is_open or held.about.exchange != said.exchange:
            yield AccountOpened(
                account=name,
                currency=said.currency,
                balance=said.balance if held is None else held.about.balance,
                exchange=said.exchange,
            )
        if not is_open:
            yield begun(now, name)
    for held in books.opened():
        if held.about.name not in config.accounts:
            yield AccountClosed(account=held.about.name)


def begun(now: datetime, account: str | None = None) -> Booked:
    """Time has come this far, in an account or in all of them."""
    return Booked(account=account, event=Tick(ts=now.isoformat()))


# --- reports --------------------------------------------------------------------------------------


def booked(
    books: Books, account: str | None, events: Sequence[AnyEvent], now: datetime
) -> list[Booked]:
    """The facts of a report. Raises NotBooked."""
    held = _concerned(books) if account is None else account_of(books, account)
    concerned = [held] if account is not None else list(books.accounts.values())
    when, effort, found = _Times(held.book, now, concerned), 0, list[AnyEvent]()
    for index, event in enumerate(events):
        if account is None:
            _check_for_all(books, index, event)
        _check(books, held, index, event)
        when.check(index, event)
        found.append(when.timed(event))
        more = steps(held.book, event)
        effort += more
        if index and more and effort > STEPS_MAX:
            said = f"events[{index}]: with those before it too much is to be counted again at once"
            raise NotBooked("too_much_at_once", f"{said}; report them first, and this by itself")
    return [Booked(account=account, event=event) for event in found]


def account_of(books: Books, name: str) -> Held:
    """An account that is known. One that is closed is told of what happens in it as well: what was
    sent before is at the venue, and what is held there has a worth. Raises NotBooked."""
    held = books.accounts.get(name)
    if held is None:
        known = _few(each.about.name for each in books.opened())
        remedy = f"there are: {known}" if known else "there is none: name it in [accounts]"
        raise NotBooked("unknown_account", f"no account is called {name!r}; {remedy}")
    return held


def _concerned(books: Books) -> Held:
    """One of those that a price concerns: all know the same instruments."""
    held = next(books.opened(), None) or next(iter(books.accounts.values()), None)
    if held is None:
        said = "there is no account that this could concern"
        raise NotBooked("no_account", f"{said}; name one in [accounts] of the configuration")
    return held


def _check_for_all(books: Books, index: int, event: AnyEvent) -> None:
    """Prices are the same for all. A rate is one of the currency that an account reports in."""
    if isinstance(event, Fx):
        currencies = sorted({held.about.currency for held in books.opened()})
        if len(currencies) != 1:
            said = f"open accounts report in {_few(currencies)}, and a rate is one of either"
            if not currencies:
                said = "no account is open, and a rate is one of what an account reports in"
            raise _fault("account_needed", index, "ccy", said, "name the account")
    elif not isinstance(event, Mark) and type(event) not in CONFIGURED:
        said = f"{_tag(event)!r} happens in one account"
        raise _fault("account_needed", index, "type", said, "name the account")


class _Times:
    """The times of a report, one event after the other."""

    def __init__(self, book: AccountBook, now: datetime, concerned: Sequence[Held]) -> None:
        self._adopted = {symbol: as_of for symbol, (as_of, _) in book.adopted.items()}
        self._latest = max(held.book.latest for held in concerned)
        self._now = now

    def check(self, index: int, event: AnyEvent) -> None:
        """What is told of the future would end days before they are over. A fill without a time
        would be taken for a part of a position that was adopted since the latest that is known."""
        at, as_of = self._read(index, event, "ts"), self._read(index, event, "as_of")
        if at is not None:
            self._latest = max(self._latest, at)
        if isinstance(event, Snapshot) and as_of is not None:
            self._adopted[event.symbol] = max(as_of, self._adopted.get(event.symbol, as_of))
        elif isinstance(event, Fill) and at is None:
            adopted = self._adopted.get(event.symbol)
            if adopted is not None and adopted >= self._latest:
                said = "is missing, and the venue's position was adopted as of a later time"
                raise _fault("invalid_event", index, "ts", said, "say when the fill was")

    def timed(self, event: AnyEvent) -> AnyEvent:
        """Of two prices the later one counts, so one that would come from riskd's future, by its
        own time or by the latest that is known, comes now: it would hide those still to come."""
        if not isinstance(event, Mark | Fx):
            return event
        at = self._latest if event.ts is None else times.nanoseconds(event.ts)
        if at <= times.nanoseconds(self._now.isoformat()):
            return event
        return structs.replace(event, ts=self._now.isoformat())

    def _read(self, index: int, event: AnyEvent, field: str) -> int | None:
        told = getattr(event, field, None)
        if told is None:
            return None
        at = times.nanoseconds(told)
        if times.moment(at) > self._now + AHEAD_MAX:
            said = f"is more than {AHEAD_MAX.seconds // 60} minutes ahead of riskd's clock"
            remedy = "say when it happened, with its time zone; or set the clock right"
            raise _fault("invalid_event", index, field, said, remedy)
        return at


def _check(books: Books, held: Held, index: int, event: AnyEvent) -> None:
    remedy = CONFIGURED.get(type(event))
    if remedy is not None:
        said = f"{_tag(event)!r} is not reported"
        raise _fault("invalid_event", index, "type", said, remedy)
    symbol = getattr(event, "symbol", None)
    if symbol is not None and symbol not in books.listings:
        said = f"{symbol!r} is no instrument that is listed"
        remedy = CONFIGURED[Instrument]
        raise _fault("unknown_instrument", index, "symbol", said, remedy)
    _check_price(books, index, event)
    try:
        door.check(held.book, event)
    except door.Refused as refused:
        found = reading.fault(refused.field, refused.problem)
        said, remedy = found.problem, found.remedy
        raise _fault("invalid_event", index, refused.field, said, remedy) from None


def _check_price(books: Books, index: int, event: AnyEvent) -> None:
    """A mark of 0 would make every limit in money vanish. What was filled at 0 has happened."""
    if not isinstance(event, Mark) or event.price > 0:
        return
    if not books.listings[event.symbol].allows_negative:
        said = f"a mark of {event.symbol!r} must be above 0"
        remedy = "say its true price; or list the instrument with allows_negative = true"
        raise _fault("invalid_event", index, "price", said, remedy)


def _fault(code: str, index: int, field: str, problem: str, remedy: str) -> NotBooked:
    return NotBooked(code, f"events[{index}].{field}: {problem}; {remedy}")


def _tag(event: AnyEvent) -> str:
    return str(event.__struct_config__.tag)


def _few(names: Iterable[str]) -> str:
    found = list(islice(names, NAMES_MAX + 1))
    return ", ".join(found[:NAMES_MAX]) + (", ..." if len(found) > NAMES_MAX else "")


Flags = dict[str, set[str]]


def flags_about(books: Books, facts: Iterable[Booked]) -> Flags:
    """By account: what is odd there that these may have to do with. Prices raise nothing."""
    found: Flags = {}
    for fact in facts:
        if fact.account is not None:
            about = books.accounts[fact.account].book.flags_about(fact.event)
            found.setdefault(fact.account, set()).update(about)
    return found


def flagged(before: Flags, after: Flags) -> list[BookFlagged]:
    """What has come to be odd."""
    news = ((account, flags - before.get(account, set())) for account, flags in after.items())
    return [BookFlagged(account=account, flags=tuple(sorted(n))) for account, n in news if n]


# --- resets ---------------------------------------------------------------------------------------


@attrs.frozen
class _Clock:
    """By which days end."""

    zone: tzinfo
    reset: time
    weekday: int

    def begun(self, end: int) -> int:
        """When the day that ends then began."""
        return times.last_reset(end - 1, self.zone, self.reset)

    def week_begun(self, end: int) -> int:
        """The same of the week in which that day is."""
        return times.last_reset(end - 1, self.zone, self.reset, self.weekday)

    def ends_week(self, end: int) -> bool:
        return times.last_reset(end, self.zone, self.reset, self.weekday) == end

    def resets(self, since: datetime, until: int) -> Iterator[int]:
        at = times.nanoseconds(since.isoformat())
        while (at := times.next_reset(at, self.zone, self.reset)) <= until:
            yield at


def _clock(books: Books) -> _Clock | None:
    said = books.clock
    if said is None:
        return None
    weekday = WEEKDAYS.index(said.week_start)
    return _Clock(books.zone(said.tz), time.fromisoformat(said.reset), weekday)


def due(books: Books, now: datetime) -> list[Fact]:
    """The ends of days that are due: the first of them, where there are many. Each brings the time
    to the very reset, which belongs to the new day."""
    clock = _clock(books)
    if clock is None:
        return []
    until = times.nanoseconds(now.isoformat())
    ends = ((held, end) for held in books.opened() for end in clock.resets(held.about.since, until))
    facts: list[Fact] = []
    with exact():
        for held, end in islice(ends, RESETS_MAX):
            facts += (_ended(held, clock, end), begun(times.moment(end), held.about.name))
    return facts


def _ended(held: Held, clock: _Clock, end: int) -> SessionReset:
    realized, pnl = held.book.sessions.over(clock.begun(end), end)
    week_realized, week_pnl = held.book.sessions.over(clock.week_begun(end), end)
    return SessionReset(
        account=held.about.name,
        at=times.moment(end),
        is_week=clock.ends_week(end),
        realized=_told(realized),
        pnl=_told(pnl),
        week_realized=_told(week_realized),
        week_pnl=_told(week_pnl),
    )


def _told(number: Decimal | None) -> Decimal | None:
    """Rounded as it is shown."""
    text = shown(number)
    return None if text is None else Decimal(text)


def next_due(books: Books) -> datetime | None:
    """When `due` has to be asked again. None: nothing is ever due."""
    clock = _clock(books)
    since = min((held.about.since for held in books.opened()), default=None)
    if clock is None or since is None:
        return None
    at = times.next_reset(times.nanoseconds(since.isoformat()), clock.zone, clock.reset)
    return times.moment(at)


# --- what the broker says -------------------------------------------------------------------------


def heard(books: Books, account: str, theirs: Decimal, tolerance: Tolerance) -> list[Fact]:
    """A broker's word on what an account is worth. What is in the book stays; that the two differ
    is told when it begins, and when it is over. Raises NotBooked."""
    held = account_of(books, account)
    problem = fault(theirs)
    if problem is not None:
        raise NotBooked("invalid_value", f"equity: {problem}; {reading.NUMBER}")
    ours = _told(held.book.worth.equity)
    facts: list[Fact] = [EquityReported(account=account, theirs=theirs, ours=ours)]
    with exact():
        share = abs(ours or ZERO) * tolerance.equity_drift_pct / HUNDRED
        allowed = max(tolerance.equity_drift_min, share)
        agrees = ours is not None and abs(theirs - ours) <= allowed
    if ours is not None and agrees and held.about.is_drifting:
        facts.append(EquityAgreed(account=account, theirs=theirs, ours=ours))
    elif not agrees and not held.about.is_drifting:
        drifted = EquityDrifted(account=account, theirs=theirs, ours=ours, allowed=_short(allowed))
        facts.append(drifted)
    return facts


def _short(number: Decimal) -> Decimal:
    return Decimal(shown(number) or "0")


# --- what can be seen -----------------------------------------------------------------------------


def accounts_shown(books: Books) -> list[Document]:
    """Every account, in a word. What its book holds takes longer to say."""
    return [_account_shown(held) for _, held in sorted(books.accounts.items())]


def _account_shown(held: Held) -> Document:
    about = held.about
    return {
        "name": about.name,
        "currency": about.currency,
        "exchange": about.exchange,
        "open": about.is_open,
        "equity": shown(held.book.worth.equity),
        "broker_equity": None if about.equity is None else shown(about.equity.theirs),
        "broker_equity_at": None if about.equity is None else about.equity.at.isoformat(),
        "drifting": about.is_drifting,
        "flags": len(held.book.flags()),
    }
