"""Exact numbers: how the book counts, what it takes in, and how it writes them down.

All sums are made in one context of fifty digits, far more than any input has, so that what cancels
on paper cancels here as well. What is shown is rounded once, at the end: to 28 digits, and to
thirty places after the point, where only the rounding of a division can have left anything.
"""

from decimal import (
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
    getcontext,
    setcontext,
)

CONTEXT = Context(
    prec=50, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow]
)
SHOWN = Context(prec=28, rounding=ROUND_HALF_EVEN)
SMALLEST = Decimal("1e-30")
DIGITS_MAX = 30
"""Of an input, before the point and after it: a number with more is a mistake or an attack."""

ZERO = Decimal(0)
ONE = Decimal(1)
HUNDRED = Decimal(100)


class exact:  # noqa: N801  # it reads as what it does: `with exact():`
    """Count in the book's context while the block lasts. A class, for a generator would cost as
    much as a fifth of a fill; and inside another one it costs next to nothing."""

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before = before = getcontext()
        if before is not CONTEXT:
            setcontext(CONTEXT)

    def __exit__(self, *_: object) -> None:
        if self._before is not CONTEXT:
            setcontext(self._before)


def fault(number: Decimal) -> str | None:
    """What keeps a number out of the book; None: nothing."""
    if not number.is_finite():
        return "is no finite number"
    if number:
        _, digits, exponent = number.as_tuple()
        assert isinstance(exponent, int), "it is finite"
        if -exponent > DIGITS_MAX or len(digits) + exponent > DIGITS_MAX:
            return f"has more than {DIGITS_MAX} digits before the point or after it"
    return None


def shown(number: Decimal | None) -> str | None:
    """As text, rounded, without an exponent and without zeros that say nothing."""
    if number is None:
        return None
    rounded = SHOWN.plus(number)
    exponent = rounded.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -DIGITS_MAX:
        rounded = rounded.quantize(SMALLEST, ROUND_HALF_EVEN, CONTEXT)
    if not rounded:
        return "0"
    text = f"{rounded:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
