"""Whatever a repair keeps, a fact names, wherever the repair was cut off: each is killed at every
operation of the disk, with the power or without, once and while it is made good."""

import contextlib
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

import attrs
import msgspec
import pytest
from riskd.actors.messages import ActorSilent, JournalRepaired, Recorded, SnapshotSkipped
from riskd.adapters.simulated_disk import Operation, SimulatedDisk
from riskd.supervisor.intent import INTENT
from riskd.supervisor.journal import JournalDamaged, JournalError
from riskd.supervisor.journal.files import segment_firsts, segment_name, write_beside
from riskd.supervisor.journal.format import HEADER_BYTES
from riskd.supervisor.journal.snapshots import save, snapshot_name
from riskd.supervisor.mending import look, mend

Machine = Any  # the classes of these fixtures live in conftest.py

SEGMENT_BYTES = 66_400
FACTS = 30
SEEDS = 12
MANY = 1_000_000
STATE = Path("/state")


class Gone(BaseException):
    """The process is no more, in the middle of whatever it did."""


@attrs.define(eq=False)
class MortalDisk(SimulatedDisk):
    """After so many operations that change it the process is killed before the next."""

    left: int = MANY

    def failure(self, operation: Operation, path: Path) -> OSError | None:
        if operation != "read":
            self.left -= 1
            if self.left < 0:
                raise Gone
        return super().failure(operation, path)


@contextlib.contextmanager
def dying(machine: Machine, steps: int, *, with_power: bool) -> Iterator[None]:
    """The body is killed after so many steps, if it has as many."""
    machine.disk.left = steps
    try:
        yield
    except Gone:
        pass
    finally:
        machine.disk.left = MANY
        if with_power:
            machine.cut_power()
        else:
            machine.disk.crash()


class Story:
    """A projection: every fact there was, through snapshots too."""

    name = "story"
    version = 1

    def __init__(self) -> None:
        self.facts: list[Recorded] = []

    def apply(self, recorded: Recorded) -> None:
        self.facts.append(recorded)

    def dump(self) -> list[bytes]:
        return [msgspec.json.encode(self.facts)]

    def load(self, state: bytes | None) -> None:
        self.facts = [] if state is None else msgspec.json.decode(state, type=list[Recorded])


def start(machine: Machine) -> Story:
    story = Story()
    with machine.open([story], segment_bytes=SEGMENT_BYTES):
        return story


# --- what has to be repaired ----------------------------------------------------------------------


def history(machine: Machine, *snapshots: int) -> list[Path]:
    """Facts in several segments, all safe; the segments."""
    with machine.open([Story()], segment_bytes=SEGMENT_BYTES) as ledger:
        for number in range(1, FACTS + 1):
            ledger.commit(ActorSilent(actor=f"a{number}", deadline_s=1.0))
            if number in snapshots:
                machine.sync(ledger)
                save(machine.disk, machine.directory, ledger.snapshot())
    names = machine.disk.names(machine.directory)
    found = [machine.directory / segment_name(first) for first in segment_firsts(names)]
    assert len(found) >= 4
    return found


def torn(machine: Machine) -> None:
    last = history(machine)[-1]
    data = machine.disk.content(last).seen.rstrip(b"\0")
    machine.disk.flip(last, len(data) - 12, 3)


def torn_and_skipped(machine: Machine) -> None:
    last = history(machine, 5, 12)[-1]
    data = machine.disk.content(last).seen.rstrip(b"\0")
    machine.disk.flip(last, len(data) - 12, 3)
    machine.disk.flip(machine.directory / snapshot_name(12), 40, 3)


def skipped(machine: Machine) -> None:
    history(machine, 5, 12)
    for lsn in (5, 12):
        machine.disk.flip(machine.directory / snapshot_name(lsn), 40, 3)


def lost(machine: Machine) -> None:
    """A power cut has taken facts in front of others, in other segments too."""
    with machine.open([Story()], segment_bytes=SEGMENT_BYTES) as ledger:
        for number in range(1, FACTS + 1):
            ledger.commit(ActorSilent(actor=f"a{number}", deadline_s=1.0))
        machine.disk.crash()
        ledger.journal.fail("the process is gone", OSError())
    machine.clock.boots += 1
    firsts = segment_firsts(machine.disk.names(machine.directory))
    for first in firsts:
        file = machine.disk.open(machine.directory / segment_name(first))
        file.sync()
        file.close()
    machine.disk.flip(machine.directory / segment_name(firsts[1]), HEADER_BYTES + 100, 1)


def given_up(machine: Machine) -> None:
    machine.disk.flip(history(machine, 25)[1], HEADER_BYTES + 100, 1)
    machine.disk.remove(machine.directory / snapshot_name(25))


def nothing_but_the_last_missing(machine: Machine) -> None:
    """There is nothing to keep, and something to tell."""
    machine.disk.remove(history(machine)[-1])


def only_old_history(machine: Machine) -> None:
    machine.disk.flip(history(machine, 25)[1], HEADER_BYTES + 100, 1)


def repaired_by_hand(machine: Machine) -> None:
    with contextlib.suppress(JournalDamaged):
        start(machine)
        return
    plan = look(machine.disk, STATE, machine.clock, [Story()])
    if plan is not None:
        mend(machine.disk, STATE, machine.clock, [Story()], from_lsn=plan.damage.lsn)


CASES = pytest.mark.parametrize(
    ("broken", "act"),
    [
        (torn, start),
        (torn_and_skipped, start),
        (skipped, start),
        (lost, start),
        (given_up, repaired_by_hand),
        (nothing_but_the_last_missing, repaired_by_hand),
        (only_old_history, repaired_by_hand),
    ],
    ids=lambda one: one.__name__ if one not in (start, repaired_by_hand) else "",
)


Told = tuple[list[JournalRepaired], list[SnapshotSkipped]]


def told(machine: Machine) -> Told:
    """What the journal says of repairs, once it can be opened again."""
    repaired_by_hand(machine)
    facts = [one.fact for one in start(machine).facts]
    return (
        [fact for fact in facts if isinstance(fact, JournalRepaired)],
        [fact for fact in facts if isinstance(fact, SnapshotSkipped)],
    )


def check(machine: Machine, expected: Told, *, with_power: bool) -> None:
    repaired, skipped = told(machine)
    names = machine.disk.names(machine.directory)
    assert INTENT not in names, "it has served"
    named = [name for fact in repaired for name in fact.evidence]
    assert len(named) == len(set(named)), "each by one fact"
    aside = {snapshot_name(fact.snapshot_lsn) for fact in skipped}
    kept = {name for name in names if name.endswith(".broken")}
    assert {name for name in kept - set(named) if name[:29] not in aside} == set()
    assert set(named) <= kept
    assert sorted(one.snapshot_lsn for one in skipped) == sorted(
        one.snapshot_lsn for one in expected[1]
    )
    found = [_what(one) for one in repaired]
    for one in expected[0]:
        assert found.count(_what(one)) == 1
    assert with_power or len(found) == len(expected[0]), "a kill gives cause for nothing else"


def _what(fact: JournalRepaired) -> tuple[object, ...]:
    return fact.file, fact.lost_lsn, fact.how, fact.lost_bytes


def made(broken: Callable[[Machine], None], machine: Machine) -> Machine:
    machine.disk = MortalDisk(1)
    broken(machine)
    machine.disk.sync_directory(machine.directory)
    machine.disk.left = MANY
    return machine


def another(machine: Machine, seed: int) -> Machine:
    """The same, before anything was done to it."""
    machine = deepcopy(machine)
    machine.disk.chance = Random(seed)  # noqa: S311 - it must be the same again, and guards nothing
    return machine


def whole(machine: Machine, act: Callable[[Machine], None]) -> tuple[int, Told]:
    """How many steps it has when nothing cuts it off, and what is told then."""
    act(machine)
    steps = MANY - machine.disk.left
    expected = told(machine)
    assert any(expected)
    return steps, expected


@CASES
@pytest.mark.parametrize("with_power", [False, True], ids=["kill", "power cut"])
def test_a_repair_that_is_cut_off_anywhere_is_told_once_with_all_that_it_kept(
    machine: Machine,
    broken: Callable[[Machine], None],
    act: Callable[[Machine], None],
    with_power: bool,
) -> None:
    made(broken, machine)
    steps, expected = whole(another(machine, 0), act)
    for step in range(steps + 1):
        one = another(machine, step)
        with dying(one, step, with_power=with_power):
            act(one)
        check(one, expected, with_power=with_power)


@CASES
def test_nor_does_it_matter_where_the_start_that_makes_it_good_is_cut_off(
    machine: Machine, broken: Callable[[Machine], None], act: Callable[[Machine], None]
) -> None:
    made(broken, machine)
    steps, expected = whole(another(machine, 0), act)
    for seed in range(SEEDS):
        one = another(machine, seed)
        for _ in range(1 + seed % 3):
            with dying(one, one.disk.chance.randrange(steps), with_power=seed % 2 == 0):
                act(one)
        check(one, expected, with_power=True)


def test_a_repair_that_was_only_meant_and_whose_damage_somebody_has_restored_is_no_fact(
    machine: Machine,
) -> None:
    made(given_up, machine)
    damaged = segment_firsts(machine.disk.names(machine.directory))[1]
    steps = 0
    while INTENT not in machine.disk.names(machine.directory):
        steps += 1
        with dying(machine, steps, with_power=False):
            repaired_by_hand(machine)
    machine.disk.flip(machine.directory / segment_name(damaged), HEADER_BYTES + 100, 1)
    assert told(machine) == ([], [])
    assert INTENT not in machine.disk.names(machine.directory)


def test_an_intent_that_can_not_be_read_is_refused_with_what_to_do(machine: Machine) -> None:
    history(machine)
    write_beside(machine.disk, machine.directory / INTENT, b"{")
    with pytest.raises(JournalError, match=rf"{INTENT}: .* look at the \.broken files beside it"):
        start(machine)
    machine.disk.remove(machine.directory / INTENT)
    assert told(machine) == ([], [])
