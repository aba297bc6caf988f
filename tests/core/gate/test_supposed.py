"""Orders in another world: facts alone make it, and nothing of it comes back into this one."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core.gate.supposed import NotSupposed, World
from riskd.actors.core.gate.view import Moment
from riskd.actors.core.kill_switch import NotAllowed
from riskd.actors.core.position_keeper import NotBooked
from riskd.actors.messages import (
    AccountOpened,
    Booked,
    By,
    DaemonStarted,
    Given,
    InstrumentListed,
    LimitPut,
    Limits,
    LimitsTightened,
    Listing,
    OrderAsked,
    Recorded,
    SessionClockSet,
    WhatIf,
)
from riskd.actors.messages.book import Mark, Tick
from riskd.config.schema import rules as schema
from riskd.supervisor.known import Known

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
BY = By(via="riskd")
RULES = (
    schema.MaxPosition(scope="account:main", max_qty=Decimal(10), on_excess="scale_down"),
    schema.MaxOrderNotional(max_notional=Decimal(1_000)),
)
POSITION = "max_position@account:main"
NOTIONAL = "max_order_notional@all"


def world() -> World:
    """Accounts `main` and `other`; in `main` X is at 100, in `other` at 50, and Y nowhere."""
    known = Known()
    given = tuple(Given(rule=rule, source="config") for rule in RULES)
    limits = Limits(on_excess="block", rules=given, settings=())
    facts = [
        DaemonStarted(version="1", process_id=1, boot="b", config_source="", config_digest=""),
        SessionClockSet(tz="UTC", reset="00:00", week_start="monday"),
        *(
            InstrumentListed(
                listing=Listing(
                    symbol=symbol, kind="linear", multiplier=Decimal(1), quote="USD", settle="USD"
                )
            )
            for symbol in "XY"
        ),
        *(
            AccountOpened(account=name, currency="USD", balance=Decimal(10**6))
            for name in ("main", "other")
        ),
        Booked(account=None, event=Tick(ts=NOON.isoformat())),
        Booked(account="main", event=Mark(symbol="X", price=Decimal(100))),
        Booked(account="other", event=Mark(symbol="X", price=Decimal(50))),
        LimitsTightened(limits=limits, changes=(), by=BY, reason="begin"),
    ]
    for lsn, fact in enumerate(facts, 1):
        recorded = Recorded(lsn=lsn, at=NOON, monotonic_s=1.0, fact=fact)  # type: ignore[arg-type]  # every Fact is of AnyFact
        for projection in known.projections():
            projection.apply(recorded)
    return World(
        books=known.books,
        limits=known.limits,
        knowledge=known.knowledge,
        projections=known.projections(),
        lsn=len(facts),
        moment=Moment(NOON, 1.0),
    )


def order(qty: object = "4", account: str = "main", **more: Any) -> OrderAsked:
    fields = {"client_order_id": "o", "symbol": "X", "side": "buy", **more}
    return OrderAsked(account=account, qty=str(qty), **fields)


def answers(**question: Any) -> list[dict[str, Any]]:
    return [each["verdict"] for each in world().answer(WhatIf(**question))]


def notional(marks: dict[str, str], account: str = "main") -> str | None:
    """What four of them would be worth."""
    (found,) = world().answer(WhatIf(orders=[order(account=account)], marks=marks))
    (row,) = [row for row in found["rules"] if row["rule"] == NOTIONAL]
    value = row["value"]
    assert value is None or isinstance(value, str)
    return value


@pytest.mark.parametrize(
    ("shock", "main", "other"),
    [("-5%", "380", "190"), ("+10%", "440", "220"), ("0.5%", "402", "201"), ("70", "280", "280")],
)
def test_a_mark_is_a_price_or_moves_in_each_account_by_itself(
    shock: str, main: str, other: str
) -> None:
    slip = Decimal(1) + schema.MaxOrderNotional(max_notional=Decimal(1)).slip_pct / 100
    for account, worth in (("main", main), ("other", other)):
        said = notional({"X": shock}, account)
        assert said is not None
        assert Decimal(said) == Decimal(worth) * slip


def test_a_mark_that_can_not_be_is_refused() -> None:
    for marks, code in (({"Z": "5"}, "unknown_symbol"), ({"Y": "-5%"}, "no_mark")):
        with pytest.raises(NotSupposed) as no:
            answers(orders=[order()], marks=marks)
        assert no.value.code == code
    with pytest.raises(NotBooked):
        answers(orders=[order()], marks={"X": "-100%"})


@pytest.mark.parametrize("shock", ["5 %", "%", "1e5", "NaN", "--5%", "", "5%5"])
def test_a_shock_is_written_in_one_way(shock: str) -> None:
    question = {"orders": [msgspec.to_builtins(order())], "marks": {"X": shock}}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"type": "what_if", **question}, WhatIf)


def test_a_limit_is_another_one_and_one_that_can_not_be_is_refused() -> None:
    put = LimitPut(rule=POSITION, key="max_qty", value="3")
    (found,) = answers(orders=[order()], limits=(put,))
    assert (found["decision"], found["qty"]) == ("scale_down", "3")
    wide = LimitPut(rule=POSITION, key="max_qty", value="100")
    dear = LimitPut(rule=NOTIONAL, key="max_notional", value="100000")
    (found,) = answers(orders=[order(50)], limits=(wide, dear))
    assert found["decision"] == "allow", "nobody has to approve what is only supposed"
    with pytest.raises(NotAllowed):
        answers(orders=[order()], limits=(LimitPut(rule="no", key="max_qty", value="3"),))


@given(
    sizes=st.lists(
        st.tuples(st.integers(1, 9), st.sampled_from(["buy", "sell"])), min_size=1, max_size=8
    ),
    together=st.booleans(),
)
def test_together_each_order_finds_what_those_before_it_reserve(
    sizes: list[tuple[int, str]], together: bool
) -> None:
    orders = [
        order(qty, client_order_id=f"o{number}", side=side)
        for number, (qty, side) in enumerate(sizes)
    ]
    left = {"buy": 10, "sell": 10}
    for (qty, side), found in zip(sizes, answers(orders=orders, together=together), strict=True):
        passed = min(qty, left[side])
        assert found["qty"] == str(passed)
        left[side] -= passed if together else 0


def test_an_id_that_comes_twice_gets_the_answer_that_it_would_get() -> None:
    same = world().answer(WhatIf(orders=[order(), order()], together=True))
    assert [each["answered_before"] is not None for each in same] == [False, True]
    other = answers(orders=[order(), order(5)], together=True)
    assert [each["code"] for each in other] == ["ok", "id_reused"]


def test_what_is_told_is_of_the_facts_that_are_true() -> None:
    this = world()
    lsn = this.lsn
    question = WhatIf(orders=[order(), order(client_order_id="p")], marks={"X": "9"}, together=True)
    assert {each["lsn"] for each in this.answer(question)} == {lsn}
