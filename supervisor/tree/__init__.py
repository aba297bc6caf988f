"""The supervision tree: children that are restarted by rule, and stopped in order.

It knows nothing of trading, sockets or disks, and serves every process of riskd. Begin with
`spec.py` (what a child is), then `core.py` (what is decided), `shell.py` (how it is done) and
`supervisor.py` (what a program calls).
"""

from .ports import Past, Ports, Reply
from .shell import Context
from .spec import (
    Backoff,
    Budget,
    ChildSpec,
    Escalated,
    FailedToStart,
    Killed,
    NeverStarted,
    NotRunning,
    StartTimeout,
    describe,
)
from .state import Answer
from .supervisor import ChildInfo, Counts, Supervisor

__all__ = [
    "Answer",
    "Backoff",
    "Budget",
    "ChildInfo",
    "ChildSpec",
    "Context",
    "Counts",
    "Escalated",
    "FailedToStart",
    "Killed",
    "NeverStarted",
    "NotRunning",
    "Past",
    "Ports",
    "Reply",
    "StartTimeout",
    "Supervisor",
    "describe",
]
