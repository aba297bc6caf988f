"""Has any symbol with exposure a mark that is too old? Without a look at all of them every time.

Marks become younger when news come; where one does not, and at the first of a symbol, what was
seen is forgotten (`Exposures.forget_ages`). So whoever has looked at one knows until when it can't
be too old, and of all that were looked at the earliest of these times is enough. A clock that
stands before the newest mark makes that one a thing of the future: then all are looked at. What is
answered depends on nothing but the marks and the time: how often was asked before changes no
answer.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

Age = Callable[[str], float | None]
"""Seconds, of the mark of a symbol. None: it has none."""


class Stalest:
    """Of one book, for one age that is too much."""

    def __init__(
        self, max_age_s: float, exposed: Callable[[], Iterable[str]], *, none_is_old: bool
    ) -> None:
        """`none_is_old`: so is one that is not there."""
        self._max_age_s = max_age_s
        self._none_is_old = none_is_old
        self._exposed = exposed
        self._unseen: dict[str, None] = dict.fromkeys(exposed())
        self._from: datetime | None = None
        """From here until these none of the others can be too old. None: all are unseen."""
        self._until: datetime | None = None
        self._until_s = 0.0

    def expose(self, symbol: str) -> None:
        """There is something in it, and was nothing before."""
        self._unseen[symbol] = None

    def conceal(self, symbol: str) -> None:
        """There is nothing in it any more."""
        self._unseen.pop(symbol, None)

    def is_calm(self, at: datetime, monotonic_s: float, newest: datetime) -> bool:
        """It is known that none is: nothing has to be looked at."""
        return (
            not self._unseen
            and at >= newest
            and self._from is not None
            and not self._is_over(at, monotonic_s)
        )

    def is_any(self, at: datetime, monotonic_s: float, age_s: Age, newest: datetime) -> bool:
        """Too old, or of a time that has not come yet. `newest`: no mark came later."""
        if at < newest or self._is_over(at, monotonic_s):
            self._from = self._until = None
            self._unseen = dict.fromkeys(self._exposed())
        unseen = self._unseen
        while unseen:
            symbol = next(iter(unseen))
            age = age_s(symbol)
            if age is None:
                if self._none_is_old:
                    return True
                age = 0.0  # once it comes it is no older
            if not 0.0 <= age <= self._max_age_s:
                return True
            self._see(at, monotonic_s, self._max_age_s - age)
            del unseen[symbol]
        return False

    def _is_over(self, at: datetime, monotonic_s: float) -> bool:
        """Is it another time than what was seen is good for?"""
        if self._from is None or self._until is None:
            return False
        return not (self._from <= at <= self._until and monotonic_s <= self._until_s)

    def _see(self, at: datetime, monotonic_s: float, left_s: float) -> None:
        until, until_s = at + timedelta(seconds=left_s), monotonic_s + left_s
        if self._from is None or self._until is None:
            self._from, self._until, self._until_s = at, until, until_s
        else:
            self._from = max(self._from, at)
            self._until, self._until_s = min(self._until, until), min(self._until_s, until_s)
