"""What an order is judged by is known, and not old: wherever it is, configured or not."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from riskd.actors.messages import DaemonStarted
from riskd.config.schema.rules import FreshData
from riskd.config.schema.rules.fresh import MARK_AGE_S

Desk = Callable[..., Any]


def test_a_mark_may_be_so_old_and_no_older_whatever_is_configured(desk: Desk) -> None:
    at = desk()
    at.passes(MARK_AGE_S)
    assert at.code() == "ok"
    at.passes(0.001)
    verdict = at.ask()
    assert (verdict.decision, verdict.rule, verdict.code) == ("block", "fresh_data", "stale_mark")
    assert (verdict.limit, verdict.missing) == (60, "fresh mark of BTC")
    at.mark("100")
    assert at.code() == "ok"


def test_without_a_mark_nothing_adds_risk_and_getting_out_passes_and_is_told(desk: Desk) -> None:
    at = desk(mark=None)
    at.hold("2")
    assert at.code("buy") == "no_mark"
    verdict = at.ask("sell", "2")
    assert (verdict.decision, verdict.risk_level) == ("allow", "warning")
    assert at.code("sell", "2.1") == "no_mark"


@pytest.mark.parametrize(("age_s", "code"), [(0.9, "ok"), (1.0, "ok"), (1.001, "stale_mark")])
def test_a_narrower_scope_asks_for_younger_ones(desk: Desk, age_s: float, code: str) -> None:
    at = desk(FreshData(scope="symbol:BTC", max_mark_age_s=1.0))
    at.passes(age_s)
    assert at.code() == code


def test_a_narrower_scope_does_not_ask_for_older_ones(desk: Desk) -> None:
    at = desk(FreshData(scope="symbol:BTC", max_mark_age_s=900.0))
    at.passes(61)
    assert at.code() == "stale_mark"


def test_one_for_everything_takes_the_place_of_the_built_in_one(desk: Desk) -> None:
    at = desk(FreshData(max_mark_age_s=900.0))
    at.passes(900)
    assert at.code() == "ok"
    at.passes(0.001)
    assert at.code() == "stale_mark"


def test_one_that_only_warns_does_not(desk: Desk) -> None:
    at = desk(FreshData(max_mark_age_s=1.0, action="warn"))
    at.passes(2)
    assert at.ask().decision == "allow"
    at.passes(60)
    assert at.code() == "stale_mark"


@pytest.mark.parametrize("jump_s", [3_600, -3_600])
def test_the_age_is_by_the_clock_that_says_more(desk: Desk, jump_s: float) -> None:
    at = desk()
    at.at += timedelta(seconds=jump_s)
    assert at.code() == ("stale_mark" if jump_s > 0 else "ok")
    at.monotonic_s += 60.001
    assert at.code() == "stale_mark"


def test_after_a_boot_a_clock_that_was_set_back_makes_no_mark_young(desk: Desk) -> None:
    at = desk()
    at.record(
        DaemonStarted(version="1", process_id=1, boot="another", config_source="", config_digest="")
    )
    at.monotonic_s = 0.0
    assert at.code() == "ok"
    at.at -= timedelta(seconds=1)
    assert at.code() == "stale_mark"


@pytest.mark.parametrize(("ts", "code"), [("2026-11-20T12:00:09Z", "stale_mark"), (None, "ok")])
def test_a_mark_that_comes_late_makes_the_newest_no_younger(
    desk: Desk, ts: str | None, code: str
) -> None:
    at = desk(mark=None)
    at.tell("mark", None, symbol="BTC", price="100", ts="2026-11-20T12:00:10Z")
    at.passes(60)
    at.tell("mark", None, symbol="BTC", price="90", ts=ts)
    at.passes(1)
    assert at.code() == code


@pytest.mark.parametrize(("age_s", "code"), [(29.9, "ok"), (30.0, "ok"), (30.1, "stale_equity")])
def test_the_brokers_word_may_be_so_old_and_no_older(desk: Desk, age_s: float, code: str) -> None:
    at = desk(FreshData(max_equity_age_s=30.0))
    at.hold("1")
    assert at.code() == "no_equity"
    at.hears("other")
    assert at.code() == "no_equity"
    at.hears()
    at.passes(age_s)
    assert at.code() == code
    assert at.code("sell") == "ok"


def test_it_says_how_old_things_are_when_asked(desk: Desk) -> None:
    at = desk()
    at.passes(12.5)
    assert at.said("fresh_data")[:5] == ("pass", "ok", 60, pytest.approx(12.5), 47.5)


# --- what an order is added to --------------------------------------------------------------------


@pytest.mark.parametrize(("age_s", "code"), [(900.0, "ok"), (900.001, "stale_mark")])
def test_what_is_held_of_another_symbol_counts_by_a_mark_that_is_not_old(
    desk: Desk, age_s: float, code: str
) -> None:
    at = desk()
    at.list("ETH")
    at.hold("1", symbol="ETH")
    at.mark("50", symbol="ETH")
    at.passes(age_s)
    at.mark("100")
    verdict = at.ask("buy")
    assert verdict.code == code
    assert code == "ok" or verdict.missing == "fresh mark of all that main holds"
    at.mark("50", symbol="ETH")
    assert at.code("buy") == "ok"


def test_getting_out_asks_for_no_other_mark(desk: Desk) -> None:
    at = desk()
    at.list("ETH")
    at.hold("1", symbol="ETH")
    at.hold("1")
    at.mark("50", symbol="ETH")
    at.passes(901)
    at.mark("100")
    assert at.ask("sell").decision == "allow"
    assert at.code("buy") == "stale_mark"


def test_one_who_holds_what_rests_at_night_says_so(desk: Desk) -> None:
    at = desk(FreshData(max_held_mark_age_s=86_400.0))
    at.list("ETH")
    at.hold("1", symbol="ETH")
    at.mark("50", symbol="ETH")
    at.passes(50_000)
    at.mark("100")
    assert at.code("buy") == "ok"


def test_a_mark_that_was_old_when_it_came_is_as_old_as_it_says(desk: Desk) -> None:
    at = desk()
    at.list("ETH")
    at.hold("1", symbol="ETH")
    assert at.code("buy") == "ok", "what is not there at all is for other rules to say"
    at.tell("mark", None, symbol="ETH", price="50", ts=(at.at - timedelta(hours=2)).isoformat())
    assert at.code("buy") == "stale_mark"


@pytest.mark.parametrize(("age_s", "code"), [(345_600.0, "ok"), (345_600.001, "stale_rate")])
def test_a_rate_that_counts_is_not_one_that_somebody_forgot(
    desk: Desk, age_s: float, code: str
) -> None:
    at = desk(FreshData(max_held_mark_age_s=31_536_000.0))
    at.list("EURX", quote="EUR", settle="EUR")
    at.hold("1", symbol="EURX")
    at.mark("50", symbol="EURX")
    at.tell("fx", None, ccy="EUR", rate="1.1")
    at.tell("fx", None, ccy="JPY", rate="0.01")
    at.passes(age_s)
    at.mark("100")
    assert at.code("buy") == code, "nothing here is in yen"
    at.tell("fx", None, ccy="EUR", rate="1.1")
    assert at.code("buy") == "ok"
