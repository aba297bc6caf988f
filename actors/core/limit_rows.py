"""The limits as people see them: each rule with what it limits, and how far that is used.

What a rule measures without an order is its own to say; where it judges orders alone there is only
its limit to be shown.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import dropwhile, islice
from typing import Any

from ...config.schema.rules import AnyRule, LimitRule, StateRule, scaling
from ...config.schema.rules.scaling import scaled
from ..messages import Given, Limits, Setting
from .book.numbers import exact, shown
from .book.times import instant
from .books import Books
from .gate.dynamic import Dynamic, DynamicState
from .gate.memory import Memory
from .gate.rule import HUNDRED, Around, Found, Judge, unknown
from .gate.view import Moment
from .limits import LimitsInForce, text

Row = dict[str, object]
COMMON = frozenset({*LimitRule.__struct_fields__, *StateRule.__struct_fields__})
"""Keys that are no limits."""


def rows(
    limits: LimitsInForce,
    books: Books,
    moment: Moment,
    *,
    account: str | None = None,
    scope: str | None = None,
    after: str | None = None,
) -> Iterator[Row]:
    """In the order in which the rules were given. `account`: those that its orders can meet."""
    judges = {judge.id: judge for judge in limits.judges}
    settings = _by_rule(limits.now)
    found: Iterable[Given] = limits.now.rules
    if after is not None:
        found = islice(dropwhile(lambda each: each.rule.id != after, found), 1, None)
    for given in found:
        rule = given.rule
        wanted = scope in (None, rule.scope) and (
            account is None or _can_meet(books, rule.scope, account)
        )
        if wanted:
            judge = judges[rule.id]
            measured = _measured(judge, limits.memories.get(rule.id), books, moment)
            factor = _factor(judge, rule, moment)
            yield {**_row(given, settings.get(rule.id, []), measured), "factor": factor}


def _factor(judge: Judge[Any], rule: AnyRule, moment: Moment) -> Row | None:
    """What the limits are multiplied by now, and come to; as far as that can be told without an
    order: `by_symbol` says that it is less for some."""
    if not isinstance(judge, Dynamic | DynamicState):
        return None
    part = judge.shrinking.part(moment.at)
    with exact():
        now = keys(scaled(rule, part))
    return {
        "name": rule.factor,
        "now": shown(part),
        "by_symbol": judge.shrinking.is_by_symbol,
        "keys": {key: now[key] for key in scaling.keys(rule)},
    }


def _by_rule(limits: Limits) -> dict[str, list[Setting]]:
    found: dict[str, list[Setting]] = {}
    for setting in limits.settings:
        found.setdefault(setting.rule, []).append(setting)
    return found


def _can_meet(books: Books, scope: str, account: str) -> bool:
    """Can an order of this account be in that scope?"""
    kind, _, name = scope.partition(":")
    if kind == "account":
        return name == account
    if kind == "exchange":
        held = books.accounts.get(account)
        return held is not None and held.about.exchange == name
    return True


def _measured(
    judge: Judge[Any], memory: Memory | None, books: Books, moment: Moment
) -> Found | None:
    with exact():
        try:
            return judge.overall(Around(books, moment, memory))
        except Exception as error:  # noqa: BLE001 - a rule that fails could not be evaluated
            return unknown(f"{judge.id} failed: {error!r}"[:500])


def _row(given: Given, settings: Iterable[Setting], found: Found | None) -> Row:
    rule = given.rule
    found = found or Found("pass", "ok")
    return {
        "rule": rule.id,
        "kind": rule.kind,
        "scope": rule.scope,
        "keys": keys(rule),
        "outcome": found.outcome,
        "limit": shown(found.limit),
        "value": shown(found.value),
        "used_pct": _used_pct(found),
        "headroom": shown(found.headroom),
        "missing": found.missing,
        "action": getattr(rule, "action", "block"),
        "source": given.source,
        "set": [_set(each) for each in settings],
    }


def keys(rule: AnyRule) -> dict[str, str]:
    """What a rule limits, as it is written; without what is unset."""
    return {
        key: text(getattr(rule, key))
        for key in rule.__struct_fields__
        if key not in COMMON and getattr(rule, key) is not None
    }


def _used_pct(found: Found) -> str | None:
    if found.value is None or not found.limit or found.limit < 0:
        return None
    with exact():
        return str((max(found.value, Decimal(0)) * HUNDRED / found.limit).quantize(Decimal("0.1")))


def _set(setting: Setting) -> Row:
    by = setting.by
    return {
        "key": setting.key,
        "value": text(setting.value),
        "instead_of": setting.instead_of,
        "by": by.user or by.user_id or by.via,
        "at": instant(setting.at),
        "reason": setting.reason,
        "approved_by": setting.approved_by,
    }
