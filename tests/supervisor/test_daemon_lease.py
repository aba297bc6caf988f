"""The daemon as a worker sees it: by its lease page, and by nothing else."""

import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from riskd.actors.core import lease as layout
from riskd.actors.kill_switch import PAGE_S
from riskd.actors.messages import Freeze, HaltsAre, KillActor, SwitchIs, Trigger, Unfreeze
from riskd.adapters.worker.lease import Lease, Refusal, View

SOURCE = Path(__file__).parents[2] / "adapters" / "worker" / "lease.c"
COMPILER = ["cc", "-O2"]
VERDICTS = {0: None, 1: "reduce_only", 2: "halted", 3: "expired", 4: "unreadable"}
LONG = "[lease]\nlength_s = 60\n"
"""A lease that outlasts every test: who is refused is refused for another reason."""
LAG_S = 0.5
GONE = {"expired", "unreadable"}
"""What a reader says of a riskd that is not there, before and after it has looked for another."""

Start = Callable[..., "RunningDaemon"]  # noqa: F821 - the fixture's class lives in conftest.py


@pytest.fixture(scope="session")
def in_c(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("c") / "lease"
    subprocess.run([*COMPILER, "-o", program, SOURCE], check=True)
    return program


@attrs.define(eq=False)
class Worker:
    """One that has had the page mapped from the first, as workers do; in Python and in C."""

    path: Path
    program: Path
    _lease: Lease = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._lease = Lease(self.path)

    def view(self, *scopes: str) -> View:
        return self._lease.view(*scopes)

    def refusal(self, *scopes: str, reduce_only: bool = False) -> Refusal | None:
        return self.view(*scopes).refusal(reduce_only=reduce_only)

    def verdicts(self, *scopes: str) -> set[str | None]:
        """Of both readers."""
        refused = self.refusal(*scopes)
        in_c = subprocess.run([self.program, self.path, *scopes], check=False).returncode
        return {None if refused is None else refused.kind, VERDICTS[in_c]}

    def until_ns(self) -> int:
        """To when the page lets anything pass, read past all readers."""
        at = layout.AT_UNTIL * layout.WORD_BYTES
        return int.from_bytes(self.path.read_bytes()[at : at + layout.WORD_BYTES], "little")


@pytest.fixture
def run(start: Start, place: Path, in_c: Path) -> Callable[..., tuple[Any, Worker]]:
    """A daemon on whose word a worker trades, with the worker."""

    def run(config: str = "", **popen: Any) -> tuple[Any, Worker]:
        file = place / "riskd.toml"
        file.write_text(config)
        daemon = start("--config", str(file), **popen).wait_ready()
        worker = Worker(daemon.socket.with_name("riskd.sock.lease"), in_c)
        daemon.until(lambda: worker.refusal() is None)
        return daemon, worker

    return run


def wait_past(until_ns: int) -> None:
    """Nothing can be waited for but the clock itself."""
    never = threading.Event()
    while (left_ns := until_ns - time.monotonic_ns()) >= 0:
        never.wait(left_ns / 1e9 + 1e-6)


def stop(daemon: Any) -> None:
    """WHEN IT RETURNS no instruction of the daemon runs any more."""
    daemon.signal(signal.SIGSTOP)
    os.waitid(os.P_PID, daemon.process.pid, os.WSTOPPED)


def state(daemon: Any) -> str:
    return str(daemon.status()["kill_switch"]["state"])


def logged(daemon: Any, event: str) -> list[dict[str, Any]]:
    return [line for line in daemon.events() if line["event"] == event]


# --- what is halted -------------------------------------------------------------------------------


def test_a_trigger_is_on_the_page_before_it_is_answered(run: Any) -> None:
    daemon, worker = run(LONG)
    view = worker.view("account:main")
    assert view.may_send()
    assert isinstance(daemon.ask(Trigger(reason="boo")), SwitchIs)
    assert not view.may_send(reduce_only=True)
    assert worker.verdicts("account:main") == worker.verdicts() == {"halted"}


def test_sigusr1_is_on_the_page(run: Any) -> None:
    daemon, worker = run(LONG)
    daemon.signal(signal.SIGUSR1)
    daemon.until(lambda: worker.verdicts() == {"halted"})
    daemon.until(lambda: state(daemon) == "KILLED")


def test_a_freeze_refuses_its_scope_and_nothing_else(run: Any) -> None:
    daemon, worker = run(LONG)
    for scope in ("account:main", "symbol:BTCUSDT", "worker:mm"):
        daemon.ask(Freeze(scope=scope, reason="news"))
        kind, _, name = scope.partition(":")
        assert worker.verdicts(scope) == worker.verdicts("strategy:s", scope) == {"halted"}
        assert worker.refusal(scope, reduce_only=True) is not None
        others = f"{kind}:{name}2", f"exchange:{name}", "strategy:s"
        assert worker.verdicts() == worker.verdicts(*others) == {None}
        daemon.ask(Unfreeze(scope=scope, reason="over"))
        assert worker.verdicts(scope) == {None}


def test_reduce_only_lets_pass_what_reduces(run: Any) -> None:
    daemon, worker = run(LONG)
    daemon.ask(Freeze(scope="account:main", reason="news", reduce_only=True))
    assert worker.verdicts("account:main") == {"reduce_only"}
    assert worker.refusal("account:main", reduce_only=True) is None
    # The stricter one wins. A trigger of one scope is a halt of it.
    assert isinstance(daemon.ask(Trigger(reason="boo", scope="symbol:B")), HaltsAre)
    assert worker.verdicts("account:main", "symbol:B") == {"halted"}
    assert worker.verdicts("account:other") == {None}


# --- a riskd that is stopped, and one that is gone ------------------------------------------------


def test_a_stopped_riskd_lets_nothing_pass_once_its_lease_is_over(run: Any) -> None:
    daemon, worker = run()
    length_ns = int(daemon.status()["lease"]["length_s"] * 1e9)
    view = worker.view("account:main")
    stop(daemon)
    until_ns = worker.until_ns()
    assert until_ns - time.monotonic_ns() <= length_ns
    wait_past(until_ns)
    assert not view.may_send()
    assert worker.verdicts("account:main") == {"expired"}
    daemon.signal(signal.SIGCONT)
    daemon.until(view.may_send)
    # What it began before it was stopped has proved nothing about the time since.
    assert worker.until_ns() > until_ns + length_ns
    daemon.until(lambda: bool(logged(daemon, "lease.renewed")))
    (lapsed,) = logged(daemon, "lease.lapsed")
    assert "riskd was stopped" in lapsed["reason"] or "the answers took" in lapsed["reason"]


STOPPED_IN_A_ROUND = """
import os, signal
from riskd.actors import lease
from riskd.supervisor import cli

silent = lease.Lease._silent

def is_there(name):
    return os.path.exists(os.path.join(os.environ["PLACE"], name))

async def stopped(self, answer_s):
    fault = await silent(self, answer_s)
    if is_there("stop"):
        os.unlink(os.path.join(os.environ["PLACE"], "stop"))
        os.kill(os.getpid(), signal.SIGSTOP)
    elif is_there("silent"):
        fault = "nobody says anything"
    return fault

lease.Lease._silent = stopped
cli.main()
"""


def test_a_round_in_which_riskd_was_stopped_opens_nothing(run: Any, place: Path) -> None:
    daemon, worker = run(program=STOPPED_IN_A_ROUND, env={"PLACE": str(place)})
    (place / "silent").touch()
    (place / "stop").touch()
    os.waitid(os.P_PID, daemon.process.pid, os.WSTOPPED)
    until_ns = worker.until_ns()
    wait_past(until_ns)
    daemon.signal(signal.SIGCONT)
    # The round that was under way ends well, and the next ones don't.
    daemon.until(lambda: daemon.status()["lease"]["lapsed_because"] == "nobody says anything")
    assert worker.until_ns() == until_ns
    assert worker.verdicts() == {"expired"}
    (place / "silent").unlink()
    daemon.until(lambda: worker.verdicts() == {None})


def test_a_stop_of_riskd_is_no_stuck_loop(run: Any) -> None:
    daemon, worker = run(f"[kill_switch]\nloop_lag_s = {LAG_S}\n")
    stop(daemon)
    threading.Event().wait(5)  # ten times as long as a loop may be stuck
    assert worker.verdicts() == {"expired"}
    daemon.signal(signal.SIGCONT)
    daemon.until(lambda: worker.refusal() is None)
    looked_ns = worker.until_ns()
    daemon.until(lambda: worker.until_ns() > looked_ns + int(LAG_S * 1e9))
    assert state(daemon) == "ACTIVE"
    assert not [line for line in daemon.events() if line["event"].startswith("loop.")]


def test_a_dead_riskd_lets_nothing_pass_and_the_next_one_is_found(run: Any, start: Start) -> None:
    daemon, worker = run()
    view = worker.view("account:main")
    stop(daemon)
    until_ns = worker.until_ns()
    daemon.signal(signal.SIGKILL)
    daemon.end()
    wait_past(until_ns)
    assert not view.may_send()
    assert worker.verdicts("account:main") <= GONE
    daemon = start().wait_ready()
    # The same view, in the memory of another process: halted, for the last one did not end well.
    daemon.until(lambda: worker.verdicts("account:main") == {"halted"})
    assert not view.may_send()
    daemon.ask(Unfreeze(scope="all", reason="looked at by hand"))
    daemon.until(view.may_send)
    assert worker.verdicts("account:main") == {None}


def test_an_orderly_stop_waits_for_no_lease(run: Any) -> None:
    daemon, worker = run(LONG)
    view = worker.view("account:main")
    assert view.may_send()
    daemon.signal(signal.SIGTERM)
    assert daemon.end() == 0
    assert not view.may_send()
    assert worker.verdicts("account:main") <= GONE
    assert not worker.path.is_symlink()


SLOW_TO_STOP = """
import trio
from riskd.supervisor import cli, compose

serve = compose.serve

async def slow(mailbox, behaviour, **kwargs):
    try:
        await serve(mailbox, behaviour, **kwargs)
    finally:
        if mailbox.name == "ledger":
            with trio.CancelScope(shield=True):
                await trio.sleep_forever()

compose.serve = slow
cli.main()
"""


def test_nothing_may_pass_while_riskd_stops(run: Any) -> None:
    daemon, worker = run(LONG, program=SLOW_TO_STOP)
    daemon.signal(signal.SIGTERM)
    daemon.until(lambda: worker.verdicts("account:main") == {"halted"})
    assert daemon.process.poll() is None
    daemon.signal(signal.SIGKILL)
    daemon.end()


# --- actors that die, and that hang ---------------------------------------------------------------


ACTORS = ("ledger", "kill_switch", "recovery", "lease", "loop")


def restart(daemon: Any, worker: Worker, name: str, kinds: set[str | None]) -> None:
    """Crash an actor, and see that a worker is told nothing else until the new one has worked."""
    before = daemon.incarnations()[name]
    daemon.ask(KillActor(name=name))

    def is_back() -> bool:
        refused = worker.refusal()
        assert (None if refused is None else refused.kind) in kinds
        return bool(daemon.incarnations()[name] > before)

    daemon.until(is_back)
    # Longer than the page is left alone, and than rounds are apart.
    until_ns = worker.until_ns() + int(2 * PAGE_S * 1e9)
    daemon.until(lambda: worker.until_ns() > until_ns)


def test_a_restart_of_an_actor_opens_nothing(run: Any) -> None:
    daemon, worker = run()
    daemon.ask(Trigger(reason="boo"))
    for name in ACTORS:
        # A lease may run out meanwhile on a slow machine, but it is never open.
        restart(daemon, worker, name, {"halted", "expired"})
        assert worker.verdicts() == {"halted"}


def test_a_restart_of_an_actor_costs_no_halt(run: Any) -> None:
    daemon, worker = run()
    for name in ACTORS:
        restart(daemon, worker, name, {None, "expired"})
        assert worker.verdicts() == {None}
    assert (state(daemon), daemon.status()["halts"]) == ("ACTIVE", [])


HANGING = """
import os, trio
from riskd.actors import {module} as module
from riskd.supervisor import cli

well = module.{behaviour}.wake

async def wake(self):
    if os.path.exists(os.path.join(os.environ["PLACE"], "hang")):
        os.unlink(os.path.join(os.environ["PLACE"], "hang"))
        await trio.sleep_forever()
    await well(self)

module.{behaviour}.wake = wake
cli.main()
"""


def test_a_critical_actor_that_hangs_lets_the_lease_run_out_and_is_named(
    run: Any, place: Path
) -> None:
    program = HANGING.format(module="kill_switch", behaviour="Watch")
    daemon, worker = run(program=program, env={"PLACE": str(place)})
    (place / "hang").touch()
    daemon.until(lambda: worker.verdicts("account:main") == {"expired"})
    daemon.until(lambda: bool(logged(daemon, "lease.lapsed")))
    (lapsed,) = logged(daemon, "lease.lapsed")
    assert "'kill_switch' did not answer" in lapsed["reason"]
    # A trigger needs none of them.
    daemon.ask(Freeze(scope="account:main", reason="news"))
    # The heartbeat ends it, and the next incarnation answers.
    daemon.until(lambda: worker.verdicts("account:other") == {None})
    assert worker.verdicts("account:main") == {"halted"}
    daemon.until(lambda: bool(logged(daemon, "lease.renewed")))


def test_a_lease_actor_that_hangs_lets_the_lease_run_out(run: Any, place: Path) -> None:
    program = HANGING.format(module="lease", behaviour="Lease")
    daemon, worker = run(program=program, env={"PLACE": str(place)})
    (place / "hang").touch()
    daemon.until(lambda: worker.verdicts() == {"expired"})
    daemon.until(lambda: worker.verdicts() == {None})


def test_nothing_may_pass_before_each_trigger_has_looked_once(start: Start, place: Path) -> None:
    config, script, may_end = place / "riskd.toml", place / "check", place / "well"
    script.write_text(f"#!/bin/sh\nuntil [ -e {may_end} ]; do sleep 0.01; done\n")
    script.chmod(0o755)
    config.write_text(
        '[[triggers]]\nkind = "command"\nname = "venue"\naction = "kill"\n'
        f'argv = ["{script}"]\ninterval_s = 60\ntimeout_s = 60\n'
    )
    daemon = start("--config", str(config)).wait_ready()
    lease = Lease(daemon.socket.with_name("riskd.sock.lease"))
    daemon.until(lambda: "'venue'" in str(daemon.status()["lease"]["lapsed_because"]))
    assert lease.view().refusal() is not None
    may_end.touch()
    daemon.until(lambda: lease.view().may_send())


# --- a loop that is stuck -------------------------------------------------------------------------

STUCK = """
import ctypes, time
from riskd.supervisor import cli, compose

answer = compose.Riskd._answer_version

def wait():
    time.sleep(5)

def wait_with_the_lock():
    ctypes.PyDLL(None).usleep(5_000_000)

async def stuck(self, caller, command):
    {wait}()
    return await answer(self, caller, command)

compose.Riskd._answer_version = stuck
cli.main()
"""


def is_answered(connection: socket.socket) -> bool:
    return bool(select.select([connection], [], [], 0)[0])


@pytest.mark.parametrize("wait", ["wait", "wait_with_the_lock"])
def test_a_loop_that_was_stuck_for_five_seconds_has_stopped_everything(run: Any, wait: str) -> None:
    daemon, worker = run(LONG, program=STUCK.format(wait=wait))
    view = worker.view("account:main")
    assert view.may_send()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(daemon.socket))
        connection.sendall(b'{"type":"version"}\n')
        if wait == "wait":
            # While it lasts: by the thread alone, for nothing else of riskd runs.
            daemon.until_logged("loop.stuck")
            assert not view.may_send(reduce_only=True)
            assert worker.verdicts("account:main") == {"halted"}
            assert not is_answered(connection)
        daemon.until(lambda: state(daemon) == "KILLED")
        assert is_answered(connection)
    assert not view.may_send(reduce_only=True)
    assert worker.verdicts("account:main") == {"halted"}
    (trigger,) = daemon.status()["kill_switch"]["triggers"]
    assert (trigger["cause"], trigger["source"]) == ("watchdog", "loop")
    assert trigger["reason"].startswith("the event loop was stuck for ")
    told = [line for line in daemon.events() if line["event"] in ("loop.stuck", "loop.was_stuck")]
    assert told[0]["level"] == "error"
    if wait == "wait":
        assert f" {wait}" in trigger["reason"]
        loop = told[0]["stack"]
        assert [line for line in loop if line.endswith(f" {wait}")]
        assert "thread 1 besides" in loop


def test_riskd_killed_while_its_loop_is_stuck_leaves_the_page_shut(run: Any, start: Start) -> None:
    """It had no time to make a fact of it, and its lease would go on."""
    daemon, worker = run(LONG, program=STUCK.format(wait="wait"))
    until_ns = worker.until_ns()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(daemon.socket))
        connection.sendall(b'{"type":"version"}\n')
        daemon.until_logged("loop.stuck")
        daemon.signal(signal.SIGKILL)
        daemon.end()
    assert worker.refusal() is not None
    assert time.monotonic_ns() < until_ns
    start().wait_ready()
    assert worker.verdicts() == {"halted"}
