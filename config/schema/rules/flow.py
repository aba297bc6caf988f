"""How often things may happen."""

from collections.abc import Iterator
from decimal import Decimal
from math import inf
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from ..base import Disagreement
from .base import OrderRule

COUNT_MAX = 10_000_000
WINDOW_S_MAX = 2_678_400.0
"""A month."""

Count = Annotated[int, Meta(ge=1, le=COUNT_MAX)]
WindowS = Annotated[
    float,
    Meta(
        gt=0,
        le=WINDOW_S_MAX,
        description="Seconds: how far back is counted. It slides.",
        examples=[60.0],
    ),
]
LockoutS = Annotated[float, Meta(gt=0, le=31_536_000)]


class FlowRule(OrderRule, frozen=True, kw_only=True):
    """A rule about how often. There is no part of an order that it would let pass."""

    warn_pct: Annotated[
        tuple[Decimal, ...],
        Meta(max_length=8, description="At so many percent of the limit that is told."),
    ] = (Decimal(80), Decimal(95))


class MessageRate(FlowRule, frozen=True, kw_only=True, tag="message_rate"):
    """What is sent to the venue in a while. Orders wait for it, whatever they are for; cancelling
    never does. Asked-for changes and cancellations count, and what the gate itself blocked does
    not."""

    SMALLER: ClassVar = ("max_submits", "max_amends", "max_cancels", "max_messages")
    LARGER: ClassVar = ("cancel_reserve",)

    window_s: WindowS
    max_submits: Annotated[Count | None, Meta(description="New orders.", examples=[50])] = None
    max_amends: Annotated[
        Count | None,
        Meta(description="Changes. While there were more, no new order passes.", examples=[50]),
    ] = None
    max_cancels: Annotated[
        Count | None,
        Meta(
            description="Cancellations. While there were more, no new order passes.",
            examples=[100],
        ),
    ] = None
    max_messages: Annotated[
        Count | None, Meta(description="All three together, as venues count.", examples=[100])
    ] = None
    cancel_reserve: Annotated[
        int,
        Meta(
            ge=0,
            le=COUNT_MAX,
            description="So many of `max_messages` are kept free: no new order takes them.",
            examples=[20],
        ),
    ] = 0

    def disagreements(self) -> Iterator[Disagreement]:
        """One limit, at least; and what is kept free is a part of one."""
        limits = (self.max_submits, self.max_amends, self.max_cancels, self.max_messages)
        if all(limit is None for limit in limits):
            yield Disagreement(
                "max_submits", "is missing, and so are the others", "write one of them"
            )
        if self.max_messages is None and self.cancel_reserve:
            yield Disagreement(
                "cancel_reserve", "is a part of max_messages, which is missing", "write that too"
            )
        if self.max_messages is not None and self.cancel_reserve >= self.max_messages:
            yield Disagreement(
                "cancel_reserve",
                "is all of max_messages: no order would ever pass",
                "write a smaller number",
            )


class RepeatedExecution(FlowRule, frozen=True, kw_only=True, tag="repeated_execution"):
    """How often a strategy may be executed in one symbol in a while. After so many fills no order
    of it passes there, whatever it is for, until a person re-arms the rule. What names no strategy
    counts for its account."""

    SMALLER: ClassVar = ("max_executions",)
    FIXED: ClassVar = ("max_executions",)

    max_executions: Annotated[
        Count, Meta(description="With the last of them it is over.", examples=[100])
    ]
    window_s: WindowS


class ConsecutiveRejects(FlowRule, frozen=True, kw_only=True, tag="consecutive_rejects"):
    """How many orders may be rejected by the venue one after another. An order that was permitted
    after the first of them and was taken ends the row. What adds no risk passes."""

    SMALLER: ClassVar = ("max_rejects",)
    LARGER: ClassVar = ("lasts_s",)
    BY_PROPERTY: ClassVar = ("lockout_s",)
    FIXED: ClassVar = ("max_rejects",)

    max_rejects: Annotated[
        Count, Meta(description="With the last of them it is over.", examples=[5])
    ]
    lockout_s: Annotated[
        LockoutS | None,
        Meta(
            description="For so many seconds after the newest of the row. Unset: until a person "
            "re-arms the rule.",
            examples=[300.0],
        ),
    ] = None

    @property
    def lasts_s(self) -> float:
        """A person may take for ever."""
        return inf if self.lockout_s is None else self.lockout_s


class OrderToFill(FlowRule, frozen=True, kw_only=True, tag="order_to_fill"):
    """How many orders there may be for each fill, in a while. Without a fill: as if there were one.
    What adds no risk passes."""

    SMALLER: ClassVar = ("max_ratio", "min_orders")

    max_ratio: Annotated[Decimal, Meta(description="Orders for each fill.", examples=["50"])]
    min_orders: Annotated[
        Count, Meta(description="With fewer orders, this one among them, nothing is judged.")
    ] = 20
    window_s: WindowS

    def disagreements(self) -> Iterator[Disagreement]:
        """There is an order for each fill, at least."""
        if not self.max_ratio.is_finite() or self.max_ratio < 1:
            yield Disagreement("max_ratio", f"is {self.max_ratio}", "write 1 or more")


class MaxWorkingOrders(FlowRule, frozen=True, kw_only=True, tag="max_working_orders"):
    """How many orders may be open at a time, whatever they are for."""

    SMALLER: ClassVar = ("max_orders", "max_per_symbol")

    max_orders: Annotated[Count | None, Meta(description="In the scope.", examples=[200])] = None
    max_per_symbol: Annotated[
        Count | None, Meta(description="In the scope, in each symbol.", examples=[20])
    ] = None

    def disagreements(self) -> Iterator[Disagreement]:
        """One of the two, at least."""
        if self.max_orders is None and self.max_per_symbol is None:
            yield Disagreement(
                "max_orders", "is missing, and so is max_per_symbol", "write one of them"
            )


class TradeFrequency(FlowRule, frozen=True, kw_only=True, tag="trade_frequency"):
    """How often may be traded in a minute, an hour and a session. With the last that is permitted
    the lockout begins; after it the limit itself still holds. What adds no risk passes."""

    SMALLER: ClassVar = ("max_per_minute", "max_per_hour", "max_per_session")
    FIXED: ClassVar = SMALLER
    LARGER: ClassVar = ("minute_lockout_s", "hour_lockout_s", "session_lockout_s")

    counts: Annotated[
        Literal["fills", "orders"],
        Meta(
            description="What counts: orders, at once when they are permitted, or fills, when they "
            "come."
        ),
    ] = "orders"
    max_per_minute: Annotated[
        Count | None, Meta(description="In 60 seconds, which slide.", examples=[5])
    ] = None
    max_per_hour: Annotated[
        Count | None, Meta(description="In 3,600 seconds, which slide.", examples=[50])
    ] = None
    max_per_session: Annotated[
        Count | None, Meta(description="Until the session's reset.", examples=[200])
    ] = None
    minute_lockout_s: Annotated[
        LockoutS | None, Meta(description="Seconds. Unset: none.", examples=[60.0])
    ] = None
    hour_lockout_s: Annotated[
        LockoutS | None, Meta(description="Seconds. Unset: none.", examples=[1800.0])
    ] = None
    session_lockout_s: Annotated[
        LockoutS | None,
        Meta(description="Seconds, across the reset. Unset: none.", examples=[3600.0]),
    ] = None

    def disagreements(self) -> Iterator[Disagreement]:
        """One limit, at least, and no lockout without one."""
        periods = ("minute", "hour", "session")
        limits = {period: getattr(self, f"max_per_{period}") for period in periods}
        if all(limit is None for limit in limits.values()):
            yield Disagreement(
                "max_per_minute", "is missing, and so are the others", "write one of them"
            )
        for period, limit in limits.items():
            if limit is None and getattr(self, f"{period}_lockout_s") is not None:
                yield Disagreement(
                    f"{period}_lockout_s",
                    f"follows max_per_{period}, which is missing",
                    "write that too",
                )


class DailyTurnover(FlowRule, frozen=True, kw_only=True, tag="daily_turnover"):
    """What may be traded in a session, bought and sold together: what was filled, what remains of
    working orders, and this one. What adds no risk passes."""

    SMALLER: ClassVar = ("max_notional",)

    max_notional: Annotated[
        Decimal, Meta(description="In the account's currency.", examples=["1000000"])
    ]

    def disagreements(self) -> Iterator[Disagreement]:
        """It is a number."""
        if not self.max_notional.is_finite() or self.max_notional < 0:
            yield Disagreement("max_notional", f"is {self.max_notional}", "write 0 or more")
