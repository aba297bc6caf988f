"""What may go in, and that what may not changes nothing."""

from typing import Any

import msgspec
import pytest
from riskd.actors.core.book.door import Refused

Log = Any  # the class of this fixture lives in conftest.py

FILL = {"id": "1", "symbol": "L", "side": "buy", "qty": "1", "price": "100"}
ORDER = {"id": "o", "symbol": "L", "side": "buy", "qty": "1"}
SNAPSHOT = {"symbol": "L", "qty": "1", "avg_price": "100", "as_of": 5}
INVERSE = {"symbol": "X", "kind": "inverse", "quote": "USD", "settle": "BTC", "base": "BTC"}

NOT_POSITIVE = ["0", "-1", "-0"]
NOT_FINITE = ["NaN", "sNaN", "Infinity", "-Infinity"]
TOO_LONG = ["1e31", "1e-31", "1" * 31, "1e999999"]


def refused(log: Any, kind: str, **fields: Any) -> tuple[str, str]:
    """The field and what is wrong with it; the book is as it was."""
    before = log.document
    with pytest.raises(Refused) as caught:
        log.tell(kind, **fields)
    assert log.document == before
    return caught.value.field, caught.value.problem


@pytest.mark.parametrize(
    ("kind", "fields", "field"),
    [
        ("fill", FILL, "qty"),
        ("correct", {"id": "1", "symbol": "L"}, "qty"),
        ("order", ORDER, "qty"),
        ("amend_request", {"id": "o"}, "qty"),
        ("amend", {"id": "o"}, "qty"),
        ("amend_reject", {"id": "o"}, "qty"),
        ("fx", {"ccy": "EUR"}, "rate"),
        ("instrument", {"symbol": "X", "quote": "USD", "settle": "USD"}, "multiplier"),
    ],
)
@pytest.mark.parametrize("number", NOT_POSITIVE)
def test_these_must_be_above_nought(
    log: Log, kind: str, fields: dict[str, str], field: str, number: str
) -> None:
    assert refused(log.linear(), kind, **{**fields, field: number}) == (field, "must be above 0")


@pytest.mark.parametrize("number", [*NOT_FINITE, *TOO_LONG])
@pytest.mark.parametrize(
    ("kind", "fields", "field"),
    [
        ("fill", FILL, "qty"),
        ("fill", FILL, "price"),
        ("fill", FILL, "fee"),
        ("correct", {"id": "1", "symbol": "L"}, "price"),
        ("correct", {"id": "1", "symbol": "L"}, "fee"),
        ("order", ORDER, "filled"),
        ("mark", {"symbol": "L"}, "price"),
        ("fx", {"ccy": "EUR"}, "rate"),
        ("funding", {"symbol": "L"}, "amount"),
        ("transfer", {"ccy": "USD"}, "amount"),
        ("account", {"ccy": "USD"}, "balance"),
        ("snapshot", SNAPSHOT, "qty"),
        ("snapshot", SNAPSHOT, "avg_price"),
        ("amend", {"id": "o"}, "qty"),
    ],
)
def test_every_number_is_finite_and_of_bounded_length(
    log: Log, kind: str, fields: dict[str, Any], field: str, number: str
) -> None:
    assert refused(log.linear(), kind, **{**fields, field: number})[0] == field


@pytest.mark.parametrize("symbol", ["S", "I"])
@pytest.mark.parametrize("price", ["0", "-1"])
def test_only_a_linear_contract_has_prices_of_nought_and_below(
    log: Log, symbol: str, price: str
) -> None:
    log.linear().spot().inverse()
    for kind, fields, field in (
        ("fill", FILL, "price"),
        ("mark", {}, "price"),
        ("correct", {"id": "1"}, "price"),
        ("snapshot", SNAPSHOT, "avg_price"),
    ):
        given = {**fields, "symbol": symbol, field: price}
        assert refused(log, kind, **given) == (field, "must be above 0")
        log.tell(kind, **{**given, "symbol": "L"})


def test_an_order_may_have_been_filled_by_nothing_and_not_by_less(log: Log) -> None:
    assert refused(log.linear(), "order", **ORDER, filled="-1")[0] == "filled"
    log.tell("order", **ORDER, filled="0")


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("fill", FILL),
        ("bust", {"id": "1"}),
        ("correct", {"id": "1"}),
        ("order", ORDER),
        ("mark", {"price": "1"}),
        ("funding", {"amount": "1"}),
        ("snapshot", SNAPSHOT),
    ],
)
def test_an_instrument_that_nobody_told_of_is_refused(
    log: Log, kind: str, fields: dict[str, str]
) -> None:
    assert refused(log.linear(), kind, **{**fields, "symbol": "?"})[0] == "symbol"


def test_an_inverse_contract_is_settled_in_its_base(log: Log) -> None:
    log.tell_all([{"type": "instrument", **INVERSE}])
    for other, field in ((None, "base"), ("USD", "settle")):
        with pytest.raises(Refused) as caught:
            log.tell_all([{"type": "instrument", **INVERSE, field: other}])
        assert caught.value.field == field


def test_a_position_that_is_adopted_has_an_average(log: Log) -> None:
    log.linear()
    assert refused(log, "snapshot", symbol="L", qty="-1", as_of=5)[0] == "avg_price"
    log.tell("snapshot", symbol="L", qty="0", as_of=5)


@pytest.mark.parametrize("field", ["ts", "as_of"])
@pytest.mark.parametrize("time", ["yesterday", "2024-13-01T00:00:00Z", 10**30, -(10**30)])
def test_a_time_is_one(log: Log, field: str, time: str | int) -> None:
    assert refused(log.linear(), "snapshot", **{**SNAPSHOT, field: time})[0] == field


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "/etc/localtime", "a\0b"])
def test_a_zone_is_one_that_is_known(log: Log, zone: str) -> None:
    assert refused(log, "session", tz=zone)[0] == "tz"


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("fill", {**FILL, "side": "hold"}),
        ("fill", {**FILL, "leverage": "3"}),
        ("fill", {**FILL, "id": ""}),
        ("fill", {**FILL, "qty": None}),
        ("fill", {**FILL, "qty": "one"}),
        ("instrument", {**INVERSE, "kind": "quanto"}),
        ("session", {"reset": "24:00"}),
        ("session", {"reset": "5:00"}),
        ("session", {"week_start": "someday"}),
        ("explosion", {}),
    ],
)
def test_what_is_no_event_is_none(log: Log, kind: str, fields: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        log.linear().tell(kind, **fields)


def test_a_fee_may_be_paid_or_received_and_be_none(log: Log) -> None:
    log.linear()
    for number, fee in enumerate(("-1", "0", "1")):
        log.tell("fill", **{**FILL, "id": str(number), "fee": fee})
    assert log.position()["fees"] == {"USD": "0"}
