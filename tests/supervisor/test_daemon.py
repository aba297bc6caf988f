"""The daemon as its users meet it: a process that starts, serves, is killed, and stops."""

import contextlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from riskd.actors.messages import (
    ActorKilled,
    ConfigIs,
    KillActor,
    Refused,
    Reload,
    Reloaded,
    ShowConfig,
    Version,
    VersionIs,
)
from riskd.adapters.client import Client

Start = Callable[..., "RunningDaemon"]  # noqa: F821 - the fixture's class lives in conftest.py


def write(place: Path, text: str) -> Path:
    file = place / "riskd.toml"
    file.write_text(text)
    return file


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_in_order_and_leaves_nothing_behind(start: Start, number) -> None:
    daemon = start().wait_ready()
    daemon.signal(number)
    assert daemon.end() == 0
    assert not daemon.socket.exists()
    assert [event["event"] for event in daemon.events()][-3:] == [
        "riskd.stopping",
        "daemon.stopped",
        "riskd.stopped",
    ]


def test_a_second_signal_hastens_the_stop_and_skips_nothing(start: Start) -> None:
    daemon = start(program=SLOW_TO_STOP).wait_ready()
    daemon.signal(signal.SIGTERM)
    daemon.until_logged("riskd.stopping")
    daemon.signal(signal.SIGINT)
    assert daemon.end() == 0
    events = [event["event"] for event in daemon.events()]
    assert events[-4:] == ["riskd.stopping", "riskd.hurrying", "daemon.stopped", "riskd.stopped"]


def test_a_killed_actor_starts_again_while_the_others_go_on(start: Start) -> None:
    daemon = start().wait_ready()
    before = daemon.incarnations()
    assert daemon.ask(KillActor(name="heartbeat")) == ActorKilled(
        id=1, name="heartbeat", incarnation=1
    )
    daemon.until(lambda: daemon.actors()["heartbeat"]["restarts"] == 1)
    assert daemon.incarnations() == {**before, "heartbeat": 2}


def test_what_stands_on_a_killed_actor_starts_again_with_it(start: Start) -> None:
    daemon = start().wait_ready()
    daemon.ask(KillActor(name="settings"))
    daemon.until(lambda: daemon.actors()["control"]["incarnation"] == 2)
    actors = daemon.actors()
    assert [actors[name]["incarnation"] for name in ("settings", "watchdogs")] == [2, 2]
    # One failure is one tick, however many started again.
    assert actors["riskd"]["budget"]["used"] == 1


def test_whoever_kills_the_control_actor_is_answered_and_can_connect_again(start: Start) -> None:
    daemon = start().wait_ready()
    for incarnation in (1, 2, 3):
        # No retry here: the socket is not the actor's, so a connection is never refused.
        reply = daemon.ask(KillActor(name="control"))
        assert reply == ActorKilled(id=1, name="control", incarnation=incarnation)
        daemon.until(lambda n=incarnation: daemon.actors()["control"]["incarnation"] == n + 1)


def test_a_client_that_is_only_connected_is_let_go_when_the_control_actor_dies(
    start: Start,
) -> None:
    daemon = start().wait_ready()
    with socket.socket(socket.AF_UNIX) as idle:
        idle.settimeout(20)
        idle.connect(str(daemon.socket))
        daemon.until(lambda: daemon.status()["control"]["clients"] == 2)
        daemon.ask(KillActor(name="control"))
        assert idle.recv(1) == b""
    daemon.until(lambda: daemon.status()["control"]["clients"] == 1)


def test_killing_nobody_is_refused_with_the_names_there_are(start: Start) -> None:
    reply = start().wait_ready().ask(KillActor(name="gat"))
    assert isinstance(reply, Refused)
    assert reply.code == "no_such_actor"
    assert "heartbeat" in reply.message


def test_killing_riskd_does_not_refill_a_budget_and_stopping_it_does(start: Start) -> None:
    daemon = start().wait_ready()
    daemon.ask(KillActor(name="heartbeat"))
    daemon.until(lambda: daemon.actors()["watchdogs"]["budget"]["used"] == 1)
    daemon.signal(signal.SIGKILL)
    daemon.end()
    daemon = start().wait_ready()
    assert daemon.actors()["watchdogs"]["budget"]["used"] == 1
    daemon.signal(signal.SIGTERM)
    daemon.end()
    assert start().wait_ready().actors()["watchdogs"]["budget"]["used"] == 0


def test_past_every_budget_it_ends_and_says_so(start: Start, place: Path) -> None:
    file = write(place, "[supervision]\nintensity = 0\n")
    daemon = start("--config", str(file)).wait_ready()
    daemon.ask(KillActor(name="heartbeat"))
    assert daemon.end() == 70
    events = [event["event"] for event in daemon.events()]
    assert events.count("supervisor.escalated") == 2
    assert events[-1] == "riskd.ended"


def test_a_second_daemon_is_told_who_is_there(start: Start, place: Path) -> None:
    first = start().wait_ready()
    second = start()
    assert second.end() == 75
    assert f"process {first.process.pid}" in second.logged()
    elsewhere = start("--state-dir", str(place / "elsewhere"))
    assert elsewhere.end() == 75
    assert first.status()["pid"] == first.process.pid


def test_a_daemon_that_is_stopped_but_not_dead_keeps_its_place(start: Start, place: Path) -> None:
    first = start().wait_ready()
    first.signal(signal.SIGSTOP)
    try:
        assert start("--state-dir", str(place / "elsewhere")).end() == 75
    finally:
        first.signal(signal.SIGCONT)
    assert first.status()["pid"] == first.process.pid


def test_the_socket_of_a_dead_daemon_is_taken_over(start: Start) -> None:
    first = start().wait_ready()
    first.signal(signal.SIGKILL)
    first.end()
    assert first.socket.exists()
    assert start().wait_ready().status()["state"] == "serving"


def test_every_error_in_the_configuration_is_told_and_nothing_is_made(
    start: Start, place: Path
) -> None:
    file = write(place, '[riskd]\nstop_timeout_s = "soon"\n[contrl]\nmax_clients = 1\n')
    daemon = start("--config", str(file))
    assert daemon.end() == 78
    assert f"{file}:2: riskd.stop_timeout_s" in daemon.logged()
    assert f"{file}:3: contrl" in daemon.logged()
    assert not (place / "state").exists()
    assert not (place / "run").exists()


def test_a_user_that_the_machine_does_not_have_is_an_error(start: Start, place: Path) -> None:
    file = write(place, '[security]\ngroup = "0"\noperators = ["nobody-has-this-name"]\n')
    daemon = start("--config", str(file))
    assert daemon.end() == 78
    assert "nobody-has-this-name" in daemon.logged()


def test_the_group_of_the_configuration_can_reach_the_socket(start: Start, place: Path) -> None:
    file = write(place, f'[security]\ngroup = "{os.getegid()}"\nobservers = ["root"]\n')
    daemon = start("--config", str(file)).wait_ready()
    assert daemon.socket.stat().st_mode & 0o777 == 0o660
    assert daemon.socket.stat().st_gid == os.getegid()


def test_a_socket_path_that_is_too_long_is_one_clear_line(start: Start, place: Path) -> None:
    daemon = start("--socket", str(place / ("x" * 120)))
    assert daemon.end() == 73
    assert len(daemon.logged().splitlines()) == 1
    assert not (place / "state").exists()


def test_a_reload_that_disagrees_with_what_only_a_restart_changes_is_refused(
    start: Start, place: Path
) -> None:
    file = write(place, "[supervision]\nperiod_s = 10.0\n")
    daemon = start("--config", str(file)).wait_ready()
    write(place, "[supervision]\nperiod_s = 100.0\nheartbeat_interval_s = 20.0\n")
    reply = daemon.ask(Reload())
    assert isinstance(reply, Refused)
    assert "restart riskd" in reply.problems[0]


def test_a_state_directory_that_is_a_file_is_one_clear_line(start: Start, place: Path) -> None:
    (place / "state").write_text("")
    daemon = start()
    assert daemon.end() == 73
    assert len(daemon.logged().splitlines()) == 1
    assert str(place / "state") in daemon.logged()


@pytest.mark.parametrize(
    ("option", "status", "remedy"),
    [("--state-dir", 73, "--state-dir"), ("--socket", 73, "--socket"), ("--config", 78, "name")],
)
@pytest.mark.parametrize("is_file", [False, True])
def test_a_place_without_permission_is_one_line_with_a_remedy(
    start: Start,
    place: Path,
    unprivileged: Callable[[str], str],
    option: str,
    status: int,
    remedy: str,
    is_file: bool,
) -> None:
    given = place / "given"
    given.touch() if is_file else given.mkdir()
    given.chmod(0)
    daemon = start(option, str(given), program=unprivileged("riskd"))
    assert daemon.end() == status
    (line,) = daemon.logged().splitlines()
    assert line.startswith(f"riskd: {given}")
    assert remedy in line


def test_a_valid_reload_is_taken_and_an_invalid_one_changes_nothing(
    start: Start, place: Path
) -> None:
    file = write(place, "")
    daemon = start("--config", str(file)).wait_ready()
    write(place, '[riskd]\nlog_level = "warning"\n[control]\nmax_clients = 7\n')
    reply = daemon.ask(Reload())
    assert isinstance(reply, Reloaded)
    assert reply.changed == ["riskd.log_level"]
    assert reply.needs_restart == ["control.max_clients"]
    in_force = daemon.ask(ShowConfig())
    assert isinstance(in_force, ConfigIs)
    assert in_force.config["riskd"]["log_level"] == "warning"
    assert in_force.config["control"]["max_clients"] == 4096

    write(place, '[riskd]\nlog_level = "loud"\nnonsense = 1\n')
    refused = daemon.ask(Reload())
    assert isinstance(refused, Refused)
    assert [str(file) in line for line in refused.problems] == [True, True]
    assert daemon.ask(ShowConfig()) == in_force


def test_sighup_reloads_and_a_refusal_is_logged(start: Start, place: Path) -> None:
    file = write(place, "")
    daemon = start("--config", str(file)).wait_ready()
    write(place, "[supervision]\nheartbeat_misses = 3\n")
    daemon.signal(signal.SIGHUP)
    daemon.until(lambda: "config.reloaded" in daemon.logged())
    write(place, "[supervision]\nheartbeat_misses = -3\n")
    daemon.signal(signal.SIGHUP)
    daemon.until(lambda: "config.not_reloaded" in daemon.logged())
    shown = daemon.ask(ShowConfig())
    assert isinstance(shown, ConfigIs)
    assert shown.config["supervision"]["heartbeat_misses"] == 3


def test_without_a_file_there_is_nothing_to_reload(start: Start) -> None:
    reply = start().wait_ready().ask(Reload())
    assert isinstance(reply, Refused)
    assert "no file" in reply.problems[0]


def test_the_service_manager_hears_ready_pings_and_stopping(start: Start, place: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(place / "notify"))
        manager.settimeout(20)
        daemon = start(env={"NOTIFY_SOCKET": str(place / "notify")})
        heard: list[str] = []
        while not any("WATCHDOG=1" in message for message in heard):
            heard.append(manager.recv(4096).decode())
        daemon.wait_ready()
        daemon.signal(signal.SIGTERM)
        assert daemon.end() == 0
        while not heard[-1].startswith("STOPPING=1"):
            heard.append(manager.recv(4096).decode())
    assert any(message.startswith("READY=1") for message in heard)


def test_the_service_manager_is_not_told_ready_once_riskd_stops(start: Start, place: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(place / "notify"))
        manager.settimeout(20)
        daemon = start(env={"NOTIFY_SOCKET": str(place / "notify")}, program=HANGING_RELOAD)
        daemon.wait_ready()
        daemon.signal(signal.SIGHUP)
        while not manager.recv(4096).startswith(b"RELOADING=1"):
            pass
        daemon.signal(signal.SIGTERM)
        assert daemon.end() == 0
        while not manager.recv(4096).startswith(b"STOPPING=1"):
            pass
        manager.setblocking(False)
        later: list[bytes] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                later.append(manager.recv(4096))
        assert not [message for message in later if message.startswith(b"READY=1")]


def test_a_fault_of_its_own_is_one_logged_line_with_its_place_and_a_status(start: Start) -> None:
    daemon = start(program=FAULTY_RELOAD).wait_ready()
    daemon.signal(signal.SIGHUP)
    assert daemon.end() == 70
    (ended,) = [event for event in daemon.events() if event["event"] == "riskd.ended"]
    assert (ended["exit_status"], ended["why"]) == (70, "ZeroDivisionError: of its own")
    assert any(line.endswith(" reload") for line in ended["stack"])
    assert len(daemon.events()) == len(daemon.logged().splitlines())


def test_a_failure_is_logged_with_where_it_came_from(start: Start) -> None:
    daemon = start(program=CRASHING_ONCE).wait_ready()
    daemon.until(lambda: daemon.actors()["heartbeat"]["restarts"] == 1)
    daemon.until_logged("child.failed")
    (failed,) = [event for event in daemon.events() if event["event"] == "child.failed"]
    assert failed["cause"] == "ZeroDivisionError: once"
    assert failed["stack"][-1].endswith(" wake")


def test_a_watchdog_less_patient_than_the_heartbeats_is_refused(start: Start) -> None:
    daemon = start(env={"WATCHDOG_USEC": "3000000"})
    assert daemon.end() == 78
    assert "WatchdogSec" in daemon.logged()


def test_a_log_that_nobody_reads_does_not_stop_it(start: Start, place: Path) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while os.write(writer, b"x" * 65536):
            pass
    except BlockingIOError:
        os.set_blocking(writer, True)
    daemon = start(stderr=writer).wait_ready()
    for restarts in (1, 2, 3):
        daemon.ask(KillActor(name="heartbeat"))
        daemon.until(lambda n=restarts: daemon.actors()["heartbeat"]["restarts"] == n)
    daemon.signal(signal.SIGTERM)
    assert daemon.end() == 0
    os.close(reader)
    os.close(writer)


SLOW_TO_STOP = """
import trio
from riskd.actors import actor
from riskd.supervisor.cli import main

serve = actor.serve

async def slow(mailbox, behaviour, **kwargs):
    try:
        await serve(mailbox, behaviour, **kwargs)
    finally:
        if mailbox.name == "settings":
            with trio.CancelScope(shield=True):
                await trio.sleep(3600)

actor.serve = slow
main()
"""

HANGING_RELOAD = """
import trio
from riskd.supervisor import cli, configuration

async def read(self):
    await trio.sleep_forever()

configuration.Configuration.read = read
cli.main()
"""

FAULTY_RELOAD = """
from riskd.supervisor import cli, compose

async def reload(self, command, by):
    raise ZeroDivisionError("of its own")

compose.Riskd.reload = reload
cli.main()
"""

CRASHING_ONCE = """
from riskd.actors import heartbeat
from riskd.supervisor import cli

healthy = heartbeat.Heartbeat.wake

async def wake(self):
    heartbeat.Heartbeat.wake = healthy
    raise ZeroDivisionError("once")

heartbeat.Heartbeat.wake = wake
cli.main()
"""

SIGNALLED_EARLY = """
import os
from riskd.supervisor import cli, logs

configure = logs.configure

def signalled(*arguments):
    os.kill(os.getpid(), {number})
    return configure(*arguments)

logs.configure = signalled
cli.main()
"""

SWALLOWING = """
import trio
from riskd.actors import heartbeat
from riskd.supervisor.cli import main

async def wake(self):
    while True:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            pass

heartbeat.Heartbeat.wake = wake
main()
"""


def test_an_actor_that_swallows_its_cancellation_does_not_hold_the_process(
    start: Start, place: Path
) -> None:
    file = write(place, "[riskd]\nstop_timeout_s = 60\n")
    daemon = start("--config", str(file), program=SWALLOWING).wait_ready()
    daemon.signal(signal.SIGTERM)
    assert daemon.end() == 71
    stuck = [event for event in daemon.events() if event["event"] == "actor.stuck"]
    assert stuck[0]["actor"] == "riskd/watchdogs/heartbeat"
    assert any(frame.endswith(" wake") for frame in stuck[0]["stack"])
    assert not daemon.socket.exists()


def test_a_state_directory_that_goes_away_ends_it_rather_than_be_forgotten(
    start: Start, place: Path
) -> None:
    daemon = start().wait_ready()
    shutil.rmtree(place / "state")
    daemon.ask(KillActor(name="heartbeat"))
    assert daemon.end() == 74


def test_it_runs_without_a_standard_error(start: Start) -> None:
    def closed() -> None:
        os.close(2)

    daemon = start(preexec_fn=closed).wait_ready()
    daemon.signal(signal.SIGTERM)
    assert daemon.end() == 0


EARLY = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1]


@pytest.mark.parametrize("number", EARLY)
def test_a_signal_before_it_is_up_is_heard_once_it_is(start: Start, number) -> None:
    daemon = start(program=SIGNALLED_EARLY.format(number=int(number)))
    if number == signal.SIGHUP:
        daemon.until_logged("config.not_reloaded")
        daemon.signal(signal.SIGTERM)
    if number == signal.SIGUSR1:
        daemon.until(lambda: daemon.status()["kill_switch"]["state"] == "KILLED")
        daemon.signal(signal.SIGTERM)
    assert daemon.end() == 0
    assert daemon.events()[-1]["event"] == "riskd.stopped"


def test_with_few_descriptors_idle_clients_do_not_lock_an_operator_out(start: Start) -> None:
    daemon = start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128)))
    daemon.wait_ready()
    with contextlib.ExitStack() as held:
        for _ in range(200):
            held.enter_context(contextlib.closing(Client(daemon.socket, timeout_s=20)))
        assert daemon.status()["control"]["evicted"] > 0


def test_killing_riskd_does_not_give_back_failures_that_a_restart_had_forgiven(
    start: Start, place: Path
) -> None:
    file = write(place, "[supervision]\nintensity = 1\n")
    daemon = start("--config", str(file)).wait_ready()
    daemon.ask(KillActor(name="heartbeat"))
    daemon.until(lambda: daemon.actors()["heartbeat"]["restarts"] == 1)
    daemon.ask(KillActor(name="heartbeat"))
    daemon.until(lambda: daemon.actors()["watchdogs"]["restarts"] == 1)
    assert daemon.actors()["watchdogs"]["budget"]["used"] == 0
    daemon.signal(signal.SIGKILL)
    daemon.end()
    actors = start("--config", str(file)).wait_ready().actors()
    assert actors["watchdogs"]["budget"]["used"] == 0
    assert actors["riskd"]["budget"]["used"] == 1


def test_it_refuses_to_run_without_its_assertions() -> None:
    ended = subprocess.run(
        [sys.executable, "-P", "-O", "-m", "riskd", "run"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 2
    assert "assertions" in ended.stderr


def test_it_serves_more_clients_than_the_usual_soft_limit_of_descriptors(
    start: Start,
) -> None:
    def few() -> None:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))

    daemon = start(preexec_fn=few).wait_ready()
    clients = [Client(daemon.socket, timeout_s=20) for _ in range(200)]
    try:
        assert all(isinstance(client.ask(Version()), VersionIs) for client in clients)
    finally:
        for client in clients:
            client.close()
