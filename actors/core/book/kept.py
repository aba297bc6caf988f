"""The book as it is kept in a snapshot: the state itself, to the last digit.

Not what happened is written but what came of it, sums and steps of the way included: a division
leaves a rounding that depends on when it was made, and a book that was loaded must go on exactly as
one that was never put away. What follows from the rest by comparing alone, peaks and falls, is
found again.

All of it is flat rows in the order in which the book has them. Copying the lists they are made from
fixes them, for what is in them never changes; the rows are made while they are encoded. The shapes
below are the format: whoever changes one gives the projection that holds books another version.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import chain, repeat
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct
from msgspec.json import Decoder, Encoder
from msgspec.structs import replace

from ...messages.book import Bust, Correct, Kind, Session, Side
from ..dumps import array
from .closed import Closed
from .exposure import Blank, Remaining, Standing, Sums
from .instruments import Contract
from .line import Line
from .odd import Rogue
from .orders import Working
from .path import STRIDE, Execution, FillKey, Key, Path, Step
from .sessions import Period
from .worth import Cash

if TYPE_CHECKING:
    from .account import AccountBook


class KeptContract(NamedTuple):
    symbol: str
    kind: Kind
    multiplier: Decimal
    quote: str
    settle: str
    base: str | None


class KeptPath(NamedTuple):
    """A path without its steps and fills."""

    symbol: str
    base: Step
    base_key: Key | None
    last: Step
    qty: Decimal
    spent: Decimal
    is_closed: bool
    charged: dict[str, Decimal]
    openings: list[tuple[Key, Step]]
    offset: int


class KeptStanding(NamedTuple):
    symbol: str
    buys: Decimal
    sells: Decimal
    reducing_buys: Decimal
    reducing_sells: Decimal
    each: Decimal | None
    long: Decimal
    short: Decimal
    blank: Blank
    gross: Decimal
    net: Decimal
    worst: Decimal
    up: Decimal
    down: Decimal
    orders: int
    open_worth: Decimal | None


class KeptPeriod(NamedTuple):
    begin: Key
    net: Decimal
    gaps: int


class Head(Struct, frozen=True, array_like=True):
    """All that is one number, or few."""

    arrived: int
    latest: int
    prices_max: int
    finished_max: int
    reporting: str | None
    total: Decimal
    moved: Decimal
    unknown: int
    prices: int
    horizon: Key | None
    begun: Key | None
    held: dict[str, Decimal]
    needed: dict[str, Key]
    closed: Closed | None
    said: Session | None
    first_ns: int | None
    latest_ns: int
    until_ns: int
    day: KeptPeriod | None
    week: KeptPeriod | None
    sums: Sums


class Kept(Struct, frozen=True, array_like=True):
    """A whole book."""

    head: Head
    contracts: list[KeptContract]
    marks: list[tuple[str, Key, Decimal]]
    rates: list[tuple[str, Key, Decimal]]
    cash: list[Cash]
    samples: list[tuple[Key, Decimal, int]]
    paths: list[KeptPath]
    steps: list[tuple[str, Step]]
    fills: list[Execution]
    told: list[tuple[Key, Bust | Correct]]
    adopted: list[tuple[str, int, Key]]
    orders: list[Working]
    standings: list[KeptStanding]
    funding: list[tuple[str, Decimal]]
    paid: list[tuple[str, str, str, Decimal]]
    fees: list[tuple[str, str, Decimal, int]]
    conflicts: list[str]
    overfilled: list[str]
    rogues: list[tuple[Rogue, Side]]
    payments: list[str]
    too_old: list[str]
    waiting: list[tuple[FillKey, bool]]
    finished: list[str]


_encode = Encoder().encode
_decode = Decoder(Kept).decode


def dump(book: "AccountBook") -> Iterator[bytes]:
    """Fixed when this returns."""
    worth, odd = book.worth, book.odd
    paths = list(worth.paths.values())
    return _pieces(
        _head(book),
        [
            [_contract(each) for each in book.contracts.values()],
            _values(worth.marks),
            _values(worth.rates),
            worth.cash.copy(),
            zip(
                worth.series.keys.copy(),
                worth.series.worth.copy(),
                worth.series.unknown.copy(),
                strict=True,
            ),
            [_path(each) for each in paths],
            _chained([(each.contract.symbol, each.steps.copy()) for each in paths]),
            _each([list(path.known.values()) for path in paths]),
            chain.from_iterable(list(book.told.values())),
            [(symbol, as_of, key) for symbol, (as_of, key) in book.adopted.items()],
            list(book.orders.values()),
            [_standing(symbol, each) for symbol, each in book.exposures.standings.items()],
            list(book.funding.items()),
            [(*name, amount) for name, amount in book.paid.items()],
            [(of, ccy, *fee) for of, fees in book.fees.items() for ccy, fee in fees.items()],
            list(odd.conflicts),
            list(odd.overfilled),
            list(odd.rogues.items()),
            list(odd.payments),
            list(odd.too_old),
            list(odd.waiting.items()),
            list(book.roll.finished),
        ],
    )


def _pieces(head: Head, sections: Iterable[Iterable[object]]) -> Iterator[bytes]:
    yield b"[" + _encode(head)
    for section in sections:
        yield b","
        yield from array(section)
    yield b"]"


def _head(book: "AccountBook") -> Head:
    worth, sessions, exposures = book.worth, book.sessions, book.exposures
    day, week = (
        None if each is None else KeptPeriod(each.begin, each.net, each.gaps)
        for each in (sessions.day, sessions.week)
    )
    return Head(
        arrived=book.arrived,
        latest=book.latest,
        prices_max=book.prices_max,
        finished_max=book.roll.finished_max,
        reporting=worth.reporting,
        total=worth.total,
        moved=worth.moved,
        unknown=worth.unknown,
        prices=worth.prices,
        horizon=worth.horizon,
        begun=worth.begun,
        held=worth.held.copy(),
        needed=worth.needed.copy(),
        closed=worth.closed,
        said=sessions.said,
        first_ns=sessions.first_ns,
        latest_ns=sessions.latest_ns,
        until_ns=sessions.until_ns,
        day=day,
        week=week,
        sums=replace(exposures.sums),
    )


def _contract(of: Contract) -> KeptContract:
    return KeptContract(of.symbol, of.kind, of.multiplier, of.quote, of.settle, of.base)


def _path(of: Path) -> KeptPath:
    return KeptPath(
        of.contract.symbol,
        of.base,
        of.base_key,
        of.last,
        of.qty,
        of.spent,
        of.is_closed,
        of.charged.copy(),
        list(of.openings.items()),
        of.offset,
    )


def _standing(symbol: str, of: Standing) -> KeptStanding:
    left = of.remaining
    return KeptStanding(
        symbol, left.buys, left.sells, left.reducing_buys, left.reducing_sells, of.each, of.long,
        of.short, of.blank, of.gross, of.net, of.worst, of.up, of.down, left.orders,
        of.open_worth,
    )  # fmt: skip


def _values(lines: dict[str, Line]) -> Iterator[tuple[str, Key, Decimal]]:
    copies = [(name, line.keys.copy(), line.values.copy()) for name, line in lines.items()]
    return chain.from_iterable(
        zip(repeat(name), keys, values, strict=False) for name, keys, values in copies
    )


def _chained(steps: Iterable[tuple[str, list[Step]]]) -> Iterator[tuple[str, Step]]:
    return ((symbol, step) for symbol, each in steps for step in each)


def _each(
    known: Iterable[Iterable[Execution | tuple[Execution, ...]]],
) -> Iterator[Execution]:
    """Nearly always one is alone with its id."""
    for fills in known:
        for fill in fills:
            if isinstance(fill, tuple):
                yield from fill
            else:
                yield fill


# --- back -----------------------------------------------------------------------------------------


def load(book: "AccountBook", state: bytes) -> None:
    """Into a new book. Raises ValueError."""
    found = _decode(state)
    try:
        _load_market(book, found)
        _load_fills(book, found)
    except KeyError as error:
        raise ValueError(f"an instrument is missing: {error}") from None
    _load_sums(book, found)
    book.adopted.update((symbol, (as_of, key)) for symbol, as_of, key in found.adopted)
    book.orders.update((order.id, order) for order in found.orders)
    book.exposures.working.update((each.id, each) for each in found.orders if each.remaining)
    book.funding.update(found.funding)
    book.paid.update(((kind, of, one), amount) for kind, of, one, amount in found.paid)
    for symbol, ccy, total, count in found.fees:
        book.fees.setdefault(symbol, {})[ccy] = (total, count)
    book.odd.conflicts.update(dict.fromkeys(found.conflicts))
    book.odd.overfilled.update(dict.fromkeys(found.overfilled))
    book.odd.payments.update(dict.fromkeys(found.payments))
    for rogue, side in found.rogues:
        book.odd.suspect(rogue, side)
    book.odd.too_old.update(dict.fromkeys(found.too_old))
    book.odd.waiting.update(found.waiting)
    book.roll.finished.update(dict.fromkeys(found.finished))


def _load_market(book: "AccountBook", found: Kept) -> None:
    worth, head = book.worth, found.head
    book.contracts.update((each.symbol, Contract(*each)) for each in found.contracts)
    for lines, values in ((worth.marks, found.marks), (worth.rates, found.rates)):
        for name, key, value in values:
            line = lines.get(name)
            if line is None:
                line = lines[name] = Line()
            line.put(key, value)
    worth.cash = found.cash
    worth.series.restore(found.samples)
    worth.reporting, worth.begun, worth.horizon = head.reporting, head.begun, head.horizon
    worth.total, worth.moved, worth.unknown = head.total, head.moved, head.unknown
    worth.held, worth.needed, worth.prices = head.held, head.needed, head.prices
    worth.closed = head.closed


def _load_fills(book: "AccountBook", found: Kept) -> None:
    paths = book.worth.paths
    for each in found.paths:
        path = paths[each.symbol] = Path(book.contracts[each.symbol], book.worth.rate)
        path.base, path.base_key, path.last = each.base, each.base_key, each.last
        path.qty, path.spent = each.qty, each.spent
        path.is_closed, path.charged, path.offset = each.is_closed, each.charged, each.offset
        path.openings = dict(each.openings)
    for symbol, step in found.steps:
        paths[symbol].steps.append(step)
    for fill in found.fills:
        path = paths[fill.symbol]
        path.know(fill)
        if fill.is_walked:
            path.fills.append(fill)
    for path in paths.values():
        path.fills.sort(key=_place)
        path.keys = [fill.key for fill in path.fills]
        if len(path.steps) != (path.offset + len(path.fills)) // STRIDE:
            raise ValueError(f"{path.contract.symbol}: these are not the steps of its fills")
    for key, event in found.told:
        name = event.symbol, event.id
        book.told[name] = (*book.told.get(name, ()), (key, event))


def _load_sums(book: "AccountBook", found: Kept) -> None:
    head, sessions, exposures = found.head, book.sessions, book.exposures
    book.arrived, book.latest = head.arrived, head.latest
    book.prices_max, book.roll.finished_max = head.prices_max, head.finished_max
    book.fills = len(found.fills)
    sessions.said, sessions.first_ns = head.said, head.first_ns
    sessions.latest_ns, sessions.until_ns = head.latest_ns, head.until_ns
    sessions.day = None if head.day is None else Period(*head.day)
    sessions.week = None if head.week is None else Period(*head.week)
    exposures.sums = head.sums
    for each in found.standings:
        remaining = Remaining(
            each.buys, each.sells, each.reducing_buys, each.reducing_sells, each.orders
        )
        exposures.standings[each.symbol] = Standing(
            remaining, each.each, each.long, each.short, each.blank, each.gross, each.net,
            each.worst, each.up, each.down, max(each.long, -each.short), each.open_worth,
        )  # fmt: skip


def _place(fill: Execution) -> Key:
    return fill.key
