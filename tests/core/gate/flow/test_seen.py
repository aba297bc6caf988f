"""What facts mean to memories: what is new, once, in the scopes of its order."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from riskd.actors.core.gate.memory import (
    Asked,
    Ended,
    Executed,
    Judged,
    Rearmed,
    SessionEnded,
)
from riskd.actors.messages import OrderDropped
from riskd.config.schema.rules import MaxWorkingOrders

Desk = Callable[..., Any]

MINE = {"all", "account:main", "symbol:BTC", "exchange:sim", "strategy:mm", "worker:w"}


def told(desk: Any, kind: type[Any]) -> list[Any]:
    return [one for one in desk.seen if type(one) is kind]


def begun(desk: Desk, **more: Any) -> Any:
    """A desk with one order of a strategy, from a worker."""
    at = desk()
    at.ask(strategy="mm", worker="w", qty="10", **more)
    return at


def test_an_order_is_judged_in_all_its_scopes(desk: Desk) -> None:
    (one,) = told(begun(desk), Judged)
    assert set(one.scopes) == MINE
    assert (one.order.strategy, one.verdict.decision) == ("mm", "allow")


def test_an_order_of_nobody_knows_what_account_is_judged_too(desk: Desk) -> None:
    at = desk()
    at.ask(account="nowhere")
    (one,) = told(at, Judged)
    assert set(one.scopes) == {"all", "account:nowhere", "symbol:BTC"}
    assert one.verdict.decision == "block"


def test_a_fill_is_in_the_scopes_of_its_order_and_says_what_it_is_worth(desk: Desk) -> None:
    at = begun(desk)
    at.passes(7)
    at.fill("4", "110", ts="2020-01-01T00:00:00Z")
    (one,) = told(at, Executed)
    assert set(one.scopes) == MINE
    assert one[2:] == ("main", "BTC", "buy", 4, 110, "o1", 440, None, False, "USD", 6)
    assert one.at == at.at


def test_a_fill_of_no_known_order_is_of_its_account_and_symbol(desk: Desk) -> None:
    at = desk()
    at.fill(order=None)
    at.fill(order="unheard of")
    for one in told(at, Executed):
        assert set(one.scopes) == {"all", "account:main", "symbol:BTC", "exchange:sim"}
        assert (one.order, one.left) == (None, None)


def test_so_is_one_that_its_order_does_not_explain(desk: Desk) -> None:
    at = begun(desk)
    at.fill(side="sell")
    (one,) = told(at, Executed)
    assert set(one.scopes) == {"all", "account:main", "symbol:BTC", "exchange:sim"}
    assert (one.order, one.left) == (None, None)


def test_an_order_that_was_dropped_ends_once_and_was_not_refused(desk: Desk) -> None:
    at = begun(desk)
    for _ in range(2):
        at.record(OrderDropped(account="main", client_order_id=at.last))
    (one,) = told(at, Ended)
    assert (set(one.scopes), one.order, one.how) == (MINE, at.last, "drop")


def test_a_fill_counts_once(desk: Desk) -> None:
    at = begun(desk)
    for _ in range(3):
        at.fill(id="a")
    at.fill(id="a", price="101")
    at.tell("correct", id="a", symbol="BTC", qty="2")
    at.tell("bust", id="a", symbol="BTC")
    assert len(told(at, Executed)) == 1


def test_a_fill_that_was_taken_back_before_it_came_never_was(desk: Desk) -> None:
    at = begun(desk)
    at.tell("bust", id="a", symbol="BTC")
    at.fill(id="a")
    assert told(at, Executed) == []


def test_closing_says_what_it_has_won_without_fees(desk: Desk) -> None:
    at = desk()
    at.fill("2", "100", order=None)
    at.fill("3", "90", side="sell", order=None, fee="5")
    at.fill("1", "80", order=None)
    assert [(one.won, one.is_closing) for one in told(at, Executed)] == [
        (None, False),
        (-20, True),
        (10, True),
    ]


def test_a_late_fill_says_what_it_has_won_in_its_place(desk: Desk) -> None:
    at = desk()
    at.fill("2", "100", order=None, ts="2026-11-20T00:00:01Z")
    at.fill("1", "130", side="sell", order=None, ts="2026-11-20T00:00:03Z")
    at.fill("1", "120", side="sell", order=None, ts="2026-11-20T00:00:02Z")
    at.fill("1", "90", order=None, ts="2026-11-20T00:00:00Z")
    assert [one.won for one in told(at, Executed)] == [None, 30, 20, None]


def test_a_late_fill_closes_what_was_open_at_its_time(desk: Desk) -> None:
    at = desk()
    at.fill("2", "100", order=None, ts="2026-11-20T00:00:01Z")
    at.fill("2", "130", side="sell", order=None, ts="2026-11-20T00:00:03Z")
    at.fill("1", "120", side="sell", order=None, ts="2026-11-20T00:00:02Z")
    assert [one.won for one in told(at, Executed)] == [None, 60, 20]


def test_a_fee_in_the_thing_itself_closes_nothing(desk: Desk) -> None:
    at = desk()
    at.list("ETH", kind="spot", base="ETH")
    at.fill("1", "100", symbol="ETH", order=None)
    at.fill("1", "200", symbol="ETH", order=None, fee="0.1", fee_ccy="ETH")
    assert [one.won for one in told(at, Executed)] == [None, None]


def test_worth_is_in_the_currency_of_the_account(desk: Desk) -> None:
    at = desk()
    at.list("DAX", "EUR", multiplier="25")
    at.list("INV", "USD", kind="inverse", multiplier="100", settle="XBT", base="XBT")
    at.tell("fx", ccy="EUR", rate="2")
    at.tell("fx", ccy="XBT", rate="50")
    at.fill("2", "10", symbol="DAX", order=None)
    at.fill("1", "12", symbol="DAX", side="sell", order=None)
    at.fill("3", "100", symbol="INV", order=None)
    at.fill("3", "200", symbol="INV", side="sell", order=None)
    assert [(one.notional, one.won) for one in told(at, Executed)] == [
        (1_000, None),
        (600, 100),
        (300, None),
        (300, Decimal(75)),
    ]


def test_without_a_rate_worth_is_not_known_but_closing_is(desk: Desk) -> None:
    at = desk()
    at.list("DAX", "EUR")
    at.fill("1", "10", symbol="DAX", order=None)
    at.fill("1", "12", symbol="DAX", side="sell", order=None)
    assert [(one.notional, one.won, one.is_closing) for one in told(at, Executed)] == [
        (None, None, False),
        (None, None, True),
    ]


def test_an_order_ends_once(desk: Desk) -> None:
    at = begun(desk)
    for what in ("reject", "cancel", "reject", "expire"):
        at.tell(what, id="o1")
    (one,) = told(at, Ended)
    assert set(one.scopes) == MINE
    assert one[2:] == ("main", "o1", "reject")


def test_an_order_that_nobody_knows_ends_in_its_account(desk: Desk) -> None:
    at = desk()
    at.tell("cancel", id="theirs")
    (one,) = told(at, Ended)
    assert set(one.scopes) == {"all", "account:main", "exchange:sim"}


def test_each_change_that_is_asked_for_counts(desk: Desk) -> None:
    at = begun(desk)
    at.tell("cancel_request", id="o1")
    at.tell("cancel_request", id="o1")
    at.tell("amend_request", id="o1", qty="3")
    at.tell("amend", id="o1", qty="3")
    at.tell("timeout", id="o1")
    assert [one.what for one in told(at, Asked)] == [
        "cancel_request",
        "cancel_request",
        "amend_request",
    ]
    assert {frozenset(one.scopes) for one in told(at, Asked)} == {frozenset(MINE)}


def test_a_session_ends_wherever_the_account_is(desk: Desk) -> None:
    at = begun(desk)
    at.list("ETH")
    at.reset()
    (one,) = told(at, SessionEnded)
    assert set(one.scopes) == MINE | {"symbol:ETH"}
    assert (one.at, one.is_week) == (at.at, False)


def test_a_rule_that_is_re_armed_is_told_in_its_scope(desk: Desk) -> None:
    at = desk()
    at.rearm(MaxWorkingOrders(max_orders=1, scope="strategy:mm"))
    (one,) = told(at, Rearmed)
    assert one[1:] == (("strategy:mm",), "max_working_orders@strategy:mm")


def test_prices_and_cash_mean_nothing(desk: Desk) -> None:
    at = desk()
    at.tell("mark", symbol="BTC", price="101")
    at.tell("transfer", ccy="USD", amount="1")
    at.tell("funding", symbol="BTC", amount="1")
    at.tell("order", id="theirs", symbol="BTC", side="buy", qty="1")
    assert at.seen == []
