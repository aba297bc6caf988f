"""What positions add up to, by currency, without a look at each of them.

The book says which instruments have changed, and only their parts are taken out of the sums and put
in again: as many at a time as there is time for.
"""

from decimal import Decimal
from typing import NamedTuple

import attrs

from .account import AccountBook
from .numbers import ZERO, exact
from .path import Path


class Part(NamedTuple):
    """What one instrument has brought, in its settle currency. None: it is not known."""

    settle: str
    realised: Decimal
    funding: Decimal
    net: Decimal | None
    unrealised: Decimal | None
    fees: tuple[tuple[str, Decimal], ...]
    """By currency, the amounts that were charged."""


def part(book: AccountBook, path: Path) -> Part:
    """Called where numbers are exact."""
    contract, last = path.contract, path.last
    symbol = contract.symbol
    realised = contract.multiplier * last.won
    funding = book.funding.get(symbol, ZERO)
    return Part(
        settle=contract.settle,
        realised=realised,
        funding=funding,
        net=None if last.fee_gaps else realised - last.fees + funding,
        unrealised=path.unrealised(book.worth.mark_now(symbol)),
        fees=tuple((ccy, fee) for ccy, (fee, _) in sorted(book.fees.get(symbol, {}).items())),
    )


@attrs.define(eq=False)
class Sum:
    """Of the positions that are settled in one currency, and of the fees that are charged in it."""

    realised: Decimal = ZERO
    funding: Decimal = ZERO
    fees: Decimal = ZERO
    _net: Decimal = ZERO
    _unrealised: Decimal = ZERO
    _settled: int = 0
    charged: int = 0
    """In so many instruments."""
    _net_unknown: int = 0
    _unrealised_unknown: int = 0

    @property
    def net(self) -> Decimal | None:
        """None: that of one of them is not known."""
        return None if self._net_unknown else self._net

    @property
    def unrealised(self) -> Decimal | None:
        return None if self._unrealised_unknown else self._unrealised

    @property
    def is_of_something(self) -> bool:
        return bool(self._settled or self.charged)

    def settle(self, one: Part, sign: int) -> None:
        self._settled += sign
        self.realised += one.realised * sign
        self.funding += one.funding * sign
        self._net += (one.net or ZERO) * sign
        self._unrealised += (one.unrealised or ZERO) * sign
        self._net_unknown += sign * (one.net is None)
        self._unrealised_unknown += sign * (one.unrealised is None)

    def charge(self, fee: Decimal, sign: int) -> None:
        self.charged += sign
        self.fees += fee * sign


class Sums:
    """Of one book, which has no other: what has changed is told once."""

    def __init__(self, book: AccountBook) -> None:
        self.book = book
        self._parts: dict[str, Part] = {}
        self._by_currency: dict[str, Sum] = {}
        book.worth.changed.update(book.worth.paths)

    @property
    def behind(self) -> int:
        """So many instruments are to be looked at."""
        return len(self.book.worth.changed)

    def catch_up(self, count: int) -> None:
        """Look at so many."""
        changed = self.book.worth.changed
        with exact():
            for _ in range(min(count, len(changed))):
                self._look(changed.pop())

    def by_currency(self) -> dict[str, Sum]:
        """WHEN IT IS ASKED nothing may be behind."""
        assert not self.behind, "they are the sums of now"
        found = sorted(self._by_currency.items())
        return {ccy: one for ccy, one in found if one.is_of_something}

    def _look(self, symbol: str) -> None:
        old = self._parts.get(symbol)
        if old is not None:
            self._count(old, -1)
        new = self._parts[symbol] = part(self.book, self.book.worth.paths[symbol])
        self._count(new, 1)

    def _count(self, one: Part, sign: int) -> None:
        self._of(one.settle).settle(one, sign)
        for ccy, fee in one.fees:
            self._of(ccy).charge(fee, sign)

    def _of(self, ccy: str) -> Sum:
        found = self._by_currency.get(ccy)
        if found is None:
            found = self._by_currency[ccy] = Sum()
        return found
