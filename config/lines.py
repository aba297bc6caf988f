"""Where each key of a TOML document stands, found with the standard library's parser alone.

`tomllib` tells no positions, and a lexer of our own could disagree with it. But a TOML document is
a row of statements, each of which begins on a line of its own and is a document by itself. So a
statement is grown from its first line, a line at a time, until `tomllib` accepts it: that parse
gives the statement's keys, and they stand where it begins. A piece that ends inside a string or
an array is never accepted, so a statement can't be cut short.

Only a line that could close something is worth an attempt, and the attempts of a document have a
common budget, because a hostile file can be one huge string of such lines. Past the budget the rest
of the document has no positions of its own: a problem there is reported with the line of the
nearest table known, or with none.

Everything inside an inline table or an array stands on the line where its statement begins.
"""

import tomllib
from collections.abc import Iterator, Mapping

import attrs

KeyPath = tuple[str | int, ...]
"""Keys and list indexes from the root: ("rules", 2, "kind")."""

ATTEMPTS_PER_CHARACTER = 8
"""How often a character may be parsed on average; hand-written files stay below 2."""

ATTEMPTED_ALWAYS = 1024 * 1024
"""Characters that a small document may spend too: a fifth of a second's work."""

DEPTH = 32
"""Keys nested deeper than this inside one statement stand where the key above them does."""

_CLOSERS = ("]", "}", '"""', "'''")


@attrs.frozen
class Positions:
    """The line of each key, counted from 1."""

    lines: Mapping[KeyPath, int]

    def line(self, path: KeyPath) -> int | None:
        """The line of a key, or of the nearest table above it that has one."""
        for length in range(len(path), 0, -1):
            if (line := self.lines.get(path[:length])) is not None:
                return line
        return None


@attrs.frozen
class _Statement:
    """A table header, or a key with its value: its first line, and what it means by itself."""

    line: int
    opener: str
    content: dict[str, object]


def positions(text: str) -> Positions:
    """The lines of all keys of a document that `tomllib` accepts as a whole."""
    lines: dict[KeyPath, int] = {}
    last_index: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for statement in _statements(text.replace("\r\n", "\n").split("\n")):
        if statement.opener:
            table = _header(statement, last_index)
            for length in range(1, len(table) + 1):
                lines.setdefault(table[:length], statement.line)
        else:
            for path in _keys(statement.content):
                lines.setdefault(table + path, statement.line)
    return Positions(lines)


def _statements(rows: list[str]) -> Iterator[_Statement]:
    """The statements in order, as far as the budget reaches."""
    budget = ATTEMPTED_ALWAYS + ATTEMPTS_PER_CHARACTER * sum(map(len, rows))
    start = 0
    while start < len(rows):
        first = rows[start].lstrip()
        if not first or first.startswith("#"):
            start += 1
            continue
        for end in _possible_ends(rows, start):
            piece = "\n".join(rows[start:end])
            budget -= len(piece)
            if budget < 0:
                return
            if (content := _accepted(piece)) is not None:
                break
        else:
            return
        yield _Statement(start + 1, _opener(first), content)
        start = end


def _possible_ends(rows: list[str], start: int) -> Iterator[int]:
    """Where a statement can end: with its own line, or with one that closes something."""
    yield start + 1
    for index in range(start + 1, len(rows)):
        if _may_close(rows[index].rstrip()):
            yield index + 1


def _may_close(row: str) -> bool:
    """Does a row end with what closes a value, or with a comment that may follow one?"""
    return row.endswith(_CLOSERS) or ("#" in row and any(closer in row for closer in _CLOSERS))


def _accepted(piece: str) -> dict[str, object] | None:
    try:
        return tomllib.loads(piece)
    except (ValueError, RecursionError):
        return None


def _opener(first_row: str) -> str:
    """The brackets of a header; a key can't begin with one."""
    return first_row[: 2 if first_row.startswith("[[") else int(first_row.startswith("["))]


def _header(statement: _Statement, last_index: dict[KeyPath, int]) -> KeyPath:
    """The table that a header opens; what goes through an array of tables means its last entry."""
    names = list(_chain(statement.content))
    path: KeyPath = ()
    for name in names[:-1]:
        path += (name,)
        if path in last_index:
            path += (last_index[path],)
    path += (names[-1],)
    if statement.opener == "[[":
        last_index[path] = last_index.get(path, -1) + 1
        path += (last_index[path],)
    return path


def _chain(content: dict[str, object]) -> Iterator[str]:
    """The names of a header: each table of the parsed piece holds only the next."""
    table: object = content
    while isinstance(table, dict) and table:
        name, table = next(iter(table.items()))
        yield name


def _keys(content: dict[str, object]) -> Iterator[KeyPath]:
    """All key paths of one statement, tables before what they hold."""
    waiting: list[tuple[KeyPath, object]] = [((), content)]
    while waiting:
        above, value = waiting.pop()
        if above:
            yield above
        if isinstance(value, dict) and len(above) < DEPTH:
            waiting.extend(((*above, name), inner) for name, inner in value.items())
