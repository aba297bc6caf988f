"""What a benchmark finds: samples made in turn, figures made of samples, and results of figures."""

import math
import time
from collections.abc import Awaitable, Callable, Sequence

import attrs

MS = ("ms", 1e3)
US = ("µs", 1e6)


@attrs.frozen
class Figure:
    """A measured number: of many samples the median, with the 99th percentile beside it."""

    value: float
    unit: str
    p99: float | None = None


@attrs.frozen
class Promise:
    """What the design says of a figure, and whether this run agrees."""

    text: str
    kept: bool


@attrs.frozen(kw_only=True)
class Result:
    """One line of the report. `n` is how many samples, or how many repetitions, it stands on."""

    name: str
    n: int
    figure: Figure
    peer_name: str = ""
    peer: Figure | None = None
    ratio: float | None = attrs.field(init=False)
    promise: Promise | None = None
    note: str = ""

    @ratio.default
    def _ratio(self) -> float | None:
        """Ours to the peer's. None where there is nothing to divide by."""
        if self.peer is None or self.peer.value <= 0:
            return None
        return self.figure.value / self.peer.value


def percentile(samples: Sequence[float], percent: float) -> float:
    """The smallest sample that `percent` of them do not exceed (nearest rank)."""
    rank = max(1, math.ceil(len(samples) * percent / 100))
    return sorted(samples)[rank - 1]


def latency(samples_s: Sequence[float], unit: tuple[str, float]) -> Figure:
    """How long one takes."""
    name, per_second = unit
    p50, p99 = percentile(samples_s, 50), percentile(samples_s, 99)
    return Figure(p50 * per_second, name, p99 * per_second)


def rate(samples_s: Sequence[float], count: int) -> Figure:
    """How many there are in a second, when `count` of them make a sample."""
    return Figure(count / percentile(samples_s, 50), "/s", count / percentile(samples_s, 99))


def at_most(limit: float, figure: Figure) -> Promise:
    """The promise that the figure itself, the median, stays within a limit."""
    return Promise(f"at most {limit:g} {figure.unit}", figure.value <= limit)


def at_least(limit: float, figure: Figure) -> Promise:
    """The same for what must be many."""
    return Promise(f"at least {limit:,g} {figure.unit}", figure.value >= limit)


# --- samples --------------------------------------------------------------------------------------


def warm_up(n: int) -> int:
    """How many rounds to make and forget before `n` that count."""
    return max(1, n // 10)


def timed(act: Callable[[], object]) -> Callable[[], float]:
    """The same act, giving the seconds it took."""

    def sample() -> float:
        began_s = time.perf_counter()
        act()
        return time.perf_counter() - began_s

    return sample


def timed_async(act: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[float]]:
    """The same for an act that waits."""

    async def sample() -> float:
        began_s = time.perf_counter()
        await act()
        return time.perf_counter() - began_s

    return sample


def in_turn(
    n: int, ours: Callable[[], float], theirs: Callable[[], float]
) -> tuple[list[float], list[float]]:
    """`n` samples of each, one of ours and one of theirs by turns."""
    pairs = [(ours(), theirs()) for _ in range(warm_up(n) + n)][-n:]
    return [mine for mine, _ in pairs], [other for _, other in pairs]


async def in_turn_async(
    n: int, ours: Callable[[], Awaitable[float]], theirs: Callable[[], Awaitable[float]]
) -> tuple[list[float], list[float]]:
    """The same for samples that wait."""
    pairs = [(await ours(), await theirs()) for _ in range(warm_up(n) + n)][-n:]
    return [mine for mine, _ in pairs], [other for _, other in pairs]
