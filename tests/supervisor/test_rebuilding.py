"""A projection in doubt: it is made again from the facts, or nobody may act on it."""

from collections.abc import Callable
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from riskd.actors.messages import ChildFailed, ChildHeld, Fact, ProjectionRebuilt
from riskd.config.schema import Journal as Settings
from riskd.supervisor.journal import JournalFailed
from trio.testing import MockClock

Machine = Any  # the classes of these fixtures live in conftest.py
Story = Any


def fact(cause: str = "ValueError") -> Fact:
    return ChildFailed(
        supervisor="riskd", child="gate", incarnation=1, phase="running", cause=cause
    )


@given(
    before=st.integers(0, 30),
    breaks=st.sets(st.integers(0, 60), max_size=4),
    meanwhile=st.integers(0, 60),
    snapshot_facts=st.sampled_from([7, 10**6]),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_rebuilt_projection_is_equal_to_one_that_was_never_in_doubt(
    machines: Callable[[int], Machine],
    stories: Callable[[str], Story],
    before: int,
    breaks: set[int],
    meanwhile: int,
    snapshot_facts: int,
    seed: int,
) -> None:
    """While commits go on, whatever there is of snapshots, and also when it breaks again."""
    machine = machines(seed)
    machine.disk.sync_s = (0.0, 0.3)
    whole, broken = stories("whole"), stories("broken")

    async def run() -> None:
        with machine.open([whole, broken], segment_bytes=70_000) as ledger:
            async with machine.kept(ledger, Settings(snapshot_facts=snapshot_facts)):
                for number in range(before):
                    ledger.commit(fact(str(number)))
                await trio.sleep(2)
                ledger.suspect("broken", "its actor crashed in it")
                for number in range(meanwhile):
                    if number in breaks and not ledger.suspected:
                        broken.breaks[ledger.lsn + 1] = ValueError("half a fact")
                    ledger.commit(fact(f"meanwhile {number}"), fact("x" * 700))
                    await trio.sleep(machine.disk.chance.uniform(0, 0.1))
                    if ledger.suspected:
                        assert ledger.snapshot() is None
                with trio.fail_after(100):
                    while ledger.suspected:  # noqa: ASYNC110 - the clock jumps
                        await trio.sleep(0.1)
                ledger.commit(fact("the last"))
            assert broken.facts == whole.facts
            assert [one.lsn for one in whole.facts] == list(range(1, ledger.lsn + 1))
            assert any(isinstance(one, ProjectionRebuilt) for one in whole.told)
            assert ledger.snapshot() is not None

    trio.run(run, clock=MockClock(autojump_threshold=0))


class Refusing:
    """A projection that some fact makes impossible."""

    name = "refusing"
    version = 1

    def apply(self, recorded: object) -> None:
        raise TypeError("no such state")

    def dump(self) -> list[bytes]:
        return [b"null"]

    def load(self, state: bytes | None) -> None:
        return


async def test_what_can_not_be_made_again_from_the_facts_fails_the_journal(
    machine: Machine, autojump_clock: MockClock
) -> None:
    told: list[JournalFailed] = []
    with machine.open([Refusing()]) as ledger:
        ledger.on_failure = told.append
        async with machine.kept(ledger):
            ledger.commit(fact())
            await trio.sleep(3)
        assert told == [ledger.failure]
        assert "'refusing' can't be made again from the facts: TypeError(" in str(told[0])


async def test_files_that_went_away_end_a_rebuilding_rather_than_be_looked_for_for_ever(
    machine: Machine, story: Story, autojump_clock: MockClock
) -> None:
    with machine.open([story]) as ledger:
        ledger.commit(fact())
        machine.sync(ledger)
        machine.disk.remove(ledger.journal.path)
        machine.disk.sync_s = (0.1, 0.1)
        ledger.suspect("story", "its actor crashed in it")
        async with machine.kept(ledger):
            while ledger.failure is None:  # noqa: ASYNC110 - the clock jumps
                await trio.sleep(1)
        assert "'story' can't be made again" in str(ledger.failure)


async def test_once_the_journal_has_failed_a_projection_in_doubt_stays_so(
    machine: Machine, story: Story, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """The files don't know what was tightened since."""
    held = ChildHeld(supervisor="riskd", child="gate")
    with machine.open([story]) as ledger:
        ledger.suspect("story", "its actor crashed in it")
        ledger.failed(ledger.journal.fail("it could not be synced", OSError()))
        assert ledger.commit(held) == 0
        async with machine.kept(ledger) as one:
            monkeypatch.setattr(one, "_restored", lambda _: pytest.fail("it is made again"))
            await trio.sleep(5)
        assert list(ledger.suspected) == ["story"]


async def test_projections_that_look_at_each_other_are_made_again_together(
    machine: Machine, stories: Callable[[str], Story], autojump_clock: MockClock
) -> None:
    """Each fact finds the other as it was when the fact was made, and not as it is now."""
    looked, looker, other = stories("looked"), stories("looker"), stories("other")
    looker.looks_at = ("looked",)
    seen: list[int] = []
    apply = looker.apply

    def look(recorded: Any) -> None:
        seen.append(len(looked.facts))
        apply(recorded)

    looker.apply = look
    with machine.open([looked, looker, other]) as ledger:
        for number in range(5):
            ledger.commit(fact(str(number)))
        before = list(seen)
        seen.clear()
        for name in ("looker", "looked"):
            ledger.suspect(name, "a test")
            assert set(ledger.suspected) == {"looked", "looker"}
            async with machine.kept(ledger, Settings(snapshot_facts=10**6)):
                await trio.sleep(5)
            assert not ledger.suspected
            assert seen[: len(before)] == before
            assert looked.facts == looker.facts == other.facts
            seen.clear()
