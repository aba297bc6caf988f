"""What a configuration file may say: one struct a section, one annotated field a key.

Each field carries its meaning, its bounds and its default here and nowhere else: the checks, the
messages, the JSON Schema, the reference page and the example file are all made from them. Every key
has a default, so that an empty file is a valid one. A key with `RESTART` keeps the value riskd was
started with; the others follow a reload.

Each module holds the sections of one subject; here they come together.
"""

from collections.abc import Iterator, Mapping

from .base import RESTART, Disagreement, Section
from .daemon import Control, Journal, Riskd, Security, Supervision
from .halting import KillSwitch, Lease, Session
from .triggers import (
    TRIGGERS_MAX,
    AnyTrigger,
    Command,
    FileAppears,
    StatusFile,
    Threshold,
    Trigger,
    Triggers,
)

NOT_BUILT: Mapping[str, str] = {
    "accounts": "no order would be checked for them",
    "brokers": "none would be connected",
    "instruments": "none would be priced",
    "workers": "none would be started",
    "rules": "no order would be held to them",
    "alerting": "nobody would be told anything",
    "web": "no page would be served",
    "profiles": "no limit would follow from them",
}
"""Sections that later versions act on, and what silence about them would hide in this one."""


class Config(Section, frozen=True, kw_only=True):
    """All that riskd can be told."""

    riskd: Riskd = Riskd()
    control: Control = Control()
    supervision: Supervision = Supervision()
    journal: Journal = Journal()
    kill_switch: KillSwitch = KillSwitch()
    lease: Lease = Lease()
    session: Session = Session()
    triggers: Triggers = ()
    security: Security = Security()

    def disagreements(self) -> Iterator[Disagreement]:
        """The name of a trigger is what its halts are known by."""
        names = [trigger.name for trigger in self.triggers]
        for position, name in enumerate(names):
            if (first := names.index(name)) != position:
                yield Disagreement(
                    "triggers",
                    f"has entries with the same name: numbers {first + 1} and {position + 1}",
                    "give each its own",
                )


__all__ = [
    "NOT_BUILT",
    "RESTART",
    "TRIGGERS_MAX",
    "AnyTrigger",
    "Command",
    "Config",
    "Control",
    "Disagreement",
    "FileAppears",
    "Journal",
    "KillSwitch",
    "Lease",
    "Riskd",
    "Section",
    "Security",
    "Session",
    "StatusFile",
    "Supervision",
    "Threshold",
    "Trigger",
]
