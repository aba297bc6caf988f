"""Why an order was allowed or not, in a sentence for people. It may change; programs use the code.

What a kind of rule finds is said by its judge (`Judge.SAYS`): one sentence for all that are alike.
"""

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache

from ...messages.gate import Verdict
from ...messages.reasons import Code
from ..book.numbers import exact, shown
from .rules import JUDGES

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
    "too_many_strategies": "{scope} has as many strategies and workers as it can have",
    "unknown_account": "{scope} is none that riskd keeps",
    "account_closed": "{scope} is closed: the configuration does not name it",
    "wrong_exchange": "{scope} trades at another exchange than the order says",
    "no_working_order": "no order of this id works in {scope}",
    "not_your_order": "the order is another caller's, in {scope}",
    "amend_mismatch": "an order keeps its symbol, side, strategy and reduce_only; in {scope}",
    "id_reused": "the client order id was used for something else in {scope}",
    "symbol_delisted": "what adds risk is not judged without {missing}",
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
"""Of what stands before the rules, and of what no rule can be judged without."""
OF_RULES: Mapping[Code, str] = {
    "close_only": "only what reduces passes until the session opens again",
    "equity_not_positive": "an equity of {value} carries nothing",
    "memory_full": "what is counted apart is at its limit of {limit}",
    "no_equity": "there is no {missing}",
    "no_mark": "there is no {missing}",
    "no_strategy": "the order names no strategy",
    "not_reducing": "{value} is more than the {limit} that could be reduced",
    "notional_below_min": "a worth of {value} is below the least, {limit}",
    "order_type_not_allowed": "orders of this type may not be sent",
    "price_drift": "the mark is {value} % from where it was, and may be {limit} %",
    "price_not_positive": "a price of {value} is not above 0",
    "price_off_tick": "{value} is no multiple of the tick of {limit}",
    "profit_given_back": "{value} of the best profit is given back, and the limit is {limit}",
    "qty_above_max": "{value} is above the largest quantity, {limit}",
    "qty_below_min": "{value} is below the smallest quantity, {limit}",
    "qty_off_lot": "{value} is no multiple of the lot of {limit}",
    "reduce_only": "only what reduces passes, and {value} is more than the {limit} that could be",
    "session_closed": "the session is closed",
    "stale_equity": "the {missing} is missing: the last is {value} s old, and may be {limit} s",
    "stale_mark": "the {missing} is missing: the last is {value} s old, and may be {limit} s",
    "stale_rate": "the {missing} is missing: the last is {value} s old, and may be {limit} s",
    "stop_collar": "the stop is {value} % from the mark, and may be {limit} %",
    "strategy_not_listed": "the order's strategy may not trade here",
    "symbol_denied": "its symbol is on the list of those that may not be traded",
    "symbol_not_allowed": "its symbol is on no list of those that may be traded",
    "trade_lockout": "{limit} trades have begun a lockout",
}
"""Of what a rule may find beside what its kind says (`Judge.SAYS`)."""
SAYS: Mapping[str, str] = {rule.__struct_config__.tag: judge.SAYS for rule, judge in JUDGES.items()}  # type: ignore[misc]  # each rule has one, a text


def reason(verdict: Verdict) -> str:
    """One sentence for people. Where a number is not there nothing is said of any."""
    code, rule = verdict.code, verdict.rule
    sentence = SENTENCES.get(code)
    if sentence is not None:
        return _filled(sentence, verdict)
    sentence = OF_RULES.get(code) or SAYS.get(rule or "", "")
    if ("{value}" in sentence and verdict.value is None) or (
        "{limit}" in sentence and verdict.limit is None
    ):
        sentence = code.replace("_", " ")
    said = f"{rule} of {verdict.scope}: {_filled(sentence, verdict)}"
    return f"{said}; {text(verdict.max_qty)} would pass" if verdict.max_qty else said


def _filled(sentence: str, verdict: Verdict) -> str:
    if "{" not in sentence:
        return sentence
    return sentence.format(
        rule=verdict.rule,
        scope=verdict.scope,
        missing=verdict.missing,
        override=verdict.override,
        value=text(verdict.value),
        limit=text(verdict.limit),
    )


def text(number: Decimal | None) -> str | None:
    return None if number is None else _text(number)


@lru_cache(maxsize=8_192)
def _text(number: Decimal) -> str | None:
    """The same few come again and again."""
    with exact():
        return shown(number)
