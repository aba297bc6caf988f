"""What the amounts of a rule about winnings and losses have to be, beside being numbers."""

from collections.abc import Iterator
from decimal import Decimal

from ..base import Disagreement
from ..trading import unfit
from .base import Rule

PERCENT = "In percent of what the scope's accounts were worth when the session opened."


def above_nothing(rule: Rule, *keys: str) -> Iterator[Disagreement]:
    """An amount of 0 would be reached by whoever does nothing."""
    for key in keys:
        value: Decimal | None = getattr(rule, key)
        if value is None:
            continue
        if value <= 0:
            yield Disagreement(key, "is not above 0", "write an amount that may be reached")
        else:
            yield from unfit(key, value)


def one_of(rule: Rule, *keys: str) -> Iterator[Disagreement]:
    """Of these at least one has to be there."""
    if all(getattr(rule, key) is None for key in keys):
        others = f"so is {keys[1]}" if len(keys) == 2 else "so are the others"
        yield Disagreement(keys[0], f"is missing, and {others}", "write one of them")


def of_accounts(rule: Rule, key: str) -> Iterator[Disagreement]:
    """A part of an account begins with nothing: there is nothing that this could be a share of."""
    if getattr(rule, key) is not None and rule.scope.startswith(("strategy:", "worker:")):
        kind = rule.scope.partition(":")[0]
        problem = f"is a share of what a {kind} does not have: it has no money of its own"
        yield Disagreement(key, problem, "write an amount, or the scope of an account")
