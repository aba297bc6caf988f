"""Decisions made again, and decisions that are none: what each rule says of an order.

A decision is recomputed from what the facts before it add up to, by the same function, for the same
caller, at the moment that its fact names. It has to come out the same, byte for byte: what is
written as a verdict is compared as it is written. What the rules say beside that is asked a second
time, for a rule that passes an order has nothing to say while it counts.
"""

from collections.abc import Iterator
from typing import Any

import attrs
import msgspec

from ...messages.gate import OrderAsked, OrderDecided, Verdict
from ..book.times import instant
from ..overrides import Override
from .asked import Identity
from .decision import Decided, Knowledge, decide, objects
from .rule import Found, Judge
from .view import Moment, View
from .words import reason, text

Document = dict[str, Any]
"""What JSON can hold."""

_encode = msgspec.json.Encoder().encode


@attrs.frozen
class Explained:
    """An order, what became of it, and what each rule said."""

    order: OrderAsked
    decided: Decided
    """As it was asked for."""
    rules: list[Document]
    """In the order of evaluation. Empty: the answer was given before any rule was asked."""


def identity(fact: OrderDecided) -> Identity:
    """Who had asked."""
    return Identity(fact.worker, fact.worker_account, fact.worker_strategy)


def recompute(fact: OrderDecided, known: Knowledge) -> Decided:
    """The decision again. `known`: everything before the fact, and nothing of it."""
    moment = Moment(fact.at, fact.monotonic_s)
    return decide(fact.order, identity(fact), known, moment, amends=fact.amends)


def is_same(fact: OrderDecided, again: Decided) -> bool:
    """Byte for byte. An order that had an answer already was not to be decided at all."""
    return again.again is None and _encode(again.verdict) == _encode(fact.verdict)


def explain(
    order: OrderAsked, who: Identity, known: Knowledge, moment: Moment, *, amends: bool = False
) -> Explained:
    """What would be answered, and why. Nothing is changed by it."""
    decided = decide(order, who, known, moment, amends=amends)
    told = decide(order, who, known, moment, amends=amends, explains=True)
    return Explained(order, decided, list(_rules(told, _waived_by(order, known))))


def explained(lsn: int, fact: OrderDecided, known: Knowledge) -> Document:
    """All that there is to say of a decision."""
    moment = Moment(fact.at, fact.monotonic_s)
    found = explain(fact.order, identity(fact), known, moment, amends=fact.amends)
    again = found.decided.verdict
    return {
        "decision_id": str(lsn),
        "lsn": lsn,
        "at": instant(fact.at),
        "worker": fact.worker,
        "amends": fact.amends,
        "order": msgspec.to_builtins(fact.order),
        "verdict": verdict(fact.verdict),
        "is_equal": is_same(fact, found.decided),
        "recomputed": verdict(again),
        "differences": list(_differences(fact.verdict, again)),
        "decided_by": _decided_by(fact.verdict, found.rules),
        "rules": found.rules,
    }


def considered(lsn: int, found: Explained) -> Document:
    """An order that was only asked about. `lsn`: the newest fact that is known."""
    before = found.decided.again
    return {
        "lsn": lsn,
        "order": msgspec.to_builtins(found.order),
        "verdict": verdict(found.decided.verdict),
        "answered_before": None if before is None else str(before.lsn),
        "decided_by": _decided_by(found.decided.verdict, found.rules),
        "rules": found.rules,
    }


def verdict(said: Verdict) -> Document:
    """As people and programs read it."""
    return {
        "decision": said.decision,
        "qty": text(said.qty),
        "code": said.code,
        "reason": reason(said),
        "rule": said.rule,
        "scope": said.scope,
        "limit": text(said.limit),
        "value": text(said.value),
        "headroom": text(said.headroom),
        "max_qty": text(said.max_qty),
        "missing": said.missing,
        "risk_level": said.risk_level,
        "ess_active": said.ess_active,
        "override": said.override,
    }


def _differences(was: Verdict, again: Verdict) -> Iterator[Document]:
    """Field by field, as it is written."""
    for name in Verdict.__struct_fields__:
        recorded, recomputed = (msgspec.to_builtins(getattr(one, name)) for one in (was, again))
        if recorded != recomputed:
            yield {"field": name, "recorded": recorded, "recomputed": recomputed}


def _waived_by(order: OrderAsked, known: Knowledge) -> Override | None:
    """By what some rules do not count. Where it is good for nothing, no rule was asked."""
    if order.override is None or known.overrides is None:
        return None
    return known.overrides.find(order.override)


def _rules(told: Decided, override: Override | None) -> Iterator[Document]:
    """What each rule said that was asked."""
    view = told.view
    if view is None:
        return
    for judge, found in told.opinions:
        is_waived = override is not None and override.waives(judge)
        yield _rule(judge, found, view, is_waived=is_waived)


def _rule(judge: Judge[Any], found: Found, view: View, *, is_waived: bool) -> Document:
    return {
        "rule": judge.id,
        "kind": judge.kind,
        "scope": judge.scope,
        "stage": judge.STAGE,
        "outcome": found.outcome,
        "objects": objects(judge, found, view) and not is_waived,
        "code": found.code,
        "limit": text(found.limit),
        "value": text(found.value),
        "headroom": text(found.headroom),
        "max_qty": text(found.cap),
        "missing": found.missing,
    }


def _decided_by(said: Verdict, rules: list[Document]) -> str | None:
    """The id of the rule that was decisive. None: there is none, or it stands before the rules."""
    for row in rules:
        if row["objects"] and (row["kind"], row["scope"]) == (said.rule, said.scope):
            return str(row["rule"])
    return None
