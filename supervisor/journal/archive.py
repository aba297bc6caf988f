"""Putting away what no start needs: compressed, checked, and only then removed.

Two snapshots are kept, so that one may be bad. Segments that end before the older of them go to
`archive/`, each as a gzip file that any tool can read. They are deleted by age alone, and only if
the configuration names one.
"""

import gzip
import zlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path

from ...actors.ports import Disk
from .files import (
    ARCHIVE,
    archived_firsts,
    archived_name,
    names_in,
    read_whole,
    segment_firsts,
    segment_name,
    write_beside,
)
from .format import Frames, Header, decode_header
from .reader import NOT_UNPACKED, PIECE_BYTES, Unpacked
from .snapshots import SnapshotUnusable, load, snapshot_lsns, snapshot_name

SNAPSHOTS_KEPT = 2
_LEVEL = 6
_GZIP = 31
"""What zlib calls gzip's own form, with the largest window."""


def put_away(disk: Disk, directory: Path) -> list[int]:
    """Archive the segments that are no longer needed, and drop the snapshots beyond those that are
    kept; the first LSNs of what was archived. Raises OSError, and can be called again."""
    names = names_in(disk, directory)
    good = (lsn for lsn in snapshot_lsns(names) if _is_good(disk, directory, lsn))
    kept = list(islice(good, SNAPSHOTS_KEPT))
    if len(kept) < SNAPSHOTS_KEPT:
        return []
    for lsn in snapshot_lsns(names):
        if lsn < kept[-1]:
            disk.remove(directory / snapshot_name(lsn))
    firsts = segment_firsts(names)
    done = [first for first, following in pairwise(firsts) if following - 1 < kept[-1]]
    for first in done:
        _archive(disk, directory, first)
    return done


def _is_good(disk: Disk, directory: Path, lsn: int) -> bool:
    """One that has rotted is not counted: a start could do nothing with it."""
    try:
        load(disk, directory, lsn)
    except SnapshotUnusable:
        return False
    return True


def _archive(disk: Disk, directory: Path, first: int) -> None:
    live = directory / segment_name(first)
    target = directory / ARCHIVE / archived_name(first)
    disk.make_directory(target.parent)
    packer = zlib.compressobj(_LEVEL, wbits=_GZIP)
    packed = b"".join(map(packer.compress, _pieces(disk, live))) + packer.flush()
    write_beside(disk, target, packed)
    if not _holds(disk, target, live):
        raise OSError(f"{target}: does not hold what was written; {live.name} is kept")
    disk.remove(live)
    disk.sync_directory(directory)


def _holds(disk: Disk, target: Path, live: Path) -> bool:
    """Does it unpack to the same bytes, its own checksum right?"""
    unpacked, end = Unpacked(disk.open(target)), 0
    try:
        for piece in _pieces(disk, live):
            if unpacked.read(end, len(piece)) != piece:
                return False
            end += len(piece)
        return not unpacked.read(end, 1)
    except NOT_UNPACKED:
        return False
    finally:
        unpacked.close()


def _pieces(disk: Disk, path: Path) -> Iterator[bytes]:
    """A file bit by bit: riskd's memory doesn't grow by the segments that it puts away."""
    file = disk.open(path)
    try:
        for offset in range(0, file.size(), PIECE_BYTES):
            yield file.read(offset, PIECE_BYTES)
    finally:
        file.close()


def forget(
    disk: Disk,
    directory: Path,
    before: datetime,
    written_at: Callable[[bytes], datetime],
) -> list[int]:
    """Delete archived segments whose last fact was written before that time, oldest first."""
    place = directory / ARCHIVE
    firsts = archived_firsts(names_in(disk, place))
    gone = []
    for first in firsts:
        times = [written_at(payload) for payload in _last(disk, place / archived_name(first))]
        if not times or times[0] >= before:
            break
        disk.remove(place / archived_name(first))
        gone.append(first)
    if gone:
        disk.sync_directory(place)
    return gone


def _last(disk: Disk, path: Path) -> Iterator[bytes]:
    """The last fact of an archived segment, if it has one that can be read."""
    data = gzip.decompress(read_whole(disk, path))
    header = decode_header(data)
    if isinstance(header, Header):
        payload = b""
        for _, view in Frames.of(header, data):
            payload = bytes(view)
        if payload:
            yield payload


def days_before(now: datetime, days: float) -> datetime:
    return now - timedelta(days=days)
