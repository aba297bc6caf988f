"""Overrides in words: pure functions of what riskd answered."""

from collections.abc import Mapping
from typing import Any

from .page import Line, Mood, Page, Table
from .show_halting import moment

Document = Mapping[str, Any]

_HEADS = ("override", "state", "order", "asked by", "approved by", "until", "used by")
_SPARE = ("used by", "until")
_NONE = "-"
_MOODS: Mapping[object, Mood] = {"requested": "warn", "approved": "warn"}


def overrides(document: Document) -> Page:
    """A row each, in which those that wait for somebody or permit something stand out; and below
    what each is about."""
    found = document.get("overrides") or []
    if not found:
        return [Line("no overrides")]
    moods: list[Mood] = [_MOODS.get(row.get("state"), "plain") for row in found]
    return [
        Table(_HEADS, [_row(row) for row in found], moods, spare=_SPARE),
        Line(""),
        *(Line(f"  {_about(row)}", mood) for row, mood in zip(found, moods, strict=True)),
    ]


def _row(row: Document) -> tuple[str, ...]:
    return (
        str(row.get("override", "unknown")),
        str(row.get("state", "unknown")),
        order(row),
        str(row.get("requested_by") or _NONE),
        str(row.get("approved_by") or _NONE),
        _moment(row.get("until")),
        str(row.get("used_by") or _NONE),
    )


def _about(row: Document) -> str:
    rules = ", ".join(row.get("rules") or []) or "no rule"
    return f"{row.get('override')}: {rules} would not count, because: {row.get('reason')}"


def order(row: Document) -> str:
    """What it is for: `sell 2.5 BTCUSDT in main at 49000 or better`."""
    price = row.get("price_limit")
    words = f"{row.get('side')} {row.get('max_qty')} {row.get('symbol')} in {row.get('account')}"
    return words if price is None else f"{words} at {price} or better"


def before_approval(row: Document | None, name: str) -> list[str]:
    """What a person reads who is about to approve."""
    if row is None:
        return [f"riskd has no override {name}"]
    return [
        f"{name} is {row.get('state')}: {row.get('requested_by')} asks for one order,",
        f"  {order(row)}, within {row.get('for_s'):g} s of your word,",
        f"  which {', '.join(row.get('rules') or [])} would not stop",
        f"reason: {row.get('reason')}",
    ]


def changed(row: Document, *, changed: bool) -> Page:
    """What has become of one."""
    name, state = row.get("override", "unknown"), row.get("state", "unknown")
    if not changed:
        return [Line(f"nothing was changed: {name} is {state} already")]
    words = f"{name} is {state}: {order(row)}"
    match state:
        case "requested":
            return [Line(words), Line(f"another person approves: riskctl override approve {name}")]
        case "approved":
            return [Line(f"{words}, until {_moment(row.get('until'))}", "warn")]
    return [Line(words)]


def _moment(text: object) -> str:
    return _NONE if text is None else moment(text)
