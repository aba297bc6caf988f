"""Questions about decisions: why one came out as it did, and what would become of orders.

They change nothing, and reserve nothing. What needs history, or another world than this one, is
worked out beside riskd, on a copy of what it knows.
"""

from typing import Annotated, Any

from msgspec import Meta, Struct, field

from .base import Command, Reply
from .book import Symbol
from .gate import OrderAsked
from .limits import Key, RuleId, Value

ORDERS_MAX = 100
SHOCKS_MAX = 100

Shock = Annotated[
    str, Meta(pattern=r"^([+-]?[0-9]{1,6}(\.[0-9]{1,12})?%|-?[0-9]{1,30}(\.[0-9]{1,30})?)\Z")
]
"""A price, or by how much the mark moves: `-5%`."""
Documents = list[dict[str, Any]]


class LimitPut(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key of a rule, as `set_limit` would have it."""

    rule: RuleId
    key: Key
    value: Value


# --- commands -------------------------------------------------------------------------------------


class Explain(Command, frozen=True, kw_only=True, tag="explain"):
    """Make a decision again from the facts before it, and tell what every rule said."""

    decision_id: Annotated[str, Meta(pattern=r"^[0-9]{1,18}\Z")]


class WhatIf(Command, frozen=True, kw_only=True, tag="what_if"):
    """What would be answered to these orders now, each by itself. `marks` and `limits`: if these
    were others. `together`: each after those before it, with what they would reserve."""

    orders: Annotated[list[OrderAsked], Meta(min_length=1, max_length=ORDERS_MAX)]
    marks: Annotated[dict[Symbol, Shock], Meta(max_length=SHOCKS_MAX)] = field(default_factory=dict)
    limits: Annotated[tuple[LimitPut, ...], Meta(max_length=SHOCKS_MAX)] = ()
    together: bool = False


# --- replies --------------------------------------------------------------------------------------


class Explained(Reply, frozen=True, kw_only=True, tag="explained"):
    """The order, the verdict, whether it comes out the same again, and a row for each rule."""

    explanation: dict[str, Any]


class Supposed(Reply, frozen=True, kw_only=True, tag="supposed"):
    """One for each order, with a row for each rule. `lsn`: of the newest fact that was known."""

    lsn: int
    decisions: Documents


Commands = Explain | WhatIf
Replies = Explained | Supposed
