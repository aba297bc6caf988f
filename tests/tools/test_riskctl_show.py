"""Documents in words: the verdict, the tree of actors, and what a terminal must not be told."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.tools.riskctl import show, show_halting
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


def test_tables_in_a_configuration_are_shown_key_by_key_under_the_names_of_their_problems() -> None:
    config = {
        "accounts": {"main": {"currency": "USD"}, "desk/2.a": {"exchange": None}},
        "instruments": [{"symbol": "A"}, {"symbol": 'B"', "lot": "1", "inner": [[{"a b": True}]]}],
        "none": {},
        "triggers": [],
    }
    assert [line.text for line in show.config("FILE", config) if isinstance(line, Line)] == [
        "# FILE",
        'accounts.main.currency = "USD"',
        'accounts."desk/2.a".exchange = (unset)',
        'instruments[0].symbol = "A"',
        'instruments[1].symbol = "B\\""',
        'instruments[1].lot = "1"',
        'instruments[1].inner = [[{"a b" = true}]]',
        "none = {}",
        "triggers = []",
    ]


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
        ({"halts": [{"scope": "all", "mode": "halt"}]}, "NOTHING CAN TRADE"),
        ({"halts": [{"scope": "all"}], "not_built": ["the gate"]}, "NOTHING CAN TRADE"),
        ({"halts": [{"scope": "all", "mode": "reduce_only"}]}, "REDUCE ONLY"),
        (
            {"halts": [{"scope": "all", "mode": "reduce_only"}, {"scope": "all", "mode": "halt"}]},
            "NOTHING CAN TRADE",
        ),
        ({"lease": {"held": False}}, "NOTHING CAN TRADE"),
        ({"lease": {"held": True}}, "ACTIVE"),
        ({"lease": None}, "ACTIVE"),
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
    assert show_halting.duration(seconds) == words


def test_halts_and_workers_get_tables_of_their_own() -> None:
    halts = [{"scope": "all", "mode": "halt"}, {"scope": "account:main", "until": "operator"}]
    workers = [
        {"name": "mm-1", "state": "running", "open": True},
        {"name": "mm-2", "load": 3, "open": False, "state": None},
    ]
    parts = show.status({**STATUS, "halts": halts, "workers": workers})
    first, second, _ = [part for part in parts if isinstance(part, Table)]
    assert (first.heads[0], first.rows) == (
        "scope",
        [
            ("all", "halt", "-", "-", "-", "unknown"),
            ("account:main", "-", "-", "-", "it is lifted", "unknown"),
        ],
    )
    assert second == Table(
        ("name", "state", "open", "load"),
        [("mm-1", "running", "yes", "-"), ("mm-2", "-", "no", "3")],
    )


def test_a_journal_that_failed_is_said_so_in_the_status() -> None:
    journal = {"lsn": 7, "unsafe": 2, "suspected": ["book"], "failure": "the disk: no"}
    (line,) = [
        part.text
        for part in show.status({"journal": journal})
        if isinstance(part, Line) and "journal" in part.text
    ]
    assert line.endswith("lsn 7, 2 not yet on the disk, in doubt: book, FAILED: the disk: no")


# --- the kill switch, halts and the lease ---------------------------------------------------------

ANA = {"via": "socket", "user_id": 1000, "user": "ana", "process_id": 7}
KILLED: dict[str, Any] = {
    "state": "KILLED",
    "reason": "loss",
    "since": "2026-11-21T03:00:00Z",
    "triggers": [{"cause": "manual", "source": "operator", "reason": "loss", "by": ANA}],
    "recovery": None,
}
WAITING = {"approved_by": "bo", "by": ANA, "cooldown_left_s": 252.0}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "KILLED (loss), by ana, since 2026-11-21T03:00:00Z"),
        ({"triggers": KILLED["triggers"] * 3}, "3 causes in all"),
        ({"triggers": [{"by": {"via": "riskd"}}]}, "by riskd"),
        ({"triggers": [{"by": {"via": "signal", "user_id": 0}}]}, "by user 0 (signal)"),
        ({"state": "RECOVERING", "recovery": WAITING}, "approved by bo, the cooldown has 4 min"),
        ({"recovery": {**WAITING, "cooldown_left_s": 0.0}}, "riskctl complete-recovery"),
        ({"since": "2026-11-21T03:00:00.123456+00:00"}, "since 2026-11-21T03:00:00Z"),
        ({"state": "ACTIVE", "doubt": "the halts failed"}, "ACTIVE, by ana, since"),
        ({"state": "ACTIVE", "doubt": "the halts failed"}, "not to be relied on: the halts failed"),
        ({"triggers": [{"by": {"via": "signal"}}]}, "by unknown (signal)"),
        ({"recovery": {"approved_by": "bo"}}, "how long the cooldown lasts is unknown"),
    ],
)
def test_the_first_line_says_why_who_since_when_and_what_to_wait_for(
    changes: dict[str, Any], words: str
) -> None:
    said = show.verdict({**STATUS, "kill_switch": {**KILLED, **changes}}).text
    assert said.startswith("NOTHING CAN TRADE: the kill switch is ")
    assert words in said


def test_every_cause_of_a_kill_is_told() -> None:
    causes = [{**KILLED["triggers"][0], "reason": reason} for reason in ("loss", "disk")]
    page = show.status({**STATUS, "kill_switch": {**KILLED, "triggers": causes}})
    tables = [part for part in page if isinstance(part, Table)]
    assert [row[3] for row in tables[0].rows] == ["loss", "disk"]


@pytest.mark.parametrize(
    ("halt", "words"),
    [
        ({"until": "operator"}, "it is lifted"),
        ({"until": "elapsed", "ends_in_s": 75.0}, "1 min 15 s to go"),
        ({"until": "elapsed", "ends_in_s": 75.0, "repeat": 2}, "1 min 15 s to go, repeat 2"),
        ({"until": "operator", "repeat": 0}, "it is lifted"),
        ({"until": "instant", "until_at": "09:00", "ends_in_s": 5.0}, "09:00, 5.0 s to go"),
        ({"until": "session", "until_at": "17:00"}, "the session's reset 17:00"),
        ({"until": "condition", "condition": "reconciled"}, "reconciled"),
        ({"until": "full_moon", "ends_in_s": 60}, "full_moon, 1 min 0 s to go"),
        ({}, "-"),
    ],
)
def test_what_ends_a_halt_is_told(halt: dict[str, Any], words: str) -> None:
    assert show_halting.until(halt) == words


@pytest.mark.parametrize(
    ("lease", "words"),
    [
        (None, "none"),
        (
            {"held": True, "remaining_s": 0.75, "length_s": 1.0, "path": "/run/x"},
            "held, 0.75 s left of 1 s, at /run/x",
        ),
        ({"held": False, "lapsed_because": "gate is silent"}, "LAPSED: gate is silent"),
        ({"length_s": 1.0}, "unknown"),
    ],
)
def test_the_lease_is_held_or_lapsed_with_the_reason(lease: Any, words: str) -> None:
    assert show_halting.lease(lease) == words


def test_the_rules_of_the_way_back_are_told() -> None:
    switch = {"state": "ACTIVE", "after_crash": "operator", "cooldown_s": 300, "two_person": True}
    page = show.status({**STATUS, "kill_switch": switch})
    said = "\n".join(part.text for part in page if isinstance(part, Line))
    assert "after a crash  halted until an operator lifts it" in said
    assert "after 5 min 0 s, with the approval of another person" in said


values = st.none() | st.text(max_size=5) | st.booleans()
whose = st.none() | st.dictionaries(st.sampled_from(sorted(ANA)), values)
some_halts = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(("scope", "mode", "cause", "source", "reason", "until_at"), values),
            "until": st.sampled_from(["operator", "elapsed", "session", "condition", "new", None]),
            "ends_in_s": st.none() | st.floats(0, 1e6),
            "by": whose,
            "new": values,
        },
    ),
    max_size=3,
)
some_switch = st.fixed_dictionaries(
    {},
    optional={
        "state": st.sampled_from(["ACTIVE", "KILLED", "RECOVERING", "NEW", None]),
        **dict.fromkeys(("reason", "since", "after_crash", "new"), values),
        "triggers": st.none() | st.lists(st.fixed_dictionaries({}, optional={"by": whose})),
        "recovery": st.none() | st.fixed_dictionaries({}, optional={"approved_by": values}),
        "cooldown_s": st.none() | st.floats(0, 1e6),
        "two_person": values,
    },
)


@given(st.none() | some_switch, some_halts)
def test_an_older_or_a_newer_riskd_is_shown_and_never_freer_than_it_is(
    switch: dict[str, Any] | None, halts: list[dict[str, Any]]
) -> None:
    page = show.status({**STATUS, "kill_switch": switch, "halts": halts})
    first = page[0]
    assert isinstance(first, Line)
    if (switch or {}).get("state") != "ACTIVE":
        assert first.text.startswith("NOTHING CAN TRADE")
    elif halts:
        assert first.mood != "good"
    reply = {"changed": [1], "kill_switch": switch, "halts": halts}
    assert show_halting.in_force(reply)
    assert show_halting.triggered(reply)
    assert show_halting.placed(reply, "all")
    assert show_halting.lifted(reply, "all")
    assert show_halting.before_unfreeze(reply, "all")
