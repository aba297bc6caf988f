"""Documents in words: pure functions from what riskd answered to lines and tables.

They take what is there and say "unknown" for what is not, since the riskd that answers may be older
or newer than this riskctl.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from . import show_halting as halting
from . import show_risk
from .page import Line, Mood, Page, Table
from .show_halting import Document, duration, inner

_HEADS = ("name", "state", "incarnation", "restarts", "budget used", "mailbox", "last failure")
_SERVING = frozenset({"running", "serving"})
_MARKS = ("silent", "stuck", "held")
_NONE = "-"
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def status(document: Document) -> Page:
    """The first line answers the one question that matters: can anything trade, and is it safe?"""
    actors = document.get("actors") or []
    facts = [(name, value) for name, value in _facts(document) if value]
    width = max((len(name) for name, _ in facts), default=0)
    return [
        verdict(document),
        *(Line(f"{name.ljust(width)}  {value}") for name, value in facts),
        *halting.causes(inner(document, "kill_switch")),
        *halting.halts(document.get("halts") or []),
        *_records("workers", document.get("workers") or []),
        *_records("accounts", document.get("accounts") or []),
        Line(""),
        *tree(actors),
    ]


def _canary(canary: Document | None) -> str:
    """Whether the gate refuses what it must refuse."""
    if not canary:
        return ""
    if canary.get("warning"):
        return f"WARNING: {canary['warning']}"
    at = canary.get("last_at")
    answers = halting.count(int(canary.get("answers") or 0), "right answer")
    return answers + (f", the last at {halting.moment(at)}" if at else "")


def _journal(journal: Document) -> str:
    """How far it is, and what is wrong with it."""
    if journal.get("lsn") is None:
        return ""
    words = [f"lsn {journal['lsn']}"]
    if journal.get("unsafe"):
        words.append(f"{journal['unsafe']} not yet on the disk")
    if journal.get("suspected"):
        words.append(f"in doubt: {', '.join(journal['suspected'])}")
    if journal.get("failure"):
        words.append(f"FAILED: {journal['failure']}")
    return ", ".join(words)


def verdict(document: Document) -> Line:
    """The worst that is known comes first, and what is not known is never called safe."""
    switch = inner(document, "kill_switch")
    halts = document.get("halts") or []
    unwell = [actor.get("name") for actor in document.get("actors") or [] if not _well(actor)]
    not_built = document.get("not_built") or []
    of_everything = halting.of_everything(halts)
    if document.get("state") not in _SERVING:
        return Line(f"NOTHING CAN TRADE: riskd is {document.get('state', 'unknown')}", "bad")
    if not halting.is_open(switch):
        return Line(f"NOTHING CAN TRADE: the kill switch is {halting.switch(switch)}", "bad")
    if of_everything is not None and of_everything.mood == "bad":
        return of_everything
    if halting.lapsed(document.get("lease")):
        said = f"the lease has {halting.lease(document.get('lease'))}"
        return Line(f"NOTHING CAN TRADE: {said}", "bad")
    if not_built:
        missing = ", ".join(map(str, not_built))
        said = f"NOT GUARDED: this riskd judges what it is asked and told, and lacks {missing}"
        return Line(said, "warn")
    if unwell:
        return Line(f"DEGRADED: not serving: {', '.join(map(str, unwell))}", "bad")
    if of_everything is not None:
        return of_everything
    if halts:
        return Line(f"PARTLY HALTED: {len(halts)} in force; all else can trade", "warn")
    return Line("ACTIVE: trading is open, and all actors serve", "good")


def _facts(document: Document) -> Iterator[tuple[str, str]]:
    yield "riskd", _identity(document)
    switch = inner(document, "kill_switch")
    yield "kill switch", str(switch.get("state") or "unknown")
    yield from halting.rules(switch)
    yield "halts", f"{len(document.get('halts') or [])} in force"
    if "risk_signal" in document:
        yield "risk signal", show_risk.summary(document.get("risk_signal"))
    journal = document.get("journal") or {}
    yield "journal", _journal(journal)
    yield "lease", halting.lease(document.get("lease"))
    yield "canary", _canary(document.get("canary"))
    config = document.get("config") or {}
    yield "config", f"{config.get('source', 'unknown')} (sha256 {config.get('digest', '')[:12]})"
    yield "control", _pairs(document.get("control"))
    yield "not built", ", ".join(map(str, document.get("not_built") or []))


def _identity(document: Document) -> str:
    version, process = document.get("version", "unknown"), document.get("pid", "unknown")
    uptime = document.get("uptime_s")
    lasting = "" if uptime is None else f", up {duration(uptime)}"
    since = f" since {document['started_at']}" if document.get("started_at") else ""
    return f"{version}, process {process}{lasting}{since}"


def _pairs(values: Document | None) -> str:
    return ", ".join(f"{name} {value}" for name, value in (values or {}).items())


def _records(title: str, records: Sequence[Document]) -> Page:
    """A table of whatever keys the records have, in the order in which they turn up."""
    if not records:
        return []
    heads = tuple(dict.fromkeys(key for record in records for key in record))
    rows = [tuple(_cell(record.get(head)) for head in heads) for record in records]
    return [Line(""), Line(f"{title}:"), Table(heads, rows)]


def _cell(value: object) -> str:
    """In the words of people, not of a language."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _NONE if value is None else str(value)


# --- actors ---------------------------------------------------------------------------------------


def tree(actors: Sequence[Document]) -> Page:
    """Each actor below its supervisor. One whose supervisor is not listed stands at the margin."""
    placed = list(_placed(actors))
    rows = [_row(actor, depth) for actor, depth in placed]
    moods: list[Mood] = ["plain" if _well(actor) else "bad" for actor, _ in placed]
    return [Table(_HEADS, rows, moods)]


def _placed(actors: Sequence[Document]) -> Iterator[tuple[Document, int]]:
    paths = {_path(actor) for actor in actors}
    below: dict[str | None, list[Document]] = {}
    for actor in actors:
        supervisor = actor.get("supervisor")
        below.setdefault(supervisor if supervisor in paths else None, []).append(actor)
    waiting = [(actor, 0) for actor in reversed(below.get(None, []))]
    while waiting:
        actor, depth = waiting.pop()
        yield actor, depth
        # A path is given up once it is drawn, so that not even a wrong document draws one twice.
        children = below.pop(_path(actor), [])
        waiting.extend((child, depth + 1) for child in reversed(children))


def _path(actor: Document) -> str:
    supervisor, name = actor.get("supervisor"), actor.get("name", "unknown")
    return f"{supervisor}/{name}" if supervisor else str(name)


def _well(actor: Document) -> bool:
    serving = str(actor.get("state", "")).lower() in _SERVING
    return serving and not any(actor.get(mark) for mark in _MARKS)


def _row(actor: Document, depth: int) -> tuple[str, ...]:
    return (
        "  " * depth + str(actor.get("name", "unknown")),
        _state(actor),
        str(actor.get("incarnation", _NONE)),
        str(actor.get("restarts", _NONE)),
        _budget(actor.get("budget")),
        _mailbox(actor.get("mailbox")),
        str(actor.get("last_failure") or _NONE),
    )


def _state(actor: Document) -> str:
    marks = [mark for mark in _MARKS if actor.get(mark)]
    return ", ".join([str(actor.get("state", "unknown")), *marks])


def _budget(budget: Document | None) -> str:
    if not budget:
        return _NONE
    return f"{budget.get('used')} of {budget.get('intensity')} in {budget.get('period_s')} s"


def _mailbox(mailbox: Document | None) -> str:
    if not mailbox:
        return _NONE
    quarantined = mailbox.get("quarantined")
    bad = f", {quarantined} quarantined" if quarantined else ""
    return f"{mailbox.get('depth')} of {mailbox.get('capacity')}{bad}"


# --- configuration --------------------------------------------------------------------------------


def config(source: str, document: Document) -> Page:
    return [Line(f"# {source}"), *(Line(line) for line in _settings("", document))]


def _settings(prefix: str, value: object) -> Iterator[str]:
    """One line a key, `section.key = value`, under the names that problems are told with; what is
    unset has no line in TOML and shows so."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _settings(f"{prefix}.{_key(key)}" if prefix else _key(key), inner)
    elif isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        for index, inner in enumerate(value):
            yield from _settings(f"{prefix}[{index}]", inner)
    else:
        yield f"{prefix} = {_literal(value)}"


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _literal(name)


def _literal(value: object) -> str:
    if value is None:
        return "(unset)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_key(key)} = {_literal(each)}' for key, each in value.items())}}}"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)


def reloaded(source: str, changed: Sequence[str], needs_restart: Sequence[str]) -> Page:
    return [
        Line(f"read {source}"),
        Line(f"changed: {', '.join(changed) or 'nothing'}"),
        *([Line(f"true after a restart: {', '.join(needs_restart)}")] if needs_restart else []),
    ]


def previewed(source: str, changed: Sequence[str], needs_restart: Sequence[str]) -> Page:
    return [
        Line(f"{source} is valid; nothing was changed"),
        Line(f"would change: {', '.join(changed) or 'nothing'}"),
        *([Line(f"after a restart: {', '.join(needs_restart)}")] if needs_restart else []),
    ]
