"""The canary: it asks the gate for what must be refused, and stops everything when it is not.

It goes the way of every client, through the socket, so that whatever stands between an order and
its answer is tried with it. One order each `gate.canary_s`, on a connection that it keeps: a new
one each time would cost other clients their places when all are taken.

What is permitted, or answered otherwise than it must be, halts everything until a person has
looked. Nothing is reserved even then: whatever the gate says, nothing is sent. No answer is no
wrong answer: after a few of them that is told, and what is not known halts, unless the
configuration says otherwise, until there is an answer again.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Literal, Protocol

import attrs
import msgspec
import trio

from .actor import Quiet, serve
from .core import canary as core
from .core.canary import Question
from .core.gate.decision import Knowledge
from .mailbox import Mailbox
from .messages import (
    AnyReply,
    By,
    CanaryFailed,
    CanarySilent,
    Check,
    Command,
    Error,
    Halt,
    Until,
    UntilCondition,
    UntilOperator,
)
from .ports import Clock, Halting, Record

NAME = "canary"
BY = By(via="riskd")
ANSWERS = "canary"
"""The condition that it is answered."""
ANSWER_S = 5.0
"""Longer is no answer. What an order waits for takes microseconds."""
MISSES_MAX = 3
"""One after the other, before that is told: a riskd that starts anew takes a moment."""
OFF_S = 1.0
"""How often it looks whether it is still off."""
REPLY_BYTES_MAX = 65_536
ANSWER_CHARACTERS_MAX = 1_000
BUSY = frozenset({"too_many_clients", "unavailable", "not_confirmed"})
"""Errors that say that nobody has judged the order."""


class Settings(Protocol):
    """Read each time anew."""

    @property
    def canary_s(self) -> float: ...
    @property
    def canary_silence(self) -> Literal["halt", "warn"]: ...


class Unanswered(Exception):
    """There was no answer. The text says why."""


class Unreadable(Exception):
    """There was one, which is no reply. It is the text."""


@attrs.define
class Tally:
    """What has come of it since riskd began. It outlives the actor."""

    turn: int = 0
    answers: int = 0
    """Those that were right."""
    failures: int = 0
    misses: int = 0
    """One after the other, up to now."""
    last_at: datetime | None = None
    """Of the last one that was right."""


@attrs.define(eq=False, kw_only=True)
class Canary:
    """The actor: a mailbox for heartbeats, and the task that asks."""

    connect: Callable[[], Awaitable[trio.abc.Stream]]
    """To riskd's own socket. Raises OSError."""
    known: Callable[[], Knowledge | None]
    halting: Halting
    record: Record
    clock: Clock
    settings: Callable[[], Settings]
    name: Callable[[], str]
    """One that nothing has, and nobody can guess."""
    tally: Tally
    _stream: trio.abc.Stream | None = attrs.field(default=None, init=False)
    _received: bytes = attrs.field(default=b"", init=False)
    _before: Question | None = attrs.field(default=None, init=False)
    """Of the turn before, if its id can be asked for again."""

    async def serve(self, mailbox: Mailbox, *, task_status: trio.TaskStatus[None]) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch)
            await serve(mailbox, Quiet(NAME), task_status=task_status)

    async def _watch(self) -> None:
        try:
            while True:
                every_s = self.settings().canary_s
                await trio.sleep(every_s or OFF_S)
                if every_s and self.settings().canary_s:
                    await self.round()
        finally:
            await self._close()

    async def round(self) -> None:
        """One order, and what its answer asks for."""
        question = self._next()
        try:
            reply = await self._asked(question)
        except Unanswered as why:
            self._missed(str(why))
        except Unreadable as error:
            self._failed(question, str(error), "a check was answered with what is no reply")
        else:
            self._look(question, reply)

    def _next(self) -> Question:
        tally, before = self.tally, self._before
        turn, question = core.question(tally.turn, self.known(), self.name(), before)
        tally.turn = turn + 1
        self._before = None
        return question

    def _look(self, question: Question, reply: AnyReply) -> None:
        """What limits may have changed meanwhile proves nothing: a later round asks it again."""
        why = core.wrong(question, reply)
        if why is None:
            self._answered()
            if core.is_kept(question, reply):
                self._before = question
        elif not core.is_moot(question, reply, self.known()):
            self._failed(question, msgspec.json.encode(reply).decode(), why)

    # --- what comes of it

    def _answered(self) -> None:
        tally = self.tally
        tally.answers += 1
        tally.misses = 0
        tally.last_at = self.clock.now()
        self.halting.clear(ANSWERS)

    def _failed(self, question: Question, answer: str, why: str) -> None:
        """Halted first: the fact tells why."""
        self.tally.failures += 1
        self.tally.misses = 0
        self._halt(why, UntilOperator())
        self.record(
            CanaryFailed(
                kind=question.kind,
                order=question.order,
                answer=answer[:ANSWER_CHARACTERS_MAX],
                reason=why,
            )
        )

    def _missed(self, why: str) -> None:
        tally = self.tally
        tally.misses += 1
        if tally.misses < MISSES_MAX:
            return
        said = f"the gate has not answered riskd itself {MISSES_MAX} times: {why}"
        if self.settings().canary_silence == "halt":
            self._halt(said, UntilCondition(condition=ANSWERS))
        if tally.misses == MISSES_MAX:
            self.record(CanarySilent(misses=tally.misses, reason=why))

    def _halt(self, reason: str, until: Until) -> None:
        halt = Halt(
            scope="all", mode="halt", cause="watchdog", source=NAME, reason=reason, until=until
        )
        self.halting.halt(halt, by=BY)

    # --- the connection

    async def _asked(self, question: Question) -> AnyReply:
        """A connection that was kept may be none any more: then a new one is asked once."""
        was_kept = self._stream is not None
        check = Check(order=question.order)
        try:
            return await self._ask(check)
        except Unanswered:
            if not was_kept:
                raise
        return await self._ask(check)

    async def _ask(self, command: Command) -> AnyReply:
        """Raises Unanswered, Unreadable: then the connection is closed."""
        try:
            with trio.fail_after(min(ANSWER_S, self.settings().canary_s or ANSWER_S)):
                return await self._talk(command)
        except trio.TooSlowError:
            await self._close()
            raise Unanswered("no answer in time") from None
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
            await self._close()
            raise Unanswered(f"the socket can't be reached: {error}") from error
        except (Unanswered, Unreadable):
            await self._close()
            raise

    async def _talk(self, command: Command) -> AnyReply:
        if self._stream is None:
            self._stream, self._received = await self.connect(), b""
        stream = self._stream
        await stream.send_all(msgspec.json.encode(command) + b"\n")
        while b"\n" not in self._received:
            chunk = await stream.receive_some()
            if not chunk:
                raise Unanswered("the connection was closed before the answer")
            self._received += chunk
            if len(self._received) > REPLY_BYTES_MAX:
                raise Unreadable(f"{len(self._received)} bytes without an end")
        line, _, self._received = self._received.partition(b"\n")
        try:
            reply: AnyReply = _replies.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Unreadable(line[:ANSWER_CHARACTERS_MAX].decode(errors="replace")) from None
        if isinstance(reply, Error) and reply.code in BUSY:
            raise Unanswered(reply.message)
        return reply

    async def _close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await trio.aclose_forcefully(stream)


_replies: msgspec.json.Decoder[AnyReply] = msgspec.json.Decoder(AnyReply)
