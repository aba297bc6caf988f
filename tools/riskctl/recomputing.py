"""Making decisions again from the files of a journal, as long as it takes."""

from pathlib import Path
from typing import Any

from ...actors.core.gate.explained import is_same, verdict
from ...actors.core.gate.explained import recompute as decide_again
from ...actors.messages import OrderDecided
from ...adapters.disk import SystemDisk
from ...supervisor.journal.reader import oldest_lsn
from ...supervisor.journal.verification import newest_lsn
from ...supervisor.known import Known
from ...supervisor.recollection import walk
from ...supervisor.study import ExplainRequest, answer
from . import page
from .history import place, reading
from .talk import REFUSED, Failure

UNEQUAL_TOLD_MAX = 100
Document = dict[str, Any]


def recompute(given: Path | None, first: int | None, last: int | None) -> Document:
    """Every decision of a range: how many there are, and which come out otherwise."""
    directory, disk, known = place(given), SystemDisk(), Known()
    count, unequal, told = 0, 0, list[Document]()
    with reading(directory), page.progress("deciding", lambda: newest_lsn(disk, directory)) as seen:
        begin = first or oldest_lsn(disk, directory)
        for recorded in walk(disk, directory, known.projections(), begin, last):
            fact = recorded.fact
            if not isinstance(fact, OrderDecided):
                continue
            count += 1
            again = decide_again(fact, known.knowledge())
            if not is_same(fact, again):
                unequal += 1
                if len(told) < UNEQUAL_TOLD_MAX:
                    told.append(
                        {
                            "decision_id": str(recorded.lsn),
                            "verdict": verdict(fact.verdict),
                            "recomputed": verdict(again.verdict),
                        }
                    )
            seen(recorded.lsn)
    return {"decisions": count, "equal": count - unequal, "unequal": unequal, "told": told}


def explained(given: Path, lsn: int) -> Document:
    """One, as riskd explains it."""
    directory = place(given)
    with reading(directory):
        found = answer(ExplainRequest(str(directory), lsn))
    if found.refused is not None:
        raise Failure(REFUSED, *found.refused)
    return found.found[0]
