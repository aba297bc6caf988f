"""What the numbers of a rule have to be, beside being numbers."""

from collections.abc import Iterator, Mapping
from decimal import Decimal

from ..base import Disagreement
from ..trading import unfit
from .base import Rule


def unfit_numbers(rule: Rule) -> Iterator[Disagreement]:
    """A limit is never below 0, nor has it more digits than the book counts with."""
    for key in rule.__struct_fields__:
        for number in _numbers(getattr(rule, key)):
            problems = list(unfit(key, number))
            if number < 0:
                problems.append(Disagreement(key, "is below 0", "write a number that limits"))
            if problems:
                yield problems[0]
                break


def _numbers(value: object) -> Iterator[Decimal]:
    """One, or those in a list or a table."""
    if isinstance(value, Mapping):
        value = tuple(value.values())
    for one in value if isinstance(value, tuple) else (value,):
        if isinstance(one, Decimal):
            yield one


def none_of(rule: Rule, *keys: str) -> Iterator[Disagreement]:
    """One of them, at least, has to be there."""
    if all(getattr(rule, key) is None for key in keys):
        others = f"so is {keys[1]}" if len(keys) == 2 else "so are the others"
        yield Disagreement(keys[0], f"is missing, and {others}", "write one of them")
