"""Writes for people what the schema knows: the reference page and the example file.

python -m riskd.tools.config_reference markdown > docs/configuration.md
python -m riskd.tools.config_reference toml > config/example.toml
"""

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping

import attrs
import click
import msgspec
from msgspec import Struct
from msgspec.structs import FieldInfo

from ..config import kinds
from ..config.loader import PAPER, text_of
from ..config.schema import NOT_BUILT, Config

_PAGE = """\
# Configuration

<!-- Written by `python -m riskd.tools.config_reference markdown` from config/schema/. -->

riskd reads one TOML file: `riskd run --config FILE`. Every key has a default, so an empty file is
valid. `riskd check FILE` names every mistake at once, each with its key and line. A key that riskd
doesn't know is a mistake. Without a file riskd runs on the embedded paper setup, which is the last
section of this page.

A key marked *restart* keeps the value that riskd was started with. The others follow a reload.

Secrets come from the environment: `"${NAME}"`, with nothing else between the quotes. A variable
that is not set, or is empty, is a mistake; so is a reference in a key that holds no secret.

`config/example.toml` holds every key at its default. Copy what you change.
"""

_NOT_BUILT = """\
## Sections of later versions

This version refuses them by name: a setting that is written but not acted on would be worse than
none.
"""

_EMBEDDED = """\
## Without a file

`riskd run` without `--config` runs on the embedded paper setup:
"""


def markdown() -> Iterator[str]:
    """The lines of the reference page: a table a section."""
    yield _PAGE
    for section, struct in _tables():
        yield f"## `[{section}]`\n\n{_doc(struct)}\n"
        yield from _table(_keys(struct))
    for entry in _entries():
        yield f"## `{entry.title}`\n\n{entry.about}\n"
        yield from _table(_required_first(msgspec.structs.fields(entry.struct)))
    for section, meaning, structs in _arrays():
        yield f"## `[[{section}]]`\n\n{meaning} None unless written. All have these keys:\n"
        shared = _shared(structs.values())
        yield from _table(msgspec.structs.fields(shared))
        for family, some in _families(structs).items():
            if family is not shared:
                yield f"{_doc(family)} {', '.join(some)}: these have the following keys too.\n"
                inner = shared.__struct_fields__
                fields = msgspec.structs.fields(family)
                yield from _table(field for field in fields if field.name not in inner)
        for kind, struct in structs.items():
            yield f"### `{kind}`\n\n{_doc(struct)}\n"
            if own := _own(struct):
                yield from _table(own)
    yield _NOT_BUILT
    yield from (f"- `[{section}]`: {why}" for section, why in NOT_BUILT.items())
    yield f"\n{_EMBEDDED}\n```toml\n{text_of(PAPER)}```"


def toml() -> Iterator[str]:
    """The lines of a file that holds every key at its default."""
    yield "# Every key of riskd at its default. A key whose default is worked out is commented out."
    for section, struct in _tables():
        yield f"\n# {_doc(struct)}\n[{section}]\n"
        yield from map(_assignment, _keys(struct))
    for entry in _entries():
        yield _comment(entry.about, before="\n")
        yield f"# {entry.opened}"
        yield from map(_possible, _required_first(msgspec.structs.fields(entry.struct)))
    for section, meaning, structs in _arrays():
        yield _comment(
            f"{meaning} None unless written. One of each kind, without the keys that most have; "
            "docs/configuration.md says what each means.",
            before="\n",
        )
        usual = _usual(structs)
        for kind, struct in structs.items():
            yield _comment(_doc(struct), before="\n")
            yield f"# [[{section}]]\n# {kind}"
            required = [f for f in msgspec.structs.fields(usual[struct]) if f.required]
            yield from map(_possible, (*required, *_own(struct, usual[struct])))


def _tables(parent: type[Struct] = Config, above: str = "") -> Iterator[tuple[str, type[Struct]]]:
    """Each with those in it behind it."""
    for field in msgspec.structs.fields(parent):
        match kinds.kind(field.type):
            case kinds.Table(struct):
                name = f"{above}{field.encode_name}"
                yield name, struct
                yield from _tables(struct, f"{name}.")


def _keys(struct: type[Struct]) -> Iterator[FieldInfo]:
    """But for the tables in it."""
    for field in msgspec.structs.fields(struct):
        if not isinstance(kinds.kind(field.type), kinds.Table):
            yield field


@attrs.frozen
class _Entry:
    """A table of which a file may have several, all of one kind."""

    title: str
    opened: str
    about: str
    struct: type[Struct]


def _entries() -> Iterator[_Entry]:
    for field in msgspec.structs.fields(Config):
        section, meaning = field.encode_name, kinds.description(field.type)
        match kinds.kind(field.type):
            case kinds.Named(name, item, lengths):
                example = next(_examples(name))
                title, opened = f"[{section}.NAME]", f"[{section}.{example}]"
                meaning += f" NAME: {kinds.wording(name)}."
            case kinds.Items(item=item, lengths=lengths):
                title = opened = f"[[{section}]]"
            case _:
                continue
        match kinds.kind(item):
            case kinds.Table(struct):
                about = f"{_doc(struct)} {meaning} None unless written; at most {lengths[-1]}."
                yield _Entry(title, opened, about, struct)


def _arrays() -> Iterator[tuple[str, str, dict[str, type[Struct]]]]:
    """The arrays of tables, with the kinds that an entry can be of, as TOML says them."""
    for field in msgspec.structs.fields(Config):
        kind = kinds.kind(field.type)
        if isinstance(kind, kinds.Items):
            match kinds.kind(kind.item):
                case kinds.Choice(tag_field, structs):
                    said = {f'{tag_field} = "{tag}"': struct for tag, struct in structs.items()}
                    yield field.encode_name, kinds.description(field.type), said


def _parent(struct: type[Struct]) -> type[Struct]:
    parent = struct.__bases__[0]
    assert issubclass(parent, Struct), "a kind is what all kinds are, and more"
    return parent


def _doc(struct: type[Struct]) -> str:
    """In one line."""
    return " ".join((struct.__doc__ or "").split())


def _shared(structs: Iterable[type[Struct]]) -> type[Struct]:
    """What all of them are."""
    first, *others = structs
    common = (base for base in first.__mro__ if all(issubclass(each, base) for each in others))
    return next(base for base in common if issubclass(base, Struct))


def _families(structs: Mapping[str, type[Struct]]) -> dict[type[Struct], list[str]]:
    """Kinds by what they are kinds of."""
    found: dict[type[Struct], list[str]] = {}
    for struct in structs.values():
        found.setdefault(_parent(struct), []).append(f"`{struct.__struct_config__.tag}`")
    return found


def _usual(structs: Mapping[str, type[Struct]]) -> dict[type[Struct], type[Struct]]:
    """By kind: what it is a kind of, as most others are. A family that no other one is a kind of is
    a few kinds with the same keys, and those are as much each one's own."""
    families, shared = _families(structs), _shared(structs.values())
    outer = {base for family in families for base in family.__mro__[1:]}
    found = {}
    for struct in structs.values():
        family = _parent(struct)
        is_usual = family is shared or family in outer
        found[struct] = family if is_usual else _parent(family)
    return found


def _own(struct: type[Struct], parent: type[Struct] | None = None) -> list[FieldInfo]:
    """What one kind has and the others have not; what must be written comes first."""
    shared = (parent or _parent(struct)).__struct_fields__
    own = [field for field in msgspec.structs.fields(struct) if field.name not in shared]
    return _required_first(own)


def _required_first(fields: Iterable[FieldInfo]) -> list[FieldInfo]:
    return sorted(fields, key=lambda field: not field.required)


def _table(fields: Iterable[FieldInfo]) -> Iterator[str]:
    yield "| key | type | default | meaning | takes effect |"
    yield "|---|---|---|---|---|"
    yield from map(_row, fields)
    yield ""


def _row(field: FieldInfo) -> str:
    match field:
        case FieldInfo(required=True):
            default = "required"
        case FieldInfo(default=None):
            default = "unset"
        case _:
            default = f"`{_toml(_default(field))}`"
    effect = "restart" if kinds.needs_restart(field.type) else "reload"
    meaning = kinds.description(field.type)
    cells = (f"`{field.encode_name}`", kinds.wording(field.type), default, meaning, effect)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _assignment(field: FieldInfo) -> str:
    meaning = f"{kinds.description(field.type)} Write {kinds.wording(field.type)}."
    comment = _comment(meaning)
    if field.default is None:
        return f"{comment}\n# {field.encode_name} = {_toml(_example(field))}\n"
    return f"{comment}\n{field.encode_name} = {_toml(_default(field))}\n"


def _possible(field: FieldInfo) -> str:
    """A key of an entry that is there to be copied."""
    unset = field.required or field.default is None
    return f"# {field.encode_name} = {_toml(_example(field) if unset else _default(field))}"


def _default(field: FieldInfo) -> object:
    if field.default is not msgspec.NODEFAULT:
        return field.default
    assert field.default_factory is not msgspec.NODEFAULT, "what has no default is required"
    return field.default_factory()


def _comment(text: str, before: str = "") -> str:
    return textwrap.fill(text, 98, initial_indent=f"{before}# ", subsequent_indent="# ")


def _example(field: FieldInfo) -> object:
    return next(_examples(field.type))


def _examples(annotation: kinds.Annotation) -> Iterator[object]:
    return (each for meta in kinds.metas(annotation) for each in meta.examples or ())


def _toml(value: object) -> str:
    """A default as TOML writes it; JSON writes booleans, numbers, text and flat lists alike, and
    tables nearly so."""
    if isinstance(value, Mapping):
        keys = (f"{_toml(key)} = {_toml(each)}" for key, each in value.items())
        return f"{{{', '.join(keys)}}}"
    return msgspec.json.encode(value).decode()


_FORMS: dict[str, Callable[[], Iterator[str]]] = {"markdown": markdown, "toml": toml}


@click.command()
@click.argument("form", type=click.Choice(list(_FORMS)))
def main(form: str) -> None:
    """Write the configuration's reference page or example file to standard output."""
    for line in _FORMS[form]():
        click.echo(line)


if __name__ == "__main__":
    main()
