"""`riskctl audit`: every fact that says who did it, from riskd or from its files, and no other."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from click.testing import CliRunner, Result
from riskd.actors.messages import (
    ActorSilent,
    AnyFact,
    By,
    Fact,
    Halt,
    HaltPlaced,
    KeyChange,
    KillSwitchTriggered,
    LimitChange,
    Limits,
    LimitsTightened,
    RecoveryStarted,
    Subscribe,
    Subscribed,
    UntilElapsed,
)
from riskd.adapters.clock import SystemClock
from riskd.adapters.disk import SystemDisk
from riskd.supervisor.known import Known
from riskd.supervisor.recall import open_ledger
from riskd.tools.riskctl import audit, main, talk
from riskd.tools.riskctl.page import Table

ANA = By(via="socket", user_id=1000, user="ana", process_id=4711)
NOBODY_KNOWN = By(via="signal", user_id=1001)
ITSELF = By(via="riskd")
HALT = Halt(
    scope="account:main",
    mode="halt",
    cause="position",
    source="trigger:loss",
    reason="too much at once",
    until=UntilElapsed(seconds=900.0),
)
FACTS: list[Fact] = [
    ActorSilent(actor="gate", deadline_s=1.0),
    KillSwitchTriggered(by=ANA, cause="manual", source="operator", reason="a runaway"),
    KillSwitchTriggered(by=NOBODY_KNOWN, cause="manual", source="signal", reason="SIGUSR1"),
    RecoveryStarted(by=ANA, approved_by="bo", cooldown_s=300.0),
    HaltPlaced(halt_id=1, halt=HALT, by=ITSELF),
]


@pytest.fixture
def state() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="r") as place:
        known = Known().projections()
        with open_ledger(SystemDisk(), Path(place), SystemClock(), known) as ledger:
            for fact in FACTS:
                ledger.commit(fact)
        yield Path(place)


def run(*words: object) -> Result:
    return CliRunner().invoke(main, ["audit", *map(str, words)])


def acts(*words: object) -> list[dict[str, Any]]:
    said = run("--json", *words)
    assert said.exit_code == 0, said.output
    found: list[dict[str, Any]] = json.loads(said.stdout)
    return found


def reasons(*words: object) -> list[str]:
    return [each["what"] for each in acts(*words)]


def test_every_fact_that_says_by_whom_it_was_made_is_audited() -> None:
    said_by = {
        str(fact.__struct_config__.tag)
        for fact in get_args(AnyFact)
        if "by" in fact.__struct_fields__
    }
    assert said_by <= set(audit.TAGS)
    assert {"kill_switch_triggered", "recovery_completed", "halts_lifted"} <= said_by
    assert set(audit.TAGS) - said_by == {"daemon_started", "daemon_stopped"}


def test_who_did_what_from_where_is_read_from_the_files(state: Path) -> None:
    found = acts("--state-dir", state)
    assert [(each["lsn"], each["what"], each["who"]) for each in found] == [
        (2, "kill_switch_triggered", "ana"),
        (3, "kill_switch_triggered", "user 1001 (signal)"),
        (4, "recovery_started", "ana"),
        (5, "halt_placed", "riskd"),
    ]
    assert {*found[0]} == {"lsn", "at", "who", "what", "by", "fact"}
    assert found[0]["by"] == {"via": "socket", "user_id": 1000, "user": "ana", "process_id": 4711}
    table = run("--state-dir", state).stdout
    assert "socket, process 4711  kill switch triggered" in table
    assert 'cause=manual source=operator reason="a runaway"' in table
    assert "scope=account:main" in table
    assert "until=elapsed seconds=900.0" in table
    assert table.endswith("4 acts\n")


def test_a_change_of_limits_is_told_by_what_is_new_in_them() -> None:
    """A fact of it holds all limits: nobody finds the one that was changed among hundreds."""
    keys = (KeyChange(key="max_qty", old="2", new="1"),)
    fact = LimitsTightened(
        limits=Limits(on_excess="block", rules=(), settings=()),
        changes=(LimitChange(rule="a@all", how="tightened", keys=keys),),
        by=ANA,
        reason="thin",
    )
    recorded = {"lsn": 1, "at": "now", "fact": msgspec.to_builtins(fact)}
    (table, _) = audit.shown([audit.entry_of(recorded)])
    assert isinstance(table, Table)
    assert table.rows[0][-1] == "a@all=tightened(max_qty 2 -> 1) reason=thin"


def test_acts_are_chosen_by_person_time_and_number(state: Path) -> None:
    here = ("--state-dir", state)
    assert reasons(*here, "--who", "ana") == ["kill_switch_triggered", "recovery_started"]
    assert reasons(*here, "--who", "1001") == ["kill_switch_triggered"]
    assert reasons(*here, "--who", "bo") == ["recovery_started"], "who approved is answerable too"
    assert reasons(*here, "--who", "riskd") == ["halt_placed"]
    assert reasons(*here, "--who", "eve") == []
    assert reasons(*here, "--limit", 2) == ["recovery_started", "halt_placed"]
    assert len(reasons(*here, "--since", "1h")) == 4
    assert reasons(*here, "--until", "1h") == []
    third = acts(*here)[2]["at"]
    assert reasons(*here, "--since", third)[0] == "recovery_started"
    assert reasons(*here, "--until", third) == ["kill_switch_triggered"] * 2
    assert run(*here, "--who", "eve").stdout == "no acts\n"


def test_riskd_tells_the_same_as_its_files_and_its_own_starts(state: Path) -> None:
    place = state / "riskd.sock"
    options = ["--socket", str(place), "--state-dir", str(state)]
    process = subprocess.Popen(
        [sys.executable, "-m", "riskd", "run", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        assert any(b"ready" in line for line in process.stderr)
        told = acts("--socket", place)
        assert told == acts("--state-dir", state)
    finally:
        process.kill()
        process.communicate()
    assert [each["lsn"] for each in told][:4] == [2, 3, 4, 5]
    assert ("daemon_started", "riskd", None) in [
        (each["what"], each["who"], each["by"]) for each in told
    ]


def test_without_riskd_it_is_3_and_names_the_files_as_the_other_way(state: Path) -> None:
    said = run("--socket", state / "nobody.sock")
    assert (said.exit_code, said.stdout) == (3, "")
    assert "--state-dir" in said.stderr


@pytest.mark.parametrize("oldest", [1, 2, 3, 517, 999, 1000])
def test_the_oldest_fact_that_is_kept_is_found_by_asking(
    monkeypatch: pytest.MonkeyPatch, oldest: int
) -> None:
    asked = []

    def ask(command: Subscribe, _: type[Subscribed]) -> Subscribed:
        assert command.from_lsn is not None
        asked.append(command.from_lsn)
        if command.from_lsn < oldest:
            raise talk.Failure(talk.REFUSED, "too_old", "gone")
        return Subscribed(from_lsn=command.from_lsn, lsn=1000)

    monkeypatch.setattr(audit, "ask", ask)
    assert audit._oldest(1000) == oldest
    assert len(asked) <= 11
