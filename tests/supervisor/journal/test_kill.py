"""A process that is killed in the middle of writing loses nothing of what it wrote.

RISKD_KILLS=1000 asks for that many kills in place of the few that the suite has time for.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from riskd.adapters.disk import SystemDisk
from riskd.supervisor.journal import Judgement, survey

KILLS = int(os.environ.get("RISKD_KILLS", "30"))
BATCH = 10
"""Kills of one directory, which gets longer and longer."""
LINES_MAX = 400

WRITER = """
import os, sys
from pathlib import Path
from random import Random
from riskd.adapters.disk import SystemDisk
from riskd.supervisor.journal import open_journal, repair, survey
from riskd.supervisor.journal.journal import RESERVE_BYTES

def say(what, lsn):
    os.write(1, f"{what} {lsn}\\n".encode())

disk, directory, chance = SystemDisk(), Path(sys.argv[1]), Random(int(sys.argv[2]))
disk.make_directory(directory)
say("opens", 0)
found = survey(disk, directory, "the same boot")
list(found.facts())
repair(found)
journal = open_journal(found, RESERVE_BYTES + chance.choice((24_000, 200_000)))
say("safe", journal.safe_lsn)
while True:
    count = chance.choice((1, 1, 1, 2, 30))
    facts = [b"%d " % (journal.lsn + n) + b"x" * chance.randrange(600) for n in range(1, count + 1)]
    say("written", journal.append(facts))
    if journal.wants_next:
        journal.prepared(journal.prepare())
    if chance.random() < 0.05:
        trip = journal.sync()
        trip.run()
        journal.synced(trip)
        say("safe", journal.safe_lsn)
"""


def lines_before_the_kill(seed: int) -> int:
    chance = Random(seed)  # noqa: S311 - it must be the same again, and guards nothing
    return chance.randint(1, chance.choice((1, 2, 3, 10, 50, LINES_MAX)))


def killed(directory: Path, seed: int, lines: int) -> dict[str, int]:
    """Let it write, and kill it once it has said so many lines; the last it said of each kind."""
    with subprocess.Popen(
        [sys.executable, "-P", "-c", WRITER, str(directory), str(seed)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        said += process.stdout.read().splitlines(keepends=True)
    assert process.returncode == -signal.SIGKILL
    return {what: int(lsn) for what, lsn in (line.decode().split() for line in said)}


@pytest.mark.parametrize("first", range(0, KILLS, BATCH))
def test_every_fact_that_was_written_is_there_in_order_and_once(tmp_path: Path, first: int) -> None:
    directory = tmp_path / "journal"
    written = 0
    for seed in range(first, min(first + BATCH, KILLS)):
        # The first goes on for so long that all others find more than one segment.
        lines = LINES_MAX if seed == first else lines_before_the_kill(seed)
        said = killed(directory, seed, lines)
        written = max(written, *said.values())
        found = survey(SystemDisk(), directory, "the same boot")
        facts = [bytes(payload) for _, payload in found.facts()]
        numbers = [int(fact.split(b" ")[0]) for fact in facts]
        assert numbers == list(range(1, len(facts) + 1)), f"seed {seed}"
        assert len(facts) >= written, f"seed {seed}"
        assert found.cut is None or found.cut.judgement is Judgement.TORN, f"seed {seed}"
        assert len(found.segments) > 1
        written = len(facts)
