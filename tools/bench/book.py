"""What the book costs: a fill, a late one, the gate's question, an order's room, a line of a file,
and to put it away and take it out again.

Each peer does what is least for the same answer: a dictionary of sums for fills in order, the whole
walk anew for a late one, a look at every order for the question, the decoder alone for lines, and
for a dump and a load to encode it at once and to apply everything that happened.
"""

import tracemalloc
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from itertools import count
from zoneinfo import ZoneInfo

import msgspec

from ...actors.core.book import door
from ...actors.core.book.account import AccountBook
from ...actors.core.book.numbers import ZERO, exact
from ...actors.messages.book import Account, AnyEvent, Fill, Instrument, Mark, Order, Session, Side
from .processes import Broken
from .results import US, Figure, Promise, Result, at_least, at_most, in_turn, latency, rate, timed

FILLS_MIN = 100_000
LATE_MS_MAX = 500
JUDGED_US_MAX = 2
ORDER_BYTES_MAX = 2_048
DUMP_MS_MAX = 20
LOAD_MS_MAX = 1_000
PRICES = 65_000
"""Beside the fills of a book that is put away: as many as are ever kept."""
FLAT = 1.1
"""The question costs at most this much more with many orders and symbols than with one."""
MANY = 10_000
TIMES = 5
QUESTIONS = 500
"""That make a sample: enough that the benchmark's own clock costs nothing."""
BEGIN_MS = 1_700_000_000_000
SYMBOL = "BTC-PERP"
MS = ("ms", 1e3)
decode = msgspec.json.Decoder(AnyEvent).decode


def measure(n: int, *, many: int = MANY, times: int = TIMES) -> list[Result]:
    fills = [_fill(number, str(number), BEGIN_MS + number) for number in range(n)]
    return [
        _in_order(fills, times),
        _late(fills, times),
        *_judged(many, times),
        _room(many),
        _lines(n, times),
        *_kept(fills, times),
    ]


def _book() -> AccountBook:
    """An account that trades one instrument by the day, at a mark."""
    book = AccountBook(ZoneInfo)
    _list(book, SYMBOL)
    book.apply(Account(ccy="USDT", balance=Decimal(10_000)))
    book.apply(Session())
    return book


def _list(book: AccountBook, symbol: str) -> None:
    book.apply(Instrument(symbol=symbol, quote="USDT", settle="USDT"))
    book.apply(Mark(symbol=symbol, price=Decimal(100), ts=BEGIN_MS - 1))


def _fill(number: int, fill_id: str, ts: int) -> Fill:
    side: Side = "sell" if number * 7 % 11 > 5 else "buy"  # about half of them
    price = Decimal(10_000 + number * 13 % 500) / 100
    fee = Decimal("0.01")
    return Fill(
        id=fill_id,
        symbol=SYMBOL,
        side=side,
        qty=Decimal(1 + number % 9),
        price=price,
        fee=fee,
        ts=ts,
    )


# --- fills ----------------------------------------------------------------------------------------


def _in_order(fills: Sequence[Fill], times: int) -> Result:
    def ours() -> float:
        book = _book()
        seconds = timed(lambda: _apply(book, fills))()
        if len(book.worth.paths[SYMBOL].fills) != len(fills):
            raise Broken("not every fill was applied")
        return seconds

    mine, other = in_turn(times, ours, timed(lambda: _sum(fills)))
    figure = rate(mine, len(fills))
    return Result(
        name="fills in order",
        n=times,
        figure=figure,
        peer_name="sums in a dictionary",
        peer=rate(other, len(fills)),
        promise=at_least(FILLS_MIN, figure),
        note=f"{len(fills):,} of them",
    )


def _apply(book: AccountBook, events: Sequence[AnyEvent]) -> None:
    for event in events:
        book.apply(event)


def _sum(fills: Sequence[Fill]) -> dict[str, tuple[Decimal, Decimal, Decimal]]:
    """Quantity, what it cost, and fees."""
    sums: dict[str, tuple[Decimal, Decimal, Decimal]] = {}
    with exact():
        for fill in fills:
            qty, cost, fees = sums.get(fill.symbol, (ZERO, ZERO, ZERO))
            signed = fill.qty if fill.side == "buy" else -fill.qty
            sums[fill.symbol] = qty + signed, cost + signed * fill.price, fees + fill.fee
    return sums


def _late(fills: Sequence[Fill], times: int) -> Result:
    """The second of them comes last."""
    book, numbers = _book(), count()
    _apply(book, fills)

    def late() -> None:
        number = next(numbers)
        book.apply(_fill(number, f"late-{number}", BEGIN_MS))

    mine, other = in_turn(times, timed(late), timed(lambda: _apply(_book(), fills)))
    figure = latency(mine, MS)
    return Result(
        name="a late fill",
        n=times,
        figure=figure,
        peer_name="all of them applied anew",
        peer=latency(other, MS),
        promise=at_most(LATE_MS_MAX, figure),
        note=f"{len(fills):,} in its instrument come after it",
    )


# --- the gate's question --------------------------------------------------------------------------


def _judged(many: int, times: int) -> list[Result]:
    """With one order, and with many in as many symbols. Both are asked in turn: what matters is
    that they cost the same."""
    few, lots = _with_orders(1), _with_orders(many)
    samples = times * 20
    ours, alone = in_turn(samples, _asking(lots, _judge), _asking(few, _judge))
    _, walked = in_turn(times, _asking(lots, _judge), timed(lambda: _walk(lots)))
    figure, one = latency(ours, US), latency(alone, US)
    flat = Promise(f"at most {FLAT:g} times", figure.value <= FLAT * one.value)
    return [
        Result(
            name=f"would an order be too much, with {many:,} orders and symbols",
            n=samples,
            figure=figure,
            peer_name="a look at every order",
            peer=latency(walked, US),
            promise=at_most(JUDGED_US_MAX, figure),
        ),
        Result(
            name="the same beside the same with one",
            n=samples,
            figure=figure,
            peer_name="one order, one symbol",
            peer=one,
            promise=flat,
        ),
    ]


def _with_orders(orders: int) -> AccountBook:
    book = _book()
    for number in range(orders):
        symbol = f"SYM-{number}"
        _list(book, symbol)
        book.apply(Order(id=str(number), symbol=symbol, side="buy", qty=Decimal(1)))
    return book


def _asking(book: AccountBook, ask: Callable[[AccountBook], None]) -> Callable[[], float]:
    sample = timed(partial(ask, book))
    return lambda: sample() / QUESTIONS


def _judge(book: AccountBook) -> None:
    path, qty, judge = book.worth.paths["SYM-0"], Decimal(1), book.exposures.judge
    for _ in range(QUESTIONS):
        judge(path, "buy", qty)


def _walk(book: AccountBook) -> Decimal:
    """The worst of all symbols, from each order."""
    with exact():
        worst: dict[str, tuple[Decimal, Decimal]] = {}
        for order in book.orders.values():
            if order.begun is not None:
                buys, sells = worst.get(order.begun.symbol, (ZERO, ZERO))
                if order.begun.side == "buy":
                    buys += order.remaining
                else:
                    sells += order.remaining
                worst[order.begun.symbol] = buys, sells
        total = ZERO
        for symbol, (buys, sells) in worst.items():
            qty = book.worth.paths[symbol].last.qty
            mark = book.worth.mark_now(symbol) or ZERO
            total += max(abs(qty + buys), abs(qty - sells)) * mark
        return total


def _room(orders: int) -> Result:
    """In one instrument, for an instrument has room of its own."""
    book = _book()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(orders):
            book.apply(_order(number))
        after, _ = tracemalloc.get_traced_memory()
        events = [_order(number) for number in range(orders)]
        bare, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    if len(events) != len(book.orders):
        raise Broken("not every order was kept")
    figure = Figure((after - before) / orders, "B")
    return Result(
        name="room for an open order",
        n=orders,
        figure=figure,
        peer_name="the events in a list",
        peer=Figure((bare - after) / orders, "B"),
        promise=at_most(ORDER_BYTES_MAX, figure),
    )


def _order(number: int) -> Order:
    return Order(id=f"order-{number:016}", symbol=SYMBOL, side="buy", qty=Decimal(1))


# --- lines ----------------------------------------------------------------------------------------


def _lines(n: int, times: int) -> Result:
    """Marks, and every tenth line a fill."""
    lines = [
        msgspec.json.encode(
            Mark(symbol=SYMBOL, price=Decimal(10_000 + number % 500) / 100, ts=BEGIN_MS + number)
            if number % 10
            else _fill(number, str(number), BEGIN_MS + number)
        )
        for number in range(n)
    ]

    def replay() -> None:
        book = _book()
        for line in lines:
            event = decode(line)
            door.check(book, event)
            book.apply(event)

    def read() -> None:
        for line in lines:
            decode(line)

    mine, other = in_turn(times, timed(replay), timed(read))
    return Result(
        name="lines replayed",
        n=times,
        figure=rate(mine, n),
        peer_name="lines decoded",
        peer=rate(other, n),
        note=f"{n:,} of them, one in ten a fill",
    )


# --- put away -------------------------------------------------------------------------------------


def _kept(fills: Sequence[Fill], times: int) -> list[Result]:
    book, prices = _book(), min(len(fills), PRICES)
    events = [
        event
        for number, fill in enumerate(fills)
        for event in (fill, _mark(number))[: 2 if number < prices else 1]
    ]
    _apply(book, events)
    state = b"".join(book.dump())

    def load() -> None:
        AccountBook(ZoneInfo).load(state)

    pause, whole = in_turn(times, timed(book.dump), timed(lambda: b"".join(book.dump())))
    piece = timed(partial(next, book.dump()))
    pieces = [piece() for _ in book.dump()]
    loaded, applied = in_turn(times, timed(load), timed(lambda: _apply(_book(), events)))
    stopped, back = latency(pause, MS), latency(loaded, MS)
    note = f"{len(fills):,} fills, {prices:,} prices, {len(state) / 2**20:.1f} MiB"
    return [
        Result(
            name="the pause of a dump",
            n=times,
            figure=stopped,
            peer_name="encoded at once",
            peer=latency(whole, MS),
            promise=at_most(DUMP_MS_MAX, stopped),
            note=note,
        ),
        Result(name="a piece of it", n=len(pieces), figure=latency(pieces, US)),
        Result(
            name="a load",
            n=times,
            figure=back,
            peer_name="all of it applied anew",
            peer=latency(applied, MS),
            promise=at_most(LOAD_MS_MAX, back),
            note=note,
        ),
    ]


def _mark(number: int) -> Mark:
    price = Decimal(10_000 + number % 500) / 100
    return Mark(symbol=SYMBOL, price=price, ts=BEGIN_MS + number)
