"""A book in a snapshot: its pieces are small, and what is no book is refused."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core.book.path import STRIDE
from riskd.actors.core.dumps import ENTRIES_A_PIECE

NewLog = Callable[..., Any]  # the class of this fixture lives in conftest.py
Log = Any
BEGIN = 1_700_000_000


def full(log: Log) -> Log:
    """A little of everything."""
    log.account().tell("session", tz="America/New_York").linear().inverse().spot()
    log.tell("fx", ccy="BTC", rate="3").mark("3", "I").mark("7", "S")
    log.buy("1", "1", "7", "I", order="o", ts=BEGIN).sell("2", "1", "11", "S", fee="0.1")
    log.order("o", "buy", "3", "I").tell("amend_request", id="o", qty="5")
    log.tell("bust", id="3", symbol="L").tell("funding", symbol="I", amount="1")
    log.tell("snapshot", symbol="L", qty="3", avg_price="7", as_of=BEGIN)
    return log


def state(log: Log) -> bytes:
    return b"".join(log.book.dump())


def test_the_pieces_of_a_dump_are_small_however_much_there_is(log: Log) -> None:
    log.account().linear()
    for number in range(5 * ENTRIES_A_PIECE):
        log.buy(f"fill-{number}", "1", "10", ts=BEGIN + number, order=f"order-{number}")
        log.mark("10", ts=BEGIN + number)
    pieces = list(log.book.dump())
    for name in (b"fill-", b"order-"):
        assert max(piece.count(name) for piece in pieces) <= 2 * ENTRIES_A_PIECE
    assert max(map(len, pieces)) < 200 * ENTRIES_A_PIECE


def test_no_digit_is_lost(log: Log, new_log: NewLog) -> None:
    """A third of nothing whole, and zeros that say how exact a number was."""
    full(log)
    loaded = new_log()
    loaded.book.load(state(log))
    total = log.book.worth.total
    assert str(loaded.book.worth.total) == str(total)
    assert len(total.as_tuple().digits) > 28
    loaded.buy("9", "1.50", "10.00", ts=BEGIN + 1)
    again = new_log()
    again.book.load(state(loaded))
    assert str(again.book.worth.paths["L"].fills[-1].price) == "10.00"
    assert again.book.worth.paths["L"].qty == Decimal("4.5")


def test_a_fill_that_was_repeated_is_known_after_a_load(log: Log, new_log: NewLog) -> None:
    log.linear().buy("1", "1", "10").buy("2", "1", "10")
    log.tell("bust", id="2", symbol="L").tell("bust", id="3", symbol="L")
    loaded = new_log()
    loaded.book.load(state(log))
    for fill in ("1", "2", "3"):
        loaded.buy(fill, "1", "10")
    assert loaded.position()["qty"] == "1"


def refused(new_log: NewLog, rubbish: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        new_log().book.load(rubbish)


@given(st.binary(max_size=50))
def test_what_is_no_book_is_refused(new_log: NewLog, rubbish: bytes) -> None:
    refused(new_log, rubbish)


def test_half_a_book_is_refused(log: Log, new_log: NewLog) -> None:
    whole = state(full(log))
    for cut in range(len(whole)):
        refused(new_log, whole[:cut])


@pytest.mark.parametrize("section", range(23))
def test_a_book_with_a_section_of_another_shape_is_refused(
    log: Log, new_log: NewLog, section: int
) -> None:
    whole = json.loads(state(full(log)))
    assert len(whole) == 23
    whole[section] = [[7]]
    refused(new_log, json.dumps(whole).encode())


def test_a_book_that_lacks_an_instrument_of_its_fills_is_refused(log: Log, new_log: NewLog) -> None:
    whole = json.loads(state(full(log)))
    whole[1] = []
    refused(new_log, json.dumps(whole).encode())


def test_steps_of_another_stride_are_refused(log: Log, new_log: NewLog) -> None:
    """They would be found at the wrong fills."""
    log.linear()
    for number in range(2 * STRIDE):
        log.buy(str(number), "1", "10", ts=BEGIN + number)
    whole = json.loads(state(log))
    steps = whole[7]
    assert len(steps) == 2
    whole[7] = steps[:1]
    refused(new_log, json.dumps(whole).encode())


def test_a_late_fill_finds_its_steps_after_a_load(log: Log, new_log: NewLog) -> None:
    log.account().inverse().tell("fx", ccy="BTC", rate="3")
    for number in range(3 * STRIDE + 5):
        log.buy(str(number), "1", str(7 + number % 4), "I", ts=BEGIN + 2 * number)
    loaded = new_log()
    loaded.book.load(state(log))
    for each in (log, loaded):
        each.sell("late", "3", "11", "I", ts=BEGIN + 2 * STRIDE + 1)
    assert state(loaded) == state(log)
    assert loaded.document == log.document
