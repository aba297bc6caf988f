"""What is done about what a crash, a power cut or rot has left: every cell of the table."""

from itertools import product

import attrs
import pytest
from riskd.supervisor.journal.format import Debris, FrameFault, HeaderFault
from riskd.supervisor.journal.recovery import Judgement, judge_frame, judge_header

END, TORN, LOST, DAMAGED = Judgement

MISSING = 10
BEHIND = {
    "nothing": (),
    "frames that knew it was not safe": (Debris(11, 9), Debris(12, 9)),
    "a frame that knew it was safe": (Debris(11, 10),),
    "one of several that knew it was safe": (Debris(11, 9), Debris(13, 10), Debris(14, 9)),
}
NOTHING, UNSAFE, SAFE, ONE_SAFE = BEHIND


@attrs.frozen
class Row:
    """What is done in the same boot, and in a later one."""

    same: Judgement
    later: Judgement


ALWAYS_END = Row(END, END)
ALWAYS_TORN = Row(TORN, TORN)
POWER = Row(DAMAGED, LOST)
ALWAYS_DAMAGED = Row(DAMAGED, DAMAGED)
NO_FRAME = {NOTHING: ALWAYS_TORN, UNSAFE: POWER, SAFE: ALWAYS_DAMAGED, ONE_SAFE: ALWAYS_DAMAGED}
FOREIGN = {**NO_FRAME, NOTHING: ALWAYS_DAMAGED}
"""It is whole, and so among those that were found."""

FRAMES: dict[FrameFault | None, dict[str, Row]] = {
    None: {**NO_FRAME, NOTHING: ALWAYS_END},
    FrameFault.SHORT: NO_FRAME,
    FrameFault.LENGTH: NO_FRAME,
    FrameFault.CHECKSUM: NO_FRAME,
    FrameFault.ZEROS: NO_FRAME,
    FrameFault.UNFINISHED: NO_FRAME,
    FrameFault.CHAIN: FOREIGN,
    FrameFault.GAP: FOREIGN,
}


def test_every_fault_of_a_frame_has_a_row_without_an_empty_cell() -> None:
    assert set(FRAMES) == {None, *FrameFault}
    assert all(set(row) == set(BEHIND) for row in FRAMES.values())


@pytest.mark.parametrize(("fault", "behind"), list(product(FRAMES, BEHIND)), ids=str)
def test_a_frame_that_is_none_is_judged_as_the_table_says(
    fault: FrameFault | None, behind: str
) -> None:
    row = FRAMES[fault][behind]
    assert judge_frame(fault, MISSING, iter(BEHIND[behind]), rebooted=False) is row.same
    assert judge_frame(fault, MISSING, iter(BEHIND[behind]), rebooted=True) is row.later


# --- headers --------------------------------------------------------------------------------------

BARE = "a bare header"
BEGUN = "a segment with bytes in it"
ALONE = "the first segment"
NO_HEADER = {
    (BARE, NOTHING): ALWAYS_TORN,
    (BARE, UNSAFE): POWER,
    (BARE, SAFE): ALWAYS_DAMAGED,
    (BARE, ONE_SAFE): ALWAYS_DAMAGED,
    (BEGUN, NOTHING): POWER,
    (BEGUN, UNSAFE): POWER,
    (BEGUN, SAFE): ALWAYS_DAMAGED,
    (BEGUN, ONE_SAFE): ALWAYS_DAMAGED,
    **{(ALONE, behind): ALWAYS_DAMAGED for behind in BEHIND},
}
HEADERS = {
    fault: dict.fromkeys(NO_HEADER, ALWAYS_DAMAGED) if fault is HeaderFault.VERSION else NO_HEADER
    for fault in HeaderFault
}


@pytest.mark.parametrize(
    ("fault", "where", "behind"), list(product(HEADERS, (BARE, BEGUN, ALONE), BEHIND)), ids=str
)
def test_a_header_that_is_none_is_judged_as_the_table_says(
    fault: HeaderFault, where: str, behind: str
) -> None:
    row = HEADERS[fault][where, behind]
    for rebooted, expected in ((False, row.same), (True, row.later)):
        for began in (True, False) if where == ALONE else (where == BEGUN,):
            judgement = judge_header(
                fault,
                MISSING,
                iter(BEHIND[behind]),
                began=began,
                is_only=where == ALONE,
                rebooted=rebooted,
            )
            assert judgement is expected
