"""From a file to a configuration, or to all of its problems, each with its place and remedy."""

import hashlib
import os
import subprocess
import sys
import traceback
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct
from riskd.config import (
    Config,
    ConfigInvalid,
    Secret,
    differences,
    embedded,
    load,
    masked,
    parse,
)
from riskd.config.loader import FILE_BYTES_MAX, PAPER, parse_as
from riskd.config.problems import Problem, dotted
from riskd.config.schema import NOT_BUILT, Account


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigInvalid) as refused:
        parse(text, "FILE", {})
    assert str(refused.value) == "\n".join(map(str, refused.value.problems))
    return [str(problem) for problem in refused.value.problems]


def test_an_empty_file_means_the_defaults_and_replaces_the_embedded_setup_whole(
    tmp_path: Path,
) -> None:
    file = tmp_path / "riskd.toml"
    file.touch()
    loaded = load(file, {})
    assert loaded.config == Config()
    assert loaded.source == str(file)
    assert differences(Config(), embedded().config) == ["accounts.main", "instruments"]


def test_without_a_file_there_is_a_paper_account_and_two_instruments() -> None:
    found = embedded()
    assert found.source == "embedded paper setup"
    assert found.config.accounts == {
        "main": Account(currency="USD", balance=Decimal(100_000), exchange="sim")
    }
    traded = [(each.symbol, each.kind, each.settled_in) for each in found.config.instruments]
    assert traded == [("BTCUSDT", "linear", "USD"), ("ETHUSDT", "linear", "USD")]
    assert all(each.tick and each.lot and each.min_notional for each in found.config.instruments)
    assert found.digest == hashlib.sha256(PAPER.read_bytes()).hexdigest()


def test_what_is_written_is_what_is_loaded(tmp_path: Path) -> None:
    file = tmp_path / "riskd.toml"
    file.write_text(
        "riskd.stop_timeout_s = 5\n[control]\nmax_clients = 7\n"
        '[security]\ngroup = "desk"\noperators = ["ann", "12"]\n'
    )
    loaded = load(file, {})
    assert loaded.config.riskd.stop_timeout_s == 5.0
    assert loaded.config.control.max_clients == 7
    assert loaded.config.security.operators == ("ann", "12")


def test_the_digest_is_the_one_that_sha256sum_prints(tmp_path: Path) -> None:
    file = tmp_path / "riskd.toml"
    file.write_bytes("# é\r\n[riskd]\r\n".encode())
    printed = subprocess.run(["sha256sum", file], capture_output=True, check=True, text=True)  # noqa: S607 - the system's own program
    assert load(file, {}).digest == printed.stdout.split()[0]


def test_all_problems_are_told_at_once_in_the_order_of_the_file() -> None:
    text = """\
[control]
max_clients = 0
send_timeout = 1.0

[[workers]]
name = "mm-1"

[riskd]
stop_timeout_s = "30"
log_level = "warn"
"""
    expected = """\
FILE:2: control.max_clients: is out of bounds; write a whole number from 1 up to 65536
FILE:3: control.send_timeout: is not a key that riskd knows; did you mean "send_timeout_s"?
FILE:5: workers: this version of riskd does not act on [workers]: none would be started; \
remove it, or run a version that does
FILE:9: riskd.stop_timeout_s: is text; write a number above 0 up to 3600
FILE:10: riskd.log_level: is none of the known words; did you mean "warning"?
"""
    assert problems(text) == expected.splitlines()


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: str


class Desk(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    rules: list[Rule] = []
    main: Rule


def test_a_missing_key_is_told_with_the_line_of_its_table() -> None:
    with pytest.raises(ConfigInvalid) as refused:
        parse_as(Desk, '[[rules]]\nkind = "a"\n\n[[rules]]\n', "FILE", {})
    assert [str(problem) for problem in refused.value.problems] == [
        "FILE:4: rules[1].kind: is required; write text",
        "FILE: main: is required; write a table",
    ]


@pytest.mark.parametrize("section", sorted(NOT_BUILT))
def test_a_section_of_a_later_version_is_refused_by_name(section: str) -> None:
    (problem,) = problems(f"\n[{section}]\nx = 1\n")
    assert problem.startswith(
        f"FILE:2: {section}: this version of riskd does not act on [{section}]"
    )


def test_a_section_is_either_built_or_not() -> None:
    assert not set(NOT_BUILT) & set(Config.__struct_fields__)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a = 1\nb = = 2\n", "FILE:2: is not TOML, at column 5: Invalid value"),
        ("a = 1\nb =", "FILE:2: is not TOML, at the end of the file: Invalid value"),
        ('a = """\nx\n\n', "FILE:2: is not TOML, at the end of the file: Unterminated string"),
        ("[riskd]\n[riskd]\n", "FILE:2: is not TOML, at column 7: Cannot declare ('riskd',) twice"),
        ("a = 1\na = 2\nb = 3\n", "FILE:2: is not TOML, at column 6: Cannot overwrite a value"),
        ("\ufeff[riskd]\n", "FILE:1: begins with a byte order mark"),
        ("[riskd]\nx = \x00\n", "FILE:2: holds a zero byte"),
        ("x = 1\ny = '\ud800'\n", "FILE:2: is not UTF-8"),
        ("a = " + "[" * 100_000, "FILE: is nested too deeply"),
        ("a = " + "9" * 5000, "FILE: holds a number of thousands of digits"),
        ("\n" + "a." * 300_000 + "a = 1", "FILE:2: holds a key of more than 64 parts"),
        ("\n[" + ' . "a"' * 70 + "]", "FILE:2: holds a key of more than 64 parts"),
        ("\n" + r'"\"".' * 70 + "a = 1", "FILE:2: holds a key of more than 64 parts"),
        ("#" * FILE_BYTES_MAX + "#", "FILE: is longer than 4194304 bytes"),
        ("é" * (FILE_BYTES_MAX // 2 + 1), "FILE: is longer than 4194304 bytes"),
    ],
)
def test_what_is_no_toml_is_told_with_its_place(text: str, problem: str) -> None:
    (told,) = problems(text)
    assert told.startswith(problem)
    assert "; " in told


def test_64_parts_of_a_key_are_read() -> None:
    (told,) = problems(".".join("a" * 64) + " = 1")
    assert "a: is not a key that riskd knows" in told


_M = 1024 * 1024
assert _M <= FILE_BYTES_MAX


@pytest.mark.parametrize(
    "text",
    [
        "a" * _M,
        "a " * (_M // 2),
        '"' * _M,
        r"\"" * (_M // 2),
        "'\"" * (_M // 2),
        "a = {" * (_M // 5),
        (".".join("a" * 63) + " ") * (_M // 126),
        "x = 1\na = [\n" + "[],#]\n" * (_M // 6 - 10) + "]\n",
        'x = 1\na = """\n' + "]\n" * (_M // 2 - 10) + '"""\n',
        "".join(f"[k{number}]\n" for number in range(90_000)),
        "[[rules]]\n" * (_M // 10),
    ],
    ids=range(11),
)
def test_a_hostile_file_is_refused_and_not_laboured_over(text: str) -> None:
    told = problems(text)
    assert len(told) <= 201
    assert max(map(len, told)) < 1_500


@pytest.mark.parametrize("deep", ["x", "riskd", "riskd.state_dir", "security.operators"])
def test_a_value_nested_thousands_deep_is_one_wrong_value(deep: str) -> None:
    key = ".".join("a" * 60)
    value = "{" + f"{key} = {{" * 200 + "}" * 201
    (told,) = problems(f"{deep} = {value}")
    assert told.startswith(f"FILE:1: {deep}")


def test_keys_are_shown_so_that_they_can_not_fool_a_terminal() -> None:
    (told,) = problems('"\\u001b[2J\\n\\u202e" = 1')
    assert told.startswith('FILE:1: "\\u001b[2J\\n\\u202e": is not a key')
    assert dotted(("a", "b c", 3, "x" * 100)) == f'a."b c"[3]."{"x" * 64}..."'


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"a = 1\n\xff\n", ":2: is not UTF-8; save the file as UTF-8"),
        ("[riskd]".encode("utf-16"), ":1: is not UTF-8; save the file as UTF-8"),
        (b"\xef\xbb\xbf[riskd]", ":1: begins with a byte order mark"),
        (b"#" * (FILE_BYTES_MAX + 1), ": is longer than 4194304 bytes"),
        (b"#" * FILE_BYTES_MAX + "é".encode(), ": is longer than 4194304 bytes"),
    ],
)
def test_bytes_that_are_no_text_are_told(tmp_path: Path, content: bytes, problem: str) -> None:
    file = tmp_path / "riskd.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigInvalid) as refused:
        load(file, {})
    assert str(refused.value).startswith(f"{file}{problem}")


def test_a_file_that_is_none_is_told_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    says = {
        "": "is not a regular file",
        "fifo": "is not a regular file",
        "missing": "can't be read (No such file or directory)",
        "loop": "can't be read (Too many levels of symbolic links)",
        "x" * 300: "can't be read (File name too long)",
    }
    for name, message in says.items():
        with pytest.raises(ConfigInvalid) as refused:
            load(tmp_path / name, {})
        assert str(refused.value).startswith(f"{tmp_path / name}: {message}; ")


def test_a_file_that_may_not_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may read everything, so the kernel's answer is played.
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "riskd.toml").touch()
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConfigInvalid, match=r"can't be read \(Permission denied\); check"):
        load(tmp_path / "riskd.toml", {})


@given(st.text() | st.text(alphabet="[]{}\"'=.#\n ab1$"))
def test_any_text_is_a_configuration_or_has_problems(text: str) -> None:
    told: tuple[Problem, ...] = ()
    try:
        assert parse(text, "FILE", {}).config
    except ConfigInvalid as invalid:
        told = invalid.problems or (Problem("FILE", "", None, "", ""),)
    assert all(problem.message and problem.remedy for problem in told)


_KEYS = {
    "riskd": ["stop_timeout_s", "log_level", "log_format"],
    "control": ["max_clients", "max_line_bytes", "send_timeout_s"],
    "supervision": ["intensity", "heartbeat_misses"],
}
_PLACES = [(section, key) for section, keys in _KEYS.items() for key in keys]


@given(st.sets(st.sampled_from(_PLACES), min_size=1), st.integers(0, 3))
def test_each_of_many_mistakes_has_its_key_and_its_line(
    wrong: set[tuple[str, str]], gap: int
) -> None:
    rows, expected = [], []
    for section, key in sorted(wrong):
        rows += [*[""] * gap, f"{section}.{key} = -7"]
        expected.append((f"{section}.{key}", len(rows)))
    with pytest.raises(ConfigInvalid) as refused:
        parse("\n".join(rows), "FILE", {})
    assert [(problem.path, problem.line) for problem in refused.value.problems] == expected


CANARY = "canary-5d0e"


class Channel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    key: Secret
    spare: Annotated[Secret, Meta(description="Another.")] | None = None
    retries: Annotated[int, Meta(ge=0, le=3)] = 1
    level: Literal["info", "warning"] = "info"
    words: tuple[str, ...] = ()


class Channels(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    channels: dict[str, Channel] = {}


@pytest.mark.parametrize(
    "rows",
    [
        ['key = "${KEY}"', "retries = 9"],
        ['key = "${KEY}"', 'level = "${KEY}"', 'words = ["${KEY}"]'],
        ['key = "${KEY}"', f'level = "{CANARY}"', f'retries = "{CANARY}"'],
        [f'key = "x${{KEY}} {CANARY}"'],
        [f'key = ["{CANARY}"]', 'spare = "${NONE}"'],
        [f'key = {{ x = "{CANARY}" }}'],
        [f'key = "{CANARY}"', f'unknown = "{CANARY}"'],
        [f'key = "{CANARY}"', f'spare = "{CANARY}'],
        [f"key = {CANARY}"],
        [f'key = """{CANARY}'],
        [f'key = "{CANARY}"', f'key = "{CANARY}"'],
        [f'key = "{CANARY}\\q"'],
    ],
)
def test_no_message_and_no_traceback_holds_a_secret(rows: list[str]) -> None:
    text = "\n".join(["[channels.ops]", *rows])
    with pytest.raises(ConfigInvalid) as refused:
        parse_as(Channels, text, "FILE", {"KEY": CANARY})
    error = refused.value
    shown = [str(error), repr(error), repr(error.problems), *traceback.format_exception(error)]
    assert CANARY not in "\n".join(shown)
    assert error.__context__ is None


@pytest.mark.parametrize("token", ["sekret\n", "a b", "sekr\u20ac", ""])
def test_a_token_that_can_not_be_sent_is_told_and_not_shown(token: str) -> None:
    text = "[risk_signal.outside]\nurl = 'https://risk.example.com/x'\ntoken = '${TOKEN}'\n"
    outside = parse(text, "FILE", {"TOKEN": "s3cr-e_t.~/+="}).config.risk_signal.outside
    assert outside.token is not None
    with pytest.raises(ConfigInvalid) as refused:
        parse(text, "FILE", {"TOKEN": token})
    (problem,) = refused.value.problems
    assert "token" in str(problem)
    assert not token or token not in str(problem)


def test_no_rendering_of_a_valid_configuration_holds_a_secret() -> None:
    text = f'[channels.ops]\nkey = "${{KEY}}"\nspare = "{CANARY}"\n'
    config = parse_as(Channels, text, "FILE", {"KEY": CANARY})
    assert config.channels["ops"].key.reveal() == CANARY
    shown = [repr(config), str(config), repr(masked(config)), repr(msgspec.structs.asdict(config))]
    assert CANARY not in "\n".join(shown)
    with pytest.raises(TypeError):
        msgspec.json.encode(config)


def test_lines_are_looked_for_only_when_something_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> None:
        raise AssertionError("a valid file needs no lines")

    monkeypatch.setattr("riskd.config.loader.positions", refuse)
    assert parse("[riskd]\nlog_level = 'debug'", "FILE", {}).config.riskd.log_level == "debug"


def test_reading_a_configuration_loads_no_other_part_of_riskd_and_nothing_heavy() -> None:
    program = "import riskd.config, sys; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    loaded = set(run.stdout.split())
    assert "riskd.config.loader" in loaded
    assert not {"trio", "structlog", "click", "rich", "asyncio", "logging"} & loaded
    ours = {name for name in loaded if name.startswith("riskd.")}
    assert all(name.startswith("riskd.config") for name in ours)
