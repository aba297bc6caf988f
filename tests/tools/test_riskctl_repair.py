"""`riskctl journal repair`: it says what it would cost, and does it on that very word alone."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from riskd.actors.messages import ActorSilent
from riskd.adapters.clock import SystemClock
from riskd.adapters.disk import SystemDisk
from riskd.supervisor.journal.files import segment_firsts, segment_name
from riskd.supervisor.known import Known
from riskd.supervisor.recall import locked, open_ledger
from riskd.tools.riskctl import main

DISK = SystemDisk()
SEGMENT_BYTES = 68_000


def grow(state: Path, count: int) -> int:
    """The LSN afterwards."""
    known = Known().projections()
    with open_ledger(DISK, state, SystemClock(), known, segment_bytes=SEGMENT_BYTES) as ledger:
        for _ in range(count):
            ledger.commit(ActorSilent(actor=f"a{ledger.lsn + 1}", deadline_s=1.0))
        return ledger.lsn


@pytest.fixture
def state(tmp_path: Path) -> Path:
    grow(tmp_path, 60)
    return tmp_path


def damaged_second(state: Path) -> int:
    """Turn a bit of the first fact of the second segment; its LSN."""
    directory = state / "journal"
    lsn = segment_firsts(DISK.names(directory))[1]
    path = directory / segment_name(lsn)
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    return lsn


def content(state: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in (state / "journal").rglob("*") if path.is_file()}


def repair(state: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["journal", "repair", "--dir", str(state), *arguments])


def test_without_the_word_it_says_what_is_damaged_and_changes_nothing(state: Path) -> None:
    lsn = damaged_second(state)
    before = content(state)
    result = repair(state)
    assert result.exit_code == 1
    damage, costs, remedy = result.stderr.splitlines()
    assert damage.startswith(f"riskctl: {state / 'journal' / segment_name(lsn)}: at byte 96, fact ")
    assert costs == f"riskd loses fact {lsn} and every one behind it"
    assert f"riskctl journal repair --give-up {lsn}" in remedy
    assert content(state) == before


def test_a_program_reads_the_word_from_one_document(state: Path) -> None:
    lsn = damaged_second(state)
    result = repair(state, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["lsn"] == lsn


def test_with_the_word_it_is_done_and_riskd_can_start(state: Path) -> None:
    lsn = damaged_second(state)
    result = repair(state, "--give-up", str(lsn))
    assert result.exit_code == 0, result.stderr
    assert f"kept as {segment_name(lsn)}.1.broken" in result.stdout
    assert grow(state, 1) == lsn + 1, "those before, the fact of the repair, and one more"


def test_another_word_is_refused_and_changes_nothing(state: Path) -> None:
    damaged_second(state)
    before = content(state)
    result = repair(state, "--give-up", "3", "--json")
    assert result.exit_code == 1
    assert "nothing was changed" in json.loads(result.stdout)["error"]["message"]
    assert content(state) == before


def test_what_is_whole_needs_nothing(state: Path) -> None:
    before = content(state)
    result = repair(state, "--give-up", "3")
    assert result.exit_code == 0
    assert "nothing is damaged" in result.stdout
    assert content(state) == before


def test_under_a_running_riskd_it_is_refused_and_names_it(state: Path) -> None:
    lsn = damaged_second(state)
    before = content(state)
    with locked(DISK, state):
        result = repair(state, "--give-up", str(lsn))
    assert result.exit_code == 1
    assert "keeps its state there; stop it" in result.stderr
    assert content(state) == before


def test_a_copy_in_another_folder_is_not_repaired(state: Path, tmp_path: Path) -> None:
    lsn = damaged_second(state)
    copy = tmp_path / "copy"
    (state / "journal").rename(copy)
    result = repair(copy, "--give-up", str(lsn))
    assert result.exit_code == 2
    assert "name the state directory" in result.stderr
