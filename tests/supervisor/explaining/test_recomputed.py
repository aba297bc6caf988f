"""Every decision can be made again from the facts before it, and comes out the same."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, get_args

import msgspec
import pytest
from riskd.actors.core.gate.asked import Identity
from riskd.actors.core.gate.decision import Knowledge, asked_of
from riskd.actors.core.gate.explained import explained, is_same, recompute
from riskd.actors.messages import OrderAsked, OrderDecided, Recorded
from riskd.config.schema.rules.kinds import RuleKind
from riskd.supervisor.known import Known

DECISIONS = 10_000
EXPLAINED_EVERY = 25

Day = Any  # its class lives in conftest.py


def folded(facts: list[bytes]) -> Iterator[tuple[int, OrderDecided, Knowledge]]:
    """Each decision, with what was known before it."""
    known, decode = Known(), msgspec.json.Decoder(Recorded).decode
    for stored in facts:
        recorded = decode(stored)
        if isinstance(recorded.fact, OrderDecided):
            yield recorded.lsn, recorded.fact, known.knowledge()
        for projection in known.projections():
            projection.apply(recorded)


@pytest.fixture(scope="module")
def day(day_of: Any) -> Day:
    """Lived by a riskd that was started again and again; below it is read from its first fact."""
    found = day_of(20261121)
    found.run(DECISIONS)
    return found


def test_ten_thousand_decisions_of_a_random_day_come_out_the_same_byte_for_byte(day: Day) -> None:
    codes, answers = Counter[str](), Counter[str]()
    for lsn, fact, known in folded(day.facts):
        again = recompute(fact, known)
        assert is_same(fact, again), f"{lsn}: {fact}\n{again.verdict}"
        codes[fact.verdict.code] += 1
        answers[fact.verdict.decision] += 1
        if not lsn % EXPLAINED_EVERY:
            expect_all_told(lsn, fact, known)
    assert sum(answers.values()) >= DECISIONS
    assert codes["overridden"] > 0
    assert codes["risk_signal_critical"] > 0
    assert min(answers["allow"], answers["scale_down"], len(codes)) > 30, (answers, codes)


def test_the_day_has_every_kind_of_rule(day: Day) -> None:
    """Or what one of them rests on could come from elsewhere than facts, and nobody would know."""
    rules = day.known.limits.rules
    assert {judge.kind for judge in rules.judges} == set(get_args(RuleKind))


def expect_all_told(lsn: int, fact: OrderDecided, known: Knowledge) -> None:
    """Asking every rule for its numbers changes no answer, and names the one that decided. Each
    that is asked says something."""
    found = explained(lsn, fact, known)
    view = recompute(fact, known).view
    asked = [] if view is None else [judge.id for judge in asked_of(view)]
    told = [row["rule"] for row in found["rules"]]
    assert [rule for rule in told if rule in asked] == asked
    rows, verdict = found["rules"], found["verdict"]
    assert found["is_equal"]
    assert found["differences"] == []
    assert found["recomputed"] == verdict
    # A `fresh_data` that only tells is there beside the one that always is, under its name.
    deciding = [row for row in rows if row["objects"] and row["rule"] == found["decided_by"]]
    if rows and verdict["decision"] != "allow":
        (row,) = deciding
        keys = ("code", "limit", "value", "headroom", "missing")
        assert {key: row[key] for key in keys} == {key: verdict[key] for key in keys}
        if verdict["decision"] == "block":
            objecting = [one for one in rows if one["objects"]]
            firm = [one for one in objecting if one["outcome"] != "cap"]
            assert row["rule"] == (firm or objecting)[0]["rule"]
    else:
        assert deciding == []
        assert not any(row["objects"] for row in rows)
    assert [row["stage"] for row in rows] == sorted(row["stage"] for row in rows)


def test_a_decision_that_was_changed_afterwards_does_not(day_of: Any) -> None:
    day = day_of(1)
    day.run(1)
    lsn, fact, known = next(folded(day.facts))
    verdict = msgspec.structs.replace(fact.verdict, headroom=Decimal("1.0"))
    other = msgspec.structs.replace(fact, verdict=verdict)
    assert is_same(fact, recompute(fact, known))
    assert not is_same(other, recompute(other, known))
    (difference,) = explained(lsn, other, known)["differences"]
    assert (difference["field"], difference["recorded"]) == ("headroom", "1.0")


def test_nor_does_one_that_was_answered_before(day_of: Any) -> None:
    """The same order, decided twice: the second is none that the gate could have written."""
    day = day_of(1)
    order = OrderAsked(client_order_id="n", account="main", symbol="BTC", side="buy", qty="0")
    day.check(order, Identity())
    last = msgspec.json.decode(day.facts[-1], type=Recorded)
    again = msgspec.structs.replace(last, lsn=last.lsn + 1)
    *_, (_, first, _), (_, second, known) = folded([*day.facts, msgspec.json.encode(again)])
    assert first == second
    found = recompute(second, known)
    assert found.verdict == first.verdict
    assert not is_same(second, found)
