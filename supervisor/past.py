"""What the facts of earlier runs mean for the tree that starts now.

Pure. Killing riskd must not refill a budget, nor lift a hold. Stopping it in order is a person's
act, and gives full budgets again; holds outlast that too.
"""

from collections.abc import Iterable
from datetime import datetime

from ..actors.messages import (
    ChildFailed,
    ChildHeld,
    ChildReleased,
    ChildRestarted,
    DaemonStopped,
    Recorded,
)
from .tree import Past


def fold(facts: Iterable[Recorded], *, boot: str, monotonic_s: float, now: datetime) -> Past:
    """The holds, and the failures with their ages as of now."""
    held: dict[tuple[str, str], None] = {}
    failed: list[tuple[Recorded, ChildFailed]] = []
    for recorded in facts:
        match recorded.fact:
            case ChildHeld(supervisor=supervisor, child=child):
                held[supervisor, child] = None
            case ChildReleased(supervisor=supervisor, child=child):
                held.pop((supervisor, child), None)
            case ChildFailed() as fact:
                failed.append((recorded, fact))
            case ChildRestarted(supervisor=supervisor, child=child):
                # A supervisor that its parent starts again has a full budget, as it had then.
                path = f"{supervisor}/{child}"
                failed = [pair for pair in failed if not _within(pair[1].supervisor, path)]
            case DaemonStopped():
                failed.clear()
    failures = tuple(
        (fact.supervisor, fact.child, _age_s(recorded, boot, monotonic_s, now))
        for recorded, fact in failed
    )
    return Past(held=frozenset(held), failures=failures)


def _within(supervisor: str, path: str) -> bool:
    return supervisor == path or supervisor.startswith(path + "/")


def _age_s(recorded: Recorded, boot: str, monotonic_s: float, now: datetime) -> float:
    """How long ago. Across a reboot the wall clock tells, but never less than the time since boot.

    A wall clock that was set back would otherwise make the failure seem to lie in the future.
    """
    if recorded.boot == boot:
        return max(0.0, monotonic_s - recorded.monotonic_s)
    return max(monotonic_s, (now - datetime.fromisoformat(recorded.at)).total_seconds())
