"""Workers of two accounts ask, send, fill, cancel and drop as they like: no limit is ever exceeded.

The model is a list of orders and two sums, kept by whoever knows nothing of books.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace
from riskd.actors.core.gate.asked import Identity
from riskd.actors.messages import InstrumentListed, Listing, OrderAsked, Sent
from riskd.actors.messages.book import Cancel, CancelRequest, Fill, Mark, Reject
from riskd.config.schema import rules as schema

Desk = Any  # the class of these fixtures lives in conftest.py
PRICE = 100
WORKERS = {"mm-1": "main", "mm-2": "main", "mm-3": "other"}
POSITION, GROSS, CONTRACTS, WORKING, OPEN = 8, 14, 5, 4, 3
"""Per symbol of `main`; of all, in contracts; of the worker mm-1; of `main`; of all."""
RULES = (
    schema.MaxPosition(scope="account:main", max_qty=Decimal(POSITION)),
    schema.MaxGross(scope="all", max_notional=Decimal(GROSS * PRICE)),
    schema.MaxContracts(scope="worker:mm-1", max_contracts=Decimal(CONTRACTS)),
    schema.MaxWorkingOrders(scope="account:main", max_orders=WORKING),
    schema.MaxOpenPositions(scope="all", max_positions=OPEN),
)

ASKED = st.tuples(
    st.sampled_from(sorted(WORKERS)),
    st.sampled_from("XY"),
    st.sampled_from(["buy", "sell"]),
    st.integers(1, 4) | st.integers(1, 14),
)


@attrs.define
class Kept:
    """An order that was permitted, as its worker knows it. `left` is 0 once it is over."""

    order: OrderAsked
    worker: str
    left: int
    filled: int = 0
    is_sent: bool = False
    """Nobody may send it any more: it was sent, or its end was asked for."""

    @property
    def sign(self) -> int:
        return 1 if self.order.side == "buy" else -1


class Trading(RuleBasedStateMachine):
    """`make` is set by the test."""

    make: Any

    @initialize(on_excess=st.sampled_from(["block", "scale_down"]))
    def open(self, on_excess: str) -> None:
        self.desk = self.make(RULES)
        self.desk.limits.on_excess = on_excess
        listing = Listing(
            symbol="Y", kind="linear", multiplier=Decimal(1), quote="USD", settle="USD"
        )
        self.desk.commit(InstrumentListed(listing=listing))
        for account in ("main", "other"):
            for symbol in "XY":
                self.desk.book(Mark(symbol=symbol, price=Decimal(PRICE)), account=account)
        self.kept: list[Kept] = []
        self.asked: list[tuple[OrderAsked, str, Any]] = []
        self.fills = 0

    # --- what workers do

    @rule(asked=st.lists(ASKED, min_size=1, max_size=6))
    def ask_some(self, asked: list[tuple[str, str, str, int]]) -> None:
        for each in asked:
            self.ask(*each)

    def ask(self, worker: str, symbol: str, side: Any, qty: int) -> str:
        order = OrderAsked(
            client_order_id=str(len(self.asked)), account=WORKERS[worker], symbol=symbol, side=side,
            qty=qty, price=PRICE,
        )  # fmt: skip
        answer = self.desk.check(order, Identity(worker, WORKERS[worker], None))
        self.asked.append((order, worker, answer))
        if answer.decision != "block":
            assert 0 < int(answer.qty) <= qty
            self.kept.append(Kept(order, worker, int(answer.qty)))
        return str(answer.code)

    @precondition(lambda self: self.asked)
    @rule(pick=st.integers(0, 200))
    def ask_again(self, pick: int) -> None:
        order, worker, answer = self.asked[pick % len(self.asked)]
        again = self.desk.check(order, Identity(worker, WORKERS[worker], None))
        assert replace(again, ticket=None) == replace(answer, ticket=None)
        assert again.ticket in (None, answer.ticket), "one that is over is not told again"

    @precondition(lambda self: self.working())
    @rule(pick=st.integers(0, 200))
    def send(self, pick: int) -> None:
        kept = self.pick(pick)
        order, was_sent = kept.order, kept.is_sent
        told = Sent(account=order.account, client_order_id=order.client_order_id)
        who = Identity(kept.worker, order.account, None)
        assert self.desk.gate.sent(told, who) == ("ticket_used" if was_sent else None)
        kept.is_sent = True

    @precondition(lambda self: self.working())
    @rule(pick=st.integers(0, 200), qty=st.integers(1, 14))
    def fill(self, pick: int, qty: int) -> None:
        kept = self.pick(pick)
        qty = min(qty, kept.left)
        self.fills += 1
        order = kept.order
        event = Fill(
            id=str(self.fills), symbol=order.symbol, side=order.side, qty=Decimal(qty),
            price=Decimal(PRICE), order=order.client_order_id,
        )  # fmt: skip
        self.desk.book(event, account=order.account)
        kept.is_sent = True
        kept.left -= qty
        kept.filled += qty

    @precondition(lambda self: self.working())
    @rule(pick=st.integers(0, 200))
    def ask_to_cancel(self, pick: int) -> None:
        kept = self.pick(pick)
        order = kept.order
        self.desk.book(CancelRequest(id=order.client_order_id), account=order.account)
        kept.is_sent = True

    @precondition(lambda self: self.working())
    @rule(pick=st.integers(0, 200), is_dropped=st.booleans())
    def end(self, pick: int, is_dropped: bool) -> None:
        kept = self.pick(pick)
        order = kept.order
        kind = Reject if is_dropped and not kept.is_sent else Cancel
        self.desk.book(kind(id=order.client_order_id), account=order.account)
        kept.left = 0
        kept.is_sent = True

    @rule()
    def restart(self) -> None:
        on_excess, self.desk = self.desk.limits.on_excess, self.desk.again()
        self.desk.limits.on_excess = on_excess

    # --- what the model knows

    def working(self) -> list[Kept]:
        return [kept for kept in getattr(self, "kept", []) if kept.left]

    def pick(self, number: int) -> Kept:
        working = self.working()
        return working[number % len(working)]

    def worst(self, symbol: str, **only: str) -> tuple[int, int]:
        """The longest and the shortest, of an account or of a worker."""
        long = short = 0
        for kept in self.of(symbol, **only):
            position, left = kept.sign * kept.filled, kept.left
            long += position + (left if kept.sign > 0 else 0)
            short += position - (left if kept.sign < 0 else 0)
        return long, short

    def of(self, symbol: str, account: str = "", worker: str = "") -> Iterator[Kept]:
        for kept in self.kept:
            is_mine = kept.order.account == account or kept.worker == worker
            if is_mine and kept.order.symbol == symbol:
                yield kept

    def widest(self, symbol: str, **only: str) -> int:
        long, short = self.worst(symbol, **only)
        return max(long, -short)

    @invariant()
    def no_limit_is_exceeded(self) -> None:
        if not hasattr(self, "kept"):
            return
        for symbol in "XY":
            long, short = self.worst(symbol, account="main")
            assert -POSITION <= short <= long <= POSITION
        widths = [self.widest(one, account=name) for one in "XY" for name in ("main", "other")]
        assert sum(widths) <= GROSS
        assert sum(width > 0 for width in widths) <= OPEN
        assert sum(self.widest(one, worker="mm-1") for one in "XY") <= CONTRACTS
        assert sum(kept.order.account == "main" for kept in self.working()) <= WORKING

    @invariant()
    def the_book_has_what_the_workers_have(self) -> None:
        if not hasattr(self, "kept"):
            return
        for account in ("main", "other"):
            held = self.desk.books.accounts[account]
            for kept in self.kept:
                if kept.order.account == account:
                    assert held.remaining(kept.order.client_order_id) == kept.left
            for symbol in "XY":
                standing = held.book.exposures.contracts_of(symbol)
                assert (standing.long, standing.short) == self.worst(symbol, account=account)


def test_no_limit_is_exceeded_whatever_workers_do(desk_of: Any) -> None:
    class Machine(Trading):
        make = staticmethod(desk_of)

    run = Machine.TestCase
    run.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
    run("runTest").runTest()


MET: dict[str, list[tuple[str, str, int]]] = {
    "max_position": [("mm-2", "X", POSITION + 1)],
    "max_contracts": [("mm-1", "X", CONTRACTS + 1)],
    "max_gross": [("mm-2", "X", POSITION), ("mm-3", "X", GROSS - POSITION + 1)],
    "max_working_orders": [("mm-2", "X", 1)] * (WORKING + 1),
    "max_open_positions": [("mm-2", "X", 1), ("mm-2", "Y", 1), ("mm-3", "X", 1), ("mm-3", "Y", 1)],
}
"""What each limit is met by: the last of these."""


@pytest.mark.parametrize("kind", [rule.kind for rule in RULES])
def test_each_of_its_limits_is_in_reach(desk_of: Any, kind: str) -> None:
    class Machine(Trading):
        make = staticmethod(desk_of)

    run = Machine()
    run.open("block")
    *before, last = [run.ask(worker, symbol, "buy", qty) for worker, symbol, qty in MET[kind]]
    assert (set(before), last) in ((set(), kind), ({"ok"}, kind))
    run.no_limit_is_exceeded()


@pytest.mark.parametrize("rest", [5, 10])
@pytest.mark.parametrize("used", [0, 5])
def test_of_two_that_each_want_most_of_the_rest_one_passes_whole(
    desk_of: Any, rest: int, used: int
) -> None:
    desk = desk_of([schema.MaxPosition(scope="account:main", max_qty=Decimal(used + rest))])
    sizes = [used, rest * 6 // 10, rest * 6 // 10]
    answers = [
        desk.check(
            OrderAsked(
                client_order_id=f"o{number}", account="main", symbol="X", side="buy", qty=qty,
                price=PRICE,
            )
        )
        for number, qty in enumerate(sizes)
        if qty
    ]  # fmt: skip
    assert [answer.decision for answer in answers[-2:]] == ["allow", "block"]
    assert answers[-2].qty == str(rest * 6 // 10)
