"""The house rules that no linter knows: `python -m riskd.tools.tidy [ROOT]`.

A rule is a small function from a source to the lines that break it; RULES says where each one
holds. What is merely a name that must not be mentioned is a row of BANS instead. Every message
says what to write in place of what it found, because whoever reads it is about to change it.
"""

import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping

import attrs

from .layers import area_of
from .source import PACKAGE, Offence, Source, report, root_from, sources

FUNCTION_LINES_MAX = 70  # what can be read without scrolling
CLASS_LINES_MAX = 400
FILE_LINES_MAX = 600

Found = Iterator[tuple[int, str]]
Rule = Callable[[Source], Found]
Where = Callable[[Source], bool]


# --- where a rule holds ---------------------------------------------------------------------------


def everywhere(_: Source) -> bool:
    return True


def in_cores(source: Source) -> bool:
    """Where the layers demand purity."""
    area = area_of(source.module.removeprefix(PACKAGE + "."))
    return area is not None and area.is_pure


def within(*paths: str) -> Where:
    return lambda source: source.path.startswith(paths)


def outside(*paths: str) -> Where:
    return lambda source: not source.path.startswith(paths)


SHELL = "supervisor/tree/shell.py"  # the one place that catches everything and owns the shields


# --- names that must not be mentioned -------------------------------------------------------------


@attrs.frozen
class Ban:
    """Names, each with all that is inside it, and what to write instead."""

    where: Where
    names: tuple[str, ...]
    instead: str


BANS = (
    Ban(
        in_cores,
        ("time", "datetime.datetime.now", "datetime.datetime.today", "datetime.date.today"),
        "a core has no clock: take `now` as an argument",
    ),
    Ban(
        in_cores,
        ("random", "secrets", "uuid.uuid1", "uuid.uuid4", "os.urandom"),
        "a core has no chance: take the bytes or the number as an argument",
    ),
    Ban(
        in_cores,
        ("os.environ", "os.getenv"),
        "a core has no environment: take a mapping as an argument",
    ),
    Ban(
        in_cores,
        ("open", "io.open", "pathlib.Path", "socket"),
        "a core has no disk and no network: take the content as an argument",
    ),
    Ban(
        in_cores,
        ("logging", "structlog", "warnings.warn"),
        "a core doesn't log: return a fact or a reason, and let the shell log it",
    ),
    Ban(
        in_cores,
        ("trio", "threading", "concurrent"),
        "a core doesn't wait: return the effect, and let the shell perform it",
    ),
    Ban(
        everywhere,
        ("datetime.datetime.utcnow", "datetime.datetime.utcfromtimestamp"),
        "it is naive: use datetime.now(UTC) or datetime.fromtimestamp(…, UTC)",
    ),
    Ban(outside("adapters/", "tests/adapters/"), ("asyncio",), "use trio; asyncio is for adapters"),
    Ban(
        outside("supervisor/", "tools/", "tests/"),
        ("subprocess", "multiprocessing", "os.fork", "os.posix_spawn", "os.system"),
        "processes are the supervisor's: ask it for a child",
    ),
    Ban(
        outside("tools/", "supervisor/cli.py"),
        ("print",),
        "log an event with key-values, or return the text to a command that shows it",
    ),
    Ban(
        within("tests/"),
        ("time.sleep",),
        "don't sleep for luck: wait for the condition, or use the clock that jumps",
    ),
    Ban(
        within("tests/"),
        (
            *("pytest.skip", "pytest.importorskip", "pytest.mark.skip", "pytest.mark.skipif"),
            *("pytest.xfail", "pytest.mark.xfail", "unittest.skip"),
        ),
        "a test that doesn't run proves nothing: make it pass anywhere, or delete it",
    ),
)


def banned(source: Source) -> Found:
    bans = [ban for ban in BANS if ban.where(source)]
    for line, name in mentions(source):
        for ban in bans:
            if any(name == prefix or name.startswith(prefix + ".") for prefix in ban.names):
                yield line, f"`{name}`: {ban.instead}"


def mentions(source: Source) -> Iterator[tuple[int, str]]:
    """Every import and builtin that the file names, in full, with aliases looked through."""
    known = imported(source)
    for node in source.nodes:
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Name | ast.Attribute):
            name = full_name(node, known | _BUILTINS)
            if name:
                yield node.lineno, name


def imported(source: Source) -> dict[str, str]:
    """Local names of imported things: `from time import sleep as nap` makes nap time.sleep."""
    known: dict[str, str] = {}
    for node in source.nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                known |= {alias.asname: alias.name} if alias.asname else {top: top}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            known |= {
                alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names
            }
    return known


_BUILTINS = {"open": "open", "print": "print"}


def full_name(node: ast.AST, known: Mapping[str, str]) -> str:
    """The dotted name that an expression spells; empty when it begins with no known one."""
    if isinstance(node, ast.Name):
        return known.get(node.id, "")
    if isinstance(node, ast.Attribute):
        owner = full_name(node.value, known)
        return f"{owner}.{node.attr}" if owner else ""
    return ""


def last_name(node: ast.AST) -> str:
    """The last word that an expression spells: `price` of `order.price`."""
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


# --- size and place -------------------------------------------------------------------------------


def long(source: Source) -> Found:
    if source.length > FILE_LINES_MAX:
        yield 1, f"{source.length} lines, {FILE_LINES_MAX} at most: split the file by nouns"
    for node in source.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _longer(node, FUNCTION_LINES_MAX, "give its steps names of their own")
        elif isinstance(node, ast.ClassDef):
            yield from _longer(node, CLASS_LINES_MAX, "let another noun take a part of it")


def _longer(
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, at_most: int, instead: str
) -> Found:
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    if lines > at_most:
        yield node.lineno, f"`{node.name}` has {lines} lines, {at_most} at most: {instead}"


def misplaced(source: Source) -> Found:
    if source.path == "tests/__init__.py":
        yield 1, "tests are no package: delete this file, and import riskd.… in tests"
    if "/" not in source.path and source.path not in ("__init__.py", "__main__.py"):
        yield 1, "every module at the root is swept into the wheel: move it into a package"


def vaguely_named(source: Source) -> Found:
    for node in source.nodes:
        if isinstance(node, ast.ClassDef) and _VAGUE.search(node.name):
            yield node.lineno, f"`{node.name}`: name it for what it is, with a plain noun"


_VAGUE = re.compile(r"(Manager|Helpers?|Utils?|Base)$")


# --- imports, errors, cancellation ----------------------------------------------------------------


def imported_by_folder(source: Source) -> Found:
    for node in source.nodes:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        else:
            continue
        for name in names:
            if name.partition(".")[0] in _FOLDERS:
                yield (
                    node.lineno,
                    f"`{name}`: import {PACKAGE}.{name}, or relatively inside {PACKAGE}",
                )


_FOLDERS = frozenset({"actors", "adapters", "config", "supervisor", "tests", "tools"})


def shielded(source: Source) -> Found:
    for node in source.nodes:
        if isinstance(node, ast.keyword) and node.arg == "shield":
            value: ast.expr = node.value
        elif isinstance(node, ast.Assign) and any(map(_is_shield, node.targets)):
            value = node.value
        else:
            continue
        if not (isinstance(value, ast.Constant) and value.value is False):
            yield value.lineno, "a private shield can hold the tree for ever: `with ctx.cleanup():`"


def _is_shield(target: ast.expr) -> bool:
    return isinstance(target, ast.Attribute) and target.attr == "shield"


def swallows_everything(source: Source) -> Found:
    for node in source.nodes:
        if isinstance(node, ast.ExceptHandler):
            caught = _caught(node.type)
            if node.type is None:
                yield node.lineno, "bare `except:`: name the exceptions you can deal with"
            elif "BaseException" in caught and not _raises(node):
                yield node.lineno, "`except BaseException` without raise eats Cancelled: re-raise"


def swallows_errors(source: Source) -> Found:
    for node in source.nodes:
        if isinstance(node, ast.ExceptHandler):
            caught = _caught(node.type)
        elif isinstance(node, ast.Call) and last_name(node.func) == "suppress":
            caught = {name for argument in node.args for name in _caught(argument)}
        else:
            continue
        if "Exception" in caught and not _reason(source.comments.get(node.lineno, "")):
            yield node.lineno, "`Exception`: name the exceptions, or say beside it why all of them"


def _caught(node: ast.expr | None) -> set[str]:
    kinds = node.elts if isinstance(node, ast.Tuple) else [node] if node else []
    return {last_name(kind) for kind in kinds}


def _raises(handler: ast.ExceptHandler) -> bool:
    return any(isinstance(node, ast.Raise) for part in handler.body for node in ast.walk(part))


# --- comments -------------------------------------------------------------------------------------

_IGNORE = re.compile(
    r"#\s*(?:(?:ruff:\s*)?noqa\b(?::\s*[A-Z0-9, ]+)?|type:\s*ignore(?:\[[^]]*\])?)"
)
_UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
_WORD = re.compile(r"[^\W\d_]{2,}")


def _reason(comment: str) -> bool:
    """Is there a sentence in the comment beside what it tells the tools?"""
    return bool(_WORD.search(_IGNORE.sub("", comment)))


def unexplained(source: Source) -> Found:
    for line, comment in source.comments.items():
        if _IGNORE.search(comment) and not _reason(comment):
            yield line, f"`{comment}`: say why, after ` - ` (noqa) or a second # (type: ignore)"


def unfinished(source: Source) -> Found:
    texts = [*source.comments.items(), *_docstrings(source)]
    for line, text in texts:
        word = _UNFINISHED.search(text)
        if word:
            yield line, f"{word[0]}: do it now, or leave it to the tracker"


def _docstrings(source: Source) -> Iterator[tuple[int, str]]:
    for node in source.nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.lineno, str(node.value.value)


# --- values ---------------------------------------------------------------------------------------


def naive_time(source: Source) -> Found:
    known = imported(source)
    for node in source.nodes:
        if isinstance(node, ast.Call):
            name = full_name(node.func, known)
            needed = _BEFORE_ZONE.get(name)
            zoned = needed is not None and (len(node.args) > needed or bool(node.keywords))
            if needed is not None and not zoned:
                yield node.lineno, f"`{name}` without a zone is naive: pass UTC"


_BEFORE_ZONE = {"datetime.datetime.now": 0, "datetime.datetime.fromtimestamp": 1}
"""How many arguments stand before the time zone."""


def float_money(source: Source) -> Found:
    for node in source.nodes:
        if isinstance(node, ast.Call) and last_name(node.func) == "float" and node.args:
            names, line = [last_name(node.args[0])], node.lineno
        elif isinstance(node, ast.AnnAssign) and _is_float(node.annotation):
            names, line = [last_name(node.target)], node.lineno
        elif isinstance(node, ast.arg) and _is_float(node.annotation):
            names, line = [node.arg], node.lineno
        elif isinstance(node, ast.FunctionDef) and _is_float(node.returns):
            names, line = [node.name], node.lineno
        else:
            continue
        yield from (
            (line, f"`{name}` as float loses money: Decimal") for name in names if _is_money(name)
        )


def _is_float(annotation: ast.expr | None) -> bool:
    return annotation is not None and any(
        isinstance(node, ast.Name) and node.id == "float" for node in ast.walk(annotation)
    )


def _is_money(name: str) -> bool:
    """Has it a word of money in it, and not the unit of something else at its end?"""
    words = name.lower().split("_")
    return bool(_MONEY.intersection(words)) and words[-1] not in _UNITS


_MONEY = frozenset({"price", "qty", "quantity", "notional", "pnl", "equity"})
_UNITS = frozenset({"s", "ms", "ns", "ratio"})


def unordered(source: Source) -> Found:
    for node in source.nodes:
        if isinstance(node, ast.For | ast.comprehension) and _is_set(node.iter):
            yield node.iter.lineno, _UNORDERED
        elif isinstance(node, ast.Call) and last_name(node.func) in ("iter", "list", "tuple"):
            yield from ((node.lineno, _UNORDERED) for value in node.args if _is_set(value))


_UNORDERED = "a set has no order, and a replay needs one: sort it, or use a tuple or a dict"


def _is_set(node: ast.expr) -> bool:
    return isinstance(node, ast.Set | ast.SetComp) or (
        isinstance(node, ast.Call) and last_name(node.func) in ("set", "frozenset")
    )


def vacuous(source: Source) -> Found:
    for node in source.nodes:
        if isinstance(node, ast.Assert) and isinstance(node.test, ast.Constant | ast.Tuple):
            yield node.lineno, "an assertion of a constant can't be of use: assert what must be"


# --- the table ------------------------------------------------------------------------------------

RULES: tuple[tuple[Where, Rule], ...] = (
    (everywhere, banned),
    (everywhere, long),
    (everywhere, misplaced),
    (everywhere, vaguely_named),
    (everywhere, imported_by_folder),
    (outside(SHELL, "tests/"), shielded),
    (outside(SHELL), swallows_everything),
    (everywhere, swallows_errors),
    (everywhere, unexplained),
    (everywhere, unfinished),
    (everywhere, naive_time),
    (everywhere, float_money),
    (in_cores, unordered),
    (everywhere, vacuous),
)


def offences(source: Source) -> Iterator[Offence]:
    """All that one file breaks."""
    for where, rule in RULES:
        if where(source):
            yield from (Offence(source.path, line, message) for line, message in rule(source))


def check(files: Iterable[Source]) -> Iterator[Offence]:
    """The offences of a whole tree."""
    for source in files:
        yield from offences(source)


def main() -> None:
    sys.exit(report(check(sources(root_from(sys.argv[1:])))))


if __name__ == "__main__":
    main()
