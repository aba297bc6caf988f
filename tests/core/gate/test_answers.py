"""What was answered: an id gets one answer, and a ticket is used once, whatever a snapshot cuts."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core.gate.answers import PASSING, Answers
from riskd.actors.core.gate.tickets import misuse
from riskd.actors.messages import (
    Booked,
    Fact,
    OrderAsked,
    OrderDecided,
    OrderDropped,
    OrderSent,
    Recorded,
    TicketMisused,
    Verdict,
)
from riskd.actors.messages.book import Cancel, CancelRequest, Expire, Fill, Reject, Timeout
from riskd.actors.messages.reasons import Code

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class History:
    """Facts one after another."""

    def __init__(self, *, kept: int = 3) -> None:
        self.kept = kept
        self.answers = Answers(kept=kept)
        self.lsn = 0

    def make(self, fact: Fact) -> int:
        self.lsn += 1
        self.answers.apply(
            Recorded(lsn=self.lsn, at=NOON, monotonic_s=1.0, fact=fact)  # type: ignore[arg-type]  # every Fact is of AnyFact
        )
        return self.lsn

    def decide(
        self, name: str, decision: Any = "allow", *, qty: str = "2", code: Code = "ok"
    ) -> int:
        order = OrderAsked(
            client_order_id=name, account="main", symbol="X", side="buy", qty=qty, price="1"
        )
        verdict = Verdict(
            decision=decision, qty=Decimal(0 if decision == "block" else qty), code=code
        )
        return self.make(
            OrderDecided(
                order=order, at=NOON, monotonic_s=1.0, verdict=verdict, epoch=7, expires_s=3.0
            )
        )

    def send(self, name: str) -> None:
        self.make(OrderSent(account="main", client_order_id=name))

    def fill(self, name: str, qty: str, fill_id: str = "f", **more: Any) -> None:
        said = {"symbol": "X", "side": "buy", "qty": Decimal(qty), "price": Decimal(1), **more}
        event = Fill(id=fill_id, order=name, **said)
        self.make(Booked(account="main", event=event))

    def misuse(self, name: str, **more: Any) -> str | None:
        found = self.answers.find("main", name)
        return misuse(found, **{"decision_id": None, "epoch": 7, "monotonic_s": 2.0, **more})

    def restart(self) -> None:
        """From a snapshot."""
        again = Answers(kept=self.kept)
        again.load(b"".join(self.answers.dump()))
        self.answers = again


def test_the_first_answer_of_an_id_is_the_one_that_counts() -> None:
    history = History()
    first = history.decide("a")
    history.decide("a", "block", code="id_reused")
    found = history.answers.find("main", "a")
    assert found is not None
    assert (found.lsn, found.verdict.decision) == (first, "allow")


@pytest.mark.parametrize("code", sorted(PASSING))
def test_what_is_no_answer_to_the_order_takes_no_id(code: str) -> None:
    history = History()
    history.decide("a", "block", code=code)
    assert history.answers.find("main", "a") is None
    assert history.answers.newest is not None


def test_answers_of_working_orders_stay_and_of_the_others_the_newest() -> None:
    history = History(kept=3)
    history.decide("working")
    for number in range(10):
        history.decide(str(number), "block", code="max_position")
    known = [n for n in ("working", *map(str, range(10))) if history.answers.find("main", n)]
    assert known == ["working", "7", "8", "9"]


@pytest.mark.parametrize("event", [CancelRequest(id="a"), Timeout(id="a")])
def test_what_something_was_told_of_is_not_sent_again(event: Any) -> None:
    history = History(kept=0)
    history.decide("a")
    history.make(Booked(account="main", event=event))
    assert history.misuse("a") == "ticket_used"


def test_what_was_dropped_is_not_sent() -> None:
    history = History()
    history.decide("a")
    history.make(OrderDropped(account="main", client_order_id="a"))
    assert history.misuse("a") == "ticket_used"


@pytest.mark.parametrize("end", [Cancel, Reject, Expire])
def test_an_order_that_is_over_is_one_of_the_others(end: Callable[..., Any]) -> None:
    history = History(kept=0)
    history.decide("a")
    assert history.answers.find("main", "a") is not None
    history.make(Booked(account="main", event=end(id="a")))
    assert history.answers.find("main", "a") is None


def test_so_is_one_that_is_filled_and_not_before() -> None:
    history = History(kept=0)
    history.decide("a", qty="2")
    history.fill("a", "1.9", "f1")
    assert history.answers.find("main", "a") is not None
    history.fill("a", "0.1", "f2")
    assert history.answers.find("main", "a") is None


def test_a_fill_of_another_symbol_or_side_fills_nothing_of_it() -> None:
    history = History(kept=0)
    history.decide("a", qty="2")
    for fields in ({"symbol": "Y"}, {"side": "sell"}):
        history.fill("a", "2", **fields)
        assert history.answers.find("main", "a") is not None
    assert history.misuse("a") == "ticket_used", "the venue knows of it"


# --- tickets --------------------------------------------------------------------------------------


def test_a_ticket_is_good_until_its_time_and_not_beyond() -> None:
    history = History()
    history.decide("a")
    assert history.misuse("a", monotonic_s=3.0) is None
    assert history.misuse("a", monotonic_s=3.000_001) == "ticket_expired"


def test_a_ticket_is_good_under_its_epoch_alone() -> None:
    history = History()
    history.decide("a")
    assert history.misuse("a", epoch=8) == "ticket_stale"


def test_a_ticket_is_used_once() -> None:
    history = History()
    history.decide("a")
    history.send("a")
    assert history.misuse("a") == "ticket_used"


def test_what_was_sent_wrongly_was_sent() -> None:
    history = History()
    history.decide("a")
    history.make(TicketMisused(account="main", client_order_id="a", code="ticket_stale"))
    assert history.misuse("a") == "ticket_used"


def test_what_was_heard_of_was_sent() -> None:
    history = History()
    history.decide("a")
    history.fill("a", "0.5")
    assert history.misuse("a") == "ticket_used"


def test_a_block_and_an_unknown_order_have_no_ticket() -> None:
    history = History()
    history.decide("a", "block", code="max_position")
    assert history.misuse("a") == "no_ticket"
    assert history.misuse("b") == "no_ticket"


def test_a_ticket_is_of_its_decision() -> None:
    history = History()
    lsn = history.decide("a")
    assert history.misuse("a", decision_id=str(lsn)) is None
    assert history.misuse("a", decision_id=str(lsn + 1)) == "wrong_decision"


# --- snapshots ------------------------------------------------------------------------------------

NAMES = st.sampled_from("abcdef")
ACTS = st.one_of(
    st.tuples(st.just("decide"), NAMES, st.sampled_from(["allow", "scale_down", "block"])),
    st.tuples(st.just("send"), NAMES, st.none()),
    st.tuples(st.just("fill"), NAMES, st.sampled_from(["0.5", "1", "2"])),
    st.tuples(st.just("cancel"), NAMES, st.none()),
    st.tuples(st.just("restart"), st.none(), st.none()),
)


def act(history: History, what: str, name: str, how: Any) -> None:
    match what:
        case "decide":
            history.decide(name, how, code="ok" if how == "allow" else "max_position")
        case "send":
            history.send(name)
        case "fill":
            history.fill(name, how)
        case "cancel":
            history.make(Booked(account="main", event=Cancel(id=name)))
        case "restart":
            history.restart()


@given(st.lists(ACTS, max_size=40))
def test_a_restart_from_a_snapshot_changes_nothing(acts: list[tuple[str, str, Any]]) -> None:
    one, other = History(), History()
    for what, name, how in acts:
        act(one, what, name, how)
        if what != "restart":
            act(other, what, name, how)
    assert b"".join(one.answers.dump()) == b"".join(other.answers.dump())


def test_a_dump_is_of_when_it_was_asked_for() -> None:
    history = History()
    history.decide("a")
    before = b"".join(history.answers.dump())
    pieces = history.answers.dump()
    history.send("a")
    history.decide("b")
    assert b"".join(pieces) == before
