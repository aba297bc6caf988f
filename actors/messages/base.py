"""What every message has, by its kind. `riskd.actors.messages` says what the kinds are."""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

MessageId = (
    Annotated[int, Meta(ge=0, le=2**63 - 1)] | Annotated[str, Meta(min_length=1, max_length=64)]
)


Name = Annotated[str, Meta(min_length=1, max_length=128)]


Lsn = Annotated[int, Meta(ge=1, le=2**63 - 1)]
"""A fact's place in history. They count from 1 without a gap."""


PROTOCOL = 1
"""The socket protocol that this riskd speaks. It grows by new messages and optional fields; the
number changes only when an old client would be misled."""


class By(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who did it, by the kernel's word, and which way it came.

    "riskd": it did so itself, and the source beside this says which part of it.
    """

    via: Literal["socket", "signal", "riskd"]
    user_id: int | None = None
    user: str | None = None
    process_id: int | None = None


class Command(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """Something a client asks for. The id comes back in the reply; its meaning is the client's."""

    id: MessageId = 0


class Reply(Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=False):
    """The one answer to a command. `id` is null only when the command's own could not be read."""

    id: MessageId | None = None


class Push(Struct, frozen=True, kw_only=True, tag_field="type"):
    """What a subscriber is told without asking again. `id` is that of its `subscribe`."""

    id: MessageId


class Report(Struct, frozen=True, kw_only=True, tag_field="type"):
    """What somebody saw."""


Bearing = Literal["neutral", "tightens", "loosens"]


class Fact(Struct, frozen=True, kw_only=True, tag_field="type"):
    """What happened. Immutable, and kept.

    `BEARING` says what it does to what may trade. One that tightens is in force at once and waits
    for nothing, not even for a disk that has failed. One that loosens is in force only when the
    disk has it.
    """

    SCHEMA: ClassVar[int] = 1
    BEARING: ClassVar[Bearing] = "neutral"
    UNLOGGED: ClassVar[tuple[str, ...]] = ()
    """Fields that are too long for a line of the log. History has them."""
