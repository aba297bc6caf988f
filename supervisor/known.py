"""Every projection of the ledger, in one place: what riskd knows is what a repair has to keep."""

from zoneinfo import ZoneInfo

import attrs

from ..actors.core.books import Books
from ..actors.core.gate.answers import Answers
from ..actors.core.gate.decision import Knowledge
from ..actors.core.gate.gathered import gather
from ..actors.core.halts import Halts
from ..actors.core.limits import LimitsInForce
from ..actors.core.overrides import Overrides
from ..actors.core.signal.signals import Signals
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
    signals: Signals = attrs.field(factory=Signals)

    def knowledge(self) -> Knowledge:
        """What a decision rests on, where no gate is: of a copy nobody has to say that its limits
        are known."""
        found = gather(
            self.books, self.halts, self.limits, self.answers, self.overrides, self.signals.raised
        )
        assert found is not None, "a projection of limits always has rules"
        return found

    def projections(self) -> tuple[Projection, ...]:
        """All of them, in the order in which each fact is applied."""
        return (
            self.supervision,
            self.halts,
            self.books,
            self.limits,
            self.answers,
            self.overrides,
            self.signals,
        )
