"""A decision in words and numbers, as whoever asked gets it. Pure: the same each time it is asked.

Numbers are written without exponents. The sentence is for people and may change; programs go by the
code.
"""

from datetime import datetime
from decimal import Decimal

from ...messages import MessageId
from ...messages.gate import Decision, Ticket, Verdict
from ...messages.reasons import Code
from ..book.numbers import exact, shown
from ..book.times import instant
from .answers import Answered
from .words import reason, text


def decision(found: Answered, about: MessageId = 0, *, permits: bool = True) -> Decision:
    """What is answered, the first time and each time after it; the ticket for as long as the order
    may be sent on it (`permits`)."""
    verdict = found.verdict
    ticket, factor, qty = None, "0", text(verdict.qty) or "0"
    if verdict.decision != "block":
        factor = "1" if verdict.decision == "allow" else _factor(verdict.qty, found.asked)
        if permits:
            ticket = Ticket(
                digest=found.digest, max_qty=qty, expires_s=found.expires_s, epoch=found.epoch
            )
    return Decision(
        id=about,
        decision=verdict.decision,
        qty=qty,
        scale_factor=factor,
        rule=verdict.rule,
        scope=verdict.scope,
        code=verdict.code,
        reason=reason(verdict),
        limit=text(verdict.limit),
        value=text(verdict.value),
        headroom=text(verdict.headroom),
        max_qty=text(verdict.max_qty),
        risk_level=verdict.risk_level,
        ess_active=verdict.ess_active,
        override=verdict.override,
        decision_id=str(found.lsn),
        lsn=found.lsn - 1,
        timestamp=instant(found.at),
        ticket=ticket,
    )


def undecided(code: Code, missing: str, *, lsn: int, at: datetime, ess_active: bool) -> Decision:
    """A no that is not history, because nobody could judge or write."""
    verdict = Verdict(decision="block", qty=Decimal(0), code=code, missing=missing)
    return Decision(
        decision="block",
        qty="0",
        scale_factor="0",
        rule="gate",
        scope=None,
        code=code,
        reason=reason(verdict),
        limit=None,
        value=None,
        headroom=None,
        max_qty="0",
        risk_level="critical",
        ess_active=ess_active,
        override=None,
        decision_id=None,
        lsn=lsn,
        timestamp=instant(at),
        ticket=None,
    )


def _factor(qty: Decimal, asked: str | int) -> str:
    with exact():
        return shown(qty / Decimal(str(asked))) or "0"
