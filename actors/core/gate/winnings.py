"""What one symbol has won or lost in an account: unrealised, and in the day or the week under way.

The book keeps the sums of an account. Those of a symbol are found in its own fills: a few steps of
its walk. Funding is not among them, for the book does not know by symbol when it was paid.
"""

from decimal import Decimal

from ..book.account import AccountBook
from ..book.numbers import ZERO
from ..book.path import Path
from ..book.sessions import Period


def unrealised_of(book: AccountBook, path: Path) -> Decimal | None:
    """Of the open part, in the reporting currency. None: a mark or a rate is missing."""
    found = path.unrealised(book.worth.mark_now(path.contract.symbol))
    if not found:
        return found
    rate = book.worth.rate_now(path.contract.settle)
    return None if rate is None else found * rate


def cost_of(book: AccountBook, path: Path) -> Decimal | None:
    """What the open part was entered for, by its size, in the reporting currency."""
    rate = book.worth.rate_now(path.contract.settle)
    return None if rate is None else abs(path.contract.multiplier * path.last.cost) * rate


def realised_of(book: AccountBook, symbol: str, period: Period | None) -> Decimal | None:
    """Less fees, at the rates of the time. None: there is no period, or a rate was missing."""
    path = book.worth.paths.get(symbol)
    if period is None:
        return None
    if path is None:
        return ZERO
    last, first = path.last, path.before(period.begin)
    return None if first is None or last.net_gaps != first.net_gaps else last.net - first.net


def made_of(book: AccountBook, symbol: str, period: Period | None) -> Decimal | None:
    """Realised and unrealised, since the period opened."""
    realised, path = realised_of(book, symbol, period), book.worth.paths.get(symbol)
    if path is None or period is None or realised is None:
        return realised
    now, then = unrealised_of(book, path), _unrealised_then(book, path, period)
    return None if now is None or then is None else realised + now - then


def _unrealised_then(book: AccountBook, path: Path, period: Period) -> Decimal | None:
    """Of what was open when the period began, at the mark and the rate just before."""
    step, contract, worth = path.before(period.begin), path.contract, book.worth
    if path.base_key is not None and path.base_key >= period.begin and not path.is_closed:
        return ZERO  # adopted since: what it has won before is not known, and not counted
    if step is None:
        return None  # the book does not go back so far
    if not step.qty:
        return ZERO
    line = worth.marks.get(contract.symbol)
    mark = None if line is None else line.before(period.begin)
    rate = worth.rate(contract.settle, period.begin)
    if mark is None or rate is None:
        return None
    return contract.multiplier * (contract.worth(step.qty, mark) - step.cost) * rate
