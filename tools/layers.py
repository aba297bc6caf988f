"""Who may import whom: `python -m riskd.tools.layers [ROOT]`.

Imports go one way. The vocabulary and the configuration's schema know nobody; pure cores know
those; ports say what shells need from outside; shells, adapters and the parts of the supervisor
do not know each other; the composition root knows them all, and nothing knows the tools.

The order is the table AREAS: a module belongs to the area with the longest prefix of its name. An
area may import itself, the areas it lists, the libraries it lists and, when it is pure, only that
part of the standard library which has no clock, disk, network or chance in it. Imports inside
functions and under TYPE_CHECKING count: knowing a type is knowing the module. Tests may import
everything.
"""

import ast
import sys
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import attrs

from .source import PACKAGE, Offence, Source, report, root_from, sources

PURE = frozenset(
    {
        *("abc", "base64", "bisect", "collections", "contextlib", "datetime", "decimal", "enum"),
        *("fractions", "functools", "hashlib", "heapq", "hmac", "itertools", "math", "operator"),
        *("re", "statistics", "struct", "types", "typing", "zlib"),
    }
)
"""What a core may take from the standard library: the same in, the same out."""


@attrs.frozen
class Area:
    """Modules with one place in the order. The names are module prefixes below the package."""

    name: str
    holds: tuple[str, ...]
    knows: tuple[str, ...] = ()
    libraries: frozenset[str] = frozenset()
    is_pure: bool = False


VOCABULARY = ("actors.messages", "config.schema")
CORES = (*VOCABULARY, "actors.core")
PORTS = (*CORES, "actors.ports")
JOURNAL_CORE = ("supervisor.journal.format", "supervisor.journal.recovery")
TREE_CORE = tuple(f"supervisor.tree.{part}" for part in ("cells", "core", "spec", "state", "turn"))
DATA = frozenset({"attrs", "msgspec"})
SHELL = DATA | {"structlog", "trio"}

AREAS = (
    Area(
        "the vocabulary",
        ("actors.messages",),
        ("config.schema",),
        frozenset({"msgspec"}),
        is_pure=True,
    ),
    Area("the schema", ("config.schema",), ("config.paths", "config.secret"), DATA, is_pure=True),
    Area("the configuration", ("config",), ("config.schema",), DATA),
    Area("the pure cores", ("actors.core",), VOCABULARY, DATA, is_pure=True),
    Area("the tree's core", TREE_CORE, ("actors.messages",), DATA, is_pure=True),
    Area("the journal's core", JOURNAL_CORE, (), DATA, is_pure=True),
    Area("the ports", ("actors.ports",), CORES, DATA),
    Area("the tree", ("supervisor.tree",), (*PORTS, *TREE_CORE), SHELL),
    Area("the journal", ("supervisor.journal",), (*PORTS, *JOURNAL_CORE), DATA),
    Area("the actors' shells", ("actors",), (*PORTS, "supervisor.tree.spec"), SHELL),
    Area(
        "the adapters",
        ("adapters",),
        (*PORTS, "supervisor.tree.spec"),
        SHELL | {"aiohttp", "ccxt", "simplefix"},
    ),
    Area("what workers run", ("adapters.worker",)),
    Area(
        "the supervisor's parts",
        ("supervisor",),
        (*PORTS, "config", "supervisor.journal", "supervisor.tree"),
        SHELL,
    ),
    Area(
        "the composition root",
        (
            "supervisor.books",
            "supervisor.brakes",
            "supervisor.canary",
            "supervisor.chronicle",
            "supervisor.cli",
            "supervisor.compose",
            "supervisor.configuration",
            "supervisor.daemon",
            "supervisor.gating",
            "supervisor.limiting",
            "supervisor.limit_watching",
            "supervisor.overriding",
            "supervisor.studies",
            "supervisor.study",
            "supervisor.signalling",
        ),
        ("", "actors", "adapters", "config", "supervisor"),
        SHELL | {"click", "rich"},
    ),
    Area(
        "the tools",
        ("tools",),
        ("", "actors", "adapters", "config", "supervisor"),
        SHELL | {"click", "matplotlib", "numpy", "rich", "scipy"},
    ),
    Area("the inert root", ("",)),
    Area("the command", ("__main__",), ("supervisor.cli",)),
)


class Import(NamedTuple):
    """One imported name, in full: `riskd.config.schema.Config`, `trio`."""

    line: int
    name: str


def covers(prefix: str, name: str) -> bool:
    """Is `name` the module `prefix`, or inside it? The root, "", covers only itself."""
    return name == prefix or (prefix != "" and name.startswith(prefix + "."))


def area_of(name: str) -> Area | None:
    """The area of a module, named below the package: the longest prefix decides."""
    held = [(prefix, area) for area in AREAS for prefix in area.holds if covers(prefix, name)]
    return max(held, key=lambda pair: len(pair[0]))[1] if held else None


def imports(source: Source) -> Iterator[Import]:
    """Everything a file imports, wherever in it, with relative names resolved."""
    for node in source.nodes:
        if isinstance(node, ast.Import):
            yield from (Import(node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(source, node)
            yield from (Import(node.lineno, f"{module}.{alias.name}") for alias in node.names)


def _absolute(source: Source, node: ast.ImportFrom) -> str:
    """What stands behind `from`, without its dots."""
    if node.level == 0:
        return node.module or ""
    parents = source.package.split(".")
    here = parents[: len(parents) - node.level + 1]
    return ".".join([*here, node.module] if node.module else here)


def offences(source: Source, modules: frozenset[str]) -> Iterator[Offence]:
    """What one file imports and may not. `modules` are all that exist, to tell them from names."""
    if source.folder == "tests":
        return
    area = area_of(_below(source.module))
    if area is None:
        yield Offence(
            source.path,
            1,
            "belongs to no area: put it into one of the known folders, or give it a row in AREAS of"
            " tools/layers.py that says whom it may import",
        )
        return
    for found in imports(source):
        complaint = _complaint(area, found.name, modules)
        if complaint:
            yield Offence(source.path, found.line, complaint)


def _complaint(area: Area, name: str, modules: frozenset[str]) -> str | None:
    top = name.partition(".")[0]
    if top == PACKAGE:
        return _stranger(area, _module(name, modules))
    if top in sys.stdlib_module_names:
        return _impurity(area, top)
    if top in area.libraries:
        return None
    listed = ", ".join(sorted(area.libraries)) or "no library"
    return f"may not import {top}: {area.name} may use {listed}"


def _module(name: str, modules: frozenset[str]) -> str:
    """The module that an imported name is, or is defined in."""
    while name not in modules and "." in name:
        name = name.rpartition(".")[0]
    return name


def _below(module: str) -> str:
    return module.removeprefix(PACKAGE).removeprefix(".")


def _stranger(area: Area, module: str) -> str | None:
    name = _below(module)
    if area_of(name) == area or any(covers(prefix, name) for prefix in area.knows):
        return None
    known = ", ".join(prefix or PACKAGE for prefix in area.knows) or "nothing else of riskd"
    return f"may not import {module}: {area.name} may know {known}; take it as an argument"


def _impurity(area: Area, top: str) -> str | None:
    if not area.is_pure or top in PURE:
        return None
    return (
        f"may not import {top}: {area.name} must be pure; take the value as an argument, or leave"
        " the effect to a shell"
    )


def check(files: Iterable[Source]) -> Iterator[Offence]:
    """The offences of a whole tree."""
    found = tuple(files)
    modules = frozenset(source.module for source in found)
    for source in found:
        yield from offences(source, modules)


def main() -> None:
    sys.exit(report(check(sources(root_from(sys.argv[1:])))))


if __name__ == "__main__":
    main()
