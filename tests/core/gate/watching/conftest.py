"""Accounts in which something happens, and rules that look at them, with or without an order."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pytest
from riskd.actors.core import kill_switch
from riskd.actors.core.books import Books
from riskd.actors.core.gate.asked import Identity
from riskd.actors.core.gate.decision import Decided, Knowledge, decide
from riskd.actors.core.gate.looking import Looking, look, look_around
from riskd.actors.core.gate.memory import Executed, Seen
from riskd.actors.core.gate.rule import Around, Found, Subject
from riskd.actors.core.gate.ruleset import Ruleset
from riskd.actors.core.gate.told import rise, told
from riskd.actors.core.gate.view import Moment
from riskd.actors.core.gate.watch import Act, Patience, Trip, watch
from riskd.actors.core.gate.watched import Watched
from riskd.actors.core.halts import Halts, Now
from riskd.actors.core.signal.assessment import Waits
from riskd.actors.core.signal.signals import Signals
from riskd.actors.core.signal.watch import due, turn
from riskd.actors.messages import (
    AccountOpened,
    Booked,
    By,
    DaemonStarted,
    Fact,
    Halt,
    InstrumentListed,
    Listing,
    OrderAsked,
    Recorded,
    SessionClockSet,
)
from riskd.actors.messages.book import AnyEvent, Fill, Mark, Tick
from riskd.config.schema import RiskSignal

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
"""A Wednesday."""
WIDE = RiskSignal()
"""The limits of the risk signal, at their defaults."""


@attrs.define(eq=False)
class World:
    """What is known, and the time. `rules` look at it."""

    books: Books = attrs.field(factory=lambda: Books(ZoneInfo))
    rules: Ruleset = attrs.field(factory=lambda: Ruleset(()))
    memories: dict[str, Any] = attrs.field(factory=dict)
    watched: Watched = attrs.field(factory=Watched)
    patience: Patience = attrs.field(factory=Patience)
    halts: Halts = attrs.field(factory=Halts)
    signals: Signals = attrs.field(factory=Signals)
    waits: Waits = attrs.field(factory=Waits)
    at: datetime = NOON
    monotonic_s: float = 1_000.0
    facts: list[Recorded] = attrs.field(factory=list)
    fills: int = 0
    is_in: bool = False
    """The position that most tests lose by is there."""

    def held_to(self, *rules: Any) -> "World":
        """These are in force from now on."""
        self.rules = Ruleset(rules)
        asked = [one for one in self.rules.judges if one.kind != "fresh_data"]
        self.rules.judges = tuple(asked)  # what a rule itself makes of no mark
        memories = {judge.id: judge.memory() for judge in self.rules.judges}
        self.memories = {one: each for one, each in memories.items() if each is not None}
        look_around(self.at, self.books, self.looking)
        return self

    @property
    def looking(self) -> list[Looking]:
        return [one for one in self.memories.values() if isinstance(one, Looking)]

    def passes(self, seconds: float, *, wall: float | None = None) -> "World":
        """By both clocks; `wall`: by the other one so much."""
        self.monotonic_s += seconds
        self.at += timedelta(seconds=seconds if wall is None else wall)
        return self

    # --- what happens

    def make(self, fact: Fact) -> None:
        recorded = Recorded(
            lsn=len(self.facts) + 1,
            at=self.at,
            monotonic_s=self.monotonic_s,
            fact=fact,  # type: ignore[arg-type]  # every Fact is of AnyFact
        )
        self.facts.append(recorded)
        self.books.apply(recorded)
        self.watched.apply(recorded)
        self.halts.apply(recorded)
        self.signals.apply(recorded)
        seen = told(recorded, self.books)
        if seen is not None:
            self.see(seen)
        rise(recorded, self.books, self.memories)
        look(recorded, self.books, self.looking)

    def see(self, seen: Seen) -> None:
        for judge in self.rules.judges:
            if judge.id in self.memories and judge.scope in seen.scopes:
                self.memories[judge.id].saw(seen)

    def open(self, account: str = "main", currency: str = "USD", balance: int = 1_000) -> "World":
        self.make(
            AccountOpened(
                account=account, currency=currency, balance=Decimal(balance), exchange="sim"
            )
        )
        self.book(Tick(), account=account)
        return self

    def book(self, event: AnyEvent, account: str | None = "main") -> "World":
        stamped = msgspec.structs.replace(event, ts=self.at.isoformat())
        self.make(Booked(account=account, event=stamped))
        return self

    def mark(self, price: Any, symbol: str = "L") -> "World":
        return self.book(Mark(symbol=symbol, price=Decimal(price)), account=None)

    def trade(
        self, qty: Any, price: Any, symbol: str = "L", *, account: str = "main", **more: Any
    ) -> "World":
        """A fill of so many, below 0 sold."""
        self.fills += 1
        side: Any = "buy" if Decimal(qty) > 0 else "sell"
        fill = Fill(
            id=f"f{self.fills}", symbol=symbol, side=side, qty=abs(Decimal(qty)),
            price=Decimal(price), **more,
        )  # fmt: skip
        return self.book(fill, account=account)

    def closed(self, won: Any, order: str | None = None, *, is_closing: bool = True) -> "World":
        """Rules hear of a fill that closed something."""
        scopes = ("all", "account:main", "symbol:L")
        brought = None if won is None else Decimal(won)
        one = Decimal(1)
        self.see(
            Executed(
                self.at, scopes, "main", "L", "sell", one, one, order, None, brought, is_closing,
                "USD",
            )
        )  # fmt: skip
        return self

    # --- who looks

    @property
    def moment(self) -> Moment:
        return Moment(self.at, self.monotonic_s)

    def known(self) -> Knowledge:
        return Knowledge(
            books=self.books, rules=self.rules, memories=self.memories, is_active=True, modes={},
            on_excess="block", raised=self.signals.raised,
        )  # fmt: skip

    def ask(self, side: Any = "buy", qty: Any = 1, symbol: str = "L", **more: Any) -> Decided:
        order = OrderAsked(
            client_order_id="asked", symbol=symbol, side=side, qty=str(qty),
            **{"account": "main", "price": "100", "strategy": "mm", **more},
        )  # fmt: skip
        return decide(order, Identity(), self.known(), self.moment)

    def code(self, side: Any = "buy", qty: Any = 1, symbol: str = "L", **more: Any) -> str:
        """The answer to an order, in a word."""
        return self.ask(side, qty, symbol, **more).verdict.code

    def found(self) -> dict[Subject, Found | None]:
        """What the last of the rules finds, of each subject."""
        judge = self.rules.judges[-1]
        around = Around(self.books, self.moment, self.memories.get(judge.id))
        return dict(judge.survey(around))  # type: ignore[attr-defined]  # rules here have one

    def outcome(self) -> str:
        """Of the only subject there is."""
        (found,) = self.found().values()
        return "pass" if found is None else found.outcome

    def look(self, touched: Iterable[str] | None = None) -> list[Act]:
        """What the watch does; facts are made of it, as it would be live."""
        acts = []
        for act in watch(
            self.known(),
            self.watched,
            None if touched is None else set(touched),
            self.moment,
            session_end=NOON + timedelta(hours=12),
            patience=self.patience,
        ):
            acts.append(act)
            if isinstance(act, Halt | Trip):
                self._stop(act)
            else:
                self.make(act)
        return acts

    def now(self) -> Now:
        return Now("b", self.monotonic_s, self.at)

    def _stop(self, act: Halt | Trip) -> None:
        by, now = By(via="riskd"), self.now()
        if isinstance(act, Trip):
            fact = kill_switch.trip(self.halts.now, act.halt, act.breaker, by=by, now=now)
        else:
            fact = kill_switch.place(self.halts.now, act, by=by, now=now)
        if fact is not None:
            self.make(fact)

    def said(self, touched: Iterable[str] | None = None) -> list[str]:
        """The same, by the names of what it does."""
        return [type(act).__name__ for act in self.look(touched)]

    def turn(
        self, limits: RiskSignal = WIDE, touched: Iterable[str] | None = None
    ) -> dict[str, Any]:
        """What is told of the risk signal, by scope; facts are made of it."""
        names = None if touched is None else set(touched)
        found = {}
        for scope in due(self.books, self.signals, names):
            fact = turn(scope, self.books, self.signals, limits, self.waits, self.monotonic_s)
            if fact is not None:
                self.make(fact)
                found[scope] = fact.signal
        return found

    def restart(self) -> None:
        """Everything that rules and the watch know goes through a dump."""
        dumped = msgspec.json.encode({one: each.dump() for one, each in self.memories.items()})
        state = msgspec.json.encode(self.watched.dump())
        self.watched, self.patience = Watched(), Patience()
        self.watched.load(msgspec.json.decode(state))
        self.halts.load(b"".join(self.halts.dump()))
        self.signals.load(b"".join(self.signals.dump()))
        self.waits = Waits()
        books = Books(ZoneInfo)
        books.load(b"".join(self.books.dump()))
        self.books = books
        self.held_to(*(judge.config for judge in self.rules.judges[2:]))
        for one, each in msgspec.json.decode(dumped).items():
            self.memories[one].load(each)


def listing(symbol: str, **more: Any) -> Listing:
    return Listing(
        symbol=symbol,
        **{"kind": "linear", "multiplier": Decimal(1), "quote": "USD", "settle": "USD", **more},
    )


def worlds(*, is_open: bool = True) -> World:
    world = World()
    world.make(
        DaemonStarted(version="1", process_id=1, boot="b", config_source="", config_digest="")
    )
    for symbol in ("L", "M"):
        world.make(InstrumentListed(listing=listing(symbol)))
    euro = listing("E", quote="EUR", settle="EUR")
    world.make(InstrumentListed(listing=euro))
    world.make(
        msgspec.json.decode(
            b'{"type":"session_clock_set","tz":"UTC","reset":"00:00","week_start":"monday"}',
            type=SessionClockSet,
        )
    )
    return world.open() if is_open else world


@pytest.fixture
def world() -> World:
    """One account, `main`, of 1,000 USD."""
    return worlds()


@pytest.fixture
def make_world() -> Callable[..., World]:
    return worlds
