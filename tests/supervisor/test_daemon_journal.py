"""The daemon and its journal: what it remembers, and how it ends when it no longer can."""

import json
import resource
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from riskd.actors.messages import KillActor, Refused, Reload, Reloaded
from riskd.adapters.disk import SystemDisk
from riskd.supervisor.journal.reader import read_segment

Start = Callable[..., "RunningDaemon"]  # noqa: F821 - the fixture's class lives in conftest.py
FACTS_LIMIT_BYTES = 1_048_576


def journal(place: Path) -> Path:
    return place / "state" / "journal"


def segment(place: Path) -> Path:
    return journal(place) / f"{1:020}.log"


def facts(place: Path) -> list[dict[str, Any]]:
    """As they lie in the first segment."""
    return [json.loads(fact)["fact"] for _, fact in read_segment(SystemDisk(), segment(place))]


def everything(place: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in sorted(journal(place).rglob("*.*"))}


def refused(start: Start, status: int, place: Path) -> str:
    """The one line of a start that is refused, and that has changed nothing on the disk."""
    before = everything(place)
    seen = len((place / "log").read_text().splitlines()) if (place / "log").exists() else 0
    daemon = start()
    assert daemon.end() == status
    (line,) = daemon.logged().splitlines()[seen:]
    assert everything(place) == before
    return line


def run_once(start: Start) -> None:
    daemon = start().wait_ready()
    daemon.signal(signal.SIGTERM)
    assert daemon.end() == 0


def test_a_run_is_in_the_journal_from_its_start_to_its_end(start: Start, place: Path) -> None:
    run_once(start)
    tags = [fact["type"] for fact in facts(place)]
    assert (tags[0], tags[-1]) == ("daemon_started", "daemon_stopped")
    assert facts(place)[-1]["reason"] == "SIGTERM"


def test_what_happened_is_on_the_disk_soon_and_seen_to_be(start: Start, place: Path) -> None:
    daemon = start().wait_ready()
    daemon.ask(KillActor(name="heartbeat"))
    daemon.until(lambda: daemon.actors()["heartbeat"]["restarts"] == 1)
    daemon.until(lambda: daemon.status()["journal"]["unsafe"] == 0)
    seen = daemon.status()["journal"]
    assert seen["lsn"] == len(facts(place)) > 1
    assert seen["segment"] == segment(place).name
    assert (seen["failure"], seen["suspected"]) == (None, [])
    assert seen["syncs"] >= 1
    assert 0 < seen["last_sync_ms"] <= seen["worst_sync_ms"]


def test_killing_riskd_loses_no_fact_and_refills_no_budget(start: Start, place: Path) -> None:
    """However shortly after it the kill comes."""

    def used(daemon: Any) -> int:
        return int(daemon.actors()["watchdogs"]["budget"]["used"])

    for before in (0, 1):
        daemon = start().wait_ready()
        assert used(daemon) == before
        daemon.ask(KillActor(name="heartbeat"))
        daemon.until(partial(lambda one, n: used(one) == n, daemon, before + 1))
        daemon.signal(signal.SIGKILL)
        daemon.end()
    failed = [fact for fact in facts(place) if fact["type"] == "child_failed"]
    assert len(failed) == 2


def test_a_killed_ledger_starts_again_and_the_journal_goes_on(start: Start, place: Path) -> None:
    daemon = start().wait_ready()
    daemon.ask(KillActor(name="ledger"))
    daemon.until(lambda: daemon.actors()["control"]["incarnation"] == 2)
    assert daemon.actors()["ledger"]["incarnation"] == 2
    daemon.until(lambda: daemon.status()["journal"]["unsafe"] == 0)
    daemon.signal(signal.SIGTERM)
    assert daemon.end() == 0


# --- a journal that fails -------------------------------------------------------------------------


def test_a_journal_that_is_deleted_ends_it_and_its_status_says_why_until_then(
    start: Start, place: Path
) -> None:
    daemon = start().wait_ready()
    shutil.rmtree(journal(place))
    daemon.ask(KillActor(name="heartbeat"))
    daemon.until(lambda: daemon.status()["journal"]["failure"] is not None)
    assert segment(place).name in daemon.status()["journal"]["failure"]
    assert daemon.end() == 74
    (failed,) = [event for event in daemon.events() if event["event"] == "ledger.failed"]
    assert "it was moved or deleted while riskd ran" in failed["why"]
    assert not journal(place).exists()


def test_a_journal_that_can_not_be_written_ends_it_and_what_was_written_stays(
    start: Start, place: Path
) -> None:
    """A limit on the size of files does what a failing disk does to a write; to the log's, too."""
    daemon = start().wait_ready()
    daemon.until(lambda: daemon.status()["journal"]["unsafe"] == 0)
    before = facts(place)
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (200, 200))
    daemon.ask(KillActor(name="heartbeat"))
    daemon.until(lambda: daemon.status()["journal"]["failure"] is not None)
    failure = daemon.status()["journal"]["failure"]
    assert "a fact could not be written: File too large" in failure
    assert daemon.end() == 74
    assert facts(place) == before
    # The next one goes on, and knows that the last run had no orderly end.
    run_once(start)
    assert facts(place)[: len(before)] == before
    assert facts(place)[-1]["type"] == "daemon_stopped"


def test_a_start_that_finds_no_room_is_one_clear_line(start: Start, place: Path) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (FACTS_LIMIT_BYTES, FACTS_LIMIT_BYTES))

    daemon = start(preexec_fn=limited)
    assert daemon.end() == 74
    (line,) = daemon.logged().splitlines()
    assert str(journal(place)) in line
    assert "File too large; see to the disk" in line


def test_a_reload_is_in_force_only_when_the_disk_has_it(start: Start, place: Path) -> None:
    file = place / "riskd.toml"
    file.write_text("")
    daemon = start("--config", str(file)).wait_ready()
    file.write_text("[supervision]\nheartbeat_misses = 3\n")
    assert isinstance(daemon.ask(Reload()), Reloaded)
    tags = [fact["type"] for fact in facts(place)]
    assert tags[-2:] == ["loosening_proposed", "config_reloaded"]
    assert daemon.status()["journal"]["unsafe"] <= 1  # the proposal is safe
    daemon.signal(signal.SIGKILL)
    daemon.end()


def test_a_reload_that_the_disk_does_not_take_is_refused_and_changes_nothing(
    start: Start, place: Path
) -> None:
    file = place / "riskd.toml"
    file.write_text("")
    daemon = start("--config", str(file), program=NO_SYNC).wait_ready()
    file.write_text("[supervision]\nheartbeat_misses = 3\n")
    reply = daemon.ask(Reload())
    assert isinstance(reply, Refused)
    assert reply.code == "not_loosened"
    assert "the old configuration stays in force" in reply.message
    tags = [fact["type"] for fact in facts(place)]
    assert "loosening_proposed" in tags
    assert "config_reloaded" not in tags


NO_SYNC = """
import threading
from riskd.adapters import disk
from riskd.supervisor.cli import main

main_thread = threading.current_thread()
sync = disk.SystemFile.sync

begun = []

def hang(file):
    # All but the one that a start waits for.
    if threading.current_thread() is not main_thread:
        if begun:
            threading.Event().wait()
        begun.append(file)
    sync(file)

disk.SystemFile.sync = hang
main()
"""


# --- starts that are refused ----------------------------------------------------------------------


def test_a_second_daemon_of_the_same_state_is_refused_and_named_its_holder(
    start: Start, place: Path
) -> None:
    first = start().wait_ready()
    first.until(lambda: first.status()["journal"]["unsafe"] == 0)
    line = refused(start, 75, place)
    assert f"process {first.process.pid}" in line
    assert "--state-dir" in line
    assert first.status()["pid"] == first.process.pid


def test_a_file_in_the_place_of_the_journal_is_refused(start: Start, place: Path) -> None:
    (place / "state").mkdir()
    journal(place).write_text("")
    line = refused(start, 73, place)
    assert str(journal(place)) in line
    assert "--state-dir" in line


def test_a_damaged_journal_is_refused_with_the_place_and_the_remedy(
    start: Start, place: Path
) -> None:
    daemon = start().wait_ready()
    daemon.ask(KillActor(name="heartbeat"))
    daemon.until(lambda: daemon.actors()["heartbeat"]["restarts"] == 1)
    daemon.signal(signal.SIGTERM)
    assert daemon.end() == 0
    with segment(place).open("r+b") as file:
        file.seek(96 + 24 + 10)
        file.write(b"\x00")
    line = refused(start, 74, place)
    assert f"{segment(place)}: at byte 96, fact 1:" in line
    assert "riskctl journal" in line


def test_a_torn_end_is_cut_off_and_told(start: Start, place: Path) -> None:
    run_once(start)
    before = facts(place)
    data = segment(place).read_bytes()
    end = len(data.rstrip(b"\0"))
    segment(place).write_bytes(data[: end - 5] + bytes(len(data) - end + 5))
    run_once(start)
    after = facts(place)
    assert after[0] == before[0]
    (repaired,) = [fact for fact in after if fact["type"] == "journal_repaired"]
    assert (repaired["how"], repaired["lost_lsn"]) == ("torn", len(before))
    assert [(journal(place) / name).exists() for name in repaired["evidence"]] == [True]


SETTLING_ALOUD = """
import sys
from riskd.supervisor.cli import main
from riskd.supervisor.ledger import Ledger
settle = Ledger.settle

async def aloud(self, lsn):
    await settle(self, lsn)
    print('{"event":"settled","lsn":%d}' % lsn, file=sys.stderr, flush=True)

Ledger.settle = aloud
main()
"""


def test_nobody_is_told_that_it_is_up_before_its_start_has_settled(start: Start) -> None:
    daemon = start(program=SETTLING_ALOUD)
    daemon.until_logged("riskd.ready")
    events = [event["event"] for event in daemon.events()]
    assert events.index("settled") < events.index("riskd.ready")


def test_what_a_start_repaired_is_told(start: Start, place: Path) -> None:
    run_once(start)
    path = segment(place)
    data = path.read_bytes()
    end = len(data.rstrip(b"\0"))
    path.write_bytes(data[: end - 8] + bytes(len(data) - end + 8))
    daemon = start().wait_ready()
    daemon.until_logged("journal.repaired")
    (told,) = [event for event in daemon.events() if event["event"] == "journal.repaired"]
    assert (told["level"], told["how"], told["file"]) == ("warning", "torn", path.name)


def test_two_state_directories_that_lead_to_one_journal_have_one_riskd(
    start: Start, place: Path, tmp_path: Path
) -> None:
    start().wait_ready()
    other = tmp_path / "other"
    other.mkdir()
    (other / "journal").symlink_to(journal(place))
    second = start("--state-dir", str(other), "--socket", str(place / "second.sock"))
    assert second.end() == 75


def test_a_riskd_whose_lock_was_deleted_still_is_the_only_one(start: Start, place: Path) -> None:
    start().wait_ready()
    (place / "state" / "lock").unlink()
    second = start("--socket", str(place / "second.sock"))
    assert second.end() == 75


HANGING = """
import os, threading
from pathlib import Path
from riskd.supervisor import daemon
from riskd.supervisor.cli import main

sync = os.fdatasync

def hanging(descriptor):
    if Path(HANG).exists():
        threading.Event().wait()
    sync(descriptor)

os.fdatasync = hanging
daemon.SAFE_S = 0.5
main()
"""


def test_a_disk_that_hangs_holds_no_stop_and_is_told(start: Start, place: Path) -> None:
    hang = place / "hang"
    daemon = start(program=HANGING.replace("HANG)", f"{str(hang)!r})")).wait_ready()
    daemon.until(lambda: daemon.status()["journal"]["unsafe"] == 0)
    hang.touch()
    daemon.signal(signal.SIGTERM)
    assert daemon.end() == 74
    assert "the last facts could not be synced: the disk did not answer" in daemon.logged()
