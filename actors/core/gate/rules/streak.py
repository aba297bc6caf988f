"""What follows from trades that lost: `consecutive_losses`, `cooldown_after_loss`.

A trade is all that one order has closed: each of its fills adds to it, so that one that is filled
in ten pieces is not ten losses. What names no order is a trade by itself.
"""

from datetime import datetime, timedelta
from decimal import Decimal

import msgspec

from .....config.schema import rules as schema
from ...book.numbers import ZERO
from ..memory import Executed, Locked, Seen, SessionEnded
from ..rule import Found, StateJudge, seconds, unknown
from ..standing import Standing
from ..view import Moment

OLDER_KEPT = 64
"""Trades beside those that a row may have: a late fill finds its own among them. One that doesn't
is another trade."""


NOTHING = timedelta(0)


class _Trade(msgspec.Struct, frozen=True, array_like=True):
    account: str
    order: str | None
    won: Decimal | None
    """None: nobody knows, for a rate was missing."""


class Trades:
    """The newest trades of a scope, in the order in which each of them began to close something."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self.trades: list[_Trade] = []

    def add(self, fill: Executed) -> _Trade | None:
        """The trade that a fill is part of. None: it closed nothing."""
        if not fill.is_closing:
            return None
        at = self._known(fill)
        if at is not None:
            was = self.trades[at]
            known = was.won is not None and fill.won is not None
            won = was.won + fill.won if known else None  # type: ignore[operator]  # both are there
            self.trades[at] = msgspec.structs.replace(was, won=won)
            return self.trades[at]
        self.trades.append(_Trade(fill.account, fill.order, fill.won))
        del self.trades[: -self._kept]
        return self.trades[-1]

    def _known(self, fill: Executed) -> int | None:
        if fill.order is None:
            return None
        one = (fill.account, fill.order)
        for back, trade in enumerate(reversed(self.trades), 1):
            if (trade.account, trade.order) == one:
                return len(self.trades) - back
        return None


class Row:
    """How many have lost one after another. What brought neither counts as neither; one of which
    nobody knows counts as lost."""

    def __init__(self, rule: str, max_losses: int) -> None:
        self._rule = rule
        self._trades = Trades(max_losses + OLDER_KEPT)
        self.losses = 0

    def saw(self, seen: Seen) -> None:
        if isinstance(seen, Executed):
            if self._trades.add(seen) is not None:
                self.losses = self._count()
        elif isinstance(seen, SessionEnded) or (
            isinstance(seen, Locked) and seen.rule == self._rule
        ):
            self._trades.trades.clear()
            self.losses = 0

    def _count(self) -> int:
        losses = 0
        for trade in reversed(self._trades.trades):
            if trade.won is not None and trade.won > 0:
                break
            losses += trade.won is None or trade.won < 0
        return losses

    def dump(self) -> object:
        return tuple(self._trades.trades)

    def load(self, state: object) -> None:
        self._trades.trades = msgspec.convert(state, list[_Trade])
        self.losses = self._count()


class ConsecutiveLosses(StateJudge[schema.ConsecutiveLosses]):
    """In a session. Its lockout begins a new row."""

    SAYS = "{value} losses in a row have reached the limit of {limit}"

    STAGE = 13

    def memory(self) -> Row:
        return Row(self.id, self.config.max_losses)

    def measure(
        self,
        standing: Standing,
        _moment: Moment,
        memory: Row | None = None,
        *,
        explains: bool = False,
    ) -> Found | None:
        if memory is None:
            return unknown(f"trades of {standing.scope}")
        if not memory.losses and not explains:
            return None
        limit = Decimal(self.config.max_losses)
        return self.reached(limit, Decimal(memory.losses), explains=explains)


class LastLoss:
    """When the newest of the trades that count as lost has lost last."""

    def __init__(self, min_loss: Decimal) -> None:
        self._min_loss = min_loss
        self._trades = Trades(OLDER_KEPT)
        self.at: datetime | None = None

    def saw(self, seen: Seen) -> None:
        if not isinstance(seen, Executed):
            return
        trade = self._trades.add(seen)
        if trade is None or (seen.won is not None and seen.won >= 0):
            return
        if trade.won is None or (trade.won < 0 and -trade.won >= self._min_loss):
            self.at = seen.at

    def dump(self) -> object:
        return self.at, tuple(self._trades.trades)

    def load(self, state: object) -> None:
        self.at, self._trades.trades = msgspec.convert(state, tuple[datetime | None, list[_Trade]])


class CooldownAfterLoss(StateJudge[schema.CooldownAfterLoss]):
    """By the wall clock. One that has jumped back opens nothing: a loss in the future is one of
    just now."""

    SAYS = "of {limit} s to wait after a loss {value} s are left"

    STAGE = 13

    def __init__(self, config: schema.CooldownAfterLoss) -> None:
        super().__init__(config)
        self._lasts = timedelta(seconds=config.lockout_s)

    def memory(self) -> LastLoss:
        return LastLoss(self.config.min_loss)

    def measure(
        self,
        standing: Standing,
        moment: Moment,
        memory: LastLoss | None = None,
        *,
        explains: bool = False,
    ) -> Found | None:
        if memory is None:
            return unknown(f"trades of {standing.scope}")
        if memory.at is None:
            return Found("pass", "ok") if explains else None
        left = self._lasts - (moment.at - memory.at)
        if left <= NOTHING:
            return Found("pass", "ok") if explains else None
        limit = seconds(self._lasts)
        return Found("block", self.kind, limit, min(seconds(left), limit), ZERO)
