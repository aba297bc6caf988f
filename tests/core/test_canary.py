"""What the canary asks must be refused by a gate that is well, and an answer says which is not."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, get_args
from zoneinfo import ZoneInfo

import msgspec
import pytest
from riskd.actors.core import canary
from riskd.actors.core.books import Books
from riskd.actors.core.canary import FENCED, KINDS, Question
from riskd.actors.core.gate.answers import Answers, answered
from riskd.actors.core.gate.asked import CANARY, Identity
from riskd.actors.core.gate.decision import Knowledge, decide
from riskd.actors.core.gate.reply import decision, undecided
from riskd.actors.core.gate.ruleset import Ruleset
from riskd.actors.core.gate.seen import seen
from riskd.actors.core.gate.view import Moment
from riskd.actors.messages import (
    AccountClosed,
    AccountOpened,
    Decision,
    Fact,
    InstrumentListed,
    Listing,
    OrderDecided,
    Recorded,
    Refused,
)
from riskd.actors.messages.canary import CanaryKind
from riskd.config.schema.rules import AnyRule, MaxOrderQty

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SIZE = MaxOrderQty(max_qty=Decimal(10))


class Room:
    """`main` may trade X, and the canary asks."""

    def __init__(self, *rules: AnyRule, max_qty: str | None = None, accounts: str = "main") -> None:
        self.books, self.answers = Books(ZoneInfo), Answers()
        self.rules, self.on_excess = Ruleset(rules), "block"
        self.on_excess_of: dict[str, Any] = {}
        self.is_active, self.turn, self.lsn = True, 0, 0
        self.before: Question | None = None
        listing = Listing(
            symbol="X",
            kind="linear",
            multiplier=Decimal(1),
            quote="USD",
            settle="USD",
            lot=Decimal("0.3"),
            max_qty=None if max_qty is None else Decimal(max_qty),
        )
        self.record(InstrumentListed(listing=listing))
        for name in accounts.split():
            self.record(AccountOpened(account=name, currency="USD", balance=Decimal(1000)))

    def record(self, fact: Fact) -> Recorded:
        self.lsn += 1
        recorded = Recorded(lsn=self.lsn, at=NOON, monotonic_s=1.0, fact=fact)  # type: ignore[arg-type]  # every Fact is of AnyFact
        self.books.apply(recorded)
        self.answers.apply(recorded)
        return recorded

    @property
    def known(self) -> Knowledge:
        return Knowledge(
            books=self.books,
            rules=self.rules,
            memories={},
            is_active=self.is_active,
            modes={},
            on_excess=self.on_excess,  # type: ignore[arg-type]  # it is one of them
            on_excess_of=self.on_excess_of,
            answers=self.answers,
        )

    def ask(self) -> tuple[Question, Decision]:
        """One turn."""
        name = f"riskd-canary-{self.turn}"
        self.turn, question = canary.question(self.turn, self.known, name, self.before)
        self.turn += 1
        who = Identity(CANARY)
        verdict = decide(question.order, who, self.known, Moment(NOON, 1.0)).verdict
        fact = OrderDecided(
            order=question.order, worker=CANARY, at=NOON, monotonic_s=1.0, verdict=verdict
        )
        recorded = self.record(fact)
        assert seen(recorded, self.books) is None
        reply = decision(answered(self.lsn, fact))
        self.before = question if canary.is_kept(question, reply) else None
        return question, reply

    def round(self) -> dict[CanaryKind, tuple[Question, Decision]]:
        """As many turns as there are kinds. The last answer of each."""
        return {found[0].kind: found for found in (self.ask() for _ in KINDS)}


WELL: Sequence[Callable[[], Room]] = (
    lambda: Room(SIZE),
    lambda: Room(max_qty="10"),
    lambda: Room(max_qty="10.1", accounts="main other third"),
    lambda: Room(MaxOrderQty(max_qty=Decimal("0.5"))),
)


@pytest.mark.parametrize("room_of", WELL)
def test_a_gate_that_is_well_refuses_each_of_them_for_what_is_wrong(
    room_of: Callable[[], Room],
) -> None:
    room = room_of()
    for _ in range(4):
        found = room.round()
        assert set(found) == set(KINDS) == set(get_args(CanaryKind))
        for question, reply in found.values():
            assert canary.wrong(question, reply) is None
            assert reply.decision == "block"
            assert reply.code in (question.codes or {"not_evaluable", "max_order_qty", "no_mark"})


def test_it_is_as_good_to_be_fenced(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(SIZE)
    room.is_active = False
    for question, reply in room.round().values():
        assert reply.code == "kill_switch"
        assert canary.wrong(question, reply) is None
    for code in FENCED:
        away = undecided(code, "", lsn=1, at=NOON, ess_active=False)
        assert canary.wrong(question, away) is None


def test_what_is_asked_for_by_a_taken_id_is_asked_only_when_it_was_taken() -> None:
    room = Room(SIZE)
    room.is_active = False
    assert "id_reused" not in room.round()
    room.is_active = True
    assert "id_reused" in room.round()


def test_too_much_is_asked_for_only_where_that_must_be_refused() -> None:
    assert "too_large" in Room(SIZE).round()
    assert "too_large" not in Room().round()
    cuts = MaxOrderQty(max_qty=Decimal(10), on_excess="scale_down")
    assert "too_large" not in Room(cuts).round()
    assert "too_large" not in Room(MaxOrderQty(scope="account:other", max_qty=Decimal(1))).round()
    assert "too_large" in Room(cuts, max_qty="10").round()
    room = Room(SIZE)
    room.on_excess = "scale_down"
    assert "too_large" not in room.round()
    room = Room(SIZE, accounts="main other")
    room.on_excess_of = {"main": "scale_down"}
    for _ in range(4):
        found = room.round()
        assert all(canary.wrong(*one) is None for one in found.values())
        assert "too_large" not in found or found["too_large"][0].order.account == "other"


def test_without_accounts_or_limits_there_is_still_something_to_ask() -> None:
    room = Room(accounts="")
    assert set(room.round()) == {"unknown_account"}
    _, question = canary.question(0, None, "nobody", None)
    assert question.kind == "unknown_account"


def test_a_closed_account_is_not_asked_for() -> None:
    room = Room(SIZE, accounts="gone main")
    room.record(AccountClosed(account="gone"))
    assert {one.order.account for one, _ in room.round().values()} == {
        "main",
        "riskd-canary-1",
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "change",
    [
        {"decision": "allow", "code": "ok"},
        {"decision": "scale_down"},
        {"decision": "allow"},
        {"code": "max_position"},
    ],
)
def test_any_other_answer_is_wrong(kind: CanaryKind, change: dict[str, Any]) -> None:
    question, reply = Room(max_qty="10").round()[kind]
    broken = msgspec.structs.replace(reply, **change)
    assert canary.wrong(question, broken) is not None
    assert canary.wrong(question, Refused(code="no", message="no")) is not None


def lists_anew(room: Room) -> None:
    (listing,) = room.books.listings.values()
    room.record(InstrumentListed(listing=msgspec.structs.replace(listing, max_qty=None)))


def loses_its_rule(room: Room) -> None:
    room.rules = Ruleset(())


def goes_and_comes_back(room: Room) -> None:
    room.rules = Ruleset((SIZE,))


@pytest.mark.parametrize("happens", [lists_anew, loses_its_rule, goes_and_comes_back])
def test_an_answer_about_limits_that_have_changed_meanwhile_proves_nothing(
    happens: Callable[[Room], None],
) -> None:
    room = Room(SIZE, max_qty="10")
    found = room.round()
    happens(room)
    for kind, (question, reply) in found.items():
        allowed = msgspec.structs.replace(reply, decision="allow", code="ok")
        assert canary.is_moot(question, allowed, room.known) == (kind == "too_large")
    _, question = canary.question(KINDS.index("too_large"), room.known, "nobody", None)
    if question.kind == "too_large":
        assert not canary.is_moot(question, allowed, room.known)
        assert canary.is_moot(question, allowed, None)
        assert not canary.is_moot(question, Refused(code="no", message="no"), None)


def test_of_its_own_answers_the_gate_remembers_one_and_forgets_nobody_elses_for_it() -> None:
    room = Room(SIZE)
    order = Room(SIZE).ask()[0].order
    kept = msgspec.structs.replace(order, client_order_id="o1", qty="NaN")
    verdict = decide(kept, Identity(), room.known, Moment(NOON, 1.0)).verdict
    room.record(OrderDecided(order=kept, at=NOON, monotonic_s=1.0, verdict=verdict))
    for _ in range(50):
        room.ask()
        assert room.answers.find("main", "o1") is not None
        assert len(room.answers) <= 2
        again = Answers()
        again.load(b"".join(room.answers.dump()))
        assert b"".join(again.dump()) == b"".join(room.answers.dump())
        room.answers = again
