"""`riskctl risk`: what it asks, and what it prints."""

import json
from typing import Any

import pytest
from click.testing import CliRunner
from riskd.actors.messages import RiskIs, ShowRisk
from riskd.tools.riskctl import main, page, risk, show, show_risk

SCOPE: dict[str, Any] = {
    "scope": "account:main",
    "level": "critical",
    "score": 100,
    "tier": "emergency",
    "action_required": True,
    "critical_issues": ["drawdown_pct has reached 20"],
    "warnings": ["gross_leverage has reached 10"],
    "equity": "80000",
    "drawdown_pct": "20",
    "daily_pnl": None,
}
SOURCE: dict[str, Any] = {
    "source": "outside",
    "level": "critical",
    "score": 100,
    "tier": "emergency",
    "state": "unreachable",
    "age_s": 61.5,
    "policy": "critical",
    "reason": "nobody\x1b[31m there",
    "critical_issues": ["it can't be reached"],
}
DOCUMENT = {"lsn": 7, "level": "critical", "scopes": [SCOPE], "sources": [SOURCE]}


def test_it_asks_once_and_prints_what_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def ask(command: Any, _kind: Any, **_: Any) -> RiskIs:
        asked.append(command)
        return RiskIs(**DOCUMENT)

    monkeypatch.setattr(risk, "ask", ask)
    found = CliRunner().invoke(main, ["risk", "--account", "main", "--json"])
    assert (found.exit_code, json.loads(found.output)) == (0, DOCUMENT)
    assert asked == [ShowRisk(account="main")]
    assert "drawdown_pct has reached 20" in CliRunner().invoke(main, ["risk"]).output


def test_the_issues_the_action_and_the_age_are_said_and_what_is_missing_is_unknown() -> None:
    said = page.plain(show_risk.risk(DOCUMENT))
    for words in (
        "risk signal: critical",
        "account:main: drawdown_pct has reached 20",
        "account:main: gross_leverage has reached 10",
        "account:main: a person has to act",
        "outside: it can't be reached",
        "61.5 s",
        "unknown",
    ):
        assert words in said
    assert "\x1b" not in said


@pytest.mark.parametrize("document", [{}, {"scopes": [{}], "sources": [{}]}])
def test_an_older_riskd_is_no_reason_to_fail(document: dict[str, Any]) -> None:
    assert page.plain(show_risk.risk(document)).startswith("risk signal: unknown")


def test_status_says_the_level_and_the_first_issues() -> None:
    assert show_risk.summary(DOCUMENT) == (
        "critical; account:main: drawdown_pct has reached 20; outside: it can't be reached"
    )
    said = page.plain(show.status({"risk_signal": DOCUMENT}))
    assert "risk signal" in said
    assert "drawdown_pct has reached 20" in said
    assert "risk signal" not in page.plain(show.status({}))
