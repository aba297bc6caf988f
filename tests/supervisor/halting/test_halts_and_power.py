"""riskd dies at every single operation of the disk, while it is triggered, recovered, frozen and
let go on: by a kill, or with the power. What the next one finds is what the facts allow.

`Host` in conftest.py has the law: it is asked at every start, at every fact and at every word of
the lease page. RISKD_CUTS=100 asks for that many power cuts at each place in place of a few.
"""

import os
from collections.abc import Callable
from typing import Any

import pytest
import trio
from riskd.actors.messages import (
    CompleteRecovery,
    Freeze,
    HaltsAre,
    Recover,
    Refused,
    SwitchIs,
    Trigger,
    Unfreeze,
)

Host = Any  # the classes of these fixtures live in conftest.py
Life = Any
Hosts = Callable[[int], Host]

CUTS = int(os.environ.get("RISKD_CUTS", "2"))
COOLDOWN_S = 25.0


async def whole(life: Life) -> None:
    """Everything that stops trading or lets it go on, once."""
    await life.ask(Trigger(reason="boo"))
    await life.ask(Recover(approved_by="alice"))
    early = await life.ask(CompleteRecovery())
    assert isinstance(early, Refused)
    await life.ask(Freeze(scope="account:a", reason="news"))
    await life.ask(Freeze(scope="account:b", reason="news", for_s=12.0, reduce_only=True))
    await trio.sleep(COOLDOWN_S)
    await life.ask(CompleteRecovery())
    assert life.state == "ACTIVE"
    assert [s.halt.scope for s in life.brakes.halts.now.halts.values()] == ["account:a"]
    await life.ask(Unfreeze(scope="account:a", reason="over"))
    await life.ask(Trigger(reason="boo again"))


async def way_back(life: Life) -> None:
    """What an operator does after a crash: all that is refused, and then all that is needed."""
    await life.ask(CompleteRecovery())
    await trio.sleep(5.0)
    await life.ask(Recover(approved_by="alice"))
    await life.ask(CompleteRecovery())
    await trio.sleep(COOLDOWN_S)
    answer = await life.ask(CompleteRecovery())
    assert isinstance(answer, SwitchIs)
    assert life.state == "ACTIVE"
    for scope in ("all", "account:a", "account:b"):
        assert isinstance(await life.ask(Unfreeze(scope=scope, reason="checked")), HaltsAre)
    assert life.page.says == {}


def operations(host: Host) -> int:
    """Of the disk, when nothing cuts the whole of it off."""
    before = host.disk.left
    began = []

    async def counted(life: Life) -> None:
        await whole(life)
        began.append(before - host.disk.left)

    host.run(counted)
    return int(began[0])


def test_the_whole_goes_by_without_a_crash(hosts: Hosts) -> None:
    host = hosts(1)
    assert host.run(whole)
    assert host.run(way_back)


def test_wherever_it_is_killed_all_that_was_done_is_there(hosts: Hosts) -> None:
    for steps in range(operations(hosts(1)) + 1):
        host = hosts(1)
        host.disk.left = steps
        assert not host.run(whole, away_s=steps % 7)
        host.kill()
        assert host.run(way_back)


@pytest.mark.parametrize("up_s", [5.0, 90_000.0], ids=["at once", "a day later"])
def test_wherever_the_power_fails_nothing_is_looser(hosts: Hosts, up_s: float) -> None:
    for seed in range(CUTS):
        for steps in range(operations(hosts(seed)) + 1):
            host = hosts(seed)
            host.disk.left = steps
            assert not host.run(whole)
            host.cut_power(up_s=up_s)
            # And the start that follows is cut off as well, now and then.
            host.disk.left = (steps * 7 + seed) % 40
            if not host.run(way_back):
                host.cut_power(up_s=up_s)
            assert host.run(way_back)


def test_a_trigger_that_a_power_cut_takes_leaves_everything_halted(hosts: Hosts) -> None:
    """Under `durability = "process"` nobody waits for the disk: the unclean end is what is left."""

    async def trigger(life: Life) -> None:
        answer = await life.ask(Trigger(reason="boo"))
        assert isinstance(answer, SwitchIs)
        assert answer.changed
        host.disk.left = 0  # before the next sync
        await trio.sleep(5.0)

    async def look(life: Life) -> None:
        found.add((life.state, *(s.halt.cause for s in life.brakes.halts.now.halts.values())))
        assert life.page.says == {"all": "halt"}

    found: set[tuple[str, ...]] = set()
    for seed in range(30):
        host = hosts(seed)
        assert not host.run(trigger)
        host.cut_power(up_s=5.0)
        host.run(look)
    # Some disks lose it, and some do not.
    assert found == {("ACTIVE", "crash"), ("KILLED", "crash")}


def test_a_cooldown_loses_by_a_reboot_what_was_not_noted_and_no_more(hosts: Hosts) -> None:
    async def recover(life: Life) -> None:
        await life.ask(Trigger(reason="boo"))
        await life.ask(Recover(approved_by="alice"))
        await trio.sleep(21.5)  # it is noted each 10 s, and a second later it is safe
        host.disk.left = 0
        await life.ask(Freeze(scope="account:a", reason="the last thing"))

    async def look(life: Life) -> None:
        left_s.append(life.brakes.shown()["recovery"]["cooldown_left_s"])

    for up_s in (5.0, 90_000.0):
        left_s: list[float] = []
        host = hosts(1)
        assert not host.run(recover)
        host.cut_power(up_s=up_s)
        assert host.run(look, away_s=0.0)
        assert host.run(look)
        assert left_s == [COOLDOWN_S - 20.0] * 2
