"""The limits in force: how they change, and the projection that knows them.

Theory
------
The configuration gives rules. A person may set single keys of them. What is in force is both
together, and each change of it is a fact with all of it. What changes is worked out by comparing
the limits that are in force with those that are wanted, rule by rule (`tightness`): what adds a
rule, or tightens one, is a fact that waits for nothing; the rest is one that loosens, and waits for
the disk. A rule of which one key is tightened and another loosened waits as a whole.

A key that a person has set keeps his value when the configuration is read again, as long as it says
of this key what it said before. When it says something else the configuration wins.

The projection also keeps what rules remember (`gate.memory`), for as long as they are in force.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from math import isfinite
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from ...config.schema import OnExcess
from ...config.schema.factors import Factor
from ...config.schema.rules import AnyRule
from ..messages import (
    By,
    Given,
    KeyChange,
    LimitChange,
    Limits,
    LimitsLoosened,
    LimitsTightened,
    Recorded,
    RuleRearmed,
    Setting,
)
from ..messages.limits import CHANGES_TOLD_MAX, Value
from . import excess, factors
from .book.numbers import fault
from .books import Books
from .gate.factor import Meter
from .gate.looking import Looking, look, look_around
from .gate.memory import Memory
from .gate.rule import Judge
from .gate.ruleset import Ruleset
from .gate.seen import seen
from .gate.told import rise, told
from .gate.watched import Watched
from .kill_switch import NotAllowed
from .tightness import UNSETTABLE, direction

SETTINGS_BYTES_MAX = 150_000
"""What persons have set, as JSON. It has to fit into a fact beside all rules."""
TEXT_MAX = 200
"""Characters of a value, where people read it."""
NOTHING = Limits(on_excess="block", rules=(), settings=())
"""Before the first fact."""

_encode = msgspec.json.Encoder().encode


# --- what is wanted -------------------------------------------------------------------------------


class Configured(NamedTuple):
    """What the configuration says: of orders that ask for too much, in all accounts and in those
    that have their own word, and each rule with its source."""

    on_excess: OnExcess
    rules: Iterable[tuple[AnyRule, str]]
    on_excess_of: Mapping[str, OnExcess] = {}
    factors: Mapping[str, Factor] = {}


def adopt(old: Limits, said: Configured) -> Limits:
    """The limits once the configuration says this. What persons have set stays, where the
    configuration says of it what it said before, and where it stood: a configuration that says the
    same changes nothing."""
    before = {given.rule.id: configured(given) for given in old.rules}
    of_rule: dict[str, list[Setting]] = {}
    for setting in old.settings:
        of_rule.setdefault(setting.rule, []).append(setting)
    found, kept = [], set[tuple[str, str]]()
    for rule, source in said.rules:
        settings = _still_set(before.get(rule.id), rule, of_rule.get(rule.id, []))
        now = _all_set(rule, settings)
        if now is None:
            now, settings = rule, []
        found.append(Given(rule=now, source=source, configured=rule if settings else None))
        kept.update((each.rule, each.key) for each in settings)
    return Limits(
        on_excess=said.on_excess,
        on_excess_of=dict(said.on_excess_of),
        factors=dict(said.factors),
        rules=tuple(found),
        settings=tuple(each for each in old.settings if (each.rule, each.key) in kept),
    )


def configured(given: Given) -> AnyRule:
    """A rule as the configuration has it."""
    return given.rule if given.configured is None else given.configured


def _still_set(before: AnyRule | None, rule: AnyRule, settings: Sequence[Setting]) -> list[Setting]:
    if type(before) is not type(rule):
        return []
    return [each for each in settings if getattr(before, each.key) == getattr(rule, each.key)]


def _all_set(rule: AnyRule, settings: Iterable[Setting]) -> AnyRule | None:
    """None: the file's new values and a person's do not agree."""
    try:
        for each in settings:
            rule = _with_key(rule, each.key, each.value)
    except NotAllowed:
        return None
    return None if _faults(rule) else rule


def put(
    limits: Limits,
    rule_id: str,
    key: str,
    value: Value,
    *,
    by: By,
    at: datetime,
    reason: str,
    approved_by: str | None = None,
) -> Limits:
    """The limits once a person has set a key. Raises NotAllowed."""
    given = _given(limits, rule_id)
    rule = _with_key(given.rule, key, value)
    if problems := _faults(rule):
        raise NotAllowed("invalid_value", f"{rule_id} can't be like this: {'; '.join(problems)}")
    file = configured(given)
    settings = [each for each in limits.settings if (each.rule, each.key) != (rule_id, key)]
    if getattr(rule, key) != getattr(file, key):
        settings.append(
            Setting(
                rule=rule_id,
                key=key,
                value=value,
                instead_of=text(getattr(file, key)),
                by=by,
                at=at,
                reason=reason,
                approved_by=approved_by,
            )
        )
    found = _replaced(limits, given, rule, settings)
    if _size(found) > SETTINGS_BYTES_MAX:
        raise NotAllowed(
            "too_many_settings",
            "more is set by hand than can be kept; write it into the configuration, or reset some",
        )
    return found


def take_back(limits: Limits, rule_id: str, key: str | None) -> Limits:
    """The limits once a person has reset a key, or all keys of a rule. Raises NotAllowed."""
    given = _given(limits, rule_id)
    if key is not None:
        _check_key(given.rule, key)
    settings = [
        each for each in limits.settings if each.rule != rule_id or key not in (None, each.key)
    ]
    own = [each for each in settings if each.rule == rule_id]
    rule = _all_set(configured(given), own)
    if rule is None:
        raise NotAllowed(
            "invalid_value",
            f"what is set of {rule_id} besides is nothing without {key}: reset the whole rule",
        )
    return _replaced(limits, given, rule, settings)


def _given(limits: Limits, rule_id: str) -> Given:
    for given in limits.rules:
        if given.rule.id == rule_id:
            return given
    names = ", ".join(given.rule.id for given in limits.rules)[:1_000]
    raise NotAllowed("unknown_rule", f"no rule is called {rule_id!r}; there are: {names or 'none'}")


def _replaced(limits: Limits, given: Given, rule: AnyRule, settings: Sequence[Setting]) -> Limits:
    is_set = any(each.rule == rule.id for each in settings)
    new = Given(rule=rule, source=given.source, configured=configured(given) if is_set else None)
    rules = tuple(new if each is given else each for each in limits.rules)
    return replace(limits, rules=rules, settings=tuple(settings))


def _size(limits: Limits) -> int:
    own = [each.configured for each in limits.rules if each.configured is not None]
    return len(_encode((limits.settings, own)))


# --- values ---------------------------------------------------------------------------------------


def _check_key(rule: AnyRule, key: str) -> None:
    keys = [name for name in rule.__struct_fields__ if name not in UNSETTABLE]
    if key not in keys:
        raise NotAllowed(
            "unknown_key", f"{rule.id} has no key {key!r} to be set; there are: {', '.join(keys)}"
        )


def _with_key(rule: AnyRule, key: str, value: Value) -> AnyRule:
    """Raises NotAllowed. What the keys mean together is not looked at."""
    _check_key(rule, key)
    (field,) = [each for each in msgspec.structs.fields(rule) if each.name == key]
    try:
        found = msgspec.convert(value, field.type, strict=False)
    except msgspec.ValidationError as error:
        raise NotAllowed("invalid_value", f"{key} of {rule.id}: {error}") from None
    return msgspec.structs.replace(rule, **{key: found})


def _faults(rule: AnyRule) -> list[str]:
    """What is wrong with a rule whose keys are each of their kind."""
    found = []
    for key in rule.__struct_fields__:
        value = getattr(rule, key)
        if isinstance(value, Mapping):
            value = tuple(value.values())
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, Decimal) and (problem := fault(number)):
                found.append(f"{key} {problem}")
            elif isinstance(number, float) and not isfinite(number):
                found.append(f"{key} is no finite number")
    return found or [f"{each.key} {each.message}" for each in rule.disagreements()]


def text(value: object) -> str:
    """A value as people read it."""
    if value is None:
        return "unset"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return format(value, "f")[:TEXT_MAX]
    if isinstance(value, tuple | list):
        return ", ".join(map(text, value))[:TEXT_MAX]
    return str(msgspec.to_builtins(value))[:TEXT_MAX]


# --- the way there --------------------------------------------------------------------------------


def next_fact(
    old: Limits,
    new: Limits,
    *,
    by: By,
    reason: str,
    approved_by: str | None = None,
    overrules: bool = False,
) -> LimitsTightened | LimitsLoosened | None:
    """What has to become a fact next, on the way from one to the other. None: it is so. What
    tightens comes first. `overrules`: what is not set any more is not because the file says
    otherwise."""
    if old == new:
        return None
    nearer = tightened(old, new)
    if nearer != old:
        told = changes(old, nearer, overrules=overrules)
        return LimitsTightened(limits=nearer, changes=told, by=by, reason=reason)
    told = changes(old, new, overrules=overrules)
    return LimitsLoosened(limits=new, changes=told, by=by, reason=reason, approved_by=approved_by)


def tightened(old: Limits, new: Limits) -> Limits:
    """As near to the new ones as one can come without permitting anything that the old ones don't.
    THE SAME AS THE OLD ONES only if there is nothing left but what loosens. The order of rules is
    that of the new ones only once they are all there: it permits nothing by itself."""
    wanted = {given.rule.id: given for given in new.rules}
    rules, held = [], set()
    for was in old.rules:
        given = wanted.pop(was.rule.id, None)
        if given is None or direction(was.rule, given.rule) in ("loosened", "changed"):
            rules.append(was)
            held.add(was.rule.id)
        else:
            rules.append(given)
    rules += wanted.values()
    settings = {(each.rule, each.key): each for each in new.settings if each.rule not in held}
    before = {(each.rule, each.key): each for each in old.settings}
    kept = [
        settings.pop(place, each)
        for place, each in before.items()
        if each.rule in held or place in settings
    ]
    on_excess, on_excess_of = excess.tightened(old, new)
    found = Limits(
        on_excess=on_excess,
        on_excess_of=on_excess_of,
        factors=factors.tightened(old.factors, new.factors),
        rules=tuple(rules),
        settings=(*kept, *settings.values()),
    )
    return new if _is_all_of(new, found) else found


def _is_all_of(new: Limits, found: Limits) -> bool:
    """Are they the same but for the order?"""
    return (
        (found.on_excess, found.on_excess_of) == (new.on_excess, new.on_excess_of)
        and found.factors == new.factors
        and {each.rule.id: each for each in found.rules}
        == {each.rule.id: each for each in new.rules}
        and {(each.rule, each.key): each for each in found.settings}
        == {(each.rule, each.key): each for each in new.settings}
    )


def changes(old: Limits, new: Limits, *, overrules: bool = False) -> tuple[LimitChange, ...]:
    """Rule by rule, and no more than can be told."""
    found = _changes(old, new, overrules=overrules)
    return tuple(change for change, _ in zip(found, range(CHANGES_TOLD_MAX), strict=False))


def _changes(old: Limits, new: Limits, *, overrules: bool) -> Iterator[LimitChange]:
    yield from excess.changes(old, new)
    yield from factors.changes(old.factors, new.factors)
    before = {given.rule.id: given.rule for given in old.rules}
    for given in new.rules:
        was = before.pop(given.rule.id, None)
        if was is None:
            yield LimitChange(rule=given.rule.id, how="added", keys=())
        elif was != given.rule:
            yield _change(was, given.rule)
    for rule_id in before:
        yield LimitChange(rule=rule_id, how="removed", keys=())
    if overrules:
        yield from _overruled(old, new)


def _change(old: AnyRule, new: AnyRule) -> LimitChange:
    how = direction(old, new)
    keys: tuple[KeyChange, ...] = ()
    if type(old) is type(new):
        keys = tuple(
            KeyChange(key=key, old=text(getattr(old, key)), new=text(getattr(new, key)))
            for key in old.__struct_fields__
            if getattr(old, key) != getattr(new, key)
        )
    return LimitChange(rule=new.id, how="changed" if how == "same" else how, keys=keys)


def _overruled(old: Limits, new: Limits) -> Iterator[LimitChange]:
    """Keys that are not what a person has set any more."""
    left = {(each.rule, each.key) for each in new.settings}
    rules = {given.rule.id: given.rule for given in new.rules}
    for each in old.settings:
        if (each.rule, each.key) not in left:
            now = getattr(rules.get(each.rule), each.key, None)
            key = KeyChange(key=each.key, old=text(each.value), new=text(now))
            yield LimitChange(rule=each.rule, how="overruled", keys=(key,))


# --- the projection -------------------------------------------------------------------------------


def rearm(
    in_force: "LimitsInForce", rule_id: str, *, by: By, reason: str, approved_by: str | None
) -> RuleRearmed:
    """A rule begins anew. Raises NotAllowed."""
    rule = _given(in_force.now, rule_id).rule
    if rule_id not in in_force.memories:
        said = f"{rule_id} remembers nothing that it could forget"
        raise NotAllowed("nothing_to_rearm", said)
    return RuleRearmed(
        rule=rule_id, scope=rule.scope, by=by, approved_by=approved_by, reason=reason
    )


class _State(msgspec.Struct):
    """What `dump` writes."""

    limits: Limits
    watched: msgspec.Raw
    memories: dict[str, msgspec.Raw]


class LimitsInForce:
    """The rules, ready to be asked, and what they remember."""

    name = "limits"
    version = 2

    looks_at = ("book",)

    def __init__(self, books: Books) -> None:
        """The books take each fact in first."""
        self._books = books
        self.load(None)

    def apply(self, recorded: Recorded) -> None:
        fact = recorded.fact
        if isinstance(fact, LimitsTightened | LimitsLoosened):
            self._follow(fact.limits, {})
            look_around(recorded.at, self._books, self._looking)
            return
        self.watched.apply(recorded)
        if self._listeners:
            found = seen(recorded, self._books) or told(recorded, self._books)
            if found is not None:
                for scope, memory in self._listeners:
                    if scope in found.scopes:
                        memory.saw(found)
            rise(recorded, self._books, self.memories)
            if self._looking:
                look(recorded, self._books, self._looking)

    @property
    def rules(self) -> Ruleset:
        """Another object whenever anything of the limits has changed."""
        return self._ruleset

    @property
    def judges(self) -> tuple[Judge[Any], ...]:
        """Those of the rules in force."""
        return self._ruleset.judges

    @property
    def on_excess(self) -> OnExcess:
        return self.now.on_excess

    @property
    def on_excess_of(self) -> Mapping[str, OnExcess]:
        return self.now.on_excess_of

    def load(self, state: bytes | None) -> None:
        """Go back to a dump, or to before the first fact."""
        self.now = NOTHING
        self._ruleset = Ruleset(())
        self.memories: dict[str, Memory] = {}
        self.watched = Watched()
        """What was told of the rules that are broken or near it."""
        self._listeners: list[tuple[str, Memory]] = []
        """The same, each with its scope."""
        self._looking: list[Looking] = []
        """Those of them that look at how things stand."""
        if state is not None:
            found = _decode(state)
            self.watched.load(msgspec.json.decode(found.watched))
            self._follow(found.limits, found.memories)

    def dump(self) -> Iterable[bytes]:
        dumped = [(rule, memory.dump()) for rule, memory in self.memories.items()]
        return _pieces(_encode(self.now), _encode(self.watched.dump()), dumped)

    def _follow(self, limits: Limits, dumped: Mapping[str, msgspec.Raw]) -> None:
        """A rule that is in force still goes on remembering; one that is not is forgotten."""
        before = {judge.id: judge.config for judge in self._ruleset.judges}
        meters = {name: Meter(factor, self._books) for name, factor in limits.factors.items()}
        rules = Ruleset((given.rule for given in limits.rules), meters)
        memories: dict[str, Memory] = {}
        for judge in rules.judges:
            memory = judge.memory()
            if memory is None:
                continue
            known = self.memories.get(judge.id)
            if judge.id in dumped:
                memory.load(msgspec.json.decode(dumped[judge.id]))
            elif known is not None and before[judge.id] == judge.config:
                memory = known
            elif known is not None and type(before[judge.id]) is type(judge.config):
                memory.load(_as_dumped(known))
            memories[judge.id] = memory
        self.now, self._ruleset, self.memories = limits, rules, memories
        self.watched.keep({judge.id for judge in rules.judges})
        scopes = {judge.id: judge.scope for judge in rules.judges}
        self._listeners = [(scopes[one], memory) for one, memory in memories.items()]
        self._looking = [one for one in memories.values() if isinstance(one, Looking)]


def _as_dumped(memory: Memory) -> Any:
    """As a restart would have it."""
    return msgspec.json.decode(_encode(memory.dump()))


def _pieces(
    limits: bytes, watched: bytes, memories: Sequence[tuple[str, object]]
) -> Iterator[bytes]:
    yield b'{"limits":' + limits + b',"watched":' + watched + b',"memories":{'
    comma = b""
    for rule, dumped in memories:
        yield comma + _encode(rule) + b":" + _encode(dumped)
        comma = b","
    yield b"}}"


_decode = msgspec.json.Decoder(_State).decode
