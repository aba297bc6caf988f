"""What every rule of the gate has: `[[rules]]`, of a `kind` each."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, ClassVar, Literal, cast

from msgspec import Meta

from ..base import Section
from ..trading import Named
from .kinds import RuleKind

RuleName = Annotated[
    str,
    Meta(
        title="a name of letters, digits, dots, dashes and underscores",
        min_length=1,
        max_length=250,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@/-]*\Z",
    ),
]
"""The other signs stand in the names that profiles give."""
Scope = Annotated[
    str,
    Meta(
        title='"all", or one of account, exchange, strategy, symbol, worker, a colon and its name',
        max_length=200,
        pattern=r"^(all|(account|exchange|strategy|symbol|worker):[^\s\x00-\x1f\x7f]+)\Z",
    ),
]


Seconds = Annotated[float, Meta(gt=0, le=31_536_000)]
Lockout = Literal["operator", "session", "time", "breaker"]


class Rule(Section, frozen=True, kw_only=True, tag_field="kind"):
    """What every rule has. It is known by its kind and its scope, or else by its name."""

    # Which way is tighter. A rule's own are added to those of what it is a kind of. What is named
    # by none of these can't be told: any change of it counts as one that loosens.
    SMALLER: ClassVar[tuple[str, ...]] = ()
    """Keys, or properties made of keys: a smaller number allows less, and none allows all."""
    LARGER: ClassVar[tuple[str, ...]] = ()
    """The same where a larger one allows less."""
    FEWER: ClassVar[tuple[str, ...]] = ()
    """Of these names fewer allow less; null allows all."""
    MORE: ClassVar[tuple[str, ...]] = ()
    """Of these more allow less."""
    WORDS: ClassVar[Mapping[str, tuple[tuple[str | None, ...], ...]]] = {}
    """By key: rows of words, each of which allows less than those before it."""
    BY_PROPERTY: ClassVar[tuple[str, ...]] = ()
    """Keys that have no other effect than by the properties above."""
    FIXED: ClassVar[tuple[str, ...]] = ()
    """Of those that a factor would multiply the ones that the rule remembers by."""

    name: Annotated[
        RuleName | None,
        Meta(description="Its own. Needed only by the second of a kind in one scope."),
    ] = None
    scope: Annotated[
        Scope,
        Meta(
            description="Which orders it is for, and whose figures it counts: those of everything, "
            "of an account, an exchange, a strategy, a symbol or a worker."
        ),
    ] = "all"
    factor: Annotated[
        Named | None,
        Meta(
            description="What its limits are multiplied by, one of `[factors]`: by the time of "
            "day, the symbol, or how much that moves.",
            examples=["night"],
        ),
    ] = None

    @property
    def kind(self) -> RuleKind:
        return cast("RuleKind", self.__struct_config__.tag)

    @property
    def id(self) -> str:
        """What facts, halts and people call it."""
        return self.name or f"{self.kind}@{self.scope}"


class OrderRule(Rule, frozen=True, kw_only=True):
    """A rule about an order by itself."""

    WORDS: ClassVar = {"action": (("warn", "block"),)}

    action: Annotated[
        Literal["warn", "block"],
        Meta(description="`block`: the order does not pass. `warn`: it passes, and that is told."),
    ] = "block"


class LimitRule(OrderRule, frozen=True, kw_only=True):
    """A limit that an order uses up, and of which there may be less than it asks for."""

    WORDS: ClassVar = {"on_excess": (("scale_down", None, "block"),)}

    on_excess: Annotated[
        Literal["block", "scale_down"] | None,
        Meta(
            description="What becomes of an order that asks for more than is left. `scale_down`: "
            "it may have the rest, rounded down to whole lots. Unset: as the "
            "account says, or else `gate.on_excess`."
        ),
    ] = None
    warn_pct: Annotated[
        tuple[Decimal, ...],
        Meta(max_length=8, description="At so many percent of the limit that is told."),
    ] = (Decimal(80), Decimal(95))


class StateRule(Rule, frozen=True, kw_only=True):
    """A limit that the market or the trades themselves can break, order or no order."""

    WORDS: ClassVar = {
        "action": (
            ("warn", "block", "reduce_only", "close_position", "flatten"),
            ("warn", "block", "reduce_only", "halt"),
        ),
        "lockout": (("session", "operator"), ("time", "breaker", "operator")),
    }
    LARGER: ClassVar[tuple[str, ...]] = ("lockout_s", "lockout_max_s", "repeats_within_s")
    SMALLER: ClassVar[tuple[str, ...]] = ("repeats_max",)
    FIXED: ClassVar[tuple[str, ...]] = ("repeats_max",)

    action: Annotated[
        Literal["warn", "block", "reduce_only", "close_position", "flatten", "halt"],
        Meta(
            description="What is done once it is broken. `block`: what adds risk does not pass "
            "while it is. `reduce_only` and `halt`: that is placed as a halt of the scope, until "
            "`lockout` ends it. `close_position` and `flatten`: the same as `reduce_only`, and the "
            "position, or all positions of the scope, are to be closed. `warn`: that is told."
        ),
    ] = "block"
    lockout: Annotated[
        Lockout,
        Meta(
            description="What ends the halt that it places: a person, the session's reset, or "
            "`lockout_s`. `breaker`: the same, twice as long with each repeat, and a person in the "
            "end."
        ),
    ] = "session"
    lockout_s: Annotated[
        Seconds | None,
        Meta(
            description='Seconds, with `lockout = "time"`; of the first halt, with '
            '`lockout = "breaker"`.',
            examples=[3600.0],
        ),
    ] = None
    lockout_max_s: Annotated[
        Seconds, Meta(description='Seconds of the longest one, with `lockout = "breaker"`.')
    ] = 3_600.0
    repeats_within_s: Annotated[
        Seconds, Meta(description='So long a halt counts, with `lockout = "breaker"`.')
    ] = 86_400.0
    repeats_max: Annotated[
        int,
        Meta(
            ge=1,
            le=64,
            description="After so many halts that count the next one waits for a person. Where it "
            "does not pass by itself what breaks the rule, the second one does.",
        ),
    ] = 5
    warn_pct: Annotated[
        tuple[Decimal, ...],
        Meta(max_length=8, description="At so many percent of the limit that is told."),
    ] = (Decimal(80), Decimal(95))
