"""Overrides: what two persons may let pass, and the projection that knows it.

Theory
------
A person asks that one order may pass although rules object to it; another person approves. Two it
are, always: what one alone could do would be no more than switching a rule off. Who they are is the
kernel's word. From the approval on, and for as long as was asked for, one order that names the
override, and is what it was asked for, passes the rules that it names. The first one that is
permitted by it has used it up, also when that order is never sent.

     requested --approve--> approved --order permitted--> used
         |                     |
         +--- revoke ----------+---> revoked
         +--- time -----------+----> expired

What is asked before the rules can't be overridden, nor can those of the stages that say what an
order is, what is known of the market and whether it reduces. A halt can't either. So an override is
no way around the kill switch, nor around `reduce_only`. Whoever names a rule of a later stage does
without it, also where it can't be judged.

Time is that of the wall clock, since persons give it; within one boot the monotonic clock has to
agree, so that a clock that is set back makes nothing last longer. A wall clock that shows a time
before the approval permits nothing.

Nothing here is asked what time it is, nor does it act: it answers with the facts to be made.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from ..messages import By, DaemonStarted, Fact, OrderDecided, Recorded
from ..messages.overrides import (
    OverrideApproved,
    OverrideRequested,
    OverrideRevoked,
    OverrideState,
    RequestOverride,
    Terms,
)
from ..messages.reasons import Code
from .book.numbers import fault, shown
from .book.times import instant
from .books import Books
from .gate.asked import Asked
from .gate.rule import Judge
from .gate.rules.order import PRICED
from .gate.ruleset import Ruleset
from .gate.view import Moment
from .kill_switch import NotAllowed, Rules

LIVE_MAX = 256
"""Requested or approved at one time. More is refused."""
OVER_KEPT = 256
"""Of those that are over. An order that names an older one is told that there is none."""
REQUEST_S = 3_600.0
"""In which a request has to be approved: nobody approves of how things stood yesterday."""
STAGE_MIN = 7
"""Rules of earlier stages say what an order is, what is known, and whether it reduces."""


class Override(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of them. Replaced as a whole: a dump keeps what it saw."""

    id: str
    terms: Terms
    by: By
    reason: str
    asked_at: datetime
    approved_by: By | None = None
    at: datetime | None = None
    """Of the approval."""
    until: datetime | None = None
    since_s: float | None = None
    """The approval's monotonic time. None: it is of another boot, or there is none."""
    used_by: str | None = None
    """The order's client id."""
    revoked_by: By | None = None
    is_expired: bool = False
    """Its time was over when somebody looked: no clock that is set back revives it."""

    def state(self, at: datetime, monotonic_s: float) -> OverrideState:
        if self.used_by is not None:
            return "used"
        if self.revoked_by is not None:
            return "revoked"
        until = self.until
        begun = self.asked_at if self.at is None else self.at
        if until is None:
            until = self.asked_at + timedelta(seconds=REQUEST_S)
        waited_s = 0.0 if self.since_s is None else monotonic_s - self.since_s
        if self.is_expired or at >= until or waited_s >= self.terms.for_s:
            return "expired"
        if at < begun:
            return "early"
        return "requested" if self.approved_by is None else "approved"

    def waives(self, judge: Judge[Any]) -> bool:
        """Does it speak of this rule, and may it?"""
        return judge.STAGE >= STAGE_MIN and judge.id in self.terms.rules


_CODES: Mapping[OverrideState, Code] = {
    "requested": "override_not_approved",
    "used": "override_used",
    "revoked": "override_revoked",
    "expired": "override_expired",
    "early": "override_early",
}


def refusal(override: Override | None, asked: Asked, moment: Moment) -> tuple[Code, str] | None:
    """Why an order may not go by the override that it names, and what is wrong. None: it may."""
    name = asked.order.override or ""
    if override is None:
        return "override_unknown", name
    code = _CODES.get(override.state(*moment))
    if code is not None:
        return code, name
    if uncovered := _uncovered(override.terms, asked):
        return "override_does_not_cover", uncovered
    return None


def _uncovered(terms: Terms, asked: Asked) -> str | None:
    """The first thing in which an order is another one than was asked for."""
    order, most = asked.order, terms.price_limit
    for name in ("account", "symbol", "side"):
        if getattr(order, name) != getattr(terms, name):
            return name
    if asked.qty > terms.max_qty:
        return "qty"
    if most is None:
        return None
    # An order that is filled at any price keeps no price.
    if asked.price is None or asked.order_type not in PRICED:
        return "price"
    is_worse = asked.price > most if terms.side == "buy" else asked.price < most
    return "price" if is_worse else None


# --- what persons do ------------------------------------------------------------------------------


def request(
    overrides: "Overrides",
    command: RequestOverride,
    *,
    by: By,
    moment: Moment,
    people: Rules,
    books: Books,
    rules: Ruleset,
) -> OverrideRequested:
    """Ask for one. Raises NotAllowed."""
    _check_person(by, people)
    if len(set(people.people.values())) < 2:
        raise NotAllowed(
            "one_person",
            "an override takes two persons, and riskd knows one only: name others who may act in "
            "security.operators",
        )
    terms = _terms(command)
    _check_place(terms, books)
    check_rules(terms, rules)
    if overrides.count_live(moment) >= LIVE_MAX:
        raise NotAllowed(
            "too_many_overrides",
            f"{LIVE_MAX} overrides are requested or approved; revoke those that nobody needs",
        )
    return OverrideRequested(override=overrides.next_id, terms=terms, by=by, reason=command.reason)


def _check_person(by: By, people: Rules) -> None:
    if by.user_id is None or by.user_id not in people.people.values():
        raise NotAllowed("unknown_person", "only a person who may act can ask for this, or approve")


def _terms(command: RequestOverride) -> Terms:
    qty = Decimal(command.max_qty)
    price = None if command.price_limit is None else Decimal(command.price_limit)
    if qty <= 0:
        raise NotAllowed("invalid_value", "the quantity must be above 0")
    for name, number in (("quantity", qty), ("price limit", price)):
        if number is not None and (wrong := fault(number)) is not None:
            raise NotAllowed("invalid_value", f"the {name} {wrong}")
    return Terms(
        account=command.account,
        symbol=command.symbol,
        side=command.side,
        max_qty=qty,
        price_limit=price,
        rules=tuple(dict.fromkeys(command.rules)),
        for_s=command.for_s,
    )


def _check_place(terms: Terms, books: Books) -> None:
    held = books.accounts.get(terms.account)
    if held is None:
        raise NotAllowed("unknown_account", f"no account is called {terms.account!r}")
    if not held.about.is_open:
        raise NotAllowed("account_closed", f"{terms.account!r} is no longer in the configuration")
    if books.listed(terms.symbol) is None:
        raise NotAllowed("unknown_symbol", f"{terms.symbol!r} is no listed instrument")


def check_rules(terms: Terms, rules: Ruleset) -> None:
    """All that it names must be in force, and such as may be overridden. Raises NotAllowed."""
    stages = {judge.id: judge.STAGE for judge in rules.judges}
    for name in terms.rules:
        if name not in stages:
            raise NotAllowed("unknown_rule", f"no rule that is in force is called {name!r}")
        if stages[name] < STAGE_MIN:
            raise NotAllowed(
                "not_overridable",
                f"{name!r} can't be overridden: it says what an order is, what is known, or "
                f"whether an order reduces",
            )


def approve(
    overrides: "Overrides",
    name: str,
    *,
    by: By,
    moment: Moment,
    people: Rules,
    rules: Ruleset,
    reason: str | None,
) -> OverrideApproved | None:
    """Another person than asked for it lets it be so. None: somebody has. Raises NotAllowed."""
    found = _found(overrides, name)
    _check_person(by, people)
    state = found.state(*moment)
    if state == "approved":
        return None
    if state != "requested":
        raise NotAllowed("override_over", f"{name} is {state}; ask for another one")
    if by.user_id == found.by.user_id:
        raise NotAllowed("same_person", f"{name} was asked for by you; another person must approve")
    check_rules(found.terms, rules)
    return OverrideApproved(
        override=name,
        terms=found.terms,
        by=by,
        requested_by=found.by,
        at=moment.at,
        until=moment.at + timedelta(seconds=found.terms.for_s),
        reason=reason,
    )


def revoke(overrides: "Overrides", name: str, *, by: By, reason: str) -> OverrideRevoked | None:
    """It is good for nothing any more; nor is what it has permitted, if that is not sent. None: it
    is so. Raises NotAllowed."""
    if _found(overrides, name).revoked_by is not None:
        return None
    return OverrideRevoked(override=name, by=by, reason=reason)


def _found(overrides: "Overrides", name: str) -> Override:
    found = overrides.find(name)
    if found is None:
        raise NotAllowed("unknown_override", f"no override is called {name!r}")
    return found


# --- the projection -------------------------------------------------------------------------------


class _State(msgspec.Struct):
    """What `dump` writes."""

    count: int
    boot: str
    live: list[Override]
    over: list[Override]


class Overrides:
    """Every override that is remembered."""

    name = "overrides"
    version = 1

    def __init__(self) -> None:
        self._acts: Mapping[type[Fact], Callable[[Recorded, Any], None]] = {
            DaemonStarted: self._start,
            OverrideRequested: self._request,
            OverrideApproved: self._approve,
            OverrideRevoked: self._revoke,
            OrderDecided: self._decide,
        }
        self.load(None)

    # --- as a projection

    def apply(self, recorded: Recorded) -> None:
        act = self._acts.get(type(recorded.fact))
        if act is not None:
            act(recorded, recorded.fact)

    def load(self, state: bytes | None) -> None:
        """Go back to a dump, or to before the first fact."""
        found = _State(0, "", [], []) if state is None else _decode(state)
        self._count, self._boot = found.count, found.boot
        self._live = {one.id: one for one in found.live}
        self._over = {one.id: one for one in found.over}

    def dump(self) -> tuple[bytes]:
        """In one piece: there are few."""
        live, over = list(self._live.values()), list(self._over.values())
        return (_encode(_State(self._count, self._boot, live, over)),)

    # --- what is known

    @property
    def next_id(self) -> str:
        return f"ov{self._count + 1}"

    def find(self, name: str) -> Override | None:
        return self._live.get(name) or self._over.get(name)

    def newest(self) -> Iterator[Override]:
        """All of them, the newest first."""
        every = {**self._over, **self._live}
        return iter(sorted(every.values(), key=_number, reverse=True))

    def count_live(self, moment: Moment) -> int:
        return sum(one.state(*moment) != "expired" for one in self._live.values())

    # --- what happens

    def _start(self, _recorded: Recorded, fact: DaemonStarted) -> None:
        if fact.boot != self._boot:
            self._boot = fact.boot
            for one in list(self._live.values()):
                self._live[one.id] = msgspec.structs.replace(one, since_s=None)

    def _request(self, recorded: Recorded, fact: OverrideRequested) -> None:
        for one in list(self._live.values()):
            if one.state(recorded.at, recorded.monotonic_s) == "expired":
                self._end(msgspec.structs.replace(one, is_expired=True))
        self._count += 1
        self._live[fact.override] = Override(
            id=fact.override,
            terms=fact.terms,
            by=fact.by,
            reason=fact.reason,
            asked_at=recorded.at,
        )

    def _approve(self, recorded: Recorded, fact: OverrideApproved) -> None:
        found = self._live.get(fact.override)
        if found is not None and found.approved_by is None:
            self._live[found.id] = msgspec.structs.replace(
                found,
                approved_by=fact.by,
                at=fact.at,
                until=fact.until,
                since_s=recorded.monotonic_s,
            )

    def _revoke(self, _recorded: Recorded, fact: OverrideRevoked) -> None:
        found = self.find(fact.override)
        if found is not None:
            self._end(msgspec.structs.replace(found, revoked_by=fact.by))

    def _decide(self, _recorded: Recorded, fact: OrderDecided) -> None:
        name = fact.verdict.override
        if name is not None and (found := self._live.get(name)) is not None:
            self._end(msgspec.structs.replace(found, used_by=fact.order.client_order_id))

    def _end(self, one: Override) -> None:
        self._live.pop(one.id, None)
        self._over[one.id] = one
        while len(self._over) > OVER_KEPT:
            del self._over[next(iter(self._over))]


def _number(one: Override) -> int:
    return int(one.id.removeprefix("ov"))


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_State).decode


# --- how it is shown ------------------------------------------------------------------------------

Document = dict[str, object]


def override_shown(one: Override, moment: Moment) -> Document:
    """One of them, as `overrides` has it. Its keys are a contract."""
    terms = one.terms
    return {
        "override": one.id,
        "state": one.state(*moment),
        "account": terms.account,
        "symbol": terms.symbol,
        "side": terms.side,
        "max_qty": shown(terms.max_qty),
        "price_limit": shown(terms.price_limit),
        "rules": list(terms.rules),
        "for_s": terms.for_s,
        "reason": one.reason,
        "requested_by": _who(one.by),
        "requested_at": instant(one.asked_at),
        "approved_by": _who(one.approved_by),
        "approved_at": None if one.at is None else instant(one.at),
        "until": None if one.until is None else instant(one.until),
        "used_by": one.used_by,
        "revoked_by": _who(one.revoked_by),
    }


def _who(by: By | None) -> str | None:
    return None if by is None else by.user or str(by.user_id)


def overrides_shown(
    found: Iterable[Override], moment: Moment, *, account: str | None, after: str | None
) -> Iterator[Document]:
    """The newest first, of an account, behind one of them."""
    last = None if after is None else int(after.removeprefix("ov"))
    for one in found:
        is_asked = account in (None, one.terms.account)
        if is_asked and (last is None or _number(one) < last):
            yield override_shown(one, moment)
