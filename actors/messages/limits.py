"""The limits in force: what the configuration sets, and what persons have set besides.

The configuration gives rules, by itself and by the profiles of its accounts. A person may set
single keys of them while riskd runs; what he sets outlives restarts and reloads, until it is reset
or the file says something else of the same key. Each change is one fact with all that is in force
from there on, or two where some of it tightens and some does not: what tightens comes first.
"""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct, field

from ...config.schema.factors import Factor
from ...config.schema.gate import OnExcess
from ...config.schema.rules import AnyRule
from .accounts import ROWS_MAX, Limit, Rows
from .base import Bearing, By, Command, Fact, Name, Reply
from .halts import Reason, Scope

CHANGES_TOLD_MAX = 200
"""In one fact or reply. What they add up to holds all the others."""

RuleId = Annotated[str, Meta(min_length=1, max_length=250)]
Key = Annotated[str, Meta(min_length=1, max_length=64)]
Said = Annotated[str, Meta(max_length=1_000)]
Value = Said | Annotated[list[Said], Meta(max_length=256)] | None
"""What a key is set to, as text. Null: it is unset."""


class Given(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rule as it is in force. `source`: `config`, or `profile:NAME`. `configured`: as the
    configuration has it, where a person has set something of it."""

    rule: AnyRule
    source: str
    configured: AnyRule | None = None


class Setting(Struct, frozen=True, kw_only=True):
    """A key that a person has set. `instead_of`: what the configuration said of it then."""

    rule: str
    key: str
    value: Value
    instead_of: str
    by: By
    at: datetime
    reason: str
    approved_by: str | None


class Limits(Struct, frozen=True, kw_only=True):
    """All that is in force. `on_excess_of`: of accounts that have their own. `factors`: those that
    rules name."""

    on_excess: OnExcess
    on_excess_of: dict[str, OnExcess] = field(default_factory=dict)
    factors: dict[str, Factor] = field(default_factory=dict)
    rules: tuple[Given, ...]
    settings: tuple[Setting, ...]


class KeyChange(Struct, frozen=True, kw_only=True):
    """As text, for people."""

    key: str
    old: str
    new: str


class LimitChange(Struct, frozen=True, kw_only=True):
    """What becomes of a rule. `changed`: which way can't be told, or both ways at once; it counts
    as loosened. `overruled`: the file says something else of a key that a person had set."""

    rule: str
    how: Literal["added", "removed", "tightened", "loosened", "changed", "overruled"]
    keys: tuple[KeyChange, ...]


# --- commands -------------------------------------------------------------------------------------


class ShowLimits(Command, frozen=True, kw_only=True, tag="limits"):
    """Every limit in force. `account`: those that its orders can meet. `after`: behind it."""

    account: Name | None = None
    scope: Scope | None = None
    after: RuleId | None = None
    limit: Limit = ROWS_MAX


class SetLimit(Command, frozen=True, kw_only=True, tag="set_limit"):
    """Set a key of a rule. What tightens is in force at once; what loosens when the disk has it."""

    rule: RuleId
    key: Key
    value: Value
    reason: Reason
    approved_by: Name | None = None


class ResetLimit(Command, frozen=True, kw_only=True, tag="reset_limit"):
    """Take back what persons have set: of a key, or of all keys of a rule."""

    rule: RuleId
    key: Key | None = None
    reason: Reason | None = None
    approved_by: Name | None = None


class RearmRule(Command, frozen=True, kw_only=True, tag="rearm"):
    """Let a rule that has latched begin anew: it forgets what it counted."""

    rule: RuleId
    reason: Reason
    approved_by: Name | None = None


class PreviewReload(Command, frozen=True, kw_only=True, tag="preview_reload"):
    """What a reload of the configuration would change. It changes nothing."""


# --- replies --------------------------------------------------------------------------------------


class LimitsAre(Reply, frozen=True, kw_only=True, tag="limits"):
    """Rows in the order in which the rules were given. `more`: ask again, behind the last one."""

    lsn: int
    on_excess: OnExcess
    on_excess_of: dict[str, OnExcess] = field(default_factory=dict)
    limits: Rows
    more: bool


class Rearmed(Reply, frozen=True, kw_only=True, tag="rearmed"):
    """It has, from this fact on."""

    lsn: int
    rule: str


class LimitsChanged(Reply, frozen=True, kw_only=True, tag="limits_changed"):
    """What a command has changed, and is in force. Empty: it was so already."""

    lsn: int
    changes: list[LimitChange]


class ReloadPreviewed(Reply, frozen=True, kw_only=True, tag="reload_previewed"):
    """What a reload would do now: to keys, and to the limits in force."""

    source: str
    changed: list[str]
    needs_restart: list[str]
    limits: list[LimitChange]


# --- facts ----------------------------------------------------------------------------------------


class LimitsTightened(Fact, frozen=True, kw_only=True, tag="limits_tightened"):
    """These limits are in force from here on. They permit nothing that those before did not."""

    BEARING: ClassVar[Bearing] = "tightens"
    UNLOGGED: ClassVar[tuple[str, ...]] = ("limits",)

    limits: Limits
    changes: tuple[LimitChange, ...]
    by: By
    reason: str


class LimitsLoosened(Fact, frozen=True, kw_only=True, tag="limits_loosened"):
    """These limits are in force from here on. They may permit more than those before."""

    BEARING: ClassVar[Bearing] = "loosens"
    UNLOGGED: ClassVar[tuple[str, ...]] = ("limits",)

    limits: Limits
    changes: tuple[LimitChange, ...]
    by: By
    reason: str
    approved_by: str | None = None


Commands = ShowLimits | SetLimit | ResetLimit | RearmRule | PreviewReload
Replies = Rearmed | LimitsAre | LimitsChanged | ReloadPreviewed
Facts = LimitsTightened | LimitsLoosened
Loosening = LimitsLoosened
