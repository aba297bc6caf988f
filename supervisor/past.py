"""What the facts say about the tree that starts next: a projection of the supervision's facts.

Killing riskd must not refill a budget, nor lift a hold. Stopping it in order is a person's act, and
gives full budgets again; holds outlast that too.
"""

from datetime import datetime

import msgspec

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
        self._state = Remembered()

    def load(self, state: bytes | None) -> None:
        """Go back to a dump, or to before the first fact."""
        self._state = Remembered() if state is None else _decode(state)

    def dump(self) -> bytes:
        return msgspec.json.encode(self._state)

    def apply(self, recorded: Recorded) -> None:
        state = self._state
        match recorded.fact:
            case ChildFailed() as fact:
                state.failures.append(
                    Failure(
                        fact.supervisor,
                        fact.child,
                        recorded.at,
                        state.boot,
                        recorded.monotonic_s,
                    )
                )
                del state.failures[:-FAILURES_MAX]
            case ChildRestarted(supervisor=supervisor, child=child):
                # A supervisor that its parent starts again has a full budget, as it had then.
                path = f"{supervisor}/{child}"
                if any(_within(failure.supervisor, path) for failure in state.failures):
                    kept = [f for f in state.failures if not _within(f.supervisor, path)]
                    state.failures = kept
            case ChildHeld(supervisor=supervisor, child=child):
                if (supervisor, child) not in state.held:
                    state.held.append((supervisor, child))
            case ChildReleased(supervisor=supervisor, child=child):
                if (supervisor, child) in state.held:
                    state.held.remove((supervisor, child))
            case DaemonStarted(boot=boot):
                state.boot = boot
            case DaemonStopped():
                state.failures.clear()

    def past(self, *, boot: str, monotonic_s: float, now: datetime) -> Past:
        """As a tree that starts now needs it: the failures with their ages."""
        failures = tuple(
            (failure.supervisor, failure.child, _age_s(failure, boot, monotonic_s, now))
            for failure in self._state.failures
        )
        return Past(held=frozenset(self._state.held), failures=failures)


_decode = msgspec.json.Decoder(Remembered).decode


def _within(supervisor: str, path: str) -> bool:
    return supervisor == path or supervisor.startswith(path + "/")


def _age_s(failure: Failure, boot: str, monotonic_s: float, now: datetime) -> float:
    """How long ago. Across a reboot the wall clock tells, but never less than the time since boot.

    A wall clock that was set back would otherwise make the failure seem to lie in the future.
    """
    if failure.boot == boot:
        return max(0.0, monotonic_s - failure.monotonic_s)
    return max(monotonic_s, (now - failure.at).total_seconds())
