"""A rate that comes late: what it changes, and nothing else.

From its place to the next rate everything that is held in its currency was worth so much more. How
much that was is found from behind: what is held now, less what came since. So a rate that is told a
moment after a fill costs what has happened in that moment, however long the past is.
"""

from bisect import bisect_right
from collections.abc import Iterator
from decimal import Decimal
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from .numbers import ZERO
from .path import Key, Path, Step
from .series import Stretch

if TYPE_CHECKING:
    from .worth import Cash, Worth


class Late(NamedTuple):
    """What a late rate has changed of what was realised."""

    key: Key
    walked: list[tuple[Path, Step]]
    """Paths that were walked again, and the last step that each had before."""
    is_all: bool = False
    """It may be anything."""


class Rate(NamedTuple):
    """A rate that was put in its place."""

    ccy: str
    key: Key
    until: Key | None
    """Where the next one is."""
    old: Decimal | None
    """What was in force there before."""
    new: Decimal

    @property
    def more(self) -> Decimal:
        return self.new - (self.old or ZERO)

    def is_in_force(self, key: Key) -> bool:
        return self.key <= key and (self.until is None or key < self.until)


def stretches(worth: "Worth", rate: Rate) -> Iterator[Stretch]:
    """By how much the account was worth more, and where."""
    changes = sorted(_changes(worth, rate), key=itemgetter(0))
    held = worth.held.get(rate.ccy, ZERO) - sum((change for _, change in changes), ZERO)
    begin = rate.key
    for key, change in changes:
        if not rate.is_in_force(key):
            break
        if begin < key:
            yield Stretch(begin, key, held * rate.more)
        begin, held = key, held + change
    yield Stretch(begin, rate.until, held * rate.more)
    needed = worth.needed.get(rate.ccy)
    if rate.old is None and needed is not None:
        begin = max(rate.key, needed)
        if rate.until is None or begin < rate.until:
            yield Stretch(begin, rate.until, ZERO, -1)


def paid(worth: "Worth", rate: Rate) -> Iterator["Cash"]:
    """Money that came or went while the rate was in force."""
    at = bisect_right(worth.cash, rate.key, key=itemgetter(0))
    for cash in worth.cash[at:]:
        if cash.ccy == rate.ccy and rate.is_in_force(cash.key):
            yield cash


def walk(worth: "Worth", rate: Rate) -> list[tuple[Path, Step]]:
    """Go again along the paths on which something was realised or charged at the rate."""
    walked = []
    for path in worth.paths.values():
        if path.keys and path.keys[-1] > rate.key and _is_used(path, rate):
            walked.append((path, path.last))
            path.again(rate.key)
            worth.changed.add(path.contract.symbol)
    return walked


def _is_used(path: Path, rate: Rate) -> bool:
    fills = path.fills[bisect_right(path.keys, rate.key) :]
    return any(
        rate.is_in_force(fill.key)
        and (path.contract.settle == rate.ccy or (fill.fee and path.charge(fill)[0] == rate.ccy))
        for fill in fills
    )


def _changes(worth: "Worth", rate: Rate) -> Iterator[tuple[Key, Decimal]]:
    """How what is held in the currency has changed since, not in order."""
    at = bisect_right(worth.cash, rate.key, key=itemgetter(0))
    yield from ((cash.key, cash.amount) for cash in worth.cash[at:] if cash.ccy == rate.ccy)
    for path in worth.paths.values():
        for fill in path.fills[bisect_right(path.keys, rate.key) :]:
            if fill.fee:
                ccy, charge = path.charge(fill)
                if ccy == rate.ccy:
                    yield fill.key, -charge
        if path.contract.settle == rate.ccy:
            yield from _moves(worth, path, rate.key)


def _moves(worth: "Worth", path: Path, since: Key) -> Iterator[tuple[Key, Decimal]]:
    """How what price has won or lost in an instrument has changed since."""
    contract, line = path.contract, worth.marks.get(path.contract.symbol)
    fills = path.fills[bisect_right(path.keys, since) :]
    steps: list[tuple[Key, Decimal, Decimal, Decimal | None]] = []
    for fill in fills:
        moved = path.moved(fill)
        steps.append((fill.key, moved, contract.spent(moved, fill.price), None))
    if line is not None:
        steps += ((key, ZERO, ZERO, line.at(key)) for key in line.changes(since, None))
    is_held_later = path.base_key is not None and path.base_key > since
    if is_held_later and path.base_key is not None:
        steps.append((path.base_key, path.base.qty, path.base.cost, None))
    if not steps:
        return
    begin = None if is_held_later else path.before((since[0], since[1] + 1))
    qty, mark = ZERO if begin is None else begin.qty, None if line is None else line.at(since)
    for key, moved, spent, price in sorted(steps, key=itemgetter(0)):
        worth_then = ZERO if mark is None else contract.worth(qty, mark)
        qty, mark = qty + moved, mark if price is None else price
        worth_now = ZERO if mark is None else contract.worth(qty, mark)
        yield key, contract.multiplier * (worth_now - worth_then - spent)
