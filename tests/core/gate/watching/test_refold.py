"""What rules remember is what the facts add up to, wherever riskd ended in between."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st
from riskd.actors.core.books import Books
from riskd.actors.core.limits import LimitsInForce
from riskd.actors.messages import (
    AccountOpened,
    Booked,
    By,
    Fact,
    Given,
    HaltPlaced,
    HaltsEnded,
    InstrumentListed,
    Limits,
    LimitsTightened,
    Listing,
    OrderAcked,
    OrderAsked,
    OrderCancelAsked,
    OrderDecided,
    Recorded,
    RuleTripped,
    StopMoveAsked,
    VenueStated,
    Verdict,
)
from riskd.actors.messages.book import Cancel, Fill, Mark, Order, Snapshot, Tick, Timeout
from riskd.actors.messages.halts import Halt, UntilElapsed
from riskd.config.schema import rules as schema

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
BY = By(via="riskd")
D = Decimal
RULES = (
    schema.StopRequired(grace_s=10.0),
    schema.StopRequired(grace_s=10.0, scope="strategy:mm"),
    schema.OrphanOrder(grace_s=10.0),
    schema.TradeManagement(trail_pct=D(5)),
    schema.AuthLoss(),
    schema.Reconciliation(),
)
FACTS = st.sampled_from(
    ["buy", "sell", "mark", "stop", "reducing", "ack", "cancel", "timeout", "told", "adopt",
     "venue", "moved", "cancelled", "halted", "ended", "tripped"]
)  # fmt: skip


def begin() -> list[Fact]:
    listing = Listing(symbol="L", kind="linear", multiplier=D(1), quote="USD", settle="USD")
    limits = Limits(
        on_excess="block", settings=(),
        rules=tuple(Given(rule=rule, source="file") for rule in RULES),
    )  # fmt: skip
    return [
        InstrumentListed(listing=listing),
        AccountOpened(account="main", currency="USD", balance=D(1_000)),
        Booked(account="main", event=Tick(ts=NOON.isoformat())),
        LimitsTightened(limits=limits, changes=(), by=BY, reason=""),
    ]


def decided(name: str, number: int, **more: Any) -> OrderDecided:
    order = OrderAsked(
        client_order_id=name,
        account="main",
        symbol="L",
        side="sell",
        qty="1",
        strategy="mm",
        **more,
    )
    verdict = Verdict(decision="allow", qty=D(1), code="ok")
    return OrderDecided(order=order, at=NOON, monotonic_s=float(number), verdict=verdict)


def made(what: str, number: int, at: datetime) -> Fact:
    """Of the order of this number, or of one of the last few."""
    name, recent, ts = f"o{number}", f"o{max(0, number - number % 4)}", at.isoformat()
    where: dict[str, Any] = {"scope": "all", "account": "main", "symbol": "L"}

    def booked(event: Any) -> Booked:
        return Booked(account="main", event=event)

    match what:
        case "buy" | "sell":
            price = D(100 + number % 7)
            return booked(
                Fill(id=name, symbol="L", side=what, qty=D(1), price=price, order=recent, ts=ts)
            )
        case "mark":
            mark = Mark(symbol="L", price=D(100 + number * 7 % 11), ts=ts)
            return Booked(account=None, event=mark)
        case "stop":
            return decided(name, number, order_type="stop", stop_price="90")
        case "reducing":
            return decided(name, number, price="110", reduce_only=True)
        case "ack":
            return OrderAcked(account="main", client_order_id=recent)
        case "cancel":
            return booked(Cancel(id=recent, ts=ts))
        case "timeout":
            return booked(Timeout(id=recent, ts=ts))
        case "told":
            return booked(Order(id=name, symbol="L", side="sell", qty=D(1), stop_price=D(9), ts=ts))
        case "adopt":
            return booked(
                Snapshot(symbol="L", qty=D(number % 3), avg_price=D(100), as_of=ts, ts=ts)
            )
        case "venue":
            return VenueStated(account="main", can_trade=number % 2 == 0, reason=None, at=at)
        case "moved":
            price = D(90 + number)
            return StopMoveAsked(rule=RULES[3].id, stop_price=price, reason="", **where)
        case "cancelled":
            return OrderCancelAsked(rule=RULES[2].id, client_order_id=recent, reason="", **where)
        case "halted":
            halt = Halt(
                scope="all", mode="halt", cause="edge", source=f"rule:{RULES[0].id}", reason="",
                until=UntilElapsed(seconds=5),
            )  # fmt: skip
            return HaltPlaced(halt_id=number, halt=halt, by=BY)
        case "ended":
            return HaltsEnded(halt_ids=tuple(range(number)), reason="")
    return RuleTripped(
        rule=RULES[0].id, kind="stop_required", action="halt", limit=D(1), value=D(2), missing=None,
        **where,
    )  # fmt: skip


def folded(facts: list[Fact], cut: int | None) -> tuple[bytes, bytes]:
    """What is known after all of them; at the cut it went through a dump."""
    books = Books(ZoneInfo)
    limits = LimitsInForce(books)
    for number, fact in enumerate(facts):
        if number == cut:
            kept, remembered = b"".join(books.dump()), b"".join(limits.dump())
            books = Books(ZoneInfo)
            limits = LimitsInForce(books)
            books.load(kept)
            limits.load(remembered)
        at = NOON + timedelta(seconds=number)
        recorded = Recorded(lsn=number + 1, at=at, monotonic_s=float(number), fact=fact)  # type: ignore[arg-type]  # every Fact is of AnyFact
        books.apply(recorded)
        limits.apply(recorded)
    return b"".join(books.dump()), b"".join(limits.dump())


@given(whats=st.lists(FACTS, min_size=5, max_size=40), data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_dump_anywhere_changes_nothing_of_what_comes_of_it(whats: list[str], data: Any) -> None:
    facts = begin()
    for number, what in enumerate(whats, len(facts)):
        facts.append(made(what, number, NOON + timedelta(seconds=number)))
    cut = data.draw(st.integers(4, len(facts) - 1))
    assert folded(facts, cut) == folded(facts, None)
