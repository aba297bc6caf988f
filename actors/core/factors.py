"""Which way a change of a factor goes, and how far it may be taken before the disk has it.

A factor that is new does nothing until a rule names it; one that is gone may still be named by a
rule that the configuration loosens, and stays until then.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Literal

from ...config.schema.factors import Factor
from ..messages import KeyChange, LimitChange
from .book.numbers import ONE
from .tightness import Direction, number

How = Literal["added", "removed", "tightened", "loosened", "changed"]


def direction(old: Factor, new: Factor) -> Direction:
    """From one to the other."""
    found = {each for each in _directions(old, new) if each != "same"}
    if not found:
        return "same" if old == new else "changed"
    return found.pop() if len(found) == 1 else "changed"


def _directions(old: Factor, new: Factor) -> Iterator[Direction]:
    if (old.zone, set(old.days)) != (new.zone, set(new.days)):
        yield "changed"
    yield from _tables(old.hours, new.hours)
    yield from _tables(old.symbols, new.symbols)
    yield number(old.calm_pct, new.calm_pct, 1)
    yield number(old.floor, new.floor, 1)


def _tables(old: Mapping[str, Decimal], new: Mapping[str, Decimal]) -> Iterator[Direction]:
    """What is not in one is multiplied by 1 there."""
    for name in {**old, **new}:
        yield number(old.get(name, ONE), new.get(name, ONE), 1)


def tightened(old: Mapping[str, Factor], new: Mapping[str, Factor]) -> dict[str, Factor]:
    """As near to the new ones as one can come without any limit growing."""
    found = {}
    for name, factor in {**old, **new}.items():
        was = old.get(name)
        stays = was is not None and direction(was, factor) in ("loosened", "changed")
        found[name] = was if stays and was is not None else factor
    return found


def changes(old: Mapping[str, Factor], new: Mapping[str, Factor]) -> Iterator[LimitChange]:
    """Each that is another one, as `factors.NAME`."""
    for name in {**new, **old}:
        was, now = old.get(name), new.get(name)
        if was == now:
            continue
        how: How = "added" if was is None else "removed"
        keys: tuple[KeyChange, ...] = ()
        if was is not None and now is not None:
            way = direction(was, now)
            how = "changed" if way == "same" else way
            keys = tuple(
                KeyChange(key=key, old=_text(getattr(was, key)), new=_text(getattr(now, key)))
                for key in was.__struct_fields__
                if getattr(was, key) != getattr(now, key)
            )
        yield LimitChange(rule=f"factors.{name}", how=how, keys=keys)


TEXT_MAX = 200


def _text(value: object) -> str:
    """As people read it."""
    if value is None:
        return "unset"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {part:f}" for name, part in value.items())[:TEXT_MAX] or "none"
    if isinstance(value, tuple):
        return ", ".join(value)
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
