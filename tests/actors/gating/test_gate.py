"""The gate: judged, reserved and answered in one step; and what it can't know is a no."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from riskd.actors.core.gate import decision
from riskd.actors.core.gate.asked import Identity
from riskd.actors.core.gate.decision import decide
from riskd.actors.core.gate.view import Moment
from riskd.actors.core.gate.words import SENTENCES
from riskd.actors.core.wire import parse
from riskd.actors.messages import (
    By,
    Check,
    Decision,
    Error,
    Halt,
    HaltPlaced,
    KillSwitchTriggered,
    OrderAsked,
    OrderDecided,
    UntilOperator,
)
from riskd.actors.messages.book import Cancel, Fill, Order
from riskd.config.schema import rules as schema
from trio.testing import assert_no_checkpoints

Desk = Any  # the class of these fixtures lives in conftest.py
MINE = Identity("mm-1", "main", None)
THEIRS = Identity("mm-2", "main", None)
BY = By(via="riskd")


def order(name: str = "a", **more: Any) -> OrderAsked:
    said = {"account": "main", "symbol": "X", "side": "buy", "qty": "1", "price": "100"}
    return OrderAsked(client_order_id=name, **{**said, **more})


def held(desk: Desk, qty: str) -> None:
    """A position."""
    side: Any = "sell" if qty.startswith("-") else "buy"
    size = Decimal(qty.lstrip("-"))
    desk.book(Fill(id=f"f{qty}", symbol="X", side=side, qty=size, price=Decimal(100), order=None))


# --- one step -------------------------------------------------------------------------------------


async def test_what_is_permitted_counts_when_the_answer_is_there(limited: Desk) -> None:
    with assert_no_checkpoints():
        answer = limited.check(order(qty="6"))
    assert (answer.decision, answer.qty, answer.scale_factor) == ("allow", "6", "1")
    assert limited.worst() == (6, 0)


def test_of_two_that_each_want_most_of_the_rest_one_passes_whole(limited: Desk) -> None:
    answers = [limited.check(order(name, qty="6")) for name in ("a", "b")]
    assert [answer.decision for answer in answers] == ["allow", "block"]
    assert (answers[1].code, answers[1].max_qty) == ("max_position", "4")


def test_or_the_second_has_the_rest_where_that_is_wanted(limited: Desk) -> None:
    limited.limits.on_excess = "scale_down"
    limited.check(order("a", qty="6"))
    answer = limited.check(order("b", qty="6"))
    assert (answer.decision, answer.qty) == ("scale_down", "4")
    assert answer.scale_factor.startswith("0.6666")
    assert answer.ticket is not None
    assert answer.ticket.max_qty == "4"
    assert limited.worst() == (10, 0)


def test_the_word_of_the_account_goes_before_that_of_the_gate(limited: Desk) -> None:
    limited.limits.on_excess = "scale_down"
    limited.limits.on_excess_of = {"main": "block", "other": "scale_down"}
    assert limited.check(order("a", qty="11")).decision == "block"
    again = limited.again()
    again.limits.on_excess_of = {"main": "scale_down"}
    assert again.check(order("b", qty="11")).decision == "scale_down"


def test_the_word_of_the_rule_goes_before_that_of_the_account(desk: Desk) -> None:
    rule = schema.MaxPosition(scope="account:main", max_qty=Decimal(10), on_excess="block")
    limited = type(desk)([rule])
    limited.limits.on_excess_of = {"main": "scale_down"}
    assert limited.check(order("a", qty="11")).decision == "block"


def test_a_decision_is_a_fact_that_judges_by_everything_before_it(desk: Desk) -> None:
    newest = len(desk.facts)
    answer = desk.check(order())
    assert (answer.lsn, answer.decision_id) == (newest, str(newest + 1))
    fact = desk.facts[-1]
    assert isinstance(fact, OrderDecided)
    assert (fact.epoch, fact.expires_s) == (desk.halts.now.epoch, 102.0)


def test_whatever_is_answered_can_be_found_out_again_from_the_facts(limited: Desk) -> None:
    asked = [order("a", qty="6"), order("b", qty="6"), order("c", qty="x"), order("a", qty="7")]
    for each in asked:
        limited.check(each, MINE)
    told = [(at, fact) for at, fact in enumerate(limited.facts) if isinstance(fact, OrderDecided)]
    for at, fact in told:
        before = type(limited)(facts=limited.facts[:at])
        before.limits.rules = limited.limits.rules
        moment = Moment(fact.at, fact.monotonic_s)
        known = before.gate.knowledge()
        again = decide(fact.order, MINE, known, moment).verdict
        assert msgspec.json.encode(again) == msgspec.json.encode(fact.verdict)
    assert len(told) == len(asked)


# --- an id gets one answer ------------------------------------------------------------------------


@pytest.mark.parametrize("qty", ["6", "11", "1.5", "NaN"])
def test_asked_again_the_same_comes_again_and_counts_once(limited: Desk, qty: str) -> None:
    first = limited.check(order(qty=qty), MINE)
    before = limited.worst()
    limited.check(order("other", qty="4"))
    limited.clock.passed_s = 60
    facts = len(limited.facts)
    without = msgspec.structs.replace(first, ticket=None)
    assert limited.check(order(qty=qty), MINE) == without, "the ticket's time is over"
    assert len(limited.facts) == facts
    assert limited.worst() == (before[0] + 4, before[1])


@pytest.mark.parametrize("qty", ["6", "11"])
def test_also_after_a_restart(limited: Desk, qty: str) -> None:
    first = limited.check(order(qty=qty), MINE)
    assert limited.again().check(order(qty=qty), MINE) == first


@pytest.mark.parametrize(
    "more", [{"qty": "2"}, {"side": "sell"}, {"price": "101"}, {"reduce_only": True}, {"qty": 1}]
)
def test_another_content_under_the_same_id_is_refused(desk: Desk, more: dict[str, Any]) -> None:
    desk.check(order(), MINE)
    answer = desk.check(order(**more), MINE)
    assert (answer.decision, answer.code) == ("block", "id_reused")
    assert desk.check(order(), MINE).decision == "allow"


def test_so_is_another_caller(desk: Desk) -> None:
    desk.check(order(), MINE)
    assert desk.check(order(), THEIRS).code == "id_reused"


def test_the_same_id_in_another_account_is_another_one(desk: Desk) -> None:
    desk.check(order())
    assert desk.check(order(account="other")).decision == "allow"


def test_an_id_that_came_by_report_is_taken(desk: Desk) -> None:
    desk.book(Order(id="a", symbol="X", side="buy", qty=Decimal(1)))
    assert desk.check(order()).code == "id_reused"
    assert desk.worst() == (1, 0)


def test_nobody_uses_up_the_ids_of_others(desk: Desk) -> None:
    stranger = Identity("stranger", "other", None)
    assert desk.check(order(), stranger).code == "not_your_account"
    assert desk.check(order(), MINE).decision == "allow"


def test_that_everything_is_halted_is_no_answer_to_the_order(desk: Desk) -> None:
    desk.check(order("before"), MINE)
    desk.commit(KillSwitchTriggered(by=BY, cause="manual", source="operator", reason="boo"))
    for name in ("before", "new"):
        answer = desk.check(order(name), MINE)
        assert (answer.code, answer.ess_active, answer.risk_level) == (
            "kill_switch",
            True,
            "critical",
        )
    assert desk.answers.find("main", "new") is None


# --- unknown is a refusal -------------------------------------------------------------------------


def away(desk: Desk) -> None:
    desk.is_serving = False


def broken(desk: Desk) -> None:
    desk.failure = "the journal has failed: no disk"


def doubtful(desk: Desk) -> None:
    desk.doubt = "in doubt, and being made again: book"


def unlimited(desk: Desk) -> None:
    desk.limits.rules = None


def unkept(desk: Desk) -> None:
    desk.keeps_positions = False


@pytest.mark.parametrize(
    ("breaks", "code"),
    [
        (away, "gate_unavailable"),
        (broken, "journal_failed"),
        (doubtful, "in_doubt"),
        (unlimited, "gate_unavailable"),
        (unkept, "position_keeper_unavailable"),
    ],
)
def test_what_nobody_can_judge_or_write_is_blocked_and_no_history(
    desk: Desk, breaks: Callable[[Desk], None], code: str
) -> None:
    breaks(desk)
    facts = len(desk.facts)
    answer = desk.check(order())
    assert (answer.decision, answer.code, answer.decision_id) == ("block", code, None)
    assert answer.ticket is None
    assert len(desk.facts) == facts
    assert answer.reason


def test_without_a_position_keeper_what_reduces_still_passes(desk: Desk) -> None:
    held(desk, "5")
    desk.keeps_positions = False
    assert desk.check(order("a", side="sell", qty="5")).decision == "allow"
    assert desk.check(order("b", side="sell", qty="1")).code == "position_keeper_unavailable"


def test_a_reservation_that_may_be_lost_is_told_to_nobody(desk: Desk) -> None:
    commit = desk.gate.commit

    def commits_and_doubts(*facts: Any) -> int:
        lsn: int = commit(*facts)
        desk.doubt = "in doubt, and being made again: book"
        return lsn

    desk.gate.commit = commits_and_doubts
    answer = desk.check(order())
    assert (answer.decision, answer.code, answer.ticket) == ("block", "in_doubt", None)


def test_a_halt_is_in_force_for_the_next_order(desk: Desk) -> None:
    desk.check(order("a"))
    halt = Halt(
        scope="symbol:X",
        mode="halt",
        cause="manual",
        source="operator",
        reason="boo",
        until=UntilOperator(),
    )
    desk.commit(HaltPlaced(halt_id=1, halt=halt, by=BY))
    answer = desk.check(order("b"))
    assert (answer.code, answer.scope) == ("halted", "symbol:X")


def test_limits_that_change_are_in_force_for_the_next_order(desk: Desk, limited: Desk) -> None:
    assert desk.check(order("a", qty="11")).decision == "allow"
    desk.limits.rules = limited.limits.rules
    assert desk.check(order("b", qty="1")).code == "max_position"


# --- what arrives ---------------------------------------------------------------------------------

RUBBISH = {
    "qty": {
        "NaN": "not_finite",
        "sNaN123": "not_finite",
        "Infinity": "not_finite",
        "-inf": "not_finite",
        "-0": "qty_not_positive",
        "0": "qty_not_positive",
        "-1": "qty_not_positive",
        "1e400": "too_many_digits",
        "1e-400": "too_many_digits",
        "1" * 60: "too_many_digits",
        "1" * 61: "not_a_number",
        "0." + "1" * 60: "too_many_digits",
        "": "not_a_number",
        " 1": "not_a_number",
        "1_000": "not_a_number",
        "\u0661": "not_a_number",
        "0x10": "not_a_number",
        "1e9999999": "not_a_number",
        "one": "not_a_number",
    },
    "price": {"NaN": "not_finite", "x": "not_a_number", "1e31": "too_many_digits"},
    "stop_price": {"Infinity": "not_finite", "": "not_a_number"},
    "stop_loss": {"nan": "not_finite", "1,5": "not_a_number"},
    "leverage": {"inf": "not_finite", "10x": "not_a_number"},
    "symbol": {"Y": "unknown_symbol", "x": "unknown_symbol"},
    "account": {"nobody": "unknown_account"},
    "exchange": {"nowhere": "wrong_exchange"},
    "order_type": {"stop": "stop_price_missing", "stop_limit": "stop_price_missing"},
}
CASES = [(field, text, code) for field, texts in RUBBISH.items() for text, code in texts.items()]


@pytest.mark.parametrize(("field", "text", "code"), CASES)
def test_rubbish_is_a_block_with_a_code_of_its_own(
    desk: Desk, field: str, text: str, code: str
) -> None:
    answer = desk.check(order(**{field: text}))
    assert (answer.decision, answer.code, answer.ticket) == ("block", code, None)
    assert code in SENTENCES
    assert desk.worst() == (0, 0)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("qty", "true"),
        ("qty", "1.5"),
        ("qty", "null"),
        ("qty", "[]"),
        ("qty", '"' + "1" * 1_001 + '"'),
        ("qty", "1" * 5_000),
        ("price", "NaN"),
        ("price", "1e400"),
        ("symbol", '""'),
        ("symbol", '"' + "X" * 10_000 + '"'),
        ("account", '""'),
        ("side", '"BUY"'),
        ("client_order_id", '""'),
        ("reduce_only", "1"),
        ("more", "1"),
    ],
)
def test_what_is_no_order_at_all_is_a_typed_error(field: str, text: str) -> None:
    good = msgspec.json.decode(msgspec.json.encode(Check(id=7, order=order())))
    good["order"][field] = "HERE"
    found = parse(msgspec.json.encode(good).replace(b'"HERE"', text.encode()))
    assert isinstance(found, Error)
    assert found.code in ("invalid_value", "unknown_field", "invalid_json")
    if found.code != "invalid_json":
        assert found.field == f"order.{field}"


@pytest.mark.parametrize("number", [1, 10**18, -(2**63), 2**64 - 1, 2**70])
def test_whole_numbers_may_be_numbers(desk: Desk, number: int) -> None:
    line = msgspec.json.encode(Check(order=order(qty="HERE"))).replace(
        b'"HERE"', str(number).encode()
    )
    found = parse(line)
    assert isinstance(found, Check | Error)
    if isinstance(found, Check):
        answer = desk.check(found.order)
        assert isinstance(answer, Decision)
        assert (answer.decision == "allow") == (number > 0)


def test_a_closed_account_takes_no_order(desk: Desk) -> None:
    desk.books.accounts["main"].about.is_open = False
    assert desk.check(order()).code == "account_closed"


def test_an_account_has_so_many_strategies_and_no_more(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks can make up as many names as he likes, and each has a book."""
    monkeypatch.setattr(decision, "PARTS_MAX", 2)
    parts = desk.books.accounts["main"].parts
    for name in "abc":
        desk.check(order(name, strategy=name, qty="1"))
    assert set(parts) == {"strategy:a", "strategy:b"}
    refused = desk.check(order("d", strategy="d", qty="1"))
    assert (refused.code, refused.rule) == ("too_many_strategies", "identity")
    assert desk.check(order("e", strategy="a", qty="1")).decision == "allow"
    assert desk.check(order("f", qty="1")).decision == "allow"


def test_what_is_gone_makes_room(limited: Desk) -> None:
    limited.check(order("a", qty="10"))
    assert limited.check(order("b", qty="1")).decision == "block"
    limited.book(Cancel(id="a"))
    assert limited.check(order("c", qty="10")).decision == "allow"
