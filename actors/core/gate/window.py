"""How often something has happened in the last so many seconds, in little room.

Theory
------
The window slides, and what happened exactly its length ago has left it. Times close to one another
are kept as one, the latest of them: closer than a `STEPS`-th of the window. So there are never more
than some `STEPS` of them, however often it happens, and an event leaves late by so much at most and
never early: there are never more in a window than are counted.

Times never go backwards here. An event that comes with an earlier one, for the clock was set back,
happened at the latest that was seen; so what is in the future by the clock of now is in the window.
What has left is forgotten, and a clock that is set back does not bring it back.
"""

from bisect import bisect_right
from datetime import datetime, timedelta
from typing import Annotated, TypeVar

from msgspec import Meta, Struct, ValidationError, convert, to_builtins

STEPS = 1_024
"""A window of a minute is exact to 60 ms, in some 60 KiB when it is full."""


T = TypeVar("T")


class _Kept(Struct, array_like=True):
    """What `dump` writes: times, and so many at each. What comes before `until` joins the last."""

    times: list[Annotated[datetime, Meta(tz=True)]]
    counts: list[Annotated[int, Meta(ge=1)]]
    until: Annotated[datetime, Meta(tz=True)] | None


class Window:
    """Counts what happens."""

    __slots__ = ("_begin", "_grain", "_sums", "_times", "_until", "most", "span")

    def __init__(self, seconds: float) -> None:
        self.span = timedelta(seconds=seconds)
        self._grain = self.span / STEPS
        self._until: datetime | None = None
        self.clear()

    def clear(self) -> None:
        """Nothing has happened."""
        self._times: list[datetime] = []
        self._sums: list[int] = []
        """All that had come by then, in all."""
        self._begin = 0
        """Those before it have left."""
        self.most = 0
        """There are not more in it, at whatever time. To look at this first costs next to
        nothing."""

    def add(self, at: datetime) -> None:
        """Once more."""
        times, sums = self._times, self._sums
        self.most += 1
        if not times:
            times.append(at)
            sums.append(1)
            self._until = at + self._grain
            return
        at = max(at, times[-1])
        if self._until is not None and at < self._until:
            times[-1] = at
            sums[-1] += 1
        else:
            times.append(at)
            sums.append(sums[-1] + 1)
            self._until = at + self._grain
        if times[self._begin] <= at - self.span:
            self._leave(at - self.span)

    def _leave(self, until: datetime) -> None:
        """What happened until then has left. Its room is used again once it is half of it all."""
        begin = bisect_right(self._times, until, self._begin)
        self.most = self._sums[-1] - self._sums[begin - 1]
        if begin > len(self._times) // 2:
            gone = self._sums[begin - 1]
            self._times = self._times[begin:]
            self._sums = [one - gone for one in self._sums[begin:]]
            begin = 0
        self._begin = begin

    def count(self, since: datetime) -> int:
        """So many have happened after this time."""
        times, begin = self._times, self._begin
        if not times or times[-1] <= since:
            return 0
        if times[begin] <= since:
            begin = bisect_right(times, since, begin)
            return self._sums[-1] - self._sums[begin - 1]
        return self.most

    # --- across restarts

    def dump(self) -> object:
        sums = self._sums[self._begin :]
        before = self._sums[self._begin - 1] if self._begin else 0
        counts = [one - past for one, past in zip(sums, [before, *sums], strict=False)]
        return to_builtins(_Kept(self._times[self._begin :], counts, self._until))

    def load(self, state: object) -> None:
        """Go back to a dump. Raises ValueError."""
        kept = loaded(state, _Kept)
        if len(kept.times) != len(kept.counts) or kept.times != sorted(kept.times):
            raise ValueError("the times of a window are out of order")
        self.clear()
        for at, count in zip(kept.times, kept.counts, strict=True):
            self.most += count
            self._times.append(at)
            self._sums.append(self.most)
        self._until = kept.until


def loaded(state: object, kind: type[T]) -> T:
    """What was dumped. Raises ValueError."""
    try:
        return convert(state, kind)
    except ValidationError as error:
        raise ValueError(str(error)) from None
