"""What a repair is about to do, on the disk before it touches anything.

The fact of a repair goes into the journal that the repair makes whole, so it comes last, and a kill
in between would leave evidence that no fact names. So it is laid down beside the journal first, and
taken away when the journal has it for sure. A start that finds it there finishes what was begun:
what is still broken it finds by itself, and what was kept meanwhile it sees by the names.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec
from msgspec.structs import replace

from ..actors.messages import JournalRepaired, SnapshotSkipped
from ..actors.ports import Disk
from .journal import JournalError, Judgement, Repair
from .journal.files import EVIDENCE, names_in, read_whole, write_beside

INTENT = "repairing"
HOW: dict[Judgement, Literal["torn", "lost", "given_up"]] = {
    Judgement.TORN: "torn",
    Judgement.LOST: "lost",
    Judgement.DAMAGED: "given_up",
}


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """Facts that the journal may not have yet."""

    behind_lsn: int
    """Where they go. What tells of a repair behind this fact is one of them."""
    known: tuple[str, ...]
    """Evidence that was there before, and belongs to other facts."""
    repaired: tuple[JournalRepaired, ...] = ()
    skipped: tuple[SnapshotSkipped, ...] = ()

    def followed_by(self, found: "Intent") -> "Intent":
        """This one was cut off, and that is what is left to do. The same place is the same repair:
        it was begun, and is one fact."""
        begun = {_place(one) for one in self.repaired}
        gone = {one.snapshot_lsn for one in self.skipped}
        return Intent(
            behind_lsn=min(self.behind_lsn, found.behind_lsn),
            known=self.known,
            repaired=(
                *self.with_evidence(found.known).repaired,
                *(one for one in found.repaired if _place(one) not in begun),
            ),
            skipped=(
                *self.skipped,
                *(one for one in found.skipped if one.snapshot_lsn not in gone),
            ),
        )

    def with_evidence(self, present: Iterable[str]) -> "Intent":
        """Whatever of it has no other fact was kept by the newest repair."""
        named = {*self.known, *(name for one in self.repaired for name in one.evidence)}
        new = set(present) - named
        if not (self.repaired and new):
            return self
        *before, last = self.repaired
        last = replace(last, evidence=tuple(sorted({*last.evidence, *new})))
        return replace(self, repaired=(*before, last))

    def facts(
        self, present: Iterable[str], end_lsn: int
    ) -> tuple[JournalRepaired | SnapshotSkipped, ...]:
        """What is to be told, now that all is done and the log ends there. A repair that kept
        nothing and cut nothing off was never made: somebody has restored what was damaged."""
        repaired = self.with_evidence(present).repaired
        made = (one for one in repaired if one.evidence or one.lost_lsn == end_lsn + 1)
        return (*self.skipped, *made)


def repaired_fact(repair: Repair) -> JournalRepaired:
    """What history says of a repair. What it keeps is known when it has been made."""
    return JournalRepaired(
        file=repair.path.name,
        lost_lsn=repair.lsn,
        offset=repair.offset,
        lost_bytes=repair.lost_bytes,
        how=HOW[repair.judgement],
        evidence=(),
    )


def _place(repaired: JournalRepaired) -> tuple[str, int, int]:
    return repaired.file, repaired.lost_lsn, repaired.offset


def evidence_in(disk: Disk, directory: Path) -> tuple[str, ...]:
    return tuple(name for name in names_in(disk, directory) if name.endswith(EVIDENCE))


def intended(disk: Disk, directory: Path) -> Intent | None:
    """What a repair was about when it was cut off. Raises JournalError or OSError."""
    try:
        return _decode(read_whole(disk, directory / INTENT))
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise JournalError(
            f"{directory / INTENT}: what an unfinished repair was about can't be read: {error}; "
            f"look at the {EVIDENCE} files beside it, then move it away"
        ) from error


def lay_down(disk: Disk, directory: Path, intent: Intent) -> None:
    """WHEN IT RETURNS it is on the disk, and the repair may begin."""
    write_beside(disk, directory / INTENT, msgspec.json.encode(intent))


def take_away(disk: Disk, directory: Path) -> None:
    """ONLY WHEN the journal has its facts, and they are safe. It may not be there."""
    if INTENT in names_in(disk, directory):
        disk.remove(directory / INTENT)
        disk.sync_directory(directory)


_decode = msgspec.json.Decoder(Intent).decode
