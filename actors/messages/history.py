"""History itself: what had to be repaired, and how a fact that loosens comes about."""

from typing import Literal

from . import daemon, gate, halts, limits, overrides, signal
from .base import Fact


class JournalRepaired(Fact, frozen=True, kw_only=True, tag="journal_repaired"):
    """The end of the journal could not be read and was cut off; what was there is kept beside it.

    `how`: "torn": the last write was cut short. "lost": a power cut took what was not yet safe.
    "given_up": safe facts were damaged, and an operator gave them up.
    """

    file: str
    lost_lsn: int
    offset: int
    lost_bytes: int
    how: Literal["torn", "lost", "given_up"]
    evidence: tuple[str, ...]


class SnapshotSkipped(Fact, frozen=True, kw_only=True, tag="snapshot_skipped"):
    """A snapshot could not be used at a start. The one before it served, or the facts alone."""

    snapshot_lsn: int
    reason: str


class ProjectionRebuilt(Fact, frozen=True, kw_only=True, tag="projection_rebuilt"):
    """What was known of one subject was in doubt, and was made again from the facts."""

    projection: str
    cause: str


Loosening = (
    daemon.Loosening
    | halts.Loosening
    | limits.Loosening
    | gate.Loosening
    | overrides.Loosening
    | signal.Loosening
)
"""Facts that loosen."""


class LooseningProposed(Fact, frozen=True, kw_only=True, tag="loosening_proposed"):
    """What will be a fact of its own, and in force, once this is safe on the disk."""

    proposed: Loosening


class LooseningWithdrawn(Fact, frozen=True, kw_only=True, tag="loosening_withdrawn"):
    """A proposal that never came into force, because something was tightened meanwhile."""

    proposed_lsn: int
    because_lsn: int


Facts = (
    JournalRepaired | SnapshotSkipped | ProjectionRebuilt | LooseningProposed | LooseningWithdrawn
)
