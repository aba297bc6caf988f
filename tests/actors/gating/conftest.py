"""A desk: the gate and its books over a history in memory, and callers who ask."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest
from riskd.actors.core.books import Books
from riskd.actors.core.gate.answers import Answers
from riskd.actors.core.gate.asked import Identity
from riskd.actors.core.gate.ruleset import Ruleset
from riskd.actors.core.halts import Halts
from riskd.actors.core.overrides import Overrides
from riskd.actors.core.position_keeper import booked
from riskd.actors.gate import Gate
from riskd.actors.messages import (
    AccountOpened,
    Booked,
    DaemonStarted,
    Decision,
    Fact,
    InstrumentListed,
    Listing,
    OrderAsked,
    Recorded,
    Reply,
    Reported,
    ReportEvents,
    SessionClockSet,
)
from riskd.actors.messages.book import AnyEvent, Mark, Tick
from riskd.actors.orders import Orders
from riskd.actors.ports import NotRecorded
from riskd.config.schema import rules as schema

START = datetime(2026, 11, 21, 12, tzinfo=UTC)


@attrs.define
class Limits:
    rules: Ruleset | None
    memories: Mapping[str, Any] = attrs.field(factory=dict)
    on_excess: Any = "block"
    on_excess_of: Any = attrs.field(factory=dict)


class Clock:
    def __init__(self) -> None:
        self.passed_s = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.passed_s)

    def monotonic_s(self) -> float:
        return 100.0 + self.passed_s

    def boot(self) -> str:
        return "boot"


class Desk:
    """Accounts `main` and `other`, at 100 the symbol X. Facts are kept, so that another desk can be
    made of them."""

    def __init__(self, rules: Sequence[schema.AnyRule] = (), facts: Sequence[Fact] = ()) -> None:
        self.books, self.halts, self.answers = Books(ZoneInfo), Halts(), Answers()
        self.overrides = Overrides()
        self.clock = Clock()
        self.limits = Limits(Ruleset(rules))
        self.facts: list[Fact] = []
        self.failure: str | None = None
        self.doubt: str | None = None
        self.is_serving = self.keeps_positions = True
        self.workers = {
            "mm-1": Identity("mm-1", "main", None),
            "mm-2": Identity("mm-2", "main"),
            "of-none": Identity("of-none"),
        }
        self.gate = Gate(
            books=self.books,
            halts=self.halts,
            answers=self.answers,
            overrides=self.overrides,
            raised={},
            limits=self.limits,
            commit=self.commit,
            clock=self.clock,
            doubt=lambda: self.failure or self.doubt,
            has_failed=lambda: self.failure is not None,
            serves=lambda: self.is_serving,
            keeps_positions=lambda: self.keeps_positions,
            ticket_s=lambda: 2.0,
            lsn=lambda: len(self.facts),
        )
        self.orders = Orders(
            gate=self.gate,
            report=self.report,
            settle=self.settle,
            waits=False,
            identity=self.workers.get,
        )
        self.settled: list[int] = []
        self.commit(*(facts or self._beginning()))

    def _beginning(self) -> list[Fact]:
        listing = Listing(
            symbol="X",
            kind="linear",
            multiplier=Decimal(1),
            quote="USD",
            settle="USD",
            tick=Decimal("0.5"),
            lot=Decimal(1),
        )
        accounts = ("main", "other")
        return [
            DaemonStarted(
                version="1", process_id=1, boot="boot", config_source="", config_digest=""
            ),
            SessionClockSet(tz="UTC", reset="00:00", week_start="monday"),
            InstrumentListed(listing=listing),
            *(AccountOpened(account=n, currency="USD", balance=Decimal(1000)) for n in accounts),
            Booked(account=None, event=Tick(ts=START.isoformat())),
            Booked(account=None, event=Mark(symbol="X", price=Decimal(100))),
        ]

    def commit(self, *facts: Fact) -> int:
        if self.failure is not None:
            raise NotRecorded(self.failure)
        for fact in facts:
            self.facts.append(fact)
            recorded = Recorded(
                lsn=len(self.facts),
                at=self.clock.now(),
                monotonic_s=self.clock.monotonic_s(),
                fact=fact,  # type: ignore[arg-type]  # every Fact is of AnyFact
            )
            for projection in (self.halts, self.books, self.answers, self.overrides):
                projection.apply(recorded)
        return len(self.facts)

    async def report(self, command: ReportEvents) -> Reply:
        facts = booked(self.books, command.account, command.events, self.clock.now())
        return Reported(lsn=self.commit(*facts), booked=len(facts))

    async def settle(self, lsn: int) -> None:
        self.settled.append(lsn)

    # --- what is done

    def book(self, *events: AnyEvent, account: str = "main") -> None:
        self.commit(*booked(self.books, account, events, self.clock.now()))

    def check(self, order: OrderAsked, who: Identity = Identity()) -> Decision:  # noqa: B008 - a tuple that nobody can change
        return self.gate.check(order, who)

    def again(self) -> "Desk":
        """riskd, started again."""
        other = Desk(facts=self.facts)
        other.limits.rules = self.limits.rules
        other.clock.passed_s = self.clock.passed_s
        return other

    def worst(self, account: str = "main") -> tuple[Decimal, Decimal]:
        book = self.books.accounts[account].book
        path = book.worth.paths.get("X")
        return book.exposures.remaining("X").worst(Decimal(0) if path is None else path.last.qty)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def limited() -> Desk:
    """At most 10, long or short."""
    return Desk([schema.MaxPosition(scope="account:main", max_qty=Decimal(10))])


@pytest.fixture(scope="module")
def desk_of() -> type[Desk]:
    return Desk
