"""How much there is to be counted again because of an event: for whoever is kept waiting by it.

What is the newest of all costs next to nothing. What comes late goes to its place, and everything
behind it is counted again: so many fills of its instrument, and so many samples of the account's
worth. A position that is adopted, or an account that begins, counts all of it again.
"""

from bisect import bisect_left

from ...messages.book import AnyEvent, Bust, Correct, Fill, Fx, Snapshot
from .account import AccountBook
from .path import Key
from .times import nanoseconds


def steps(book: AccountBook, event: AnyEvent) -> int:
    """About so many, of a microsecond or two each."""
    if isinstance(event, Snapshot):
        return 2 * len(book.worth.series.keys) + book.fills
    if isinstance(event, Fx):
        return _behind(book, event) + 2 * len(book.worth.paths)
    if isinstance(event, Bust | Correct):
        path = book.worth.paths.get(event.symbol)
        fills = () if path is None else path.all_of(event.id)
        return sum(_since(book, event.symbol, fill.key) for fill in fills)
    return _behind(book, event)


def _behind(book: AccountBook, event: AnyEvent) -> int:
    if event.ts is None:
        return 0
    symbol = event.symbol if isinstance(event, Fill) else None
    return _since(book, symbol, (nanoseconds(event.ts), book.arrived))


def _since(book: AccountBook, symbol: str | None, key: Key) -> int:
    samples = book.worth.series.keys
    found = len(samples) - bisect_left(samples, key)
    path = None if symbol is None else book.worth.paths.get(symbol)
    return found if path is None else found + len(path.keys) - bisect_left(path.keys, key)
