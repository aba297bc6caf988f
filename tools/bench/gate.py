"""What asking the gate costs: the decision by itself, and over the socket with its fact written.

The peer of a round trip is a bare Trio server in another process that sends the same bytes and
reads nothing. A decision has no peer but itself, beside a book with nothing in it: what an order
costs must not depend on how many there are.
"""

import contextlib
import os
import selectors
import socket
import time
from collections.abc import Callable, Iterator
from ctypes import c_ulonglong
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from itertools import count, cycle
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo

import msgspec

from ...actors.core.books import Books
from ...actors.core.gate.answers import Answers
from ...actors.core.gate.asked import Identity
from ...actors.core.gate.decision import Knowledge, decide
from ...actors.core.gate.ruleset import Ruleset
from ...actors.core.gate.view import Moment
from ...actors.messages import (
    AccountOpened,
    Booked,
    Check,
    Decision,
    Fact,
    InstrumentListed,
    Listing,
    OrderAsked,
    OrderDecided,
    Recorded,
    SessionClockSet,
    Verdict,
)
from ...actors.messages.book import Mark, Tick
from ...config.schema import rules
from .echo import bare_server
from .processes import CHUNK_BYTES, Broken, Daemon, connected, exchange, neighbour, placed
from .results import MS, US, Promise, Result, at_least, in_turn, latency, rate, timed

DECISION_US_MAX = 20.0
RATIO_MAX = 2.0
CHECKS_MIN = 30_000
P99_MS_MAX = 2.0
FLOOD_RATIO_MAX = 3.0
FLAT = 1.1
"""A decision costs at most this much more with many orders and symbols than with none."""
MANY = 10_000
QUESTIONS = 100
"""That make a sample: enough that the benchmark's own clock costs nothing."""
BATCH = 250
"""Lines at once. Their replies fit in a socket's buffer, so that neither side waits for room."""
WORKERS = 200
PER_S = 100
"""Checks of one worker in a second."""
ROUNDS = 5
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
CONFIG = """
[control]
max_clients = 512
[journal]
snapshot_facts = 10_000_000
[accounts.main]
balance = "1000000000000"
exchange = "sim"
[[instruments]]
symbol = "BTCUSDT"
quote = "USD"
tick = "0.1"
lot = "0.001"
[[rules]]
kind = "fresh_data"
max_mark_age_s = 86400
"""
"""So rich that no limit of its profile is near, with one mark for all of it."""
MARK = b'{"type":"mark","symbol":"BTCUSDT","price":"50000"}\n'
SCOPES = ("all", "account:main", "exchange:sim", "strategy:mm", "symbol:S0", "worker:w")
RULES: tuple[rules.AnyRule, ...] = (
    *(rules.MaxOrderQty(scope=scope, max_qty=Decimal(1_000)) for scope in SCOPES[:4]),
    *(rules.MaxOrderNotional(scope=scope, max_notional=Decimal(10**6)) for scope in SCOPES[:4]),
    *(rules.MaxPosition(scope=scope, max_qty=Decimal(10**5)) for scope in SCOPES[:5]),
    *(rules.DailyLoss(scope=scope, max_loss=Decimal(2_000)) for scope in SCOPES[:4]),
)
"""Beside the three that are always in force."""


def measure(n: int, *, many: int = MANY, workers: int = WORKERS) -> list[Result]:
    results = _decided(max(1, n // 10), many)
    with placed() as daemon:
        daemon.start(CONFIG)
        daemon.wait_answering()
        lines = (_line(number) for number in count())
        results += _asked(n, daemon, lines)
        results.append(_together(n, daemon, lines, workers))
        results.append(_flooded(n, daemon, lines))
        daemon.stop()
    return results


# --- the decision ---------------------------------------------------------------------------------


def _decided(n: int, many: int) -> list[Result]:
    """Of an order that every rule passes."""
    bare, crowded, wide = _deciding(0, 1), _deciding(many, 1), _deciding(many, many)
    found = []
    for name, ask in (("1 symbol", crowded), (f"{many:,} symbols", wide)):
        mine, alone = in_turn(n, ask, bare)
        figure, one = latency(mine, US), latency(alone, US)
        found.append(
            Result(
                name=f"a decision by 20 rules beside {many:,} orders in {name}",
                n=n * QUESTIONS,
                figure=figure,
                peer_name="no orders, 1 symbol",
                peer=one,
                promise=Promise(
                    f"at most {FLAT:g} times, and {DECISION_US_MAX:g} {figure.unit}",
                    figure.value <= min(FLAT * one.value, DECISION_US_MAX),
                ),
            )
        )
    return found


def _deciding(orders: int, symbols: int) -> Callable[[], float]:
    known = Knowledge(
        books=_books(orders, symbols),
        rules=Ruleset(RULES),
        memories={},
        is_active=True,
        modes={},
        on_excess="block",
        answers=Answers(),
    )
    order = OrderAsked(
        client_order_id="asked",
        account="main",
        symbol="S0",
        side="buy",
        qty="0.5",
        price="100",
        order_type="limit",
        exchange="sim",
        strategy="mm",
        leverage="2",
    )
    who, moment = Identity("w", "main", "mm"), Moment(AT, 1.0)
    if len(known.rules.judges) != len(RULES) + 3:
        raise Broken("there are other rules than were asked for")
    if (verdict := decide(order, who, known, moment).verdict).decision != "allow":
        raise Broken(f"the order does not pass: {verdict}")

    def ask() -> None:
        for _ in range(QUESTIONS):
            decide(order, who, known, moment)

    sample = timed(ask)
    return lambda: sample() / QUESTIONS


def _books(orders: int, symbols: int) -> Books:
    books, numbers = Books(ZoneInfo), count(1)

    def make(fact: Fact) -> None:
        books.apply(Recorded(lsn=next(numbers), at=AT, monotonic_s=1.0, fact=fact))  # type: ignore[arg-type]  # every Fact is of AnyFact

    make(AccountOpened(account="main", currency="USD", balance=Decimal(10**6), exchange="sim"))
    make(SessionClockSet(tz="UTC", reset="00:00", week_start="monday"))
    make(Booked(account="main", event=Tick(ts=AT.isoformat())))
    for number in range(symbols):
        listing = Listing(
            symbol=f"S{number}",
            kind="linear",
            multiplier=Decimal(1),
            quote="USD",
            settle="USD",
            tick=Decimal("0.1"),
            lot=Decimal("0.001"),
        )
        make(InstrumentListed(listing=listing))
        make(Booked(account="main", event=Mark(symbol=f"S{number}", price=Decimal(100))))
    for number in range(orders):
        order = OrderAsked(
            client_order_id=str(number),
            account="main",
            symbol=f"S{number % symbols}",
            side="buy",
            qty="0.001",
        )
        verdict = Verdict(decision="allow", qty=Decimal("0.001"), code="ok")
        make(OrderDecided(order=order, at=AT, monotonic_s=1.0, verdict=verdict))
    return books


# --- over the socket ------------------------------------------------------------------------------


def _line(number: int, who: str = "a") -> bytes:
    order = OrderAsked(
        client_order_id=f"{who}-{number:09}",
        account="main",
        exchange="sim",
        symbol="BTCUSDT",
        side="sell" if number % 2 else "buy",
        qty="0.5",
        price="50000",
        order_type="limit",
        strategy="mm",
        leverage="2",
    )
    return msgspec.json.encode(Check(id=number, order=order)) + b"\n"


def _asked(n: int, daemon: Daemon, lines: Iterator[bytes]) -> list[Result]:
    """One at a time, and many at once."""
    with connected(daemon.socket) as ours:
        exchange(ours, MARK)
        reply = exchange(ours, next(lines))
        if (answer := msgspec.json.decode(reply, type=Decision)).decision != "allow":
            raise Broken(f"the order does not pass: {answer}")
        with bare_server(reply) as path, connected(path) as theirs:
            one, bare = in_turn(n, _asking(ours, lines), _asking(theirs, lines))
            batches = [_asking(each, lines, BATCH) for each in (ours, theirs)]
            many, bare_many = in_turn(max(1, n // 20), *batches)
    figure, peer, per_s = latency(one, US), latency(bare, US), rate(many, BATCH)
    kept = figure.value <= RATIO_MAX * peer.value
    return [
        Result(
            name="a check over the socket",
            n=n,
            figure=figure,
            peer_name="bare Trio server",
            peer=peer,
            promise=Promise(f"at most {RATIO_MAX:g} times", kept),
        ),
        Result(
            name=f"checks, {BATCH} at once",
            n=len(many),
            figure=per_s,
            peer_name="bare Trio server",
            peer=rate(bare_many, BATCH),
            promise=at_least(CHECKS_MIN, per_s),
        ),
    ]


def _asking(
    connection: socket.socket, lines: Iterator[bytes], replies: int = 1
) -> Callable[[], float]:
    def sample() -> float:
        said = b"".join(next(lines) for _ in range(replies))
        began_s = time.perf_counter()
        exchange(connection, said, replies)
        return time.perf_counter() - began_s

    return sample


# --- beside others --------------------------------------------------------------------------------


def _together(n: int, daemon: Daemon, lines: Iterator[bytes], workers: int) -> Result:
    with neighbour(pace, daemon.socket, workers - 1, PER_S) as answered:
        samples, per_s = _paced(n, daemon, lines, answered)
    figure = latency(samples, MS)
    assert figure.p99 is not None, "made of samples"
    return Result(
        name=f"a check beside {workers} workers",
        n=len(samples),
        figure=figure,
        promise=Promise(f"p99 at most {P99_MS_MAX:g} {figure.unit}", figure.p99 <= P99_MS_MAX),
        note=f"{PER_S} a second each; {per_s:,.0f} of others were answered in a second",
    )


def _flooded(n: int, daemon: Daemon, lines: Iterator[bytes]) -> Result:
    """Quiet and flooded by turns."""
    quiet: list[float] = []
    flooded: list[float] = []
    per_s = 0.0
    for _ in range(ROUNDS):
        quiet += _paced(n // ROUNDS, daemon, lines, None)[0]
        with neighbour(flood, daemon.socket) as answered:
            samples, per_s = _paced(n // ROUNDS, daemon, lines, answered)
            flooded += samples
    figure, peer = latency(flooded, MS), latency(quiet, MS)
    assert figure.p99 is not None, "made of samples"
    assert peer.p99 is not None, "made of samples"
    kept = figure.p99 <= FLOOD_RATIO_MAX * peer.p99
    return Result(
        name="a check beside one that never stops asking",
        n=len(flooded),
        figure=figure,
        peer_name="quiet",
        peer=peer,
        promise=Promise(f"p99 at most {FLOOD_RATIO_MAX:g} times", kept),
        note=f"{per_s:,.0f} of the other's were answered in a second",
    )


def _paced(
    n: int, daemon: Daemon, lines: Iterator[bytes], answered: c_ulonglong | None
) -> tuple[list[float], float]:
    """A worker's checks, so many in a second; and how many of others were answered meanwhile."""
    samples: list[float] = []
    with connected(daemon.socket) as connection:
        ask = _asking(connection, lines)
        began_s, before = time.perf_counter(), 0 if answered is None else answered.value
        for number in range(max(n, 1)):
            time.sleep(max(0.0, began_s + number / PER_S / 4 - time.perf_counter()))
            samples.append(ask())
        took_s = time.perf_counter() - began_s
    return samples, 0.0 if answered is None else (answered.value - before) / took_s


def pace(answered: c_ulonglong, path: Path, workers: int, per_s: int) -> None:
    """So many workers, each with so many checks in a second, one after another."""
    with contextlib.ExitStack() as held, selectors.DefaultSelector() as readable:
        places = [held.enter_context(connected(path)) for _ in range(workers)]
        for place in places:
            readable.register(place, selectors.EVENT_READ)
        began_s, who = time.perf_counter(), f"pace-{os.getpid()}"
        for asked, place in enumerate(cycle(places)):
            due_s = began_s + asked / (workers * per_s) - time.perf_counter()
            place.sendall(_line(asked, who))
            for key, _ in readable.select(max(due_s, 0)):
                other = cast("socket.socket", key.fileobj)
                answered.value += other.recv(CHUNK_BYTES).count(b"\n")


def flood(answered: c_ulonglong, path: Path) -> None:
    """One that has always asked more than is answered."""
    with connected(path) as place:
        lines = partial(_line, who=f"flood-{os.getpid()}")
        for first in count(0, BATCH):
            said = b"".join(lines(first + number) for number in range(BATCH))
            exchange(place, said, BATCH)
            answered.value += BATCH
