"""`riskctl journal`: what it reads and writes, what it refuses, and that it changes nothing."""

import csv
import gzip
import json
import os
import pty
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from riskd.actors.messages import ActorSilent, ChildFailed, Fact
from riskd.adapters.clock import SystemClock
from riskd.adapters.disk import SystemDisk
from riskd.supervisor.journal import Survey, open_journal, survey
from riskd.supervisor.journal.files import ARCHIVE, archived_name, segment_firsts, segment_name
from riskd.supervisor.journal.format import HEADER_BYTES
from riskd.supervisor.journal.journal import RESERVE_BYTES
from riskd.supervisor.journal.reader import PIECE_BYTES
from riskd.tools.riskctl import main

DISK = SystemDisk()
BEGUN = datetime(2026, 11, 21, 12, tzinfo=UTC)
COUNT = 40
ROOM = RESERVE_BYTES + 2_000


def fact(lsn: int) -> Fact:
    if lsn % 2:
        return ActorSilent(actor="settings", deadline_s=lsn / 2)
    return ChildFailed(
        supervisor="riskd/watchdogs",
        child="heartbeat",
        incarnation=lsn,
        phase="running",
        cause='ValueError: "no mark", \x1b[31mit\x9b\u202e said',
    )


def payload(lsn: int) -> bytes:
    at = BEGUN + timedelta(minutes=lsn)
    return msgspec.json.encode({"lsn": lsn, "at": at, "monotonic_s": lsn / 4, "fact": fact(lsn)})


PAYLOADS = [payload(lsn) for lsn in range(1, COUNT + 1)]


def walked(directory: Path) -> Survey:
    found = survey(DISK, directory, SystemClock().boot())
    for _ in found.facts():
        pass
    return found


def history(place: Path, segment_bytes: int, count: int) -> Path:
    """A state directory of a riskd that has ended."""
    directory = place / "state" / "journal"
    directory.mkdir(parents=True)
    journal = open_journal(walked(directory), segment_bytes)
    for lsn in range(1, count + 1):
        journal.append([payload(lsn)])
    sync = journal.sync()
    sync.run()
    journal.synced(sync)
    journal.close()
    return directory.parent


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """One with a few segments, the first of them archived."""
    state = history(tmp_path, ROOM, COUNT)
    directory = state / "journal"
    (directory / ARCHIVE).mkdir()
    first = directory / segment_name(1)
    (directory / ARCHIVE / archived_name(1)).write_bytes(gzip.compress(first.read_bytes()))
    first.unlink()
    return state


def live(state: Path) -> list[Path]:
    directory = state / "journal"
    return [directory / segment_name(lsn) for lsn in segment_firsts(DISK.names(directory))]


def content(state: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}


def run(*words: object) -> Result:
    return CliRunner().invoke(main, ["journal", *map(str, words)], prog_name="riskctl")


def refusal(said: Result) -> str:
    """The one line on stderr."""
    assert said.exit_code == 1, said.output
    (line,) = said.stderr.splitlines()
    assert line.startswith("riskctl: ")
    return line.removeprefix("riskctl: ")


def dumped(*words: object) -> list[int]:
    said = run("dump", *words)
    assert said.exit_code == 0, said.output
    return [json.loads(line)["lsn"] for line in said.stdout.splitlines()]


# --- dump -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("inner", [".", "journal"])
def test_dump_prints_each_fact_as_it_is_stored(state: Path, inner: str) -> None:
    before = content(state)
    for more in ((), ("--json",)):
        said = run("dump", "--dir", state / inner, *more)
        assert said.stdout_bytes == b"".join(line + b"\n" for line in PAYLOADS)
    assert content(state) == before


def test_the_default_is_this_users_state_directory(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(state.parent))
    assert "no journal" in refusal(run("dump")) or "No such file" in refusal(run("dump"))
    state.rename(state.parent / "riskd")
    assert dumped() == list(range(1, COUNT + 1))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--from", 12, "--to", 15], [12, 13, 14, 15]),
        (["--from", COUNT + 1], []),
        (["--to", 2], [1, 2]),
        (["--fact", "actor_silent", "--to", 5], [1, 3, 5]),
        (["--fact", "actor_silent", "--fact", "child_failed", "--to", 2], [1, 2]),
        (["--actor", "watchdogs", "--to", 5], [2, 4]),
        (["--account", "main"], []),
        (["--since", "2026-11-21T12:38:00Z"], [38, 39, 40]),
        (["--since", "2026-11-21T13:38:00+01:00", "--until", "2026-11-21T12:40"], [38, 39]),
        (["--since", "3650d", "--to", 2], [1, 2]),
        (["--until", "3650d"], []),
    ],
)
def test_facts_are_chosen_by_all_that_is_asked(
    state: Path, options: list[object], expected: list[int]
) -> None:
    assert dumped("--dir", state, *options) == expected


def test_one_file_can_be_dumped_whatever_its_name(state: Path, tmp_path: Path) -> None:
    archived = state / "journal" / ARCHIVE / archived_name(1)
    evidence = tmp_path / "1.broken"
    evidence.write_bytes(archived.read_bytes())
    first = segment_firsts(DISK.names(state / "journal"))[0]
    assert dumped(archived) == dumped(evidence) == list(range(1, first))
    assert dumped(evidence, "--from", 2, "--to", 3) == [2, 3]
    assert dumped(live(state)[0])[0] == first


def test_a_person_gets_lines_that_a_terminal_may_show(state: Path) -> None:
    command = [sys.executable, "-m", "riskd.tools.riskctl", "journal", "dump", "--dir", str(state)]
    leader, follower = pty.openpty()
    with subprocess.Popen([*command, "--to", "2"], stdout=follower, stderr=follower) as process:
        os.close(follower)
        said = b""
        while chunk := _read(leader):
            said += chunk
        assert process.wait() == 0
    os.close(leader)
    first, second = said.decode().splitlines()
    assert first == "1  2026-11-21T12:01:00Z  actor_silent  actor=settings deadline_s=0.5"
    assert second.startswith("2  2026-11-21T12:02:00Z  child_failed  supervisor=riskd/watchdogs ")
    assert second.endswith(r' cause="ValueError: \"no mark\", \u001b[31mit?? said"')


def _read(leader: int) -> bytes:
    try:
        return os.read(leader, 4096)
    except OSError:  # Linux says that nobody has the other end any more
        return b""


def test_a_reader_that_has_enough_is_no_error(state: Path) -> None:
    command = [sys.executable, "-m", "riskd.tools.riskctl", "journal", "dump", "--dir", str(state)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait() == 0


# --- what can't be read ---------------------------------------------------------------------------


def test_damage_is_told_after_all_that_is_before_it(state: Path) -> None:
    damaged = live(state)[0]
    data = bytearray(damaged.read_bytes())
    data[HEADER_BYTES + 30] ^= 1
    damaged.write_bytes(data)
    first = int(damaged.stem)
    for more in ((), ("--json",)):
        said = run("dump", "--dir", state, *more)
        assert said.stdout_bytes.splitlines() == PAYLOADS[: first - 1]
        assert f"{damaged}: at byte {HEADER_BYTES}, fact {first}" in refusal(said)
        assert "riskctl journal verify" in refusal(said)


@pytest.mark.parametrize("command", ["dump", "stats", "export"])
def test_a_damaged_header_of_the_only_segment_does_not_pass_for_the_end(
    tmp_path: Path, command: str
) -> None:
    (segment,) = live(state := history(tmp_path, ROOM + 50_000, 3))
    data = bytearray(segment.read_bytes())
    data[40] ^= 1
    segment.write_bytes(data)
    file = tmp_path / "facts.csv"
    said = run(command, *[file] * (command == "export"), "--dir", state)
    assert f"{segment}: at byte 0, fact 1: its header fails its checksum" in refusal(said)
    assert "riskctl journal verify" in refusal(said)
    assert not file.exists()


def test_a_hole_in_the_last_segment_does_not_pass_for_the_end(tmp_path: Path) -> None:
    last = live(state := history(tmp_path, ROOM + 5_000_000, 500))[-1]
    data = last.read_bytes()
    begin, end = data.index(b'{"lsn":3,'), data.index(b'{"lsn":490,')
    assert end - begin > PIECE_BYTES
    last.write_bytes(data[: begin - 24] + bytes(end - begin) + data[end - 24 :])
    said = run("dump", "--dir", state)
    assert len(said.stdout.splitlines()) == 2
    assert "fact 3: no fact is there, and whole frames lie behind it" in refusal(said)


@pytest.mark.parametrize("data", [b"", b"rubbish", os.urandom(5_000), b"\x1f\x8b" + bytes(90)])
def test_rubbish_is_refused_with_file_and_offset(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "rubbish"
    file.write_bytes(data)
    said = run("dump", file)
    assert said.stdout == ""
    assert refusal(said).startswith(f"{file}: at byte 0")


def test_another_version_is_named(state: Path) -> None:
    for segment in live(state):
        data = segment.read_bytes()
        segment.write_bytes(data[:8] + b"\x09" + data[9:])
    for command in ("dump", "stats", "verify"):
        assert "version 9" in refusal(run(command, "--dir", state))


def test_a_place_without_a_journal_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    for command in ("dump", "stats", "verify"):
        assert "there is no journal" in refusal(run(command, "--dir", tmp_path))
        assert "No such file" in refusal(run(command, "--dir", tmp_path / "nowhere"))
        said = refusal(run(command, "--dir", file))
        assert said.startswith(f"{file}: it can't be read: Not a directory")
        assert "--dir" in said
    assert sorted(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("command", ["dump", "stats", "verify"])
def test_a_segment_without_permission_is_not_to_be_restored(
    state: Path, unprivileged: Callable[[str], str], command: str
) -> None:
    segment = live(state)[0]
    segment.chmod(0)
    program = unprivileged("riskd.tools.riskctl")
    said = subprocess.run(
        [sys.executable, "-P", "-c", program, "journal", command, "--dir", state],
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 1
    line, *_ = (said.stdout if command == "verify" else said.stderr).splitlines()
    assert str(segment) in line
    assert line.endswith("it can't be read: Permission denied; give this user access to it")


@pytest.mark.parametrize("command", ["dump", "stats"])
def test_a_link_and_a_pipe_in_a_segments_place_are_named(state: Path, command: str) -> None:
    segment = live(state)[0]
    segment.rename(moved := state / "moved")
    segment.symlink_to(moved)
    said = refusal(run(command, "--dir", state))
    assert (
        said == f"{segment}: it is a link, and none is followed; put the file itself in its place"
    )
    segment.unlink()
    os.mkfifo(segment)
    said = refusal(run(command, "--dir", state))
    assert said == f"{segment}: it is not a file; put the file itself in its place"


@pytest.mark.parametrize(
    "words",
    [
        ["dump", "--dir", "{}"],
        ["stats", "--dir", "{}"],
        ["verify", "--dir", "{}"],
        ["repair", "--dir", "{}"],
        ["dump", "{}"],
        ["export", "{}", "--format", "csv"],
        ["export", "{}/facts.csv"],
        ["export", "{}/facts.csv", "--force"],
    ],
)
def test_a_place_without_permission_is_one_line(
    state: Path, tmp_path: Path, unprivileged: Callable[[str], str], words: list[str]
) -> None:
    given = tmp_path / "given"
    given.mkdir()
    given.chmod(0)
    program = unprivileged("riskd.tools.riskctl")
    named = [word.format(given) for word in words]
    state.rename(tmp_path / "riskd")
    said = subprocess.run(
        [sys.executable, "-P", "-c", program, "journal", *named],
        env={**os.environ, "XDG_STATE_HOME": str(state.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 1
    (line,) = said.stderr.splitlines()
    assert line.startswith(f"riskctl: {given}")
    assert "; " in line


def test_facts_that_are_no_longer_kept_are_refused_with_the_oldest(state: Path) -> None:
    (state / "journal" / ARCHIVE / archived_name(1)).unlink()
    oldest = int(live(state)[0].stem)
    assert f"begin at {oldest}" in refusal(run("dump", "--dir", state, "--from", 1))
    assert dumped("--dir", state)[0] == oldest


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--fact", "child_faild"], "did you mean 'child_failed'?"),
        (["--fact", "xyzzy"], "there are: account_closed, account_opened, "),
        (["--since", "yesterday"], "15m, 2h, 3d"),
        (["--since", "999999999w"], "15m, 2h, 3d"),
        (["--from", "0"], "--from"),
        (["a-file", "--dir", "."], "exclude each other"),
    ],
)
def test_what_is_misspelt_is_a_usage_error(options: list[str], said: str) -> None:
    result = run("dump", *options)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())


# --- stats ----------------------------------------------------------------------------------------


def test_stats_count_by_kind(state: Path) -> None:
    (state / "journal" / "x.log.1.broken").write_bytes(b"evidence")
    document = json.loads(run("stats", "--dir", state, "--json").stdout)
    assert document["facts"] == COUNT
    assert document["bytes"] == sum(map(len, PAYLOADS))
    assert document["first"] == {"lsn": 1, "at": "2026-11-21T12:01:00Z"}
    assert document["last"] == {"lsn": COUNT, "at": "2026-11-21T12:40:00Z"}
    assert {kind: tally["facts"] for kind, tally in document["kinds"].items()} == {
        "actor_silent": COUNT // 2,
        "child_failed": COUNT // 2,
    }
    assert (document["segments"], document["archived"]) == (len(live(state)), 1)
    assert document["evidence"] == ["x.log.1.broken"]
    assert "facts     40 in" in run("stats", "--dir", state).stdout
    assert "facts     0 in" in run("stats", "--dir", state, "--account", "none").stdout


# --- export ---------------------------------------------------------------------------------------


def exported(state: Path, file: Path, *words: object) -> dict[str, Any]:
    said = run("export", file, "--dir", state, "--json", *words)
    assert said.exit_code == 0, said.output
    document: dict[str, Any] = json.loads(said.stdout)
    assert sorted(file.parent.iterdir()) == sorted({file, state})
    return document


def test_json_lines_are_what_dump_prints(state: Path, tmp_path: Path) -> None:
    file = tmp_path / "facts.jsonl"
    assert exported(state, file, "--to", 7) == {"file": str(file), "format": "jsonl", "facts": 7}
    assert file.read_bytes().splitlines() == PAYLOADS[:7]


def test_csv_has_the_fact_as_json_in_its_last_column(state: Path, tmp_path: Path) -> None:
    file = tmp_path / "facts.csv"
    exported(state, file)
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    for row, stored in zip(rows, map(json.loads, PAYLOADS), strict=True):
        assert (int(row["lsn"]), row["at"]) == (stored["lsn"], stored["at"])
        assert row["type"] == stored["fact"]["type"]
        assert json.loads(row["body"]) == stored["fact"]


def test_sqlite_has_a_view_for_each_kind_of_fact(state: Path, tmp_path: Path) -> None:
    file = tmp_path / "facts.bin"
    exported(state, file, "--format", "sqlite")
    database = sqlite3.connect(file)
    try:
        rows = database.execute("SELECT lsn, at, monotonic_s, type, body FROM facts").fetchall()
        for row, stored in zip(rows, map(json.loads, PAYLOADS), strict=True):
            assert row[:3] == (stored["lsn"], stored["at"], stored["monotonic_s"])
            assert json.loads(row[4]) == stored["fact"]
        found = database.execute("SELECT lsn, child, incarnation FROM child_failed LIMIT 2")
        assert found.fetchall() == [(2, "heartbeat", 2), (4, "heartbeat", 4)]
        assert database.execute("SELECT count(*) FROM daemon_started").fetchall() == [(0,)]
    finally:
        database.close()


def test_a_file_that_is_there_is_replaced_only_when_asked(state: Path, tmp_path: Path) -> None:
    file = tmp_path / "facts.jsonl"
    file.write_bytes(b"precious")
    assert "--force" in refusal(run("export", file, "--dir", state))
    assert file.read_bytes() == b"precious"
    exported(state, file, "--force", "--to", 1)
    assert file.read_bytes() == PAYLOADS[0] + b"\n"


@pytest.mark.parametrize("form", ["jsonl", "csv", "sqlite"])
def test_an_export_that_fails_leaves_nothing_and_replaces_nothing(
    state: Path, tmp_path: Path, form: str
) -> None:
    damaged = live(state)[-1]
    damaged.write_bytes(damaged.read_bytes()[:HEADER_BYTES] + b"x" * 10_000 + PAYLOADS[0])
    live(state)[0].unlink()
    file = tmp_path / "facts"
    file.write_bytes(b"precious")
    said = run("export", file, "--dir", state, "--force", "--format", form)
    assert "comes next" in refusal(said)
    assert file.read_bytes() == b"precious"
    assert sorted(tmp_path.iterdir()) == sorted({file, state})
    nowhere = tmp_path / "no" / "facts"
    assert str(nowhere) in refusal(run("export", nowhere, "--dir", state, "--format", form))


def test_a_format_that_nothing_names_is_a_usage_error(state: Path, tmp_path: Path) -> None:
    said = run("export", tmp_path / "facts", "--dir", state)
    assert said.exit_code == 2
    assert "--format" in said.stderr


# --- verify ---------------------------------------------------------------------------------------


def test_verify_prints_a_head_that_it_takes_again(state: Path) -> None:
    before = content(state)
    said = run("verify", "--dir", state)
    assert said.exit_code == 0, said.output
    seen, head = said.stdout.splitlines()
    assert seen.endswith(": no problems")
    word, lsn, digest = head.split()
    assert (word, lsn) == ("head", str(COUNT))
    for noted in (f"{lsn}:{digest}", f"{lsn} {digest.upper()}"):
        assert run("verify", "--dir", state, "--against", noted).exit_code == 0
    wrong = run("verify", "--dir", state, "--against", f"{lsn}:{'0' * 64}")
    assert wrong.exit_code == 1
    assert f"the head was {'0' * 64} and is {digest}" in wrong.stdout
    assert run("verify", "--against", "12").exit_code == 2
    assert content(state) == before


def test_verify_tells_each_problem_in_one_line_and_as_json(state: Path) -> None:
    for segment in live(state)[:2]:
        data = bytearray(segment.read_bytes())
        data[HEADER_BYTES + 30] ^= 1
        segment.write_bytes(data)
    said = run("verify", "--dir", state)
    document = json.loads(run("verify", "--dir", state, "--json").stdout)
    assert said.exit_code == 1
    lines = said.stdout.splitlines()
    assert "2 problems" in lines[2]
    for line, problem, segment in zip(lines, document["problems"], live(state), strict=False):
        assert problem["path"] == str(segment)
        assert problem["lsn"] == int(segment.stem)
        assert line.startswith(f"{segment}: at byte {HEADER_BYTES}, fact {problem['lsn']}: ")
        assert line.endswith(problem["remedy"])


def test_verify_lists_so_many_unreadable_facts_and_counts_all(tmp_path: Path) -> None:
    directory = tmp_path / "state" / "journal"
    directory.mkdir(parents=True)
    journal = open_journal(walked(directory), ROOM + 100_000)
    journal.append([payload(lsn).replace(b"actor_silent", b"actor_bored") for lsn in range(1, 401)])
    journal.sync().run()
    journal.close()
    said = run("verify", "--dir", directory.parent)
    assert said.exit_code == 1
    *listed, more, seen, _ = said.stdout.splitlines()
    assert len(listed) == 100
    assert "fact 1: this riskd knows no fact 'actor_bored'; start the riskd that " in listed[0]
    assert more == "and 100 more facts that can't be read"
    assert seen.endswith(": 200 problems")
    document = json.loads(run("verify", "--dir", directory.parent, "--json").stdout)
    assert (len(document["problems"]), document["more"]) == (100, 100)
