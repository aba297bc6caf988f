"""Which keys of a rule its factor multiplies: the numbers of which a smaller one allows less.

Ages and other seconds are none of them, nor is what the rule remembers by (`FIXED`).
"""

from decimal import ROUND_FLOOR, Decimal
from typing import TypeVar

from msgspec.structs import replace

from .base import Rule

R = TypeVar("R", bound=Rule)


def keys(rule: Rule) -> tuple[str, ...]:
    """Those that are set."""
    kinds = type(rule).__mro__
    smaller = [key for kind in kinds for key in vars(kind).get("SMALLER", ())]
    if any(key not in rule.__struct_fields__ for key in smaller):
        smaller += [key for kind in kinds for key in vars(kind).get("BY_PROPERTY", ())]
    fixed = {key for kind in kinds for key in vars(kind).get("FIXED", ())}
    return tuple(
        key
        for key in rule.__struct_fields__
        if key in smaller and key not in fixed and _is_number(getattr(rule, key))
    )


def _is_number(value: object) -> bool:
    return isinstance(value, Decimal | int) and not isinstance(value, bool)


def scaled(rule: R, part: Decimal) -> R:
    """With so much of each limit. Whole numbers are rounded down, and stay 1 at least if they
    were."""
    return replace(rule, **{key: _times(getattr(rule, key), part) for key in keys(rule)})


def _times(limit: Decimal | int, part: Decimal) -> Decimal | int:
    if isinstance(limit, Decimal):
        return limit * part
    return max(int((limit * part).to_integral_value(ROUND_FLOOR)), min(limit, 1))
