"""How the book counts, and how it writes numbers down."""

from decimal import ROUND_DOWN, Decimal, Inexact, getcontext, localcontext
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core.book.numbers import CONTEXT, exact, fault, shown

Log = Any  # the class of this fixture lives in conftest.py


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("0.000", "0"),
        ("0E-40", "0"),
        ("0E+40", "0"),
        ("1", "1"),
        ("1.500", "1.5"),
        ("100", "100"),
        ("1E+3", "1000"),
        ("1E-7", "0.0000001"),
        ("-12.340", "-12.34"),
        # 28 digits, the last one rounded to even.
        ("1.2345678901234567890123456785", "1.234567890123456789012345678"),
        ("1.2345678901234567890123456775", "1.234567890123456789012345678"),
        ("1.23456789012345678901234567851", "1.234567890123456789012345679"),
        # Thirty places.
        ("1e-30", "0.000000000000000000000000000001"),
        ("4e-31", "0"),
        ("-4e-31", "0"),
        ("12345e-34", "0.000000000000000000000000000001"),
    ],
)
def test_a_number_is_shown_without_an_exponent_and_without_needless_zeros(
    number: str, expected: str
) -> None:
    assert shown(Decimal(number)) == expected


def test_what_is_unknown_is_shown_as_nothing() -> None:
    assert shown(None) is None


@given(st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-(10**15)))
def test_what_is_shown_reads_back(number: Decimal) -> None:
    text = shown(number)
    assert text is not None
    assert "e" not in text.lower()
    assert abs(Fraction(text) - Fraction(number)) <= abs(Fraction(number)) / 10**27
    assert shown(Decimal(text)) == text


@pytest.mark.parametrize("number", ["0", "-5", "1e29", "9" * 30, "1e-30", "0E+99", "1." + "0" * 30])
def test_a_number_of_ordinary_size_may_go_in(number: str) -> None:
    assert fault(Decimal(number)) is None


@pytest.mark.parametrize("number", ["NaN", "sNaN", "Infinity", "-Infinity", "1e30", "1e-31"])
def test_others_may_not(number: str) -> None:
    assert fault(Decimal(number)) is not None


def test_the_callers_own_context_is_left_as_it_was() -> None:
    with localcontext() as context:
        context.prec, context.rounding = 5, ROUND_DOWN
        with exact():
            assert getcontext().prec == CONTEXT.prec == 50
        assert (getcontext().prec, getcontext().rounding) == (5, ROUND_DOWN)


def test_the_book_counts_alike_whatever_context_it_is_called_in(log: Log) -> None:
    with localcontext() as context:
        context.prec = 3
        context.traps[Inexact] = True
        log.linear().account("1000.0001").buy("1", "12345.6789", "98765.4321")
        log.mark("98765.4322")
        # 12345.6789 x 0.0001
        assert log.position()["unrealized_pnl"] == "1.23456789"
        assert log.worth["equity"] == "1001.23466789"


def test_sums_of_decimals_are_exact(log: Log) -> None:
    log.linear().account("0")
    for number in range(10):
        log.buy(str(number), "0.1", "0.1", fee="0.1")
    assert log.position()["qty"] == "1"
    assert log.position()["avg_price"] == "0.1"
    assert log.position()["fees"] == {"USD": "1"}
