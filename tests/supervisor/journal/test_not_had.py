"""A file that is there and can't be had is not damage: it is neither restored nor given up."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from riskd.actors.messages import ActorSilent
from riskd.actors.ports import File
from riskd.adapters.simulated_disk import SimulatedDisk
from riskd.supervisor.journal import JournalDamaged, JournalError
from riskd.supervisor.journal.archive import put_away
from riskd.supervisor.journal.files import ARCHIVE
from riskd.supervisor.journal.snapshots import save

Machine = Any  # the classes of these fixtures live in conftest.py


def history(machine: Machine) -> list[Path]:
    """The oldest segment that is archived and the oldest that is live; and no snapshot."""
    directory = machine.directory
    with machine.open(segment_bytes=66_400) as ledger:
        for number in range(60):
            ledger.commit(ActorSilent(actor=f"a{number}", deadline_s=1.0))
            machine.sync(ledger)
            if number in (40, 50):
                save(machine.disk, directory, ledger.snapshot())
    put_away(machine.disk, directory)
    for name in machine.disk.names(directory):
        if name.endswith(".snapshot"):
            machine.disk.remove(directory / name)
    live = min(name for name in machine.disk.names(directory) if name.endswith(".log"))
    archived = min(machine.disk.names(directory / ARCHIVE))
    return [directory / ARCHIVE / archived, directory / live]


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (errno.EACCES, "it can't be read: Permission denied; give this user access to it"),
        (errno.ELOOP, "it is a link, and none is followed; put the file itself in its place"),
        (errno.EISDIR, "it is not a file; put the file itself in its place"),
    ],
)
def test_a_segment_that_may_not_be_read_is_neither_restored_nor_given_up(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, which: int, reason: int, said: str
) -> None:
    place = history(machine)[which]
    opens = SimulatedDisk.open

    def refuse(disk: SimulatedDisk, path: Path, *, writable: bool = False) -> File:
        if path == place:
            raise OSError(reason, os.strerror(reason), str(path))
        return opens(disk, path, writable=writable)

    with monkeypatch.context() as patch:
        patch.setattr(SimulatedDisk, "open", refuse)
        with pytest.raises(JournalError) as refused, machine.open():
            pass
    assert not isinstance(refused.value, JournalDamaged), "only damage can be given up"
    assert str(refused.value) == f"{place}: {said}"
    with machine.open() as ledger:
        assert ledger.lsn == 60, "nothing was changed"
