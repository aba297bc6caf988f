"""The actor `triggers`: what it sees it acts on, and nothing that hangs keeps it from anything."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import attrs
import msgspec
import pytest
import trio
from riskd.actors.core.kill_switch import Breaker
from riskd.actors.core.triggers import METRICS_MAX, Board, Ran
from riskd.actors.mailbox import Mailbox, Registry
from riskd.actors.messages import (
    By,
    Cause,
    Fact,
    Halt,
    Metric,
    Refused,
    Taken,
    UntilCondition,
    UntilOperator,
    UntilSession,
)
from riskd.actors.ports import Text
from riskd.actors.triggers import SPARE_S, TICK_S, Triggers
from riskd.config.schema import AnyTrigger, Command, FileAppears, StatusFile, Threshold
from trio.testing import MockClock

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SESSION_END = datetime(2026, 1, 3, tzinfo=UTC)
RISKD = By(via="riskd")


@attrs.define
class Clock:
    """Goes with trio's."""

    began: float = attrs.field(factory=trio.current_time)

    def monotonic_s(self) -> float:
        return 500.0 + trio.current_time() - self.began

    def now(self) -> datetime:
        return START + timedelta(seconds=trio.current_time() - self.began)

    def boot(self) -> str:
        return "b1"


@attrs.define
class Switch:
    """A kill switch that writes down what it is told, and when."""

    told: list[tuple[float, object]] = attrs.field(factory=list)

    def trigger(self, *, by: By, cause: Cause, source: str, reason: str) -> bool:
        return self._note((by, cause, source, reason)) is None

    def halt(self, halt: Halt, *, by: By) -> int | None:
        return self._note((by, halt))

    def trip(self, halt: Halt, breaker: Breaker, *, by: By) -> int | None:
        return self._note((by, halt, breaker))

    def clear(self, condition: str) -> None:
        self._note(condition)

    def _note(self, what: object) -> None:
        self.told.append((trio.current_time(), what))

    @property
    def all(self) -> list[object]:
        return [what for _, what in self.told]

    @property
    def reasons(self) -> list[str]:
        return [str(what[-1]) for what in self.all if isinstance(what, tuple)]


async def _hang() -> None:
    await trio.sleep_forever()


@attrs.define
class World:
    """What lies outside. A test puts in an answer, an error, or a wait before it."""

    there: bool | OSError = False
    text: Text | OSError = attrs.field(factory=lambda: Text("open", START))
    ran: Ran | OSError = attrs.field(factory=lambda: Ran(0, ""))
    wait: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
    looks: int = 0
    under_way: int = 0

    async def is_there(self, _path: str) -> bool:
        await self._wait()
        if isinstance(self.there, OSError):
            raise self.there
        return self.there

    async def read(self, _path: str) -> Text:
        await self._wait()
        if isinstance(self.text, OSError):
            raise self.text
        return self.text

    async def run(self, _argv: Sequence[str], _timeout_s: float) -> Ran:
        await self._wait()
        if isinstance(self.ran, OSError):
            raise self.ran
        return self.ran

    async def _wait(self) -> None:
        self.looks += 1
        self.under_way += 1
        try:
            await self.wait()
        finally:
            self.under_way -= 1


@attrs.define
class Rig:
    """One riskd as far as triggers see it."""

    rules: tuple[AnyTrigger, ...]
    switch: Switch = attrs.field(factory=Switch)
    world: World = attrs.field(factory=World)
    clock: Clock = attrs.field(factory=Clock)
    board: Board = attrs.field(factory=Board)
    mailbox: Mailbox = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        def record(_: Fact) -> None: ...

        self.mailbox = Registry(record).add("triggers")

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """One incarnation of the actor."""
        actor = Triggers(
            halting=self.switch,
            clock=self.clock,
            looks=self.world,
            board=self.board,
            rules=lambda: self.rules,
            session_end=lambda: SESSION_END,
        )

        async def serve(*, task_status: trio.TaskStatus[None]) -> None:
            await actor.serve(self.mailbox, task_status=task_status)

        async with trio.open_nursery() as nursery:
            await nursery.start(serve)
            yield
            nursery.cancel_scope.cancel()

    async def report(self, name: str, value: str) -> object:
        return await self.mailbox.ask(Metric(id=7, name=name, value=value), timeout_s=1.0)


def rule(kind: type[AnyTrigger], **keys: object) -> AnyTrigger:
    least: dict[type, dict[str, object]] = {
        Threshold: {"metric": "m", "above": "10"},
        FileAppears: {"path": "/x/stop"},
        StatusFile: {"path": "/x/venue", "good": ["open"]},
        Command: {"argv": ["/x/check"]},
    }
    return msgspec.convert({"name": "t", "action": "halt", **least[kind], **keys}, kind)


def halted(reason: str, **keys: object) -> tuple[By, Halt]:
    fields = {"scope": "all", "mode": "halt", "cause": "threshold", "until": UntilOperator()}
    halt = Halt(source="trigger:t", reason=reason, **{**fields, **keys})  # type: ignore[arg-type]  # as a test says
    return RISKD, halt


# --- metrics --------------------------------------------------------------------------------------


async def test_when_a_metric_is_taken_what_it_trips_has_stopped(autojump_clock: MockClock) -> None:
    rig = Rig((rule(Threshold),))
    async with rig.run():
        assert await rig.report("m", "10") == Taken(id=7)
        assert rig.switch.all == []
        assert await rig.report("m", "10.01") == Taken(id=7)
        assert rig.switch.all == [halted("metric m is 10.01, above its limit 10")]


async def test_while_it_lasts_the_switch_is_told_again_and_again(
    autojump_clock: MockClock,
) -> None:
    rig = Rig((rule(Threshold, action="kill", grace_s=3600),))
    async with rig.run():
        await rig.report("m", "11")
        await trio.sleep(10)
        told = (RISKD, "threshold", "trigger:t", "metric m is 11, above its limit 10")
        assert set(rig.switch.all) == {told}
        assert len(rig.switch.all) >= 10 / TICK_S
        await rig.report("m", "9")
        rig.switch.told.clear()
        await trio.sleep(10)
        assert rig.switch.all == []


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({}, halted("metric m is 11, above its limit 10")),
        (
            {"until": "clear", "action": "reduce_only", "scope": "symbol:BTC", "cause": "network"},
            halted(
                "metric m is 11, above its limit 10",
                mode="reduce_only",
                scope="symbol:BTC",
                cause="network",
                until=UntilCondition(condition="trigger:t"),
            ),
        ),
        (
            {"until": "session"},
            halted("metric m is 11, above its limit 10", until=UntilSession(at=SESSION_END)),
        ),
        (
            {"until": "time", "for_s": 30},
            (*halted("metric m is 11, above its limit 10"), Breaker(for_s=30)),
        ),
    ],
    ids=["operator", "clear", "session", "time"],
)
async def test_it_does_what_its_rule_says(
    autojump_clock: MockClock, keys: dict[str, object], told: object
) -> None:
    rig = Rig((rule(Threshold, **keys),))
    async with rig.run():
        await rig.report("m", "11")
        assert rig.switch.all == [told]


async def test_nobody_reports_in_riskds_name(autojump_clock: MockClock) -> None:
    rig = Rig((rule(Threshold, metric="riskd.free_mib", grace_s=3600),))
    async with rig.run():
        answer = await rig.report("riskd.free_mib", "11")
        assert isinstance(answer, Refused)
        assert (answer.id, answer.code) == (7, "reserved_name")
        assert len(rig.board.metrics) == 0


async def test_a_metric_that_is_not_reported_trips_after_its_grace(
    autojump_clock: MockClock,
) -> None:
    rig = Rig((rule(Threshold, grace_s=5),))
    async with rig.run():
        await trio.sleep(4.9)
        assert rig.switch.all == []
        await trio.sleep(0.1 + 2 * TICK_S)
        assert "metric m has not been reported at all" in rig.switch.reasons[0]


async def test_a_crash_of_the_actor_makes_nothing_fresh(autojump_clock: MockClock) -> None:
    rig = Rig((rule(Threshold, grace_s=5),))
    for _ in range(8):
        async with rig.run():
            await trio.sleep(1)
    assert rig.switch.reasons


async def test_names_that_nobody_watches_crowd_out_none_that_is_watched(
    autojump_clock: MockClock,
) -> None:
    rig = Rig((rule(Threshold, grace_s=3600),))
    async with rig.run():
        await rig.report("m", "11")
        for number in range(METRICS_MAX + 10):
            await rig.report(f"flood-{number}", "1")
        rig.switch.told.clear()
        await trio.sleep(1)
        assert rig.switch.all[0] == halted("metric m is 11, above its limit 10")


# --- calm -----------------------------------------------------------------------------------------


async def test_after_so_long_of_calm_its_halts_may_end_and_not_before(
    autojump_clock: MockClock,
) -> None:
    rig = Rig((rule(Threshold, until="clear", clear_s=20, grace_s=3600),))
    async with rig.run():
        await rig.report("m", "11")
        await trio.sleep(5)
        await rig.report("m", "1")
        await trio.sleep(10)
        await rig.report("m", "11")
        await rig.report("m", "1")
        since = trio.current_time()
        rig.switch.told.clear()
        await trio.sleep(30)
        times = [at for at, what in rig.switch.told]
        assert set(rig.switch.all) == {"trigger:t"}
        assert since + 20 <= times[0] <= since + 20 + TICK_S
        assert 9 <= len(times) <= 11, "it is said again, and not at every tick"


async def test_a_trigger_that_is_gone_is_never_said_to_be_calm(autojump_clock: MockClock) -> None:
    rig = Rig((rule(FileAppears, until="clear", clear_s=2),))
    async with rig.run():
        await trio.sleep(5)
        assert "trigger:t" in rig.switch.all
        rig.rules = ()
        await trio.sleep(1)
        rig.switch.told.clear()
        await trio.sleep(100)
        assert rig.switch.all == []


async def test_a_trigger_that_changed_has_to_be_calm_anew(autojump_clock: MockClock) -> None:
    rig = Rig((rule(FileAppears, until="clear", clear_s=20),))
    async with rig.run():
        await trio.sleep(15)
        rig.rules = (rule(FileAppears, until="clear", clear_s=19),)
        await trio.sleep(15)
        assert rig.switch.all == []
        await trio.sleep(15)
        assert "trigger:t" in rig.switch.all


async def test_a_trigger_whose_file_can_not_be_seen_is_not_calm(autojump_clock: MockClock) -> None:
    rig = Rig((rule(FileAppears, until="clear", clear_s=5, grace_s=3600),))
    rig.world.there = OSError(5, "Input/output error")
    async with rig.run():
        await trio.sleep(100)
        assert rig.switch.all == []


# --- looks ----------------------------------------------------------------------------------------


async def test_a_file_that_appears_stops_what_it_should(autojump_clock: MockClock) -> None:
    rig = Rig((rule(FileAppears, poll_s=2),))
    async with rig.run():
        await trio.sleep(100)
        assert rig.switch.all == []
        assert 50 <= rig.world.looks <= 51
        rig.world.there = True
        await trio.sleep(2 + 2 * TICK_S)
        assert rig.switch.all[0] == halted("/x/stop is there", cause="external")


async def test_an_exchange_that_says_another_word_stops_what_it_should(
    autojump_clock: MockClock,
) -> None:
    rig = Rig((rule(StatusFile),))
    async with rig.run():
        await trio.sleep(5)
        assert rig.switch.all == []
        rig.world.text = Text("halted\n", START)
        await trio.sleep(2)
        assert rig.switch.reasons
        assert "/x/venue says 'halted', and not 'open'" in rig.switch.reasons[0]


async def test_an_age_is_that_of_riskds_clock(autojump_clock: MockClock) -> None:
    rig = Rig((rule(StatusFile, max_age_s=30, grace_s=5),))
    async with rig.run():
        await trio.sleep(34)
        assert rig.switch.all == []
        await trio.sleep(4)
        assert "and is believed for 30 s" in rig.switch.reasons[0]


async def test_what_can_not_be_seen_stops_after_the_grace(autojump_clock: MockClock) -> None:
    rig = Rig((rule(StatusFile, grace_s=8),))
    rig.world.text = FileNotFoundError(2, "No such file or directory")
    async with rig.run():
        await trio.sleep(7.9)
        assert rig.switch.all == []
        await trio.sleep(1)
        assert "/x/venue: No such file or directory; 8.0 s" in rig.switch.reasons[0]


@pytest.mark.parametrize("kind", [FileAppears, StatusFile])
async def test_a_look_that_hangs_is_one_that_sees_nothing_and_is_not_followed_by_more(
    autojump_clock: MockClock, kind: type[AnyTrigger]
) -> None:
    rig = Rig((rule(kind, grace_s=8), rule(Threshold, name="other", grace_s=3600)))
    rig.world.wait = _hang
    async with rig.run():
        await rig.report("m", "1")
        await trio.sleep(7.9)
        assert rig.switch.all == []
        await trio.sleep(0.1 + 2 * TICK_S)
        assert "does not answer; 8.0 s without knowing more" in rig.switch.reasons[0]
        await trio.sleep(100)
        assert rig.world.looks == 1
        rig.switch.told.clear()
        with trio.fail_after(0.01):
            assert await rig.report("m", "11") == Taken(id=7)
        assert (RISKD, of_another("other", "metric m is 11, above its limit 10")) in rig.switch.all


def of_another(name: str, reason: str) -> Halt:
    return msgspec.structs.replace(halted(reason)[1], source=f"trigger:{name}")


async def test_a_look_that_answers_at_last_is_believed(autojump_clock: MockClock) -> None:
    rig = Rig((rule(FileAppears, grace_s=8),))
    answer = trio.Event()
    rig.world.wait = answer.wait
    async with rig.run():
        await trio.sleep(20)
        assert rig.switch.reasons
        answer.set()
        await trio.sleep(2)
        rig.switch.told.clear()
        await trio.sleep(20)
        assert rig.switch.all == []


async def test_a_command_stops_after_so_many_failures_in_a_row(autojump_clock: MockClock) -> None:
    rig = Rig((rule(Command, failures=3, interval_s=10),))
    async with rig.run():
        await trio.sleep(5)
        rig.world.ran = Ran(4, "no route\n")
        await trio.sleep(20)
        assert rig.switch.all == []
        await trio.sleep(10)
        said = "/x/check ended with status 4, not 0, and said 'no route'; 3 in a row, 3 trip it"
        assert rig.switch.all[0] == halted(said, cause="external")


async def test_a_command_that_can_not_be_run_has_failed(autojump_clock: MockClock) -> None:
    rig = Rig((rule(Command),))
    rig.world.ran = PermissionError(13, "Permission denied")
    async with rig.run():
        await trio.sleep(1)
        assert rig.switch.all[0] == halted("/x/check: Permission denied", cause="external")


async def test_a_command_that_not_even_its_end_reaches_fails_once_an_interval(
    autojump_clock: MockClock,
) -> None:
    rig = Rig((rule(Command, failures=3, interval_s=10, timeout_s=5),))
    rig.world.wait = _hang
    async with rig.run():
        await trio.sleep(5 + SPARE_S + 20 - TICK_S)
        assert rig.switch.all == []
        await trio.sleep(3 * TICK_S)
        assert "/x/check does not answer" in rig.switch.reasons[0]
        assert "3 in a row" in rig.switch.reasons[0]
        assert rig.world.looks == 1


async def test_a_changed_rule_leaves_the_look_of_the_old_one(autojump_clock: MockClock) -> None:
    rig = Rig((rule(FileAppears),))
    rig.world.wait = _hang
    async with rig.run():
        await trio.sleep(5)
        assert rig.world.under_way == 1
        rig.world.wait = trio.lowlevel.checkpoint
        rig.world.there = True
        rig.rules = (rule(FileAppears, grace_s=99),)
        await trio.sleep(1)
        assert rig.world.under_way == 0
        assert rig.switch.reasons
        assert "/x/stop is there" in rig.switch.reasons[0]
        rig.rules = ()
        await trio.sleep(1)
        looks = rig.world.looks
        await trio.sleep(10)
        assert rig.world.looks == looks


async def test_a_changed_rule_is_looked_after_at_once(autojump_clock: MockClock) -> None:
    rig = Rig((rule(FileAppears, poll_s=3600),))
    async with rig.run():
        await trio.sleep(1)
        rig.rules = (rule(FileAppears, poll_s=1),)
        await trio.sleep(1)
        assert rig.world.looks == 2


async def test_rules_that_are_equal_go_on_through_a_reload(autojump_clock: MockClock) -> None:
    rig = Rig((rule(FileAppears, poll_s=3600), rule(Threshold, name="m", grace_s=5)))
    async with rig.run():
        for _ in range(20):
            await trio.sleep(1)
            rig.rules = (rule(FileAppears, poll_s=3600), rule(Threshold, name="m", grace_s=5))
        assert rig.world.looks == 1
        assert rig.switch.reasons


async def test_an_actor_that_ends_leaves_no_look(autojump_clock: MockClock) -> None:
    rig = Rig((rule(Command),))
    rig.world.wait = _hang
    async with rig.run():
        await trio.sleep(1)
        assert rig.world.under_way == 1
    assert rig.world.under_way == 0


async def test_another_message_is_a_mistake(autojump_clock: MockClock) -> None:
    rig = Rig(())
    actor = Triggers(
        halting=rig.switch,
        clock=rig.clock,
        looks=rig.world,
        board=rig.board,
        rules=lambda: (),
        session_end=lambda: SESSION_END,
    )
    with pytest.raises(TypeError, match="takes metrics, and got int"):
        await actor.receive(5)
    assert not math.isinf(actor.wake_at())


async def test_values_are_kept_exactly(autojump_clock: MockClock) -> None:
    rig = Rig(())
    async with rig.run():
        await rig.report("m", "0.1000000000000000000000000000000001")
        reading = rig.board.metrics.get("m")
        assert reading is not None
        assert reading.value == Decimal("0.1000000000000000000000000000000001")
