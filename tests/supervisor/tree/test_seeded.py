"""A tree of three levels under a schedule that a seed decides."""

import os
import subprocess
import sys

import pytest
import trio
from click.testing import CliRunner
from riskd.tools.seeded import main, seeded_schedule, trace

SEEDS = range(300)


@pytest.fixture(scope="module")
def traces():
    return {seed: trace(seed) for seed in SEEDS}


def told_by_a_process(seed, hash_seed):
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-P", "-m", "riskd.tools.seeded", str(seed)]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    ).stdout.splitlines()


@pytest.mark.parametrize("seed", [3, 17])
def test_the_same_seed_gives_the_same_trace_in_every_process(traces, seed):
    assert told_by_a_process(seed, "1") == told_by_a_process(seed, "2") == traces[seed]


def test_the_same_seed_gives_the_same_trace_again(traces):
    assert trace(5) == traces[5]


def test_other_seeds_give_other_traces(traces):
    assert len({tuple(lines) for lines in traces.values()}) == len(SEEDS)


def test_the_seed_decides_the_schedule_too():
    """Not only the fates of the children, which are drawn from it as well."""
    assert len({schedule(seed) for seed in range(20)}) > 1
    assert schedule(7) == schedule(7)


def schedule(seed):
    """In which order ten tasks run that all can."""
    order = []

    async def note(number):
        await trio.lowlevel.checkpoint()
        order.append(number)

    async def run():
        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(note, number)

    with seeded_schedule(seed):
        trio.run(run)
    return tuple(order)


def test_trio_still_has_the_switch_and_it_is_put_back():
    inside = trio._core._run
    assert inside._ALLOW_DETERMINISTIC_SCHEDULING in (True, False)
    before = inside._ALLOW_DETERMINISTIC_SCHEDULING, inside._r.getstate()
    with seeded_schedule(1):
        assert inside._ALLOW_DETERMINISTIC_SCHEDULING is True
        assert inside._r.getstate() != before[1]
    assert (inside._ALLOW_DETERMINISTIC_SCHEDULING, inside._r.getstate()) == before


def test_no_child_ever_has_two_live_incarnations_and_every_end_is_clean(traces):
    for seed, lines in traces.items():
        live = {}
        for line in lines:
            _, what, who, *_ = line.split()
            path, _, incarnation = who.partition("#")
            if what == "up":
                assert path not in live, f"seed {seed}: {line}, while #{live[path]} lives"
                live[path] = incarnation
            elif what == "down":
                assert live.pop(path) == incarnation, f"seed {seed}: {line}"
        assert live == {}, f"seed {seed}"
        assert " end " in lines[-1], f"seed {seed}"


def test_the_traces_have_seen_what_they_are_for(traces):
    words = [line.split() for lines in traces.values() for line in lines]
    tags = {what for _, what, *_ in words}
    assert tags >= {"child_failed", "child_restarted", "supervisor_escalated", "child_ended"}
    escalated = {path for _, what, path, *_ in words if what == "supervisor_escalated"}
    assert escalated == {"top", "top/middle", "top/middle/low"}
    assert {" ".join(rest[:1]) for _, what, *rest in words if what == "end"} >= {"stopped"}


def test_a_seed_that_is_no_number_is_refused():
    result = CliRunner().invoke(main, ["many"])
    assert result.exit_code == 2
    assert "'many' is not a valid integer" in result.output
