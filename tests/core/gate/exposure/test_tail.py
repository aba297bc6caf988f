"""`var_limit` and `es_limit`: by what marks say, against figures worked out another way."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_UP, Decimal
from itertools import pairwise
from math import sqrt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core.book.stalest import Stalest
from riskd.actors.core.books import Books
from riskd.actors.core.gate.rules.tail import var_es
from riskd.actors.core.gate.standing import Standing
from riskd.actors.core.volatility import GAP_MAX, HALF_LIFE, SAMPLES_MIN

NewDesk = Callable[..., Any]  # the class of this fixture lives in conftest.py
STEP = Decimal("1e-8")
# The normal distribution's, from a table: how far out, and the mean of what is farther out.
TABLE = {"0.95": (1.6448536270, 2.0627128075), "0.99": (2.3263478740, 2.6652142203),
         "0.999": (3.0902323062, 3.3670900770)}  # fmt: skip


def moves(desk: Any, symbol: str, prices: list[str], **told: Any) -> None:
    """A mark a minute; the first of them comes now."""
    for price in prices:
        desk.book("mark", None, symbol=symbol, price=price, **told)
        desk.passes(60)


def swaying(price: str, part: str, minutes: int = SAMPLES_MIN + 10) -> list[str]:
    """Up and down by such a part of it."""
    up = Decimal(price) * (1 + Decimal(part))
    return [str(up) if minute % 2 else price for minute in range(minutes)]


def daily(prices: list[str]) -> Decimal:
    """Worked out from the whole list at once."""
    values = [*map(float, prices)]
    returns = [now / was - 1 for was, now in pairwise(values)]
    weights = [1.0]
    for number in range(2, len(returns) + 1):
        share = max(1 / number, 0.6931471805599453 / HALF_LIFE)
        weights = [*(each * (1 - share) for each in weights), share]
    mean = sum(weight * each**2 for weight, each in zip(weights, returns, strict=True))
    return Decimal(sqrt(mean * 1_440))


def near(found: Decimal, meant: Decimal | float) -> bool:
    return abs(found - Decimal(meant)) <= abs(Decimal(meant)) * Decimal("1e-6")


@pytest.fixture
def calm(new_desk: NewDesk) -> Callable[..., Any]:
    """A desk whose symbols have moved for a while: L by 0.1 % a minute, M by 0.2 %."""

    def make(*rules: dict[str, Any], **more: Any) -> Any:
        desk = new_desk(*rules, **more)
        for of_l, of_m in zip(swaying("10", "0.001"), swaying("2", "0.002"), strict=True):
            desk.mark("L", of_l)
            desk.mark("M", of_m)
            desk.passes(60)
        desk.mark("L", "10")
        desk.mark("M", "2")
        return desk

    return make


L_DAILY = daily([*swaying("10", "0.001"), "10"])
M_DAILY = daily([*swaying("2", "0.002"), "2"])


@pytest.mark.parametrize("confidence", sorted(TABLE))
@pytest.mark.parametrize("kind", ["var_limit", "es_limit"])
@pytest.mark.parametrize("side", ["buy", "sell"])
def test_the_most_that_passes_is_what_an_independent_count_says(
    calm: Callable[..., Any], kind: str, confidence: str, side: str
) -> None:
    var, es = TABLE[confidence]
    weight = Decimal(var if kind == "var_limit" else es) * Decimal(sqrt(4))
    key = "max_var" if kind == "var_limit" else "max_es"
    held = 30 * 10 * M_DAILY * weight
    each = 10 * L_DAILY * weight
    limit = (held + each * Decimal("20.5")).quantize(STEP)
    desk = calm({"kind": kind, key: str(limit), "confidence": confidence, "horizon_days": "4",
                 "max_mark_age_s": 3_600})  # fmt: skip
    desk.hold(-30, "M", price="2")
    assert desk.ask(side, 20).decision == "allow"
    more = desk.ask(side, 21)
    assert (more.decision, more.code, more.max_qty) == ("block", kind, 20)
    assert near(more.value, held + each * 21)


def test_the_limit_itself_passes_and_a_trifle_above_it_does_not(calm: Callable[..., Any]) -> None:
    probe = calm({"kind": "var_limit", "max_var": "1000000", "max_mark_age_s": 3_600})
    at = probe.said("buy", 7).value
    for limit, decision in ((at, "allow"), (at - STEP, "block"), (at + STEP, "allow")):
        desk = calm({"kind": "var_limit", "max_var": str(limit), "max_mark_age_s": 3_600})
        assert desk.ask("buy", 7).decision == decision


def test_in_percent_it_goes_by_equity_and_the_lower_of_both_counts(
    calm: Callable[..., Any],
) -> None:
    each = 10 * L_DAILY * Decimal(TABLE["0.99"][0])
    pct = each * 8 / 10
    for rule in ({"max_pct": str(pct)}, {"max_pct": str(pct), "max_var": "900"}):
        desk = calm({"kind": "var_limit", "max_mark_age_s": 3_600, **rule})
        assert desk.ask("sell", 9).max_qty in (7, 8)
        assert desk.ask("sell", 9).decision == "block"
        desk.drifts()
        assert desk.ask("sell", 1).code == "not_evaluable"


def test_an_order_is_scaled_down_by_its_risk(calm: Callable[..., Any]) -> None:
    each = 10 * L_DAILY * Decimal(TABLE["0.99"][0])
    desk = calm({"kind": "var_limit", "max_var": str((each * Decimal("12.5")).quantize(STEP)),
                 "on_excess": "scale_down", "max_mark_age_s": 3_600})  # fmt: skip
    scaled = desk.send("buy", 500)
    assert (scaled.decision, scaled.qty) == ("scale_down", 12)
    assert desk.ask("buy", 1).decision == "block", "all of it is reserved"
    assert desk.ask("sell", 12).decision == "allow", "the other side is no worse"


def test_what_reduces_passes_however_far_the_limit_is_gone(calm: Callable[..., Any]) -> None:
    desk = calm({"kind": "es_limit", "max_es": "0.01", "max_mark_age_s": 3_600})
    desk.hold(50)
    assert desk.ask("sell", 50).decision == "allow"
    assert desk.ask("buy", 1).decision == "block"


def test_at_a_price_farther_from_nothing_all_of_the_symbol_counts_by_that(
    calm: Callable[..., Any],
) -> None:
    desk = calm({"kind": "var_limit", "max_var": "1000000", "max_mark_age_s": 3_600})
    desk.hold(5)
    weight = L_DAILY * Decimal(TABLE["0.99"][0])
    assert near(desk.said("buy", 3).value, 8 * 10 * weight)
    assert near(desk.said("buy", 3, price="20").value, 8 * 20 * weight)


def test_marks_that_never_move_are_taken_to_move_by_the_least(new_desk: NewDesk) -> None:
    desk = new_desk({"kind": "var_limit", "max_var": "23.3", "max_mark_age_s": 3_600})
    moves(desk, "L", ["10"] * (SAMPLES_MIN + 1))
    weight = Decimal(TABLE["0.99"][0])
    assert desk.ask("buy", 100).decision == "allow", f"{1000 * weight / 100} is below it"
    assert desk.ask("buy", 101).decision == "block"


# --- what is not known ----------------------------------------------------------------------------


def test_without_enough_marks_nothing_that_adds_passes(new_desk: NewDesk) -> None:
    desk = new_desk({"kind": "var_limit", "max_var": "1000000", "max_mark_age_s": 3_600})
    desk.hold(5)
    moves(desk, "L", swaying("10", "0.001", SAMPLES_MIN - 1))
    refused = desk.ask("buy", 1)
    assert (refused.code, refused.missing) == ("not_evaluable", "volatility of L")
    reducing = desk.ask("sell", 5)
    assert (reducing.decision, reducing.risk_level) == ("allow", "warning")
    moves(desk, "L", swaying("10", "0.001", 3))
    assert desk.ask("buy", 1).decision == "allow"


def test_what_is_held_besides_has_to_be_known_too(calm: Callable[..., Any]) -> None:
    desk = calm({"kind": "var_limit", "max_var": "1000000", "max_mark_age_s": 3_600})
    assert desk.ask("buy", 1).decision == "allow"
    desk.hold(1, "E")
    refused = desk.ask("buy", 1)
    assert (refused.code, refused.missing) == (
        "not_evaluable", "volatility of all that account:main holds",
    )  # fmt: skip


def test_an_old_mark_of_anything_held_makes_it_unknown_until_there_is_a_new_one(
    calm: Callable[..., Any],
) -> None:
    desk = calm({"kind": "var_limit", "max_var": "1000000", "max_mark_age_s": 600})
    desk.hold(1, "M", price="2")
    assert desk.ask("buy", 1).decision == "allow"
    desk.passes(600)
    desk.mark("L", "10")
    assert desk.ask("buy", 1).decision == "allow", "as old as may be"
    desk.passes(1)
    desk.mark("L", "10")
    assert desk.ask("buy", 1).code == "not_evaluable"
    desk.mark("M", "2")
    assert desk.ask("buy", 1).decision == "allow"
    desk.passes(500)
    desk.mark("L", "10")
    desk.passes(200)
    assert desk.ask("buy", 1).code == "not_evaluable"
    desk.hold(-1, "M", price="2")
    assert desk.ask("buy", 1).decision == "allow", "there is none of it any more"


def test_a_mark_that_says_that_it_is_older_makes_it_unknown_at_once(
    calm: Callable[..., Any],
) -> None:
    desk = calm({"kind": "var_limit", "max_var": "1000000", "max_mark_age_s": 600})
    desk.hold(1, "M", price="2")
    desk.book("tick", ts=(desk.at - timedelta(seconds=900)).isoformat())
    desk.mark("M", "2")
    assert desk.ask("buy", 1).decision == "allow"
    ts = (desk.at - timedelta(seconds=800)).isoformat()
    desk.book("mark", None, symbol="M", price="2", ts=ts)
    assert desk.ask("buy", 1).code == "not_evaluable"
    desk.mark("M", "2")
    assert desk.ask("buy", 1).decision == "allow"


def test_what_comes_to_be_held_later_is_looked_at_too_and_grows_old_by_its_own_mark(
    calm: Callable[..., Any],
) -> None:
    desk = calm({"kind": "var_limit", "max_var": "1000000", "max_mark_age_s": 600})
    desk.hold(1)
    desk.passes(300)
    desk.mark("L", "10")
    assert desk.ask("buy", 1).decision == "allow"
    desk.hold(1, "M", price="2")
    assert desk.ask("buy", 1).decision == "allow"
    desk.passes(301)
    assert desk.ask("buy", 1).code == "not_evaluable", "M is older than L"


def test_a_clock_that_was_set_back_makes_marks_of_the_future_none(
    calm: Callable[..., Any],
) -> None:
    desk = calm({"kind": "var_limit", "max_var": "1000000", "max_mark_age_s": 600})
    desk.mark("L", "10")
    assert desk.ask("buy", 1).decision == "allow"
    desk.passes(-5)
    assert desk.ask("buy", 1).code == "not_evaluable"


# --- volatility -----------------------------------------------------------------------------------


def test_it_is_the_weighted_mean_of_returns_whatever_came_within_a_minute(
    new_desk: NewDesk,
) -> None:
    desk = new_desk()
    prices = ["10", *(str(Decimal(10) + Decimal(n * n * n % 37) / 100) for n in range(900))]
    for price in prices[1:]:
        desk.passes(60)
        desk.mark("L", price)
        desk.passes(20)
        desk.mark("L", "999")
        desk.passes(-20)
    assert near(desk.books.volatility.of("main", "L"), daily(prices))


def test_a_jump_after_a_silence_counts_whole_and_a_slow_one_by_the_minute(
    new_desk: NewDesk,
) -> None:
    found = []
    for minutes in (1, GAP_MAX, GAP_MAX + 1):
        desk = new_desk()
        moves(desk, "L", swaying("10", "0.001"))
        desk.passes(60 * (minutes - 1))
        desk.mark("L", "20")
        found.append(desk.books.volatility.of("main", "L"))
    assert found[0] == found[2]
    assert found[1] < found[0] / 3


def test_a_price_of_nothing_begins_anew(new_desk: NewDesk) -> None:
    desk = new_desk()
    moves(desk, "L", swaying("10", "0.001"))
    assert desk.books.volatility.of("main", "L") is not None
    moves(desk, "L", ["0", "10"])
    assert desk.books.volatility.of("main", "L") is None


def test_of_marks_of_one_account_and_of_all_the_wilder_count(new_desk: NewDesk) -> None:
    desk = new_desk()
    for price, other in zip(swaying("10", "0.001"), swaying("10", "0.003"), strict=True):
        desk.mark("L", price)
        desk.book("mark", "other", symbol="L", price=other)
        desk.passes(60)
    of = desk.books.volatility.of
    assert near(of("main", "L"), daily(swaying("10", "0.001")))
    assert near(of("other", "L"), daily(swaying("10", "0.003")))


def test_a_restart_knows_the_same_to_the_last_digit(calm: Callable[..., Any]) -> None:
    desk = calm({"kind": "var_limit", "max_var": "1000000", "max_mark_age_s": 3_600})
    desk.hold(-30, "M", price="2")
    desk.send("buy", 7)
    before = desk.said("buy", 3)
    again = Books(desk.books.zone)
    again.load(b"".join(desk.books.dump()))
    for books in (desk.books, again):
        standing = Standing("all", books.of("account:main"))
        assert var_es(standing) == var_es(Standing("all", desk.books.of("account:main")))
    desk.books = again
    assert desk.said("buy", 3) == before
    moves(desk, "L", ["11"])
    assert desk.said("buy", 3) != before


def test_sums_are_those_of_each_symbol_by_itself(calm: Callable[..., Any]) -> None:
    desk = calm()
    desk.hold(-30, "M", price="2")
    desk.send("buy", 7)
    desk.hold(4)
    tail = var_es(Standing("all", desk.books.of("account:main")))
    swing = 300 * M_DAILY + 110 * L_DAILY
    assert near(tail.var, swing * Decimal(TABLE["0.99"][0]))
    assert near(tail.es, swing * Decimal(TABLE["0.99"][1]))
    assert tail.var.quantize(STEP, ROUND_UP) < tail.es
    desk.hold(1, "E")
    assert var_es(Standing("all", desk.books.of("account:main"))) is None


# --- without a look at everything -----------------------------------------------------------------

SYMBOLS = ("A", "B", "C")
acts = st.one_of(
    st.tuples(st.just("mark"), st.sampled_from(SYMBOLS)),
    st.tuples(st.just("expose"), st.sampled_from(SYMBOLS)),
    st.tuples(st.just("conceal"), st.sampled_from(SYMBOLS)),
    st.tuples(st.just("passes"), st.sampled_from([-30, 0, 1, 5, 9, 10, 11, 40])),
    st.tuples(st.just("ask"), st.none()),
)


@given(st.lists(acts, max_size=40), st.booleans())
def test_whether_a_mark_is_too_old_is_what_a_look_at_all_of_them_says(
    moves: list[tuple[str, Any]],
    none_is_old: bool,
) -> None:
    at, monotonic_s = datetime(2026, 11, 21, tzinfo=UTC), 100.0
    marked: dict[str, tuple[datetime, float]] = {}
    exposed: dict[str, None] = {}

    def age_s(symbol: str) -> float | None:
        told = marked.get(symbol)
        return told and max((at - told[0]).total_seconds(), monotonic_s - told[1])

    stalest = Stalest(10.0, lambda: exposed, none_is_old=none_is_old)
    for what, of in [*moves, ("ask", None)]:
        if what == "mark":
            marked[of] = at, monotonic_s
        elif what == "expose":
            if of not in exposed:
                exposed[of] = None
                stalest.expose(of)
        elif what == "conceal":
            if exposed.pop(of, 0) is None:
                stalest.conceal(of)
        elif what == "passes":
            at += timedelta(seconds=of)
            monotonic_s += max(of, 0)
        else:
            ages = [age_s(symbol) for symbol in exposed]
            naive = any(none_is_old if age is None else not 0 <= age <= 10 for age in ages)
            newest = max((told for told, _ in marked.values()), default=at)
            assert stalest.is_any(at, monotonic_s, age_s, newest) == naive


steps = st.tuples(
    st.sampled_from(["L", "M", "E"]),
    st.integers(-9, 9),
    st.sampled_from(["hold", "send", "mark", "cancel"]),
)


@given(st.lists(steps, max_size=30))
def test_the_sum_is_what_each_symbol_by_itself_would_cost(
    new_desk: NewDesk, moves: list[tuple[str, int, str]]
) -> None:
    desk, orders = new_desk(), []
    for of_l, of_m in zip(swaying("10", "0.001"), swaying("2", "0.002"), strict=True):
        desk.mark("L", of_l)
        desk.mark("M", of_m)
        desk.passes(60)
    for symbol, qty, what in moves:
        if what == "mark":
            desk.mark(symbol, str(10 + qty))
            desk.passes(60)
        elif what == "cancel" and orders:
            desk.book("cancel", id=orders.pop())
        elif what == "hold" and qty:
            desk.hold(qty, symbol)
        elif qty:
            desk.send("buy" if qty > 0 else "sell", abs(qty), symbol, strategy="mm")
            orders.append(f"o{desk.number}")
        held = desk.books.accounts["main"]
        # The parts are asked now and then: it must not matter when.
        for book in (held.book, *(held.parts.values() if what == "hold" else ())):
            exposures, found, unknown = book.exposures, Decimal(0), 0
            for name, standing in exposures.standings.items():
                if standing.widest:
                    part = desk.books.volatility.of("main", name)
                    unknown += part is None
                    if part is not None:
                        found += (standing.worst * part).quantize(STEP, ROUND_UP)
            is_known = not (unknown or exposures.sums.blank_worsts)
            assert exposures.swing_of(None) == (found if is_known else None)
