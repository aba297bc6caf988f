"""Every key explains itself, and keys that only make sense together are checked together."""

import re
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.config import Config, ConfigInvalid, kinds, parse, schema
from riskd.config.schema import Section, Supervision

SECTIONS = {
    field.name: field.type
    for field in msgspec.structs.fields(Config)
    if isinstance(kinds.kind(field.type), kinds.Table)
}
ENTRIES = {
    **{f"triggers.{each.__struct_config__.tag}": each for each in get_args(schema.AnyTrigger)},
    **{f"rules.{each.__struct_config__.tag}": each for each in get_args(schema.AnyRule)},
    "accounts": schema.Account,
    "profiles": schema.Profile,
    "instruments": schema.Instrument,
}
FIELDS = [
    pytest.param(field, id=f"{section}.{field.name}")
    for section, struct in (SECTIONS | ENTRIES).items()
    for field in msgspec.structs.fields(struct)
]


@pytest.mark.parametrize("field", FIELDS)
def test_every_key_has_a_meaning_a_default_and_words_for_its_kind(
    field: msgspec.structs.FieldInfo,
) -> None:
    assert re.fullmatch(r"[A-Z`].*\.", kinds.description(field.type))
    assert not field.required or any(meta.examples for meta in kinds.metas(field.type))
    assert kinds.wording(field.type)


@pytest.mark.parametrize("field", FIELDS)
def test_every_number_has_both_bounds_and_a_unit_or_counts_something(
    field: msgspec.structs.FieldInfo,
) -> None:
    match kinds.kind(field.type):
        case kinds.Leaf(types) if int in types or float in types:
            schema = msgspec.json.schema(field.type)
            schemas = [each for each in schema.get("anyOf", [schema]) if each != {"type": "null"}]
            assert all({"minimum", "exclusiveMinimum"} & each.keys() for each in schemas)
            assert all({"maximum", "exclusiveMaximum"} & each.keys() for each in schemas)
            assert float not in types or field.name.endswith(("_s", "_ms", "_days", "factor"))


@pytest.mark.parametrize("section", SECTIONS.values())
def test_a_section_is_frozen_and_explained(section: type[Section]) -> None:
    assert section.__struct_config__.frozen
    assert section.__struct_config__.forbid_unknown_fields
    assert section.__doc__
    assert not list(section().disagreements())


@pytest.mark.parametrize("entry", ENTRIES.values())
def test_an_entry_is_frozen_and_explained(entry: type[Section]) -> None:
    assert entry.__struct_config__.frozen
    assert entry.__struct_config__.forbid_unknown_fields
    assert entry.__doc__


def test_a_section_of_single_keys_can_be_empty() -> None:
    for struct in SECTIONS.values():
        assert all(not field.required for field in msgspec.structs.fields(struct))


def told(text: str) -> list[str]:
    with pytest.raises(ConfigInvalid) as refused:
        parse(text, "FILE", {})
    return [str(problem) for problem in refused.value.problems]


def test_a_user_is_in_one_list_only() -> None:
    (problem,) = told(
        '[security]\ngroup = "desk"\nobservers = ["ann", "bob"]\noperators = ["eve", "bob"]\n'
    )
    assert problem.startswith("FILE:3: security.observers: names a user who is among the operators")
    assert "bob" not in problem


@pytest.mark.parametrize("user", ["", "a b", "a:b", "a\\u0000", "x" * 257])
def test_a_user_is_a_name_or_a_number(user: str) -> None:
    (problem,) = told(f'[security]\ngroup = "desk"\noperators = ["ok", "{user}"]\n')
    assert problem.startswith(
        "FILE:3: security.operators[1]: is out of bounds; write a user's name"
    )


@pytest.mark.parametrize("path", ["", "~/riskd", "~", "/a\\u0000b", "/" + "x" * 4095])
@pytest.mark.parametrize("key", ["state_dir", "socket"])
def test_a_path_is_one_that_can_be_opened(key: str, path: str) -> None:
    (problem,) = told(f'[riskd]\n{key} = "{path}"\n')
    assert problem.startswith(f"FILE:2: riskd.{key}: is out of bounds; write a path")


def test_a_socket_that_no_kernel_can_bind_is_refused() -> None:
    longest = "/" + "x" * 106
    assert parse(f"riskd.socket = '{longest}'", "FILE", {}).config.riskd.socket == longest
    (problem,) = told(f"riskd.socket = '{longest}xyz'")
    assert problem.startswith("FILE:1: riskd.socket: is 3 bytes longer than the 107")


@given(st.floats(0.01, 100), st.floats(0.01, 100), st.integers(1, 10), st.floats(0.01, 100))
def test_silence_is_noticed_while_the_failure_before_it_still_counts(
    interval_s: float, timeout_s: float, misses: int, period_s: float
) -> None:
    supervision = Supervision(
        heartbeat_interval_s=interval_s,
        heartbeat_timeout_s=timeout_s,
        heartbeat_misses=misses,
        period_s=period_s,
    )
    notice_s = interval_s * (misses - 1) + timeout_s
    disagreements = list(supervision.disagreements())
    assert [each.key for each in disagreements] == (["period_s"] if notice_s > period_s else [])


def test_the_remedy_for_a_short_period_is_one() -> None:
    (problem,) = told("[supervision]\nperiod_s = 2.5\n")
    assert problem.endswith("raise it to 3 or more, or lower the heartbeat_ keys")
    parse("[supervision]\nperiod_s = 3\n", "FILE", {})


@pytest.mark.parametrize("key", ["operators", "observers"])
def test_users_who_could_not_reach_the_socket_are_not_let_pass_in_silence(key: str) -> None:
    (problem,) = told(f'[security]\n{key} = ["ann"]\n')
    assert problem.startswith(f"FILE:2: security.{key}: names users who can't reach the socket")
    assert "security.group" in problem


def test_a_number_that_no_group_or_user_can_have_is_refused() -> None:
    (problem,) = told('[security]\ngroup = "4294967295"\n')
    assert problem.startswith("FILE:2: security.group: has a number that nobody can have")
    assert parse('[security]\ngroup = "4294967294"\n', "FILE", {}).config.security.group
