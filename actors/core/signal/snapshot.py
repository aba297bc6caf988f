"""The figures of a scope, from the books: how things stand, without what orders could make of it.

A share of nothing is no number: what is lost where there was nothing to lose is all of it, and
exposure on no equity is a multiple that no number tells, which `is_broke` says instead.
"""

from decimal import ROUND_CEILING, Decimal

from ...messages.signal import RiskSnapshot
from ..book.account import AccountBook
from ..book.numbers import HUNDRED, ZERO, exact
from ..books import Books
from ..gate.rules.tail import var_es
from ..gate.standing import Standing

STEP = Decimal("0.000001")
MOST = Decimal(1_000_000_000)
"""Of a ratio. What is worse is as bad."""


def scopes_of(books: Books) -> list[str]:
    """All that have a signal: each open account, each exchange of one, and everything."""
    opened = [held.about for held in books.opened()]
    exchanges = dict.fromkeys(about.exchange for about in opened if about.exchange is not None)
    accounts = [f"account:{about.name}" for about in opened]
    return [*accounts, *(f"exchange:{name}" for name in exchanges), *(["all"] if opened else [])]


def snapshot(scope: str, books: tuple[AccountBook, ...]) -> RiskSnapshot:
    """Of all books of a scope, now."""
    currencies = {book.worth.reporting for book in books} - {None}
    if len(currencies) > 1:
        return RiskSnapshot(currency=None)
    with exact():
        standing = Standing(scope, books)
        equity, gross, net = standing.equity(), standing.gross(), standing.net()
        tail = var_es(standing)
        day, week = _made(standing, is_week=False), _made(standing, is_week=True)
        return RiskSnapshot(
            currency=next(iter(currencies), None),
            equity=equity,
            drawdown_pct=_lost(standing.drawdown(), standing.peak()),
            gross_leverage=_times(gross, equity),
            net_leverage=_times(None if net is None else abs(net), equity),
            daily_pnl=day,
            daily_loss_pct=_lost(None if day is None else -day, standing.session_base()),
            weekly_pnl=week,
            weekly_loss_pct=_lost(None if week is None else -week, standing.week_base()),
            concentration_pct=_concentration(books, gross, equity),
            value_at_risk=None if tail is None else tail.var,
            expected_shortfall=None if tail is None else tail.es,
        )


def is_broke(found: RiskSnapshot) -> bool:
    """There is exposure, and nothing that carries it."""
    return found.equity is not None and found.equity <= 0 and found.gross_leverage == MOST


def _made(standing: Standing, *, is_week: bool) -> Decimal | None:
    """Realised or in all, whichever is worse. An account in which nothing ever happened has made
    nothing."""
    if all(book.sessions.day is None and not book.worth.paths for book in standing.books):
        return ZERO
    made = standing.week_pnl() if is_week else standing.session_pnl()
    realised = standing.week_realised() if is_week else standing.session_realised()
    return None if made is None or realised is None else min(made, realised)


def _lost(lost: Decimal | None, whole: Decimal | None) -> Decimal | None:
    """In percent of what there was."""
    if lost is None:
        return None
    if lost <= 0:
        return ZERO
    if whole is None:
        return None
    return _up(lost * HUNDRED / whole) if whole > 0 else HUNDRED


def _times(amount: Decimal | None, equity: Decimal | None) -> Decimal | None:
    if amount is None or equity is None:
        return None
    if not amount:
        return ZERO
    return _up(amount / equity) if equity > 0 else MOST


def _concentration(
    books: tuple[AccountBook, ...], gross: Decimal | None, equity: Decimal | None
) -> Decimal | None:
    """The largest symbol. What one account is long makes no other less short."""
    if gross is None:
        return None
    if len(books) == 1:
        largest = max((each.gross for each in books[0].exposures.standings.values()), default=ZERO)
    else:
        by_symbol: dict[str, Decimal] = {}
        for book in books:
            for symbol, each in book.exposures.standings.items():
                by_symbol[symbol] = by_symbol.get(symbol, ZERO) + each.gross
        largest = max(by_symbol.values(), default=ZERO)
    times = _times(largest, equity)
    return None if times is None else min(MOST, times * HUNDRED)


def _up(ratio: Decimal) -> Decimal:
    """Never better than it is."""
    if ratio >= MOST:
        return MOST
    return ratio.quantize(STEP, ROUND_CEILING)
