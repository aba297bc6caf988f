"""Warnings that somebody else can make come by the thousand: a few of them are logged, and the rest
counted.

The facts stay, each of them. A log that is full of one thing shows nothing else, and a disk that is
full of the log stops the journal.
"""

import attrs

LOGGED = 10
"""Of one kind in a while."""
WHILE_S = 60.0


@attrs.define(eq=False)
class Sparing:
    """Of one kind of fact."""

    _began_s: float = attrs.field(default=float("-inf"), init=False)
    _told: int = attrs.field(default=0, init=False)
    _untold: int = attrs.field(default=0, init=False)

    def more(self, now_s: float) -> dict[str, object] | None:
        """What is to be said besides of one that comes now. None: nothing is said of it."""
        if now_s - self._began_s >= WHILE_S:
            self._began_s, self._told = now_s, 0
        elif self._told == LOGGED:
            self._untold += 1
            return None
        self._told += 1
        said: dict[str, object] = {}
        if self._untold:
            said["not_logged_before"] = self._untold
            self._untold = 0
        if self._told == LOGGED:
            left_s = round(self._began_s + WHILE_S - now_s, 3)
            said["no_more_for_s"] = left_s
        return said
