"""`max_working_orders`: how many orders may be open at a time."""

from .....config.schema import rules as schema
from ....messages.reasons import Code
from ..flow import FlowJudge, worst
from ..rule import Found
from ..view import View


class MaxWorkingOrders(FlowJudge[schema.MaxWorkingOrders]):
    """In the scope, and in the order's symbol there. An order counts from its permission until it
    is confirmed gone."""

    STAGE = 11
    OF_AMENDMENTS = False

    def __init__(self, config: schema.MaxWorkingOrders) -> None:
        super().__init__(config)
        self._calm = self.calm(config.max_orders)
        self._calm_symbol = self.calm(config.max_per_symbol)
        self._is_symbol = config.scope.startswith("symbol:")

    def judge(self, view: View) -> Found | None:
        in_scope, in_symbol, symbol = 0, 0, view.symbol
        for book in view.standing(self.scope).books:
            in_scope += book.exposures.sums.orders
            in_symbol += book.exposures.working_in(symbol)
        if self._is_symbol:
            in_scope = in_symbol
        if in_scope < self._calm and in_symbol < self._calm_symbol and not view.explains:
            return None
        config = self.config
        counted: tuple[tuple[Code, int | None, int], ...] = (
            (self.kind, config.max_orders, in_scope),
            ("max_working_orders_in_symbol", config.max_per_symbol, in_symbol),
        )
        founds = [
            self.counted(code, limit, working)
            for code, limit, working in counted
            if limit is not None
        ]
        found = worst(*founds)
        return found if found is None or found.outcome != "pass" or view.explains else None
