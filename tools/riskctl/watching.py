"""Looking again and again, through restarts of riskd, until Ctrl-C."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from . import page
from .follow import Outage
from .page import Line, Page
from .talk import Failure, settings

Document = Mapping[str, Any]

PASSING = frozenset({"not_reachable", "unavailable", "too_many_clients"})
"""What a riskd that starts again, or makes its book anew, is over with soon."""
_NO_SCREENS = frozenset({"", "dumb", "unknown"})
"""Terminals that can't be drawn over."""


def watch(look: Callable[[], Document], words: Callable[[Document], Page], every_s: float) -> None:
    """Never returns, unless nobody reads."""
    if settings().json:
        page.write_pieces(_lines(look, every_s))
    elif sys.stdout.isatty() and os.environ.get("TERM", "") not in _NO_SCREENS:
        from .terminal import redraw  # noqa: PLC0415 - rich costs as much as all else here

        redraw(_pages(look, words, every_s))
    else:
        page.write_pieces(_texts(look, words, every_s))


def _lines(look: Callable[[], Document], every_s: float) -> Iterator[bytes]:
    for document in _looks(look, every_s):
        yield msgspec.json.encode(document) + b"\n"


def _texts(
    look: Callable[[], Document], words: Callable[[Document], Page], every_s: float
) -> Iterator[bytes]:
    for document in _looks(look, every_s):
        text = page.plain([_head(document, every_s), *words(document), Line("")])
        yield text.encode(errors="replace") + b"\n"


def _looks(look: Callable[[], Document], every_s: float) -> Iterator[Document]:
    """What is seen. That there is no riskd now is said on stderr."""
    outage = Outage()
    while True:
        try:
            found = look()
        except Failure as failure:
            failure.on_stderr = outage.has_been_there
            if failure.code not in PASSING:
                raise
            outage.tell(failure)
        else:
            outage.has_been_there = True
            outage.over()
            yield found
        time.sleep(every_s)


def _pages(
    look: Callable[[], Document], words: Callable[[Document], Page], every_s: float
) -> Iterator[Page]:
    """The same for a screen: while there is no riskd, what was seen last stays on it."""
    head, last = Line(""), list[Any]()
    while True:
        try:
            found = look()
        except Failure as failure:
            if not last or failure.code not in PASSING:
                raise
            said = f"{failure.message}; waiting for it. What follows is old:"
            yield [Line(said, "bad"), head, *last]
        else:
            head, last = _head(found, every_s), list(words(found))
            yield [head, *last]
        time.sleep(every_s)


def _head(document: Document, every_s: float) -> Line:
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Line(f"{now}, fact {document.get('lsn')}, every {every_s:g} s; Ctrl-C ends")
