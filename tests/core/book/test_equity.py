"""What the account is worth, its peak, and its falls from it."""

from typing import Any

import pytest

Log = Any  # the class of this fixture lives in conftest.py


def falls(log: Any) -> tuple[str, ...]:
    worth = log.worth
    return tuple(worth[key] for key in ("equity", "peak_equity", "drawdown", "max_drawdown"))


# --- equity


def test_there_is_no_account_before_one_is_told_of(log: Log) -> None:
    log.linear().buy("1", "1", "100")
    assert "account" not in log.document
    log.account("5")
    assert log.worth["ccy"] == "USD"


def test_equity_is_the_balance_and_what_is_unrealised(log: Log) -> None:
    log.account("1000").linear(multiplier="2").buy("1", "3", "100", fee="1").mark("110")
    # 1000 - 1 + 3 x 2 x 10
    assert log.worth["equity"] == "1059"
    log.sell("2", "3", "105", fee="1").tell("funding", symbol="L", amount="-2.5")
    # 1000 - 2 + 30 - 2.5
    assert log.worth["equity"] == "1025.5"


def test_a_balance_is_worth_what_its_currency_is_now(log: Log) -> None:
    log.account("1000").linear().tell("fx", ccy="BNB", rate="600")
    log.buy("1", "1", "100", fee="0.01", fee_ccy="BNB").mark("100")
    assert log.worth["equity"] == "994"
    log.tell("fx", ccy="BNB", rate="700")
    assert log.worth["equity"] == "993"


def test_a_gain_in_base_is_worth_what_base_is_now(log: Log) -> None:
    log.account("1000").inverse().tell("fx", ccy="BTC", rate="20000")
    log.buy("1", "10", "20000", "I").mark("25000", "I")
    # 0.01 BTC
    assert log.worth["equity"] == "1200"
    log.tell("fx", ccy="BTC", rate="25000")
    assert log.worth["equity"] == "1250"


def test_the_reporting_currency_is_worth_one_of_itself(log: Log) -> None:
    log.account("1000").tell("fx", ccy="USD", rate="3")
    assert log.worth["equity"] == "1000"


def test_what_the_account_was_before_it_was_told_of_counts(log: Log) -> None:
    log.linear().buy("1", "1", "100").sell("2", "1", "130").account("1000")
    assert log.worth["equity"] == "1030"


def test_without_a_mark_that_is_needed_it_is_unknown(log: Log) -> None:
    log.account("1000").linear("A").linear("B").buy("1", "1", "100", "A")
    assert log.worth["equity"] is None
    assert log.worth["drawdown"] is None
    assert log.worth["peak_equity"] == "1000"
    log.sell("2", "1", "110", "A")
    assert log.worth["equity"] == "1010"


@pytest.mark.parametrize("why", ["fee", "settle", "transfer"])
def test_without_a_rate_that_is_needed_it_is_unknown(log: Log, why: str) -> None:
    log.account("1000").linear("A").linear("B", settle="EUR")
    if why == "fee":
        log.buy("1", "1", "1", "A", fee="1", fee_ccy="EUR").sell("2", "1", "1", "A")
    elif why == "settle":
        log.buy("1", "1", "2", "B").sell("2", "1", "1", "B")
    else:
        log.tell("transfer", ccy="EUR", amount="-1")
    assert log.worth["equity"] is None
    log.tell("fx", ccy="EUR", rate="2")
    assert log.worth["equity"] == "998"


def test_a_busted_fill_needs_no_rate(log: Log) -> None:
    log.account("1000").linear().buy("1", "1", "1", fee="1", fee_ccy="BNB")
    log.tell("bust", id="1", symbol="L")
    assert log.worth["equity"] == "1000"


# --- peak and drawdown


def test_the_peak_is_the_most_after_any_event(log: Log) -> None:
    log.account("1000").linear().buy("1", "10", "100").mark("110")
    assert falls(log) == ("1100", "1100", "0", "0")
    log.mark("95")
    assert falls(log) == ("950", "1100", "150", "150")
    assert log.worth["drawdown_pct"] == "13.63636363636363636363636364"
    log.mark("120")
    assert falls(log) == ("1200", "1200", "0", "150")
    log.mark("118")
    assert falls(log) == ("1180", "1200", "20", "150")


def test_percent_are_of_the_peak(log: Log) -> None:
    log.account("1000").linear().buy("1", "1", "100", fee="150").sell("2", "1", "100")
    assert log.worth["drawdown_pct"] == "15"


def test_of_a_peak_that_is_not_above_nought_there_is_no_percent(log: Log) -> None:
    log.account("-10").linear().buy("1", "1", "100", fee="5").sell("2", "1", "100")
    assert log.worth["drawdown"] == "5"
    assert log.worth["drawdown_pct"] is None


@pytest.mark.parametrize(
    ("amount", "expected", "percent"),
    [
        ("-500", ("450", "600", "150", "150"), "25"),
        ("400", ("1350", "1500", "150", "150"), "10"),
    ],
)
def test_a_transfer_shifts_the_peak_by_its_amount(
    log: Log, amount: str, expected: tuple[str, ...], percent: str
) -> None:
    log.account("1000").linear().buy("1", "10", "100").mark("110").mark("95")
    log.tell("transfer", ccy="USD", amount=amount)
    assert falls(log) == expected
    assert log.worth["drawdown_pct"] == percent


def test_a_transfer_in_another_currency_shifts_it_by_what_that_was_worth(log: Log) -> None:
    log.account("1000").tell("fx", ccy="EUR", rate="1.5")
    log.tell("transfer", ccy="EUR", amount="100")
    assert falls(log) == ("1150", "1150", "0", "0")
    # What the currency does later is a gain or a loss like any other.
    log.tell("fx", ccy="EUR", rate="1")
    assert falls(log) == ("1100", "1150", "50", "50")


def test_funding_is_no_transfer(log: Log) -> None:
    log.account("1000").linear().tell("funding", symbol="L", amount="-40")
    assert falls(log) == ("960", "1000", "40", "40")


def test_a_bust_takes_its_fall_with_it(log: Log) -> None:
    log.account("1000").linear().buy("1", "10", "100").mark("110").mark("50")
    assert falls(log) == ("500", "1100", "600", "600")
    log.tell("bust", id="1", symbol="L")
    assert falls(log) == ("1000", "1000", "0", "0")


def test_a_bust_between_others_makes_no_fall_of_its_own(log: Log) -> None:
    log.account("1000").linear().mark("3").buy("1", "1", "1").mark("1")
    assert falls(log) == ("1000", "1002", "2", "2")
    log.tell("bust", id="1", symbol="L").mark("1")
    assert falls(log) == ("1000", "1000", "0", "0")


def test_a_late_mark_makes_a_peak_where_it_was(log: Log) -> None:
    log.account("1000", ts=0).linear().buy("1", "10", "100", ts=1).mark("100", ts=2)
    log.mark("90", ts=9).mark("150", ts=5)
    assert falls(log) == ("900", "1500", "600", "600")


def test_a_late_mark_of_what_is_not_held_changes_nothing(log: Log) -> None:
    log.account("1000", ts=0).linear().mark("1", ts=20).mark("2", ts=5)
    log.buy("1", "1", "3", ts=10, fee="4").sell("2", "1", "3", ts=11)
    assert falls(log) == ("996", "1000", "4", "5")


def test_a_late_fill_is_valued_at_the_marks_since(log: Log) -> None:
    log.account("1000", ts=0).linear().mark("100", ts=1).mark("130", ts=3).mark("110", ts=5)
    log.buy("late", "10", "100", ts=2)
    assert falls(log) == ("1100", "1300", "200", "200")


def test_a_late_rate_is_in_force_until_the_next(log: Log) -> None:
    log.account("1000", ts=0).tell("fx", ccy="EUR", rate="1", ts=1)
    log.tell("transfer", ccy="EUR", amount="100", ts=2).tell("fx", ccy="EUR", rate="1.2", ts=9)
    assert falls(log) == ("1120", "1120", "0", "0")
    log.tell("fx", ccy="EUR", rate="3", ts=5)
    assert falls(log) == ("1120", "1300", "180", "180")


def test_a_late_transfer_shifts_what_came_after_it(log: Log) -> None:
    log.account("1000", ts=0).linear().buy("1", "10", "100", ts=1).mark("110", ts=2)
    log.mark("95", ts=9).tell("transfer", ccy="USD", amount="100", ts=5)
    assert falls(log) == ("1050", "1200", "150", "150")


def test_a_late_mark_before_a_position_was_adopted_is_not_its_gain(log: Log) -> None:
    log.account("1000", ts=0).linear().mark("100", ts=5)
    log.tell("snapshot", symbol="L", qty="10", avg_price="100", as_of=4, ts=6)
    log.mark("500", ts=2)
    assert falls(log) == ("1000", "5000", "4000", "4000")
    log.mark("100", ts=3)
    assert falls(log) == ("1000", "1000", "0", "0")


def test_such_a_mark_does_not_make_another_unknown_known(log: Log) -> None:
    log.account("1000", ts=0).linear("A").linear("B").buy("1", "1", "100", "B", ts=1)
    log.tell("snapshot", symbol="A", qty="10", avg_price="100", as_of=4, ts=6)
    log.mark("500", "A", ts=2)
    assert falls(log) == (None, "1000", None, "0")


def test_what_is_unknown_makes_no_peak_and_no_fall(log: Log) -> None:
    log.account("1000").linear("A").linear("B").mark("1", "A").buy("1", "10", "1", "A")
    log.buy("2", "1", "100", "B").mark("500", "A").mark("1", "A").mark("100", "B")
    assert falls(log) == ("1000", "1000", "0", "0")


def test_a_worth_that_never_was_known_has_no_peak_and_no_fall(log: Log) -> None:
    log.linear().buy("1", "1", "100").account("1000")
    assert falls(log) == (None, None, None, None)
