"""The decision: allow, scale down or block. A pure function of the order, what is known, and now.

What is asked first, in this order: does anything trade here at all; may this caller ask for this;
was it asked before; can the order be read. The first no is the answer. Then every rule in whose
scope the order is says what it thinks, whatever the others said, for the answer names the largest
quantity that all of them would let pass. The first block in the order of evaluation is the answer;
without one, the smallest of the quantities that rules would cut the order down to, on whole lots,
if all rules pass an order of that size. The risk signal stands among the rules, as the fifth stage.

An order that names an override is judged as if the rules of which that speaks had not objected, if
it covers the order; what comes before the rules can't be overridden.

A rule that can't be evaluated, or fails, blocks what adds risk. An order that adds none passes, and
that is told. No path leads to `allow` but the one on which every rule was asked and none objected.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import attrs
import msgspec

from ...messages import Mode
from ...messages.gate import OrderAsked, RiskLevel, Verdict
from ...messages.reasons import Code
from ..book.numbers import ZERO, exact
from ..book.orders import Working
from ..books import Books
from ..held import PARTS_MAX, Held
from ..overrides import Override, Overrides, refusal
from ..signal.signals import Raised
from .answers import Answered, Answers
from .asked import Asked, Identity, Unreadable, digest, read
from .place import Place, scopes_of
from .rule import Found, Judge, unknown
from .rules.order import on_lot
from .ruleset import Ruleset
from .signalled import level_of, with_signals
from .view import Moment, View

OnExcess = Literal["block", "scale_down"]
NOTHING_RAISED: Mapping[str, Raised] = MappingProxyType({})


@attrs.frozen(kw_only=True)
class Knowledge:
    """All that a decision rests on."""

    books: Books
    rules: Ruleset
    memories: Mapping[str, Any]
    """What rules remember, by their id."""
    is_active: bool
    """The kill switch is."""
    modes: Mapping[str, Mode]
    """The strictest halt of each scope that has one."""
    on_excess: OnExcess
    on_excess_of: Mapping[str, OnExcess] = attrs.field(factory=dict)
    """Of accounts that have their own."""
    doubt: str | None = None
    """Why what is known can't be relied on."""
    answers: Answers | None = None
    """What was answered before. None: nothing was."""
    overrides: Overrides | None = None
    """What persons let pass. None: nothing."""
    raised: Mapping[str, Raised] = NOTHING_RAISED
    """The risk signals that are not calm, by scope."""


LOOKS_MAX = 8
"""At less and less of an order. Twice or three times is enough for all rules that there are."""


class Opinion(NamedTuple):
    """What one rule said."""

    judge: Judge[Any]
    found: Found


class Decided(NamedTuple):
    """The answer, and what every rule said that had something to say. `view` is there once the
    order could be looked at; `again` if it was asked before, and that is the answer still."""

    verdict: Verdict
    opinions: Sequence[Opinion] = ()
    scopes: tuple[str, ...] = ()
    view: View | None = None
    again: Answered | None = None


def decide(
    order: OrderAsked,
    who: Identity,
    known: Knowledge,
    moment: Moment,
    *,
    amends: bool = False,
    explains: bool = False,
) -> Decided:
    """Judge an order; with `amends`, what one that works is to become. It changes nothing."""
    with exact():
        try:
            found = _decide(order, who, known, moment, amends=amends, explains=explains)
        except _Blocked as no:
            found = Decided(no.verdict(known), (), no.scopes)
        if known.raised and found.again is None:
            found = _under_signals(found, known.raised)
        return found


def _under_signals(found: Decided, raised: Mapping[str, Raised]) -> Decided:
    """An order that is stopped before anybody knows where it is, is under those of everything."""
    verdict = found.verdict
    level = level_of(found.scopes or ("all",), raised, verdict.risk_level)
    if level == verdict.risk_level:
        return found
    return found._replace(verdict=msgspec.structs.replace(verdict, risk_level=level))


class _Blocked(Exception):
    """A no before any rule was asked."""

    def __init__(
        self,
        code: Code,
        *,
        rule: str,
        scope: str | None = None,
        missing: str | None = None,
        scopes: tuple[str, ...] = (),
    ) -> None:
        super().__init__(code)
        self.code, self.rule, self.scope, self.missing = code, rule, scope, missing
        self.scopes = scopes

    def verdict(self, known: Knowledge) -> Verdict:
        return Verdict(
            decision="block",
            qty=ZERO,
            code=self.code,
            rule=self.rule,
            scope=self.scope,
            max_qty=ZERO,
            missing=self.missing,
            risk_level="warning" if known.is_active else "critical",
            ess_active=not known.is_active,
        )


def _decide(
    order: OrderAsked,
    who: Identity,
    known: Knowledge,
    moment: Moment,
    *,
    amends: bool,
    explains: bool,
) -> Decided:
    books = known.books
    place = known.rules.place(books, order, who.worker)
    inside = scopes_of(books, order, who.worker) if place is None else place.scopes
    mode = _fence(known, inside)
    held = _permitted(order, who, books.accounts.get(order.account))
    again = None if amends else _answered(order, who, known, held)
    if again is not None:
        return Decided(again.verdict, (), inside, again=again)
    if order.strategy is not None and len(held.parts) >= PARTS_MAX:
        _check_part(order, held, inside)
    try:
        asked = read(order, who)
    except Unreadable as error:
        raise _Blocked(error.code, rule="order_validity", missing=error.field) from None
    if place is None:
        raise _Blocked("unknown_symbol", rule="order_validity", scope=f"symbol:{order.symbol}")
    working = _working(order, who, held) if amends else None
    view = _look(known, asked, asked.qty, moment, place, mode, explains=explains, working=working)
    if order.override is not None:
        return _overriding(known, asked, view, order.override)
    judges = _judges(known, view)
    opinions = ask(judges, view)
    return Decided(_verdict(known, asked, opinions, view, judges), opinions, inside, view)


def _check_part(order: OrderAsked, held: Held, inside: tuple[str, ...]) -> None:
    """A strategy is whatever an order says, and each that is permitted anything has a book."""
    if f"strategy:{order.strategy}" not in held.parts:
        scope = f"account:{order.account}"
        raise _Blocked("too_many_strategies", rule="identity", scope=scope, scopes=inside)


def _overriding(known: Knowledge, asked: Asked, view: View, name: str) -> Decided:
    """The same, of an order that names an override: without the objections that it waives."""
    inside = view.place.scopes
    override = None if known.overrides is None else known.overrides.find(name)
    refused = refusal(override, asked, view.moment)
    if override is None or refused is not None:
        code, missing = refused or ("override_unknown", name)
        scope = f"account:{asked.order.account}"
        raise _Blocked(code, rule="override", scope=scope, missing=missing, scopes=inside)
    judges = _judges(known, view)
    opinions = ask(judges, view)
    left = [one for one in opinions if not override.waives(one.judge)]
    verdict = _verdict(
        known, asked, left, view, [one for one in judges if not override.waives(one)]
    )
    if verdict.decision != "block":
        verdict = _permitted_by(override, verdict, opinions, view)
    return Decided(verdict, opinions, inside, view)


def _permitted_by(
    override: Override, verdict: Verdict, opinions: Sequence[Opinion], view: View
) -> Verdict:
    waived = any(objects(*one, view) and override.waives(one.judge) for one in opinions)
    return msgspec.structs.replace(
        verdict,
        code="overridden" if waived and verdict.decision == "allow" else verdict.code,
        risk_level="warning",
        override=override.id,
    )


def _judges(known: Knowledge, view: View) -> Sequence[Judge[Any]]:
    """The rules, and among them the signals that are not calm."""
    judges = asked_of(view)
    if known.raised or view.explains:
        return with_signals(judges, view.place.scopes, known.raised, explains=view.explains)
    return judges


def _look(
    known: Knowledge,
    asked: Asked,
    qty: Decimal,
    moment: Moment,
    place: Place,
    mode: Mode | None,
    *,
    explains: bool = False,
    working: Working | None = None,
) -> View:
    """At this order, in any quantity; at one that works, as it is to become."""
    return View(
        asked,
        qty,
        moment,
        place=place,
        books=known.books,
        memories=known.memories,
        default_on_excess=known.on_excess_of.get(asked.order.account, known.on_excess),
        mode=mode,
        explains=explains,
        instead_of=working,
    )


def _working(order: OrderAsked, who: Identity, held: Held) -> Working:
    """What is to be changed. It stays its owner's, in its symbol, on its side."""
    name, scope = order.client_order_id, f"account:{order.account}"
    found = held.book.orders.get(name)
    if found is None or found.begun is None or not found.remaining or found.is_ending:
        raise _Blocked("no_working_order", rule="identity", scope=scope)
    owners = held.owners.get(name, ())
    if who.worker is not None and f"worker:{who.worker}" not in owners:
        raise _Blocked("not_your_order", rule="identity", scope=scope)
    strategy = None if order.strategy is None else f"strategy:{order.strategy}"
    known_as = next((owner for owner in owners if owner.startswith("strategy:")), None)
    begun = found.begun
    same = (begun.symbol, begun.side, begun.reduce_only, known_as)
    if same != (order.symbol, order.side, order.reduce_only, strategy):
        raise _Blocked("amend_mismatch", rule="identity", scope=scope)
    return found


def _answered(order: OrderAsked, who: Identity, known: Knowledge, held: Held) -> Answered | None:
    """What was said of this very order before. An id is of one order, and of whoever asked first;
    one that only the book knows came another way, or its answer has been forgotten."""
    name = order.client_order_id
    found = None if known.answers is None else known.answers.find(order.account, name)
    if found is None:
        if name in held.book.orders:
            raise _Blocked("id_reused", rule="identity", scope=f"account:{order.account}")
        return None
    if found.worker != who.worker or found.digest != digest(order):
        raise _Blocked("id_reused", rule="identity", scope=f"account:{order.account}")
    return found


def _fence(known: Knowledge, inside: tuple[str, ...]) -> Mode | None:
    """May anything here? `reduce_only` if what adds no risk may."""
    if known.doubt is not None:
        raise _Blocked("in_doubt", rule="ledger", missing=known.doubt)
    if not known.is_active:
        raise _Blocked("kill_switch", rule="kill_switch", scope="all", scopes=inside)
    if not known.modes:
        return None
    found: Mode | None = None
    for scope in inside:
        mode = known.modes.get(scope)
        if mode == "halt":
            raise _Blocked("halted", rule="halts", scope=scope, scopes=inside)
        found = found or mode
    return found


def _permitted(order: OrderAsked, who: Identity, held: Held | None) -> Held:
    """The account, if this caller may trade in it."""
    code: Code | None = None
    if who.account is not None and who.account != order.account:
        code = "not_your_account"
    elif who.strategy is not None and who.strategy != order.strategy:
        code = "not_your_strategy"
    elif held is None:
        code = "unknown_account"
    elif not held.about.is_open:
        code = "account_closed"
    elif order.exchange is not None and order.exchange != held.about.exchange:
        code = "wrong_exchange"
    if code is not None or held is None:
        raise _Blocked(code or "unknown_account", rule="identity", scope=f"account:{order.account}")
    return held


def asked_of(view: View) -> Sequence[Judge[Any]]:
    """The rules that have anything to say of it."""
    judges = view.place.judges
    return [judge for judge in judges if judge.OF_AMENDMENTS] if view.amends else judges


def ask(judges: Sequence[Judge[Any]], view: View) -> list[Opinion]:
    """What each rule says that doesn't pass without a word."""
    opinions = []
    for judge in judges:
        try:
            found = judge.judge(view)
        except Exception as error:  # noqa: BLE001 - a rule that fails could not be evaluated
            found = unknown(f"{judge.id} failed: {error!r}"[:500])
        if found is not None:
            opinions.append(Opinion(judge, found))
    return opinions


def _verdict(
    known: Knowledge,
    asked: Asked,
    opinions: Sequence[Opinion],
    view: View,
    judges: Sequence[Judge[Any]],
) -> Verdict:
    """By what these rules say."""
    objections = [one for one in opinions if objects(*one, view)] if opinions else ()
    if not objections:
        level: RiskLevel = "info"
        if any(one.found.outcome in ("warn", "unknown") for one in opinions):
            level = "warning"
        qty = asked.qty
        return Verdict(decision="allow", qty=qty, code="ok", max_qty=qty, risk_level=level)
    most = _most(objections, known, view, judges)
    blocks = [one for one in objections if one.found.outcome != "cap"]
    if blocks or not most:
        first = (blocks or objections)[0]
        return _said(known, first, decision="block", qty=ZERO, most=most)
    tightest = min(objections, key=lambda one: one.found.cap or ZERO)
    return _said(known, tightest, decision="scale_down", qty=most, most=most)


def objects(judge: Judge[Any], found: Found, view: View) -> bool:
    """Does what a rule said stand in the way of this order?"""
    outcome = found.outcome
    if outcome == "unknown":
        return view.adds_risk and judge.blocks
    return outcome in ("block", "cap") and judge.blocks


def _most(
    objections: Sequence[Opinion], known: Knowledge, view: View, judges: Sequence[Judge[Any]]
) -> Decimal:
    """The largest quantity, on whole lots, that all these rules would let pass. 0: none.

    A rule that objects says how much it would let pass; of more than that it would only what makes
    the position smaller. So less and less is looked at, until nobody objects."""
    if view.amends:
        return ZERO
    for _ in range(LOOKS_MAX):
        reducible = max(view.reducible, ZERO) if view.adds_risk else ZERO
        bound = min(max(one.found.cap or ZERO, reducible) for one in objections)
        most = on_lot(bound, view.listing.lot)
        if not ZERO < most < view.qty:
            return ZERO
        view = _look(known, view.asked, most, view.moment, view.place, view.mode)
        objections = [one for one in ask(judges, view) if objects(*one, view)]
        if not objections:
            return most
    return ZERO


def _said(
    known: Knowledge,
    one: Opinion,
    *,
    decision: Literal["block", "scale_down"],
    qty: Decimal,
    most: Decimal,
) -> Verdict:
    found = one.found
    return Verdict(
        decision=decision,
        qty=qty,
        code=found.code,
        rule=one.judge.kind,
        scope=one.judge.scope,
        limit=found.limit,
        value=found.value,
        headroom=found.headroom,
        max_qty=most,
        missing=found.missing,
        risk_level="warning",
        ess_active=not known.is_active,
    )
