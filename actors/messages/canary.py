"""What riskd finds out about its own gate, by asking it for what it must refuse."""

from typing import Literal

from .base import Fact
from .gate import OrderAsked

CanaryKind = Literal[
    "unknown_symbol", "unknown_account", "not_finite", "too_many_digits", "too_large", "id_reused"
]
"""What is wrong with an order that is asked about."""


class CanaryFailed(Fact, frozen=True, kw_only=True, tag="canary_failed"):
    """The gate did not refuse what it must refuse, or not for what is wrong with it. EVERYTHING IS
    HALTED by the time this is a fact. `answer` is what it said."""

    kind: CanaryKind
    order: OrderAsked
    answer: str
    reason: str


class CanarySilent(Fact, frozen=True, kw_only=True, tag="canary_silent"):
    """So often one after the other the gate has not answered in time. Told once each time."""

    misses: int
    reason: str


Facts = CanaryFailed | CanarySilent
