"""What is kept of the past, so that a book of prices alone needs no more room with every price.

Theory
------
Fills, cash and orders are kept for good: each may be taken back or corrected years later, and the
book is then what it would have been. Prices, marks and rates, come without end. The newest
`PRICES_KEPT` of them stay, with what the account was worth at each; the older are thinned. Of these
stay

- the samples that made the peak and the deepest fall so far, and those at which a day or a week
  opened;
- every price that was in force at a sample, a fill or a payment that stays, and the first of each.

So nothing changes by it, and `Worth.again` still finds the same. Whatever comes late, but not later
than the newest `PRICES_KEPT` prices, finds everything in its place. What comes later still is
counted in full in positions, in what was realised and in what the account is worth now; only the
old peak and the old falls are then those of the samples that are left, and a fee in a third
currency is taken at the last rate that is left before its time.
"""

from bisect import bisect_left
from collections.abc import Iterable
from itertools import chain

from .path import Key
from .worth import Worth

PRICES_KEPT = 32_768
"""Half a minute of a thousand busy markets, or half a day of one. Twice as many are some twenty
megabytes."""


def thin(worth: Worth, opened: Iterable[Key], kept: int = PRICES_KEPT) -> None:
    """Let go of old prices. `opened`: where the periods under way begin."""
    lines = [*worth.marks.values(), *worth.rates.values()]
    prices = sorted(chain.from_iterable(line.keys for line in lines))
    if len(prices) <= kept:
        return
    horizon = prices[-kept]
    series = worth.series
    stay = series.records(horizon) | {series.last_before(key) for key in opened}
    series.drop(set(prices[:-kept]) - stay)
    places = sorted({*series.keys[: bisect_left(series.keys, horizon)], *_events(worth)})
    for line in lines:
        line.thin(places, horizon)
    worth.horizon = horizon
    worth.prices = sum(len(line.keys) for line in lines)


def _events(worth: Worth) -> set[Key]:
    """Where fills and payments are."""
    fills = chain.from_iterable(path.keys for path in worth.paths.values())
    return {*fills, *(cash.key for cash in worth.cash)}
