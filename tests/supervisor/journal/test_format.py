"""The bytes of the journal: they are as the format's page says, and never change for version 1."""

import struct
from hashlib import sha256
from zlib import crc32

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.supervisor.journal.format import (
    FRAME_BYTES,
    HEADER_BYTES,
    NO_CHAIN,
    PAYLOAD_BYTES_MAX,
    UNSAFE_MAX,
    Debris,
    FrameFault,
    Frames,
    Header,
    HeaderFault,
    boot_mark,
    debris,
    decode_header,
    encode_frame,
    framed_bytes,
    version_of,
)

FIRST = Header(first=1, before=0, chain=NO_CHAIN, boot=boot_mark("boot-a"))
LSNS = st.integers(1, 2**64 - 2**17)
HEADERS = st.builds(
    Header,
    first=LSNS,
    before=st.integers(0, 2**64 - 1),
    chain=st.binary(min_size=32, max_size=32),
    boot=st.binary(min_size=16, max_size=16),
)
TEXTS = st.text(st.characters(min_codepoint=32, codec="utf-8"), min_size=1, max_size=60)
PAYLOADS = TEXTS.map(str.encode)
COMMITS = st.lists(st.lists(PAYLOADS, min_size=1, max_size=4), min_size=1, max_size=5)


@attrs.frozen
class Written:
    """A segment, and where in it each of its commits begins and ends."""

    header: Header
    data: bytes
    edges: tuple[int, ...]
    starts: tuple[int, ...]
    """Of every frame."""


def segment(commits: list[list[bytes]], header: Header = FIRST) -> Written:
    data, lsn, checksum = header.encode(), header.first - 1, header.checksum
    edges, starts = [len(data)], []
    for commit in commits:
        for more, payload in zip(reversed(range(len(commit))), commit, strict=True):
            lsn += 1
            starts.append(len(data))
            frame, checksum = encode_frame(payload, lsn, checksum, header.first - 1, more)
            data += frame
        edges.append(len(data))
    return Written(header, data, tuple(edges), tuple(starts))


def read(data: bytes, header: Header = FIRST) -> tuple[list[bytes], Frames]:
    frames = Frames.of(header, data)
    found = list(frames)
    assert [lsn for lsn, _ in found] == list(range(header.first, header.first + len(found)))
    return [bytes(payload) for _, payload in found], frames


def flat(commits: list[list[bytes]]) -> list[bytes]:
    return [payload for commit in commits for payload in commit]


# --- the page -------------------------------------------------------------------------------------


def test_a_header_is_the_ninety_six_bytes_that_the_page_says() -> None:
    header = Header(first=7, before=3, chain=bytes(range(32)), boot=bytes(range(100, 116)))
    assert header.encode().hex(" ", 8) == (
        "7269736b646a6e6c 01000000be8181f3 0700000000000000 0300000000000000 "
        "0001020304050607 08090a0b0c0d0e0f 1011121314151617 18191a1b1c1d1e1f "
        "6465666768696a6b 6c6d6e6f70717273 0000000000000000 0000000000000000"
    )


def test_a_frame_is_the_bytes_that_the_page_says() -> None:
    frame, checksum = encode_frame(b'{"lsn":258}', 258, 0xA1B2C3D4, 256, 5)
    assert frame.hex(" ", 8) == (
        "7e72177ad4c3b2a1 0201000000000000 0b00000002000500 7b226c736e223a32 35387d0000000000"
    )
    assert frame[:4] == checksum.to_bytes(4, "little")


def test_the_boot_is_marked_by_half_of_its_digest() -> None:
    assert boot_mark("boot-a") == sha256(b"boot-a").digest()[:16]
    assert boot_mark("boot-a") != boot_mark("boot-b")


@given(st.integers(1, 4 * PAYLOAD_BYTES_MAX))
def test_frames_are_aligned_and_waste_less_than_eight_bytes(length: int) -> None:
    size = framed_bytes(length)
    assert size % 8 == 0
    assert 0 <= size - FRAME_BYTES - length < 8


# --- headers --------------------------------------------------------------------------------------


@given(HEADERS, st.binary(max_size=40))
def test_a_header_is_read_as_it_was_written(header: Header, behind: bytes) -> None:
    raw = header.encode()
    assert len(raw) == HEADER_BYTES
    assert decode_header(raw + behind) == header
    assert header.checksum == int.from_bytes(raw[12:16], "little")
    assert crc32(raw[:12] + bytes(4) + raw[16:]) == header.checksum


@given(HEADERS, st.integers(0, HEADER_BYTES - 1))
def test_a_header_cut_anywhere_is_short_or_not_there(header: Header, length: int) -> None:
    expected = HeaderFault.SHORT if length else HeaderFault.ZEROS
    assert decode_header(header.encode()[:length]) is expected


def test_a_header_of_zeros_was_never_written_however_long_it_is() -> None:
    for length in range(HEADER_BYTES + 9):
        assert decode_header(bytes(length)) is HeaderFault.ZEROS


@given(HEADERS)
def test_no_bit_of_a_header_can_turn_unnoticed(header: Header) -> None:
    raw = header.encode()
    for bit in range(HEADER_BYTES * 8):
        found = decode_header(flipped(raw, bit))
        if bit < 64:
            assert found is HeaderFault.MAGIC, bit
        elif 64 < bit < 96:
            assert found is HeaderFault.VERSION, bit
        else:
            assert found is HeaderFault.CHECKSUM, bit


@given(st.integers(2, 2**32 - 1))
def test_another_version_is_named_whatever_its_header_looks_like(version: int) -> None:
    raw = other_version(FIRST, version)
    for one in (raw, raw[:16] + bytes(80)):
        assert decode_header(one) is HeaderFault.VERSION
        assert version_of(one) == version


def test_there_is_no_version_0_for_that_is_a_header_written_in_part() -> None:
    assert decode_header(other_version(FIRST, 0)) is HeaderFault.CHECKSUM


def other_version(header: Header, version: int) -> bytes:
    raw = bytearray(header.encode())
    struct.pack_into("<II", raw, 8, version, 0)
    struct.pack_into("<I", raw, 12, crc32(raw))
    return bytes(raw)


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


# --- frames ---------------------------------------------------------------------------------------


@given(COMMITS, HEADERS.filter(lambda header: header.first < 2**60), st.integers(0, 5))
def test_frames_are_read_as_they_were_written_up_to_the_zeros(
    commits: list[list[bytes]], header: Header, zeros: int
) -> None:
    written = segment(commits, header)
    found, frames = read(written.data + bytes(8 * zeros), header)
    assert found == flat(commits)
    assert frames.fault is None
    assert (frames.end, frames.reached) == (len(written.data), len(written.data))
    assert frames.lsn == header.first - 1 + len(found)
    assert frames.checksum == int.from_bytes(written.data[written.starts[-1] :][:4], "little")


@given(COMMITS, st.data())
def test_of_a_commit_there_is_all_or_nothing_wherever_the_log_is_cut(
    commits: list[list[bytes]], data: st.DataObject
) -> None:
    written = segment(commits)
    cut = data.draw(st.integers(HEADER_BYTES, len(written.data)))
    for cut_off in (written.data[:cut], written.data[:cut].ljust(len(written.data) + 8, b"\0")):
        found, frames = read(cut_off)
        whole = sum(cut_off[:edge] == written.data[:edge] for edge in written.edges[1:])
        assert found == flat(commits[:whole])
        assert frames.end == written.edges[whole]
        assert frames.lsn == len(found)


def test_a_commit_that_lacks_its_last_frames_is_unfinished() -> None:
    written = segment([[b"1"], [b"2", b"3", b"4"]])
    for start in written.starts[2:]:
        for data in (written.data[:start], written.data[:start] + bytes(80)):
            found, frames = read(data)
            assert found == [b"1"]
            assert frames.fault is FrameFault.UNFINISHED
            assert (frames.end, frames.reached, frames.lsn) == (written.edges[1], start, 1)


@given(COMMITS, st.data())
def test_no_bit_of_a_frame_can_turn_unnoticed(
    commits: list[list[bytes]], data: st.DataObject
) -> None:
    written = segment(commits)
    bit = data.draw(st.integers(HEADER_BYTES * 8, len(written.data) * 8 - 1))
    found, frames = read(flipped(written.data, bit) + bytes(64))
    hit = max(edge for edge in written.edges if edge <= bit // 8)
    assert found == flat(commits[: written.edges.index(hit)])
    assert frames.end == hit
    assert frames.reached == max(start for start in written.starts if start <= bit // 8)
    assert frames.fault is not None


def frame(payload: bytes, lsn: int, previous: int, *, length: int | None = None) -> bytes:
    """One with a sound checksum, whatever it says."""
    size = len(payload) if length is None else length
    body = struct.pack("<IQIHH", previous, lsn, size, 1, 0) + payload + bytes(-len(payload) & 7)
    return crc32(body).to_bytes(4, "little") + body


GOOD = FIRST.checksum
FAULTS = {
    "nothing": (b"", None),
    "zeros": (bytes(64), None),
    "zeros, then a byte": (bytes(32) + b"x", FrameFault.ZEROS),
    "less than a frame's head": (frame(b"a", 1, GOOD)[:23], FrameFault.SHORT),
    "a head alone": (frame(b"a", 1, GOOD)[:24], FrameFault.SHORT),
    "without its padding": (frame(b"a", 1, GOOD)[:-1], FrameFault.SHORT),
    "of no length": (frame(b"", 1, GOOD), FrameFault.LENGTH),
    "of too great a length": (
        frame(b"a" * 40, 1, GOOD, length=PAYLOAD_BYTES_MAX + 1),
        FrameFault.LENGTH,
    ),
    "with another payload": (
        frame(b"a", 1, GOOD).replace(b"a\0", b"b\0"),
        FrameFault.CHECKSUM,
    ),
    "with bytes in its padding": (frame(b"a", 1, GOOD)[:-1] + b"x", FrameFault.CHECKSUM),
    "of another history": (frame(b"a", 1, GOOD ^ 1), FrameFault.CHAIN),
    "with a number left out": (frame(b"a", 2, GOOD), FrameFault.GAP),
    "with a number again": (frame(b"a", 0, GOOD), FrameFault.GAP),
}


@pytest.mark.parametrize("what", FAULTS)
def test_what_is_no_frame_is_called_by_its_name(what: str) -> None:
    tail, fault = FAULTS[what]
    found, frames = read(FIRST.encode() + tail)
    assert found == []
    assert frames.fault is fault
    assert (frames.end, frames.reached, frames.lsn) == (HEADER_BYTES, HEADER_BYTES, 0)


def test_every_fault_of_a_frame_has_a_row() -> None:
    shown = {fault for _, fault in FAULTS.values()} | {FrameFault.UNFINISHED}
    assert shown == {*FrameFault, None}


# --- behind damage --------------------------------------------------------------------------------


@given(COMMITS, st.binary(min_size=8, max_size=64).map(lambda b: b[: len(b) // 8 * 8]))
def test_whole_frames_are_found_behind_whatever_lies_before_them(
    commits: list[list[bytes]], rubbish: bytes
) -> None:
    written = segment(commits)
    data = FIRST.encode() + rubbish + written.data[HEADER_BYTES:] + bytes(16)
    count = len(flat(commits))
    assert list(debris(data, HEADER_BYTES)) == [Debris(lsn, 0) for lsn in range(1, count + 1)]


@given(LSNS, st.integers(0, UNSAFE_MAX + 10))
def test_a_frame_says_how_far_the_log_was_safe_and_never_claims_too_much(
    safe_lsn: int, unsafe: int
) -> None:
    encoded, _ = encode_frame(b"fact", safe_lsn + unsafe, 0, safe_lsn)
    (found,) = debris(encoded, 0)
    assert found.lsn == safe_lsn + unsafe
    assert found.safe_lsn == (safe_lsn if unsafe < UNSAFE_MAX else 0)


@given(COMMITS, st.data())
def test_a_frame_that_is_not_whole_is_no_debris(
    commits: list[list[bytes]], data: st.DataObject
) -> None:
    written = segment(commits)
    bit = data.draw(st.integers(HEADER_BYTES * 8, len(written.data) * 8 - 1))
    hit = sum(start <= bit // 8 for start in written.starts)
    found = [one.lsn for one in debris(flipped(written.data, bit), HEADER_BYTES)]
    assert found == [lsn for lsn in range(1, len(written.starts) + 1) if lsn != hit]
