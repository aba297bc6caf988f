"""The limits in words: pure functions of what riskd answered."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...actors.messages import LimitChange
from .page import Line, Mood, Page, Table, brief
from .show_halting import moment

Document = Mapping[str, Any]

_HEADS = ("rule", "scope", "limit", "now", "used", "left", "action", "source")
_NUMBERS = frozenset({"now", "used", "left"})
_SPARE = ("scope", "source", "left", "action")
"""The rule's name says the scope, and what was set by hand is listed below."""
_NONE = "-"
_MOODS: Mapping[object, Mood] = {"block": "bad", "cap": "bad", "warn": "warn", "unknown": "warn"}
_HOW: Mapping[str, Mood] = {
    "loosened": "warn",
    "changed": "warn",
    "removed": "warn",
    "overruled": "warn",
}


def limits(document: Document) -> Page:
    """A row a rule, and below what persons have set."""
    found = document.get("limits") or []
    if not found:
        return [Line("no limits are in force but those that always are", "warn")]
    moods: list[Mood] = [_MOODS.get(row.get("outcome"), "plain") for row in found]
    lines = list(_settings(found))
    return [
        Table(_HEADS, [_row(row) for row in found], moods, _NUMBERS, _SPARE),
        *([Line(""), Line("set by hand:"), *lines] if lines else []),
    ]


def _row(row: Document) -> tuple[str, ...]:
    is_unknown = row.get("outcome") == "unknown"
    used = row.get("used_pct")
    return (
        str(row.get("rule", "unknown")),
        str(row.get("scope", "unknown")),
        _limit(row),
        "unknown" if is_unknown else brief(str(row.get("value") or _NONE)),
        _NONE if used is None else f"{used} %",
        brief(str(row.get("headroom") or _NONE)),
        str(row.get("action", "unknown")),
        "by hand" if row.get("set") else str(row.get("source", "unknown")),
    )


def _limit(row: Document) -> str:
    """What it has measured against, or what is written; and by what it is less than that."""
    factor = row.get("factor") or {}
    if row.get("limit") is not None:
        found = brief(str(row["limit"]))
    else:
        keys = {**(row.get("keys") or {}), **(factor.get("keys") or {})}
        found = ", ".join(f"{key} {value}" for key, value in keys.items()) or _NONE
    if not factor:
        return found
    less = " or less" if factor.get("by_symbol") else ""
    return f"{found} (x {factor.get('now')}{less}, {factor.get('name')})"


def _settings(found: Sequence[Document]) -> Iterator[Line]:
    for row in found:
        for each in row.get("set") or []:
            said = f"{each.get('reason')} ({each.get('by')}, {moment(each.get('at'))}"
            approved = f", approved by {each['approved_by']}" if each.get("approved_by") else ""
            yield Line(
                f"  {row.get('rule')}: {each.get('key')} {each.get('value')} instead of "
                f"{each.get('instead_of')}: {said}{approved})"
            )


def changes(found: Sequence[LimitChange]) -> Page:
    """What becomes, or would become, of each rule."""
    if not found:
        return [Line("limits: no change")]
    return [Line("limits:"), *(Line(_change(each), _HOW.get(each.how, "plain")) for each in found)]


def _change(change: LimitChange) -> str:
    keys = ", ".join(f"{key.key} {key.old} -> {key.new}" for key in change.keys)
    by_hand = " (set by hand; the file says otherwise now)" if change.how == "overruled" else ""
    return f"  {change.how} {change.rule}{': ' if keys else ''}{keys}{by_hand}"


def reloaded(found: Sequence[LimitChange], waiting: Sequence[LimitChange]) -> Page:
    """What was changed, and what is not true yet."""
    if not waiting:
        return changes(found)
    return [
        *changes(found),
        Line("NOT YET IN FORCE, because the disk has not confirmed it; riskd tries on:", "warn"),
        *(Line(_change(each), "warn") for each in waiting),
    ]


def before_change(row: Document | None, rule: str, what: str) -> list[str]:
    """What a person reads who is about to change a limit."""
    if row is None:
        return [f"riskd has no rule {rule}"]
    keys = row.get("keys") or {}
    now = ", ".join(f"{key} {value}" for key, value in keys.items()) or "no limits of its own"
    return [f"{rule} is: {now}, action {row.get('action')}, from {row.get('source')}", what]
