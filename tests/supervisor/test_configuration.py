"""What a reload reads: in threads, and never for longer than the settings actor may be silent."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio.testing
from riskd.actors.settings import Invalid
from riskd.config import embedded, load
from riskd.config.schema import Supervision
from riskd.supervisor import configuration
from riskd.supervisor.configuration import CHECK_TIMEOUT_S, READ_TIMEOUT_S, Configuration

Block = Callable[[str], None]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "riskd.toml"
    path.write_text('[accounts.main]\nexchange = "sim"\n')
    return path


@pytest.fixture
def block(monkeypatch: pytest.MonkeyPatch) -> Iterator[Block]:
    """Has a function of the module wait until the test is over."""
    over = threading.Event()
    yield lambda name: monkeypatch.setattr(configuration, name, lambda *_: over.wait())
    over.set()


async def problem(source: Configuration) -> str:
    with pytest.raises(Invalid) as refused:
        await source.read()
    (line,) = refused.value.problems
    return line


async def test_a_file_is_looked_at_away_from_the_loop(
    file: Path, monkeypatch: pytest.MonkeyPatch
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
    file: Path, block: Block, autojump_clock: trio.testing.MockClock
) -> None:
    source = Configuration(load(file, {}), file, {})
    block("text_of")
    assert await problem(source) == f"{file}: not read within 1 s: its disk does not answer"
    assert source.current == load(file, {}).config


async def test_a_file_that_says_too_much_is_told_and_changes_nothing(
    file: Path, block: Block, autojump_clock: trio.testing.MockClock
) -> None:
    source = Configuration(load(file, {}), file, {})
    block("parse")
    said = await problem(source)
    assert said == f"{file}: not checked within 2.5 s; shorten it, or restart riskd"
    assert source.current == load(file, {}).config


def test_a_reload_is_over_before_the_heartbeat_gives_the_actor_up() -> None:
    patience = Supervision()
    silent_s = patience.heartbeat_misses * patience.heartbeat_timeout_s
    assert silent_s > READ_TIMEOUT_S + CHECK_TIMEOUT_S


async def test_the_embedded_setup_is_no_file_that_could_be_read_again() -> None:
    said = await problem(Configuration(embedded(), None, {}))
    assert said == "riskd runs on its embedded paper setup: there is no file to read"
