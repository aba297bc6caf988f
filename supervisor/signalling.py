"""The risk signal, put together: what is told of it, who asks others, and what can be seen."""

import sys
from collections.abc import Callable, Collection
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

import attrs
import msgspec
import trio

from .. import adapters
from ..actors import outside_signal
from ..actors.control import CommandRefused, CommandUnavailable, Handler, unanswered
from ..actors.core.access import Caller
from ..actors.core.signal.assessment import Waits
from ..actors.core.signal.shown import raised_shown, scopes_shown, sources_shown
from ..actors.core.signal.signals import OUTSIDE
from ..actors.core.signal.sources import Outlook
from ..actors.core.signal.watch import due, turn
from ..actors.core.triggers import Ran
from ..actors.mailbox import ActorDied, AskTimeout, MailboxFull, Registry
from ..actors.messages import By, Command, Reply, RiskIs, RiskSignalChanged, ShowRisk, Signal
from ..actors.outside_signal import OutsideSignals, Told
from ..actors.ports import Clock
from ..config.schema import OutsideSignal
from .chronicle import Chronicle
from .configuration import Configuration
from .known import Known
from .looks import Outside
from .tree import ChildSpec, Context

ROWS_MAX = 100
"""Of scopes in `status`: those that are not calm."""

SIGNAL_TIMEOUT_S = 5.0
FETCH = (sys.executable, "-I", "-S", str(Path(adapters.__file__).with_name("fetch.py")))
"""By itself: it sees nothing of riskd, nor of what else is installed."""

Document = dict[str, object]


@attrs.define(eq=False, kw_only=True)
class Signalling:
    """Built and not yet running."""

    known: Known
    chronicle: Chronicle
    configuration: Configuration
    clock: Clock
    registry: Registry
    outside: Outside
    publish: Callable[[], None]
    """Tell those who hold a permission that it has grown old."""
    by: Callable[[Caller], By]
    _outlook: Outlook = attrs.field(factory=Outlook, init=False)
    _waits: Waits = attrs.field(factory=Waits, init=False)
    """It outlives whoever looks: a crash makes nothing known."""

    def __attrs_post_init__(self) -> None:
        self.registry.add(outside_signal.NAME, capacity=64)

    @property
    def _config(self) -> OutsideSignal:
        return self.configuration.current.risk_signal.outside

    def child(self) -> ChildSpec:
        return ChildSpec(outside_signal.NAME, self._listen, shutdown=1.0)

    async def _listen(self, _ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
        one = OutsideSignals(
            signals=lambda: self.known.signals,
            outlook=self._outlook,
            record=self.chronicle.record,
            loosen=self.chronicle.loosen,
            publish=self.publish,
            doubt=self.chronicle.doubt,
            fetch=self._fetch,
            clock=self.clock,
            config=lambda: self._config,
        )
        await one.serve(self.registry[outside_signal.NAME], task_status=task_status)

    async def _fetch(self, config: OutsideSignal) -> Ran:
        """In a process: what is said elsewhere is not read here before it is all there."""
        asked = {
            "url": config.url,
            "timeout_s": config.timeout_s,
            "token": None if config.token is None else config.token.reveal(),
            "ca_file": config.ca_file,
        }
        question = msgspec.json.encode(asked)
        return await self.outside.ask(FETCH, question, config.timeout_s, is_quick=True)

    def due(self, touched: Collection[str] | None) -> list[str]:
        """The scopes to be looked at now, for news of these accounts, or all."""
        return due(self.known.books, self.known.signals, touched)

    def turn(self, scope: str, monotonic_s: float) -> RiskSignalChanged | None:
        """What is to be told now of the signal of one."""
        known, limits = self.known, self.configuration.current.risk_signal
        return turn(scope, known.books, known.signals, limits, self._waits, monotonic_s)

    # --- what the socket answers

    def handlers(self) -> dict[type[Command], Handler]:
        return {ShowRisk: self._show, Signal: self._hear}

    async def _hear(self, caller: Caller, command: Signal) -> Reply:
        told = Told(command, self.by(caller), caller.worker)
        try:
            answer = await self.registry.ask(outside_signal.NAME, told, timeout_s=SIGNAL_TIMEOUT_S)
        except (ActorDied, AskTimeout, MailboxFull) as error:
            raise unanswered(outside_signal.NAME, error) from error
        assert isinstance(answer, Reply), "the actor answers with replies"
        return answer

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
        """With what is known of the expected one now, beside what was told of it."""
        rows = list(sources_shown(self.known.signals))
        config, outlook = self._config, self._outlook
        for row in rows:
            if row["source"] == OUTSIDE and config.is_expected:
                age_s = outlook.age_s(self.clock.now(), self.clock.monotonic_s())
                row["reason"] = row["reason"] if outlook.trouble is None else outlook.trouble[1]
                row["host"] = None if config.url is None else urlsplit(config.url).hostname
                row["policy"], row["max_age_s"] = config.policy, config.max_age_s
                row["age_s"] = None if age_s is None else round(age_s, 3)
        return rows
