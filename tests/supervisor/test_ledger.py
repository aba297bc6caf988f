"""The ledger: what is committed stays, what can't be used says so, and no number comes twice."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import attrs
import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from riskd.actors.messages import (
    ActorSilent,
    ChildHeld,
    ChildReleased,
    DaemonStopped,
    Fact,
    Recorded,
)
from riskd.supervisor.ledger import Ledger, LedgerError, LedgerHeld, open_ledger


@attrs.define
class StillClock:
    """A clock that shows the moment it is given."""

    seconds: float = 100.0
    boot_id: str = "boot-1"

    def monotonic_s(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2024, 5, 17, 12, tzinfo=UTC)

    def boot(self) -> str:
        return self.boot_id


CLOCK = StillClock()
HELD = ChildHeld(supervisor="riskd", child="gate")
RELEASED = ChildReleased(supervisor="riskd", child="gate")


def silent(number: int) -> Fact:
    return ActorSilent(actor=f"a{number}", deadline_s=1.0)


def kept(ledger: Ledger) -> list[tuple[int, Fact]]:
    return [(recorded.lsn, recorded.fact) for recorded in ledger.facts()]


def content(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in directory.iterdir() if file.name != "lock"}


# --- what is committed stays ----------------------------------------------------------------------


def test_facts_come_back_in_order_with_their_place_in_history(tmp_path: Path) -> None:
    with open_ledger(tmp_path, CLOCK) as ledger:
        assert ledger.lsn == 0
        ledger.commit(HELD)
        ledger.commit(RELEASED)
        assert ledger.lsn == 2
    with open_ledger(tmp_path, StillClock(7.0, "boot-2")) as ledger:
        ledger.commit(DaemonStopped(reason="SIGTERM"))
        at = "2024-05-17T12:00:00+00:00"
        assert list(ledger.facts()) == [
            Recorded(lsn=1, at=at, boot="boot-1", monotonic_s=100.0, fact=HELD),
            Recorded(lsn=2, at=at, boot="boot-1", monotonic_s=100.0, fact=RELEASED),
            Recorded(
                lsn=3, at=at, boot="boot-2", monotonic_s=7.0, fact=DaemonStopped(reason="SIGTERM")
            ),
        ]


COMMITS_FOR_EVER = """
import sys
from pathlib import Path
from riskd.actors.messages import ActorSilent
from riskd.adapters.clock import SystemClock
from riskd.supervisor.ledger import open_ledger

ledger = open_ledger(Path(sys.argv[1]), SystemClock())
while True:
    ledger.commit(ActorSilent(actor=f"a{ledger.lsn + 1}", deadline_s=1.0))
    print(ledger.lsn, flush=True)
"""


def committed_until_killed(directory: Path, at_least: int) -> int:
    """The last number that a process said it had committed, before it was killed at its work."""
    with subprocess.Popen(
        [sys.executable, "-P", "-c", COMMITS_FOR_EVER, str(directory)], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if int(line) >= at_least:
                break
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read().split(b"\n")
        return max([int(line), *(int(whole) for whole in rest[:-1] if whole)])


def test_what_was_committed_survives_the_kill_of_its_process(tmp_path: Path) -> None:
    last = 0
    for _ in range(3):
        last = committed_until_killed(tmp_path, at_least=last + 40)
        with open_ledger(tmp_path, CLOCK) as ledger:
            assert ledger.lsn >= last
            numbers = range(1, ledger.lsn + 1)
            assert kept(ledger) == [(number, silent(number)) for number in numbers]
            last = ledger.lsn


@settings(max_examples=30)
@given(
    steps=st.lists(st.sampled_from(["commit", "hold", "restart"]), max_size=20),
    kept_max=st.integers(1, 5),
)
@example(steps=["hold", "commit", "commit", "restart", "commit"], kept_max=1)
def test_the_newest_are_kept_and_every_hold_and_no_number_comes_twice(
    steps: list[str], kept_max: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("state")
    history: list[tuple[int, Fact]] = []
    ledger = open_ledger(directory, CLOCK, kept_max=kept_max)
    for step in steps:
        if step == "restart":
            ledger.close()
            ledger = open_ledger(directory, CLOCK, kept_max=kept_max)
        else:
            fact = HELD if step == "hold" else silent(len(history) + 1)
            ledger.commit(fact)
            history.append((len(history) + 1, fact))
        assert ledger.lsn == len(history)
        newest = history[-kept_max:]
        assert kept(ledger) == [each for each in history if each in newest or each[1] == HELD]
    ledger.close()


# --- one daemon, one ledger -----------------------------------------------------------------------


def test_a_second_daemon_is_told_who_has_it(tmp_path: Path) -> None:
    with (
        open_ledger(tmp_path, CLOCK),
        pytest.raises(
            LedgerHeld, match=rf"{tmp_path}: process {os.getpid()} keeps its state there"
        ),
    ):
        open_ledger(tmp_path, CLOCK)
    open_ledger(tmp_path, CLOCK).close()


def test_it_is_closed_once_however_often_it_is_asked_to(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path, CLOCK)
    ledger.close()
    with open_ledger(tmp_path, CLOCK) as second:
        ledger.close()
        with pytest.raises(LedgerHeld):
            open_ledger(tmp_path, CLOCK)
        second.commit(HELD)
    with pytest.raises(LedgerError, match="could not be written"):
        ledger.commit(HELD)


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    with open_ledger(tmp_path / "state", CLOCK) as ledger:
        ledger.commit(HELD)
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert modes.pop("state") == 0o700
    assert set(modes) >= {"lock", "facts.sqlite3", "facts.sqlite3-wal"}
    assert set(modes.values()) == {0o600}


# --- what can't be used ---------------------------------------------------------------------------


def a_file_in_place_of_the_directory(directory: Path) -> None:
    directory.rmdir()
    directory.write_text("")


def a_file_in_place_of_its_parent(directory: Path) -> None:
    directory.rmdir()
    directory.parent.rmdir()
    directory.parent.write_text("")


def a_lock_that_is_no_file(directory: Path) -> None:
    (directory / "lock").symlink_to(directory / "elsewhere")


def a_directory_in_place_of_the_file(directory: Path) -> None:
    (directory / "facts.sqlite3").mkdir()


def garbage(directory: Path) -> None:
    (directory / "facts.sqlite3").write_bytes(b"no database" * 1000)


def another_version(directory: Path) -> None:
    write(directory, "PRAGMA user_version = 2; CREATE TABLE facts (x)")


def somebody_elses(directory: Path) -> None:
    write(directory, "CREATE TABLE photos (x)")


def no_table(directory: Path) -> None:
    write(directory, "PRAGMA user_version = 1")


def write(directory: Path, script: str) -> None:
    connection = sqlite3.connect(directory / "facts.sqlite3", isolation_level=None)
    connection.executescript(script)
    connection.close()


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (a_file_in_place_of_the_directory, "File exists; choose a directory that this user may"),
        (a_file_in_place_of_its_parent, "Not a directory; choose a directory that this user may"),
        (a_lock_that_is_no_file, "Too many levels of symbolic links; choose a directory"),
        (a_directory_in_place_of_the_file, "unable to open database file; restore it, or move it"),
        (garbage, "file is not a database; restore it, or move it away"),
        (another_version, "written in version 2 of its format, and this riskd knows 1"),
        (somebody_elses, "written in version 0 of its format, and this riskd knows 1"),
        (no_table, "no such table: facts; restore it, or move it away"),
    ],
)
def test_a_place_that_can_not_be_used_is_one_clear_error_and_is_left_as_it_was(
    tmp_path: Path, spoil: Callable[[Path], None], problem: str
) -> None:
    directory = tmp_path / "parent" / "state"
    directory.mkdir(parents=True)
    spoil(directory)
    before = everything(tmp_path)
    for _ in range(2):  # an error lets go of the lock, so that the second is the same
        with pytest.raises(LedgerError) as caught:
            open_ledger(directory, CLOCK)
        assert type(caught.value) is LedgerError
        assert str(directory) in str(caught.value)
        assert problem in str(caught.value)
        assert "\n" not in str(caught.value)
    assert everything(tmp_path) == before


def everything(directory: Path) -> dict[str, bytes | None]:
    return {
        str(path): path.read_bytes() if path.is_file() else None
        for path in directory.rglob("*")
        if path.name != "lock"
    }


def insert(directory: Path, body: bytes) -> None:
    connection = sqlite3.connect(directory / "facts.sqlite3", isolation_level=None)
    connection.execute("INSERT INTO facts VALUES (3, 'at', 'boot', 1.0, 'x', ?)", (body,))
    connection.close()


@pytest.mark.parametrize(
    "body",
    [b'{"type":"order_admitted"}', b'{"type":"child_held"}', b"{", b"\xff", b"null"],
)
def test_a_fact_that_can_not_be_read_is_one_clear_error_and_nothing_is_changed(
    tmp_path: Path, body: bytes
) -> None:
    with open_ledger(tmp_path, CLOCK) as ledger:
        ledger.commit(HELD)
        ledger.commit(RELEASED)
    insert(tmp_path, body)
    before = content(tmp_path)
    with open_ledger(tmp_path, CLOCK) as ledger:
        facts = ledger.facts()
        assert [next(facts).fact, next(facts).fact] == [HELD, RELEASED]
        with pytest.raises(LedgerError, match=r"facts\.sqlite3: fact 3 can't be read: .*; it was"):
            next(facts)
    assert content(tmp_path) == before


def test_damage_that_is_found_only_in_reading_is_a_clear_error_too(tmp_path: Path) -> None:
    with open_ledger(tmp_path, CLOCK) as ledger:
        for number in range(2000):
            ledger.commit(silent(number))
    file = tmp_path / "facts.sqlite3"
    whole = file.read_bytes()
    # The first page and the way to the last fact are left, so that the damage is not seen at once.
    file.write_bytes(whole[:8192] + b"\xff" * 8192 + whole[16384:])
    with (
        open_ledger(tmp_path, CLOCK) as ledger,
        pytest.raises(LedgerError, match=r"facts\.sqlite3: .*malformed; restore it, or move it"),
    ):
        list(ledger.facts())


FILLS_THE_DISK = """
import resource, signal, sys
from pathlib import Path
from riskd.actors.messages import ActorSilent
from riskd.adapters.clock import SystemClock
from riskd.supervisor.ledger import LedgerError, open_ledger

ledger = open_ledger(Path(sys.argv[1]), SystemClock())
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
try:
    while True:
        ledger.commit(ActorSilent(actor=f"a{ledger.lsn + 1}", deadline_s=1.0))
except LedgerError as error:
    print(ledger.lsn)
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
try:
    ledger.commit(ActorSilent(actor="after the hole", deadline_s=1.0))
except LedgerError as error:
    print(ledger.lsn)
    print(error)
ledger.close()
"""


def test_a_full_disk_is_an_error_of_the_commit_and_the_last_one(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-P", "-c", FILLS_THE_DISK, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    lsn, error, after, refused = ended.stdout.splitlines()
    assert f"{tmp_path / 'facts.sqlite3'}: a fact could not be written: " in error
    assert int(lsn) > 0
    assert (after, refused) == (lsn, error)
    with open_ledger(tmp_path, CLOCK) as ledger:
        assert kept(ledger) == [(number, silent(number)) for number in range(1, int(lsn) + 1)]


def test_the_body_of_a_fact_is_what_other_programs_read(tmp_path: Path) -> None:
    with open_ledger(tmp_path, CLOCK) as ledger:
        ledger.commit(HELD)
    connection = sqlite3.connect(tmp_path / "facts.sqlite3")
    rows = connection.execute("SELECT lsn, tag, body FROM facts").fetchall()
    connection.close()
    assert rows == [(1, "child_held", msgspec.json.encode(HELD))]
