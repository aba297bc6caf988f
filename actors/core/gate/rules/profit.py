"""What was won, and is to be kept: `daily_profit`, `max_unrealized_profit`."""

from decimal import Decimal

import msgspec

from .....config.schema import rules as schema
from ...book.account import AccountBook
from ...book.numbers import ZERO
from ...book.path import Path
from ..memory import Seen
from ..rule import HUNDRED, OK, Found, PositionJudge, StateJudge, badness, unknown
from ..standing import Standing
from ..view import Moment
from ..winnings import unrealised_of
from .loss import weighed


class _Best(msgspec.Struct, frozen=True, array_like=True):
    session: int
    made: Decimal


class Crest:
    """The best that a session had made, as it was known when it was made."""

    def __init__(self, scope: str) -> None:
        self.scope = scope
        self.best: _Best | None = None

    def saw(self, seen: Seen) -> None:
        """It goes by the books alone."""

    def rise(self, standing: Standing) -> None:
        """Something has happened in a book of this scope. While some of its books are in another
        session than the others, what they have made together means nothing."""
        days = [book.sessions.day for book in standing.books]
        begins = {None if day is None else day.begin[0] for day in days}
        begin = begins.pop() if len(begins) == 1 else None
        if begin is None:
            return
        best, made = self.best, standing.session_pnl()
        if best is None or best.session != begin:
            best = self.best = _Best(begin, ZERO)
        if made is not None and made > best.made:
            self.best = _Best(begin, made)

    def of(self, standing: Standing) -> Decimal:
        """In the session under way; nothing when it has made nothing."""
        best = self.best
        if best is None:
            return ZERO
        for book in standing.books:
            day = book.sessions.day
            if day is None or day.begin[0] != best.session:
                return ZERO
        return best.made

    def dump(self) -> object:
        return self.best

    def load(self, state: object) -> None:
        self.best = msgspec.convert(state, _Best | None)


class DailyProfit(StateJudge[schema.DailyProfit]):
    """Counting what is unrealised. Once it is broken by what was given back it stays so, until the
    session makes more again or is over."""

    SAYS = "a profit of {value} has reached the limit of {limit}"

    STAGE = 13

    def memory(self) -> Crest | None:
        return None if self.config.give_back_pct is None else Crest(self.scope)

    def measure(
        self,
        standing: Standing,
        _moment: Moment,
        memory: Crest | None = None,
        *,
        explains: bool = False,
    ) -> Found | None:
        made, config = standing.session_pnl(), self.config
        if made is None:
            return unknown(f"profit of the session of {standing.scope}")
        found = None
        if config.target is not None or config.target_pct is not None:
            found = weighed(
                self,
                made,
                config.target,
                config.target_pct,
                standing.session_base,
                f"equity of {standing.scope} when the session opened",
                explains=explains,
            )
        if config.give_back_pct is None or (found is not None and found.outcome == "block"):
            return found
        kept = self._kept(standing, memory, made, explains=explains)
        there = [one for one in (kept, found) if one is not None]
        return max(there, key=badness, default=OK if explains else None)

    def _kept(
        self, standing: Standing, memory: Crest | None, made: Decimal, *, explains: bool
    ) -> Found | None:
        """Of the best that it had made."""
        pct, begin = self.config.give_back_pct, self.config.give_back_from
        assert pct is not None, "it is asked of those that have it"
        assert begin is not None, "the schema says so"
        if memory is None:
            return unknown(f"the best of the session of {standing.scope}")
        best = memory.of(standing)
        if best < begin:
            return None
        found = self.reached(best * pct / HUNDRED, best - made, explains=explains)
        return found and found._replace(
            code="profit_given_back" if found.outcome != "pass" else "ok"
        )


class MaxUnrealizedProfit(PositionJudge[schema.MaxUnrealizedProfit]):
    """At the mark, against what it was entered for."""

    SAYS = "a profit of {value} has reached the limit of {limit}"

    def weigh(self, book: AccountBook, path: Path, *, explains: bool) -> Found | None:
        unrealised, config = unrealised_of(book, path), self.config
        if unrealised is None:
            return unknown(f"mark or rate of {path.contract.symbol}")
        base = Standing("", (book,)).session_base
        missing = "equity when the session opened"
        return weighed(
            self, unrealised, config.max_profit, config.max_pct, base, missing, explains=explains
        )
