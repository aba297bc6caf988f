"""riskctl against a real control socket: what it prints, and the status that it leaves."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, cast

import attrs
import pytest
import structlog
import trio
from click.testing import CliRunner, Result
from riskd.actors.control import CommandRefused, Control, Handler
from riskd.actors.core.access import Access, Caller, Tokens
from riskd.actors.messages import (
    ActorKilled,
    Actors,
    ActorsAre,
    Command,
    ConfigIs,
    KillActor,
    Reload,
    Reloaded,
    ShowConfig,
    Status,
    StatusIs,
    Version,
    VersionIs,
)
from riskd.tools.riskctl import main

LONG = "ConnectionResetError: " + "the exchange said no and " * 20 + "hung up"


def actor(name: str, supervisor: str | None = "riskd", **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "worker",
        "supervisor": supervisor,
        "state": "running",
        "incarnation": 1,
        "restarts": 0,
        "budget": {"used": 1, "intensity": 5, "period_s": 60.0},
        "mailbox": None,
        "last_failure": None,
        "silent": False,
        "held": False,
        **changes,
    }


MAILBOX = {"depth": 3, "capacity": 100, "policy": "refuse", "refused": 0, "redelivered": 0}
ACTORS = [
    actor("riskd", None, kind="supervisor"),
    actor("watchdogs", kind="supervisor"),
    actor("control", mailbox={**MAILBOX, "quarantined": 2}, last_failure=LONG, restarts=7),
    actor("clock", "riskd/watchdogs"),
    actor("heartbeat", "riskd/watchdogs"),
]
STATUS = {
    "version": "0.1.0",
    "protocol": 1,
    "pid": 4711,
    "started_at": "2026-01-02T03:04:05Z",
    "uptime_s": 7384.5,
    "state": "running",
    "kill_switch": {"state": "ACTIVE", "reason": None},
    "halts": [],
    "workers": [],
    "accounts": [],
    "journal": {"lsn": 12},
    "lease": None,
    "actors": ACTORS,
    "control": {"clients": 1, "lines": 9},
    "config": {"source": "embedded paper setup", "digest": "0123456789abcdef"},
    "not_built": ["gate", "journal"],
}
CONFIG = {"riskd": {"stop_timeout_s": 30.0, "socket": None}, "security": {"operators": ["desk"]}}


# --- a riskd with canned answers ------------------------------------------------------------------


async def tell_status(caller: Caller, command: Status) -> StatusIs:
    return StatusIs(status=dict(STATUS))


async def tell_actors(caller: Caller, command: Actors) -> ActorsAre:
    return ActorsAre(actors=list(ACTORS))


async def tell_version(caller: Caller, command: Version) -> VersionIs:
    return VersionIs(version="9.9", protocol=1, python="3.13.0")


async def tell_config(caller: Caller, command: ShowConfig) -> ConfigIs:
    return ConfigIs(source="riskd.toml", config=dict(CONFIG))


async def kill(caller: Caller, command: KillActor) -> ActorKilled:
    if command.name == "bug":
        raise RuntimeError("a bug")
    if command.name != "clock":
        raise CommandRefused("no_such_actor", f"there is no actor {command.name!r}")
    return ActorKilled(name="clock", incarnation=4)


async def reload(caller: Caller, command: Reload) -> Reloaded:
    keys, later = ["riskd.log_level"], ["riskd.x"]
    return Reloaded(source="riskd.toml", changed=keys, needs_restart=later, limits=[], waiting=[])


async def refuse_reload(caller: Caller, command: Reload) -> Reloaded:
    raise CommandRefused("invalid_config", "the file is not valid", ["riskd.toml:3: a", "b"])


HANDLERS: dict[type[Command], Handler] = {
    Status: tell_status,
    Actors: tell_actors,
    Version: tell_version,
    ShowConfig: tell_config,
    KillActor: kill,
    Reload: reload,
}


@attrs.frozen
class Limits:
    max_clients: int = 10
    max_line_bytes: int = 65_536
    send_timeout_s: float = 5.0


class Context:
    def cleanup(self) -> trio.CancelScope:
        return trio.CancelScope(shield=True, deadline=trio.current_time() + 1)


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="r") as directory:
        yield Path(directory) / "riskd.sock"


class Riskd:
    """A control socket in a thread of its own."""

    def __init__(self, place: Path, handlers: Mapping[type[Command], Handler]) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(place))
        self._listener.listen()
        log = structlog.wrap_logger(structlog.ReturnLogger(), processors=[])
        self._control = Control(
            [self._listener],
            Limits(),
            Access(os.getuid()),
            handlers,
            log,
            feed=cast("Any", None),  # Nobody subscribes here.
            tokens=Tokens(),
            version="9.9",
        )
        self._scope = trio.CancelScope()
        self._started = threading.Event()
        self._thread = threading.Thread(target=trio.run, args=[self._serve])

    async def _serve(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._started.set()
        with self._scope:
            await self._control.serve(Context())

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._token.run_sync_soon(self._scope.cancel)
        self._thread.join()
        self._listener.close()


@pytest.fixture
def riskd(place: Path) -> Iterator[Path]:
    with Riskd(place, HANDLERS):
        yield place


@pytest.fixture
def scripted(place: Path) -> Iterator[Callable[[Callable[[socket.socket], None]], Path]]:
    """Another end that does with its one connection what the script says."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        listener.listen()
        threads: list[threading.Thread] = []

        def start(script: Callable[[socket.socket], None]) -> Path:
            def take() -> None:
                connection, _ = listener.accept()
                with connection:
                    script(connection)

            threads.append(threading.Thread(target=take))
            threads[-1].start()
            return place

        yield start
        for thread in threads:
            thread.join()


def run(place: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--socket", str(place), *words], prog_name="riskctl")


def program(*words: str, **options: Any) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "riskd.tools.riskctl", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **{**pipes, **options})


# --- what it prints -------------------------------------------------------------------------------


def test_status_says_first_whether_anything_can_trade(riskd: Path) -> None:
    said = run(riskd, "status")
    assert said.exit_code == 0
    lines = said.stdout.splitlines()
    assert lines[0] == (
        "NOT GUARDED: this riskd judges what it is asked and told, and lacks gate, journal"
    )
    assert "riskd        0.1.0, process 4711, up 2 h 3 min since 2026-01-02T03:04:05Z" in lines
    assert "kill switch  ACTIVE" in lines
    assert "journal      lsn 12" in lines
    assert "config       embedded paper setup (sha256 0123456789ab)" in lines
    assert "control      clients 1, lines 9" in lines


def test_status_as_json_is_riskds_own_document(riskd: Path) -> None:
    assert json.loads(run(riskd, "status", "--json").stdout) == STATUS


def test_actors_are_drawn_as_a_tree(riskd: Path) -> None:
    heads, *lines = run(riskd, "actors").stdout.splitlines()
    assert [head.strip() for head in heads.split("  ") if head] == [
        "name",
        "state",
        "incarnation",
        "restarts",
        "budget used",
        "mailbox",
        "last failure",
    ]
    assert [line.partition("  running")[0].rstrip() for line in lines] == [
        "riskd",
        "  watchdogs",
        "    clock",
        "    heartbeat",
        "  control",
    ]
    assert "1 of 5 in 60.0 s" in lines[-1]
    assert "3 of 100, 2 quarantined" in lines[-1]


def test_actors_as_json_are_a_list(riskd: Path) -> None:
    assert json.loads(run(riskd, "--json", "actors").stdout) == ACTORS


def test_nothing_is_cut_and_no_escape_is_printed_when_piped(riskd: Path) -> None:
    said = run(riskd, "actors").stdout
    assert LONG in said
    assert "\x1b" not in said


def test_a_kill_names_the_incarnation_that_died(riskd: Path) -> None:
    assert run(riskd, "actors", "kill", "clock").stdout == "killed clock, incarnation 4\n"
    document = json.loads(run(riskd, "actors", "kill", "clock", "--json").stdout)
    assert document == {"name": "clock", "incarnation": 4}


def test_version_names_both_ends(riskd: Path) -> None:
    said = json.loads(run(riskd, "version", "--json").stdout)
    assert said["riskctl"]["protocol"] == 1
    assert said["riskd"] == {"version": "9.9", "protocol": 1, "python": "3.13.0"}
    assert "riskd   9.9 (protocol 1, Python 3.13.0)" in run(riskd, "version").stdout


def test_version_needs_no_riskd(place: Path) -> None:
    said = run(place, "version", "--json")
    document = json.loads(said.stdout)
    assert said.exit_code == 0
    assert document["riskd"] is None
    assert document["error"]["code"] == "not_reachable"
    assert run(place, "version").stdout.startswith("riskctl ")
    assert run(place, "--version").stdout == f"riskctl {document['riskctl']['version']}\n"


def test_the_running_configuration_is_shown_key_by_key(riskd: Path) -> None:
    assert run(riskd, "config", "show").stdout.splitlines() == [
        "# riskd.toml",
        "riskd.stop_timeout_s = 30.0",
        "riskd.socket = (unset)",
        'security.operators = ["desk"]',
    ]
    document = json.loads(run(riskd, "config", "show", "--json").stdout)
    assert document == {"source": "riskd.toml", "config": CONFIG}


def test_a_reload_says_what_changed_and_what_waits(riskd: Path) -> None:
    said = run(riskd, "config", "reload").stdout.splitlines()
    assert said[:2] == ["read riskd.toml", "changed: riskd.log_level"]
    assert said[2:] == ["true after a restart: riskd.x", "limits: no change"]


def test_files_are_checked_and_shown_without_riskd(place: Path, tmp_path: Path) -> None:
    good = tmp_path / "good.toml"
    good.write_text("[riskd]\nstop_timeout_s = 7.0\n")
    assert run(place, "config", "check", str(good)).stdout == f"{good}: valid\n"
    shown = run(place, "config", "show", "--file", str(good))
    assert "riskd.stop_timeout_s = 7.0" in shown.stdout.splitlines()
    assert json.loads(run(place, "config", "check", str(good), "--json").stdout)["valid"] is True


def test_an_invalid_file_is_refused_with_all_its_problems(place: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text("[riskd]\nstop_timeout_s = -1\nnonsense = 1\n")
    for words in (["check", str(bad)], ["show", "--file", str(bad)]):
        said = run(place, "config", *words)
        assert said.exit_code == 1
        assert said.stdout == ""
        assert f"{bad}:2: riskd.stop_timeout_s" in said.stderr
        assert f"{bad}:3: riskd.nonsense" in said.stderr
    error = json.loads(run(place, "--json", "config", "check", str(bad)).stdout)["error"]
    assert error["code"] == "invalid_config"
    assert len(error["problems"]) == 2


def test_the_schema_is_json_with_or_without_the_option(place: Path) -> None:
    plain, asked = run(place, "config", "schema"), run(place, "config", "schema", "--json")
    assert json.loads(plain.stdout) == json.loads(asked.stdout)


EVERY = [
    ["status"],
    ["actors"],
    ["actors", "kill", "clock"],
    ["version"],
    ["config", "show"],
    ["config", "reload"],
    ["config", "schema"],
    ["completion", "zsh"],
]


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_options_are_taken_before_and_after_a_command(riskd: Path, words: list[str]) -> None:
    before = CliRunner().invoke(main, ["--json", "--socket", str(riskd), *words])
    after = CliRunner().invoke(main, [*words, "--json", "--socket", str(riskd)])
    assert (before.exit_code, after.exit_code) == (0, 0)
    assert json.loads(before.stdout) == json.loads(after.stdout)
    assert before.stderr == after.stderr == ""


def test_the_socket_is_found_in_the_environment(
    riskd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RISKD_SOCKET", str(riskd))
    assert CliRunner().invoke(main, ["version"]).stdout.count("9.9") == 1


# --- the status that it leaves --------------------------------------------------------------------


def test_a_refusal_is_1_with_the_reason_on_stderr(riskd: Path) -> None:
    said = run(riskd, "actors", "kill", "nobody")
    assert (said.exit_code, said.stdout) == (1, "")
    assert said.stderr == "riskctl: there is no actor 'nobody'\n"
    as_json = run(riskd, "actors", "kill", "nobody", "--json")
    assert (as_json.exit_code, as_json.stderr) == (1, "")
    assert json.loads(as_json.stdout) == {
        "error": {"code": "no_such_actor", "message": "there is no actor 'nobody'"}
    }


def test_a_refused_reload_lists_all_problems(place: Path) -> None:
    with Riskd(place, {Reload: refuse_reload}):
        said = run(place, "config", "reload")
        document = json.loads(run(place, "config", "reload", "--json").stdout)
    assert said.exit_code == 1
    assert said.stderr.splitlines() == ["riskctl: the file is not valid", "riskd.toml:3: a", "b"]
    assert document["error"]["problems"] == ["riskd.toml:3: a", "b"]


def test_what_is_not_permitted_is_1(
    scripted: Callable[[Callable[[socket.socket], None]], Path],
) -> None:
    def script(connection: socket.socket) -> None:
        connection.sendall(b'{"type":"error","code":"not_permitted","message":"who are you"}\n')

    said = run(scripted(script), "status")
    assert (said.exit_code, said.stderr) == (1, "riskctl: who are you\n")


@pytest.mark.parametrize(
    "words", [["bogus"], ["actors", "kill"], ["actors", "kill", ""], ["--timeout", "0", "status"]]
)
def test_a_usage_error_is_2(place: Path, words: list[str]) -> None:
    said = run(place, *words)
    assert (said.exit_code, said.stdout) == (2, "")
    assert "Error" in said.stderr
    as_json = run(place, "--json", *words)
    assert as_json.exit_code == 2
    assert json.loads(as_json.stdout)["error"]["code"] == "usage"


@pytest.mark.parametrize("words", [each for each in EVERY[:6] if each != ["version"]], ids=" ".join)
def test_without_riskd_it_is_3_and_says_which_socket_and_what_to_do(
    place: Path, words: list[str]
) -> None:
    said = run(place, *words)
    assert (said.exit_code, said.stdout) == (3, "")
    for part in (str(place), "riskd run", "--socket", "$RISKD_SOCKET"):
        assert part in said.stderr
    assert said.stderr.count("\n") == 1
    as_json = run(place, *words, "--json")
    error = json.loads(as_json.stdout)["error"]
    found = (as_json.exit_code, error["code"], error["reason"])
    assert found == (3, "not_reachable", "no_such_file")
    assert error["socket"] == str(place)


def test_a_silent_riskd_is_3_for_a_question_and_4_for_a_change(
    scripted: Callable[[Callable[[socket.socket], None]], Path],
) -> None:
    def script(connection: socket.socket) -> None:
        while connection.recv(65_536):
            pass

    for words, status, code in (
        (["status"], 3, "not_reachable"),
        (["actors", "kill", "clock"], 4, "not_confirmed"),
        (["config", "reload"], 4, "not_confirmed"),
    ):
        said = run(scripted(script), "--timeout", "0.05", "--json", *words)
        assert (said.exit_code, json.loads(said.stdout)["error"]["code"]) == (status, code)
        assert "riskd run" not in said.stdout, "it is there already"


@pytest.mark.parametrize("answer", [b"", b'{"type":"error","code":"not_confirmed","message":""}\n'])
def test_a_kill_that_was_sent_and_not_confirmed_is_4(
    scripted: Callable[[Callable[[socket.socket], None]], Path], answer: bytes
) -> None:
    said = run(scripted(lambda connection: connection.sendall(answer)), "actors", "kill", "clock")
    assert said.exit_code == 4
    assert "may have been carried out" in said.stderr


def test_a_kill_that_riskd_failed_at_is_4(riskd: Path) -> None:
    assert run(riskd, "actors", "kill", "bug").exit_code == 4


@pytest.mark.parametrize(
    "answer",
    [b"SSH-2.0-OpenSSH\r\n", b'{"type":"version","id":1,"version":"","protocol":1,"python":""}\n'],
)
def test_an_answer_of_something_else_is_3_for_a_question_and_4_for_a_change(
    answer: bytes, scripted: Callable[[Callable[[socket.socket], None]], Path]
) -> None:
    def script(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(answer)

    assert run(scripted(script), "status").exit_code == 3
    assert run(scripted(script), "actors", "kill", "clock").exit_code == 4


def test_interrupted_it_is_130_without_a_traceback(
    scripted: Callable[[Callable[[socket.socket], None]], Path],
) -> None:
    asked = threading.Event()

    def script(connection: socket.socket) -> None:
        connection.recv(65_536)
        asked.set()
        connection.recv(1)

    with program("status", "--socket", str(scripted(script))) as process:
        asked.wait()
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate()
    assert (process.returncode, out, errors.strip()) == (130, "", "")


def test_a_reader_that_has_left_is_no_error(riskd: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with program("status", "--json", "--socket", str(riskd), stdout=writing) as process:
        os.close(writing)
        _, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")


# --- a terminal, and a shell ----------------------------------------------------------------------


def test_a_terminal_gets_colours_and_all_of_every_cell(riskd: Path) -> None:
    controller, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"}
    environment.pop("NO_COLOR", None)
    words = ("status", "--socket", str(riskd))
    with program(*words, stdout=terminal, env=environment) as process:
        os.close(terminal)
        said = b""
        try:
            while chunk := os.read(controller, 65_536):
                said += chunk
        except OSError:
            pass  # Linux says so when the last one has closed the other side.
        os.close(controller)
        _, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")
    text = said.decode()
    assert "\x1b[" in text
    assert "NOT GUARDED" in text
    assert "hung" in text
    assert "…" not in text


def test_answering_loads_neither_trio_nor_rich(riskd: Path) -> None:
    code = (
        "import sys; from riskd.tools.riskctl import main\n"
        "try: main(['status', '--socket', sys.argv[1]])\n"
        "finally: print({'trio', 'rich'} & set(sys.modules), file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, str(riskd)]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    assert said.stderr == "set()\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_calls_riskctl_back(place: Path, shell: str) -> None:
    said = run(place, "completion", shell)
    assert said.exit_code == 0
    assert "_RISKCTL_COMPLETE" in said.stdout


def complete(place: Path, typed: str) -> list[str]:
    line = f"riskctl --socket {place} {typed}"
    environment = {
        "_RISKCTL_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
    }
    said = CliRunner().invoke(main, [], env=environment, prog_name="riskctl")
    return [each.partition(",")[2] for each in said.stdout.splitlines() if each]


def test_names_of_actors_are_completed_by_asking_riskd(riskd: Path) -> None:
    assert complete(riskd, "actors kill ") == ["watchdogs", "control", "clock", "heartbeat"]
    assert complete(riskd, "actors kill c") == ["control", "clock"]


def test_without_riskd_no_names_and_no_noise_are_completed(place: Path) -> None:
    assert complete(place, "actors kill c") == []


# --- a client in another hand ---------------------------------------------------------------------


def test_the_client_on_the_protocols_page_works_as_it_stands(riskd: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
    code = page.partition("```python\n")[2].partition("```")[0]
    environment = {**os.environ, "RISKD_SOCKET": str(riskd)}
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert said.stdout == "version\nstatus\n"


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_an_answer_that_can_not_be_printed_is_not_taken_for_a_refusal(
    riskd: Path, options: tuple[str, ...]
) -> None:
    with Path("/dev/full").open("w") as full:
        words = ("actors", "kill", "clock", "--socket", str(riskd), *options)
        with program(*words, stdout=full) as process:
            _, errors = process.communicate()
    assert process.returncode == 4
    assert errors.splitlines() == [
        "riskctl: the answer could not be printed: No space left on device"
    ]
