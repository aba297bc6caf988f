"""Which facts somebody wants to see: by tag, actor, account and time.

What is asked of a fact is asked of its JSON, not of the class that it would be: a journal holds the
facts of other versions too, and whoever looks for something must not stop at them.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, get_args

from msgspec import Struct

from ..messages import AnyFact

FACT_TAGS = tuple(sorted(str(fact.__struct_config__.tag) for fact in get_args(AnyFact)))
"""The facts that this riskd knows. Whoever takes a tag from a person refuses others: a misspelt one
would select nothing, and look like an answer."""


class Selection(Struct, frozen=True, kw_only=True):
    """A fact must fit everything that is given. Nothing given selects everything."""

    facts: tuple[str, ...] = ()
    actor: str | None = None
    """Alone or as the path below its supervisors; of a supervisor, all that it did."""
    account: str | None = None
    since: datetime | None = None
    """This moment is in it, and `until` is not: windows that touch have no fact in common."""
    until: datetime | None = None


ALL = Selection()


def matches(selection: Selection, recorded: Mapping[str, Any]) -> bool:
    """Does it select this fact? `recorded` is the decoded JSON of a Recorded."""
    if selection == ALL:
        return True
    fact = recorded["fact"]
    return (
        (not selection.facts or fact["type"] in selection.facts)
        and (selection.account is None or fact.get("account") == selection.account)
        and (selection.actor is None or _is_of(selection.actor, fact))
        and _is_within(selection, recorded["at"])
    )


def _is_of(actor: str, fact: Mapping[str, Any]) -> bool:
    supervisor, child = fact.get("supervisor"), fact.get("child")
    paths = [fact.get("actor"), supervisor, f"{supervisor}/{child}" if child else None]
    return any(path == actor or str(path).endswith(f"/{actor}") for path in paths if path)


def _is_within(selection: Selection, at: str) -> bool:
    since, until = selection.since, selection.until
    if since is None and until is None:
        return True
    moment = datetime.fromisoformat(at)
    return (since is None or since <= moment) and (until is None or moment < until)
