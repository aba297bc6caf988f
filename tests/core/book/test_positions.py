"""Quantity, average, and what is realised and unrealised: worked by hand, to the last digit."""

from typing import Any

import pytest

Log = Any  # the class of this fixture lives in conftest.py


def test_a_position_grows_at_the_weighted_average(log: Log) -> None:
    log.linear().buy("1", "1", "100").buy("2", "3", "200")
    # (1 x 100 + 3 x 200) / 4
    assert log.position()["qty"] == "4"
    assert log.position()["avg_price"] == "175"
    assert log.position()["realized_pnl"] == "0"


def test_a_short_position_grows_at_the_weighted_average(log: Log) -> None:
    log.linear().sell("1", "1", "100").sell("2", "3", "200")
    assert log.position()["qty"] == "-4"
    assert log.position()["avg_price"] == "175"


def test_an_inverse_position_grows_at_the_harmonic_average(log: Log) -> None:
    log.inverse().buy("1", "1", "10000", "I").buy("2", "1", "40000", "I")
    # 2 / (1/10000 + 1/40000) = 2 / 0.000125; the arithmetic one would be 25000.
    assert log.position("I")["avg_price"] == "16000"


def test_an_average_that_never_ends_is_rounded_once(log: Log) -> None:
    log.inverse().buy("1", "1", "10000", "I").buy("2", "1", "20000", "I")
    assert log.position("I")["avg_price"] == "13333.33333333333333333333333"


def test_a_reduction_keeps_the_average_and_realises_what_it_closes(log: Log) -> None:
    log.linear(multiplier="10").buy("1", "4", "100").sell("2", "1", "110")
    # 1 x 10 x (110 - 100)
    assert log.position()["realized_pnl"] == "100"
    assert log.position()["avg_price"] == "100"
    assert log.position()["qty"] == "3"


def test_a_reduced_short_wins_when_the_price_has_fallen(log: Log) -> None:
    log.linear().sell("1", "5", "50").buy("2", "2", "40")
    assert log.position()["realized_pnl"] == "20"
    assert log.position()["avg_price"] == "50"
    assert log.position()["qty"] == "-3"


def test_what_is_added_after_a_reduction_is_weighted_with_what_is_left(log: Log) -> None:
    log.linear().buy("1", "4", "100").sell("2", "3", "150").buy("3", "1", "200")
    # One is left at 100, and one comes at 200.
    assert log.position()["avg_price"] == "150"
    assert log.position()["realized_pnl"] == "150"


@pytest.mark.parametrize(
    ("first", "then", "qty"), [("buy", "sell", "-3"), ("sell", "buy", "3")]
)  # fmt: skip
def test_a_flip_closes_all_and_opens_the_rest_at_its_own_price(
    log: Log, first: str, then: str, qty: str
) -> None:
    better = "110" if first == "buy" else "90"
    log.linear()
    log.tell("fill", id="1", symbol="L", side=first, qty="2", price="100", fee="1")
    log.tell("fill", id="2", symbol="L", side=then, qty="5", price=better, fee="1.5")
    # Two closed at a gain of 10 each; three opened; each fill has one fee.
    assert log.position()["qty"] == qty
    assert log.position()["avg_price"] == better
    assert log.position()["realized_pnl"] == "20"
    assert log.position()["fees"] == {"USD": "2.5"}


def test_an_inverse_position_flips_in_the_same_way(log: Log) -> None:
    log.inverse().buy("1", "10", "20000", "I").sell("2", "15", "25000", "I")
    # 10 x 100 x (1/20000 - 1/25000)
    assert log.position("I")["realized_pnl"] == "0.01"
    assert log.position("I")["qty"] == "-5"
    assert log.position("I")["avg_price"] == "25000"


def test_flat_has_no_average_and_nothing_unrealised_even_without_a_mark(log: Log) -> None:
    log.linear().buy("1", "3", "7").sell("2", "3", "8")
    assert log.position()["qty"] == "0"
    assert log.position()["avg_price"] is None
    assert log.position()["unrealized_pnl"] == "0"
    assert log.flags == []


def test_thirds_leave_nothing_behind_when_they_are_closed(log: Log) -> None:
    log.linear().buy("1", "1", "10").buy("2", "2", "11").sell("3", "1", "12").sell("4", "2", "12")
    # 36 came back for 32.
    assert log.position()["realized_pnl"] == "4"
    log.buy("5", "1", "5")
    assert log.position()["avg_price"] == "5"


@pytest.mark.parametrize(
    ("side", "mark", "gain"),
    [
        # 10 x 100 x (1/20000 - 1/16000) = 1000 x (0.00005 - 0.0000625)
        ("buy", "16000", "-0.0125"),
        ("sell", "16000", "0.0125"),
        # 1000 x (0.00005 - 0.00004)
        ("buy", "25000", "0.01"),
        ("sell", "25000", "-0.01"),
    ],
)
def test_an_inverse_contract_gains_in_base(log: Log, side: str, mark: str, gain: str) -> None:
    log.inverse().tell("fill", id="1", symbol="I", side=side, qty="10", price="20000")
    log.mark(mark, "I")
    assert log.position("I")["unrealized_pnl"] == gain


@pytest.mark.parametrize(("side", "gain"), [("buy", "-60"), ("sell", "60")])
def test_unrealised_is_at_the_mark(log: Log, side: str, gain: str) -> None:
    log.linear(multiplier="2").tell("fill", id="1", symbol="L", side=side, qty="3", price="100")
    log.mark("500").mark("90")
    assert log.position()["unrealized_pnl"] == gain


def test_without_a_mark_it_is_unknown_and_says_so(log: Log) -> None:
    log.linear().buy("1", "1", "100")
    assert log.position()["unrealized_pnl"] is None
    assert log.flags == ["no_mark:L"]
    log.mark("100")
    assert log.position()["unrealized_pnl"] == "0"
    assert log.flags == []


def test_a_mark_of_nought_is_a_mark(log: Log) -> None:
    log.linear().account("1000").buy("1", "2", "5").mark("0")
    assert log.position()["unrealized_pnl"] == "-10"
    assert log.worth["equity"] == "990"
    assert log.flags == []
    log.mark("-1").mark("3")
    assert log.worth["equity"] == "996"


def test_a_linear_contract_may_have_a_price_below_nought(log: Log) -> None:
    log.linear().buy("1", "1", "-37.63").mark("-30")
    assert log.position()["avg_price"] == "-37.63"
    assert log.position()["unrealized_pnl"] == "7.63"
    log.sell("2", "1", "10")
    assert log.position()["realized_pnl"] == "47.63"


def test_an_average_of_nought_is_not_none(log: Log) -> None:
    log.linear().buy("1", "1", "-10").buy("2", "1", "10")
    assert log.position()["avg_price"] == "0"


# --- fees and funding


def test_fees_and_funding_are_kept_apart_from_what_price_has_won(log: Log) -> None:
    log.linear().buy("1", "1", "100", fee="2").sell("2", "1", "110", fee="3")
    log.tell("funding", symbol="L", amount="-1.5")
    position = log.position()
    assert position["realized_pnl"] == "10"
    assert position["fees"] == {"USD": "5"}
    assert position["funding"] == "-1.5"
    assert position["net_realized_pnl"] == "3.5"


def test_a_rebate_is_a_fee_below_nought(log: Log) -> None:
    log.linear().buy("1", "1", "100", fee="-0.5")
    assert log.position()["fees"] == {"USD": "-0.5"}
    assert log.position()["net_realized_pnl"] == "0.5"


def test_a_fee_in_another_currency_counts_at_the_rate_of_its_time(log: Log) -> None:
    log.linear().account().tell("fx", ccy="BNB", rate="600")
    log.buy("1", "1", "100", fee="0.01", fee_ccy="BNB")
    log.tell("fx", ccy="BNB", rate="700").buy("2", "1", "100", fee="0.01", fee_ccy="BNB")
    # 6 and 7, and not 14.
    assert log.position()["net_realized_pnl"] == "-13"
    assert log.position()["fees"] == {"BNB": "0.02"}


def test_it_still_does_when_a_late_fill_has_the_walk_made_again(log: Log) -> None:
    log.linear().account(ts=0).tell("fx", ccy="BNB", rate="600", ts=1)
    log.buy("1", "1", "100", fee="0.01", fee_ccy="BNB", ts=3)
    log.tell("fx", ccy="BNB", rate="700", ts=4).buy("late", "1", "100", ts=2)
    assert log.position()["net_realized_pnl"] == "-6"


def test_such_a_fee_is_told_in_the_settle_currency_and_not_in_the_reporting_one(log: Log) -> None:
    log.linear().account(ccy="EUR")
    log.tell("fx", ccy="USD", rate="0.9").tell("fx", ccy="BNB", rate="540")
    log.buy("1", "1", "100", fee="0.01", fee_ccy="BNB")
    # 0.01 x 540 EUR / 0.9
    assert log.position()["net_realized_pnl"] == "-6"


def test_without_its_rate_what_is_net_is_unknown(log: Log) -> None:
    log.linear().account().buy("1", "1", "100", fee="0.01", fee_ccy="BNB")
    log.tell("fx", ccy="BNB", rate="600").mark("100")
    # The rate came after the fill; the fill's own time had none.
    assert log.position()["net_realized_pnl"] is None
    assert log.position()["realized_pnl"] == "0"


def test_a_rate_of_before_that_comes_late_makes_it_known(log: Log) -> None:
    log.linear().account(ts=1).buy("1", "1", "100", fee="0.01", fee_ccy="BNB", ts=10)
    log.tell("fx", ccy="BNB", rate="600", ts=5)
    assert log.position()["net_realized_pnl"] == "-6"


def test_a_late_rate_makes_it_known_without_an_account_too(log: Log) -> None:
    log.linear().buy("1", "1", "100", fee="0.01", fee_ccy="BNB", ts=10)
    log.tell("fx", ccy="USD", rate="1", ts=4).tell("fx", ccy="BNB", rate="600", ts=5)
    assert log.position()["net_realized_pnl"] == "-6"


# --- spot, and a fee in the thing itself


def test_a_fee_in_base_is_paid_out_of_what_was_bought(log: Log) -> None:
    log.spot().buy("1", "1", "2000", "S", fee="0.001", fee_ccy="ETH")
    position = log.position("S")
    assert position["qty"] == "0.999"
    assert position["avg_price"] == "2000"
    assert position["realized_pnl"] == "0"
    assert position["fees"] == {"ETH": "0.001"}
    # 0.001 at 2000
    assert position["net_realized_pnl"] == "-2"


def test_a_fee_in_base_is_sold_at_the_price_of_the_fill_after_all_of_it(log: Log) -> None:
    log.spot().account("10000").buy("1", "1", "1000", "S")
    log.buy("2", "1", "2000", "S", fee="0.1", fee_ccy="ETH").mark("2000", "S")
    position = log.position("S")
    # Two at 1500; a tenth leaves at 2000: 0.1 x 500 won, 0.1 x 2000 paid.
    assert position["qty"] == "1.9"
    assert position["avg_price"] == "1500"
    assert position["realized_pnl"] == "50"
    assert position["net_realized_pnl"] == "-150"
    # 3000 spent, and 1.9 held at 2000.
    assert log.worth["equity"] == "10800"


def test_a_fee_in_base_leaves_with_what_is_sold_too(log: Log) -> None:
    log.spot().buy("1", "2", "1000", "S").sell("2", "1", "1200", "S", fee="0.05", fee_ccy="ETH")
    position = log.position("S")
    # 200 won by one and 10 by a twentieth, of which 60 were the fee.
    assert position["qty"] == "0.95"
    assert position["realized_pnl"] == "210"
    assert position["net_realized_pnl"] == "150"


def test_a_rebate_in_base_is_bought_at_the_price_of_the_fill(log: Log) -> None:
    log.spot().buy("1", "1", "1000", "S", fee="-0.1", fee_ccy="ETH")
    assert log.position("S")["qty"] == "1.1"
    assert log.position("S")["avg_price"] == "1000"
    assert log.position("S")["net_realized_pnl"] == "100"


def test_a_fee_of_spot_in_quote_leaves_the_quantity_alone(log: Log) -> None:
    log.spot().buy("1", "1", "2000", "S", fee="4")
    assert log.position("S")["qty"] == "1"
    assert log.position("S")["fees"] == {"USD": "4"}


def test_the_fee_of_an_inverse_contract_is_cash_even_though_it_is_in_base(log: Log) -> None:
    log.inverse().buy("1", "10", "20000", "I", fee="0.001")
    assert log.position("I")["qty"] == "10"
    assert log.position("I")["fees"] == {"BTC": "0.001"}
    assert log.position("I")["net_realized_pnl"] == "-0.001"


# --- which instruments are there


def test_an_instrument_is_shown_once_something_happened_in_it(log: Log) -> None:
    log.linear("A").linear("B").linear("C").mark("1", "B").order("o", "buy", "1", "C")
    assert list(log.positions) == ["B", "C"]
    assert log.position("B")["qty"] == "0"


def test_instruments_do_not_mix(log: Log) -> None:
    log.linear("A").linear("B").buy("1", "1", "100", "A").sell("2", "2", "50", "B")
    assert (log.position("A")["qty"], log.position("B")["qty"]) == ("1", "-2")
    assert (log.position("A")["avg_price"], log.position("B")["avg_price"]) == ("100", "50")
