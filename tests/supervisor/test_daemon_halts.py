"""The daemon and what stops trading: it stays stopped through every end and every start."""

import json
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from riskd.actors.messages import (
    Command,
    CompleteRecovery,
    Freeze,
    HaltsAre,
    KillActor,
    Recover,
    Refused,
    Reload,
    SwitchIs,
    Trigger,
    Unfreeze,
)
from riskd.adapters.disk import SystemDisk
from riskd.supervisor.journal.reader import read_segment

Start = Callable[..., "RunningDaemon"]  # noqa: F821 - the fixture's class lives in conftest.py


def facts(place: Path) -> list[dict[str, Any]]:
    """As they lie in the first segment."""
    segment = place / "state" / "journal" / f"{1:020}.log"
    return [json.loads(fact)["fact"] for _, fact in read_segment(SystemDisk(), segment)]


def switched(daemon: Any, command: Command) -> dict[str, Any]:
    answer = daemon.ask(command)
    assert isinstance(answer, SwitchIs), answer
    return answer.kill_switch


def state(daemon: Any) -> str:
    return str(daemon.status()["kill_switch"]["state"])


def again(start: Start, daemon: Any, how: signal.Signals) -> Any:
    daemon.signal(how)
    daemon.end()
    return start().wait_ready()


def configured(place: Path, text: str) -> str:
    file = place / "riskd.toml"
    file.write_text(text)
    return str(file)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_kill_outlasts_every_end(start: Start, how: signal.Signals) -> None:
    daemon = start().wait_ready()
    assert state(daemon) == "ACTIVE"
    assert switched(daemon, Trigger(reason="boo"))["state"] == "KILLED"
    daemon = again(start, daemon, how)
    assert state(daemon) == "KILLED"
    assert daemon.status()["kill_switch"]["reason"] == "boo"


def test_the_whole_way_back(start: Start, place: Path) -> None:
    file = configured(place, "[kill_switch]\ncooldown_s = 0\n")
    daemon = start("--config", file).wait_ready()
    switched(daemon, Trigger(reason="boo"))
    assert switched(daemon, Recover(approved_by="alice"))["state"] == "RECOVERING"
    assert switched(daemon, CompleteRecovery())["state"] == "ACTIVE"
    tags = [fact["type"] for fact in facts(place)]
    assert tags == [
        "daemon_started",
        "kill_switch_triggered",
        "recovery_started",
        "loosening_proposed",
        "recovery_completed",
    ]


def test_a_cooldown_goes_on_through_a_kill_of_riskd_and_is_no_shorter(start: Start) -> None:
    daemon = start().wait_ready()
    switched(daemon, Trigger(reason="boo"))
    switched(daemon, Recover(approved_by="alice"))
    before = daemon.status()["kill_switch"]["recovery"]["cooldown_left_s"]
    daemon = again(start, daemon, signal.SIGKILL)
    after = daemon.status()["kill_switch"]["recovery"]["cooldown_left_s"]
    assert 0 < before - after < 60
    refused = daemon.ask(CompleteRecovery())
    assert isinstance(refused, Refused)
    assert refused.code == "cooldown"


def test_sigusr1_stops_everything(start: Start) -> None:
    daemon = start().wait_ready()
    daemon.signal(signal.SIGUSR1)
    daemon.until(lambda: state(daemon) == "KILLED")
    (trigger,) = daemon.status()["kill_switch"]["triggers"]
    assert (trigger["source"], trigger["by"]["via"]) == ("SIGUSR1", "signal")


# --- after a crash --------------------------------------------------------------------------------


def test_a_start_after_a_crash_is_halted_until_an_operator_lifts_it(start: Start) -> None:
    daemon = again(start, start().wait_ready(), signal.SIGKILL)
    (halt,) = daemon.status()["halts"]
    assert (halt["scope"], halt["mode"], halt["cause"]) == ("all", "halt", "crash")
    assert (halt["until"], halt["condition"]) == ("condition", "reconciled")
    assert state(daemon) == "ACTIVE"
    # A second crash adds nothing to it, and an orderly end takes nothing from it.
    daemon = again(start, daemon, signal.SIGKILL)
    daemon = again(start, daemon, signal.SIGTERM)
    assert daemon.status()["halts"] == [halt]
    lifted = daemon.ask(Unfreeze(scope="all", reason="checked by hand"))
    assert isinstance(lifted, HaltsAre)
    assert (lifted.changed, lifted.halts) == ([halt["id"]], [])


def test_a_start_after_an_orderly_end_is_as_it_was(start: Start) -> None:
    daemon = again(start, start().wait_ready(), signal.SIGTERM)
    assert daemon.status()["halts"] == []


def test_the_policy_after_a_crash_is_the_configurations_and_is_shown(
    start: Start, place: Path
) -> None:
    file = configured(place, '[kill_switch]\nafter_crash = "operator"\n')
    daemon = start("--config", file).wait_ready()
    daemon.signal(signal.SIGKILL)
    daemon.end()
    daemon = start("--config", file).wait_ready()
    (halt,) = daemon.status()["halts"]
    assert (halt["until"], halt["condition"]) == ("operator", None)
    assert daemon.status()["kill_switch"]["after_crash"] == "operator"


# --- halts ----------------------------------------------------------------------------------------


def test_a_freeze_outlasts_a_kill_of_riskd_and_ends_in_its_time(start: Start) -> None:
    daemon = start().wait_ready()
    daemon.ask(Freeze(scope="account:a", reason="news"))
    daemon.ask(Freeze(scope="account:b", reason="news", for_s=0.5))
    daemon = again(start, daemon, signal.SIGKILL)
    daemon.until(lambda: "account:b" not in [h["scope"] for h in daemon.status()["halts"]])
    assert "account:a" in [halt["scope"] for halt in daemon.status()["halts"]]


def test_the_actors_of_the_kill_switch_may_die_and_nothing_is_forgotten(start: Start) -> None:
    daemon = start().wait_ready()
    switched(daemon, Trigger(reason="boo"))
    for name in ("kill_switch", "recovery", "ledger"):
        before = daemon.incarnations()[name]
        daemon.ask(KillActor(name=name))
        daemon.until(partial(lambda one, n: daemon.incarnations()[one] > n, name, before))
        assert state(daemon) == "KILLED"
    assert switched(daemon, Recover(approved_by="alice"))["state"] == "RECOVERING"


# --- who may --------------------------------------------------------------------------------------


def test_with_two_persons_nobody_approves_what_he_asks_for(start: Start, place: Path) -> None:
    file = configured(place, "[security]\ntwo_person = true\n")
    daemon = start("--config", file).wait_ready()
    switched(daemon, Trigger(reason="boo"))
    daemon.ask(Freeze(scope="account:a", reason="news"))
    for command, code in (
        (Recover(approved_by="somebody"), "unknown_approver"),
        (Recover(approved_by=str(os.geteuid())), "same_person"),
        (Unfreeze(scope="account:a", reason="over"), "no_approval"),
    ):
        refused = daemon.ask(command)
        assert isinstance(refused, Refused)
        assert refused.code == code
    assert state(daemon) == "KILLED"
    assert len(daemon.status()["halts"]) == 1


def test_who_acts_is_in_the_journal(start: Start, place: Path) -> None:
    daemon = start().wait_ready()
    daemon.ask(KillActor(name="heartbeat"))
    daemon.ask(Reload())
    switched(daemon, Trigger(reason="boo"))
    acted = {fact["type"]: fact["by"] for fact in facts(place) if fact.get("by")}
    assert acted.pop("limits_tightened") == {"via": "riskd"}
    assert set(acted) == {"actor_kill_asked", "config_refused", "kill_switch_triggered"}
    assert all((by["via"], by["user_id"]) == ("socket", os.geteuid()) for by in acted.values())
    assert all(by["process_id"] > 0 for by in acted.values())


# --- the last moments -----------------------------------------------------------------------------


def test_a_tree_that_gives_up_leaves_everything_halted(start: Start, place: Path) -> None:
    daemon = start("--config", configured(place, "[supervision]\nintensity = 0\n")).wait_ready()
    daemon.ask(KillActor(name="settings"))
    assert daemon.end() == 70
    daemon = start().wait_ready()
    assert state(daemon) == "KILLED"
    assert daemon.status()["kill_switch"]["cause"] == "watchdog"
    assert "settings" in daemon.status()["kill_switch"]["reason"]
