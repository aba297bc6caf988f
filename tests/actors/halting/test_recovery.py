"""The recovery actor: nothing is let go on but by its rules, and not before the disk has it."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import trio
from riskd.actors.core.halts import halts_shown, shown
from riskd.actors.core.kill_switch import Rules
from riskd.actors.kill_switch import Cleared, KillSwitch
from riskd.actors.messages import (
    By,
    CompleteRecovery,
    Halt,
    HaltsAre,
    HaltsEnded,
    HaltsLifted,
    Loosening,
    Recover,
    RecoveryCompleted,
    RecoveryStarted,
    Refused,
    SwitchIs,
    Unfreeze,
    Until,
    UntilCondition,
    UntilElapsed,
    UntilOperator,
)
from riskd.actors.ports import NotLoosened, Withdrawn
from riskd.actors.recovery import ATTEMPTS_MAX, LOOK_S, RETRY_S, Asked, Recovery

History = Any  # the class of this fixture lives in conftest.py
Make = Callable[..., Recovery]
BOB = By(via="socket", user_id=1000, user="bob", process_id=4711)
COOLDOWN_S = 300.0
UNTIL_FED = UntilCondition(condition="fed")


def wanted(scope: str = "account:main", until: Until | None = None) -> Halt:
    return Halt(
        scope=scope,
        mode="halt",
        cause="manual",
        source="operator",
        reason="news",
        until=until or UntilOperator(),
    )


@pytest.fixture
def make(switch: KillSwitch, history: History) -> Make:
    async def settle() -> None:
        history.happened.append("settled")

    def make(**others: Any) -> Recovery:
        history.start()
        said: dict[str, Any] = {
            "switch": switch,
            "rules": lambda: Rules(cooldown_s=COOLDOWN_S),
            "unreconciled": tuple,
            "uneasy": tuple,
            "loosen": history.loosen,
            "settle": settle,
            "shown": lambda: shown(history.halts.now, switch.now(), COOLDOWN_S),
        }
        return Recovery(**{**said, **others})

    return make


def kill(switch: KillSwitch) -> None:
    switch.trigger(by=BOB, cause="manual", source="operator", reason="boo")


async def asked(recovery: Recovery, command: Any) -> Any:
    return await recovery.receive(Asked(command, BOB, recovery.switch.halts.now.next_id))


# --- the way back ---------------------------------------------------------------------------------


async def test_the_whole_way_back_leads_through_approval_and_cooldown(
    make: Make, switch: KillSwitch, history: History, autojump_clock: trio.testing.MockClock
) -> None:
    recovery = make()
    kill(switch)
    begun = await asked(recovery, Recover(approved_by="alice"))
    assert isinstance(begun, SwitchIs)
    assert (begun.changed, begun.kill_switch["state"]) == (True, "RECOVERING")
    early = await asked(recovery, CompleteRecovery())
    assert isinstance(early, Refused)
    assert early.code == "cooldown"
    await trio.sleep(COOLDOWN_S)
    done = await asked(recovery, CompleteRecovery())
    assert isinstance(done, SwitchIs)
    assert (done.changed, done.kill_switch["state"]) == (True, "ACTIVE")
    assert history.facts[-2:] == [
        RecoveryStarted(by=BOB, approved_by="alice", cooldown_s=COOLDOWN_S),
        RecoveryCompleted(by=BOB),
    ]
    assert history.page == {}


async def test_a_recovery_is_on_the_disk_before_it_is_answered(
    make: Make, switch: KillSwitch, history: History
) -> None:
    recovery = make()
    kill(switch)
    await asked(recovery, Recover(approved_by="alice"))
    assert history.happened[-1] == "settled"


async def test_what_is_so_already_is_answered_with_the_state_and_recorded_by_nothing(
    make: Make, switch: KillSwitch, history: History
) -> None:
    recovery = make()
    made = list(history.facts)
    for command in (Recover(approved_by="alice"), CompleteRecovery()):
        answer = await asked(recovery, command)
        assert (answer.changed, answer.kill_switch["state"]) == (False, "ACTIVE")
    assert history.facts == made


async def test_accounts_that_do_not_agree_keep_it_from_trading_and_are_named(
    make: Make, switch: KillSwitch, history: History, autojump_clock: trio.testing.MockClock
) -> None:
    problems = ["main: position of BTCUSDT is 2 here and 1 at paper"]
    recovery = make(unreconciled=lambda: problems)
    kill(switch)
    await asked(recovery, Recover(approved_by="alice"))
    await trio.sleep(COOLDOWN_S)
    answer = await asked(recovery, CompleteRecovery())
    assert isinstance(answer, Refused)
    assert (answer.code, answer.problems) == ("not_reconciled", problems)
    assert history.halts.now.state == "RECOVERING"


async def test_a_trigger_that_is_not_calm_keeps_it_from_trading_and_is_named(
    make: Make, switch: KillSwitch, history: History, autojump_clock: trio.testing.MockClock
) -> None:
    recovery = make(uneasy=lambda: ["trigger 'lag' is not calm"])
    kill(switch)
    await asked(recovery, Recover(approved_by="alice"))
    await trio.sleep(COOLDOWN_S)
    answer = await asked(recovery, CompleteRecovery())
    assert isinstance(answer, Refused)
    assert (answer.code, answer.problems) == ("still_tripped", ["trigger 'lag' is not calm"])
    assert history.halts.now.state == "RECOVERING"


async def test_a_kill_while_the_disk_is_waited_for_wins(
    make: Make, switch: KillSwitch, history: History, autojump_clock: trio.testing.MockClock
) -> None:
    async def overtaken(_: Loosening) -> None:
        kill(switch)
        raise Withdrawn("something was tightened")

    recovery = make(loosen=overtaken)
    kill(switch)
    await asked(recovery, Recover(approved_by="alice"))
    await trio.sleep(COOLDOWN_S)
    answer = await asked(recovery, CompleteRecovery())
    assert isinstance(answer, Refused)
    assert answer.code == "not_recovering"
    assert history.halts.now.state == "KILLED"
    assert history.page == {"all": "halt"}


async def test_what_is_withdrawn_for_another_reason_is_decided_anew_so_often_and_no_more(
    make: Make, switch: KillSwitch, history: History
) -> None:
    tries: list[Loosening] = []

    async def overtaken(fact: Loosening) -> None:
        tries.append(fact)
        if len(tries) < ATTEMPTS_MAX:
            raise Withdrawn("something else was tightened")
        await history.loosen(fact)

    recovery = make(loosen=overtaken)
    switch.halt(wanted(), by=BOB)
    answer = await asked(recovery, Unfreeze(scope="account:main", reason="over"))
    assert isinstance(answer, HaltsAre)
    assert answer.changed == [1]
    switch.halt(wanted(), by=BOB)
    tries[:] = []

    async def always(fact: Loosening) -> None:
        tries.append(fact)
        raise Withdrawn("something else was tightened")

    answer = await asked(make(loosen=always), Unfreeze(scope="account:main", reason="over"))
    assert isinstance(answer, Refused)
    assert (answer.code, len(tries)) == ("not_loosened", ATTEMPTS_MAX)


@pytest.mark.parametrize("moment", ["while it waits", "while the disk is waited for"])
async def test_nothing_lifts_or_ends_what_was_placed_after_it_was_asked(
    make: Make, switch: KillSwitch, history: History, moment: str
) -> None:
    def another() -> None:
        switch.halt(msgspec.structs.replace(wanted(until=UNTIL_FED), source="another"), by=BOB)

    async def overtaken(fact: Loosening) -> None:
        if overtakes:
            overtakes.pop()()
            raise Withdrawn("something was tightened")
        await history.loosen(fact)

    overtakes: list[Callable[[], None]] = []
    recovery = make(loosen=overtaken)
    for message in (
        Asked(Unfreeze(scope="account:main", reason="over"), BOB, 2),
        Cleared("fed", 4),
    ):
        switch.halt(wanted(until=UNTIL_FED), by=BOB)
        before = switch.halts.now.next_id
        assert before == message.below
        if moment == "while it waits":
            another()
        else:
            overtakes.append(another)
        await recovery.receive(message)
        assert list(history.halts.now.halts) == [before]
        await asked(recovery, Unfreeze(scope="account:main", reason="over"))
        assert history.page == {}


async def test_what_the_disk_does_not_confirm_is_not_in_force(
    make: Make, switch: KillSwitch, history: History
) -> None:
    async def slow(_: Loosening) -> None:
        raise NotLoosened("the journal's disk did not confirm it within 1 s")

    recovery = make(loosen=slow)
    switch.halt(wanted(), by=BOB)
    answer = await asked(recovery, Unfreeze(scope="account:main", reason="over"))
    assert isinstance(answer, Refused)
    assert answer.message.endswith("nothing has changed")
    assert history.page == {"account:main": "halt"}


async def test_nothing_is_let_go_on_while_riskd_doubts_what_it_knows(
    make: Make, switch: KillSwitch, history: History, autojump_clock: trio.testing.MockClock
) -> None:
    recovery = make()
    switch.halt(wanted(until=UntilElapsed(seconds=1.0)), by=BOB)
    kill(switch)
    made = list(history.facts)
    history.doubts = "in doubt: halts"
    await trio.sleep(1_000.0)
    for command in (
        Recover(approved_by="alice"),
        CompleteRecovery(),
        Unfreeze(scope="account:main", reason="over"),
    ):
        answer = await asked(recovery, command)
        assert isinstance(answer, Refused)
        assert answer.code == "in_doubt"
    await recovery.wake()
    await recovery.receive(Cleared("reconciled", switch.halts.now.next_id))
    assert history.facts == made
    assert recovery.wake_at() == trio.current_time() + RETRY_S


# --- halts ----------------------------------------------------------------------------------------


async def test_lifting_ends_the_halts_of_exactly_this_scope(
    make: Make, switch: KillSwitch, history: History
) -> None:
    recovery = make()
    for scope in ("account:main", "account:main2", "all"):
        switch.halt(wanted(scope), by=BOB)
    answer = await asked(
        recovery, Unfreeze(scope="account:main", reason="over", approved_by="alice")
    )
    assert history.facts[-1] == HaltsLifted(
        halt_ids=(1,), scope="account:main", by=BOB, approved_by="alice", reason="over"
    )
    assert answer.halts == halts_shown(history.halts.now, switch.now())
    assert history.page == {"account:main2": "halt", "all": "halt"}


async def test_lifting_nothing_is_answered_and_recorded_by_nothing(
    make: Make, history: History
) -> None:
    recovery = make()
    made = list(history.facts)
    answer = await asked(recovery, Unfreeze(scope="account:main", reason="over"))
    assert (answer.changed, history.facts) == ([], made)


async def test_a_halt_ends_when_its_time_has_come_and_not_before(
    make: Make, switch: KillSwitch, history: History, autojump_clock: trio.testing.MockClock
) -> None:
    recovery = make()
    began = trio.current_time()
    assert recovery.wake_at() == began + LOOK_S, "no message tells of a halt"
    switch.halt(wanted(until=UntilElapsed(seconds=60.0)), by=BOB)
    assert recovery.wake_at() == began + LOOK_S
    await trio.sleep(59.75)
    assert recovery.wake_at() == pytest.approx(began + 60.0)
    await recovery.wake()
    assert history.page == {"account:main": "halt"}
    await trio.sleep(0.25)
    await recovery.wake()
    assert history.facts[-1] == HaltsEnded(halt_ids=(1,), reason="the time has come")
    assert history.page == {}


async def test_an_end_that_the_disk_did_not_confirm_is_tried_again_and_not_at_once(
    make: Make, switch: KillSwitch, history: History, autojump_clock: trio.testing.MockClock
) -> None:
    async def slow(_: Loosening) -> None:
        raise NotLoosened("the journal's disk did not confirm it within 1 s")

    recovery = make(loosen=slow)
    switch.halt(wanted(until=UntilElapsed(seconds=1.0)), by=BOB)
    await trio.sleep(1.0)
    await recovery.wake()
    assert history.page == {"account:main": "halt"}
    assert recovery.wake_at() == trio.current_time() + RETRY_S


async def test_a_condition_that_holds_ends_what_waited_for_it_and_nothing_else(
    make: Make, switch: KillSwitch, history: History
) -> None:
    recovery = make()
    switch.halt(wanted(until=UntilCondition(condition="trigger:lag")), by=BOB)
    switch.halt(wanted("all", until=UntilCondition(condition="reconciled")), by=BOB)
    await recovery.receive(Cleared("reconciled", switch.halts.now.next_id))
    assert history.page == {"account:main": "halt"}


async def test_a_condition_that_no_longer_holds_ends_nothing(
    make: Make, switch: KillSwitch, history: History
) -> None:
    recovery = make()
    for again in (True, False):
        switch.halt(wanted(until=UNTIL_FED), by=BOB)
        switch.clear("fed")
        cleared = Cleared("fed", switch.halts.now.next_id)
        if again:
            assert switch.halt(wanted(until=UNTIL_FED), by=BOB) is None, "that one stands"
        await recovery.receive(cleared)
        assert history.page == ({"account:main": "halt"} if again else {})


async def test_other_messages_crash_the_actor(make: Make) -> None:
    with pytest.raises(TypeError, match="takes Asked and Cleared"):
        await make().receive("recover")
