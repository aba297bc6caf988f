"""`trade_frequency`: how often may be traded in a minute, an hour and a session."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Meta, Struct, to_builtins

from .....config.schema import rules as schema
from ....messages.reasons import Code
from ..flow import FlowJudge, latched, worst
from ..memory import Executed, Judged, Rearmed, Seen, SessionEnded
from ..rule import Found
from ..view import View
from ..window import Window, loaded

MINUTE_S = 60
HOUR_S = 3_600
TOO_MANY: Mapping[str, Code] = {
    "minute": "trades_per_minute",
    "hour": "trades_per_hour",
    "session": "trades_per_session",
}

Time = Annotated[datetime, Meta(tz=True)]


class _Kept(Struct):
    """What `dump` writes."""

    minute: object
    hour: object
    session: Annotated[int, Meta(ge=0)]
    began: Time | None
    locked: dict[str, Time]


class Trades:
    """How often was traded, and until when nothing more is. A session begins once, in however many
    accounts it does."""

    def __init__(self, config: schema.TradeFrequency) -> None:
        self._config = config
        self.minute = Window(MINUTE_S)
        self.hour = Window(HOUR_S)
        self.session = 0
        self._began: datetime | None = None
        self.locked: dict[str, datetime] = {}
        """By period: when its lockout ends."""

    def saw(self, seen: Seen) -> None:
        if isinstance(seen, Executed):
            if self._config.counts == "fills":
                self._trade(seen.at)
        elif isinstance(seen, Judged):
            if self._config.counts == "orders" and seen.verdict.decision != "block":
                self._trade(seen.at)
        elif isinstance(seen, SessionEnded):
            if self._began is None or seen.at > self._began:
                self.session, self._began = 0, seen.at
        elif isinstance(seen, Rearmed) and seen.rule == self._config.id:
            self.minute.clear()
            self.hour.clear()
            self.session = 0
            self.locked.clear()

    def _trade(self, at: datetime) -> None:
        config, minute, hour = self._config, self.minute, self.hour
        self.session += 1
        if config.max_per_minute is not None:
            minute.add(at)
            count = minute.count(at - minute.span)
            self._lock("minute", count, config.max_per_minute, config.minute_lockout_s, at)
        if config.max_per_hour is not None:
            hour.add(at)
            count = hour.count(at - hour.span)
            self._lock("hour", count, config.max_per_hour, config.hour_lockout_s, at)
        most = config.max_per_session
        self._lock("session", self.session, most, config.session_lockout_s, at)

    def _lock(
        self, period: str, count: int, most: int | None, lockout_s: float | None, at: datetime
    ) -> None:
        if most is not None and lockout_s is not None and count >= most:
            until = at + timedelta(seconds=lockout_s)
            self.locked[period] = max(until, self.locked.get(period, until))

    def dump(self) -> object:
        kept = _Kept(
            self.minute.dump(), self.hour.dump(), self.session, self._began, dict(self.locked)
        )
        return to_builtins(kept)

    def load(self, state: object) -> None:
        kept = loaded(state, _Kept)
        self.minute.load(kept.minute)
        self.hour.load(kept.hour)
        self.session, self._began, self.locked = kept.session, kept.began, kept.locked


class TradeFrequency(FlowJudge[schema.TradeFrequency]):
    """Each period has a limit and a lockout of its own."""

    STAGE = 11
    OF_AMENDMENTS = False

    def __init__(self, config: schema.TradeFrequency) -> None:
        super().__init__(config)
        self._calm_minute = self.calm(config.max_per_minute)
        self._calm_hour = self.calm(config.max_per_hour)
        self._calm_session = self.calm(config.max_per_session)

    def memory(self) -> Trades:
        return Trades(self.config)

    def judge(self, view: View) -> Found | None:
        trades: Trades = view.memories[self.id]
        if (
            not trades.locked
            and trades.minute.most < self._calm_minute
            and trades.hour.most < self._calm_hour
            and trades.session < self._calm_session
            and not view.explains
        ):
            return None
        found = self._count(trades, view.moment.at)
        if found is not None and found.outcome == "block" and not view.adds_risk:
            found = found._replace(outcome="pass", code="ok")
        return found if found is None or found.outcome != "pass" or view.explains else None

    def _count(self, trades: Trades, now: datetime) -> Found | None:
        """The worst of the three. The order is one more, though none of its fills has come."""
        config = self.config
        counted = (
            ("minute", config.max_per_minute, trades.minute.count(now - trades.minute.span)),
            ("hour", config.max_per_hour, trades.hour.count(now - trades.hour.span)),
            ("session", config.max_per_session, trades.session),
        )
        founds = []
        for period, most, count in counted:
            if most is not None:
                until = trades.locked.get(period)
                if until is not None and now < until:
                    founds.append(latched("trade_lockout", most))
                else:
                    founds.append(self.counted(TOO_MANY[period], most, count))
        return worst(*founds)
