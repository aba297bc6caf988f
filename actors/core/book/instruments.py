"""What is traded: three kinds of contract, and what a position in one is worth.

Everything is said by two running numbers, whatever the order of the fills: the signed quantity, and
`spent`, what was paid for it at their prices. For a linear contract and for spot that is the sum of
signed quantity times price, in quote; for an inverse one the sum of signed quantity over price, in
base, and with the other sign, because its value falls while its price rises.
"""

from decimal import Decimal

import attrs

from ...messages.book import Instrument, Kind
from .numbers import ZERO


@attrs.frozen
class Contract:
    """An instrument as the book reckons with it."""

    symbol: str
    kind: Kind
    multiplier: Decimal
    quote: str
    settle: str
    base: str | None
    is_inverse: bool = attrs.field(init=False)

    @is_inverse.default
    def _is_inverse(self) -> bool:
        return self.kind == "inverse"

    in_kind: str | None = attrs.field(init=False)
    """A fee in this currency is paid out of the position itself."""

    @in_kind.default
    def _in_kind(self) -> str | None:
        return self.base if self.kind == "spot" else None

    @classmethod
    def of(cls, event: Instrument) -> "Contract":
        return cls(
            event.symbol, event.kind, event.multiplier, event.quote, event.settle, event.base
        )

    def spent(self, signed: Decimal, price: Decimal) -> Decimal:
        """What signed contracts cost at a price."""
        return -signed / price if self.is_inverse else signed * price

    def worth(self, signed: Decimal, mark: Decimal) -> Decimal:
        """What they would bring at the mark, in the same terms."""
        return -signed / mark if self.is_inverse else signed * mark

    def average(self, signed: Decimal, cost: Decimal) -> Decimal | None:
        """The price at which they were entered; None when there are none."""
        if not signed:
            return None
        return -signed / cost if self.is_inverse else cost / signed

    def notional(self, contracts: Decimal, mark: Decimal | None) -> Decimal | None:
        """What so many are worth in quote. None: nobody knows without a mark."""
        if self.is_inverse:
            return contracts * self.multiplier
        if not contracts:
            return ZERO
        return None if mark is None else contracts * self.multiplier * mark
