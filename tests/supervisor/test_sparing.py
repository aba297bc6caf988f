"""What anybody can make by the thousand fills no log, and each of it is history all the same."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.messages import (
    EdgeReported,
    Fact,
    RiskSignal,
    SignalNoted,
    TicketMisused,
    VenueStated,
)
from riskd.supervisor.chronicle import Chronicle
from riskd.supervisor.sparing import LOGGED, WHILE_S, Sparing
from structlog.testing import capture_logs

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Ledger:
    """One that is never full."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []

    def commit(self, *facts: Fact) -> int:
        self.facts += facts
        return len(self.facts)


def misused(number: int) -> TicketMisused:
    return TicketMisused(account="main", client_order_id=f"o{number}", code="no_ticket")


def test_a_flood_of_misused_tickets_is_logged_in_part_and_kept_whole() -> None:
    now_s, ledger = [0.0], Ledger()
    history: Any = ledger
    chronicle = Chronicle(history, now_s=lambda: now_s[0])
    with capture_logs() as logs:
        for number in range(1_000):
            chronicle.commit(misused(number))
        assert len(ledger.facts) == 1_000
        assert len(logs) == LOGGED
        assert logs[-1]["no_more_for_s"] == WHILE_S
        now_s[0] = WHILE_S
        chronicle.commit(misused(1_000))
    assert logs[LOGGED]["not_logged_before"] == 1_000 - LOGGED
    assert logs[LOGGED]["log_level"] == "warning"


@pytest.mark.parametrize(
    "fact",
    [
        EdgeReported(strategy="mm", symbol=None, bps=Decimal(5)),
        SignalNoted(
            source="mm", state="said", signal=RiskSignal(level="warning", score=50),
            reason=None, by=None, worker="mm-1", said_at=None,
        ),
        VenueStated(account="main", can_trade=True, reason=None, at=NOON, worker="mm-1"),
    ],
)  # fmt: skip
def test_nor_does_a_flood_of_words_that_a_worker_may_say(fact: Fact) -> None:
    ledger: Any = Ledger()
    chronicle = Chronicle(ledger, now_s=lambda: 0.0)
    with capture_logs() as logs:
        for _ in range(1_000):
            chronicle.record(fact)
    assert (len(ledger.facts), len(logs)) == (1_000, LOGGED)


@given(st.lists(st.floats(0, 20), max_size=300))
def test_each_is_logged_or_counted_by_one_that_is(waits: list[float]) -> None:
    sparing, now_s, logged, counted, at = Sparing(), 0.0, 0, 0, list[float]()
    for wait in waits:
        now_s += wait
        said = sparing.more(now_s)
        if said is not None:
            logged += 1
            counted += int(str(said.get("not_logged_before", 0)))
            at.append(now_s)
    now_s += WHILE_S
    last = sparing.more(now_s)
    assert last is not None
    counted += int(str(last.get("not_logged_before", 0)))
    assert logged + counted == len(waits)
    for one in at:
        assert sum(one <= other < one + WHILE_S for other in at) <= 2 * LOGGED
