"""The settings actor: what is refused changes nothing, and what changes is recorded before."""

import math

import attrs
import pytest
import trio
from riskd.actors.messages import (
    Beat,
    By,
    ConfigRefused,
    ConfigReloaded,
    Fact,
    LimitChange,
    Loosening,
    PreviewReload,
    Refused,
    Reload,
    Reloaded,
    ReloadPreviewed,
)
from riskd.actors.ports import Loosen, NotLoosened
from riskd.actors.settings import Asked, Candidate, Invalid, Settings
from trio.testing import wait_all_tasks_blocked

BY = By(via="socket", user_id=1000, user="bob", process_id=4711)
CANDIDATE = Candidate(
    source="riskd.toml",
    digest="d1",
    changed=("riskd.log_level",),
    needs_restart=("riskd.socket",),
    limits=(LimitChange(rule="max_position@all", how="added", keys=()),),
)
LOOSER = LimitChange(rule="max_position@all", how="loosened", keys=())


@attrs.define
class File:
    """A source whose next reading the test decides, and a history of what was done."""

    outcome: Candidate | Exception
    happened: list[object] = attrs.field(factory=list)
    name: str = "riskd.toml"

    async def read(self) -> Candidate:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def take(self, candidate: Candidate) -> None:
        self.happened.append(candidate)

    def record(self, fact: Fact) -> None:
        self.happened.append(fact)

    async def loosen(self, fact: Loosening) -> None:
        await trio.lowlevel.checkpoint()
        self.happened.append(fact)

    async def follow(self, by: By) -> tuple[tuple[LimitChange, ...], tuple[LimitChange, ...]]:
        self.happened.append(("follow", by))
        await trio.lowlevel.checkpoint()
        return (*CANDIDATE.limits, LOOSER), (LOOSER,)


def over(file: File, loosen: Loosen | None = None) -> Settings:
    return Settings(file, file.record, loosen or file.loosen, file.follow)


async def test_a_valid_file_is_recorded_and_then_in_force() -> None:
    file = File(CANDIDATE)
    answer = await over(file).receive(Asked(Reload(id=7), BY))
    assert file.happened == [
        ConfigReloaded(
            source="riskd.toml",
            digest="d1",
            changed=("riskd.log_level",),
            needs_restart=("riskd.socket",),
            by=BY,
        ),
        CANDIDATE,
        ("follow", BY),
    ]
    assert answer == Reloaded(
        id=7,
        source="riskd.toml",
        changed=["riskd.log_level"],
        needs_restart=["riskd.socket"],
        limits=[*CANDIDATE.limits, LOOSER],
        waiting=[LOOSER],
    )


async def test_a_look_at_a_reload_tells_what_it_would_change_and_changes_nothing() -> None:
    file = File(CANDIDATE)
    settings = over(file)
    answer = await settings.receive(Asked(PreviewReload(id=7), BY))
    assert answer == ReloadPreviewed(
        id=7,
        source="riskd.toml",
        changed=["riskd.log_level"],
        needs_restart=["riskd.socket"],
        limits=list(CANDIDATE.limits),
    )
    assert file.happened == []


async def test_a_look_at_a_file_that_is_not_valid_is_refused_and_no_fact() -> None:
    file = File(Invalid(("riskd.toml:1: a",)))
    settings = over(file)
    answer = await settings.receive(Asked(PreviewReload(), BY))
    assert isinstance(answer, Refused)
    assert (answer.code, answer.problems) == ("invalid_config", ["riskd.toml:1: a"])
    assert file.happened == []


async def test_an_invalid_file_changes_nothing_and_its_problems_are_recorded_and_answered() -> None:
    file = File(Invalid(("riskd.toml:1: a", "riskd.toml:2: b")))
    answer = await over(file).receive(Asked(Reload(id=7), BY))
    problems = ("riskd.toml:1: a", "riskd.toml:2: b")
    assert file.happened == [ConfigRefused(source="riskd.toml", problems=problems, by=BY)]
    assert isinstance(answer, Refused)
    assert (answer.id, answer.code, answer.problems) == (7, "invalid_config", list(problems))
    assert "the old configuration stays in force" in answer.message


async def test_what_is_not_loosened_changes_nothing_and_is_answered_with_its_reason() -> None:
    async def refuse(_: Loosening) -> None:
        raise NotLoosened("the disk did not confirm it")

    file = File(CANDIDATE)
    answer = await over(file, refuse).receive(Asked(Reload(id=7), BY))
    assert answer == Refused(
        id=7,
        code="not_loosened",
        message="the disk did not confirm it; the old configuration stays in force",
    )
    assert file.happened == []


async def test_nothing_is_in_force_before_the_disk_has_it() -> None:
    file = File(CANDIDATE)
    disk = trio.Event()

    async def wait(fact: Loosening) -> None:
        await disk.wait()
        await file.loosen(fact)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(over(file, wait).receive, Asked(Reload(), BY))
        await wait_all_tasks_blocked()
        assert file.happened == []
        disk.set()
    assert file.happened[-2:] == [CANDIDATE, ("follow", BY)]


async def test_cancelled_while_the_disk_is_waited_for_it_takes_nothing() -> None:
    async def hang(_: Loosening) -> None:
        await trio.sleep_forever()

    file = File(CANDIDATE)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(over(file, hang).receive, Asked(Reload(), BY))
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert file.happened == []


async def test_a_source_that_breaks_crashes_the_actor_and_changes_nothing() -> None:
    file = File(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await over(file).receive(Asked(Reload(), BY))
    assert file.happened == []


async def test_it_takes_nothing_but_a_reload_and_sets_no_timer() -> None:
    file = File(CANDIDATE)
    settings = over(file)
    with pytest.raises(TypeError, match="takes Asked, and got Beat"):
        await settings.receive(Beat())
    assert settings.wake_at() == math.inf
