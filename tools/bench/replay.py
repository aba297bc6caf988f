"""How fast a start reads facts that no snapshot covers: every check made, every fact applied.

The peer reads the same files and decodes the same payloads, and checks and keeps nothing.
"""

import struct
import tempfile
from pathlib import Path

import msgspec

from ...actors.messages import Recorded
from ...adapters.clock import SystemClock
from ...adapters.disk import SystemDisk
from ...supervisor.journal.files import segment_firsts, segment_name
from ...supervisor.journal.format import FRAME_BYTES, HEADER_BYTES, SEAL, framed_bytes
from ...supervisor.past import SupervisionHistory
from ...supervisor.recall import JOURNAL, recall
from .ledgers import committing, opened
from .processes import Broken
from .results import Result, at_least, in_turn, rate, timed

REPLAYED_MIN = 300_000
TIMES = 5
_LENGTH = struct.Struct("<I")
_LENGTH_OFFSET = 16


def measure(n: int, *, times: int = TIMES) -> list[Result]:
    with tempfile.TemporaryDirectory(prefix="riskd-") as place:
        with opened(Path(place)) as ledger:
            commit = committing(ledger)
            for _ in range(n):
                commit()
        directory = Path(place, JOURNAL)
        ours, theirs = in_turn(
            times, timed(lambda: _recall(directory, n)), timed(lambda: _decode(directory, n))
        )
        segments = len(segment_firsts([path.name for path in directory.iterdir()]))
    figure = rate(ours, n)
    return [
        Result(
            name="replay of facts",
            n=times,
            figure=figure,
            peer_name="read and decoded",
            peer=rate(theirs, n),
            promise=at_least(REPLAYED_MIN, figure),
            note=f"{n:,} of them, in segments: {segments}",
        )
    ]


def _recall(directory: Path, n: int) -> None:
    found = recall(SystemDisk(), directory, SystemClock().boot(), [SupervisionHistory()]).survey.end
    if found is None or found.lsn != n:
        raise Broken(f"of {n} facts these were replayed: {found}")


def _decode(directory: Path, n: int) -> None:
    decode = msgspec.json.Decoder(Recorded).decode
    lsn = 0
    for first in segment_firsts([path.name for path in directory.iterdir()]):
        data = memoryview((directory / segment_name(first)).read_bytes().removesuffix(SEAL))
        offset = HEADER_BYTES
        while offset < len(data) and (
            length := _LENGTH.unpack_from(data, offset + _LENGTH_OFFSET)[0]
        ):
            start = offset + FRAME_BYTES
            lsn = decode(data[start : start + length]).lsn
            offset += framed_bytes(length)
    if lsn != n:
        raise Broken(f"the last of {n} facts that was decoded is {lsn}")
