"""The kill switch as its callers have it: first the page, then the fact, then both agree."""

from collections.abc import Callable
from typing import Any

import pytest
import trio
from riskd.actors.core.kill_switch import HALTS_MAX, Breaker
from riskd.actors.kill_switch import (
    NOTE_S,
    PAGE_S,
    REASON_CHARACTERS_MAX,
    Cleared,
    KillSwitch,
    Watch,
)
from riskd.actors.mailbox import Mailbox
from riskd.actors.messages import (
    By,
    Halt,
    HaltPlaced,
    KillSwitchTriggered,
    Mode,
    TimeNoted,
    Until,
    UntilCondition,
    UntilElapsed,
    UntilOperator,
)

History = Any  # the class of this fixture lives in conftest.py
BOB = By(via="socket", user_id=1000, user="bob", process_id=4711)


def wanted(
    scope: str = "account:main", mode: Mode = "halt", until: Until | None = None, reason: str = "n"
) -> Halt:
    return Halt(
        scope=scope,
        mode=mode,
        cause="manual",
        source="operator",
        reason=reason,
        until=until or UntilOperator(),
    )


def killed(switch: KillSwitch, reason: str = "boo") -> bool:
    return switch.trigger(by=BOB, cause="manual", source="operator", reason=reason)


# --- the order of things --------------------------------------------------------------------------


async def test_a_kill_is_on_the_page_before_it_is_written_and_says_so_after(
    switch: KillSwitch, history: History
) -> None:
    assert killed(switch)
    fact = KillSwitchTriggered(by=BOB, cause="manual", source="operator", reason="boo")
    assert history.happened == ["fence", fact, ({"all": "halt"}, 1)]


async def test_a_kill_that_changes_nothing_halts_the_page_all_the_same(
    switch: KillSwitch, history: History
) -> None:
    killed(switch)
    history.happened.clear()
    assert not killed(switch)
    assert history.happened == ["fence", ({"all": "halt"}, 1)]


async def test_a_halt_is_on_the_page_before_it_is_written_and_only_in_its_scope(
    switch: KillSwitch, history: History
) -> None:
    assert switch.halt(wanted(mode="reduce_only"), by=BOB) == 1
    # Shut by one store, and open again for all others before the journal is waited for.
    fence, before, fact, after = history.happened
    assert fence == "fence"
    assert before == ({"account:main": "reduce_only"}, 0)
    assert isinstance(fact, HaltPlaced)
    assert after == ({"account:main": "reduce_only"}, 1)


async def test_a_halt_that_is_written_slowly_never_lowers_what_is_on_the_page(
    switch: KillSwitch, history: History
) -> None:
    switch.halt(wanted(), by=BOB)
    history.happened.clear()
    switch.halt(wanted(mode="reduce_only"), by=BOB)
    assert all(
        each[0]["account:main"] == "halt" for each in history.happened if type(each) is tuple
    )


ACTS: dict[str, Callable[[KillSwitch], object]] = {
    "trigger": killed,
    "halt": lambda switch: switch.halt(wanted("all"), by=BOB),
    "trip": lambda switch: switch.trip(wanted("all"), Breaker(for_s=1.0), by=BOB),
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
async def test_what_can_not_be_recorded_leaves_a_page_that_refuses(
    switch: KillSwitch, history: History, act: Callable[[KillSwitch], object]
) -> None:
    history.breaks = RuntimeError("a bug")
    with pytest.raises(RuntimeError, match="a bug"):
        act(switch)
    assert history.page in ("fence", {"all": "halt"})


async def test_more_halts_than_can_be_kept_apart_are_a_kill(
    switch: KillSwitch, history: History
) -> None:
    for number in range(HALTS_MAX):
        assert switch.halt(wanted(f"symbol:S{number}"), by=BOB) is not None
    history.happened.clear()
    assert switch.halt(wanted("symbol:another"), by=BOB) is None
    assert history.happened[0] == "fence"
    assert isinstance(history.facts[0], KillSwitchTriggered)
    assert history.halts.now.state == "KILLED"


async def test_a_breaker_that_is_open_is_not_opened_again(
    switch: KillSwitch, history: History
) -> None:
    breaker = Breaker(for_s=10.0)
    assert switch.trip(wanted(), breaker, by=BOB) == 1
    assert switch.trip(wanted(), breaker, by=BOB) is None
    (fact,) = history.facts
    assert fact.halt.until == UntilElapsed(seconds=10.0)


async def test_a_reason_of_any_length_halts_and_is_cut(
    switch: KillSwitch, history: History
) -> None:
    killed(switch, "x" * 5_000_000)
    switch.halt(wanted(reason="x" * 5_000_000), by=BOB)
    assert len(history.facts[0].reason) == REASON_CHARACTERS_MAX
    assert len(history.facts[1].halt.reason) == REASON_CHARACTERS_MAX


# --- doubt ----------------------------------------------------------------------------------------


async def test_a_page_is_not_opened_by_what_is_in_doubt(
    switch: KillSwitch, history: History
) -> None:
    history.doubts = "the journal has failed"
    switch.publish()
    assert history.happened == ["fence"]
    history.doubts = None
    switch.publish()
    assert history.page == {}


async def test_a_halt_of_one_scope_opens_no_page_that_is_in_doubt(
    switch: KillSwitch, history: History
) -> None:
    history.doubts = "in doubt, and being made again: halts"
    switch.halt(wanted(), by=BOB)
    assert {each for each in history.happened if not isinstance(each, HaltPlaced)} == {"fence"}


async def test_a_kill_is_recorded_again_when_what_it_is_compared_with_is_in_doubt(
    switch: KillSwitch, history: History
) -> None:
    killed(switch)
    history.doubts = "in doubt"
    assert killed(switch)
    assert len(history.facts) == 2
    assert history.page == "fence"


@pytest.mark.parametrize("reached", [0, 1, 2, 3])
@pytest.mark.parametrize("by_breaker", [False, True])
async def test_a_halt_placed_in_doubt_takes_the_place_of_no_other(
    switch: KillSwitch, history: History, reached: int, *, by_breaker: bool
) -> None:
    history.start()
    scopes = ["account:main", "account:two"]
    for scope in scopes:
        switch.halt(wanted(scope), by=BOB)
    history.doubts = "in doubt, and being made again: halts"
    for scope in ("symbol:X", "symbol:Y"):
        history.make_again(reached)
        if by_breaker:
            assert switch.trip(wanted(scope), Breaker(for_s=10.0), by=BOB) is not None
        else:
            assert switch.halt(wanted(scope), by=BOB) is not None
    history.make_again()
    halts = history.halts.now.halts.values()
    assert [each.halt.scope for each in halts] == [*scopes, "symbol:X", "symbol:Y"]


async def test_in_doubt_what_seems_to_be_halted_is_halted_once_more_and_only_once(
    switch: KillSwitch, history: History
) -> None:
    switch.halt(wanted(), by=BOB)
    history.doubts = "in doubt, and being made again: halts"
    for _ in range(3):
        switch.halt(wanted(), by=BOB)
    assert len(history.facts) == 2
    history.doubts = None
    switch.publish()
    assert switch.halt(wanted(), by=BOB) is None
    history.doubts = "in doubt, and being made again: halts"
    assert switch.halt(wanted(), by=BOB) == 3


# --- conditions -----------------------------------------------------------------------------------


async def test_a_condition_is_told_to_recovery_and_a_full_mailbox_is_no_error(
    switch: KillSwitch, mailbox: Mailbox
) -> None:
    switch.halt(wanted(until=UntilCondition(condition="reconciled")), by=BOB)
    for _ in range(5):
        switch.clear("reconciled")
    assert mailbox.statistics().depth == 2


async def test_conditions_for_which_nothing_waits_take_no_room_from_others(
    switch: KillSwitch, mailbox: Mailbox
) -> None:
    switch.halt(wanted(until=UntilCondition(condition="trigger:last")), by=BOB)
    for number in range(5):
        switch.clear(f"trigger:{number}")
    switch.clear("trigger:last")
    with mailbox.open() as inbox:
        assert (await inbox.receive()).message == Cleared("trigger:last", 2)


# --- the actor ------------------------------------------------------------------------------------


async def test_the_actor_brings_the_page_back_to_what_the_facts_add_up_to(
    switch: KillSwitch, history: History, autojump_clock: trio.testing.MockClock
) -> None:
    watch = Watch(switch)
    switch.page.fence()
    await trio.sleep_until(watch.wake_at())
    await watch.wake()
    assert history.page == {}
    assert watch.wake_at() == trio.current_time() + PAGE_S


async def test_time_is_noted_while_something_waits_for_it_and_not_otherwise(
    switch: KillSwitch, history: History, autojump_clock: trio.testing.MockClock
) -> None:
    async def live(seconds: float) -> list[object]:
        history.happened.clear()
        watch = Watch(switch)
        until = trio.current_time() + seconds
        while watch.wake_at() <= until:
            await trio.sleep_until(watch.wake_at())
            await watch.wake()
        return [fact for fact in history.facts if isinstance(fact, TimeNoted)]

    assert await live(3 * NOTE_S) == []
    switch.halt(wanted(until=UntilElapsed(seconds=1_000.0)), by=BOB)
    assert await live(3 * NOTE_S + PAGE_S) == [TimeNoted(waiting=1)] * 3


async def test_the_actor_takes_no_messages(switch: KillSwitch) -> None:
    with pytest.raises(TypeError, match="takes no messages"):
        await Watch(switch).receive("trigger")
