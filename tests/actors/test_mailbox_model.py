"""Mailboxes in any order of events, against a naive model of what they mean."""

import math
from collections.abc import Callable
from typing import Literal

import attrs
import trio
import trio.testing
from hypothesis import example, given
from hypothesis import strategies as st
from riskd.actors.mailbox import ActorDied, Inbox, Mailbox, MailboxFull, Policy
from riskd.actors.messages import Fact


class Crash(Exception):
    """What the actor of a test dies of."""


CAPACITY = 2
CRASHES_MAX = 2

Step = Literal["tell", "ask", "leave", "start", "finish", "crash", "hang", "stop"]
STEPS: tuple[Step, ...] = ("tell", "ask", "leave", "start", "finish", "crash", "hang", "stop")


@attrs.define
class Model:
    """What a mailbox means, without channels, scopes and envelopes."""

    policy: Policy
    queue: list[int] = attrs.field(factory=list)
    blocked: list[int] = attrs.field(factory=list)
    hand: int | None = None
    alive: bool = False
    asked: dict[int, None] = attrs.field(factory=dict)
    """Questions whose askers still wait."""
    questions: set[int] = attrs.field(factory=set)
    delivered: list[int] = attrs.field(factory=list)
    """In the order in which the actor saw them, with repetitions."""
    done: list[int] = attrs.field(factory=list)
    crashes: dict[int, int] = attrs.field(factory=dict)
    quarantine: list[int] = attrs.field(factory=list)
    outcomes: dict[int, str] = attrs.field(factory=dict)
    superseded: list[int] = attrs.field(factory=list)
    withdrawn: int = 0
    dropped: int = 0
    refused: int = 0
    redelivered: int = 0

    def put(self, number: int, *, question: bool) -> None:
        if question:
            self.questions.add(number)
            self.asked[number] = None
        full = len(self.queue) == CAPACITY
        if full and self.policy == "wait":
            self.blocked.append(number)
            return
        if full and self.policy == "refuse":
            self.refused += 1
            self.asked.pop(number, None)
            self.outcomes[number] = "full"
            return
        if full:
            self.dropped += 1
            self.superseded.append(self.queue[0])
            self._settle(self.queue.pop(0), "full")
        self.queue.append(number)
        self._advance()

    def leave(self) -> None:
        number = next(iter(self.asked), None)
        if number is not None:
            self._forget(number, "left")

    def start(self) -> None:
        if self.alive:
            return
        self.alive = True
        if self.hand is not None and self.crashes.get(self.hand, 0) >= CRASHES_MAX:
            self.quarantine.append(self.hand)
            self.hand = None
        elif self.hand is not None:
            self.redelivered += 1
            self.delivered.append(self.hand)
        self._advance()

    def finish(self) -> None:
        if self.alive and self.hand is not None:
            self.done.append(self.hand)
            self._settle(self.hand, "answer")
            self.hand = None
            self._advance()

    def end(self, *, blamed: bool) -> None:
        if not self.alive:
            return
        self.alive = False
        if blamed and self.hand is not None:
            self.crashes[self.hand] = self.crashes.get(self.hand, 0) + 1
        for number in tuple(self.asked):
            self._forget(number, "died, begun" if number in self.delivered else "died")

    def _forget(self, number: int, outcome: str) -> None:
        if number in self.blocked:
            self.blocked.remove(number)
        self._settle(number, outcome)

    def _settle(self, number: int, outcome: str) -> None:
        if number in self.asked:
            del self.asked[number]
            self.outcomes[number] = outcome

    def _advance(self) -> None:
        while self.alive and self.hand is None and self.queue:
            number = self.queue.pop(0)
            if self.blocked:
                self.queue.append(self.blocked.pop(0))
            if number in self.questions and number not in self.asked:
                self.withdrawn += 1
            else:
                self.hand = number
                self.delivered.append(number)


class Real:
    """The mailbox, its senders, and an actor that ends each message as it is told to."""

    def __init__(self, policy: Policy, nursery: trio.Nursery) -> None:
        self.facts: list[Fact] = []
        self.mailbox = Mailbox(
            "gate",
            record=self.facts.append,
            capacity=CAPACITY,
            policy=policy,
            crashes_max=CRASHES_MAX,
        )
        self.delivered: list[int] = []
        self.outcomes: dict[int, str] = {}
        self._nursery = nursery
        self._askers: dict[int, trio.CancelScope] = {}
        self._actor: trio.CancelScope | None = None
        self._orders: trio.MemorySendChannel[str] | None = None

    def tell(self, number: int) -> None:
        self._nursery.start_soon(self._tell, number)

    async def _tell(self, number: int) -> None:
        try:
            await self.mailbox.tell(number)
        except MailboxFull:
            self.outcomes[number] = "full"

    def ask(self, number: int) -> None:
        self._askers[number] = trio.CancelScope()
        self._nursery.start_soon(self._ask, number)

    async def _ask(self, number: int) -> None:
        with self._askers[number] as scope:
            self.outcomes[number] = await self._outcome(number)
        if scope.cancelled_caught:
            self.outcomes[number] = "left"
        del self._askers[number]

    async def _outcome(self, number: int) -> str:
        try:
            answer = await self.mailbox.ask(number, timeout_s=math.inf)
        except ActorDied as died:
            return "died, begun" if died.begun else "died"
        except MailboxFull:
            return "full"
        assert answer == -number
        return "answer"

    def leave(self) -> None:
        for scope in tuple(self._askers.values())[:1]:
            scope.cancel()

    def start(self) -> None:
        if self._actor is None:
            self._actor = trio.CancelScope()
            self._orders, orders = trio.open_memory_channel[str](1)
            self._nursery.start_soon(self._live, self._actor, orders)

    async def _live(self, scope: trio.CancelScope, orders: trio.MemoryReceiveChannel[str]) -> None:
        try:
            with scope, self.mailbox.open() as inbox:
                while True:
                    await self._handle(inbox, orders)
        except Crash:
            pass
        finally:
            self._actor = None

    async def _handle(self, inbox: Inbox, orders: trio.MemoryReceiveChannel[str]) -> None:
        envelope = await inbox.receive()
        assert isinstance(envelope.message, int)
        self.delivered.append(envelope.message)
        if await orders.receive() == "crash":
            raise Crash
        envelope.answer(-envelope.message)

    def order(self, order: str) -> None:
        if self._actor is not None and self.mailbox.statistics().in_flight:
            assert self._orders is not None
            self._orders.send_nowait(order)

    def stop(self) -> None:
        if self._actor is not None:
            self._actor.cancel()

    def hang(self) -> None:
        """Being ended for hanging, as the heartbeat does it."""
        if self._actor is not None:
            self.mailbox.blame()
            self._actor.cancel()


def perform(step: Step, number: int, model: Model, real: Real) -> None:
    in_hand = model.alive and model.hand is not None
    deeds: dict[Step, tuple[Callable[[], None], Callable[[], None]]] = {
        "tell": (lambda: model.put(number, question=False), lambda: real.tell(number)),
        "ask": (lambda: model.put(number, question=True), lambda: real.ask(number)),
        "leave": (model.leave, real.leave),
        "start": (model.start, real.start),
        "finish": (model.finish, lambda: real.order("finish")),
        "crash": (lambda: model.end(blamed=True), lambda: real.order("crash")),
        "hang": (lambda: model.end(blamed=True), real.hang),
        "stop": (lambda: model.end(blamed=False), real.stop),
    }
    if step == "crash" and not in_hand:
        return
    for deed in deeds[step]:
        deed()


def assert_same(model: Model, real: Real) -> None:
    assert real.delivered == model.delivered
    assert real.outcomes == model.outcomes
    assert list(real.mailbox.quarantine) == model.quarantine
    assert len(real.facts) == len(model.quarantine)
    assert real.mailbox.is_open == model.alive
    statistics = real.mailbox.statistics()
    assert statistics.depth == len(model.queue)
    assert statistics.in_flight == (model.hand is not None)
    assert statistics.delivered == len(model.delivered) - model.redelivered
    assert statistics.redelivered == model.redelivered
    assert statistics.withdrawn == model.withdrawn
    assert statistics.dropped == model.dropped
    assert statistics.refused == model.refused
    assert statistics.quarantined == len(model.quarantine)


async def drain(model: Model, real: Real) -> None:
    """Let a well-behaved actor do all that is left."""
    perform("start", 0, model, real)
    await trio.testing.wait_all_tasks_blocked()
    while model.hand is not None:
        perform("finish", 0, model, real)
        await trio.testing.wait_all_tasks_blocked()
    assert_same(model, real)


@given(
    policy=st.sampled_from(["refuse", "wait", "drop_oldest"]),
    steps=st.lists(st.sampled_from(STEPS), max_size=40),
)
@example(policy="refuse", steps=["tell", *["start", "crash"] * CRASHES_MAX, "start"])
@example(policy="refuse", steps=["tell", *["start", "hang"] * CRASHES_MAX, "start"])
@example(policy="refuse", steps=["tell", *["start", "stop"] * CRASHES_MAX, "start"])
@example(policy="refuse", steps=["ask", "leave", "start", "tell", "finish"])
@example(policy="refuse", steps=["tell", "tell", "tell", "ask", "start", "stop"])
@example(policy="wait", steps=["tell", "start", "tell", "tell", "ask", "tell", "crash", "start"])
@example(policy="wait", steps=["tell", "tell", "ask", "leave", "ask", "start", "stop"])
@example(policy="drop_oldest", steps=["ask", "tell", "tell", "tell", "start", "finish"])
def test_whatever_happens_it_is_what_a_naive_mailbox_would_do(
    policy: Policy, steps: list[Step]
) -> None:
    async def main() -> None:
        model = Model(policy)
        async with trio.open_nursery() as nursery:
            real = Real(policy, nursery)
            for number, step in enumerate(steps, start=1):
                perform(step, number, model, real)
                await trio.testing.wait_all_tasks_blocked()
                assert_same(model, real)
            await drain(model, real)
            assert_laws(model, real, [n for n, step in enumerate(steps, start=1) if step == "tell"])
            nursery.cancel_scope.cancel()

    trio.run(main)


def assert_laws(model: Model, real: Real, told: list[int]) -> None:
    """What the model itself must satisfy, or it would prove nothing."""
    taken = [number for number in told if real.outcomes.get(number) != "full"]
    first_seen = list(dict.fromkeys(real.delivered))
    assert first_seen == sorted(first_seen), "messages are read in the order they came in"
    kept = set(taken) - set(model.superseded)
    assert kept <= {*model.done, *model.quarantine}, "what was told is done, or put away"
    assert set(model.questions) == {n for n in real.outcomes if n in model.questions}
    unbegun = {n for n, outcome in real.outcomes.items() if outcome == "died"}
    assert not unbegun & set(real.delivered), "what was told not to have begun never begins"
