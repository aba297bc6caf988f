"""Where an order is: its account, its instrument, its scopes, the rules and the books of each.

All of that stays the same from one order to the next, as long as no account, instrument, part of an
account or rule comes or goes. So it is found once and kept (`Ruleset.place`), and what an order
costs has nothing to do with how much there is of each.
"""

from typing import Any

from ...messages.accounts import Listing
from ...messages.gate import OrderAsked
from ..books import Books
from ..held import Held
from .asked import scopes
from .rule import Judge
from .spot import Spot
from .standing import Standing


class Place:
    """Of orders of one account, in one instrument, by one strategy and one worker."""

    __slots__ = ("alike", "held", "is_listed", "judges", "listing", "scopes", "spots", "standings")

    def __init__(
        self,
        books: Books,
        held: Held,
        listing: Listing,
        inside: tuple[str, ...],
        judges: tuple[Judge[Any], ...],
    ) -> None:
        self.held = held
        self.listing = listing
        self.is_listed = listing.symbol not in books.delisted
        """The configuration names it still. Where it doesn't, what is held can be got rid of."""
        self.scopes = inside
        self.judges = judges
        """In the order of evaluation."""
        self.standings: dict[str, Standing] = {}
        """By scope. Each looks at its books when it is asked."""
        self.spots: dict[str, Spot] = {}
        """By scope."""
        self.alike: dict[str, str] = {}
        """By scope: the first in which an order changes the same. It is of the same books, and of
        all their symbols or of the one."""
        known: dict[tuple[int, ...], Spot] = {}
        first: dict[tuple[Spot, str | None], str] = {}
        for scope in inside:
            covered, own = books.of(scope), held.own(scope)
            symbol = listing.symbol if scope.startswith("symbol:") else None
            self.standings[scope] = Standing(scope, covered, symbol)
            key = (id(own), *map(id, covered))
            if key not in known:
                known[key] = Spot(listing.symbol, own, covered)
            spot = self.spots[scope] = known[key]
            self.alike[scope] = first.setdefault((spot, symbol), scope)


def scopes_of(books: Books, order: OrderAsked, worker: str | None) -> tuple[str, ...]:
    """All that an order is in, as far as its account is known."""
    held = books.accounts.get(order.account)
    return scopes(order, None if held is None else held.about.exchange, worker)
