"""Each fill once, in its place: repetitions, conflicts, busts, corrections, snapshots."""

from typing import Any

import pytest

Log = Any  # the class of this fixture lives in conftest.py
BEGIN = 1_700_000_000


# --- the same fill again


def test_a_repeated_fill_counts_once(log: Log) -> None:
    log.linear()
    for _ in range(3):
        log.buy("1", "1", "100", fee="1", order="o")
    assert log.position()["qty"] == "1"
    assert log.position()["fees"] == {"USD": "1"}


def test_a_trade_with_oneself_has_one_id_on_two_orders(log: Log) -> None:
    log.linear().order("a", "buy", "2").order("b", "sell", "2")
    log.buy("1", "2", "100", order="a").sell("1", "2", "100", order="b")
    assert log.position()["qty"] == "0"
    assert log.position()["open_buy_qty"] == "0"
    assert log.position()["open_sell_qty"] == "0"
    assert log.odd == []


def test_two_orders_may_each_have_the_same_fill_on_one_side(log: Log) -> None:
    log.linear().order("a", "buy", "2").order("b", "buy", "2")
    log.buy("1", "2", "100", order="a").buy("1", "2", "100", order="b")
    assert log.position()["qty"] == "4"


def test_an_id_is_that_of_its_instrument_alone(log: Log) -> None:
    log.linear("A").linear("B").buy("1", "1", "100", "A").buy("1", "2", "50", "B")
    assert (log.position("A")["qty"], log.position("B")["qty"]) == ("1", "2")


def test_of_no_order_is_not_the_same_as_not_said(log: Log) -> None:
    log.linear().buy("1", "1", "100").buy("1", "1", "100", order=None)
    assert log.position()["qty"] == "2"


@pytest.mark.parametrize(
    "other", [{"side": "sell"}, {"qty": "2"}, {"price": "101"}], ids=["side", "qty", "price"]
)
def test_the_same_fill_with_other_content_is_a_conflict_and_the_first_stays(
    log: Log, other: dict[str, str]
) -> None:
    first = {"id": "1", "symbol": "L", "side": "buy", "qty": "1", "price": "100", "order": "o"}
    log.linear().order("o", "buy", "5").tell("fill", **first).tell("fill", **{**first, **other})
    assert log.position()["qty"] == "1"
    assert log.position()["avg_price"] == "100"
    assert log.odd == ["fill_conflict:1"]


def test_numbers_that_are_equal_are_the_same_content(log: Log) -> None:
    log.linear().buy("1", "1", "100").buy("1", "1.0", "1e2")
    assert log.odd == []


# --- in its place


def test_a_late_fill_is_put_in_its_place(log: Log) -> None:
    log.linear().buy("1", "1", "100", ts=1).sell("2", "1", "120", ts=3)
    assert log.position()["realized_pnl"] == "20"
    log.buy("late", "1", "200", ts=2)
    # Two at 150; one of them was sold at 120.
    assert log.position()["realized_pnl"] == "-30"
    assert log.position()["avg_price"] == "150"
    assert log.position()["qty"] == "1"


def test_a_fill_without_a_time_happened_at_the_latest_time_before_it(log: Log) -> None:
    log.linear().buy("1", "1", "100", ts=10).sell("2", "1", "130")
    log.buy("late", "1", "200", ts=5)
    # The sale was at 10, after both: two at 150.
    assert log.position()["realized_pnl"] == "-20"
    assert log.position()["avg_price"] == "150"


def test_the_latest_time_is_that_of_any_event(log: Log) -> None:
    log.linear().mark("1", ts=10).sell("1", "1", "130").buy("2", "1", "200", ts=9)
    # Bought at 200 before it was sold at 130.
    assert log.position()["realized_pnl"] == "-70"
    log.buy("3", "1", "100", ts=8)
    assert log.position()["realized_pnl"] == "-20"


def test_a_late_event_does_not_put_the_latest_time_back(log: Log) -> None:
    log.linear().buy("1", "1", "100", ts=10).mark("1", ts=3).sell("2", "1", "130")
    # Sold after it was bought, and not at 3, short.
    assert log.position()["realized_pnl"] == "30"
    log.buy("late", "1", "200", ts=5)
    assert log.position()["realized_pnl"] == "-20"


def test_at_one_time_they_count_as_they_arrived(log: Log) -> None:
    log.linear().buy("1", "1", "100", ts=1).sell("2", "2", "120", ts=1).buy("3", "1", "90", ts=1)
    # 20 by the first pair, 30 by the second.
    assert log.position()["realized_pnl"] == "50"


# --- taken back, or changed


def test_a_bust_makes_the_fill_never_have_been(log: Log) -> None:
    log.linear().buy("1", "1", "100", fee="3").buy("2", "1", "200").sell("3", "1", "300")
    assert log.position()["realized_pnl"] == "150"
    log.tell("bust", id="1", symbol="L")
    assert log.position()["realized_pnl"] == "100"
    assert log.position()["qty"] == "0"
    assert log.position()["fees"] == {}
    assert log.position()["net_realized_pnl"] == "100"


def test_a_bust_is_the_same_twice_and_before_its_fill(log: Log) -> None:
    log.linear().tell("bust", id="1", symbol="L").buy("1", "1", "100", fee="3")
    log.buy("2", "1", "200").tell("bust", id="1", symbol="L").buy("1", "1", "100", fee="3")
    assert log.position()["qty"] == "1"
    assert log.position()["avg_price"] == "200"
    assert log.position()["fees"] == {}


def test_a_bust_of_one_order_leaves_the_other(log: Log) -> None:
    log.linear().order("a", "buy", "9").order("b", "buy", "9")
    log.buy("1", "2", "100", order="a").buy("1", "3", "100", order="b")
    log.tell("bust", id="1", symbol="L", order="a")
    assert log.position()["qty"] == "3"
    # The order that had it filled has it to go again.
    assert log.position()["open_buy_qty"] == "15"


def test_a_bust_that_names_no_order_takes_all_with_the_id(log: Log) -> None:
    log.linear().buy("1", "2", "100", order="a").buy("1", "3", "100", order="b")
    log.tell("bust", id="1", symbol="L")
    assert log.position()["qty"] == "0"


def test_a_bust_is_for_its_instrument(log: Log) -> None:
    log.linear("A").linear("B").buy("1", "1", "100", "A").buy("1", "1", "100", "B")
    log.tell("bust", id="1", symbol="A")
    assert (log.position("A")["qty"], log.position("B")["qty"]) == ("0", "1")


def test_a_correction_changes_a_fill_where_it_stands(log: Log) -> None:
    log.linear().buy("1", "1", "100").sell("2", "1", "110").buy("3", "1", "90")
    log.tell("correct", id="1", symbol="L", qty="2")
    # Two at 100, one sold at 110: 10. Then one more at 90: (100 + 90) / 2.
    assert log.position()["realized_pnl"] == "10"
    assert log.position()["avg_price"] == "95"
    assert log.position()["qty"] == "2"


def test_a_correction_changes_what_it_gives_and_no_more(log: Log) -> None:
    log.linear().sell("1", "2", "100", fee="1").tell("correct", id="1", symbol="L", price="120")
    assert log.position()["qty"] == "-2"
    assert log.position()["avg_price"] == "120"
    assert log.position()["fees"] == {"USD": "1"}
    log.tell("correct", id="1", symbol="L", fee="0.25", qty="3")
    assert log.position()["qty"] == "-3"
    assert log.position()["avg_price"] == "120"
    assert log.position()["fees"] == {"USD": "0.25"}


def test_a_correction_may_come_before_its_fill(log: Log) -> None:
    log.linear().tell("correct", id="1", symbol="L", price="120").buy("1", "1", "100")
    assert log.position()["avg_price"] == "120"


def test_after_a_correction_neither_content_is_a_conflict(log: Log) -> None:
    log.linear().buy("1", "1", "100").tell("correct", id="1", symbol="L", price="120")
    log.buy("1", "1", "100").buy("1", "1", "120")
    assert log.odd == []
    assert log.position()["avg_price"] == "120"


def test_of_two_corrections_the_later_one_counts_whichever_comes_last(log: Log) -> None:
    log.linear().buy("1", "1", "100", ts=1)
    log.tell("correct", id="1", symbol="L", price="130", ts=3)
    log.tell("correct", id="1", symbol="L", price="120", qty="2", ts=2)
    assert log.position()["avg_price"] == "130"
    assert log.position()["qty"] == "2"


def test_a_corrected_fill_fills_its_order_by_the_corrected_quantity(log: Log) -> None:
    log.linear().order("o", "buy", "10").buy("1", "4", "100", order="o")
    log.tell("correct", id="1", symbol="L", qty="1", order="o")
    assert log.position()["open_buy_qty"] == "9"
    assert log.position()["worst_long"] == "10"


@pytest.mark.parametrize("first", ["bust", "correct"])
def test_what_is_busted_stays_so_whatever_is_corrected(log: Log, first: str) -> None:
    log.linear().buy("1", "1", "100")
    for kind in (first, "correct" if first == "bust" else "bust"):
        more = {"price": "120"} if kind == "correct" else {}
        log.tell(kind, id="1", symbol="L", **more)
    assert log.position()["qty"] == "0"


# --- a fill wins over what is told of its order


@pytest.mark.parametrize("end", ["cancel", "reject", "expire"])
def test_a_fill_counts_after_its_order_has_ended(log: Log, end: str) -> None:
    log.linear().order("o", "buy", "10").tell(end, id="o").buy("1", "4", "100", order="o")
    assert log.position()["qty"] == "4"
    assert log.position()["worst_long"] == "4"
    assert log.odd == []


def test_a_fill_counts_before_its_order_is_told_of(log: Log) -> None:
    log.linear().buy("1", "4", "100", order="o")
    assert log.odd == ["rogue_fill:1"]
    log.order("o", "buy", "10")
    assert log.position()["qty"] == "4"
    assert log.position()["open_buy_qty"] == "6"
    assert log.odd == []


def test_an_order_filled_too_far_has_nothing_left_and_says_so(log: Log) -> None:
    log.linear().order("o", "buy", "5").buy("1", "5", "100", order="o")
    assert log.odd == []
    log.buy("2", "2", "100", order="o")
    assert log.position()["qty"] == "7"
    assert log.position()["open_buy_qty"] == "0"
    assert log.position()["worst_long"] == "7"
    assert log.odd == ["overfill:o"]
    log.tell("bust", id="2", symbol="L")
    assert log.odd == []


@pytest.mark.parametrize("order", [None, "nobody knows"])
def test_a_fill_of_no_known_order_counts_and_is_a_rogue(log: Log, order: str | None) -> None:
    log.linear().buy("1", "4", "100", order=order)
    assert log.position()["qty"] == "4"
    assert log.odd == ["rogue_fill:1"]
    log.tell("bust", id="1", symbol="L")
    assert log.odd == []


def test_a_fill_that_does_not_say_is_not_looked_into(log: Log) -> None:
    log.linear().buy("1", "4", "100")
    assert log.odd == []


def test_an_order_of_which_only_its_end_is_known_is_not_known(log: Log) -> None:
    log.linear().tell("cancel", id="o").buy("1", "4", "100", order="o")
    assert log.odd == ["rogue_fill:1"]


def test_a_rogue_stays_one_when_another_with_its_id_is_busted(log: Log) -> None:
    log.linear("A").linear("B")
    log.buy("1", "4", "100", "A", order=None).buy("1", "4", "100", "B", order=None)
    log.tell("bust", id="1", symbol="A")
    assert log.odd == ["rogue_fill:1"]


# --- a position that is adopted


def test_a_snapshot_is_the_position_and_all_before_it_is_gone(log: Log) -> None:
    log.linear().buy("1", "1", "100", fee="1", ts=1).sell("2", "3", "110", fee="1", ts=2)
    log.buy("3", "2", "90", fee="0.5", ts=4)
    log.tell("snapshot", symbol="L", qty="5", avg_price="95", as_of=2, ts=5)
    # Five at 95, and then the two at 90 that came after it: (475 + 180) / 7.
    assert log.position()["qty"] == "7"
    assert log.position()["avg_price"] == "93.57142857142857142857142857"
    assert log.position()["realized_pnl"] == "0"
    assert log.position()["fees"] == {"USD": "0.5"}
    assert log.position()["net_realized_pnl"] == "-0.5"


def test_a_late_fill_that_is_in_the_snapshot_is_ignored(log: Log) -> None:
    log.linear().tell("snapshot", symbol="L", qty="-5", avg_price="95", as_of=10, ts=10)
    log.buy("1", "1", "80", fee="1", ts=9).buy("2", "1", "80", fee="1", ts=10)
    assert log.position()["qty"] == "-5"
    assert log.position()["fees"] == {}
    log.buy("3", "1", "80", ts=11)
    assert log.position()["qty"] == "-4"
    assert log.position()["realized_pnl"] == "15"


def test_a_snapshot_may_be_flat(log: Log) -> None:
    log.linear().buy("1", "1", "100", ts=1)
    log.tell("snapshot", symbol="L", qty="0", as_of=2, ts=2)
    assert log.position()["qty"] == "0"
    assert log.position()["avg_price"] is None


def test_an_inverse_snapshot_is_averaged_on_harmonically(log: Log) -> None:
    log.inverse().tell("snapshot", symbol="I", qty="1", avg_price="10000", as_of=1)
    log.buy("1", "1", "40000", "I", ts=2)
    assert log.position("I")["avg_price"] == "16000"


def test_the_newest_snapshot_counts_and_not_the_last_to_come(log: Log) -> None:
    log.linear().tell("snapshot", symbol="L", qty="5", avg_price="95", as_of=10, ts=10)
    log.tell("snapshot", symbol="L", qty="2", avg_price="50", as_of=3, ts=11)
    assert log.position()["qty"] == "5"
    log.tell("snapshot", symbol="L", qty="1", avg_price="70", as_of=12, ts=12)
    assert log.position()["qty"] == "1"
    assert log.position()["avg_price"] == "70"


def test_a_bust_of_what_is_in_the_snapshot_changes_nothing(log: Log) -> None:
    log.linear().buy("1", "1", "100", ts=1)
    log.tell("snapshot", symbol="L", qty="1", avg_price="100", as_of=2, ts=2)
    log.tell("bust", id="1", symbol="L", ts=3).tell("correct", id="1", symbol="L", qty="9", ts=4)
    assert log.position()["qty"] == "1"


def test_two_fills_of_one_id_of_which_one_names_no_order_are_flagged_apart(log: Log) -> None:
    """One says nothing of its order, one says that it has none."""
    log.linear().buy("1", "1", "10", ts=BEGIN).buy("1", "1", "10", order=None, ts=BEGIN + 2)
    log.tell("snapshot", symbol="L", qty="3", avg_price="10", as_of=BEGIN + 1)
    assert log.odd == ["rogue_fill:1"]
