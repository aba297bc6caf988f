"""Each key is found on the line where its statement begins, whatever surrounds it."""

import json
import tomllib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.config.lines import KeyPath, positions

# What TOML's basic strings and JSON's strings write alike: no surrogates, no delete.
_NAME = st.text(
    st.characters(exclude_categories=["Cs"], max_codepoint=0xFFFF, exclude_characters="\x7f"),
    max_size=6,
).map("=".__add__)  # Never the name of a table below.
_HOSTILE_ROWS = st.lists(
    st.sampled_from(["[fake]", "[[fake]]", "x = 1", "]", "}", "'''", "# no comment", "", "  "]),
    max_size=6,
)


@st.composite
def _value(draw: st.DrawFn) -> tuple[list[str], object]:
    """The rows of a value, and what it means."""
    rows = draw(_HOSTILE_ROWS)
    inner = draw(_NAME)
    return draw(
        st.sampled_from(
            [
                (["1"], 1),
                (['"[text] # = 1"  # a comment ]'], "[text] # = 1"),
                (['"""', *rows, 'end"""'], None),
                (["[", *("'''x''', # ]" for _ in rows), "]"], None),
                ([f"{{ {json.dumps(inner)} = {{ b.c = 1 }} }}"], {inner: {"b": {"c": 1}}}),
                (["{ a = [", "1,", "], b = 2 }"], {"a": None, "b": 2}),
            ]
        )
    )


@st.composite
def _documents(draw: st.DrawFn) -> tuple[str, dict[KeyPath, int]]:
    """A document of many shapes, with the line of each of its keys."""
    rows: list[str] = []
    lines: dict[KeyPath, int] = {}

    def fill(table: KeyPath) -> None:
        for name in draw(st.lists(_NAME, unique=True, max_size=4)):
            rows.extend(draw(st.sampled_from([[], [""], ["# x = [", "\t"]])))
            written, path = json.dumps(name), (*table, name)
            for part in draw(st.sampled_from([(), ("d",), ("d", "e.f")])):
                lines[path] = len(rows) + 1
                written, path = f"{written} . {json.dumps(part)}", (*path, part)
            value_rows, value = draw(_value())
            lines.update(_inside(path, value, len(rows) + 1))
            rows.extend([f"  {written} = {value_rows[0]}", *value_rows[1:]])

    def header(written: str, *paths: KeyPath) -> None:
        rows.append(written)
        for path in paths:
            lines.setdefault(path, len(rows))
        fill(paths[-1])

    fill(())
    for number in range(draw(st.integers(0, 3))):
        top = f"table {number}"
        header(f'["{top}".sub] # ]', (top,), (top, "sub"))
        for index in range(draw(st.integers(0, 2))):
            array = (top, "sub", "<array>")
            header(f'[["{top}".sub."<array>"]]', array, (*array, index))
            header(f'["{top}".sub."<array>".in]', (*array, index, "in"))
            for deep in range(draw(st.integers(0, 2))):
                nested = (*array, index, "deep")
                header(f'[["{top}".sub."<array>".deep]]', nested, (*nested, deep))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    return end.join([*rows, ""]), lines


def _inside(path: KeyPath, value: object, line: int) -> Iterator[tuple[KeyPath, int]]:
    yield path, line
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _inside((*path, name), inner, line)


@given(_documents())
def test_every_key_of_any_document_has_its_line(drawn: tuple[str, dict[KeyPath, int]]) -> None:
    text, lines = drawn
    tomllib.loads(text)
    assert dict(positions(text).lines) == lines


def test_a_key_without_a_line_stands_where_its_table_does() -> None:
    found = positions("\n[a.b]\nc = 1\n")
    assert found.line(("a", "b", "missing")) == 2
    assert found.line(("a", "b", "c", 4, "x")) == 3
    assert found.line(("elsewhere",)) is None


def test_a_table_that_is_made_by_its_keys_stands_where_the_first_of_them_does() -> None:
    assert dict(positions("a.b = 1\na.c = 2\n[d.e]\n[d.f]\n").lines) == {
        ("a",): 1,
        ("a", "b"): 1,
        ("a", "c"): 2,
        ("d",): 3,
        ("d", "e"): 3,
        ("d", "f"): 4,
    }


def test_entries_of_an_array_of_tables_are_told_apart() -> None:
    text = '[[rules]]\nkind = "a"\n\n[[rules]]\n[[rules]]\nkind = "c"\n'
    found = positions(text)
    assert [found.line(("rules", index)) for index in range(3)] == [1, 4, 5]
    assert found.line(("rules", 2, "kind")) == 6
    assert found.line(("rules", 1, "kind")) == 4


def test_what_looks_like_a_header_inside_a_string_is_none() -> None:
    found = positions('a = """\n[b]\nc = 1\n"""\nd = 1\n')
    assert dict(found.lines) == {("a",): 1, ("d",): 5}


@pytest.mark.parametrize("row", ["]", "}", "'''"])
def test_past_the_budget_the_rest_has_no_line_and_what_came_before_keeps_its_own(row: str) -> None:
    text = "before = 1\n" + 'a = """\n' + f"{row}\n" * 100_000 + '"""\nafter = 1\n'
    assert dict(positions(text).lines) == {("before",): 1}


def test_a_huge_string_without_a_closer_is_within_the_budget() -> None:
    text = 'a = """\n' + "x\n" * 100_000 + '"""\nafter = 1\n'
    assert positions(text).line(("after",)) == 100_003


def test_nesting_past_the_depth_keeps_the_line_of_the_key_above() -> None:
    deep = ".".join("a" * 40)
    found = positions(f"\n{deep} = 1\n")
    assert max(map(len, found.lines)) == 32
    assert found.line(("a",) * 40) == 2
