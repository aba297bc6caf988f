"""The limits in force: what tightens comes first, and what is in force is what the facts say."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from riskd.actors.core import limits as core
from riskd.actors.core.books import Books
from riskd.actors.core.gate.factor import Meter
from riskd.actors.core.gate.rule import Judge
from riskd.actors.core.gate.rules import size
from riskd.actors.core.kill_switch import NotAllowed
from riskd.actors.core.limits import NOTHING, LimitsInForce
from riskd.actors.core.tightness import direction
from riskd.actors.messages import (
    By,
    Fact,
    Given,
    KeyChange,
    LimitChange,
    Limits,
    LimitsLoosened,
    LimitsTightened,
    Recorded,
)
from riskd.config.schema.factors import Factor
from riskd.config.schema.rules import AnyRule, DailyLoss, MaxOrderQty, MaxPosition

BOB = By(via="socket", user_id=1000, user="bob", process_id=4711)
NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)
POSITION = "max_position@all"


def position(qty: int | str, **more: Any) -> MaxPosition:
    return MaxPosition(max_qty=Decimal(qty), **more)


def order(qty: int | str) -> MaxOrderQty:
    return MaxOrderQty(max_qty=Decimal(qty), scope="account:main")


def limits(*rules: AnyRule, on_excess: Any = "block", **of: Any) -> Limits:
    """`of`: what accounts have of their own."""
    given = tuple(Given(rule=rule, source="config") for rule in rules)
    return Limits(on_excess=on_excess, on_excess_of=of, rules=given, settings=())


def read(old: Limits, *rules: AnyRule, on_excess: Any = "block") -> Limits:
    """The configuration says this now."""
    return core.adopt(old, core.Configured(on_excess, [(rule, "config") for rule in rules]))


def put(old: Limits, rule: str, key: str, value: Any) -> Limits:
    return core.put(old, rule, key, value, by=BOB, at=NOON, reason="news")


def way(old: Limits, new: Limits, **more: Any) -> list[LimitsTightened | LimitsLoosened]:
    """All facts on the way."""
    found = []
    while (fact := core.next_fact(old, new, by=BOB, reason="news", **more)) is not None:
        found.append(fact)
        old = fact.limits
        assert len(found) < 3, "the way is short"
    assert old == new
    return found


def in_force(now: Limits) -> dict[str, AnyRule]:
    return {given.rule.id: given.rule for given in now.rules}


def permits_more(old: Limits, new: Limits) -> bool:
    """By another reckoning than the one under test: rule by rule."""
    before, after = in_force(old), in_force(new)
    return (
        (old.on_excess, new.on_excess) == ("block", "scale_down")
        or not set(before) <= set(after)
        or any(direction(was, after[one]) in ("loosened", "changed") for one, was in before.items())
    )


# --- the way from one to the other ----------------------------------------------------------------


def test_a_rule_that_is_new_and_one_that_is_lower_are_in_force_before_anything_loosens() -> None:
    old = limits(position(2), order(5), on_excess="scale_down")
    new = limits(position(3), order(4), DailyLoss(max_loss=Decimal(1)))
    first, second = way(old, new)
    assert isinstance(first, LimitsTightened)
    assert in_force(first.limits)[POSITION] == position(2)
    assert in_force(first.limits)["max_order_qty@account:main"] == order(4)
    assert "daily_loss@all" in in_force(first.limits)
    assert first.limits.on_excess == "block"
    assert isinstance(second, LimitsLoosened)
    assert second.limits == new


def test_a_rule_that_is_put_before_others_loosens_nothing() -> None:
    (only,) = way(
        limits(position(2), order(5)), limits(order(5), DailyLoss(max_loss=Decimal(1)), position(1))
    )
    assert isinstance(only, LimitsTightened)
    (moved,) = way(limits(position(2), order(5)), limits(order(5), position(2)))
    assert isinstance(moved, LimitsTightened)
    assert moved.changes == ()


def test_a_rule_of_which_one_key_tightens_and_another_loosens_waits_as_a_whole() -> None:
    old = limits(position(2, max_notional=Decimal(10)))
    (only,) = way(old, limits(position(1, max_notional=Decimal(11))))
    assert isinstance(only, LimitsLoosened)
    assert [each.how for each in only.changes] == ["changed"]


def test_a_rule_that_is_taken_away_is_in_force_until_the_disk_has_it() -> None:
    (only,) = way(limits(position(2), order(5)), limits(order(5)))
    assert isinstance(only, LimitsLoosened)
    assert only.changes == (LimitChange(rule=POSITION, how="removed", keys=()),)


WORDS = st.sampled_from(["block", "scale_down"])
OWN = st.dictionaries(st.sampled_from(["main", "other"]), WORDS)


@given(WORDS, OWN, WORDS, OWN)
def test_no_account_cuts_down_before_the_disk_has_it(
    before: str, was: dict[str, str], after: str, now: dict[str, str]
) -> None:
    """An account's own word goes before that of the gate, wherever it is said."""

    def blocks(each: Limits, account: str) -> bool:
        return each.on_excess_of.get(account, each.on_excess) == "block"

    old, new = limits(on_excess=before, **was), limits(on_excess=after, **now)
    for fact in way(old, new):
        for account in ("main", "other", "third"):
            if isinstance(fact, LimitsTightened) and blocks(old, account):
                assert blocks(fact.limits, account)
            if blocks(new, account):
                assert blocks(fact.limits, account), "what tightens does not wait"


PARTS = st.sampled_from(["0.2", "0.5", "1"]).map(Decimal)
FACTORS = st.dictionaries(
    st.sampled_from(["night", "wild"]),
    st.builds(
        Factor,
        hours=st.dictionaries(st.sampled_from(["22:00-06:00", "00:00-12:00"]), PARTS),
        symbols=st.dictionaries(st.sampled_from(["X", "Y"]), PARTS),
        calm_pct=st.none() | st.sampled_from([Decimal(2), Decimal(3)]),
        floor=PARTS,
        zone=st.sampled_from(["UTC", "Asia/Tokyo"]),
    ),
)


def factored(factors: dict[str, Factor], name: str | None) -> Limits:
    rule = position(2, factor=name if name in factors else None)
    return msgspec.structs.replace(limits(rule), factors=factors)


@given(FACTORS, FACTORS, st.sampled_from([None, "night", "wild"]),
       st.sampled_from([None, "night", "wild"]))  # fmt: skip
def test_no_limit_grows_by_its_factor_before_the_disk_has_it(
    before: dict[str, Factor], after: dict[str, Factor], was: str | None, now: str | None
) -> None:
    """At noon and at midnight, for what moves much and for what moves little."""
    books = Books(ZoneInfo)

    def part(each: Limits, at: datetime, symbol: str) -> Decimal:
        name = in_force(each)[POSITION].factor
        return Decimal(1) if name is None else Meter(each.factors[name], books).now(at, symbol)

    old, new = factored(before, was), factored(after, now)
    for fact in way(old, new):
        if isinstance(fact, LimitsTightened):
            for at in (NOON, NOON.replace(hour=1), NOON.replace(hour=23)):
                for symbol in ("X", "Y", "Z"):
                    assert part(fact.limits, at, symbol) <= part(old, at, symbol)


def test_what_becomes_of_a_factor_is_told() -> None:
    night = Factor(hours={"22:00-06:00": Decimal("0.5")})
    darker = msgspec.structs.replace(night, hours={"22:00-06:00": Decimal("0.4")})
    (fact,) = way(factored({"night": night}, "night"), factored({"night": darker}, "night"))
    assert isinstance(fact, LimitsTightened)
    key = KeyChange(key="hours", old="22:00-06:00: 0.5", new="22:00-06:00: 0.4")
    assert fact.changes == (LimitChange(rule="factors.night", how="tightened", keys=(key,)),)
    (fact,) = way(factored({"night": darker}, "night"), factored({"night": night}, "night"))
    assert isinstance(fact, LimitsLoosened)
    (fact,) = way(factored({"night": night}, "night"), factored({}, None))
    assert isinstance(fact, LimitsLoosened)
    assert [each.how for each in fact.changes] == ["removed", "loosened"]


def test_a_factor_is_the_files_and_nobody_sets_it() -> None:
    with pytest.raises(NotAllowed, match="no key 'factor'"):
        put(limits(position(2)), POSITION, "factor", "night")


def test_what_an_account_has_of_its_own_is_told() -> None:
    (fact,) = way(limits(on_excess="scale_down"), limits(on_excess="scale_down", main="block"))
    assert isinstance(fact, LimitsTightened)
    key = KeyChange(key="on_excess", old="unset", new="block")
    assert fact.changes == (LimitChange(rule="accounts.main", how="tightened", keys=(key,)),)
    (fact,) = way(limits(main="block"), limits(main="scale_down"))
    assert isinstance(fact, LimitsLoosened)
    assert [(each.rule, each.how) for each in fact.changes] == [("accounts.main", "loosened")]


def test_nothing_is_to_be_done_where_nothing_changes() -> None:
    assert way(limits(position(2)), limits(position(2))) == []


def test_what_changes_is_told_key_by_key() -> None:
    (fact,) = way(limits(position(2)), limits(position("1.5", max_notional=Decimal("1E+3"))))
    (change,) = fact.changes
    assert (change.rule, change.how) == (POSITION, "tightened")
    assert [(key.key, key.old, key.new) for key in change.keys] == [
        ("max_qty", "2", "1.5"),
        ("max_notional", "unset", "1000"),
    ]


def test_the_gates_own_key_is_told_like_a_rules() -> None:
    (fact,) = way(limits(on_excess="block"), limits(on_excess="scale_down"))
    assert isinstance(fact, LimitsLoosened)
    assert [(each.rule, each.how) for each in fact.changes] == [("gate", "loosened")]


def test_no_more_is_told_than_there_is_room_for() -> None:
    many = [MaxOrderQty(name=f"r{n}", max_qty=Decimal(1)) for n in range(300)]
    (fact,) = way(NOTHING, limits(*many))
    assert len(fact.changes) == 200
    assert len(fact.limits.rules) == 300


# --- what a person sets ---------------------------------------------------------------------------


def test_what_a_person_lowers_tightens_and_what_he_raises_loosens() -> None:
    old = limits(position(2))
    (lower,) = way(old, put(old, POSITION, "max_qty", "1.5"))
    assert isinstance(lower, LimitsTightened)
    (higher,) = way(old, put(old, POSITION, "max_qty", "2.5"))
    assert isinstance(higher, LimitsLoosened)
    assert in_force(higher.limits)[POSITION] == position("2.5")


def test_what_loosens_one_rule_says_nothing_of_what_is_set_of_others() -> None:
    old = limits(position(2), order(5))
    both = put(put(old, POSITION, "max_qty", "1"), "max_order_qty@account:main", "max_qty", "4")
    (only,) = way(both, core.take_back(both, "max_order_qty@account:main", None))
    assert isinstance(only, LimitsLoosened)
    (only,) = way(both, put(both, "max_order_qty@account:main", "max_qty", "5.5"))
    assert isinstance(only, LimitsLoosened)


def test_what_is_set_is_kept_with_who_and_why_and_what_the_file_says() -> None:
    new = put(limits(position(2)), POSITION, "max_qty", "1.5")
    (setting,) = new.settings
    assert (setting.by, setting.at, setting.reason) == (BOB, NOON, "news")
    assert (setting.value, setting.instead_of) == ("1.5", "2")
    assert new.rules[0].configured == position(2)


def test_to_set_what_the_file_says_is_to_reset() -> None:
    old = limits(position(2))
    assert put(put(old, POSITION, "max_qty", "1.5"), POSITION, "max_qty", "2") == old


def test_a_reset_brings_back_what_the_file_says() -> None:
    old = limits(position(2))
    once = put(put(old, POSITION, "max_qty", "1"), POSITION, "action", "warn")
    assert in_force(core.take_back(once, POSITION, "action"))[POSITION] == position(1)
    assert core.take_back(once, POSITION, None) == old
    assert core.take_back(old, POSITION, None) == old


@pytest.mark.parametrize(
    ("rule", "key", "value", "code"),
    [
        ("max_position@al", "max_qty", "1", "unknown_rule"),
        (POSITION, "max_qt", "1", "unknown_key"),
        (POSITION, "scope", "all", "unknown_key"),
        (POSITION, "name", "x", "unknown_key"),
        (POSITION, "max_qty", "much", "invalid_value"),
        (POSITION, "max_qty", "NaN", "invalid_value"),
        (POSITION, "max_qty", "Infinity", "invalid_value"),
        (POSITION, "max_qty", "1e999", "invalid_value"),
        (POSITION, "max_qty", None, "invalid_value"),  # none of its keys would be left
        (POSITION, "action", "halt", "invalid_value"),
        (POSITION, "warn_pct", ["80", "x"], "invalid_value"),
    ],
)
def test_what_can_not_be_is_refused_with_its_code(
    rule: str, key: str, value: Any, code: str
) -> None:
    with pytest.raises(NotAllowed) as refused:
        put(limits(position(2)), rule, key, value)
    assert refused.value.code == code


def test_a_key_can_be_unset_and_a_list_be_set() -> None:
    old = limits(position(2, max_notional=Decimal(5)))
    assert in_force(put(old, POSITION, "max_notional", None))[POSITION] == position(2)
    new = in_force(put(old, POSITION, "warn_pct", ["50"]))[POSITION]
    assert getattr(new, "warn_pct", None) == (Decimal(50),)


def test_a_reset_of_one_key_that_another_needs_is_refused() -> None:
    old = limits(position(2))
    both = put(put(old, POSITION, "max_notional", "5"), POSITION, "max_qty", None)
    with pytest.raises(NotAllowed, match="reset the whole rule"):
        core.take_back(both, POSITION, "max_notional")


def test_no_more_can_be_set_than_a_fact_can_hold() -> None:
    now = limits(*[MaxOrderQty(name=f"r{n}", max_qty=Decimal(1)) for n in range(1_000)])

    def all_of_them(now: Limits) -> Limits:
        for n in range(1_000):
            now = core.put(now, f"r{n}", "max_qty", "2", by=BOB, at=NOON, reason="x" * 512)
        return now

    with pytest.raises(NotAllowed) as refused:
        all_of_them(now)
    assert refused.value.code == "too_many_settings"


# --- the file is read again -----------------------------------------------------------------------


def test_what_a_person_has_set_stays_when_the_file_says_what_it_said() -> None:
    now = put(limits(position(2), order(5)), POSITION, "max_qty", "1")
    again = read(now, position(2, max_notional=Decimal(9)), order(4))
    assert in_force(again)[POSITION] == position(1, max_notional=Decimal(9))
    assert again.settings == now.settings


def test_a_file_that_says_what_it_said_changes_nothing_in_whatever_order_things_were_set() -> None:
    """Or a reload would make every ticket stale, and say that something was tightened."""
    rules = (position(2), order(5))
    for first, second in ((POSITION, rules[1].id), (rules[1].id, POSITION)):
        old = put(put(limits(*rules), first, "max_qty", "1"), second, "max_qty", "1")
        assert [each.rule for each in old.settings] == [first, second]
        assert read(old, *rules) == old
        assert way(old, read(old, *rules)) == []


@pytest.mark.parametrize("said", [position(3), position(1), position("1.5")])
def test_the_file_wins_where_it_says_something_else_of_the_key_and_that_is_told(
    said: MaxPosition,
) -> None:
    now = put(limits(position(2)), POSITION, "max_qty", "1")
    again = read(now, said)
    assert in_force(again)[POSITION] == said
    assert again.settings == ()
    facts = way(now, again, overrules=True)
    told = [each for fact in facts for each in fact.changes if each.how == "overruled"]
    assert [(each.rule, each.keys[0].key) for each in told] == [(POSITION, "max_qty")]


def test_what_was_set_of_a_rule_that_is_gone_is_gone_and_that_is_told() -> None:
    now = put(limits(position(2)), POSITION, "max_qty", "1")
    (fact,) = way(now, read(now), overrules=True)
    assert [each.how for each in fact.changes] == ["removed", "overruled"]


def test_what_a_person_has_set_gives_way_where_the_file_does_not_agree_with_it() -> None:
    old = limits(position(2, max_notional=Decimal(5)))
    now = put(old, POSITION, "max_qty", None)
    again = read(now, position(2))
    assert again == limits(position(2))


# --- the projection -------------------------------------------------------------------------------


def recorded(lsn: int, fact: Fact) -> Recorded:
    return Recorded(lsn=lsn, at=NOON, monotonic_s=0.0, fact=fact)  # type: ignore[arg-type]  # every Fact is of AnyFact


def folded(facts: list[Fact]) -> LimitsInForce:
    found = LimitsInForce(Books(ZoneInfo))
    for lsn, fact in enumerate(facts, 1):
        found.apply(recorded(lsn, fact))
    return found


def reloaded(projection: LimitsInForce) -> LimitsInForce:
    found = LimitsInForce(Books(ZoneInfo))
    found.load(b"".join(projection.dump()))
    return found


def test_the_rules_in_force_are_those_of_the_newest_fact() -> None:
    facts: list[Fact] = [*way(NOTHING, limits(position(2))), *way(limits(position(2)), limits())]
    found = folded(facts[:1])
    assert [judge.id for judge in found.rules.judges if judge.id == POSITION] == [POSITION]
    found = folded(facts)
    assert POSITION not in [judge.id for judge in found.rules.judges]


class Counts:
    """Remembers how often it was told."""

    def __init__(self) -> None:
        self.times = 0

    def saw(self, _seen: object) -> None:
        self.times += 1

    def dump(self) -> object:
        return {"times": self.times}

    def load(self, state: Any) -> None:
        self.times = state["times"]


@pytest.fixture
def remembering(monkeypatch: pytest.MonkeyPatch) -> None:
    def memory(_: Judge[Any]) -> Counts:
        return Counts()

    monkeypatch.setattr(size.MaxOrderQty, "memory", memory)


def times(projection: LimitsInForce) -> dict[str, int]:
    return {rule: getattr(memory, "times", -1) for rule, memory in projection.memories.items()}


@pytest.mark.usefixtures("remembering")
def test_a_rule_goes_on_remembering_as_long_as_it_is_in_force() -> None:
    one, other = MaxOrderQty(max_qty=Decimal(1)), order(5)
    found = folded([*way(NOTHING, limits(one, other, position(2)))])
    for memory in found.memories.values():
        memory.saw(None)  # type: ignore[arg-type]  # it only counts
    for again in (found, reloaded(found)):
        changed = limits(order(4), one)
        for fact in way(again.now, changed):
            again.apply(recorded(9, fact))
        assert times(again) == {one.id: 1, other.id: 1}
        for fact in way(again.now, limits(one)):
            again.apply(recorded(10, fact))
        for fact in way(again.now, limits(one, other)):
            again.apply(recorded(11, fact))
        assert times(again) == {one.id: 1, other.id: 0}


RULES = st.lists(
    st.one_of(
        st.builds(
            position,
            st.integers(1, 4),
            max_long=st.none() | st.integers(1, 4).map(Decimal),
            action=st.sampled_from(["warn", "block"]),
        ),
        st.builds(order, st.integers(1, 4)),
        st.builds(DailyLoss, max_loss=st.integers(1, 3).map(Decimal)),
    ),
    unique_by=lambda rule: rule.id,
    max_size=3,
)
SETS = st.tuples(
    st.sampled_from([POSITION, "max_order_qty@account:main", "daily_loss@all"]),
    st.sampled_from(["max_qty", "max_long", "action", "max_loss"]),
    st.sampled_from(["1", "2", "3", "4", "warn", "block", None]),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), SETS),
        st.tuples(st.just("reset"), SETS),
        st.tuples(st.just("read"), st.tuples(RULES, st.sampled_from(["block", "scale_down"]))),
        st.tuples(st.just("restart"), st.none()),
        st.tuples(st.just("die"), st.none()),
    ),
    max_size=12,
)


class Model:
    """What should be in force, kept by hand: the file, and what persons have set."""

    def __init__(self) -> None:
        self.file: dict[str, dict[str, Any]] = {}
        self.by_hand: dict[tuple[str, str], Any] = {}

    def read(self, rules: list[AnyRule]) -> None:
        file = {rule.id: msgspec.to_builtins(rule) for rule in rules}
        self.by_hand = {
            (rule, key): value
            for (rule, key), value in self.by_hand.items()
            if rule in file and file[rule][key] == self.file[rule][key]
        }
        self.file = file

    def expected(self) -> dict[str, dict[str, Any]]:
        found = {rule: dict(table) for rule, table in self.file.items()}
        for (rule, key), value in self.by_hand.items():
            found[rule][key] = value
        return found


class Life:
    """Facts, and what they add up to."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.now = LimitsInForce(Books(ZoneInfo))

    def go(self, new: Limits, *, overrules: bool = False, dies: bool = False) -> None:
        for fact in way(self.now.now, new, overrules=overrules):
            if isinstance(fact, LimitsTightened):
                assert not permits_more(self.now.now, fact.limits)
            elif dies:
                return
            self.facts.append(fact)
            self.now.apply(recorded(len(self.facts), fact))

    def does(self, make: Callable[[], Limits]) -> bool:
        try:
            self.go(make())
        except NotAllowed:
            return False
        return True


@given(STEPS)
@settings(max_examples=200)
def test_after_any_steps_what_is_in_force_is_the_fold_of_the_facts(
    steps: list[tuple[str, Any]],
) -> None:
    """And what a model says that is kept by hand. A fact that tightens never permits more."""
    life, model = Life(), Model()
    said: tuple[list[AnyRule], Any] = ([], "scale_down")
    for what, how in steps:
        if what == "set" and life.does(partial(put, life.now.now, *how)):
            rule, key, value = how
            model.by_hand[rule, key] = value
            if model.file[rule][key] == value:
                del model.by_hand[rule, key]
        elif what == "reset" and life.does(partial(core.take_back, life.now.now, *how[:2])):
            model.by_hand.pop(how[:2], None)
        elif what == "read":
            said = how
            model.read(how[0])
            life.go(read(life.now.now, *how[0], on_excess=how[1]), overrules=True)
        elif what == "restart":
            life.now = folded(life.facts)
        elif what == "die":
            # In the middle of taking a file without rules: the next start takes the one before.
            life.go(read(life.now.now), overrules=True, dies=True)
            life.now = folded(life.facts)
            life.go(read(life.now.now, *said[0], on_excess=said[1]), overrules=True)
        now = life.now.now
        assert {rule: msgspec.to_builtins(each) for rule, each in in_force(now).items()} == (
            model.expected()
        )
        assert {(each.rule, each.key) for each in now.settings} == set(model.by_hand)
        assert folded(life.facts).now == reloaded(life.now).now == now
