"""Every projection of the ledger, in one place: what riskd knows is what a repair has to keep."""

from zoneinfo import ZoneInfo

import attrs

from ..actors.core.books import Books
from ..actors.core.gate.answers import Answers
from ..actors.core.halts import Halts
from ..actors.core.limits import LimitsInForce
from ..actors.core.overrides import Overrides
from .ledger import Projection
from .past import SupervisionHistory


@attrs.frozen
class Known:
    """What the facts add up to, by subject. Before the first fact until a ledger is opened."""

    supervision: SupervisionHistory = attrs.field(factory=SupervisionHistory)
    halts: Halts = attrs.field(factory=Halts)
    books: Books = attrs.field(factory=lambda: Books(ZoneInfo))
    limits: LimitsInForce = attrs.field(
        default=attrs.Factory(lambda self: LimitsInForce(self.books), takes_self=True)
    )
    answers: Answers = attrs.field(factory=Answers)
    overrides: Overrides = attrs.field(factory=Overrides)

    def projections(self) -> tuple[Projection, ...]:
        """All of them, in the order in which each fact is applied."""
        return (
            self.supervision,
            self.halts,
            self.books,
            self.limits,
            self.answers,
            self.overrides,
        )
