"""What the checks share: the sources below a root as syntax trees, and how an offence reads."""

import ast
import io
import os
import sys
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

import attrs

PACKAGE = "riskd"
SKIPPED = ("__pycache__", "build")


@attrs.frozen(order=True)
class Offence:
    """One place that breaks a rule, and what to write there instead."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


@attrs.frozen
class Source:
    """One file, read once for all rules. `path` is relative to the root, with slashes."""

    path: str
    length: int
    tree: ast.Module
    nodes: tuple[ast.AST, ...]
    comments: Mapping[int, str]

    @property
    def folder(self) -> str:
        """The first part of the path; empty for a file at the root."""
        return self.path.rpartition("/")[0].partition("/")[0]

    @property
    def module(self) -> str:
        """The name it is imported by, such as `riskd.actors.core.access`."""
        parts = PurePosixPath(PACKAGE, self.path).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def package(self) -> str:
        """What one leading dot of a relative import stands for."""
        is_package = PurePosixPath(self.path).name == "__init__.py"
        return self.module if is_package else self.module.rpartition(".")[0]


def parse(path: str, text: str) -> Source:
    """Read one file's text as if it lay at `path` below the root."""
    tree = ast.parse(text, filename=path)
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments = {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}
    return Source(path, len(text.splitlines()), tree, tuple(ast.walk(tree)), comments)


def sources(root: Path) -> Iterator[Source]:
    """Every Python file below the root, in a stable order; hidden and built ones are not ours."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if _is_ours(name))
        for name in sorted(files):
            if name.endswith(".py"):
                file = Path(folder, name)
                yield parse(file.relative_to(root).as_posix(), file.read_text(encoding="utf-8"))


def _is_ours(folder: str) -> bool:
    return not folder.startswith(".") and folder not in SKIPPED


def report(offences: Iterable[Offence]) -> int:
    """Write the offences out in order; the result is the exit status."""
    found = sorted(set(offences))
    sys.stdout.writelines(f"{offence}\n" for offence in found)
    return 1 if found else 0


def root_from(arguments: list[str]) -> Path:
    """The checkout to look at: the one argument, or the folder we stand in."""
    root = Path(arguments[0] if arguments else ".")
    if len(arguments) > 1 or not (root / "pyproject.toml").is_file():
        sys.exit(f"usage: python -m riskd.tools.NAME [ROOT]: {root} has no pyproject.toml")
    return root
