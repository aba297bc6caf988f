"""`order_to_fill`: how many orders there may be for each fill."""

from decimal import Decimal

from .....config.schema import rules as schema
from ...book.numbers import ZERO
from ..flow import FlowJudge
from ..memory import Executed, Judged, Rearmed, Seen
from ..rule import Found, Outcome
from ..view import View
from ..window import Window


class Ratio:
    """Orders that were permitted, and fills, each in a window."""

    def __init__(self, config: schema.OrderToFill) -> None:
        self._id = config.id
        self.orders = Window(config.window_s)
        self.fills = Window(config.window_s)

    def saw(self, seen: Seen) -> None:
        if isinstance(seen, Judged):
            if seen.verdict.decision != "block":
                self.orders.add(seen.at)
        elif isinstance(seen, Executed):
            self.fills.add(seen.at)
        elif isinstance(seen, Rearmed) and seen.rule == self._id:
            self.orders.clear()
            self.fills.clear()

    def dump(self) -> object:
        return [self.orders.dump(), self.fills.dump()]

    def load(self, state: object) -> None:
        if not isinstance(state, list):
            raise TypeError("two windows are a list")
        for window, one in zip((self.orders, self.fills), state, strict=True):
            window.load(one)


class OrderToFill(FlowJudge[schema.OrderToFill]):
    """An order more may not bring them above the limit. Before the first fill it is as if there
    were one."""

    STAGE = 10
    OF_AMENDMENTS = False

    def __init__(self, config: schema.OrderToFill) -> None:
        super().__init__(config)
        self._min = config.min_orders
        self._near, self._part = (config.max_ratio * self.near).as_integer_ratio()

    def memory(self) -> Ratio:
        return Ratio(self.config)

    def judge(self, view: View) -> Found | None:
        ratio: Ratio = view.memories[self.id]
        if (ratio.orders.most + 1 < self._min or not view.adds_risk) and not view.explains:
            return None
        since = view.moment.at - ratio.orders.span
        orders, fills = ratio.orders.count(since) + 1, ratio.fills.count(since) or 1
        if orders * self._part < self._near * fills and not view.explains:
            return None
        limit, value = self.config.max_ratio, Decimal(orders) / fills
        left = max(limit - Decimal(orders - 1) / fills, ZERO)
        if orders < self._min or not view.adds_risk or orders < limit * self.near * fills:
            return Found("pass", "ok", limit, value, left) if view.explains else None
        outcome: Outcome = "block" if orders > limit * fills else "warn"
        return Found(outcome, self.kind, limit, value, left)
