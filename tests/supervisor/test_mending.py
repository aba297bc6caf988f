"""Mending: nothing happens without a person's word for the very damage, and every byte is kept."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import attrs
import pytest
from riskd.actors.messages import ActorSilent, ChildHeld, JournalRepaired, Recorded
from riskd.adapters.disk import SystemDisk
from riskd.supervisor.journal import JournalDamaged, JournalHeld
from riskd.supervisor.journal.snapshots import save
from riskd.supervisor.ledger import Ledger
from riskd.supervisor.mending import NotMended, look, mend
from riskd.supervisor.past import SupervisionHistory
from riskd.supervisor.recall import locked, open_ledger

DISK = SystemDisk()
SEGMENT_BYTES = 68_000
"""Hardly more than the reserve: a handful of facts fill it."""
HELD = ChildHeld(supervisor="riskd", child="gate")


@attrs.define
class StillClock:
    def monotonic_s(self) -> float:
        return 100.0

    def now(self) -> datetime:
        return datetime(2024, 5, 17, 12, tzinfo=UTC)

    def boot(self) -> str:
        return "boot-1"


CLOCK = StillClock()


@contextmanager
def opened(place: Path) -> Iterator[tuple[Ledger, SupervisionHistory]]:
    history = SupervisionHistory()
    with open_ledger(DISK, place, CLOCK, [history], segment_bytes=SEGMENT_BYTES) as ledger:
        yield ledger, history


def keep_facts(place: Path, count: int, *, snapshot_at: int = 0) -> None:
    """Facts over several segments, the first of them a hold; and a snapshot where it is wanted."""
    with opened(place) as (ledger, _):
        ledger.commit(HELD)
        for number in range(2, count + 1):
            ledger.commit(ActorSilent(actor=f"a{number}", deadline_s=1.0))
            if number == snapshot_at:
                snapshot = ledger.snapshot()
                assert snapshot is not None
                save(DISK, ledger.journal.directory, snapshot)


def segments(place: Path) -> Sequence[Path]:
    found = sorted((place / "journal").glob("*.log"))
    assert len(found) >= 3, "the facts fill three segments at least"
    return found


def damage(path: Path, offset: int = 200) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 1]))


def content(place: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(place)): path.read_bytes()
        for path in sorted((place / "journal").rglob("*"))
        if path.is_file()
    }


def mended(place: Path, lsn: int) -> JournalRepaired:
    return mend(DISK, place, CLOCK, [SupervisionHistory()], from_lsn=lsn)


def test_a_whole_journal_is_not_mended_and_not_changed(tmp_path: Path) -> None:
    keep_facts(tmp_path, 60)
    before = content(tmp_path)
    assert look(DISK, tmp_path, CLOCK, [SupervisionHistory()]) is None
    with pytest.raises(NotMended, match="nothing is damaged"):
        mended(tmp_path, 1)
    assert content(tmp_path) == before


def test_another_word_than_the_damages_own_changes_nothing(tmp_path: Path) -> None:
    keep_facts(tmp_path, 60)
    damage(segments(tmp_path)[1])
    before = content(tmp_path)
    plan = look(DISK, tmp_path, CLOCK, [SupervisionHistory()])
    assert plan is not None
    with pytest.raises(NotMended, match=f"begins at fact {plan.damage.lsn}, and not at 1;"):
        mended(tmp_path, 1)
    assert content(tmp_path) == before


def test_without_a_snapshot_behind_the_damage_the_facts_from_there_on_are_given_up(
    tmp_path: Path,
) -> None:
    keep_facts(tmp_path, 60)
    damaged = segments(tmp_path)[1]
    damage(damaged)
    before = content(tmp_path)
    with pytest.raises(JournalDamaged) as refused, opened(tmp_path):
        pass
    assert content(tmp_path) == before, "a refusal changes nothing"
    lost = refused.value.lsn
    plan = look(DISK, tmp_path, CLOCK, [SupervisionHistory()])
    assert plan is not None
    assert plan.kept == 0
    assert f"loses fact {lost} and every one behind it" in plan.costs

    fact = mended(tmp_path, lost)

    assert fact.how == "given_up"
    assert (fact.file, fact.lost_lsn, fact.offset) == (damaged.name, lost, refused.value.offset)
    evidence = {(tmp_path / "journal" / name).read_bytes() for name in fact.evidence}
    whole = {
        data
        for name, data in before.items()
        if name.endswith(".log") and Path(name).name >= damaged.name
    }
    assert evidence == whole, "every byte is kept"
    with opened(tmp_path) as (ledger, history):
        assert ledger.lsn == lost, "what stood before the damage, and the fact that says so"
        assert history.past(boot="boot-1", monotonic_s=1.0, now=CLOCK.now()).held


def test_behind_a_snapshot_only_history_is_set_aside(tmp_path: Path) -> None:
    keep_facts(tmp_path, 90, snapshot_at=70)
    first = segments(tmp_path)[0]
    damage(first)
    plan = look(DISK, tmp_path, CLOCK, [SupervisionHistory()])
    assert plan is not None
    assert (plan.snapshot_lsn, plan.damage.path) == (70, first)
    assert "loses nothing that it knows" in plan.costs

    fact = mended(tmp_path, plan.damage.lsn)

    assert fact.evidence == (f"{first.name}.1.broken",)
    with opened(tmp_path) as (ledger, history):
        assert ledger.lsn == 91
        assert history.past(boot="boot-1", monotonic_s=1.0, now=CLOCK.now()).held, (
            "from the snapshot"
        )


def test_a_missing_segment_is_given_up_with_all_behind_it(tmp_path: Path) -> None:
    keep_facts(tmp_path, 60)
    gone = segments(tmp_path)[1]
    gone.unlink()
    plan = look(DISK, tmp_path, CLOCK, [SupervisionHistory()])
    assert plan is not None
    assert plan.damage.path.name == gone.name
    mended(tmp_path, plan.damage.lsn)
    with opened(tmp_path) as (ledger, _):
        assert ledger.lsn == int(gone.stem)


def test_a_missing_last_segment_can_be_given_up(tmp_path: Path) -> None:
    keep_facts(tmp_path, 60)
    gone = segments(tmp_path)[-1]
    gone.unlink()
    plan = look(DISK, tmp_path, CLOCK, [SupervisionHistory()])
    assert plan is not None
    assert (plan.damage.path.name, plan.damage.lsn) == (gone.name, int(gone.stem))
    mended(tmp_path, plan.damage.lsn)
    with opened(tmp_path) as (ledger, _):
        assert ledger.lsn == int(gone.stem), "and the fact of the repair has its place"


def test_what_could_not_start_afterwards_is_not_mended(tmp_path: Path) -> None:
    """The first segment is gone, and the only snapshot is from behind the damage."""
    keep_facts(tmp_path, 90, snapshot_at=89)
    segments(tmp_path)[0].unlink()
    damage(segments(tmp_path)[-1])
    before = content(tmp_path)
    plan = look(DISK, tmp_path, CLOCK, [SupervisionHistory()])
    assert plan is not None
    with pytest.raises(NotMended, match="riskd could not start from the rest"):
        mended(tmp_path, plan.damage.lsn)
    assert content(tmp_path) == before


def test_nobody_mends_under_a_running_riskd(tmp_path: Path) -> None:
    keep_facts(tmp_path, 60)
    damage(segments(tmp_path)[1])
    with locked(DISK, tmp_path), pytest.raises(JournalHeld):
        mended(tmp_path, 1)


def test_the_fact_says_what_was_done(tmp_path: Path) -> None:
    keep_facts(tmp_path, 60)
    damage(segments(tmp_path)[2])
    plan = look(DISK, tmp_path, CLOCK, [SupervisionHistory()])
    assert plan is not None
    fact = mended(tmp_path, plan.damage.lsn)

    facts: list[object] = []

    class Seen(SupervisionHistory):
        def apply(self, recorded: Recorded) -> None:
            facts.append(recorded.fact)

    with open_ledger(DISK, tmp_path, CLOCK, [Seen()], segment_bytes=SEGMENT_BYTES):
        pass
    assert facts[-1] == fact
