"""Bytes to commands: framing in any chunks, and one typed answer to whatever a line holds."""

import itertools
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from riskd.actors.core.wire import (
    COMMAND_TAGS,
    FIELD_CHARACTERS_MAX,
    ErrorCode,
    Lines,
    LineTooLong,
    blank,
    parse,
)
from riskd.actors.messages import (
    AnyReply,
    ClientCommand,
    Command,
    Error,
    KillActor,
    ReportEvents,
    Status,
)
from riskd.actors.messages.book import Fill

DEEP = 60_000
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def chunked(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    return [stream[a:b] for a, b in itertools.pairwise(edges)]


def error_of(line: bytes) -> Error:
    found = parse(line)
    assert isinstance(found, Error)
    return found


@given(st.lists(st.binary(max_size=20).filter(lambda b: b"\n" not in b)), st.lists(st.integers()))
def test_any_chunking_gives_the_same_lines(lines: list[bytes], cuts: list[int]) -> None:
    framing = Lines(20)
    stream = b"".join(line + b"\n" for line in lines) + b"rest"
    assert [line for chunk in chunked(stream, cuts) for line in framing.feed(chunk)] == lines
    assert framing.pending == len(b"rest")


@given(st.integers(min_value=0, max_value=40), st.lists(st.integers()))
def test_a_line_of_exactly_the_limit_passes_and_one_byte_more_does_not(
    length: int, cuts: list[int]
) -> None:
    framing, seen = Lines(20), []
    stream = b"ok\n" + b"x" * length + b"\n"
    try:
        for chunk in chunked(stream, cuts):
            seen += list(framing.feed(chunk))
    except LineTooLong:
        assert length > 20
        assert framing.pending <= 20
    else:
        assert seen == [b"ok", b"x" * length]
        assert length <= 20


def test_the_lines_before_one_that_is_too_long_still_come() -> None:
    feed = Lines(4).feed(b"a\nb\ntoo long")
    assert (next(feed), next(feed)) == (b"a", b"b")
    with pytest.raises(LineTooLong, match="4 bytes"):
        next(feed)


@pytest.mark.parametrize("line", [b"", b"\r", b"  ", b" \t\r"])
def test_white_space_is_a_blank_line(line: bytes) -> None:
    assert blank(line)
    assert not blank(line + b"{}")


@pytest.mark.parametrize(
    ("line", "code", "field", "about"),
    [
        (b"{", "invalid_json", None, None),
        (b"status", "invalid_json", None, None),
        (b'{"type":"status"} {"type":"status"}', "invalid_json", None, None),
        (b'{"type":"status"}\0', "invalid_json", None, None),
        (b"\0", "invalid_json", None, None),
        (b'\xef\xbb\xbf{"type":"status"}', "invalid_json", None, None),
        (b'{"type":"kill_actor","name":"\xff"}', "invalid_json", None, None),
        (b'{"type":"kill_actor","name":"\\ud800"}', "invalid_json", None, None),
        (b'{"id":1,"type":NaN}', "invalid_json", None, None),
        (b'{"id":' + b"[" * DEEP, "invalid_json", None, None),
        (b"[" * DEEP, "invalid_value", None, None),
        (b"[]", "invalid_value", None, None),
        (b"7", "invalid_value", None, None),
        (b"null", "invalid_value", None, None),
        (b'{"type":"melt","id":7}', "unknown_type", "type", 7),
        (b'{"type":"status","type":"version","id":7}', "unknown_type", "type", 7),
        (b'{"type":7,"id":"a"}', "invalid_value", "type", "a"),
        (b'{"id":7}', "missing_field", "type", 7),
        (b"{}", "missing_field", "type", 0),
        (b'{"type":"kill_actor","id":7}', "missing_field", "name", 7),
        (b'{"type":"kill_actor","id":7,"name":3}', "invalid_value", "name", 7),
        (b'{"type":"kill_actor","id":7,"name":""}', "invalid_value", "name", 7),
        (b'{"type":"kill_actor","id":7,"name":null}', "invalid_value", "name", 7),
        (b'{"type":"status","id":7,"nmae":"x"}', "unknown_field", "nmae", 7),
        (b'{"type":"status","id":-1}', "invalid_value", "id", None),
        (b'{"type":"status","id":1.5}', "invalid_value", "id", None),
        (b'{"type":"status","id":1' + b"0" * 6000 + b"}", "invalid_value", "id", None),
        (b'{"type":"status","id":1e400}', "invalid_value", "id", None),
        (b'{"type":"status","id":true}', "invalid_value", "id", None),
    ],
)
def test_a_bad_line_gets_its_code_its_field_and_its_id(
    line: bytes, code: str, field: str | None, about: int | str | None
) -> None:
    found = error_of(line)
    assert (found.code, found.field, found.id) == (code, field, about)
    assert found.message


def test_a_good_line_is_its_command() -> None:
    assert parse(b'{"type":"status"}') == Status()
    assert parse(b' {"id":"a","name":"gate","type":"kill_actor"}\r') == KillActor(
        id="a", name="gate"
    )


def test_of_a_repeated_key_the_last_one_counts() -> None:
    assert parse(b'{"type":"kill_actor","name":"a","name":"b"}') == KillActor(name="b")


def test_an_unknown_type_is_told_which_there_are() -> None:
    message = error_of(b'{"type":"melt"}').message
    assert all(tag in message for tag in COMMAND_TAGS)


@example("x" * 400)
@given(st.text(min_size=1, max_size=400).filter(lambda name: name not in ("id", "type")))
def test_an_unknown_field_is_named_in_bounded_length(name: str) -> None:
    found = error_of(json.dumps({"type": "status", name: 1}).encode())
    if found.code == "unknown_field":
        assert found.field == name[:FIELD_CHARACTERS_MAX]
        assert len(found.message) < 20 * FIELD_CHARACTERS_MAX
    else:
        # A lone surrogate can be written in JSON and is no text.
        assert found.code == "invalid_json"


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
@example(b'{"type":"status","id":' + b"9" * 4000 + b"}")
def test_whatever_a_line_holds_the_answer_is_a_command_or_an_error_that_can_be_sent(
    line: bytes,
) -> None:
    found = parse(line)
    assert isinstance(found, Command | Error)
    if isinstance(found, Error):
        assert found.code in get_args(ErrorCode)
    assert msgspec.json.encode(Error(id=found.id, code="internal", message=""))


# --- the page that describes it -------------------------------------------------------------------

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^→ (.*)\n← (.*)$", PAGE, re.MULTILINE)
WIRE_CODES = {"invalid_json", "unknown_type", "unknown_field", "missing_field", "invalid_value"}


@pytest.mark.parametrize(("sent", "answered"), EXAMPLES)
def test_an_example_of_the_protocols_page_is_true(sent: str, answered: str) -> None:
    reply = msgspec.json.decode(answered, type=AnyReply)
    found = parse(sent.encode())
    if isinstance(found, Error):
        assert found == reply
    else:
        assert found.id == reply.id
        assert json.loads(msgspec.json.encode(reply)) == json.loads(answered)


def test_the_protocols_page_shows_every_command_and_every_code() -> None:
    shown = [parse(sent.encode()) for sent, _ in EXAMPLES]
    assert {type(each) for each in shown} == {Error, *get_args(ClientCommand)}
    assert {each.code for each in shown if isinstance(each, Error)} == WIRE_CODES
    codes = PAGE.partition("| code | means |")[2]
    assert set(re.findall(r"^\| `(\w+)` \|", codes, re.MULTILINE)) == set(get_args(ErrorCode))


def report(event: str) -> bytes:
    good = '{"type":"tick"}'
    return f'{{"type":"report","id":1,"account":"a","events":[{good},{event}]}}'.encode()


def fill(qty: str) -> str:
    """As a client might write it."""
    return f'{{"type":"fill","id":"f","symbol":"X","side":"buy","qty":{qty},"price":"1"}}'


@pytest.mark.parametrize("qty", ['"1"', '"+0.25"', '"-1e5"', "1", '"1E-3"'])
def test_exact_numbers_of_events_are_taken(qty: str) -> None:
    command = parse(report(fill(qty)))
    assert isinstance(command, ReportEvents)
    (_, event) = command.events
    assert isinstance(event, Fill)
    assert event.qty == Decimal(qty.strip('"'))


@pytest.mark.parametrize(
    "qty",
    ['"1_000"', '" 1 "', '"NaN"', '"Infinity"', '"\u0661"', '".5"', '"1."', '""', "1.0", "1e5"],
)
def test_what_is_no_exact_number_is_refused_with_its_place(qty: str) -> None:
    """As in a file that is replayed, though the decoder of decimals would take most of it."""
    error = parse(report(fill(qty)))
    assert isinstance(error, Error)
    assert (error.id, error.code, error.field) == (1, "invalid_value", "events[1].qty")
    assert "in quotes" in error.message or "decimal" in error.message


def test_a_float_is_refused_wherever_it_stands_in_an_event() -> None:
    error = parse(report('{"type":"tick","ts":1715947200.5}'))
    assert isinstance(error, Error)
    assert (error.code, error.field) == ("invalid_value", "events[1].ts")


def test_a_number_of_thousands_of_digits_is_refused() -> None:
    error = parse(report(fill("1" * 5_000)))
    assert isinstance(error, Error)
    assert (error.id, error.code, error.field) == (1, "invalid_value", "events")
