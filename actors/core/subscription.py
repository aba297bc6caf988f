"""What a subscriber is told: every fact that it chose, once and in order, and how far that is.

A fact's line is the stored one with a head in front. Without a filter it is not even decoded, so
that a follower of everything costs a copy of its bytes.

Whoever chooses few facts of many also wants to know how far it is, for there it goes on after a
restart of either end. So a `position` comes when the newest fact is reached for the first time,
and after each run of `POSITION_EVERY` facts that were not chosen.
"""

from typing import Any

import msgspec

from ..messages import Position, Subscribe
from .selection import ALL, FACT_TAGS, Selection, matches

POSITION_EVERY = 10_000
"""A fraction of a second to read again after a reconnect, and next to nothing to send."""

_encoder = msgspec.json.Encoder()
_document: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any])


def unknown_fact(subscribe: Subscribe) -> str | None:
    """What is wrong with its choice, if anything: who waits for a misspelt fact hears nothing."""
    for tag in subscribe.facts:
        if tag not in FACT_TAGS:
            return f"no fact is called {tag!r}; there are: {', '.join(FACT_TAGS)}"
    return None


class Subscription:
    """One subscriber's choice, and its place in history."""

    def __init__(self, subscribe: Subscribe, after_lsn: int) -> None:
        self.subscribe = subscribe
        self.lsn = after_lsn
        """Everything up to here has been told, or was not chosen."""
        self._head = b'{"type":"recorded","id":' + _encoder.encode(subscribe.id) + b","
        self._chosen = Selection(
            facts=subscribe.facts, actor=subscribe.actor, account=subscribe.account
        )
        self._takes_all = self._chosen == ALL
        self._passed_over = 0
        self._has_caught_up = False

    def tell(self, lsn: int, stored: bytes) -> bytes:
        """What to send for the next fact: its line, a position, or nothing."""
        assert lsn == self.lsn + 1, f"a feed has no gaps: fact {lsn} came after {self.lsn}"
        self.lsn = lsn
        if self._takes_all or matches(self._chosen, _document.decode(stored)):
            self._passed_over = 0
            return self._head + stored[1:] + b"\n"
        self._passed_over += 1
        return self._position() if self._passed_over == POSITION_EVERY else b""

    def reach(self, newest_lsn: int) -> bytes:
        """A position, when this is the first time that there is nothing more to tell."""
        if self._has_caught_up or self.lsn < newest_lsn:
            return b""
        self._has_caught_up = True
        return self._position()

    def _position(self) -> bytes:
        self._passed_over = 0
        return _encoder.encode(Position(id=self.subscribe.id, lsn=self.lsn)) + b"\n"
