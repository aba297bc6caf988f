"""What a thread may still use when the task that lent it has left.

A call to the kernel can't be taken back: a cancelled task is gone at once, and its act goes on. To
close a file under the act is wrong, and to close it never is a leak, once for each crash of the
task. So whoever comes last closes it.
"""

import threading
from collections.abc import Callable
from typing import TypeVar

import attrs
import trio

T = TypeVar("T")


@attrs.define(eq=False)
class Lent:
    """Something that is used in one thread at a time, and how it is closed.

    WHEN `leave` HAS BEEN CALLED it is closed: at once, or at the end of the act that uses it. An
    act that has not begun by then never does.
    """

    _close: Callable[[], None]
    """Called in either thread, and maybe twice."""
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    _is_left: bool = attrs.field(default=False, init=False)

    def use(self, act: Callable[[], T]) -> T:
        """In the thread: the result of the act. Nobody hears of it once it is left."""
        try:
            with self._lock:
                if self._is_left:
                    raise trio.ClosedResourceError("whoever asked for it has left")
                return act()
        finally:
            # Not before the lock is free: whoever leaves meanwhile could not tell it from an act.
            if self._is_left:
                self.leave()

    def leave(self) -> None:
        """In the task, when it is done with it for good."""
        self._is_left = True
        if self._lock.acquire(blocking=False):
            try:
                self._close()
            finally:
                self._lock.release()
