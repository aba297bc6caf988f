"""`consecutive_rejects`: how many orders the venue may reject one after another."""

from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Meta, Struct, to_builtins

from .....config.schema import rules as schema
from ..flow import FlowJudge, latched
from ..memory import Ended, Executed, Judged, Rearmed, Seen
from ..rule import Found
from ..view import View
from ..window import loaded

SINCE_MAX = 10_000
"""Orders permitted since a row began that are remembered. Those beyond can't end it: too many
refusals are counted then, never too few."""


class _Kept(Struct):
    """What `dump` writes."""

    row: Annotated[int, Meta(ge=0)]
    since: list[tuple[str, str]]
    locked: Annotated[datetime, Meta(tz=True)] | None


class Row:
    """Of refusals without an order taken in between. Orders cross one another on their way: one
    ends the row only if it was permitted after the first refusal of it was known."""

    def __init__(self, config: schema.ConsecutiveRejects) -> None:
        self._id = config.id
        self._most = config.max_rejects
        self.row = 0
        self._since: dict[tuple[str, str], None] = {}
        """Orders permitted since it began, by account."""
        self.locked: datetime | None = None
        """When the newest of too many came."""

    def saw(self, seen: Seen) -> None:
        if isinstance(seen, Judged):
            if self.row and seen.verdict.decision != "block" and len(self._since) < SINCE_MAX:
                self._since[seen.order.account, seen.order.client_order_id] = None
        elif isinstance(seen, Ended):
            if seen.how == "reject":
                self._refuse(seen)
            elif seen.how != "drop":
                self._take(seen.account, seen.order)
        elif isinstance(seen, Executed):
            if seen.order is not None:
                self._take(seen.account, seen.order)
        elif isinstance(seen, Rearmed) and seen.rule == self._id:
            self._end()
            self.locked = None

    def _refuse(self, seen: Ended) -> None:
        self._since.pop((seen.account, seen.order), None)
        self.row += 1
        if self.row >= self._most:
            self.locked = seen.at if self.locked is None else max(seen.at, self.locked)

    def _take(self, account: str, order: str) -> None:
        """The venue had taken it."""
        if (account, order) in self._since:
            self._end()

    def _end(self) -> None:
        self.row = 0
        self._since.clear()

    def dump(self) -> object:
        return to_builtins(_Kept(self.row, list(self._since), self.locked))

    def load(self, state: object) -> None:
        kept = loaded(state, _Kept)
        self.row, self.locked = kept.row, kept.locked
        self._since = dict.fromkeys(kept.since)


class ConsecutiveRejects(FlowJudge[schema.ConsecutiveRejects]):
    """With the last that is allowed it is over, for a time or until a person begins anew. When the
    time is over the row still is what it was: one refusal more, and it is over again."""

    SAYS = "{value} rejects in a row have reached the limit of {limit}"

    STAGE = 10

    def __init__(self, config: schema.ConsecutiveRejects) -> None:
        super().__init__(config)
        self._lockout = None if config.lockout_s is None else timedelta(seconds=config.lockout_s)
        self._calm = self.calm(config.max_rejects)

    def memory(self) -> Row:
        return Row(self.config)

    def judge(self, view: View) -> Found | None:
        row: Row = view.memories[self.id]
        most = self.config.max_rejects
        if row.locked is not None and view.adds_risk:
            lockout = self._lockout
            if lockout is None or view.moment.at < row.locked + lockout:
                return latched(self.kind, most)
        if row.row <= self._calm and not view.explains:
            return None
        found = self.counted(self.kind, most, min(row.row, most), 0)
        return found if found.outcome != "pass" or view.explains else None
