"""What may be lost: in a session, in a week, from the peak, and by one position."""

from abc import abstractmethod
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
Figure = Callable[[], Decimal | None]


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


def weighed(
    judge: StateJudge[Any],
    value: Decimal,
    amount: Decimal | None,
    pct: Decimal | None,
    base: Callable[[], Decimal | None],
    missing: str,
    *,
    explains: bool,
) -> Found | None:
    """Against the smaller of both. An amount that is reached is reached, whatever the share is."""
    limit = limit_of(amount, pct, base)
    if limit is None:
        reached = amount is not None and value >= amount
        return judge.reached(amount, value) if amount is not None and reached else unknown(missing)
    return judge.reached(limit, value, explains=explains)


def at_least(found: Found | None, missing: str) -> Found:
    """What was found by a part of what counts, of which the rest can only be more."""
    return found if found is not None and found.outcome == "block" else unknown(missing)


class _PeriodLoss(StateJudge[P]):
    """In the day or the week under way. Where more than one figure counts, one that has reached the
    limit has broken it, though another is not known."""

    SAYS = "a loss of {value} has reached the limit of {limit}"

    STAGE = 13
    BY_MONEY = True

    def __init__(self, config: P) -> None:
        super().__init__(config)
        is_sum = config.max_loss is not None and config.max_pct is None
        self._near_loss = -config.max_loss * self.near if is_sum and config.max_loss else None
        """Whoever has made more is far from any level. None: that is to be reckoned each time."""

    @abstractmethod
    def figures(self, standing: Standing) -> tuple[Figure, ...]:
        """The worst of them counts."""

    def base(self, standing: Standing) -> Decimal | None:
        return standing.session_base()

    def measure(
        self, standing: Standing, _moment: Moment, _memory: Any = None, *, explains: bool = False
    ) -> Found | None:
        figures = [figure() for figure in self.figures(standing)]
        known = [one for one in figures if one is not None]
        is_all, missing = len(known) == len(figures), f"{self.kind}: what {standing.scope} has made"
        if not known:
            return unknown(missing)
        made, config = min(known), self.config
        if is_all and self._near_loss is not None and made > self._near_loss and not explains:
            return None
        found = weighed(
            self,
            -made,
            config.max_loss,
            config.max_pct,
            lambda: self.base(standing),
            f"{self.kind}: what {standing.scope} was worth",
            explains=explains,
        )
        return found if is_all else at_least(found, missing)


class DailyLoss(_PeriodLoss[schema.DailyLoss]):
    """By what was realised or by what the account is worth, whichever is worse."""

    def figures(self, standing: Standing) -> tuple[Figure, ...]:
        return counted(self.config.by, standing.session_realised, standing.session_pnl)


class DailyRealizedLoss(_PeriodLoss[schema.DailyRealizedLoss]):
    """By what was realised alone: it is known though a mark is missing."""

    def figures(self, standing: Standing) -> tuple[Figure, ...]:
        return (standing.session_realised,)


class WeeklyLoss(_PeriodLoss[schema.WeeklyLoss]):
    """As `daily_loss`, of the week."""

    def figures(self, standing: Standing) -> tuple[Figure, ...]:
        return counted(self.config.by, standing.week_realised, standing.week_pnl)

    def base(self, standing: Standing) -> Decimal | None:
        return standing.week_base()


def counted(by: str, realised: Figure, made: Figure) -> tuple[Figure, ...]:
    """What was made, by the figures that count."""
    if by == "realized":
        return (realised,)
    return (made,) if by == "pnl" else (made, realised)


class Drawdown(StateJudge[schema.Drawdown]):
    """From the peak, since the account is kept. Of several accounts none makes up for another, so
    that those of which it is known may break it by themselves."""

    SAYS = "a fall of {value} has reached the limit of {limit}"

    STAGE = 13
    BY_MONEY = True

    def measure(
        self, standing: Standing, _moment: Moment, _memory: Any = None, *, explains: bool = False
    ) -> Found | None:
        fall, config = standing.drawdown(), self.config
        found = weighed(
            self,
            standing.known_drawdown() if fall is None else fall,
            config.max_drawdown,
            config.max_pct,
            standing.peak,
            f"peak of {standing.scope}",
            explains=explains,
        )
        return at_least(found, f"drawdown of {standing.scope}") if fall is None else found


class DailyUnrealizedLoss(PositionJudge[schema.DailyUnrealizedLoss]):
    """At the mark, against what it was entered for."""

    SAYS = "a loss of {value} has reached the limit of {limit}"

    def weigh(self, book: AccountBook, path: Path, *, explains: bool) -> Found | None:
        unrealised, config = unrealised_of(book, path), self.config
        if unrealised is None:
            return unknown(f"mark or rate of {path.contract.symbol}")
        base = Standing("", (book,)).session_base
        missing = "equity when the session opened"
        return weighed(
            self, -unrealised, config.max_loss, config.max_pct, base, missing, explains=explains
        )


class PositionLoss(PositionJudge[schema.PositionLoss]):
    """The same, as a share of what was paid for it."""

    SAYS = "a loss of {value} has reached the limit of {limit}"

    def weigh(self, book: AccountBook, path: Path, *, explains: bool) -> Found | None:
        unrealised, config = unrealised_of(book, path), self.config
        if unrealised is None:
            return unknown(f"mark or rate of {path.contract.symbol}")
        missing = f"what {path.contract.symbol} was entered for"

        def cost() -> Decimal | None:
            return cost_of(book, path)

        return weighed(
            self, -unrealised, config.max_loss, config.max_pct, cost, missing, explains=explains
        )
