"""A book that lives for months is bounded, and says what it has left out."""

from collections.abc import Callable
from typing import Any

import pytest
from riskd.actors.core.book.numbers import exact
from riskd.actors.core.book.odd import FLAGS_KEPT
from riskd.actors.core.book.orders import CHANGES_KEPT

NewLog = Callable[..., Any]  # the class of this fixture lives in conftest.py
Log = Any
BEGIN = 1_700_000_000
KEPT = 10


@pytest.fixture
def log(new_log: NewLog) -> Log:
    """An account that has nothing, and keeps little."""
    return new_log(fills_kept=KEPT).account(ts=BEGIN - 1).linear()


def fill(log: Log, many: int, **more: Any) -> Log:
    """One contract in each second, at ten."""
    for at in range(many):
        log.buy(f"f{at}", "1", "10", ts=BEGIN + at, **more)
    return log


def test_nothing_grows_for_ever(log: Log) -> None:
    most: dict[str, int] = {}
    log.tell("session").tell("instrument", symbol="M", quote="EUR", settle="EUR")
    for at in range(60 * KEPT):
        time = {"ts": BEGIN + at}
        log.order(f"o{at}", "buy", "9", **time).buy(f"f{at}", "1", "10", order=f"o{at}", **time)
        log.tell("cancel", id=f"o{at}").order(f"p{at}", "buy", "1").tell("reject", id=f"p{at}")
        log.mark("10", "M", **time).tell("fx", ccy="EUR", rate="2", **time)
        log.sell(f"g{at}", "1", str(10 + at % 3), "M", fee="0.1", **time)
        log.tell("correct", id=f"g{at}", symbol="M", price="9").tell(
            "bust", id=f"f{at}", symbol="L"
        )
        log.tell("funding", symbol="M", amount="1").tell("bust", id=f"never{at}", symbol="L")
        book = log.book
        kept = {
            "fills": sum(len(list(path.told())) for path in book.worth.paths.values()),
            "orders": len(book.orders),
            "payments": len(book.worth.cash),
            "told": len(book.told) - len(book.odd.waiting),
            "samples": len(book.worth.series.keys) // 5,
            "steps": sum(len(path.steps) for path in book.worth.paths.values()),
            "prices": (len(book.worth.marks["M"].keys) + len(book.worth.rates["EUR"].keys)) // 2,
        }
        assert book.fills == kept["fills"]
        most = {name: max(most.get(name, 0), count) for name, count in kept.items()}
    assert most["fills"] < 2 * KEPT
    assert most["orders"] <= 4 * KEPT
    assert max(most.values()) <= 4 * KEPT


def test_without_a_bound_all_is_kept(new_log: NewLog) -> None:
    log = fill(new_log().account().linear(), 50 * KEPT)
    assert log.book.fills == 50 * KEPT
    assert log.book.worth.closed is None


def test_an_order_that_works_stays_however_old_it_is(log: Log) -> None:
    log.order("old", "buy", "30", ts=BEGIN)
    fill(log, 5 * KEPT).buy("g", "1", "10", order="old", ts=BEGIN + 100)
    for at in range(5 * KEPT):
        log.order(f"o{at}", "buy", "1", ts=BEGIN + 100 + at).tell("cancel", id=f"o{at}")
    assert log.position()["open_buy_qty"] == "29"
    assert len(log.book.orders) <= 2 * KEPT + 1


def test_what_was_filled_of_an_order_outlives_its_fills(log: Log) -> None:
    """Also when the order is told of late, and says how much of it was filled before."""
    fill(log, 3, order="late").order("late", "buy", "30", filled="1", ts=BEGIN + 2 * 10**6)
    assert log.position()["open_buy_qty"] == "27"
    for at in range(3 * KEPT):
        log.buy(f"g{at}", "1", "10", ts=BEGIN + 10 + at)
    log.order("late", "buy", "20", filled="2", ts=BEGIN + 10**6)
    assert log.position()["open_buy_qty"] == "17"


def test_many_changes_of_an_order_come_to_the_same_as_the_last_of_them(
    log: Log, new_log: NewLog
) -> None:
    full = new_log().account(ts=BEGIN - 1).linear()
    for each in (log, full):
        each.order("o", "buy", "5", ts=BEGIN)
    for at in range(5 * CHANGES_KEPT):
        asked, answered = str(6 + at % 50), str(6 + (at - at % 5) % 50)
        for each in (log, full):
            each.tell("amend_request", id="o", qty=asked)
            each.tell(("amend", "amend_reject")[at % 3 == 0], id="o", qty=answered)
        assert log.position() == full.position()
    assert len(log.book.orders["o"].changes) < 2 * CHANGES_KEPT < len(full.book.orders["o"].changes)


def test_what_the_first_day_opened_with_outlives_a_peak_and_a_fall(
    log: Log, new_log: NewLog
) -> None:
    full = new_log().account(ts=BEGIN - 1).linear()
    for each in (log, full):
        each.tell("session").buy("f", "1", "10", ts=BEGIN)
        for at, price in enumerate(("30", "20", "25")):
            each.mark(price, ts=BEGIN + at)
        for at in range(2 * KEPT):
            each.buy(f"g{at}", "1", "25", ts=BEGIN + 10 + at)
    assert log.book.worth.closed is not None
    assert log.worth == full.worth
    assert (log.worth["session_pnl"], log.worth["max_drawdown"]) == ("15", "10")


def test_what_a_later_day_opened_with_outlives_its_prices(log: Log, new_log: NewLog) -> None:
    """Midnight is at BEGIN + 6,400."""
    full = new_log().account(ts=BEGIN - 1).linear()
    for each in (log, full):
        each.tell("session").buy("f", "1", "10", ts=BEGIN)
        for at, price in ((0, "30"), (1, "20"), (2, "25"), (7_000, "27")):
            each.mark(price, ts=BEGIN + at)
        for at in range(2 * KEPT):
            each.buy(f"g{at}", "1", "27", ts=BEGIN + 8_000 + at)
    assert log.book.worth.closed.place[0] > (BEGIN + 8_000) * 10**9
    assert log.worth == full.worth
    assert log.worth["session_pnl"] == "2"


def test_what_could_not_be_counted_in_a_day_stays_unknown(log: Log) -> None:
    log.tell("session").tell("instrument", symbol="E", quote="EUR", settle="EUR")
    log.tell("funding", symbol="E", amount="1", ts=BEGIN).tell("fx", ccy="EUR", rate="2")
    fill(log, 3 * KEPT)
    assert log.book.worth.closed is not None
    log.tell("session")
    assert log.worth["session_realized"] is None


def test_what_was_won_and_moved_in_a_day_that_is_partly_closed_is_found_again(
    log: Log, new_log: NewLog
) -> None:
    """The clock is told again, and a rate comes late: both add everything up anew."""
    full = new_log().account(ts=BEGIN - 1).linear()
    for each in (log, full):
        each.tell("session").tell("fx", ccy="EUR", rate="2", ts=BEGIN)
        each.tell("transfer", ccy="EUR", amount="50", ts=BEGIN)
        each.tell("funding", symbol="L", amount="3", ts=BEGIN)
        each.buy("f", "1", "10", ts=BEGIN).sell("g", "1", "17", ts=BEGIN + 1).mark("10")
        fill(each, 3 * KEPT).tell("tick", ts=BEGIN + 60).tell("session")
        each.tell("fx", ccy="EUR", rate="3", ts=BEGIN + 58)
        each.tell("fx", ccy="EUR", rate="2", ts=BEGIN + 57)
    assert log.book.worth.closed is not None
    assert log.worth == full.worth
    assert log.worth["session_realized"] == "10"
    assert log.worth["peak_equity"] == "1160"


@pytest.mark.parametrize("symbol", ["L", "E"])
def test_what_is_unknown_of_the_closed_past_is_so_however_it_is_found(
    log: Log, symbol: str
) -> None:
    """L lacks a mark, and E a rate."""
    log.tell("instrument", symbol="E", quote="EUR", settle="EUR").mark("10", "E", ts=BEGIN)
    fill(log, 3 * KEPT, symbol=symbol)
    assert log.book.worth.closed is not None
    with exact():
        log.book.worth.again()
    assert log.worth["equity"] is None


def test_of_three_fills_with_one_id_those_that_are_not_closed_are_known(log: Log) -> None:
    log.buy("same", "1", "10", order="a", ts=BEGIN)
    fill(log, 2 * KEPT - 3)
    for order in ("b", "c", "b", "c"):
        log.buy("same", "1", "10", order=order, ts=BEGIN + 50)
    log.buy("last", "1", "10", ts=BEGIN + 51)
    for order in ("b", "c"):
        log.buy("same", "1", "10", order=order, ts=BEGIN + 50)
    assert log.book.worth.closed is not None
    assert log.position()["qty"] == str(2 * KEPT + 1)


# --- what comes from the closed past --------------------------------------------------------------


def test_a_repetition_of_a_fill_that_is_closed_does_not_count_and_is_flagged(log: Log) -> None:
    fill(log, 2 * KEPT).buy("f0", "1", "10", ts=BEGIN)
    assert log.position()["qty"] == str(2 * KEPT)
    assert log.odd == ["too_old:f0"]


def test_a_fill_at_the_closed_place_is_too_old_and_one_after_it_is_not(log: Log) -> None:
    fill(log, 2 * KEPT)
    place = log.book.worth.closed.place[0] // 10**9
    assert place == BEGIN + KEPT - 1
    log.buy("new", "1", "10", ts=place + 1)
    assert (log.position()["qty"], log.odd) == (str(2 * KEPT + 1), [])
    log.buy("old", "1", "10", ts=place - 1)
    assert (log.position()["qty"], log.odd) == (str(2 * KEPT + 1), ["too_old:old"])


def test_a_bust_of_a_fill_that_is_closed_changes_nothing_and_is_flagged(log: Log) -> None:
    """Told now, or at the time of the fill."""
    fill(log, 2 * KEPT).tell("bust", id="f0", symbol="L")
    log.tell("correct", id="f1", symbol="L", qty="7", ts=BEGIN + 1)
    assert log.position()["qty"] == str(2 * KEPT)
    assert log.odd == ["too_old:f0", "too_old:f1"]


def test_a_bust_that_was_only_earlier_than_its_fill_is_no_flag_once_it_has_come(log: Log) -> None:
    fill(log, 2 * KEPT).tell("bust", id="new", symbol="L")
    assert log.odd == ["too_old:new"]
    log.buy("new", "1", "10", ts=BEGIN + 100)
    assert (log.position()["qty"], log.odd) == (str(2 * KEPT), [])


def test_money_from_the_closed_past_counts_in_full(log: Log) -> None:
    fill(log, 2 * KEPT).mark("10").tell("funding", symbol="L", amount="3", ts=BEGIN + 1)
    log.tell("transfer", ccy="USD", amount="5", ts=BEGIN + 2)
    assert log.worth["equity"] == "1008"
    assert log.worth["peak_equity"] == "1008"


def test_a_price_from_the_closed_past_counts_if_there_is_no_newer_one(log: Log) -> None:
    fill(log, 2 * KEPT)
    assert log.worth["equity"] is None
    log.mark("11", ts=BEGIN)
    assert log.worth["equity"] == str(1000 + 2 * KEPT)
    log.mark("12", ts=BEGIN + 100).mark("90", ts=BEGIN + 1)
    assert log.worth["equity"] == str(1000 + 4 * KEPT)


def test_an_old_price_is_no_news_where_a_newer_one_was_in_force(log: Log) -> None:
    log.mark("10", ts=BEGIN + 1)
    fill(log, 2 * KEPT).mark("90", ts=BEGIN)
    assert (log.worth["equity"], log.worth["peak_equity"]) == ("1000", "1000")


def test_a_snapshot_takes_over_what_is_closed_as_well(log: Log, new_log: NewLog) -> None:
    """Else what the position had won would seem to be lost, and that is a fall of the account."""
    full = new_log().account(ts=BEGIN - 1).linear()
    for each in (log, full):
        each.tell("session", reset="00:00").mark("10", ts=BEGIN)
        fill(each, 3 * KEPT, fee="1", order="nobody").mark("30", ts=BEGIN + 50)
        each.tell("snapshot", symbol="L", qty="4", avg_price="30", as_of=BEGIN + 51)
    assert log.book.worth.closed is not None
    assert log.document == full.document
    assert (log.worth["equity"], log.worth["drawdown"], log.odd) == ("1000", "0", [])


def test_a_rate_that_only_a_closed_fee_needed_is_needed_no_more_after_a_snapshot(log: Log) -> None:
    log.mark("10", ts=BEGIN)
    fill(log, 2 * KEPT, fee="1", fee_ccy="BNB")
    assert log.worth["equity"] is None
    log.tell("snapshot", symbol="L", qty="4", avg_price="10", as_of=BEGIN + 51)
    assert log.worth["equity"] == "1000"


def test_a_snapshot_from_the_closed_past_is_not_taken_over_and_flagged(log: Log) -> None:
    fill(log, 2 * KEPT).tell("snapshot", symbol="L", qty="4", avg_price="10", as_of=BEGIN)
    assert log.position()["qty"] == str(2 * KEPT)
    assert log.odd == ["too_old:L"]


def test_of_a_period_that_began_in_the_closed_past_by_another_clock_nothing_is_known(
    log: Log,
) -> None:
    """At BEGIN it is 22:13, and the first event is the day's beginning."""
    log.mark("10", ts=BEGIN).tell("session", reset="00:00")
    for minute in range(2 * KEPT):
        log.buy(f"f{minute}", "1", "10", ts=BEGIN + 60 * minute)
    assert log.worth["session_realized"] == "0"
    log.tell("session", reset="22:15")
    assert (log.worth["session_realized"], log.worth["session_pnl"]) == (None, None)
    log.mark("10", ts=BEGIN + 90_000)
    assert (log.worth["session_realized"], log.worth["session_pnl"]) == ("0", "0")


def test_nothing_is_closed_before_the_account_is_told_of(new_log: NewLog) -> None:
    """In which currency it was won is not known before."""
    log = fill(new_log(fills_kept=KEPT).linear(), 3 * KEPT)
    assert log.book.worth.closed is None
    log.account().buy("next", "1", "10", ts=BEGIN + 100)
    assert log.book.fills == KEPT


def test_of_each_kind_of_flag_the_newest_stay(log: Log) -> None:
    log.buy("f", "1", "10")
    for at in range(FLAGS_KEPT + 3):
        log.buy(f"c{at}", "1", "10", order=None).sell(f"c{at}", "1", "10", order=None)
        log.order(f"o{at}", "buy", "1").buy(f"e{at}", "2", "10", order=f"o{at}")
    log.order("x", "buy", "1", ts=BEGIN)
    for at in range(FLAGS_KEPT + 3):
        log.buy(f"old{at}", "1", "10", ts=0)
    kinds = ("fill_conflict:c", "rogue_fill:c", "overfill:o", "too_old:old")
    for kind in kinds:
        numbers = sorted(int(flag[len(kind) :]) for flag in log.odd if flag.startswith(kind))
        assert numbers == list(range(3, FLAGS_KEPT + 3)), kind
