"""Limits of a real riskd: what is in force after it was killed, and after its file has changed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from riskd.actors.messages import (
    Actors,
    ActorsAre,
    Check,
    CountersAre,
    Decision,
    Freeze,
    LimitsAre,
    LimitsChanged,
    OrderAsked,
    PreviewReload,
    Refused,
    Reload,
    Reloaded,
    ReloadPreviewed,
    SetLimit,
    ShowCounters,
    ShowLimits,
)

Start = Callable[..., Any]  # the classes of these fixtures live in conftest.py
POSITION = "max_position@account:main"
NORMAL = {
    "daily_loss": {"max_pct": "2"},
    "weekly_loss": {"max_pct": "7"},
    "single_trade_risk": {"max_pct": "1"},
    "max_open_positions": {"max_positions": "5"},
    "max_leverage": {"max_leverage": "3"},
}
"""What the profile brings that an account is of unless it says otherwise."""


def written(place: Path, qty: str, more: str = "") -> Path:
    file = place / "riskd.toml"
    rule = f"[[rules]]\nkind = 'max_position'\nscope = 'account:main'\nmax_qty = '{qty}'\n"
    file.write_text(f"[accounts.main]\nbalance = '1000'\n{rule}{more}")
    return file


def in_force(daemon: Any) -> dict[str, dict[str, Any]]:
    reply = daemon.ask(ShowLimits())
    assert isinstance(reply, LimitsAre)
    return {str(row["rule"]): row for row in reply.limits}


def set_to(daemon: Any, qty: str) -> list[str]:
    reply = daemon.ask(SetLimit(rule=POSITION, key="max_qty", value=qty, reason="news"))
    assert isinstance(reply, LimitsChanged)
    return [each.how for each in reply.changes]


def test_what_was_set_is_in_force_after_a_kill_until_the_file_says_otherwise(
    start: Start, place: Path
) -> None:
    file = written(place, "2")
    daemon = start("--config", str(file)).wait_ready()
    assert in_force(daemon)[POSITION]["keys"] == {"max_qty": "2"}
    for kind, keys in NORMAL.items():
        row = in_force(daemon)[f"normal:{kind}@account:main"]
        assert row["keys"].items() >= keys.items()
        assert row["source"] == "profile:normal"
    assert set_to(daemon, "1.5") == ["tightened"]
    assert set_to(daemon, "3") == ["loosened"]
    daemon.process.kill()
    daemon.end()
    again = start("--config", str(file)).wait_ready()
    row = in_force(again)[POSITION]
    assert row["keys"] == {"max_qty": "3"}
    assert [(each["key"], each["instead_of"]) for each in row["set"]] == [("max_qty", "2")]
    written(place, "4", "[[rules]]\nkind = 'max_order_qty'\nmax_qty = '1'\n")
    preview = again.ask(PreviewReload())
    assert isinstance(preview, ReloadPreviewed)
    assert [each.how for each in preview.limits] == ["loosened", "added", "overruled"]
    assert in_force(again)[POSITION]["keys"] == {"max_qty": "3"}
    reloaded = again.ask(Reload())
    assert isinstance(reloaded, Reloaded)
    assert (reloaded.limits, reloaded.waiting) == (preview.limits, [])
    row = in_force(again)[POSITION]
    assert (row["keys"], row["set"]) == ({"max_qty": "4"}, [])


def test_what_the_file_loosened_while_nobody_ran_is_in_force_when_riskd_serves(
    start: Start, place: Path
) -> None:
    file = written(place, "2")
    daemon = start("--config", str(file)).wait_ready()
    daemon.process.kill()
    daemon.end()
    written(place, "5")
    again = start("--config", str(file)).wait_ready()
    assert in_force(again)[POSITION]["keys"] == {"max_qty": "5"}
    actors = again.ask(Actors())
    assert isinstance(actors, ActorsAre)
    names = [str(row["name"]) for row in actors.actors]
    assert names.index("ledger") < names.index("limits") < names.index("settings")


def test_what_was_decided_and_what_is_left_is_counted_of_accounts_that_there_are(
    start: Start, place: Path
) -> None:
    loss = "[[rules]]\nkind = 'daily_loss'\nscope = 'account:main'\nmax_loss = '400'\n"
    daemon = start("--config", str(written(place, "2", loss))).wait_ready()
    daemon.ask(Freeze(scope="account:main", reason="to see it counted"))
    asked = OrderAsked(client_order_id="a", account="main", symbol="X", side="buy", qty="1")
    assert isinstance(daemon.ask(Check(order=asked)), Decision)
    reply = daemon.ask(ShowCounters())
    assert isinstance(reply, CountersAre)
    found = {(one.name, *one.labels.values()): one.value for one in reply.counters}
    assert found["risk_gate_blocks_total", "halted", "account:main"] == 1
    assert found["freeze_triggered_total", "manual"] == 1
    (check,) = reply.histograms
    assert (check.name, check.count) == ("risk_gate_check_seconds", 1)
    left = {one.labels["rule"]: one.value for one in reply.gauges if "headroom" in one.name}
    assert left["daily_loss@account:main"] == "400"
    refused = daemon.ask(ShowLimits(account="mian"))
    assert isinstance(refused, Refused)
    assert refused.code == "unknown_account"
