"""Overrides: two persons let one order pass what rules object to.

`actors/core/overrides.py` says what they add up to, and what may be overridden.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from .accounts import ROWS_MAX, Limit, Rows
from .base import Bearing, By, Command, Fact, Name, Reply
from .book import Side, Symbol
from .halts import Reason
from .limits import RuleId
from .metrics import ExactNumber

RULES_MAX = 16
"""Of one override. More is a change of limits, and is asked for as one."""
OverrideId = Annotated[
    str, Meta(title="an override, as ov7", pattern=r"^ov[1-9][0-9]{0,17}\Z", max_length=20)
]
ForS = Annotated[float, Meta(title="seconds above 0, up to a day", gt=0, le=86_400)]
OverrideState = Literal["requested", "approved", "used", "revoked", "expired", "early"]
"""`early`: the wall clock shows a time before it was requested, or approved. Nothing is permitted
by a clock that was set back."""


class Terms(Struct, frozen=True, kw_only=True):
    """What an override is for: one order, of at most this quantity, in the time after its approval.

    `price_limit`: it buys for no more, or sells for no less. Null: at any price.
    """

    account: Name
    symbol: Symbol
    side: Side
    max_qty: Decimal
    price_limit: Decimal | None
    rules: tuple[RuleId, ...]
    """Whose objections it waives."""
    for_s: float


# --- commands -------------------------------------------------------------------------------------


class RequestOverride(Command, frozen=True, kw_only=True, tag="override_request"):
    """Ask another person to let one order pass these rules. It permits nothing yet."""

    account: Name
    symbol: Symbol
    side: Side
    max_qty: ExactNumber
    rules: Annotated[list[RuleId], Meta(min_length=1, max_length=RULES_MAX)]
    for_s: ForS
    reason: Reason
    price_limit: ExactNumber | None = None


class ApproveOverride(Command, frozen=True, kw_only=True, tag="override_approve"):
    """Let it be so, from now on for as long as was asked for. By another person than asked."""

    override: OverrideId
    reason: Reason | None = None


class RevokeOverride(Command, frozen=True, kw_only=True, tag="override_revoke"):
    """Let it be so no more. What was permitted by it and is not sent yet has to be asked again."""

    override: OverrideId
    reason: Reason


class ShowOverrides(Command, frozen=True, kw_only=True, tag="overrides"):
    """Every override that is remembered, the newest first. `after`: those behind this one."""

    account: Name | None = None
    after: OverrideId | None = None
    limit: Limit = ROWS_MAX


# --- replies --------------------------------------------------------------------------------------


class OverrideIs(Reply, frozen=True, kw_only=True, tag="override"):
    """How it stands now. `changed`: by this command."""

    lsn: int
    changed: bool
    override: dict[str, object]


class OverridesAre(Reply, frozen=True, kw_only=True, tag="overrides"):
    """`more`: ask again, behind the last one."""

    lsn: int
    overrides: Rows
    more: bool


# --- facts ----------------------------------------------------------------------------------------


class OverrideRequested(Fact, frozen=True, kw_only=True, tag="override_requested"):
    """A person asks another one for it."""

    override: str
    terms: Terms
    by: By
    reason: str


class OverrideApproved(Fact, frozen=True, kw_only=True, tag="override_approved"):
    """Good for one order, from `at` until `until` by the wall clock."""

    BEARING: ClassVar[Bearing] = "loosens"

    override: str
    terms: Terms
    by: By
    requested_by: By
    at: datetime
    until: datetime
    reason: str | None = None


class OverrideRevoked(Fact, frozen=True, kw_only=True, tag="override_revoked"):
    """Good for nothing from here on."""

    BEARING: ClassVar[Bearing] = "tightens"

    override: str
    by: By
    reason: str


Commands = RequestOverride | ApproveOverride | RevokeOverride | ShowOverrides
Replies = OverrideIs | OverridesAre
Facts = OverrideRequested | OverrideApproved | OverrideRevoked
Loosening = OverrideApproved
