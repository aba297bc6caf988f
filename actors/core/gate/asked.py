"""An order as it was asked about, with its numbers read. What is no number is no order."""

import re
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from ...messages.gate import OrderAsked, OrderType
from ...messages.reasons import Code
from ..book.numbers import fault

CANARY = "riskd canary"
"""Who asks for riskd itself. A space is in no scope, so that no worker can be called so."""
DIGEST_BYTES = 16
NUMBERS_KEPT = 8_192
_EXACT = re.compile(r"[+-]?[0-9]{1,60}(\.[0-9]{1,60})?([eE][+-]?[0-9]{1,3})?\Z")
_NAMED = re.compile(r"[+-]?(nan|s?nan[0-9]*|inf|infinity)\Z", re.IGNORECASE)
_encode = msgspec.json.Encoder(order="deterministic").encode


class Unreadable(Exception):
    """A field of an order that can't be judged. `code` is from the closed set of reasons."""

    def __init__(self, code: Code, field: str) -> None:
        super().__init__(f"{field}: {code}")
        self.code = code
        self.field = field


class Identity(NamedTuple):
    """Who asks, by the kernel's word and a token. None: an operator, who may ask for any."""

    worker: str | None = None
    account: str | None = None
    strategy: str | None = None


class Asked(NamedTuple):
    """An order with its numbers."""

    order: OrderAsked
    who: Identity
    qty: Decimal
    price: Decimal | None
    stop_price: Decimal | None
    stop_loss: Decimal | None
    order_type: OrderType

    @property
    def sign(self) -> int:
        return 1 if self.order.side == "buy" else -1


def read(order: OrderAsked, who: Identity) -> Asked:
    """Raises Unreadable."""
    qty = _number(order.qty, "qty")
    if qty <= 0:
        raise Unreadable("qty_not_positive", "qty")
    price = None if order.price is None else _number(order.price, "price")
    kind = order.order_type or ("market" if price is None else "limit")
    if kind in ("limit", "stop_limit") and price is None:
        raise Unreadable("price_missing", "price")
    stop = None if order.stop_price is None else _number(order.stop_price, "stop_price")
    if kind in ("stop", "stop_limit") and stop is None:
        raise Unreadable("stop_price_missing", "stop_price")
    loss = None if order.stop_loss is None else _number(order.stop_loss, "stop_loss")
    if order.leverage is not None:
        _number(order.leverage, "leverage")
    return Asked(order, who, qty, price, stop, loss, kind)


def _number(said: str | int, field: str) -> Decimal:
    """The same prices and quantities come again and again."""
    try:
        return _read(said)
    except ValueError:
        raise Unreadable(_fault(str(said)), field) from None


@lru_cache(maxsize=NUMBERS_KEPT)
def _read(said: str | int) -> Decimal:
    text = str(said)
    if not _EXACT.match(text) or fault(number := Decimal(text)) is not None:
        raise ValueError(text)
    return number


def _fault(text: str) -> Code:
    """What is wrong with what is no number, or none that can be counted with."""
    if _EXACT.match(text):
        return "too_many_digits"
    return "not_finite" if _NAMED.match(text) else "not_a_number"


def digest(order: OrderAsked) -> str:
    """The same for the same content, whatever the order of its fields was."""
    return blake2b(_encode(order), digest_size=DIGEST_BYTES).hexdigest()


def scopes(order: OrderAsked, exchange: str | None, worker: str | None) -> tuple[str, ...]:
    """All that the order is in. The exchange is the account's, whatever the order says."""
    found = ["all", f"account:{order.account}", f"symbol:{order.symbol}"]
    if exchange is not None:
        found.append(f"exchange:{exchange}")
    if order.strategy is not None:
        found.append(f"strategy:{order.strategy}")
    if worker is not None:
        found.append(f"worker:{worker}")
    return tuple(found)
