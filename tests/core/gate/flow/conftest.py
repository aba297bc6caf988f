"""A desk: accounts, a mark, and rules that remember what is done there, by facts alone."""

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
from riskd.actors.core.gate.ruleset import Ruleset
from riskd.actors.core.gate.seen import seen
from riskd.actors.core.gate.view import Moment
from riskd.actors.messages import (
    AccountOpened,
    Booked,
    By,
    Fact,
    InstrumentListed,
    Listing,
    OrderAsked,
    OrderDecided,
    Recorded,
    RuleRearmed,
    SessionReset,
    Verdict,
)
from riskd.actors.messages.book import AnyEvent
from riskd.config.schema import rules as schema

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Desk:
    """What is asked and told, one after another, at whatever time it is."""

    def __init__(self, *rules: schema.Rule) -> None:
        self.at = NOON
        self.lsn = 0
        self.orders = 0
        self.fills = 0
        self.books = Books(ZoneInfo)
        self.ruleset = Ruleset(rules)  # type: ignore[arg-type]  # all are of AnyRule
        asked = [one for one in self.ruleset.judges if one.kind != "fresh_data"]
        self.ruleset.judges = tuple(asked)  # what a rule itself makes of no mark
        self.memories: dict[str, Any] = {}
        self.remember()
        self.seen: list[Any] = []
        self.open("main", "USD", "sim")
        self.list("BTC")

    def remember(self) -> None:
        """From nothing."""
        made = {judge.id: judge.memory() for judge in self.ruleset.judges}
        self.memories = {name: one for name, one in made.items() if one is not None}

    def restart(self) -> None:
        """Memories are dumped, written as JSON, and loaded into new ones."""
        kept = msgspec.json.encode({name: one.dump() for name, one in self.memories.items()})
        self.remember()
        for name, state in msgspec.json.decode(kept).items():
            self.memories[name].load(state)

    # --- facts

    def record(self, fact: Fact) -> None:
        self.lsn += 1
        recorded = Recorded(lsn=self.lsn, at=self.at, monotonic_s=float(self.lsn), fact=fact)  # type: ignore[arg-type]  # every Fact is of AnyFact
        self.books.apply(recorded)
        found = seen(recorded, self.books)
        if found is not None:
            self.seen.append(found)
            for judge in self.ruleset.judges:
                if judge.id in self.memories and judge.scope in found.scopes:
                    self.memories[judge.id].saw(found)

    def open(self, account: str, currency: str, exchange: str | None) -> None:
        self.record(
            AccountOpened(
                account=account, currency=currency, balance=Decimal(1_000_000), exchange=exchange
            )
        )

    def list(self, symbol: str, quote: str = "USD", mark: str | None = "100", **more: Any) -> None:
        self.record(
            InstrumentListed(
                listing=Listing(
                    symbol=symbol,
                    kind=more.pop("kind", "linear"),
                    multiplier=Decimal(more.pop("multiplier", 1)),
                    quote=quote,
                    settle=more.pop("settle", quote),
                    **more,
                )
            )
        )
        if mark is not None:
            self.tell("mark", account=None, symbol=symbol, price=mark)

    def tell(self, event_type: str, /, account: str | None = "main", **fields: Any) -> None:
        event: AnyEvent = msgspec.convert({"type": event_type, **fields}, AnyEvent)
        self.record(Booked(account=account, event=event))

    def reset(self, account: str = "main", at: datetime | None = None) -> None:
        """A session is over."""
        self.record(
            SessionReset(
                account=account,
                at=self.at if at is None else at,
                is_week=False,
                realized=None,
                pnl=None,
                week_realized=None,
                week_pnl=None,
            )
        )

    def rearm(self, rule: schema.Rule) -> None:
        by = By(via="socket", user_id=0, user="root", process_id=1)
        self.record(
            RuleRearmed(rule=rule.id, scope=rule.scope, by=by, approved_by=None, reason="seen to")
        )

    # --- time

    def passes(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    # --- orders

    def decide(
        self,
        *,
        explains: bool = False,
        amends: bool = False,
        worker: str | None = None,
        **more: Any,
    ) -> Decided:
        """What would become of an order now. Nothing is changed by asking."""
        order = self.order(**more)
        known = Knowledge(
            books=self.books,
            rules=self.ruleset,
            memories=self.memories,
            is_active=True,
            modes={},
            on_excess="block",
        )
        who = Identity(worker, order.account, order.strategy)
        moment = Moment(self.at, float(self.lsn))
        return decide(order, who, known, moment, explains=explains, amends=amends)

    def order(self, **more: Any) -> OrderAsked:
        fields = {"account": "main", "symbol": "BTC", "side": "buy", "qty": "1", "price": "100"}
        return OrderAsked(**({"client_order_id": f"o{self.orders + 1}"} | fields | more))

    def ask(self, worker: str | None = None, **more: Any) -> Verdict:
        """An order, judged and recorded. Its id is `last`."""
        order, verdict = self.order(**more), self.decide(worker=worker, **more).verdict
        self.orders += 1
        self.record(
            OrderDecided(
                order=order,
                worker=worker,
                at=self.at,
                monotonic_s=float(self.lsn),
                verdict=verdict,
            )
        )
        return verdict

    def amend(self, name: str, **more: Any) -> Verdict:
        """What an order that works is to become, judged and recorded."""
        order = self.order(**{"client_order_id": name, **more})
        verdict = self.decide(amends=True, client_order_id=name, **more).verdict
        self.record(
            OrderDecided(
                order=order, at=self.at, monotonic_s=float(self.lsn), verdict=verdict, amends=True
            )
        )  # fmt: skip
        return verdict

    def passed(self, number: int, **more: Any) -> int:
        """So many of a number of orders passed."""
        return sum(self.ask(**more).decision == "allow" for _ in range(number))

    @property
    def last(self) -> str:
        return f"o{self.orders}"

    def fill(self, qty: str = "1", price: str = "100", **more: Any) -> None:
        """Of the last order, unless it says of which."""
        self.fills += 1
        fields = {"symbol": "BTC", "side": "buy", "order": self.last, "id": f"f{self.fills}"}
        self.tell("fill", qty=qty, price=price, **(fields | more))

    def trade(self, **more: Any) -> Verdict:
        """An order, filled at once if it passes."""
        verdict = self.ask(**more)
        if verdict.decision == "allow":
            self.fill()
        return verdict


@pytest.fixture(scope="session")
def desk() -> Callable[..., Desk]:
    """Make one: `desk(rule, ...)`."""
    return Desk
