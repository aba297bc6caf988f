"""From a file, or from text, to a `Config`, or to everything that is wrong with it.

A file passes four gates, and each is only tried when the one before is passed: it can be read, it
is text of a sane size, it is TOML, it fits the schema. Behind the last gate nothing is left to
check, and no part of riskd checks its section again.
"""

import hashlib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import attrs
from msgspec import Struct

from .lines import KeyPath, positions
from .problems import ConfigInvalid, Problem, dotted
from .profiles import excess
from .schema import Config
from .schema.rules import SessionHours
from .walk import FINDINGS_MAX, Finding, Unreadable, read

FILE_BYTES_MAX = 4 * 1024 * 1024
"""Room for all the instruments that may be listed, and parsed in some seconds at worst."""

KEY_PARTS_MAX = 64
"""Python's parser takes time with the square of a dotted key's parts; more are refused unparsed."""

SAID_CHARACTERS_MAX = 200
"""The parser quotes keys whole; a longer quotation is cut."""

EMBEDDED = "embedded paper setup"
PAPER = Path(__file__).with_name("paper.toml")

_PART = r"""(?: [A-Za-z0-9_-]++ | "(?:[^"\\\n]|\\.)*+" | '[^'\n]*+' )"""
_ENDLESS_KEY = re.compile(
    rf"(?x) (?<![A-Za-z0-9_\\-]) (?: {_PART} [ \t]*+ \. [ \t]*+ ){{{KEY_PARTS_MAX}}}"
)
"""No alternative can be tried twice on the same characters, so the search takes linear time."""

_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")

S = TypeVar("S", bound=Struct)


@attrs.frozen
class Loaded:
    """A valid configuration, where it came from, and the SHA-256 of its text."""

    config: Config
    source: str
    digest: str


def load(path: Path, environment: Mapping[str, str]) -> Loaded:
    """The configuration in a file; `ConfigInvalid` when it can't be used."""
    return parse(text_of(path), _named(path), environment)


def parse(text: str, source: str, environment: Mapping[str, str]) -> Loaded:
    """The configuration in a text; `source` is what messages call it."""
    config = parse_as(Config, text, source, environment)
    if findings := tuple(islice(chain(_without_zone(config), _in_excess(config)), FINDINGS_MAX)):
        raise ConfigInvalid(_problems(findings, text, source))
    return Loaded(config, source, hashlib.sha256(text.encode()).hexdigest())


def embedded() -> Loaded:
    """What riskd runs on when it is given no file."""
    return parse(text_of(PAPER), EMBEDDED, {})


def parse_as(struct: type[S], text: str, source: str, environment: Mapping[str, str]) -> S:
    """A text as any struct that keeps to the kinds of `kinds.py`."""
    document = _unfit(text, source) or _document(text, source)
    if isinstance(document, Problem):
        raise ConfigInvalid([document])
    try:
        return read(document, struct, environment)
    except Unreadable as unreadable:
        findings = unreadable.findings
    # Raised outside of the handler: no traceback shall lead to the values that were refused.
    raise ConfigInvalid(_problems(findings, text, source))


def text_of(path: Path) -> str:
    """What a file says, which may be no configuration; `ConfigInvalid` when it is no text.

    Of all that this module does, this alone waits for the file's disk.
    """
    text = _text(path)
    if isinstance(text, Problem):
        raise ConfigInvalid([text])
    return text


def _problems(findings: Iterable[Finding], text: str, source: str) -> list[Problem]:
    """The findings with their lines, in the order of the file."""
    places = positions(text)
    problems = [
        Problem(source, dotted(each.path), places.line(each.path), each.message, each.remedy)
        for each in findings
    ]
    return sorted(problems, key=lambda each: (each.line is None, each.line or 0))


def _without_zone(config: Config) -> Iterator[Finding]:
    """Which zones there are is the machine's to say, not the schema's. It is asked once each."""
    known: dict[str, bool] = {"UTC": True}
    zones: list[tuple[KeyPath, str]] = [(("session", "zone"), config.session.zone)]
    zones += [(("instruments", i, "zone"), each.zone) for i, each in enumerate(config.instruments)]
    zones += [
        (("rules", i, "zone"), each.zone)
        for i, each in enumerate(config.rules)
        if isinstance(each, SessionHours) and each.zone is not None
    ]
    zones += [(("factors", name, "zone"), each.zone) for name, each in config.factors.items()]
    for path, zone in zones:
        if zone not in known:
            known[zone] = _is_zone(zone)
        if not known[zone]:
            message = "is no time zone that this machine knows"
            remedy = "write one of the IANA database, and see that tzdata is installed"
            yield Finding(path, message, remedy)


def _in_excess(config: Config) -> Iterator[Finding]:
    """A fact has to hold all rules."""
    if found := excess(config):
        message = f"and the profiles of accounts bring {found} bytes more than riskd can keep"
        yield Finding(("rules",), message, "remove some")


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _text(path: Path) -> str | Problem:
    """The first gate: a regular file, so that nothing blocks, of a sane size, in UTF-8."""
    source = _named(path)
    try:
        if path.exists() and not path.is_file():
            return Problem(source, "", None, "is not a regular file", "name a file")
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        message = f"can't be read ({error.strerror})"
        return Problem(source, "", None, message, "check its name and its permissions")
    if len(raw) > FILE_BYTES_MAX:
        return _too_long(source)
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return Problem(source, "", line, "is not UTF-8", "save the file as UTF-8")


def _named(path: Path) -> str:
    """The path as text that any program can read. A file's name may hold bytes that are none."""
    return str(path).encode(errors="backslashreplace").decode()


def _too_long(source: str) -> Problem:
    message = f"is longer than {FILE_BYTES_MAX} bytes"
    return Problem(source, "", None, message, "remove what is no configuration")


def _unfit(text: str, source: str) -> Problem | None:
    """The second gate: what the parser would take too long for, or complain of in riddles."""
    if not text.isascii() and (lone := re.search("[\ud800-\udfff]", text)):
        return Problem(source, "", _line(text, lone.start()), "is not UTF-8", "save it as UTF-8")
    if len(text.encode()) > FILE_BYTES_MAX:
        return _too_long(source)
    if text.startswith("\ufeff"):
        message = "begins with a byte order mark, which TOML doesn't have"
        return Problem(source, "", 1, message, "save it as UTF-8 without one")
    if (zero := text.find("\0")) >= 0:
        message = "holds a zero byte, so it is no text"
        return Problem(source, "", _line(text, zero), message, "remove the byte")
    if endless := _ENDLESS_KEY.search(text):
        message = f"holds a key of more than {KEY_PARTS_MAX} parts"
        return Problem(source, "", _line(text, endless.start()), message, "shorten the key")
    return None


def _document(text: str, source: str) -> dict[str, object] | Problem:
    """The third gate: TOML, as the standard library understands it."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return _syntax(text, source, str(error))
    except RecursionError:
        message = "is nested too deeply to be read"
        return Problem(source, "", None, message, "use fewer brackets within brackets")
    except ValueError:
        message = "holds a number of thousands of digits"
        return Problem(source, "", None, message, "write a number that means something")


def _syntax(text: str, source: str, said: str) -> Problem:
    """What the parser said, with its place first. It quotes single characters and keys only."""
    place = _PLACE.search(said)
    line, column = (place[1], place[2]) if place else (None, None)
    where = f"column {column}" if column else "the end of the file"
    message = f"is not TOML, at {where}: {_PLACE.sub('', said)[:SAID_CHARACTERS_MAX]}"
    at = int(line) if line else _line(text, len(text.rstrip()))
    return Problem(source, "", at, message, "correct the syntax there or just before")


def _line(text: str, index: int) -> int:
    return text.count("\n", 0, index) + 1
