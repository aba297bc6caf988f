"""The bytes of the journal. This page is the specification: a reader can be written from it.

A journal is a directory of *segments*, each named for the number (LSN) of its first fact, twenty
decimal digits and ".log". LSNs count from 1 without a gap. All numbers are little-endian.

A segment is a header, then frames, then zeros up to the end of the file: the place of frames to
come. One that has a successor is *sealed*: the eight bytes 5e a1 5e a1 5e a1 5e a1 stand behind its
last frame, and it is cut behind them. So a last segment that is sealed is not the last: one is
missing. A segment holds facts of one boot of the machine.

    header, 96 bytes
     0   8  magic       b"riskdjnl"
     8   4  version     of this format
    12   4  checksum    CRC-32 of the header, these four bytes taken as zero
    16   8  first       the LSN of the first frame
    24   8  before      the first LSN of the segment before; 0: there is none
    32  32  chain       SHA-256 of the segment before, from its first byte to the end of its last
                        frame; zeros: there is none
    64  16  boot        the first half of the SHA-256 of the boot's id
    80  16  zeros

In every version the first twelve bytes mean the same. There is no version 0: that is a header that
was written in part.

    frame, a multiple of 8 bytes
     0   4  checksum    CRC-32 of all that follows in the frame
     4   4  previous    the checksum of the frame before; of the header, for the first
     8   8  lsn
    16   4  length      of the payload, 1 to 1,048,576
    20   2  unsafe      how many facts, this one included, were not known to be on the disk when it
                        was written: `lsn - unsafe` had been made safe (65,535: at least so many)
    22   2  more        how many frames of the same commit follow: all of a commit counts, or none
    24  ..  payload     one fact, as a line of `riskctl journal tail` without its newline
        ..  zeros       up to the next multiple of 8

Each frame can be checked by itself, so that what follows damage can be told from debris; each
names the one before, so that frames of another history don't fit; and each segment carries the
SHA-256 of the one before, so that a rewrite of the past changes every head after it.

Eight zero bytes where a frame would begin end the log, when nothing but zeros follows; so does the
seal. Everything else that is no frame is damage, and `recovery` says what is done about it.
"""

import enum
import struct
from collections.abc import Iterator
from hashlib import sha256
from zlib import crc32

import attrs

MAGIC = b"riskdjnl"
VERSION = 1
HEADER_BYTES = 96
FRAME_BYTES = 24
PAYLOAD_BYTES_MAX = 1_048_576
"""A fact is a few hundred bytes. A length beyond this is damage, or a mistake worth stopping."""
UNSAFE_MAX = 2**16 - 1
COMMIT_FACTS_MAX = 2**16
NO_CHAIN = bytes(32)
SEAL = bytes.fromhex("5ea15ea15ea15ea1")

_HEADER = struct.Struct("<8sIIQQ32s16s16x")
_BODY = struct.Struct("<IQIHH")
_FRAME = struct.Struct("<IIQIHH")
_PADDING = tuple(bytes(n) for n in range(8))


@attrs.frozen(kw_only=True)
class Header:
    """How a segment begins."""

    first: int
    before: int
    chain: bytes
    boot: bytes

    def encode(self) -> bytes:
        """The 96 bytes."""
        bare = self._packed(0)
        return self._packed(crc32(bare))

    @property
    def checksum(self) -> int:
        """What the first frame names as its previous."""
        return crc32(self._packed(0))

    def _packed(self, checksum: int) -> bytes:
        return _HEADER.pack(
            MAGIC, VERSION, checksum, self.first, self.before, self.chain, self.boot
        )


class HeaderFault(enum.Enum):
    """What can be wrong with a header."""

    ZEROS = "is not there: all zeros"
    SHORT = "is cut off"
    MAGIC = "is not that of a journal of riskd"
    VERSION = "is of another version"
    CHECKSUM = "fails its checksum"


def boot_mark(boot: str) -> bytes:
    """A boot's id as a header holds it."""
    return sha256(boot.encode()).digest()[:16]


def version_of(data: bytes) -> int:
    """The version that a header with the right magic names."""
    return int.from_bytes(data[8:12], "little")


def decode_header(data: bytes) -> Header | HeaderFault:
    """The header that a segment begins with."""
    raw = data[:HEADER_BYTES]
    if not raw.strip(b"\0"):
        return HeaderFault.ZEROS
    if len(raw) < HEADER_BYTES:
        return HeaderFault.SHORT
    magic, version, checksum, first, before, chain, boot = _HEADER.unpack(raw)
    if magic != MAGIC:
        return HeaderFault.MAGIC
    if version not in (0, VERSION):
        return HeaderFault.VERSION
    if crc32(raw[:12] + bytes(4) + raw[16:]) != checksum or version != VERSION:
        return HeaderFault.CHECKSUM
    return Header(first=first, before=before, chain=chain, boot=boot)


def encode_frame(
    payload: bytes, lsn: int, previous: int, safe_lsn: int, more: int = 0
) -> tuple[bytes, int]:
    """One frame and its checksum. The payload has its bounds already."""
    unsafe = lsn - safe_lsn
    length = len(payload)
    body = _BODY.pack(previous, lsn, length, min(UNSAFE_MAX, unsafe), more)
    body += payload + _PADDING[-length & 7]
    checksum = crc32(body)
    return checksum.to_bytes(4, "little") + body, checksum


def framed_bytes(payload_bytes: int) -> int:
    """How long the frame of such a payload is."""
    return FRAME_BYTES + payload_bytes + (-payload_bytes & 7)


class FrameFault(enum.Enum):
    """Why there is no frame where one was expected."""

    SHORT = "is cut off"
    LENGTH = "has an impossible length"
    CHECKSUM = "fails its checksum"
    ZEROS = "is not there: zeros, and other bytes behind them"
    CHAIN = "does not continue the one before"
    GAP = "has the wrong number"
    UNFINISHED = "and others of its commit are not there"


FITS_ELSEWHERE = frozenset({FrameFault.CHAIN, FrameFault.GAP})
"""The frame is whole. It was damaged by nobody's accident, or the one before is another."""


@attrs.define
class Frames:
    """The frames in `data` from `end` on, one after another, up to the first that is none.

    `lsn`, `checksum` and `end` always belong to the last frame of a whole commit: before the first,
    to what it continues. When the iteration is over, `fault` says why, and `reached` where; a fault
    of None is the proper end of the log.
    """

    data: bytes
    end: int
    lsn: int
    checksum: int
    reached: int = attrs.field(default=0, init=False)
    fault: FrameFault | None = attrs.field(default=None, init=False)
    is_sealed: bool = attrs.field(default=False, init=False)

    @classmethod
    def of(cls, header: Header, data: bytes) -> "Frames":
        """Those of a whole segment."""
        return cls(data, HEADER_BYTES, header.first - 1, header.checksum)

    def __iter__(self) -> Iterator[tuple[int, memoryview]]:
        """Each LSN with its payload, commit by commit."""
        data, view, unpack = self.data, memoryview(self.data), _FRAME.unpack_from
        start, last, seed, last_start = (
            self.end,
            self.lsn,
            self.checksum,
            len(self.data) - FRAME_BYTES,
        )
        held: list[tuple[int, memoryview]] = []
        while start <= last_start:
            checksum, previous, lsn, length, _, more = unpack(data, start)
            stop = start + FRAME_BYTES + length
            end = stop + (-length & 7)
            if not 0 < length <= PAYLOAD_BYTES_MAX or end > len(data):
                break
            if crc32(view[start + 4 : end]) != checksum:
                break
            if previous != seed or lsn != last + 1:
                break
            payload = view[start + FRAME_BYTES : stop]
            start, last, seed = end, lsn, checksum
            if more:
                held.append((lsn, payload))
                continue
            self.end, self.lsn, self.checksum = end, lsn, checksum
            if held:
                yield from held
                held = []
            yield lsn, payload
        self.reached = start
        self.fault = self._fault(start, last)
        if held and self.fault is None:
            self.fault = FrameFault.UNFINISHED

    def _fault(self, start: int, last: int) -> FrameFault | None:
        """Why the walk ended there. The same conditions, told apart."""
        data = self.data
        if data[start:] == SEAL:
            self.is_sealed = True
            return None
        if not data[start : start + 8].strip(b"\0"):
            return FrameFault.ZEROS if data[start:].strip(b"\0") else None
        if start + FRAME_BYTES > len(data):
            return FrameFault.SHORT
        checksum, _, lsn, length, _, _ = _FRAME.unpack_from(data, start)
        if not 0 < length <= PAYLOAD_BYTES_MAX:
            return FrameFault.LENGTH
        end = start + framed_bytes(length)
        if end > len(data):
            return FrameFault.SHORT
        if crc32(data[start + 4 : end]) != checksum:
            return FrameFault.CHECKSUM
        return FrameFault.GAP if lsn != last + 1 else FrameFault.CHAIN


@attrs.frozen
class Debris:
    """A whole frame behind damage: which fact it is, and how far the journal was safe by then."""

    lsn: int
    safe_lsn: int


def debris(data: bytes, begin: int) -> Iterator[Debris]:
    """Every whole frame from the offset `begin` on, whatever lies between.

    Payloads are text, so that no payload can hold what looks like a frame.
    """
    view = memoryview(data)
    for start in range(begin, len(data.rstrip(b"\0")) - FRAME_BYTES, 8):
        checksum, _, lsn, length, unsafe, _ = _FRAME.unpack_from(data, start)
        end = start + framed_bytes(length)
        if not 0 < length <= PAYLOAD_BYTES_MAX or end > len(data):
            continue
        if crc32(view[start + 4 : end]) == checksum:
            yield Debris(lsn, lsn - unsafe if unsafe < UNSAFE_MAX else 0)
