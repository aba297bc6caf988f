"""What can be wrong with a journal. Each text is one line: which file, where, what, the remedy."""

from pathlib import Path


class JournalError(Exception):
    """The journal can't be used."""


class JournalHeld(JournalError):
    """Another process is its writer."""


class DirectoryUnusable(JournalError):
    """The directory can't be had: nothing was found out about a journal in it."""


class JournalDamaged(JournalError):
    """What is on the disk is not what was written. Nothing was changed."""

    def __init__(self, path: Path, what: str, remedy: str, *, offset: int, lsn: int) -> None:
        super().__init__(f"{path}: at byte {offset}, fact {lsn}: {what}; {remedy}")
        self.path = path
        self.what = what
        self.offset = offset
        self.lsn = lsn


class JournalFailed(JournalError):
    """A write or a sync failed, and nothing more is written. It is final for this process."""


class FactTooLarge(JournalError):
    """A fact is larger than a frame may be. Nothing was written, and the journal goes on."""
