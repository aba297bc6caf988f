"""A configuration as others may see it: masked, as a JSON Schema, and as a list of differences."""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from . import kinds
from .lines import KeyPath
from .problems import dotted
from .schema import Config
from .secret import MASK, Secret


def masked(config: Struct) -> dict[str, object]:
    """The whole configuration for JSON: secrets as the mask, what is unset as null."""
    return _plain(config)


def json_schema(struct: type[Struct] = Config) -> dict[str, object]:
    """What editors need to help with a configuration file (JSON Schema 2020-12)."""
    described = msgspec.json.schema(struct, schema_hook=_custom)
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return _plain({**dialect, **_as_written(described)})


def differences(old: Struct, new: Struct) -> list[str]:
    """The keys whose values differ, in the order of the schema. Secrets are compared, not shown."""
    return [dotted(path) for path in _differing(old, new, ())]


def restart_keys(struct: type[Struct]) -> Iterator[str]:
    """The keys below a struct that can't change while riskd runs."""
    for field in msgspec.structs.fields(struct):
        match kinds.kind(field.type):
            case kinds.Table(inner):
                yield from (f"{field.encode_name}.{key}" for key in restart_keys(inner))
            case _ if kinds.needs_restart(field.type):
                yield field.encode_name


NEEDS_RESTART = frozenset(restart_keys(Config))
"""The dotted keys that keep their value until riskd is started again."""


def _differing(old: object, new: object, path: KeyPath) -> Iterator[KeyPath]:
    """Down to single keys in structs and named tables; lists are compared whole."""
    inner: list[tuple[str, object, object]] = []
    if isinstance(old, Struct) and type(old) is type(new):
        inner = [
            (field.encode_name, getattr(old, field.name), getattr(new, field.name))
            for field in msgspec.structs.fields(old)
        ]
    elif isinstance(old, dict) and isinstance(new, dict):
        inner = [(name, old.get(name), new.get(name)) for name in {**old, **new}]
    elif old != new:
        yield path
    for key, before, after in inner:
        yield from _differing(before, after, (*path, key))


def _plain(value: object) -> dict[str, object]:
    """As a reader of the JSON would get it."""
    return msgspec.json.decode(msgspec.json.encode(value, enc_hook=_mask), type=dict[str, object])


def _mask(value: object) -> str:
    if isinstance(value, Secret):
        return MASK
    raise NotImplementedError(f"a configuration can't hold {type(value).__name__}")


def _custom(annotation: type) -> dict[str, Any]:
    if annotation is Secret:
        return {"type": "string", "minLength": 1, "writeOnly": True}
    raise NotImplementedError(f"a schema can't hold {annotation!r}")


def _as_written(node: Any) -> Any:
    """msgspec describes a decimal as text alone; the file may also hold it as a whole number. And
    what ends a pattern in Python, `\\Z`, is the letter Z to an editor, whose `$` means no less."""
    if isinstance(node, list):
        return [_as_written(each) for each in node]
    if not isinstance(node, dict):
        return node
    if node.get("format") == "decimal":
        node = {**node, "type": ["string", "integer"]}
    if isinstance(pattern := node.get("pattern"), str):
        node = {**node, "pattern": pattern.replace(r"\Z", "$")}
    return {key: _as_written(value) for key, value in node.items()}
