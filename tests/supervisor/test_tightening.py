"""What tightens is in force, whatever becomes of its record; and what can't be recorded ends riskd
rather than be forgotten."""

from typing import Any

import pytest
from riskd.actors.messages import ChildFailed, ChildHeld, ConfigReloaded, Fact
from riskd.supervisor.journal import JournalFailed
from riskd.supervisor.journal.format import COMMIT_FACTS_MAX, PAYLOAD_BYTES_MAX

Machine = Any  # the classes of these fixtures live in conftest.py
Story = Any

TOO_LONG = "x" * PAYLOAD_BYTES_MAX
NO_TEXT = "\udc80"
WHY = {TOO_LONG: "1048576 are the most", NO_TEXT: "surrogates not allowed"}
BAD = pytest.mark.parametrize("bad", [TOO_LONG, NO_TEXT], ids=["too long", "no text"])


def neutral() -> Fact:
    return ChildFailed(supervisor="riskd", child="a", incarnation=1, phase="running", cause="e")


def held(child: str) -> Fact:
    return ChildHeld(supervisor="riskd", child=child)


@BAD
async def test_what_tightens_and_can_not_be_stored_is_in_force_and_fails_the_journal(
    machine: Machine, story: Story, bad: str
) -> None:
    with machine.open([story]) as ledger:
        told: list[JournalFailed] = []
        ledger.on_failure = told.append
        assert ledger.commit(held(bad)) == 0
        assert story.told == [held(bad)]
        assert told == [ledger.failure], "nothing may trade from then on"
        assert WHY[bad] in str(told[0])
        assert "a fault of riskd" in str(told[0]), "the disk is not to blame"
        with pytest.raises(JournalFailed):
            await ledger.loosen(
                ConfigReloaded(source="a", digest="b", changed=(), needs_restart=())
            )


@BAD
def test_of_several_that_tighten_those_before_the_one_that_can_not_be_stored_are_kept(
    machine: Machine, story: Story, bad: str
) -> None:
    facts = [held("a"), held("b"), held(bad), held("c")]
    with machine.open([story]) as ledger:
        assert ledger.commit(*facts) == 0
        assert story.told == facts, "all are in force"
        assert ledger.failure is not None
    machine.disk.crash()
    assert machine.told() == facts[:2]


@BAD
def test_what_tightens_is_not_forgotten_with_what_can_not_be_stored_beside_it(
    machine: Machine, story: Story, bad: str
) -> None:
    with machine.open([story]) as ledger:
        told: list[JournalFailed] = []
        ledger.on_failure = told.append
        with pytest.raises(JournalFailed, match=WHY[bad]):
            ledger.commit(neutral(), held(bad))
        assert (ledger.lsn, story.told, told) == (0, [], [ledger.failure])


@pytest.mark.parametrize(
    ("count", "length", "segment_bytes"),
    [
        pytest.param(50, 10_000, 262_144, id="more than a segment holds"),
        pytest.param(COMMIT_FACTS_MAX + 1, 5, 1 << 24, id="more than a commit may have"),
    ],
)
def test_any_number_that_tightens_at_once_is_in_force_and_kept(
    machine: Machine, story: Story, count: int, length: int, segment_bytes: int
) -> None:
    facts = [held(f"{number:0{length}}") for number in range(count)]
    with machine.open([story], segment_bytes=segment_bytes) as ledger:
        assert ledger.commit(*facts) == count
        assert (ledger.failure, story.told) == (None, facts)
        assert len(ledger.recent(count - 9, 10**6) or ()) == 9
    machine.disk.crash()
    assert machine.told() == facts
