"""`repeated_execution`: how often a strategy may be executed in one symbol in a while."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct, to_builtins

from .....config.schema import rules as schema
from ..flow import FlowJudge, latched
from ..memory import Executed, Rearmed, Seen
from ..rule import Found
from ..view import View
from ..window import Window, loaded

KEYS_MAX = 10_000
"""Strategies, times symbols, that are counted at a time. One more stops all of the rule's scope:
what can't be counted must not trade."""

Key = tuple[str, str]
"""`strategy:mm`, or the account of what names none, and the symbol."""


class _Kept(Struct):
    """What `dump` writes."""

    windows: list[tuple[str, str, object]]
    latched: list[tuple[str, str, Annotated[datetime, Meta(tz=True)]]]
    is_full: bool


class Repeats:
    """How often each was executed, and which have latched, when."""

    def __init__(self, config: schema.RepeatedExecution) -> None:
        self._id = config.id
        self._seconds = config.window_s
        self._most = config.max_executions
        self.windows: dict[Key, Window] = {}
        self.latched: dict[Key, datetime] = {}
        self.is_full = False
        """There were more than can be counted."""

    def saw(self, seen: Seen) -> None:
        if isinstance(seen, Executed):
            owners = [scope for scope in seen.scopes if scope.startswith("strategy:")]
            owner = owners[0] if owners else f"account:{seen.account}"
            self._count((owner, seen.symbol), seen.at)
        elif isinstance(seen, Rearmed) and seen.rule == self._id:
            self.windows.clear()
            self.latched.clear()
            self.is_full = False

    def _count(self, key: Key, at: datetime) -> None:
        if key in self.latched or self.is_full:
            return
        window = self.windows.get(key)
        if window is None:
            if len(self.windows) + len(self.latched) >= KEYS_MAX and not self._forget(at):
                self.is_full = True
                return
            window = self.windows[key] = Window(self._seconds)
        window.add(at)
        if window.most >= self._most and window.count(at - window.span) >= self._most:
            self.latched[key] = at
            del self.windows[key]

    def _forget(self, at: datetime) -> bool:
        """Those whose executions are all long ago. True: there is room again."""
        since = at - Window(self._seconds).span
        self.windows = {key: one for key, one in self.windows.items() if one.count(since)}
        return len(self.windows) + len(self.latched) < KEYS_MAX

    def dump(self) -> object:
        windows = [(*key, window.dump()) for key, window in self.windows.items()]
        fallen = [(*key, at) for key, at in self.latched.items()]
        return to_builtins(_Kept(windows, fallen, self.is_full))

    def load(self, state: object) -> None:
        kept = loaded(state, _Kept)
        self.windows = {}
        for owner, symbol, one in kept.windows:
            window = self.windows[owner, symbol] = Window(self._seconds)
            window.load(one)
        self.latched = {(owner, symbol): at for owner, symbol, at in kept.latched}
        self.is_full = kept.is_full


class RepeatedExecution(FlowJudge[schema.RepeatedExecution]):
    """With the last execution that is allowed it latches: only a person begins anew."""

    SAYS = "{value} fills have reached the limit of {limit}"

    STAGE = 10

    def __init__(self, config: schema.RepeatedExecution) -> None:
        super().__init__(config)
        self._most = config.max_executions
        self._calm = self.calm(self._most)

    def memory(self) -> Repeats:
        return Repeats(self.config)

    def judge(self, view: View) -> Found | None:
        repeats: Repeats = view.memories[self.id]
        if repeats.is_full:
            return latched("memory_full", KEYS_MAX)
        order = view.asked.order
        owner = order.strategy
        key = (f"strategy:{owner}" if owner else f"account:{order.account}", view.symbol)
        if repeats.latched and key in repeats.latched:
            return latched(self.kind, self._most)
        window = repeats.windows.get(key)
        if (window is None or window.most <= self._calm) and not view.explains:
            return None
        before = 0 if window is None else window.count(view.moment.at - window.span)
        found = self.counted(self.kind, self._most, before, 0)
        return found if found.outcome != "pass" or view.explains else None
