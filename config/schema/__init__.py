"""What a configuration file may say: one struct a section, one annotated field a key.

Each field carries its meaning, its bounds and its default here and nowhere else: the checks, the
messages, the JSON Schema, the reference page and the example file are all made from them. Every key
has a default, so that an empty file is a valid one. A key with `RESTART` keeps the value riskd was
started with; the others follow a reload.

Each module holds the sections of one subject; here they come together.
"""

from collections.abc import Iterator, Mapping

from msgspec import field

from . import agreement
from .base import RESTART, Disagreement, Section
from .daemon import Control, Journal, Riskd, Security, Supervision
from .factors import FACTORS_MAX, Factor, Factors
from .gate import Gate, OnExcess
from .halting import KillSwitch, Lease, Session
from .profiles import BUILT_IN, PROFILES_MAX, Profile, Profiles
from .risk_signal import OutsideSignal, RiskSignal
from .rules import AnyRule, Rule, Rules
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
    "alerting": "nobody would be told anything",
    "web": "no page would be served",
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
    gate: Gate = Gate()
    profiles: Profiles = field(default_factory=dict)
    factors: Factors = field(default_factory=dict)
    rules: Rules = ()
    risk_signal: RiskSignal = RiskSignal()
    triggers: Triggers = ()
    security: Security = Security()

    def disagreements(self) -> Iterator[Disagreement]:
        """What has a name has its own, and what is named is there."""
        yield from agreement.twice(self)
        yield from agreement.profiles(self)
        yield from agreement.scopes(self)
        yield from agreement.lockouts(self)
        yield from agreement.factors(self)


__all__ = [
    "ACCOUNTS_MAX",
    "BUILT_IN",
    "FACTORS_MAX",
    "INSTRUMENTS_MAX",
    "NOT_BUILT",
    "PROFILES_MAX",
    "RESTART",
    "TRIGGERS_MAX",
    "Account",
    "AnyRule",
    "AnyTrigger",
    "Book",
    "Command",
    "Config",
    "Control",
    "Disagreement",
    "Factor",
    "FileAppears",
    "Gate",
    "Instrument",
    "Journal",
    "KillSwitch",
    "Lease",
    "OnExcess",
    "OutsideSignal",
    "Profile",
    "RiskSignal",
    "Riskd",
    "Rule",
    "Rules",
    "Section",
    "Security",
    "Session",
    "StatusFile",
    "Supervision",
    "Threshold",
    "Trigger",
]
