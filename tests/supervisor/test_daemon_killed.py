"""A real riskd is killed at every step of a trigger, a recovery and its completion, and at random
moments of them. The next one is where the facts say, and that is never looser than what was told.

RISKD_KILLS=1000 asks for that many kills at random in place of the few that the suite has time for.
"""

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from riskd.actors.messages import (
    Command,
    CompleteRecovery,
    Recover,
    Refused,
    SwitchIs,
    Trigger,
)
from riskd.adapters.client import NotReachable
from riskd.adapters.disk import SystemDisk
from riskd.supervisor.journal.reader import read_segment

Start = Callable[..., "RunningDaemon"]  # noqa: F821 - the fixture's class lives in conftest.py

KILLS = int(os.environ.get("RISKD_KILLS", "5"))
COOLDOWN_S = 1.5
STEPS_MAX = 12
ALMOST_S = 0.05
STATES = {
    "kill_switch_triggered": "KILLED",
    "recovery_started": "RECOVERING",
    "recovery_completed": "ACTIVE",
}

MORTAL = """
import os, signal
from pathlib import Path
from riskd.supervisor.cli import main

armed = Path(ARMED)

def mortal(name):
    act = getattr(os, name)
    def acted(descriptor, *arguments):
        # The journal's files alone: what says how many steps are left is written as well.
        with armed.open("r+") as file:
            left = int(file.read())
            file.seek(0)
            file.write(f"{left - 1:9}")
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return act(descriptor, *arguments)
    setattr(os, name, acted)

for name in ("pwrite", "fdatasync"):
    mortal(name)
main()
"""
FOR_LONG = 100_000_000
UNSAFE_START = """
import os
from riskd.supervisor import compose
from riskd.supervisor.cli import main

record_start = compose.Riskd.record_start

def fails(descriptor):
    raise OSError(5, "Input/output error")

def then_fails(self):
    record_start(self)
    os.fdatasync = fails

compose.Riskd.record_start = then_fails
main()
"""


class Chain:
    """One riskd after the other in the same place, and what the last operator was told."""

    def __init__(self, start: Start, place: Path) -> None:
        self._start = start
        self._place = place
        self._armed = place / "armed"
        self._file = place / "riskd.toml"
        self._file.write_text(f"[kill_switch]\ncooldown_s = {COOLDOWN_S}\n")
        self.told = "ACTIVE"
        self.before: list[dict[str, Any]] = []
        self.asked_s = self.answered_s = 0.0
        """When the recovery under way began, at the earliest and at the latest."""
        self.daemon = self._next()

    def _next(self) -> Any:
        self.arm(FOR_LONG)
        program = MORTAL.replace("ARMED)", f"{str(self._armed)!r})")
        return self._start("--config", str(self._file), program=program).wait_ready()

    def arm(self, steps: int) -> None:
        new = self._armed.with_suffix(".new")
        new.write_text(f"{steps:9}")
        new.replace(self._armed)

    def left(self) -> int:
        """Steps until its death."""
        return int(self._armed.read_text())

    def facts(self) -> list[dict[str, Any]]:
        segment = self._place / "state" / "journal" / f"{1:020}.log"
        return [json.loads(fact)["fact"] for _, fact in read_segment(SystemDisk(), segment)]

    def ask(self, command: Command) -> Any:
        """None: riskd died of it, and whether it has done it is for the facts to say."""
        began_s = time.monotonic()
        try:
            reply = self.daemon.ask(command)
        except NotReachable:
            reply = None
        if isinstance(command, Recover) and self.told != "RECOVERING":
            self.asked_s, self.answered_s = began_s, time.monotonic()
        if isinstance(reply, SwitchIs):
            self.told = str(reply.kill_switch["state"])
            self.before = self.facts()
        return reply

    def again(self) -> None:
        """The last one is dead. What does the next one find?"""
        assert self.daemon.end() == -signal.SIGKILL
        found = self.facts()
        assert found[: len(self.before)] == self.before, "what was answered is there"
        self.daemon = self._next()
        status = self.daemon.status()
        switch = status["kill_switch"]
        states = [STATES[fact["type"]] for fact in found if fact["type"] in STATES]
        assert switch["state"] == (states or ["ACTIVE"])[-1], "it is what the facts say"
        assert [halt["cause"] for halt in status["halts"]] == ["crash"]
        assert status["halts"][0]["scope"] == "all"
        if switch["state"] == "RECOVERING":
            left_s = switch["recovery"]["cooldown_left_s"]
            now_s = time.monotonic()
            assert left_s <= max(0.0, COOLDOWN_S - (now_s - self.answered_s)) + 1.0
            assert left_s >= max(0.0, COOLDOWN_S - (now_s - self.asked_s)) - ALMOST_S
        self.told, self.before = switch["state"], self.facts()

    def until_due(self) -> None:
        """By the clock as well: what is shown is rounded."""
        self.daemon.until(
            lambda: (
                self.daemon.status()["kill_switch"]["recovery"]["cooldown_left_s"] == 0
                and time.monotonic() - self.answered_s > COOLDOWN_S + ALMOST_S
            )
        )


@pytest.fixture
def chain(start: Start, place: Path) -> Chain:
    return Chain(start, place)


@pytest.mark.parametrize("what", ["trigger", "recover", "complete"])
def test_a_kill_at_any_step_leaves_what_the_facts_say(chain: Chain, what: str) -> None:
    command = {
        "trigger": Trigger(reason="boo"),
        "recover": Recover(approved_by="alice"),
        "complete": CompleteRecovery(),
    }[what]
    deaths = 0
    for steps in range(STEPS_MAX):
        _prepare(chain, what)
        chain.arm(steps)
        answer = chain.ask(command)
        is_done = answer is not None and chain.left() > 0
        deaths += answer is None
        # Once it has been answered, too.
        chain.daemon.signal(signal.SIGKILL)
        chain.again()
        if is_done:
            break
    assert is_done
    assert deaths >= 1, "it has steps"


def _prepare(chain: Chain, what: str) -> None:
    """Bring it to where the command has something to do."""
    if what == "trigger":
        if chain.told != "ACTIVE":
            _bring_back(chain)
        return
    if chain.told != "RECOVERING" or what == "recover":
        chain.ask(Trigger(reason="boo"))
    if what == "complete":
        if chain.told == "KILLED":
            chain.ask(Recover(approved_by="alice"))
        chain.until_due()


def _bring_back(chain: Chain) -> None:
    chain.ask(Recover(approved_by="alice"))
    chain.until_due()
    chain.ask(CompleteRecovery())
    assert chain.told == "ACTIVE"


def test_nor_does_a_kill_at_any_moment(chain: Chain) -> None:
    chance = Random(1)  # noqa: S311 - it must be the same again, and guards nothing
    commands = (
        Trigger(reason="boo"),
        Recover(approved_by="alice"),
        CompleteRecovery(),
    )
    for _ in range(KILLS):
        timer = threading.Timer(chance.uniform(0.0, 0.05), chain.daemon.process.kill)
        timer.start()
        while True:
            before = chain.told
            command = chance.choice(commands)
            answer = chain.ask(command)
            if answer is None:
                break
            if isinstance(answer, Refused):
                assert isinstance(command, CompleteRecovery)
            elif (before, chain.told) == ("RECOVERING", "ACTIVE"):
                assert time.monotonic() - chain.asked_s >= COOLDOWN_S - ALMOST_S
        timer.join()
        chain.again()
        if chance.random() < 0.3 and chain.told == "RECOVERING":
            chain.until_due()


def test_a_start_that_the_disk_does_not_take_is_none(start: Start, place: Path) -> None:
    """Whatever the durability: a power cut could take it back with every kill that came after."""
    daemon = start(program=UNSAFE_START)
    assert daemon.end() == 74
    assert "riskd.ready" not in daemon.logged()
    with contextlib.suppress(NotReachable):
        daemon.status()
        raise AssertionError("nobody was there to be asked")
