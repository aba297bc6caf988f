"""What was known at any fact, read from the files beside the riskd that writes them.

It takes no lock and changes nothing. The nearest snapshot that can be used saves reading all facts
from the first.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from ..actors.messages import Recorded
from ..actors.ports import Disk
from .journal import JournalError, SnapshotUnusable
from .journal.files import names_in
from .journal.reader import Cursor, oldest_lsn
from .journal.snapshots import load, snapshot_lsns
from .ledger import Projection, restore

BATCH_BYTES = 1_048_576


def bring(disk: Disk, directory: Path, projections: Sequence[Projection], lsn: int) -> None:
    """Projections to where they are once this fact has been applied. Raises JournalError."""
    deque(walk(disk, directory, projections, lsn + 1, lsn), maxlen=0)


def walk(
    disk: Disk,
    directory: Path,
    projections: Sequence[Projection],
    first: int,
    last: int | None = None,
) -> Iterator[Recorded]:
    """The facts from `first` to `last`, or as many as there are. Each is given when the projections
    have all before it, and applied when the next one is asked for. Raises JournalError."""
    begin = _restored(disk, directory, projections, first - 1)
    decode = msgspec.json.Decoder(Recorded).decode
    with Cursor(disk, directory, begin) as cursor:
        while facts := cursor.read(BATCH_BYTES, last):
            for lsn, payload in facts:
                try:
                    recorded = decode(payload)
                except ValueError as error:
                    said = f"fact {lsn} can't be read by this version of riskd: {error}"
                    raise JournalError(f"{directory}: {said}; use the one that wrote it") from error
                if lsn >= first:
                    yield recorded
                for projection in projections:
                    projection.apply(recorded)
        if last is not None and cursor.lsn < last:
            raise JournalError(f"{directory}: there is no fact {cursor.lsn + 1} yet")


def _restored(disk: Disk, directory: Path, projections: Sequence[Projection], lsn: int) -> int:
    """The fact that they begin behind: at most this one."""
    oldest = oldest_lsn(disk, directory)
    for snapshot in snapshot_lsns(names_in(disk, directory)):
        if oldest - 1 <= snapshot <= lsn:
            try:
                restore(projections, load(disk, directory, snapshot))
            except (SnapshotUnusable, ValueError):
                continue
            return snapshot
    if oldest > 1:
        raise JournalError(
            f"{directory}: the facts before {oldest} are gone, and no snapshot is left from which "
            f"fact {lsn + 1} could be reached; ask for a later one, or put the archived segments "
            f"back, and with --state-dir ask a copy that has them"
        )
    restore(projections, None)
    return 0
