"""What stops trading, put together: the kill switch, its actors, its commands, the lease.

The kill switch itself, the page and the tenure of the lease outlive the actors, whose restarts cost
no halt and open nothing.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, time
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import attrs
import trio

from ..actors import gate, kill_switch, lease, machine, position_keeper, recovery, triggers
from ..actors.actor import as_child
from ..actors.control import Handler, unanswered
from ..actors.core.access import Caller
from ..actors.core.halts import Halts, halts_shown, shown
from ..actors.core.kill_switch import Rules, after_crash
from ..actors.core.machine import Clocks
from ..actors.core.sessions import next_reset
from ..actors.core.tenure import Tenure
from ..actors.core.triggers import Board
from ..actors.kill_switch import KillSwitch
from ..actors.mailbox import ActorDied, AskTimeout, MailboxFull, Registry
from ..actors.messages import By, Command, Freeze, HaltPlaced, Metric, Reply, Trigger
from ..actors.ports import Clock, LeasePage
from ..actors.switchboard import Switchboard
from . import keeper
from .chronicle import Chronicle
from .configuration import Configuration
from .looks import Outside
from .loop_watch import LoopWatch
from .tree import ChildSpec, Context

URGENT = (Trigger, Freeze)
"""Commands that wait for nobody else's."""
CRITICAL = (keeper.NAME, kill_switch.NAME, position_keeper.NAME, gate.NAME)
"""Actors without whose answers nobody may trade."""
METRIC_TIMEOUT_S = 5.0
RISKD = By(via="riskd")

Document = dict[str, object]


@attrs.define(eq=False, kw_only=True)
class Brakes:
    """Built and not yet running."""

    chronicle: Chronicle
    halts: Halts
    page: LeasePage
    page_path: Path
    """Where readers find it."""
    clock: Clock
    configuration: Configuration
    registry: Registry
    watch: LoopWatch
    outside: Outside
    people: Mapping[str, int]
    """Those who may act, by every name they can be called."""
    switch: KillSwitch = attrs.field(init=False)
    _switchboard: Switchboard = attrs.field(init=False)
    _tenure: Tenure = attrs.field(factory=Tenure, init=False)
    _board: Board = attrs.field(factory=Board, init=False)
    _clocks: Clocks = attrs.field(factory=Clocks, init=False)

    def __attrs_post_init__(self) -> None:
        mailbox = self.registry.add(recovery.NAME, capacity=64)
        self.switch = KillSwitch(
            halts=self.halts,
            record=self.chronicle.record,
            page=self.page,
            clock=self.clock,
            doubt=self.chronicle.doubt,
            recovery=mailbox,
            lsn=lambda: self.chronicle.ledger.lsn,
        )
        # Of several names the best comes first, and is the one that is kept.
        names = {number: name for name, number in reversed(list(self.people.items()))}
        self._switchboard = Switchboard(
            switch=self.switch,
            recovery=mailbox,
            session_end=self.session_end,
            people=names,
            shown=self.shown,
        )

    def crash(self) -> HaltPlaced | None:
        """The halt that this start begins with, because the last run did not end in order."""
        policy = self.configuration.current.kill_switch.after_crash
        return after_crash(self.halts.now, by=RISKD, policy=policy)

    # --- the actors

    def first(self) -> list[ChildSpec]:
        """Those on which all others stand."""
        return [
            ChildSpec(
                kill_switch.NAME,
                as_child(
                    self.registry.add(kill_switch.NAME, capacity=64),
                    lambda: kill_switch.Watch(self.switch),
                ),
            ),
            ChildSpec(recovery.NAME, as_child(self.registry[recovery.NAME], self._recovery)),
        ]

    def watchdogs(self) -> list[ChildSpec]:
        """Those that watch."""
        mailbox = self.registry.add(lease.NAME, capacity=8)
        self.registry.add(machine.NAME, capacity=8)
        # A metric that finds no room is refused, and its grace goes on.
        self.registry.add(triggers.NAME, capacity=1_024)
        return [
            ChildSpec("loop", self._beat, shutdown=1.0),
            ChildSpec(machine.NAME, self._watch_machine, shutdown=1.0),
            ChildSpec(triggers.NAME, self._watch_triggers, shutdown=2.0),
            # Last: it waits for the first looks, and goes before those who look.
            ChildSpec(lease.NAME, as_child(mailbox, self._lease), shutdown=1.0),
        ]

    async def _watch_machine(self, _ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
        ledger = self.chronicle.ledger
        free = partial(ledger.journal.disk.free_bytes, ledger.journal.directory)
        one = machine.Machine(
            halting=self.switch,
            clock=self.clock,
            metrics=self._board.metrics,
            clocks=self._clocks,
            limits=lambda: self.configuration.current.kill_switch,
            sync_age_s=ledger.sync_age_s,
            free_bytes=lambda: self.outside.apart(free),
        )
        await one.serve(self.registry[machine.NAME], task_status=task_status)

    async def _watch_triggers(self, _ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
        one = triggers.Triggers(
            halting=self.switch,
            clock=self.clock,
            looks=self.outside,
            board=self._board,
            rules=lambda: self.configuration.current.triggers,
            session_end=self.session_end,
        )
        await one.serve(self.registry[triggers.NAME], task_status=task_status)

    def session_end(self) -> datetime:
        session = self.configuration.current.session
        zone = UTC if session.zone == "UTC" else ZoneInfo(session.zone)
        return next_reset(self.clock.now(), zone, time.fromisoformat(session.reset))

    async def _beat(self, _ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
        await self.watch.beat(self.switch, task_status=task_status)

    def _recovery(self) -> recovery.Recovery:
        return recovery.Recovery(
            switch=self.switch,
            rules=self.rules,
            unreconciled=tuple,
            uneasy=self._board.uneasy,
            loosen=self.chronicle.loosen,
            settle=self.chronicle.settle,
            shown=self.shown,
        )

    def rules(self) -> Rules:
        """Who may let trading go on, and when."""
        current = self.configuration.current
        return Rules(
            cooldown_s=current.kill_switch.cooldown_s,
            two_person=current.security.two_person,
            people=self.people,
        )

    def _lease(self) -> lease.Lease:
        return lease.Lease(
            registry=self.registry,
            critical=CRITICAL,
            doubts=self._doubts,
            settings=lambda: self.configuration.current.lease,
            page=self.page,
            clock=self.clock,
            record=self.chronicle.record,
            tenure=self._tenure,
        )

    def _doubts(self) -> str | None:
        """Why nobody should trade now, though all actors answer."""
        return (
            self.chronicle.doubt()
            or self.watch.seized
            or self._board.unlooked()
            or self._silent_disk()
        )

    def _silent_disk(self) -> str | None:
        """The journal has to answer like an actor."""
        length_s = self.configuration.current.lease.length_s
        age_s = self.chronicle.ledger.sync_age_s()
        if age_s <= length_s:
            return None
        return f"the journal's disk has not finished a sync within {length_s:g} s"

    # --- what the socket answers

    def handlers(self) -> dict[type[Command], Handler]:
        return {**self._switchboard.handlers(), Metric: self._answer_metric}

    async def _answer_metric(self, _caller: Caller, command: Metric) -> Reply:
        try:
            answer = await self.registry.ask(triggers.NAME, command, timeout_s=METRIC_TIMEOUT_S)
        except (ActorDied, AskTimeout, MailboxFull) as error:
            raise unanswered(triggers.NAME, error) from error
        assert isinstance(answer, Reply), "the triggers actor answers with replies"
        return answer

    def by(self, caller: Caller) -> By:
        """Who asks, by the kernel's word."""
        return self._switchboard.by(caller)

    # --- what can be seen

    def shown(self) -> Document:
        """The kill switch."""
        current = self.configuration.current
        cooldown_s = current.kill_switch.cooldown_s
        return {
            **shown(self.halts.now, self.switch.now(), cooldown_s),
            "cooldown_s": cooldown_s,
            "after_crash": current.kill_switch.after_crash,
            "two_person": current.security.two_person,
            "doubt": self.chronicle.doubt(),
        }

    def halts_shown(self) -> list[Document]:
        return halts_shown(self.halts.now, self.switch.now())

    def lease_shown(self) -> Document:
        return self._tenure.shown(
            self.clock.monotonic_s(),
            length_s=self.configuration.current.lease.length_s,
            path=str(self.page_path),
        )
