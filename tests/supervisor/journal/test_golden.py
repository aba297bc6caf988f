"""The journal of version 1, as it lies in the repository: it stays readable for ever.

RISKD_WRITE_GOLDEN=1 writes it anew. That is right only when there is a new version of the format,
in a directory of its own.
"""

import gzip
import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import attrs
import msgspec
from riskd.actors.messages import (
    ActorSilent,
    ChildFailed,
    ChildHeld,
    DaemonStarted,
    DaemonStopped,
    Fact,
    Recorded,
)
from riskd.adapters.disk import SystemDisk
from riskd.supervisor.journal import survey
from riskd.supervisor.journal.archive import put_away
from riskd.supervisor.journal.journal import RESERVE_BYTES
from riskd.supervisor.journal.snapshots import save
from riskd.supervisor.recall import open_ledger, recall

GOLDEN = Path(__file__).parents[2] / "golden" / "journal" / "v1"
DISK = SystemDisk()
SEGMENT_BYTES = RESERVE_BYTES + 1_000
FACTS: tuple[tuple[Fact, ...], ...] = (
    (
        DaemonStarted(
            version="0.1.0",
            process_id=4711,
            boot="b8ab5a1c",
            config_source="/etc/riskd.toml",
            config_digest="0123",
        ),
    ),
    *((ActorSilent(actor=f"actor-{number}", deadline_s=2.5),) for number in range(8)),
    (
        ChildFailed(
            supervisor="riskd",
            child="gäte",  # not ASCII, as a cause may be
            incarnation=3,
            phase="running",
            cause="ValueError('→')",
        ),
        ChildHeld(supervisor="riskd", child="gäte"),
    ),
    (DaemonStopped(reason="SIGTERM"),),
)
SNAPSHOTS_AT = (7, 9)


@attrs.define
class OneMoment:
    """The clock of the golden journal."""

    boot_id: str = "b8ab5a1c"

    def monotonic_s(self) -> float:
        return 1234.5

    def now(self) -> datetime:
        return datetime(2024, 5, 17, 12, 30, 15, 250_000, tzinfo=UTC)

    def boot(self) -> str:
        return self.boot_id


@attrs.define
class Count:
    """How many facts of each kind there were."""

    name: str = "count"
    version: int = 1
    known: dict[str, int] = attrs.field(factory=dict)
    applied: int = 0

    def apply(self, recorded: Recorded) -> None:
        kind = type(recorded.fact).__name__
        self.known[kind] = self.known.get(kind, 0) + 1
        self.applied += 1

    def dump(self) -> list[bytes]:
        return [json.dumps(self.known).encode()]

    def load(self, state: bytes | None) -> None:
        self.known = {} if state is None else json.loads(state)
        self.applied = 0


def write(home: Path) -> None:
    """The journal: archived, sealed and open segments, and two snapshots."""
    count = Count()
    clock = OneMoment()
    journal = home / "journal"
    with open_ledger(DISK, home, clock, [count], segment_bytes=SEGMENT_BYTES) as ledger:
        for commit in FACTS:
            ledger.commit(*commit)
            trip = ledger.journal.sync()
            trip.run()
            ledger.journal.synced(trip)
            if ledger.lsn in SNAPSHOTS_AT:
                snapshot = ledger.snapshot()
                assert snapshot is not None
                save(DISK, journal, snapshot)
        put_away(DISK, journal)
    (home / "lock").unlink()
    found = survey(DISK, journal, clock.boot(), archived=True)
    lines = [bytes(payload) + b"\n" for _, payload in found.facts()]
    assert found.end is not None
    assert found.end.segment is not None
    last = found.end.segment.path
    last.write_bytes(last.read_bytes()[: found.end.offset])
    (home / "facts.jsonl").write_bytes(b"".join(lines))


def content(home: Path) -> dict[str, bytes]:
    """Compressed files by what they hold: how they are compressed is the library's business."""
    return {
        str(path.relative_to(home)): (
            gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        )
        for path in sorted(home.rglob("*"))
        if path.is_file()
    }


def test_the_golden_journal_is_what_is_written_today(tmp_path: Path) -> None:
    write(tmp_path)
    if os.environ.get("RISKD_WRITE_GOLDEN"):
        shutil.rmtree(GOLDEN, ignore_errors=True)
        shutil.copytree(tmp_path, GOLDEN)
    assert content(tmp_path) == content(GOLDEN)


def test_the_golden_journal_has_one_of_each_kind_of_file() -> None:
    journal = GOLDEN / "journal"
    assert len(list(journal.glob("*.log"))) >= 2
    assert len(list(journal.glob("archive/*.log.gz"))) >= 1
    assert len(list(journal.glob("*.snapshot"))) == 2


def test_the_golden_journal_is_read_fact_by_fact() -> None:
    facts = survey(DISK, GOLDEN / "journal", "another boot", archived=True).facts()
    lines = (GOLDEN / "facts.jsonl").read_bytes().splitlines()
    assert [bytes(payload) for _, payload in facts] == lines
    decoded = [msgspec.json.decode(line, type=Recorded) for line in lines]
    assert [one.fact for one in decoded] == [fact for commit in FACTS for fact in commit]
    assert [one.lsn for one in decoded] == list(range(1, len(lines) + 1))


def test_the_golden_journal_is_remembered_from_its_snapshot() -> None:
    count = Count()
    found = recall(DISK, GOLDEN / "journal", "another boot", [count])
    assert found.skipped == ()
    assert found.survey.cut is None
    assert count.known == {
        "DaemonStarted": 1,
        "ActorSilent": 8,
        "ChildFailed": 1,
        "ChildHeld": 1,
        "DaemonStopped": 1,
    }
    assert count.applied == sum(map(len, FACTS)) - max(SNAPSHOTS_AT)


def test_the_golden_journal_still_opens_and_goes_on(tmp_path: Path) -> None:
    home = tmp_path / "state"
    for boot in ("b8ab5a1c", "another boot"):
        shutil.copytree(GOLDEN, home)
        clock = OneMoment(boot)
        for more in range(2):
            with open_ledger(DISK, home, clock, [Count()], segment_bytes=SEGMENT_BYTES) as ledger:
                assert ledger.lsn == sum(map(len, FACTS)) + more
                ledger.commit(DaemonStopped(reason="again"))
        shutil.rmtree(home)
