"""Whatever workers ask and tell, in whatever order: no limit is ever passed by the worst case."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from riskd.actors.core.gate.asked import Identity
from riskd.actors.messages import OrderAsked
from riskd.actors.messages.book import Cancel, CancelRequest, Fill
from riskd.config.schema import rules as schema

Desk = Any  # the class of these fixtures lives in conftest.py
LIMIT = 10
WORKERS = ("mm-1", "mm-2")


@attrs.define
class Working:
    """An order as whoever knows nothing of books would keep it."""

    side: str
    left: int
    reduce_only: bool


@attrs.define
class Model:
    position: int = 0
    orders: dict[str, Working] = attrs.field(factory=dict)

    def worst(self) -> tuple[int, int]:
        """The longest and the shortest, each order filled or not."""
        longs = shorts = 0
        reducing = {"buy": 0, "sell": 0}
        for order in self.orders.values():
            if order.reduce_only:
                reducing[order.side] += order.left
            elif order.side == "buy":
                longs += order.left
            else:
                shorts += order.left
        up = min(reducing["buy"], max(-self.position, 0))
        down = min(reducing["sell"], max(self.position, 0))
        return self.position + longs + up, self.position - shorts - down


ASK = st.tuples(
    st.just("ask"),
    st.sampled_from(WORKERS),
    st.sampled_from(["buy", "sell"]),
    st.integers(1, 12),
    st.booleans(),
)
ACT = st.one_of(
    ASK,
    ASK,
    st.tuples(st.just("fill"), st.integers(0, 20), st.integers(1, 12)),
    st.tuples(st.just("end"), st.integers(0, 20)),
    st.tuples(st.just("cancel"), st.integers(0, 20)),
    st.tuples(st.just("again"), st.integers(0, 20)),
    st.tuples(st.just("restart")),
)


class Run:
    """A desk, and beside it the model."""

    def __init__(self, desk: Desk, on_excess: str) -> None:
        self.desk, self.model = desk, Model()
        self.desk.limits.on_excess = on_excess
        self.asked: list[tuple[OrderAsked, Identity, Any]] = []
        self.fills = 0
        self.heard_of: set[str] = set()

    def act(self, what: str, *how: Any) -> None:
        if what == "ask":
            self.ask(*how)
        elif what == "restart":
            on_excess, self.desk = self.desk.limits.on_excess, self.desk.again()
            self.desk.limits.on_excess = on_excess
        elif self.asked:
            order, who, answer = self.asked[how[0] % len(self.asked)]
            if what == "again":
                is_heard_of = order.client_order_id in self.heard_of
                self.check_again(self.desk.check(order, who), answer, is_heard_of=is_heard_of)
            elif answer.decision != "block":
                self.hear(what, order, *how[1:])

    def check_again(self, said: Any, answer: Any, *, is_heard_of: bool) -> None:
        """The same, but for the ticket of an order that was sent or is gone."""
        if is_heard_of:
            assert said.ticket in (None, answer.ticket)
            answer = msgspec.structs.replace(answer, ticket=said.ticket)
        assert said == answer

    def ask(self, worker: str, side: Any, qty: int, reduce_only: bool) -> None:
        name, who = str(len(self.asked)), Identity(worker, "main", None)
        order = OrderAsked(
            client_order_id=name,
            account="main",
            symbol="X",
            side=side,
            qty=qty,
            price="100",
            reduce_only=reduce_only,
        )
        before = self.model.worst()
        answer = self.desk.check(order, who)
        self.asked.append((order, who, answer))
        if answer.decision != "block":
            self.model.orders[name] = Working(side, int(answer.qty), reduce_only)
            assert int(answer.qty) <= qty
        assert self.fits(before, self.model.worst()), answer

    def fits(self, before: tuple[int, int], after: tuple[int, int]) -> bool:
        """Neither side is beyond the limit, but for what it was already."""
        return after[0] <= max(LIMIT, before[0]) and after[1] >= min(-LIMIT, before[1])

    def hear(self, what: str, order: OrderAsked, qty: int = 0) -> None:
        name = order.client_order_id
        working = self.model.orders.get(name)
        self.heard_of.add(name)
        if what == "cancel":
            self.desk.book(CancelRequest(id=name))
        elif what == "end":
            self.desk.book(Cancel(id=name))
            self.model.orders.pop(name, None)
        elif working is not None and working.left:
            self.fill(order, working, min(qty, working.left))

    def fill(self, order: OrderAsked, working: Working, qty: int) -> None:
        if working.reduce_only:
            room = -self.model.position if working.side == "buy" else self.model.position
            qty = min(qty, room)
            if qty <= 0:
                return
        self.fills += 1
        event = Fill(
            id=str(self.fills),
            symbol="X",
            side=order.side,
            qty=Decimal(qty),
            price=Decimal(100),
            order=order.client_order_id,
        )
        self.desk.book(event)
        working.left -= qty
        self.model.position += qty if order.side == "buy" else -qty


@pytest.mark.parametrize("on_excess", ["block", "scale_down"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(acts=st.lists(ACT, max_size=40))
def test_no_limit_is_passed_by_the_worst_case(
    desk: Desk, on_excess: str, acts: Sequence[tuple[Any, ...]]
) -> None:
    rule = schema.MaxPosition(scope="account:main", max_qty=Decimal(LIMIT))
    run = Run(type(desk)([rule]), on_excess)
    for what, *how in acts:
        run.act(what, *how)
        long, short = run.desk.worst()
        assert (int(long), int(short)) == run.model.worst()


@pytest.mark.parametrize("scope", ["strategy:mm", "worker:mm-1", "symbol:X", "all"])
@given(sizes=st.lists(st.tuples(st.sampled_from(["buy", "sell"]), st.integers(1, 12))))
def test_nor_in_any_other_scope(desk_of: Any, scope: str, sizes: list[tuple[Any, int]]) -> None:
    """Orders of one strategy and one worker, in one symbol: each scope has the same in it."""
    desk = desk_of([schema.MaxPosition(scope=scope, max_qty=Decimal(LIMIT))])
    who, taken = Identity("mm-1", "main", None), {"buy": 0, "sell": 0}
    for name, (side, qty) in enumerate(sizes):
        order = OrderAsked(
            client_order_id=str(name),
            account="main",
            symbol="X",
            side=side,
            qty=qty,
            price="100",
            strategy="mm",
        )
        fits = taken[side] + qty <= LIMIT
        assert desk.check(order, who).decision == ("allow" if fits else "block")
        taken[side] += qty if fits else 0


@pytest.mark.parametrize("scope", ["symbol:X", "all"])
@given(
    sizes=st.lists(
        st.tuples(
            st.sampled_from(["main", "other"]),
            st.sampled_from(["buy", "sell"]),
            st.integers(1, 12),
        )
    )
)
def test_nor_by_two_accounts_together(
    desk_of: Any, scope: str, sizes: list[tuple[str, Any, int]]
) -> None:
    desk = desk_of([schema.MaxPosition(scope=scope, max_qty=Decimal(LIMIT))])
    taken = {"buy": 0, "sell": 0}
    for name, (account, side, qty) in enumerate(sizes):
        order = OrderAsked(
            client_order_id=str(name),
            account=account,
            symbol="X",
            side=side,
            qty=qty,
            price="100",
        )
        fits = taken[side] + qty <= LIMIT
        assert desk.check(order).decision == ("allow" if fits else "block")
        taken[side] += qty if fits else 0
