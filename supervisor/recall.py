"""Remembering: from what lies in the state directory to a ledger that knows it.

The lock, the newest snapshot that can be used, the facts behind it, each applied and none decided
again; then the repair of what a crash has left, and a fact that says so. Until that
nothing on the disk is changed, so that a refusal leaves everything as it was.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import attrs
import msgspec

from ..actors.messages import DaemonStarted, JournalRepaired, Recorded, SnapshotSkipped
from ..actors.ports import Clock, Disk, Held, Lock
from .intent import Intent, evidence_in, intended, lay_down, repaired_fact, take_away
from .journal import (
    DirectoryUnusable,
    Journal,
    JournalDamaged,
    JournalError,
    JournalHeld,
    Snapshot,
    SnapshotUnusable,
    Survey,
    open_journal,
    repair,
    survey,
)
from .journal.opening import RESTORE
from .journal.repair import move_aside
from .journal.snapshots import load, snapshot_name
from .ledger import Ledger, Projection, restore

MIB = 1_048_576
JOURNAL = "journal"
TELL_OF_REPAIRS = frozenset({JournalRepaired, SnapshotSkipped})


@attrs.define(eq=False)
class Remembered:
    """What a start found, and what it had to leave out."""

    survey: Survey
    snapshot: Snapshot | None
    skipped: tuple[SnapshotSkipped, ...] = ()
    told_lsn: int = 0
    """The newest fact that tells of a repair or a skipped snapshot; 0: none was met."""


@contextlib.contextmanager
def open_ledger(
    disk: Disk,
    state_dir: Path,
    clock: Clock,
    projections: Sequence[Projection],
    *,
    segment_bytes: int = 16 * MIB,
    durability: str = "process",
) -> Iterator[Ledger]:
    """The ledger of a state directory, for as long as it is needed. Raises JournalError or
    JournalHeld, each with one line that says what to do."""
    with locked(disk, state_dir):
        ledger = assemble(disk, state_dir, clock, projections, segment_bytes, durability)
        try:
            yield ledger
        finally:
            ledger.close()


def assemble(
    disk: Disk,
    state_dir: Path,
    clock: Clock,
    projections: Sequence[Projection],
    segment_bytes: int,
    durability: str,
) -> Ledger:
    """The same for whoever has the lock, and closes the ledger."""
    remembered = recall(disk, state_dir / JOURNAL, clock.boot(), projections)
    journal, facts = _resumed(remembered, segment_bytes)
    ledger = Ledger(
        journal=journal,
        projections=tuple(projections),
        durability=durability,
        clock=clock,
        snapshot_lsn=0 if remembered.snapshot is None else remembered.snapshot.lsn,
    )
    try:
        _tell(ledger, facts)
    except BaseException:
        journal.close()
        raise
    return ledger


@contextlib.contextmanager
def locked(disk: Disk, state_dir: Path) -> Iterator[None]:
    """Be the only one who writes there. Raises JournalHeld or DirectoryUnusable."""
    directory = state_dir / JOURNAL
    with contextlib.ExitStack() as held:
        try:
            disk.make_directory(directory)
            # The first names its holder. The second stays when somebody deletes that file, and when
            # two state directories lead to one journal.
            words = str(os.getpid())
            held.callback(_lock(state_dir, lambda: disk.lock(state_dir / "lock", words)).release)
            held.callback(_lock(state_dir, lambda: disk.lock_directory(directory)).release)
        except OSError as error:
            raise DirectoryUnusable(
                f"{error.filename or directory}: {error.strerror or error}; choose a directory "
                f"that this user may write, with --state-dir or riskd.state_dir"
            ) from error
        yield


def _lock(state_dir: Path, take: Callable[[], Lock]) -> Lock:
    try:
        return take()
    except Held as held:
        who = f"process {held.holder}" if held.holder else "another process"
        raise JournalHeld(
            f"{state_dir}: {who} keeps its state there; stop it, or choose another --state-dir"
        ) from None


def recall(disk: Disk, directory: Path, boot: str, projections: Sequence[Projection]) -> Remembered:
    """Bring the projections up to the last fact. Changes nothing on the disk."""
    found = _survey(disk, directory, boot, archived=False)
    skipped: list[SnapshotSkipped] = []
    for lsn in found.snapshots:
        try:
            snapshot = load(disk, directory, lsn)
            told_lsn = _replay(found, snapshot, projections)
        except SnapshotUnusable as error:
            skipped.append(SnapshotSkipped(snapshot_lsn=lsn, reason=str(error)))
        else:
            return Remembered(found, snapshot, tuple(skipped), told_lsn)
    found = _survey(disk, directory, boot, archived=True)
    told_lsn = _replay(found, None, projections)
    return Remembered(found, None, tuple(skipped), told_lsn)


def _survey(disk: Disk, directory: Path, boot: str, *, archived: bool) -> Survey:
    try:
        return survey(disk, directory, boot, archived=archived)
    except OSError as error:
        raise DirectoryUnusable(
            f"{error.filename or directory}: {error.strerror or error}; give this user access to "
            f"it, or choose another --state-dir"
        ) from error


def _replay(found: Survey, snapshot: Snapshot | None, projections: Sequence[Projection]) -> int:
    """Apply and nothing else: what was decided is not decided again. The newest fact that tells of
    a repair, or 0."""
    try:
        restore(projections, snapshot)
    except ValueError as error:
        raise SnapshotUnusable(str(error)) from error
    decode, writer, told_lsn = msgspec.json.Decoder(Recorded).decode, "", 0
    for lsn, payload in found.facts(snapshot):
        try:
            recorded = decode(payload)
        except ValueError as error:
            raise JournalError(_unreadable(found, lsn, bytes(payload), error, writer)) from error
        if recorded.lsn != lsn:
            what = f"the frame of fact {lsn} holds fact {recorded.lsn}"
            raise JournalDamaged(
                found.path, what, RESTORE, offset=found.offset_of(payload), lsn=lsn
            )
        if type(recorded.fact) is DaemonStarted:
            writer = recorded.fact.version
        elif type(recorded.fact) in TELL_OF_REPAIRS:
            told_lsn = lsn
        for projection in projections:
            try:
                projection.apply(recorded)
            except Exception as error:  # whatever it is, it is one line
                raise JournalError(
                    f"{found.directory}: fact {lsn} can't be applied to {projection.name!r}: "
                    f"{error!r}; this is a fault of riskd: start the version that ran before"
                ) from error
    return told_lsn


def _unreadable(found: Survey, lsn: int, payload: bytes, error: ValueError, writer: str) -> str:
    """One line about a fact that this version can't read."""
    try:
        tag = msgspec.json.decode(payload, type=_Tagged).fact.type
        what = f"{tag!r}: {error}"
    except ValueError:
        what = str(error)
    by = f"riskd {writer}" if writer else "another riskd"
    return (
        f"{found.path}: at byte {found.offset_of(payload)}, fact {lsn}: {what}; {by} wrote it, and "
        f"this is riskd {version('riskd')}: start the one that wrote it, or a newer one"
    )


class _Tag(msgspec.Struct):
    type: str


class _Tagged(msgspec.Struct):
    fact: _Tag


def _resumed(
    remembered: Remembered, segment_bytes: int
) -> tuple[Journal, tuple[JournalRepaired | SnapshotSkipped, ...]]:
    """The journal as the facts left it, repaired; and what is to be told of that."""
    found = remembered.survey
    disk, directory = found.disk, found.directory
    assert found.end is not None, "the facts were walked to their end"
    with _refusing(directory):
        begun = intended(disk, directory)
        if begun is not None and remembered.told_lsn > begun.behind_lsn:
            begun = None
        intent = Intent(
            behind_lsn=found.end.lsn,
            known=evidence_in(disk, directory),
            repaired=() if found.cut is None else (repaired_fact(found.cut),),
            skipped=remembered.skipped,
        )
        if begun is not None:
            intent = begun.followed_by(intent)
        if intent != begun and (intent.repaired or intent.skipped):
            lay_down(disk, directory, intent)
        repair(found)
        for skipped in remembered.skipped:
            # Or it would count as one of those that are kept, in the place of a good one.
            with contextlib.suppress(FileNotFoundError):  # the repair has moved it
                move_aside(disk, directory / snapshot_name(skipped.snapshot_lsn))
        facts = intent.facts(evidence_in(disk, directory), found.end.lsn)
        return open_journal(found, segment_bytes), facts


def _tell(ledger: Ledger, facts: Sequence[JournalRepaired | SnapshotSkipped]) -> None:
    """All of them together, so that whoever finds one behind an intent knows that none is missing.
    Then the intent has served."""
    journal = ledger.journal
    with _refusing(journal.directory):
        if facts:
            ledger.commit(*facts)
            sync = journal.sync()
            sync.run()
            journal.synced(sync)
        take_away(journal.disk, journal.directory)
    ledger.found += facts


@contextlib.contextmanager
def _refusing(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise JournalError(
            f"{error.filename or directory}: {error.strerror or error}; see to the disk, then "
            f"start riskd again"
        ) from error
