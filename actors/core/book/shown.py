"""The book as a document: positions, the account, and what is odd. Its keys are a contract."""

from .account import AccountBook
from .numbers import HUNDRED, exact, shown
from .path import Path
from .sums import part

Document = dict[str, object]


def book(of: AccountBook) -> Document:
    """Everything. `account` is there once the account has begun."""
    with exact():
        found: Document = {"positions": positions(of)}
        if of.worth.reporting is not None:
            found["account"] = account(of)
        found["flags"] = of.flags()
        return found


def positions(of: AccountBook) -> Document:
    """Each instrument in which anything has happened."""
    with exact():
        return {symbol: position(of, of.worth.paths[symbol]) for symbol in sorted(of.worth.paths)}


def position(of: AccountBook, path: Path) -> Document:
    """One instrument. Called where numbers are exact."""
    contract, last = path.contract, path.last
    symbol = contract.symbol
    brought = part(of, path)
    remaining = of.exposures.remaining(symbol)
    long, short = remaining.worst(last.qty)
    return {
        "qty": shown(last.qty),
        "avg_price": shown(contract.average(last.qty, last.cost)),
        "realized_pnl": shown(brought.realised),
        "fees": {ccy: shown(fee) for ccy, fee in brought.fees},
        "funding": shown(brought.funding),
        "net_realized_pnl": shown(brought.net),
        "unrealized_pnl": shown(brought.unrealised),
        "open_buy_qty": shown(remaining.buys + remaining.reducing_buys),
        "open_sell_qty": shown(remaining.sells + remaining.reducing_sells),
        "worst_long": shown(long),
        "worst_short": shown(short),
    }


def account(of: AccountBook) -> Document:
    """The account as a whole, in its reporting currency."""
    with exact():
        worth, sessions = of.worth, of.sessions
        equity, peak = worth.equity, worth.series.peak
        top = None if peak is None else peak + worth.moved
        fall = None if top is None or equity is None else top - equity
        percent = fall / top * HUNDRED if fall is not None and top is not None and top > 0 else None
        weight = of.exposures.total()
        found: Document = {
            "ccy": worth.reporting,
            "equity": shown(equity),
            "peak_equity": shown(top),
            "drawdown": shown(fall),
            "drawdown_pct": shown(percent),
            "max_drawdown": None if top is None else shown(worth.series.fall),
            "gross_notional": shown(weight.gross),
            "net_notional": shown(weight.net),
            "worst_gross_notional": shown(weight.worst),
        }
        if sessions.is_set:
            found.update(
                session_start=sessions.start(sessions.day),
                session_realized=shown(sessions.realised(sessions.day)),
                session_pnl=shown(sessions.made(sessions.day)),
                week_start=sessions.start(sessions.week),
                week_realized=shown(sessions.realised(sessions.week)),
                week_pnl=shown(sessions.made(sessions.week)),
            )
        return found
