"""Why an order was allowed or not, in a word: a closed set.

A rule's code is its kind, or one of these where more than one thing can be wrong. None is ever
taken away or comes to mean something else: old journals have it, and programs go by it.
docs/gate.md has a table of what each means.
"""

from typing import Literal

from ...config.schema.rules.kinds import RuleKind

Code = Literal[
    RuleKind,
    "account_closed",
    "amend_rate",
    "cancel_rate",
    "close_only",
    "equity_not_positive",
    "gate_unavailable",
    "halted",
    "id_reused",
    "in_doubt",
    "journal_failed",
    "kill_switch",
    "max_working_orders_in_symbol",
    "memory_full",
    "no_equity",
    "no_mark",
    "no_strategy",
    "not_a_number",
    "not_evaluable",
    "not_finite",
    "not_reducing",
    "not_your_account",
    "not_your_strategy",
    "notional_below_min",
    "ok",
    "order_type_not_allowed",
    "position_keeper_unavailable",
    "price_drift",
    "price_missing",
    "price_not_positive",
    "price_off_tick",
    "profit_given_back",
    "qty_above_max",
    "qty_below_min",
    "qty_not_positive",
    "qty_off_lot",
    "reduce_only",
    "session_closed",
    "stale_equity",
    "stale_mark",
    "stop_collar",
    "stop_price_missing",
    "strategy_not_listed",
    "submit_rate",
    "symbol_denied",
    "symbol_not_allowed",
    "too_many_digits",
    "trade_lockout",
    "trades_per_hour",
    "trades_per_minute",
    "trades_per_session",
    "unknown_account",
    "unknown_symbol",
    "wrong_exchange",
]
