"""Mailboxes that outlive their actors: what is in one when its actor dies is not lost.

Theory of operation
-------------------
A mailbox belongs to the registry; an actor's incarnation opens it and gets an inbox, which holds a
clone of the receiving end. The message in hand lies in the in-flight slot until the inbox is asked
for the next one, which acknowledges it. When an incarnation dies in between, the message is
delivered again to the next one, and after `crashes_max` such deaths it is put in quarantine: a
message that kills whoever reads it must not keep an actor from serving.

Being stopped is not the message's fault, so that a cancelled incarnation doesn't count. Hanging is:
whoever has an actor ended because it hangs says so by `blame`, and that counts like a crash.

Whoever *tells* has handed the message over, and it will be read. Whoever *asks* waits, and is told
at once when the actor dies. A question that nobody waits for any more and that was not begun is
withdrawn: an order check must not reserve room for somebody who has gone away. `ActorDied` and
`AskTimeout` say whether it had been begun. One that was begun is delivered again like any message,
for half of a halt must not be all of it.

Capacity is bounded, and the policy says what happens beyond it: `refuse` raises MailboxFull at the
sender, `wait` makes the sender wait, `drop_oldest` is for what the next message supersedes.
"""

import contextlib
from collections import deque
from collections.abc import Iterator
from typing import Literal

import attrs
import trio

from .messages import MessageQuarantined
from .ports import Record

Policy = Literal["refuse", "wait", "drop_oldest"]
QUARANTINE_MAX = 100
"""Kept for people to look at; beyond it the oldest go, and each is a fact in any case."""


class MailboxFull(Exception):
    """The actor is behind. The fault is neither side's; the message was NOT taken."""


class NoSuchActor(LookupError):
    """No mailbox has that name. The fault is the sender's."""


class _Unanswered(Exception):
    what = "no answer from"

    def __init__(self, *, actor: str, begun: bool) -> None:
        fate = "it may have taken effect" if begun else "it was not begun"
        super().__init__(f"{self.what} {actor!r}; {fate}")
        self.actor = actor
        self.begun = begun


class ActorDied(_Unanswered):
    """The actor died while the caller waited. `begun` says whether it had the question in hand."""

    what = "death of actor"


class AskTimeout(_Unanswered):
    """The answer did not come in time."""

    what = "no answer in time from actor"


@attrs.frozen(kw_only=True)
class MailboxStatistics:
    """A mailbox as it stands. The counts are since riskd started.

    Every message taken is delivered, withdrawn, dropped, or one of `depth` that wait.
    """

    depth: int
    capacity: int
    policy: Policy
    in_flight: bool
    delivered: int
    redelivered: int
    refused: int
    dropped: int
    withdrawn: int
    quarantined: int


@attrs.define(eq=False)
class Envelope:
    """A message on its way, and where its answer goes."""

    message: object
    question: bool = False
    begun: bool = False
    crashes: int = 0
    _answer: object = None
    _error: Exception | None = None
    _settled: trio.Event = attrs.field(factory=trio.Event)

    @property
    def withdrawn(self) -> bool:
        """Nobody waits for the answer any more, and nothing has been done about it."""
        return self.question and self._settled.is_set() and not self.begun

    def answer(self, value: object) -> bool:
        """Answer, once. False when nobody waits any more: a late answer changes nothing."""
        if not self.question or self._settled.is_set():
            return False
        self._answer = value
        self._settled.set()
        return True

    def fail(self, error: Exception) -> None:
        """Tell whoever waits that no answer will come. Changes nothing once there is an outcome."""
        if not self._settled.is_set():
            self._error = error
            self._settled.set()

    async def wait_settled(self) -> None:
        await self._settled.wait()

    def outcome(self) -> object:
        if self._error is not None:
            raise self._error
        return self._answer


@attrs.define(eq=False)
class _Counts:
    delivered: int = 0
    redelivered: int = 0
    refused: int = 0
    dropped: int = 0
    withdrawn: int = 0
    quarantined: int = 0


class Mailbox:
    """One actor's messages, through all of its incarnations."""

    def __init__(
        self,
        name: str,
        *,
        record: Record,
        capacity: int = 1024,
        policy: Policy = "refuse",
        crashes_max: int = 3,
    ) -> None:
        if capacity < 1 or crashes_max < 1:
            raise ValueError("capacity and crashes_max must be at least 1")
        self.name = name
        self._capacity = capacity
        self._policy = policy
        self._sender, self._receiver = trio.open_memory_channel[Envelope](capacity)
        self._counts = _Counts()
        self._slot = _Slot(name, record, crashes_max, self._counts)
        # Dicts, for their order is the same in every run. The scope is of the wait for room.
        self._questions: dict[Envelope, trio.CancelScope] = {}

    @property
    def is_open(self) -> bool:
        """An incarnation reads it now."""
        return self._slot.reader is not None

    @property
    def quarantine(self) -> tuple[object, ...]:
        """The newest messages that crashed their actor too often, oldest first."""
        return tuple(self._slot.quarantine)

    # --- the senders' side

    def tell_nowait(self, message: object) -> None:
        """Hand a message over; it will be read. MailboxFull says that it was not taken."""
        self._put_nowait(Envelope(message))

    async def tell(self, message: object) -> None:
        """Hand a message over, waiting for room if that is the policy."""
        await self._put(Envelope(message))

    async def ask(self, message: object, *, timeout_s: float) -> object:
        """The answer, or ActorDied, AskTimeout, MailboxFull."""
        question = Envelope(message, question=True)
        deadline = trio.current_time() + timeout_s
        self._questions[question] = room = trio.CancelScope(deadline=deadline)
        try:
            with room:
                await self._put(question)
            with trio.move_on_at(deadline):
                await question.wait_settled()
        finally:
            del self._questions[question]
            question.fail(AskTimeout(actor=self.name, begun=question.begun))
        return question.outcome()

    async def _put(self, envelope: Envelope) -> None:
        if self._policy == "wait":
            await self._sender.send(envelope)
        else:
            self._put_nowait(envelope)

    def _put_nowait(self, envelope: Envelope) -> None:
        if self._policy == "drop_oldest" and self._depth() == self._capacity:
            self._drop_oldest()
        try:
            self._sender.send_nowait(envelope)
        except trio.WouldBlock:
            self._counts.refused += 1
            raise MailboxFull(
                f"mailbox of {self.name!r} is full ({self._capacity} messages)"
            ) from None

    def _drop_oldest(self) -> None:
        self._counts.dropped += 1
        self._receiver.receive_nowait().fail(
            MailboxFull(f"mailbox of {self.name!r} is full: a newer message took this one's place")
        )

    # --- the actor's side

    @contextlib.contextmanager
    def open(self) -> Iterator["Inbox"]:
        """Read it as the one living incarnation of the actor."""
        if self.is_open:
            raise RuntimeError(f"mailbox of {self.name!r} is read by another incarnation")
        with self._receiver.clone() as receiver:
            inbox = self._slot.reader = Inbox(self._slot, receiver)
            try:
                yield inbox
            except BaseException as error:
                if not _cancelled(error):
                    self.blame()
                raise
            finally:
                self._slot.leave()
                self._tell_askers()

    def _tell_askers(self) -> None:
        for question, room in self._questions.items():
            question.fail(ActorDied(actor=self.name, begun=question.begun))
            room.cancel()

    def blame(self) -> None:
        """The actor ends because of what it has in hand: it crashes, or is ended for hanging."""
        self._slot.blamed = True

    def _depth(self) -> int:
        return self._sender.statistics().current_buffer_used

    def statistics(self) -> MailboxStatistics:
        return MailboxStatistics(
            depth=self._depth(),
            capacity=self._capacity,
            policy=self._policy,
            in_flight=self._slot.envelope is not None,
            delivered=self._counts.delivered,
            redelivered=self._counts.redelivered,
            refused=self._counts.refused,
            dropped=self._counts.dropped,
            withdrawn=self._counts.withdrawn,
            quarantined=self._counts.quarantined,
        )


class _Slot:
    """The in-flight slot: a message from its delivery until it is acknowledged or in quarantine.

    What lies in it is either in the hand of the living incarnation, or was left by an earlier one
    and waits to be delivered again. Only what is in hand can be acknowledged or blamed.
    """

    def __init__(self, actor: str, record: Record, crashes_max: int, counts: _Counts) -> None:
        self.envelope: Envelope | None = None
        self.reader: Inbox | None = None
        self.blamed = False
        self.quarantine: deque[object] = deque(maxlen=QUARANTINE_MAX)
        self._in_hand = False
        self._actor = actor
        self._record = record
        self._crashes_max = crashes_max
        self._counts = counts

    @property
    def has_leftover(self) -> bool:
        return self.envelope is not None and not self._in_hand

    def deliver(self, envelope: Envelope) -> bool:
        """Put a message in the reader's hand; False when it is withdrawn."""
        if envelope.withdrawn:
            self._counts.withdrawn += 1
            return False
        envelope.begun = True
        self._counts.delivered += 1
        self._hold(envelope)
        return True

    def redeliver(self) -> Envelope | None:
        """What an earlier incarnation has left, unless it has ended too many of them."""
        envelope = self.envelope
        if envelope is None or self._in_hand:
            return None
        if envelope.crashes >= self._crashes_max:
            self._put_away(envelope)
            return None
        self._counts.redelivered += 1
        self._hold(envelope)
        return envelope

    def _hold(self, envelope: Envelope) -> None:
        self.envelope, self._in_hand, self.blamed = envelope, True, False

    def _put_away(self, envelope: Envelope) -> None:
        # History first: when it can't be written, the message stays for the next incarnation.
        name = type(envelope.message).__name__
        self._record(MessageQuarantined(actor=self._actor, message=name, attempts=envelope.crashes))
        self._counts.quarantined += 1
        self.quarantine.append(envelope.message)
        self.envelope = None

    def acknowledge(self) -> None:
        if self._in_hand:
            self.envelope, self._in_hand = None, False

    def leave(self) -> None:
        """The reader has died. What it had in hand stays, for the next one."""
        if self.envelope is not None and self._in_hand and self.blamed:
            self.envelope.crashes += 1
        self.reader, self._in_hand = None, False


class Inbox:
    """A mailbox as its living incarnation sees it. Asking for a message acknowledges the last."""

    def __init__(self, slot: _Slot, receiver: trio.MemoryReceiveChannel[Envelope]) -> None:
        self._slot = slot
        self._receiver = receiver

    async def receive(self) -> Envelope:
        """The next message. The last one is acknowledged, even when this is cancelled."""
        self._acknowledge()
        if self._slot.has_leftover:
            await trio.lowlevel.checkpoint()
            again = self._slot.redeliver()
            if again is not None:
                return again
        while True:
            envelope = await self._receiver.receive()
            if self._slot.deliver(envelope):
                return envelope

    def receive_nowait(self) -> Envelope | None:
        """The next message, if there is one. The last one is acknowledged in any case."""
        self._acknowledge()
        again = self._slot.redeliver()
        if again is not None:
            return again
        with contextlib.suppress(trio.WouldBlock):
            while True:
                envelope = self._receiver.receive_nowait()
                if self._slot.deliver(envelope):
                    return envelope
        return None

    def _acknowledge(self) -> None:
        if self._slot.reader is not self:
            raise trio.ClosedResourceError("the incarnation that opened this inbox is over")
        self._slot.acknowledge()


def _cancelled(error: BaseException) -> bool:
    """Nothing but cancellation: the incarnation was stopped, and the message is not to blame."""
    if isinstance(error, BaseExceptionGroup):
        return all(_cancelled(part) for part in error.exceptions)
    return isinstance(error, trio.Cancelled | GeneratorExit)


class Registry:
    """All mailboxes by the names of their actors. It owns them; actors come and go."""

    def __init__(self, record: Record, crashes_max: int = 3) -> None:
        self._record = record
        self._crashes_max = crashes_max
        self._mailboxes: dict[str, Mailbox] = {}

    def add(self, name: str, *, capacity: int = 1024, policy: Policy = "refuse") -> Mailbox:
        if name in self._mailboxes:
            raise ValueError(f"there is a mailbox of {name!r} already")
        mailbox = Mailbox(
            name,
            record=self._record,
            capacity=capacity,
            policy=policy,
            crashes_max=self._crashes_max,
        )
        self._mailboxes[name] = mailbox
        return mailbox

    def __getitem__(self, name: str) -> Mailbox:
        try:
            return self._mailboxes[name]
        except KeyError:
            known = ", ".join(self._mailboxes)
            raise NoSuchActor(f"no actor is called {name!r}; there are: {known}") from None

    def __contains__(self, name: str) -> bool:
        return name in self._mailboxes

    def names(self) -> tuple[str, ...]:
        return tuple(self._mailboxes)

    async def ask(self, name: str, message: object, *, timeout_s: float) -> object:
        return await self[name].ask(message, timeout_s=timeout_s)

    def statistics(self) -> dict[str, MailboxStatistics]:
        return {name: mailbox.statistics() for name, mailbox in self._mailboxes.items()}
