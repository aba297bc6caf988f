"""The book in words: tables of positions, orders and the account, with totals by currency."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import ROUND_DOWN, Context, Decimal
from typing import Any

from ...actors.core import books_shown
from ...actors.core.book import shown
from ...actors.core.book.account import AccountBook
from ...actors.core.book.numbers import ZERO, exact
from ...actors.core.book.numbers import shown as written
from .page import Line, Mood, Page, Table

Row = Mapping[str, Any]
"""A position, an order or an account, as riskd writes it."""

UNKNOWN = "unknown"
NONE = "-"
SHORT = Context(prec=12, rounding=ROUND_DOWN)
"""What a person reads of a number that a division made endless."""
SUMS = {
    "realised": "realized_pnl",
    "funding": "funding",
    "net realised": "net_realized_pnl",
    "unrealised": "unrealized_pnl",
}
_POSITION_HEADS = (
    *("symbol", "side", "position", "average", "mark", *SUMS, "currency", "fees", "notional"),
)
_WORST = {
    "position": "qty",
    "open to buy": "open_buy_qty",
    "open to sell": "open_sell_qty",
    "worst long": "worst_long",
    "worst short": "worst_short",
}
NUMBERS = frozenset({"position", "average", "mark", "fees", "notional", *SUMS, *_WORST})
_SPARE = ("notional", "funding", "realised", "fees", "average", "side", "mark", "net realised")
_ACCOUNT = {
    "equity": "equity",
    "peak": "peak_equity",
    "drawdown": "drawdown",
    "drawdown in percent": "drawdown_pct",
    "largest drawdown": "max_drawdown",
    "gross notional": "gross_notional",
    "net notional": "net_notional",
    "worst gross notional": "worst_gross_notional",
    "session since": "session_start",
    "session, realised": "session_realized",
    "session, in all": "session_pnl",
    "week since": "week_start",
    "week, realised": "week_realized",
    "week, in all": "week_pnl",
}
FLAGS = {
    "no_mark": "it has a position and no mark: what it is worth is unknown",
    "fill_conflict": "this fill was told twice and differently; the first one counts: reconcile",
    "payment_conflict": "this payment was told twice and differently; the first one counts",
    "overfill": "more of this order was filled than it had",
    "rogue_fill": "this fill is of no order that is known",
}


def book(of: AccountBook) -> Page:
    """Everything in it."""
    with exact():
        paths = of.worth.paths
        rows: list[Row] = [books_shown.position(of, paths[symbol]) for symbol in sorted(paths)]
    parts = [
        positions(rows) or [Line("no positions: nothing has happened in any instrument")],
        _orders(rows),
        [account(shown.account(of)) if of.worth.reporting is not None else _NO_ACCOUNT],
        flags([("", flag) for flag in of.flags()]),
    ]
    return joined(parts)


_NO_ACCOUNT = Line("no account: without an account event there is no equity and no notional")


def joined(parts: Iterable[Page]) -> Page:
    """With a line between them, where there is something."""
    page = [line for part in parts if part for line in (*part, Line(""))]
    return page[:-1]


# --- positions ------------------------------------------------------------------------------------


def positions(rows: Sequence[Row]) -> Page:
    """A row for each, and one for each account and currency that something is settled or charged
    in. Only where they have one is there a column of accounts."""
    if not rows:
        return []
    groups = _by_account(rows)
    cells, moods = list[tuple[str, ...]](), list[Mood]()
    for row in rows:
        cells.append((str(row.get("account", "")), *_position(row)))
        moods.append("warn" if row.get("unrealized_pnl") is None else "plain")
    for account, group in groups.items():
        for total in _totals(group):
            cells.append((account, *total))
            moods.append("plain")
    heads = ("account", *_POSITION_HEADS)
    return [without_account(Table(heads, cells, moods, NUMBERS, _SPARE), "account" in rows[0])]


def without_account(table: Table, has_account: bool) -> Table:
    """Where there is none, its column says nothing."""
    if has_account:
        return table
    return table._replace(heads=table.heads[1:], rows=[row[1:] for row in table.rows])


def _by_account(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(str(row.get("account", "")), []).append(row)
    return found


def _position(row: Row) -> tuple[str, ...]:
    notional, quote = row.get("notional"), row.get("quote")
    return (
        str(row.get("symbol", UNKNOWN)),
        side(row.get("qty")),
        number(row.get("qty")),
        NONE if row.get("qty") == "0" else number(row.get("avg_price")),
        NONE if row.get("mark") is None and row.get("qty") == "0" else number(row.get("mark")),
        *(number(row.get(key)) for key in SUMS.values()),
        str(row.get("settle", UNKNOWN)),
        ", ".join(f"{number(fee)} {ccy}" for ccy, fee in row.get("fees", {}).items()) or NONE,
        UNKNOWN if notional is None else f"{number(notional)} {quote}",
    )


def side(qty: str | None) -> str:
    if qty is None:
        return UNKNOWN
    return "flat" if qty == "0" else "short" if qty.startswith("-") else "long"


def _totals(rows: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    """Currencies are never added up with each other."""
    charged = {ccy for row in rows for ccy in row.get("fees", {})}
    settled = {str(row.get("settle", UNKNOWN)) for row in rows}
    for ccy in sorted({*settled, *charged}):
        own = [row for row in rows if row.get("settle", UNKNOWN) == ccy]
        sums = [total(row.get(key) for row in own) for key in SUMS.values()]
        fees = total(row.get("fees", {}).get(ccy, "0") for row in rows)
        yield ("total", "", "", "", "", *sums, ccy, f"{fees} {ccy}" if ccy in charged else NONE, "")


def total(numbers: Iterable[str | None]) -> str:
    """Unknown when one of them is."""
    found = ZERO
    with exact():
        for each in numbers:
            if each is None:
                return UNKNOWN
            found += Decimal(each)
    return number(written(found))


def _orders(rows: Sequence[Row]) -> Page:
    """What could become of positions, where anything is open."""
    found = [
        (str(row["symbol"]), *(number(row[key]) for key in _WORST.values()))
        for row in rows
        if row["open_buy_qty"] != "0" or row["open_sell_qty"] != "0"
    ]
    return [Table(("symbol", *_WORST), found, numbers=NUMBERS)] if found else []


# --- accounts -------------------------------------------------------------------------------------


def account(row: Row, title: str = "account") -> Table:
    """A line for each number that it has, and those that are unknown stand out."""
    names = [each for each in _ACCOUNT.items() if each[1] in row]
    rows = [(name, number(row[key])) for name, key in names]
    moods: list[Mood] = ["warn" if row[key] is None else "plain" for _, key in names]
    return Table((title, str(row.get("ccy", UNKNOWN))), rows, moods)


def flags(found: Sequence[tuple[str, str]]) -> Page:
    """By account, what is odd in its book."""
    rows = [(account, flag, FLAGS.get(flag.partition(":")[0], "")) for account, flag in found]
    table = Table(("account", "flag", "meaning"), rows, ["warn"] * len(rows))
    return [without_account(table, any(account for account, _ in found))] if rows else []


def number(text: str | None) -> str:
    """Whole, unless a division has made it longer than anybody reads: then it goes on where the
    dots are. Times and names stay as they are."""
    if text is None:
        return UNKNOWN
    whole, _, fraction = text.partition(".")
    if len(fraction) <= SHORT.prec or not fraction.isdecimal():
        return text
    cut = SHORT.plus(Decimal(text))
    if cut.as_tuple().exponent > 0:  # type: ignore[operator]  # it is finite
        return f"{whole}..."
    return f"{cut:f}..."
