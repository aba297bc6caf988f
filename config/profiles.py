"""What a configuration limits: its own rules, and those that the profiles of its accounts bring.

A profile is nothing but rules of the scope of the account that names it. They are in force beside
those of `[[rules]]`, and the most restrictive wins. Their names have a colon, as no other's have:
`normal:daily_loss@account:main`.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
import msgspec

from .schema import BUILT_IN, AnyRule, Config, Profile
from .schema.rules import (
    DailyLoss,
    MaxLeverage,
    MaxOpenPositions,
    SingleTradeRisk,
    StrategyWhitelist,
    WeeklyLoss,
)

RULES_BYTES_MAX = 320_000
"""All rules together, as JSON. A fact holds those before and those after a change of them, and what
persons have set besides, in at most a mebibyte."""
FILE = "config"
"""The source of a rule that the file has itself."""

BRINGS: Mapping[str, Callable[..., AnyRule]] = {
    "daily_loss_pct": lambda value, **of: DailyLoss(max_pct=value, **of),
    "weekly_loss_pct": lambda value, **of: WeeklyLoss(max_pct=value, **of),
    "single_trade_risk_pct": lambda value, **of: SingleTradeRisk(max_pct=value, **of),
    "max_open_positions": lambda value, **of: MaxOpenPositions(max_positions=value, **of),
    "max_leverage": lambda value, **of: MaxLeverage(max_leverage=value, **of),
    "strategies": lambda value, **of: StrategyWhitelist(strategies=value, **of),
}
"""What each key of a profile means."""


@attrs.frozen
class Sourced:
    """A rule, and where it is from: `config` or `profile:NAME`."""

    rule: AnyRule
    source: str


def limits(config: Config) -> tuple[Sourced, ...]:
    """All rules of a configuration that is valid, those of `[[rules]]` first."""
    known = {**BUILT_IN, **config.profiles}
    own = [Sourced(rule, FILE) for rule in config.rules]
    for name, account in config.accounts.items():
        profile = known[account.profile]
        if account.strategies:
            profile = msgspec.structs.replace(profile, strategies=account.strategies)
        source = f"profile:{account.profile}"
        own += [Sourced(each, source) for each in rules_of(profile, account.profile, name)]
    return tuple(own)


def rules_of(profile: Profile, name: str, account: str) -> Iterator[AnyRule]:
    """What a profile means for an account."""
    scope = f"account:{account}"
    for key, make in BRINGS.items():
        value: Any = getattr(profile, key)
        if value is not None and value != ():
            kind = make(value).kind
            yield make(value, name=f"{name}:{kind}@{scope}", scope=scope)


def excess(config: Config) -> int:
    """By how many bytes the rules, with the factors that they name, are more than can be kept; 0:
    they are not."""
    rules = [each.rule for each in limits(config)]
    return max(0, len(msgspec.json.encode((rules, config.factors))) - RULES_BYTES_MAX)
