"""The kill switch's commands: what tightens is done where it is asked, what loosens is asked of the
recovery actor, and who asks is the kernel's word."""

from datetime import UTC, datetime
from typing import Any

import pytest
import trio
from riskd.actors.actor import serve
from riskd.actors.control import CommandRefused, CommandUnavailable, CommandUnconfirmed
from riskd.actors.core.access import Caller, Peer, Role
from riskd.actors.core.halts import shown
from riskd.actors.core.kill_switch import HALTS_MAX
from riskd.actors.kill_switch import KillSwitch
from riskd.actors.mailbox import Mailbox
from riskd.actors.messages import (
    By,
    Command,
    CompleteRecovery,
    Freeze,
    HaltsAre,
    Recover,
    ShowHalts,
    SwitchIs,
    Trigger,
    Unfreeze,
    UntilElapsed,
    UntilOperator,
    UntilSession,
)
from riskd.actors.recovery import Asked
from riskd.actors.switchboard import Switchboard

History = Any  # the class of this fixture lives in conftest.py
ALICE = Caller(Peer(user_id=1000, group_id=1000, process_id=4711), Role.OPERATOR)
RESET = datetime(2024, 5, 17, 21, tzinfo=UTC)
BY_ALICE = By(via="socket", user_id=1000, user="alice", process_id=4711)


@pytest.fixture
def board(switch: KillSwitch, history: History, mailbox: Mailbox) -> Switchboard:
    return Switchboard(
        switch=switch,
        recovery=mailbox,
        session_end=lambda: RESET,
        people={1000: "alice"},
        shown=lambda: shown(history.halts.now, switch.now(), 300.0),
    )


async def said(board: Switchboard, command: Command, caller: Caller = ALICE) -> Any:
    return await board.handlers()[type(command)](caller, command)


async def test_a_trigger_has_stopped_everything_when_it_is_answered(
    board: Switchboard, history: History
) -> None:
    answer = await said(board, Trigger(reason="boo"))
    assert isinstance(answer, SwitchIs)
    assert (answer.changed, answer.kill_switch["state"]) == (True, "KILLED")
    assert history.page == {"all": "halt"}
    assert history.facts[0].by == BY_ALICE
    again = await said(board, Trigger(reason="boo"))
    assert (again.changed, again.kill_switch["state"]) == (False, "KILLED")


async def test_a_trigger_with_a_scope_halts_that_one_until_a_person_lifts_it(
    board: Switchboard, history: History
) -> None:
    answer = await said(board, Trigger(reason="boo", scope="strategy:mm"))
    assert isinstance(answer, HaltsAre)
    assert answer.changed == [1]
    assert answer.kill_switch["state"] == "ACTIVE"
    assert history.page == {"strategy:mm": "halt"}
    assert history.facts[0].halt.until == UntilOperator()


@pytest.mark.parametrize(
    ("freeze", "mode", "until"),
    [
        (Freeze(scope="all", reason="n"), "halt", UntilOperator()),
        (Freeze(scope="all", reason="n", reduce_only=True), "reduce_only", UntilOperator()),
        (Freeze(scope="all", reason="n", for_s=90.0), "halt", UntilElapsed(seconds=90.0)),
        (
            Freeze(scope="all", reason="n", session=True),
            "halt",
            UntilSession(at=RESET),
        ),
    ],
)
async def test_a_freeze_halts_as_it_says(
    board: Switchboard,
    history: History,
    freeze: Freeze,
    mode: str,
    until: object,
    autojump_clock: trio.testing.MockClock,
) -> None:
    answer = await said(board, freeze)
    halt = history.facts[0].halt
    assert (halt.mode, halt.until, halt.source) == (mode, until, "operator")
    assert [each["id"] for each in answer.halts] == answer.changed == [1]


async def test_a_freeze_that_is_in_force_already_is_answered_with_what_is(
    board: Switchboard, history: History
) -> None:
    await said(board, Freeze(scope="all", reason="n"))
    answer = await said(board, Freeze(scope="all", reason="again", for_s=5.0))
    assert (answer.changed, len(answer.halts), len(history.facts)) == ([], 1, 1)


async def test_a_freeze_that_can_not_be_kept_apart_is_refused_and_everything_is_halted(
    board: Switchboard, history: History
) -> None:
    for number in range(HALTS_MAX):
        await said(board, Freeze(scope=f"symbol:S{number}", reason="n"))
    for _ in range(2):
        with pytest.raises(CommandRefused, match="1000 halts are in force"):
            await said(board, Freeze(scope="symbol:another", reason="n"))
        assert history.halts.now.state == "KILLED"


async def test_a_freeze_with_two_ends_is_refused_and_halts_nothing(
    board: Switchboard, history: History
) -> None:
    with pytest.raises(CommandRefused, match="for_s and session"):
        await said(board, Freeze(scope="all", reason="n", for_s=1.0, session=True))
    assert history.happened == []


async def test_halting_needs_no_actor_and_loosening_does(
    board: Switchboard, history: History
) -> None:
    """The recovery actor is not there, and its mailbox is full."""
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(said, board, Unfreeze(scope="all", reason="n"))
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(CommandUnavailable, match="recovery"):
            await said(board, Recover(approved_by="alice"))
        await said(board, Trigger(reason="boo"))
        assert history.page == {"all": "halt"}
        nursery.cancel_scope.cancel()


async def test_what_was_begun_and_not_answered_is_not_said_to_have_changed_nothing(
    board: Switchboard, mailbox: Mailbox, autojump_clock: trio.testing.MockClock
) -> None:
    class Hanging:
        async def receive(self, _message: object) -> object:
            await trio.sleep_forever()

        def wake_at(self) -> float:
            return float("inf")

        async def wake(self) -> None:
            raise AssertionError

    with pytest.raises(CommandUnavailable, match="not begun") as unbegun:
        await said(board, Unfreeze(scope="all", reason="over"))
    assert not isinstance(unbegun.value, CommandUnconfirmed)
    async with trio.open_nursery() as nursery:
        await nursery.start(serve, mailbox, Hanging())
        with pytest.raises(CommandUnconfirmed, match="may have taken effect"):
            await said(board, Unfreeze(scope="all", reason="over"))
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "command",
    [Recover(approved_by="bob"), CompleteRecovery(), Unfreeze(scope="all", reason="over")],
)
async def test_what_loosens_is_asked_of_the_actor_with_the_kernels_word_for_who_asks(
    board: Switchboard, mailbox: Mailbox, command: Command
) -> None:
    heard: list[object] = []

    class Listener:
        async def receive(self, message: object) -> object:
            heard.append(message)
            return HaltsAre(changed=[], kill_switch={}, halts=[])

        def wake_at(self) -> float:
            return float("inf")

        async def wake(self) -> None:
            raise AssertionError

    async with trio.open_nursery() as nursery:
        await nursery.start(serve, mailbox, Listener())
        await said(board, command)
        nursery.cancel_scope.cancel()
    assert heard == [Asked(command, BY_ALICE, 1)]


async def test_whoever_has_no_name_here_is_known_by_the_number(
    board: Switchboard, history: History
) -> None:
    stranger = Caller(Peer(user_id=77, group_id=1, process_id=2), Role.OPERATOR)
    await said(board, Trigger(reason="boo"), stranger)
    assert history.facts[0].by == By(via="socket", user_id=77, user=None, process_id=2)


async def test_showing_changes_nothing(board: Switchboard, history: History) -> None:
    answer = await said(board, ShowHalts())
    assert (answer.changed, answer.halts, history.happened) == ([], [], [])
