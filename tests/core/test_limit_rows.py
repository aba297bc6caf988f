"""The limits as people see them: what is not known is never shown as a number."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from riskd.actors.core import limits as core
from riskd.actors.core.books import Books
from riskd.actors.core.gate.view import Moment
from riskd.actors.core.limit_rows import rows
from riskd.actors.core.limits import NOTHING, LimitsInForce
from riskd.actors.messages import (
    AccountOpened,
    Booked,
    By,
    Fact,
    InstrumentListed,
    Listing,
    Recorded,
    SessionClockSet,
)
from riskd.actors.messages.book import Fill, Mark, Tick
from riskd.config.schema.factors import Factor
from riskd.config.schema.rules import AnyRule, DailyLoss, MaxOrderQty

NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)
BOB = By(via="socket", user_id=1000, user="bob")
BUY = Booked(
    account="main",
    event=Fill(id="f", symbol="X", side="buy", qty=Decimal(1), price=Decimal(1_000)),
)
LOSS = DailyLoss(max_loss=Decimal(500), scope="account:main")


class Desk:
    """Two accounts, and rules."""

    def __init__(self, *rules: AnyRule) -> None:
        self.books = Books(ZoneInfo)
        self.limits = LimitsInForce(Books(ZoneInfo))
        self._lsn = 0
        listing = Listing(
            symbol="X", kind="linear", multiplier=Decimal(1), quote="USD", settle="USD"
        )
        self.tell(InstrumentListed(listing=listing))
        self.tell(SessionClockSet(tz="UTC", reset="00:00", week_start="monday"))
        for name, exchange in (("main", "sim"), ("other", None)):
            balance = Decimal(10_000)
            self.tell(
                AccountOpened(account=name, currency="USD", balance=balance, exchange=exchange)
            )
        self.tell(Booked(account=None, event=Tick(ts="2024-05-17T12:00:00Z")))
        self.become(
            core.adopt(NOTHING, core.Configured("block", [(rule, "config") for rule in rules]))
        )

    def tell(self, fact: Fact) -> None:
        self._lsn += 1
        recorded = Recorded(lsn=self._lsn, at=NOON, monotonic_s=0.0, fact=fact)  # type: ignore[arg-type]  # every Fact is of AnyFact
        self.books.apply(recorded)
        self.limits.apply(recorded)

    def become(self, new: core.Limits) -> None:
        while fact := core.next_fact(self.limits.now, new, by=BOB, reason="a test"):
            self.tell(fact)

    def lose(self, amount: int) -> None:
        """By a position that is marked down."""
        self.tell(BUY)
        self.tell(Booked(account=None, event=Mark(symbol="X", price=Decimal(1_000 - amount))))

    def rows(self, **wanted: Any) -> list[dict[str, Any]]:
        return list(rows(self.limits, self.books, Moment(NOON, 0.0), **wanted))


def test_what_a_rule_measures_is_shown_when_all_is_well_too() -> None:
    desk = Desk(LOSS)
    desk.lose(100)
    (row,) = desk.rows()
    assert (row["outcome"], row["limit"], row["value"]) == ("pass", "500", "100")
    assert (row["used_pct"], row["headroom"]) == ("20.0", "400")


def test_what_is_near_its_limit_and_what_is_at_it_say_so() -> None:
    desk = Desk(LOSS)
    desk.lose(400)
    assert desk.rows()[0]["outcome"] == "warn"
    desk = Desk(LOSS)
    desk.lose(500)
    assert (desk.rows()[0]["outcome"], desk.rows()[0]["headroom"]) == ("block", "0")


def test_what_is_not_known_is_said_and_has_no_number() -> None:
    desk = Desk(LOSS)
    desk.tell(BUY)
    (row,) = desk.rows()
    assert row["outcome"] == "unknown"
    assert row["missing"] == "daily_loss: what account:main has made"
    assert (row["value"], row["used_pct"], row["headroom"]) == (None, None, None)


def test_a_rule_that_judges_orders_alone_shows_what_it_says() -> None:
    (row,) = Desk(MaxOrderQty(max_qty=Decimal("1E+2"))).rows()
    assert row["keys"] == {"max_qty": "100"}
    assert (row["limit"], row["value"], row["used_pct"]) == (None, None, None)


def test_a_limit_that_shrinks_shows_what_it_is_now_and_by_what() -> None:
    desk = Desk()
    night = Factor(hours={"00:00-00:00": Decimal("0.3")}, symbols={"X": Decimal("0.5")})
    rules = [
        msgspec.structs.replace(LOSS, factor="day"),
        MaxOrderQty(max_qty=Decimal(2), factor="night"),
        MaxOrderQty(max_qty=Decimal(2), factor="night", scope="symbol:X"),
    ]
    said = core.Configured(
        "block",
        [(rule, "config") for rule in rules],
        factors={"night": night, "day": Factor(hours={"00:00-00:00": Decimal("0.3")})},
    )
    desk.become(core.adopt(NOTHING, said))
    desk.lose(100)
    loss, order, symbol = desk.rows()
    assert (loss["limit"], loss["value"]) == ("150", "100")
    assert loss["factor"] == {
        "name": "day", "now": "0.3", "by_symbol": False, "keys": {"max_loss": "150.00"}
    }  # fmt: skip
    assert order["keys"] == {"max_qty": "2"}
    assert order["factor"] == {
        "name": "night", "now": "0.3", "by_symbol": True, "keys": {"max_qty": "0.60"}
    }  # fmt: skip
    assert symbol["factor"] == {
        "name": "night", "now": "0.15", "by_symbol": False, "keys": {"max_qty": "0.30"}
    }  # fmt: skip


def test_what_a_person_has_set_is_shown_with_what_it_stands_for() -> None:
    desk = Desk(LOSS)
    desk.become(
        core.put(desk.limits.now, LOSS.id, "max_loss", "50", by=BOB, at=NOON, reason="news")
    )
    (row,) = desk.rows()
    assert row["limit"] == "50"
    (each,) = row["set"]
    assert (each["key"], each["value"], each["instead_of"], each["by"]) == (
        "max_loss",
        "50",
        "500",
        "bob",
    )


def test_rows_are_chosen_by_what_an_account_can_meet_and_by_scope() -> None:
    scopes = ("all", "account:main", "account:other", "exchange:sim", "symbol:X", "strategy:mm")
    desk = Desk(*[MaxOrderQty(max_qty=Decimal(1), scope=scope) for scope in scopes])

    def found(**wanted: Any) -> list[str]:
        return [row["scope"] for row in desk.rows(**wanted)]

    assert found() == list(scopes)
    assert found(account="main") == [each for each in scopes if each != "account:other"]
    assert found(account="other") == ["all", "account:other", "symbol:X", "strategy:mm"]
    assert found(scope="account:main") == ["account:main"]
    assert found(scope="account:main", account="other") == []
    assert found(after="max_order_qty@symbol:X") == ["strategy:mm"]
