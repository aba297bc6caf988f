"""The book in words: tables of positions, orders and the account, with totals by currency."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from ...actors.core.book import shown
from ...actors.core.book.account import AccountBook
from ...actors.core.book.numbers import ZERO, exact
from ...actors.core.book.numbers import shown as written
from .page import Line, Mood, Page, Table

Position = Mapping[str, Any]

UNKNOWN = "unknown"
_PNL = ("realized_pnl", "funding", "net_realized_pnl", "unrealized_pnl")
_POSITION_HEADS = (
    *("symbol", "position", "average", "realised", "funding", "net realised", "unrealised"),
    *("currency", "fees"),
)
_ORDERS = ("open_buy_qty", "open_sell_qty", "worst_long", "worst_short")
_ORDER_HEADS = ("symbol", "position", "open to buy", "open to sell", "worst long", "worst short")
_ACCOUNT = (
    ("equity", "equity"),
    ("peak", "peak_equity"),
    ("drawdown", "drawdown"),
    ("drawdown in percent", "drawdown_pct"),
    ("largest drawdown", "max_drawdown"),
    ("gross notional", "gross_notional"),
    ("net notional", "net_notional"),
    ("worst gross notional", "worst_gross_notional"),
)
_SESSIONS = (
    ("session since", "session_start"),
    ("session, realised", "session_realized"),
    ("session, in all", "session_pnl"),
    ("week since", "week_start"),
    ("week, realised", "week_realized"),
    ("week, in all", "week_pnl"),
)
_FLAGS = {
    "no_mark": "it has a position and no mark: what it is worth is unknown",
    "fill_conflict": "this fill was told twice and differently; the first one counts: reconcile",
    "payment_conflict": "this payment was told twice and differently; the first one counts",
    "overfill": "more of this order was filled than it had",
    "rogue_fill": "this fill is of no order that is known",
}


def book(of: AccountBook) -> Page:
    """Everything in it."""
    document = shown.book(of)
    positions: Mapping[str, Position] = document["positions"]  # type: ignore[assignment]  # its form
    account: Mapping[str, Any] | None = document.get("account")  # type: ignore[assignment]  # same
    flags: list[str] = document["flags"]  # type: ignore[assignment]  # same
    settles = {symbol: of.contracts[symbol].settle for symbol in positions}
    parts = [_positions(positions, settles), _orders(positions), _account(account), _odd(flags)]
    page = [line for part in parts if part for line in (*part, Line(""))]
    return page[:-1]


def _positions(positions: Mapping[str, Position], settles: Mapping[str, str]) -> list[Line | Table]:
    if not positions:
        return [Line("no positions: nothing has happened in any instrument")]
    rows, moods = list[tuple[str, ...]](), list[Mood]()
    for symbol, position in positions.items():
        numbers = (_cell(position[key]) for key in _PNL)
        held = (position["qty"], position["avg_price"] or "-")
        rows.append((symbol, *held, *numbers, settles[symbol], _fees(position["fees"])))
        moods.append("warn" if position["unrealized_pnl"] is None else "plain")
    totals = list(_totals(positions, settles))
    return [Table(_POSITION_HEADS, rows + totals, moods + ["plain"] * len(totals))]


def _totals(
    positions: Mapping[str, Position], settles: Mapping[str, str]
) -> Iterator[tuple[str, ...]]:
    """One row for each currency that something is settled or charged in."""
    charged = {ccy for position in positions.values() for ccy in position["fees"]}
    with exact():
        for ccy in sorted({*settles.values(), *charged}):
            settled = [each for symbol, each in positions.items() if settles[symbol] == ccy]
            sums = [_sum(each[key] for each in settled) for key in _PNL]
            fee = _sum(each["fees"].get(ccy, "0") for each in positions.values())
            yield ("total", "", "", *sums, ccy, f"{fee} {ccy}" if ccy in charged else "-")


def _sum(numbers: Iterator[str | None]) -> str:
    """Unknown when one of them is."""
    total = ZERO
    for number in numbers:
        if number is None:
            return UNKNOWN
        total += Decimal(number)
    return _cell(written(total))


def _fees(fees: Mapping[str, str]) -> str:
    return ", ".join(f"{fee} {ccy}" for ccy, fee in fees.items()) or "-"


def _orders(positions: Mapping[str, Position]) -> list[Line | Table]:
    """What could become of positions, where anything is open."""
    rows = [
        (symbol, *(_cell(position[key]) for key in ("qty", *_ORDERS)))
        for symbol, position in positions.items()
        if position["open_buy_qty"] != "0" or position["open_sell_qty"] != "0"
    ]
    return [Table(_ORDER_HEADS, rows)] if rows else []


def _account(account: Mapping[str, Any] | None) -> list[Line | Table]:
    if account is None:
        return [Line("no account: without an account event there is no equity and no notional")]
    names = [each for each in (*_ACCOUNT, *_SESSIONS) if each[1] in account]
    rows = [(name, _cell(account[key])) for name, key in names]
    moods: list[Mood] = ["warn" if account[key] is None else "plain" for _, key in names]
    return [Table(("account", str(account["ccy"])), rows, moods)]


def _odd(flags: list[str]) -> list[Line | Table]:
    rows = [(flag, _FLAGS[flag.partition(":")[0]]) for flag in flags]
    return [Table(("flag", "meaning"), rows, ["warn"] * len(rows))] if rows else []


def _cell(number: str | None) -> str:
    return UNKNOWN if number is None else number
