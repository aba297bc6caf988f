"""What should not be: `rogue_order`, `unknown_order_age`, `feed_silence`."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from .....config.schema import rules as schema
from ...book.account import AccountBook
from ...book.numbers import ZERO
from ...book.path import Path
from ..memory import Ended, Executed, Heard, Seen, TimedOut
from ..rule import Around, Found, StateJudge, Subject, seconds, unknown
from ..standing import Standing
from ..view import Moment, View

ORDERS_MAX = 10_000
"""Of unknown fate, at one time. With more, how old the oldest is can't be told any more."""


class RogueOrder(StateJudge[schema.RogueOrder]):
    """By what the book holds to be odd."""

    STAGE = 13

    def measure(
        self, standing: Standing, _moment: Moment, _memory: Any = None, *, explains: bool = False
    ) -> Found | None:
        count = 0
        if not explains and not any(book.odd.rogues for book in standing.books):
            return None
        for book in standing.books:
            rogues = book.odd.rogues
            if rogues and standing.symbol is not None:
                count += sum(rogue.symbol == standing.symbol for rogue in rogues)
            else:
                count += len(rogues)
        return self.exceeded(ZERO, Decimal(count), explains=explains)


class Fates:
    """Orders that have timed out, and since when nothing was heard of each."""

    def __init__(self) -> None:
        self.since: dict[tuple[str, str], datetime] = {}
        self.has_lost = False
        """There were more than it can know of, and some of those may still be of unknown fate."""
        self.first: datetime | None = None
        """Since when the oldest is."""

    def saw(self, seen: Seen) -> None:
        if isinstance(seen, TimedOut):
            key = (seen.account, seen.order)
            if key not in self.since:
                if len(self.since) >= ORDERS_MAX:
                    self.has_lost = True
                    return
                self.since[key] = seen.at
        elif isinstance(seen, Ended | Executed | Heard):
            if seen.order is None or self.since.pop((seen.account, seen.order), None) is None:
                return
            self.has_lost = self.has_lost and bool(self.since)
        else:
            return
        self.first = min(self.since.values(), default=None)

    def dump(self) -> object:
        return self.has_lost, [(*key, at) for key, at in self.since.items()]

    def load(self, state: object) -> None:
        self.has_lost, rows = msgspec.convert(state, tuple[bool, list[tuple[str, str, datetime]]])
        self.since = {(account, order): at for account, order, at in rows}
        self.first = min(self.since.values(), default=None)


class UnknownOrderAge(StateJudge[schema.UnknownOrderAge]):
    """By the oldest of them. The wall clock may have jumped back since: then its age is unknown."""

    SAYS = "an order has been of unknown fate for {value} s, and may be for {limit} s"

    STAGE = 13
    CAUSE = "network"

    def __init__(self, config: schema.UnknownOrderAge) -> None:
        super().__init__(config)
        self._limit = seconds(timedelta(seconds=config.max_age_s))

    def memory(self) -> Fates:
        return Fates()

    def measure(
        self,
        standing: Standing,
        moment: Moment,
        memory: Fates | None = None,
        *,
        explains: bool = False,
    ) -> Found | None:
        if memory is None or memory.has_lost:
            return unknown(f"orders of unknown fate in {standing.scope}")
        if memory.first is None:
            return Found("pass", "ok", self._limit) if explains else None
        age = moment.at - memory.first
        if age < timedelta(0):
            return unknown(f"for how long an order in {standing.scope} is of unknown fate")
        return self.exceeded(self._limit, seconds(age), explains=explains)


class FeedSilence(StateJudge[schema.FeedSilence]):
    """By the oldest mark. An order is held to that of its own symbol."""

    SAYS = "a mark is {value} s old, and may be {limit} s"

    STAGE = 13
    CAUSE = "data"
    ON_NEWS = False

    def __init__(self, config: schema.FeedSilence) -> None:
        super().__init__(config)
        self.patience_s = config.max_age_s  # that there never was a mark is silence too
        self._limit = seconds(timedelta(seconds=config.max_age_s))

    def regard(self, view: View) -> Found | None:
        age_s = view.mark_age_s
        if age_s is None:
            return unknown(f"mark of {view.symbol}")
        if not view.explains and age_s < self.config.max_age_s * float(self.near):
            return None
        return self.exceeded(self._limit, _exact(age_s), explains=view.explains)

    def survey(self, around: Around) -> Iterator[tuple[Subject, Found | None]]:
        oldest, at, monotonic_s = -1.0, *around.moment
        found: Found | None = Found("pass", "ok", self._limit)
        symbol = around.standing(self.scope).symbol
        for held, book in around.books.within(self.scope):
            for each in self._watched(around, book, symbol):
                age_s = around.books.mark_age_s(held, each, at, monotonic_s)
                if age_s is None:
                    yield Subject(self.id, self.scope), unknown(f"mark of {each}")
                    return
                if age_s > oldest:
                    oldest = age_s
                    found = self.exceeded(self._limit, _exact(age_s), explains=True)
        yield Subject(self.id, self.scope), found

    def _watched(self, around: Around, book: AccountBook, symbol: str | None) -> Iterable[str]:
        """The symbols of which there should be a mark; with a symbol, that alone."""
        books = around.books
        if self.config.of == "listed":
            some = [each for each in books.listings if each not in books.delisted]
        else:
            some = [each for each, path in book.worth.paths.items() if _is_held(book, path)]
        return some if symbol is None else [each for each in some if each == symbol]


def _is_held(book: AccountBook, path: Path) -> bool:
    return bool(path.last.qty or book.exposures.contracts_of(path.contract.symbol).gross)


def _exact(age_s: float) -> Decimal:
    """To the microsecond."""
    return Decimal(round(age_s * 1e6)).scaleb(-6)
