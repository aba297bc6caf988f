"""The door of the book: what may go in. Behind it nothing is refused any more.

A fault names the field and what is wrong with it; the event that has one changes nothing.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Literal

import attrs

from ...messages.book import (
    Amend,
    AmendReject,
    AmendRequest,
    AnyEvent,
    Correct,
    Fill,
    Fx,
    Instrument,
    Mark,
    Order,
    Session,
    Snapshot,
)
from .account import AccountBook
from .numbers import fault
from .times import nanoseconds

Sign = Literal["positive", "not negative", "any"]


class Refused(Exception):
    """An event that may not go in."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


@attrs.frozen
class _Number:
    field: str
    value: Decimal | None
    sign: Sign = "positive"


def check(book: AccountBook, event: AnyEvent) -> None:
    """Raises Refused."""
    for number in _numbers(book, event):
        if number.value is not None:
            _check_number(number)
    for field in ("ts", "as_of"):
        said = getattr(event, field, None)
        if said is not None:
            try:
                nanoseconds(said)
            except ValueError as error:
                raise Refused(field, str(error)) from None
    symbol = getattr(event, "symbol", None)
    if not isinstance(event, Instrument) and symbol is not None and symbol not in book.contracts:
        raise Refused("symbol", f"{symbol!r} is no instrument that is known; tell of it before")
    if isinstance(event, Instrument):
        _check_instrument(event)
    elif isinstance(event, Snapshot) and event.qty and event.avg_price is None:
        raise Refused("avg_price", "is missing, and a position has one")
    elif isinstance(event, Session):
        try:
            book.sessions.zone(event.tz)
        except (ValueError, KeyError, OSError):
            raise Refused("tz", f"{event.tz!r} is no time zone that this machine knows") from None


def _check_number(number: _Number) -> None:
    assert number.value is not None, "it is given"
    problem = fault(number.value)
    if problem is None and number.sign == "positive" and number.value <= 0:
        problem = "must be above 0"
    if problem is None and number.sign == "not negative" and number.value < 0:
        problem = "must not be below 0"
    if problem is not None:
        raise Refused(number.field, problem)


def _check_instrument(event: Instrument) -> None:
    if event.kind == "inverse":
        if event.base is None:
            raise Refused("base", "is missing: an inverse contract is settled in it")
        if event.settle != event.base:
            raise Refused("settle", "must be the base: an inverse contract is settled in it")


def _numbers(book: AccountBook, event: AnyEvent) -> Iterator[_Number]:
    """All numbers of an event, and what each may be."""
    match event:
        case Instrument():
            yield _Number("multiplier", event.multiplier)
        case Fill():
            yield _Number("qty", event.qty)
            yield _Number("price", event.price, _price_sign(book, event.symbol))
            yield _Number("fee", event.fee, "any")
        case Correct():
            yield _Number("qty", event.qty)
            yield _Number("price", event.price, _price_sign(book, event.symbol))
            yield _Number("fee", event.fee, "any")
        case Order():
            yield _Number("qty", event.qty)
            yield _Number("filled", event.filled, "not negative")
            yield _Number("stop_price", event.stop_price, _price_sign(book, event.symbol))
        case AmendRequest() | Amend() | AmendReject():
            yield _Number("qty", event.qty)
        case Mark():
            yield _Number("price", event.price, _price_sign(book, event.symbol))
        case Fx():
            yield _Number("rate", event.rate)
        case Snapshot():
            yield _Number("qty", event.qty, "any")
            yield _Number("avg_price", event.avg_price, _price_sign(book, event.symbol))
        case _:
            for field in ("amount", "balance"):
                yield _Number(field, getattr(event, field, None), "any")


def _price_sign(book: AccountBook, symbol: str) -> Sign:
    """Only a linear contract may have a price of 0 or below."""
    contract = book.contracts.get(symbol)
    return "any" if contract is not None and contract.kind == "linear" else "positive"
