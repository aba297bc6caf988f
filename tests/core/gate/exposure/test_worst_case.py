"""Whatever is asked and in whatever order, no limit is passed by what could become of it."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NewDesk = Callable[..., Any]  # the class of this fixture lives in conftest.py
Rule = dict[str, Any]

WORTH = {"L": 10, "M": 10, "E": 10, "I": 10}
"""Of a contract, in USD."""
unhurried = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Paper:
    """The same account on paper: positions and what remains of each order."""

    def __init__(self) -> None:
        self.position = dict.fromkeys(WORTH, 0)
        self.open: dict[str, tuple[str, int, int, bool]] = {}

    def sides(self, symbol: str) -> tuple[int, int]:
        position, sums = (
            self.position[symbol],
            dict.fromkeys(((1, 0), (-1, 0), (1, 1), (-1, 1)), 0),
        )
        for of, sign, left, reduces in self.open.values():
            if of == symbol:
                sums[sign, int(reduces)] += left
        long = position + sums[1, 0] + min(sums[1, 1], max(-position, 0))
        short = position - sums[-1, 0] - min(sums[-1, 1], max(position, 0))
        return long, short

    def widest(self, symbol: str) -> int:
        long, short = self.sides(symbol)
        return max(long, -short)


LIMITS: dict[str, tuple[Rule, Callable[[Paper], bool]]] = {
    "max_position": (
        {"max_qty": "20"}, lambda paper: all(paper.widest(one) <= 20 for one in WORTH)
    ),
    "max_inventory": (
        {"max_notional": "155"}, lambda paper: all(paper.widest(one) <= 15 for one in WORTH)
    ),
    "max_contracts_per_instrument": (
        {"max_contracts": "12"}, lambda paper: all(paper.widest(one) <= 12 for one in WORTH)
    ),
    "max_gross": (
        {"max_notional": "300"}, lambda paper: sum(map(paper.widest, WORTH)) * 10 <= 300
    ),
    "max_total_notional": (
        {"max_notional": "250"}, lambda paper: sum(map(paper.widest, WORTH)) * 10 <= 250
    ),
    "max_contracts": ({"max_contracts": "33"}, lambda paper: sum(map(paper.widest, WORTH)) <= 33),
    "max_leverage": (
        {"max_leverage": "0.35"}, lambda paper: sum(map(paper.widest, WORTH)) * 10 <= 350
    ),
    "max_open_positions": (
        {"max_positions": 2}, lambda paper: sum(bool(paper.widest(one)) for one in WORTH) <= 2
    ),
    "concentration": (
        {"max_pct": "17"}, lambda paper: all(paper.widest(one) * 10 <= 170 for one in WORTH)
    ),
    "margin": (
        {"margin_pct": "50", "margin_pct_of": {"M": "100"}, "max_used_pct": "20"},
        lambda paper: sum(
            paper.widest(one) * Fraction(10 if one == "M" else 5) for one in WORTH
        ) <= 200,
    ),
}  # fmt: skip

quantities = st.integers(1, 30)
steps = st.one_of(
    st.tuples(
        st.just("send"), st.sampled_from(["L", "M", "E", "I"]), st.sampled_from(["buy", "sell"]),
        quantities, st.sampled_from([False, False, True]),
    ),
    st.tuples(st.just("fill"), st.integers(0, 9), quantities),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
)  # fmt: skip


def play(desk: Any, paper: Paper, step: tuple[Any, ...], number: int) -> None:
    """On the desk and on paper."""
    if step[0] == "send":
        _, symbol, side, qty, reduces = step
        name = f"p{number}"
        got = desk.send(side, qty, symbol, client_order_id=name, reduce_only=reduces).qty
        if got:
            paper.open[name] = (symbol, 1 if side == "buy" else -1, int(got), reduces)
        return
    if step[1] >= len(paper.open):
        return
    name = list(paper.open)[step[1]]
    symbol, sign, left, reduces = paper.open[name]
    if step[0] == "cancel":
        desk.book("cancel", id=name)
        del paper.open[name]
        return
    qty = min(step[2], left)
    if reduces:  # a venue fills no more of it than there is to reduce
        qty = min(qty, max(-sign * paper.position[symbol], 0))
    if qty:
        desk.book(
            "fill", id=f"e{number}", order=name, symbol=symbol, qty=str(qty),
            side="buy" if sign > 0 else "sell", price="100" if symbol == "I" else
            {"L": "10", "M": "2", "E": "5"}[symbol],
        )  # fmt: skip
        paper.position[symbol] += sign * qty
        paper.open[name] = (symbol, sign, left - qty, reduces)


@unhurried
@given(st.lists(steps, max_size=25), st.sampled_from(["block", "scale_down"]))
@pytest.mark.parametrize("kind", LIMITS)
def test_no_limit_is_ever_passed(
    new_desk: NewDesk, kind: str, moves: list[tuple[Any, ...]], on_excess: str
) -> None:
    fields, holds = LIMITS[kind]
    desk, paper = new_desk({"kind": kind, **fields}, on_excess=on_excess), Paper()
    for number, step in enumerate(moves):
        play(desk, paper, step, number)
        assert holds(paper)


@unhurried
@given(st.lists(steps, max_size=25))
def test_all_of_them_hold_together(new_desk: NewDesk, moves: list[tuple[Any, ...]]) -> None:
    rules = [{"kind": kind, **fields} for kind, (fields, _) in LIMITS.items()]
    desk, paper = new_desk(*rules, on_excess="scale_down"), Paper()
    for number, step in enumerate(moves):
        play(desk, paper, step, number)
        assert all(holds(paper) for _, holds in LIMITS.values())


MORE: dict[str, Rule] = {
    **{kind: fields for kind, (fields, _) in LIMITS.items()},
    "max_net": {"max_notional": "95"},
    "liquidation_distance": {"margin_pct": "7", "margin_pct_of": {"M": "50"}, "min_pct": "75"},
    "single_trade_risk": {"max_risk": "73"},
}


@unhurried
@given(
    st.lists(steps, max_size=12),
    st.sampled_from(["L", "M", "E", "I"]),
    st.sampled_from(["buy", "sell"]),
    st.integers(1, 200),
    st.booleans(),
)
@pytest.mark.parametrize("kind", MORE)
def test_what_is_said_to_pass_at_most_passes_and_one_lot_more_does_not(
    new_desk: NewDesk,
    kind: str,
    moves: list[tuple[Any, ...]],
    symbol: str,
    side: str,
    qty: int,
    reduce_only: bool,
) -> None:
    desk, paper = new_desk({"kind": kind, **MORE[kind]}), Paper()
    for number, step in enumerate(moves):
        play(desk, paper, step, number)
    verdict = desk.ask(side, qty, symbol, reduce_only=reduce_only)
    if verdict.decision == "allow":
        return
    most = int(verdict.max_qty)
    assert most < qty
    if most:
        assert desk.ask(side, most, symbol, reduce_only=reduce_only).decision == "allow"
    assert desk.ask(side, most + 1, symbol, reduce_only=reduce_only).decision == "block"


@pytest.mark.parametrize("kind", [kind for kind in MORE if kind not in
                                  ("max_open_positions", "single_trade_risk")])  # fmt: skip
@pytest.mark.parametrize("side", ["buy", "sell"])
def test_of_two_orders_for_most_of_the_rest_exactly_one_passes_whole(
    new_desk: NewDesk, kind: str, side: str
) -> None:
    rule = {"kind": kind, **MORE[kind]}
    most = int(new_desk(rule).ask(side, 10_000).max_qty)
    qty = -(-most * 6 // 10)
    blocking = new_desk(rule)
    answers = [blocking.send(side, qty).decision for _ in range(2)]
    assert answers == ["allow", "block"]
    scaling = new_desk(rule, on_excess="scale_down")
    first, second = scaling.send(side, qty), scaling.send(side, qty)
    assert (first.decision, second.decision) == ("allow", "scale_down")
    assert first.qty + second.qty == most


@unhurried
@given(st.lists(steps, max_size=12), st.sampled_from(["buy", "sell"]), quantities)
@pytest.mark.parametrize("kind", MORE)
def test_the_quick_look_says_what_the_long_one_does(
    new_desk: NewDesk, kind: str, moves: list[tuple[Any, ...]], side: str, qty: int
) -> None:
    """With an explanation each rule takes the long way."""
    desk, paper = new_desk({"kind": kind, **MORE[kind]}, on_excess="scale_down"), Paper()
    for number, step in enumerate(moves):
        play(desk, paper, step, number)
    order = desk.order(side, qty)
    assert desk.decided(order).verdict == desk.decided(order, explains=True).verdict
