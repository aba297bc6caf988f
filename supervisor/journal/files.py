"""Names in the journal's directory, and files that are there whole or not at all."""

import contextlib
import re
from pathlib import Path

from ...actors.ports import Disk

ARCHIVE = "archive"
PREPARED = "next"
"""The file that the next segment will be: it has its room on the disk, and no name yet."""
BESIDE = ".new"
EVIDENCE = ".broken"
"""How the names of what was cut off or set aside end."""
_SEGMENT = re.compile(r"(\d{20})\.log")
_ARCHIVED = re.compile(r"(\d{20})\.log\.gz")


def segment_name(first: int) -> str:
    return f"{first:020}.log"


def archived_name(first: int) -> str:
    return f"{first:020}.log.gz"


def segment_firsts(names: list[str]) -> list[int]:
    """The first LSNs of the segments among these names, in order."""
    return [int(match[1]) for name in sorted(names) if (match := _SEGMENT.fullmatch(name))]


def archived_firsts(names: list[str]) -> list[int]:
    """The same for the archive."""
    return [int(match[1]) for name in sorted(names) if (match := _ARCHIVED.fullmatch(name))]


def names_in(disk: Disk, directory: Path) -> list[str]:
    """What is in a directory that may not be there."""
    try:
        return disk.names(directory)
    except FileNotFoundError:
        return []


def read_whole(disk: Disk, path: Path) -> bytes:
    file = disk.open(path)
    try:
        return file.read(0, file.size())
    finally:
        file.close()


def write_beside(disk: Disk, path: Path, *pieces: bytes) -> None:
    """Make `path` hold these. WHEN IT RETURNS they are on the disk; before, what was there is."""
    beside = path.with_name(path.name + BESIDE)
    with contextlib.suppress(FileNotFoundError):
        disk.remove(beside)
    file = disk.create(beside, sum(map(len, pieces)))
    try:
        end = 0
        for piece in pieces:
            file.write(end, piece)
            end += len(piece)
        file.sync()
    finally:
        file.close()
    disk.rename(beside, path)
    disk.sync_directory(path.parent)


def evidence_path(disk: Disk, path: Path) -> Path:
    """A name beside `path` for what will be kept of it, that nothing has yet."""
    taken = set(names_in(disk, path.parent))
    number = 1
    while f"{path.name}.{number}{EVIDENCE}" in taken:
        number += 1
    return path.with_name(f"{path.name}.{number}{EVIDENCE}")
