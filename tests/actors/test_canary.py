"""The canary asks on a connection that may break, and stops everything when an answer is wrong."""

import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pytest
import trio
from riskd.actors.canary import ANSWER_S, ANSWERS, MISSES_MAX, REPLY_BYTES_MAX, Canary, Tally
from riskd.actors.core.books import Books
from riskd.actors.core.canary import KINDS
from riskd.actors.core.gate.decision import Knowledge
from riskd.actors.core.gate.ruleset import Ruleset
from riskd.actors.messages import (
    AccountOpened,
    AnyReply,
    CanaryFailed,
    CanarySilent,
    Check,
    ClientCommand,
    Decision,
    Error,
    Fact,
    Halt,
    InstrumentListed,
    Listing,
    Recorded,
    Refused,
    Reported,
    Ticket,
    UntilCondition,
    UntilOperator,
)
from trio.testing import memory_stream_pair

BLOCK = Decision(
    decision="block",
    qty="0",
    scale_factor="0",
    rule="identity",
    scope=None,
    code="unknown_account",
    reason="",
    limit=None,
    value=None,
    headroom=None,
    max_qty="0",
    risk_level="warning",
    ess_active=False,
    override=None,
    decision_id="7",
    lsn=6,
    timestamp="2026-01-02T03:04:05Z",
    ticket=None,
)
ALLOW = msgspec.structs.replace(
    BLOCK,
    decision="allow",
    qty="1",
    code="ok",
    ticket=Ticket(digest="", max_qty="1", expires_s=1.0, epoch=1),
)
Answer = Callable[[ClientCommand], AnyReply | bytes | None]


@attrs.define
class Settings:
    canary_s: float = 10.0
    canary_silence: Any = "halt"


@attrs.define
class World:
    """A gate that answers as it is told to, and what the canary does about it."""

    answer: Answer
    """None: not at all. Bytes: as they are."""
    nursery: trio.Nursery
    settings: Settings = attrs.field(factory=Settings)
    happened: list[object] = attrs.field(factory=list)
    asked: list[ClientCommand] = attrs.field(factory=list)
    connections: int = 0
    is_there: bool = True
    known: Knowledge | None = None
    other_end: trio.abc.Stream | None = None
    canary: Canary = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.canary = Canary(
            connect=self.connect,
            known=lambda: self.known,
            halting=self,  # type: ignore[arg-type]  # as much of it as is called
            record=self.record,
            clock=self,  # type: ignore[arg-type]  # as much of it as is called
            settings=lambda: self.settings,
            name=lambda: "nobody",
            tally=Tally(),
        )

    def now(self) -> Any:
        return trio.current_time()

    def record(self, fact: Fact) -> None:
        self.happened.append(fact)

    def halt(self, halt: Halt, **_: Any) -> None:
        self.happened.append(halt)

    def clear(self, condition: str) -> None:
        self.happened.append(condition)

    async def connect(self) -> trio.abc.Stream:
        if not self.is_there:
            raise ConnectionRefusedError("nobody listens")
        self.connections += 1
        here, there = memory_stream_pair()
        self.other_end = there
        self.nursery.start_soon(self._attend, there)
        return here

    async def _attend(self, stream: Any) -> None:
        with contextlib.suppress(trio.ClosedResourceError):
            await self._serve(stream)

    async def _serve(self, stream: Any) -> None:
        received = b""
        while chunk := await stream.receive_some():
            received += chunk
            while b"\n" in received:
                line, _, received = received.partition(b"\n")
                command = msgspec.json.decode(line, type=ClientCommand)
                self.asked.append(command)
                reply = self.answer(command)
                if isinstance(reply, bytes):
                    await stream.send_all(reply)
                elif reply is not None:
                    await stream.send_all(msgspec.json.encode(reply) + b"\n")

    def rounds(self, count: int) -> Awaitable[None]:
        async def go() -> None:
            for _ in range(count):
                await self.canary.round()

        return go()

    @property
    def facts(self) -> list[object]:
        return [one for one in self.happened if isinstance(one, Fact)]

    @property
    def halts(self) -> list[Halt]:
        return [one for one in self.happened if isinstance(one, Halt)]


@pytest.fixture
async def world() -> Any:
    async with trio.open_nursery() as nursery:
        yield World(lambda _: BLOCK, nursery)
        nursery.cancel_scope.cancel()


async def test_a_right_answer_is_counted_and_says_that_the_gate_answers(world: World) -> None:
    await world.rounds(3)
    tally = world.canary.tally
    assert (tally.answers, tally.failures, tally.misses) == (3, 0, 0)
    assert world.happened == [ANSWERS] * 3
    assert world.connections == 1


async def test_what_is_permitted_halts_everything_first_and_then_is_told(world: World) -> None:
    world.answer = lambda _: ALLOW
    await world.rounds(1)
    halt, fact = world.happened
    assert isinstance(halt, Halt)
    assert (halt.scope, halt.mode, halt.cause, halt.source) == ("all", "halt", "watchdog", "canary")
    assert halt.until == UntilOperator()
    assert isinstance(fact, CanaryFailed)
    assert (fact.kind, '"decision":"allow"' in fact.answer) == ("unknown_account", True)


@pytest.mark.parametrize(
    "reply",
    [
        Reported(lsn=1, booked=1),
        Refused(code="no", message="no"),
        Error(code="internal", message="a bug"),
        msgspec.structs.replace(BLOCK, code="max_position"),
        b"what?\n",
        b'{"type":"melt"}\n',
        b"\xff\n",
        b"x" * (REPLY_BYTES_MAX + 1),
    ],
)
async def test_another_answer_than_it_must_be_halts_everything(
    world: World, reply: AnyReply | bytes
) -> None:
    world.answer = lambda _: reply
    await world.rounds(1)
    (halt,) = world.halts
    assert halt.until == UntilOperator()
    assert isinstance(world.facts[0], CanaryFailed)
    assert [type(one) for one in world.asked] == [Check]


def some_limits() -> Knowledge:
    """Of an account, and of an instrument of which 10 may be ordered at most."""
    books = Books(ZoneInfo)
    for fact in (
        InstrumentListed(
            listing=Listing(
                symbol="X",
                kind="linear",
                multiplier=Decimal(1),
                quote="USD",
                settle="USD",
                max_qty=Decimal(10),
            )
        ),
        AccountOpened(account="main", currency="USD", balance=Decimal(1000)),
    ):
        at = datetime(2026, 11, 20, 12, tzinfo=UTC)
        books.apply(Recorded(lsn=1, at=at, monotonic_s=1.0, fact=fact))
    return Knowledge(
        books=books, rules=Ruleset(()), memories={}, is_active=True, modes={}, on_excess="block"
    )


async def test_limits_that_change_while_it_asks_are_no_failure_of_the_gate(world: World) -> None:
    def reload(_: ClientCommand) -> AnyReply:
        world.known = some_limits()
        return ALLOW

    tally = world.canary.tally
    world.known, world.answer = some_limits(), reload
    tally.turn = KINDS.index("too_large")
    await world.rounds(1)
    assert world.happened == []
    assert (tally.answers, tally.failures, tally.misses) == (0, 0, 0)
    tally.turn, world.answer = KINDS.index("too_large"), lambda _: ALLOW
    await world.rounds(1)
    assert [type(one) for one in world.happened] == [Halt, CanaryFailed]


async def test_what_no_limit_makes_wrong_is_wrong_whatever_changes(world: World) -> None:
    def reload(_: ClientCommand) -> AnyReply:
        world.known = some_limits()
        return ALLOW

    world.known, world.answer = some_limits(), reload
    await world.rounds(1)
    assert [type(one) for one in world.happened] == [Halt, CanaryFailed]


async def hears_nothing(world: World) -> None:
    world.answer = lambda _: None


async def finds_nobody(world: World) -> None:
    world.is_there = False


async def has_no_place(world: World) -> None:
    world.answer = lambda _: Error(code="too_many_clients", message="all are taken")


@pytest.mark.parametrize("how", [hears_nothing, finds_nobody, has_no_place])
async def test_no_answer_is_no_wrong_answer_and_is_told_after_a_while(
    world: World, how: Any, autojump_clock: Any
) -> None:
    await how(world)
    began = trio.current_time()
    await world.rounds(MISSES_MAX - 1)
    assert not world.happened
    await world.rounds(2)
    assert trio.current_time() - began <= (MISSES_MAX + 1) * 2 * ANSWER_S
    (fact,) = world.facts
    assert isinstance(fact, CanarySilent)
    assert {one.until for one in world.halts} == {UntilCondition(condition=ANSWERS)}
    assert {one.cause for one in world.halts} == {"watchdog"}
    world.answer, world.is_there = (lambda _: BLOCK), True
    await world.rounds(1)
    assert world.happened[-1] == ANSWERS
    assert world.canary.tally.misses == 0


async def test_by_the_configuration_it_is_told_and_nothing_halts(world: World) -> None:
    world.is_there, world.settings.canary_silence = False, "warn"
    await world.rounds(MISSES_MAX + 1)
    assert [type(one) for one in world.happened] == [CanarySilent]


async def test_a_connection_that_was_lost_meanwhile_is_no_miss(world: World) -> None:
    await world.rounds(1)
    assert world.other_end is not None
    await world.other_end.aclose()
    await world.rounds(1)
    assert world.connections == 2
    assert (world.canary.tally.answers, world.canary.tally.misses) == (2, 0)


async def test_it_asks_as_often_as_the_configuration_says_and_not_when_it_is_off(
    world: World, autojump_clock: Any
) -> None:
    world.nursery.start_soon(world.canary._watch)
    await trio.sleep(25)
    assert len(world.asked) == 2
    world.settings.canary_s = 0
    await trio.sleep(100)
    assert len(world.asked) == 2
    world.settings.canary_s = 1
    await trio.sleep(5)
    assert len(world.asked) >= 4
