"""When is an actor silent? A count of heartbeats missed in a row, and what follows from it.

One late answer is a busy moment, several in a row are an actor that hangs. Silence is told once:
the actor is crashed on purpose, and a new incarnation begins with a clean slate. An actor that is
not there (its supervisor is restarting it, or an operator holds it) is neither beating nor silent:
its absence is known already, and is not this trigger's to act upon.
"""

import enum
from collections.abc import Mapping

import attrs

from ..messages import Pulse


class Answered(enum.Enum):
    """What came of one heartbeat."""

    IN_TIME = "in_time"
    MISSED = "missed"
    ABSENT = "absent"


@attrs.frozen
class Heartbeats:
    """How many each actor has missed in a row; those that have missed none are left out."""

    missed: Mapping[str, int] = attrs.field(factory=dict)


def decide(
    state: Heartbeats, answers: Mapping[str, Answered], misses_max: int
) -> tuple[Heartbeats, Pulse]:
    """One round. The pulse names as silent those who have just reached `misses_max`."""
    missed: dict[str, int] = {}
    for actor, answered in answers.items():
        if answered is Answered.MISSED:
            missed[actor] = state.missed.get(actor, 0) + 1
    silent = tuple(actor for actor, count in missed.items() if count >= misses_max)
    beating = tuple(actor for actor, answered in answers.items() if answered is Answered.IN_TIME)
    rest = {actor: count for actor, count in missed.items() if count < misses_max}
    return Heartbeats(rest), Pulse(beating=beating, silent=silent)
