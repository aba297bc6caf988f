"""The rules in force, and which of them are for an order. The order of evaluation is theirs."""

from collections.abc import Iterable, Mapping
from typing import Any

from ....config.schema import rules as schema
from ...messages.gate import OrderAsked
from ..books import Books
from .dynamic import shrinking
from .factor import Meter
from .place import Place, scopes_of
from .rule import Judge
from .rules import judge_of

CACHED_MAX = 16_384
"""Of the places that orders are in. Beyond it all are found anew."""
ALWAYS = (schema.OrderValidity(), schema.ReduceOnlyCorrect())
"""In force for everything, whatever is configured. So is a `fresh_data`, of which the ages may be
others."""


class Ruleset:
    """Made anew whenever the limits change."""

    def __init__(
        self, configured: Iterable[schema.AnyRule], meters: Mapping[str, Meter] | None = None
    ) -> None:
        """`meters`: of the factors that rules name."""
        rules = tuple(configured)
        always = ALWAYS if any(map(_is_default, rules)) else (*ALWAYS, schema.FreshData())
        known = {} if meters is None else meters
        judges = [
            judge_of(rule) if rule.factor is None else shrinking(rule, known[rule.factor])
            for rule in (*always, *rules)
        ]
        self.judges: tuple[Judge[Any], ...] = tuple(sorted(judges, key=lambda one: one.STAGE))
        """In the order of evaluation; of those of one stage, as they are configured."""
        self._of: dict[tuple[str, ...], tuple[Judge[Any], ...]] = {}
        self._places: dict[tuple[str, str, str | None, str | None], Place] = {}
        self._books: Books | None = None
        self._revision = -1

    def of(self, scopes: tuple[str, ...]) -> tuple[Judge[Any], ...]:
        """Those for an order in these scopes."""
        found = self._of.get(scopes)
        if found is None:
            if len(self._of) >= CACHED_MAX:
                self._of.clear()
            found = tuple(one for one in self.judges if one.scope in scopes)
            self._of[scopes] = found
        return found

    def place(self, books: Books, order: OrderAsked, worker: str | None) -> Place | None:
        """Where an order is. None: its account or its symbol is not known."""
        if books.revision != self._revision or books is not self._books:
            self._places.clear()
            self._books, self._revision = books, books.revision
        key = (order.account, order.symbol, order.strategy, worker)
        found = self._places.get(key)
        if found is None:
            held, listing = books.accounts.get(order.account), books.listings.get(order.symbol)
            if held is None or listing is None:
                return None
            if len(self._places) >= CACHED_MAX:
                self._places.clear()
            inside = scopes_of(books, order, worker)
            found = self._places[key] = Place(books, held, listing, inside, self.of(inside))
        return found


def _is_default(rule: schema.Rule) -> bool:
    """It takes the place of the built-in `fresh_data`: nothing of what that would block passes
    unheard."""
    return isinstance(rule, schema.FreshData) and rule.scope == "all" and rule.action == "block"
