"""`edge_floor`: what a strategy expects to win, by its own word."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec

from .....config.schema import rules as schema
from ..memory import EdgeSeen, Seen
from ..rule import Around, Found, StateJudge, Subject, unknown
from ..standing import Standing
from ..view import Moment, View

EDGES_MAX = 1_000
"""Of strategies, or of symbols of theirs. Beyond it the one that was reported longest ago is
forgotten, and so not known."""


NOTHING = timedelta(0)

_Key = tuple[str, str | None]
"""A strategy, and one of its symbols or all of them."""


class _Edge(msgspec.Struct, frozen=True, array_like=True):
    bps: Decimal
    at: datetime


class Edges:
    """The newest of each strategy, and of each symbol that it has said one for."""

    def __init__(self) -> None:
        self.of: dict[_Key, _Edge] = {}

    def saw(self, seen: Seen) -> None:
        if not isinstance(seen, EdgeSeen):
            return
        key = (seen.strategy, seen.symbol)
        # The newest last: the first to be forgotten is the oldest.
        self.of.pop(key, None)
        if len(self.of) >= EDGES_MAX:
            del self.of[next(iter(self.of))]
        self.of[key] = _Edge(seen.bps, seen.at)

    def dump(self) -> object:
        return [(*key, edge) for key, edge in self.of.items()]

    def load(self, state: object) -> None:
        rows = msgspec.convert(state, list[tuple[str, str | None, _Edge]])
        self.of = {(strategy, symbol): edge for strategy, symbol, edge in rows}


class EdgeFloor(StateJudge[schema.EdgeFloor]):
    """The one for the order's symbol, or else the one for all that the strategy trades."""

    SAYS = "an edge of {value} is below the least, {limit}"

    STAGE = 13
    CAUSE = "edge"

    def __init__(self, config: schema.EdgeFloor) -> None:
        super().__init__(config)
        self._good_for = timedelta(seconds=config.max_age_s)

    def memory(self) -> Edges:
        return Edges()

    def regard(self, view: View) -> Found | None:
        strategy = view.asked.order.strategy
        if strategy is None:
            return unknown("strategy")
        edges = view.memory(self.id).of
        key: _Key = (strategy, view.symbol)
        if key not in edges:
            key = (strategy, None)
        return self._weigh(key, edges.get(key), view.moment, explains=view.explains)

    def measure(
        self,
        _standing: Standing,
        moment: Moment,
        memory: Edges | None = None,
        *,
        explains: bool = False,
    ) -> Found | None:
        """The lowest of all."""
        if memory is None or not memory.of:
            return unknown("edge")
        key, lowest = min(memory.of.items(), key=lambda one: one[1].bps)
        return self._weigh(key, lowest, moment, explains=explains)

    def survey(self, around: Around) -> Iterator[tuple[Subject, Found | None]]:
        edges: dict[_Key, _Edge] = {} if around.memory is None else around.memory.of
        for (strategy, symbol), edge in edges.items():
            subject = Subject(self.id, f"strategy:{strategy}", None, symbol)
            yield subject, self._weigh((strategy, symbol), edge, around.moment, explains=True)

    def _weigh(
        self, key: _Key, edge: _Edge | None, moment: Moment, *, explains: bool
    ) -> Found | None:
        if edge is None:
            return unknown(_name(key))
        # One from the future is of a clock that has jumped: how old it is, nobody can tell.
        if not NOTHING <= moment.at - edge.at <= self._good_for:
            return unknown(f"{_name(key)}, lately")
        return self.fallen(self.config.min_bps, edge.bps, explains=explains)


def _name(key: _Key) -> str:
    strategy, symbol = key
    return f"edge of {strategy}" if symbol is None else f"edge of {strategy} in {symbol}"
