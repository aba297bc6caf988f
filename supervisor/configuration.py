"""The configuration in force, and where the next one would come from."""

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import trio

from ..actors import settings
from ..actors.messages import LimitChange
from ..config.loader import Loaded, parse, text_of
from ..config.problems import ConfigInvalid
from ..config.render import NEEDS_RESTART, differences
from ..config.schema import Config, Section

READ_TIMEOUT_S = 1.0
CHECK_TIMEOUT_S = 2.5
"""Together below the heartbeat's patience: neither a disk that hangs nor a file that says too much
is a reason to crash the settings actor. Ten thousand instruments are checked in half of it."""


class Configuration:
    """The source that the settings actor reads. Keys that need a restart keep their value."""

    def __init__(self, loaded: Loaded, file: Path | None, environment: Mapping[str, str]) -> None:
        self.current = loaded.config
        self.digest = loaded.digest
        self.name = loaded.source
        self._file = file
        self._environment = environment
        self._read: Loaded | None = None
        self.on_change: Callable[[Config], None] = lambda _: None
        self.check: Callable[[Config], tuple[str, ...]] = lambda _: ()
        """What keeps a configuration that is valid from being used here, in lines."""
        self.preview: Callable[[Config], tuple[LimitChange, ...]] = lambda _: ()
        """What a configuration would make of the limits in force."""

    async def read(self) -> settings.Candidate:
        if self._file is None:
            raise settings.Invalid(
                ("riskd runs on its embedded paper setup: there is no file to read",)
            )
        try:
            loaded = await self._loaded(self._file)
        except ConfigInvalid as invalid:
            raise settings.Invalid(tuple(str(problem) for problem in invalid.problems)) from None
        self._check_mix(loaded.config)
        if problems := self.check(self._mixed(loaded.config)):
            raise settings.Invalid(problems)
        self._read = loaded
        changed = differences(self.current, loaded.config)
        return settings.Candidate(
            source=loaded.source,
            digest=loaded.digest,
            changed=tuple(key for key in changed if key not in NEEDS_RESTART),
            needs_restart=tuple(key for key in changed if key in NEEDS_RESTART),
            limits=self.preview(self._mixed(loaded.config)),
        )

    async def _loaded(self, file: Path) -> Loaded:
        """The file as it is now. In threads: it may lie on a disk or a network that does not
        answer, and what is said of thousands of instruments takes longer than an order can wait."""
        try:
            with trio.fail_after(READ_TIMEOUT_S):
                text = await trio.to_thread.run_sync(text_of, file, abandon_on_cancel=True)
        except trio.TooSlowError:
            problem = f"{file}: not read within {READ_TIMEOUT_S:g} s: its disk does not answer"
            raise settings.Invalid((problem,)) from None
        try:
            with trio.fail_after(CHECK_TIMEOUT_S):
                return await trio.to_thread.run_sync(
                    parse, text, self.name, self._environment, abandon_on_cancel=True
                )
        except trio.TooSlowError:
            problem = (
                f"{file}: not checked within {CHECK_TIMEOUT_S:g} s: it says much, or the machine "
                "is busy; reload again, or restart riskd"
            )
            raise settings.Invalid((problem,)) from None

    def take(self, candidate: settings.Candidate) -> None:
        assert self._read is not None, "a candidate comes from read()"
        config, self._read = self._mixed(self._read.config), None
        self.current, self.digest = config, candidate.digest
        self.on_change(config)

    def _mixed(self, config: Config) -> Config:
        """As given, but that keys which need a restart keep the value riskd was started with."""
        for key in differences(self.current, config):
            if key in NEEDS_RESTART:
                section, _, name = key.partition(".")
                old = getattr(getattr(self.current, section), name)
                replaced = msgspec.structs.replace(getattr(config, section), **{name: old})
                config = msgspec.structs.replace(config, **{section: replaced})
        return config

    def _check_mix(self, config: Config) -> None:
        """Keys that agree in the file may not agree with those that only a restart changes."""
        mixed = self._mixed(config)
        problems = tuple(
            f"{self.name}: {section}.{fault.key}: {fault.message}, with the values that only a "
            f"restart changes; {fault.remedy}, or restart riskd"
            for section in mixed.__struct_fields__
            if isinstance(part := getattr(mixed, section), Section)
            for fault in part.disagreements()
        )
        if problems:
            raise settings.Invalid(problems)
