"""The lease page in shared memory. `actors/core/lease.py` has its layout.

The memory is a file without a name, sealed once riskd has mapped it: from then on nobody, not even
riskd, can write to it by another mapping, or change its size. So a worker that has the file has it
read-only, whatever rights it has, and no size that it relies on goes away under it. Against someone
who may trace riskd's process no page helps.
"""

import array
import contextlib
import fcntl
import mmap
import os
import threading
from collections.abc import Mapping
from pathlib import Path

from ..actors.core import lease
from ..actors.messages import Mode

_SEAL_FUTURE_WRITE = 0x10  # Linux 5.1; Python's fcntl has it from 3.13 on
_SEALS = fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | _SEAL_FUTURE_WRITE | fcntl.F_SEAL_SEAL
_GUARD_S = 0.05
"""How long `seize` waits for a `publish` under way, which takes microseconds."""


class MemoryLeasePage:
    """The writer's side; implements `ports.LeasePage`. Nothing passes before the first `publish`.

    A store of one word reaches readers whole: a memoryview of "Q" copies eight aligned bytes, which
    compilers make one instruction. THE ORDER OF STORES IS THE PROMISE: an odd generation, then the
    body, then an even one. `_in_order` stands between them for processors that reorder stores.
    """

    def __init__(self) -> None:
        writable = os.memfd_create("riskd-lease", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(writable, lease.PAGE_BYTES)
            self._memory = mmap.mmap(writable, lease.PAGE_BYTES)
            # A forked copy of riskd must not have what the seals deny to everybody else.
            self._memory.madvise(mmap.MADV_DONTFORK)
            fcntl.fcntl(writable, fcntl.F_ADD_SEALS, _SEALS)
            self.descriptor = os.open(f"/proc/self/fd/{writable}", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(writable)
        self._words = memoryview(self._memory).cast("Q")
        self._generation = 0
        """The newest even one. The page has it, or the odd one that follows."""
        self._until_ns = 0
        self._is_seized = False
        self._withheld: array.array[int] | None = None
        """What a publish would have said, had the page not been seized."""
        # Reentrant: a signal's handler may seize the page in the midst of a publish.
        self._guard = threading.RLock()
        self._barrier = threading.Lock()
        self._barrier.acquire()
        self._link: Path | None = None
        self._begin()

    def _begin(self) -> None:
        words = self._words
        words[lease.AT_GENERATION] = self._generation + 1
        words[lease.AT_BYTES] = lease.PAGE_BYTES
        words[lease.AT_VERSION] = lease.VERSION
        self._in_order()
        words[lease.AT_MAGIC] = lease.MAGIC

    # --- what is halted, and until when -----------------------------------------------------------

    def fence(self) -> None:
        self._words[lease.AT_GENERATION] = self._generation + 1
        # What was said before the fence must not come into force behind it.
        self._withheld = None

    def publish(self, modes: Mapping[str, Mode], epoch: int) -> None:
        body = array.array("Q", lease.body(modes, epoch))
        with self._guard:
            if self._is_seized:
                self._withheld = body
            else:
                self._write(body)

    def _write(self, body: "array.array[int]") -> None:
        words, generation = self._words, self._generation + 2
        words[lease.AT_GENERATION] = generation - 1
        self._in_order()
        words[lease.AT_EPOCH : lease.AT_EPOCH + len(body)] = memoryview(body)
        self._in_order()
        self._generation = generation
        words[lease.AT_GENERATION] = generation
        if self._is_seized:
            words[lease.AT_GENERATION] = generation + 1

    def extend(self, until_ns: int) -> None:
        if not self._is_seized and until_ns > self._until_ns:
            self._until_ns = until_ns
            self._words[lease.AT_UNTIL] = until_ns

    def seize(self) -> None:
        """A publish that is under way in another thread ends first. Should it never end, the page
        is seized all the same, and that publish finds it so before it is done."""
        has_ended = self._guard.acquire(timeout=_GUARD_S)
        self._is_seized = True
        self._words[lease.AT_GENERATION] = self._generation + 1
        if has_ended:
            self._guard.release()

    def release(self) -> None:
        """What was published meanwhile comes into force. Nothing was: the page stays fenced."""
        with self._guard:
            self._is_seized = False
            withheld, self._withheld = self._withheld, None
            if withheld is not None:
                self._write(withheld)

    def _in_order(self) -> None:
        """Stores before it are seen before those behind it. Letting go of a lock orders what came
        before, taking it what comes after, and the two are never swapped."""
        self._barrier.release()
        self._barrier.acquire()

    # --- how workers find it ----------------------------------------------------------------------

    def link(self, path: Path) -> None:
        """Lead whoever opens `path` for reading to this page, in place of what was there. THE PAGE
        SAYS SO FIRST: who comes by a dead riskd's link, to the same number of a process and of a
        descriptor, finds that it is not his."""
        real = os.fsencode(os.path.realpath(path.parent))
        self._words[lease.AT_PATH] = lease.path_hash(real, os.fsencode(path.name))
        new = path.with_name(path.name + ".new")
        new.unlink(missing_ok=True)
        new.symlink_to(self._address)
        new.replace(path)
        self._link = path

    @property
    def _address(self) -> str:
        return f"/proc/{os.getpid()}/fd/{self.descriptor}"

    def close(self) -> None:
        """The orderly end: nothing passes any more, whatever is called afterwards, and readers
        look for another page at once. The memory stays as long as somebody has it mapped."""
        self.seize()
        words = self._words
        words[lease.AT_UNTIL] = 0
        # Late calls go on to write, where nobody reads it.
        self._words = memoryview(bytearray(lease.PAGE_BYTES)).cast("Q")
        if self._link is not None:
            with contextlib.suppress(OSError):
                if os.readlink(self._link) == self._address:  # noqa: PTH115 - as it is, no Path
                    self._link.unlink()
            self._link = None
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
