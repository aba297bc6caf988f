"""Putting a segment away: only what the archive can be seen to hold is removed."""

import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from riskd.actors.ports import Disk
from riskd.adapters.disk import SystemDisk
from riskd.supervisor.journal import Snapshot, archive
from riskd.supervisor.journal.archive import put_away
from riskd.supervisor.journal.files import archived_name, segment_name
from riskd.supervisor.journal.reader import PIECE_BYTES
from riskd.supervisor.journal.snapshots import save


def full(directory: Path, data: bytes) -> Path:
    """A segment that no kept snapshot needs, as far as names say."""
    disk = SystemDisk()
    segment = directory / segment_name(1)
    segment.write_bytes(data)
    (directory / segment_name(5)).write_bytes(b"the next one")
    for lsn in (8, 9):
        save(disk, directory, Snapshot(lsn, 0, [b"{}"]))
    return segment


def packed(directory: Path) -> Path:
    return directory / "archive" / archived_name(1)


@pytest.mark.parametrize(
    "length", [1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES]
)
def test_what_is_put_away_is_a_gzip_file_of_the_segment(tmp_path: Path, length: int) -> None:
    data = bytes(length)
    segment = full(tmp_path, data)
    assert put_away(SystemDisk(), tmp_path) == [1]
    assert gzip.decompress(packed(tmp_path).read_bytes()) == data
    assert not segment.exists()


ALTERED: dict[str, Callable[[bytes], bytes]] = {
    "a bit": lambda data: bytes([*data[:20], data[20] ^ 1, *data[21:]]),
    "its checksum": lambda data: bytes([*data[:-8], data[-8] ^ 1, *data[-7:]]),
    "cut": lambda data: data[:-1],
    "empty": lambda _: b"",
    "with more behind it": lambda data: data + b"x",
    "twice": lambda data: data + data,
    "of less": lambda data: gzip.compress(gzip.decompress(data)[:-1]),
    "of something else": lambda data: gzip.compress(bytes(len(gzip.decompress(data)))),
    "no gzip file": gzip.decompress,
}


@pytest.mark.parametrize("how", ALTERED)
def test_a_segment_that_the_archive_does_not_hold_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    data = b"".join(b"fact %d, " % number for number in range(1_000))
    segment = full(tmp_path, data)
    write = archive.write_beside

    def write_altered(disk: Disk, path: Path, content: bytes) -> None:
        write(disk, path, ALTERED[how](content))

    monkeypatch.setattr(archive, "write_beside", write_altered)
    with pytest.raises(OSError, match="does not hold what was written"):
        put_away(SystemDisk(), tmp_path)
    assert segment.read_bytes() == data


def test_what_is_put_away_is_never_in_memory_whole(tmp_path: Path) -> None:
    size = 64 * PIECE_BYTES
    full(tmp_path, bytes(size))
    tracemalloc.start()
    try:
        put_away(SystemDisk(), tmp_path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < size / 2
