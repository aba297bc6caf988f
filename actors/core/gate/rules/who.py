"""`order_types`, `strategy_whitelist`, `symbol_restricted`: what may be sent at all, by whom, in
what."""

from .....config.schema import rules as schema
from ..rule import OK, Found, Judge
from ..view import View


class OrderTypes(Judge[schema.OrderTypes]):
    """By what the order is, said or not."""

    STAGE = 3

    def __init__(self, config: schema.OrderTypes) -> None:
        super().__init__(config)
        self._allowed = frozenset(config.allow)

    def judge(self, view: View) -> Found | None:
        if view.asked.order_type in self._allowed:
            return OK if view.explains else None
        return Found("block", "order_type_not_allowed")


class StrategyWhitelist(Judge[schema.StrategyWhitelist]):
    """By what the order says, which its sender was asked for before."""

    STAGE = 7

    def __init__(self, config: schema.StrategyWhitelist) -> None:
        super().__init__(config)
        self._allowed = frozenset(config.strategies)

    def judge(self, view: View) -> Found | None:
        strategy = view.asked.order.strategy
        if strategy in self._allowed:
            return OK if view.explains else None
        return Found("block", "no_strategy" if strategy is None else "strategy_not_listed")


class SymbolRestricted(Judge[schema.SymbolRestricted]):
    """What is denied is denied, allowed or not."""

    STAGE = 7

    def __init__(self, config: schema.SymbolRestricted) -> None:
        super().__init__(config)
        self._denied = frozenset(config.deny)
        self._allowed = None if config.allow is None else frozenset(config.allow)
        self._lets_out = config.reducing == "pass"

    def judge(self, view: View) -> Found | None:
        symbol, allowed = view.symbol, self._allowed
        if symbol not in self._denied and (allowed is None or symbol in allowed):
            return OK if view.explains else None
        if self._lets_out and not view.adds_risk:
            return OK if view.explains else None
        return Found("block", "symbol_denied" if symbol in self._denied else "symbol_not_allowed")
