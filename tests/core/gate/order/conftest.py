"""A desk: accounts, instruments and limits in force, as facts make them and as the gate asks."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from riskd.actors.core.books import Books
from riskd.actors.core.gate.asked import Identity
from riskd.actors.core.gate.decision import Decided, Knowledge, decide
from riskd.actors.core.gate.rule import Found
from riskd.actors.core.gate.view import Moment
from riskd.actors.core.limits import LimitsInForce
from riskd.actors.messages import (
    AccountOpened,
    Booked,
    By,
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
    RuleRearmed,
    Verdict,
)
from riskd.actors.messages.book import AnyEvent
from riskd.config.schema.rules import AnyRule

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
"""A Friday."""
BY = By(via="socket", user_id=0, user="root", process_id=1)


class Desk:
    """`main` and `other` trade BTC at `sim`, where it is at 100, and may be at any price."""

    def __init__(self, *rules: AnyRule, at: datetime = NOON, mark: str | None = "100") -> None:
        self.at, self.monotonic_s = at, 1_000.0
        self.lsn = self.orders = self.fills = 0
        self.books = Books(ZoneInfo)
        self.limits = LimitsInForce(self.books)
        self.list("BTC", allows_negative=True)
        self.open("main", "sim")
        self.open("other", "sim")
        self.rule(*rules)
        if mark is not None:
            self.mark(mark)

    # --- facts

    def record(self, fact: Fact) -> None:
        self.lsn += 1
        recorded = Recorded(lsn=self.lsn, at=self.at, monotonic_s=self.monotonic_s, fact=fact)  # type: ignore[arg-type]  # every Fact is of AnyFact
        self.books.apply(recorded)
        self.limits.apply(recorded)

    def restart(self) -> None:
        """What is known is dumped and loaded."""
        kept = b"".join(self.limits.dump())
        self.limits = LimitsInForce(self.books)
        self.limits.load(kept)

    def rule(self, *rules: AnyRule) -> None:
        given = tuple(Given(rule=rule, source="config") for rule in rules)
        limits = Limits(on_excess="block", rules=given, settings=())
        self.record(LimitsLoosened(limits=limits, changes=(), by=BY, reason=""))

    def rearm(self, rule: AnyRule) -> None:
        self.record(
            RuleRearmed(rule=rule.id, scope=rule.scope, by=BY, approved_by=None, reason="seen to")
        )

    def open(self, account: str, exchange: str | None = None) -> None:
        balance = Decimal(1_000_000)
        self.record(
            AccountOpened(account=account, currency="USD", balance=balance, exchange=exchange)
        )

    def list(self, symbol: str, **more: Any) -> None:
        said = {"kind": "linear", "multiplier": "1", "quote": "USD", "settle": "USD", **more}
        listing = msgspec.convert({"symbol": symbol, **said}, Listing)
        self.record(InstrumentListed(listing=listing))

    def tell(self, event_type: str, /, account: str | None = "main", **fields: Any) -> None:
        event: AnyEvent = msgspec.convert({"type": event_type, **fields}, AnyEvent)  # type: ignore[arg-type]  # a union
        self.record(Booked(account=account, event=event))

    def mark(self, price: str, symbol: str = "BTC", account: str | None = None) -> None:
        self.tell("mark", account, symbol=symbol, price=price)

    def hears(self, account: str = "main") -> None:
        self.record(EquityReported(account=account, theirs=Decimal(1_000_000), ours=None))

    def hold(self, qty: str, symbol: str = "BTC", account: str = "main") -> None:
        """A fill that came from nowhere."""
        side, size = ("sell", qty[1:]) if qty.startswith("-") else ("buy", qty)
        self.fill(size, side=side, symbol=symbol, account=account, order=None)

    def fill(self, qty: str, price: str = "100", **more: Any) -> None:
        """Of the last order, unless it says of which."""
        self.fills += 1
        fields = {"order": f"o{self.orders}", "side": "buy", "symbol": "BTC", **more}
        if fields["order"] is None:
            del fields["order"]
        self.tell("fill", qty=qty, price=price, id=f"f{self.fills}", **fields)

    def passes(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.monotonic_s += max(seconds, 0.0)

    # --- orders

    def order(self, side: str = "buy", qty: str = "1", **more: Any) -> OrderAsked:
        said = {"client_order_id": f"o{self.orders}", "account": "main", "symbol": "BTC", **more}
        return msgspec.convert({"side": side, "qty": qty, **said}, OrderAsked)

    def decided(
        self, order: OrderAsked, *, explains: bool = False, amends: bool = False
    ) -> Decided:
        rules = self.limits.rules
        assert rules is not None, "they are in force"
        known = Knowledge(
            books=self.books,
            rules=rules,
            memories=self.limits.memories,
            is_active=True,
            modes={},
            on_excess="block",
        )
        who = Identity(None, order.account, order.strategy)
        moment = Moment(self.at, self.monotonic_s)
        return decide(order, who, known, moment, explains=explains, amends=amends)

    def ask(self, side: str = "buy", qty: str = "1", **more: Any) -> Verdict:
        """Would it pass?"""
        self.orders += 1
        return self.decided(self.order(side, qty, **more)).verdict

    def code(self, side: str = "buy", qty: str = "1", **more: Any) -> str:
        return self.ask(side, qty, **more).code

    def send(self, side: str = "buy", qty: str = "1", **more: Any) -> Verdict:
        """Ask, and have recorded what is answered."""
        self.orders += 1
        order = self.order(side, qty, **more)
        verdict = self.decided(order).verdict
        at, monotonic_s = self.at, self.monotonic_s
        self.record(OrderDecided(order=order, at=at, monotonic_s=monotonic_s, verdict=verdict))
        return verdict

    def amend(self, name: str, side: str = "buy", qty: str = "1", **more: Any) -> Verdict:
        """Ask whether an order may become so, and have recorded what is answered."""
        order = self.order(side, qty, client_order_id=name, **more)
        verdict = self.decided(order, amends=True).verdict
        self.record(
            OrderDecided(
                order=order, at=self.at, monotonic_s=self.monotonic_s, verdict=verdict, amends=True
            )
        )  # fmt: skip
        return verdict

    def said(self, kind: str, side: str = "buy", qty: str = "1", **more: Any) -> Found:
        """What a rule says of it when everything is to be explained."""
        opinions = self.decided(self.order(side, qty, **more), explains=True).opinions
        return next(one.found for one in opinions if one.judge.kind == kind)


@pytest.fixture(scope="session")
def desk() -> Callable[..., Desk]:
    """Make one: `desk(rule, ...)`."""
    return Desk
