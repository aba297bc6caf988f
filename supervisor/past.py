"""What the facts say about the tree that starts next: a projection of the supervision's facts.

Killing riskd must not refill a budget, nor lift a hold. Stopping it in order is a person's act, and
gives full budgets again; holds outlast that too.
"""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec

from ..actors.core.dumps import array
from ..actors.messages import (
    ChildFailed,
    ChildHeld,
    ChildReleased,
    ChildRestarted,
    DaemonStarted,
    DaemonStopped,
    Recorded,
)
from .tree import Past

FAILURES_MAX = 10_000
"""More than the budgets of a tree can count. Of more than these the newest are kept."""


OURS = frozenset(
    {ChildFailed, ChildRestarted, ChildHeld, ChildReleased, DaemonStarted, DaemonStopped}
)
"""A few among millions of other facts."""


class Failure(msgspec.Struct, frozen=True, array_like=True):
    """One failure that cost a tick, and when."""

    supervisor: str
    child: str
    at: datetime
    boot: str
    monotonic_s: float


class Remembered(msgspec.Struct, array_like=True):
    """All of the projection's state, as a snapshot holds it."""

    boot: str = ""
    held: list[tuple[str, str]] = []
    failures: list[Failure] = []


class SupervisionHistory:
    """The holds, and the failures that may still count."""

    name = "supervision"
    version = 1

    def __init__(self) -> None:
        self.load(None)

    def load(self, state: bytes | None) -> None:
        """Go back to a dump, or to before the first fact."""
        loaded = Remembered() if state is None else _decode(state)
        self._boot, self._held = loaded.boot, loaded.held
        self._keep(loaded.failures)

    def dump(self) -> Iterator[bytes]:
        return _pieces(self._boot, tuple(self._held), tuple(self._failures))

    def apply(self, recorded: Recorded) -> None:
        if type(recorded.fact) not in OURS:
            return
        match recorded.fact:
            case ChildFailed(supervisor=supervisor, child=child):
                self._add(Failure(supervisor, child, recorded.at, self._boot, recorded.monotonic_s))
            case ChildRestarted(supervisor=supervisor, child=child):
                # A supervisor that its parent starts again has a full budget, as it had then.
                path = f"{supervisor}/{child}"
                for failed in self._counts:
                    if _within(failed, path):
                        self._keep([f for f in self._failures if not _within(f.supervisor, path)])
                        break
            case ChildHeld(supervisor=supervisor, child=child):
                if (supervisor, child) not in self._held:
                    self._held.append((supervisor, child))
            case ChildReleased(supervisor=supervisor, child=child):
                if (supervisor, child) in self._held:
                    self._held.remove((supervisor, child))
            case DaemonStarted(boot=boot):
                self._boot = boot
            case DaemonStopped():
                self._keep([])

    def _add(self, failure: Failure) -> None:
        self._counts[failure.supervisor] += 1
        self._failures.append(failure)
        if len(self._failures) > FAILURES_MAX:
            oldest = self._failures.popleft().supervisor
            self._counts[oldest] -= 1
            if not self._counts[oldest]:
                del self._counts[oldest]

    def _keep(self, failures: list[Failure]) -> None:
        """These and no others. The counts by supervisor say, at each restart of a child, that there
        is nothing to forget, without a look at every failure."""
        self._failures = deque(failures)
        self._counts = Counter(failure.supervisor for failure in failures)

    def past(self, *, boot: str, monotonic_s: float, now: datetime) -> Past:
        """As a tree that starts now needs it: the failures with their ages."""
        failures = tuple(
            (failure.supervisor, failure.child, _age_s(failure, boot, monotonic_s, now))
            for failure in self._failures
        )
        return Past(held=frozenset(self._held), failures=failures)


_decode = msgspec.json.Decoder(Remembered).decode


def _pieces(
    boot: str, held: Sequence[tuple[str, str]], failures: Sequence[Failure]
) -> Iterator[bytes]:
    """A `Remembered`, from copies."""
    yield b"[" + msgspec.json.encode(boot) + b"," + msgspec.json.encode(held) + b","
    yield from array(failures)
    yield b"]"


def _within(supervisor: str, path: str) -> bool:
    return supervisor == path or supervisor.startswith(path + "/")


def _age_s(failure: Failure, boot: str, monotonic_s: float, now: datetime) -> float:
    """How long ago. Across a reboot the wall clock tells, but never less than the time since boot.

    A wall clock that was set back would otherwise make the failure seem to lie in the future.
    """
    if failure.boot == boot:
        return max(0.0, monotonic_s - failure.monotonic_s)
    return max(monotonic_s, (now - failure.at).total_seconds())
