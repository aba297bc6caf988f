"""A history of halts: the projection, and the clocks by which its facts are made."""

from datetime import UTC, datetime, timedelta

import pytest
from riskd.actors.core.halts import Halted, Halts, Now
from riskd.actors.messages import DaemonStarted, Fact, Recorded

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class History:
    """Facts are made one after another, at whatever time it is. A new one has begun a run."""

    def __init__(self) -> None:
        self.halts = Halts()
        self.facts: list[Recorded] = []
        self.boot, self.monotonic_s, self.at = "first", 1_000.0, NOON
        self.start()

    @property
    def halted(self) -> Halted:
        return self.halts.now

    @property
    def now(self) -> Now:
        return Now(boot=self.boot, monotonic_s=self.monotonic_s, at=self.at)

    def passes(self, seconds: float) -> None:
        """By both clocks."""
        self.monotonic_s += seconds
        self.jumps(seconds)

    def jumps(self, seconds: float) -> None:
        """The wall clock alone."""
        self.at += timedelta(seconds=seconds)

    def make(self, fact: Fact | None) -> Fact:
        """A fact that is there: a decision that makes none has no place here."""
        assert fact is not None
        recorded = Recorded(
            lsn=len(self.facts) + 1,
            at=self.at,
            monotonic_s=self.monotonic_s,
            fact=fact,  # type: ignore[arg-type]  # every Fact is of AnyFact
        )
        self.facts.append(recorded)
        self.halts.apply(recorded)
        return fact

    def start(self) -> None:
        self.make(
            DaemonStarted(
                version="1", process_id=1, boot=self.boot, config_source="", config_digest=""
            )
        )

    def reboot(self, boot: str = "second", monotonic_s: float = 5.0, off_s: float = 0.0) -> None:
        """The machine is off for a while; then riskd starts, in a boot that has its own clock."""
        self.boot, self.monotonic_s = boot, monotonic_s
        self.jumps(off_s)
        self.start()


@pytest.fixture
def history() -> History:
    return History()
