"""What may be lost: in a session, in a week, from the peak, and by one position."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeVar

from .....config.schema import rules as schema
from .....config.schema.rules.loss import LossRule
from ...book.account import AccountBook
from ...book.path import Path
from ..rule import HUNDRED, Found, PositionJudge, StateJudge, unknown
from ..standing import Standing
from ..view import Moment
from ..winnings import cost_of, unrealised_of

P = TypeVar("P", bound=LossRule)


def limit_of(
    amount: Decimal | None, pct: Decimal | None, base: Callable[[], Decimal | None]
) -> Decimal | None:
    """The smaller of an amount and a share, of which one is there. None: nobody knows of what it
    would be a share, or it would be one of nothing."""
    if pct is None:
        return amount
    whole = base()
    if whole is None or whole <= 0:
        return None
    share = whole * pct / HUNDRED
    return share if amount is None else min(amount, share)


class _PeriodLoss(StateJudge[P]):
    """In the day or the week under way."""

    STAGE = 13
    BY_MONEY = True

    def __init__(self, config: P) -> None:
        super().__init__(config)
        is_sum = config.max_loss is not None and config.max_pct is None
        self._near_loss = -config.max_loss * self.near if is_sum and config.max_loss else None
        """Whoever has made more is far from any level. None: that is to be reckoned each time."""

    def made(self, standing: Standing) -> Decimal | None:
        raise NotImplementedError

    def base(self, standing: Standing) -> Decimal | None:
        return standing.session_base()

    def measure(
        self, standing: Standing, _moment: Moment, _memory: Any = None, *, explains: bool = False
    ) -> Found | None:
        made = self.made(standing)
        if made is None:
            return unknown(f"{self.kind}: what {standing.scope} has made")
        if self._near_loss is not None and made > self._near_loss and not explains:
            return None
        config = self.config
        limit = limit_of(config.max_loss, config.max_pct, lambda: self.base(standing))
        if limit is None:
            return unknown(f"{self.kind}: what {standing.scope} was worth")
        return self.reached(limit, -made, explains=explains)


class DailyLoss(_PeriodLoss[schema.DailyLoss]):
    """By what was realised or by what the account is worth, whichever is worse."""

    def made(self, standing: Standing) -> Decimal | None:
        by = self.config.by
        return worse(by, standing.session_realised, standing.session_pnl)


class DailyRealizedLoss(_PeriodLoss[schema.DailyRealizedLoss]):
    """By what was realised alone: it is known though a mark is missing."""

    def made(self, standing: Standing) -> Decimal | None:
        return standing.session_realised()


class WeeklyLoss(_PeriodLoss[schema.WeeklyLoss]):
    """As `daily_loss`, of the week."""

    def made(self, standing: Standing) -> Decimal | None:
        return worse(self.config.by, standing.week_realised, standing.week_pnl)

    def base(self, standing: Standing) -> Decimal | None:
        return standing.week_base()


Figure = Callable[[], Decimal | None]


def worse(by: str, realised: Figure, made: Figure) -> Decimal | None:
    """What was made, by the figure that counts. None: it is not known."""
    if by == "realized":
        return realised()
    one = made()
    if by == "pnl" or one is None:
        return one
    other = realised()
    return None if other is None else min(one, other)


class Drawdown(StateJudge[schema.Drawdown]):
    """From the peak, since the account is kept."""

    STAGE = 13
    BY_MONEY = True

    def measure(
        self, standing: Standing, _moment: Moment, _memory: Any = None, *, explains: bool = False
    ) -> Found | None:
        fall, config = standing.drawdown(), self.config
        if fall is None:
            return unknown(f"drawdown of {standing.scope}")
        limit = limit_of(config.max_drawdown, config.max_pct, standing.peak)
        if limit is None:
            return unknown(f"peak of {standing.scope}")
        return self.reached(limit, fall, explains=explains)


class DailyUnrealizedLoss(PositionJudge[schema.DailyUnrealizedLoss]):
    """At the mark, against what it was entered for."""

    def weigh(self, book: AccountBook, path: Path, *, explains: bool) -> Found | None:
        unrealised, config = unrealised_of(book, path), self.config
        if unrealised is None:
            return unknown(f"mark or rate of {path.contract.symbol}")
        limit = limit_of(config.max_loss, config.max_pct, Standing("", (book,)).session_base)
        if limit is None:
            return unknown("equity when the session opened")
        return self.reached(limit, -unrealised, explains=explains)


class PositionLoss(PositionJudge[schema.PositionLoss]):
    """The same, as a share of what was paid for it."""

    def weigh(self, book: AccountBook, path: Path, *, explains: bool) -> Found | None:
        unrealised, config = unrealised_of(book, path), self.config
        if unrealised is None:
            return unknown(f"mark or rate of {path.contract.symbol}")
        limit = limit_of(config.max_loss, config.max_pct, lambda: cost_of(book, path))
        if limit is None:
            return unknown(f"what {path.contract.symbol} was entered for")
        return self.reached(limit, -unrealised, explains=explains)
