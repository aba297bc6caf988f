"""What holds riskd together: the tree, the ledger, the socket's place, and the composition root.

Only `compose.py`, `daemon.py` and `cli.py` may import everything; the other modules here don't know
the actors. Read `tree/__init__.py` for supervision and `compose.py` for how a riskd is built.

The names of the tree are to be had from here as well, and are loaded when they are asked for: a
command that only prints its help must not load Trio.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .tree import Answer, Backoff, Budget, ChildSpec, Escalated, FailedToStart, Supervisor

__all__ = ["Answer", "Backoff", "Budget", "ChildSpec", "Escalated", "FailedToStart", "Supervisor"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import tree  # noqa: PLC0415 - see above

    return getattr(tree, name)
