"""Events as texts have them, for whoever reads them: a file that is replayed, the socket.

A number is text of ASCII digits. A JSON float has no exact meaning, and Python's decimals would
also take spaces, underscores and the digits of every script; so numbers are looked at before they
are made, and everywhere in the same way.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple, get_args, get_type_hints

from ...messages.book import AnyEvent

EVENTS: Mapping[str, type[AnyEvent]] = {str(e.__struct_config__.tag): e for e in get_args(AnyEvent)}
NUMBER = 'write an exact number in quotes, as "0.25"'
TEXT = "write a text in quotes, neither empty nor long"
NUMBERS: Mapping[type[AnyEvent], tuple[str, ...]] = {
    event: tuple(
        field for field, kind in get_type_hints(event).items() if Decimal in (kind, *get_args(kind))
    )
    for event in EVENTS.values()
}
_TIME = "write ISO 8601, as 2024-05-17T12:00:00Z, or a whole number since 1970"
_EXACT = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
REMEDIES: Mapping[str, str] = {
    "type": f"the types are {', '.join(EVENTS)}",
    "ts": _TIME,
    "as_of": _TIME,
    "side": "write buy or sell",
    "kind": "write linear, inverse or spot",
    "reduce_only": "write true or false",
    "tz": "write a name of the IANA database, as America/New_York",
    "reset": "write HH:MM, as 17:00",
    "week_start": "write a day's name, as monday",
    **{field: NUMBER for fields in NUMBERS.values() for field in fields},
}


class Fault(NamedTuple):
    """What is wrong with a field, or with the whole, and what to do."""

    field: str | None
    problem: str
    remedy: str


class Inexact(str):
    """A JSON float, as it is written. Nobody takes it for a text."""

    __slots__ = ()


def fault(field: str | None, problem: str) -> Fault:
    """With the remedy that the problem names itself, or else the one of its field."""
    what, found, remedy = problem.partition("; ")
    return Fault(field, what, remedy if found else REMEDIES.get(field or "", TEXT))


def no_number(kind: type[AnyEvent], document: Mapping[str, object]) -> str | None:
    """The field that is to be a number and is another text. None: there is none."""
    for field in NUMBERS[kind]:
        value = document.get(field)
        if type(value) is str and not _EXACT.fullmatch(value):
            return field
    return None


def inexact(document: Mapping[str, object]) -> Fault | None:
    """What is wrong with an event in which floats are `Inexact`. None: all its numbers are exact.
    Whoever asks has seen to its type."""
    for field, value in document.items():
        if type(value) is Inexact:
            remedy = REMEDIES.get(field, NUMBER)
            return Fault(field, f"{value[:64]} is a JSON float, not exact", remedy)
    wrong = no_number(EVENTS[str(document["type"])], document)
    return None if wrong is None else fault(wrong, "is no finite number")
