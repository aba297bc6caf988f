"""What holds whatever happens: the book against an oracle, in any order, told once or often."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from riskd.actors.core.book.numbers import ZERO, exact, shown
from riskd.actors.core.book.sums import Sum, Sums, part

Event = dict[str, Any]
NewLog = Callable[..., Any]  # the class of this fixture lives in conftest.py
Oracle = Callable[[list[Event]], Any]
Disagree = Callable[[Any, Any], list[str]]

HOUR = 3600 * 10**9
DST = int(datetime(2024, 3, 8, 12, tzinfo=UTC).timestamp()) * 10**9
"""Two days before the clocks of New York go forward; Berlin's go in the hours drawn as well."""

INSTRUMENTS: list[Event] = [
    {"type": "instrument", "symbol": "L", "kind": "linear", "multiplier": "2", "quote": "USD",
     "settle": "USD"},
    {"type": "instrument", "symbol": "E", "kind": "linear", "quote": "EUR", "settle": "EUR"},
    {"type": "instrument", "symbol": "I", "kind": "inverse", "multiplier": "100", "quote": "USD",
     "settle": "BTC", "base": "BTC"},
    {"type": "instrument", "symbol": "S", "kind": "spot", "quote": "USD", "settle": "USD",
     "base": "ETH"},
]  # fmt: skip
SYMBOLS = [each["symbol"] for each in INSTRUMENTS]

symbols = st.sampled_from(SYMBOLS)
sides = st.sampled_from(["buy", "sell"])
quantities = st.sampled_from(["1", "2", "3", "0.5", "7"])
prices = st.sampled_from(["1", "3", "10", "12.5", "30"])
amounts = st.sampled_from(["-5", "-0.25", "1", "8"])
fees = st.sampled_from(["0", "0", "0.01", "-0.02", "0.5"])
currencies = st.sampled_from(["USD", "EUR", "BTC", "ETH", "BNB"])
orders = st.sampled_from(["a", "b", "c", "d"])
fill_ids = st.sampled_from([f"f{n}" for n in range(12)])
payment_ids = st.sampled_from([None, None, "p1", "p2"])


def record(kind: str, **fields: Any) -> st.SearchStrategy[Event]:
    """Fields that are drawn as None are left out."""
    return st.fixed_dictionaries({"type": st.just(kind), **fields}).map(
        lambda each: {name: value for name, value in each.items() if value is not None}
    )


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


def of_order(fill: Event) -> Event:
    """Whose fill it is: one of four orders', nobody's, or it says nothing."""
    whose = fill.pop("whose")
    return fill if whose == "unsaid" else {**fill, "order": None if whose == "none" else whose}


whose = st.sampled_from(["unsaid", "unsaid", "none", "a", "b", "c"])
fills = record(
    "fill", id=fill_ids, symbol=symbols, side=sides, qty=quantities, price=prices, fee=fees,
    fee_ccy=maybe(currencies), whose=whose,
).map(of_order)  # fmt: skip
prices_and_cash = st.one_of(
    record("mark", symbol=symbols, price=prices),
    record("fx", ccy=currencies, rate=prices),
    record("mark", symbol=symbols, price=prices),
    record("funding", symbol=symbols, amount=amounts, id=payment_ids),
    record("transfer", ccy=currencies, amount=amounts, id=payment_ids),
)
working = st.one_of(
    record("order", id=orders, symbol=symbols, side=sides, qty=quantities,
           reduce_only=maybe(st.just(value=True)), filled=maybe(st.sampled_from(["0.5", "2"]))),
    record("amend_request", id=orders, qty=quantities),
    record("amend", id=orders, qty=quantities),
    record("amend_reject", id=orders, qty=quantities),
    st.builds(lambda kind, order: {"type": kind, "id": order},
              st.sampled_from(["cancel_request", "timeout", "cancel", "reject", "expire"]), orders),
)  # fmt: skip
said_later = st.one_of(
    record("bust", id=fill_ids, symbol=symbols, whose=whose).map(of_order),
    record("correct", id=fill_ids, symbol=symbols, qty=maybe(quantities), price=maybe(prices),
           fee=maybe(fees), whose=whose).map(of_order),
    st.builds(
        lambda symbol, qty, price, hour: {
            "type": "snapshot", "symbol": symbol, "qty": qty, "avg_price": price,
            "as_of": DST + hour * HOUR + HOUR // 2,
        },
        symbols, st.sampled_from(["0", "2", "-3"]), prices, st.integers(0, 30),
    ),
)  # fmt: skip
happenings = st.one_of(fills, fills, fills, prices_and_cash, prices_and_cash, working, said_later)
accounts = record("account", ccy=st.sampled_from(["USD", "EUR"]), balance=amounts)
clocks = record(
    "session",
    tz=st.sampled_from(["America/New_York", "Europe/Berlin", "Asia/Kolkata"]),
    reset=st.sampled_from(["00:00", "02:30", "17:00"]),
    week_start=st.sampled_from(["sunday", "monday", "thursday"]),
)


CHANGES = {"amend_request", "amend", "amend_reject"}


def happens_again(event: Event) -> bool:
    """Told twice, it happened twice: a payment without an id, and a change of an order. Of a change
    that may be no repetition the larger quantity counts, whatever was answered to the other."""
    return event["type"] in CHANGES or (
        event["type"] in {"funding", "transfer"} and "id" not in event
    )


@st.composite
def logs(draw: st.DrawFn, *, distinct: bool, most: int = 30) -> list[Event]:
    """Instruments, and then anything, as it arrives. Ids of fills and payments are drawn from few,
    so that some are repeated; what such a one says then is what it said before, for a property of
    its own tells of conflicts."""
    events = draw(st.lists(happenings, max_size=most))
    events += draw(st.lists(fills, max_size=8))
    events += draw(st.lists(accounts, min_size=0, max_size=1))
    events += draw(st.lists(clocks, min_size=0, max_size=1))
    events = draw(st.permutations(events))
    hours = draw(
        st.lists(
            st.integers(0, 40 * 24) if draw(st.booleans()) else st.integers(0, 60),
            min_size=len(events), max_size=len(events), unique=distinct,
        )
    )  # fmt: skip
    told: dict[Any, Event] = {}
    timed = []
    for event, hour in zip(events, hours, strict=True):
        at = {**event, "ts": DST + hour * HOUR}
        if event["type"] == "fill":
            at = told.setdefault((event["symbol"], event.get("order", ""), event["id"]), at)
        elif event["type"] in {"funding", "transfer"} and "id" in event:
            at = told.setdefault(
                (event["type"], event.get("symbol", event.get("ccy")), event["id"]), at
            )
        if not distinct and draw(st.integers(0, 5)) == 0:
            at = {name: value for name, value in at.items() if name != "ts"}
        timed.append(at)
    return [*INSTRUMENTS, *timed]


unhurried = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@unhurried
@given(logs(distinct=False))
def test_the_book_agrees_with_an_oracle(
    new_log: NewLog, oracle: Oracle, disagree: Disagree, events: list[Event]
) -> None:
    assert disagree(new_log(*events).document, oracle(events)) == []


@unhurried
@given(logs(distinct=True), st.data())
def test_any_order_of_delivery_and_any_repetition_give_the_same_book(
    new_log: NewLog, events: list[Event], data: st.DataObject
) -> None:
    told = events[len(INSTRUMENTS) :]
    again = [event for event in told if not happens_again(event)]
    more = data.draw(st.lists(st.sampled_from(again), max_size=8)) if again else []
    delivered = data.draw(st.permutations(told + more))
    ordered = sorted(told, key=lambda event: event["ts"])
    assert new_log(*INSTRUMENTS, *delivered).document == new_log(*INSTRUMENTS, *ordered).document


@settings(unhurried, max_examples=60)
@given(logs(distinct=True, most=16))
def test_after_each_event_the_book_is_what_the_log_gives(
    new_log: NewLog, events: list[Event]
) -> None:
    grown, told = new_log(*INSTRUMENTS), list[Event]()
    for event in events[len(INSTRUMENTS) :]:
        told.append(event)
        grown.tell_all([event])
        ordered = sorted(told, key=lambda each: each["ts"])
        assert grown.document == new_log(*INSTRUMENTS, *ordered).document


@unhurried
@given(logs(distinct=False), st.sampled_from([None, 1, 3]))
def test_folding_all_of_it_again_changes_nothing(
    new_log: NewLog, events: list[Event], fills_kept: int | None
) -> None:
    log = new_log(*events, fills_kept=fills_kept)
    document = log.document
    if log.book.worth.reporting is not None:
        with exact():
            log.book.worth.again()
            log.book.sessions.again()
        assert log.document == document


@unhurried
@given(logs(distinct=False))
def test_whatever_an_event_raises_is_among_the_flags_about_it(
    new_log: NewLog, events: list[Event]
) -> None:
    log = new_log(*INSTRUMENTS)
    for said in events[len(INSTRUMENTS) :]:
        event = log.event(said)
        before, about = set(log.book.flags()), log.book.flags_about(event)
        log.book.apply(event)
        after, now = set(log.book.flags()), log.book.flags_about(event)
        assert about <= before
        assert after - before <= now - about <= after


@unhurried
@given(logs(distinct=False), st.integers(0, 40 * 24))
def test_a_period_that_is_over_has_brought_what_it_had_brought_at_its_end(
    new_log: NewLog, events: list[Event], hour: int
) -> None:
    """Whatever comes behind it, as long as nothing comes late and the account has begun."""
    end, first = DST + hour * HOUR, ("instrument", "session", "account")
    before = [{name: e[name] for name in e if name != "ts"} for e in events if e["type"] in first]
    timed = (e for e in events if "ts" in e and e["type"] not in first)
    # A position that is told behind it, and was held before, comes late; one that is told before
    # it, and is held behind, early.
    in_time = (e for e in timed if (e.get("as_of", e["ts"]) < end) == (e["ts"] < end))
    ordered = sorted(in_time, key=lambda event: event["ts"])
    early = new_log(*before, *(e for e in ordered if e["ts"] < end))
    book = new_log(*before, *ordered).book
    sessions = early.book.sessions
    for period in (sessions.day, sessions.week):
        if period is not None:
            with exact():
                wanted = sessions.realised(period), sessions.made(period)
                assert book.sessions.over(period.begin[0], end) == wanted


@unhurried
@given(logs(distinct=False))
def test_open_orders_are_counted_and_weighed_as_they_are_one_by_one(
    new_log: NewLog, events: list[Event]
) -> None:
    book = new_log(*events).book
    loaded = new_log().book
    loaded.load(b"".join(book.dump()))
    exposures = book.exposures
    unpriced, worth = 0, Decimal(0)
    for symbol in SYMBOLS:
        left = [
            order.remaining
            for order in book.orders.values()
            if order.remaining and order.begun.symbol == symbol
        ]
        each = exposures.each(symbol)
        assert exposures.working_in(symbol) == len(left)
        if book.worth.reporting is not None:
            unpriced += bool(left) and each is None
            worth += sum(left) * abs(each or Decimal(0))
            one = sum(left) * abs(each) if left and each is not None else None if left else 0
            assert exposures.open_worth(symbol) == one
        assert loaded.exposures.working_in(symbol) == len(left)
        assert loaded.exposures.open_worth(symbol) == exposures.open_worth(symbol)
    assert exposures.sums.orders == sum(bool(order.remaining) for order in book.orders.values())
    assert exposures.open_worth() == (None if unpriced else worth)
    assert loaded.exposures.sums.orders == exposures.sums.orders
    assert loaded.exposures.open_worth() == exposures.open_worth()


@unhurried
@given(st.lists(st.one_of(working, fills), max_size=25), fills)
def test_no_fill_makes_the_worst_of_its_own_side_less_nor_of_the_other_by_more_than_its_size(
    new_log: NewLog, events: list[Event], fill: Event
) -> None:
    """Whichever order it names, and whatever that has left."""
    log = new_log(*INSTRUMENTS, *events)
    log.mark("1", fill["symbol"])
    before = log.position(fill["symbol"])
    log.tell_all([fill])
    after = log.position(fill["symbol"])
    is_buy, qty = fill["side"] == "buy", Decimal(fill["qty"]) + abs(Decimal(fill["fee"]))
    for side, sign in (("worst_long", 1), ("worst_short", -1)):
        grown = (Decimal(after[side]) - Decimal(before[side])) * sign
        is_own = is_buy == (sign > 0)
        assert grown >= (-abs(Decimal(fill["fee"])) if is_own else -qty)


trades = st.lists(st.tuples(sides, quantities, prices), min_size=1, max_size=12)


def total(log: Any, symbol: str) -> Fraction:
    """Realised and unrealised together."""
    position = log.position(symbol)
    return Fraction(position["realized_pnl"]) + Fraction(position["unrealized_pnl"])


@given(trades, prices, st.sampled_from(["L", "E", "S"]))
def test_linear_gains_are_what_was_paid_and_what_it_is_worth(
    new_log: NewLog, fills: list[tuple[str, str, str]], mark: str, symbol: str
) -> None:
    log = new_log(*INSTRUMENTS)
    paid = held = Fraction(0)
    for at, (side, qty, price) in enumerate(fills):
        log.tell("fill", id=str(at), symbol=symbol, side=side, qty=qty, price=price)
        signed = Fraction(qty) if side == "buy" else -Fraction(qty)
        paid, held = paid - signed * Fraction(price), held + signed
    log.mark(mark, symbol)
    expected = (2 if symbol == "L" else 1) * (paid + held * Fraction(mark))
    assert abs(total(log, symbol) - expected) < Fraction(1, 10**20)


@given(trades, prices)
def test_inverse_gains_are_what_was_paid_and_what_it_is_worth(
    new_log: NewLog, fills: list[tuple[str, str, str]], mark: str
) -> None:
    log = new_log(*INSTRUMENTS)
    paid = held = Fraction(0)
    for at, (side, qty, price) in enumerate(fills):
        log.tell("fill", id=str(at), symbol="I", side=side, qty=qty, price=price)
        signed = Fraction(qty) if side == "buy" else -Fraction(qty)
        paid, held = paid + signed / Fraction(price), held + signed
    log.mark(mark, "I")
    assert abs(total(log, "I") - 100 * (paid - held / Fraction(mark))) < Fraction(1, 10**20)


@given(logs(distinct=False))
def test_nothing_is_owned_without_an_average_and_nothing_else_has_one(
    new_log: NewLog, events: list[Event]
) -> None:
    for position in new_log(*events).positions.values():
        assert (position["qty"] == "0") == (position["avg_price"] is None)
        assert Decimal(position["worst_short"]) <= Decimal(position["qty"])
        assert Decimal(position["qty"]) <= Decimal(position["worst_long"])


@unhurried
@given(logs(distinct=False), symbols, sides, quantities, st.booleans())
def test_an_order_is_judged_as_the_book_has_it_once_it_is_added(
    new_log: NewLog, events: list[Event], symbol: str, side: str, qty: str, reduce_only: bool
) -> None:
    log = new_log(*events)
    path = log.book.worth.paths.get(symbol)
    assume(path is not None)
    before = log.document
    judged = log.book.exposures.judge(path, side, Decimal(qty), reduce_only=reduce_only)
    assert log.document == before, "to ask changes nothing"
    log.order("new", side, qty, symbol, reduce_only=reduce_only)
    position = log.position(symbol)
    assert str(judged.worst_long.normalize()) == str(Decimal(position["worst_long"]).normalize())
    assert str(judged.worst_short.normalize()) == str(Decimal(position["worst_short"]).normalize())
    if "account" in before:
        shown = log.worth["worst_gross_notional"]
        assert (judged.worst_gross is None) == (shown is None)
        assert shown is None or abs(Decimal(shown) - judged.worst_gross) < Decimal("1e-15")


# --- put away, and taken out again ----------------------------------------------------------------

contradictions = st.lists(
    st.builds(lambda fill, hour: {**fill, "ts": DST + hour * HOUR}, fills, st.integers(0, 60)),
    max_size=5,
)
"""Fills that may be told with another side, quantity or price than before."""


def state(log: Any) -> bytes:
    return b"".join(log.book.dump())


def judged(log: Any) -> list[Any]:
    """What the gate would be told, of each instrument."""
    return [
        log.book.exposures.judge(path, side, Decimal(3), reduce_only=reduce_only)
        for path in log.book.worth.paths.values()
        for side in ("buy", "sell")
        for reduce_only in (False, True)
    ]


@settings(unhurried, max_examples=300)
@given(logs(distinct=False), contradictions, st.data())
def test_a_book_that_was_put_away_goes_on_as_if_it_had_never_been(
    new_log: NewLog, events: list[Event], more: list[Event], data: st.DataObject
) -> None:
    limits = {
        "prices_kept": data.draw(st.sampled_from([1, 3, 10_000])),
        "fills_kept": data.draw(st.sampled_from([None, 1, 2, 5])),
    }
    told = [*INSTRUMENTS, *data.draw(st.permutations([*events[len(INSTRUMENTS) :], *more]))]
    cut = data.draw(st.integers(0, len(told)))
    never, before = new_log(*told[:cut], **limits), new_log(*told[:cut], **limits)
    put_away = state(before)
    loaded = new_log(**limits)
    loaded.book.load(put_away)
    assert state(loaded) == put_away
    for event in told[cut:]:
        assert (loaded.document, judged(loaded)) == (never.document, judged(never))
        never.tell_all([event])
        loaded.tell_all([event])
    assert (loaded.document, judged(loaded)) == (never.document, judged(never))
    assert state(loaded) == state(never), "what can not be seen is the same as well"


@unhurried
@given(logs(distinct=False), logs(distinct=False))
def test_a_dump_is_of_the_moment_in_which_it_was_asked_for(
    new_log: NewLog, events: list[Event], later: list[Event]
) -> None:
    log = new_log(*events)
    expected, pieces = state(log), log.book.dump()
    log.tell_all(later)
    assert b"".join(pieces) == expected


# --- with a past that is closed -------------------------------------------------------------------


def is_of_the_past(event: Event, full: Any, few: Any) -> bool:
    """Does it come from before the closed place, or is it about what is no longer known?"""
    closed = few.worth.closed
    told_at = [event[field] for field in ("ts", "as_of") if field in event]
    if closed is not None and any(at <= closed.place[0] for at in told_at):
        return True
    if event.get("order", event["id"] if event["type"] in ORDERS else None) in forgotten(full, few):
        return True
    if event["type"] not in ("fill", "bust", "correct") or event["symbol"] not in few.worth.paths:
        return False
    name = event["symbol"], event["id"]
    known = [len(book.worth.paths[name[0]].all_of(name[1])) for book in (full, few)]
    return known[0] > known[1] or len(full.told.get(name, ())) > len(few.told.get(name, ()))


def forgotten(full: Any, few: Any) -> set[str]:
    return set(full.orders) - set(few.orders)


ORDERS = {"order", "amend_request", "amend", "amend_reject", "cancel_request", "timeout", "cancel",
          "reject", "expire"}  # fmt: skip

PEAKS = ("peak_equity", "drawdown", "drawdown_pct", "max_drawdown")
PERIODS = ("session_realized", "session_pnl", "week_realized", "week_pnl")


def comparable(document: Any, *, lacks: set[str]) -> Any:
    """Without what a closed past may leave open."""
    flags = [flag for flag in document["flags"] if not flag.startswith("too_old:")]
    account = {name: each for name, each in document["account"].items() if name not in lacks}
    return {**document, "flags": flags, "account": account}


@settings(unhurried, max_examples=300)
@given(logs(distinct=False), accounts, st.data())
def test_closing_the_past_changes_nothing_as_long_as_nothing_older_comes(
    new_log: NewLog, events: list[Event], account: Event, data: st.DataObject
) -> None:
    """Neither here, nor in what a book that was put away makes of it. After a snapshot old peaks
    are those of the samples that are left, also where prices were let go; after another clock is
    set, its periods are unknown."""
    limits = {"fills_kept": data.draw(st.integers(1, 4))}
    limits["prices_kept"] = data.draw(st.sampled_from([2, 10_000]))
    began = [*INSTRUMENTS, {**account, "ts": DST - HOUR}]
    full, few = new_log(*began), new_log(*began, **limits)
    told = events[len(INSTRUMENTS) :]
    delays = data.draw(st.lists(st.sampled_from([0, 0, 0, 5 * HOUR]), min_size=len(told)))
    lacks = set[str]()
    for _, _, event in sorted(
        (event.get("ts", DST + 30 * HOUR) + delay, at, event)
        for at, (event, delay) in enumerate(zip(told, delays, strict=False))
    ):
        if is_of_the_past(event, full.book, few.book):
            continue
        worth = few.book.worth
        if worth.closed is not None or worth.horizon is not None:
            lacks |= {"snapshot": set(PEAKS), "session": set(PERIODS)}.get(event["type"], set())
        for log in (full, few):
            log.tell_all([event])
        assert comparable(few.document, lacks=lacks) == comparable(full.document, lacks=lacks)
        assert judged(few) == judged(full)


# --- what is kept up beside the book


def added_up(log: Any) -> dict[str, Sum]:
    """By a look at every position."""
    found: dict[str, Sum] = {}
    with exact():
        for path in log.book.worth.paths.values():
            one = part(log.book, path)
            found.setdefault(one.settle, Sum()).settle(one, 1)
            for ccy, fee in one.fees:
                found.setdefault(ccy, Sum()).charge(fee, 1)
    return found


def written(of: dict[str, Sum]) -> dict[str, tuple[str | None, ...]]:
    """As it is shown: what is left of a division is in the fiftieth digit."""
    return {
        ccy: tuple(map(shown, (one.realised, one.funding, one.net, one.unrealised, one.fees)))
        for ccy, one in of.items()
    }


@settings(unhurried, max_examples=300)
@given(logs(distinct=False), st.data())
def test_sums_are_what_positions_add_up_to_however_seldom_one_looks(
    new_log: NewLog, events: list[Event], data: st.DataObject
) -> None:
    log = new_log(*INSTRUMENTS)
    sums = Sums(log.book)
    for event in events:
        log.tell_all([event])
        if data.draw(st.booleans()):
            sums.catch_up(data.draw(st.integers(0, 3)))
    while sums.behind:
        sums.catch_up(1)
    assert written(sums.by_currency()) == written(added_up(log))


@unhurried
@given(st.lists(st.one_of(working, working, fills), min_size=10, max_size=40))
def test_the_working_orders_are_those_of_which_something_remains(
    new_log: NewLog, events: list[Event]
) -> None:
    book = new_log(*INSTRUMENTS, *events).book
    left = {order_id: order for order_id, order in book.orders.items() if order.remaining > ZERO}
    assert book.exposures.working == left


@unhurried
@given(logs(distinct=False))
def test_a_book_that_was_put_away_has_the_same_orders_and_sums(
    new_log: NewLog, events: list[Event]
) -> None:
    never, loaded = new_log(*INSTRUMENTS, *events), new_log()
    loaded.book.load(state(never))
    sums = Sums(loaded.book)
    sums.catch_up(sums.behind)
    assert written(sums.by_currency()) == written(added_up(never))
    working, expected = loaded.book.exposures.working, never.book.exposures.working
    assert working.keys() == expected.keys()
    assert [working[each].state for each in expected] == [
        order.state for order in expected.values()
    ]


@unhurried
@given(logs(distinct=False))
def test_the_sums_over_symbols_are_those_of_an_oracle(
    new_log: NewLog, oracle: Oracle, events: list[Event]
) -> None:
    log = new_log(*events)
    assume(log.book.worth.reporting is not None)
    sides = [
        (position["worst_long"], position["worst_short"])
        for position in oracle(events)["positions"].values()
    ]
    gross = [max(long, -short) for long, short in sides]
    exposures = log.book.exposures
    assert exposures.sums.open_count == sum(map(bool, gross))
    assert [Fraction(each) for each in exposures.contracts()] == [
        sum(gross), sum(long for long, _ in sides), sum(short for _, short in sides)
    ]  # fmt: skip
    total = exposures.total()
    if total.worst is not None:
        worth = [
            (exposures.each(symbol) or 0, *log.book.exposures.contracts_of(symbol)[1:])
            for symbol in log.positions
        ]
        assert total.high == sum(max(long * each, short * each) for each, long, short in worth)
        assert total.low == sum(min(long * each, short * each) for each, long, short in worth)
