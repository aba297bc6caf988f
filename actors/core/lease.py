"""The lease page: the memory that every worker reads at the moment of sending. Layout version 1.

`docs/lease.md` is the same for whoever writes a reader. The page has 16,384 bytes: 64-bit words,
little-endian, each stored and loaded as a whole.

    word  is                  changes
    0     the magic           never
    1     the layout version  never
    2     the page's bytes    never
    3     the path's hash     never again, once the page is linked; 0 before, for nobody to rely on
    4     the generation      odd: being written, or nothing may pass; even: words 6 on are whole
    5     until, in ns        by itself, forwards; CLOCK_MONOTONIC
    6     the epoch           with the generation
    7     everything's mode   with the generation
    8     how many entries    with the generation
    9...  the entries         with the generation: a scope's hash and its mode, 1,019 at most

Word 3 says whose page it is. Readers come by a link that names a process and a descriptor, and
both numbers are given away again: a riskd that was killed leaves a link which may lead to another
one's page. That page was linked under another path, and so it is refused.

A mode is 0 open, 1 reduce_only, 2 halt; any other number halts. An order may pass when the
generation is even, the clock is before `until`, and neither everything nor any of its scopes has a
mode that stops it. What a reader needs for that together, it reads under one generation: word 5,
then word 4, then what it wants, then word 4 again, and it begins anew when that has changed.

The generation is the fence. One store makes it odd, and nothing passes; words 6 on may then be
replaced, and one store makes it even again, with a number that was never there before. A writer
that dies in between leaves it odd. `until` needs no fence: it only ever grows, and says nothing
about what is halted.

Missing knowledge is a refusal: a page of zeros has no magic and no `until`, and of more scopes
than there is room for the page says that everything is halted. A scope is known by a hash, and
two that share one get the stricter of their modes: a collision can only halt more.
"""

import functools
from collections.abc import Mapping

from ..messages import Mode
from .halts import EVERYTHING

MAGIC = int.from_bytes(b"riskdlse", "little")
VERSION = 1
PAGE_BYTES = 16_384
"""Whole pages of 4 KiB and of 16 KiB alike."""
WORD_BYTES = 8

AT_MAGIC, AT_VERSION, AT_BYTES, AT_PATH = range(4)
AT_GENERATION, AT_UNTIL = 4, 5
"""In the first cache line: a check that finds nothing new loads no other."""
AT_EPOCH, AT_MODE, AT_COUNT, AT_ENTRIES = range(6, 10)
ENTRIES_MAX = (PAGE_BYTES // WORD_BYTES - AT_ENTRIES) // 2

OPEN, REDUCE_ONLY, HALT = range(3)
_WORDS: Mapping[Mode, int] = {"reduce_only": REDUCE_ONLY, "halt": HALT}

_FNV_OFFSET = 0xCBF29CE484222325
_FNV_PRIME = 0x100000001B3
_64_BITS = (1 << 64) - 1


@functools.lru_cache(maxsize=4 * ENTRIES_MAX)
def scope_hash(scope: str) -> int:
    """64-bit FNV-1a of the scope as the operator writes it: a reader in any language has it in
    three lines."""
    return _hashed(scope.encode())


def path_hash(directory: bytes, name: bytes) -> int:
    """The same hash of where a page is linked. The directory is the real one, without links:
    whoever comes by another way finds the same."""
    return _hashed(directory + b"/" + name)


def _hashed(text: bytes) -> int:
    found = _FNV_OFFSET
    for byte in text:
        found = (found ^ byte) * _FNV_PRIME & _64_BITS
    return found


def body(modes: Mapping[str, Mode], epoch: int) -> list[int]:
    """The words from AT_EPOCH on. Entries ascend by their hash, and no two have the same."""
    entries: dict[int, int] = {}
    for scope, mode in modes.items():
        if scope != EVERYTHING:
            key = scope_hash(scope)
            entries[key] = max(_WORDS[mode], entries.get(key, OPEN))
    everything = _WORDS[modes[EVERYTHING]] if EVERYTHING in modes else OPEN
    if len(entries) > ENTRIES_MAX:
        everything, entries = HALT, {}
    return [
        epoch,
        everything,
        len(entries),
        *(word for entry in sorted(entries.items()) for word in entry),
    ]
