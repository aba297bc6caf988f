"""`riskctl positions`, `orders` and `pnl`: what riskd's books say now, or again and again.

riskd answers in pages; here they are one document, which says whether all of it is of one moment.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from ...actors.messages import (
    OrdersAre,
    PnlIs,
    PositionsAre,
    ShowOrders,
    ShowPnl,
    ShowPositions,
)
from . import watching
from .options import everywhere
from .page import Page
from .talk import COMPLETION_TIMEOUT_S, Failure, ask, emit, settings

F = TypeVar("F", bound=Callable[..., Any])
Document = dict[str, Any]

NAME_CHARACTERS_MAX = 128
SYMBOL_CHARACTERS_MAX = 64
EVERY_S = "2"


# --- what is given --------------------------------------------------------------------------------


def _names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    with ctx.scope(cleanup=False):
        settings().timeout = COMPLETION_TIMEOUT_S
        try:
            found = ask(ShowOrders(limit=1), OrdersAre).accounts
        except Failure:
            return []
    return [CompletionItem(name) for name in found if name.startswith(incomplete)]


def _text(characters_max: int) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """What riskd would refuse is a wrong command line, and never gets as far as riskd."""

    def check(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
        if value is not None and not 1 <= len(value) <= characters_max:
            raise click.BadParameter(f"write 1 to {characters_max} characters")
        return value

    return check


_account = click.option(
    "--account",
    metavar="NAME",
    callback=_text(NAME_CHARACTERS_MAX),
    shell_complete=_names,
    help="Of this account alone.",
)
_symbol = click.option(
    "--symbol",
    metavar="SYMBOL",
    callback=_text(SYMBOL_CHARACTERS_MAX),
    help="Of this instrument alone.",
)
_watch = click.option(
    "--watch",
    "every_s",
    is_flag=False,
    flag_value=EVERY_S,
    type=click.FloatRange(0.1, 3600),
    metavar="[SECONDS]",
    help=f"Look again and again, until Ctrl-C; every {EVERY_S} seconds unless you say otherwise. "
    "With --json one document a line.",
)


# --- asking ---------------------------------------------------------------------------------------


def _whole(look: Callable[[], tuple[set[int], Document]]) -> Document:
    """A document of many pages. If the book changed on the way it is read once more; a book in
    which much happens changes all the time, so then it is as it is, and says so."""
    for _ in range(2):
        lsns, document = look()
        if len(lsns) <= 1:
            break
    return {"lsn": max(lsns, default=None), "is_of_one_moment": len(lsns) <= 1, **document}


def _positions(account: str | None, symbol: str | None) -> tuple[set[int], Document]:
    lsns, rows = set[int](), list[Document]()
    after = None
    while True:
        asked = ShowPositions(account=account, symbol=symbol, after=after)
        reply = ask(asked, PositionsAre)
        lsns.add(reply.lsn)
        rows += reply.positions
        if not reply.more or not rows:
            return lsns, {"accounts": reply.accounts, "positions": rows}
        after = (str(rows[-1]["account"]), str(rows[-1]["symbol"]))


def _orders(account: str | None, symbol: str | None) -> tuple[set[int], Document]:
    lsns, rows = set[int](), list[Document]()
    after = None
    while True:
        reply = ask(ShowOrders(account=account, symbol=symbol, after=after), OrdersAre)
        lsns.add(reply.lsn)
        rows += reply.orders
        if not reply.more or not rows:
            return lsns, {"accounts": reply.accounts, "orders": rows}
        after = (str(rows[-1]["account"]), str(rows[-1]["id"]))


def _pnl(account: str | None) -> tuple[set[int], Document]:
    reply = ask(ShowPnl(account=account), PnlIs)
    lsns = {row["lsn"] for row in reply.accounts if isinstance(row.get("lsn"), int)} or {reply.lsn}
    return lsns, {"accounts": reply.accounts}  # type: ignore[return-value]  # see the line above


def _tell(
    look: Callable[[], tuple[set[int], Document]],
    words: Callable[[Mapping[str, Any]], Page],
    every_s: float | None,
) -> None:
    if every_s is None:
        document = _whole(look)
        emit(document, words(document))
    else:
        watching.watch(partial(_whole, look), words, every_s)


# --- commands -------------------------------------------------------------------------------------


@click.command()
@_account
@_symbol
@_watch
@everywhere
def positions(account: str | None, symbol: str | None, every_s: float | None) -> None:
    """What is held, what it has brought, and what it is worth at the mark.

    Every instrument in which anything has happened, with totals by account and currency.
    """
    from . import show_accounts as show  # noqa: PLC0415 - status must not wait for it

    _tell(partial(_positions, account, symbol), show.positions, every_s)


@click.command()
@_account
@_symbol
@_watch
@everywhere
def orders(account: str | None, symbol: str | None, every_s: float | None) -> None:
    """The orders that still count: until they are confirmed gone, whatever was asked of them."""
    from . import show_accounts as show  # noqa: PLC0415 - see above

    _tell(partial(_orders, account, symbol), show.orders, every_s)


@click.command()
@_account
@_watch
@everywhere
def pnl(account: str | None, every_s: float | None) -> None:
    """Profit and loss, equity, drawdown and exposure by account, and what is odd in its book."""
    from . import show_accounts as show  # noqa: PLC0415 - see above

    _tell(partial(_pnl, account), show.pnl, every_s)


COMMANDS = (positions, orders, pnl)
