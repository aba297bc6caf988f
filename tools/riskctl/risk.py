"""`riskctl risk`: how bad things are, by riskd's figures and by the word of others."""

import click

from ...actors.messages import Name, RiskIs, ShowRisk
from . import show_risk as show
from .options import everywhere, fits
from .talk import ask, emit


@click.command()
@click.option(
    "--account",
    metavar="NAME",
    callback=fits(Name, "a name: write 1 to 128 characters"),
    help="Only this account, its exchange and everything.",
)
@everywhere
def risk(account: str | None) -> None:
    """The risk signal of each account, each exchange and everything, with its figures."""
    reply = ask(ShowRisk(account=account), RiskIs)
    document = {
        "lsn": reply.lsn,
        "level": reply.level,
        "scopes": reply.scopes,
        "sources": reply.sources,
    }
    emit(document, show.risk(document))
