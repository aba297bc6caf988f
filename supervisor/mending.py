"""Going on without what can't be read: a person's decision, never riskd's own.

Two ways, and the damage decides which. Behind a snapshot that can be used, old segments are only
history: they are set aside, and nothing that riskd knows is lost. Otherwise everything from the
first damaged fact on is given up. Either way every byte is kept beside the journal, and a fact says
what was done.
"""

from collections.abc import Sequence
from pathlib import Path

import attrs

from ..actors.messages import JournalRepaired
from ..actors.ports import Clock, Disk
from .intent import Intent, evidence_in, intended, lay_down, repaired_fact
from .journal import (
    JournalDamaged,
    JournalError,
    Repair,
    SnapshotUnusable,
    Survey,
    give_up,
    repair,
    set_aside,
    survey,
)
from .journal.snapshots import load
from .ledger import Projection, restore
from .recall import JOURNAL, MIB, assemble, locked


class NotMended(JournalError):
    """Nothing was changed."""


@attrs.frozen
class Plan:
    """What is wrong, and what going on without it costs."""

    damage: JournalDamaged
    kept: int
    """How many of the newest segments stay whole, behind the snapshot. 0: facts are lost."""
    snapshot_lsn: int
    newest_lsn: int
    """The last fact that stays."""

    @property
    def costs(self) -> str:
        """One line for the person who decides."""
        if self.kept:
            return (
                f"riskd loses nothing that it knows: the snapshot of fact {self.snapshot_lsn} and "
                f"the facts behind it are whole; older history is set aside"
            )
        return f"riskd loses fact {self.damage.lsn} and every one behind it"


def look(
    disk: Disk, state_dir: Path, clock: Clock, projections: Sequence[Projection]
) -> Plan | None:
    """What is wrong with the journal, if anything is that a person may decide about. Raises
    JournalError for everything else. Changes nothing."""
    found = survey(disk, state_dir / JOURNAL, clock.boot())
    try:
        found.check()
    except JournalDamaged as damage:
        return _plan(found, damage, projections)
    if not any(_usable(found, lsn, projections) for lsn in found.snapshots):
        _check_archive(disk, state_dir, clock)
    return None


def _check_archive(disk: Disk, state_dir: Path, clock: Clock) -> None:
    """Without a snapshot a start needs every fact. Raises NotMended when one in the archive is
    damaged: what could be given up would be all that stands behind it."""
    old = survey(disk, state_dir / JOURNAL, clock.boot(), archived=True)
    try:
        old.check()
    except JournalDamaged as damage:
        raise NotMended(
            f"{damage.path}: at byte {damage.offset}, fact {damage.lsn}: {damage.what}; without a "
            f"snapshot that can be used a start needs this part of the archive: restore it, or a "
            f"snapshot, from a copy, or move the journal away and start anew"
        ) from damage


def mend(
    disk: Disk,
    state_dir: Path,
    clock: Clock,
    projections: Sequence[Projection],
    *,
    from_lsn: int,
) -> JournalRepaired:
    """Go on without the damaged part. `from_lsn` must be the LSN of the damage: whoever decides has
    seen it. Raises NotMended, and then nothing was changed."""
    with locked(disk, state_dir):
        plan = look(disk, state_dir, clock, projections)
        if plan is None:
            raise NotMended(f"{state_dir / JOURNAL}: nothing is damaged, and nothing was changed")
        if plan.damage.lsn != from_lsn:
            raise NotMended(
                f"{state_dir / JOURNAL}: the damage begins at fact {plan.damage.lsn}, and not at "
                f"{from_lsn}; nothing was changed"
            )
        found = survey(disk, state_dir / JOURNAL, clock.boot())
        if not plan.kept:
            _expect_a_past(disk, state_dir, clock, projections, from_lsn)
        cut = give_up(found, plan.damage)
        _intend(found, cut, plan.newest_lsn)
        if plan.kept:
            set_aside(found, plan.kept)
        else:
            repair(found)
        ledger = assemble(disk, state_dir, clock, projections, 16 * MIB, "power")
        ledger.close()
        told = (fact for fact in ledger.found if isinstance(fact, JournalRepaired))
        return next(fact for fact in told if fact.lost_lsn == from_lsn)


def _intend(found: Survey, cut: Repair, newest_lsn: int) -> None:
    """From here on a start tells of it, whatever becomes of this process."""
    disk, directory = found.disk, found.directory
    intent = Intent(
        behind_lsn=newest_lsn,
        known=evidence_in(disk, directory),
        repaired=(repaired_fact(cut),),
    )
    begun = intended(disk, directory)
    lay_down(disk, directory, intent if begun is None else begun.followed_by(intent))


def _plan(found: Survey, damage: JournalDamaged, projections: Sequence[Projection]) -> Plan:
    aside = sum(segment.first <= damage.lsn for segment in found.segments)
    whole = found.segments[aside:]
    for lsn in found.snapshots:
        if whole and whole[0].first <= lsn + 1 and _usable(found, lsn, projections):
            rest = attrs.evolve(found, segments=whole)
            try:
                rest.check()
            except JournalError:
                break
            assert rest.end is not None, "it was walked to its end"
            return Plan(damage, len(whole), lsn, rest.end.lsn)
    return Plan(damage, 0, 0, damage.lsn - 1)


def _usable(found: Survey, lsn: int, projections: Sequence[Projection]) -> bool:
    try:
        restore(projections, load(found.disk, found.directory, lsn))
    except (SnapshotUnusable, ValueError):
        return False
    return True


def _expect_a_past(
    disk: Disk, state_dir: Path, clock: Clock, projections: Sequence[Projection], lsn: int
) -> None:
    """What is left in front of the damage must be enough to start from."""
    found = survey(disk, state_dir / JOURNAL, clock.boot(), archived=True)
    live = [segment for segment in found.segments if not segment.is_archived]
    if len(live) < len(found.segments) and live[0].first >= lsn:
        raise NotMended(
            f"{state_dir / JOURNAL}: the damage begins with the first segment that is not in the "
            f"archive, and riskd can't go on from the archive alone: restore it from a copy, or "
            f"move it away and start anew"
        )
    if found.oldest_lsn > 1 and not any(
        older < lsn and _usable(found, older, projections) for older in found.snapshots
    ):
        raise NotMended(
            f"{state_dir / JOURNAL}: the facts before {found.oldest_lsn} are gone, and no snapshot "
            f"from before the damage is left: riskd could not start from the rest; restore it from "
            f"a copy, or move it away and start anew"
        )
