"""`trade_management`: where the stop of a position should be while it wins."""

from collections.abc import Iterator
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import msgspec

from .....config.schema import rules as schema
from ....messages.watching import StopMoveAsked
from ...book.numbers import ZERO, shown
from ...books import Books
from ...held import Held
from ..looking import Looking, Place
from ..memory import Seen, StopSought
from ..rule import HUNDRED, Around, Found, Steward
from ..view import View
from .stops import position_of


class Trail(msgspec.Struct, frozen=True, array_like=True):
    """Of an open position, since it was opened or turned round."""

    sign: int
    best: Decimal | None
    """The best mark."""
    asked: Decimal | None = None
    """Where its stop was asked to be last."""


class Trails(Looking):
    """There are no more than positions."""

    MARKS = True

    def __init__(self, rule: str, scope: str) -> None:
        super().__init__(rule, scope)
        self.of: dict[Place, Trail] = {}

    def look(self, _at: datetime, _books: Books, held: Held, symbol: str) -> None:
        place = (held.about.name, symbol)
        position = position_of(held, self.scope, symbol)
        if not position:
            self.of.pop(place, None)
            return
        sign, mark = (1 if position > 0 else -1), held.book.worth.mark_now(symbol)
        trail = self.of.get(place)
        if trail is None or trail.sign != sign:
            self.of[place] = Trail(sign, mark)
        elif mark is not None and (trail.best is None or (mark - trail.best) * sign > 0):
            self.of[place] = msgspec.structs.replace(trail, best=mark)

    def saw(self, seen: Seen) -> None:
        if isinstance(seen, StopSought) and seen.rule == self.rule:
            trail = self.of.get((seen.account, seen.symbol))
            if trail is not None:
                moved = msgspec.structs.replace(trail, asked=seen.stop_price)
                self.of[seen.account, seen.symbol] = moved

    def dump(self) -> object:
        return self.has_looked, [(*place, trail) for place, trail in self.of.items()]

    def load(self, state: object) -> None:
        self.has_looked, rows = msgspec.convert(state, tuple[bool, list[tuple[str, str, Trail]]])
        self.of = {(account, symbol): trail for account, symbol, trail in rows}


class TradeManagement(Steward[schema.TradeManagement]):
    """By the best mark since the position was opened, and the price of entry as it is now."""

    STAGE = 13

    def memory(self) -> Trails:
        return Trails(self.id, self.scope)

    def judge(self, view: View) -> Found | None:
        return Found("pass", "ok") if view.explains else None

    def asks(self, around: Around) -> Iterator[StopMoveAsked]:
        memory: Trails | None = around.memory
        if memory is None:
            return
        for (account, symbol), trail in memory.of.items():
            entry = _entry(around.books.accounts[account], self.scope, symbol)
            if entry is None or entry <= 0 or trail.best is None:
                continue
            listing = around.books.listings.get(symbol)
            tick = None if listing is None else listing.tick
            stop = self._stop(trail, entry, tick)
            if stop is not None and self._is_far(trail, stop, entry, tick):
                yield StopMoveAsked(
                    rule=self.id,
                    scope=self.scope,
                    account=account,
                    symbol=symbol,
                    stop_price=stop,
                    reason=f"entered at {shown(entry)}, and the best mark was {shown(trail.best)}",
                )

    def _stop(self, trail: Trail, entry: Decimal, tick: Decimal | None) -> Decimal | None:
        """None: the position has not won enough."""
        config, sign, best = self.config, trail.sign, trail.best
        assert best is not None, "there was a mark"
        start = config.break_even_at_pct
        if start is not None and (best - entry) * sign * HUNDRED < start * entry:
            return None
        found = []
        if start is not None:
            # Not a tick worse than it was entered for.
            found.append(_on_tick(entry, tick, sign))
        if config.trail_pct is not None:
            behind = best * (HUNDRED - config.trail_pct * sign) / HUNDRED
            found.append(_on_tick(behind, tick, -sign))
        return max(found, key=lambda price: price * sign)

    def _is_far(self, trail: Trail, stop: Decimal, entry: Decimal, tick: Decimal | None) -> bool:
        """Far enough from where it was asked to be last, and not behind it."""
        if stop <= 0:
            return False
        if trail.asked is None:
            return True
        step = max(entry * self.config.trail_step_pct / HUNDRED, tick or ZERO)
        return (stop - trail.asked) * trail.sign >= step


def _entry(held: Held, scope: str, symbol: str) -> Decimal | None:
    book = held.own(scope)
    path = None if book is None else book.worth.paths.get(symbol)
    return None if path is None else path.contract.average(path.last.qty, path.last.cost)


def _on_tick(price: Decimal, tick: Decimal | None, way: int) -> Decimal:
    """On the grid, up with a way above 0, else down."""
    if not tick:
        return price
    steps = price / tick
    return steps.to_integral_value(ROUND_CEILING if way > 0 else ROUND_FLOOR) * tick
