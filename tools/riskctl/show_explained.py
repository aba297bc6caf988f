"""Decisions in words: pure functions of what riskd answered."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .page import Line, Mood, Page, Table, brief
from .show_halting import count, inner, moment

Document = Mapping[str, Any]

_HEADS = ("rule", "says", "limit", "value", "left", "would pass", "missing")
_NONE = "-"
_MOODS: Mapping[object, Mood] = {"block": "bad", "cap": "bad", "warn": "warn", "unknown": "warn"}
_ANSWERS: Mapping[object, Mood] = {"allow": "good", "scale_down": "warn", "block": "bad"}
_NUMBERS = (
    ("limit", "the limit"),
    ("value", "with the order"),
    ("headroom", "left before it"),
    ("max_qty", "would pass"),
)


def explanation(document: Document) -> Page:
    """A decision that was made."""
    said, again = inner(document, "verdict"), inner(document, "recomputed")
    by = document.get("worker") or "an operator"
    head = Line(
        f"decision {document.get('decision_id')}, {moment(document.get('at'))}, asked by {by}"
    )
    if document.get("is_equal"):
        told = [Line("made again from the facts before it: the same, byte for byte", "good")]
    else:
        told = [
            Line("MADE AGAIN FROM THE FACTS BEFORE IT, IT COMES OUT OTHERWISE:", "bad"),
            Line(f"  recorded:   {_answer(said)}", "bad"),
            Line(f"  recomputed: {_answer(again)}", "bad"),
            *(Line(_difference(each), "bad") for each in document.get("differences") or []),
        ]
    amends = "to be changed: " if document.get("amends") else ""
    order = Line(amends + _order(inner(document, "order")))
    return [head, order, *_verdict(document, said), *told, Line(""), *_rules(document)]


def supposed(document: Document) -> Page:
    """Decisions that were none."""
    found = document.get("decisions") or []
    parts: list[Line | Table] = []
    for each in found:
        parts += [Line(_order(inner(each, "order"))), *_verdict(each, inner(each, "verdict"))]
        if each.get("answered_before") is not None:
            parts.append(Line(f"it is the answer of decision {each['answered_before']}", "warn"))
        parts += [*_rules(each), Line("")]
    return parts[:-1]


def recomputed(document: Document) -> Page:
    """Of every decision of a range."""
    number, unequal = int(document.get("decisions") or 0), int(document.get("unequal") or 0)
    if not number:
        return [Line("there are no decisions in it, and nothing was compared", "warn")]
    if not unequal:
        return [Line(f"{count(number, 'decision')}, and each comes out the same, byte for byte")]
    lines = [Line(f"{count(number, 'decision')}, of which {unequal} COME OUT OTHERWISE:", "bad")]
    for each in document.get("told") or []:
        was, again = inner(each, "verdict"), inner(each, "recomputed")
        lines.append(
            Line(f"  {each.get('decision_id')}: {_answer(was)}; now {_answer(again)}", "bad")
        )
    lines.append(Line("see each with `riskctl explain DECISION_ID`"))
    return lines


def _order(order: Document) -> str:
    price = f" at {order['price']}" if order.get("price") is not None else ""
    more = ", ".join(
        f"{key} {value}" for key, value in order.items()
        if key not in ("client_order_id", "account", "symbol", "side", "qty", "price")
    )  # fmt: skip
    said = (
        f"{order.get('client_order_id')}: {order.get('side')} {order.get('qty')} "
        f"{order.get('symbol')}{price} in {order.get('account')}"
    )
    return f"{said} ({more})" if more else said


def _answer(verdict: Document) -> str:
    return f"{verdict.get('decision')} {verdict.get('qty')}, {verdict.get('reason')}"


def _verdict(document: Document, verdict: Document) -> Iterator[Line]:
    mood = _ANSWERS.get(verdict.get("decision"), "warn")
    decision, code = verdict.get("decision"), verdict.get("code")
    yield Line(f"{decision} {verdict.get('qty')} ({code}): {verdict.get('reason')}", mood)
    if document.get("decided_by"):
        yield Line(f"decided by {document['decided_by']}")
    told = [
        f"{name} {brief(str(verdict[key]))}"
        for key, name in _NUMBERS
        if verdict.get(key) is not None
    ]
    if told and decision != "allow":
        yield Line(", ".join(told))


def _difference(each: Document) -> str:
    return f"  {each.get('field')}: {each.get('recorded')!r}, and now {each.get('recomputed')!r}"


def _rules(document: Document) -> Page:
    rows: Sequence[Document] = document.get("rules") or []
    if not rows:
        return [Line("no rule was asked: the answer comes before them")]
    moods: list[Mood] = [_MOODS.get(row.get("outcome"), "plain") for row in rows]
    return [Table(_HEADS, [_row(row) for row in rows], moods, spare=("missing", "left"))]


def _row(row: Document) -> tuple[str, ...]:
    code, outcome = row.get("code"), str(row.get("outcome"))
    said = outcome if code in ("ok", row.get("kind")) else f"{outcome}: {code}"
    told = said if row.get("objects") or outcome in ("pass", "warn") else f"{said} (let pass)"
    numbers = (brief(str(row.get(key) or _NONE)) for key, _ in _NUMBERS)
    return (str(row.get("rule")), told, *numbers, str(row.get("missing") or _NONE))
