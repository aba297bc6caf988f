"""What the sections of a configuration say of each other: who is named must be there."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from .base import Disagreement
from .profiles import BUILT_IN
from .rules import StateRule, scaling

if TYPE_CHECKING:
    from . import Config

OF_PROFILES = ":"
"""In the names of the rules that a profile brings, and in no other's."""


def twice(config: "Config") -> Iterator[Disagreement]:
    """Triggers, instruments and rules are known by their names, each by its own."""
    for key, word, names in (
        ("triggers", "name", [trigger.name for trigger in config.triggers]),
        ("instruments", "symbol", [each.symbol for each in config.instruments]),
    ):
        for first, index in _repeated(names):
            problem = f"is that of {key}[{first}] too"
            yield Disagreement(key, problem, "give each its own", (index, word))
    for first, index in _repeated([rule.id for rule in config.rules]):
        if config.rules[index].name is not None:
            key, problem = "name", f"is that of rules[{first}] too"
        else:
            key, problem = "kind", f"and scope are those of rules[{first}] too"
        yield Disagreement("rules", problem, "give it a name of its own", (index, key))


def _repeated(names: Iterable[str]) -> Iterator[tuple[int, int]]:
    """The place of the first of a name, and that of each other."""
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        if first.setdefault(name, index) != index:
            yield first[name], index


def profiles(config: "Config") -> Iterator[Disagreement]:
    """An account names a profile that there is."""
    for name in config.profiles:
        if name in BUILT_IN:
            yield Disagreement("profiles", "is built in", "choose another name", (name,))
    known = {**BUILT_IN, **config.profiles}
    for name, account in config.accounts.items():
        if account.profile not in known:
            remedy = f"write one of {', '.join(known)}, or add it to [profiles]"
            yield Disagreement("accounts", "is no profile", remedy, (name, "profile"))


def scopes(config: "Config") -> Iterator[Disagreement]:
    """A rule for what does not exist would limit nothing, and look as if it did."""
    for index, rule in enumerate(config.rules):
        if rule.name is not None and OF_PROFILES in rule.name:
            problem = f"has a {OF_PROFILES!r}, which stands in the names of profiles' limits"
            yield Disagreement("rules", problem, "leave it out", (index, "name"))
        kind, _, name = rule.scope.partition(":")
        known = _known(config, kind)
        if known is not None and name not in known:
            problem = f"names {_a(kind)} that the file does not have"
            yield Disagreement("rules", problem, _remedy(kind, known), (index, "scope"))


def lockouts(config: "Config") -> Iterator[Disagreement]:
    """Who locks for a time says for how long."""
    for index, rule in enumerate(config.rules):
        if not isinstance(rule, StateRule):
            continue
        if rule.lockout in ("time", "breaker") and rule.lockout_s is None:
            problem = f'is missing: `lockout = "{rule.lockout}"` needs it'
            yield Disagreement("rules", problem, "write the seconds", (index, "lockout_s"))
        if rule.lockout == "breaker":
            yield from _breaker(rule, index)


def _breaker(rule: StateRule, index: int) -> Iterator[Disagreement]:
    """Its halts grow, and are counted for longer than they last."""
    if rule.lockout_s is not None and rule.lockout_s > rule.lockout_max_s:
        problem, remedy = "is longer than lockout_max_s", "lower it, or raise lockout_max_s"
        yield Disagreement("rules", problem, remedy, (index, "lockout_s"))
    if rule.repeats_within_s <= rule.lockout_max_s:
        problem = "is over before the longest halt is: it would count no repeat"
        remedy = "raise it, or lower lockout_max_s"
        yield Disagreement("rules", problem, remedy, (index, "repeats_within_s"))


def factors(config: "Config") -> Iterator[Disagreement]:
    """A factor that is named is there, and has something to multiply. What goes by the symbol needs
    one: that of an order, or that of the scope."""
    for index, rule in enumerate(config.rules):
        if rule.factor is None:
            continue
        path, factor = (index, "factor"), config.factors.get(rule.factor)
        if factor is None:
            remedy = f"there is {', '.join(sorted(config.factors)) or 'none'}"
            yield Disagreement("rules", "names no factor of the file", remedy, path)
        elif not scaling.keys(rule):
            problem = f"has nothing to multiply in a {rule.kind}"
            yield Disagreement("rules", problem, "leave it out", path)
        elif (
            factor.is_by_symbol
            and isinstance(rule, StateRule)
            and not rule.scope.startswith("symbol:")
        ):
            problem = "goes by the symbol, and this rule is about several"
            yield Disagreement("rules", problem, "name one of hours alone, or a symbol:", path)


def _known(config: "Config", kind: str) -> frozenset[str] | None:
    """All of a kind. None: they can't be told from the file."""
    accounts = config.accounts
    match kind:
        case "account":
            return frozenset(accounts)
        case "exchange":
            return frozenset(each.exchange for each in accounts.values() if each.exchange)
        case "symbol":
            return frozenset(each.symbol for each in config.instruments)
        case "strategy":
            return _strategies(config)
    return None


def _strategies(config: "Config") -> frozenset[str] | None:
    """Those that may trade anywhere. None: any may, somewhere."""
    found: set[str] = set()
    profiles = {**BUILT_IN, **config.profiles}
    for account in config.accounts.values():
        profile = profiles.get(account.profile)
        named = account.strategies or (() if profile is None else profile.strategies)
        if not named:
            return None
        found.update(named)
    return frozenset(found)


def _a(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


_SHOWN_MAX = 5


def _remedy(kind: str, known: Iterable[str]) -> str:
    names = sorted(known)
    some = ", ".join(f"{kind}:{name}" for name in names[:_SHOWN_MAX])
    if not names:
        return {
            "account": "add it to [accounts]",
            "exchange": "say of an account that it trades there",
            "symbol": "add it to [[instruments]]",
            "strategy": "name it in an account's strategies",
        }[kind]
    return f"there is {some}{' and others' if len(names) > _SHOWN_MAX else ''}"
