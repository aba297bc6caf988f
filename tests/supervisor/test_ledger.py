"""The ledger: what is committed is history, in force and told, in one step."""

import contextlib
import errno
from collections.abc import Callable
from itertools import accumulate
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from riskd.actors.messages import (
    ChildFailed,
    ChildHeld,
    Fact,
    JournalRepaired,
    ProjectionRebuilt,
)
from riskd.supervisor import ledger as module
from riskd.supervisor.journal import FactTooLarge, JournalError, JournalFailed
from riskd.supervisor.journal.reader import Cursor
from riskd.supervisor.ledger import Ledger, restore
from trio.testing import (
    MockClock,
    assert_checkpoints,
    assert_no_checkpoints,
    wait_all_tasks_blocked,
)

Machine = Any  # the classes of these fixtures live in conftest.py
Story = Any

FACT_MAX = 1_048_576


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


# --- one step -------------------------------------------------------------------------------------


async def test_a_commit_is_on_file_applied_and_told_in_one_step(
    machine: Machine, story: Story
) -> None:
    with machine.open([story]) as ledger, assert_no_checkpoints():
        assert ledger.commit(neutral("a"), tightens()) == 2
        assert ledger.lsn == 2
        assert story.told == [neutral("a"), tightens()]
        assert [lsn for lsn, _ in ledger.recent(0, 10**6) or ()] == [1, 2]
        machine.disk.crash()
        assert machine.told() == [neutral("a"), tightens()]


async def test_followers_are_woken_by_a_commit_and_find_it_applied(
    machine: Machine, story: Story, autojump_clock: MockClock
) -> None:
    found = []

    async def follow() -> None:
        with trio.fail_after(1):
            await ledger.news.park()
        found.append(list(story.told))

    with machine.open([story]) as ledger:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(follow)
            await wait_all_tasks_blocked()
            ledger.commit(neutral("a"), neutral("b"))
        assert found == [[neutral("a"), neutral("b")]]


async def test_what_is_cancelled_has_done_all_of_a_commit(machine: Machine, story: Story) -> None:
    with machine.open([story]) as ledger:
        with trio.CancelScope() as scope:
            scope.cancel()
            ledger.commit(neutral("a"), neutral("b"))
            await trio.lowlevel.checkpoint()
        assert scope.cancelled_caught
        assert story.told == [neutral("a"), neutral("b")]


@pytest.mark.parametrize("seed", range(12))
def test_a_commit_that_can_not_be_written_is_nothing_and_stays_nothing(
    machines: Callable[[int], Machine], story: Story, seed: int
) -> None:
    """However many of its bytes the disk took."""
    machine = machines(seed)
    with machine.open([story]) as ledger:
        ledger.commit(neutral("before"))
        machine.disk.fail("write")
        with pytest.raises(JournalFailed, match="a fact could not be written"):
            ledger.commit(neutral("a"), tightens(), neutral("c" * 500))
        assert (ledger.lsn, story.told) == (1, [neutral("before")])
        assert len(ledger.recent(0, 10**6) or ()) == 1
    machine.disk.crash()
    found = machine.told()
    assert found[0] == neutral("before")
    # The first of three may lie there whole: without the others it is torn off.
    assert all(isinstance(fact, JournalRepaired) for fact in found[1:])


@pytest.mark.parametrize(
    ("bad", "error"),
    [(neutral("\udc80"), UnicodeEncodeError), (neutral("x" * FACT_MAX), FactTooLarge)],
    ids=["can't be encoded", "too large"],
)
def test_a_fact_that_can_not_be_stored_changes_nothing_nor_do_those_beside_it(
    machine: Machine, story: Story, bad: Fact, error: type[Exception]
) -> None:
    with machine.open([story]) as ledger:
        with pytest.raises(error):
            ledger.commit(neutral("beside"), bad)
        assert (ledger.lsn, story.told, ledger.failure) == (0, [], None)
        assert ledger.commit(neutral("after")) == 1
    assert machine.told() == [neutral("after")]


def test_nothing_is_a_commit_too_and_changes_nothing(machine: Machine, story: Story) -> None:
    with machine.open([story]) as ledger:
        ledger.commit(neutral())
        assert ledger.commit() == 1
        assert len(story.facts) == 1


# --- a journal that has failed --------------------------------------------------------------------


def test_after_a_failure_what_tightens_is_in_force_and_all_else_is_refused(
    machine: Machine, story: Story
) -> None:
    with machine.open([story]) as ledger:
        failure = break_journal(ledger)
        for facts in ([neutral()], [tightens(), neutral()]):
            with pytest.raises(JournalFailed) as refused:
                ledger.commit(*facts)
            assert refused.value is failure
        assert ledger.commit(tightens("a"), tightens("b")) == 0
        assert story.told == [tightens("a"), tightens("b")]
        assert (ledger.lsn, ledger.recent(0, 10**6)) == (0, [])


@pytest.mark.parametrize("fact", [neutral(), tightens()], ids=["neutral", "tightens"])
def test_a_failure_is_told_once_in_the_step_in_which_it_happens(
    machine: Machine, story: Story, fact: Fact
) -> None:
    with machine.open([story]) as ledger:
        told: list[JournalFailed] = []
        ledger.on_failure = told.append
        machine.disk.fail("write")
        for _ in range(3):
            with contextlib.suppress(JournalFailed):
                ledger.commit(fact)
            assert told == [ledger.failure]
        break_journal(ledger)
        assert len(told) == 1


def fill(ledger: Ledger, fact: Callable[[], Fact]) -> int:
    """Commit until the journal says that it has failed; the LSN of the last that was written."""
    while ledger.failure is None:
        try:
            ledger.commit(fact())
        except JournalFailed:
            break
    return ledger.lsn


@pytest.mark.parametrize("fact", [neutral, tightens], ids=["neutral", "tightens"])
def test_on_a_full_disk_the_reserve_takes_what_tightens_until_it_is_used_up(
    machine: Machine, story: Story, fact: Callable[[], Fact]
) -> None:
    with machine.open([story]) as ledger:
        told: list[JournalFailed] = []
        ledger.on_failure = told.append
        machine.disk.capacity_bytes = 262_144 + 10_000
        fill(ledger, fact)
        assert len(told) == 1  # whichever fact it was that found no room
        with pytest.raises(JournalFailed):
            ledger.commit(neutral())
        written = 0
        while ledger.commit(tightens(f"{written:05}")):
            written += 1
        assert 100 < written < 1_000
        assert story.told[-1] == tightens(f"{written:05}")  # in memory, like all that follow
        assert len(told) == 1
    # The descriptor was good all the time: what the reserve took is made safe at the end.
    machine.cut_power()
    machine.disk.capacity_bytes = 1 << 30
    assert machine.told()[-1] == tightens(f"{written - 1:05}")


def test_a_sync_that_found_no_room_is_final_and_no_reserve_is_left(machine: Machine) -> None:
    """What is on the disk is unknown then; another sync would seem to know."""
    with machine.open() as ledger:
        ledger.commit(neutral())
        failure = ledger.journal.fail("it could not be synced", OSError(errno.ENOSPC, "full"))
        ledger.failed(failure)
        assert ledger.commit(tightens()) == 0
    assert ledger.journal.safe_lsn == 0


def test_a_sync_that_fails_on_a_full_disk_closes_the_reserve(machine: Machine) -> None:
    with machine.open() as ledger:
        machine.disk.fail("write", reason=errno.ENOSPC)
        with pytest.raises(JournalFailed):
            ledger.commit(neutral())
        assert ledger.commit(tightens()) == 1
        break_journal(ledger)
        assert ledger.commit(tightens()) == 0
    assert ledger.journal.safe_lsn == 0


# --- waiting for the disk -------------------------------------------------------------------------


async def test_whoever_waits_for_what_is_safe_waits_for_nothing(machine: Machine) -> None:
    with machine.open() as ledger:
        lsn = ledger.commit(neutral())
        machine.sync(ledger)
        await ledger.wait_safe(lsn)
        break_journal(ledger)
        await ledger.wait_safe(lsn)  # it is as safe as it was
        with pytest.raises(AssertionError):
            await ledger.wait_safe(lsn + 1)


async def test_all_who_wait_are_told_of_a_failure(machine: Machine) -> None:
    with machine.open() as ledger:
        outcome: list[object] = []

        async def wait(lsn: int) -> None:
            try:
                await ledger.wait_safe(lsn)
            except JournalFailed as error:
                outcome.append(error)

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(wait, ledger.commit(neutral()))
            await wait_all_tasks_blocked()
            failure = break_journal(ledger)
        assert outcome == [failure] * 3


async def test_settling_waits_for_what_the_durability_asks(machine: Machine) -> None:
    with machine.open(durability="process") as ledger, assert_checkpoints():
        await ledger.settle(ledger.commit(neutral()))
    with machine.open(durability="power") as ledger:
        settled = trio.Event()

        async def settle() -> None:
            await ledger.settle(ledger.commit(neutral()))
            settled.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(settle)
            await wait_all_tasks_blocked()
            assert not settled.is_set()
            machine.sync(ledger)
        assert settled.is_set()


# --- projections ----------------------------------------------------------------------------------


def test_a_projection_that_breaks_is_suspected_and_the_others_go_on(
    machine: Machine, stories: Callable[[str], Story]
) -> None:
    good, bad, other = stories("good"), stories("bad"), stories("other")
    bad.breaks[2] = KeyError("gate")
    with machine.open([good, bad, other]) as ledger:
        assert ledger.commit(neutral("a"), neutral("b"), neutral("c")) == 3
        assert good.told == other.told == [neutral("a"), neutral("b"), neutral("c")]
        assert ledger.suspected == {"bad": "fact 2: KeyError('gate')"}
        assert ledger.statistics().suspected == ("bad",)
        assert ledger.snapshot() is None
        seen = len(bad.facts)
        ledger.commit(neutral("d"))
        assert len(bad.facts) == seen


def test_a_projection_that_is_rebuilt_is_told_everything_from_then_on_and_that_it_was(
    machine: Machine, story: Story
) -> None:
    with machine.open([story]) as ledger:
        ledger.suspect("story", "its actor crashed in it")
        ledger.rebuilt("story")
        ledger.commit(neutral())
        assert story.told == [
            ProjectionRebuilt(projection="story", cause="its actor crashed in it"),
            neutral(),
        ]
        assert ledger.snapshot() is not None


def test_nothing_is_rebuilt_once_the_journal_has_failed(machine: Machine, story: Story) -> None:
    """What was tightened since is in memory alone, and would be forgotten."""
    with machine.open([story]) as ledger:
        ledger.suspect("story", "its actor crashed in it")
        break_journal(ledger)
        with pytest.raises(JournalFailed):
            ledger.rebuilt("story")
        assert list(ledger.suspected) == ["story"]


def test_a_snapshot_is_what_the_facts_add_up_to_and_its_restoring_gives_the_same(
    machine: Machine, stories: Callable[[str], Story]
) -> None:
    one, two = stories("one"), stories("two")
    with machine.open([one, two]) as ledger:
        ledger.commit(neutral(), tightens())
        snapshot = ledger.snapshot()
        assert snapshot is not None
        assert (snapshot.lsn, snapshot.frame) == (2, ledger.journal.checksum)
        again = [stories("two"), stories("one")]
        restore(again, snapshot)
        assert [each.facts for each in again] == [one.facts] * 2


def test_a_snapshot_without_the_wanted_state_is_refused(
    machine: Machine, stories: Callable[[str], Story]
) -> None:
    with machine.open([stories("one")]) as ledger:
        newer = stories("one")
        newer.version = 2
        for wanted, text in ((stories("two"), "no 'two' of version 1"), (newer, "version 2")):
            with pytest.raises(ValueError, match=text):
                restore([wanted], ledger.snapshot())


# --- followers ------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 40), max_size=12), st.integers(0, 14), st.integers(1, 900))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_recent_facts_are_the_next_in_order_and_those_that_are_gone_are_said_to_be(
    machines: Callable[[int], Machine], sizes: list[int], after: int, bytes_max: int
) -> None:
    with pytest.MonkeyPatch.context() as patch, machines(1).open() as ledger:
        patch.setattr(module, "RECENT_FACTS_MAX", 5)
        patch.setattr(module, "RECENT_BYTES_MAX", 900)
        for size in sizes:
            ledger.commit(neutral("x" * size * 10))
        newest = ledger.recent(ledger.lsn, bytes_max)
        assert newest == []
        held = [pair for n in range(ledger.lsn) for pair in (ledger.recent(n, 1) or ())]
        assert [lsn for lsn, _ in held] == list(range(ledger.lsn - len(held) + 1, ledger.lsn + 1))
        assert len(held) <= 5
        assert sum(len(payload) for _, payload in held) <= 900
        found = ledger.recent(after, bytes_max)
        behind = [pair for pair in held if pair[0] > after]
        if after < ledger.lsn - len(held):
            assert found is None
        else:
            assert found == behind[: len(found)]
            size = sum(len(payload) for _, payload in found)
            assert size <= bytes_max or len(found) == 1
            if len(found) < len(behind):
                assert size + len(behind[len(found)][1]) > bytes_max


@given(
    st.lists(st.lists(st.integers(0, 400), min_size=1, max_size=4), max_size=8),
    st.integers(1, 40),
    st.integers(300, 9_000),
    st.integers(0, 4_000),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whoever_keeps_up_is_given_the_slice_of_all_facts_that_fits(
    machines: Callable[[int], Machine],
    commits: list[list[int]],
    facts_max: int,
    held_max: int,
    bytes_max: int,
) -> None:
    """From wherever it asks, also beyond the end, and whatever has left the memory."""
    machine = machines(1)
    with pytest.MonkeyPatch.context() as patch, machine.open() as ledger:
        patch.setattr(module, "RECENT_FACTS_MAX", facts_max)
        patch.setattr(module, "RECENT_BYTES_MAX", held_max)
        for sizes in commits:
            ledger.commit(*(neutral("x" * size) for size in sizes))
        with Cursor(machine.disk, machine.directory, 0) as cursor:
            facts = cursor.read(10**9)
        held = [
            lsn
            for lsn, _ in facts
            if ledger.lsn - lsn < facts_max
            and sum(len(payload) for _, payload in facts[lsn - 1 :]) <= held_max
        ]
        for after in range(ledger.lsn + 3):
            behind = facts[after:]
            is_held = after >= ledger.lsn or after + 1 in held
            just_two = sum(len(payload) for _, payload in behind[:2])
            for most in (bytes_max, just_two, just_two - 1):
                wanted = behind[: fitting(behind, most)] if is_held else None
                assert ledger.recent(after, most) == wanted


def fitting(facts: list[tuple[int, bytes]], bytes_max: int) -> int:
    """How many of the first have no more bytes than that together; one in any case."""
    sizes = accumulate(len(payload) for _, payload in facts)
    return max(1, sum(size <= bytes_max for size in sizes))


def test_a_ledger_that_was_opened_holds_no_old_facts_in_memory(machine: Machine) -> None:
    with machine.open() as ledger:
        ledger.commit(neutral("a"), neutral("b"))
    with machine.open() as ledger:
        assert ledger.recent(2, 10**6) == []
        assert ledger.recent(1, 10**6) is None
        assert ledger.commit(neutral("c")) == 3
        assert [lsn for lsn, _ in ledger.recent(2, 10**6) or ()] == [3]


# --- the end --------------------------------------------------------------------------------------


def test_what_was_committed_is_safe_once_the_ledger_is_closed(machine: Machine) -> None:
    with machine.open() as ledger:
        ledger.commit(neutral("a"))
        ledger.close()  # and once more on the way out
    machine.cut_power()
    assert machine.told() == [neutral("a")]


def test_a_close_that_can_not_make_it_safe_says_so(machine: Machine) -> None:
    with machine.open() as ledger:
        told: list[JournalFailed] = []
        ledger.on_failure = told.append
        ledger.commit(neutral())
        machine.disk.fail("sync")
        ledger.close()
        assert told == [ledger.failure]
        assert "could not be made safe" in str(told[0])
    assert ledger.journal.safe_lsn == 0


STEPS = st.lists(
    st.one_of(
        st.lists(
            st.sampled_from([neutral("a"), neutral("b" * 900), tightens()]), min_size=1, max_size=6
        ),
        st.sampled_from(["sync", "kill", "cut", "full", "bad write"]),
    ),
    max_size=25,
)


@given(STEPS, st.integers(0, 10**6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_kill_loses_nothing_and_a_power_cut_nothing_that_was_safe(
    machines: Callable[[int], Machine],
    stories: Callable[[str], Story],
    steps: list[list[Fact] | str],
    seed: int,
) -> None:
    """Whatever went wrong before. And what is found is what was known, up to there."""
    machine = machines(seed)
    known: list[object] = []  # what is written, as the ledger answered
    safe = 0
    ends: set[int] = {0}  # where a commit was over
    while True:
        story = stories("story")
        machine.disk.capacity_bytes = 1 << 30
        with machine.open([story], segment_bytes=80_000) as ledger:
            found = [fact for fact in story.told if not isinstance(fact, JournalRepaired)]
            assert found == known[: len(found)]
            assert len(found) >= safe
            assert len(found) in ends
            known, ends = found, {end for end in ends if end <= len(found)}
            safe = len(known)
            extra = ledger.lsn - len(known)
            while steps:
                step = steps.pop(0)
                if step in ("kill", "cut"):
                    break
                if step == "sync" and ledger.failure is None:
                    machine.sync(ledger)
                elif step == "full":
                    machine.disk.capacity_bytes = 0
                elif step == "bad write":
                    machine.disk.fail("write")
                elif isinstance(step, list):
                    try:
                        lsn = ledger.commit(*step)
                    except JournalFailed:
                        lsn = 0
                    if lsn:
                        known += step
                        ends.add(len(known))
            else:
                return
            safe = max(0, ledger.journal.safe_lsn - extra)
            machine.disk.fail("write", 0)
            if step == "kill":
                machine.disk.crash()
                safe = len(known)
            else:
                machine.cut_power()


def test_a_start_whose_projection_breaks_is_refused_in_one_line(
    machine: Machine, story: Story
) -> None:
    with machine.open() as ledger:
        ledger.commit(neutral())
    story.breaks[1] = TypeError("a fault")
    refused = pytest.raises(JournalError, match="fact 1 can't be applied to 'story': TypeError")
    with refused, machine.open([story]):
        pass
