"""`riskctl journal repair`: what going on without the damage costs, and then doing it."""

import sys
from pathlib import Path

import click

from ...adapters.clock import SystemClock
from ...adapters.disk import SystemDisk
from ...supervisor.known import Known
from ...supervisor.mending import Plan, look, mend
from .history import place, reading
from .page import Line
from .talk import REFUSED, USAGE, Failure, emit, settings


def repair(given: Path | None, give_up: int | None, *, yes: bool) -> None:
    """Mend it when the word is given; say what the word is when it is not."""
    directory = place(given)
    state_dir = directory.parent
    if directory != state_dir / "journal":
        raise Failure(USAGE, "usage", f"{directory}: name the state directory, not a copy's folder")
    with reading(directory):
        plan = look(SystemDisk(), state_dir, SystemClock(), Known().projections())
        if plan is None:
            document = {"damaged": False, "directory": str(directory)}
            emit(document, [Line(f"{directory}: nothing is damaged; there is nothing to do")])
            return
        if give_up is None:
            raise _word_wanted(plan)
        if not yes:
            _ask(plan)
        clock, known = SystemClock(), Known()
        fact = mend(SystemDisk(), state_dir, clock, known.projections(), from_lsn=give_up)
    document = {
        "damaged": True,
        "directory": str(directory),
        "lost_lsn": fact.lost_lsn,
        "kept_known": plan.kept > 0,
        "evidence": list(fact.evidence),
    }
    kept = [Line(f"  kept as {name}") for name in fact.evidence]
    emit(document, [Line(f"{directory}: mended; {plan.costs}"), *kept])


def _word_wanted(plan: Plan) -> Failure:
    lsn = plan.damage.lsn
    remedy = f"to do it: riskctl journal repair --give-up {lsn}, with riskd stopped"
    problems = [plan.costs, remedy]
    return Failure(REFUSED, "damaged", str(plan.damage), problems, lsn=lsn)


def _ask(plan: Plan) -> None:
    """On a terminal only: a program that gives the word has said all there is to say."""
    if not sys.stdin.isatty() or settings().json:
        return
    click.echo(plan.costs, err=True)
    click.confirm(f"Give up what begins at fact {plan.damage.lsn}?", abort=True, err=True)
