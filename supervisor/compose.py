"""The composition root: builds every part once, and hands each its own ports and settings.

The tree, in dependency order (rest_for_one: what stands on a crashed part starts again with it):

    riskd
     ├─ ledger        the journal: syncs, snapshots, the archive
     ├─ kill_switch   keeps the lease page as the facts have it
     ├─ recovery      what lets trading go on: recoveries, and the end of halts
     ├─ position_keeper  what is reported of accounts, and the ends of their days
     ├─ limits        what loosens limits: a configuration, or a person
     ├─ overrides     what two persons let pass
     ├─ trading       one_for_one
     │   └─ gate      says by being there that orders may be judged
     ├─ settings      the configuration in force, and its reload
     ├─ watchdogs     one_for_one
     │   ├─ loop      beats, so that a thread can tell when the loop is stuck
     │   ├─ machine   watches the clock and the disk
     │   ├─ triggers  metrics, files and commands that stop trading
     │   ├─ lease     lets workers trade a little longer, while all that must be well is
     │   ├─ limit_watch  looks at limits that break without an order
     │   ├─ outside   hears what others say of the risk
     │   ├─ canary    asks the gate for what it must refuse
     │   ├─ service   tells the service manager that riskd is well, only when it is
     │   └─ heartbeat asks every actor through its mailbox, and crashes those that hang
     └─ control       the socket: status, and operators' commands

The listening socket, the mailboxes and the ledger itself are not in the tree: they outlive its
actors, so that a restart loses neither a connection that waits, nor a message, nor a fact.
"""

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import attrs
import msgspec
import structlog
import trio

from ..actors import heartbeat, service, settings
from ..actors.actor import Quiet, as_child, serve
from ..actors.book_views import BookViews
from ..actors.control import CommandRefused, Control, unanswered
from ..actors.core.access import Access, Caller, Tokens
from ..actors.core.gate.asked import Identity
from ..actors.mailbox import ActorDied, AskTimeout, MailboxFull, Registry
from ..actors.messages import (
    PROTOCOL,
    ActorKillAsked,
    ActorKilled,
    Actors,
    ActorsAre,
    By,
    Command,
    ConfigIs,
    DaemonStarted,
    Fact,
    KillActor,
    PreviewReload,
    Refused,
    Reload,
    Reloaded,
    Reply,
    ShowConfig,
    Status,
    StatusIs,
    SupervisorEscalated,
    Version,
    VersionIs,
)
from ..actors.ports import Clock, LeasePage, Offload, ServiceLink
from ..config.render import masked
from ..config.schema import Supervision
from . import keeper
from .books import Bookkeeping
from .brakes import RISKD, URGENT, Brakes
from .canary import Watched
from .chronicle import Chronicle
from .configuration import Configuration
from .endpoint import Endpoint
from .feed import LedgerFeed
from .gating import Gating
from .known import Known
from .ledger import Ledger
from .limit_watching import LimitWatching
from .limiting import Limiting
from .looks import Outside
from .loop_watch import LoopWatch
from .signalling import Signalling
from .status import NOT_BUILT, find, journal_shown, tree_rows
from .studies import PATIENT, Studies
from .tree import ChildSpec, Context, NotRunning, Ports, Supervisor

ASK_TIMEOUT_S = 10.0
"""An operator who waits longer would think that nothing happens."""


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
    page_path: Path
    """Where readers find it."""
    watch: LoopWatch
    outside: Outside
    people: Mapping[str, int]
    """Those who may act, by every name they can be called."""
    places: int
    on_stuck: Callable[[str, Sequence[str]], None]
    spawn: Callable[[Callable[[], Awaitable[None]]], None] = lambda _: None
    root: Supervisor = attrs.field(init=False)
    _registry: Registry = attrs.field(init=False)
    chronicle: Chronicle = attrs.field(init=False)
    brakes: Brakes = attrs.field(init=False)
    books: Bookkeeping = attrs.field(init=False)
    _views: BookViews = attrs.field(init=False)
    gating: Gating = attrs.field(init=False)
    signalling: Signalling = attrs.field(init=False)
    watching: LimitWatching = attrs.field(init=False)
    canary: Watched = attrs.field(init=False)
    _workers: Mapping[str, Identity] = attrs.field(factory=dict, init=False)
    """Whose orders those of each worker are. Empty: no worker is started yet."""
    limiting: Limiting = attrs.field(init=False)
    _studies: Studies = attrs.field(init=False)
    _control: Control = attrs.field(init=False)
    _started_at: str = attrs.field(init=False)
    _started_s: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._started_at = self.clock.now().isoformat()
        self._started_s = self.clock.monotonic_s()
        supervision = self.configuration.current.supervision
        self.chronicle = Chronicle(self.ledger)
        self._registry = Registry(self.chronicle.record, crashes_max=supervision.redeliveries)
        self.brakes = Brakes(
            chronicle=self.chronicle,
            halts=self.known.halts,
            page=self.page,
            page_path=self.page_path,
            clock=self.clock,
            configuration=self.configuration,
            registry=self._registry,
            watch=self.watch,
            outside=self.outside,
            people=self.people,
        )
        self._build_books()
        self._build_gate()
        self._control = Control(
            [self.endpoint.socket],
            msgspec.structs.replace(self.configuration.current.control, max_clients=self.places),
            self.access,
            self._handlers(),
            structlog.get_logger("riskd.control"),
            feed=LedgerFeed(self.ledger),
            tokens=Tokens(),
            version=self.version,
            urgent=URGENT,
            patient=PATIENT,
        )
        self.root = self._tree()

    def _build_books(self) -> None:
        self.books = Bookkeeping(
            books=self.known.books,
            chronicle=self.chronicle,
            configuration=self.configuration,
            clock=self.clock,
            registry=self._registry,
            publish=self.brakes.switch.publish,
        )
        books = self.known.books
        self._views = BookViews(
            books=books,
            lsn=lambda: self.ledger.lsn,
            doubt=lambda: self.ledger.suspected.get(books.name),
        )

    def _build_gate(self) -> None:
        """On the books and the brakes: what orders are held to, who judges them, who looks on."""
        self.limiting = Limiting(
            chronicle=self.chronicle,
            in_force=self.known.limits,
            overrides=self.known.overrides,
            books=self.known.books,
            clock=self.clock,
            configuration=self.configuration,
            registry=self._registry,
            rules=self.brakes.rules,
            by=self.brakes.by,
            publish=self.brakes.switch.publish,
        )
        self.gating = Gating(
            known=self.known,
            chronicle=self.chronicle,
            books=self.books,
            clock=self.clock,
            registry=self._registry,
            limits=self.limiting.limiter,
            ticket_s=lambda: self.configuration.current.gate.ticket_s,
            workers=self._workers,
            process_id=self.process_id,
        )
        self._studies = Studies(
            gate=self.gating.gate, chronicle=self.chronicle, clock=self.clock, outside=self.outside
        )
        self.signalling = Signalling(
            known=self.known,
            chronicle=self.chronicle,
            configuration=self.configuration,
            clock=self.clock,
            registry=self._registry,
            outside=self.outside,
            publish=self.brakes.switch.publish,
            by=self.brakes.by,
        )
        self.watching = LimitWatching(
            halting=self.brakes.switch,
            record=self.chronicle.record,
            publish=self.brakes.switch.publish,
            clock=self.clock,
            known=self.gating.knowledge,
            watched=lambda: self.known.limits.watched,
            scopes=self.signalling.due,
            signal=self.signalling.turn,
            session_end=self.brakes.session_end,
            news=self.ledger.news,
            registry=self._registry,
            identity=self._workers.get,
        )

        self.canary = Watched(
            brakes=self.brakes, path=self.endpoint.path, known=self.gating.gate.knowledge
        )

    def record_start(self) -> None:
        """A run begins, halted if the last one did not end in order. Raises JournalFailed: a start
        that can't be written down is none."""
        self.chronicle.tell_what_was_found()
        started = DaemonStarted(
            version=self.version,
            process_id=self.process_id,
            boot=self.clock.boot(),
            config_source=self.configuration.name,
            config_digest=self.configuration.digest,
        )
        halted = self.brakes.crash()
        # In one commit: a crash in between would make the next start believe in an orderly end.
        self.chronicle.record_together(started, *([] if halted is None else [halted]))
        self.brakes.switch.publish()
        self.books.record_start()

    # --- the tree

    def _tree(self) -> Supervisor:
        supervision = self.configuration.current.supervision
        clock = self.clock
        past = self.known.supervision.past(
            boot=clock.boot(), monotonic_s=clock.monotonic_s(), now=clock.now()
        )
        ports = Ports(
            record=self._record_of_tree,
            failed=self.chronicle.record_failure,
            stuck=self.on_stuck,
            past=past,
        )
        watchdogs = Supervisor(
            [
                *self.brakes.watchdogs(),
                self.watching.child(),
                self.signalling.child(),
                self.canary.child(),
                ChildSpec(service.NAME, self._service(), shutdown=1.0),
                ChildSpec(heartbeat.NAME, self._heartbeat(), shutdown=1.0),
            ],
            intensity=supervision.intensity,
            period=supervision.period_s,
        )
        return Supervisor(
            [
                ChildSpec(keeper.NAME, _keep_ledger(self, self._registry)),
                *self.brakes.first(),
                self.books.first(),
                *self.limiting.children(),
                self.gating.tree(intensity=supervision.intensity, period_s=supervision.period_s),
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

    def _settings(self) -> Callable[..., Awaitable[None]]:
        mailbox = self._registry.add(settings.NAME, capacity=16)
        return as_child(
            mailbox,
            lambda: settings.Settings(
                self.configuration,
                self.chronicle.record,
                self.chronicle.loosen,
                self.limiting.follow,
            ),
        )

    def _service(self) -> Callable[..., Awaitable[None]]:
        # A pulse is superseded by the next: old ones are worth nothing.
        mailbox = self._registry.add(service.NAME, capacity=8, policy="drop_oldest")
        return as_child(
            mailbox,
            lambda: service.Service(
                self.manager, self._supervision, self.crash, self.chronicle.record
            ),
        )

    def _heartbeat(self) -> Callable[..., Awaitable[None]]:
        mailbox = self._registry.add(heartbeat.NAME, capacity=8)
        return as_child(
            mailbox,
            lambda: heartbeat.Heartbeat(
                self._registry, self._supervision, self.crash, self.chronicle.record
            ),
        )

    def _serve_control(self) -> Callable[..., Awaitable[None]]:
        mailbox = self._registry.add("control", capacity=8)

        async def run(ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
            async with trio.open_nursery() as nursery:
                await nursery.start(self._control.serve, ctx)
                await serve(mailbox, Quiet("control"), task_status=task_status)

        return run

    def _supervision(self) -> Supervision:
        return self.configuration.current.supervision

    def _record_of_tree(self, fact: Fact) -> None:
        self.chronicle.record(fact)
        if isinstance(fact, SupervisorEscalated) and fact.supervisor == self.root.name:
            # The end of this riskd: what it leaves behind must be halted, whoever starts it again.
            reason = f"{fact.child} failed more often than its budget allows: {fact.cause}"
            self.brakes.switch.trigger(
                by=RISKD, cause="watchdog", source="supervision", reason=reason
            )

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
            PreviewReload: self._answer_preview,
            **self.brakes.handlers(),
            **self.books.handlers(),
            **self._views.handlers(),
            **self.gating.handlers(),
            **self._studies.handlers(),
            **self.watching.handlers(),
            **self.signalling.handlers(),
            **self.limiting.handlers(),
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
        by = self.brakes.by(caller)
        self.chronicle.record(
            ActorKillAsked(by=by, actor=command.name, incarnation=child.incarnation)
        )
        # Not before the reply is on its way: whoever kills `control` is told that it will happen.
        self.spawn(lambda: self.crash(command.name))
        return ActorKilled(id=command.id, name=command.name, incarnation=child.incarnation)

    async def _answer_reload(self, caller: Caller, command: Command) -> Reply:
        assert isinstance(command, Reload), "the table of handlers says so"
        return await self.reload(command, self.brakes.by(caller))

    async def reload(self, command: Reload, by: By) -> Reloaded | Refused:
        """Ask the settings actor, as the socket and SIGHUP both do."""
        answer = await self._ask_settings(command, by)
        assert isinstance(answer, Reloaded | Refused), "the settings actor answers with these"
        return answer

    async def _answer_preview(self, caller: Caller, command: Command) -> Reply:
        assert isinstance(command, PreviewReload), "the table of handlers says so"
        return await self._ask_settings(command, self.brakes.by(caller))

    async def _ask_settings(self, command: Reload | PreviewReload, by: By) -> Reply:
        try:
            answer = await self._registry.ask(
                settings.NAME, settings.Asked(command, by), timeout_s=ASK_TIMEOUT_S
            )
        except (ActorDied, AskTimeout, MailboxFull) as error:
            raise unanswered(settings.NAME, error) from error
        assert isinstance(answer, Reply), "the settings actor answers with replies"
        if isinstance(answer, Reloaded):
            await self.books.follow()
        return answer

    # --- what can be seen

    def _rows(self) -> list[dict[str, object]]:
        mailboxes = {
            name: attrs.asdict(statistics)
            for name, statistics in self._registry.statistics().items()
        }
        return tree_rows(self.root, mailboxes)

    def status(self) -> dict[str, object]:
        """The document of `riskctl --json status`. Its keys are a contract."""
        return {
            "version": self.version,
            "protocol": PROTOCOL,
            "pid": self.process_id,
            "state": self.root.state.mode.value,
            "started_at": self._started_at,
            "uptime_s": round(self.clock.monotonic_s() - self._started_s, 3),
            "kill_switch": self.brakes.shown(),
            "halts": self.brakes.halts_shown(),
            "risk_signal": self.signalling.shown(),
            "workers": [],
            "accounts": self.books.shown(),
            "journal": journal_shown(self.ledger),
            "lease": self.brakes.lease_shown(),
            "canary": self.canary.shown(),
            "actors": self._rows(),
            "control": attrs.asdict(self._control.statistics()),
            "config": {
                "source": self.configuration.name,
                "digest": self.configuration.digest,
            },
            "not_built": list(NOT_BUILT),
        }


def _keep_ledger(riskd: Riskd, registry: Registry) -> Callable[..., Awaitable[None]]:
    mailbox = registry.add(keeper.NAME, capacity=64)

    async def run(_ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
        async with trio.open_nursery() as nursery:
            one = keeper.Keeper(
                riskd.ledger,
                riskd.configuration.current.journal,
                riskd.clock,
                syncs=riskd.syncs,
                chores=riskd.chores,
            )
            nursery.start_soon(one.run)
            await serve(mailbox, Quiet(keeper.NAME), task_status=task_status)

    return run
