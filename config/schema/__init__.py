"""What a configuration file may say: one struct a section, one annotated field a key.

Each field carries its meaning, its bounds and its default here and nowhere else: the checks, the
messages, the JSON Schema, the reference page and the example file are all made from them. Every key
has a default, so that an empty file is a valid one. A key with `RESTART` keeps the value riskd was
started with; the others follow a reload.

Each module holds the sections of one subject; here they come together.
"""

from collections.abc import Iterator, Mapping

from msgspec import field

from .base import RESTART, Disagreement, Section
from .daemon import Control, Journal, Riskd, Security, Supervision
from .halting import KillSwitch, Lease, Session
from .trading import (
    ACCOUNTS_MAX,
    INSTRUMENTS_MAX,
    Account,
    Accounts,
    Book,
    Instrument,
    Instruments,
)
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
    "brokers": "none would be connected",
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
    accounts: Accounts = field(default_factory=dict)
    instruments: Instruments = ()
    book: Book = Book()
    triggers: Triggers = ()
    security: Security = Security()

    def disagreements(self) -> Iterator[Disagreement]:
        """Triggers and instruments are known by their names, each by its own."""
        for key, word, names in (
            ("triggers", "name", [trigger.name for trigger in self.triggers]),
            ("instruments", "symbol", [each.symbol for each in self.instruments]),
        ):
            first: dict[str, int] = {}
            for index, name in enumerate(names):
                if first.setdefault(name, index) != index:
                    problem = f"is that of {key}[{first[name]}] too"
                    yield Disagreement(key, problem, "give each its own", (index, word))


__all__ = [
    "ACCOUNTS_MAX",
    "INSTRUMENTS_MAX",
    "NOT_BUILT",
    "RESTART",
    "TRIGGERS_MAX",
    "Account",
    "AnyTrigger",
    "Book",
    "Command",
    "Config",
    "Control",
    "Disagreement",
    "FileAppears",
    "Instrument",
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
