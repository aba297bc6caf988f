"""Remembering: from what lies in the state directory to a ledger that knows it.

The lock, the newest snapshot that can be used, the facts behind it, each applied and none decided
again; then the repair of what a crash has left, and a fact that says so. Until the last step
nothing on the disk is changed, so that a refusal leaves everything as it was.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import attrs
import msgspec

from ..actors.messages import DaemonStarted, JournalRepaired, Recorded, SnapshotSkipped
from ..actors.ports import Clock, Disk, Held, Lock
from .journal import (
    DirectoryUnusable,
    Journal,
    JournalDamaged,
    JournalError,
    JournalHeld,
    Judgement,
    Repair,
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
HOW: dict[Judgement, Literal["torn", "lost", "given_up"]] = {
    Judgement.TORN: "torn",
    Judgement.LOST: "lost",
    Judgement.DAMAGED: "given_up",
}


@attrs.define(eq=False)
class Remembered:
    """What a start found, and what it had to leave out."""

    survey: Survey
    snapshot: Snapshot | None
    skipped: tuple[SnapshotSkipped, ...] = ()


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
    journal, repaired = _resumed(remembered, segment_bytes)
    ledger = Ledger(
        journal=journal,
        projections=tuple(projections),
        durability=durability,
        clock=clock,
        snapshot_lsn=0 if remembered.snapshot is None else remembered.snapshot.lsn,
    )
    repairs = () if repaired is None else (repaired_fact(repaired),)
    for fact in (*remembered.skipped, *repairs):
        ledger.commit(fact)
        ledger.found.append(fact)
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
            _replay(found, snapshot, projections)
        except SnapshotUnusable as error:
            skipped.append(SnapshotSkipped(snapshot_lsn=lsn, reason=str(error)))
        else:
            return Remembered(found, snapshot, tuple(skipped))
    found = _survey(disk, directory, boot, archived=True)
    _replay(found, None, projections)
    return Remembered(found, None, tuple(skipped))


def _survey(disk: Disk, directory: Path, boot: str, *, archived: bool) -> Survey:
    try:
        return survey(disk, directory, boot, archived=archived)
    except OSError as error:
        raise DirectoryUnusable(
            f"{error.filename or directory}: {error.strerror or error}; give this user access to "
            f"it, or choose another --state-dir"
        ) from error


def _replay(found: Survey, snapshot: Snapshot | None, projections: Sequence[Projection]) -> None:
    """Apply and nothing else: what was decided is not decided again."""
    try:
        restore(projections, snapshot)
    except ValueError as error:
        raise SnapshotUnusable(str(error)) from error
    decode, writer = msgspec.json.Decoder(Recorded).decode, ""
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
        for projection in projections:
            try:
                projection.apply(recorded)
            except Exception as error:  # whatever it is, it is one line
                raise JournalError(
                    f"{found.directory}: fact {lsn} can't be applied to {projection.name!r}: "
                    f"{error!r}; this is a fault of riskd: start the version that ran before"
                ) from error


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


def _resumed(remembered: Remembered, segment_bytes: int) -> tuple[Journal, Repair | None]:
    found = remembered.survey
    try:
        repaired = repair(found)
        for skipped in remembered.skipped:
            # Or it would count as one of those that are kept, in the place of a good one.
            with contextlib.suppress(FileNotFoundError):  # the repair has moved it
                move_aside(found.disk, found.directory / snapshot_name(skipped.snapshot_lsn))
        return open_journal(found, segment_bytes), repaired
    except OSError as error:
        raise JournalError(
            f"{error.filename or found.directory}: {error.strerror or error}; see to the disk, "
            f"then start riskd again"
        ) from error


def repaired_fact(done: Repair) -> JournalRepaired:
    """What history says of a repair."""
    return JournalRepaired(
        file=done.path.name,
        lost_lsn=done.lsn,
        offset=done.offset,
        lost_bytes=done.lost_bytes,
        how=HOW[done.judgement],
        evidence=done.evidence,
    )
