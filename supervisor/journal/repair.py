"""Cutting off what can't be read, and keeping every byte of it beside the journal.

What is kept is named by the fact of the repair; the supervisor's `intent` makes that sure. The
steps are ordered so that a crash between any two of them leaves a journal that the next start
repairs in the same way: first the seal of what will be the last segment, then those behind the cut,
newest first, then the evidence of the cut, then the cut.
"""

import contextlib
from pathlib import Path

from ...actors.ports import Disk
from .errors import JournalDamaged
from .files import evidence_path, read_whole, write_beside
from .format import HEADER_BYTES, SEAL
from .opening import Repair, Survey
from .recovery import Judgement
from .snapshots import snapshot_name


def repair(survey: Survey) -> Repair | None:
    """Do what the walk of the survey found necessary. None: nothing was. Raises OSError.

    WHEN IT RETURNS the cut is on the disk.
    """
    cut = survey.cut
    if cut is None:
        return None
    disk = survey.disk
    behind = [
        segment.path
        for segment in reversed(survey.segments)
        if segment.first >= cut.lsn and (segment.path != cut.path or cut.offset == 0)
    ]
    newer = [survey.directory / snapshot_name(lsn) for lsn in survey.snapshots if lsn >= cut.lsn]
    kept = [segment for segment in survey.segments if segment.path not in behind]
    if kept and not kept[-1].is_archived and not (cut.offset and kept[-1].path == cut.path):
        _unseal(disk, kept[-1].path)
    for path in (*newer, *behind):
        move_aside(disk, path)
    if cut.offset:
        _cut(disk, cut.path, cut.offset)
    disk.sync_directory(survey.directory)
    return cut


def give_up(survey: Survey, damage: JournalDamaged) -> Repair:
    """Make the damage a cut: somebody has decided to go on without what lies behind it."""
    offset = damage.offset if damage.offset >= HEADER_BYTES else 0
    survey.cut = Repair(damage.path, damage.lsn, offset, 0, Judgement.DAMAGED)
    return survey.cut


def set_aside(survey: Survey, kept: int) -> None:
    """Take all segments but the last `kept` out of the journal: no start needs them.

    Oldest first, so that a crash in between leaves no gap.
    """
    for segment in survey.segments[: len(survey.segments) - kept]:
        move_aside(survey.disk, segment.path)
    survey.disk.sync_directory(survey.directory)


def move_aside(disk: Disk, path: Path) -> None:
    """Take a file out of the journal, and keep it under another name."""
    disk.rename(path, evidence_path(disk, path))


def _unseal(disk: Disk, path: Path) -> None:
    """It will be the last one."""
    file = disk.open(path, writable=True)
    try:
        end = file.size() - len(SEAL)
        if file.read(end, len(SEAL)) == SEAL:
            file.resize(end)
            file.sync()
    finally:
        with contextlib.suppress(OSError):
            file.close()


def _cut(disk: Disk, path: Path, offset: int) -> None:
    write_beside(disk, evidence_path(disk, path), read_whole(disk, path))
    file = disk.open(path, writable=True)
    try:
        file.resize(offset)
        file.sync()
    finally:
        with contextlib.suppress(OSError):
            file.close()
