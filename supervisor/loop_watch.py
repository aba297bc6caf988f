"""A thread that halts everything when the event loop is stuck, and needs the loop for none of it.

A task beats in the loop; the thread looks at the newest beat. When that is too old it seizes the
page, so that no worker may send, and says where the loop stands: in the log and to the service
manager. When the loop is back, the beating task makes a fact of it (a trigger of the kill switch)
and only then releases the page. When it can't, the page stays seized.

Whose fault is an old beat?
---------------------------
A thread that was itself late has to tell three things apart:

* Another thread kept the interpreter's lock, in a call into C. Meanwhile this one woke up every few
  milliseconds to ask for it, and the kernel has counted that. A call that computes shows in the
  process's processor time as well. That is a stuck loop, found as soon as anything can be.
* The process was stopped: by a signal, a debugger, a freezer, or a machine that had no time for it.
  Then there are neither wakes nor processor time. Nobody in here is to blame, and the lease has run
  out meanwhile. That time does not count.
* It was late, and the loop came back before it could look. So the loop notes its own long gaps.
"""

import contextlib
import resource
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import PurePath
from typing import NamedTuple, Self

import trio
from structlog.typing import FilteringBoundLogger

from ..actors.messages import By
from ..actors.ports import Halting, LeasePage, ServiceLink
from .stacks import standing

SOURCE = "loop"
BEAT_S = 0.1
LOOK_S = 0.1
LATE_S = 2 * LOOK_S
"""A look that comes later than this asks why."""
ALIVE = 0.25
"""The part of a late look's time that proves the whole of it. A thread that waits for the
interpreter's lock shows nearly all of it, a stopped one next to nothing."""
AGAIN_S = 10.0
"""How often it is said that the loop is stuck, while it is."""
THREADS_MAX = 16
NAMED_MAX = 3
"""Frames in the reason, the innermost."""
GAPS_MAX = 8


class Look(NamedTuple):
    """What the thread sees of itself."""

    now_s: float
    wakes: int
    """How often it has waited for something, as the kernel counts it."""
    cpu_s: float
    """Of the whole process."""


class Beat(NamedTuple):
    """A sign of life from the loop."""

    at_s: float
    stopped_s: float
    """For how long the process had been stopped until then, in all."""


def stopped_s(last: Look, look: Look) -> float:
    """For how much of the time between two looks the process was stopped."""
    gap_s = look.now_s - last.now_s
    asked_s = (look.wakes - last.wakes) * sys.getswitchinterval()
    alive_s = max(asked_s, look.cpu_s - last.cpu_s)
    if gap_s <= LATE_S or alive_s >= gap_s * ALIVE:
        return 0.0
    return gap_s - max(alive_s, LOOK_S)


class LoopWatch:
    """Start it before the loop, close it after. It watches while `beat` runs."""

    def __init__(
        self, page: LeasePage, manager: ServiceLink, log: FilteringBoundLogger, *, lag_s: float
    ) -> None:
        self._page = page
        self._manager = manager
        self._log = log
        self._lag_s = lag_s
        self._seized: str | None = None
        # The loop's. Each is one store, which is why the thread needs no lock to read it.
        self._beat: Beat | None = None
        self._loop = 0
        self._gaps: deque[tuple[Beat, float]] = deque(maxlen=GAPS_MAX)
        # The thread's.
        self._stopped_s = 0.0
        self._stuck: Beat | None = None
        """The beat that none has followed."""
        self._judged: Beat | None = None
        self._told_s = 0.0
        self._failed_s: float | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="riskd-watch", daemon=True)

    @property
    def seized(self) -> str | None:
        """Why the page is seized, until that is a fact."""
        return self._seized

    def start(self) -> Self:
        self._thread.start()
        return self

    def close(self) -> None:
        self._closed.set()
        self._thread.join(1.0)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- in the loop

    async def beat(
        self, halting: Halting, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Until cancelled: then nobody watches, for a stop in order is no lag. If it crashes, the
        watch goes on, and the loop is taken for stuck unless it is started again."""
        self._loop = threading.get_ident()
        try:
            self._live()
            task_status.started()
            while True:
                self._settle(halting)
                await trio.sleep(BEAT_S)
                self._live()
        except trio.Cancelled:
            self._beat = None
            raise

    def _live(self) -> None:
        # In this order: stopped between the two, the beat is too young rather than too old.
        stopped_s, now_s, last = self._stopped_s, time.monotonic(), self._beat
        if last is not None and now_s - last.at_s > self._lag_s:
            self._gaps.append((last, now_s))
        self._beat = Beat(now_s, stopped_s)

    def _settle(self, halting: Halting) -> None:
        reason = self._seized
        if reason is None:
            return
        halting.trigger(by=By(via="riskd"), cause="watchdog", source=SOURCE, reason=reason)
        self._page.release()
        # Last: until here the thread leaves the page alone, or its next seizure could be undone.
        self._seized = None

    # --- in the thread

    def _watch(self) -> None:
        last = _look()
        while not self._closed.wait(LOOK_S):
            look = _look()
            self._stopped_s += stopped_s(last, look)
            last = look
            try:
                self._judge(look.now_s)
            except Exception as error:  # noqa: BLE001 - a watch that ends watches nothing any more
                self._tell_failure(look.now_s, error)

    def _judge(self, now_s: float) -> None:
        beat = self._beat
        if self._stuck is not None and self._stuck is not beat:
            self._stuck = None
            self._log.warning("loop.back")
        gap = self._gaps[0] if self._gaps else None
        if gap is not None:
            self._judge_gap(*gap)
            self._gaps.popleft()
        elif beat is not None:
            self._judge_now(beat, now_s)

    def _judge_gap(self, last: Beat, back_s: float) -> None:
        """It came back before this thread could look, or after what has been said already."""
        lag_s = self._lag(last, back_s)
        if last is self._judged or lag_s <= self._lag_s:
            return
        self._seize(f"the event loop was stuck for {lag_s:.1f} s")
        self._judged = last
        self._tell("loop.was_stuck", lag_s, [])

    def _judge_now(self, beat: Beat, now_s: float) -> None:
        lag_s = self._lag(beat, now_s)
        is_known = beat is self._stuck
        if lag_s <= self._lag_s or (is_known and now_s - self._told_s < AGAIN_S):
            return
        frames = sys._current_frames()  # noqa: SLF001 - the only way to see another thread's stack
        stand = standing(frames[self._loop]) if self._loop in frames else []
        if not is_known:
            self._seize(f"the event loop was stuck for {lag_s:.1f} s or longer{_named(stand)}")
            self._stuck = self._judged = beat
        self._told_s = now_s
        del frames[threading.get_ident()]
        others = {thread: frame for thread, frame in frames.items() if thread != self._loop}
        lines = ["the loop", *(f"  {line}" for line in stand)]
        for number, frame in enumerate(list(others.values())[:THREADS_MAX], start=1):
            lines += [f"thread {number} besides", *(f"  {line}" for line in standing(frame))]
        self._tell("loop.stuck", lag_s, lines)

    def _lag(self, last: Beat, until_s: float) -> float:
        """Without the time for which the process was stopped."""
        return until_s - last.at_s - (self._stopped_s - last.stopped_s)

    def _seize(self, reason: str) -> None:
        """While an earlier seizure is not a fact yet, the page is seized as it is."""
        if self._seized is None:
            self._page.seize()
            self._seized = reason

    def _tell(self, event: str, lag_s: float, lines: list[str]) -> None:
        self._manager.notify(f"STATUS=everything is halted: the event loop stuck for {lag_s:.1f} s")
        self._log.error(event, stuck_s=round(lag_s, 1), **({"stack": lines} if lines else {}))

    def _tell_failure(self, now_s: float, error: Exception) -> None:
        if self._failed_s is None or now_s - self._failed_s >= AGAIN_S:
            self._failed_s = now_s
            with contextlib.suppress(Exception):  # the log itself may be what has failed
                self._log.error("loop.watch_failed", cause=f"{type(error).__name__}: {error}")


def _look() -> Look:
    wakes = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
    return Look(time.monotonic(), wakes, time.process_time())


def _named(stand: list[str]) -> str:
    """The innermost places, each with no more of its path than tells it from others."""
    places = list(_short(stand[-NAMED_MAX:]))
    return f", in {' < '.join(reversed(places))}" if places else ""


def _short(stand: list[str]) -> Iterator[str]:
    for line in stand:
        path, _, name = line.rpartition(" ")
        yield f"{'/'.join(PurePath(path).parts[-2:])} {name}"
