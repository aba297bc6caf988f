"""What a decision rests on, gathered from what the facts add up to: at the gate, and wherever one
is made again. NOTHING ELSE MAY COME IN, or a decision could not be recomputed from the journal.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from ..books import Books
from ..halts import Halts, strictest
from ..overrides import Overrides
from ..signal.signals import Raised
from .answers import Answers
from .decision import Knowledge, OnExcess
from .ruleset import Ruleset


class Limits(Protocol):
    """What orders are held to."""

    @property
    def rules(self) -> Ruleset | None:
        """None: nobody has said yet. Another object whenever anything of it has changed."""

    @property
    def memories(self) -> Mapping[str, Any]: ...
    @property
    def on_excess(self) -> OnExcess: ...
    @property
    def on_excess_of(self) -> Mapping[str, OnExcess]: ...


def gather(
    books: Books,
    halts: Halts,
    limits: Limits,
    answers: Answers,
    overrides: Overrides,
    raised: Mapping[str, Raised],
) -> Knowledge | None:
    """None while nobody has said what the limits are. It is made anew when the halts or the rules
    are others; all else in it is looked at when it is needed."""
    ruleset = limits.rules
    if ruleset is None:
        return None
    now = halts.now
    return Knowledge(
        books=books,
        rules=ruleset,
        memories=limits.memories,
        is_active=now.state == "ACTIVE",
        modes=strictest(now),
        on_excess=limits.on_excess,
        on_excess_of=limits.on_excess_of,
        answers=answers,
        overrides=overrides,
        raised=raised,
    )
