"""Whether the machine that riskd runs on can be relied on: its clocks and the journal's disk.

The wall clock and the monotonic one go forward together. When the difference between them changes,
one of them did something else: the wall clock was set, or the machine was suspended, which stops
the monotonic clock alone. Trading is stopped for either: deadlines, sessions and the age of prices
mean nothing across it. A process that was merely stopped sees no step, only that it is late.

What is measured are metrics as any other, for triggers of the configuration too. What the built-in
limits say of them is here.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Protocol

import attrs

from ..messages import Cause
from .triggers import OWN

CLOCK_STEP = f"{OWN}clock_step_s"
SYNC_AGE = f"{OWN}sync_age_s"
FREE = f"{OWN}free_mib"
LOOP_LAG = f"{OWN}loop_lag_s"
_MIB = 1_048_576


class Limits(Protocol):
    """What the configuration's kill_switch section says."""

    @property
    def clock_step_s(self) -> float: ...
    @property
    def sync_stall_s(self) -> float: ...
    @property
    def free_mib(self) -> int: ...


@attrs.frozen
class Found:
    """A reason to stop everything."""

    cause: Cause
    source: str
    reason: str


class Clocks:
    """How the wall clock stood to the monotonic one. It outlives the actor, or a crash of that
    would hide a step."""

    def __init__(self) -> None:
        self._apart_s: float | None = None

    def step_s(self, wall_s: float, monotonic_s: float) -> float:
        """By how much the wall clock went further than the monotonic one since the last look."""
        apart_s = wall_s - monotonic_s
        before_s, self._apart_s = self._apart_s, apart_s
        return 0.0 if before_s is None else apart_s - before_s


def mib(size: int) -> Decimal:
    """Bytes as mebibytes. Rounded down: what is shown as room is there."""
    return Decimal(size * 1_000 // _MIB).scaleb(-3)


@attrs.frozen
class Measures:
    """One look at the machine."""

    step_s: float
    sync_age_s: float
    free_mib: Decimal | None
    """None: it has not been told yet."""
    silent_s: float
    """For how long the disk has been asked without an answer."""


def unsafe(measures: Measures, limits: Limits) -> Iterator[Found]:
    """Every reason to stop that one look gives."""
    yield from _clock(measures.step_s, limits.clock_step_s)
    yield from _sync(measures.sync_age_s, limits.sync_stall_s)
    yield from _space(measures, limits)


def _clock(step_s: float, limit_s: float) -> Iterator[Found]:
    if abs(step_s) < limit_s:
        return
    way = "forward" if step_s > 0 else "back"
    why = "it was set, or the machine was suspended" if step_s > 0 else "it was set"
    went = f"the wall clock went {way} by {abs(step_s):.3f} s against the monotonic one"
    yield Found("clock", "clock", f"{went}, and {limit_s:g} s is the limit: {why}")


def _sync(age_s: float, limit_s: float) -> Iterator[Found]:
    if age_s >= limit_s:
        stalls = f"the journal's disk has not finished a sync for {age_s:.1f} s"
        yield Found("disk", "disk", f"{stalls}, and {limit_s:g} s is the limit")


def _space(measures: Measures, limits: Limits) -> Iterator[Found]:
    free, limit = measures.free_mib, limits.free_mib
    if measures.silent_s >= limits.sync_stall_s:
        silent = f"the journal's disk has not told its free space for {measures.silent_s:.1f} s"
        yield Found("disk", "disk", f"{silent}, and {limits.sync_stall_s:g} s is the limit")
    if free is not None and (free < limit or free <= 0):
        yield Found("disk", "disk", f"the journal's disk has {free} MiB free, below {limit} MiB")
