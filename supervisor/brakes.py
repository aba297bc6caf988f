"""What stops trading, put together: the kill switch, its actors, its commands, the lease.

The kill switch itself, the page and the tenure of the lease outlive the actors, whose restarts cost
no halt and open nothing.
"""

from collections.abc import Mapping
from pathlib import Path

import attrs
import trio

from ..actors import kill_switch, lease, recovery
from ..actors.actor import as_child
from ..actors.control import Handler
from ..actors.core.access import Caller
from ..actors.core.halts import Halts, halts_shown, shown
from ..actors.core.kill_switch import Rules, after_crash
from ..actors.core.tenure import Tenure
from ..actors.kill_switch import KillSwitch
from ..actors.mailbox import Registry
from ..actors.messages import By, Command, HaltPlaced
from ..actors.ports import Clock, LeasePage
from ..actors.switchboard import Switchboard
from . import keeper
from .chronicle import Chronicle
from .configuration import Configuration
from .loop_watch import LoopWatch
from .tree import ChildSpec, Context

CRITICAL = (keeper.NAME, kill_switch.NAME)
"""Actors without whose answers nobody may trade."""
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
    people: Mapping[str, int]
    """Those who may act, by every name they can be called."""
    switch: KillSwitch = attrs.field(init=False)
    _switchboard: Switchboard = attrs.field(init=False)
    _tenure: Tenure = attrs.field(factory=Tenure, init=False)

    def __attrs_post_init__(self) -> None:
        mailbox = self.registry.add(recovery.NAME, capacity=64)
        self.switch = KillSwitch(
            halts=self.halts,
            record=self.chronicle.record,
            page=self.page,
            clock=self.clock,
            doubt=self.chronicle.doubt,
            recovery=mailbox,
        )
        # Of several names the best comes first, and is the one that is kept.
        names = {number: name for name, number in reversed(list(self.people.items()))}
        self._switchboard = Switchboard(
            switch=self.switch,
            recovery=mailbox,
            session=lambda: self.configuration.current.session,
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
        return [
            ChildSpec("loop", self._beat, shutdown=1.0),
            ChildSpec(lease.NAME, as_child(mailbox, self._lease), shutdown=1.0),
        ]

    async def _beat(self, _ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
        await self.watch.beat(self.switch, task_status=task_status)

    def _recovery(self) -> recovery.Recovery:
        return recovery.Recovery(
            switch=self.switch,
            rules=self._rules,
            unreconciled=tuple,
            loosen=self.chronicle.loosen,
            settle=self.chronicle.settle,
            shown=self.shown,
        )

    def _rules(self) -> Rules:
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
            doubts=lambda: self.chronicle.doubt() or self.watch.seized,
            settings=lambda: self.configuration.current.lease,
            page=self.page,
            clock=self.clock,
            record=self.chronicle.record,
            tenure=self._tenure,
        )

    # --- what the socket answers

    def handlers(self) -> dict[type[Command], Handler]:
        return self._switchboard.handlers()

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
