"""The journal: numbered facts that outlive the process, and say so when they were touched.

Knows bytes and numbers, not what they mean; imports the ports alone. Begin with `format`, which is
the specification of the files, then `recovery`, what is done about damage, then `journal`, the
writer.
"""

from .errors import (
    DirectoryUnusable,
    FactTooLarge,
    JournalDamaged,
    JournalError,
    JournalFailed,
    JournalHeld,
)
from .journal import Journal, Sync, open_journal
from .opening import Repair, Survey, survey
from .recovery import Judgement
from .repair import give_up, repair, set_aside
from .snapshots import Snapshot, SnapshotUnusable

__all__ = [
    "DirectoryUnusable",
    "FactTooLarge",
    "Journal",
    "JournalDamaged",
    "JournalError",
    "JournalFailed",
    "JournalHeld",
    "Judgement",
    "Repair",
    "Snapshot",
    "SnapshotUnusable",
    "Survey",
    "Sync",
    "give_up",
    "open_journal",
    "repair",
    "set_aside",
    "survey",
]
