"""Does a change of a rule allow less, or more? By what the kinds say of their keys, and no guess.

What a kind does not say, what goes both ways at once, and another kind under the same name are
`changed`, which counts as what loosens.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Literal

import msgspec

from ...config.schema.rules import AnyRule, Rule

Direction = Literal["same", "tightened", "loosened", "changed"]
NAMED = frozenset({"name", "scope"})
"""What a rule is known by."""
UNSETTABLE = NAMED | {"factor"}
"""Keys that nobody can set by hand. A factor is the file's, which says what it means."""

_Kind = type[Rule]


def direction(old: AnyRule, new: AnyRule) -> Direction:
    """From one to the other."""
    if old == new:
        return "same"
    if type(old) is not type(new) or old.scope != new.scope:
        return "changed"
    found = {each for each in _directions(old, new) if each != "same"}
    return found.pop() if len(found) == 1 else "changed"


def _directions(old: AnyRule, new: AnyRule) -> Iterator[Direction]:
    kind = type(old)
    for key in declared(kind, "SMALLER"):
        yield number(getattr(old, key), getattr(new, key), 1)
    for key in declared(kind, "LARGER"):
        yield number(getattr(old, key), getattr(new, key), -1)
    for key in declared(kind, "FEWER"):
        yield _names(getattr(old, key), getattr(new, key))
    for key in declared(kind, "MORE"):
        yield _names(getattr(new, key) or (), getattr(old, key) or ())
    for key, rows in _words(kind).items():
        yield _word(getattr(old, key), getattr(new, key), rows)
    yield _factor(old.factor, new.factor)
    for key in untold(kind):
        if getattr(old, key) != getattr(new, key):
            yield "changed"


def number(old: Any, new: Any, sign: int) -> Direction:
    """Of which a smaller one allows less, or with sign -1 more. None allows all."""
    if old == new:
        return "same"
    if new is None or (old is not None and (new - old) * sign > 0):
        return "loosened"
    return "tightened"


def _factor(old: str | None, new: str | None) -> Direction:
    """By its name; limits only shrink by it."""
    if old == new:
        return "same"
    if old is None:
        return "tightened"
    return "loosened" if new is None else "changed"


def _names(old: Any, new: Any) -> Direction:
    """Of those that may."""
    if old == new:
        return "same"
    if new is None:
        return "loosened"
    if old is None or set(new) < set(old):
        return "tightened"
    return "loosened" if set(new) > set(old) else "changed"


def _word(old: str | None, new: str | None, rows: tuple[tuple[str | None, ...], ...]) -> Direction:
    if old == new:
        return "same"
    for row in rows:
        if old in row and new in row:
            return "tightened" if row.index(new) > row.index(old) else "loosened"
    return "changed"


@cache
def declared(kind: _Kind, what: str) -> tuple[str, ...]:
    """Of a kind, and of all that it is a kind of."""
    return tuple(key for each in kind.__mro__ for key in vars(each).get(what, ()))


@cache
def _words(kind: _Kind) -> Mapping[str, tuple[tuple[str | None, ...], ...]]:
    found: dict[str, tuple[tuple[str | None, ...], ...]] = {}
    for each in reversed(kind.__mro__):
        found.update(vars(each).get("WORDS", {}))
    return found


@cache
def untold(kind: _Kind) -> tuple[str, ...]:
    """The keys of which a kind does not say which way is tighter."""
    told = {*UNSETTABLE, *_words(kind)}
    for what in ("SMALLER", "LARGER", "FEWER", "MORE", "BY_PROPERTY"):
        told.update(declared(kind, what))
    return tuple(each.name for each in msgspec.structs.fields(kind) if each.name not in told)
