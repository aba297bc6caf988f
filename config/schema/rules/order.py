"""Rules about an order by itself."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from ..base import Disagreement
from ..trading import Named, Symbol
from .base import LimitRule, OrderRule

NAMES_MAX = 10_000
Symbols = Annotated[tuple[Symbol, ...], Meta(max_length=NAMES_MAX)]
Reducing = Annotated[
    Literal["block", "pass"],
    Meta(description="What becomes of an order that adds no risk: getting out may have to pass."),
]


class OrderValidity(OrderRule, frozen=True, kw_only=True, tag="order_validity"):
    """The order lies on its instrument's grid. It is in force for everything, listed or not."""


class ReduceOnlyCorrect(LimitRule, frozen=True, kw_only=True, tag="reduce_only_correct"):
    """What says that it reduces, or is where nothing else passes, is never more than there is to
    reduce. It is in force for everything, listed or not."""


class OrderTypes(OrderRule, frozen=True, kw_only=True, tag="order_types"):
    """Orders are of these types, whatever they are for. One that does not say is a limit order if
    it has a price, else a market order."""

    FEWER: ClassVar = ("allow",)

    allow: Annotated[
        tuple[Literal["limit", "market", "stop", "stop_limit"], ...],
        Meta(
            min_length=1, max_length=4, description="No other passes.", examples=[("limit",)]
        ),
    ]  # fmt: skip


class StrategyWhitelist(OrderRule, frozen=True, kw_only=True, tag="strategy_whitelist"):
    """Only these strategies trade. What names none does not pass, whatever it is for."""

    FEWER: ClassVar = ("strategies",)

    strategies: Annotated[
        tuple[Named, ...],
        Meta(max_length=NAMES_MAX, description="None of them: nobody.", examples=[("mm",)]),
    ]


class SymbolRestricted(OrderRule, frozen=True, kw_only=True, tag="symbol_restricted"):
    """What is not traded, or the only things that are. What is in both lists is not traded."""

    MORE: ClassVar = ("deny",)
    FEWER: ClassVar = ("allow",)
    WORDS: ClassVar = {"reducing": (("pass", "block"),)}

    deny: Annotated[Symbols, Meta(description="None of these.", examples=[("XYZUSD",)])] = ()
    allow: Annotated[
        Symbols | None,
        Meta(description="These alone. Unset: all.", examples=[("BTCUSDT",)]),
    ] = None
    reducing: Reducing = "block"

    def disagreements(self) -> Iterator[Disagreement]:
        """It restricts something."""
        if not self.deny and self.allow is None:
            yield Disagreement("deny", "is missing, and so is allow", "write one of them")
