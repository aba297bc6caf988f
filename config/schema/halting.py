"""The kill switch, the lease, and the session by which some halts end."""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from .base import RESTART, Disagreement, Section, Zone


class KillSwitch(Section, frozen=True, kw_only=True):
    """How trading goes on after a kill or a crash, and what stops it without being asked."""

    cooldown_s: Annotated[
        float,
        Meta(
            ge=0,
            le=604_800,
            description="Seconds from `recover` to the earliest `complete-recovery`. A recovery "
            "under way keeps the longer of the one it began with and this one.",
        ),
    ] = 300.0
    after_crash: Annotated[
        Literal["reconcile", "operator"],
        Meta(
            description="What a start needs after riskd did not end in order, before anything "
            "trades. `reconcile`: every account agrees with its broker, or an operator lifts the "
            "halt. `operator`: an operator lifts it, in any case.",
        ),
    ] = "reconcile"
    loop_lag_s: Annotated[
        float,
        Meta(
            ge=0.1,
            le=60,
            description="An event loop that is stuck for so long is a kill, by a thread of its "
            "own.",
            extra_json_schema=RESTART,
        ),
    ] = 2.0
    clock_step_s: Annotated[
        float,
        Meta(
            ge=0.1,
            le=86_400,
            description="A wall clock that jumps by so much, either way, is a kill.",
        ),
    ] = 5.0
    sync_stall_s: Annotated[
        float,
        Meta(
            ge=0.1,
            le=3_600,
            description="A disk that does not finish a sync of the journal within this is a kill.",
        ),
    ] = 10.0
    free_mib: Annotated[
        int,
        Meta(
            ge=0,
            le=1_048_576,
            description="Less free space than this, in mebibytes, on the journal's disk is a kill. "
            "0: only a full disk is.",
        ),
    ] = 64


class Lease(Section, frozen=True, kw_only=True):
    """For how long workers may trade on riskd's word without hearing from it again."""

    length_s: Annotated[
        float,
        Meta(
            ge=0.1,
            le=60,
            description="Seconds. A riskd that is dead, stopped or stuck stops all trading after "
            "so long.",
        ),
    ] = 1.0
    interval_s: Annotated[
        float, Meta(ge=0.01, le=60, description="Seconds between two extensions of the lease.")
    ] = 0.2
    answer_s: Annotated[
        float,
        Meta(
            ge=0.01,
            le=60,
            description="Seconds in which the actors that trading depends on must answer for it "
            "to be extended.",
        ),
    ] = 0.4

    def disagreements(self) -> Iterator[Disagreement]:
        """It must last until it can be extended again, or it would lapse when all is well."""
        if self.length_s < self.interval_s + self.answer_s:
            yield Disagreement(
                "length_s",
                f"is shorter than interval_s and answer_s together, {self.interval_s:g} and "
                f"{self.answer_s:g} s",
                "raise it, or lower one of the others",
            )


class Session(Section, frozen=True, kw_only=True):
    """The trading day and week: losses count by it, and a halt `until the session's reset` ends."""

    zone: Annotated[
        Zone,
        Meta(description="Where the session's clock hangs.", examples=["America/Chicago"]),
    ] = "UTC"
    reset: Annotated[
        str,
        Meta(
            title="a time of day as HH:MM",
            pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z",
            description="When a session ends and the next begins, once a day by that clock.",
        ),
    ] = "00:00"
    week_start: Annotated[
        Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"],
        Meta(description="The day on whose reset the trading week begins."),
    ] = "monday"
