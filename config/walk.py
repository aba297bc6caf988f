"""Checks a parsed document against a schema, key by key, and goes on after each problem.

msgspec stops at the first mistake; people who start a daemon at night want all of them. So the walk
takes the schema apart with `kinds` and gives msgspec one value at a time. A struct is built only
from values that passed, and only then are its keys compared with each other.

Nothing that the file or the environment holds as a value goes into a finding. Two things are
stricter than in msgspec: numbers must be finite, and a `Decimal` is text or a whole number, since a
TOML float has lost its exactness before it arrives.
"""

import difflib
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import TypeVar, cast, get_args

import attrs
import msgspec
from msgspec import Struct

from . import kinds
from .lines import KeyPath
from .problems import KEY_CHARACTERS_SHOWN
from .schema import NOT_BUILT, Section
from .secret import Secret

FINDINGS_MAX = 200
"""Past this the walk ends: nobody reads more, and a hostile file may hold a hundred thousand."""

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]{0,254})\}")
_EXACT = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?")
"""Finite, and small enough that no later arithmetic can be made to fill the memory."""

_NOUNS = {
    bool: "a boolean",
    int: "a whole number",
    float: "a floating-point number",
    str: "text",
    list: "a list",
    dict: "a table",
}
_WRITTEN_AS: dict[kinds.Annotation, frozenset[type]] = {
    bool: frozenset({bool}),
    int: frozenset({int}),
    float: frozenset({int, float}),
    str: frozenset({str}),
    Decimal: frozenset({int, str}),
}

_REFUSED = object()

S = TypeVar("S", bound=Struct)


@attrs.frozen
class Finding:
    """A problem that knows its key but not yet its line."""

    path: KeyPath
    message: str
    remedy: str


class Unreadable(Exception):
    """The document does not fit the schema; `findings` say why."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        super().__init__()
        self.findings = tuple(findings)


class _Enough(Exception):
    """So much is wrong that the rest is not looked at."""


def read(document: object, struct: type[S], environment: Mapping[str, str]) -> S:
    """The document as the struct; `Unreadable` with everything that is wrong with it."""
    walk = _Walk(environment)
    try:
        built = walk.value(document, struct, kinds.kind(struct), ())
    except _Enough:
        walk.findings.append(
            Finding((), f"has {FINDINGS_MAX} problems and maybe more", "repair these first")
        )
    if walk.findings:
        raise Unreadable(walk.findings)
    return cast("S", built)


class _Walk:
    """One pass over one document. What has a finding comes back as `_REFUSED`, and is not used."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.findings: list[Finding] = []

    def value(
        self, raw: object, annotation: kinds.Annotation, kind: kinds.Kind, path: KeyPath
    ) -> object:
        """Anything: by the kind that the schema gives it."""
        match kind, raw:
            case kinds.Leaf(types), _ if Secret in types:
                return self._secret(raw, path)
            case kinds.Leaf(types), _:
                return self._leaf(raw, annotation, types, path)
            case kinds.Table(struct), dict():
                return self._table(raw, struct, path)
            case kinds.Choice() as choice, dict():
                return self._choice(raw, choice, path)
            case kinds.Named() as named, dict() if len(raw) in named.lengths:
                return self._named(raw, named, path)
            case kinds.Items() as items, list() if len(raw) in items.lengths:
                return items.container(self._entries(enumerate(raw), items.item, path))
            case (kinds.Named(), dict()) | (kinds.Items(), list()):
                assert isinstance(raw, dict | list), "the case says so"
                return self._note(path, f"has {len(raw)} entries", _write(annotation))
        return self._note(path, f"is {_noun(raw)}", _write(annotation))

    def _named(self, raw: dict[str, object], named: kinds.Named, path: KeyPath) -> object:
        """A table whose names are checked as the texts that they are."""
        for name in raw:
            if not _fits(name, named.name):
                self._note((*path, name), "is not a name that may stand here", _write(named.name))
        return dict(zip(raw, self._entries(raw.items(), named.item, path), strict=True))

    def _entries(
        self, entries: Iterable[tuple[str | int, object]], item: kinds.Annotation, path: KeyPath
    ) -> Iterator[object]:
        """What a list or a table of names holds, which is all of one kind."""
        kind = kinds.kind(item)
        for where, raw in entries:
            yield self.value(raw, item, kind, (*path, where))

    def _table(self, raw: dict[str, object], struct: type[Struct], path: KeyPath) -> object:
        """A struct, when each of its keys passes and they agree."""
        found_before = len(self.findings)
        keys = kinds.keys(struct)
        self._unknown(raw, keys, path)
        values = {}
        for name, key in keys.items():
            if name in raw:
                values[key.fills] = self.value(raw[name], key.annotation, key.kind, (*path, name))
            elif key.required:
                self._note((*path, name), "is required", _write(key.annotation))
        if len(self.findings) > found_before:
            return _REFUSED
        return self._agreed(struct(**values), path)

    def _unknown(self, raw: Iterable[str], known: Collection[str], path: KeyPath) -> None:
        """Keys that the table doesn't have: misspelt, or of a version to come."""
        for key in raw:
            if key in known:
                continue
            if not path and key in NOT_BUILT:
                message = f"this version of riskd does not act on [{key}]: {NOT_BUILT[key]}"
                self._note((key,), message, "remove it, or run a version that does")
            else:
                remedy = _closest(key, known) or f"the keys here are {', '.join(known) or 'none'}"
                self._note((*path, key), "is not a key that riskd knows", remedy)

    def _agreed(self, built: Struct, path: KeyPath) -> Struct:
        """The struct, after a look at what its keys mean together."""
        if isinstance(built, Section):
            for each in built.disagreements():
                self._note((*path, each.key, *each.below), each.message, each.remedy)
        return built

    def _choice(self, raw: dict[str, object], choice: kinds.Choice, path: KeyPath) -> object:
        """The struct that the table says it is."""
        tag = raw.get(choice.tag_field)
        if isinstance(tag, str) and tag in choice.structs:
            rest = {key: value for key, value in raw.items() if key != choice.tag_field}
            return self._table(rest, choice.structs[tag], path)
        message = "is none that riskd knows" if choice.tag_field in raw else "is required"
        remedy = _closest(tag, choice.structs) or f"write {kinds.alternatives(choice.structs)}"
        return self._note((*path, choice.tag_field), message, remedy)

    def _leaf(
        self,
        raw: object,
        annotation: kinds.Annotation,
        types: tuple[kinds.Annotation, ...],
        path: KeyPath,
    ) -> object:
        """A single value that is no secret."""
        if fault := _fault(raw, types):
            return self._note(path, fault, _write(annotation))
        try:
            return msgspec.convert(raw, annotation, strict=True)
        except msgspec.ValidationError:
            # The error's own text is not used, because it can quote the value.
            words = kinds.known_words(annotation)
        message = "is none of the known words" if words else "is out of bounds"
        return self._note(path, message, _closest(raw, words) or _write(annotation))

    def _secret(self, raw: object, path: KeyPath) -> object:
        """A secret: the variable that the file names, or, less well, what the file says."""
        if not isinstance(raw, str):
            return self._note(path, f"is {_noun(raw)}", _write(Secret))
        if reference := _REFERENCE.fullmatch(raw):
            return self._from_environment(reference[1], path)
        if "${" in raw:
            return self._note(
                path,
                "has a reference to the environment that can't be read",
                'write "${NAME}" with nothing around it, in letters, digits and underscores',
            )
        if not raw:
            return self._note(path, "is an empty secret", _write(Secret))
        return Secret(raw)

    def _from_environment(self, name: str, path: KeyPath) -> object:
        if value := self._environment.get(name):
            return Secret(value)
        state = "empty" if name in self._environment else "not set"
        message = f"the environment variable {name} is {state}"
        return self._note(path, message, f"set {name} for riskd, or remove the key")

    def _note(self, path: KeyPath, message: str, remedy: str) -> object:
        if len(self.findings) == FINDINGS_MAX:
            raise _Enough
        self.findings.append(Finding(path, message, remedy))
        return _REFUSED


def _fault(raw: object, types: Iterable[kinds.Annotation]) -> str | None:
    """What msgspec would let pass, and wrong types in the words of TOML."""
    if not any(type(raw) in _written_as(each) for each in types):
        return f"is {_noun(raw)}"
    if isinstance(raw, float) and not math.isfinite(raw):
        return "is not a finite number"
    if isinstance(raw, str) and "${" in raw:
        return "takes nothing from the environment, which is for secrets only"
    if Decimal in types and not _EXACT.fullmatch(str(raw)):
        return "is not an exact number of at most 40 digits before and after the point"
    return None


def _fits(name: str, annotation: kinds.Annotation) -> bool:
    try:
        msgspec.convert(name, annotation, strict=True)
    except msgspec.ValidationError:
        return False
    return True


def _written_as(member: kinds.Annotation) -> frozenset[type]:
    """The TOML types in which a value of the schema's type may be written."""
    return _WRITTEN_AS.get(member) or frozenset(map(type, get_args(member)))


def _noun(raw: object) -> str:
    return _NOUNS.get(type(raw), "a date or time")


def _write(annotation: kinds.Annotation) -> str:
    return f"write {kinds.wording(annotation)}"


def _closest(word: object, known: Iterable[str]) -> str | None:
    """The known word that was probably meant. A very long one was meant as none."""
    if not isinstance(word, str) or len(word) > KEY_CHARACTERS_SHOWN:
        return None
    matches = difflib.get_close_matches(word, known, n=1)
    return f'did you mean "{matches[0]}"?' if matches else None
