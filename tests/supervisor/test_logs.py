"""Logs: well-formed lines, no forged ones, and a writer that never waits for a reader."""

import json
import math
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TextIO

import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.messages import KeyChange, LimitChange
from riskd.supervisor import logs

SECRET = "hunter2"  # noqa: S105 - stands for one, in a variable that a traceback could show


@pytest.fixture(autouse=True)
def configured_for_this_test_alone() -> Iterator[None]:
    yield
    structlog.reset_defaults()


class Log:
    """A log into a file, and the lines that are in it once it is closed."""

    def __init__(self, path: Path, format_: logs.Format, level: logs.Level = "info") -> None:
        self.path = path
        with path.open("w") as stream:  # the writer has a descriptor of its own
            self.writer = logs.configure(format_, level, stream)
        self.logger = structlog.get_logger()

    def lines(self) -> list[str]:
        self.writer.close(timeout_s=20)
        return self.path.read_text(encoding="utf-8").splitlines()

    def events(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.lines()]


Open = Callable[..., Log]


@pytest.fixture
def open_log(tmp_path: Path) -> Open:
    return lambda *arguments: Log(tmp_path / "log", *arguments)


def fail() -> None:
    secret = SECRET
    raise ValueError(f"line one\n2024-01-01 [info] forged of {len(secret)}")


def log_failure(log: Log) -> None:
    try:
        fail()
    except ValueError:
        log.logger.exception("actor.failed", actor="gate")


# --- for programs ---------------------------------------------------------------------------------


def test_a_json_line_has_time_level_and_event_first_and_then_its_values(open_log: Open) -> None:
    log = open_log("json")
    log.logger.warning("child.failed", child="gate", restarts=2, held=None)
    (line,) = log.lines()
    event = json.loads(line)
    assert list(event) == ["timestamp", "level", "event", "child", "restarts", "held"]
    assert datetime.fromisoformat(event.pop("timestamp")).tzinfo == UTC
    assert list(event.values()) == ["warning", "child.failed", "gate", 2, None]


def test_values_of_any_kind_are_json(open_log: Open) -> None:
    itself: list[object] = []
    itself.append(itself)
    log = open_log("json")
    log.logger.info("a", path=Path("/x"), infinite=math.inf, pair=(1, "2"), type=int)
    log.logger.info("b", half="\ud800", whole="ü")
    log.logger.info("c", itself=itself)
    a, b, c = log.events()
    assert (a["path"], a["infinite"], a["pair"]) == ("/x", None, [1, "2"])
    assert (b["event"], b["half"], b["whole"]) == ("b", "\\ud800", "\\xfc")
    assert (c["event"], c["itself"]) == ("c", "[[...]]")


@given(st.text(), st.text())
def test_no_text_breaks_a_json_line(event: str, value: str) -> None:
    line = logs._as_json(None, "info", {"event": event, "value": value})
    assert "\n" not in line
    assert set(json.loads(line)) == {"event", "value"}


def test_a_json_line_holds_the_traceback_and_no_variables(open_log: Open) -> None:
    log = open_log("json")
    log_failure(log)
    (event,) = log.events()
    assert (event["level"], event["actor"]) == ("error", "gate")
    assert "ValueError: line one\n2024" in str(event["exception"])
    assert SECRET not in str(event)


# --- for people -----------------------------------------------------------------------------------


def test_a_console_line_is_time_level_event_and_values(open_log: Open) -> None:
    log = open_log("console")
    log.logger.info("riskd.ready", socket="/run/riskd.sock", process_id=7)
    (line,) = log.lines()
    assert re.fullmatch(r"\S+Z \[info +\] riskd\.ready +socket=/run/riskd\.sock process_id=7", line)


def test_what_a_fact_is_made_of_is_shown_as_the_journal_has_it(open_log: Open) -> None:
    """And not in the words of a language that whoever is on call need not know."""
    log = open_log("console")
    changes = (
        LimitChange(rule="a", how="tightened", keys=(KeyChange(key="max", old="2", new="1"),)),
    )
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    log.logger.info("x", limit=Decimal("3.0"), until=at, changes=changes)
    (line,) = log.lines()
    told = '[{"rule":"a","how":"tightened","keys":[{"key":"max","old":"2","new":"1"}]}]'
    assert line.endswith(f"limit=3.0 until=2026-01-02T03:04:05Z changes={told}")


FORGED = "gate\n2024-01-01T00:00:00Z [info     ] all.is.well"


@pytest.mark.parametrize(
    "values",
    [
        {"event": FORGED},
        {"event": "x", "actor": FORGED},
        {"event": "x", "actors": [FORGED]},
        {"event": "x", "actor": "gate\r\x1b[2K\x85\u2028\u202eforged"},
        {"event": "x", FORGED: 1},
        {"event": "x", "bytes": FORGED.encode()},
    ],
)
def test_what_comes_from_outside_can_not_forge_a_line_nor_command_a_terminal(
    open_log: Open, values: dict[str, object]
) -> None:
    log = open_log("console")
    log.logger.info(**values)
    (line,) = log.lines()
    assert line.isprintable()


def test_a_value_can_not_forge_another_value(open_log: Open) -> None:
    log = open_log("console")
    log.logger.info("actor.kill", actor="gate user_id=0", user_id=1000, empty="")
    assert "actor='gate user_id=0' user_id=1000 empty=''" in log.lines()[0]


@given(st.text(), st.text(), st.text())
def test_no_text_makes_two_lines_at_the_margin(event: str, value: str, block: str) -> None:
    render = logs._for_people(colours=False)
    fields = {"timestamp": "now", "level": "info", "event": event, "value": value}
    first, *below = render(None, "info", {**fields, "exception": block}).split("\n")
    assert first.isprintable()
    assert all(line.isprintable() and line.startswith("    ") for line in below if line)


def test_a_traceback_is_shown_below_its_event_off_the_margin_and_without_variables(
    open_log: Open,
) -> None:
    log = open_log("console")
    log_failure(log)
    first, *below = log.lines()
    assert first.endswith("actor=gate")
    assert below[0] == "    Traceback (most recent call last):"
    assert below[-2:] == [
        "    ValueError: line one",
        f"    2024-01-01 [info] forged of {len(SECRET)}",
    ]
    assert all(line.startswith("    ") for line in below)
    assert SECRET not in "".join(below)


def test_a_stack_is_shown_line_by_line(open_log: Open) -> None:
    log = open_log("console")
    log.logger.error("actor.stuck", stack=["task gate", "gate.py:1 run\nforged"])
    first, *below = log.lines()
    assert "actor.stuck" in first
    assert below == ["    task gate", "    gate.py:1 run\\nforged"]


def test_a_value_beyond_all_measure_is_cut(open_log: Open, tmp_path: Path) -> None:
    long = "x" * (logs.VALUE_CHARS_MAX + 7)
    shown = f"{'x' * logs.VALUE_CHARS_MAX}… and 7 more"
    log = open_log("json")
    log.logger.info("big", value=long)
    assert log.events()[0]["value"] == shown
    console = Log(tmp_path / "console", "console")
    console.logger.info("big", value=f"{long} {long}", number=[long])
    assert all(len(line) < 3 * logs.VALUE_CHARS_MAX for line in console.lines())


def test_on_a_terminal_auto_is_for_people_and_elsewhere_for_programs(open_log: Open) -> None:
    log = open_log("auto")
    log.logger.info("x")
    assert log.events()[0]["event"] == "x"

    master, terminal = pty.openpty()
    with os.fdopen(terminal, "w") as stream:
        writer = logs.configure("auto", "info", stream)
        structlog.get_logger().info("y")
        shown = os.read(master, 4096).decode()
        writer.close(timeout_s=20)
    os.close(master)
    assert "\x1b[" in shown
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(shown)


# --- levels ---------------------------------------------------------------------------------------


def test_a_change_of_the_level_holds_at_once_for_loggers_that_exist(open_log: Open) -> None:
    log = open_log("json", "warning")
    bound = log.logger.bind(actor="gate")
    bound.info("a")
    bound.warning("b")
    log.writer.level = "debug"
    bound.debug("c")
    log.writer.level = "error"
    bound.warning("d")
    bound.error("e")
    bound.critical("f")
    assert [event["event"] for event in log.events()] == ["b", "c", "e", "f"]


# --- never in the way -----------------------------------------------------------------------------


class Pipe:
    """A pipe that is read when the test says so."""

    def __init__(self) -> None:
        self.reader, writer = os.pipe()
        self.stream: TextIO = os.fdopen(writer, "w")
        os.set_blocking(writer, False)
        try:
            while os.write(writer, b"." * 4096):
                pass
        except BlockingIOError:
            os.set_blocking(writer, True)

    def read_to_the_end(self) -> list[str]:
        """What was written after the pipe was full; the writer must have been closed."""
        self.stream.close()
        with os.fdopen(self.reader, "rb") as reader:
            return reader.read().lstrip(b".").decode().splitlines()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    if not pipe.stream.closed:
        pipe.stream.close()
        os.close(pipe.reader)


def read_while_closing(pipe: Pipe, writer: logs.Writer) -> list[str]:
    with ThreadPoolExecutor(1) as reader:
        lines = reader.submit(pipe.read_to_the_end)
        writer.close(timeout_s=20)
        return lines.result()


def test_a_pipe_that_nobody_reads_holds_up_neither_the_writing_nor_the_close(pipe: Pipe) -> None:
    writer = logs.Writer(pipe.stream, lines_max=10)
    for number in range(1000):
        writer.write(f"line {number}")
    writer.close(timeout_s=0.01)
    assert writer._thread.is_alive()  # it waits for a reader, alone
    read_while_closing(pipe, writer)


def test_every_line_is_written_in_order_or_counted_as_dropped(pipe: Pipe) -> None:
    writer = logs.Writer(pipe.stream, lines_max=10)
    for number in range(1000):
        writer.write(f"line {number}")
    lines = read_while_closing(pipe, writer)
    written = lines[:-1]
    assert written == [f"line {number}" for number in range(len(written))]
    assert len(written) in (10, 11)  # the thread has one in hand, or not yet
    assert lines[-1] == f"log.dropped lines={1000 - len(written)}"


def test_the_count_is_told_as_soon_as_there_is_room_and_begins_anew(pipe: Pipe) -> None:
    writer = logs.Writer(pipe.stream, lines_max=2)
    for number in range(10):
        writer.write(f"line {number}")
    dropped = writer._dropped
    os.read(pipe.reader, 65536)  # there is a reader, and so there will be room
    while not writer._queue.empty():
        os.sched_yield()
    writer.write("room")
    lines = read_while_closing(pipe, writer)
    assert lines[-2:] == [f"log.dropped lines={dropped}", "room"]
    assert len(lines) == 10 - dropped + 2


@pytest.mark.parametrize("format_", ["json", "console"])
def test_the_count_is_a_line_like_any_other_at_any_level(pipe: Pipe, format_: logs.Format) -> None:
    writer = logs.configure(format_, "error", pipe.stream)
    for _ in range(logs.LINES_MAX + 50):
        structlog.get_logger().error("x")
    last = read_while_closing(pipe, writer)[-1]
    if format_ == "json":
        event = json.loads(last)
        assert (event["level"], event["event"]) == ("warning", "log.dropped")
        assert event["lines"] in (49, 50)
        assert datetime.fromisoformat(event["timestamp"])
    else:
        assert re.search(r"Z \[warning +\] log\.dropped +lines=(49|50)$", last)


def test_a_reader_that_has_gone_away_is_survived(pipe: Pipe) -> None:
    os.close(pipe.reader)
    writer = logs.Writer(pipe.stream, lines_max=10)
    for _ in range(3):
        for number in range(5):
            writer.write(f"line {number}")
        writer._queue.put("turn", timeout=20)  # there is room again and again: the thread lives
    writer.close(timeout_s=20)
    assert not writer._thread.is_alive()
    pipe.stream.close()


def test_a_descriptor_that_somebody_made_non_blocking_loses_nothing(pipe: Pipe) -> None:
    os.set_blocking(pipe.stream.fileno(), False)
    writer = logs.Writer(pipe.stream)
    expected = [f"{number} {'x' * 100}" for number in range(3000)]  # far more than a pipe holds
    for line in expected:
        writer.write(line)
    assert read_while_closing(pipe, writer) == expected


def test_closing_again_and_writing_afterwards_change_nothing(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", "json")
    log.logger.info("x")
    assert len(log.lines()) == 1
    log.logger.info("y")
    assert len(log.lines()) == 1


ENDS = """
import sys
import structlog
from riskd.supervisor import logs

writer = logs.configure("json", "info", sys.stderr)
for _ in range(20_000):
    structlog.get_logger().info("x")
writer.close(timeout_s=0.01)
"""


def test_a_process_whose_log_nobody_reads_ends_as_it_should(pipe: Pipe) -> None:
    command = [sys.executable, "-P", "-c", ENDS]
    assert subprocess.call(command, stderr=pipe.stream, timeout=60) == 0
