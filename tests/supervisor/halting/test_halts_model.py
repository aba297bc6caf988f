"""No walk of commands, triggers, crashes, restarts and clocks leads past the law.

Each example is some lives of riskd on one machine: what is asked, alone or all at once, how the
disk and the clocks behave, which actor crashes in the middle of what, and how each life ends. The
law is `Host`'s, in conftest.py: it is asked at every start, every fact and every word of the page.
RISKD_EXAMPLES=5000 asks for that many in place of a few.
"""

import os
from collections.abc import Callable
from typing import Any

import attrs
import pytest
import trio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from riskd.actors.messages import (
    Command,
    CompleteRecovery,
    Freeze,
    Recover,
    Trigger,
    Unfreeze,
)
from riskd.config.schema import Journal

Host = Any  # the classes of these fixtures live in conftest.py
Life = Any
Hosts = Callable[[int], Host]

EXAMPLES = int(os.environ.get("RISKD_EXAMPLES", "150"))
SCOPES = st.sampled_from(["all", "account:a", "symbol:b"])
COMMANDS = st.one_of(
    st.builds(Trigger, reason=st.just("boo"), scope=SCOPES),
    st.builds(Recover, approved_by=st.sampled_from(["alice", " "])),
    st.builds(CompleteRecovery),
    st.builds(
        Freeze,
        scope=SCOPES,
        reason=st.just("news"),
        reduce_only=st.booleans(),
        for_s=st.sampled_from([None, 0.5, 20.0, 40_000.0]),
        session=st.booleans(),
    ),
    st.builds(Unfreeze, scope=SCOPES, reason=st.just("over")),
)


@attrs.frozen
class Ask:
    """In this order, each begun before the one before it is answered."""

    commands: tuple[Command, ...]


@attrs.frozen
class Wait:
    seconds: float


@attrs.frozen
class WallJump:
    seconds: float


@attrs.frozen
class SlowDisk:
    sync_s: tuple[float, float]


@attrs.frozen
class Crash:
    """An actor ends, by a watchdog's hand or by a fault of its own in the next thing it does."""

    how: str


@attrs.frozen
class Accounts:
    problems: tuple[str, ...]


@attrs.frozen
class End:
    how: str
    after: int = 0
    """So many operations of the disk, while all is done once more. 0: here and now."""
    up_s: float = 5.0


STEPS = st.one_of(
    st.builds(Ask, st.lists(COMMANDS, min_size=1, max_size=4).map(tuple)),
    st.builds(Ask, st.lists(COMMANDS, min_size=1, max_size=1).map(tuple)),
    st.builds(Wait, st.sampled_from([0.3, 3.0, 26.0, 60.0])),
    st.builds(WallJump, st.sampled_from([-86_400.0, -3_600.0, 3_600.0, 1e7])),
    st.builds(SlowDisk, st.sampled_from([(0.0, 0.0), (0.0, 0.9), (0.5, 3.0)])),
    st.builds(
        Crash,
        st.sampled_from(["recovery", "kill_switch", "before", "after", *["before after"] * 2]),
    ),
    st.builds(Accounts, st.sampled_from([(), ("account:a: 3 positions differ",)])),
    st.builds(
        End,
        st.sampled_from(["stop", "kill", "power"]),
        st.integers(0, 12),
        st.sampled_from([5.0, 90_000.0]),
    ),
)
KILLED = Ask((Trigger(reason="boo"),))
RECOVERED = Ask((Recover(approved_by="alice"),))
COMPLETED = Ask((CompleteRecovery(),))
FROZEN = Ask(tuple(Freeze(scope=f"symbol:{n}", reason="news") for n in range(3)))
END = End("power")
OVERTAKEN = Ask((CompleteRecovery(), Trigger(reason="boo again")))


async def take(life: Life, step: object) -> None:
    host = life.host
    match step:
        case Ask(commands=commands):
            async with trio.open_nursery() as nursery:
                for command in commands:
                    nursery.start_soon(life.ask, command)
                    await trio.sleep(0.01)
        case Wait(seconds=seconds):
            await trio.sleep(seconds)
        case WallJump(seconds=seconds):
            host.clock.ahead_s += seconds
        case SlowDisk(sync_s=sync_s):
            host.disk.sync_s = sync_s
        case Crash(how=("recovery" | "kill_switch") as name):
            life.crash(name)
        case Crash(how=how):
            host.faults += how.split() * 3
        case Accounts(problems=problems):
            host.problems = problems


def walk(host: Host, steps: list[object]) -> None:
    rest = [*steps, End("stop")]
    while rest:
        end = next(place for place, step in enumerate(rest) if isinstance(step, End))
        now, last, rest = rest[:end], rest[end], rest[end + 1 :]

        async def live(life: Life, now: list[object] = now, last: Any = last) -> None:
            for step in now:
                await take(life, step)
            if last.how != "stop":
                if last.after:
                    # Something is under way when it ends.
                    host.disk.left = last.after
                    for each in (KILLED, RECOVERED, Wait(26.0), COMPLETED):
                        await take(life, each)
                life.die()

        is_over = host.run(live)
        assert is_over == (last.how == "stop")
        host.faults.clear()
        if last.how == "power":
            host.cut_power(up_s=last.up_s)
        else:
            host.kill()


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 1_000), st.booleans(), st.lists(STEPS, max_size=20))
@example(1, False, [KILLED, RECOVERED, Wait(26.0), Accounts(("3 differ",)), COMPLETED])
@example(1, False, [KILLED, RECOVERED, Wait(26.0), Crash("after"), COMPLETED, KILLED, Wait(9.0)])
@example(1, True, [KILLED, RECOVERED, End("power", 30, 90_000.0), COMPLETED])
@example(1, True, [KILLED, RECOVERED, Wait(12.0), END, Wait(3.0), FROZEN, Wait(3.0), END])
@example(1, False, [KILLED, RECOVERED, WallJump(1e7), COMPLETED])
@example(1, False, [KILLED, RECOVERED, Wait(26.0), SlowDisk((0.5, 0.9)), OVERTAKEN])
def test_no_walk_is_looser_than_its_facts_or_leads_back_early(
    hosts: Hosts, seed: int, is_often_kept: bool, steps: list[object]
) -> None:
    host = hosts(seed)
    if is_often_kept:
        host.journal = Journal(snapshot_facts=3, slow_sync_ms=60_000, free_mib=0)
    walk(host, steps)


@pytest.mark.parametrize("steps", [[KILLED, RECOVERED, Wait(26.0), COMPLETED]])
def test_a_walk_that_does_all_that_is_asked_leads_back(hosts: Hosts, steps: list[object]) -> None:
    host = hosts(1)

    async def live(life: Life) -> None:
        for step in steps:
            await take(life, step)
        assert (life.state, life.page.says) == ("ACTIVE", {})

    assert host.run(live)
