"""What the sections of a configuration file are made of."""

from collections.abc import Iterator
from typing import Annotated

import attrs
from msgspec import Meta, Struct

RESTART = {"x-restart": True}

FilePath = Annotated[
    str,
    Meta(
        title="a path without a tilde, which no shell would expand",
        min_length=1,
        max_length=4095,
        pattern=r"^[^~\x00][^\x00]*$",
    ),
]

_NAME = r"^[^\s:\x00]+$"
ID_MAX = 2**32 - 2
"""Of users and groups. The number after it means "leave it as it is" to the kernel."""
User = Annotated[
    str,
    Meta(
        title="a user's name or number, in quotes",
        min_length=1,
        max_length=256,
        pattern=_NAME,
    ),
]
Group = Annotated[
    str,
    Meta(
        title="a group's name or number, in quotes",
        min_length=1,
        max_length=256,
        pattern=_NAME,
    ),
]


Days = Annotated[float, Meta(gt=0, le=36_500)]
Zone = Annotated[
    str,
    Meta(
        title="a time zone, as in the IANA database",
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z0-9_+/-]+\Z",
    ),
]
"""Whether there is such a one is the machine's to say, when the file is loaded."""


@attrs.frozen
class Disagreement:
    """A key whose value is good by itself, but not beside the others of its section."""

    key: str
    message: str
    remedy: str
    below: tuple[str | int, ...] = ()
    """Where in the key's value, when it is a table or a list."""


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file. Its keys are checked alone first, then together."""

    def disagreements(self) -> Iterator[Disagreement]:
        """What the keys of this section mean only together, and what is wrong with it."""
        return iter(())
