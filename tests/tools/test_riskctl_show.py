"""Documents in words: the verdict, the tree of actors, and what a terminal must not be told."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.tools.riskctl import show
from riskd.tools.riskctl.page import Line, Table, clean


def actor(name: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, "supervisor": None, "state": "running", **changes}


STATUS: dict[str, Any] = {
    "state": "running",
    "kill_switch": {"state": "ACTIVE", "reason": None},
    "halts": [],
    "actors": [actor("gate")],
    "not_built": [],
}


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({}, "ACTIVE"),
        ({"not_built": ["the gate"]}, "NOT GUARDED"),
        ({"halts": [{"scope": "account:main"}]}, "PARTLY HALTED"),
        ({"actors": [actor("gate", state="starting")]}, "DEGRADED"),
        ({"actors": [actor("gate", silent=True)]}, "DEGRADED"),
        ({"actors": [actor("gate", held=True)]}, "DEGRADED"),
        ({"actors": [actor("gate", stuck=True)]}, "DEGRADED"),
        ({"state": "serving"}, "ACTIVE"),
        ({"kill_switch": {"state": "KILLED", "reason": "loss"}}, "NOTHING CAN TRADE"),
        ({"kill_switch": {"state": "RECOVERING"}}, "NOTHING CAN TRADE"),
        ({"kill_switch": None}, "NOTHING CAN TRADE"),
        ({"state": "stopping"}, "NOTHING CAN TRADE"),
        ({"state": None}, "NOTHING CAN TRADE"),
    ],
)
def test_the_first_line_names_the_worst_that_is_known(changes: dict[str, Any], first: str) -> None:
    assert show.verdict({**STATUS, **changes}).text.partition(":")[0] == first


@given(st.dictionaries(st.sampled_from(sorted(STATUS)), st.none()))
def test_no_document_with_parts_missing_is_called_active(document: dict[str, Any]) -> None:
    assert not show.verdict(document).text.startswith("ACTIVE")
    assert show.status(document)


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from([None, "a", "a/b", "b", "a/b/c", "x"])),
        max_size=8,
    )
)
def test_every_actor_is_drawn_exactly_once(pairs: list[tuple[str, str | None]]) -> None:
    actors = [{"name": name, "supervisor": supervisor} for name, supervisor in pairs]
    (table,) = show.tree(actors)
    assert isinstance(table, Table)
    assert sorted(row[0].strip() for row in table.rows) == sorted(name for name, _ in pairs)


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    assert clean(text).isprintable()
    assert len(clean(text)) == len(text)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.25, "0.2 s"),
        (59.9, "59.9 s"),
        (60, "1 min 0 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 0 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_a_duration_is_its_two_largest_units(seconds: float, words: str) -> None:
    assert show.duration(seconds) == words


def test_halts_and_workers_get_tables_of_their_own() -> None:
    halts = [{"scope": "all", "mode": "halt"}, {"scope": "account:main", "until": "09:00"}]
    parts = show.status({**STATUS, "halts": halts})
    tables = [part for part in parts if isinstance(part, Table)]
    assert tables[0] == Table(
        ("scope", "mode", "until"), [("all", "halt", "-"), ("account:main", "-", "09:00")]
    )


def test_a_journal_that_failed_is_said_so_in_the_status() -> None:
    journal = {"lsn": 7, "unsafe": 2, "suspected": ["book"], "failure": "the disk: no"}
    (line,) = [
        part.text
        for part in show.status({"journal": journal})
        if isinstance(part, Line) and "journal" in part.text
    ]
    assert line.endswith("lsn 7, 2 not yet on the disk, in doubt: book, FAILED: the disk: no")
