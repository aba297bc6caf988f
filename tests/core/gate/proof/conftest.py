"""A desk of which everything is known that any rule could ask for, but for what is taken away."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from riskd.actors.core.books import Books
from riskd.actors.core.gate.asked import Identity
from riskd.actors.core.gate.decision import Decided, Knowledge, decide
from riskd.actors.core.gate.view import Moment
from riskd.actors.core.limits import LimitsInForce
from riskd.actors.messages import (
    AccountOpened,
    Booked,
    By,
    DaemonStarted,
    EdgeReported,
    EquityDrifted,
    EquityReported,
    Fact,
    Given,
    InstrumentListed,
    Limits,
    LimitsLoosened,
    Listing,
    OrderAsked,
    OrderDecided,
    Recorded,
    SessionClockSet,
    VenueStated,
    Verdict,
)
from riskd.actors.messages.book import AnyEvent
from riskd.config.schema.rules import AnyRule

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
"""A Friday."""
BY = By(via="socket", user_id=0, user="root", process_id=1)
BALANCE = Decimal(100_000)
BY_VOLATILITY = ("es_limit", "var_limit")


def rule_of(fields: Mapping[str, Any]) -> AnyRule:
    """As the configuration has it, for `main` if it does not say."""
    return msgspec.convert({"scope": "account:main", **fields}, AnyRule)  # type: ignore[arg-type]  # a union


class Desk:
    """`main` has 100,000 USD, and holds what it was given of E, which is at 100 EUR, and of L, at
    100 USD. A euro is two dollars. `mm` trades, by orders of 1 E if they do not say otherwise."""

    def __init__(
        self, *rules: Mapping[str, Any], holds: int = 0, holds_l: int = 0, without: str = ""
    ) -> None:
        self.at, self.monotonic_s = NOON, 1_000.0
        self.lsn = self.orders = self.fills = 0
        self.without = without
        self.on_excess: Any = "block"
        self.modes: dict[str, Any] = {}
        """Of halts, by scope."""
        self.books = Books(ZoneInfo)
        self.limits = LimitsInForce(self.books)
        self.record(
            DaemonStarted(version="1", process_id=1, boot="b", config_source="", config_digest="")
        )
        if without != "session":
            self.record(SessionClockSet(tz="UTC", reset="00:00", week_start="monday"))
        for symbol, money in (("E", "EUR"), ("L", "USD")):
            said = {"symbol": symbol, "kind": "linear", "multiplier": 1, "tick": 1, "lot": 1}
            self.list(**said, quote=money, settle=money)
        self.record(AccountOpened(account="main", currency="USD", balance=BALANCE, exchange="sim"))
        if without != "volatility" and any(one["kind"] in BY_VOLATILITY for one in rules):
            self.calm()
        if without == "marks since then":
            self.quote()
        self.rule(*rules)
        self.tell("tick")
        if without != "rate":
            self.tell("fx", None, ccy="EUR", rate="2")
        self.hold("E", holds)
        self.hold("L", holds_l)
        if without != "marks since then":
            self.quote()
        if without == "equity":
            self.tell("transfer", ccy="XYZ", amount="1")
        if without != "word":
            self.hear()
        if without == "agreement":
            self.record(
                EquityDrifted(account="main", theirs=Decimal(1), ours=None, allowed=Decimal(0))
            )
        if without != "venue":
            self.record(VenueStated(account="main", can_trade=True, reason=None, at=self.at))
        if without != "edge":
            self.edge("5")
        if without == "memory":
            for name in self.limits.memories:
                if name.partition("@")[0] in {one["kind"] for one in rules}:
                    self.limits.memories.pop(name)
                    break
        if without == "fresh mark":
            self.passes(61)

    # --- what happens

    def record(self, fact: Fact) -> None:
        self.lsn += 1
        recorded = Recorded(lsn=self.lsn, at=self.at, monotonic_s=self.monotonic_s, fact=fact)  # type: ignore[arg-type]  # every Fact is of AnyFact
        self.books.apply(recorded)
        self.limits.apply(recorded)

    def rule(self, *rules: Mapping[str, Any]) -> None:
        given = tuple(Given(rule=rule_of(one), source="config") for one in rules)
        limits = Limits(on_excess="block", rules=given, settings=())
        self.record(LimitsLoosened(limits=limits, changes=(), by=BY, reason=""))

    def list(self, **fields: Any) -> None:
        self.record(InstrumentListed(listing=msgspec.convert(fields, Listing)))

    def tell(self, event_type: str, /, account: str | None = "main", **fields: Any) -> None:
        event: AnyEvent = msgspec.convert({"type": event_type, **fields}, AnyEvent)  # type: ignore[arg-type]  # a union
        stamped = msgspec.structs.replace(event, ts=self.at.isoformat())
        self.record(Booked(account=account, event=stamped))

    def quote(self) -> None:
        for symbol, missing in (("E", "mark"), ("L", "other mark")):
            if self.without != missing:
                self.mark("100", symbol)

    def calm(self) -> None:
        """Half an hour in which nothing moves, up to now."""
        self.passes(-31 * 60)
        for _ in range(31):
            self.quote()
            self.passes(60)

    def mark(self, price: object, symbol: str = "E") -> None:
        self.tell("mark", None, symbol=symbol, price=str(price))

    def hear(self, equity: object = BALANCE) -> None:
        theirs = Decimal(str(equity))
        self.record(EquityReported(account="main", theirs=theirs, ours=None))

    def edge(self, bps: object) -> None:
        self.record(EdgeReported(strategy="mm", symbol=None, bps=Decimal(str(bps))))

    def hold(self, symbol: str, qty: int) -> None:
        """By orders of its own, filled at once. One more was closed again, with a profit."""
        if qty:
            self.trade(symbol, qty + 1, 98)
            self.trade(symbol, -1, 99)

    def trade(self, symbol: str, qty: int, price: object) -> None:
        """Below 0 sold. It came another way than by the gate."""
        self.orders += 1
        side, name = "buy" if qty > 0 else "sell", f"h{self.orders}"
        self.tell("order", id=name, symbol=symbol, side=side, qty=str(abs(qty)))
        self.fill(abs(qty), price, symbol=symbol, side=side, order=name)

    def fill(self, qty: object = 1, price: object = 100, **more: Any) -> None:
        """Of the last order, unless it says of which."""
        self.fills += 1
        said = {"symbol": "E", "side": "buy", "order": f"o{self.orders}", **more}
        self.tell("fill", id=f"f{self.fills}", qty=str(qty), price=str(price), **said)

    def passes(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.monotonic_s += seconds

    # --- what is asked

    def order(self, side: str = "buy", qty: object = 1, **more: Any) -> OrderAsked:
        said = {"client_order_id": f"o{self.orders}", "account": "main", "symbol": "E", **more}
        if self.without != "strategy":
            said.setdefault("strategy", "mm")
        return msgspec.convert({"side": side, "qty": str(qty), **said}, OrderAsked)

    def decided(self, order: OrderAsked) -> Decided:
        known = Knowledge(
            books=self.books,
            rules=self.limits.rules,
            memories=self.limits.memories,
            is_active=True,
            modes=self.modes,
            on_excess=self.on_excess,
        )
        who = Identity(None, order.account, order.strategy)
        return decide(order, who, known, Moment(self.at, self.monotonic_s))

    def asked(self, side: str = "buy", qty: object = 1, **more: Any) -> Decided:
        """Would it pass?"""
        self.orders += 1
        return self.decided(self.order(side, qty, **more))

    def ask(self, side: str = "buy", qty: object = 1, **more: Any) -> Verdict:
        return self.asked(side, qty, **more).verdict

    def send(self, side: str = "buy", qty: object = 1, **more: Any) -> Verdict:
        """Ask, and have recorded what is answered."""
        self.orders += 1
        order = self.order(side, qty, **more)
        verdict = self.decided(order).verdict
        at, monotonic_s = self.at, self.monotonic_s
        self.record(OrderDecided(order=order, at=at, monotonic_s=monotonic_s, verdict=verdict))
        return verdict


@pytest.fixture(scope="session")
def new_desk() -> Callable[..., Desk]:
    """Make one: `new_desk({"kind": ...}, holds=10, without="mark")`."""
    return Desk
