"""Tickets: what permits an order to be sent, and for how long."""

from ...messages.gate import TicketCode
from .answers import Answered


def misuse(
    found: Answered | None, decision_id: str | None, *, epoch: int, monotonic_s: float
) -> TicketCode | None:
    """Why an order must not be sent on the answer that it got. None: it may.

    A ticket is good once, up to its time, and under the epoch in which it was given: whatever has
    tightened since then has not been asked.
    """
    if found is None or found.verdict.decision == "block":
        return "no_ticket"
    if decision_id is not None and decision_id != str(found.lsn):
        return "wrong_decision"
    if found.is_sent:
        return "ticket_used"
    if found.epoch != epoch:
        return "ticket_stale"
    return "ticket_expired" if monotonic_s > found.expires_s else None
