"""The composition root: builds every part once, and hands each its own ports and settings.

The tree, in dependency order (rest_for_one: what stands on a crashed part starts again with it):

    riskd
     ├─ ledger        the journal: syncs, snapshots, the archive
     ├─ kill_switch   keeps the lease page as the facts have it
     ├─ recovery      what lets trading go on: recoveries, and the end of halts
     ├─ settings      the configuration in force, and its reload
     ├─ watchdogs     one_for_one
     │   ├─ service   tells the service manager that riskd is well, only when it is
     │   └─ heartbeat asks every actor through its mailbox, and crashes those that hang
     └─ control       the socket: status, and operators' commands

The listening socket, the mailboxes and the ledger itself are not in the tree: they outlive its
actors, so that a restart loses neither a connection that waits, nor a message, nor a fact.
"""

import contextlib
import grp
import math
import pwd
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import attrs
import msgspec
import structlog
import trio

from ..actors import heartbeat, kill_switch, recovery, service, settings
from ..actors.actor import Behaviour, serve
from ..actors.control import CommandRefused, CommandUnavailable, Control
from ..actors.core.access import Access, Caller, Tokens
from ..actors.core.halts import halts_shown, shown
from ..actors.core.kill_switch import Rules, after_crash
from ..actors.kill_switch import KillSwitch
from ..actors.mailbox import ActorDied, AskTimeout, Mailbox, MailboxFull, Registry
from ..actors.messages import (
    PROTOCOL,
    ActorKillAsked,
    ActorKilled,
    Actors,
    ActorsAre,
    ActorSilent,
    By,
    ChildFailed,
    ChildStuck,
    Command,
    ConfigIs,
    ConfigRefused,
    DaemonStarted,
    Fact,
    HaltPlaced,
    JournalRepaired,
    KillActor,
    KillSwitchTriggered,
    LeaseLapsed,
    Loosening,
    MessageQuarantined,
    ProjectionRebuilt,
    Refused,
    Reload,
    Reloaded,
    Reply,
    ShowConfig,
    SnapshotSkipped,
    Status,
    StatusIs,
    SupervisorEscalated,
    Version,
    VersionIs,
)
from ..actors.ports import Clock, LeasePage, NotLoosened, Offload, ServiceLink, Withdrawn
from ..actors.switchboard import Switchboard
from ..config.loader import Loaded, load
from ..config.problems import ConfigInvalid
from ..config.render import NEEDS_RESTART, differences, masked
from ..config.schema import Config, Supervision
from . import keeper
from .endpoint import Endpoint
from .feed import LedgerFeed
from .journal import JournalFailed
from .known import Known
from .ledger import Ledger, Overtaken
from .stacks import stack
from .status import NOT_BUILT, find, tree_rows
from .tree import ChildSpec, Context, NotRunning, Ports, Supervisor

TROUBLE = (
    ActorKillAsked,
    ActorSilent,
    ChildFailed,
    ChildStuck,
    ConfigRefused,
    HaltPlaced,
    JournalRepaired,
    KillSwitchTriggered,
    LeaseLapsed,
    MessageQuarantined,
    ProjectionRebuilt,
    SnapshotSkipped,
    SupervisorEscalated,
)
"""Facts that somebody should look at: they are logged as warnings."""

READ_TIMEOUT_S = 1.0
"""Below the heartbeat's patience: a disk that hangs is no reason to crash the settings actor."""
LOOSEN_TIMEOUT_S = 1.0
"""The same for a disk that does not confirm."""
ASK_TIMEOUT_S = 10.0
"""An operator who waits longer would think that nothing happens."""


class Configuration:
    """The configuration in force, and where the next one would come from."""

    def __init__(self, loaded: Loaded, file: Path | None, environment: Mapping[str, str]) -> None:
        self.current = loaded.config
        self.digest = loaded.digest
        self.name = loaded.source
        self._file = file
        self._environment = environment
        self._read: Loaded | None = None
        self.on_change: Callable[[Config], None] = lambda _: None

    async def read(self) -> settings.Candidate:
        if self._file is None:
            raise settings.Invalid(
                ("riskd runs on its embedded defaults: there is no file to read",)
            )
        try:
            # A thread, because a file may lie on a disk or a network that does not answer.
            with trio.fail_after(READ_TIMEOUT_S):
                loaded = await trio.to_thread.run_sync(
                    load, self._file, self._environment, abandon_on_cancel=True
                )
        except ConfigInvalid as invalid:
            raise settings.Invalid(tuple(str(problem) for problem in invalid.problems)) from None
        except trio.TooSlowError:
            problem = (
                f"{self._file}: not read within {READ_TIMEOUT_S:g} s: its disk does not answer"
            )
            raise settings.Invalid((problem,)) from None
        self._check_mix(loaded.config)
        self._read = loaded
        changed = differences(self.current, loaded.config)
        return settings.Candidate(
            source=loaded.source,
            digest=loaded.digest,
            changed=tuple(key for key in changed if key not in NEEDS_RESTART),
            needs_restart=tuple(key for key in changed if key in NEEDS_RESTART),
        )

    def take(self, candidate: settings.Candidate) -> None:
        assert self._read is not None, "a candidate comes from read()"
        config, self._read = self._mixed(self._read.config), None
        self.current, self.digest = config, candidate.digest
        self.on_change(config)

    def _mixed(self, config: Config) -> Config:
        """As given, but that keys which need a restart keep the value riskd was started with."""
        for key in differences(self.current, config):
            if key in NEEDS_RESTART:
                section, _, name = key.partition(".")
                old = getattr(getattr(self.current, section), name)
                replaced = msgspec.structs.replace(getattr(config, section), **{name: old})
                config = msgspec.structs.replace(config, **{section: replaced})
        return config

    def _check_mix(self, config: Config) -> None:
        """Keys that agree in the file may not agree with those that only a restart changes."""
        mixed = self._mixed(config)
        problems = tuple(
            f"{self.name}: {section}.{fault.key}: {fault.message}, with the values that only a "
            f"restart changes; {fault.remedy}, or restart riskd"
            for section in mixed.__struct_fields__
            for fault in getattr(mixed, section).disagreements()
        )
        if problems:
            raise settings.Invalid(problems)


@attrs.define(eq=False)
class _Quiet:
    """The behaviour of an actor whose mailbox brings heartbeats alone."""

    name: str

    async def receive(self, message: object) -> object:
        raise TypeError(f"{self.name!r} takes no messages, and got {type(message).__name__}")

    def wake_at(self) -> float:
        return math.inf

    async def wake(self) -> None:
        raise AssertionError(f"{self.name!r} sets no timer")


def _actor(mailbox: Mailbox, make: Callable[[], Behaviour]) -> Callable[..., Awaitable[None]]:
    """A child that serves its mailbox with a behaviour made anew for each incarnation."""

    async def run(_ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
        await serve(mailbox, make(), task_status=task_status)

    return run


def user_id(name: str) -> int:
    """A user by name or number. KeyError says that this machine doesn't have it."""
    return int(name) if name.isdecimal() else pwd.getpwnam(name).pw_uid


def names_of(number: int) -> tuple[str, ...]:
    """What a user can be called, the best name first."""
    with contextlib.suppress(KeyError):
        return (pwd.getpwuid(number).pw_name, str(number))
    return (str(number),)


def group_id(name: str | None) -> int | None:
    """A group by name or number. KeyError says that this machine doesn't have it."""
    if name is None or name.isdecimal():
        return None if name is None else int(name)
    return grp.getgrnam(name).gr_gid


@attrs.define(eq=False, kw_only=True)
class Riskd:
    """All parts of one riskd, built and not yet running."""

    configuration: Configuration
    ledger: Ledger
    known: Known
    syncs: Offload
    chores: Offload
    clock: Clock
    endpoint: Endpoint
    manager: ServiceLink
    access: Access
    version: str
    process_id: int
    python: str
    page: LeasePage
    people: Mapping[str, int]
    """Those who may act, by every name they can be called."""
    places: int
    on_stuck: Callable[[str, Sequence[str]], None]
    spawn: Callable[[Callable[[], Awaitable[None]]], None] = lambda _: None
    root: Supervisor = attrs.field(init=False)
    _registry: Registry = attrs.field(init=False)
    switch: KillSwitch = attrs.field(init=False)
    _switchboard: Switchboard = attrs.field(init=False)
    _control: Control = attrs.field(init=False)
    _started_at: str = attrs.field(init=False)
    _started_s: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._started_at = self.clock.now().isoformat()
        self._started_s = self.clock.monotonic_s()
        supervision = self.configuration.current.supervision
        self._registry = Registry(self.record, crashes_max=supervision.redeliveries)
        recoveries = self._registry.add(recovery.NAME, capacity=64)
        self.switch = KillSwitch(
            halts=self.known.halts,
            record=self.record,
            page=self.page,
            clock=self.clock,
            doubt=self.doubt,
            recovery=recoveries,
        )
        self._switchboard = Switchboard(
            switch=self.switch,
            recovery=recoveries,
            session=lambda: self.configuration.current.session,
            people={user_id: name for name, user_id in reversed(list(self.people.items()))},
            shown=self._kill_switch,
        )
        self._control = Control(
            [self.endpoint.socket],
            msgspec.structs.replace(self.configuration.current.control, max_clients=self.places),
            self.access,
            self._handlers(),
            structlog.get_logger("riskd.control"),
            feed=LedgerFeed(self.ledger),
            tokens=Tokens(),
            version=self.version,
        )
        self.root = self._tree()

    def record(self, fact: Fact) -> None:
        self._record(fact)
        if isinstance(fact, SupervisorEscalated) and fact.supervisor == self.root.name:
            # The end of this riskd: what it leaves behind must be halted, whoever starts it again.
            reason = f"{fact.child} failed more often than its budget allows: {fact.cause}"
            self.switch.trigger(
                by=By(via="riskd"), cause="watchdog", source="supervision", reason=reason
            )

    def record_failure(self, fact: ChildFailed, error: BaseException) -> None:
        """The log has where the error came from as well; history has its one line."""
        self._record(fact, stack=stack(error))

    def _record(self, fact: Fact, **more: object) -> None:
        """History first, then the log.

        A journal that has failed has told so itself, and riskd is about to end: whoever wanted to
        record something on the way has no use for another error. The log says what is missing.
        """
        try:
            is_written = self.ledger.commit(fact) > 0
        except JournalFailed:
            is_written = False
        self._tell(fact, **more, **({} if is_written else {"unwritten": True}))

    def doubt(self) -> str | None:
        """Why what riskd knows can't be relied on; then nothing may trade. None: it can."""
        if self.ledger.failure is not None:
            return f"the journal has failed: {self.ledger.failure}"
        if self.ledger.suspected:
            return f"in doubt, and being made again: {', '.join(self.ledger.suspected)}"
        return None

    def record_start(self) -> None:
        """A run begins, halted if the last one did not end in order. Raises JournalFailed: a start
        that can't be written down is none."""
        self.tell_what_was_found()
        policy = self.configuration.current.kill_switch.after_crash
        halted = after_crash(self.known.halts.now, by=By(via="riskd"), policy=policy)
        started = DaemonStarted(
            version=self.version,
            process_id=self.process_id,
            boot=self.clock.boot(),
            config_source=self.configuration.name,
            config_digest=self.configuration.digest,
        )
        # In one commit: a crash in between would make the next start believe in an orderly end.
        facts = (started,) if halted is None else (started, halted)
        self.ledger.commit(*facts)
        for fact in facts:
            self._tell(fact)
        self.switch.publish()

    async def _settle(self) -> None:
        with trio.move_on_after(LOOSEN_TIMEOUT_S), contextlib.suppress(JournalFailed):
            await self.ledger.wait_safe(self.ledger.lsn)

    async def loosen(self, fact: Loosening) -> None:
        """Record what allows more, once the disk has it. Raises NotLoosened."""
        try:
            with trio.fail_after(LOOSEN_TIMEOUT_S):
                await self.ledger.loosen(fact)
        except trio.TooSlowError:
            seconds = f"{LOOSEN_TIMEOUT_S:g} s"
            raise NotLoosened(f"the journal's disk did not confirm it within {seconds}") from None
        except Overtaken as error:
            raise Withdrawn(str(error)) from error
        except JournalFailed as error:
            raise NotLoosened(str(error)) from error
        self._tell(fact)

    def tell_what_was_found(self) -> None:
        """What the start had to repair: it was made a fact before there was a log."""
        for fact in self.ledger.found:
            self._tell(fact)

    def _tell(self, fact: Fact, **more: object) -> None:
        tag = str(type(fact).__struct_config__.tag)
        fields = {name: getattr(fact, name) for name in fact.__struct_fields__}
        log = structlog.get_logger("riskd.fact")
        say = log.warning if isinstance(fact, TROUBLE) else log.info
        subject, _, verb = tag.rpartition("_")
        say(f"{subject}.{verb}", **fields, **more)

    # --- the tree

    def _tree(self) -> Supervisor:
        supervision = self.configuration.current.supervision
        clock = self.clock
        past = self.known.supervision.past(
            boot=clock.boot(), monotonic_s=clock.monotonic_s(), now=clock.now()
        )
        ports = Ports(
            record=self.record, failed=self.record_failure, stuck=self.on_stuck, past=past
        )
        watchdogs = Supervisor(
            [
                ChildSpec(service.NAME, self._service(), shutdown=1.0),
                ChildSpec(heartbeat.NAME, self._heartbeat(), shutdown=1.0),
            ],
            intensity=supervision.intensity,
            period=supervision.period_s,
        )
        return Supervisor(
            [
                ChildSpec(keeper.NAME, self._keep_ledger()),
                ChildSpec(kill_switch.NAME, self._keep_switch()),
                ChildSpec(recovery.NAME, self._recover()),
                ChildSpec(settings.NAME, self._settings()),
                ChildSpec("watchdogs", watchdogs.run, kind="supervisor", shutdown=3.0),
                ChildSpec("control", self._serve_control(), shutdown=2.0),
            ],
            strategy="rest_for_one",
            name="riskd",
            total=self.configuration.current.riskd.stop_timeout_s,
            ports=ports,
            intensity=supervision.intensity,
            period=supervision.period_s,
        )

    def _keep_ledger(self) -> Callable[..., Awaitable[None]]:
        mailbox = self._registry.add(keeper.NAME, capacity=8)

        async def run(_ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
            async with trio.open_nursery() as nursery:
                one = keeper.Keeper(
                    self.ledger,
                    self.configuration.current.journal,
                    self.clock,
                    syncs=self.syncs,
                    chores=self.chores,
                )
                nursery.start_soon(one.run)
                await serve(mailbox, _Quiet(keeper.NAME), task_status=task_status)

        return run

    def _keep_switch(self) -> Callable[..., Awaitable[None]]:
        mailbox = self._registry.add(kill_switch.NAME, capacity=8)
        return _actor(mailbox, lambda: kill_switch.Watch(self.switch))

    def _recover(self) -> Callable[..., Awaitable[None]]:
        return _actor(
            self._registry[recovery.NAME],
            lambda: recovery.Recovery(
                switch=self.switch,
                rules=self._rules,
                unreconciled=tuple,
                loosen=self.loosen,
                settle=self._settle,
                shown=self._kill_switch,
            ),
        )

    def _rules(self) -> Rules:
        current = self.configuration.current
        return Rules(
            cooldown_s=current.kill_switch.cooldown_s,
            two_person=current.security.two_person,
            people=self.people,
        )

    def _settings(self) -> Callable[..., Awaitable[None]]:
        mailbox = self._registry.add(settings.NAME, capacity=16)
        return _actor(
            mailbox, lambda: settings.Settings(self.configuration, self.record, self.loosen)
        )

    def _service(self) -> Callable[..., Awaitable[None]]:
        # A pulse is superseded by the next: old ones are worth nothing.
        mailbox = self._registry.add(service.NAME, capacity=8, policy="drop_oldest")
        return _actor(
            mailbox,
            lambda: service.Service(self.manager, self._supervision, self.crash, self.record),
        )

    def _heartbeat(self) -> Callable[..., Awaitable[None]]:
        mailbox = self._registry.add(heartbeat.NAME, capacity=8)
        return _actor(
            mailbox,
            lambda: heartbeat.Heartbeat(self._registry, self._supervision, self.crash, self.record),
        )

    def _serve_control(self) -> Callable[..., Awaitable[None]]:
        mailbox = self._registry.add("control", capacity=8)

        async def run(ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
            async with trio.open_nursery() as nursery:
                await nursery.start(self._control.serve, ctx)
                await serve(mailbox, _Quiet("control"), task_status=task_status)

        return run

    def _supervision(self) -> Supervision:
        return self.configuration.current.supervision

    async def crash(self, name: str) -> None:
        """The port by which a watchdog ends an actor that hangs."""
        found = find(self.root, name)
        if found is not None:
            # It may have gone with its supervisor meanwhile: then it is dead, as was asked.
            with contextlib.suppress(NotRunning):
                await found[0].kill_child(name)

    # --- what the socket answers

    def _handlers(self) -> dict[type[Command], Callable[[Caller, Command], Awaitable[Reply]]]:
        return {
            Version: self._answer_version,
            Status: self._answer_status,
            Actors: self._answer_actors,
            KillActor: self._answer_kill,
            ShowConfig: self._answer_config,
            Reload: self._answer_reload,
            **self._switchboard.handlers(),
        }

    async def _answer_version(self, _caller: Caller, command: Command) -> Reply:
        return VersionIs(id=command.id, version=self.version, protocol=PROTOCOL, python=self.python)

    async def _answer_status(self, _caller: Caller, command: Command) -> Reply:
        return StatusIs(id=command.id, status=self.status())

    async def _answer_actors(self, _caller: Caller, command: Command) -> Reply:
        return ActorsAre(id=command.id, actors=self._rows())

    async def _answer_config(self, _caller: Caller, command: Command) -> Reply:
        configuration = self.configuration
        return ConfigIs(
            id=command.id, source=configuration.name, config=masked(configuration.current)
        )

    async def _answer_kill(self, caller: Caller, command: Command) -> Reply:
        assert isinstance(command, KillActor), "the table of handlers says so"
        found = find(self.root, command.name)
        if found is None:
            names = ", ".join(str(row["name"]) for row in self._rows()[1:])
            raise CommandRefused(
                "no_such_actor", f"no actor is called {command.name!r}; there are: {names}"
            )
        _, child = found
        if child.state not in ("starting", "running"):
            raise CommandRefused(
                "not_running", f"{command.name!r} is {child.state}: there is nothing to kill"
            )
        by = self._switchboard.by(caller)
        self.record(ActorKillAsked(by=by, actor=command.name, incarnation=child.incarnation))
        # Not before the reply is on its way: whoever kills `control` is told that it will happen.
        self.spawn(lambda: self.crash(command.name))
        return ActorKilled(id=command.id, name=command.name, incarnation=child.incarnation)

    async def _answer_reload(self, caller: Caller, command: Command) -> Reply:
        assert isinstance(command, Reload), "the table of handlers says so"
        return await self.reload(command, self._switchboard.by(caller))

    async def reload(self, command: Reload, by: By) -> Reloaded | Refused:
        """Ask the settings actor, as the socket and SIGHUP both do."""
        try:
            answer = await self._registry.ask(
                settings.NAME, settings.Asked(command, by), timeout_s=ASK_TIMEOUT_S
            )
        except (ActorDied, AskTimeout, MailboxFull) as error:
            raise CommandUnavailable(f"settings: {error}") from error
        assert isinstance(answer, Reloaded | Refused), "the settings actor answers with these"
        return answer

    # --- what can be seen

    def _rows(self) -> list[dict[str, object]]:
        mailboxes = {
            name: attrs.asdict(statistics)
            for name, statistics in self._registry.statistics().items()
        }
        return tree_rows(self.root, mailboxes)

    def _journal(self) -> dict[str, object]:
        ledger = self.ledger
        seen = ledger.statistics()
        return {
            "lsn": seen.lsn,
            "unsafe": seen.unsafe,
            "durability": ledger.durability,
            "failure": None if ledger.failure is None else str(ledger.failure),
            "segment": ledger.journal.path.name,
            "snapshot_lsn": seen.snapshot_lsn,
            "syncs": seen.syncs,
            "slow_syncs": seen.slow_syncs,
            "last_sync_ms": round(seen.last_sync_s * 1e3, 3),
            "worst_sync_ms": round(seen.worst_sync_s * 1e3, 3),
            "suspected": list(seen.suspected),
        }

    def _kill_switch(self) -> dict[str, object]:
        current = self.configuration.current
        cooldown_s = current.kill_switch.cooldown_s
        return {
            **shown(self.known.halts.now, self.switch.now(), cooldown_s),
            "cooldown_s": cooldown_s,
            "after_crash": current.kill_switch.after_crash,
            "two_person": current.security.two_person,
            "doubt": self.doubt(),
        }

    def status(self) -> dict[str, object]:
        """The document of `riskctl --json status`. Its keys are a contract."""
        return {
            "version": self.version,
            "protocol": PROTOCOL,
            "pid": self.process_id,
            "state": self.root.state.mode.value,
            "started_at": self._started_at,
            "uptime_s": round(self.clock.monotonic_s() - self._started_s, 3),
            "kill_switch": self._kill_switch(),
            "halts": halts_shown(self.known.halts.now, self.switch.now()),
            "workers": [],
            "accounts": [],
            "journal": self._journal(),
            "lease": None,
            "actors": self._rows(),
            "control": attrs.asdict(self._control.statistics()),
            "config": {
                "source": self.configuration.name,
                "digest": self.configuration.digest,
            },
            "not_built": list(NOT_BUILT),
        }
