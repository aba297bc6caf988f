"""A room of two persons and a gate: overrides, as facts make them and as orders go by them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from riskd.actors.core import overrides as core
from riskd.actors.core.books import Books
from riskd.actors.core.gate.asked import Identity
from riskd.actors.core.gate.decision import Knowledge, decide
from riskd.actors.core.gate.explained import Explained, explain
from riskd.actors.core.gate.view import Moment
from riskd.actors.core.halts import Halts, strictest
from riskd.actors.core.kill_switch import Rules
from riskd.actors.core.limits import LimitsInForce
from riskd.actors.core.overrides import Overrides
from riskd.actors.messages import (
    AccountOpened,
    Booked,
    By,
    DaemonStarted,
    Fact,
    Given,
    InstrumentListed,
    Limits,
    LimitsLoosened,
    Listing,
    OrderAsked,
    OrderDecided,
    Recorded,
    RequestOverride,
    SessionClockSet,
    Verdict,
)
from riskd.actors.messages.book import Mark, Tick
from riskd.config.schema.rules import AnyRule, MaxOrderQty

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SIZE = MaxOrderQty(scope="account:main", max_qty=Decimal(10))


class Room:
    """`main` and `other` trade X, which is at 100, and no order may be above 10."""

    ANA = By(via="socket", user_id=1001, user="ana", process_id=1)
    BOB = By(via="socket", user_id=1000, user="bob", process_id=2)
    PEOPLE = Rules(cooldown_s=1, people={"ana": 1001, "1001": 1001, "bob": 1000})

    def __init__(self, *rules: AnyRule, mark: str | None = "100") -> None:
        self.at, self.monotonic_s = NOON, 1_000.0
        self.books, self.halts, self.overrides = Books(ZoneInfo), Halts(), Overrides()
        self.limits = LimitsInForce(self.books)
        self.facts: list[Recorded] = []
        self.orders = 0
        listing = Listing(
            symbol="X",
            kind="linear",
            multiplier=Decimal(1),
            quote="USD",
            settle="USD",
            lot=Decimal(1),
        )
        self.start("boot")
        self.record(SessionClockSet(tz="UTC", reset="00:00", week_start="monday"))
        self.record(InstrumentListed(listing=listing))
        for name in ("main", "other"):
            balance = Decimal(1_000_000)
            self.record(AccountOpened(account=name, currency="USD", balance=balance))
        self.record(Booked(account=None, event=Tick(ts=NOON.isoformat())))
        self.rule(*(rules or (SIZE,)))
        if mark is not None:
            self.record(Booked(account=None, event=Mark(symbol="X", price=Decimal(mark))))

    # --- facts

    def record(self, fact: Fact) -> None:
        recorded = Recorded(
            lsn=len(self.facts) + 1,
            at=self.at,
            monotonic_s=self.monotonic_s,
            fact=fact,  # type: ignore[arg-type]  # every Fact is of AnyFact
        )
        self.facts.append(recorded)
        for projection in (self.halts, self.books, self.limits, self.overrides):
            projection.apply(recorded)

    def start(self, boot: str) -> None:
        self.record(
            DaemonStarted(version="1", process_id=1, boot=boot, config_source="", config_digest="")
        )

    def rule(self, *rules: AnyRule) -> None:
        given = tuple(Given(rule=rule, source="config") for rule in rules)
        limits = Limits(on_excess="block", rules=given, settings=())
        self.record(LimitsLoosened(limits=limits, changes=(), by=self.BOB, reason=""))

    def passes(self, seconds: float, monotonic_s: float | None = None) -> None:
        self.at += timedelta(seconds=seconds)
        self.monotonic_s += seconds if monotonic_s is None else monotonic_s

    @property
    def moment(self) -> Moment:
        return Moment(self.at, self.monotonic_s)

    # --- what persons do

    def asked(self, **more: Any) -> RequestOverride:
        said = {
            "account": "main",
            "symbol": "X",
            "side": "buy",
            "max_qty": "50",
            "rules": [SIZE.id],
            "for_s": 600.0,
            "reason": "it has to go",
            **more,
        }
        return msgspec.convert(said, RequestOverride)

    def request(self, by: By = BOB, people: Rules = PEOPLE, **more: Any) -> str:
        rules = self.limits.rules
        fact = core.request(
            self.overrides,
            self.asked(**more),
            by=by,
            moment=self.moment,
            people=people,
            books=self.books,
            rules=rules,
        )
        self.record(fact)
        return fact.override

    def approve(self, name: str, by: By = ANA) -> bool:
        fact = core.approve(
            self.overrides,
            name,
            by=by,
            moment=self.moment,
            people=self.PEOPLE,
            rules=self.limits.rules,
            reason=None,
        )
        if fact is not None:
            self.record(fact)
        return fact is not None

    def revoke(self, name: str) -> bool:
        fact = core.revoke(self.overrides, name, by=self.ANA, reason="it is gone")
        if fact is not None:
            self.record(fact)
        return fact is not None

    def approved(self, **more: Any) -> str:
        name = self.request(**more)
        assert self.approve(name)
        return name

    def state(self, name: str) -> str:
        found = self.overrides.find(name)
        return "none" if found is None else found.state(*self.moment)

    # --- what orders do

    def order(self, name: str | None, qty: str = "50", **more: Any) -> OrderAsked:
        self.orders += 1
        said = {"account": "main", "symbol": "X", "side": "buy", "override": name, **more}
        return msgspec.convert(
            {"client_order_id": f"o{self.orders}", "qty": qty, **said}, OrderAsked
        )

    def ask(self, name: str | None, qty: str = "50", **more: Any) -> Verdict:
        """Would it pass?"""
        return self.judge(self.order(name, qty, **more))

    def judge(self, order: OrderAsked, *, amends: bool = False) -> Verdict:
        return decide(order, Identity(), self.known(), self.moment, amends=amends).verdict

    def explained(self, name: str | None, qty: str = "50") -> Explained:
        return explain(self.order(name, qty), Identity(), self.known(), self.moment)

    def known(self) -> Knowledge:
        return Knowledge(
            books=self.books,
            rules=self.limits.rules,
            memories=self.limits.memories,
            is_active=self.halts.now.state == "ACTIVE",
            modes=strictest(self.halts.now),
            on_excess="block",
            overrides=self.overrides,
        )

    def send(
        self, name: str | None, qty: str = "50", *, amends: bool = False, **more: Any
    ) -> Verdict:
        """Ask, and have recorded what is answered."""
        order = self.order(name, qty, **more)
        verdict = self.judge(order, amends=amends)
        self.record(
            OrderDecided(
                order=order,
                at=self.at,
                monotonic_s=self.monotonic_s,
                verdict=verdict,
                epoch=self.halts.now.epoch,
                amends=amends,
            )
        )
        return verdict


@pytest.fixture(scope="module")
def room_of() -> Callable[..., Room]:
    return Room


@pytest.fixture
def room() -> Room:
    return Room()
