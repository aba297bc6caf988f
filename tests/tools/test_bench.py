"""The benchmarks run, tell the truth about small things, and say it well-formed. None is timed."""

import contextlib
import json
import math
from collections.abc import Callable, Sequence
from functools import partial

import pytest
import trio
from click.testing import CliRunner
from click.testing import Result as Outcome
from hypothesis import given
from hypothesis import strategies as st
from riskd.supervisor.tree import ChildSpec, Supervisor
from riskd.tools.bench import (
    __main__ as bench,
)
from riskd.tools.bench import (
    book,
    clients,
    commit,
    echo,
    gate,
    group_commit,
    growth,
    halt,
    leak,
    lease,
    mailbox,
    replay,
    restart,
    resume,
    start,
)
from riskd.tools.bench.processes import Broken, placed
from riskd.tools.bench.results import (
    Figure,
    Promise,
    Result,
    at_least,
    at_most,
    in_turn,
    latency,
    percentile,
    rate,
    warm_up,
)

TINY: dict[str, Callable[[], Sequence[Result]]] = {
    "restart": partial(restart.measure, 2),
    "leak": partial(leak.measure, 2),
    "start": partial(start.measure, 1),
    "clients": partial(clients.measure, 2, idle=3, flood_mb=1, deaths=5),
    "echo": partial(echo.measure, 2),
    "mailbox": partial(mailbox.measure, 2),
    "commit": partial(commit.measure, 2),
    "group_commit": partial(group_commit.measure, 2),
    "replay": partial(replay.measure, 20, times=1),
    "resume": partial(resume.measure, 20, starts=1),
    "lease": partial(lease.measure, 2_000, readers=3),
    "growth": partial(growth.measure, 6_000),
    "halt": partial(halt.measure, 2, readers=2, crowd=2),
    "gate": partial(gate.measure, 2, many=3, workers=3),
    "book": partial(book.measure, 50, many=3, times=1),
}


# --- the programs ---------------------------------------------------------------------------------


def test_every_benchmark_is_run_here() -> None:
    assert list(TINY) == list(bench.BENCHMARKS)


@pytest.mark.parametrize("name", TINY)
def test_a_benchmark_gives_well_formed_results(name: str) -> None:
    results = TINY[name]()
    assert results
    assert len({result.name for result in results}) == len(results)
    for result in results:
        assert result.n > 0
        assert_figure(result.figure)
        if result.peer is not None:
            assert result.peer_name
            assert_figure(result.peer)


def assert_figure(figure: Figure) -> None:
    assert figure.unit
    assert math.isfinite(figure.value)
    if figure.p99 is not None:
        # The bad end of a rate is its low one.
        low, high = sorted([figure.value, figure.p99], reverse=figure.unit == "/s")
        assert (low, high) == (figure.value, figure.p99)


def test_a_riskd_does_not_outlive_a_benchmark_that_broke() -> None:
    with contextlib.suppress(ZeroDivisionError), placed() as daemon:
        daemon.start()
        assert daemon.memory_mib() > 0
        raise ZeroDivisionError
    with pytest.raises(FileNotFoundError):
        daemon.memory_mib()


def test_a_riskd_that_was_not_started_is_no_figure() -> None:
    with placed() as daemon, pytest.raises(Broken, match="not started"):
        daemon.wait_answering()


# --- leaks ----------------------------------------------------------------------------------------


async def test_what_each_act_leaves_behind_is_seen(autojump_clock: object) -> None:
    left: list[list[object]] = []

    async def act() -> None:
        await trio.lowlevel.checkpoint()
        left.append([])

    grown = await leak.growth(5 * leak.STRAY_MAX, act, Supervisor())
    broken = {r.name for r in leak.compare("acts", 1, grown, grown) if not bench.kept(r)}
    assert {"allocations after acts", "objects after acts"} <= broken


async def test_a_task_left_behind_is_seen(autojump_clock: object, nursery: trio.Nursery) -> None:
    async def act() -> None:
        nursery.start_soon(trio.sleep_forever)
        await trio.lowlevel.checkpoint()

    grown = await leak.growth(10, act, Supervisor())
    assert grown.tasks == 10


@given(st.recursive(st.integers(), st.lists, max_leaves=20))
def test_held_are_the_elements_at_any_depth(tree: object) -> None:
    assert leak.held_by(tree) == elements(tree)


def elements(tree: object) -> int:
    return len(tree) + sum(map(elements, tree)) if isinstance(tree, list) else 0


def test_what_a_supervisor_holds_grows_with_its_children() -> None:
    few, many = (
        Supervisor([ChildSpec(f"child-{i}", restart.idle) for i in range(count)])
        for count in (1, 100)
    )
    assert leak.held_by(many) >= leak.held_by(few) + 99


# --- figures --------------------------------------------------------------------------------------

SAMPLES = st.lists(st.floats(1e-9, 1e3), min_size=1)


@given(SAMPLES, st.floats(1, 100))
def test_a_percentile_is_the_smallest_sample_that_so_many_do_not_exceed(
    samples: list[float], percent: float
) -> None:
    found = percentile(samples, percent)
    assert found in samples
    assert sum(s <= found for s in samples) >= len(samples) * percent / 100
    assert sum(s < found for s in samples) < len(samples) * percent / 100


@given(SAMPLES)
def test_a_figure_puts_the_bad_end_beside_the_median(samples: list[float]) -> None:
    assert_figure(latency(samples, ("ms", 1e3)))
    assert_figure(rate(samples, 100))


def test_ours_and_theirs_are_sampled_by_turns() -> None:
    called: list[str] = []

    def sample(whose: str) -> float:
        called.append(whose)
        return float(len(called))

    ours, theirs = in_turn(20, partial(sample, "ours"), partial(sample, "theirs"))
    assert called == ["ours", "theirs"] * (20 + warm_up(20))
    assert len(ours) == len(theirs) == 20
    assert min(ours) > 2 * warm_up(20)


def test_a_ratio_is_ours_to_the_peers() -> None:
    three = Figure(3.0, "ms")
    assert Result(name="x", n=1, figure=three, peer=Figure(2.0, "ms")).ratio == 1.5
    assert Result(name="x", n=1, figure=three, peer=Figure(0.0, "ms")).ratio is None
    assert Result(name="x", n=1, figure=three).ratio is None


def test_a_promise_is_kept_up_to_its_limit() -> None:
    assert at_most(1.0, Figure(1.0, "ms")) == Promise("at most 1 ms", kept=True)
    assert at_most(1.0, Figure(1.01, "ms")) == Promise("at most 1 ms", kept=False)
    assert at_least(3e5, Figure(3e5, "/s")) == Promise("at least 300,000 /s", kept=True)
    assert at_least(3e5, Figure(299_999.0, "/s")) == Promise("at least 300,000 /s", kept=False)


# --- the command ----------------------------------------------------------------------------------


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str, limit: float = 100.0) -> Outcome:
    """The command, with one benchmark whose figure is how many samples it was asked for."""

    def measure(n: int) -> list[Result]:
        figure = Figure(float(n), "ms")
        promise = at_most(limit, figure)
        return [Result(name="made up", n=n, figure=figure, promise=promise, note="so it is")]

    monkeypatch.setattr(bench, "BENCHMARKS", {"commit": bench.Benchmark(measure, 50, 5)})
    return CliRunner().invoke(bench.main, arguments)


def test_a_broken_promise_is_exit_status_1(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch).exit_code == 0
    broken = run(monkeypatch, limit=49.0)
    assert broken.exit_code == 1
    assert "at most 49 ms: NOT KEPT" in broken.stdout


def test_quick_makes_fewer_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    assert " 50 ms " in run(monkeypatch).stdout
    assert " 5 ms " in run(monkeypatch, "--quick").stdout


def test_the_report_has_a_line_for_each_result(monkeypatch: pytest.MonkeyPatch) -> None:
    head, line, note, machine = run(monkeypatch, "commit").stdout.splitlines()
    assert head.split()[0] == "what"
    assert line.split()[:2] == ["made", "up"]
    assert note.strip() == "so it is"
    assert machine.startswith("python 3.")


def test_json_is_one_document_with_the_machine_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    document = json.loads(run(monkeypatch, "--json", "--quick").stdout)
    assert set(document["machine"]) == {"python", "system", "processors", "load"}
    (result,) = document["results"]
    assert result == {
        "name": "made up",
        "n": 5,
        "figure": {"value": 5.0, "unit": "ms", "p99": None},
        "peer_name": "",
        "peer": None,
        "ratio": None,
        "promise": {"text": "at most 100 ms", "kept": True},
        "note": "so it is",
    }


def test_an_unknown_name_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = run(monkeypatch, "speed")
    assert wrong.exit_code == 2
    assert "speed" in wrong.output


@given(st.floats(-1e12, 1e12))
def test_a_number_is_short_and_near(value: float) -> None:
    assert float(bench.number(value).replace(",", "")) == pytest.approx(value, rel=0.01, abs=0.5)
