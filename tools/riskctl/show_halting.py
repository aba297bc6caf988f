"""The kill switch, the halts and the lease in words: pure functions of what riskd answered.

As everywhere in riskctl, what is missing is "unknown" or "-", and is never taken for permission.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .page import Line, Page, Table

Document = Mapping[str, Any]

_HEADS = ("scope", "mode", "cause", "reason", "until", "by")
_NONE = "-"
_FRACTION = re.compile(r"(?<=:\d\d)\.\d+")
_AFTER_CRASH = {
    "reconcile": "halted until every account is reconciled, or an operator lifts it",
    "operator": "halted until an operator lifts it",
}


def inner(document: Document, key: str) -> Document:
    """A document in a document, or an empty one."""
    found = document.get(key)
    return found if isinstance(found, Mapping) else {}


def duration(seconds: float) -> str:
    """The two largest units, as one says it."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days} d {hour} h"
    if hours:
        return f"{hours} h {minute} min"
    if minutes:
        return f"{minutes} min {second} s"
    return f"{seconds:.1f} s"


def moment(text: object) -> str:
    """To the second, which is what a person reads."""
    return _FRACTION.sub("", str(text)).replace("+00:00", "Z")


def count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'s' * (number != 1)}"


def who(by: object) -> str:
    """By the kernel's word, and which way he came if that was not the usual one."""
    if not isinstance(by, Mapping):
        return "unknown"
    if by.get("via") == "riskd":
        return "riskd"
    user, number = by.get("user"), by.get("user_id")
    name = str(user) if user else "unknown" if number is None else f"user {number}"
    return f"{name} (signal)" if by.get("via") == "signal" else name


# --- the kill switch ------------------------------------------------------------------------------


def switch(document: Document) -> str:
    """Its state, why, by whom, since when, and what is still to be waited for."""
    state = str(document.get("state") or "UNKNOWN")
    if state != "ACTIVE":
        state += f" ({document.get('reason') or 'no reason given'})"
    return ", ".join([state, *_more(document)])


def is_open(document: Document) -> bool:
    """May something pass, as far as the kill switch goes?"""
    return document.get("state") == "ACTIVE" and not document.get("doubt")


def _more(document: Document) -> Iterator[str]:
    causes = document.get("triggers") or []
    if causes:
        yield f"by {who(causes[0].get('by'))}"
    if document.get("since"):
        yield f"since {moment(document['since'])}"
    if len(causes) > 1:
        yield f"{count(len(causes), 'cause')} in all"
    recovery = inner(document, "recovery")
    if recovery:
        yield f"approved by {recovery.get('approved_by', 'unknown')}"
        yield cooldown(recovery.get("cooldown_left_s"))
    if document.get("doubt"):
        yield f"not to be relied on: {document['doubt']}"


def cooldown(left_s: float | None) -> str:
    if left_s is None:
        return "how long the cooldown lasts is unknown"
    if left_s > 0:
        return f"the cooldown has {duration(left_s)} to go"
    return "the cooldown is over: riskctl complete-recovery"


def causes(document: Document) -> Page:
    """All that killed it, where one line does not say it."""
    found = document.get("triggers") or []
    if len(found) < 2:
        return []
    heads = ("at", "cause", "source", "reason", "by")
    rows = [
        (
            moment(_cell(each, "at")),
            *(_cell(each, head) for head in heads[1:4]),
            who(each.get("by")),
        )
        for each in found
    ]
    return [Line(""), Line("causes of the kill:"), Table(heads, rows)]


def rules(document: Document) -> Iterator[tuple[str, str]]:
    """What the configuration says about the way back."""
    policy = document.get("after_crash")
    yield "after a crash", _AFTER_CRASH.get(str(policy), str(policy or ""))
    way = []
    if document.get("cooldown_s") is not None:
        way.append(f"after {duration(document['cooldown_s'])}")
    if document.get("two_person"):
        way.append("with the approval of another person")
    yield "way back", ", ".join(way)


# --- halts and the lease --------------------------------------------------------------------------


def halts(found: Sequence[Document]) -> Page:
    """A table of them, the strict ones in another colour. Nothing when there are none."""
    if not found:
        return []
    rows = [_row(halt) for halt in found]
    return [
        Line(""),
        Line("halts:"),
        Table(_HEADS, rows, ["warn" if _reduces(halt) else "bad" for halt in found]),
    ]


def _row(halt: Document) -> tuple[str, ...]:
    return (*(_cell(halt, head) for head in _HEADS[:4]), until(halt), placed_by(halt))


def _cell(document: Document, key: str) -> str:
    found = document.get(key)
    return _NONE if found is None else str(found)


def _reduces(halt: Document) -> bool:
    return halt.get("mode") == "reduce_only"


def placed_by(halt: Document) -> str:
    """Of riskd's own, the part of it: that is where to look."""
    said = who(halt.get("by"))
    return f"riskd: {halt['source']}" if said == "riskd" and halt.get("source") else said


def until(halt: Document) -> str:
    """What ends it, in the column of that name; and how often it has come back."""
    repeat = halt.get("repeat")
    return f"{_end(halt)}, repeat {repeat}" if repeat else _end(halt)


def _end(halt: Document) -> str:
    left_s, at = halt.get("ends_in_s"), halt.get("until_at") and moment(halt["until_at"])
    left = "" if left_s is None else f"{duration(left_s)} to go"
    match halt.get("until"):
        case None:
            return _NONE
        case "operator":
            return "it is lifted"
        case "elapsed":
            return left or "its time has come"
        case "condition":
            return str(halt.get("condition") or "a condition holds")
        case "session":
            return ", ".join(filter(None, [f"the session's reset {at or ''}".strip(), left]))
        case other:
            return ", ".join(filter(None, [str(at or other), left]))


def lasting(halt: Document) -> str:
    """The same in a sentence."""
    if halt.get("until") == "elapsed" and halt.get("ends_in_s") is not None:
        return f"for another {duration(halt['ends_in_s'])}"
    return f"until {until(halt)}"


def widest(found: Sequence[Document]) -> Document | None:
    """The strictest halt of everything, if there is one."""
    of_all = [halt for halt in found if halt.get("scope") == "all"]
    return min(of_all, key=_reduces, default=None)


def of_everything(found: Sequence[Document]) -> Line | None:
    """What a halt of everything means for whoever wants to trade."""
    halt = widest(found)
    if halt is None:
        return None
    why = f"({halt.get('reason') or 'no reason given'}), {lasting(halt)}"
    if _reduces(halt):
        return Line(f"REDUCE ONLY: positions may only be made smaller {why}", "warn")
    return Line(f"NOTHING CAN TRADE: everything is halted {why}", "bad")


def lease(document: Document | None) -> str:
    if not document:
        return "none"
    if lapsed(document):
        return f"LAPSED: {document.get('lapsed_because') or 'no reason given'}"
    left, length = document.get("remaining_s"), document.get("length_s")
    words = ["held" if document.get("held") else "unknown"]
    if left is not None and length is not None:
        words.append(f"{left:g} s left of {length:g} s")
    if document.get("path"):
        words.append(f"at {document['path']}")
    return ", ".join(words)


def lapsed(document: Document | None) -> bool:
    return bool(document) and document is not None and document.get("held") is False


# --- before a question ----------------------------------------------------------------------------

UNKNOWN = "riskd has not said what is halted now."


def before_trigger(present: Document | None, scope: str) -> list[str]:
    """What it will do, as far as that is known: nothing holds up a trigger."""
    if scope != "all":
        return [f"Everything in {scope} stops at once, until it is lifted.", _present(present)]
    said = "Everything stops at once. The way back needs an approval and the cooldown."
    if present and inner(present, "kill_switch").get("state") == "RECOVERING":
        return [said, f"It breaks off the recovery: {_present(present)}"]
    return [said, _present(present)]


def before_recover(present: Document) -> list[str]:
    wait_s = inner(present, "kill_switch").get("cooldown_s")
    wait = "the cooldown" if wait_s is None else f"the cooldown of {duration(wait_s)}"
    return [_present(present), f"This begins the way back: {wait}. Nothing trades until it ends."]


def before_complete(present: Document) -> list[str]:
    return [_present(present), "This lets trade what no halt covers."]


def before_freeze(present: Document, scope: str, lasting: str, *, reduce_only: bool) -> list[str]:
    does = "may only make positions smaller" if reduce_only else "stops"
    return [f"Everything in {scope} {does}, {lasting}.".replace("in all ", ""), _present(present)]


def before_unfreeze(present: Document, scope: str) -> list[str]:
    found = [halt for halt in present.get("halts") or [] if halt.get("scope") == scope]
    said = f"This lifts {count(len(found), 'halt')} of exactly {scope}"
    others = len(present.get("halts") or []) - len(found)
    return [
        f"{said}; {count(others, 'other')} stay{'s' * (others == 1)} in force.",
        *(f"  {_cell(halt, 'mode')}, {_cell(halt, 'cause')}: {_why(halt)}" for halt in found),
    ]


def _why(halt: Document) -> str:
    return f"{_cell(halt, 'reason')} ({lasting(halt)}, by {placed_by(halt)})"


def _present(present: Document | None) -> str:
    if present is None:
        return UNKNOWN
    number = count(len(present.get("halts") or []), "halt")
    return f"The kill switch is {switch(inner(present, 'kill_switch'))}; {number} in force."


# --- afterwards -----------------------------------------------------------------------------------


def triggered(reply: Document) -> Page:
    said = switch(inner(reply, "kill_switch"))
    if reply.get("changed"):
        return [Line(f"nothing can trade: the kill switch is {said}", "bad")]
    return [Line(f"it was so already: the kill switch is {said}", "bad")]


def recovering(reply: Document) -> Page:
    found = inner(reply, "kill_switch")
    if reply.get("changed"):
        return [Line(f"nothing trades yet: the kill switch is {switch(found)}", "warn")]
    return [Line(f"nothing was changed: the kill switch is {switch(found)}")]


def completed(reply: Document) -> Page:
    found, left = switch(inner(reply, "kill_switch")), reply.get("halts") or []
    said = "trading is on again" if reply.get("changed") else "nothing was changed"
    more = f"; {count(len(left), 'halt')} still in force" if left else ""
    return [Line(f"{said}: the kill switch is {found}{more}", "good"), *halts(left)]


def placed(reply: Document, scope: str) -> Page:
    """A halt that was asked for; or, where there are too many, the kill that came instead."""
    new = reply.get("changed") or []
    found = reply.get("halts") or []
    if new:
        one: Document = next((halt for halt in found if halt.get("id") in new), {})
        said = f"in force: {_cell(one, 'mode')} of {scope}, {lasting(one)}"
        return [Line(said, "warn"), *_killed(reply)]
    if is_open(inner(reply, "kill_switch")):
        return [Line(f"it was so already: a halt of {scope} does this, and for as long")]
    return [Line("no halt was placed"), *_killed(reply)]


def lifted(reply: Document, scope: str) -> Page:
    found = reply.get("changed") or []
    left = reply.get("halts") or []
    if found:
        said = Line(f"lifted: {count(len(found), 'halt')} of {scope}", "good")
    else:
        said = Line(f"nothing was changed: no halt of exactly {scope} is in force")
    return [said, *_killed(reply), *halts(left)]


def in_force(reply: Document) -> Page:
    found = reply.get("halts") or []
    said = switch(inner(reply, "kill_switch"))
    return [Line(f"kill switch: {said}; {count(len(found), 'halt')} in force"), *halts(found)]


def _killed(reply: Document) -> Page:
    found = inner(reply, "kill_switch")
    if is_open(found):
        return []
    return [Line(f"nothing can trade: the kill switch is {switch(found)}", "bad")]
