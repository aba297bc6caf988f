"""`riskctl book replay`: the book of a file by worked numbers, and what it says of rubbish.

The documents in golden/book were reckoned by hand, from the rules in docs/book.md.
"""

import json
import os
import pty
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.messages.book import Cancel
from riskd.tools.riskctl import main
from riskd.tools.riskctl.replay import LINE_BYTES_MAX, Wrong, event_of

GOLDEN = Path(__file__).parents[1] / "golden" / "book"
CASES = sorted(path.stem for path in GOLDEN.glob("*.jsonl"))
RISKCTL = (sys.executable, "-P", "-m", "riskd.tools.riskctl")

INSTRUMENT: dict[str, Any] = {
    "type": "instrument",
    "symbol": "X",
    "kind": "linear",
    "multiplier": "1",
    "quote": "USDT",
    "settle": "USDT",
}
FILL: dict[str, Any] = {
    "type": "fill",
    "id": "1",
    "symbol": "X",
    "side": "buy",
    "qty": "2",
    "price": "100",
}


def line(event: dict[str, Any], **changes: object) -> str:
    return json.dumps({**event, **changes}) + "\n"


def run(*words: object, events: str | bytes = "") -> Result:
    said = ["book", "replay", *map(str, words)]
    return CliRunner().invoke(main, said, prog_name="riskctl", input=events)


def complaint(said: Result) -> str:
    """The one line on stderr, and nothing on stdout."""
    assert said.exit_code == 2, said.output
    assert said.stdout == ""
    (found,) = said.stderr.splitlines()
    return found


# --- what it prints -------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_a_file_gives_the_document_that_was_reckoned_by_hand(case: str) -> None:
    said = run(GOLDEN / f"{case}.jsonl", "--json")
    assert said.exit_code == 0, said.output
    assert json.loads(said.stdout) == json.loads((GOLDEN / f"{case}.json").read_text())


@pytest.mark.parametrize("case", CASES)
def test_every_file_can_be_shown_as_tables(case: str) -> None:
    said = run(GOLDEN / f"{case}.jsonl")
    assert said.exit_code == 0, said.output
    for symbol in json.loads((GOLDEN / f"{case}.json").read_text())["positions"]:
        assert symbol in said.stdout


def test_tables_say_totals_by_currency_and_what_is_unknown() -> None:
    events = [
        {"type": "account", "ccy": "USD"},
        INSTRUMENT,
        {**INSTRUMENT, "symbol": "Y"},
        {**INSTRUMENT, "symbol": "E", "quote": "EUR", "settle": "EUR"},
        {**FILL, "fee": "0.5"},
        {"type": "mark", "symbol": "X", "price": "104"},
        {**FILL, "symbol": "Y", "fee": "0.25"},
        {"type": "mark", "symbol": "Y", "price": "101"},
        {**FILL, "symbol": "E", "fee": "1", "fee_ccy": "USDT"},
        {"type": "order", "id": "o", "symbol": "Y", "side": "sell", "qty": "5"},
    ]
    said = run("-", events="".join(map(line, events)))
    rows = [text.split() for text in said.stdout.splitlines()]
    (x,) = [row for row in rows if row[:2] == ["X", "long"]]
    assert x[2:] == [
        *("2", "100", "104", "0", "0", "-0.5", "8", "USDT"),
        "0.5",
        "USDT",
        "208",
        "USDT",
    ]
    assert ["total", "0", "0", "-0.75", "10", "USDT", "1.75", "USDT"] in rows
    assert ["total", "0", "0", "unknown", "unknown", "EUR", "-"] in rows
    assert ["Y", "2", "0", "5", "2", "-3"] in rows
    assert ["equity", "unknown"] in rows
    assert any(row[:1] == ["no_mark:E"] for row in rows)


def test_an_empty_file_is_an_empty_book() -> None:
    said = run("-", "--json", events="\n \r\n")
    assert json.loads(said.stdout) == {"positions": {}, "flags": []}
    assert run("-").exit_code == 0


def test_blank_lines_count_as_lines_and_as_nothing_else() -> None:
    events = f"\n{line(INSTRUMENT)}\r\n \n{line(FILL)}"
    assert json.loads(run("-", "--json", events=events).stdout)["positions"]["X"]["qty"] == "2"
    assert complaint(run("-", events=events + "\n}")).startswith("riskctl: stdin:7: ")


# --- what it refuses ------------------------------------------------------------------------------

NUMBER = 'write an exact number in quotes, as "0.25"'
TYPES = "the types are instrument, fill, bust, "


@pytest.mark.parametrize(
    ("bad", "field", "problem"),
    [
        ({**FILL, "qty": "-1"}, "qty", f"must be above 0; {NUMBER}"),
        ({**FILL, "qty": "0"}, "qty", f"must be above 0; {NUMBER}"),
        ({**FILL, "qty": "NaN"}, "qty", f"is no finite number; {NUMBER}"),
        ({**FILL, "qty": "1_000"}, "qty", f"is no finite number; {NUMBER}"),
        ({**FILL, "qty": " 1 "}, "qty", f"is no finite number; {NUMBER}"),
        ({**FILL, "qty": "\u0661\u0662"}, "qty", f"is no finite number; {NUMBER}"),
        ({**FILL, "price": float("nan")}, "price", f"NaN is a JSON float, not exact; {NUMBER}"),
        ({**FILL, "price": "-Infinity"}, "price", f"is no finite number; {NUMBER}"),
        ({**FILL, "qty": 1.5}, "qty", f"1.5 is a JSON float, not exact; {NUMBER}"),
        ({**FILL, "qty": True}, "qty", f"expected `decimal`, got `bool`; {NUMBER}"),
        ({**FILL, "qty": "two"}, "qty", f"is no finite number; {NUMBER}"),
        ({**FILL, "qty": "1e99"}, "qty", "has more than 30 digits before the point or after it"),
        ({**FILL, "fee": None}, "fee", "expected `decimal`, got `null`"),
        ({**FILL, "symbol": "Z"}, "symbol", "'Z' is no instrument that is known; tell of it"),
        ({**FILL, "side": "long"}, "side", "invalid enum value 'long'; write buy or sell"),
        ({**FILL, "pirce": "1"}, "pirce", "is no field of fill; its fields are ts, id, symbol, "),
        ({**FILL, "type": "fil"}, "type", f"'fil' is no type of event; {TYPES}"),
        ({**FILL, "type": ["fill"]}, "type", f"this is no type of event; {TYPES}"),
        ({"id": "1"}, "type", f"is missing; {TYPES}"),
        ({**FILL, "id": 1}, "id", "expected `str`, got `int`; write a text in quotes"),
        ({**FILL, "ts": "noon"}, "ts", "is no time; write ISO 8601"),
        ({**FILL, "ts": 1.5}, "ts", "1.5 is a JSON float, not exact; write ISO 8601"),
        ({"type": "session", "tz": "Mars"}, "tz", "'Mars' is no time zone that this machine knows"),
        ({"type": "session", "reset": "5pm"}, "reset", "is written in another form; write HH:MM"),
        ({"type": "fx", "ccy": "EUR", "rate": "0"}, "rate", "must be above 0"),
    ],
)
def test_a_bad_event_is_named_by_line_field_and_remedy(
    bad: dict[str, Any], field: str, problem: str
) -> None:
    said = complaint(run("-", events=line(INSTRUMENT) + line(FILL) + line(bad)))
    assert said.startswith(f"riskctl: stdin:3: {field}: {problem}")
    assert "; " in said


@pytest.mark.parametrize("field", ["id", "symbol", "side", "qty", "price"])
def test_a_field_that_is_missing_is_named(field: str) -> None:
    event = {key: value for key, value in FILL.items() if key != field}
    said = complaint(run("-", events=line(INSTRUMENT) + line(event)))
    assert said.startswith(f"riskctl: stdin:2: {field}: is missing; write ")


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (b'{"type": "fill"', "is no JSON: Input data was truncated; write one whole JSON object"),
        (b"fill 1 X", "is no JSON: "),
        (b"\xff\xfe", "is no"),
        (b'{"type": "mark", "symbol": "\xff", "price": "1"}', "is not valid UTF-8; save the file"),
        (b"[1, 2]", "is JSON, but no object; write an event"),
        (b"[" * 100_000, "is no JSON: it is nested too deeply; "),
        (b'{"type": "mark", "symbol": "X", "price": ' + b"9" * 6_000 + b"}", "is no JSON: "),
        (b'{"type": "mark", "symbol": "X", "price": [1.5]}', "holds a JSON float; "),
        (b'{"type":"mark","symbol":"X","price":"1","price":"2"}', "price: occurs twice; write it "),
        (b'{"type":"mark","symbol":"\\u0058","price":"1","pric\\u0065":"1"}', "price: occurs "),
    ],
)
def test_a_line_that_is_no_event_is_refused(bad: bytes, problem: str) -> None:
    said = complaint(run("-", events=line(INSTRUMENT).encode() + bad + b"\n"))
    assert said.startswith(f"riskctl: stdin:2: {problem}")
    assert "; " in said


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=128), st.booleans())
def test_a_key_occurs_twice_only_when_it_does(text: str, is_escaped: bool) -> None:
    said = json.dumps(text, ensure_ascii=is_escaped)
    event = event_of(f'{{"type":"cancel","id":{said}}}'.encode())
    assert event == Cancel(id=text)
    with pytest.raises(Wrong, match="occurs twice") as raised:
        event_of(f'{{"type":"cancel","id":{said},"id":{said}}}'.encode())
    assert raised.value.field == "id"


def test_a_line_may_be_as_long_as_the_limit_and_no_longer() -> None:
    event = line(INSTRUMENT).rstrip().encode()
    full = event.ljust(LINE_BYTES_MAX - 1) + b"\n"
    assert run("-", events=full).exit_code == 0
    assert "stdin:2: is longer than" in complaint(run("-", events=full + b" " + full))


def test_a_name_from_the_file_is_bounded_and_obeyed_by_no_terminal() -> None:
    said = complaint(run("-", events=line({**INSTRUMENT, "\x1b[31m" + "x" * 100_000: "1"})))
    assert len(said) < 400
    assert "\x1b" not in said


def test_with_json_a_refusal_is_a_document_and_words_on_stderr() -> None:
    said = run("-", "--json", events=line(INSTRUMENT) + line(FILL, qty="-1"))
    assert said.exit_code == 2
    message = f"stdin:2: qty: must be above 0; {NUMBER}"
    more = {"file": "stdin", "line": 2, "field": "qty"}
    assert json.loads(said.stdout) == {
        "error": {"code": "invalid_event", "message": message, **more}
    }
    assert said.stderr == f"riskctl: {message}\n"


# --- as a process ---------------------------------------------------------------------------------


def process(
    *words: object, events: bytes | None = None, **options: Any
) -> subprocess.CompletedProcess[bytes]:
    said = [*RISKCTL, "book", "replay", *map(str, words)]
    return subprocess.run(
        said, input=events, capture_output=True, timeout=60, check=False, **options
    )


def test_the_command_reads_a_file_and_a_pipe_alike() -> None:
    file = GOLDEN / "inverse.jsonl"
    by_name, piped = process(file, "--json"), process("-", "--json", events=file.read_bytes())
    assert by_name.returncode == piped.returncode == 0
    assert by_name.stdout == piped.stdout
    assert json.loads(by_name.stdout) == json.loads((GOLDEN / "inverse.json").read_text())


def test_what_is_no_readable_file_ends_with_status_2(tmp_path: Path) -> None:
    locked = tmp_path / "locked.jsonl"
    locked.write_text("")
    locked.chmod(0)
    names = [tmp_path / "missing.jsonl", tmp_path, "\x1b.jsonl"]
    if os.geteuid():
        names.append(locked)
    for name in names:
        said = process(name)
        assert (said.returncode, said.stdout) == (2, b"")
        (text,) = said.stderr.decode().splitlines()
        assert "it can't be read: " in text
        assert "; " in text
        assert "\x1b" not in text


def test_a_closed_stdin_is_said_and_is_no_empty_book() -> None:
    said = process("-", preexec_fn=lambda: os.close(0))
    assert (said.returncode, said.stdout) == (2, b"")
    assert b"riskctl: stdin: it is closed; name a file" in said.stderr


def test_a_long_line_costs_no_more_memory_than_the_limit(tmp_path: Path) -> None:
    file = tmp_path / "long.jsonl"
    with file.open("wb") as out:
        out.truncate(3 * 2**30)
    limit = 2**30
    said = process(file, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
    assert (said.returncode, said.stdout) == (2, b"")
    assert b":1: is longer than" in said.stderr


def test_a_long_file_shows_how_far_it_is_on_a_terminal_only(tmp_path: Path) -> None:
    file = tmp_path / "long.jsonl"
    file.write_text(line(INSTRUMENT) + line({"type": "tick"}) * 2_000)
    program = (
        "from riskd.tools.riskctl import main, terminal\n"
        "terminal.PATIENCE_S = 0\n"
        f"main(['book', 'replay', {str(file)!r}, '--json'])\n"
    )
    theirs, ours = pty.openpty()
    try:
        said = subprocess.run(
            [sys.executable, "-P", "-c", program],
            stdout=subprocess.PIPE,
            stderr=ours,
            env={**os.environ, "TERM": "xterm"},
            timeout=60,
            check=False,
        )
        os.set_blocking(theirs, False)
        shown = os.read(theirs, 1_000_000)
    finally:
        os.close(theirs)
        os.close(ours)
    assert said.returncode == 0
    assert json.loads(said.stdout) == {"positions": {}, "flags": []}
    assert b"replaying" in shown
    assert process(file, "--json").stderr == b""
