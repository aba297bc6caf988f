"""A configuration is shown whole, without its secrets, and as the schema has it."""

import json
import re
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Annotated, get_args

import msgspec
import pytest
from msgspec import Meta, Struct
from riskd.config import (
    NEEDS_RESTART,
    Config,
    Secret,
    differences,
    json_schema,
    kinds,
    load,
    masked,
    parse,
)
from riskd.config.schema import (
    Account,
    AnyRule,
    AnyTrigger,
    Control,
    Instrument,
    Profile,
    Riskd,
    Security,
)
from riskd.tools import config_reference

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config" / "example.toml"
KEYS = {
    f"{section.name}.{field.name}"
    for section in msgspec.structs.fields(Config)
    if isinstance(kinds.kind(section.type), kinds.Table)
    for field in msgspec.structs.fields(section.type)
}


class Broker(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    key: Annotated[Secret, Meta(description="Who we are.")]
    spare: Secret | None = None
    limit: Decimal = Decimal("0.10")


class Brokers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    brokers: dict[str, Broker] = {}


ONE = Broker(key=Secret("one"))


def test_masked_shows_every_key_secrets_as_the_mask_and_what_is_unset_as_null() -> None:
    shown = masked(Brokers(brokers={"b": ONE}))
    assert shown == {"brokers": {"b": {"key": "********", "spare": None, "limit": "0.10"}}}
    assert json.loads(json.dumps(masked(Config()))) == masked(Config())
    tables = {name: keys for name, keys in masked(Config()).items() if isinstance(keys, dict)}
    assert {f"{name}.{key}" for name, keys in tables.items() for key in keys} == KEYS
    assert masked(Config()).keys() - tables.keys() == {"instruments", "rules", "triggers"}
    assert masked(Config())["accounts"] == masked(Config())["profiles"] == {}


def test_the_schema_says_of_every_key_what_it_means_and_that_there_are_no_others() -> None:
    definitions = json_schema()["$defs"]
    assert isinstance(definitions, dict)
    for name in ("Riskd", "Control", "Supervision", "Book", "Account", "Security"):
        assert definitions[name]["additionalProperties"] is False
        for key, described in definitions[name]["properties"].items():
            assert described["description"], key
            assert "default" in described, key
    assert definitions["Config"]["additionalProperties"] is False
    assert definitions["Control"]["properties"]["max_clients"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 65536,
        "default": 4096,
        "x-restart": True,
        "description": definitions["Control"]["properties"]["max_clients"]["description"],
    }
    assert json.loads(json.dumps(json_schema())) == json_schema()


def test_the_schema_says_what_a_name_may_be_and_of_how_many() -> None:
    definitions = json_schema()["$defs"]
    assert isinstance(definitions, dict)
    accounts = definitions["Config"]["properties"]["accounts"]
    assert accounts["propertyNames"]["pattern"] == "^[A-Za-z0-9][A-Za-z0-9_./-]*$"
    assert accounts["propertyNames"]["maxLength"] == 64
    assert accounts["maxProperties"] == 256


def test_no_pattern_of_the_schema_has_what_only_python_reads_as_an_end() -> None:
    assert "Z" not in re.findall(r"\\\\(.)", json.dumps(json_schema()))


def test_the_schema_describes_secrets_and_exact_numbers_as_they_are_written() -> None:
    definitions = json_schema(Brokers)["$defs"]
    assert isinstance(definitions, dict)
    properties = definitions["Broker"]["properties"]
    assert properties["key"]["type"] == "string"
    assert properties["key"]["minLength"] == 1
    assert properties["limit"]["type"] == ["string", "integer"]


def test_differences_name_the_keys_and_nothing_else() -> None:
    old = Config()
    new = Config(
        riskd=Riskd(log_level="debug"),
        control=Control(max_clients=4096),
        security=Security(operators=("ann",)),
    )
    assert differences(old, new) == ["riskd.log_level", "security.operators"]
    assert differences(new, new) == []


def test_differences_of_named_tables_and_secrets() -> None:
    same = Broker(key=Secret("one"))
    old = Brokers(brokers={"same": ONE, "key": ONE, "gone": ONE})
    new = Brokers(brokers={"same": same, "key": Broker(key=Secret("two")), "a b": ONE})
    assert differences(old, new) == ["brokers.key.key", "brokers.gone", 'brokers."a b"']


def test_what_needs_a_restart_is_said_by_the_schema_alone() -> None:
    assert NEEDS_RESTART < KEYS
    assert {"riskd.state_dir", "riskd.socket", "control.max_clients"} < NEEDS_RESTART
    assert "riskd.log_level" not in NEEDS_RESTART


def test_the_example_is_valid_and_equals_the_defaults() -> None:
    assert load(EXAMPLE, {}).config == Config()


def test_the_example_names_every_key_and_its_unset_ones_are_valid_too(tmp_path: Path) -> None:
    rows = EXAMPLE.read_text().splitlines()
    defaults = [keys for keys in masked(Config()).values() if isinstance(keys, dict)]
    unset = [key for section in defaults for key, value in section.items() if value is None]
    opened = [
        row.removeprefix("# ") if row.startswith(tuple(f"# {name} = " for name in unset)) else row
        for row in rows
    ]
    file = tmp_path / "opened.toml"
    file.write_text("\n".join(opened))
    tables = tomllib.loads(file.read_text())
    assert {f"{section}.{key}" for section in tables for key in tables[section]} == KEYS
    assert differences(Config(), load(file, {}).config) == [
        "riskd.state_dir",
        "riskd.socket",
        "journal.archive_days",
        "security.group",
    ]


def test_each_entry_of_the_example_is_valid_when_it_is_opened() -> None:
    kinds_seen: list[type[Struct]] = []
    for piece in EXAMPLE.read_text().split("\n\n"):
        if header := re.search(r"^# \[((accounts|profiles)\.main\]|\[)", piece, re.MULTILINE):
            rows = piece[header.start() :].splitlines()
            opened = parse("\n".join(row[2:] for row in rows), "FILE", {}).config
            kinds_seen += map(type, (*opened.accounts.values(), *opened.instruments))
            kinds_seen += map(type, (*opened.profiles.values(), *opened.rules, *opened.triggers))
    entries = [Account, Instrument, Profile]
    assert kinds_seen == [*entries, *get_args(AnyRule), *get_args(AnyTrigger)]


@pytest.mark.parametrize(
    ("form", "file"), [("markdown", ROOT / "docs" / "configuration.md"), ("toml", EXAMPLE)]
)
def test_what_is_written_from_the_schema_is_up_to_date(
    form: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config_reference.main([form], standalone_mode=False)
    assert capsys.readouterr().out == file.read_text(), (
        f"run `python -m riskd.tools.config_reference {form} > {file.relative_to(ROOT)}`"
    )
