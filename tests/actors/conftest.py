"""Doubles for tests of the control socket: a served Control, a client that speaks lines, a log, and
a history in memory."""

import json
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, cast

import attrs
import msgspec
import pytest
import trio
from riskd.actors import control as module
from riskd.actors.control import (
    CommandRefused,
    CommandUnavailable,
    CommandUnconfirmed,
    Control,
    Handler,
)
from riskd.actors.core.access import Access, Caller, Peer, Tokens
from riskd.actors.messages import (
    ActorKilled,
    Actors,
    ActorsAre,
    ActorSilent,
    Command,
    Fact,
    KillActor,
    Status,
    StatusIs,
    Version,
    VersionIs,
)
from riskd.actors.ports import FeedLost
from structlog.typing import FilteringBoundLogger

OBSERVER = 4242
SAFETY_S = 30.0
"""Never reached by a test that passes; a test that would hang fails instead."""


@attrs.frozen
class Limits:
    max_clients: int = 1000
    max_line_bytes: int = 65_536
    send_timeout_s: float = 10.0


class Log:
    """Keeps the events, and wakes who waits for one."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._news = trio.Event()

    def _keep(self, event: str, **values: Any) -> None:
        self.events.append((event, values))
        self._news.set()
        self._news = trio.Event()

    debug = warning = error = _keep

    def of(self, event: str) -> list[dict[str, Any]]:
        return [values for name, values in self.events if name == event]

    async def heard(self, event: str) -> dict[str, Any]:
        while not self.of(event):
            await self._news.wait()
        return self.of(event)[0]


class MemoryFeed:
    """A Feed whose facts are in memory."""

    def __init__(self) -> None:
        self.oldest = 1
        self.failure: Exception | None = None
        self.stored: list[bytes] = []
        self.followers: list[MemoryFollower] = []
        self._news = trio.Event()

    @property
    def lsn(self) -> int:
        return len(self.stored)

    async def oldest_lsn(self) -> int:
        await trio.lowlevel.checkpoint()
        if self.failure is not None:
            raise self.failure
        return self.oldest

    def follow(self, after_lsn: int) -> "MemoryFollower":
        self.followers.append(MemoryFollower(self, after_lsn))
        return self.followers[-1]

    def add(self, count: int = 1, fact: Fact | None = None) -> None:
        """So many more facts, each of a few hundred bytes and none like another."""
        for _ in range(count):
            lsn = self.lsn + 1
            added = fact or ActorSilent(actor=f"actor-{lsn}" + "é" * (lsn % 97), deadline_s=lsn)
            document = {"lsn": lsn, "at": "2026-01-02T03:04:05Z", "monotonic_s": 1.5, "fact": added}
            self.stored.append(msgspec.json.encode(document))
        self.wake()

    def fail(self, failure: Exception | None) -> None:
        self.failure = failure
        self.wake()

    def wake(self) -> None:
        self._news.set()
        self._news = trio.Event()

    async def news(self) -> None:
        await self._news.wait()


@attrs.define
class MemoryFollower:
    feed: MemoryFeed
    lsn: int
    calls: int = 0
    closed: bool = False

    async def next(self, *, bytes_max: int) -> Sequence[tuple[int, bytes]]:
        self.calls += 1
        while self.feed.failure is None and self.lsn == self.feed.lsn:
            await self.feed.news()
        if self.feed.failure is not None:
            raise self.feed.failure
        if self.lsn + 1 < self.feed.oldest:
            raise FeedLost(f"fact {self.lsn + 1} is gone")
        batch: list[tuple[int, bytes]] = []
        for stored in self.feed.stored[self.lsn :]:
            bytes_max -= len(stored)
            if batch and bytes_max < 0:
                break
            self.lsn += 1
            batch.append((self.lsn, stored))
        return batch

    async def aclose(self) -> None:
        self.closed = True


@attrs.frozen
class Context:
    cleanup_s: float = 1.0

    def cleanup(self) -> trio.CancelScope:
        return trio.CancelScope(shield=True, deadline=trio.current_time() + self.cleanup_s)


async def answer_version(caller: Caller, command: Version) -> VersionIs:
    return VersionIs(version="9", protocol=1, python="3")


async def answer_status(caller: Caller, command: Status) -> StatusIs:
    return StatusIs(status={"role": str(caller.role)})


async def answer_actors(caller: Caller, command: Actors) -> ActorsAre:
    return ActorsAre(actors=[{"blob": "x" * 1000}] * 1000)


async def answer_kill(caller: Caller, command: KillActor) -> ActorKilled:
    if command.name == "bug":
        raise RuntimeError("a secret detail")
    if command.name == "away":
        raise CommandUnavailable("the gate is restarting")
    if command.name == "hanging":
        raise CommandUnconfirmed("the gate does not answer")
    if command.name != "gate":
        raise CommandRefused("no_such_actor", f"no actor {command.name}", ["known: gate"])
    return ActorKilled(name=command.name, incarnation=3)


HANDLERS: Mapping[type[Command], Handler] = {
    Version: answer_version,
    Status: answer_status,
    Actors: answer_actors,
    KillActor: answer_kill,
}


class Talker:
    """A client that reads and writes lines."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._received = bytearray()

    async def send(self, *lines: bytes) -> None:
        await self.stream.send_all(b"".join(line + b"\n" for line in lines))

    async def line(self) -> dict[str, Any] | None:
        """The next reply, or None at the end."""
        while b"\n" not in self._received:
            try:
                chunk = await self.stream.receive_some()
            except trio.BrokenResourceError:
                chunk = b""
            if not chunk:
                assert not self._received, "the connection ended in the middle of a reply"
                return None
            self._received += chunk
        line, _, self._received = self._received.partition(b"\n")
        return cast("dict[str, Any]", json.loads(line))

    async def ask(self, line: bytes) -> dict[str, Any]:
        await self.send(line)
        reply = await self.line()
        assert reply is not None
        return reply


@attrs.frozen
class Served:
    control: Control
    place: Path
    log: Log
    tokens: Tokens
    feed: MemoryFeed
    context: Context
    scope: trio.CancelScope
    ended: trio.Event
    at_the_end: ExitStack

    async def connect(self) -> Talker:
        return self.adopt(await trio.open_unix_socket(self.place))

    def adopt(self, stream: trio.SocketStream) -> Talker:
        self.at_the_end.callback(stream.socket.close)
        return Talker(stream)

    async def stop(self) -> None:
        self.scope.cancel()
        await self.ended.wait()


@contextmanager
def listening() -> Iterator[tuple[socket.socket, Path]]:
    with tempfile.TemporaryDirectory(prefix="r") as directory:
        place = Path(directory) / "s"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(place))
            listener.listen(512)
            yield listener, place


def build(
    listeners: Sequence[socket.socket],
    handlers: Mapping[type[Command], Handler] | None = None,
    feed: MemoryFeed | None = None,
    urgent: Collection[type[Command]] = (),
    **limits: Any,
) -> tuple[Control, Log, Tokens]:
    log, tokens = Log(), Tokens()
    control = Control(
        listeners,
        Limits(**limits),
        Access(os.getuid(), observer_user_ids={OBSERVER}),
        {**HANDLERS, **(handlers or {})},
        cast("FilteringBoundLogger", log),
        feed=feed or MemoryFeed(),
        tokens=tokens,
        version="9",
        urgent=urgent,
    )
    return control, log, tokens


@asynccontextmanager
async def served(
    handlers: Mapping[type[Command], Handler] | None = None,
    cleanup_s: float = 1.0,
    feed: MemoryFeed | None = None,
    **limits: Any,
) -> AsyncIterator[Served]:
    with listening() as (listener, place), ExitStack() as at_the_end, trio.fail_after(SAFETY_S):
        feed = feed or MemoryFeed()
        control, log, tokens = build([listener], handlers, feed, **limits)
        context, scope, ended = Context(cleanup_s), trio.CancelScope(), trio.Event()

        async def serve(*, task_status: trio.TaskStatus[None]) -> None:
            with scope:
                await control.serve(context, task_status=task_status)
            ended.set()

        async with trio.open_nursery() as nursery:
            await nursery.start(serve)
            yield Served(control, place, log, tokens, feed, context, scope, ended, at_the_end)
            scope.cancel()


@pytest.fixture(scope="session")
def serving() -> Callable[..., AbstractAsyncContextManager[Served]]:
    """`async with serving(handlers=…, cleanup_s=…, max_clients=…) as served`."""
    return served


@pytest.fixture(scope="session")
def built() -> Callable[..., tuple[Control, Log, Tokens]]:
    """A Control that nobody serves, with its log and its tokens."""
    return build


@pytest.fixture
def context() -> Context:
    """What a supervisor would give to its child."""
    return Context()


@pytest.fixture
def seen_as(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """The kernel's word about the next connections; the last one holds from then on."""

    def see(*user_ids: int) -> None:
        coming = list(user_ids)

        def peer(_: object) -> Peer:
            user_id = coming.pop(0) if len(coming) > 1 else coming[0]
            return Peer(user_id=user_id, group_id=user_id, process_id=77)

        monkeypatch.setattr(module, "_peer", peer)

    return see
