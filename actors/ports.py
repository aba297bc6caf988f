"""What actors need from outside, as protocols; the composition root gives each its own."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol

from .messages import Fact

Record = Callable[[Fact], None]
"""Makes a fact part of history. When it returns, a killed process does not lose it."""

CrashActor = Callable[[str], Awaitable[None]]
"""Crash an actor by name, and let its supervisor deal with it. Unknown names are ignored."""


class Clock(Protocol):
    """Where time comes from."""

    def monotonic_s(self) -> float:
        """Seconds since boot. Never goes back; comparable within one boot only."""

    def now(self) -> datetime:
        """The wall clock, in UTC. May jump."""

    def boot(self) -> str:
        """Which boot of the machine this is."""


class HeartbeatSettings(Protocol):
    """How often actors are asked, and how long they may take. Read each time anew."""

    @property
    def heartbeat_interval_s(self) -> float: ...
    @property
    def heartbeat_timeout_s(self) -> float: ...
    @property
    def heartbeat_misses(self) -> int: ...


class ServiceLink(Protocol):
    """Who started riskd and wants to know how it is."""

    watchdog_s: float | None
    """It takes riskd for dead after so long without a ping. None: it doesn't watch."""

    def notify(self, *lines: str) -> None:
        """Tell it, without waiting. Nobody listening is no error."""
