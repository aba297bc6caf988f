"""A decision in words and numbers, as whoever asked gets it. Pure: the same each time it is asked.

Numbers are written without exponents. The sentence is for people and may change; programs go by the
code.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache

from ...messages import MessageId
from ...messages.gate import Decision, Ticket, Verdict
from ...messages.reasons import Code
from ..book.numbers import exact, shown
from .answers import Answered

SENTENCES: Mapping[str, str] = {
    "ok": "every rule passes",
    "kill_switch": "the kill switch is not ACTIVE: everything is halted",
    "halted": "a halt of {scope} lets nothing pass",
    "in_doubt": "what riskd knows is in doubt: {missing}",
    "journal_failed": "the journal has failed, so that nothing can be permitted: {missing}",
    "gate_unavailable": "nobody judges orders now: {missing}",
    "position_keeper_unavailable": "nobody keeps the positions now, and the order adds risk",
    "not_your_account": "{scope} is not this caller's",
    "not_your_strategy": "the strategy is not this caller's, in {scope}",
    "unknown_account": "{scope} is none that riskd keeps",
    "account_closed": "{scope} is closed: the configuration does not name it",
    "wrong_exchange": "{scope} trades at another exchange than the order says",
    "no_working_order": "no order of this id works in {scope}",
    "not_your_order": "the order is another caller's, in {scope}",
    "amend_mismatch": "an order keeps its symbol, side, strategy and reduce_only; in {scope}",
    "id_reused": "the client order id was used for something else in {scope}",
    "unknown_symbol": "{scope} is no listed instrument",
    "qty_not_positive": "{missing} is not above 0",
    "price_missing": "an order of this type has a {missing}",
    "stop_price_missing": "an order of this type has a {missing}",
    "not_finite": "{missing} is no finite number",
    "not_a_number": "{missing} is no number",
    "too_many_digits": "{missing} has more digits than anything that is traded",
    "risk_signal_critical": "the risk signal of {scope} is critical: {missing}",
    "risk_action_required": "the risk signal of {scope} requires an action: {missing}",
    "not_evaluable": "{rule} of {scope} can't be judged without: {missing}",
    "overridden": "{override} lets it pass, to which rules object",
    "override_unknown": "there is no override {missing}",
    "override_not_approved": "nobody has approved of {missing}",
    "override_used": "{missing} was used by another order",
    "override_revoked": "{missing} was revoked",
    "override_expired": "the time of {missing} is over",
    "override_early": "the clock shows a time before {missing} was approved",
    "override_does_not_cover": "the override does not cover this {missing}",
}
"""Those that stand before the rules, and what no rule can be judged without. A rule's own words are
made of its numbers."""


def reason(verdict: Verdict) -> str:
    """One sentence for people."""
    sentence = SENTENCES.get(verdict.code)
    if sentence is not None:
        return sentence.format(
            rule=verdict.rule,
            scope=verdict.scope,
            missing=verdict.missing,
            override=verdict.override,
        )
    said = f"{verdict.rule} of {verdict.scope}: {verdict.code}"
    numbers = ((verdict.value, "{} asked for"), (verdict.limit, "the limit is {}"))
    more = [words.format(text(number)) for number, words in numbers if number is not None]
    if verdict.max_qty:
        more.append(f"{text(verdict.max_qty)} would pass")
    return f"{said} ({', '.join(more)})" if more else said


def text(number: Decimal | None) -> str | None:
    return None if number is None else _text(number)


@lru_cache(maxsize=8_192)
def _text(number: Decimal) -> str | None:
    """The same few come again and again."""
    with exact():
        return shown(number)


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


def instant(at: datetime) -> str:
    """In UTC, by the letter Z."""
    return at.isoformat().removesuffix("+00:00") + "Z"
