"""May I send? The reader of riskd's lease page, for the moment before an order leaves.

    lease = Lease("/run/riskd/riskd.sock.lease")
    view = lease.view("account:main", "strategy:mm", "symbol:BTCUSDT")
    ...
    if not view.may_send():
        return view.refusal()

Whatever is missing is a refusal: no page, another layout, a riskd that is dead, stopped or stuck.
Nothing here waits, and no other call to riskd is needed. Ask directly before sending: between the
answer and the send nobody asks again.

This file needs nothing but the standard library, and may be copied as it is. The layout is
version 1 of docs/lease.md. Views may be shared by threads.
"""

import array
import fcntl
import mmap
import os
import threading
from collections.abc import Container
from pathlib import Path
from time import monotonic_ns
from typing import Literal, NamedTuple

MAGIC = int.from_bytes(b"riskdlse", "little")
VERSION = 1
PAGE_BYTES = 16_384
PATH, GENERATION, UNTIL, EPOCH, ENTRIES = 3, 4, 5, 6, 9
ENTRIES_MAX = (PAGE_BYTES // 8 - ENTRIES) // 2
OPEN, REDUCE_ONLY, HALT = range(3)

KINDS = ("account", "exchange", "strategy", "symbol", "worker")
LEASE_NS_MAX = 120_000_000_000
"""No riskd gives its word for longer: a page that does was written by another clock."""
LOOK_AGAIN_NS = 100_000_000
"""Between two attempts to find a page in place of one that has run out."""
TRIES = 64
"""To find the page between two changes. A change takes microseconds, and so do these."""

# F_SEAL_SEAL, _SHRINK, _GROW and _FUTURE_WRITE: what makes a size and a content reliable.
_SEALS = 0x1 | 0x2 | 0x4 | 0x10
_F_GET_SEALS = 1034

Kind = Literal["halted", "reduce_only", "expired", "stale_epoch", "unreadable"]


class Refusal(NamedTuple):
    """Why not. `why` is for people and may change; `kind` is a closed set."""

    kind: Kind
    why: str


class _Table(NamedTuple):
    """A whole copy of what is halted: the page's words 6 on, under one generation."""

    words: "memoryview[int]"
    generation: int
    epoch: int
    everything: int
    modes: dict[int, int]


class NoPage(Exception):
    """Nothing that can be relied on lies there. The text says what does."""


class View:
    """What concerns one kind of order: everything, and the scopes that it is in."""

    __slots__ = ("_hashes", "_lease", "_open", "scopes")

    def __init__(self, lease: "Lease", scopes: tuple[str, ...]) -> None:
        self.scopes = scopes
        self._lease = lease
        self._hashes = tuple(map(scope_hash, scopes))
        self._open: tuple[memoryview[int], int, int] = (_NOTHING, -1, 0)
        """The page, the generation of it that lets all these scopes pass, and its epoch. Replaced
        as one, so that no thread sees parts of two."""

    def may_send(self, epoch: int | None = None, *, reduce_only: bool = False) -> bool:
        """May an order be sent now? `epoch` is that of riskd's permission for it, if it has one;
        `reduce_only` says that it can only make a position smaller."""
        words, generation, newest = self._open
        # The lease before the generation, the clock after both. So at the instant at which the
        # generation was loaded all of it held: the lease it was found with had not run out.
        # UNTIL is 5 and GENERATION 4: to look the names up would take a tenth of the time.
        until_ns = words[5]
        if (
            words[4] == generation
            and monotonic_ns() < until_ns
            and (epoch is None or epoch == newest)
        ):
            return True
        return self.refusal(epoch, reduce_only=reduce_only) is None

    def refusal(self, epoch: int | None = None, *, reduce_only: bool = False) -> Refusal | None:
        """The same question, with the reason for a no. None: it may be sent."""
        found = self._lease._look()  # noqa: SLF001 - a view is the lease's own
        if isinstance(found, Refusal):
            return found
        table, until_ns = found
        left_ns = until_ns - monotonic_ns()
        if left_ns <= 0:
            return _expired(until_ns, -left_ns)
        if left_ns > LEASE_NS_MAX:
            return Refusal("unreadable", "the lease page was written by another clock than ours")
        mode = max(table.everything, *(table.modes.get(key, OPEN) for key in self._hashes), OPEN)
        if mode == OPEN:
            self._open = (table.words, table.generation, table.epoch)
        elif mode != REDUCE_ONLY:
            return Refusal("halted", f"{self._culprits(table, mode)} is halted")
        elif not reduce_only:
            return Refusal("reduce_only", f"{self._culprits(table, mode)} is reduce-only")
        if epoch is not None and epoch != table.epoch:
            return Refusal(
                "stale_epoch",
                f"permitted in epoch {epoch}, and riskd is in epoch {table.epoch}: ask again",
            )
        return None

    def _culprits(self, table: _Table, mode: int) -> str:
        if table.everything == mode:
            return "everything"
        pairs = zip(self.scopes, self._hashes, strict=True)
        return " and ".join(scope for scope, key in pairs if table.modes.get(key) == mode)


class Lease:
    """A page, found by its path. There may be none: then every view refuses, and says why."""

    def __init__(self, path: str | Path, *, owner: int | None = None) -> None:
        """`path` is the one that riskd linked its page under: links may lead to its directory, and
        no other link to itself. `owner` is the user that riskd runs as; None: this one, or root."""
        self._path = os.fspath(path)
        self._owners = {os.geteuid(), 0} if owner is None else {owner}
        self._words = _NOTHING
        self._identity: tuple[int, int] | None = None
        self._problem = ""
        self._look_again_ns = 0
        self._table = _Table(_NOTHING, -1, 0, HALT, {})

    def view(self, *scopes: str) -> View:
        """For orders that are in these scopes, such as `account:main`. Raises ValueError for what
        is no scope: its halts would never be found."""
        for scope in scopes:
            kind, _, name = scope.partition(":")
            if (
                kind not in KINDS
                or not name
                or any(c.isspace() or c < " " or c == "\x7f" for c in name)
            ):
                raise ValueError(
                    f"{scope!r} is no scope: write one of {', '.join(KINDS)}, a colon and a name"
                )
        return View(self, scopes)

    def _look(self) -> tuple[_Table, int] | Refusal:
        """The table, and the lease as it was when that was in force."""
        words = self._words
        if words[UNTIL] <= monotonic_ns():
            words = self._renewed()
        if words is _NOTHING:
            return Refusal("unreadable", self._problem)
        for _ in range(TRIES):
            until_ns = words[UNTIL]
            generation = words[GENERATION]
            table = self._table
            if table.words is words and table.generation == generation:
                return table, until_ns
            if generation % 2 == 0 and (copied := _copied(words, generation)):
                self._table = copied
                return copied, until_ns
        if (left_ns := words[UNTIL] - monotonic_ns()) <= 0:
            return _expired(words[UNTIL], -left_ns)
        return Refusal("halted", "everything is halted: riskd is just changing what may pass")

    def _renewed(self) -> "memoryview[int]":
        """The page to which the path leads now. A new riskd has a new one; so has a stopped one
        that goes on the same. Not looked for at every check: it is a handful of system calls."""
        now_ns = monotonic_ns()
        if now_ns >= self._look_again_ns:
            self._look_again_ns = now_ns + LOOK_AGAIN_NS
            try:
                self._attach()
            except NoPage as problem:
                self._words, self._identity, self._problem = _NOTHING, None, str(problem)
        return self._words

    def _attach(self) -> None:
        descriptor = _opened(self._path)
        try:
            status = os.fstat(descriptor)
            identity = status.st_dev, status.st_ino
            if identity == self._identity:
                return
            words = _mapped(descriptor, status, self._owners)
            _check_is_of(self._path, words)
            self._words, self._identity = words, identity
        except (NoPage, OSError) as problem:
            raise NoPage(f"{self._path} is no lease page: {problem}") from problem
        finally:
            os.close(descriptor)


def scope_hash(scope: str) -> int:
    """64-bit FNV-1a."""
    return _hashed(scope.encode())


def path_hash(path: str) -> int:
    """The same hash of its real directory, a slash and its name."""
    directory, name = os.path.split(path)
    return _hashed(os.fsencode(os.path.realpath(directory)) + b"/" + os.fsencode(name))


def _hashed(text: bytes) -> int:
    found = 0xCBF29CE484222325
    for byte in text:
        found = (found ^ byte) * 0x100000001B3 & 0xFFFF_FFFF_FFFF_FFFF
    return found


def _expired(until_ns: int, ago_ns: int) -> Refusal:
    if not until_ns:
        return Refusal("expired", "riskd has not given its word yet, or has ended")
    return Refusal(
        "expired",
        f"the lease ran out {ago_ns / 1e9:.3f} s ago: riskd is dead, stopped or stuck, or a part "
        "of it does not answer",
    )


def _copied(words: "memoryview[int]", generation: int) -> _Table | None:
    """Everything behind the epoch, if it is all of this generation."""
    order = threading.Lock()
    order.acquire()
    _in_order(order)
    epoch, everything, count, *rest = array.array("Q", words[EPOCH:].tobytes())
    _in_order(order)
    if words[GENERATION] != generation:
        return None
    if count > ENTRIES_MAX:
        everything, count = HALT, 0
    modes: dict[int, int] = {}
    for at in range(0, 2 * count, 2):
        modes[rest[at]] = max(rest[at + 1], modes.get(rest[at], OPEN))
    return _Table(words, generation, epoch, everything, modes)


def _in_order(lock: threading.Lock) -> None:
    """Loads before it are made before those behind it, on processors that reorder them too: letting
    go of a lock orders what came before, taking it what comes after."""
    lock.release()
    lock.acquire()


def _opened(path: str) -> int:
    try:
        # Without O_NONBLOCK a pipe in the page's place would be waited for instead of refused.
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise NoPage(f"there is no lease page at {path}: riskd is not running") from None
    except OSError as error:
        raise NoPage(f"{path} can't be opened: {error.strerror}") from error


def _mapped(descriptor: int, status: os.stat_result, owners: Container[int]) -> "memoryview[int]":
    """The page of a file that has all the marks of one. Raises NoPage or OSError."""
    if status.st_size != PAGE_BYTES:
        raise NoPage(f"it is not a file of {PAGE_BYTES:,} bytes")
    if status.st_uid not in owners:
        raise NoPage(f"it belongs to user {status.st_uid}, who is not the one that riskd runs as")
    if fcntl.fcntl(descriptor, _F_GET_SEALS) & _SEALS != _SEALS:
        raise NoPage("others than riskd could write to it")
    memory = mmap.mmap(descriptor, PAGE_BYTES, mmap.MAP_SHARED, mmap.PROT_READ)
    words = memoryview(memory).cast("Q")
    if words[0] != MAGIC or words[2] != PAGE_BYTES:
        raise NoPage("it does not begin as one")
    if words[1] != VERSION:
        raise NoPage(f"it has layout {words[1]}, and this reader knows layout {VERSION}")
    return words


def _check_is_of(path: str, words: "memoryview[int]") -> None:
    """A riskd that was killed leaves its link, and the numbers in it may become another one's."""
    if words[PATH] != path_hash(path):
        raise NoPage("it belongs to another riskd, which has it under another path")


_NOTHING = memoryview(bytes(PAGE_BYTES)).cast("Q")
"""In place of a page that is not there: its lease ran out before the machine was started."""
