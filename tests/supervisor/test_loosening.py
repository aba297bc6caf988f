"""What loosens is in force only when the disk has it, and nothing was tightened meanwhile."""

import errno
from collections.abc import Callable
from typing import Any

import pytest
import trio
from riskd.actors.messages import (
    ChildFailed,
    ChildHeld,
    ConfigReloaded,
    Fact,
    LooseningProposed,
    LooseningWithdrawn,
)
from riskd.supervisor.journal import JournalFailed
from riskd.supervisor.ledger import Ledger, Overtaken
from trio.testing import wait_all_tasks_blocked

Machine = Any  # the classes of these fixtures live in conftest.py
Story = Any

LOOSENS = ConfigReloaded(source="riskd.toml", digest="5ee7", changed=(), needs_restart=())


def neutral(cause: str = "ValueError") -> Fact:
    return ChildFailed(
        supervisor="riskd", child="gate", incarnation=1, phase="running", cause=cause
    )


def tightens(child: str = "gate") -> Fact:
    return ChildHeld(supervisor="riskd", child=child)


def break_journal(ledger: Ledger) -> JournalFailed:
    """As the keeper does it when a sync has failed."""
    failure = ledger.journal.fail("it could not be synced", OSError(errno.EIO, "I/O error"))
    ledger.failed(failure)
    return failure


async def closely(act: Callable[[], object]) -> list[object]:
    """What came of an act that waits: its result, or its error, once it is over."""
    try:
        return [await act()]  # type: ignore[misc]  # what is given is asynchronous
    except (Overtaken, JournalFailed) as error:
        return [error]


def test_a_commit_refuses_what_loosens(machine: Machine, story: Story) -> None:
    with machine.open([story]) as ledger:
        with pytest.raises(TypeError, match=r"ConfigReloaded loosens: .* loosen\(\)"):
            ledger.commit(neutral(), LOOSENS)
        assert story.facts == []


async def test_what_loosens_is_proposed_then_safe_on_the_disk_and_only_then_in_force(
    machine: Machine, story: Story
) -> None:
    with machine.open([story]) as ledger:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ledger.loosen, LOOSENS)
            await wait_all_tasks_blocked()
            ledger.commit(neutral("between"))
            assert story.told == [LooseningProposed(proposed=LOOSENS), neutral("between")]
            machine.sync(ledger)
        assert story.told[2:] == [LOOSENS]
        machine.cut_power()
        assert LooseningProposed(proposed=LOOSENS) in machine.told()


@pytest.mark.parametrize("moment", ["before the disk has it", "as the disk has it"])
async def test_what_loosens_is_withdrawn_when_something_was_tightened_meanwhile(
    machine: Machine, story: Story, moment: str
) -> None:
    with machine.open([story]) as ledger:
        ledger.commit(tightens("earlier"))
        outcome: list[object] = []

        async def loosen() -> None:
            outcome.extend(await closely(lambda: ledger.loosen(LOOSENS)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(loosen)
            await wait_all_tasks_blocked()
            if moment == "before the disk has it":
                ledger.commit(tightens("later"))
                machine.sync(ledger)
            else:
                machine.sync(ledger)
                ledger.commit(tightens("later"))
        assert isinstance(outcome[0], Overtaken)
        assert LOOSENS not in story.told
        assert story.told[-1] == LooseningWithdrawn(proposed_lsn=2, because_lsn=3)


@pytest.mark.parametrize(
    "together",
    [(tightens(), neutral()), (neutral(), tightens()), (neutral(), tightens(), neutral())],
    ids=["first", "last", "between"],
)
async def test_what_tightens_overtakes_a_loosening_also_among_others_of_its_commit(
    machine: Machine, story: Story, together: tuple[Fact, ...]
) -> None:
    with machine.open([story]) as ledger:
        outcome: list[object] = []

        async def loosen() -> None:
            outcome.extend(await closely(lambda: ledger.loosen(LOOSENS)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(loosen)
            await wait_all_tasks_blocked()
            ledger.commit(*together)
            machine.sync(ledger)
        assert isinstance(outcome[0], Overtaken)
        assert LOOSENS not in story.told
        assert isinstance(story.told[-1], LooseningWithdrawn)
        assert story.told[-1].proposed_lsn == 1


async def test_what_was_tightened_before_the_proposal_does_not_overtake_it(
    machine: Machine, story: Story
) -> None:
    with machine.open([story]) as ledger:
        ledger.commit(tightens())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ledger.loosen, LOOSENS)
            await wait_all_tasks_blocked()
            machine.sync(ledger)
        assert story.told[-1] == LOOSENS


async def test_whoever_is_cancelled_while_the_disk_is_waited_for_has_loosened_nothing(
    machine: Machine, story: Story
) -> None:
    with machine.open([story]) as ledger:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ledger.loosen, LOOSENS)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
            machine.sync(ledger)  # the disk has it in the same step
        assert story.told == [LooseningProposed(proposed=LOOSENS)]


async def test_nothing_is_loosened_when_the_journal_fails_before_or_meanwhile(
    machine: Machine, story: Story
) -> None:
    with machine.open([story]) as ledger:
        outcome: list[object] = []

        async def loosen() -> None:
            outcome.extend(await closely(lambda: ledger.loosen(LOOSENS)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(loosen)
            await wait_all_tasks_blocked()
            failure = break_journal(ledger)
        await loosen()
        assert outcome == [failure, failure]
        assert story.told == [LooseningProposed(proposed=LOOSENS)]


async def test_a_journal_that_fails_just_after_the_proposal_is_safe_lets_nothing_loosen(
    machine: Machine, story: Story
) -> None:
    with machine.open([story]) as ledger:
        outcome: list[object] = []

        async def loosen() -> None:
            outcome.extend(await closely(lambda: ledger.loosen(LOOSENS)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(loosen)
            await wait_all_tasks_blocked()
            machine.sync(ledger)
            failure = break_journal(ledger)
            assert ledger.commit(tightens()) == 0
        assert outcome == [failure]
        assert LOOSENS not in story.told
