"""The risk signal in words: pure functions of what riskd answered."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .page import Line, Mood, Page, Table

Document = Mapping[str, Any]

_NONE = "-"
_MOODS: Mapping[object, Mood] = {"info": "good", "warning": "warn", "critical": "bad"}
_FIGURES = (
    ("equity", "equity"),
    ("drawdown %", "drawdown_pct"),
    ("day", "daily_pnl"),
    ("week", "weekly_pnl"),
    ("gross x", "gross_leverage"),
    ("net x", "net_leverage"),
    ("largest %", "concentration_pct"),
)
_SPARE = ("net x", "week", "gross x", "largest %", "day")


def risk(document: Document) -> Page:
    """A row a scope, the issues below it, and what others say."""
    scopes, sources = document.get("scopes") or [], document.get("sources") or []
    level = document.get("level", "unknown")
    heads = ("scope", "level", "score", "tier", *(head for head, _ in _FIGURES))
    rows = [_row(row) for row in scopes]
    return [
        Line(f"risk signal: {level}", _MOODS.get(level, "warn")),
        *([Table(heads, rows, _moods(scopes), _numbers(), _SPARE)] if rows else []),
        *_issues(scopes, "scope"),
        *_sources(sources),
    ]


def _numbers() -> frozenset[str]:
    return frozenset({"score", *(head for head, _ in _FIGURES)})


def _moods(rows: Sequence[Document]) -> list[Mood]:
    """What is well needs no colour."""
    return [
        "plain" if row.get("level") == "info" else _MOODS.get(row.get("level"), "warn")
        for row in rows
    ]


def _row(row: Document) -> tuple[str, ...]:
    figures = (str(row.get(key) or "unknown") for _, key in _FIGURES)
    return (
        str(row.get("scope", "unknown")),
        str(row.get("level", "unknown")),
        str(row.get("score", "unknown")),
        str(row.get("tier", "unknown")),
        *figures,
    )


def _issues(rows: Sequence[Document], key: str) -> Iterator[Line]:
    for row in rows:
        who = row.get(key, "unknown")
        yield from (Line(f"  {who}: {each}", "bad") for each in row.get("critical_issues") or [])
        yield from (Line(f"  {who}: {each}", "warn") for each in row.get("warnings") or [])
        if row.get("action_required"):
            yield Line(f"  {who}: a person has to act", "bad")


def _sources(rows: Sequence[Document]) -> Page:
    if not rows:
        return []
    heads = ("source", "level", "score", "tier", "state", "age", "policy", "reason")
    cells = [
        (
            str(row.get("source", "unknown")),
            str(row.get("level", "unknown")),
            str(row.get("score", "unknown")),
            str(row.get("tier", "unknown")),
            str(row.get("state", "unknown")),
            _NONE if row.get("age_s") is None else f"{row['age_s']} s",
            str(row.get("policy") or _NONE),
            str(row.get("reason") or _NONE),
        )
        for row in rows
    ]
    return [
        Line(""),
        Line("by the word of others:"),
        Table(heads, cells, _moods(rows)),
        *_issues(rows, "source"),
    ]


def summary(document: Document | None) -> str:
    """In one line, for `status`."""
    if not document:
        return "unknown"
    words = [str(document.get("level", "unknown"))]
    rows = [*(document.get("scopes") or []), *(document.get("sources") or [])]
    for row in rows:
        issues = [*(row.get("critical_issues") or []), *(row.get("warnings") or [])]
        if issues:
            words.append(f"{row.get('scope') or row.get('source')}: {issues[0]}")
    return "; ".join(words[:4])
