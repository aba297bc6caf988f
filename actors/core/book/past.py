"""What is kept of the past, so that a book needs no more room with every event of a long life.

Prices
------
Marks and rates come without end. The newest `PRICES_KEPT` of them stay, with what the account was
worth at each; the older are thinned. Of these stay

- the samples that made the peak and the deepest fall so far, those at which a day or a week opened,
  and the last one, at which the next may open;
- every price that was in force at a sample, a fill or a payment that stays, and the first of each.

So nothing changes by it, and `Worth.again` still finds the same. Whatever comes late, but not later
than the newest `PRICES_KEPT` prices, finds everything in its place. What comes later still is
counted in full in positions, in what was realised and in what the account is worth now; only the
old peak and the old falls are then those of the samples that are left, and a fee in a third
currency is taken at the last rate that is left before its time.

Fills and payments
------------------
In a file that is replayed they are kept for good: each may be taken back years later, and the book
is then what it would have been. A daemon closes its past. Whenever there are twice as many fills,
or twice as many payments, as are to stay, everything up to the newest of those that need not is
folded into the bases of the paths and into `Closed`. Nothing that is shown changes by it, and
whatever comes later than the closed place finds what it would have found.

What comes from before it can't be put in its place. A fill might be in the base already, and to
count it twice is worse than to leave it out: it is not applied, and a flag says so. A price counts
as of the closed place, if none was in force there that is newer, and money that came or went counts
right after it. A snapshot takes over a position wherever its fills are; the peak and the falls
before it are then those of the samples that are left.

What depends on is what was applied, and nothing else: the same events close the same past.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import chain

from .closed import Closed, Opening, Part, Sample
from .numbers import ZERO
from .path import Key, Path
from .worth import Cash, Worth, worth_of

PRICES_KEPT = 32_768
"""Half a minute of a thousand busy markets, or half a day of one. Twice as many are some twenty
megabytes."""
FILLS_KEPT = 100_000
"""Of a daemon's book: a fill in each second of a day. What a venue takes back or tells again is of
hours ago, not of weeks. Twice as many, each of an order of its own, are some 300 MB."""


def thin(worth: Worth, opened: Iterable[Key], kept: int = PRICES_KEPT) -> None:
    """Let go of old prices. `opened`: where the periods under way begin."""
    lines = [*worth.marks.values(), *worth.rates.values()]
    prices = sorted(chain.from_iterable(line.keys for line in lines))
    if len(prices) <= kept:
        return
    horizon = prices[-kept]
    series = worth.series
    stay = series.records(horizon) | {series.last_before(key) for key in opened}
    stay |= set(series.keys[-1:])  # at which the next period may open
    if worth.closed is not None:
        stay |= {sample.key for sample in worth.closed.samples}
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


# --- closing --------------------------------------------------------------------------------------


def close(worth: Worth, begins: Sequence[Key], place: Key) -> int:
    """Close everything up to this place: so many fills are not known any more. `begins`: where the
    periods under way began."""
    old, opened = worth.closed, [begin for begin in begins if begin <= place]
    samples = _samples(worth, opened, place)
    cash = {} if old is None else old.cash.copy()
    moved = ZERO if old is None else old.moved
    end = bisect_right([each.key for each in worth.cash], place)
    for each in worth.cash[:end]:
        cash[each.ccy] = cash.get(each.ccy, ZERO) + each.amount
        if each.is_transfer:
            moved += each.amount * (worth.rate(each.ccy, each.key) or ZERO)
    openings = [_opening(worth, begin, worth.cash[:end]) for begin in opened]
    gone = sum(path.close(place, opened) for path in worth.paths.values())
    worth.closed = Closed(
        place,
        cash,
        moved,
        {ccy: key for ccy, key in worth.needed.items() if key <= place},
        tuple(samples),
        tuple(opening for opening in openings if opening is not None),
    )
    worth.cash = worth.cash[end:]
    worth.series.close(place, ((each.key, each.worth, each.unknown) for each in samples))
    lines = [*worth.marks.values(), *worth.rates.values()]
    for line in lines:
        line.close(place)
    worth.prices = sum(len(line.keys) for line in lines)
    return gone


def _samples(worth: Worth, opened: Iterable[Key], place: Key) -> list[Sample]:
    """Those up to the place that are still asked for: the first, what made the peak and the deepest
    fall, what the periods opened with, and the last."""
    series, after = worth.series, (place[0], place[1] + 1)
    stay = series.records(after) | {series.last_before(key) for key in (*opened, after)}
    stay |= set(series.keys[:1])
    keys = sorted(key for key in stay if key is not None and key <= place)
    old = {} if worth.closed is None else {each.key: each for each in worth.closed.samples}
    new = [key for key in keys if key not in old]
    parts: list[dict[str, Part]] = [{} for _ in new]
    for symbol, path in worth.paths.items():
        for key, charged, found in zip(new, path.charges(new), parts, strict=True):
            part = _part(worth, path, key, charged)
            if part is not None:
                found[symbol] = part
    for key, found in zip(new, parts, strict=True):
        amount, unknown = series.at(key)
        old[key] = Sample(key, amount, unknown, found)
    return [old[key] for key in keys]


def _part(worth: Worth, path: Path, key: Key, charged: dict[str, Decimal]) -> Part | None:
    """What an instrument has in a sample. None: nothing."""
    step = path.before((key[0], key[1] + 1))
    if step is None or (path.base_key is not None and key < path.base_key):
        return None
    line = worth.marks.get(path.contract.symbol)
    mark = None if line is None else line.at(key)
    total = ZERO
    for ccy, amount in worth_of(path.contract, step, mark, charged):
        total += amount * (worth.rate(ccy, key) or ZERO)
    is_unknown = bool(step.qty) and mark is None
    return Part(total, int(is_unknown)) if total or is_unknown else None


def _opening(worth: Worth, begin: Key, closed: Iterable[Cash]) -> Opening | None:
    """What was paid since. None: a part of that was closed while nobody asked for it."""
    old = worth.closed
    known = Opening(begin, ZERO, 0)
    if old is not None and begin <= old.place:
        found = old.opening(begin)
        if found is None:
            return None
        known = found
    net, gaps = known.net, known.gaps
    for cash in closed:
        if cash.key >= begin and not (cash.is_transfer or cash.is_start):
            rate = worth.rate(cash.ccy, cash.key)
            net += ZERO if rate is None else cash.amount * rate
            gaps += rate is None
    return Opening(begin, net, gaps)
