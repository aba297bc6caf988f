"""The settings actor: the one place where the configuration in force can change."""

from typing import Protocol

import attrs

from .messages import By, ConfigRefused, ConfigReloaded, Refused, Reload, Reloaded, Reply
from .ports import Loosen, NotLoosened, Record

NAME = "settings"


class Invalid(Exception):
    """The file is not valid. Each problem is a line that names file, line, key and remedy."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@attrs.frozen(kw_only=True)
class Candidate:
    """A configuration that has been read and is valid, beside what it would change."""

    source: str
    digest: str
    changed: tuple[str, ...]
    needs_restart: tuple[str, ...]


class Source(Protocol):
    """Where configurations come from, and where the one in force is kept."""

    @property
    def name(self) -> str:
        """A file's path, or what stands for the embedded paper setup."""

    async def read(self) -> Candidate:
        """Read and check. Raises Invalid, and then nothing has changed."""

    def take(self, candidate: Candidate) -> None:
        """From now on this is in force, but for what needs a restart."""


@attrs.frozen
class Asked:
    """A reload with who wants it."""

    command: Reload
    by: By


@attrs.define(eq=False)
class Settings:
    """Behaviour of the actor."""

    source: Source
    record: Record
    loosen: Loosen

    async def receive(self, message: object) -> object:
        if not isinstance(message, Asked):
            raise TypeError(f"the settings actor takes Asked, and got {type(message).__name__}")
        return await self._reload(message.command, message.by)

    async def _reload(self, command: Reload, by: By) -> Reply:
        try:
            candidate = await self.source.read()
        except Invalid as invalid:
            self.record(ConfigRefused(source=self.source.name, problems=invalid.problems, by=by))
            return Refused(
                id=command.id,
                code="invalid_config",
                message=f"{self.source.name} is not valid; the old configuration stays in force",
                problems=list(invalid.problems),
            )
        reloaded = ConfigReloaded(
            source=candidate.source,
            digest=candidate.digest,
            changed=candidate.changed,
            needs_restart=candidate.needs_restart,
            by=by,
        )
        try:
            await self.loosen(reloaded)
        except NotLoosened as why:
            said = f"{why}; the old configuration stays in force"
            return Refused(id=command.id, code="not_loosened", message=said)
        self.source.take(candidate)
        return Reloaded(
            id=command.id,
            source=candidate.source,
            changed=list(candidate.changed),
            needs_restart=list(candidate.needs_restart),
        )

    def wake_at(self) -> float:
        return float("inf")

    async def wake(self) -> None:
        raise AssertionError("the settings actor sets no timer")
