"""The settings actor: what is refused changes nothing, and what changes is recorded before."""

import math

import attrs
import pytest
from riskd.actors.messages import (
    Beat,
    ConfigRefused,
    ConfigReloaded,
    Fact,
    Refused,
    Reload,
    Reloaded,
)
from riskd.actors.settings import Candidate, Invalid, Settings

CANDIDATE = Candidate(
    source="riskd.toml", digest="d1", changed=("riskd.log_level",), needs_restart=("riskd.socket",)
)


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


async def test_a_valid_file_is_recorded_and_then_in_force() -> None:
    file = File(CANDIDATE)
    answer = await Settings(file, file.record).receive(Reload(id=7))
    assert file.happened == [
        ConfigReloaded(
            source="riskd.toml",
            digest="d1",
            changed=("riskd.log_level",),
            needs_restart=("riskd.socket",),
        ),
        CANDIDATE,
    ]
    assert answer == Reloaded(
        id=7, source="riskd.toml", changed=["riskd.log_level"], needs_restart=["riskd.socket"]
    )


async def test_an_invalid_file_changes_nothing_and_its_problems_are_recorded_and_answered() -> None:
    file = File(Invalid(("riskd.toml:1: a", "riskd.toml:2: b")))
    answer = await Settings(file, file.record).receive(Reload(id=7))
    problems = ("riskd.toml:1: a", "riskd.toml:2: b")
    assert file.happened == [ConfigRefused(source="riskd.toml", problems=problems)]
    assert isinstance(answer, Refused)
    assert (answer.id, answer.code, answer.problems) == (7, "invalid_config", list(problems))
    assert "the old configuration stays in force" in answer.message


async def test_what_can_not_be_recorded_is_not_taken() -> None:
    def fail(_: Fact) -> None:
        raise OSError("no disk")

    file = File(CANDIDATE)
    with pytest.raises(OSError, match="no disk"):
        await Settings(file, fail).receive(Reload())
    assert file.happened == []


async def test_a_source_that_breaks_crashes_the_actor_and_changes_nothing() -> None:
    file = File(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await Settings(file, file.record).receive(Reload())
    assert file.happened == []


async def test_it_takes_nothing_but_a_reload_and_sets_no_timer() -> None:
    file = File(CANDIDATE)
    settings = Settings(file, file.record)
    with pytest.raises(TypeError, match="takes Reload, and got Beat"):
        await settings.receive(Beat())
    assert settings.wake_at() == math.inf
