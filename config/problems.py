"""What can be wrong with a configuration: one `Problem` each, all of them in `ConfigInvalid`."""

import json
import re
from collections.abc import Iterable

import attrs

from .lines import KeyPath

KEY_CHARACTERS_SHOWN = 64
"""A longer key is cut in messages, so that a hostile file can't flood a terminal or a log."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@attrs.frozen
class Problem:
    """One mistake: where it is, what is wrong, and what to write instead.

    The message never holds a value from the file or the environment, so it can't hold a secret.
    """

    source: str
    path: str
    line: int | None
    message: str
    remedy: str

    def __str__(self) -> str:
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        about = f"{self.path}: " if self.path else ""
        return f"{place}: {about}{self.message}; {self.remedy}"


class ConfigInvalid(ValueError):
    """The configuration can't be used. Whoever wrote it is told everything at once."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[type["ConfigInvalid"], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)


def dotted(path: KeyPath) -> str:
    """A key path as people write it: rules[2].kind, accounts."odd name".currency."""
    written = ""
    for part in path:
        if isinstance(part, int):
            written += f"[{part}]"
        else:
            written += f".{_key(part)}" if written else _key(part)
    return written


def _key(name: str) -> str:
    """A key that is safe to print: what is not plain is quoted and escaped."""
    if len(name) > KEY_CHARACTERS_SHOWN:
        name = name[:KEY_CHARACTERS_SHOWN] + "..."
    return name if _BARE_KEY.fullmatch(name) else json.dumps(name)
