"""`riskctl limits`: what it sends, and what it prints."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result
from riskd.actors.messages import (
    Command,
    KeyChange,
    LimitChange,
    LimitsAre,
    LimitsChanged,
    PreviewReload,
    Reloaded,
    ReloadPreviewed,
    Reply,
    ResetLimit,
    SetLimit,
    ShowLimits,
)
from riskd.tools.riskctl import cli, limits, main, page, show_limits

CHANGE = LimitChange(
    rule="daily_loss@all",
    how="tightened",
    keys=(KeyChange(key="max_loss", old="500", new="400"),),
)


def row(rule: str = "daily_loss@all", **more: Any) -> dict[str, Any]:
    return {
        "rule": rule,
        "kind": "daily_loss",
        "scope": "all",
        "keys": {"max_loss": "500"},
        "outcome": "pass",
        "limit": "500",
        "value": "100",
        "used_pct": "20.0",
        "headroom": "400",
        "missing": None,
        "action": "block",
        "source": "config",
        "set": [],
        **more,
    }


SET = {
    "key": "max_loss",
    "value": "500",
    "instead_of": "900",
    "by": "bob",
    "at": "2026-11-21T19:52:09.25Z",
    "reason": "news",
    "approved_by": "alice",
}
ROWS = [
    row(set=[SET]),
    row("b", scope="account:main", outcome="unknown", value=None, used_pct=None, headroom=None),
    row("c", limit=None, value=None, used_pct=None, headroom=None, keys={"max_qty": "2"}),
]


SET_SAID = (
    "  daily_loss@all: max_loss 500 instead of 900: news (bob, 2026-11-21T19:52:09Z, "
    "approved by alice)"
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Command]:
    """What riskd was asked. It tells two rows at a time."""
    found: list[Command] = []

    def ask(command: Command, _expected: object, **_: object) -> Reply:
        found.append(command)
        if isinstance(command, ShowLimits):
            left = [each for each in ROWS if command.after is None or each["rule"] > command.after]
            left = left if command.after is None else ROWS[2:]
            return LimitsAre(lsn=7, on_excess="block", limits=left[:2], more=len(left) > 2)
        if isinstance(command, SetLimit):
            return LimitsChanged(lsn=8, changes=[CHANGE])
        if isinstance(command, PreviewReload):
            return ReloadPreviewed(
                source="r.toml", changed=["rules"], needs_restart=[], limits=[CHANGE]
            )
        if isinstance(command, ResetLimit):
            return LimitsChanged(lsn=8, changes=[])
        return Reloaded(
            source="r.toml", changed=["rules"], needs_restart=[], limits=[CHANGE], waiting=[CHANGE]
        )

    monkeypatch.setattr(limits, "ask", ask)
    monkeypatch.setattr(cli, "ask", ask)
    return found


Run = Callable[..., Result]


@pytest.fixture
def run(asked: list[Command]) -> Run:
    def run(*words: str) -> Result:
        return CliRunner().invoke(main, list(words), prog_name="riskctl")

    return run


def test_the_table_has_every_row_and_what_is_set_by_hand(run: Run, asked: list[Command]) -> None:
    said = run("limits")
    assert said.stdout.splitlines() == [
        "rule            scope         limit          now    used  left  action  source",
        "daily_loss@all  all           500            100  20.0 %   400  block   by hand",
        "b               account:main  500        unknown       -     -  block   config",
        "c               all           max_qty 2        -       -     -  block   config",
        "",
        "set by hand:",
        SET_SAID,
    ]
    assert asked == [ShowLimits(), ShowLimits(after="b")]


def test_as_json_all_pages_are_one_document(run: Run) -> None:
    document = json.loads(run("limits", "--json").stdout)
    assert document == {"lsn": 7, "on_excess": "block", "on_excess_of": {}, "limits": ROWS}


def test_what_is_wanted_is_asked_for(run: Run, asked: list[Command]) -> None:
    run("limits", "--account", "main", "--scope", "symbol:X")
    assert asked[0] == ShowLimits(account="main", scope="symbol:X")


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("400.50", "400.50"),
        ("unset", None),
        ("block", "block"),
        ("[50, 80.5, '95']", ["50", "80.5", "95"]),
        ("[]", []),
    ],
)
def test_a_value_is_sent_as_text_and_loses_no_digit(
    run: Run, asked: list[Command], written: str, sent: Any
) -> None:
    said = run("limits", "set", "daily_loss@all", "max_loss", written, "--reason", "news")
    assert said.stdout.splitlines() == [
        "limits:",
        "  tightened daily_loss@all: max_loss 500 -> 400",
    ]
    assert asked == [SetLimit(rule="daily_loss@all", key="max_loss", value=sent, reason="news")]


def test_a_reset_names_a_key_or_none_and_says_when_it_was_so_already(
    run: Run, asked: list[Command]
) -> None:
    said = run("limits", "reset", "b", "--approved-by", "alice")
    assert said.stdout == "nothing was changed: it is so already\n"
    run("limits", "reset", "b", "max_loss", "--reason", "over")
    assert asked == [
        ResetLimit(rule="b", approved_by="alice"),
        ResetLimit(rule="b", key="max_loss", reason="over"),
    ]


@pytest.mark.parametrize(
    "words",
    [
        ["set", "b", "max_loss", "1"],
        ["set", "b", "max_loss", "[1", "--reason", "x"],
        ["set", "b" * 251, "max_loss", "1", "--reason", "x"],
        ["--account", "main", "reset", "b"],
        ["--scope", "accounts:main"],
    ],
)
def test_a_wrong_line_is_2_and_reaches_nobody(
    run: Run, asked: list[Command], words: list[str]
) -> None:
    assert run("limits", *words).exit_code == 2
    assert asked == []


def test_a_reload_tells_what_becomes_of_the_limits_and_what_waits(run: Run) -> None:
    assert run("config", "reload").stdout.splitlines() == [
        "read r.toml",
        "changed: rules",
        "limits:",
        "  tightened daily_loss@all: max_loss 500 -> 400",
        "NOT YET IN FORCE, because the disk has not confirmed it; riskd tries on:",
        "  tightened daily_loss@all: max_loss 500 -> 400",
    ]
    document = json.loads(run("config", "reload", "--json").stdout)
    assert document["waiting"] == document["limits"]
    assert document["limits"][0]["how"] == "tightened"


def test_a_dry_run_asks_for_nothing_but_a_look(run: Run, asked: list[Command]) -> None:
    assert run("config", "reload", "--dry-run").stdout.splitlines() == [
        "r.toml is valid; nothing was changed",
        "would change: rules",
        "limits:",
        "  tightened daily_loss@all: max_loss 500 -> 400",
    ]
    assert asked == [PreviewReload()]


def test_a_person_reads_how_it_is_before_he_changes_it() -> None:
    assert show_limits.before_change(row(), "daily_loss@all", "max_loss is to be 400") == [
        "daily_loss@all is: max_loss 500, action block, from config",
        "max_loss is to be 400",
    ]
    assert show_limits.before_change(None, "x", "y") == ["riskd has no rule x"]


def test_what_is_missing_in_an_answer_is_unknown_and_not_well() -> None:
    (table,) = show_limits.limits({"limits": [{}]})
    assert isinstance(table, page.Table)
    assert table.rows == [("unknown", "unknown", "-", "-", "-", "-", "unknown", "unknown")]
    (line,) = show_limits.limits({})
    assert isinstance(line, page.Line)
    assert line.mood == "warn"
