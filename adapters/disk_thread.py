"""A thread of its own for calls that block: an fdatasync would stop the loop, and all trading.

Both sides wait at an eventfd of their own: the thread for an act, the loop for its end. That costs
little above the act itself, while a pool of threads doubles what a fast disk takes for a sync.

One act at a time is in the thread, so that its end needs no name. A cancelled caller leaves at once
and its act goes on, since nothing in a process can take back a call to the kernel; whoever comes
next waits for it first. So a disk that hangs holds those who ask for it, and never the shutdown.
"""

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar

import trio

T = TypeVar("T")

_COUNTER_BYTES = 8
_ONE = (1).to_bytes(_COUNTER_BYTES, sys.byteorder)


class _Call(Generic[T]):
    """An act on its way through the thread, and how it went."""

    def __init__(self, act: Callable[[], T]) -> None:
        self._act = act
        self._result: T
        self._error: Exception | None = None

    def perform(self) -> None:
        try:
            self._result = self._act()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised in the caller
            self._error = error

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._result


class DiskThread:
    """The real offload. Close it when no task waits for it any more."""

    def __init__(self) -> None:
        # Each read takes one: the thread's end is asked for apart from the act before it.
        self._asked = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_SEMAPHORE)
        self._done = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._line = trio.Lock()
        self._next: _Call[Any] | None = None
        self._is_busy = False
        self._is_closed = False
        self._thread = threading.Thread(target=self._serve, name="disk", daemon=True)
        self._thread.start()

    async def run(self, act: Callable[[], T]) -> T:
        """Callers are served in the order in which they came."""
        if self._is_closed:
            raise trio.ClosedResourceError("the disk's thread was ended")
        call = _Call(act)
        await self._turn()
        try:
            await self._idle()
            self._next, self._is_busy = call, True
            os.write(self._asked, _ONE)
            await self._idle()
        finally:
            self._line.release()
        return call.result()

    async def _turn(self) -> None:
        """Whoever finds nobody in the line goes on without a round through the loop."""
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            self._line.acquire_nowait()
        except trio.WouldBlock:
            await self._line.acquire()

    async def _idle(self) -> None:
        """WHEN IT RETURNS no act is in the thread."""
        while self._is_busy:
            await trio.lowlevel.wait_readable(self._done)
            with contextlib.suppress(BlockingIOError):
                os.read(self._done, _COUNTER_BYTES)
                self._is_busy = False

    def _serve(self) -> None:
        """In the thread. A read goes on after a signal, which os.eventfd_read would not."""
        while True:
            os.read(self._asked, _COUNTER_BYTES)
            call, self._next = self._next, None
            if call is None:
                break
            call.perform()
            os.write(self._done, _ONE)
        os.close(self._asked)
        os.close(self._done)

    def close(self) -> None:
        """It ends when the act in it is done. A cancelled caller's may still be, and is not waited
        for: the disk may hang."""
        assert not self._line.locked(), "a task waits for its act"
        if self._is_closed:
            return
        self._is_closed = True
        os.write(self._asked, _ONE)
        if not self._is_busy:
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
