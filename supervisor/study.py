"""A study: a short-lived process beside riskd that works out what would keep its loop from trading.

It reads one request from its standard input, writes one answer, and ends. It reads the files of the
journal and touches nothing. It comes after everybody else who wants the processor; its time is
bounded by whoever starts it and, if that one is gone, by itself.
"""

import resource
import sys
from datetime import datetime
from pathlib import Path

import msgspec

from ..actors.core.gate.explained import explained
from ..actors.core.gate.supposed import NotSupposed, World
from ..actors.core.gate.view import Moment
from ..actors.core.kill_switch import NotAllowed
from ..actors.core.position_keeper import NotBooked
from ..actors.messages import OrderDecided, WhatIf
from ..adapters.disk import SystemDisk
from .journal import JournalError
from .known import Known
from .recollection import bring, walk

START = ("-P", "-c", "import os; os.nice(19); from riskd.supervisor.study import main; main()")
"""What the interpreter is told. It steps back before it loads anything."""
TIME_S = 60
"""Of the processor. More than whoever starts it waits."""


class ExplainRequest(msgspec.Struct, tag="explain", frozen=True):
    """The decision of this fact. `worker`: whose it has to be; None: anybody's."""

    directory: str
    """With the journal in it."""
    lsn: int
    worker: str | None = None


class SupposeRequest(msgspec.Struct, tag="suppose", frozen=True):
    """A question, of what is known at a fact, at a moment."""

    directory: str
    lsn: int
    at: datetime
    monotonic_s: float
    question: WhatIf


class Answer(msgspec.Struct, frozen=True):
    """Documents, or why there are none: a code, and words."""

    found: list[dict[str, object]] = []
    refused: tuple[str, str] | None = None


Request = ExplainRequest | SupposeRequest


def answer(request: Request) -> Answer:
    """The work. What can't be had is said."""
    try:
        return _explain(request) if isinstance(request, ExplainRequest) else _suppose(request)
    except JournalError as error:
        return Answer(refused=("journal", str(error)))
    except (NotAllowed, NotBooked, NotSupposed) as no:
        return Answer(refused=(no.code, str(no)))


def _explain(request: ExplainRequest) -> Answer:
    known, lsn = Known(), request.lsn
    facts = walk(SystemDisk(), Path(request.directory), known.projections(), lsn, lsn)
    fact = next(facts).fact
    if not isinstance(fact, OrderDecided):
        tag = type(fact).__struct_config__.tag
        said = f"fact {lsn} is {tag!r}, and no decision: ask for the decision_id of an answer"
        return Answer(refused=("no_decision", said))
    if request.worker not in (None, fact.worker):
        return Answer(refused=("not_your_order", f"decision {lsn} is of somebody else's order"))
    return Answer(found=[explained(lsn, fact, known.knowledge())])


def _suppose(request: SupposeRequest) -> Answer:
    known = Known()
    bring(SystemDisk(), Path(request.directory), known.projections(), request.lsn)
    world = World(
        books=known.books,
        limits=known.limits,
        knowledge=known.knowledge,
        projections=known.projections(),
        lsn=request.lsn,
        moment=Moment(request.at, request.monotonic_s),
    )
    return Answer(found=world.answer(request.question))


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (TIME_S, TIME_S))
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    sys.stdout.buffer.write(msgspec.json.encode(answer(request)))
