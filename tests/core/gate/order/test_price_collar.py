"""Prices are near the mark, and the mark is near where it was."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core.gate.rules import collar
from riskd.config import ConfigInvalid, parse
from riskd.config.schema.rules import PriceCollar

Desk = Callable[..., Any]


def rule(**more: Any) -> PriceCollar:
    numbers = ("max_pct", "max_stop_pct", "max_drift_pct")
    said = {key: Decimal(one) if key in numbers else one for key, one in more.items()}
    return PriceCollar(**said)


@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize(
    ("price", "code"),
    [
        ("94.9", "price_collar"),
        ("95", "ok"),
        ("95.1", "ok"),
        ("104.9", "ok"),
        ("105", "ok"),
        ("105.1", "price_collar"),
        (None, "ok"),
    ],
)
def test_a_price_may_be_so_far_from_the_mark_on_either_side_and_no_farther(
    desk: Desk, side: str, price: str | None, code: str
) -> None:
    at = desk(rule(max_pct=5))
    at.hold("5" if side == "sell" else "-5")
    verdict = at.ask(side, price=price)
    assert verdict.code == code
    if code != "ok":
        assert (verdict.limit, verdict.value, verdict.headroom) == (5, Decimal("5.1"), 0)


@pytest.mark.parametrize(
    ("mark", "price", "code"),
    [
        ("-100", "-105", "ok"),
        ("-100", "-105.1", "price_collar"),
        ("-100", "-94.9", "price_collar"),
        ("-100", "100", "price_collar"),
        ("0", "0", "ok"),
        ("0", "0.1", "not_evaluable"),
    ],
)
def test_below_nothing_it_is_the_same_and_of_nothing_there_are_no_percents(
    desk: Desk, mark: str, price: str, code: str
) -> None:
    assert desk(rule(max_pct=5), mark=mark).code(price=price) == code


@pytest.mark.parametrize(
    ("stop", "price", "code"),
    [
        ("80", None, "ok"),
        ("79.9", None, "stop_collar"),
        ("120", None, "ok"),
        ("120.1", None, "stop_collar"),
        ("80", "76", "ok"),
        ("80", "75.9", "price_collar"),
        ("79", "79", "stop_collar"),
    ],
)
def test_a_stop_has_its_own_and_its_limit_goes_by_the_stop(
    desk: Desk, stop: str, price: str | None, code: str
) -> None:
    kind = "stop" if price is None else "stop_limit"
    at = desk(rule(max_pct=5, max_stop_pct=20))
    assert at.code("sell", stop_price=stop, price=price, order_type=kind) == code


def test_a_stop_is_free_where_nothing_is_said_of_it(desk: Desk) -> None:
    assert desk(rule(max_pct=5)).code("sell", stop_price="1", order_type="stop") == "ok"


def test_what_venues_do_not_heed_is_not_held_to_it(desk: Desk) -> None:
    assert desk(rule(max_pct=5)).code(price="500", order_type="market") == "ok"


@pytest.mark.parametrize(("age_s", "code"), [(2.0, "ok"), (2.001, "stale_mark")])
def test_an_old_mark_is_none_to_go_by(desk: Desk, age_s: float, code: str) -> None:
    at = desk(rule(max_pct=5, max_mark_age_s=2.0))
    at.hold("3")
    at.passes(age_s)
    verdict = at.ask(price="100")
    assert verdict.code == code
    assert code == "ok" or verdict.rule == "price_collar"
    assert at.ask("sell", "3", price="500").decision == ("block" if code == "ok" else "allow")


def test_without_a_mark_it_can_not_be_told(desk: Desk) -> None:
    at = desk(rule(max_pct=5), mark=None)
    opinions = at.decided(at.order(price="100")).opinions
    (found,) = [one.found for one in opinions if one.judge.kind == "price_collar"]
    assert (found.outcome, found.code, found.missing) == ("unknown", "no_mark", "mark of BTC")


def test_a_collar_that_warns_lets_it_pass(desk: Desk) -> None:
    assert desk(rule(max_pct=5, action="warn")).ask(price="200").decision == "allow"


def test_it_says_how_far_when_asked(desk: Desk) -> None:
    at = desk(rule(max_pct=5, max_drift_pct=10))
    assert at.said("price_collar", price="104")[:5] == ("pass", "ok", 10, 0, 10)
    assert at.said("price_collar", price="106")[:5] == ("block", "price_collar", 5, 6, 0)
    assert desk(rule(max_pct=5)).said("price_collar", price="104")[:5] == ("pass", "ok", 5, 4, 1)


# --- drift ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mark", "code"),
    [("110", "ok"), ("110.1", "price_drift"), ("90", "ok"), ("89.9", "price_drift")],
)
def test_the_mark_may_go_so_far_in_a_while_and_no_farther(desk: Desk, mark: str, code: str) -> None:
    at = desk(rule(max_drift_pct=10, drift_s=80.0))
    at.hold("4")
    at.passes(80)
    at.mark(mark)
    assert at.code() == code
    assert at.code("sell", "4") == "ok"
    assert at.code("sell", "4.1") == code


def test_where_it_was_leaves_a_while_and_a_slice_later_and_not_before(desk: Desk) -> None:
    at = desk(rule(max_drift_pct=10, drift_s=80.0))
    at.passes(1)
    at.mark("111")
    for _ in range(8):
        at.passes(10)
        at.mark("111")
        assert at.code() == "price_drift"
    at.passes(20)
    at.mark("111")
    assert at.code() == "ok"


def test_creeping_is_found_by_what_it_comes_to(desk: Desk) -> None:
    at = desk(rule(max_drift_pct=10, drift_s=80.0))
    codes = []
    for step in range(12):
        at.mark(str(100 + step))
        codes.append(at.code())
        at.passes(5)
    assert codes == ["ok"] * 11 + ["price_drift"]


def test_there_and_back_is_no_drift_and_a_spike_is_one_while_it_lasts(desk: Desk) -> None:
    at = desk(rule(max_drift_pct=10, drift_s=80.0))
    at.mark("112")
    assert at.code() == "price_drift"
    at.mark("108")
    assert at.code() == "ok"


def test_a_jump_after_a_silence_is_a_jump(desk: Desk) -> None:
    at = desk(rule(max_drift_pct=10, drift_s=80.0))
    at.passes(10_000)
    at.mark("120")
    assert at.code() == "price_drift"


def test_a_rule_that_has_seen_no_mark_can_not_tell(desk: Desk) -> None:
    at = desk()
    at.rule(rule(max_drift_pct=10))
    assert at.ask().missing == "marks of BTC since the rule is in force"
    at.mark("100")
    assert at.code() == "ok"


def test_a_mark_of_one_account_is_its_own(desk: Desk) -> None:
    at = desk(rule(max_drift_pct=10))
    at.mark("150", account="other")
    assert at.code() == "ok"
    assert at.code(account="other") == "price_drift"


def test_an_account_goes_by_its_own_marks_and_by_those_of_all(desk: Desk) -> None:
    at = desk(rule(max_drift_pct=10))
    at.mark("150", account="main")
    at.mark("100")
    assert at.code() == "price_drift"
    assert at.code(account="other") == "ok"


@pytest.mark.parametrize(
    ("scope", "followed"), [("symbol:BTC", 1), ("account:main", 2), ("all", 2)]
)
def test_it_follows_what_it_may_be_asked_about(desk: Desk, scope: str, followed: int) -> None:
    one = rule(max_drift_pct=10, scope=scope)
    at = desk(one)
    at.list("ETH")
    at.mark("5", "ETH")
    assert len(at.limits.memories[one.id].ways) == followed


def test_a_mark_that_it_has_no_room_for_is_one_that_it_can_not_tell_of(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collar, "WAYS_MAX", 1)
    at = desk(rule(max_drift_pct=10))
    at.list("ETH")
    at.mark("5", "ETH")
    assert at.code() == "ok"
    assert at.code(symbol="ETH") == "not_evaluable"


def test_a_clock_that_is_set_back_forgets_nothing(desk: Desk) -> None:
    at = desk(rule(max_drift_pct=10, drift_s=80.0))
    at.at -= timedelta(hours=5)
    at.mark("120")
    assert at.code() == "price_drift"


def test_a_restart_forgets_nothing_and_a_person_may(desk: Desk) -> None:
    one = rule(max_drift_pct=10)
    at = desk(one)
    at.mark("120")
    at.restart()
    assert at.code() == "price_drift"
    at.rearm(rule(max_drift_pct=10, name="another"))
    assert at.code() == "price_drift"
    at.rearm(one)
    assert at.code() == "ok"


@pytest.mark.parametrize("state", [None, {}, {"ways": [["", "BTC", "1", []]]}, {"ways": [[]]}])
def test_what_is_no_dump_is_refused(desk: Desk, state: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        desk(rule(max_drift_pct=10)).limits.memories["price_collar@all"].load(state)


@given(
    steps=st.lists(st.tuples(st.integers(0, 30), st.integers(80, 120)), min_size=1, max_size=60),
    restart_at=st.integers(0, 60),
)
def test_nothing_passes_while_the_mark_is_too_far_from_any_of_a_while(
    desk: Desk, steps: list[tuple[int, int]], restart_at: int
) -> None:
    """And whatever is near all of a while and a slice passes."""
    at = desk(rule(max_drift_pct=10, drift_s=80.0))
    marks = [(at.at, 100)]
    for number, (gap, price) in enumerate(steps):
        at.passes(gap)
        at.mark(str(price))
        marks.append((at.at, price))
        if number == restart_at:
            at.restart()
        code = at.code()
        assert code == "price_drift" or all(_near(price, one) for one in _since(marks, at.at, 80))
        assert code == "ok" or not all(_near(price, one) for one in _since(marks, at.at, 100))
        memory = at.limits.memories["price_collar@all"]
        assert len(memory.ways["", "BTC"].slices) <= collar.SLICES + 2


def _near(price: int, one: int) -> bool:
    return abs(price - one) * 10 <= one


def _since(marks: list[tuple[Any, int]], now: Any, seconds: int) -> list[int]:
    """Those in force at any time of it."""
    begin = now - timedelta(seconds=seconds)
    before = [price for at, price in marks if at <= begin][-1:]
    return before + [price for at, price in marks if at > begin]


def test_a_collar_that_holds_nothing_is_a_mistake() -> None:
    with pytest.raises(ConfigInvalid) as refused:
        parse("[[rules]]\nkind = 'price_collar'\n", "FILE", {})
    assert "rules[0].max_pct: is missing, and so are the others" in str(refused.value)


@given(
    marks=st.lists(st.integers(-200, 200), min_size=1, max_size=6),
    price=st.none() | st.integers(-220, 220),
    stop=st.none() | st.integers(-220, 220),
    is_own=st.booleans(),
)
def test_what_passes_at_a_glance_passes_when_it_is_looked_at(
    desk: Desk, marks: list[int], price: int | None, stop: int | None, is_own: bool
) -> None:
    at = desk(rule(max_pct=7, max_stop_pct=20, max_drift_pct=10))
    for mark in marks:
        at.passes(7)
        at.mark(str(mark), account="main" if is_own else None)
    kind = {(False, False): "market", (False, True): "stop", (True, True): "stop_limit"}
    at.orders += 1
    order = at.order(
        price=None if price is None else str(price),
        stop_price=None if stop is None else str(stop),
        order_type=kind.get((price is not None, stop is not None)),
    )
    glance, looked = at.decided(order), at.decided(order, explains=True)
    assert glance.verdict == looked.verdict
