"""`daily_turnover`: what may be traded in a session."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from msgspec import Meta, Struct, to_builtins

from .....config.schema import rules as schema
from ...book.numbers import ZERO
from ..flow import FlowJudge
from ..memory import Executed, Rearmed, Seen, SessionEnded
from ..rule import FLOOR, Found, unknown
from ..view import View
from ..window import loaded


class _Kept(Struct):
    """What `dump` writes."""

    total: Decimal
    gaps: Annotated[int, Meta(ge=0)]
    currency: str | None
    is_mixed: bool
    began: Annotated[datetime, Meta(tz=True)] | None


class Turnover:
    """What was filled in the session, in one currency. A fill that was taken back counts: it was
    traded. A session begins once, in however many accounts it does."""

    def __init__(self, config: schema.DailyTurnover) -> None:
        self._id = config.id
        self._began: datetime | None = None
        self._clear()

    def _clear(self) -> None:
        self.total = ZERO
        self.gaps = 0
        """So many fills lacked a rate, and are not in it."""
        self.currency: str | None = None
        self.is_mixed = False
        """Accounts of several currencies have traded: there is no sum."""

    def saw(self, seen: Seen) -> None:
        if isinstance(seen, Executed):
            if self.currency is not None and seen.currency != self.currency:
                self.is_mixed = True
            self.currency = seen.currency
            if seen.notional is None:
                self.gaps += 1
            else:
                self.total += seen.notional
        elif isinstance(seen, SessionEnded):
            if self._began is None or seen.at > self._began:
                self._clear()
                self._began = seen.at
        elif isinstance(seen, Rearmed) and seen.rule == self._id:
            self._clear()

    def dump(self) -> object:
        kept = _Kept(self.total, self.gaps, self.currency, self.is_mixed, self._began)
        return to_builtins(kept)

    def load(self, state: object) -> None:
        kept = loaded(state, _Kept)
        if not kept.total.is_finite():
            raise ValueError("a turnover is a finite number")
        self.total, self.gaps, self.currency = kept.total, kept.gaps, kept.currency
        self.is_mixed, self._began = kept.is_mixed, kept.began


class DailyTurnover(FlowJudge[schema.DailyTurnover]):
    """What was filled, what remains of working orders at the mark, and this order: at its own
    price or the mark, whichever is more, as is what remains of its symbol. A block says how much of
    it would have passed."""

    STAGE = 11

    def __init__(self, config: schema.DailyTurnover) -> None:
        super().__init__(config)
        self._limit = config.max_notional
        self._calm = config.max_notional * self.near

    def memory(self) -> Turnover:
        return Turnover(self.config)

    def judge(self, view: View) -> Found | None:
        found = self._weigh(view)
        if view.adds_risk or view.explains or found is None or found.outcome == "unknown":
            return found
        return None  # getting out is not held to it

    def _weigh(self, view: View) -> Found | None:
        turnover: Turnover = view.memories[self.id]
        each = view.each_size
        if each is None:
            return unknown(f"mark or rate of {view.symbol}")
        left = view.standing(self.scope).open_worth()
        currency = turnover.currency
        if currency is not None and (turnover.is_mixed or currency != view.held.about.currency):
            return unknown(f"one currency for {self.scope}")
        before, limit = turnover.total + (left or ZERO), self._limit
        if (left is None or turnover.gaps) and before <= limit:
            return unknown(f"turnover of {self.scope}")
        if view.dearer:
            own = view.held.own(self.scope)
            if own is not None:
                before += own.exposures.remaining(view.symbol).total * view.dearer
        after = before + view.growth * each
        if after < self._calm and not view.explains:
            return None
        room = max(limit - before, ZERO)
        if after < self._calm or not view.adds_risk:
            return Found("pass", "ok", limit, after, room)
        if after <= limit:
            return Found("warn", self.kind, limit, after, room)
        return Found(
            "block", self.kind, limit, after, room, FLOOR.divide(room, each) if each else ZERO
        )
