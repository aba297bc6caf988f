"""What a subscriber is told: the chosen facts as they are stored, and how far that is."""

import itertools
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core import subscription as module
from riskd.actors.core.selection import FACT_TAGS, Selection, matches
from riskd.actors.core.subscription import Subscription, unknown_fact
from riskd.actors.messages import (
    ActorSilent,
    AnyPush,
    ChildHeld,
    DaemonStopped,
    Fact,
    Position,
    Subscribe,
    Told,
)

GATE = ActorSilent(actor="gate", deadline_s=2.0)
CLOCK = ActorSilent(actor="clock", deadline_s=2.0)
STOPPED = DaemonStopped(reason="SIGTERM")
HELD = ChildHeld(supervisor="riskd", child="gate")
facts = st.lists(st.sampled_from([GATE, CLOCK, STOPPED, HELD]), max_size=40)
choices = st.builds(
    Subscribe,
    id=st.integers(min_value=0, max_value=2**63 - 1) | st.text(min_size=1, max_size=64),
    facts=st.lists(st.sampled_from(FACT_TAGS), max_size=3).map(tuple),
    actor=st.sampled_from([None, "gate", "clock"]),
    account=st.sampled_from([None, "main"]),
)


def stored(lsn: int, fact: Fact) -> bytes:
    at = "2026-01-02T03:04:05Z"
    return msgspec.json.encode({"lsn": lsn, "at": at, "monotonic_s": 1.5, "fact": fact})


def pushes(sent: bytes) -> list[Any]:
    return [msgspec.json.decode(line, type=AnyPush) for line in sent.splitlines()]


@given(subscribe=choices, history=facts, after=st.integers(min_value=0, max_value=50))
def test_each_chosen_fact_is_told_once_in_order_and_as_it_is_stored(
    subscribe: Subscribe, history: list[Fact], after: int
) -> None:
    chosen = Selection(facts=subscribe.facts, actor=subscribe.actor, account=subscribe.account)
    subscription = Subscription(subscribe, after)
    lines = [stored(lsn, fact) for lsn, fact in enumerate(history, start=after + 1)]
    sent = b"".join(subscription.tell(lsn, line) for lsn, line in enumerate(lines, after + 1))
    wanted = [line for line in lines if matches(chosen, json.loads(line))]
    head = b'{"type":"recorded","id":' + msgspec.json.encode(subscribe.id) + b","
    assert sent == b"".join(head + line[1:] + b"\n" for line in wanted)
    assert b"".join(msgspec.json.encode(push) + b"\n" for push in pushes(sent)) == sent
    assert {push.id for push in pushes(sent)} <= {subscribe.id}


def test_without_a_choice_nothing_is_decoded() -> None:
    sent = Subscription(Subscribe(id=1), 0).tell(1, b"{no JSON}")
    assert sent == b'{"type":"recorded","id":1,no JSON}\n'


@given(history=facts, every=st.integers(min_value=1, max_value=5))
def test_a_position_comes_after_each_run_of_facts_that_were_not_chosen(
    history: list[Fact], every: int
) -> None:
    subscription = Subscription(Subscribe(id=7, facts=("actor_silent",)), 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "POSITION_EVERY", every)
        told = [
            push
            for lsn, fact in enumerate(history, start=1)
            for push in pushes(subscription.tell(lsn, stored(lsn, fact)))
        ]
    wanted: list[tuple[type, int]] = []
    numbered = enumerate(history, start=1)
    for is_chosen, run in itertools.groupby(
        numbered, lambda each: isinstance(each[1], ActorSilent)
    ):
        numbers = [lsn for lsn, _ in run]
        if is_chosen:
            wanted += [(Told, lsn) for lsn in numbers]
        else:
            wanted += [(Position, lsn) for lsn in numbers[every - 1 :: every]]
    assert [(type(push), push.lsn) for push in told] == wanted


def test_the_first_time_that_the_newest_is_reached_a_position_says_so() -> None:
    subscription = Subscription(Subscribe(id=7, facts=("daemon_stopped",)), 4)
    assert subscription.reach(6) == b""
    assert subscription.tell(5, stored(5, GATE)) == b""
    assert subscription.reach(6) == b""
    assert subscription.tell(6, stored(6, GATE)) == b""
    assert pushes(subscription.reach(6)) == [Position(id=7, lsn=6)]
    assert subscription.reach(6) == b""
    assert subscription.tell(7, stored(7, GATE)) == b""
    assert subscription.reach(7) == b""


@pytest.mark.parametrize("lsn", [4, 6])
def test_a_fact_that_repeats_or_skips_one_is_a_bug_and_is_not_told(lsn: int) -> None:
    subscription = Subscription(Subscribe(id=7), 4)
    with pytest.raises(AssertionError, match=f"fact {lsn} came after 4"):
        subscription.tell(lsn, stored(lsn, GATE))
    assert subscription.lsn == 4


def test_an_unknown_fact_is_named_with_those_that_are_known() -> None:
    said = unknown_fact(Subscribe(facts=("actor_silent", "actor_sillent")))
    assert said == f"no fact is called 'actor_sillent'; there are: {', '.join(FACT_TAGS)}"
    assert unknown_fact(Subscribe(facts=FACT_TAGS)) is None
