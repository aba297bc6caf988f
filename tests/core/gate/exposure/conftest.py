"""A desk: accounts, instruments and rules, and orders that are asked about one after the other."""

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
from riskd.actors.core.gate.factor import Meter
from riskd.actors.core.gate.rule import Found
from riskd.actors.core.gate.ruleset import Ruleset
from riskd.actors.core.gate.view import Moment
from riskd.actors.messages import (
    AccountOpened,
    Booked,
    EquityDrifted,
    EquityReported,
    Fact,
    InstrumentListed,
    Listing,
    OrderAsked,
    OrderDecided,
    Recorded,
    Verdict,
)
from riskd.actors.messages.book import AnyEvent
from riskd.config.schema.factors import Factor
from riskd.config.schema.rules import AnyRule

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MARKS = {"L": "10", "M": "2", "E": "5", "I": "100"}
LISTINGS = (
    Listing(symbol="L", kind="linear", multiplier=Decimal(1), quote="USD", settle="USD",
            lot=Decimal(1), allows_negative=True),
    Listing(symbol="M", kind="linear", multiplier=Decimal(5), quote="USD", settle="USD",
            lot=Decimal(1)),
    Listing(symbol="E", kind="linear", multiplier=Decimal(1), quote="EUR", settle="EUR",
            lot=Decimal(1)),
    Listing(symbol="I", kind="inverse", multiplier=Decimal(10), quote="USD", settle="BTC",
            base="BTC", lot=Decimal(1)),
)  # fmt: skip


def rule(kind: str, **fields: Any) -> AnyRule:
    """As the configuration has it, for `main` if it does not say."""
    return msgspec.convert({"scope": "account:main", "kind": kind, **fields}, AnyRule)  # type: ignore[arg-type]  # a union


class Desk:
    """`main` has 1000 USD and trades at `sim`, as does `other`; `euro` has 1000 EUR elsewhere. A
    contract of L and of M is worth 10, one of E 5 EUR or 10 USD, one of I 10."""

    def __init__(
        self, *rules: Mapping[str, Any], on_excess: str = "block", marks: Mapping[str, str] = MARKS,
        **factors: Mapping[str, Any],
    ) -> None:  # fmt: skip
        self.books = Books(ZoneInfo)
        meters = {
            name: Meter(msgspec.convert(one, Factor, strict=False), self.books)
            for name, one in factors.items()
        }
        self.rules = Ruleset((rule(**one) for one in rules), meters)
        asked = [one for one in self.rules.judges if one.kind != "fresh_data"]
        self.rules.judges = tuple(asked)  # what a rule itself makes of no mark
        self.on_excess = on_excess
        self.at, self.monotonic_s, self.number = NOON, 1_000.0, 0
        self.told = 0
        for listing in LISTINGS:
            self.happens(InstrumentListed(listing=listing))
        for name, currency, exchange in (
            ("main", "USD", "sim"), ("other", "USD", "sim"), ("euro", "EUR", "else")
        ):  # fmt: skip
            self.happens(
                AccountOpened(
                    account=name, currency=currency, balance=Decimal(1000), exchange=exchange
                )
            )
        if marks:
            self.book("fx", None, ccy="EUR", rate="2")
            self.book("fx", None, ccy="BTC", rate="100")
            self.book("fx", "euro", ccy="USD", rate="0.5")
        for symbol, price in marks.items():
            self.mark(symbol, price)

    # --- what happens

    def happens(self, fact: Fact) -> None:
        self.told += 1
        self.books.apply(
            Recorded(lsn=self.told, at=self.at, monotonic_s=self.monotonic_s, fact=fact)  # type: ignore[arg-type]  # every Fact is of AnyFact
        )

    def passes(self, seconds: float) -> None:
        self.monotonic_s += seconds
        self.at += timedelta(seconds=seconds)

    def book(self, event: str, account: str | None = "main", **fields: Any) -> None:
        told: AnyEvent = msgspec.convert({"type": event, **fields}, AnyEvent)  # type: ignore[arg-type]  # a union
        self.happens(Booked(account=account, event=told))

    def mark(self, symbol: str, price: str) -> None:
        self.book("mark", None, symbol=symbol, price=price)

    def hold(
        self, qty: int, symbol: str = "L", *, account: str = "main", price: str | None = None
    ) -> None:
        """A fill that came from nowhere."""
        self.number += 1
        self.book(
            "fill", account, id=f"f{self.number}", symbol=symbol, qty=str(abs(qty)),
            side="buy" if qty > 0 else "sell", price=price or MARKS[symbol],
        )  # fmt: skip

    def drifts(self, account: str = "main") -> None:
        self.happens(
            EquityDrifted(account=account, theirs=Decimal(1), ours=None, allowed=Decimal(0))
        )

    def hears(self, equity: str = "1000", account: str = "main") -> None:
        self.happens(EquityReported(account=account, theirs=Decimal(equity), ours=None))

    # --- what is asked

    def order(self, side: str, qty: int | str, symbol: str = "L", **more: Any) -> OrderAsked:
        self.number += 1
        said = {"client_order_id": f"o{self.number}", "account": "main", **more}
        return msgspec.convert({"side": side, "qty": qty, "symbol": symbol, **said}, OrderAsked)

    def decided(
        self, order: OrderAsked, *, worker: str | None = None, explains: bool = False,
        amends: bool = False,
    ) -> Decided:  # fmt: skip
        known = Knowledge(
            books=self.books,
            rules=self.rules,
            memories={},
            is_active=True,
            modes={},
            on_excess=self.on_excess,  # type: ignore[arg-type]  # one of two words
        )
        moment = Moment(self.at, self.monotonic_s)
        who = Identity(worker=worker)
        return decide(order, who, known, moment, explains=explains, amends=amends)

    def ask(
        self, side: str, qty: int | str, symbol: str = "L", *, worker: str | None = None,
        **more: Any,
    ) -> Verdict:  # fmt: skip
        """Would it pass?"""
        return self.decided(self.order(side, qty, symbol, **more), worker=worker).verdict

    def said(self, side: str, qty: int | str, symbol: str = "L", **more: Any) -> Found:
        """What the one rule says of it when everything is to be explained."""
        opinions = self.decided(self.order(side, qty, symbol, **more), explains=True).opinions
        (found,) = [one.found for one in opinions if one.judge.STAGE == 12]
        return found

    def send(
        self, side: str, qty: int | str, symbol: str = "L", *, worker: str | None = None,
        **more: Any,
    ) -> Verdict:  # fmt: skip
        """Ask, and have reserved what is permitted."""
        order = self.order(side, qty, symbol, **more)
        verdict = self.decided(order, worker=worker).verdict
        self.happens(
            OrderDecided(
                order=order, worker=worker, at=self.at, monotonic_s=self.monotonic_s,
                verdict=verdict,
            )
        )  # fmt: skip
        return verdict


@pytest.fixture(scope="session")
def new_desk() -> Callable[..., Desk]:
    return Desk
