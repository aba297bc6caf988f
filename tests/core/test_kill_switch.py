"""What the kill switch decides in each state, and which halts may be placed and lifted."""

from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from riskd.actors.core import kill_switch as subject
from riskd.actors.core.halts import (
    Halted,
    cooldown_left_s,
    passing,
)
from riskd.actors.core.kill_switch import (
    RECONCILED,
    TABLE,
    TRIGGERS_NOTED,
    Event,
    NotAllowed,
    Rules,
    after_crash,
    complete,
    holds,
    place,
    recover,
    trigger,
)
from riskd.actors.messages import (
    By,
    DaemonStopped,
    Halt,
    JournalRepaired,
    KillSwitchTriggered,
    RecoveryCompleted,
    RecoveryStarted,
    State,
    Until,
    UntilCondition,
    UntilOperator,
)

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
BOB = By(via="socket", user_id=1000, user="bob", process_id=4711)
CAROL = By(via="socket", user_id=1002, user="carol", process_id=4712)
RISKD = By(via="riskd")
SIGNAL = By(via="signal")
RULES = Rules(cooldown_s=300.0)
PAIR = Rules(
    cooldown_s=300.0,
    two_person=True,
    people={"bob": 1000, "1000": 1000, "alice": 1001, "1001": 1001},
)
OPERATOR = UntilOperator()


def halt(until: Until = OPERATOR, **other: Any) -> Halt:
    wanted: dict[str, Any] = {
        "scope": "account:main",
        "mode": "halt",
        "cause": "manual",
        "source": "operator",
        "reason": "news",
        "until": until,
    }
    return Halt(**(wanted | other))


def killed(history, **other):
    wanted = {"by": BOB, "cause": "manual", "source": "operator", "reason": "news"}
    return trigger(history.halted, **(wanted | other))


def recovered(history, *, by=BOB, approved_by="alice", rules=RULES):
    return recover(history.halted, by=by, approved_by=approved_by, rules=rules)


def completed(history, *, rules=RULES, unreconciled=()):
    return complete(history.halted, by=BOB, rules=rules, now=history.now, unreconciled=unreconciled)


def put(history, wanted, *, by=BOB):
    fact = place(history.halted, wanted, by=by, now=history.now)
    return history.make(fact)


def bring(history, state):
    """To a state in which everything may be tried: the cooldown is over."""
    if state != "ACTIVE":
        history.make(killed(history))
    if state == "RECOVERING":
        history.make(recovered(history))
        history.passes(300)


# --- the table ------------------------------------------------------------------------------------

WORDS = {
    "-> KILLED": "kill",
    "stays, one more cause": "note",
    "stays": "stay",
    "-> RECOVERING, if somebody approved": "recover",
    "refused: recover first": "refuse",
    "-> ACTIVE, if the cooldown is over and every account reconciled": "complete",
}
"""How the docstring's table says each move."""


def written() -> dict[str, dict[str, str]]:
    """The table in the docstring: a header, and rows of which some take several lines."""
    lines = (subject.__doc__ or "").splitlines()
    first = next(n for n, line in enumerate(lines) if "complete_recovery" in line)
    edges = [lines[first].index(event) for event in get_args(Event)]
    rows: dict[str, list[list[str]]] = {}
    for line in lines[first + 1 : lines.index("", first + 1)]:
        state = line[: edges[0]].strip()
        if state:
            cells = rows[state] = [[] for _ in edges]
        for cell, begin, end in zip(cells, edges, [*edges[1:], None], strict=True):
            cell.extend(line[begin:end].split())
    return {
        state: {
            event: WORDS[" ".join(cell)] for event, cell in zip(get_args(Event), cells, strict=True)
        }
        for state, cells in rows.items()
    }


def test_the_table_in_the_theory_is_the_table_that_decides() -> None:
    assert written() == TABLE


def test_the_table_has_no_empty_cell() -> None:
    assert set(TABLE) == set(get_args(State))
    assert all(set(row) == set(get_args(Event)) for row in TABLE.values())


MOVES = {
    "kill": (KillSwitchTriggered, "KILLED"),
    "note": (KillSwitchTriggered, "KILLED"),
    "recover": (RecoveryStarted, "RECOVERING"),
    "complete": (RecoveryCompleted, "ACTIVE"),
    "stay": (type(None), None),
    "refuse": (NotAllowed, None),
}


@pytest.mark.parametrize(
    ("state", "event"), [(state, event) for state, row in TABLE.items() for event in row]
)
def test_every_event_does_in_every_state_what_the_table_says(history, state, event):
    bring(history, state)
    acts = {
        "trigger": lambda: killed(history, cause="external", source="venue"),
        "recover": lambda: recovered(history),
        "complete_recovery": lambda: completed(history),
    }
    made, after = MOVES[TABLE[state][event]]
    before = history.halts.dump()
    try:
        found = acts[event]()
    except NotAllowed as refused:
        found = refused
    assert history.halts.dump() == before, "a decision changes nothing"
    assert type(found) is made
    if after is not None:
        history.make(found)
    assert history.halted.state == (after or state)


def test_the_one_way_from_killed_to_active_leads_through_a_recovery() -> None:
    ways = {state: set(row.values()) for state, row in TABLE.items()}
    assert [state for state, moves in ways.items() if "complete" in moves] == ["RECOVERING"]
    assert [state for state, moves in ways.items() if "recover" in moves] == ["KILLED"]
    assert {row["trigger"] for row in TABLE.values()} == {"kill", "note"}


# --- trigger --------------------------------------------------------------------------------------


def test_a_trigger_says_who_and_why_and_by_what(history):
    assert killed(history, cause="disk", source="disk", reason="it is full", by=RISKD) == (
        KillSwitchTriggered(by=RISKD, cause="disk", source="disk", reason="it is full")
    )


def test_a_trigger_that_goes_on_is_noted_once(history):
    history.make(killed(history))
    assert killed(history) is None
    assert killed(history, by=By(via="socket", user_id=1000, process_id=9)) is None, "the same bob"


def test_what_riskd_itself_says_in_other_figures_is_the_same(history):
    history.make(killed(history, by=RISKD, source="trigger:lag", reason="lag is 251, above 250"))
    again = {"by": RISKD, "source": "trigger:lag", "reason": "lag is 252, above 250"}
    assert killed(history, **again) is None


@pytest.mark.parametrize(
    "other",
    [{"cause": "disk"}, {"source": "signal"}, {"by": CAROL}, {"by": SIGNAL}, {"reason": "more"}],
)
def test_another_cause_or_source_or_person_is_noted_too(history, other):
    history.make(killed(history))
    history.make(killed(history, **other))
    assert len(history.halted.triggers) == 2
    assert killed(history, **other) is None


def test_of_one_kill_there_are_so_many_causes_and_no_more(history):
    for number in range(TRIGGERS_NOTED):
        history.make(killed(history, source=f"trigger:{number}"))
    assert killed(history, source="trigger:one-more") is None
    assert len(history.halted.triggers) == TRIGGERS_NOTED


def test_a_known_cause_ends_a_recovery_like_any_other(history):
    for number in range(TRIGGERS_NOTED):
        history.make(killed(history, source=f"trigger:{number}"))
    history.make(recovered(history))
    history.make(killed(history, source="trigger:0"))
    assert history.halted.state == "KILLED"


# --- recover --------------------------------------------------------------------------------------


def refusal(act, *arguments, **named):
    with pytest.raises(NotAllowed) as caught:
        act(*arguments, **named)
    return caught.value


def test_a_recovery_says_who_asked_and_who_approved_and_how_long_it_takes(history):
    bring(history, "KILLED")
    assert recovered(history, approved_by="  alice ") == RecoveryStarted(
        by=BOB, approved_by="alice", cooldown_s=300.0
    )


@pytest.mark.parametrize("approved_by", ["", " ", "\t\n"])
@pytest.mark.parametrize("rules", [RULES, PAIR])
def test_nobody_approves_nothing(history, approved_by, rules):
    bring(history, "KILLED")
    refused = refusal(recovered, history, approved_by=approved_by, rules=rules)
    assert refused.code == "no_approval"
    assert "approved_by is empty" in str(refused)


def test_alone_one_may_approve_what_one_asks_for(history):
    bring(history, "KILLED")
    assert recovered(history, approved_by="bob").approved_by == "bob"
    assert recovered(history, by=SIGNAL, approved_by="whoever").approved_by == "whoever"


def test_with_two_persons_another_one_has_to_approve(history):
    bring(history, "KILLED")
    for name in ("alice", "1001", " alice "):
        assert recovered(history, approved_by=name, rules=PAIR).approved_by == name.strip()
    for name in ("bob", "1000", " bob "):
        refused = refusal(recovered, history, approved_by=name, rules=PAIR)
        assert refused.code == "same_person"
        assert repr(name.strip()) in str(refused)


def test_with_two_persons_the_other_one_has_to_be_known(history):
    bring(history, "KILLED")
    refused = refusal(recovered, history, approved_by="mallory", rules=PAIR)
    assert refused.code == "unknown_approver"
    assert "'mallory' is none of those who may act (1000, 1001, alice, bob)" in str(refused)
    nobody = Rules(cooldown_s=1, two_person=True)
    assert "(nobody)" in str(refusal(recovered, history, rules=nobody))


@pytest.mark.parametrize("by", [SIGNAL, RISKD, By(via="socket", user="alice")])
def test_with_two_persons_who_is_no_person_asks_for_nothing(history, by):
    bring(history, "KILLED")
    assert refusal(recovered, history, by=by, rules=PAIR).code == "same_person"


def test_the_superuser_is_a_person_like_any_other(history):
    bring(history, "KILLED")
    root = By(via="socket", user_id=0, user="root")
    pair = Rules(cooldown_s=1, two_person=True, people={"root": 0, "bob": 1000})
    assert recovered(history, by=root, approved_by="bob", rules=pair).approved_by == "bob"
    assert refusal(recovered, history, by=root, approved_by="root", rules=pair).code == (
        "same_person"
    )
    assert recovered(history, by=BOB, approved_by="root", rules=pair).approved_by == "root"


def test_a_second_recover_does_not_begin_the_cooldown_again(history):
    bring(history, "KILLED")
    history.make(recovered(history))
    history.passes(200)
    assert recovered(history) is None
    assert recovered(history, approved_by="") is None
    assert cooldown_left_s(history.halted, history.now, 300) == 100


# --- complete -------------------------------------------------------------------------------------


def test_a_recovery_is_completed_at_the_end_of_its_cooldown_and_no_second_before(history):
    bring(history, "KILLED")
    history.make(recovered(history))
    history.passes(299.5)
    refused = refusal(completed, history)
    assert refused.code == "cooldown"
    assert str(refused).endswith("the cooldown has 0.5 s to go")
    history.passes(0.5)
    assert completed(history) == RecoveryCompleted(by=BOB)


def test_neither_a_shorter_cooldown_nor_a_longer_one_lets_it_through_earlier(history):
    bring(history, "KILLED")
    history.make(recovered(history))
    history.passes(299)
    assert refusal(completed, history, rules=Rules(cooldown_s=0)).code == "cooldown"
    history.passes(1)
    assert refusal(completed, history, rules=Rules(cooldown_s=301)).code == "cooldown"
    assert completed(history, rules=Rules(cooldown_s=0)) is not None


def test_every_account_has_to_be_reconciled_and_each_problem_is_told(history):
    bring(history, "RECOVERING")
    problems = (f"{name}: 1 order is unknown" for name in ("main", "alt"))
    refused = refusal(completed, history, unreconciled=problems)
    assert refused.code == "not_reconciled"
    assert refused.problems == ["main: 1 order is unknown", "alt: 1 order is unknown"]
    assert refusal(completed, history, unreconciled=["main"]).code == "not_reconciled"


def test_what_is_refused_for_its_time_or_its_state_has_no_problems(history):
    bring(history, "KILLED")
    refused = refusal(completed, history, unreconciled=["main"])
    assert (refused.code, refused.problems) == ("not_recovering", [])
    assert str(refused) == "the kill switch is KILLED; begin with recover, which somebody approves"


def test_completing_what_is_active_asks_for_nothing(history):
    assert completed(history, unreconciled=["main"]) is None


# --- after a crash --------------------------------------------------------------------------------


def crashed(history, policy="reconcile"):
    return after_crash(history.halted, by=RISKD, policy=policy)


@pytest.mark.parametrize(
    ("policy", "until"),
    [("reconcile", UntilCondition(condition=RECONCILED)), ("operator", OPERATOR)],
)
def test_a_start_after_an_unclean_end_halts_everything_as_the_policy_says(history, policy, until):
    put(history, halt())
    fact = history.make(crashed(history, policy))
    assert (fact.halt_id, fact.by, fact.halt.until) == (2, RISKD, until)
    assert (fact.halt.cause, fact.halt.source) == ("crash", "start")
    assert passing(history.halted, ["account:alt"]) == "none"


def test_after_an_orderly_end_nothing_is_halted(history):
    history.make(DaemonStopped(reason="asked"))
    assert crashed(history) is None
    assert after_crash(Halted(), by=RISKD, policy="operator") is None, "the first start of all"


@pytest.mark.parametrize("how", ["torn", "lost", "given_up"])
def test_after_a_repair_no_end_is_taken_for_an_orderly_one(history, how):
    """What was cut off may have been the start of another run, and a kill in it."""
    history.make(DaemonStopped(reason="asked"))
    history.make(
        JournalRepaired(
            file="1.log", lost_lsn=3, offset=64, lost_bytes=8, how=how, evidence=("1.log.1.broken",)
        )
    )
    assert crashed(history) is not None


@pytest.mark.parametrize(
    ("first", "second", "is_new"),
    [
        ("reconcile", "reconcile", False),
        ("operator", "operator", False),
        ("operator", "reconcile", False),
        ("reconcile", "operator", True),
    ],
)
def test_a_second_crash_adds_a_halt_only_when_it_is_to_last_longer(history, first, second, is_new):
    history.make(crashed(history, first))
    history.start()
    assert (crashed(history, second) is not None) == is_new


@pytest.mark.parametrize(
    "other", [{"scope": "account:main"}, {"mode": "reduce_only"}, {"source": "operator"}]
)
def test_a_halt_that_does_less_does_not_stand_for_that_of_a_crash(history, other):
    put(history, halt(**({"scope": "all", "source": "start", "cause": "crash"} | other)))
    assert crashed(history) is not None


def test_a_crash_is_no_kill_and_a_kill_outlives_a_crash(history):
    history.make(killed(history))
    history.make(crashed(history))
    history.start()
    assert history.halted.state == "KILLED"
    history.make(holds(history.halted, RECONCILED))
    assert passing(history.halted, []) == "none"
