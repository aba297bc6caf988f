"""`riskctl journal tail` beside a riskd that comes and goes."""

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from riskd.tools.riskctl import main

PATIENCE_S = 30.0


class Riskd:
    """A whole one, in its own process, that can be killed and started again."""

    def __init__(self, place: Path) -> None:
        self.socket = place / "riskd.sock"
        self._state = place / "state"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = ["--socket", str(self.socket), "--state-dir", str(self._state)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "riskd", "run", *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if b"ready" in line:
                return
        raise AssertionError("riskd ended before it was ready")

    def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def ctl(self, *words: object) -> Result:
        return CliRunner().invoke(main, ["--socket", str(self.socket), *map(str, words)])

    def crash_an_actor(self) -> None:
        """Makes a few facts, soon: the last says that it was restarted."""
        assert self.ctl("actors", "kill", "heartbeat").exit_code == 0

    def dump(self) -> list[dict[str, Any]]:
        said = self.ctl("journal", "dump", "--dir", self._state)
        return [json.loads(line) for line in said.stdout.splitlines()]

    @contextlib.contextmanager
    def tail(self, *words: str) -> Iterator["subprocess.Popen[str]"]:
        command = [sys.executable, "-m", "riskd.tools.riskctl", "--socket", str(self.socket)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen([*command, "journal", "tail", *words], **pipes) as process:
            # A fact that never comes must fail the test, and not keep it for ever.
            end = threading.Timer(PATIENCE_S, process.kill)
            end.start()
            try:
                yield process
            finally:
                end.cancel()
                process.kill()


@pytest.fixture
def riskd() -> Iterator[Riskd]:
    with tempfile.TemporaryDirectory(prefix="r") as place:
        riskd = Riskd(Path(place))
        riskd.start()
        try:
            yield riskd
        finally:
            riskd.kill()


def is_restarted(fact: dict[str, Any]) -> bool:
    return bool(fact["fact"]["type"] == "child_restarted")


def read_until(tail: "subprocess.Popen[str]", enough: Callable[[dict[str, Any]], bool]) -> Any:
    """The facts that it prints, up to the first of which that is true."""
    assert tail.stdout is not None
    facts = []
    for line in tail.stdout:
        facts.append(json.loads(line))
        if enough(facts[-1]):
            return facts
    assert tail.stderr is not None
    raise AssertionError(tail.stderr.read())


def test_restarts_of_riskd_make_no_gap_and_no_repeat(riskd: Riskd) -> None:
    with riskd.tail("--from", "1") as tail:
        facts = []
        for _ in range(2):
            riskd.crash_an_actor()
            facts += read_until(tail, is_restarted)
            riskd.kill()
            riskd.start()
        facts += read_until(tail, lambda fact: fact["lsn"] == riskd.dump()[-1]["lsn"])
        tail.send_signal(signal.SIGINT)
        _, said = tail.communicate()
        assert tail.returncode == 130
    assert [fact["lsn"] for fact in facts] == list(range(1, len(facts) + 1))
    assert facts == riskd.dump()
    assert "waiting for it" in said
    assert "riskd is back" in said


def test_without_following_it_ends_at_the_newest(riskd: Riskd) -> None:
    with riskd.tail("--from", "1") as tail:
        riskd.crash_an_actor()
        newest = read_until(tail, is_restarted)
    assert newest == riskd.dump()
    said = riskd.ctl("journal", "tail", "--no-follow", "-n", 2)
    assert said.exit_code == 0, said.output
    assert [json.loads(line) for line in said.stdout.splitlines()] == newest[-2:]
    assert riskd.ctl("journal", "tail", "--no-follow", "-n", 0).stdout == ""
    some = riskd.ctl("journal", "tail", "--no-follow", "--from", 1, "--fact", "child_failed")
    chosen = [fact for fact in newest if fact["fact"]["type"] == "child_failed"]
    assert [json.loads(line) for line in some.stdout.splitlines()] == chosen
    of_main = riskd.ctl("journal", "tail", "--no-follow", "--from", 1, "--account", "main")
    chosen = [fact for fact in newest if fact["fact"].get("account") == "main"]
    assert [json.loads(line) for line in of_main.stdout.splitlines()] == chosen
    none = riskd.ctl("journal", "tail", "--no-follow", "--from", 1, "--account", "nobody")
    assert (none.exit_code, none.stdout) == (0, "")


def test_it_follows_a_riskd_that_is_there(riskd: Riskd) -> None:
    ahead = riskd.ctl("journal", "tail", "--from", 1_000_000)
    assert ahead.exit_code == 1
    assert ahead.stdout == ""
    riskd.kill()
    gone = riskd.ctl("journal", "tail", "--json")
    assert gone.exit_code == 3
    assert gone.stdout == ""
    assert "riskd run" in gone.stderr
