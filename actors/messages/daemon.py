"""The daemon itself: its start and its end, and the configuration in force."""

from typing import ClassVar

from .base import Bearing, By, Command, Fact, Reply
from .limits import LimitChange


class ShowConfig(Command, frozen=True, kw_only=True, tag="config"):
    """The configuration in force, secrets masked."""


class ConfigIs(Reply, frozen=True, kw_only=True, tag="config"):
    source: str
    config: dict[str, object]


class Reload(Command, frozen=True, kw_only=True, tag="reload"):
    """Read the configuration file again; take it when it is valid, else change nothing."""


class Reloaded(Reply, frozen=True, kw_only=True, tag="reloaded"):
    """What the reload changed, and what waits for a restart to be true. `waiting`: what it loosens
    and is not in force yet, for the disk has not confirmed it; riskd goes on trying."""

    source: str
    changed: list[str]
    needs_restart: list[str]
    limits: list[LimitChange]
    waiting: list[LimitChange]


class DaemonStarted(Fact, frozen=True, kw_only=True, tag="daemon_started"):
    """The first fact of a run. `boot` is that of all facts up to the next of these: their
    `monotonic_s` can be compared with those of the same boot."""

    version: str
    process_id: int
    boot: str
    config_source: str
    config_digest: str


class DaemonStopped(Fact, frozen=True, kw_only=True, tag="daemon_stopped"):
    """An orderly end. A start that finds none of these after the last start follows a crash."""

    reason: str


class ConfigReloaded(Fact, frozen=True, kw_only=True, tag="config_reloaded"):
    """Another configuration is in force. It may allow more than the one before."""

    BEARING: ClassVar[Bearing] = "loosens"

    source: str
    digest: str
    changed: tuple[str, ...]
    needs_restart: tuple[str, ...]
    by: By | None = None


class ConfigRefused(Fact, frozen=True, kw_only=True, tag="config_refused"):
    """A reload was asked for and the file was not valid. The old configuration stays in force."""

    source: str
    problems: tuple[str, ...]
    by: By | None = None


Commands = ShowConfig | Reload
Replies = ConfigIs | Reloaded
Facts = DaemonStarted | DaemonStopped | ConfigReloaded | ConfigRefused
Loosening = ConfigReloaded
