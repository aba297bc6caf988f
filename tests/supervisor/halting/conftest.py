"""What stops trading, as riskd builds it, on a machine that may lose its process or its power in
the middle of anything; and an auditor, who reads the facts with rules of his own."""

import contextlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import msgspec
import pytest
import structlog
import trio
from riskd.actors import recovery
from riskd.actors.control import CommandRefused, CommandUnavailable
from riskd.actors.core.access import Caller, Peer, Role
from riskd.actors.core.halts import EVERYTHING
from riskd.actors.mailbox import Registry
from riskd.actors.messages import (
    Command,
    DaemonStarted,
    DaemonStopped,
    Fact,
    HaltPlaced,
    HaltsEnded,
    HaltsLifted,
    JournalRepaired,
    KillSwitchTriggered,
    LooseningProposed,
    Mode,
    Recorded,
    RecoveryCompleted,
    RecoveryStarted,
    Reply,
    SnapshotSkipped,
    UntilElapsed,
)
from riskd.adapters.simulated_disk import Operation, SimulatedDisk, SimulatedOffload
from riskd.config.loader import Loaded, embedded
from riskd.config.schema import Journal
from riskd.supervisor.brakes import Brakes
from riskd.supervisor.chronicle import Chronicle
from riskd.supervisor.compose import Riskd
from riskd.supervisor.configuration import Configuration
from riskd.supervisor.daemon import Daemon
from riskd.supervisor.keeper import Keeper
from riskd.supervisor.known import Known
from riskd.supervisor.ledger import Ledger
from riskd.supervisor.looks import Outside
from riskd.supervisor.loop_watch import LoopWatch
from riskd.supervisor.recall import open_ledger
from riskd.supervisor.tree import ChildSpec
from trio.testing import MockClock

STATE = Path("/state")
NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)
MANY = 1_000_000
COOLDOWN_S = 25.0
OPERATOR = Caller(peer=Peer(process_id=7, user_id=1000, group_id=1000), role=Role.OPERATOR)
QUIET = Journal(snapshot_facts=1_000_000, slow_sync_ms=60_000, free_mib=0)
STRICTNESS = {None: 0, "reduce_only": 1, "halt": 2}
BY_THE_OPENING = (JournalRepaired, SnapshotSkipped)
ALMOST = 1e-6
"""Seconds by which sums of times may differ."""


class Gone(BaseException):
    """The process is no more, in the middle of whatever it did."""


@attrs.define(eq=False)
class MortalDisk(SimulatedDisk):
    """After so many operations that change it the process is killed before the next."""

    left: int = MANY

    def failure(self, operation: Operation, path: Path) -> OSError | None:
        if operation != "read":
            self.left -= 1
            if self.left < 0:
                raise Gone
        return super().failure(operation, path)


@attrs.define(eq=False)
class MachineClock:
    """The time of the loop, of the boot and of the wall, and the time that has gone by in truth."""

    boots: int = 1
    up_s: float = 100.0
    true_s: float = 0.0
    ahead_s: float = 0.0

    def monotonic_s(self) -> float:
        return self.up_s + self._loop_s()

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.truth_s() + self.ahead_s)

    def boot(self) -> str:
        return f"boot {self.boots}"

    def truth_s(self) -> float:
        return self.true_s + self._loop_s()

    @staticmethod
    def _loop_s() -> float:
        return trio.current_time() if trio.lowlevel.in_trio_run() else 0.0

    def leave_loop(self, lasted_s: float, away_s: float) -> None:
        self.up_s += lasted_s + away_s
        self.true_s += lasted_s + away_s


# --- who looks on ---------------------------------------------------------------------------------


class Auditor:
    """What the facts allow, by rules written from what was promised; and what broke them."""

    def __init__(self) -> None:
        self.state = "ACTIVE"
        self.halts: dict[int, tuple[HaltPlaced, float]] = {}
        self.is_running = False
        self.wrong: list[str] = []
        self._ids: set[int] = set()
        self._boot = ""
        self._seen_s = 0.0
        self._recovery: RecoveryStarted | None = None
        self._began_s = 0.0
        self._since_s = 0.0
        self._before_s = 0.0
        self._proposals: list[Fact] = []

    def hear(self, fact: Fact, true_s: float) -> None:
        if fact.BEARING == "tightens":
            self._proposals.clear()
        elif fact.BEARING == "loosens":
            self._demand(fact in self._proposals, "it was proposed, and nothing tightened since")
        match fact:
            case DaemonStarted(boot=boot):
                if boot != self._boot:
                    self._before_s += self._seen_s - self._since_s
                    self._since_s = true_s
                    self._boot = boot
                self.is_running = True
                self._proposals.clear()
            case DaemonStopped():
                self.is_running = False
            case LooseningProposed(proposed=proposed):
                self._proposals.append(proposed)
            case KillSwitchTriggered():
                self.state, self._recovery = "KILLED", None
            case RecoveryStarted(approved_by=name):
                self._demand(self.state == "KILLED", f"a recovery begins when {self.state}")
                self._demand(bool(name.strip()), "somebody approved")
                self.state, self._recovery = "RECOVERING", fact
                self._began_s = self._since_s = true_s
                self._before_s = 0.0
            case RecoveryCompleted():
                self._demand(self.state == "RECOVERING", f"it is completed when {self.state}")
                self._demand(
                    true_s - self._began_s >= COOLDOWN_S - ALMOST,
                    f"completed {true_s - self._began_s} s after its beginning",
                )
                self.state, self._recovery = "ACTIVE", None
            case HaltPlaced(halt_id=one):
                self._demand(one not in self._ids, f"halt {one} is another's")
                self._ids.add(one)
                self.halts[one] = fact, true_s
            case HaltsLifted(halt_ids=ids):
                for one in ids:
                    self._demand(self.halts.pop(one, None) is not None, f"halt {one} stood")
            case HaltsEnded(halt_ids=ids):
                for one in ids:
                    self._end(one, true_s)
        if not isinstance(fact, BY_THE_OPENING):
            self._seen_s = true_s

    def _end(self, one: int, true_s: float) -> None:
        placed, since_s = self.halts.pop(one)
        until = placed.halt.until
        if isinstance(until, UntilElapsed):
            lasted_s = true_s - since_s
            self._demand(lasted_s >= until.seconds - ALMOST, f"halt {one} for {lasted_s} s")
        else:
            self._demand(until.__class__.__name__ != "UntilOperator", f"halt {one} by a person")

    def _demand(self, true: bool, what: str) -> None:
        if not true:
            self.wrong.append(what)

    def waited_s(self, true_s: float) -> float | None:
        """How much of the cooldown has gone by for sure."""
        return None if self._recovery is None else self._before_s + true_s - self._since_s

    def strictness(self, scope: str) -> int:
        if self.state != "ACTIVE":
            return 2
        modes = [p.halt.mode for p, _ in self.halts.values() if p.halt.scope in (EVERYTHING, scope)]
        return max((STRICTNESS[mode] for mode in modes), default=0)


class Witness:
    """A projection that knows every fact, and says so as it comes."""

    name = "witness"
    version = 1

    def __init__(self) -> None:
        self.facts: list[Recorded] = []
        self.hear: Callable[[Recorded], None] = lambda _: None

    def apply(self, recorded: Recorded) -> None:
        self.facts.append(recorded)
        self.hear(recorded)

    def dump(self) -> list[bytes]:
        return [msgspec.json.encode(self.facts)]

    def load(self, state: bytes | None) -> None:
        self.facts = [] if state is None else msgspec.json.decode(state, type=list[Recorded])


class Page:
    """What readers would see."""

    def __init__(self) -> None:
        self.says: Mapping[str, Mode] = {EVERYTHING: "halt"}
        self.heard: Callable[[], None] = lambda: None

    def fence(self) -> None:
        self.says = {EVERYTHING: "halt"}

    def publish(self, modes: Mapping[str, Mode], _epoch: int) -> None:
        self.says = dict(modes)
        self.heard()

    def strictness(self, scope: str) -> int:
        return max(STRICTNESS[self.says.get(each)] for each in (EVERYTHING, scope))


# --- the machine and its riskd --------------------------------------------------------------------


class FallibleBrakes(Brakes):
    """Whose recovery actor can be made to crash, and whose accounts may disagree."""

    host: "Host"

    def _recovery(self) -> recovery.Recovery:
        one, host = super()._recovery(), self.host
        rules, loosen = one.rules, one.loosen

        def faulty_rules() -> Any:
            host.stumble("before")
            return rules()

        async def faulty_loosen(fact: Any) -> None:
            await loosen(fact)
            host.stumble("after")

        one.rules, one.loosen, one.unreconciled = faulty_rules, faulty_loosen, lambda: host.problems
        return one


@attrs.define(eq=False)
class Life:
    """One process of riskd."""

    host: "Host"
    ledger: Ledger
    brakes: Brakes
    page: Page
    scopes: dict[str, trio.CancelScope] = attrs.field(factory=dict)

    async def ask(self, command: Command) -> Reply | None:
        """None: it was refused at the door, or there was nobody to answer."""
        try:
            reply = await self.brakes.handlers()[type(command)](OPERATOR, command)
        except (CommandRefused, CommandUnavailable):
            reply = None
        if self.host.disk.left < 0:
            raise Gone
        self.host.check_page()
        return reply

    @property
    def state(self) -> str:
        return self.brakes.halts.now.state

    def die(self) -> None:
        """Here and now."""
        self.host.disk.left = -1
        raise Gone

    def crash(self, name: str) -> None:
        """As a watchdog does it."""
        if name in self.scopes:
            self.scopes[name].cancel()

    async def run_child(
        self, spec: ChildSpec, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Again and again, as its supervisor would."""
        status: Any = task_status
        while True:
            with trio.CancelScope() as self.scopes[spec.id]:
                try:
                    await spec.run(None, task_status=status)
                except ZeroDivisionError:
                    await trio.sleep(0.1)
            status = trio.TASK_STATUS_IGNORED


@attrs.define(eq=False)
class Host:
    """A machine on whose disk riskd lives again and again. `wrong` says what broke the law."""

    disk: MortalDisk = attrs.field(factory=lambda: MortalDisk(1))
    clock: MachineClock = attrs.field(factory=MachineClock)
    journal: Journal = attrs.field(factory=lambda: QUIET)
    wrong: list[str] = attrs.field(factory=list)
    problems: tuple[str, ...] = ()
    """What is wrong with the accounts."""
    faults: list[str] = attrs.field(factory=list)
    is_serving: bool = False
    """Somebody could ask it, and it has not ended in order."""
    _known: list[Recorded] = attrs.field(factory=list)
    """Facts that the kernel has."""
    _safe: int = 0
    _true_s: dict[int, float] = attrs.field(factory=dict)
    _auditor: Auditor = attrs.field(factory=Auditor)
    _life: Life | None = None
    _had_power: bool = True

    # --- its lives

    def run(self, script: Callable[[Life], Awaitable[None]], *, away_s: float = 1.0) -> bool:
        """One life, until the script is over and riskd has stopped in order. False: it died."""
        loop = MockClock(autojump_threshold=0.0)
        began = loop.current_time()
        try:
            trio.run(self._live, script, clock=loop)
        except* Gone:
            is_over = False
        else:
            is_over = True
            self.is_serving = False
        finally:
            lasted_s = loop.current_time() - began
            if self._life is not None:
                self._safe = self._life.ledger.journal.safe_lsn
            self._life = None
            self.disk.left = MANY
            self.clock.leave_loop(lasted_s, away_s)
            self.wrong += self._auditor.wrong
        assert self.wrong == []
        return is_over

    def kill(self) -> None:
        self.disk.crash()
        self._had_power = True

    def cut_power(self, *, up_s: float) -> None:
        """And give it back; riskd starts when the machine has been up for so long."""
        self.disk.cut_power()
        self.clock.boots += 1
        self.clock.up_s = up_s
        self._had_power = False

    def stumble(self, where: str) -> None:
        if where in self.faults:
            self.faults.remove(where)
            raise ZeroDivisionError(where)

    async def _live(self, script: Callable[[Life], Awaitable[None]]) -> None:
        async with self.life() as life:
            await script(life)

    @asynccontextmanager
    async def life(self) -> AsyncIterator[Life]:
        known, witness, page = Known(), Witness(), Page()
        with open_ledger(
            self.disk, STATE, self.clock, (*known.projections(), witness), segment_bytes=262_144
        ) as ledger:
            life = self._begin(ledger, known, page)
            self._check_start(life, witness)
            syncs = SimulatedOffload(self.disk)
            riskd = SimpleNamespace(
                books=SimpleNamespace(record_start=lambda: None),
                brakes=life.brakes, chronicle=life.brakes.chronicle, clock=self.clock,
                configuration=life.brakes.configuration, ledger=ledger, process_id=1, syncs=syncs,
                version="0.1.0",
            )  # fmt: skip
            daemon = SimpleNamespace(riskd=riskd)
            self._life = life
            Riskd.record_start(riskd)
            await Daemon._make_safe(daemon, "it")
            self._check_halted(life)
            self.is_serving = True
            chores = SimulatedOffload(self.disk)
            keeper = Keeper(ledger, self.journal, self.clock, syncs=syncs, chores=chores)
            with trio.fail_after(1_000_000):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(keeper.run)
                    for spec in life.brakes.first():
                        await nursery.start(life.run_child, spec)
                    yield life
                    nursery.cancel_scope.cancel()
            life.brakes.chronicle.record(DaemonStopped(reason="SIGTERM"))
            await Daemon._make_safe(daemon, "it")

    def _begin(self, ledger: Ledger, known: Known, page: Page) -> Life:
        chronicle = Chronicle(ledger)
        loaded = embedded()
        switch = msgspec.structs.replace(loaded.config.kill_switch, cooldown_s=COOLDOWN_S)
        config = msgspec.structs.replace(loaded.config, kill_switch=switch)
        brakes = FallibleBrakes(
            chronicle=chronicle,
            halts=known.halts,
            page=page,
            page_path=STATE / "page",
            clock=self.clock,
            configuration=Configuration(Loaded(config, loaded.source, loaded.digest), None, {}),
            registry=Registry(chronicle.record),
            watch=LoopWatch(page, SimpleNamespace(), structlog.get_logger(), lag_s=2.0),
            outside=Outside({}),
            people={"alice": 1000},
        )
        brakes.host = self
        return Life(self, ledger, brakes, page)

    # --- the law

    def _check_start(self, life: Life, witness: Witness) -> None:
        """What the disk has kept is what it may keep, and riskd takes it for what it is."""
        found = list(witness.facts)
        own = [one for one in found if one.lsn <= len(self._known)]
        while own and own[-1].lsn > 0 and own[-1] != self._known[own[-1].lsn - 1]:
            own.pop()
        others = found[len(own) :]
        self._demand(own == self._known[: len(own)], "facts are those that were made")
        self._demand(all(isinstance(o.fact, BY_THE_OPENING) for o in others), "and no others")
        kept = len(self._known) if self._had_power else self._safe
        self._demand(len(own) >= kept, f"{kept} facts were safe, {len(own)} are there")
        for one in others:
            self._true_s[one.lsn] = self.clock.truth_s()
        self._auditor = Auditor()
        for one in found:
            self._auditor.hear(one.fact, self._true_s[one.lsn])
        self._known = found
        witness.hear = self._hear
        life.page.heard = self.check_page

    def _hear(self, recorded: Recorded) -> None:
        assert self._life is not None
        self._known.append(recorded)
        self._true_s[recorded.lsn] = self.clock.truth_s()
        match recorded.fact:
            case LooseningProposed(proposed=RecoveryCompleted()):
                self._demand(not self.problems, f"not reconciled: {self.problems}")
        if recorded.fact.BEARING == "loosens":
            proposed = [
                one.lsn
                for one in self._known
                if isinstance(one.fact, LooseningProposed) and one.fact.proposed == recorded.fact
            ]
            safe = self._life.ledger.journal.safe_lsn
            self._demand(any(lsn <= safe for lsn in proposed), "the disk has what was proposed")
        self._auditor.hear(recorded.fact, self.clock.truth_s())

    def _check_halted(self, life: Life) -> None:
        if self.is_serving:
            self._demand(life.page.says.get(EVERYTHING) == "halt", "halted after a crash")
        self.check_page()

    def check_page(self) -> None:
        """Readers, riskd and the auditor agree: never is anything looser than the facts."""
        life, auditor = self._life, self._auditor
        assert life is not None
        now = life.brakes.halts.now
        self._demand(now.state == auditor.state, f"{now.state} is {auditor.state}")
        self._demand(set(now.halts) == set(auditor.halts), "the halts are those of the facts")
        for scope in {"account:other", *(p.halt.scope for p, _ in auditor.halts.values())}:
            says, may = life.page.strictness(scope), auditor.strictness(scope)
            self._demand(says >= may, f"{scope}: the page says {says}, the facts say {may}")
        waited_s = auditor.waited_s(self.clock.truth_s())
        if waited_s is not None and now.recovery is not None:
            counted_s = now.recovery.waited.elapsed_s(self.clock.monotonic_s())
            self._demand(
                math.isclose(counted_s, waited_s, abs_tol=1e-3),
                f"{counted_s} s of the cooldown are counted, and {waited_s} s were noted",
            )

    def _demand(self, true: bool, what: str) -> None:
        """Of a process that lives; what unwinds after its end is nobody's."""
        if not true and self.disk.left >= 0:
            self.wrong.append(what)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Thousands of lives have much to say."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with contextlib.ExitStack() as stack:
        stack.callback(structlog.configure, **before)
        yield


@pytest.fixture
def hosts() -> Callable[[int], Host]:
    """One for each seed."""
    return lambda seed: Host(disk=MortalDisk(seed))
