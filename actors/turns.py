"""Whose turn it is to be answered: who comes to stop everything must find a loop that turns.

The loop goes round all its tasks, and it takes a newcomer a handful of rounds to be accepted, heard
and answered. A round lasts as long as what all clients get done in it. So all of them together get
`ROUND_S` of one, and those who come after that are served in the next ones. What can't wait asks
for no turn.
"""

import attrs
import trio

ROUND_S = 0.000_2
"""Beyond this nobody begins anything: one answer may take longer. Of checks of orders, which take
the longest of all that come by the thousand, it is a handful: with less, the rounds would take more
than the checks."""


@attrs.define(eq=False)
class Turns:
    """Works only while `run` does."""

    _spent_s: float = attrs.field(default=0.0, init=False)
    _served: int = attrs.field(default=0, init=False)
    _waiting: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)
    _crowded: trio.Event = attrs.field(factory=trio.Event, init=False)

    async def run(self) -> None:
        """Begin a round as often as the loop does, as long as somebody waits for one."""
        while True:
            await self._crowded.wait()
            self._crowded = trio.Event()
            while self._waiting:
                await trio.lowlevel.checkpoint()
                # One more than there was time for: those for whom there is none wait again.
                count, self._served, self._spent_s = self._served + 1, 0, 0.0
                self._waiting.unpark(count=count)

    async def take(self) -> None:
        """Before something is done. No checkpoint, unless there is a crowd."""
        if self._waiting or self._spent_s >= ROUND_S:
            self._crowded.set()
            await self._waiting.park()
            while self._spent_s >= ROUND_S:
                self._crowded.set()
                await self._waiting.park()
        self._served += 1

    def spend(self, seconds: float) -> None:
        """What it took, afterwards."""
        self._spent_s += seconds
