"""What actors need from outside, as protocols; the composition root gives each its own."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

import attrs

from .core.kill_switch import Breaker
from .core.triggers import Ran
from .messages import By, Cause, Fact, Halt, Loosening, Mode

T = TypeVar("T")

Record = Callable[[Fact], object]
"""Makes a fact part of history. When it returns, a killed process does not lose it."""

Commit = Callable[..., int]
"""Makes several facts part of history, and tells the number of the last. When it returns, a killed
process loses none of them. Raises NotRecorded: then none was made."""


class NotRecorded(Exception):
    """Facts that nobody will ever read: nothing has happened. The text says why."""


Loosen = Callable[[Loosening], Awaitable[None]]
"""Makes a fact that loosens, once the disk has it. Raises NotLoosened: then nothing was."""


class NotLoosened(Exception):
    """What would have allowed more is not in force. The text says why."""


class Withdrawn(NotLoosened):
    """Something was tightened meanwhile. Whoever still wants it decides again."""


Settle = Callable[[], Awaitable[None]]
"""Wait until all facts so far are on the disk, or until it is clear that they won't be soon."""


class LeasePage(Protocol):
    """What every worker reads at the moment of sending. `core.lease` has its layout.

    Writing to it waits for nothing and takes microseconds. All but `seize` is the loop's.
    """

    def fence(self) -> None:
        """Nothing may pass, from this instant on until the next `publish`."""

    def publish(self, modes: Mapping[str, Mode], epoch: int) -> None:
        """What is halted, by scope. More scopes than there is room for halt everything."""

    def extend(self, until_ns: int) -> None:
        """Readers may rely on the page until then (CLOCK_MONOTONIC). Never made shorter by it."""

    def seize(self) -> None:
        """The same as `fence` from any other thread, and stronger: neither `publish` nor `extend`
        has an effect until `release`."""

    def release(self) -> None:
        """The loop has made a fact of what seized the page."""


class Halting(Protocol):
    """How any part of riskd stops trading. Every call is done when it returns: the page says so,
    and a killed process doesn't lose it. A journal that has failed doesn't stop any of them."""

    def trigger(self, *, by: By, cause: Cause, source: str, reason: str) -> bool:
        """Everything. False: it was so already."""

    def halt(self, halt: Halt, *, by: By) -> int | None:
        """One scope, in one way; the halt's id. None: it was so already, or everything is now."""

    def trip(self, halt: Halt, breaker: Breaker, *, by: By) -> int | None:
        """The same for as long as the breaker says; what `halt.until` says doesn't count."""

    def clear(self, condition: str) -> None:
        """What waited for this condition may end. It ends when the disk has that, and never if
        something is tightened meanwhile: whoever watches a condition says so again and again."""


@attrs.frozen
class Text:
    """What a file said, and when it was changed by its disk's clock."""

    said: str
    changed_at: datetime


class Looks(Protocol):
    """Where triggers look outside riskd. Each look takes its own time, which may be for ever; a
    caller that is cancelled leaves at once. Raises OSError for what could not be seen."""

    async def is_there(self, path: str) -> bool:
        """False only where its folder is there and the file is not."""

    async def read(self, path: str) -> Text:
        """The first 4,096 bytes of a regular file, and an ellipsis where there are more."""

    async def run(self, argv: Sequence[str], timeout_s: float) -> Ran:
        """Run a command to its end. One that takes longer, or that nobody waits for any more, is
        killed with all that it started."""


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


class Held(Exception):
    """A lock is somebody else's. `holder` is what that one wrote into it, as far as it is text."""

    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(f"{path} is held by {holder or 'another process'}")
        self.path = path
        self.holder = holder


class File(Protocol):
    """An open file. Each call does the whole of what it says, or raises OSError."""

    @property
    def path(self) -> Path:
        """The name it was opened under, or was given since."""

    def read(self, offset: int, length: int) -> bytes:
        """What lies there; shorter only where the file ends."""

    def write(self, offset: int, data: bytes) -> None:
        """WHEN IT RETURNS the kernel has it: a killed process doesn't lose it, a power cut may."""

    def sync(self) -> None:
        """WHEN IT RETURNS what was written before is on the disk. After a failure it may be gone
        for good, and another sync that succeeds says nothing of it."""

    def size(self) -> int: ...

    def resize(self, size: int) -> None:
        """Cut it, or extend it by zeros that have their place on the disk."""

    def is_named(self) -> bool:
        """Would the file be found again under its path? Not when it was deleted or replaced."""

    def close(self) -> None: ...


class Lock(Protocol):
    """A held lock. The kernel lets go of it however its holder ends."""

    def release(self) -> None: ...


class Disk(Protocol):
    """Where files are. Every call raises OSError with its errno, and blocks as long as it takes."""

    def create(self, path: Path, size: int) -> File:
        """A new file of `size` zeros that have their place on the disk. It must not exist yet."""

    def open(self, path: Path, *, writable: bool = False) -> File: ...

    def names(self, directory: Path) -> list[str]:
        """What is in a directory, sorted."""

    def make_directory(self, path: Path) -> None:
        """With its parents, for this user alone. It may exist. WHEN IT RETURNS what was made is on
        the disk: whoever puts files into it need not know which parents are new."""

    def rename(self, old: Path, new: Path) -> None:
        """In one step, replacing what is there. On the disk after `sync_directory`."""

    def remove(self, path: Path) -> None: ...

    def sync_directory(self, path: Path) -> None:
        """WHEN IT RETURNS the names in it are on the disk as they are now."""

    def free_bytes(self, path: Path) -> int:
        """What this user may still write on the disk that holds `path`."""

    def lock(self, path: Path, holder: str) -> Lock:
        """Take the lock and write who holds it. Raises Held at once when somebody else has it."""

    def lock_directory(self, path: Path) -> Lock:
        """The same for a directory itself, by whatever name it is reached. It takes no words."""


class Offload(Protocol):
    """Where calls that may block are made, so that the loop goes on. One after another."""

    async def run(self, act: Callable[[], T]) -> T:
        """The result of `act()`, or what it raised. A caller that is cancelled leaves at once, and
        its act goes on; the next one waits for it. So what an act uses stays open until then."""


class FeedLost(Exception):
    """Facts that were to come next can't be read. The text says which, and what to do."""


class Follower(Protocol):
    """One reader's place in history. Slow readers keep nobody up: it reads when it is asked."""

    async def next(self, *, bytes_max: int) -> Sequence[tuple[int, bytes]]:
        """The facts that follow, each with its LSN and as it is stored: in order, without a gap.

        Waits until there is one. More of them come together while they have `bytes_max` in all;
        the first one comes however long it is. Cancelled, it has passed over nothing. Raises
        FeedLost, and is of no more use then.
        """

    async def aclose(self) -> None:
        """Let go of what it holds. Called in a cancelled scope, it does that all the same."""


class Feed(Protocol):
    """History as those read it who follow it."""

    @property
    def lsn(self) -> int:
        """The newest fact's, 0 before the first. Whoever follows can read up to there NOW."""

    async def oldest_lsn(self) -> int:
        """The oldest that is kept; 1 before the first. Raises FeedLost when that can't be read."""

    def follow(self, after_lsn: int) -> Follower:
        """A reader that begins behind this fact."""
