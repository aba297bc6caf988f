"""What workers and operators say of orders: the question before, and what becomes of them after.

The gate is called. What moves a book becomes events of it and is reported as everything else is, to
the position keeper. A worker speaks of its own account, and of its own orders in it.
"""

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal

import attrs

from .control import CommandRefused, CommandUnavailable, Handler
from .core.access import Caller
from .core.gate.asked import CANARY, Identity
from .gate import Gate
from .messages import (
    Acked,
    AmendAsked,
    Amended,
    AmendRejected,
    CancelAsked,
    Canceled,
    Check,
    Command,
    Dropped,
    Expired,
    Filled,
    Marked,
    Rejected,
    Reply,
    Reported,
    ReportEvents,
    Sent,
)
from .messages.book import (
    Amend,
    AmendReject,
    AnyEvent,
    Cancel,
    CancelRequest,
    Expire,
    Fill,
    Mark,
    Reject,
)
from .messages.gate import TicketCode
from .ports import NotRecorded

OPERATOR = Identity()
ITSELF = Identity(CANARY)
NOWHERE = ""
"""The account of a worker that has none: no order names it."""

ENDS: Mapping[type[Command], type[Cancel] | type[CancelRequest] | type[Expire] | type[Reject]] = {
    CancelAsked: CancelRequest,
    Canceled: Cancel,
    Expired: Expire,
    Rejected: Reject,
}
"""What is told of an order, as the book knows it."""
MISUSES: Mapping[TicketCode, str] = {
    "no_ticket": "nothing permits this order",
    "wrong_decision": "another decision permits this order",
    "ticket_used": "the ticket was used before, or the order is over",
    "ticket_stale": "something was tightened since the ticket was given",
    "ticket_expired": "the time of the ticket was over",
}
End = CancelAsked | Canceled | Expired | Rejected


@attrs.define(eq=False, kw_only=True)
class Orders:
    """The handlers of these commands."""

    gate: Gate
    report: Callable[[ReportEvents], Awaitable[Reply]]
    """Books events. Raises CommandUnavailable."""
    settle: Callable[[int], Awaitable[None]]
    """Waits for as much as `journal.durability` asks. Raises CommandUnavailable."""
    waits: bool
    """It asks for more than the kernel."""
    identity: Callable[[str], Identity | None]
    """Whose orders a worker's are. None: it may ask for none."""
    process_id: int | None = None
    """riskd's own: what it asks for itself counts for nobody."""

    def handlers(self) -> dict[type[Command], Handler]:
        return {
            AmendAsked: self._check,
            AmendRejected: self._changed,
            Amended: self._changed,
            Check: self._check,
            Sent: self._sent,
            Acked: self._acked,
            Dropped: self._dropped,
            Filled: self._filled,
            Marked: self._marked,
            **dict.fromkeys(ENDS, self._ended),
        }

    def who(self, caller: Caller) -> Identity:
        """By the kernel's word and a token, never by the order's."""
        worker = caller.worker
        if worker is None:
            return ITSELF if caller.peer.process_id == self.process_id else OPERATOR
        found = self.identity(worker)
        return Identity(worker, NOWHERE) if found is None or found.account is None else found

    async def _check(self, caller: Caller, command: Check | AmendAsked) -> Reply:
        amends = isinstance(command, AmendAsked)
        answer = self.gate.check(command.order, self.who(caller), command.id, amends=amends)
        if self.waits and answer.ticket is not None and answer.decision_id is not None:
            await self.settle(int(answer.decision_id))
        return answer

    # --- what becomes of it

    async def _sent(self, caller: Caller, command: Sent) -> Reply:
        who = self._permitted(caller, command.account, command.client_order_id)
        try:
            code = self.gate.sent(command, who)
        except NotRecorded as why:
            raise CommandUnavailable(str(why)) from why
        if code is not None:
            said = f"{MISUSES[code]}; what was reserved for it still counts"
            raise CommandRefused(code, f"{command.client_order_id!r}: {said}")
        return await self._told()

    async def _acked(self, caller: Caller, command: Acked) -> Reply:
        who = self._permitted(caller, command.account, command.client_order_id)
        try:
            self.gate.acked(command, who)
        except NotRecorded as why:
            raise CommandUnavailable(str(why)) from why
        return await self._told()

    async def _told(self) -> Reply:
        lsn = self.gate.lsn()
        if self.waits:
            await self.settle(lsn)
        return Reported(lsn=lsn, booked=0)

    async def _ended(self, caller: Caller, command: End) -> Reply:
        name = command.client_order_id
        self._permitted(caller, command.account, name)
        event = ENDS[type(command)](id=name, ts=command.ts)
        return await self.report(ReportEvents(account=command.account, events=[event]))

    async def _changed(self, caller: Caller, command: Amended | AmendRejected) -> Reply:
        name = command.client_order_id
        self._permitted(caller, command.account, name)
        qty = None if command.qty is None else Decimal(command.qty)
        event: AnyEvent = AmendReject(id=name, qty=qty, ts=command.ts)
        if isinstance(command, Amended):
            event = Amend(id=name, qty=Decimal(command.qty), ts=command.ts)
        return await self._booked(command.account, event)

    async def _dropped(self, caller: Caller, command: Dropped) -> Reply:
        who = self._permitted(caller, command.account, command.client_order_id)
        self._check_unsent(command.account, command.client_order_id)
        try:
            self.gate.dropped(command, who)
        except NotRecorded as why:
            raise CommandUnavailable(str(why)) from why
        return await self._told()

    def _check_unsent(self, account: str, name: str) -> None:
        """What may be at the venue goes on counting until the venue says that it is gone."""
        found = self.gate.answers.find(account, name)
        if found is None or found.verdict.decision == "block":
            raise CommandRefused("no_ticket", f"{name!r}: nothing is reserved for it")
        if found.is_sent or found.is_claimed:
            said = "it was sent, or is over; tell what the venue says of it"
            raise CommandRefused("ticket_used", f"{name!r}: {said}")

    async def _filled(self, caller: Caller, command: Filled) -> Reply:
        self._permitted(caller, command.account, command.client_order_id)
        event = Fill(
            id=command.fill_id,
            symbol=command.symbol,
            side=command.side,
            qty=Decimal(command.qty),
            price=Decimal(command.price),
            fee=Decimal(command.fee),
            fee_ccy=command.fee_ccy,
            order=command.client_order_id,
            ts=command.ts,
        )
        return await self._booked(command.account, event)

    async def _marked(self, caller: Caller, command: Marked) -> Reply:
        account = self._own(caller, command.account)
        event = Mark(symbol=command.symbol, price=Decimal(command.price), ts=command.ts)
        return await self._booked(account, event)

    async def _booked(self, account: str | None, event: AnyEvent) -> Reply:
        return await self.report(ReportEvents(account=account, events=[event]))

    # --- who may say so

    def _own(self, caller: Caller, account: str | None) -> str | None:
        """A worker's price is one in its own account, whether it says so or not."""
        who = self.who(caller)
        if who.worker is None:
            return account
        if who.account == NOWHERE or account not in (None, who.account):
            said = f"worker {who.worker!r} speaks of its own account alone"
            raise CommandRefused("not_your_account", said)
        return who.account

    def _permitted(self, caller: Caller, account: str, name: str | None) -> Identity:
        self._own(caller, account)
        who = self.who(caller)
        found = None if name is None else self.gate.answers.find(account, name)
        if who.worker is not None and found is not None and found.worker != who.worker:
            raise CommandRefused("not_your_order", f"{name!r} is somebody else's order")
        return who
