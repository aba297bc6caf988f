"""`riskctl audit`: who did what, when and from where, as the facts have it.

Every fact that says by whom it was made belongs here, and each start and end of riskd, between
which it was. Which these are is found among the facts themselves, so that none can be forgotten.
It asks riskd, or reads the files when riskd is not there.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from ...actors.messages import AnyFact, DaemonStarted, DaemonStopped, Subscribe, Subscribed
from . import page
from .options import PATH, everywhere, moment
from .page import Line, Page, Table
from .show_halting import count, who
from .talk import NOT_REACHABLE, Failure, ask, emit

if TYPE_CHECKING:
    from .history import Facts

Entry = dict[str, Any]

TAGS = tuple(
    str(fact.__struct_config__.tag)
    for fact in get_args(AnyFact)
    if "by" in fact.__struct_fields__ or fact in (DaemonStarted, DaemonStopped)
)
_HEADS = ("at", "who", "from", "what", "about")
_ASIDE = frozenset({"type", "by", "limits"})
"""`limits` are all limits, of which `changes` says what is new. The rest is there with --json."""


@click.command()
@click.option(
    "--since",
    metavar="TIME",
    callback=moment,
    help="Only from this time on: 2026-11-21T12:30:00Z, or 15m, 2h, 3d ago.",
)
@click.option("--until", metavar="TIME", callback=moment, help="Only before this time.")
@click.option("--who", "name", metavar="NAME", help="Only what this user, or id, did or approved.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the newest N.")
@click.option(
    "--state-dir",
    "directory",
    type=PATH,
    metavar="PATH",
    help="Read the files of this state directory, without riskd.",
)
@everywhere
def audit(
    since: datetime | None,
    until: datetime | None,
    name: str | None,
    limit: int | None,
    directory: Path | None,
) -> None:
    """Who did what, when, and from where: as riskd has written it down.

    Kills, recoveries, halts and whatever else says who did it, and riskd's own starts and ends.
    """
    from ...actors.core.selection import Selection  # noqa: PLC0415 - status must not wait for it
    from .history import chosen, document_of  # noqa: PLC0415 - see above

    selection = Selection(facts=TAGS, since=since, until=until)
    entries = (
        entry
        for facts in (_told() if directory is None else _stored(directory))
        for fact in chosen(facts, selection)
        if is_by(entry := entry_of(document_of(*fact)), name)
    )
    newest = list(deque(entries, maxlen=limit))
    emit(newest, shown(newest))


# --- where they come from -------------------------------------------------------------------------


def _told() -> Iterator["Facts"]:
    """By riskd, from the oldest that it keeps to the newest there is now."""
    from . import follow  # noqa: PLC0415 - see above

    try:
        newest = follow.newest_lsn()
        if newest:
            with page.progress("asking", lambda: newest) as advance:
                yield from follow.facts(_oldest(newest), newest, {"facts": TAGS}, advance)
    except Failure as failure:
        if failure.status != NOT_REACHABLE:
            raise
        remedy = "to read its files instead, name its state directory with --state-dir"
        raise Failure(failure.status, failure.code, failure.message, [remedy]) from failure


def _oldest(newest: int) -> int:
    """Where history begins. Mostly at the first fact; else it is found in a few dozen questions."""
    if _is_kept(1):
        return 1
    gone, kept = 1, newest
    while kept - gone > 1:
        middle = (gone + kept) // 2
        if _is_kept(middle):
            kept = middle
        else:
            gone = middle
    return kept


def _is_kept(lsn: int) -> bool:
    try:
        ask(Subscribe(from_lsn=lsn, facts=TAGS), Subscribed)
    except Failure as failure:
        if failure.code != "too_old":
            raise
        return False
    return True


def _stored(given: Path) -> Iterator["Facts"]:
    """In the files, archived ones among them."""
    from ...adapters.disk import SystemDisk  # noqa: PLC0415 - see above
    from ...supervisor.journal.verification import newest_lsn  # noqa: PLC0415 - see above
    from .history import Asked, batches, place  # noqa: PLC0415 - see above

    directory = place(given)
    with page.progress("reading", lambda: newest_lsn(SystemDisk(), directory)) as advance:
        for facts in batches(Asked(directory), directory):
            yield facts
            advance(facts[-1][0])


# --- what they say --------------------------------------------------------------------------------


def entry_of(recorded: Mapping[str, Any]) -> Entry:
    """One act. `by` is null where riskd started or ended, or an older one had not noted it."""
    fact = recorded["fact"]
    by = fact.get("by")
    is_own = by is None and fact["type"].startswith("daemon_")
    return {
        "lsn": recorded["lsn"],
        "at": recorded["at"],
        "who": "riskd" if is_own else who(by),
        "what": fact["type"],
        "by": by,
        "fact": fact,
    }


def is_by(entry: Entry, name: str | None) -> bool:
    """Did he do it, or take the responsibility?"""
    by = entry["by"] or {}
    number = by.get("user_id")
    names = {by.get("user"), entry["who"], entry["fact"].get("approved_by")}
    return name is None or name in names or (number is not None and name == str(number))


def shown(entries: list[Entry]) -> Page:
    if not entries:
        return [Line(count(0, "act"))]
    rows = [_row(entry) for entry in entries]
    return [Table(_HEADS, rows), Line(count(len(entries), "act"))]


def _row(entry: Entry) -> tuple[str, ...]:
    by = entry["by"] or {}
    process = by.get("process_id")
    way = [str(by.get("via", "-"))] + ([f"process {process}"] if process is not None else [])
    about = " ".join(_pairs(entry["fact"]))
    return (entry["at"], entry["who"], ", ".join(way), entry["what"].replace("_", " "), about)


def _pairs(fact: Mapping[str, Any]) -> Iterator[str]:
    from .history import plain  # noqa: PLC0415 - see above

    for key, value in fact.items():
        if key in _ASIDE or value is None:
            continue
        if key == "changes":
            yield from (_change(each) for each in value)
        elif isinstance(value, Mapping):
            # What kind it is comes first: `until=elapsed seconds=900.0`.
            yield from [f"{key}={value['type']}"] if "type" in value else []
            yield from _pairs(value)
        else:
            yield f"{key}={plain(value)}"


def _change(change: Mapping[str, Any]) -> str:
    """`max_position@account:main=tightened(max_qty 2 -> 1.5)`."""
    keys = ", ".join(f"{key['key']} {key['old']} -> {key['new']}" for key in change["keys"])
    return f"{change['rule']}={change['how']}" + (f"({keys})" if keys else "")
