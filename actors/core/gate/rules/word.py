"""What venues and brokers say of an account: `auth_loss`, `reconciliation`."""

from abc import abstractmethod
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from .....config.schema import rules as schema
from .....config.schema.rules import WordRule
from ...book.numbers import ZERO
from ...held import Held
from ..memory import Adopted, Rearmed, Seen, VenueSaid
from ..rule import Around, Found, StateJudge, Subject, badness, seconds, unknown
from ..view import Moment, View

W = TypeVar("W", bound=WordRule)


class WordJudge(StateJudge[W]):
    """Of each account by itself, which is all that it may halt."""

    STAGE = 13

    @abstractmethod
    def weigh(self, held: Held, memory: Any, moment: Moment, *, explains: bool) -> Found | None:
        """Of one account."""

    def regard(self, view: View) -> Found | None:
        return self.weigh(view.held, view.memory(self.id), view.moment, explains=view.explains)

    def overall(self, around: Around) -> Found | None:
        """The worst of all accounts."""
        found = (one for _, one in self.survey(around) if one is not None)
        return max(found, key=badness, default=None)

    def survey(self, around: Around) -> Iterator[tuple[Subject, Found | None]]:
        for held in around.books.holders(self.scope):
            if held.about.is_open:
                name = held.about.name
                found = self.weigh(held, around.memory, around.moment, explains=True)
                yield Subject(self.id, f"account:{name}", name), found


# --- may it trade ---------------------------------------------------------------------------------


class _Word(msgspec.Struct, frozen=True, array_like=True):
    can_trade: bool
    at: datetime


class Words:
    """The newest of each account, of which there are so many as the configuration names."""

    def __init__(self) -> None:
        self.of: dict[str, _Word] = {}

    def saw(self, seen: Seen) -> None:
        """What was said before the account lost its right does not give it back."""
        if isinstance(seen, VenueSaid):
            last = self.of.get(seen.account)
            is_late = last is not None and not last.can_trade and seen.stated_at < last.at
            if not (is_late and seen.can_trade):
                self.of[seen.account] = _Word(seen.can_trade, seen.stated_at)

    def dump(self) -> object:
        return dict(self.of)

    def load(self, state: object) -> None:
        self.of = msgspec.convert(state, dict[str, _Word])


class AuthLoss(WordJudge[schema.AuthLoss]):
    """By what was said last."""

    CAUSE = "external"
    BROKEN = "the venue says that it can't trade"

    def __init__(self, config: schema.AuthLoss) -> None:
        super().__init__(config)
        age_s = config.max_age_s
        self._limit = None if age_s is None else seconds(timedelta(seconds=age_s))

    def memory(self) -> Words:
        return Words()

    def weigh(
        self, held: Held, memory: Words | None, moment: Moment, *, explains: bool
    ) -> Found | None:
        name = held.about.name
        word = None if memory is None else memory.of.get(name)
        if word is None:
            return unknown(f"the venue's word on {name}")
        if not word.can_trade:
            return Found("block", "auth_loss")
        if self._limit is None:
            return Found("pass", "ok") if explains else None
        age = moment.at - word.at
        if age < timedelta(0):
            return unknown(f"how old the venue's word on {name} is")
        return self.exceeded(self._limit, seconds(age), explains=explains)


# --- do the books agree ---------------------------------------------------------------------------


class Gaps:
    """By how much the position that was adopted last differed from the book, by account and symbol:
    of those that did."""

    def __init__(self, rule: str) -> None:
        self._rule = rule
        self.of: dict[str, dict[str, Decimal]] = {}

    def saw(self, seen: Seen) -> None:
        if isinstance(seen, Adopted):
            gaps = {one: gap for one, gap in self.of.get(seen.account, {}).items()
                    if one != seen.symbol}  # fmt: skip
            if seen.gap:
                gaps[seen.symbol] = abs(seen.gap)
            self.of[seen.account] = gaps
        elif isinstance(seen, Rearmed) and seen.rule == self._rule:
            self.of = {account: {} for account in self.of}

    def dump(self) -> object:
        return dict(self.of)

    def load(self, state: object) -> None:
        self.of = msgspec.convert(state, dict[str, dict[str, Decimal]])


class Reconciliation(WordJudge[schema.Reconciliation]):
    """By the equity that was reported last, and the positions that were adopted last. An account
    of which no broker has ever said anything agrees with nobody."""

    BROKEN = "the book and the broker disagree about what it is worth"

    def memory(self) -> Gaps:
        return Gaps(self.id)

    def weigh(
        self, held: Held, memory: Gaps | None, _moment: Moment, *, explains: bool
    ) -> Found | None:
        if held.about.is_drifting:
            return Found("block", "reconciliation")
        name = held.about.name
        if memory is None or (held.about.equity is None and name not in memory.of):
            return unknown(f"the broker's word on {name}")
        gap = max(memory.of.get(name, {}).values(), default=ZERO)
        if not gap and not explains:
            return None
        return self.exceeded(self.config.max_qty, gap, explains=explains)
