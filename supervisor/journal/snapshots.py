"""Snapshots: what the facts up to one of them add up to, so that a start needs only the rest.

    header, 80 bytes, little-endian
     0   8  magic      b"riskdsnp"
     8   4  version    of this format
    12   4  frame      the checksum of the frame of that fact: which history it belongs to
    16   8  lsn        of the last fact in it
    24   8  length     of the body
    32  32  digest     SHA-256 of the header up to here and the body
    64  16  zeros
    80  ..  body       JSON: the state of each projection under its name, with its version

A snapshot is written beside, synced, renamed to `<LSN>.snapshot`, and the directory synced: it is
there whole or not at all. It saves time and holds nothing that the facts don't: one that can't be
used is left out, for the one before it or for all facts from the first.
"""

import re
import struct
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import attrs

from ...actors.ports import Disk
from .files import read_whole, write_beside

MAGIC = b"riskdsnp"
VERSION = 1
HEADER_BYTES = 80
_HEADER = struct.Struct("<8sIIQQ32s16x")
_NAMED = struct.Struct("<8sIIQQ")
_NAME = re.compile(r"(\d{20})\.snapshot")


class SnapshotUnusable(Exception):
    """The text says which and why. The one before it serves, or the facts themselves."""


@attrs.frozen
class Snapshot:
    """The body as it is written, and what it is of."""

    lsn: int
    frame: int
    body: Iterable[bytes]
    """In pieces. Of a snapshot that is being taken each is made when it is asked for, once."""


def snapshot_name(lsn: int) -> str:
    return f"{lsn:020}.snapshot"


def snapshot_lsns(names: list[str]) -> list[int]:
    """Of what lies in a directory, newest first."""
    found = (_NAME.fullmatch(name) for name in names)
    return sorted((int(match[1]) for match in found if match), reverse=True)


def encode(snapshot: Snapshot) -> list[bytes]:
    """The whole file, in pieces."""
    body = list(snapshot.body)
    named = MAGIC, VERSION, snapshot.frame, snapshot.lsn, sum(map(len, body))
    digest = sha256(_NAMED.pack(*named))
    for piece in body:
        digest.update(piece)
    return [_HEADER.pack(*named, digest.digest()), *body]


def decode(data: bytes, lsn: int) -> Snapshot:
    """The snapshot of that fact. Raises SnapshotUnusable."""
    if len(data) < HEADER_BYTES:
        raise SnapshotUnusable("it is cut off")
    magic, version, frame, named, length, digest = _HEADER.unpack(data[:HEADER_BYTES])
    body = memoryview(data)[HEADER_BYTES:]
    if magic != MAGIC:
        raise SnapshotUnusable("it is no snapshot of riskd")
    if version != VERSION:
        raise SnapshotUnusable(f"it is of version {version}, and this riskd reads {VERSION}")
    found = sha256(data[: _NAMED.size])
    found.update(body)
    if length != len(body) or found.digest() != digest:
        raise SnapshotUnusable("it fails its checksum")
    if data[_HEADER.size - 16 : HEADER_BYTES].strip(b"\0"):
        raise SnapshotUnusable("its header does not end in zeros")
    if named != lsn:
        raise SnapshotUnusable(f"it is of fact {named}")
    return Snapshot(lsn, frame, (bytes(body),))


def load(disk: Disk, directory: Path, lsn: int) -> Snapshot:
    """Read and check one. Raises SnapshotUnusable."""
    try:
        return decode(read_whole(disk, directory / snapshot_name(lsn)), lsn)
    except OSError as error:
        raise SnapshotUnusable(str(error)) from error


def save(disk: Disk, directory: Path, snapshot: Snapshot) -> None:
    """Write one. ONLY AFTER its facts are safe on the disk, or it would know of facts that are not
    there after a power cut."""
    write_beside(disk, directory / snapshot_name(snapshot.lsn), *encode(snapshot))
