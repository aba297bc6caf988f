"""Sums by currency: what is late restates them, and what is gone leaves them."""

from collections.abc import Callable
from typing import Any

from riskd.actors.core.book.sums import Sum, Sums

Log = Any  # the class of this fixture lives in conftest.py
BEGIN = 1_700_000_000_000


def looking(log: Log) -> Callable[[], dict[str, Sum]]:
    """Looks at what has changed since the last time, and at nothing else."""
    sums = Sums(log.book)

    def look() -> dict[str, Sum]:
        sums.catch_up(sums.behind)
        return sums.by_currency()

    return look


def test_a_late_rate_restates_what_fees_have_cost(log: Log) -> None:
    look = looking(log.linear().account())
    log.buy("1", "2", "10", fee="0.5", fee_ccy="BNB", ts=BEGIN + 2)
    assert look()["USD"].net is None
    log.tell("fx", ccy="BNB", rate="300", ts=BEGIN + 3)
    assert look()["USD"].net is None, "it came later than the fill"
    log.tell("fx", ccy="BNB", rate="200", ts=BEGIN + 1)
    assert look()["USD"].net == -100


def test_an_adopted_position_begins_at_nothing(log: Log) -> None:
    look = looking(log.linear().account())
    log.buy("1", "2", "10", ts=BEGIN).sell("2", "1", "12", ts=BEGIN + 1)
    assert look()["USD"].realised == 2
    log.tell("snapshot", symbol="L", qty="5", avg_price="10", as_of=BEGIN + 2)
    assert look()["USD"].realised == 0


def test_funding_and_an_order_without_any_fill_are_seen(log: Log) -> None:
    look = looking(log.linear().account())
    assert look() == {}
    log.order("o", "buy", "1")
    assert list(look()) == ["USD"]
    log.tell("funding", symbol="L", amount="-3")
    assert (look()["USD"].funding, look()["USD"].net) == (-3, -3)


def test_a_currency_in_which_nothing_is_charged_any_more_has_no_sum(log: Log) -> None:
    look = looking(log.linear().account())
    log.buy("1", "2", "10", fee="0.5", fee_ccy="BNB")
    assert list(look()) == ["BNB", "USD"]
    log.tell("bust", id="1", symbol="L")
    assert list(look()) == ["USD"]
