"""`riskctl override`: what it sends, and what it prints."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result
from riskd.actors.messages import (
    ApproveOverride,
    Command,
    OverrideIs,
    OverridesAre,
    Reply,
    RequestOverride,
    RevokeOverride,
    ShowOverrides,
)
from riskd.tools.riskctl import main, overrides, show_overrides

ASKED = (
    *("override", "request", "--account", "main", "--symbol", "X", "--side", "sell"),
    *("--qty", "2.5", "--rule", "a@all", "--rule", "b@all", "--for", "10m", "--reason", "news"),
)


def row(name: str = "ov2", state: str = "approved", **more: Any) -> dict[str, Any]:
    return {
        "override": name,
        "state": state,
        "account": "main",
        "symbol": "X",
        "side": "sell",
        "max_qty": "2.5",
        "price_limit": "99.5",
        "rules": ["a@all", "b@all"],
        "for_s": 600.0,
        "reason": "news",
        "requested_by": "ana",
        "approved_by": "bob",
        "until": "2026-11-21T19:52:09.25Z",
        "used_by": None,
        **more,
    }


REQUESTED = row("ov3", "requested", approved_by=None, until=None, price_limit=None)
USED = row("ov1", "used", used_by="o9")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Command]:
    """What riskd was asked. It tells two rows at a time."""
    found: list[Command] = []

    def ask(command: Command, _expected: object, **_: object) -> Reply:
        found.append(command)
        match command:
            case ShowOverrides(after=None):
                return OverridesAre(lsn=7, overrides=[REQUESTED, row()], more=True)
            case ShowOverrides():
                return OverridesAre(lsn=7, overrides=[USED], more=False)
            case RequestOverride():
                return OverrideIs(lsn=8, changed=True, override=REQUESTED)
            case ApproveOverride():
                return OverrideIs(lsn=8, changed=True, override=row())
        return OverrideIs(lsn=8, changed=False, override=row(state="revoked"))

    monkeypatch.setattr(overrides, "ask", ask)
    return found


Run = Callable[..., Result]


@pytest.fixture
def run(asked: list[Command]) -> Run:
    def run(*words: str) -> Result:
        return CliRunner().invoke(main, list(words), prog_name="riskctl")

    return run


def test_what_is_wanted_is_asked_for(run: Run, asked: list[Command]) -> None:
    said = run(*ASKED)
    assert said.stdout.splitlines() == [
        "ov3 is requested: sell 2.5 X in main",
        "another person approves: riskctl override approve ov3",
    ]
    assert asked == [
        RequestOverride(
            account="main",
            symbol="X",
            side="sell",
            max_qty="2.5",
            rules=["a@all", "b@all"],
            for_s=600.0,
            reason="news",
        )
    ]
    run(*ASKED, "--price-limit", "99.5")
    assert isinstance(asked[1], RequestOverride)
    assert asked[1].price_limit == "99.5"


def test_what_is_approved_and_revoked_is_said(run: Run, asked: list[Command]) -> None:
    said = run("override", "approve", "ov2", "--reason", "agreed")
    assert said.stdout.splitlines() == [
        "ov2 is approved: sell 2.5 X in main at 99.5 or better, until 2026-11-21T19:52:09Z"
    ]
    said = run("override", "revoke", "ov2", "--reason", "gone")
    assert said.stdout.splitlines() == ["nothing was changed: ov2 is revoked already"]
    assert asked == [
        ApproveOverride(override="ov2", reason="agreed"),
        RevokeOverride(override="ov2", reason="gone"),
    ]


ABOUT = "a@all, b@all would not count, because: news"


def test_the_table_has_all_pages(run: Run, asked: list[Command]) -> None:
    first, *rows = run("override", "list", "--account", "main").stdout.splitlines()
    assert first.split() == [
        "override",
        "state",
        "order",
        "asked",
        "by",
        "approved",
        "by",
        "until",
        "used",
        "by",
    ]
    assert [line.split()[:2] for line in rows[:3]] == [
        ["ov3", "requested"],
        ["ov2", "approved"],
        ["ov1", "used"],
    ]
    assert rows[3:] == ["", *(f"  {name}: {ABOUT}" for name in ("ov3", "ov2", "ov1"))]
    assert asked == [ShowOverrides(account="main"), ShowOverrides(account="main", after="ov2")]


def test_as_json_it_is_one_document(run: Run) -> None:
    assert json.loads(run("override", "list", "--json").stdout) == {
        "lsn": 7,
        "overrides": [REQUESTED, row(), USED],
    }
    assert json.loads(run("override", "approve", "ov2", "--json").stdout) == {
        "lsn": 8,
        "changed": True,
        "override": row(),
    }


@pytest.mark.parametrize(
    "words",
    [
        ASKED[:-2],
        (*ASKED, "--for", "25h"),
        (*ASKED, "--qty", "NaN"),
        (*ASKED, "--side", "both"),
        (*ASKED, *(each for n in range(15) for each in ("--rule", f"r{n}"))),
        ("override", "approve", "7"),
        ("override", "approve", "ov0"),
        ("override", "revoke", "ov7"),
    ],
)
def test_a_wrong_line_is_2_and_reaches_nobody(
    run: Run, asked: list[Command], words: tuple[str, ...]
) -> None:
    assert run(*words).exit_code == 2
    assert asked == []


def test_who_approves_reads_what_of(run: Run) -> None:
    assert show_overrides.before_approval(REQUESTED, "ov3") == [
        "ov3 is requested: ana asks for one order,",
        "  sell 2.5 X in main, within 600 s of your word,",
        "  which a@all, b@all would not stop",
        "reason: news",
    ]
    assert show_overrides.before_approval(None, "ov9") == ["riskd has no override ov9"]
