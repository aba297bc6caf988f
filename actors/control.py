"""The control socket: who calls is known, what is asked is bounded, and nobody loses by another.

Each client has one task, which reads a chunk, answers each line of it in order and sends the
replies together. So a client that sends faster than riskd answers waits in its own socket buffer,
and what riskd holds for it is one unfinished line and one batch of replies.

A subscriber has a second task, which reads facts from the feed and sends them. Both put whole lines
into `unsent` and take turns in sending them, so that a reply never comes in the middle of a fact.
It asks the feed for more only once the socket has taken what it had: a subscriber that is slow
costs one batch of facts, and what it lacks waits on the disk.

What happens beyond each bound:

* a line over `max_line_bytes`: `line_too_long`, and that connection is closed;
* a client that reads nothing for `send_timeout_s` while something waits for it: its connection is
  closed, and a subscriber comes back for what it lacks;
* more than `max_clients`: whoever has been silent the longest gives up its place (see
  `core.access.yields_to`), or the newcomer is turned away;
* no descriptor left to accept with: accepting pauses, those who are connected are served;
* more commands than there is time for: they wait for each other (see `turns`), and those that stop
  trading wait for none of them;
* log events that clients can cause at will: one a second of each kind, with a count of the rest.

The listening sockets belong to whoever made them. They outlive this actor, so that a client which
connects during its restart waits a moment instead of being refused.
"""

import errno
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing, suppress
from functools import partial
from typing import Any, Protocol

import attrs
import msgspec
import trio
from structlog.typing import FilteringBoundLogger

from .attended import Gone, attended
from .core.access import Access, Caller, Denied, Peer, Tokens, admit, greet, permit, yields_to
from .core.subscription import Subscription, unknown_fact
from .core.wire import ErrorCode, Lines, LineTooLong, blank, parse
from .mailbox import ActorDied, AskTimeout, MailboxFull
from .messages import (
    Command,
    Error,
    Hello,
    MessageId,
    Refused,
    Reply,
    Subscribe,
    Subscribed,
    Welcome,
)
from .ports import Feed, FeedLost, Follower
from .turns import Turns

CHUNK_BYTES = 65_536
"""One read, the largest that a client gets before its replies are sent."""
FLUSH_BYTES = 65_536
"""Replies beyond this are sent before the next command is looked at."""
PUSH_BYTES = 32_768
"""So much is read of the feed at once, and so much of it is made lines before they are sent."""
TURN_LINES = 32
"""After so many lines of one client everybody else gets a turn."""
ACCEPT_PAUSE_S = 0.1
"""How long accepting pauses without descriptors: short for a person, an age for the loop."""
LOG_INTERVAL_S = 1.0

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_CREDENTIALS = struct.Struct("iII")

Handler = Callable[[Caller, Any], Awaitable[Reply]]
"""Carries out one command. The reply's id is filled in by `Control`.

It raises CommandRefused or CommandUnavailable; anything else is a bug, which is logged with its
traceback and answered with `internal`. It doesn't crash the actor, for then one command that hits a
bug would cut off every client, the operators who could stop trading among them.
"""


class CommandRefused(Exception):
    """Understood, and no. Nothing was changed."""

    def __init__(self, code: str, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.problems = list(problems)


class CommandUnavailable(Exception):
    """Whoever would carry this out is not there now. Nothing was changed; try again."""


class CommandUnconfirmed(CommandUnavailable):
    """It was begun, and nobody knows how far it came. It may still be carried out."""


def unanswered(actor: str, error: ActorDied | AskTimeout | MailboxFull) -> CommandUnavailable:
    """What is said of a command when the actor that carries it out doesn't answer."""
    is_begun = not isinstance(error, MailboxFull) and error.begun
    return (CommandUnconfirmed if is_begun else CommandUnavailable)(f"{actor}: {error}")


class Limits(Protocol):
    """What the configuration's control section says."""

    @property
    def max_clients(self) -> int: ...
    @property
    def max_line_bytes(self) -> int: ...
    @property
    def send_timeout_s(self) -> float: ...


class Context(Protocol):
    """What a supervisor gives to its child."""

    def cleanup(self) -> AbstractContextManager[trio.CancelScope]: ...


@attrs.frozen
class ControlStatistics:
    """`clients` and `subscribers` are now; the rest counts since this actor was made."""

    clients: int
    subscribers: int
    accepted: int
    refused: int
    evicted: int
    dropped_slow: int
    lines: int
    errors: int


@attrs.define
class _Tally:
    accepted: int = 0
    refused: int = 0
    evicted: int = 0
    dropped_slow: int = 0
    lines: int = 0
    errors: int = 0


@attrs.define(eq=False)
class _Client:
    """One connection. `unsent` holds whole lines, but for the first, of which a part may be gone;
    only the holder of `turn` sends and shortens it."""

    socket: trio.socket.SocketType
    caller: Caller
    lines: Lines
    heard_at: float
    nursery: trio.Nursery
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    unsent: bytearray = attrs.field(factory=bytearray)
    turn: trio.Lock = attrs.field(factory=trio.Lock)
    parting: bool = False
    subscription: Subscription | None = None
    pushing: trio.CancelScope | None = None


class Control:
    """Serves clients on sockets that already listen."""

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        limits: Limits,
        access: Access,
        handlers: Mapping[type[Command], Handler],
        log: FilteringBoundLogger,
        *,
        feed: Feed,
        tokens: Tokens,
        version: str,
        urgent: Collection[type[Command]] = (),
        patient: Collection[type[Command]] = (),
    ) -> None:
        """`urgent` commands wait for nobody else's. `patient` ones take long, and are given up when
        whoever gave them has gone."""
        self._listeners = tuple(listeners)
        self._limits = limits
        self._access = access
        self._handlers = dict(handlers)
        self._log = log
        self._feed = feed
        self._tokens = tokens
        self._version = version
        self._urgent = frozenset(urgent)
        self._patient = frozenset(patient)
        self._turns = Turns()
        self._clients: dict[_Client, None] = {}
        self._tally = _Tally()
        self._logged: dict[str, tuple[float, int]] = {}

    def statistics(self) -> ControlStatistics:
        subscribers = sum(client.subscription is not None for client in self._clients)
        return ControlStatistics(len(self._clients), subscribers, **attrs.asdict(self._tally))

    async def serve(
        self,
        ctx: Context,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled; then send the replies that are ready, and close."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._turns.run)
                for listener in self._listeners:
                    nursery.start_soon(self._accept, listener, nursery)
                task_status.started()
        finally:
            try:
                with ctx.cleanup():
                    await self._flush_all()
            finally:
                for client in tuple(self._clients):
                    self._drop(client)

    # --- connections ------------------------------------------------------------------------------

    async def _accept(self, listener: socket.socket, nursery: trio.Nursery) -> None:
        accepting = trio.socket.from_stdlib_socket(listener)
        while True:
            try:
                connection, _ = await accepting.accept()
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                self._warn("control.accept_paused", cause=os.strerror(error.errno))
                await trio.sleep(ACCEPT_PAUSE_S)
            else:
                self._receive(connection, nursery)

    def _receive(self, connection: trio.socket.SocketType, nursery: trio.Nursery) -> None:
        peer = _peer(connection)
        role = admit(self._access, peer)
        if role is None:
            said = f"user id {peer.user_id} may not use this riskd; see [security]"
            self._turn_away(connection, peer, "not_permitted", said)
            return
        caller = Caller(peer, role)
        if not self._make_room(caller):
            said = f"all {self._limits.max_clients} places are taken by clients that keep theirs"
            self._turn_away(connection, peer, "too_many_clients", said)
            return
        self._tally.accepted += 1
        lines = Lines(self._limits.max_line_bytes)
        client = _Client(connection, caller, lines, trio.current_time(), nursery)
        self._clients[client] = None
        nursery.start_soon(self._attend, client)

    def _turn_away(
        self, connection: trio.socket.SocketType, peer: Peer, code: ErrorCode, said: str
    ) -> None:
        self._tally.refused += 1
        self._warn("control.client_refused", code=code, **attrs.asdict(peer))
        _last_word(connection, Error(code=code, message=said))
        connection.close()

    def _make_room(self, newcomer: Caller) -> bool:
        if len(self._clients) < self._limits.max_clients:
            return True
        yielding = [c for c in self._clients if yields_to(c.caller, newcomer)]
        if not yielding:
            return False
        silent = min(yielding, key=lambda client: client.heard_at)
        self._tally.evicted += 1
        self._warn("control.client_evicted", **_who(silent))
        if not silent.unsent:  # Else a reply is half sent, and a word in its middle would be lost.
            said = f"all {self._limits.max_clients} places are taken and you were silent longest"
            _last_word(silent.socket, Error(code="too_many_clients", message=said))
        silent.scope.cancel()
        self._drop(silent)  # At once, so that there are never more descriptors than places.
        return True

    def _drop(self, client: _Client) -> None:
        self._clients.pop(client, None)
        if client.pushing is not None:
            client.pushing.cancel()
        client.socket.close()

    def _cut(self, client: _Client) -> None:
        """Nothing more goes either way, and whichever task waits for this client finds out."""
        client.parting = True
        client.unsent.clear()
        with suppress(OSError):
            client.socket.shutdown(socket.SHUT_RDWR)

    # --- one client -------------------------------------------------------------------------------

    async def _attend(self, client: _Client) -> None:
        """Talk until either side is done. When cancelled from outside, leave it to be flushed."""
        with client.scope:
            try:
                await self._converse(client)
            except OSError as error:
                self._log.debug("control.client_lost", cause=str(error), **_who(client))
        self._drop(client)

    async def _converse(self, client: _Client) -> None:
        while not client.parting:
            chunk = await self._read(client)
            if not chunk or client.parting:
                break
            client.heard_at = trio.current_time()
            await self._hear(client, chunk)
            await self._flush(client)
        if client.lines.pending:
            self._log.debug("control.line_cut", bytes=client.lines.pending, **_who(client))

    async def _read(self, client: _Client) -> bytes:
        """What has come, or will. A client that waits for each answer has nothing there when it is
        looked for, so that looking first would cost a call of the system each time."""
        while True:
            # Whoever had to give up its place has no descriptor any more, perhaps before it began.
            await trio.lowlevel.checkpoint_if_cancelled()
            await trio.lowlevel.wait_readable(client.socket)
            with suppress(BlockingIOError):
                return os.read(client.socket.fileno(), CHUNK_BYTES)

    async def _hear(self, client: _Client, chunk: bytes) -> None:
        try:
            for number, line in enumerate(client.lines.feed(chunk), start=1):
                if not blank(line):
                    await self._answer(client, line)
                if len(client.unsent) > FLUSH_BYTES:
                    await self._flush(client)
                if client.parting:
                    return
                if number % TURN_LINES == 0:
                    await trio.lowlevel.checkpoint()
        except LineTooLong as error:
            self._warn("control.line_too_long", **_who(client))
            client.unsent += self._fault(None, "line_too_long", str(error))
            client.parting = True

    async def _flush(self, client: _Client) -> None:
        """Send what is unsent, or cut a client that takes nothing of it for too long, or has gone.

        A cancelled flush leaves exactly what has not been sent. What the socket takes at once costs
        no pass of the loop: whoever reads waits there.
        """
        if not client.turn.locked() and self._send_now(client):
            return
        try:
            client.turn.acquire_nowait()  # Which, unlike `acquire`, costs no pass of the loop.
        except trio.WouldBlock:
            await client.turn.acquire()
        try:
            with trio.move_on_after(self._limits.send_timeout_s) as patience:
                while client.unsent:
                    sent = await client.socket.send(client.unsent)
                    del client.unsent[:sent]
                    self._went(client, patience)
            if patience.cancelled_caught:
                self._tally.dropped_slow += 1
                self._warn("control.client_slow", unsent=len(client.unsent), **_who(client))
                self._cut(client)
        except OSError as error:
            self._log.debug("control.client_lost", cause=str(error), **_who(client))
            self._cut(client)
        finally:
            client.turn.release()

    def _send_now(self, client: _Client) -> bool:
        """Is all of it sent? What is wrong with the socket is found out by who waits for it."""
        with suppress(OSError):
            while client.unsent:
                sent = os.write(client.socket.fileno(), client.unsent)
                del client.unsent[:sent]
                if client.subscription is not None:
                    client.heard_at = trio.current_time()
        return not client.unsent

    def _went(self, client: _Client, patience: trio.CancelScope) -> None:
        """Its socket has taken something: it is there, and a subscriber says so in no other way."""
        now = trio.current_time()
        patience.deadline = now + self._limits.send_timeout_s
        if client.subscription is not None:
            client.heard_at = now

    async def _flush_all(self) -> None:
        async with trio.open_nursery() as nursery:
            for client in self._clients:
                nursery.start_soon(self._flush, client)

    # --- one subscriber ---------------------------------------------------------------------------

    async def _subscribe(self, client: _Client, _caller: Caller, command: Subscribe) -> Subscribed:
        if client.subscription is not None:
            said = "this connection has a subscription already; open another one"
            raise CommandRefused("already_subscribed", said)
        newest = self._feed.lsn
        from_lsn = newest + 1 if command.from_lsn is None else command.from_lsn
        if from_lsn > newest + 1:
            said = f"there is no fact {from_lsn} to begin at: the newest is {newest}"
            raise CommandRefused("ahead", said)
        if command.from_lsn is not None:
            await self._check_kept(from_lsn)
        client.subscription = Subscription(command, from_lsn - 1)
        client.pushing = trio.CancelScope()
        # It runs at the next checkpoint, and there is none before the reply lies in `unsent`.
        client.nursery.start_soon(self._push, client, client.subscription, client.pushing)
        return Subscribed(from_lsn=from_lsn, lsn=newest)

    async def _check_kept(self, from_lsn: int) -> None:
        try:
            oldest = await self._feed.oldest_lsn()
        except FeedLost as lost:
            raise CommandUnavailable(str(lost)) from lost
        if from_lsn < oldest:
            said = f"fact {from_lsn} is no longer kept: the oldest is {oldest}"
            raise CommandRefused("too_old", said)

    async def _push(
        self, client: _Client, subscription: Subscription, scope: trio.CancelScope
    ) -> None:
        """Tell a subscriber what comes. When the feed fails, say so: it may subscribe again."""
        about, last = subscription.subscribe.id, b""
        with scope:
            try:
                async with aclosing(self._feed.follow(subscription.lsn)) as follower:
                    await self._tell(client, subscription, follower)
            except FeedLost as lost:
                self._warn("control.feed_lost", cause=str(lost), **_who(client))
                last = self._fault(about, "feed_lost", str(lost))
            except Exception as error:  # noqa: BLE001 - a bug costs this subscription alone
                self._warn("control.feed_failed", exc_info=error)
                said = "riskd failed at this subscription, which has ended; its log says how"
                last = self._fault(about, "internal", said)
            client.subscription = None
            client.unsent += last
            await self._flush(client)
            if client.parting:
                self._cut(client)

    async def _tell(self, client: _Client, subscription: Subscription, follower: Follower) -> None:
        """Until it has gone, or may no longer hear."""
        while not client.parting:
            client.unsent += subscription.reach(self._feed.lsn)
            await self._flush(client)
            batch = await follower.next(bytes_max=PUSH_BYTES)
            if denied := permit(client.caller, Subscribe, self._tokens):
                self._deny(client, subscription.subscribe, denied)
                return
            await self._send_facts(client, subscription, batch)

    async def _send_facts(
        self, client: _Client, subscription: Subscription, batch: Sequence[tuple[int, bytes]]
    ) -> None:
        for lsn, stored in batch:
            client.unsent += subscription.tell(lsn, stored)
            if len(client.unsent) > PUSH_BYTES:
                await self._flush(client)
            if client.parting:
                return
        await trio.lowlevel.checkpoint()  # Or a feed that has all at hand would wait for nothing.

    # --- one command ------------------------------------------------------------------------------

    async def _answer(self, client: _Client, line: bytes) -> None:
        self._tally.lines += 1
        command = parse(line)
        if type(command) not in self._urgent:
            await self._turns.take()
        began = trio.current_time()
        await self._carry_out(client, command)
        self._turns.spend(trio.current_time() - began)

    async def _carry_out(self, client: _Client, command: Command | Error) -> None:
        if isinstance(command, Error):
            self._tally.errors += 1
            client.unsent += _encode(command)
        elif denied := permit(client.caller, type(command), self._tokens):
            self._deny(client, command, denied)
        elif isinstance(command, Hello):
            self._greet(client, command)
        elif isinstance(command, Subscribe):
            unknown = unknown_fact(command)
            client.unsent += (
                self._fault(command.id, "invalid_value", unknown, "facts")
                if unknown
                else await self._obey(client.caller, command, partial(self._subscribe, client))
            )
        else:
            handler = self._handlers.get(type(command))
            if handler is not None and type(command) in self._patient:
                handler = partial(attended, client.socket, handler)
            client.unsent += await self._obey(client.caller, command, handler)

    async def _obey(self, caller: Caller, command: Command, handler: Handler | None) -> bytes:
        if handler is None:
            return self._fault(command.id, "unavailable", "nobody here carries this command out")
        try:
            reply = await handler(caller, command)
            if reply.id != command.id:
                reply = msgspec.structs.replace(reply, id=command.id)
            return _encode(reply)
        except CommandRefused as no:
            refused = Refused(id=command.id, code=no.code, message=str(no), problems=no.problems)
            return _encode(refused)
        except (CommandUnavailable, Gone) as away:
            is_begun = isinstance(away, CommandUnconfirmed)
            code: ErrorCode = "not_confirmed" if is_begun else "unavailable"
            return self._fault(command.id, code, str(away))
        except Exception as error:  # noqa: BLE001 - see Handler: a bug costs its command alone
            event = "control.handler_failed"
            self._warn(event, command=type(command).__name__, exc_info=error)
            said = "riskd failed at this command; its log says how. It may be half done"
            return self._fault(command.id, "internal", said)

    def _greet(self, client: _Client, hello: Hello) -> None:
        caller = greet(client.caller, hello, self._tokens)
        if isinstance(caller, Denied):
            self._deny(client, hello, caller)
            return
        client.caller = caller
        welcome = Welcome(
            id=hello.id,
            role=caller.role,
            user_id=caller.peer.user_id,
            process_id=caller.peer.process_id,
            worker=caller.worker,
            version=self._version,
        )
        client.unsent += _encode(welcome)

    def _deny(self, client: _Client, command: Command, denied: Denied) -> None:
        self._warn("control.not_permitted", command=type(command).__name__, **_who(client))
        client.unsent += self._fault(command.id, denied.code, denied.message, denied.field)
        client.parting |= denied.closes

    def _fault(
        self, about: MessageId | None, code: ErrorCode, message: str, field: str | None = None
    ) -> bytes:
        self._tally.errors += 1
        return _encode(Error(id=about, code=code, message=message, field=field))

    # --- the log ----------------------------------------------------------------------------------

    def _warn(self, event: str, **values: object) -> None:
        """Log what clients cause: one event of a kind a second, so that none can fill a disk."""
        now = trio.current_time()
        kind = f"{event} {values.get('command')}"
        logged_at, unsaid = self._logged.get(kind, (now - LOG_INTERVAL_S, 0))
        if now - logged_at < LOG_INTERVAL_S:
            self._logged[kind] = (logged_at, unsaid + 1)
            return
        self._logged[kind] = (now, 0)
        level = self._log.error if "exc_info" in values else self._log.warning
        level(event, unsaid=unsaid, **values)


def _encode(reply: Reply) -> bytes:
    return _encoder.encode(reply) + b"\n"


_encoder = msgspec.json.Encoder()


def _last_word(connection: trio.socket.SocketType, error: Error) -> None:
    """Say why a connection ends, if that can be done at once; a client that doesn't read can't
    keep its place by it."""
    with suppress(OSError):
        os.write(connection.fileno(), _encode(error))


def _peer(connection: trio.socket.SocketType) -> Peer:
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process_id, user_id, group_id = _CREDENTIALS.unpack(raw)
    return Peer(user_id=user_id, group_id=group_id, process_id=process_id)


def _who(client: _Client) -> dict[str, object]:
    caller = client.caller
    return {
        "user_id": caller.peer.user_id,
        "process_id": caller.peer.process_id,
        "role": str(caller.role),
        "worker": caller.worker,
    }
