"""How long trading goes on once a trigger has come: to the word in the page, and by the socket.

The word is looked at in a reader's own mapping of the page. The peer is the least that a halt can
be: a record written, and a word stored in shared memory. The peer of a trigger beside a crowd is
the same riskd when nobody else is there.
"""

import contextlib
import mmap
import os
import selectors
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from ctypes import c_ulonglong
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import cast

import attrs
import structlog
import trio

from ...actors.control import Handler
from ...actors.core import lease as layout
from ...actors.core.access import Caller, Peer, Role
from ...actors.core.halts import Halts
from ...actors.kill_switch import KillSwitch
from ...actors.mailbox import Mailbox
from ...actors.messages import (
    By,
    Command,
    CompleteRecovery,
    Freeze,
    Halt,
    Mode,
    Recover,
    SwitchIs,
    Trigger,
    UntilOperator,
)
from ...actors.switchboard import Switchboard
from ...adapters.client import Client
from ...adapters.clock import SystemClock
from ...adapters.disk import SystemDisk
from ...adapters.lease_page import MemoryLeasePage
from ...supervisor import logs
from ...supervisor.chronicle import Chronicle
from ...supervisor.known import Known
from ...supervisor.ledger import Ledger
from ...supervisor.recall import open_ledger
from .lease import READERS, look
from .ledgers import payload, preallocated
from .processes import CHUNK_BYTES, PATIENCE_S, Broken, Daemon, connected, neighbour, placed
from .restart import ignore
from .results import MS, US, Figure, Promise, Result, latency, timed, warm_up

WORD_US_MAX = 100.0
ROUND_TRIP_MS_MAX = 5.0
HALTS = (0, 100, 900)
"""In force already."""
HALTS_PROMISED_MAX = 100
CROWD = 16
"""Clients who ask for something else."""
COMMANDS_PER_S = 10_000
TICK_S = 0.0005
LINES = b'{"type":"version"}\n' * 7 + b'{"type":"status"}\n'
LINES_COUNT = LINES.count(b"\n")
WAITING_MAX = 100
"""Of one client's commands, unanswered."""
ROUNDS = 5
SPARE_BYTES = 1 << 16
ALL = Trigger(reason="boo")


def measure(n: int, *, readers: int = READERS, crowd: int = CROWD) -> list[Result]:
    with tempfile.TemporaryDirectory(prefix="riskd-") as place:
        path = Path(place, "lease")
        page = Watched(path)
        with neighbour(look, path, readers):
            results = trio.run(_measure_word, n, page, Path(place), readers)
        page.close()
    return [*results, *_measure_socket(max(1, n // 5), crowd)]


# --- to the word in the page ----------------------------------------------------------------------


class Watched(MemoryLeasePage):
    """Notes when a mapping of its own first shows that a halt has come."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.link(path)
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), layout.PAGE_BYTES, mmap.MAP_SHARED, mmap.PROT_READ)
        self._mapped = memoryview(mapped).cast("Q")
        self._known = 0
        self.shown_s: float | None = None

    def watch(self) -> None:
        """What the page shows now is no halt; whatever it shows instead is."""
        self._known = self._mapped[layout.AT_GENERATION]
        if self._known % 2:
            raise Broken("the page is shut before anybody asked for it")
        self.shown_s = None

    def fence(self) -> None:
        super().fence()
        self._look()

    def publish(self, modes: Mapping[str, Mode], epoch: int) -> None:
        super().publish(modes, epoch)
        self._look()

    def _look(self) -> None:
        if self.shown_s is None and self._mapped[layout.AT_GENERATION] != self._known:
            self.shown_s = time.perf_counter()


@attrs.define(eq=False)
class Bench:
    """The kill switch of riskd with its ledger, and the page that is watched."""

    ledger: Ledger
    halts: Halts
    page: Watched
    switch: KillSwitch = attrs.field(init=False)
    handlers: dict[type[Command], Handler] = attrs.field(init=False)
    _caller: Caller = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        chronicle = Chronicle(self.ledger)
        nobody = Mailbox("recovery", record=ignore, capacity=1)
        self.switch = KillSwitch(
            halts=self.halts,
            record=chronicle.record,
            page=self.page,
            clock=SystemClock(),
            doubt=chronicle.doubt,
            recovery=nobody,
            lsn=lambda: self.ledger.lsn,
        )
        self.handlers = Switchboard(
            switch=self.switch,
            recovery=nobody,
            session_end=SystemClock().now,
            people={},
            shown=dict,
        ).handlers()
        peer = Peer(user_id=os.geteuid(), group_id=os.getegid(), process_id=os.getpid())
        self._caller = Caller(peer, Role.OPERATOR)

    def halted(self, scopes: int) -> bytes:
        """A state in which so many are halted, and nothing else."""
        self.halts.load(None)
        for number in range(scopes):
            halt = Halt(
                scope=f"symbol:S{number}",
                mode="halt",
                cause="manual",
                source="operator",
                reason="boo",
                until=UntilOperator(),
            )
            self.switch.halt(halt, by=By(via="riskd"))
        return b"".join(self.halts.dump())

    async def sample(self, state: bytes, command: Trigger | Freeze) -> tuple[float, float]:
        """Carry it out in this state: how long until the page shows it, and until the answer."""
        self.halts.load(state)
        self.switch.publish()
        self.page.watch()
        began_s = time.perf_counter()
        await self.handlers[type(command)](self._caller, command)
        answered_s = time.perf_counter()
        if self.page.shown_s is None:
            raise Broken("a halt was answered, and the page doesn't show it")
        return self.page.shown_s - began_s, answered_s - began_s


async def _measure_word(n: int, page: Watched, place: Path, readers: int) -> list[Result]:
    known = Known()
    with (
        open_ledger(SystemDisk(), place / "state", SystemClock(), known.projections()) as ledger,
        preallocated(place / "bare", SPARE_BYTES) as descriptor,
        _log(place / "log"),
    ):
        bench = Bench(ledger, known.halts, page)
        store, record = _storing(), _recording(descriptor)
        results = await _of_everything(n, bench, store, record, readers)
        for halts in HALTS:
            results.append(await _of_a_scope(n, bench, store, halts))
    return results


async def _of_everything(
    n: int,
    bench: Bench,
    store: Callable[[], object],
    record: Callable[[], object],
    readers: int,
) -> list[Result]:
    fresh = bench.halted(0)
    mine = [await bench.sample(fresh, ALL) for _ in range(warm_up(n) + n)][-n:]
    return [
        _word(f"trigger to the halt word, {readers} readers", [shown for shown, _ in mine], store),
        Result(
            name="trigger to its answer, with the fact in the journal",
            n=n,
            figure=latency([answered for _, answered in mine], US),
            peer_name="bare pwrite and a store",
            peer=latency([timed(record)() for _ in range(n)], US),
        ),
    ]


async def _of_a_scope(n: int, bench: Bench, store: Callable[[], object], halts: int) -> Result:
    state, freeze = bench.halted(halts), Freeze(scope="account:main", reason="boo")
    samples = [await bench.sample(state, freeze) for _ in range(warm_up(n) + n)][-n:]
    name = f"freeze of one scope to its word, beside {halts} others"
    word = _word(name, [shown for shown, _ in samples], store)
    return word if halts <= HALTS_PROMISED_MAX else attrs.evolve(word, promise=None)


def _word(name: str, samples: Sequence[float], store: Callable[[], object]) -> Result:
    figure = latency(samples, US)
    return Result(
        name=name,
        n=len(samples),
        figure=figure,
        peer_name="one store",
        peer=latency([timed(store)() for _ in samples], US),
        promise=_p99(WORD_US_MAX, figure),
    )


def _p99(limit: float, figure: Figure) -> Promise:
    assert figure.p99 is not None, "made of samples"
    return Promise(f"p99 at most {limit:g} {figure.unit}", figure.p99 <= limit)


def _storing() -> Callable[[], object]:
    words = memoryview(mmap.mmap(-1, layout.PAGE_BYTES)).cast("Q")
    return partial(words.__setitem__, layout.AT_GENERATION, 1)


def _recording(descriptor: int) -> Callable[[], object]:
    data, store = payload(1), _storing()

    def record() -> None:
        os.pwrite(descriptor, data, 0)
        store()

    return record


@contextlib.contextmanager
def _log(path: Path) -> Iterator[None]:
    """riskd's own, which every halt is told to."""
    with path.open("w") as stream:
        writer = logs.configure("json", "info", stream)
        try:
            yield
        finally:
            writer.close()
            structlog.reset_defaults()


# --- over the socket ------------------------------------------------------------------------------


def _measure_socket(n: int, crowd: int) -> list[Result]:
    with placed() as daemon:
        daemon.start("[kill_switch]\ncooldown_s = 0\n")
        daemon.wait_answering()
        results = [
            _beside(n, daemon, f"{COMMANDS_PER_S:,} commands/s", crowd, COMMANDS_PER_S),
            _beside(n, daemon, f"{crowd} clients that never stop asking", crowd, None),
        ]
        daemon.stop()
    return results


def _beside(n: int, daemon: Daemon, name: str, crowd: int, per_s: int | None) -> Result:
    """Quiet and crowded by turns."""
    quiet: list[float] = []
    crowded: list[float] = []
    asked, took_s = 0, 0.0
    for _ in range(ROUNDS):
        quiet += [_round_trip(daemon) for _ in range(-(-n // ROUNDS))]
        with neighbour(ask, daemon.socket, crowd, per_s) as answered:
            before, began_s = answered.value, time.perf_counter()
            crowded += [_round_trip(daemon) for _ in range(-(-n // ROUNDS))]
            asked, took_s = asked + answered.value - before, took_s + time.perf_counter() - began_s
    figure = latency(crowded, MS)
    promise = None if per_s is None else _p99(ROUND_TRIP_MS_MAX, figure)
    return Result(
        name=f"trigger over the socket beside {name}",
        n=len(crowded),
        figure=figure,
        peer_name="quiet",
        peer=latency(quiet, MS),
        promise=promise,
        note=f"{asked / took_s:,.0f} others were answered in a second",
    )


def _round_trip(daemon: Daemon) -> float:
    """Of a trigger, by somebody who has just come. Then all is as it was."""
    began_s = time.perf_counter()
    with Client(daemon.socket, timeout_s=PATIENCE_S) as client:
        reply = client.ask(ALL)
        took_s = time.perf_counter() - began_s
        if not isinstance(reply, SwitchIs) or not reply.changed:
            raise Broken(f"riskd answered a trigger with {reply}")
        for command in (Recover(approved_by="bench"), CompleteRecovery()):
            reply = client.ask(command)
            if not isinstance(reply, SwitchIs) or not reply.changed:
                raise Broken(f"riskd answered {command} with {reply}")
    return took_s


def ask(answered: c_ulonglong, path: Path, clients: int, per_s: int | None) -> None:
    """Version mostly, and status, so many in a second; None: as many as there are answers."""
    with contextlib.ExitStack() as held, selectors.DefaultSelector() as readable:
        waiting = {held.enter_context(connected(path)): 0 for _ in range(clients)}
        for connection in waiting:
            readable.register(connection, selectors.EVENT_READ)
        asked, began_s = 0, time.perf_counter()
        for connection in cycle(waiting):
            passed_s = time.perf_counter() - began_s
            is_due = per_s is None or asked < per_s * passed_s
            if is_due and waiting[connection] < WAITING_MAX:
                connection.sendall(LINES)
                waiting[connection] += LINES_COUNT
                asked += LINES_COUNT
            for key, _ in readable.select(0 if is_due else TICK_S):
                other = cast("socket.socket", key.fileobj)
                replies = other.recv(CHUNK_BYTES).count(b"\n")
                waiting[other] -= replies
                answered.value += replies
