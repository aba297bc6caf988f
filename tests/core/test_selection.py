"""A selection takes what fits all of it, and everything when nothing is asked."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core.selection import FACT_TAGS, Selection, matches
from riskd.actors.messages import ActorSilent, ChildFailed, Fact

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
FAILED = ChildFailed(
    supervisor="riskd/watchdogs", child="heartbeat", incarnation=1, phase="running", cause="x"
)
SILENT = ActorSilent(actor="settings", deadline_s=2.0)


def recorded(fact: Fact | dict[str, Any], at: datetime = NOON) -> dict[str, Any]:
    document = {"lsn": 7, "at": at, "monotonic_s": 1.5, "fact": fact}
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document))
    return decoded


TRADE = recorded({"type": "order_admitted", "account": "main", "actor": None})


@pytest.mark.parametrize("document", [recorded(FAILED), recorded(SILENT), TRADE])
def test_nothing_asked_selects_everything(document: dict[str, Any]) -> None:
    assert matches(Selection(), document)


@pytest.mark.parametrize(
    "actor",
    [
        "heartbeat",
        "watchdogs",
        "riskd/watchdogs",
        "riskd/watchdogs/heartbeat",
        "watchdogs/heartbeat",
    ],
)
def test_an_actor_is_named_alone_or_by_its_path(actor: str) -> None:
    assert matches(Selection(actor=actor), recorded(FAILED))
    assert not matches(Selection(actor=actor), recorded(SILENT))


@pytest.mark.parametrize(
    "actor", ["beat", "dogs/heartbeat", "riskd", "heartbeat/watchdogs", "x", ""]
)
def test_a_part_of_a_name_is_no_name(actor: str) -> None:
    assert not matches(Selection(actor=actor), recorded(FAILED))


def test_an_actor_that_tells_of_itself_is_found() -> None:
    assert matches(Selection(actor="settings"), recorded(SILENT))


def test_an_account_is_the_whole_name() -> None:
    assert matches(Selection(account="main"), TRADE)
    assert not matches(Selection(account="mai"), TRADE)
    assert not matches(Selection(account="main"), recorded(FAILED))


def test_a_fact_of_another_version_is_judged_by_what_it_says() -> None:
    assert not matches(Selection(facts=("child_failed",)), TRADE)
    assert matches(Selection(facts=("child_failed", "order_admitted")), TRADE)
    assert not matches(Selection(actor="None"), TRADE)


def test_all_that_is_asked_must_fit() -> None:
    both = Selection(facts=("child_failed",), actor="heartbeat")
    assert matches(both, recorded(FAILED))
    assert not matches(Selection(facts=("child_failed",), actor="gate"), recorded(FAILED))
    assert not matches(Selection(facts=("child_ended",), actor="heartbeat"), recorded(FAILED))


@given(st.integers(-3, 3), st.integers(-3, 3))
def test_windows_that_touch_share_no_fact_and_miss_none(microseconds: int, at: int) -> None:
    edge, moment = NOON + timedelta(microseconds=microseconds), NOON + timedelta(microseconds=at)
    document = recorded(SILENT, moment)
    before, after = (
        matches(Selection(until=edge), document),
        matches(Selection(since=edge), document),
    )
    assert (before, after) == (moment < edge, moment >= edge)


def test_every_fact_has_its_tag() -> None:
    assert {"child_failed", "daemon_started"} <= set(FACT_TAGS)
    assert list(FACT_TAGS) == sorted(set(FACT_TAGS))
