"""The settings actor: the one place where the configuration in force can change."""

from collections.abc import Awaitable, Callable
from typing import Protocol

import attrs

from .messages import (
    By,
    ConfigRefused,
    ConfigReloaded,
    LimitChange,
    PreviewReload,
    Refused,
    Reload,
    Reloaded,
    ReloadPreviewed,
    Reply,
)
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
    limits: tuple[LimitChange, ...]
    """What would become of the limits in force."""


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
    """A reload, or a look at what it would do, with who wants it."""

    command: Reload | PreviewReload
    by: By


Changes = tuple[LimitChange, ...]
Follow = Callable[[By], Awaitable[tuple[Changes, Changes]]]
"""Brings the limits of the configuration into force that was taken just before: what tightens
before its first checkpoint. What it changes, and what of it waits for the disk still."""


@attrs.define(eq=False)
class Settings:
    """Behaviour of the actor."""

    source: Source
    record: Record
    loosen: Loosen
    follow: Follow

    async def receive(self, message: object) -> object:
        if not isinstance(message, Asked):
            raise TypeError(f"the settings actor takes Asked, and got {type(message).__name__}")
        if isinstance(message.command, PreviewReload):
            return await self._preview(message.command)
        return await self._reload(message.command, message.by)

    async def _preview(self, command: PreviewReload) -> Reply:
        try:
            candidate = await self.source.read()
        except Invalid as invalid:
            return self._invalid(command, invalid)
        return ReloadPreviewed(
            id=command.id,
            source=candidate.source,
            changed=list(candidate.changed),
            needs_restart=list(candidate.needs_restart),
            limits=list(candidate.limits),
        )

    def _invalid(self, command: Reload | PreviewReload, invalid: Invalid) -> Refused:
        return Refused(
            id=command.id,
            code="invalid_config",
            message=f"{self.source.name} is not valid; the old configuration stays in force",
            problems=list(invalid.problems),
        )

    async def _reload(self, command: Reload, by: By) -> Reply:
        try:
            candidate = await self.source.read()
        except Invalid as invalid:
            self.record(ConfigRefused(source=self.source.name, problems=invalid.problems, by=by))
            return self._invalid(command, invalid)
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
        limits, waiting = await self.follow(by)
        return Reloaded(
            id=command.id,
            source=candidate.source,
            changed=list(candidate.changed),
            needs_restart=list(candidate.needs_restart),
            limits=list(limits),
            waiting=list(waiting),
        )

    def wake_at(self) -> float:
        return float("inf")

    async def wake(self) -> None:
        raise AssertionError("the settings actor sets no timer")
