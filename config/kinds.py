"""What the annotation of a schema field means: as data for the walk, and in words for people.

There are five kinds, and a schema that uses anything else is refused when it is first read.
An optional field has the kind of its value: TOML has no null, so "unset" is the key's absence.
"""

import functools
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import attrs
import msgspec
from msgspec import Meta, Struct

from .secret import Secret

Annotation = Any
"""A type as a schema writes it. Python has no narrower name for all of these."""

_NOUNS: dict[Annotation, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Decimal: "an exact number in quotes",
    Secret: 'a secret, best as "${NAME}" from the environment',
}
_LIMITS = {
    "gt": "above {}",
    "ge": "from {}",
    "lt": "below {}",
    "le": "up to {}",
    "multiple_of": "in steps of {}",
    "min_length": "at least {} long",
    "max_length": "at most {} long",
    "pattern": "matching {}",
}


@attrs.frozen
class Table:
    """A struct: named keys, each of its own kind."""

    struct: type[Struct]


@attrs.frozen
class Choice:
    """A table that says in one of its keys which of several structs it is."""

    tag_field: str
    structs: dict[str, type[Struct]]


@attrs.frozen
class Items:
    """Values of one kind in a row, kept in a list or in a tuple of any length."""

    container: Callable[[Iterable[object]], object]
    item: Annotation
    lengths: range


@attrs.frozen
class Named:
    """A table whose keys are names that the user invents, within the bounds of a text."""

    name: Annotation
    item: Annotation
    lengths: range


@attrs.frozen
class Leaf:
    """A single value of one of these types; its bounds are in the field's annotation."""

    types: tuple[Annotation, ...]


Kind = Table | Choice | Items | Named | Leaf


@attrs.frozen
class Key:
    """A key of a table, and the struct's field that it fills."""

    name: str
    fills: str
    annotation: Annotation
    kind: Kind
    required: bool


@functools.cache
def keys(struct: type[Struct]) -> Mapping[str, Key]:
    """What may stand in a table. Found out once: a file may hold thousands of the same struct."""
    return {
        field.encode_name: Key(
            field.encode_name, field.name, field.type, kind(field.type), field.required
        )
        for field in msgspec.structs.fields(struct)
    }


def kind(annotation: Annotation) -> Kind:
    """The kind of a field; TypeError for what a schema may not contain."""
    members = tuple(_members(annotation))
    if members and all(map(_is_struct, members)):
        return _struct_kind(members)
    if len(members) == 1 and (container := _container(members[0], annotation)):
        return container
    for member in members or (annotation,):
        if member not in _NOUNS and _origin(member) is not Literal:
            raise TypeError(f"a schema field can't be {member!r}; use what config/kinds.py lists")
    return Leaf(members)


def wording(annotation: Annotation) -> str:
    """What may be written for a field, as the end of a sentence that begins with "write"."""
    if title := next((meta.title for meta in metas(annotation) if meta.title), None):
        return title
    limits = _limits(annotation)
    match kind(annotation):
        case Table():
            return "a table"
        case Choice(key, structs):
            return f"a table with {key} = {alternatives(structs)}"
        case Items(item=item):
            return f"a list{limits}; each entry: {wording(item)}"
        case Named(name, item, lengths):
            names = f"at most {lengths.stop - 1} names" if limits else "names"
            return f"a table of {names}; each name: {wording(name)}; each entry: {wording(item)}"
        case Leaf(members):
            return " or ".join(map(_noun, members)) + limits


def alternatives(words: Iterable[str]) -> str:
    """Words in quotes, as a reader of TOML wants to see them."""
    return ", ".join(f'"{word}"' for word in words)


def known_words(annotation: Annotation) -> list[str]:
    """The texts that a field can be, when they can be listed."""
    literals = (member for member in _members(annotation) if _origin(member) is Literal)
    return [str(word) for literal in literals for word in get_args(literal)]


def metas(annotation: Annotation) -> Iterator[Meta]:
    """All that an annotation says of a field beside its type, the outermost first."""
    if _origin(annotation) is Annotated:
        yield from (extra for extra in get_args(annotation)[1:] if isinstance(extra, Meta))
        yield from metas(_bare(annotation))
    elif _is_union(annotation):
        for member in get_args(annotation):
            yield from metas(member)


def description(annotation: Annotation) -> str:
    """What a field is for."""
    return next((meta.description for meta in metas(annotation) if meta.description), "")


def needs_restart(annotation: Annotation) -> bool:
    """Does a field keep its value until riskd is started again?"""
    return any((meta.extra_json_schema or {}).get("x-restart", False) for meta in metas(annotation))


def _members(annotation: Annotation) -> Iterator[Annotation]:
    """The alternatives of a field, without null and without their bounds."""
    bare = _bare(annotation)
    if _is_union(bare):
        for member in get_args(bare):
            yield from _members(member)
    elif bare is not types.NoneType:
        yield bare


def _origin(annotation: Annotation) -> Any:
    """`typing.get_origin`, which is not typed for what it is given here."""
    return get_origin(annotation)


def _is_union(annotation: Annotation) -> bool:
    return _origin(annotation) in (Union, types.UnionType)


def _bare(annotation: Annotation) -> Annotation:
    return get_args(annotation)[0] if _origin(annotation) is Annotated else annotation


def _is_struct(member: Annotation) -> bool:
    return isinstance(member, type) and issubclass(member, Struct)


def _struct_kind(structs: tuple[type[Struct], ...]) -> Kind:
    tag_field, *others = {each.__struct_config__.tag_field for each in structs}
    if others or (tag_field is None and len(structs) > 1):
        raise TypeError(f"structs that are alternatives need one tag field: {structs!r}")
    if tag_field is None:
        return Table(structs[0])
    return Choice(tag_field, {str(each.__struct_config__.tag): each for each in structs})


def _container(member: Annotation, annotation: Annotation) -> Kind | None:
    origin, arguments = _origin(member), get_args(member)
    if origin is list or (origin is tuple and arguments[1:] == (...,)):
        return Items(origin, arguments[0], _lengths(annotation))
    if origin is dict and _bare(arguments[0]) is str:
        return Named(arguments[0], arguments[1], _lengths(annotation))
    return None


def _lengths(annotation: Annotation) -> range:
    """The lengths that a list may have."""
    least = [meta.min_length for meta in metas(annotation) if meta.min_length is not None]
    most = [meta.max_length for meta in metas(annotation) if meta.max_length is not None]
    return range(max(least, default=0), min(most, default=sys.maxsize - 1) + 1)


def _noun(member: Annotation) -> str:
    if _origin(member) is Literal:
        return f"one of {alternatives(get_args(member))}"
    return _NOUNS[member]


def _limits(annotation: Annotation) -> str:
    """The bounds of a field: "" or, say, " above 0 up to 5"."""
    return "".join(
        f" {form.format(limit)}"
        for meta in metas(annotation)
        for name, form in _LIMITS.items()
        if (limit := getattr(meta, name)) is not None
    )
