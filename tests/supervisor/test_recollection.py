"""What was known at any fact, read beside the riskd that writes on."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from riskd.actors.messages import ChildFailed, Fact
from riskd.supervisor.journal import JournalError
from riskd.supervisor.journal.snapshots import save, snapshot_name
from riskd.supervisor.recollection import bring, walk

Machine = Any  # the classes of these fixtures live in conftest.py
Story = Any
FACTS = 60


def fact(cause: str) -> Fact:
    return ChildFailed(
        supervisor="riskd", child="gate", incarnation=1, phase="running", cause=cause
    )


@given(
    lsn=st.integers(0, FACTS),
    snapshots=st.sets(st.integers(1, FACTS), max_size=4),
    rotten=st.sets(st.integers(1, FACTS), max_size=2),
    segment_bytes=st.sampled_from([70_000, 262_144]),
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_it_is_what_all_facts_up_to_it_add_up_to_whatever_snapshots_there_are(
    machines: Callable[[int], Machine],
    stories: Callable[[str], Story],
    lsn: int,
    snapshots: set[int],
    rotten: set[int],
    segment_bytes: int,
) -> None:
    machine, story = machines(1), stories("story")
    disk, directory = machine.disk, machine.directory
    with machine.open([story], segment_bytes=segment_bytes) as ledger:
        for number in range(1, FACTS + 1):
            ledger.commit(fact(f"{number}" + "x" * 3_000))
            if number in snapshots:
                machine.sync(ledger)
                save(disk, directory, ledger.snapshot())
        for number in rotten & snapshots:
            disk.remove(directory / snapshot_name(number))
            spoilt = disk.create(directory / snapshot_name(number), 8)
            spoilt.write(0, b"no good")
            spoilt.close()
        then = stories("story")
        bring(disk, directory, [then], lsn)
        assert then.facts == story.facts[:lsn]
        ledger.commit(fact("later"))
        found = [
            (recorded.lsn, len(then.facts)) for recorded in walk(disk, directory, [then], lsn + 1)
        ]
        assert found == [(number, number - 1) for number in range(lsn + 1, FACTS + 2)]


def test_a_fact_that_is_not_there_yet_is_none(
    machine: Machine, stories: Callable[[str], Story]
) -> None:
    with machine.open([stories("a")]) as ledger:
        ledger.commit(fact("one"))
        with pytest.raises(JournalError, match="there is no fact 2 yet"):
            bring(machine.disk, machine.directory, [stories("b")], 2)


def test_without_the_first_facts_only_what_a_snapshot_reaches_can_be_had(
    machine: Machine, stories: Callable[[str], Story]
) -> None:
    disk, directory, story = machine.disk, machine.directory, stories("story")
    with machine.open([story], segment_bytes=70_000) as ledger:
        for number in range(FACTS):
            ledger.commit(fact(f"{number}" + "x" * 3_000))
            if number == FACTS // 2:
                machine.sync(ledger)
                save(disk, directory, ledger.snapshot())
        first = min(name for name in disk.names(directory) if name.endswith(".log"))
        disk.remove(directory / first)
        then = stories("story")
        bring(disk, directory, [then], FACTS - 1)
        assert then.facts == story.facts[: FACTS - 1]
        with pytest.raises(JournalError, match="are gone"):
            bring(disk, directory, [stories("story")], 5)
