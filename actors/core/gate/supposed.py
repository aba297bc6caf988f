"""What would become of orders in another world: other marks, other limits, orders before them.

It is made of facts like this one, on a copy of what is known, which is used up by it: marks are
booked as reported ones are, through the same door; limits are changed as a person would change
them; and what would be permitted is reserved. So there is no second way to judge anything.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Protocol

import attrs

from ...messages import By, Fact, LimitPut, LimitsTightened, OrderDecided, Recorded, WhatIf
from ...messages.book import Mark
from ..book.numbers import HUNDRED, exact
from ..books import Books
from ..limits import LimitsInForce, put
from ..position_keeper import booked
from .asked import Identity
from .decision import Knowledge
from .explained import Document, Explained, considered, explain
from .view import Moment

NOBODY = By(via="riskd")
ASKER = Identity()


class Projection(Protocol):
    def apply(self, recorded: Recorded) -> None: ...


class NotSupposed(Exception):
    """A world that can't be. `code` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@attrs.define(eq=False, kw_only=True)
class World:
    """A copy of what is known. `lsn`: the newest fact in it."""

    books: Books
    limits: LimitsInForce
    knowledge: Callable[[], Knowledge]
    """What they all add up to now."""
    projections: Sequence[Projection]
    lsn: int
    moment: Moment
    _made: int = attrs.field(default=0, init=False)
    """Facts that are in it alone."""

    def answer(self, question: WhatIf) -> list[Document]:
        """Raises NotSupposed, NotBooked and NotAllowed."""
        self._shock(question.marks)
        self._change(question.limits)
        return list(self._judged(question))

    def _make(self, *facts: Fact) -> None:
        for fact in facts:
            self._made += 1
            recorded = Recorded(
                lsn=self.lsn + self._made,
                at=self.moment.at,
                monotonic_s=self.moment.monotonic_s,
                fact=fact,  # type: ignore[arg-type]  # every Fact is of AnyFact
            )
            for projection in self.projections:
                projection.apply(recorded)

    def _shock(self, shocks: Mapping[str, str]) -> None:
        for symbol, shock in shocks.items():
            if self.books.listed(symbol) is None:
                raise NotSupposed("unknown_symbol", f"{symbol!r} is no listed instrument")
            for account, price in self._prices(symbol, shock):
                mark = Mark(symbol=symbol, price=price)
                self._make(*booked(self.books, account, [mark], self.moment.at))

    def _prices(self, symbol: str, shock: str) -> list[tuple[str | None, Decimal]]:
        """By account; None: in all of them."""
        if not shock.endswith("%"):
            return [(None, Decimal(shock))]
        with exact():
            factor = (HUNDRED + Decimal(shock[:-1])) / HUNDRED
            marks = [(held, held.book.worth.mark_now(symbol)) for held in self.books.opened()]
            found = [(held.about.name, mark * factor) for held, mark in marks if mark is not None]
        if not found:
            said = f"{symbol} has no mark that could move; give the price itself"
            raise NotSupposed("no_mark", said)
        return list(found)

    def _change(self, changes: Sequence[LimitPut]) -> None:
        limits = self.limits.now
        for each in changes:
            limits = put(
                limits, each.rule, each.key, each.value,
                by=NOBODY, at=self.moment.at, reason="what if",
            )  # fmt: skip
        if limits is not self.limits.now:
            self._make(LimitsTightened(limits=limits, changes=(), by=NOBODY, reason="what if"))

    def _judged(self, question: WhatIf) -> Iterator[Document]:
        for order in question.orders:
            found = explain(order, ASKER, self.knowledge(), self.moment)
            yield considered(self.lsn, found)
            if question.together and found.decided.again is None:
                self._make(self._fact(found))

    def _fact(self, found: Explained) -> OrderDecided:
        return OrderDecided(
            order=found.order,
            at=self.moment.at,
            monotonic_s=self.moment.monotonic_s,
            verdict=found.decided.verdict,
        )
