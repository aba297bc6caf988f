"""The commands that stop trading and let it go on: what they send, ask, print and leave."""

import contextlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import attrs
import msgspec
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core import kill_switch
from riskd.actors.core.halts import Halts, Now, halts_shown, shown
from riskd.actors.core.wire import parse
from riskd.actors.messages import (
    AnyFact,
    By,
    Command,
    CompleteRecovery,
    Error,
    Fact,
    Freeze,
    Halt,
    HaltsAre,
    Recorded,
    Recover,
    Refused,
    Reply,
    ShowHalts,
    SwitchIs,
    Trigger,
    Unfreeze,
    UntilElapsed,
    UntilOperator,
)
from riskd.tools.riskctl import main, options

START = datetime(2026, 11, 21, 3, tzinfo=UTC)
ANA = By(via="socket", user_id=1000, user="ana", process_id=4711)
RULES = kill_switch.Rules(cooldown_s=300.0)


class Desk:
    """The kill switch's own decisions behind a socket. Time is what a test says it is."""

    def __init__(self, path: Path) -> None:
        self.asked: list[Command] = []
        self.silent_about: type[Command] | None = None
        self.now_s = 0.0
        self._halts = Halts()
        self._lsn = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    @property
    def changes(self) -> list[Command]:
        """What was sent to it that is no question."""
        found = [command for command in self.asked if not isinstance(command, ShowHalts)]
        return [msgspec.structs.replace(command, id=0) for command in found]

    @property
    def state(self) -> str:
        return self._halts.now.state

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as lines:
                for line in lines:
                    command = parse(line)
                    assert not isinstance(command, Error), command
                    self.asked.append(command)
                    if type(command) is self.silent_about:
                        continue
                    reply = msgspec.structs.replace(self._answer(command), id=command.id)
                    connection.sendall(msgspec.json.encode(reply) + b"\n")

    @property
    def _now(self) -> Now:
        return Now("boot", self.now_s, START + timedelta(seconds=self.now_s))

    def commit(self, fact: Fact | None) -> list[int]:
        """The halts that it was about."""
        if fact is not None:
            self._lsn += 1
            at = self._now.at
            self._halts.apply(
                Recorded(lsn=self._lsn, at=at, monotonic_s=self.now_s, fact=cast("AnyFact", fact))
            )
        one = getattr(fact, "halt_id", None)
        return list(getattr(fact, "halt_ids", ())) or ([] if one is None else [one])

    def _answer(self, command: Command) -> Reply:
        halted, now = self._halts.now, self._now
        try:
            match command:
                case Trigger(reason=reason, scope="all"):
                    fact: Fact | None = kill_switch.trigger(
                        halted, by=ANA, cause="manual", source="operator", reason=reason
                    )
                case Recover(approved_by=name):
                    fact = kill_switch.recover(halted, by=ANA, approved_by=name, rules=RULES)
                case CompleteRecovery():
                    fact = kill_switch.complete(
                        halted, by=ANA, rules=RULES, now=now, unreconciled=()
                    )
                case Freeze() | Trigger():
                    fact = kill_switch.place(halted, _halt(command), by=ANA, now=now)
                case Unfreeze(scope=scope, reason=reason, approved_by=approver):
                    fact = kill_switch.lift(
                        halted,
                        scope=scope,
                        by=ANA,
                        reason=reason,
                        approved_by=approver,
                        rules=RULES,
                    )
                case _:
                    fact = None
        except kill_switch.NotAllowed as no:
            return Refused(code=no.code, message=str(no), problems=no.problems)
        changed = self.commit(fact)
        switch = {**shown(halted, now, RULES.cooldown_s), "cooldown_s": RULES.cooldown_s}
        halts = halts_shown(halted, now)
        is_of_all = isinstance(command, Recover | CompleteRecovery) or (
            isinstance(command, Trigger) and command.scope == "all"
        )
        if is_of_all:
            return SwitchIs(changed=fact is not None, kill_switch=switch, halts=halts)
        return HaltsAre(changed=changed, kill_switch=switch, halts=halts)


def _halt(command: Freeze | Trigger) -> Halt:
    for_s = command.for_s if isinstance(command, Freeze) else None
    reduces = isinstance(command, Freeze) and command.reduce_only
    return Halt(
        scope=command.scope,
        mode="reduce_only" if reduces else "halt",
        cause="manual",
        source="operator",
        reason=command.reason,
        until=UntilOperator() if for_s is None else UntilElapsed(seconds=for_s),
    )


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="r") as directory:
        yield Path(directory) / "riskd.sock"


@pytest.fixture
def desk(place: Path) -> Iterator[Desk]:
    found = Desk(place)
    yield found
    found.close()


def run(place: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--socket", str(place), *words], prog_name="riskctl")


# --- there and back -------------------------------------------------------------------------------


def test_a_kill_and_the_way_back_each_say_where_the_switch_stands(place: Path, desk: Desk) -> None:
    def said(*words: str) -> str:
        result = run(place, *words)
        assert (result.exit_code, result.stderr) == (0, ""), result.output
        return result.stdout

    since = "by ana, since 2026-11-21T03:00:00Z"
    assert said("trigger", "--reason", "a runaway") == (
        f"nothing can trade: the kill switch is KILLED (a runaway), {since}\n"
    )
    assert said("trigger", "--reason", "a runaway").startswith("it was so already: ")
    back = ("recover", "--approved-by", "bo")
    recovering = (
        f"RECOVERING (a runaway), {since}, approved by bo, the cooldown has 5 min 0 s to go"
    )
    assert said(*back) == f"nothing trades yet: the kill switch is {recovering}\n"
    assert said(*back) == f"nothing was changed: the kill switch is {recovering}\n"
    desk.now_s = 300.0
    assert "the cooldown is over: riskctl complete-recovery" in said("halts")
    assert said("complete-recovery") == "trading is on again: the kill switch is ACTIVE\n"
    assert said("complete-recovery") == "nothing was changed: the kill switch is ACTIVE\n"


def test_what_may_not_be_now_is_1_with_the_reason(place: Path, desk: Desk) -> None:
    run(place, "trigger", "--reason", "loss")
    early = run(place, "complete-recovery")
    assert (early.exit_code, early.stdout) == (1, "")
    assert early.stderr.startswith("riskctl: the kill switch is KILLED; begin with recover")
    run(place, "recover", "--approved-by", "bo")
    soon = run(place, "complete-recovery", "--json")
    assert soon.exit_code == 1
    assert json.loads(soon.stdout)["error"]["code"] == "cooldown"
    assert desk.state == "RECOVERING"


def test_halts_come_and_go_by_scope(place: Path, desk: Desk) -> None:
    main_ = run(place, "freeze", "account:main", "--reason", "odd fills", "--for", "1h30m")
    assert main_.stdout == "in force: halt of account:main, for another 1 h 30 min\n"
    again = run(place, "freeze", "account:main", "--reason", "odd fills", "--for", "1h")
    assert again.stdout.startswith("it was so already: a halt of account:main")
    two = run(place, "trigger", "--scope", "symbol:BTC/USDT", "--reason", "gap")
    assert two.stdout == "in force: halt of symbol:BTC/USDT, until it is lifted\n"
    run(place, "freeze", "account:main", "--reason", "less", "--reduce-only")
    *_, first, second, third = run(place, "halts").stdout.splitlines()
    assert re.split("  +", first) == [
        *("account:main", "halt", "manual", "odd fills", "1 h 30 min to go", "ana")
    ]
    assert re.split("  +", second)[:4] == ["symbol:BTC/USDT", "halt", "manual", "gap"]
    assert re.split("  +", third)[:4] == ["account:main", "reduce_only", "manual", "less"]
    gone = run(place, "unfreeze", "account:main", "--reason", "understood")
    assert gone.stdout.splitlines()[0] == "lifted: 2 halts of account:main"
    assert "symbol:BTC/USDT" in gone.stdout
    none = run(place, "unfreeze", "account:main", "--reason", "understood")
    assert none.exit_code == 0
    assert none.stdout.startswith("nothing was changed: no halt of exactly account:main")


def test_commands_carry_all_that_was_given(place: Path, desk: Desk) -> None:
    run(place, "freeze", "all", "--reason", "r", "--for", "15m", "--reduce-only", "--yes")
    run(place, "freeze", "worker:mm-1", "--reason", "r", "--until-session")
    run(place, "unfreeze", "all", "--reason", "s", "--approved-by", "bo")
    assert desk.changes == [
        Freeze(scope="all", reason="r", for_s=900.0, reduce_only=True),
        Freeze(scope="worker:mm-1", reason="r", session=True),
        Unfreeze(scope="all", reason="s", approved_by="bo"),
    ]


def test_where_no_halt_fits_any_more_the_kill_that_came_instead_is_told(
    place: Path, desk: Desk
) -> None:
    for number in range(kill_switch.HALTS_MAX):
        halt = _halt(Freeze(scope=f"symbol:S{number}", reason="r"))
        desk.commit(kill_switch.place(desk._halts.now, halt, by=ANA, now=desk._now))
    said = run(place, "freeze", "symbol:one-more", "--reason", "r")
    assert said.exit_code == 0
    first, second = said.stdout.splitlines()
    assert first == "no halt was placed"
    assert second.startswith("nothing can trade: the kill switch is KILLED")


KEYS = {"changed", "kill_switch", "halts"}


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        (["trigger", "--reason", "r"], True),
        (["trigger", "--reason", "r", "--scope", "account:a"], [1]),
        (["recover", "--approved-by", "bo"], False),
        (["complete-recovery"], False),
        (["freeze", "account:a", "--reason", "r"], [1]),
        (["unfreeze", "account:a", "--reason", "r"], []),
    ],
)
def test_a_program_gets_one_document(
    place: Path, desk: Desk, words: list[str], changed: object
) -> None:
    result = run(place, "--json", *words)
    assert (result.exit_code, result.stderr) == (0, "")
    document = json.loads(result.stdout)
    assert set(document) == KEYS
    assert document["changed"] == changed
    assert json.loads(run(place, "halts", "--json").stdout) == {
        key: document[key] for key in KEYS - {"changed"}
    }


# --- how it can fail ------------------------------------------------------------------------------

CHANGES = [
    ["trigger", "--reason", "r"],
    ["recover", "--approved-by", "bo"],
    ["complete-recovery"],
    ["freeze", "all", "--reason", "r"],
    ["unfreeze", "all", "--reason", "r"],
]


@pytest.mark.parametrize("words", [*CHANGES, ["halts"]], ids=" ".join)
def test_without_riskd_it_is_3(place: Path, words: list[str]) -> None:
    assert run(place, *words).exit_code == 3


@pytest.mark.parametrize("words", CHANGES, ids=" ".join)
def test_a_change_that_was_sent_and_not_answered_is_4(
    place: Path, desk: Desk, words: list[str]
) -> None:
    kinds: list[type[Command]] = [Trigger, Recover, CompleteRecovery, Freeze, Unfreeze]
    tags = {str(kind.__struct_config__.tag).replace("_", "-"): kind for kind in kinds}
    desk.silent_about = tags[words[0]]
    said = run(place, "--timeout", "0.05", *words)
    assert said.exit_code == 4
    assert "riskctl status" in said.stderr


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (["trigger"], "--reason"),
        (["trigger", "--reason", " "], "write 1 to 512 characters"),
        (["trigger", "--reason", "x" * 513], "write 1 to 512 characters"),
        (["trigger", "--reason", "r", "--scope", "main"], "as in account:main"),
        (["recover"], "--approved-by"),
        (["recover", "--approved-by", ""], "write 1 to 128 characters"),
        (["freeze", "--reason", "r"], "SCOPE"),
        (["freeze", "account:", "--reason", "r"], "as in account:main"),
        (["freeze", "planet:earth", "--reason", "r"], "as in account:main"),
        (["freeze", "all", "--reason", "r", "--for", "15"], "write 90s, 15m, 2h, 1d or 1h30m"),
        (["freeze", "all", "--reason", "r", "--for", "30m1h"], "write 90s, 15m"),
        (["freeze", "all", "--reason", "r", "--for", "0s"], "not within 1s and 365d"),
        (["freeze", "all", "--reason", "r", "--for", "366d"], "not within 1s and 365d"),
        (["freeze", "all", "--reason", "r", "--for", "999999999w"], "not within 1s and 365d"),
        (["freeze", "all", "--reason", "r", "--for", "1h", "--until-session"], "exclude"),
        (["unfreeze", "all"], "--reason"),
    ],
)
def test_a_wrong_command_line_is_2_says_the_remedy_and_sends_nothing(
    place: Path, desk: Desk, words: list[str], remedy: str
) -> None:
    said = run(place, *words)
    assert (said.exit_code, desk.asked) == (2, [])
    assert remedy in " ".join(said.stderr.split())


@given(st.integers(1, 364), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_a_span_is_the_sum_of_its_parts(days: int, hours: int, minutes: int, seconds: int) -> None:
    whole = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    parts = {"d": days, "h": hours, "m": minutes, "s": seconds}
    short = "".join(f"{count}{unit}" for unit, count in parts.items() if count)
    unused: Any = None
    assert options.span(unused, unused, short) == whole.total_seconds()


# --- a person on a terminal -----------------------------------------------------------------------


@attrs.frozen
class Said:
    status: int
    text: str


def on_terminal(
    place: Path, *words: str, answer: Callable[["subprocess.Popen[bytes]"], bytes] | bytes = b"\x04"
) -> Said:
    """What a person sees who answers the question, if there is one, so."""
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "riskd.tools.riskctl", "--socket", str(place), *words]
    with subprocess.Popen(
        command, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
    ) as process:
        os.close(terminal)
        said = b""
        is_answered = False
        try:
            while chunk := os.read(controller, 65_536):
                said += chunk
                if b"[y/N]: " in said and not is_answered:
                    is_answered = True
                    os.write(controller, answer if isinstance(answer, bytes) else answer(process))
        except OSError:
            pass  # Linux says so when the last one has closed the other side.
        os.close(controller)
    return Said(process.returncode, said.decode())


def test_on_a_terminal_each_change_says_what_it_will_do_and_asks(place: Path, desk: Desk) -> None:
    for words, about in (
        (CHANGES[3], "Everything stops, until it is lifted."),
        (CHANGES[0], "The kill switch is ACTIVE; 1 halt in force."),
        (CHANGES[1], "This begins the way back: the cooldown of 5 min 0 s."),
        (CHANGES[0], "It breaks off the recovery: The kill switch is RECOVERING (r), by ana"),
        (CHANGES[4], "This lifts 1 halt of exactly all; no others stay in force."),
        (CHANGES[2], "This lets trade what no halt covers."),
    ):
        before = len(desk.changes)
        no = on_terminal(place, *words, answer=b"n\n")
        assert no.status == 1
        assert about in no.text
        assert "nothing was changed" in no.text
        assert len(desk.changes) == before, "a no is sent nowhere"
        yes = on_terminal(place, *words, answer=b"y\n")
        assert about in yes.text
        assert len(desk.changes) == before + 1


def test_a_question_is_not_answered_by_the_return_key_alone(place: Path, desk: Desk) -> None:
    assert on_terminal(place, *CHANGES[0], answer=b"\n").status == 1
    assert desk.changes == []


@pytest.mark.parametrize("words", CHANGES, ids=" ".join)
def test_ctrl_c_at_the_question_is_130_and_nothing_is_sent(
    place: Path, desk: Desk, words: list[str]
) -> None:
    def interrupt(process: "subprocess.Popen[bytes]") -> bytes:
        """As a person does, who presses it again when nothing happens: a signal that comes just
        before Python begins to read is heard only after the next one."""
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(2.0)
        return b""

    said = on_terminal(place, *words, answer=interrupt)
    assert said.status == 130, said
    assert "Traceback" not in said.text
    assert desk.changes == []


@pytest.mark.parametrize("words", CHANGES, ids=" ".join)
@pytest.mark.parametrize("option", ["--yes", "--json"])
def test_with_yes_or_for_a_program_nothing_is_asked_and_nothing_looked_up(
    place: Path, desk: Desk, words: list[str], option: str
) -> None:
    said = on_terminal(place, *words, option)
    assert "[y/N]" not in said.text
    assert len(desk.asked) == len(desk.changes) == 1


@pytest.mark.parametrize("words", CHANGES, ids=" ".join)
def test_without_a_terminal_nothing_is_asked_and_nothing_looked_up(
    place: Path, desk: Desk, words: list[str]
) -> None:
    run(place, *words)
    assert len(desk.asked) == len(desk.changes) == 1


def test_a_riskd_that_does_not_tell_may_be_triggered_all_the_same(place: Path, desk: Desk) -> None:
    desk.silent_about = ShowHalts
    said = on_terminal(place, "--timeout", "0.5", *CHANGES[0], answer=b"y\n")
    assert said.status == 0
    assert "riskd has not said what is halted now" in said.text
    assert desk.state == "KILLED"


def test_where_nobody_listens_nothing_is_asked(place: Path) -> None:
    said = on_terminal(place, *CHANGES[0])
    assert said.status == 3
    assert "[y/N]" not in said.text


def test_before_a_question_nothing_that_a_terminal_obeys_is_printed(
    place: Path, desk: Desk
) -> None:
    run(place, "freeze", "account:a", "--reason", "\x1b[2Jgone")
    said = on_terminal(place, "unfreeze", "account:a", "--reason", "r", answer=b"n\n")
    assert "\x1b" not in said.text
    assert "?[2Jgone" in said.text


# --- Tab ------------------------------------------------------------------------------------------


def complete(place: Path, typed: str) -> list[str]:
    line = f"riskctl --socket {place} {typed}"
    environment = {
        "_RISKCTL_COMPLETE": "zsh_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
    }
    said = CliRunner().invoke(main, [], env=environment, prog_name="riskctl")
    return said.stdout.splitlines()[1::3]


def test_scopes_in_force_are_completed(place: Path, desk: Desk) -> None:
    run(place, "freeze", "account:a", "--reason", "r")
    assert complete(place, "unfreeze ") == ["all", "account:a"]
    assert complete(place, "freeze acc") == ["account:a"]
    assert complete(place, "trigger --scope al") == ["all"]


def test_without_riskd_all_is_completed_and_nothing_is_said(place: Path) -> None:
    assert complete(place, "unfreeze ") == ["all"]
