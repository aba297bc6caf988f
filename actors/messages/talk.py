"""Talking over the socket: who calls, how riskd stands, and what comes by subscription."""

from typing import Annotated

from msgspec import Meta, Raw, field

from .base import PROTOCOL, Command, Lsn, Name, Push, Reply


class Hello(Command, frozen=True, kw_only=True, tag="hello"):
    """Says who is calling. Optional for people: without it the kernel's word alone decides.

    `token` proves a worker (it was given to that launch of it and to nobody else). `role` can only
    give up rights: a dashboard that shows and never acts asks for "observer".
    """

    token: Annotated[str, Meta(max_length=256)] | None = None
    role: Annotated[str, Meta(max_length=32)] | None = None
    protocol: int = PROTOCOL


class Welcome(Reply, frozen=True, kw_only=True, tag="welcome"):
    """Who riskd takes the caller for."""

    role: str
    user_id: int
    process_id: int
    worker: str | None
    version: str
    protocol: int = PROTOCOL


class Version(Command, frozen=True, kw_only=True, tag="version"):
    """Which riskd is this?"""


class VersionIs(Reply, frozen=True, kw_only=True, tag="version"):
    version: str
    protocol: int
    python: str


class Status(Command, frozen=True, kw_only=True, tag="status"):
    """Everything at a glance."""


class StatusIs(Reply, frozen=True, kw_only=True, tag="status"):
    """`status` holds the document that `riskctl --json status` prints."""

    status: dict[str, object]


class Subscribe(Command, frozen=True, kw_only=True, tag="subscribe"):
    """Tell me the facts, or those that I choose: each once, in order, none left out.

    `from_lsn` is the first that is wanted; null: only those that come from now on. A fact is chosen
    when it fits each of `facts` (tags), `actor` and `account` that is given.
    """

    from_lsn: Lsn | None = None
    facts: Annotated[tuple[Name, ...], Meta(max_length=256)] = ()
    actor: Name | None = None
    account: Name | None = None


class Subscribed(Reply, frozen=True, kw_only=True, tag="subscribed"):
    """Pushes follow, from `from_lsn` on. `lsn` is the newest fact now, 0 when there is none yet."""

    from_lsn: int
    lsn: int


class Told(Push, frozen=True, kw_only=True, tag="recorded"):
    """One fact. The line is made of the stored one as it is, so that `fact` is not decoded here."""

    lsn: int
    at: str
    monotonic_s: float
    fact: Raw


class Position(Push, frozen=True, kw_only=True, tag="position"):
    """Everything up to `lsn` has been told, or was not chosen."""

    lsn: int


class Refused(Reply, frozen=True, kw_only=True, tag="refused"):
    """riskd understood and said no. Nothing was changed."""

    code: str
    message: str
    problems: list[str] = field(default_factory=list)


class Error(Reply, frozen=True, kw_only=True, tag="error"):
    """The line was no valid command. Nothing was changed; the connection goes on unless told so."""

    code: str
    message: str
    field: str | None = None


Commands = Hello | Version | Status | Subscribe
Replies = Welcome | VersionIs | StatusIs | Subscribed | Refused | Error
Pushes = Told | Position
