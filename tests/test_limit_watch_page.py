"""docs/limit-watch.md names every rule that is watched, and every fact of it; its examples are
good."""

import re
import tomllib
from pathlib import Path
from typing import get_args

import msgspec
from riskd.actors.messages import watching
from riskd.config.schema import rules as schema

PAGE = (Path(__file__).parents[1] / "docs" / "limit-watch.md").read_text(encoding="utf-8")


def names_in(heading: str) -> set[str]:
    table = PAGE.partition(heading)[2].partition("\n\n")[0]
    return set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))


def tags(kinds: tuple[type[msgspec.Struct], ...]) -> set[str]:
    return {str(kind.__struct_config__.tag) for kind in kinds}


def test_every_rule_that_is_watched_is_named() -> None:
    watched = tuple(kind for kind in get_args(schema.AnyRule) if issubclass(kind, schema.StateRule))
    assert names_in("| kind | is broken | asked of |") == tags(watched)


def test_every_fact_is_named() -> None:
    assert names_in("| fact | says |") == tags(get_args(watching.Facts))


def test_every_action_is_named() -> None:
    (action,) = [
        field for field in msgspec.structs.fields(schema.StateRule) if field.name == "action"
    ]
    assert names_in("| action | while it is broken | once it breaks |") == set(
        get_args(get_args(action.type)[0])
    )


def test_the_examples_are_good() -> None:
    examples = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    rules = [rule for example in examples for rule in tomllib.loads(example)["rules"]]
    found = [msgspec.convert(each, schema.AnyRule, strict=False) for each in rules]
    assert len(found) == 5
    assert [list(each.disagreements()) for each in found] == [[]] * 5
