"""Who may say what over the control socket.

Identity comes from two places and no third: the kernel, which names the user at the other end of
the connection (`Peer`), and a token, which riskd gave to one launch of one worker and to nobody
else. What a message says of itself only ever takes rights away.

There are three roles. An observer may look; an operator may also act. A worker stands apart: it is
neither more nor less than an observer, it is one launch of one worker and has that worker's rights.
`PERMITTED` lists every command with the roles that may give it, and a command that is not listed is
refused to all, so that a new one is closed until somebody has decided who may open it.

Tokens are kept as SHA-256 digests: whoever reads riskd's memory or a dump of it learns none. They
are 256 random bits, so a salt would add nothing.
"""

import hashlib
import hmac
from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

import attrs

from ..messages import (
    PROTOCOL,
    Acked,
    Actors,
    AmendAsked,
    Amended,
    AmendRejected,
    ApproveOverride,
    CancelAsked,
    Canceled,
    Check,
    Command,
    CompleteRecovery,
    Dropped,
    Edge,
    Expired,
    Explain,
    Filled,
    Freeze,
    Hello,
    KillActor,
    Marked,
    Metric,
    PreviewReload,
    RearmRule,
    Recover,
    Rejected,
    Reload,
    ReportEquity,
    ReportEvents,
    RequestOverride,
    ResetLimit,
    RevokeOverride,
    Sent,
    SetLimit,
    ShowConfig,
    ShowCounters,
    ShowHalts,
    ShowLimits,
    ShowOrders,
    ShowOverrides,
    ShowPnl,
    ShowPositions,
    ShowRisk,
    Signal,
    Status,
    Subscribe,
    Trigger,
    Unfreeze,
    VenueSays,
    Version,
    WhatIf,
)

TOKEN_BYTES = 32
"""256 bits: not to be guessed, whatever a guesser's speed."""


class Role(StrEnum):
    """What a caller may do."""

    OBSERVER = "observer"
    """May look at everything that holds no configuration."""
    OPERATOR = "operator"
    """May also act, and see the configuration."""
    WORKER = "worker"
    """One launch of one worker, proved by its token."""


_EVERYONE = frozenset(Role)
_PEOPLE = frozenset({Role.OBSERVER, Role.OPERATOR})
_OPERATORS = frozenset({Role.OPERATOR})
_REPORTERS = frozenset({Role.OPERATOR, Role.WORKER})

PERMITTED: Mapping[type[Command], frozenset[Role]] = {
    Hello: _EVERYONE,
    Version: _EVERYONE,
    Status: _EVERYONE,
    Actors: _PEOPLE,
    Subscribe: _PEOPLE,
    ShowHalts: _PEOPLE,
    ShowPositions: _PEOPLE,
    ShowOrders: _PEOPLE,
    ShowPnl: _PEOPLE,
    ShowLimits: _PEOPLE,
    ShowOverrides: _PEOPLE,
    ShowCounters: _PEOPLE,
    Explain: _EVERYONE,
    WhatIf: _PEOPLE,
    ShowRisk: _PEOPLE,
    KillActor: _OPERATORS,
    ShowConfig: _OPERATORS,
    Reload: _OPERATORS,
    PreviewReload: _OPERATORS,
    SetLimit: _OPERATORS,
    RearmRule: _OPERATORS,
    ResetLimit: _OPERATORS,
    RequestOverride: _OPERATORS,
    ApproveOverride: _OPERATORS,
    RevokeOverride: _OPERATORS,
    Trigger: _OPERATORS,
    Recover: _OPERATORS,
    CompleteRecovery: _OPERATORS,
    Freeze: _OPERATORS,
    Unfreeze: _OPERATORS,
    Check: _REPORTERS,
    Sent: _REPORTERS,
    Acked: _REPORTERS,
    AmendAsked: _REPORTERS,
    Amended: _REPORTERS,
    AmendRejected: _REPORTERS,
    CancelAsked: _REPORTERS,
    Canceled: _REPORTERS,
    Rejected: _REPORTERS,
    Expired: _REPORTERS,
    Dropped: _REPORTERS,
    Filled: _REPORTERS,
    Marked: _REPORTERS,
    ReportEvents: _OPERATORS,
    ReportEquity: _OPERATORS,
    Metric: _REPORTERS,
    Edge: _REPORTERS,
    Signal: _REPORTERS,
    VenueSays: _REPORTERS,
}


@attrs.frozen
class Peer:
    """The process at the other end, as the kernel saw it when it connected."""

    user_id: int
    group_id: int
    process_id: int


@attrs.frozen
class Launch:
    """One launch of a worker. It is current until the next is issued or this one is revoked."""

    worker: str
    digest: bytes = attrs.field(repr=False)


@attrs.frozen
class Caller:
    """Whom riskd takes the other end for. `launch` is there exactly when the role is WORKER."""

    peer: Peer
    role: Role
    launch: Launch | None = None

    @property
    def worker(self) -> str | None:
        return None if self.launch is None else self.launch.worker


@attrs.frozen
class Access:
    """Which users the socket is for, beside root and the user that riskd runs as."""

    own_user_id: int
    operator_user_ids: frozenset[int] = frozenset()
    observer_user_ids: frozenset[int] = frozenset()


@attrs.frozen
class Denied:
    """A no, in the words of the error that the caller gets. `closes`: no right is left to keep."""

    code: Literal["not_permitted", "invalid_value"]
    message: str
    field: str | None = None
    closes: bool = False


def admit(access: Access, peer: Peer) -> Role | None:
    """The role that a connection begins with, or None: this user is not known and must go."""
    if peer.user_id in (0, access.own_user_id):
        return Role.OPERATOR
    # Observers first: of a user that is in both lists, the smaller right is the one that is meant.
    if peer.user_id in access.observer_user_ids:
        return Role.OBSERVER
    if peer.user_id in access.operator_user_ids:
        return Role.OPERATOR
    return None


def permit(caller: Caller, command: type[Command], tokens: "Tokens") -> Denied | None:
    """None when the caller may give this command now."""
    if caller.launch is not None and not tokens.current(caller.launch):
        return Denied(
            "not_permitted",
            f"this launch of worker {caller.worker!r} is over; only the newest one is heard",
            closes=True,
        )
    roles = PERMITTED.get(command, frozenset())
    if caller.role in roles:
        return None
    tag = command.__struct_config__.tag
    needed = " or ".join(sorted(roles)) or "a role that nobody has"
    return Denied("not_permitted", f"{tag} needs {needed}; this connection is {caller.role}")


def greet(caller: Caller, hello: Hello, tokens: "Tokens") -> Caller | Denied:
    """What a hello makes of the caller. A refused one changes nothing, or ends the connection."""
    if hello.protocol != PROTOCOL:
        said = f"riskd speaks protocol {PROTOCOL}, not {hello.protocol}"
        return Denied("invalid_value", said, "protocol")
    if hello.token is not None:
        return _prove(caller, hello.token, hello.role, tokens)
    if hello.role is None or hello.role == caller.role:
        return caller
    if hello.role not in _EVERYONE:
        known = ", ".join(Role)
        return Denied("invalid_value", f"no such role; one of: {known}", "role")
    if hello.role == Role.OBSERVER and caller.role == Role.OPERATOR:
        return attrs.evolve(caller, role=Role.OBSERVER)
    if hello.role == Role.WORKER:
        return Denied("not_permitted", "a worker proves itself by the token of its launch", "role")
    return Denied("not_permitted", f"{caller.role} can't become {hello.role}", "role")


def _prove(caller: Caller, token: str, role: str | None, tokens: "Tokens") -> Caller | Denied:
    launch = tokens.holder(token)
    if launch is None:
        # Not even the rights of the user are left: who shows a false or an old token is not whom
        # he says he is, and an operator's account must not be what he falls back on.
        said = "this token belongs to no current launch; the connection is closed"
        return Denied("not_permitted", said, "token", closes=True)
    if role not in (None, Role.WORKER):
        return Denied("not_permitted", f"a token makes a worker, never {role}", "role")
    if caller.launch not in (None, launch):
        said = f"this connection is worker {caller.worker!r} already; open another one"
        return Denied("not_permitted", said, "token")
    return Caller(caller.peer, Role.WORKER, launch)


def yields_to(sitting: Caller, newcomer: Caller) -> bool:
    """True when, with all places taken, the newcomer may have this one's.

    A worker never loses its place. An operator's goes only to an operator, so that whoever may only
    look can't crowd out those who may act.
    """
    if sitting.role == Role.WORKER:
        return False
    return newcomer.role == Role.OPERATOR or sitting.role == Role.OBSERVER


class Tokens:
    """One current token a worker; issuing another ends the one before."""

    def __init__(self) -> None:
        self._digests: dict[str, bytes] = {}

    def issue(self, worker: str, random: bytes) -> str:
        """The token for a new launch. `random` must be fresh bytes of a cryptographic source."""
        if len(random) < TOKEN_BYTES:
            raise ValueError(f"random holds {len(random)} bytes: a token needs {TOKEN_BYTES}")
        token = random[:TOKEN_BYTES].hex()
        self._digests[worker] = _digest(token)
        return token

    def revoke(self, worker: str) -> None:
        """End the worker's launch, if it has one."""
        self._digests.pop(worker, None)

    def holder(self, token: str) -> Launch | None:
        """The current launch that this token was given to."""
        given = _digest(token)
        found = None
        for worker, digest in self._digests.items():  # All of them: time must not tell which.
            if hmac.compare_digest(digest, given):
                found = Launch(worker, digest)
        return found

    def current(self, launch: Launch) -> bool:
        digest = self._digests.get(launch.worker, b"")
        return hmac.compare_digest(digest, launch.digest)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
