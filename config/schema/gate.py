"""`[gate]`: how orders are answered."""

from typing import Annotated, Literal

from msgspec import Meta

from .base import Section

OnExcess = Literal["block", "scale_down"]
OnSilence = Literal["halt", "warn"]


class Gate(Section, frozen=True, kw_only=True):
    """How orders are answered."""

    on_excess: Annotated[
        OnExcess,
        Meta(
            description="What becomes of an order that asks for more than a limit has left, unless "
            "its rule or its account says so itself. `scale_down`: it may have the rest, rounded "
            "down to whole lots, if all rules pass that. `block`: it has nothing.",
        ),
    ] = "block"
    ticket_s: Annotated[
        float,
        Meta(
            ge=0.01,
            le=3_600,
            description="Seconds in which what was permitted must be sent, or be asked for again.",
        ),
    ] = 2.0
    canary_s: Annotated[
        float,
        Meta(
            ge=0,
            le=3_600,
            description="Every so many seconds riskd asks its own gate, through the socket, for an "
            "order that must be refused. If it is not, everything is halted until a person has "
            "looked. 0: never, and `status` warns of that.",
        ),
    ] = 10.0
    canary_silence: Annotated[
        OnSilence,
        Meta(
            description="What becomes of trading when that is not answered three times. `halt`: "
            "everything is halted until it is. `warn`: it is told, and no more.",
        ),
    ] = "halt"
