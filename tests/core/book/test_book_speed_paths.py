"""The short ways of the book agree with the long ones, and old prices leave room for new ones."""

import tracemalloc
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from riskd.actors.core.book import shown
from riskd.actors.core.book.account import AccountBook
from riskd.actors.core.book.exposure import Exposures
from riskd.actors.core.book.numbers import exact
from riskd.actors.core.book.path import START, STRIDE, Path, Step
from riskd.actors.core.book.worth import Worth
from riskd.actors.messages.book import (
    Account,
    AnyEvent,
    Bust,
    Cancel,
    Correct,
    Fill,
    Funding,
    Fx,
    Instrument,
    Mark,
    Order,
    Session,
    Snapshot,
    Timeout,
    Transfer,
)

BEGIN_S = 1_700_000_000
RESET_S = 1_700_085_600
"""The first time that it is 17:00 in New York."""
HOUR_S = 3_600
INSTRUMENTS = (
    Instrument(symbol="L", multiplier=Decimal("0.1"), quote="USDT", settle="USDT"),
    Instrument(
        symbol="I", kind="inverse", multiplier=Decimal(100), quote="USD", settle="BTC", base="BTC"
    ),
    Instrument(symbol="S", kind="spot", quote="USDT", settle="USDT", base="ETH"),
    Instrument(symbol="E", multiplier=Decimal(5), quote="EUR", settle="EUR"),
)
ACCOUNT = Account(ccy="USDT", balance=Decimal(1_000), ts=BEGIN_S)
SESSION = Session(tz="America/New_York", reset="17:00", ts=BEGIN_S)

symbols = st.sampled_from([each.symbol for each in INSTRUMENTS])
currencies = st.sampled_from(["USDT", "USD", "BTC", "ETH", "EUR", "BNB"])
times = st.integers(BEGIN_S, BEGIN_S + 60 * HOUR_S)
quantities = st.integers(1, 9).map(Decimal)
prices = st.integers(900, 1_100).map(lambda each: Decimal(each) / 10)
amounts = st.integers(-50, 50).map(lambda each: Decimal(each) / 10)
sides = st.sampled_from(["buy", "sell"])
ids = st.integers(0, 4).map(str)

marks = st.builds(Mark, ts=times, symbol=symbols, price=prices)
rates = st.builds(Fx, ts=times, ccy=currencies, rate=quantities)
fills = st.builds(
    Fill,
    ts=times,
    id=st.uuids().map(str),
    symbol=symbols,
    side=sides,
    qty=quantities,
    price=prices,
    fee=amounts,
    fee_ccy=currencies | st.none(),
    order=ids,
)
cash = st.builds(Funding, ts=times, symbol=symbols, amount=amounts) | st.builds(
    Transfer, ts=times, ccy=currencies, amount=amounts
)
orders = st.builds(
    Order,
    ts=times,
    id=ids,
    symbol=symbols,
    side=sides,
    qty=quantities,
    reduce_only=st.booleans(),
) | st.builds(Cancel, ts=times, id=ids)
fresh = marks | rates | fills | cash | orders
quick = marks | marks | marks | rates | fresh
"""Mostly prices: what is worth letting go of."""

HELD = (
    *(Fx(ts=BEGIN_S, ccy=ccy, rate=Decimal(2)) for ccy in ("USD", "BTC", "ETH", "EUR", "BNB")),
    *(Mark(ts=BEGIN_S, symbol=each.symbol, price=Decimal(100)) for each in INSTRUMENTS),
    *(
        Fill(
            ts=BEGIN_S,
            id=each.symbol,
            symbol=each.symbol,
            side=side,
            qty=Decimal(9),
            price=Decimal(100),
        )
        for each, side in zip(INSTRUMENTS, ("buy", "sell", "buy", "sell"), strict=True)
    ),
)
"""A position in each, and nothing unknown: every sample may make a peak or a fall."""


def book(
    *events: AnyEvent, prices_kept: int = 10_000, fills_kept: int | None = None
) -> AccountBook:
    found = AccountBook(ZoneInfo, prices_kept=prices_kept, fills_kept=fills_kept)
    for event in (*INSTRUMENTS, *events):
        found.apply(event)
    return found


def in_order(events: Sequence[AnyEvent]) -> list[AnyEvent]:
    return sorted(events, key=lambda each: each.ts)  # type: ignore[arg-type,return-value]  # numbers


def worth(of: AccountBook) -> object:
    """All that the fold finds, rounded as it is shown."""
    total, series = of.worth, of.worth.series
    samples = zip(series.keys, map(shown.shown, series.worth), series.unknown, strict=True)
    return (
        shown.shown(total.total),
        shown.shown(total.moved),
        total.unknown,
        shown.shown(series.peak),
        shown.shown(series.fall),
        {key: (value, unknown) for key, value, unknown in samples},
    )


def again(of: AccountBook) -> object:
    with exact():
        of.worth.again()
        of.sessions.again()
    return worth(of)


# --- what is newest of all is reckoned with what holds now ----------------------------------------


@given(events=st.lists(fresh, max_size=40), is_in_order=st.booleans())
@settings(max_examples=150)
def test_what_is_added_up_is_what_the_fold_of_everything_finds(
    events: list[AnyEvent], is_in_order: bool
) -> None:
    of = book(ACCOUNT, SESSION)
    for event in in_order(events) if is_in_order else events:
        of.apply(event)
        assert worth(of) == again(of)


@given(events=st.lists(fresh, max_size=40), order=st.randoms(use_true_random=False))
@settings(max_examples=100)
def test_what_comes_late_gives_the_same_book(events: list[AnyEvent], order: object) -> None:
    """Each has a time of its own, for of two at one time the one that came first is first."""
    timed = {event.ts: event for event in events if not isinstance(event, Order | Cancel)}
    shuffled = list(timed.values())
    order.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis' own random
    straight = book(ACCOUNT, SESSION, *in_order(list(timed.values())))
    assert shown.book(book(ACCOUNT, SESSION, *shuffled)) == shown.book(straight)


@pytest.mark.parametrize("is_told_before", [True, False])
def test_rates_of_the_reporting_currency_push_out_no_other(is_told_before: bool) -> None:
    """What leaves no sample of the account's worth would be thinned as if it did."""
    own = [Fx(ccy="USDT", rate=Decimal(1), ts=BEGIN_S) for _ in range(4)]
    of = AccountBook(ZoneInfo, prices_kept=1)
    first = [*own, ACCOUNT] if is_told_before else [ACCOUNT]
    for event in (*first, Fx(ccy="BTC", rate=Decimal(7), ts=BEGIN_S + 9), *own):
        of.apply(event)
    of.apply(Transfer(ccy="BTC", amount=Decimal(2), ts=BEGIN_S + 1))
    assert of.worth.equity == 1_014
    assert of.worth.prices == 1
    assert worth(of) == again(of)


def test_a_rate_that_comes_late_is_reckoned_without_a_look_at_what_was_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A feed of rates is nearly always a moment behind the fills. With a long past, to fold all of
    it for each would stop riskd."""
    straight, late = (
        book(ACCOUNT, SESSION, Fx(ccy="EUR", rate=Decimal(1), ts=BEGIN_S)) for _ in "ab"
    )
    price = Mark(symbol="E", price=Decimal(100), ts=BEGIN_S + 1)
    fill = Fill(id="f", symbol="E", side="buy", qty=Decimal(2), price=Decimal(90), ts=BEGIN_S + 3)
    last = Fill(id="g", symbol="E", side="sell", qty=Decimal(1), price=Decimal(120), ts=BEGIN_S + 5)
    payments = [
        Transfer(ccy="EUR", amount=Decimal(7), ts=BEGIN_S + 4),
        Funding(symbol="E", amount=Decimal(-3), ts=BEGIN_S + 4),
    ]
    rates = [Fx(ccy="EUR", rate=Decimal(rate), ts=BEGIN_S + rate) for rate in (2, 4, 6)]
    for event in in_order([price, fill, last, *payments, *rates]):
        straight.apply(event)
    for event in (price, fill, *payments, last):
        late.apply(event)

    def fold(_: object) -> None:
        raise AssertionError("everything is folded anew")

    monkeypatch.setattr(Worth, "again", fold)
    for rate in (rates[2], rates[0], rates[1]):
        late.apply(rate)
    late.apply(Fx(ccy="BNB", rate=Decimal(9), ts=BEGIN_S + 2))
    assert shown.book(late) == shown.book(straight)
    assert shown.book(straight)["account"]["session_realized"] is not None


# --- steps ----------------------------------------------------------------------------------------


def walked(path: Path, count: int) -> Step:
    step = path.base
    for fill in path.fills[:count]:
        step = path._step(step, fill)
    return step


@pytest.mark.parametrize("late", [0, 1, STRIDE - 1, STRIDE, STRIDE + 1, 3 * STRIDE])
def test_every_step_is_found_again_from_the_few_that_are_kept(late: int) -> None:
    def fill(number: int, at: int) -> Fill:
        side, price = ("sell", 90) if number % 3 else ("buy", 110)
        return Fill(
            ts=BEGIN_S + at,
            id=str(number),
            symbol="L",
            side="buy" if side == "buy" else "sell",
            qty=Decimal(1 + number % 4),
            price=Decimal(price + number % 7),
            fee=Decimal("0.1"),
        )

    count = 3 * STRIDE
    of = book(ACCOUNT, *(fill(number, 2 * number) for number in range(count)))
    of.apply(fill(count, 2 * late - 1))
    of.apply(Bust(id=str(late // 2), symbol="L"))
    path = of.worth.paths["L"]
    assert len(path.fills) == count
    with exact():
        for at, key in enumerate(path.keys):
            assert path.before(key) == walked(path, at)
        assert path.last == walked(path, count)
        for (_, before), (key, after) in pairwise(path.quantities(path.keys[0])):
            assert after - before == path.moved(path.fills[path.keys.index(key)])
    assert path.base == START


# --- sums of exposure -----------------------------------------------------------------------------


def sums(exposures: Exposures) -> object:
    figures = [*exposures.total(), *exposures.contracts()]
    return [exposures.sums.open_count, *(shown.shown(each) for each in figures)]


@given(events=st.lists(fresh, max_size=40), order=orders.filter(lambda each: each.id == "0"))
@settings(max_examples=150)
def test_the_sums_are_those_of_all_symbols_weighed_anew(
    events: list[AnyEvent], order: AnyEvent
) -> None:
    of = book(ACCOUNT, *HELD, *events, order)
    anew = Exposures(of.worth)
    with exact():
        for each in of.orders.values():
            anew.enter(each)
        anew.reprice_all(None)
    assert sums(of.exposures) == sums(anew)


def test_an_order_that_turns_out_to_be_of_another_symbol_leaves_the_first() -> None:
    def order(symbol: str, at: int) -> Order:
        return Order(id="1", symbol=symbol, side="buy", qty=Decimal(90), ts=BEGIN_S + at)

    moved = book(ACCOUNT, *HELD, order("L", 2), order("S", 1))
    assert sums(moved.exposures) == sums(book(ACCOUNT, *HELD, order("S", 1)).exposures)


@given(
    events=st.lists(fresh, max_size=40),
    symbol=symbols,
    side=sides,
    qty=quantities,
    reduce_only=st.booleans(),
)
@settings(max_examples=150)
def test_the_answer_is_what_is_so_once_the_order_is_there(
    events: list[AnyEvent], symbol: str, side: str, qty: Decimal, reduce_only: bool
) -> None:
    of = book(ACCOUNT, *HELD, *events)
    path = of.worth.paths[symbol]
    before = shown.book(of)
    judged = of.exposures.judge(
        path, "buy" if side == "buy" else "sell", qty, reduce_only=reduce_only
    )
    assert shown.book(of) == before
    of.apply(
        Order(
            id="new",
            symbol=symbol,
            side="buy" if side == "buy" else "sell",
            qty=qty,
            reduce_only=reduce_only,
        )
    )
    with exact():
        worst = of.exposures.remaining(symbol).worst(path.last.qty)
    assert (judged.worst_long, judged.worst_short) == worst
    assert shown.shown(judged.worst_gross) == shown.shown(of.exposures.total().worst)


# --- old prices -----------------------------------------------------------------------------------


@given(events=st.lists(quick, min_size=10, max_size=80), kept=st.integers(1, 8))
@settings(max_examples=150)
def test_old_prices_are_let_go_and_nothing_changes(events: list[AnyEvent], kept: int) -> None:
    thin = book(ACCOUNT, SESSION, *HELD, prices_kept=kept)
    thick = book(ACCOUNT, SESSION, *HELD)
    for event in in_order(events):
        thin.apply(event)
        thick.apply(event)
        assert shown.book(thin) == shown.book(thick)
    assert worth(thin) == again(thin)


def test_a_day_opens_at_the_last_sample_though_its_price_was_let_go() -> None:
    """Rates of the reporting currency itself count as prices that are kept, and sample nothing."""
    thin = book(ACCOUNT, SESSION, *HELD, prices_kept=1)
    thick = book(ACCOUNT, SESSION, *HELD)
    reset = 1_700_085_600  # 17:00 in New York
    news: list[AnyEvent] = [
        Mark(symbol="L", price=Decimal(price), ts=reset - 20 + at)
        for at, price in enumerate((99, 90, 95))  # the last is neither the peak nor a new low
    ]
    news += [Fx(ccy="USDT", rate=Decimal(1), ts=reset - 7 + more) for more in range(4)]
    news += [Mark(symbol="L", price=Decimal(99), ts=reset + 1)]
    for event in news:
        thin.apply(event)
        thick.apply(event)
    assert shown.account(thin) == shown.account(thick)


@given(
    events=st.lists(quick, min_size=10, max_size=60),
    late=st.lists(fills | marks | rates, max_size=5),
)
@settings(max_examples=100)
def test_what_is_no_later_than_the_prices_kept_finds_everything_in_its_place(
    events: list[AnyEvent], late: list[AnyEvent]
) -> None:
    kept = 6
    thin = book(ACCOUNT, SESSION, *HELD, prices_kept=kept)
    thick = book(ACCOUNT, SESSION, *HELD)
    for event in in_order(events):
        thin.apply(event)
        thick.apply(event)
    for event in late:
        horizon = thin.worth.horizon
        if horizon is None or event.ts * 10**9 > horizon[0]:  # type: ignore[operator]  # seconds
            thin.apply(event)
            thick.apply(event)
            assert shown.book(thin) == shown.book(thick)
            assert worth(thin) == again(thin)


@given(events=st.lists(quick, min_size=10, max_size=60), late=fills, price=prices)
@settings(max_examples=100)
def test_what_comes_later_still_counts_in_full_where_it_counts_now(
    events: list[AnyEvent], late: Fill, price: Decimal
) -> None:
    """In the settle currency, so that no old rate is asked for: that would be another one."""
    thin, thick = book(ACCOUNT, *HELD, prices_kept=2), book(ACCOUNT, *HELD)
    news = (
        Fill(id="late", symbol="L", side="buy", qty=late.qty, price=price, ts=BEGIN_S + 1),
        Correct(id="late", symbol="L", price=price + 1),
        Snapshot(symbol="S", qty=Decimal(3), avg_price=price, as_of=BEGIN_S + 2),
    )
    for event in (*in_order(events), *news):
        thin.apply(event)
        thick.apply(event)
    assert shown.positions(thin) == shown.positions(thick)
    with exact():
        assert shown.account(thin)["equity"] == shown.account(thick)["equity"]


def test_the_deepest_fall_outlives_the_prices_that_made_it() -> None:
    """From 150 to 90, before a higher peak: 60 on a tenth of one contract."""
    of = book(
        ACCOUNT,
        Fill(id="1", symbol="L", side="buy", qty=Decimal(1), price=Decimal(100), ts=BEGIN_S + 1),
        prices_kept=2,
    )
    for at, price in enumerate((100, 150, 90, 160, *(20 * [120]))):
        of.apply(Mark(symbol="L", price=Decimal(price), ts=BEGIN_S + 2 + at))
    with exact():
        found = shown.account(of)
    assert (found["max_drawdown"], found["peak_equity"]) == ("6", "1006")


def test_prices_without_end_need_no_more_room() -> None:
    kept = 100
    of = book(
        ACCOUNT,
        SESSION,
        Fill(id="1", symbol="L", side="buy", qty=Decimal(1), price=Decimal(100), ts=BEGIN_S + 1),
        Fill(id="2", symbol="E", side="buy", qty=Decimal(1), price=Decimal(100), ts=BEGIN_S + 1),
        prices_kept=kept,
    )
    most = 0
    for at in range(50 * kept):
        price = Decimal(100 + at % 37)
        of.apply(Mark(symbol="L", price=price, ts=BEGIN_S + 2 + at))
        of.apply(Mark(symbol="E", price=price, ts=BEGIN_S + 2 + at))
        of.apply(Fx(ccy="EUR", rate=price, ts=BEGIN_S + 2 + at))
        total = of.worth
        lines = [*total.marks.values(), *total.rates.values()]
        assert total.prices == sum(len(line.keys) for line in lines)
        most = max(most, total.prices, len(total.series.keys))
    assert most < 2 * kept + 50


# --- a closed past --------------------------------------------------------------------------------


@example(
    # A day opened with the worth at a rate, the past was closed then, and the next day has begun.
    events=[
        *(Mark(ts=BEGIN_S, symbol="L", price=Decimal(90)) for _ in range(3)),
        Cancel(ts=BEGIN_S, id="0"),
        Fx(ts=RESET_S - 1, ccy="ETH", rate=Decimal(1)),
        *(Funding(ts=RESET_S, symbol="L", amount=Decimal(0)) for _ in range(2)),
        *(
            Mark(ts=RESET_S + after, symbol="L", price=Decimal(90))
            for after in (1, 23 * HOUR_S, 25 * HOUR_S)
        ),
    ],
    late=[],
    kept=1,
    prices_kept=3,
)
@given(
    events=st.lists(fresh, min_size=10, max_size=80),
    late=st.lists(fresh, max_size=10),
    kept=st.integers(1, 6),
    prices_kept=st.sampled_from([3, 10_000]),
)
@settings(max_examples=100)
def test_the_past_is_closed_and_nothing_changes(
    events: list[AnyEvent], late: list[AnyEvent], kept: int, prices_kept: int
) -> None:
    """Neither by what goes on, nor by what comes late but is no older, nor by folding it again.
    The book has every rate and mark from the beginning, so that a peak and a fall is always known.
    An order that is forgotten is told of no more."""
    begun = (ACCOUNT, SESSION, *HELD)
    few = book(*begun, fills_kept=kept, prices_kept=prices_kept)
    full = book(*begun, prices_kept=prices_kept)
    for event in (*in_order(events), *late):
        closed = few.worth.closed
        horizons = [each for each in (full.worth.horizon, few.worth.horizon) if each is not None]
        oldest = max([place for place in horizons if event in late], default=(0, 0))
        if closed is not None and event.ts * 10**9 <= max(closed.place, oldest)[0]:  # type: ignore[operator]  # seconds
            continue
        whose = getattr(event, "order", event.id if isinstance(event, Order | Cancel) else None)
        if whose in full.orders and whose not in few.orders:
            continue
        full.apply(event)
        few.apply(event)
        assert shown.book(few) == shown.book(full)
        assert worth(few) == again(few)
        assert shown.book(few) == shown.book(full)


@given(events=st.lists(fresh, min_size=10, max_size=60), symbol=symbols, price=prices)
@settings(max_examples=100)
def test_a_snapshot_takes_over_what_is_closed(
    events: list[AnyEvent], symbol: str, price: Decimal
) -> None:
    """Peaks and falls are those of the samples that are left."""
    full, few = book(ACCOUNT, SESSION, *HELD), book(ACCOUNT, SESSION, *HELD, fills_kept=2)
    end = BEGIN_S + 61 * HOUR_S
    taken = Snapshot(symbol=symbol, qty=Decimal(3), avg_price=price, as_of=end, ts=end)
    for event in (*in_order(events), taken, Fx(ccy="EUR", rate=Decimal(3), ts=end - 1)):
        if not isinstance(event, Order | Cancel):
            full.apply(event)
            few.apply(event)
    seen, expected = shown.book(few), shown.book(full)
    for document in (seen, expected):
        for peak in ("peak_equity", "drawdown", "drawdown_pct", "max_drawdown"):
            del document["account"][peak]  # type: ignore[attr-defined]  # it is a document
    assert seen == expected
    assert worth(few) == again(few)


def test_a_walk_goes_on_from_wherever_it_was_closed() -> None:
    kept = STRIDE + 7
    few, full = book(ACCOUNT, SESSION, fills_kept=kept), book(ACCOUNT, SESSION)
    for number in range(9 * STRIDE):
        event = Fill(
            ts=BEGIN_S + 2 * number,
            id=str(number),
            symbol="I",
            side="sell" if number % 3 else "buy",
            qty=Decimal(1 + number % 4),
            price=Decimal(90 + number % 7),
        )
        few.apply(event)
        full.apply(event)
        mine, whole = few.worth.paths["I"], full.worth.paths["I"]
        assert mine.last == whole.last
        assert len(mine.steps) == (mine.offset + len(mine.fills)) // STRIDE
    late = Fill(
        ts=BEGIN_S + 2 * number - 39, id="late", symbol="I", side="buy", qty=Decimal(5),
        price=Decimal(80),
    )  # fmt: skip
    for of in (few, full):
        of.apply(late)
    with exact():
        assert [mine.before(key) for key in mine.keys[1:]] == [
            whole.before(key) for key in mine.keys[1:]
        ]
    assert shown.book(few) == shown.book(full)


# --- orders ---------------------------------------------------------------------------------------


def test_an_open_order_needs_less_than_two_kilobytes() -> None:
    of, count = book(ACCOUNT, Mark(symbol="L", price=Decimal(100))), 1_000
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(count):
            name = f"a-client-order-id-of-usual-length-{number}"
            of.apply(Order(id=name, symbol="L", side="buy", qty=Decimal(number + 1), ts=BEGIN_S))
            of.apply(Timeout(id=name))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / count < 2_048
