"""What is done about what a crash, a power cut or rot has left. Pure: the table, and its reasons.

Bytes that are no frame lie where one was expected. Three things can have happened:

* the last write was cut short, by a kill or a power cut. Nothing whole lies behind it. What is
  missing was never called safe on the disk by anybody who is still there: it is TORN off;
* a power cut took some of the writes that were not yet safe, and left later ones: the disk writes
  in an order of its own. That takes a boot of the machine in between, and no frame behind the
  damage may know that the missing one had been safe: the facts from there on are LOST;
* something else: DAMAGED. Facts that were safe are gone or changed, and no program may decide
  what should have been there.

TORN and LOST are repaired at the start, evidence is kept and a fact says so. DAMAGED refuses it.
A kill can't leave a hole: what a process has written the kernel keeps in its order. So in the
same boot whole frames behind a hole are damage, always; and so is a whole frame that continues
another history. After a reboot that one may be LOST too: on a full disk what tightens takes the
place of what did not fit, and a power cut can keep a part of either.
"""

import enum
from collections.abc import Iterable

from .format import FITS_ELSEWHERE, Debris, FrameFault, HeaderFault


class Judgement(enum.Enum):
    """What is done about a place where the journal doesn't go on."""

    END = "the end of the log: replay"
    TORN = "the last write was cut short: keep the evidence, cut it off, replay, tell"
    LOST = "a power cut took what was not yet safe: keep the evidence, cut it off, replay, tell"
    DAMAGED = "safe facts are gone or changed: refuse to start, change nothing"


def judge_frame(
    fault: FrameFault | None, missing_lsn: int, behind: Iterable[Debris], *, rebooted: bool
) -> Judgement:
    """`missing_lsn` should begin at the fault. `behind`: every whole frame found further on, here
    and in later segments. `rebooted`: all of these were written in an earlier boot."""
    later = tuple(behind)
    if fault is None and not later:
        return Judgement.END
    if not later:
        return Judgement.DAMAGED if fault in FITS_ELSEWHERE else Judgement.TORN
    if rebooted and all(frame.safe_lsn < missing_lsn for frame in later):
        return Judgement.LOST
    return Judgement.DAMAGED


def judge_header(
    fault: HeaderFault,
    first_lsn: int,
    behind: Iterable[Debris],
    *,
    began: bool,
    is_only: bool,
    rebooted: bool,
) -> Judgement:
    """`began`: there are bytes behind the header. `is_only`: no segment stands before it."""
    later = tuple(behind)
    if is_only or fault is HeaderFault.VERSION:
        # The first header is on the disk before the segment has its name: no crash leaves this.
        return Judgement.DAMAGED
    if not later and not began:
        return Judgement.TORN
    if rebooted and all(frame.safe_lsn < first_lsn for frame in later):
        return Judgement.LOST
    return Judgement.DAMAGED
