"""What the gate has answered, by account and client order id: the projection `gate`.

An id gets one answer. Whoever asks again with the same content gets it again, whatever has changed,
also after a restart; another content or another caller is refused. That everything is halted, or
that the caller may not ask, is no answer to an order: it is said first, and takes no id.

Here are the tickets too: until when each is good, under which epoch, and whether it was used. What
is told of an order that never asked makes no ticket.

The answers of orders that still work are kept, and of the others the newest. An id beyond those is
refused as long as the book knows the order; after that it is new.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any

import msgspec

from ...messages import Booked, Fact, Recorded
from ...messages.book import Cancel, Expire, Fill, Reject
from ...messages.gate import (
    OrderAcked,
    OrderDecided,
    OrderDropped,
    OrderSent,
    TicketMisused,
    Verdict,
)
from ..book.numbers import ZERO, exact
from ..book.orders import OrderEvent
from .asked import CANARY, digest

DONE_KEPT = 10_000
"""Answers to orders that work no more, refusals among them."""
PIECE = 256
"""Answers that make a piece of a dump: some tenths of a millisecond."""
PASSING = frozenset(
    {
        *("in_doubt", "kill_switch", "halted"),
        *("not_your_account", "not_your_strategy", "unknown_account", "account_closed"),
    }
)
"""Refusals that are of the moment or of the caller, and not of the order. They take no id: nobody
may use up those of somebody else."""


class Answered(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One answer, and what became of it. Replaced as a whole: a dump keeps what it saw."""

    lsn: int
    """Of its fact; 0: there is none."""
    account: str
    id: str
    digest: str
    worker: str | None
    at: datetime
    verdict: Verdict
    asked: str | int = ""
    """The quantity, where less of it was permitted."""
    epoch: int = 0
    expires_s: float = 0.0
    """By the monotonic clock, while the epoch is the same."""
    left: Decimal = ZERO
    """What can still be filled; 0 once it is done."""
    is_sent: bool = False
    symbol: str = ""
    side: str = ""
    """A fill of another symbol or side fills nothing of it."""
    is_claimed: bool = False
    """It was said to be sent, on another decision."""


class _State(msgspec.Struct):
    """What `dump` writes."""

    answers: list[Answered]
    done: list[tuple[str, str]]
    canary: tuple[str, str] | None = None


class Answers:
    """A projection."""

    name = "gate"
    version = 2

    def __init__(self, *, kept: int = DONE_KEPT) -> None:
        self._kept = kept
        self._acts: Mapping[type[Fact], Callable[[Recorded, Any], None]] = {
            OrderDecided: self._decide,
            OrderDropped: self._drop,
            OrderSent: self._send,
            OrderAcked: self._send,
            TicketMisused: self._misuse,
            Booked: self._book,
        }
        self.load(None)

    # --- as a projection

    def apply(self, recorded: Recorded) -> None:
        act = self._acts.get(type(recorded.fact))
        if act is not None:
            act(recorded, recorded.fact)

    def load(self, state: bytes | None) -> None:
        """Go back to a dump, or to before the first fact."""
        self._of: dict[tuple[str, str], Answered] = {}
        self._done: deque[tuple[str, str]] = deque()
        self._canary: tuple[str, str] | None = None
        """What riskd itself was answered last: of these there is one."""
        self.newest: Answered | None = None
        """What was answered last, whether it is remembered or not. Not part of a dump."""
        if state is not None:
            found = _decode(state)
            self._of = {(one.account, one.id): one for one in found.answers}
            self._done.extend(found.done)
            self._canary = found.canary

    def dump(self) -> Iterable[bytes]:
        return _pieces(list(self._of.values()), list(self._done), self._canary)

    # --- what is known

    def find(self, account: str, name: str) -> Answered | None:
        """What was answered to an order of this id. None: nothing, as far as is remembered."""
        return self._of.get((account, name))

    def __len__(self) -> int:
        return len(self._of)

    # --- what happens

    def _decide(self, recorded: Recorded, fact: OrderDecided) -> None:
        found = self.newest = answered(recorded.lsn, fact)
        if fact.amends:
            return
        key = (found.account, found.id)
        if key not in self._of and fact.verdict.code not in PASSING:
            self._of[key] = found
            if found.worker == CANARY:
                self._keep(key)
            elif not found.left:
                self._end(key)

    def _keep(self, key: tuple[str, str]) -> None:
        """In place of the one before: nobody else's answers are forgotten for it."""
        if self._canary is not None:
            self._of.pop(self._canary, None)
        self._canary = key

    def _send(self, _recorded: Recorded, fact: OrderSent | OrderAcked) -> None:
        self._change((fact.account, fact.client_order_id))

    def _misuse(self, _recorded: Recorded, fact: TicketMisused) -> None:
        """What was sent on another decision uses up no ticket of this one."""
        if fact.code != "wrong_decision":
            self._change((fact.account, fact.client_order_id))
            return
        key = (fact.account, fact.client_order_id)
        found = self._of.get(key)
        if found is not None:
            self._of[key] = msgspec.structs.replace(found, is_claimed=True)

    def _book(self, _recorded: Recorded, fact: Booked) -> None:
        event = fact.event
        if fact.account is None:
            return
        if isinstance(event, Fill):
            if isinstance(event.order, str):
                self._fill((fact.account, event.order), event)
        elif isinstance(event, OrderEvent):
            is_gone = isinstance(event, Cancel | Reject | Expire)
            self._change((fact.account, event.id), None if is_gone else ZERO)

    def _drop(self, _recorded: Recorded, fact: OrderDropped) -> None:
        """Nobody may send it any more."""
        self._change((fact.account, fact.client_order_id), None)

    def _fill(self, key: tuple[str, str], fill: Fill) -> None:
        found = self._of.get(key)
        if found is not None:
            is_own = (found.symbol, found.side) == (fill.symbol, fill.side)
            self._change(key, fill.qty if is_own else ZERO)

    def _change(self, key: tuple[str, str], less: Decimal | None = ZERO) -> None:
        """An order was heard of: its ticket is used, so much less of it is left. None: nothing."""
        found = self._of.get(key)
        if found is None:
            return
        with exact():
            left = ZERO if less is None else max(ZERO, found.left - less)
        if left == found.left and found.is_sent:
            return
        self._of[key] = msgspec.structs.replace(found, left=left, is_sent=True)
        if found.left and not left:
            self._end(key)

    def _end(self, key: tuple[str, str]) -> None:
        """It works no more. A fill that is told twice may end it too early: then it is forgotten
        early, and the book still knows its id."""
        self._done.append(key)
        while len(self._done) > self._kept:
            self._of.pop(self._done.popleft(), None)


def answered(lsn: int, fact: OrderDecided) -> Answered:
    """A decision as it is kept, and answered from."""
    order, verdict = fact.order, fact.verdict
    return Answered(
        lsn,
        order.account,
        order.client_order_id,
        digest(order),
        fact.worker,
        fact.at,
        verdict,
        order.qty if verdict.decision == "scale_down" else "",
        fact.epoch,
        fact.expires_s,
        verdict.qty,
        symbol=order.symbol,
        side=order.side,
    )


def _pieces(
    answers: list[Answered], done: list[tuple[str, str]], canary: tuple[str, str] | None
) -> Iterator[bytes]:
    yield b'{"answers":['
    every, lead = iter(answers), b""
    while some := list(islice(every, PIECE)):
        yield lead + _encode(some)[1:-1]
        lead = b","
    yield b'],"done":' + _encode(done) + b',"canary":' + _encode(canary) + b"}"


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_State).decode
