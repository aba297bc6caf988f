"""The risk signal, put together: what is told of it, and what can be seen."""

from collections.abc import Collection, Iterator
from itertools import islice

import attrs

from ..actors.control import CommandRefused, CommandUnavailable, Handler
from ..actors.core.access import Caller
from ..actors.core.signal.assessment import Waits
from ..actors.core.signal.shown import raised_shown, scopes_shown, sources_shown
from ..actors.core.signal.watch import turns
from ..actors.messages import Command, Reply, RiskIs, RiskSignalChanged, ShowRisk
from .chronicle import Chronicle
from .configuration import Configuration
from .known import Known

ROWS_MAX = 100
"""Of scopes in `status`: those that are not calm."""

Document = dict[str, object]


@attrs.define(eq=False, kw_only=True)
class Signalling:
    """Built and not yet running."""

    known: Known
    chronicle: Chronicle
    configuration: Configuration
    _waits: Waits = attrs.field(factory=Waits, init=False)
    """It outlives whoever looks: a crash makes nothing known."""

    def turns(
        self, touched: Collection[str] | None, monotonic_s: float
    ) -> Iterator[RiskSignalChanged]:
        """What is to be told now of the signals of these accounts, or of all."""
        known, limits = self.known, self.configuration.current.risk_signal
        return turns(known.books, known.signals, limits, touched, monotonic_s, self._waits)

    # --- what the socket answers

    def handlers(self) -> dict[type[Command], Handler]:
        return {ShowRisk: self._show}

    async def _show(self, _caller: Caller, command: ShowRisk) -> Reply:
        doubt = self.chronicle.doubt()
        if doubt is not None:
            raise CommandUnavailable(f"what riskd knows is in doubt; ask again: {doubt}")
        books, signals = self.known.books, self.known.signals
        if command.account is not None and command.account not in books.accounts:
            said = f"no account is called {command.account!r}"
            raise CommandRefused("unknown_account", said)
        return RiskIs(
            lsn=self.chronicle.ledger.lsn,
            level=signals.level,
            scopes=list(scopes_shown(books, signals, command.account)),
            sources=self._sources(),
        )

    # --- what can be seen

    def shown(self) -> Document | None:
        """None while what is known is in doubt."""
        if self.chronicle.doubt() is not None:
            return None
        signals = self.known.signals
        return {
            "level": signals.level,
            "scopes": list(islice(raised_shown(signals), ROWS_MAX)),
            "sources": self._sources(),
        }

    def _sources(self) -> list[Document]:
        return list(sources_shown(self.known.signals))
