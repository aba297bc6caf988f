"""riskd's books in words: positions, orders and accounts, as it answered."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from . import show_book
from .page import Line, Mood, Page, Table
from .show_book import NONE, SUMS, UNKNOWN, joined, number, total
from .show_halting import count, moment

Document = Mapping[str, Any]
Row = Mapping[str, Any]

_NO_ACCOUNTS = Line(
    "no accounts: riskd keeps a book for each that its configuration has; add [accounts.NAME] to "
    "it, then riskctl config reload",
    "warn",
)
_TORN = Line("the book changed while it was read: not all of this is of one moment", "warn")
_NAMES_MAX = 10
_ORDER_HEADS = ("account", "symbol", "id", "side", "qty", "filled", "remaining", "reduce only")
_ORDER_NUMBERS = frozenset({"qty", "filled", "remaining"})
_ORDER_SPARE = ("reduce only", "filled", "qty")
_OF_ACCOUNT = {
    "equity": "equity",
    "session": "session_pnl",
    "week": "week_pnl",
    "gross notional": "gross_notional",
    "net notional": "net_notional",
}
"""Of accounts that report in one currency these can be added up."""
_BROKER = ("broker's", "drift")
_ACCOUNT_HEADS = ("account", "currency", *_OF_ACCOUNT, "drawdown", "in percent", *_BROKER)
_ACCOUNT_NUMBERS = frozenset(_ACCOUNT_HEADS) - {"account", "currency"}
_ACCOUNT_SPARE = (*_BROKER, "net notional", "in percent", "gross notional", "drawdown")
_SUM_HEADS = ("account", "currency", *SUMS, "fees")
_SUM_NUMBERS = frozenset({*SUMS, "fees"})
_SUM_SPARE = ("funding", "realised", "fees")


def positions(document: Document) -> Page:
    rows = document.get("positions") or []
    nothing = f"no positions: nothing has happened in any instrument of {_names(document)}"
    return _page(document, show_book.positions(rows) or [Line(nothing)])


def orders(document: Document) -> Page:
    rows = document.get("orders") or []
    if not rows:
        return _page(document, [Line(f"no orders that count, of {_names(document)}")])
    cells = [(*_order(row), _state(row)) for row in rows]
    moods: list[Mood] = ["warn" if row.get("state") == "timed_out" else "plain" for row in rows]
    heads = (*_ORDER_HEADS, "state")
    table = Table(heads, cells, moods, _ORDER_NUMBERS, _ORDER_SPARE)
    return _page(document, [table, Line(""), *_order_counts(rows)])


def pnl(document: Document) -> Page:
    rows = document.get("accounts") or []
    whole = [_account(rows[0])] if len(rows) == 1 else [_accounts(rows)]
    odd = show_book.flags([(_name(row), flag) for row in rows for flag in row.get("flags") or []])
    more = [_more_flags(row) for row in rows if row.get("flags_count", 0) > len(row["flags"])]
    return _page(document, joined([whole, _sums(rows), [*odd, *more]]))


def _page(document: Document, page: Page) -> Page:
    if not document.get("accounts"):
        return [_NO_ACCOUNTS]
    return [*page, Line(""), _TORN] if document.get("is_of_one_moment") is False else page


def _names(document: Document) -> str:
    names = [str(name) for name in document.get("accounts") or []]
    left = len(names) - _NAMES_MAX
    return ", ".join(names[:_NAMES_MAX]) + (f" and {left} more" if left > 0 else "")


# --- orders ---------------------------------------------------------------------------------------


def _order(row: Row) -> tuple[str, ...]:
    return (
        *(str(row.get(key, UNKNOWN)) for key in ("account", "symbol", "id", "side")),
        *(number(row.get(key)) for key in ("qty", "filled", "remaining")),
        "yes" if row.get("reduce_only") else "no",
    )


def _state(row: Row) -> str:
    return str(row.get("state", UNKNOWN)).replace("_", " ")


def _order_counts(rows: Sequence[Row]) -> Iterable[Line]:
    """Quantities of different instruments are nothing that one adds up."""
    by_account: dict[str, Counter[str]] = {}
    for row in rows:
        by_account.setdefault(str(row.get("account", UNKNOWN)), Counter())[_state(row)] += 1
    for account, states in by_account.items():
        found = ", ".join(f"{many} {state}" for state, many in sorted(states.items()))
        yield Line(f"{account}: {count(states.total(), 'order')}: {found}")


# --- accounts -------------------------------------------------------------------------------------


def _name(row: Row) -> str:
    name = str(row.get("account", UNKNOWN))
    return name if row.get("is_open", True) else f"{name} (closed)"


def _account(row: Row) -> Table:
    """One account has room for all that is known of it."""
    broker = row.get("broker") or {}
    more = {
        "broker's equity": number(broker.get("equity")) if broker else "never told",
        "told": moment(broker["at"]) if "at" in broker else NONE,
        "equity less broker's, then": number(broker.get("drift")) if broker else NONE,
    }
    table = show_book.account(row, f"account {_name(row)}")
    mood: Mood = "warn" if row.get("is_drifting") else "plain"
    rows = [*table.rows, *more.items()]
    return table._replace(rows=rows, moods=[*table.moods, *[mood] * len(more)])


def _accounts(rows: Sequence[Row]) -> Table:
    cells, moods = list[tuple[str, ...]](), list[Mood]()
    for row in rows:
        broker = row.get("broker") or {}
        own = (number(row.get(key)) for key in _OF_ACCOUNT.values())
        fall = (number(row.get(key)) for key in ("drawdown", "drawdown_pct"))
        theirs = [number(broker.get(key)) if broker else NONE for key in ("equity", "drift")]
        cells.append((_name(row), str(row.get("ccy", UNKNOWN)), *own, *fall, *theirs))
        is_odd = row.get("equity") is None or row.get("is_drifting")
        moods.append("warn" if is_odd else "plain")
    for ccy in sorted({str(row.get("ccy", UNKNOWN)) for row in rows}):
        own_rows = [row for row in rows if row.get("ccy", UNKNOWN) == ccy]
        sums = (total(row.get(key) for row in own_rows) for key in _OF_ACCOUNT.values())
        cells.append(("total", ccy, *sums, "", "", "", ""))
        moods.append("plain")
    return Table(_ACCOUNT_HEADS, cells, moods, _ACCOUNT_NUMBERS, _ACCOUNT_SPARE)


def _sums(rows: Sequence[Row]) -> Page:
    """What positions have brought, by account and by the currency that they are settled in."""
    sums = [(_name(row), ccy, one) for row in rows for ccy, one in row["by_currency"].items()]
    if not sums:
        return []
    keys = (*SUMS.values(), "fees")
    cells = [(name, ccy, *(number(one.get(key)) for key in keys)) for name, ccy, one in sums]
    if len(rows) > 1:
        for each in sorted({ccy for _, ccy, _ in sums}):
            own = [one for _, ccy, one in sums if ccy == each]
            cells.append(("total", each, *(total(one.get(key) for one in own) for key in keys)))
    moods: list[Mood] = ["warn" if UNKNOWN in row else "plain" for row in cells]
    return [Table(_SUM_HEADS, cells, moods, _SUM_NUMBERS, _SUM_SPARE)]


def _more_flags(row: Row) -> Line:
    left = row["flags_count"] - len(row["flags"])
    return Line(f"{_name(row)}: and {count(left, 'flag')} more", "warn")
