"""What a rule has found of what was made holds until that changes, and no longer."""

from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

Desk = Any  # its class lives in conftest.py
RULES: tuple[Mapping[str, Any], ...] = tuple(
    {"kind": kind, "scope": scope, "warn_pct": ["50"], **limit}
    for kind, limit in (
        ("daily_loss", {"max_loss": "40"}),
        ("daily_realized_loss", {"max_pct": "3"}),
        ("weekly_loss", {"max_pct": "5"}),
        ("drawdown", {"max_drawdown": "60"}),
    )
    for scope in ("all", "account:main", "exchange:sim", "strategy:mm", "symbol:L")
)
PRICES = st.integers(1, 20).map(str)
STEPS = st.one_of(
    st.tuples(st.just("mark"), st.sampled_from("LM"), PRICES),
    st.tuples(st.just("fill"), st.sampled_from(["main", "other"]), st.integers(-5, 5), PRICES),
    st.tuples(st.just("mine"), st.integers(1, 5), PRICES),
    st.tuples(st.just("moved"), st.integers(-50, 50).map(str)),
    st.tuples(st.just("rate"), st.integers(1, 3).map(str)),
    st.tuples(st.just("later"), st.sampled_from([60, 90_000, 700_000])),
    st.tuples(st.just("order"), st.sampled_from(["buy", "sell"])),
)


def happen(desk: Desk, step: tuple[Any, ...]) -> None:
    match step:
        case "mark", symbol, price:
            desk.mark(symbol, price)
        case "fill", account, qty, price if qty:
            desk.hold(qty, account=account, price=price)
        case "mine", qty, price:
            order = desk.order("buy", qty, strategy="mm")
            desk.send("buy", qty, strategy="mm", client_order_id=order.client_order_id)
            desk.book("fill", id=f"of-{order.client_order_id}", symbol="L", side="buy",
                      qty=str(qty), price=price, order=order.client_order_id)  # fmt: skip
        case "moved", amount:
            desk.book("transfer", ccy="USD", amount=amount)
        case "rate", rate:
            desk.book("fx", None, ccy="EUR", rate=rate)
        case "later", seconds:
            desk.passes(seconds)
            for account in ("main", "other", "euro"):
                desk.book("tick", account, ts=desk.at.isoformat())
        case "order", side:
            desk.send(side, 1)


@given(steps=st.lists(STEPS, max_size=12))
def test_what_was_found_before_is_what_would_be_found_now(
    new_desk: Callable[..., Desk], steps: list[tuple[Any, ...]]
) -> None:
    desk = new_desk(*RULES)
    desk.book("session", None, tz="UTC", reset="00:00", week_start="monday")
    for step in steps:
        happen(desk, step)
        order = desk.order("buy", 1, strategy="mm")
        known = desk.decided(order)
        desk.rules = new_desk(*RULES).rules  # which have found nothing yet
        anew = desk.decided(order)
        assert known.verdict == anew.verdict
        assert [one.found for one in known.opinions] == [one.found for one in anew.opinions]
