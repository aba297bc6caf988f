"""The disk is full as something is being stopped: it is stopped, that is told, and it is there."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from riskd.actors.messages import (
    ActorSilent,
    Command,
    Freeze,
    Recover,
    Refused,
    Trigger,
)
from riskd.supervisor.daemon import Daemon
from riskd.supervisor.journal.journal import RESERVE_BYTES

Host = Any  # the classes of these fixtures live in conftest.py
Life = Any
Hosts = Callable[[int], Host]


def fill(life: Life) -> None:
    """There is no room for another segment, and none in this one but the reserve."""
    life.host.disk.capacity_bytes = 0
    journal = life.ledger.journal
    while (room := journal.segment_bytes - RESERVE_BYTES - journal._offset) > 1_000:
        life.ledger.commit(ActorSilent(actor="x" * min(room - 400, 20_000), deadline_s=1.0))
    assert life.ledger.failure is None


def told_by(life: Life) -> list[str]:
    """What an operator is told, by the log and by the service manager, as the daemon does it."""
    told: list[str] = []
    daemon = SimpleNamespace(
        riskd=SimpleNamespace(brakes=life.brakes),
        manager=SimpleNamespace(notify=told.append),
        _log=lambda level, event, **values: told.append(f"{level} {event}"),
        _is_up=False,
    )
    life.ledger.on_failure = lambda failure: Daemon.on_ledger_failed(daemon, failure)
    return told


@pytest.mark.parametrize("ends_by", ["kill", "stop"])
@pytest.mark.parametrize(
    ("command", "causes"),
    [
        (Trigger(reason="y" * 512), ["manual", "disk"]),
        (Freeze(scope="account:a", reason="y" * 512), ["disk"]),
    ],
    ids=["trigger", "freeze"],
)
def test_what_stops_trading_on_a_full_disk_is_in_force_is_told_and_is_there(
    hosts: Hosts, command: Command, causes: list[str], ends_by: str
) -> None:
    host = hosts(1)

    async def stop(life: Life) -> None:
        told = told_by(life)
        fill(life)
        lsn = life.ledger.lsn
        answer = await life.ask(command)
        while life.ledger.failure is None:  # the last of the room may do for one or two
            answer = await life.ask(Freeze(scope=f"symbol:{life.ledger.lsn}", reason="y" * 512))
        assert answer.kill_switch["state"] == "KILLED"
        assert answer.kill_switch["doubt"].startswith("the journal has failed")
        assert "No space left on device" in answer.kill_switch["doubt"]
        assert told == ["error ledger.failed", "STATUS=the journal has failed; ending"]
        assert life.page.says == {"all": "halt"}
        assert life.ledger.lsn > lsn + 1, "what was asked, and that the disk is full"
        assert [seen.cause for seen in life.brakes.halts.now.triggers] == causes
        # More of it is in force as well, and nothing is let go on.
        await life.ask(Freeze(scope="account:b", reason="more"))
        assert isinstance(await life.ask(Recover(approved_by="alice")), Refused)
        await trio.sleep(5.0)
        scopes.update(s.halt.scope for s in life.brakes.halts.now.halts.values())
        if ends_by == "kill":
            life.die()

    async def look(life: Life) -> None:
        now = life.brakes.halts.now
        assert now.state == "KILLED"
        assert [seen.cause for seen in now.triggers] == causes
        assert {s.halt.scope for s in now.halts.values()} == {*scopes, "all"}, "and the crash's"
        assert "account:b" in scopes

    scopes: set[str] = set()
    assert host.run(stop) == (ends_by == "stop")
    host.kill()
    host.is_serving = True  # an end that could not be written is none in order
    host.disk.capacity_bytes = 1 << 40
    assert host.run(look)
