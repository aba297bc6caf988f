"""The process `riskd run`: what it takes before it starts, how it stops, and what its end says.

It takes the configuration, the state directory and the socket, in this order, and each of them
that can't be had ends the start with an exit status and one line of its own. The first SIGTERM or
SIGINT stops the tree in order; a second one leaves it `HURRY_S`; nothing skips the order.
"""

import contextlib
import enum
import errno
import os
import platform
import resource
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

import attrs
import structlog
import trio

from ..actors.control import CommandUnavailable
from ..actors.core.access import Access
from ..actors.messages import By, DaemonStopped, Refused, Reload
from ..adapters.clock import SystemClock
from ..adapters.disk import SystemDisk
from ..adapters.disk_thread import DiskThread
from ..adapters.lease_page import MemoryLeasePage
from ..adapters.service_manager import NotifySocket, scrub
from ..config.loader import Loaded, embedded, load
from ..config.paths import PathRefused, checked_socket, default_socket, default_state_dir
from ..config.problems import ConfigInvalid
from ..config.schema import Config
from . import keeper, logs
from .books import conflicts
from .brakes import RISKD
from .compose import Riskd
from .configuration import Configuration
from .endpoint import AnotherDaemon, SocketUnusable, claim
from .journal import DirectoryUnusable, JournalError, JournalFailed, JournalHeld
from .journal.journal import SEALED_MAX
from .known import Known
from .looks import Outside
from .loop_watch import LoopWatch
from .people import group_id, names_of, user_id
from .recall import MIB, open_ledger
from .stacks import stack
from .status import only_stuck_left
from .tree import Escalated, FailedToStart, describe

HURRY_S = 1.0
"""What a second signal leaves for the rest of the stop: time to end, not to wait."""
SAFE_S = 5.0
"""How long the disk may take for the first facts and for the last. One that is well needs
milliseconds."""
FAILED_S = 1.0
"""How long a riskd whose journal has failed goes on to say so, before it ends."""
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
BY_SIGNAL = By(via="signal")
FILES_KEPT = 64 + SEALED_MAX
"""Descriptors that clients can't take: the ledger, also while its disk hangs, logs, and what a
restart opens."""


class Exit(enum.IntEnum):
    """What the end of riskd says to whoever started it. Numbers as in sysexits.h where one fits."""

    STOPPED = 0
    """Asked to stop, and did so in order."""
    FAILED_TO_START = 69
    """A part of it could not start."""
    FAULT = 70
    """Its actors failed more often than the budget allows, or riskd itself is at fault."""
    STUCK = 71
    """Something did not stop; the process ended around it."""
    UNUSABLE = 73
    """The state directory or the socket can't be used."""
    LEDGER = 74
    """The journal could not be read or written."""
    ANOTHER_DAEMON = 75
    """Another riskd has the state directory or the socket."""
    CONFIG = 78
    """The configuration is not valid."""


@attrs.frozen(kw_only=True)
class Options:
    """The command line. What it says goes before what the file says."""

    config: Path | None = None
    state_dir: Path | None = None
    socket: Path | None = None


class CannotStart(Exception):
    """What has to be there before riskd can run is not. Nothing was started."""

    def __init__(self, status: Exit, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.status = status


def run(options: Options, environment: "os._Environ[str]") -> Exit:
    """Run riskd until it is stopped. Raises CannotStart before anything has been done."""
    loaded = read_config(options.config, environment)
    access, group, people = _access(loaded)
    state_dir, path = _places(options, loaded, environment)
    places = _places_for_clients(loaded.config.control.max_clients)
    with contextlib.ExitStack() as held:
        manager = held.enter_context(NotifySocket(environment, os.getpid()))
        _check_watchdog(manager, loaded)
        scrub(environment)
        clock = SystemClock()
        known = Known()
        journal = loaded.config.journal
        page = MemoryLeasePage()
        held.callback(page.close)
        with _told_in_one_line():
            ledger = held.enter_context(
                open_ledger(
                    SystemDisk(),
                    state_dir,
                    clock,
                    known.projections(),
                    segment_bytes=journal.segment_mib * MIB,
                    durability=journal.durability,
                )
            )
            _check_books(known, loaded)
            endpoint = held.enter_context(claim(path, group))
            page_path = _linked(page, path)
        said = loaded.config.riskd
        writer = logs.configure(said.log_format, said.log_level)
        held.callback(writer.close)
        daemon = Daemon(writer=writer, manager=manager)
        ledger.on_failure = daemon.on_ledger_failed
        watch = LoopWatch(
            page,
            manager,
            structlog.get_logger("riskd.loop"),
            lag_s=loaded.config.kill_switch.loop_lag_s,
        )
        daemon.riskd = Riskd(
            configuration=Configuration(loaded, options.config, dict(environment)),
            ledger=ledger,
            known=known,
            syncs=held.enter_context(DiskThread()),
            chores=held.enter_context(DiskThread()),
            clock=clock,
            endpoint=endpoint,
            manager=manager,
            access=access,
            people=people,
            page=page,
            page_path=page_path,
            watch=held.enter_context(watch),
            outside=Outside(environment),
            version=version("riskd"),
            process_id=os.getpid(),
            python=platform.python_version(),
            places=places,
            on_stuck=daemon.on_stuck,
        )
        status = daemon.run()
        ledger.close()
        return Exit.LEDGER if ledger.failure and status is Exit.STOPPED else status


def _linked(page: MemoryLeasePage, socket: Path) -> Path:
    """Where readers find the page: beside the socket, under a name that no other socket's has."""
    path = socket.with_name(socket.name + ".lease")
    try:
        page.link(path)
    except OSError as error:
        raise SocketUnusable(path, os.strerror(error.errno or 0), "move it away") from error
    return path


@contextlib.contextmanager
def _told_in_one_line() -> Iterator[None]:
    """What has to be there and is not: whose fault, and what to do, as the error says it."""
    try:
        yield
    except (JournalHeld, AnotherDaemon) as error:
        raise CannotStart(Exit.ANOTHER_DAEMON, [str(error)]) from error
    except (DirectoryUnusable, SocketUnusable) as error:
        raise CannotStart(Exit.UNUSABLE, [str(error)]) from error
    except JournalError as error:
        raise CannotStart(Exit.LEDGER, [str(error)]) from error


def _check_books(known: Known, loaded: Loaded) -> None:
    """What riskd has counted rests on what accounts and instruments were."""
    if lines := conflicts(known.books, loaded.config, loaded.source):
        raise CannotStart(Exit.CONFIG, lines)


def _check_watchdog(manager: NotifySocket, loaded: Loaded) -> None:
    """A service manager that is less patient than a round of heartbeats would end a riskd that is
    well."""
    supervision = loaded.config.supervision
    round_s = supervision.heartbeat_interval_s + supervision.heartbeat_timeout_s
    if manager.watchdog_s is not None and manager.watchdog_s <= round_s:
        line = (
            f"the service manager's watchdog allows {manager.watchdog_s:g} s, and a round of "
            f"heartbeats may take {round_s:g} s; set WatchdogSec above that, or shorten "
            f"supervision.heartbeat_interval_s or heartbeat_timeout_s"
        )
        raise CannotStart(Exit.CONFIG, [line])


def read_config(file: Path | None, environment: Mapping[str, str]) -> Loaded:
    """The file, or what stands for none. Raises CannotStart with every problem in it."""
    try:
        return embedded() if file is None else load(file, environment)
    except ConfigInvalid as invalid:
        problems = [str(problem) for problem in invalid.problems]
        raise CannotStart(Exit.CONFIG, problems) from None


def _places(options: Options, loaded: Loaded, environment: Mapping[str, str]) -> tuple[Path, Path]:
    """The state directory and the socket: the command line, else the file, else the default."""
    said = loaded.config.riskd
    try:
        state_dir = options.state_dir or said.state_dir or default_state_dir(environment, _uid())
        socket = options.socket or said.socket or default_socket(environment, _uid())
        return Path(state_dir).absolute(), checked_socket(Path(socket).absolute())
    except PathRefused as error:
        raise CannotStart(Exit.UNUSABLE, [str(error)]) from error


def _access(loaded: Loaded) -> tuple[Access, int | None, dict[str, int]]:
    """Who may do what, the group whose members can reach the socket, and the names of all who may
    act: by what the machine calls them, what the file does, and by number."""
    security = loaded.config.security
    try:
        operators = {name: user_id(name) for name in security.operators}
        access = Access(
            own_user_id=_uid(),
            operator_user_ids=frozenset(operators.values()),
            observer_user_ids=frozenset(map(user_id, security.observers)),
        )
        group = group_id(security.group)
    except KeyError as error:
        line = f"{loaded.source}: security: {error.args[0]}; name users and groups of this machine"
        raise CannotStart(Exit.CONFIG, [line]) from None
    everyone = {0, access.own_user_id, *access.operator_user_ids}
    people = {name: number for number in sorted(everyone) for name in names_of(number)}
    return access, group, {**people, **operators}


def _too_late(_number: int, _frame: object) -> None:
    """A signal in the last moments of a stop."""


def _uid() -> int:
    return os.geteuid()


def _places_for_clients(wanted: int) -> int:
    """How many clients there is room for: each is a descriptor, and riskd needs some itself.

    With fewer descriptors than places nobody would be evicted and nobody let in: not an operator
    either. The usual soft limit was made for select(), and is raised as far as it goes.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return wanted if hard == resource.RLIM_INFINITY else max(1, min(wanted, hard - FILES_KEPT))


@attrs.define(eq=False, kw_only=True)
class Daemon:
    """Signals in, exit status out, and the tree in between."""

    writer: logs.Writer
    manager: NotifySocket
    riskd: Riskd = attrs.field(init=False)
    _nursery: trio.Nursery = attrs.field(init=False)
    _stop_reason: str | None = attrs.field(default=None, init=False)
    _is_up: bool = attrs.field(default=False, init=False)
    _may_be_ready: bool = attrs.field(default=False, init=False)

    def run(self) -> Exit:
        status = Exit.STOPPED
        try:
            trio.run(self._main)
        except* Escalated as group:
            status = self._say(Exit.FAULT, group)
        except* FailedToStart as group:
            status = self._say(Exit.FAILED_TO_START, group)
        except* JournalFailed as group:
            status = self._say(Exit.LEDGER, group)
        except* Exception as group:  # noqa: BLE001 - logged, with where it came from, and the end
            status = self._say(Exit.FAULT, group, why=describe(group), stack=stack(group))
        return status

    def _say(self, status: Exit, group: BaseExceptionGroup[BaseException], **more: object) -> Exit:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        values = {"exit_status": int(status), "why": str(error), **more}
        self._log("error", "riskd.ended", **values)
        return status

    async def _main(self) -> None:
        riskd = self.riskd
        # Below the receiver, for what comes when that is gone: it can't hasten anything any more,
        # nor may it end riskd out of order. Any thread may be the one that gets it.
        for number in SIGNALS:
            signal.signal(number, _too_late)
        # The receiver comes first: from here on no signal ends riskd out of order.
        signals = trio.open_signal_receiver(*SIGNALS)
        with signals as received:
            # What came while riskd was being built is heard now, and in order.
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            async with trio.open_nursery() as self._nursery:
                riskd.spawn = self._nursery.start_soon
                riskd.configuration.on_change = self._follow
                self._is_up = True
                self._nursery.start_soon(self._obey, received)
                riskd.record_start()
                riskd.limiting.begin()
                # Whatever the durability: without its start on the disk, a power cut would make of
                # this run one that never was, and of its kills and halts nothing at all.
                await self._make_safe("the start")
                if riskd.ledger.failure is not None:
                    raise riskd.ledger.failure
                async with trio.open_nursery() as tree:
                    await tree.start(riskd.root.run)
                    await self._settle()
                    self._ready()
                self._is_up = False
                self._nursery.cancel_scope.cancel()
            riskd.chronicle.record(DaemonStopped(reason=self._stop_reason or "ended by itself"))
            await self._make_safe("the last facts")
        self._log("info", "riskd.stopped")

    async def _make_safe(self, what: str) -> None:
        """The first facts and the last go to the disk as all others do, though no keeper runs: one
        that hangs doesn't hold the end, nor a start."""
        ledger, journal = self.riskd.ledger, self.riskd.ledger.journal
        lsn = journal.lsn
        if journal.failure is not None or journal.safe_lsn >= lsn:
            return
        sync = journal.sync()
        with trio.move_on_after(SAFE_S), contextlib.suppress(JournalFailed):
            await self.riskd.syncs.run(partial(keeper.timed, journal, sync))
            journal.synced(sync)
        if journal.safe_lsn < lsn:
            late = TimeoutError(errno.ETIMEDOUT, f"the disk did not answer within {SAFE_S:g} s")
            ledger.failed(journal.fail(f"{what} could not be synced", late))

    async def _settle(self) -> None:
        """Nobody is told that riskd is up before its start is as safe as the durability asks."""
        ledger = self.riskd.ledger
        with contextlib.suppress(JournalFailed):  # which ends riskd by a way of its own
            await ledger.settle(ledger.lsn)

    def _ready(self) -> None:
        if self._stop_reason is not None:
            self._stop()  # the signal came before there was a tree to stop
            return
        socket = str(self.riskd.endpoint.path)
        self._log("info", "riskd.ready", socket=socket, process_id=self.riskd.process_id)
        self.manager.notify("READY=1", f"MAINPID={self.riskd.process_id}", "STATUS=serving")
        self._may_be_ready = True
        if sys.stderr.isatty():
            # By the writer's thread, for a terminal may be held up as long as somebody likes.
            self.writer.write(f"riskd is up. In another terminal: riskctl --socket {socket} status")

    async def _obey(self, received: AsyncIterator[int]) -> None:
        async for number in received:
            name = signal.Signals(number).name
            if number == signal.SIGUSR1:
                self.riskd.brakes.switch.trigger(
                    by=BY_SIGNAL, cause="manual", source=name, reason=name
                )
            elif number == signal.SIGHUP:
                # On the side: a reload that hangs must not keep the next signal from being heard.
                self._nursery.start_soon(self._reload, name)
            elif self._stop_reason is None:
                self._stop_reason = name
                self._log("info", "riskd.stopping", why=name)
                self._stop()
            else:
                self._log("warning", "riskd.hurrying", why=name, within_s=HURRY_S)
                self.riskd.root.shutdown(within=HURRY_S)

    def _stop(self) -> None:
        # First of all: those who watch, and who could be told to halt, are about to end.
        self.riskd.page.seize()
        total_s = self.riskd.configuration.current.riskd.stop_timeout_s
        extend = f"EXTEND_TIMEOUT_USEC={int((total_s + 5) * 1e6)}"
        self._may_be_ready = False
        self.manager.notify("STOPPING=1", "STATUS=stopping", extend)
        self.riskd.root.shutdown(within=total_s)

    def _follow(self, config: Config) -> None:
        """What of a reload is the process's own."""
        self.writer.level = config.riskd.log_level

    async def _reload(self, name: str) -> None:
        monotonic = f"MONOTONIC_USEC={int(self.riskd.clock.monotonic_s() * 1e6)}"
        self._notify_reload("RELOADING=1", monotonic)
        try:
            reply = await self.riskd.reload(Reload(), BY_SIGNAL)
        except CommandUnavailable as error:
            self._log("error", "config.not_reloaded", why=str(error), asked_by=name)
        else:
            if isinstance(reply, Refused):
                self._log("error", "config.not_reloaded", why=reply.message, asked_by=name)
        self._notify_reload("READY=1")

    def _notify_reload(self, *lines: str) -> None:
        """A reload makes riskd ready again, but not before it was, nor once it stops."""
        if self._may_be_ready:
            self.manager.notify(*lines)

    def on_ledger_failed(self, failure: JournalFailed) -> None:
        """Nothing can be remembered any more: say so for a moment to whoever asks, then end."""
        # On a full disk the journal has kept room for this fact; else it is in force unwritten.
        self.riskd.brakes.switch.trigger(
            by=RISKD, cause="disk", source="journal", reason=str(failure)
        )
        self._log("error", "ledger.failed", why=str(failure))
        self.manager.notify("STATUS=the journal has failed; ending")
        if self._is_up:
            self._nursery.start_soon(self._end_for_ledger)

    async def _end_for_ledger(self) -> None:
        await trio.sleep(FAILED_S)
        if self._stop_reason is None:
            self._stop_reason = "the journal has failed"
            self._stop()

    def on_stuck(self, path: str, stack: Sequence[str]) -> None:
        """Something swallows its cancellation. The rest is stopped in order, then the process."""
        self._log("error", "actor.stuck", actor=path, stack=list(stack))
        self.riskd.brakes.switch.trigger(
            by=RISKD, cause="watchdog", source="supervision", reason=f"{path} is stuck"
        )
        self._stop_reason = self._stop_reason or f"{path} is stuck"
        self.riskd.root.shutdown()
        self._nursery.start_soon(self._end_around_it)

    async def _end_around_it(self) -> None:
        total_s = self.riskd.configuration.current.riskd.stop_timeout_s
        with trio.move_on_after(total_s + HURRY_S):
            # A tree has no event for "only what is stuck is left", and this is its last second.
            while not only_stuck_left(self.riskd.root):  # noqa: ASYNC110 - see above
                await trio.sleep(0.05)
        self._log("error", "riskd.ended", exit_status=int(Exit.STUCK), why=self._stop_reason)
        self.riskd.endpoint.release()
        self.writer.close()
        os._exit(Exit.STUCK)

    def _log(self, level: str, event: str, **values: object) -> None:
        getattr(structlog.get_logger("riskd"), level)(event, **values)
