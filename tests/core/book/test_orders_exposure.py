"""What working orders could make of a position at worst, in contracts and in money."""

from decimal import Decimal
from typing import Any

import pytest

Log = Any  # the class of this fixture lives in conftest.py
BEGIN = 1_700_000_000


def worst(log: Any, symbol: str = "L") -> tuple[str, str]:
    position = log.position(symbol)
    return position["worst_long"], position["worst_short"]


def remaining(log: Any) -> tuple[str, str]:
    return log.position()["open_buy_qty"], log.position()["open_sell_qty"]


# --- what counts


def test_an_order_counts_from_the_moment_it_is_told_of(log: Log) -> None:
    log.linear().order("o", "buy", "10")
    assert worst(log) == ("10", "0")
    assert remaining(log) == ("10", "0")


def test_orders_on_both_sides_never_net(log: Log) -> None:
    log.linear().buy("1", "2", "100").order("a", "buy", "10").order("b", "sell", "8")
    assert worst(log) == ("12", "-6")


@pytest.mark.parametrize("asked", ["cancel_request", "timeout"])
def test_what_is_not_confirmed_gone_counts_in_full(log: Log, asked: str) -> None:
    log.linear().order("o", "buy", "10").tell(asked, id="o")
    assert worst(log) == ("10", "0")


@pytest.mark.parametrize("end", ["cancel", "reject", "expire"])
def test_what_is_confirmed_gone_counts_no_more(log: Log, end: str) -> None:
    log.linear().order("o", "buy", "10").order("p", "buy", "1").tell("cancel_request", id="o")
    log.tell(end, id="o")
    assert worst(log) == ("1", "0")
    log.tell("timeout", id="o").tell("amend", id="o", qty="20").order("o", "buy", "10")
    assert worst(log) == ("1", "0")


def test_a_fill_moves_exposure_into_the_position(log: Log) -> None:
    log.linear().order("o", "buy", "10").buy("1", "4", "100", order="o")
    assert worst(log) == ("10", "4")
    assert remaining(log) == ("6", "0")


def test_a_sale_moves_it_downwards(log: Log) -> None:
    log.linear().order("o", "sell", "10").sell("1", "4", "100", order="o")
    assert worst(log) == ("-4", "-10")
    assert remaining(log) == ("0", "6")


@pytest.mark.parametrize(("side", "symbol"), [("sell", "L"), ("buy", "M"), ("sell", "M")])
@pytest.mark.parametrize("is_early", [False, True])
def test_a_fill_of_another_symbol_or_side_takes_nothing_from_the_order_it_names(
    log: Log, side: str, symbol: str, *, is_early: bool
) -> None:
    log.linear().linear("M").buy("0", "100", "100")
    fill = {"id": "1", "symbol": symbol, "side": side, "qty": "10", "price": "1", "order": "o"}
    for kind in ("fill", "order") if is_early else ("order", "fill"):
        if kind == "fill":
            log.tell("fill", **fill)
        else:
            log.order("o", "buy", "10")
    assert remaining(log) == ("10", "0")
    signed = 10 if side == "buy" else -10
    assert log.position(symbol)["qty"] == str(signed + (100 if symbol == "L" else 0)), "it happened"
    assert log.flags == ["no_mark:L", *["no_mark:M"] * (symbol == "M"), "rogue_fill:1"]
    log.tell("correct", id="1", symbol=symbol, qty="4").tell("bust", id="1", symbol=symbol)
    assert remaining(log) == ("10", "0")
    assert log.odd == []


def test_what_an_order_is_by_an_earlier_word_says_which_fills_are_its_own(log: Log) -> None:
    log.linear().linear("M").order("o", "buy", "10", ts=BEGIN + 5)
    log.buy("1", "3", "100", order="o", ts=BEGIN + 6)
    log.sell("2", "4", "100", "M", order="o", ts=BEGIN + 7)
    assert (remaining(log), log.odd) == (("7", "0"), ["rogue_fill:2"])
    log.order("o", "sell", "10", "M", ts=BEGIN)
    assert remaining(log) == ("0", "0")
    assert log.position("M")["open_sell_qty"] == "6"
    assert log.odd == ["rogue_fill:1"]


def test_an_overfill_takes_what_is_left_and_nothing_else(log: Log) -> None:
    log.linear().order("o", "buy", "3").order("p", "buy", "5").buy("1", "10", "100", order="o")
    assert (worst(log), remaining(log)) == (("15", "10"), ("5", "0"))
    assert log.odd == ["overfill:o"]


def test_an_order_told_of_again_counts_once(log: Log) -> None:
    log.linear().order("o", "buy", "10").order("o", "buy", "10").order("o", "buy", "99")
    assert worst(log) == ("10", "0")


# --- reduce-only


@pytest.mark.parametrize(
    ("position", "side", "qty", "expected"),
    [
        # A long of 5: 8 to sell reduce it by 5 at most, and never turn it.
        ("5", "sell", "8", ("5", "0")),
        ("5", "sell", "3", ("5", "2")),
        ("-5", "buy", "8", ("0", "-5")),
        ("-5", "buy", "3", ("-2", "-5")),
        # It can't grow a position, and has none to reduce when flat.
        ("5", "buy", "4", ("5", "5")),
        ("-5", "sell", "4", ("-5", "-5")),
        (None, "buy", "4", ("0", "0")),
        (None, "sell", "4", ("0", "0")),
    ],
)
def test_reduce_only_reduces(
    log: Log, position: str | None, side: str, qty: str, expected: tuple[str, str]
) -> None:
    log.linear()
    if position is not None:
        was = "sell" if position.startswith("-") else "buy"
        log.tell("fill", id="1", symbol="L", side=was, qty=position.lstrip("-"), price="100")
    log.order("o", side, qty, reduce_only=True)
    assert worst(log) == expected
    assert remaining(log) == ((qty, "0") if side == "buy" else ("0", qty))


def test_reduce_only_counts_beside_plain_orders(log: Log) -> None:
    log.linear().buy("1", "5", "100").order("a", "sell", "3")
    log.order("b", "sell", "8", reduce_only=True).order("c", "sell", "8", reduce_only=True)
    # 5 - 3 - min(16, 5)
    assert worst(log) == ("5", "-3")
    assert remaining(log) == ("0", "19")


def test_reduce_only_follows_the_position(log: Log) -> None:
    log.linear().order("o", "sell", "8", reduce_only=True).buy("1", "5", "100")
    assert worst(log) == ("5", "0")
    log.sell("2", "6", "100")
    assert worst(log) == ("-1", "-1")


# --- another quantity


@pytest.mark.parametrize(("qty", "counts"), [("15", "15"), ("3", "10")])
def test_while_a_change_is_pending_the_larger_quantity_counts(
    log: Log, qty: str, counts: str
) -> None:
    log.linear().order("o", "buy", "10").tell("amend_request", id="o", qty=qty)
    assert worst(log) == (counts, "0")


@pytest.mark.parametrize("qty", ["15", "3"])
def test_a_confirmed_change_counts_and_a_refused_one_does_not(log: Log, qty: str) -> None:
    log.linear().order("o", "buy", "10").tell("amend_request", id="o", qty=qty)
    log.tell("amend", id="o", qty=qty)
    assert worst(log) == (qty, "0")
    log.tell("amend_request", id="o", qty="40").tell("amend_reject", id="o", qty="40")
    assert worst(log) == (qty, "0")
    log.tell("amend_request", id="o", qty="40").tell("amend_reject", id="o")
    assert worst(log) == (qty, "0")


def test_the_new_quantity_has_in_it_what_is_filled(log: Log) -> None:
    log.linear().order("o", "buy", "10").buy("1", "4", "100", order="o")
    log.tell("amend_request", id="o", qty="12")
    assert remaining(log) == ("8", "0")
    log.tell("amend", id="o", qty="6")
    assert remaining(log) == ("2", "0")
    assert worst(log) == ("6", "4")


def test_one_refusal_leaves_the_other_change_pending(log: Log) -> None:
    log.linear().order("o", "buy", "10")
    log.tell("amend_request", id="o", qty="20").tell("amend_request", id="o", qty="15")
    log.tell("amend_reject", id="o", qty="15")
    assert worst(log) == ("20", "0")
    log.tell("amend_reject", id="o", qty="20")
    assert worst(log) == ("10", "0")


def test_a_change_below_what_is_filled_leaves_nothing(log: Log) -> None:
    log.linear().order("o", "buy", "10").buy("1", "6", "100", order="o")
    log.tell("amend", id="o", qty="5")
    assert remaining(log) == ("0", "0")
    assert worst(log) == ("6", "6")


def test_a_change_of_before_the_order_by_the_venues_clock_still_counts(log: Log) -> None:
    log.linear().order("o", "buy", "10", ts=5).tell("amend", id="o", qty="15", ts=4)
    assert worst(log) == ("15", "0")


# --- taken up after a restart


def test_an_order_may_begin_partly_filled(log: Log) -> None:
    log.linear().order("o", "sell", "10", filled="4")
    assert worst(log) == ("0", "-6")


def test_what_it_began_with_is_not_counted_twice(log: Log) -> None:
    log.linear().buy("1", "3", "100", ts=1, order="o").order("o", "buy", "10", filled="4", ts=5)
    assert remaining(log) == ("6", "0")
    log.buy("2", "1", "100", ts=2, order="o")
    assert remaining(log) == ("6", "0")
    log.buy("3", "2", "100", ts=6, order="o")
    assert remaining(log) == ("4", "0")
    log.buy("4", "4", "100", ts=7, order="o")
    assert remaining(log) == ("0", "0")
    assert log.odd == []


# --- in money


def test_the_worst_is_valued_at_the_mark(log: Log) -> None:
    log.account().linear(multiplier="2").buy("1", "3", "40").mark("50").order("o", "sell", "10")
    # |-7| x 2 x 50, while 3 are held.
    assert log.worth["worst_gross_notional"] == "700"
    assert log.worth["gross_notional"] == "300"
    assert log.worth["net_notional"] == "300"


def test_each_side_is_as_bad_as_the_other(log: Log) -> None:
    log.account().linear().sell("1", "3", "40").mark("50").order("o", "sell", "10")
    assert log.worth["worst_gross_notional"] == "650"
    log.order("p", "buy", "20")
    assert log.worth["worst_gross_notional"] == "850"


def test_all_symbols_are_summed_in_the_reporting_currency(log: Log) -> None:
    log.account().linear("A").linear("B", settle="EUR").tell("fx", ccy="EUR", rate="1.1")
    log.mark("10", "A").mark("20", "B").buy("1", "4", "10", "A").sell("2", "3", "20", "B")
    # 40 long, and 60 EUR short
    assert log.worth["gross_notional"] == "106"
    assert log.worth["net_notional"] == "-26"
    log.order("o", "sell", "2", "B")
    assert log.worth["worst_gross_notional"] == "150"
    log.tell("fx", ccy="EUR", rate="2").mark("30", "A")
    assert log.worth["worst_gross_notional"] == "320"


def test_an_inverse_contract_is_worth_its_multiplier_without_a_price(log: Log) -> None:
    log.account().inverse(multiplier="100").order("o", "sell", "7", "I")
    assert log.worth["worst_gross_notional"] == "700"
    log.buy("1", "2", "20000", "I")
    assert log.worth["gross_notional"] == "200"


def test_a_price_below_nought_makes_no_exposure_less(log: Log) -> None:
    log.account().linear().buy("1", "2", "5").mark("-10").order("o", "buy", "1")
    assert log.worth["gross_notional"] == "20"
    assert log.worth["net_notional"] == "-20"
    assert log.worth["worst_gross_notional"] == "30"


def test_what_can_not_be_valued_is_unknown_and_not_nothing(log: Log) -> None:
    log.account().linear("A").linear("B").mark("10", "A").buy("1", "1", "10", "A")
    log.order("o", "buy", "1", "B")
    # B has an order and no position: only the worst needs its mark.
    assert log.worth["gross_notional"] == "10"
    assert log.worth["worst_gross_notional"] is None
    log.tell("cancel", id="o")
    assert log.worth["worst_gross_notional"] == "10"
    log.buy("2", "1", "5", "B")
    assert log.worth["gross_notional"] is None
    assert log.worth["net_notional"] is None
    log.mark("5", "B")
    assert log.worth["gross_notional"] == "15"


def test_a_missing_rate_makes_it_unknown_too(log: Log) -> None:
    log.account().linear("B", settle="EUR").mark("10", "B").order("o", "buy", "1", "B")
    assert log.worth["worst_gross_notional"] is None
    log.tell("fx", ccy="EUR", rate="1.5")
    assert log.worth["worst_gross_notional"] == "15"


def test_the_most_and_the_least_that_everything_could_be_worth(log: Log) -> None:
    log.account().linear("A").linear("B").mark("10", "A").mark("-5", "B")
    log.buy("1", "3", "10", "A").order("a", "sell", "4", "A").order("b", "buy", "2", "B")
    total = log.book.exposures.total()
    # A: from 30 down to -10; B: from 0 down to -10, for its price is below nothing.
    assert (total.high, total.low) == (Decimal(30), Decimal(-20))
    assert total.worst == Decimal(40)
    one = log.book.exposures.of("A")
    assert (one.high, one.low, one.worst) == (Decimal(30), Decimal(-10), Decimal(30))


def test_contracts_are_counted_without_a_mark(log: Log) -> None:
    log.account().linear("A").linear("B").linear("C").buy("1", "3", "10", "A")
    log.order("a", "sell", "8", "A").order("b", "buy", "2", "B")
    log.order("c", "sell", "2", "C", reduce_only=True)
    exposures = log.book.exposures
    assert exposures.contracts() == (Decimal(7), Decimal(5), Decimal(-5))
    assert exposures.contracts_of("A") == (Decimal(5), Decimal(3), Decimal(-5))
    # C has nothing that could be reduced.
    assert exposures.sums.open_count == 2
    log.tell("cancel", id="b").tell("cancel", id="a").sell("2", "3", "10", "A")
    assert exposures.contracts() == (Decimal(0), Decimal(0), Decimal(0))
    assert exposures.sums.open_count == 0


# --- one order more


@pytest.mark.parametrize(
    ("side", "qty", "is_reducing"),
    [
        ("sell", "5", True),
        ("sell", "10", True),
        # The side alone proves nothing.
        ("sell", "21", False),
        ("sell", "1000", False),
        ("buy", "1", False),
    ],
)
def test_reducing_means_that_the_worst_side_does_not_grow(
    log: Log, side: str, qty: str, is_reducing: bool
) -> None:
    log.account().linear().buy("1", "10", "100").mark("100")
    path = log.book.worth.paths["L"]
    judged = log.book.exposures.judge(path, side, Decimal(qty))
    assert judged.is_reducing is is_reducing


def test_an_order_is_judged_with_all_the_others(log: Log) -> None:
    log.account().linear("A", multiplier="2").linear("B").mark("10", "A").mark("1", "B")
    log.buy("1", "10", "10", "A").order("a", "sell", "6", "A").order("b", "buy", "5", "B")
    judged = log.book.exposures.judge(log.book.worth.paths["A"], "buy", Decimal(3))
    assert (judged.worst_long, judged.worst_short) == (Decimal(13), Decimal(4))
    # 13 x 2 x 10 and 5 x 1
    assert judged.worst_gross == Decimal(265)
    assert not judged.is_reducing


def test_an_order_that_can_not_be_valued_is_judged_unknown(log: Log) -> None:
    log.account().linear().order("a", "buy", "1")
    judged = log.book.exposures.judge(log.book.worth.paths["L"], "buy", Decimal(3))
    assert judged.worst_long == Decimal(4)
    assert judged.worst_gross is None


@pytest.mark.parametrize("is_late", [False, True])
def test_a_fill_that_is_in_an_adopted_position_has_filled_its_order_once(
    log: Log, *, is_late: bool
) -> None:
    """Else the same contracts would count twice: in the position, and in what remains."""
    told = ("f", "4", "10", "L"), {"order": "o", "ts": BEGIN + 1}
    log.linear().order("o", "buy", "10", ts=BEGIN)
    if not is_late:
        log.buy(*told[0], **told[1])
    log.tell("snapshot", symbol="L", qty="4", avg_price="10", as_of=BEGIN + 2)
    if is_late:
        log.buy(*told[0], **told[1])
    position = log.position()
    assert (position["qty"], position["open_buy_qty"], position["worst_long"]) == ("4", "6", "10")
    log.tell("bust", id="f", symbol="L")
    assert log.position()["open_buy_qty"] == "10"
    assert log.position()["qty"] == "4", "the venue's word"


def test_what_was_filled_before_an_order_began_is_found_again_when_it_begins(log: Log) -> None:
    """Four before it, and they are in the six that it began with; five since, and one taken
    back."""
    log.linear().buy("1", "4", "10", order="o", ts=BEGIN + 1)
    log.buy("2", "5", "10", order="o", ts=BEGIN + 3).buy("3", "1", "10", order="o", ts=BEGIN + 4)
    log.tell("bust", id="3", symbol="L").order("o", "buy", "20", filled="6", ts=BEGIN + 2)
    assert log.position()["open_buy_qty"] == "9"


# --- what is waited for


def state(log: Any) -> str:
    return str(log.book.orders["o"].state)


def test_an_order_says_what_is_waited_for(log: Log) -> None:
    log.linear().order("o", "buy", "10")
    assert state(log) == "open"
    log.tell("amend_request", id="o", qty="12")
    assert state(log) == "amend_pending"
    log.tell("timeout", id="o")
    assert state(log) == "timed_out"
    log.tell("amend", id="o", qty="12")
    assert state(log) == "open"
    log.tell("cancel_request", id="o")
    assert state(log) == "cancel_pending"
    log.tell("timeout", id="o")
    assert state(log) == "timed_out"
    log.buy("1", "2", "100", order="o")
    assert state(log) == "cancel_pending"


def test_a_silence_is_over_with_the_next_word_and_not_with_an_older_one(log: Log) -> None:
    log.linear().order("o", "buy", "10", ts=1_700_000_000_000)
    log.tell("timeout", id="o", ts=1_700_000_009_000)
    log.buy("1", "2", "100", order="o", ts=1_700_000_008_000)
    assert state(log) == "timed_out"
    log.tell("cancel_request", id="o", ts=1_700_000_010_000)
    assert state(log) == "cancel_pending"


@pytest.mark.parametrize(
    ("told", "left"),
    [
        ((("amend_request", "9"), ("amend", "9"), ("amend_request", "20"), ("amend", "9")), "20"),
        (
            (
                ("amend_request", "15"),
                ("amend_reject", "15"),
                ("amend_request", "20"),
                ("amend_reject", "15"),
            ),
            "20",
        ),
        ((("amend_request", "9"), ("amend_request", "20"), ("amend", "7")), "20"),
        ((("amend_request", "9"), ("amend", "7")), "7"),
    ],
)
def test_an_answer_that_is_told_again_answers_nothing_else(
    log: Log, told: tuple[tuple[str, str], ...], left: str
) -> None:
    log.linear().order("o", "buy", "5")
    for kind, qty in told:
        log.tell(kind, id="o", qty=qty)
    assert log.position()["open_buy_qty"] == left
