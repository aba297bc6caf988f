"""Doubles for tests of what halts: a history, a page that keeps what was done to it, a clock."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import attrs
import pytest
import trio
from riskd.actors.core.halts import Halts
from riskd.actors.kill_switch import KillSwitch
from riskd.actors.mailbox import Mailbox
from riskd.actors.messages import (
    DaemonStarted,
    Fact,
    Loosening,
    Mode,
    Recorded,
)

NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)


class LoopClock:
    """The loop's own time; the wall clock is `ahead` of where it should be."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def monotonic_s(self) -> float:
        return trio.current_time()

    def now(self) -> datetime:
        return NOON + timedelta(seconds=trio.current_time()) + self.ahead

    def boot(self) -> str:
        return "boot 1"


@attrs.define(eq=False)
class History:
    """What happened, in order: facts as they were made, and what the page was told."""

    happened: list[object] = attrs.field(factory=list)
    halts: Halts = attrs.field(factory=Halts)
    clock: LoopClock = attrs.field(factory=LoopClock)
    lsn: int = 0
    recorded: list[Recorded] = attrs.field(factory=list)
    doubts: str | None = None
    breaks: Exception | None = None

    @property
    def facts(self) -> list[Fact]:
        return [each for each in self.happened if isinstance(each, Fact)]

    def record(self, fact: Fact) -> None:
        if self.breaks is not None:
            raise self.breaks
        self.lsn += 1
        self.happened.append(fact)
        at, monotonic_s = self.clock.now(), self.clock.monotonic_s()
        recorded = Recorded(lsn=self.lsn, at=at, monotonic_s=monotonic_s, fact=fact)  # type: ignore[arg-type]  # every Fact is of AnyFact
        self.recorded.append(recorded)
        self.halts.apply(recorded)

    def make_again(self, count: int | None = None) -> None:
        """What the facts add up to, from the first on: all of them, or so many."""
        self.halts.load(None)
        for recorded in self.recorded[:count]:
            self.halts.apply(recorded)

    async def loosen(self, fact: Loosening) -> None:
        await trio.lowlevel.checkpoint()
        self.record(fact)

    def start(self) -> None:
        started = DaemonStarted(
            version="0.1.0",
            process_id=1,
            boot=self.clock.boot(),
            config_source="riskd.toml",
            config_digest="5ee7",
        )
        self.record(started)

    def doubt(self) -> str | None:
        return self.doubts

    # --- the page

    def fence(self) -> None:
        self.happened.append("fence")

    def publish(self, modes: Mapping[str, Mode], epoch: int) -> None:
        self.happened.append((dict(modes), epoch))

    def extend(self, until_ns: int) -> None:
        self.happened.append(until_ns)

    def seize(self) -> None:
        self.happened.append("seize")

    def release(self) -> None:
        self.happened.append("release")

    @property
    def page(self) -> object:
        """What the page says: "fence", or the modes by scope."""
        said = [each for each in self.happened if each == "fence" or isinstance(each, tuple)]
        return said[-1] if said[-1] == "fence" else said[-1][0]


@pytest.fixture
def history() -> History:
    return History()


@pytest.fixture
def mailbox(history: History) -> Mailbox:
    """The recovery actor's."""
    return Mailbox("recovery", record=history.record, capacity=2)


@pytest.fixture
def switch(history: History, mailbox: Mailbox) -> KillSwitch:
    return KillSwitch(
        halts=history.halts,
        record=history.record,
        page=history,
        clock=history.clock,
        doubt=history.doubt,
        recovery=mailbox,
        lsn=lambda: history.lsn,
    )
