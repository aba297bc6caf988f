"""Limits that are watched while riskd lives, on a machine that may lose its process in the middle
of anything."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import msgspec
import pytest
import structlog
import trio
from riskd.actors.core.access import Caller, Launch, Peer, Role
from riskd.actors.core.books import Books
from riskd.actors.core.gate.asked import Identity
from riskd.actors.core.gate.decision import Knowledge
from riskd.actors.core.gate.ruleset import Ruleset
from riskd.actors.core.gate.told import rise, told
from riskd.actors.core.gate.watched import Watched
from riskd.actors.core.halts import strictest
from riskd.actors.mailbox import Registry
from riskd.actors.messages import (
    AccountOpened,
    Booked,
    DaemonStarted,
    Edge,
    Fact,
    InstrumentListed,
    Listing,
    Recorded,
    Reply,
    SessionClockSet,
    VenueSays,
)
from riskd.actors.messages.book import AnyEvent, Fill, Mark, Tick
from riskd.adapters.simulated_disk import Operation, SimulatedDisk, SimulatedOffload
from riskd.config.loader import embedded
from riskd.config.schema import Journal
from riskd.supervisor.brakes import Brakes
from riskd.supervisor.chronicle import Chronicle
from riskd.supervisor.configuration import Configuration
from riskd.supervisor.keeper import Keeper
from riskd.supervisor.known import Known
from riskd.supervisor.ledger import Ledger
from riskd.supervisor.limit_watching import LimitWatching
from riskd.supervisor.looks import Outside
from riskd.supervisor.loop_watch import LoopWatch
from riskd.supervisor.recall import open_ledger
from riskd.supervisor.tree import ChildSpec
from trio.testing import MockClock

STATE = Path("/state")
EVENING = datetime(2026, 3, 4, 23, 58, tzinfo=UTC)
"""Two minutes before the session's reset."""
MANY = 1_000_000
QUIET = Journal(snapshot_facts=1_000_000, slow_sync_ms=60_000, free_mib=0)


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
class Clock:
    """The time of the loop, and all that went by before it."""

    before_s: float = 0.0

    def monotonic_s(self) -> float:
        return self.before_s + (trio.current_time() if trio.lowlevel.in_trio_run() else 0.0)

    def now(self) -> datetime:
        return EVENING + timedelta(seconds=self.monotonic_s())

    def boot(self) -> str:
        return "boot"


class Limits:
    """The projection that holds rules, what they remember, and what was told of them."""

    name = "limits"
    version = 1

    def __init__(self, books: Books, rules: Iterable[Any]) -> None:
        self.books = books
        self.rules = Ruleset(rules)
        self.doubt: str | None = None
        self.load(None)

    def apply(self, recorded: Recorded) -> None:
        seen = told(recorded, self.books)
        for judge in self.rules.judges:
            if seen is not None and judge.id in self.memories and judge.scope in seen.scopes:
                self.memories[judge.id].saw(seen)
        rise(recorded, self.books, self.memories)
        self.watched.apply(recorded)

    def dump(self) -> list[bytes]:
        memories = {one: memory.dump() for one, memory in self.memories.items()}
        return [msgspec.json.encode((memories, self.watched.dump()))]

    def load(self, state: bytes | None) -> None:
        memories = {judge.id: judge.memory() for judge in self.rules.judges}
        self.memories: dict[str, Any] = {one: m for one, m in memories.items() if m is not None}
        self.watched = Watched()
        if state is not None:
            dumped, watched = msgspec.json.decode(state)
            for one, each in dumped.items():
                self.memories[one].load(each)
            self.watched.load(watched)


class Witness:
    """Every fact, in order."""

    name = "witness"
    version = 1

    def __init__(self) -> None:
        self.facts: list[Fact] = []

    def apply(self, recorded: Recorded) -> None:
        self.facts.append(recorded.fact)

    def dump(self) -> list[bytes]:
        return [b"[]"]

    def load(self, state: bytes | None) -> None:
        self.facts = []


class Page:
    """What readers would see."""

    def __init__(self) -> None:
        self.says: dict[str, str] = {"all": "halt"}
        self.epoch = 0

    def fence(self) -> None:
        self.says = {"all": "halt"}

    def publish(self, modes: Any, epoch: int) -> None:
        self.says, self.epoch = dict(modes), epoch


@attrs.define(eq=False)
class Life:
    """One process of riskd."""

    ledger: Ledger
    books: Books
    limits: Limits
    brakes: Brakes
    page: Page
    witness: Witness
    watching: LimitWatching
    watch: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    def make(self, *facts: Fact) -> None:
        self.ledger.commit(*facts)

    def book(self, event: AnyEvent, account: str | None = "main") -> None:
        at = self.brakes.clock.now().isoformat()
        self.make(Booked(account=account, event=msgspec.structs.replace(event, ts=at)))

    def mark(self, price: Any, symbol: str = "L") -> None:
        self.book(Mark(symbol=symbol, price=Decimal(price)), account=None)

    def trade(self, qty: int, price: Any, symbol: str = "L", account: str = "main") -> None:
        side: Any = "buy" if qty > 0 else "sell"
        fill = Fill(
            id=f"{self.ledger.lsn}", symbol=symbol, side=side, qty=Decimal(abs(qty)),
            price=Decimal(price),
        )  # fmt: skip
        self.book(fill, account=account)

    def told(self, *kinds: type[Fact]) -> list[Any]:
        return [fact for fact in self.witness.facts if isinstance(fact, kinds)]

    @property
    def halts(self) -> dict[str, str]:
        """The strictest of each scope, by the facts."""
        return dict(strictest(self.brakes.halts.now))

    async def edge(self, strategy: str, bps: str, *, worker: str | None = None) -> Reply:
        command = Edge(strategy=strategy, bps=bps)
        return await self.watching.handlers()[Edge](_caller(worker), command)

    async def venue(self, account: str, *, worker: str | None = None, **more: Any) -> Reply:
        command = VenueSays(account=account, **more)
        return await self.watching.handlers()[VenueSays](_caller(worker), command)


def _caller(worker: str | None) -> Caller:
    role = Role.OPERATOR if worker is None else Role.WORKER
    launch = None if worker is None else Launch(worker, b"")
    return Caller(peer=Peer(7, 1000, 1000), role=role, launch=launch)


@attrs.define(eq=False)
class Host:
    """A machine on whose disk riskd lives again and again, with these rules."""

    rules: tuple[Any, ...]
    disk: MortalDisk = attrs.field(factory=lambda: MortalDisk(1))
    scopes: Sequence[str] = ()
    """Of the risk signal."""
    signal: Callable[[str, float], Fact | None] = lambda _scope, _now_s: None
    clock: Clock = attrs.field(factory=Clock)

    def run(self, script: Callable[[Life], Awaitable[None]]) -> bool:
        """One life, to the end of the script. False: it died before."""
        loop, has_lived = MockClock(autojump_threshold=0.0), True
        began_s = loop.current_time()
        try:
            trio.run(self._live, script, clock=loop)
        except* Gone:
            self.disk.crash()
            has_lived = False
        finally:
            self.clock.before_s += loop.current_time() - began_s + 1.0
            self.disk.left = MANY
        return has_lived

    async def _live(self, script: Callable[[Life], Awaitable[None]]) -> None:
        async with self.life() as life:
            await script(life)

    @asynccontextmanager
    async def life(self) -> AsyncIterator[Life]:
        known, page, witness = Known(), Page(), Witness()
        limits = Limits(known.books, self.rules)
        projections = (*known.projections(), limits, witness)
        with open_ledger(
            self.disk, STATE, self.clock, projections, segment_bytes=262_144
        ) as ledger:
            life = self._begin(ledger, known, limits, page, witness)
            life.brakes.switch.publish()
            syncs, chores = SimulatedOffload(self.disk), SimulatedOffload(self.disk)
            keeper = Keeper(ledger, QUIET, self.clock, syncs=syncs, chores=chores)
            with trio.fail_after(1_000_000):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(keeper.run)
                    for spec in life.brakes.first():
                        await nursery.start(self._child, spec)
                    await nursery.start(self._watched, life)
                    yield life
                    nursery.cancel_scope.cancel()

    def _begin(
        self, ledger: Ledger, known: Known, limits: Limits, page: Page, witness: Witness
    ) -> Life:
        chronicle = Chronicle(ledger)
        loaded = embedded()
        brakes = Brakes(
            chronicle=chronicle,
            halts=known.halts,
            page=page,
            page_path=STATE / "page",
            clock=self.clock,
            configuration=Configuration(loaded, None, {}),
            registry=Registry(chronicle.record),
            watch=LoopWatch(page, SimpleNamespace(), structlog.get_logger(), lag_s=2.0),
            outside=Outside({}),
            people={"alice": 1000},
        )  # fmt: skip
        watching = LimitWatching(
            halting=brakes.switch,
            record=chronicle.record,
            publish=brakes.switch.publish,
            clock=self.clock,
            known=lambda: Knowledge(
                books=known.books, rules=limits.rules, memories=limits.memories, is_active=True,
                modes={}, on_excess="block", doubt=limits.doubt or chronicle.doubt(),
            ),
            watched=lambda: limits.watched,
            scopes=lambda touched: self.scopes if touched is None else (),
            signal=self.signal,
            session_end=brakes.session_end,
            news=ledger.news,
            registry=brakes.registry,
            identity={
                "mm-1": Identity("mm-1", "main", "mm"), "of-none": Identity("of-none"),
            }.get,
        )  # fmt: skip
        life = Life(ledger, known.books, limits, brakes, page, witness, watching)
        life.make(
            DaemonStarted(
                version="1", process_id=1, boot="boot", config_source="", config_digest=""
            )
        )
        if not known.books.accounts:
            self._open(life)
        return life

    def _open(self, life: Life) -> None:
        clock = b'{"type":"session_clock_set","tz":"UTC","reset":"00:00","week_start":"monday"}'
        life.make(msgspec.json.decode(clock, type=SessionClockSet))
        for symbol in ("L", "M"):
            one = Listing(
                symbol=symbol, kind="linear", multiplier=Decimal(1), quote="USD", settle="USD"
            )
            life.make(InstrumentListed(listing=one))
        for account in ("main", "other"):
            life.make(
                AccountOpened(
                    account=account, currency="USD", balance=Decimal(1_000), exchange="sim"
                )
            )
            life.book(Tick(), account=account)

    @staticmethod
    async def _child(spec: ChildSpec, *, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
        await spec.run(None, task_status=task_status)

    async def _watched(self, life: Life, *, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
        """Again and again, as its supervisor would."""
        while True:
            with trio.CancelScope() as life.watch:
                await life.watching.child().run(None, task_status=task_status)
            task_status = trio.TASK_STATUS_IGNORED


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with contextlib.ExitStack() as stack:
        stack.callback(structlog.configure, **before)
        yield


@pytest.fixture
def hosts() -> Callable[..., Host]:
    """One with these rules."""
    return lambda *rules: Host(rules)
