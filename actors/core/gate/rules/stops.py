"""`stop_required`: a position has stops that would close all of it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec

from .....config.schema import rules as schema
from ...book.numbers import ZERO
from ...books import Books
from ...held import Held
from ...traits import surely
from ..looking import Looking, Place, places
from ..rule import Around, Found, StateJudge, Subject, badness, seconds, unknown
from ..standing import Standing
from ..view import Moment, View


class Bare(Looking):
    """Since when each position lacks stops for some of it. There are no more than positions."""

    def __init__(self, rule: str, scope: str) -> None:
        super().__init__(rule, scope)
        self.since: dict[Place, datetime] = {}

    def look(self, at: datetime, books: Books, held: Held, symbol: str) -> None:
        place = (held.about.name, symbol)
        position = position_of(held, self.scope, symbol)
        if abs(position) <= protected(books, held, self.scope, symbol, position):
            self.since.pop(place, None)
        else:
            self.since.setdefault(place, at)

    def dump(self) -> object:
        return self.has_looked, [(*place, at) for place, at in self.since.items()]

    def load(self, state: object) -> None:
        self.has_looked, rows = msgspec.convert(state, tuple[bool, list[tuple[str, str, datetime]]])
        self.since = {(account, symbol): at for account, symbol, at in rows}


def position_of(held: Held, scope: str, symbol: str) -> Decimal:
    """Signed."""
    book = held.own(scope)
    path = None if book is None else book.worth.paths.get(symbol)
    return ZERO if path is None else path.last.qty


def protected(books: Books, held: Held, scope: str, symbol: str, position: Decimal) -> Decimal:
    """So much of a position would be closed by stops that the venue is known to have."""
    side = "sell" if position > 0 else "buy"
    is_part = scope.startswith(("strategy:", "worker:"))
    found = ZERO
    for order_id, traits in books.traits.of(held.about.name, symbol).items():
        is_good = traits.is_stop and traits.is_confirmed and traits.side == side
        if is_good and (not is_part or scope in traits.owners):
            found += surely(held, order_id)
    return found


class StopRequired(StateJudge[schema.StopRequired]):
    """Of each position by itself, by how long it has been without."""

    SAYS = "a position has been without its stops for {value} s, and may be for {limit} s"

    STAGE = 13

    def __init__(self, config: schema.StopRequired) -> None:
        super().__init__(config)
        self._limit = seconds(timedelta(seconds=config.grace_s))

    def memory(self) -> Bare:
        return Bare(self.id, self.scope)

    def regard(self, view: View) -> Found | None:
        held, symbol = view.held, view.symbol
        if not position_of(held, self.scope, symbol):
            return Found("pass", "ok") if view.explains else None
        place = (held.about.name, symbol)
        return self._weigh(view.memory(self.id), place, view.moment, explains=view.explains)

    def measure(
        self,
        standing: Standing,
        moment: Moment,
        memory: Bare | None = None,
        *,
        explains: bool = False,
    ) -> Found | None:
        """The position that has been without for the longest."""
        if memory is None or not memory.has_looked:
            return unknown(f"stops of {standing.scope}")
        found = [self._weigh(memory, place, moment, explains=True) for place in memory.since]
        worst = max((one for one in found if one is not None), key=badness, default=None)
        if worst is None:
            return Found("pass", "ok", self._limit, ZERO) if explains else None
        return worst if explains or worst.outcome != "pass" else None

    def survey(self, around: Around) -> Iterator[tuple[Subject, Found | None]]:
        for held, symbol in places(around.books, self.scope):
            if position_of(held, self.scope, symbol):
                place = (held.about.name, symbol)
                found = self._weigh(around.memory, place, around.moment, explains=True)
                yield Subject(self.id, halted(self.scope, place[0]), *place), found

    def _weigh(
        self, memory: Bare | None, place: Place, moment: Moment, *, explains: bool
    ) -> Found | None:
        account, symbol = place
        if memory is None or not memory.has_looked:
            return unknown(f"stops of {symbol} in {account}")
        since = memory.since.get(place)
        if since is None:
            return Found("pass", "ok", self._limit, ZERO) if explains else None
        age = moment.at - since
        if age < timedelta(0):
            return unknown(f"for how long {symbol} in {account} has had no stop")
        return self.exceeded(self._limit, seconds(age), explains=explains)


def halted(scope: str, account: str) -> str:
    """A position that breaks a rule about everything is its account's affair."""
    kind = scope.partition(":")[0]
    return f"account:{account}" if kind in ("all", "exchange") else scope
