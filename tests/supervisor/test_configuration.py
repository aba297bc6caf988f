"""What a reload reads: in threads, and never for longer than the settings actor may be silent."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest
import trio
import trio.testing
from riskd.actors.settings import Invalid
from riskd.config import embedded
from riskd.config.schema import Supervision
from riskd.supervisor import configuration
from riskd.supervisor.configuration import CHECK_TIMEOUT_S, READ_TIMEOUT_S, Configuration


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "riskd.toml"
    path.write_text('[accounts.main]\nexchange = "sim"\n')
    return path


@attrs.define
class Stuck:
    """A function that does not return before the test is over."""

    began: trio.Event = attrs.field(factory=trio.Event)
    over: threading.Event = attrs.field(factory=threading.Event)

    def __call__(self, *_: object) -> None:
        trio.from_thread.run_sync(self.began.set)
        self.over.wait()


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    found = Stuck()
    yield found
    found.over.set()


async def problem(source: Configuration) -> str:
    with pytest.raises(Invalid) as refused:
        await source.read()
    (line,) = refused.value.problems
    return line


async def problem_after(limit_s: float, source: Configuration, stuck: Stuck) -> str:
    """What is told when so much time has passed, and nothing before."""
    told: list[str] = []

    async def read() -> None:
        told.append(await problem(source))

    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, trio.testing.MockClock)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await stuck.began.wait()
        for passes_s, count in ((limit_s - 0.5, 0), (0.5, 1)):
            clock.jump(passes_s)
            await trio.testing.wait_all_tasks_blocked()
            assert len(told) == count
    return told[0]


async def test_a_file_is_looked_at_away_from_the_loop(
    file: Path, monkeypatch: pytest.MonkeyPatch, mock_clock: trio.testing.MockClock
) -> None:
    threads = []
    for name in ("text_of", "parse"):
        real = getattr(configuration, name)

        def noted(*given: object, real: Callable[..., object] = real) -> object:
            threads.append(threading.current_thread())
            return real(*given)

        monkeypatch.setattr(configuration, name, noted)
    found = await Configuration(embedded(), file, {}).read()
    assert found.changed == ("accounts.main.balance", "instruments")
    assert len(threads) == 2
    assert threading.current_thread() not in threads


async def test_a_disk_that_does_not_answer_is_told_and_changes_nothing(
    file: Path,
    stuck: Stuck,
    monkeypatch: pytest.MonkeyPatch,
    mock_clock: trio.testing.MockClock,
) -> None:
    monkeypatch.setattr(configuration, "text_of", stuck)
    source = Configuration(embedded(), file, {})
    said = await problem_after(READ_TIMEOUT_S, source, stuck)
    assert said == f"{file}: not read within 1 s: its disk does not answer"
    assert source.current == embedded().config


async def test_a_file_that_says_too_much_is_told_and_changes_nothing(
    file: Path,
    stuck: Stuck,
    monkeypatch: pytest.MonkeyPatch,
    mock_clock: trio.testing.MockClock,
) -> None:
    monkeypatch.setattr(configuration, "parse", stuck)
    source = Configuration(embedded(), file, {})
    said = await problem_after(CHECK_TIMEOUT_S, source, stuck)
    assert said == (
        f"{file}: not checked within 2.5 s: it says much, or the machine is busy; "
        "reload again, or restart riskd"
    )
    assert source.current == embedded().config


def test_a_reload_is_over_before_the_heartbeat_gives_the_actor_up() -> None:
    patience = Supervision()
    silent_s = patience.heartbeat_misses * patience.heartbeat_timeout_s
    assert silent_s > READ_TIMEOUT_S + CHECK_TIMEOUT_S


async def test_the_embedded_setup_is_no_file_that_could_be_read_again() -> None:
    said = await problem(Configuration(embedded(), None, {}))
    assert said == "riskd runs on its embedded paper setup: there is no file to read"
